//! The process that reads a file of Parquet: it comes by standard input, its rows leave by standard output, as a stream of
//! Arrow's IPC format.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use latency_core::arrow_array::{ArrayRef, NullArray, RecordBatch, RecordBatchOptions};
use latency_core::arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::predict_batch::ROWS_AT_ONCE;
use crate::predict_batch::table::MAX_COLUMNS;

/// The most memory that it takes beside the file, as address space.
pub const MEMORY: u64 = 128 << 20;

/// The most time of a processor that it takes.
pub const SECONDS: u64 = 5;

/// How much it lets others go first.
#[cfg(unix)]
const NICE: i32 = 10;

/// Exit code of a file that cannot be read, for a reason that stands on standard error.
pub const UNREADABLE: u8 = 3;

/// The most characters of that.
const MAX_REASON: usize = 300;

/// The most bytes of [`ROWS_AT_ONCE`] rows.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// Reads a file of `length` bytes. Of columns other than those to be `read`, the names alone are handed on.
#[must_use]
pub fn run(length: u64, read: &[String]) -> ExitCode {
    if let Err(error) = confine(length) {
        eprint!("there is no way to read it safely: {error}");
        return ExitCode::FAILURE;
    }
    panic::set_hook(Box::new(|_| {}));
    let done = panic::catch_unwind(|| {
        let mut file = vec![0; usize::try_from(length).unwrap_or(0)];
        io::stdin().lock().read_exact(&mut file).map_err(|error| format!("found no whole file ({error})"))?;
        write_rows(file.into(), read, BufWriter::new(io::stdout().lock()))
    });
    let Err(reason) = done.unwrap_or_else(|_| Err("found what cannot be read".to_owned())) else {
        return ExitCode::SUCCESS;
    };
    // More than a pipe holds would wait for a server that waits for rows.
    eprint!("{reason:.MAX_REASON$}");
    ExitCode::from(UNREADABLE)
}

/// Gives up all but a little memory and time.
#[cfg(unix)]
fn confine(length: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

    let memory = MEMORY.saturating_add(length);
    let limits = [
        (Resource::As, memory, memory),
        // The signal of the first one says what it is about.
        (Resource::Cpu, SECONDS, SECONDS + 1),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
    ];
    for (resource, current, maximum) in limits {
        // Whoever started the server may have set a lower one, which none of its processes can raise.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) })?;
    }
    // Where processors are busy, single predictions go first.
    nice(NICE)?;
    // Where memory is short for all, it is this process that has to go. A system without that file needs no such word.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

#[cfg(not(unix))]
fn confine(_: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn write_rows(file: Bytes, read: &[String], out: impl Write) -> Result<(), String> {
    let unreadable = |error: &dyn std::error::Error| format!("found what cannot be read ({error})");
    // The types that Parquet itself has are enough, and what Arrow's writers add would have to be trusted.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|e| unreadable(&e))?;
    let columns = file.schema().fields();
    if columns.len() > MAX_COLUMNS {
        return Err(format!("found {} columns, where up to {MAX_COLUMNS} may be", columns.len()));
    }
    let is_read: Vec<_> = columns.iter().map(|column| read.contains(column.name())).collect();
    let fields: Vec<_> = columns
        .iter()
        .zip(&is_read)
        .map(|(column, is_read)| {
            let kind = if *is_read { column.data_type().clone() } else { DataType::Null };
            Field::new(column.name(), kind, true)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    // Groups without columns are among these, and not among the columns above.
    let roots = file.parquet_schema().root_schema().get_fields().iter().enumerate();
    let roots = roots.filter(|(_, root)| read.iter().any(|name| name == root.name())).map(|(index, _)| index);
    let mask = ProjectionMask::roots(file.parquet_schema(), roots);
    let mut claimed = usize::try_from(file.metadata().file_metadata().num_rows()).ok();
    let batches = file.with_projection(mask).with_batch_size(ROWS_AT_ONCE).build().map_err(|e| unreadable(&e))?;
    let mut writer = StreamWriter::try_new(out, &schema).map_err(|e| unreadable(&e))?;
    for batch in batches {
        let batch = batch.map_err(|e| unreadable(&e))?;
        let rows = batch.num_rows();
        if batch.get_array_memory_size() > MAX_BATCH_BYTES {
            return Err(format!("found {rows} rows of more than {MAX_BATCH_BYTES} bytes"));
        }
        claimed = claimed.and_then(|claimed| claimed.checked_sub(rows));
        let mut cells = batch.columns().iter();
        let cells = is_read.iter().map(|is_read| match is_read.then(|| cells.next()).flatten() {
            Some(cells) => Arc::clone(cells),
            None => Arc::new(NullArray::new(rows)) as ArrayRef,
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&schema), cells.collect(), &options)
            .and_then(|batch| writer.write(&batch))
            .map_err(|e| unreadable(&e))?;
    }
    if claimed != Some(0) {
        return Err("found more or fewer rows than it says that it has".to_owned());
    }
    writer.finish().map_err(|e| unreadable(&e))
}
