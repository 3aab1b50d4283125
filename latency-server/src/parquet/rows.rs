//! The rows of a file, from the process that reads it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use latency_core::{Predictions, Predictor};

use super::reader::{MEMORY, SECONDS, UNREADABLE};
use super::{Leave, invalid_parquet};
use crate::errors::Failure;
use crate::limits::overloaded;
use crate::predict_batch::arrow_rows::ArrowRows;

/// How much is taken from the process at once: what a pipe holds.
const PIECE_BYTES: usize = 64 * 1024;

/// The most bytes of its reasons, which are short.
const MAX_REASON_BYTES: u64 = 2_000;

/// The rows of a file.
#[derive(Default)]
pub struct ParquetRows {
    file: Vec<u8>,
    leave: Option<Leave>,
    process: Option<Process>,
    rows: ArrowRows,
}

impl ParquetRows {
    /// Those of a file that is there in all.
    pub fn of(file: Vec<u8>, leave: Leave) -> Self {
        Self { file, leave: Some(leave), ..Self::default() }
    }

    /// Takes the next piece of the file.
    pub fn take(&mut self, piece: &[u8]) {
        self.file.extend_from_slice(piece);
    }

    /// The file is there in all, and may be read.
    pub fn begin(&mut self, leave: Leave) {
        self.leave = Some(leave);
    }

    /// Whether there are rows to answer, or may be.
    pub fn is_waiting(&self) -> bool {
        self.leave.is_some() || self.process.is_some() || self.rows.is_waiting()
    }

    /// Answers some of the rows; none, if the file has not come in all.
    pub fn predict(&mut self, predictor: &Predictor) -> Result<(Predictions, Vec<Failure>), Failure> {
        if let Some(leave) = self.leave.take() {
            self.process = Some(Process::start(leave, &std::mem::take(&mut self.file), predictor)?);
        }
        while let Some(process) = &mut self.process
            && !self.rows.is_waiting()
        {
            let piece = process.piece()?;
            self.rows.take(piece).map_err(|failure| match failure.code {
                "INVALID_ARROW" => invalid_parquet("found columns that cannot be read"),
                _ => failure,
            })?;
            match piece.len() {
                0 => self.process = None,
                bytes => process.rows.consume(bytes),
            }
        }
        self.rows.predict(predictor)
    }

    /// Columns that the model has no field for.
    pub fn ignored_columns(&self) -> &[String] {
        self.rows.ignored_columns()
    }
}

/// The process that reads a file; it ends when this is dropped.
struct Process {
    child: Child,
    rows: BufReader<ChildStdout>,
    _leave: Leave,
}

impl Process {
    /// Starts it, and gives it the file.
    fn start(leave: Leave, file: &[u8], predictor: &Predictor) -> Result<Self, Failure> {
        let schema = predictor.schema();
        let ends = ["src", "dst"].into_iter().filter(|name| schema.takes(name));
        let mut command = Command::new(&leave.program);
        command.args(["read-parquet", &file.len().to_string(), "--"]).args(schema.field_names().chain(ends));
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;

            // Signals to all that a terminal or a supervisor started are for the server, which finishes its requests.
            command.arg0("latency-server").process_group(0);
        }
        command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            log::error!("the process that reads files of Parquet was not started: {error}");
            Failure::internal()
        })?;
        let (input, rows) = (child.stdin.take(), child.stdout.take());
        let Some(rows) = rows else { return Err(Failure::internal()) };
        let process = Self { child, rows: BufReader::with_capacity(PIECE_BYTES, rows), _leave: leave };
        // A process that has ended says why when it is asked for rows.
        let _ = input.map(|mut input| input.write_all(file));
        Ok(process)
    }

    /// Its next bytes; none after the last one of a file that could be read.
    fn piece(&mut self) -> Result<&[u8], Failure> {
        let lost = |error: io::Error| {
            log::error!("the process that reads files of Parquet was lost: {error}");
            Failure::internal()
        };
        let piece = self.rows.fill_buf().map_err(lost)?;
        if !piece.is_empty() {
            return Ok(piece);
        }
        let mut reason = Vec::new();
        let errors = self.child.stderr.take();
        errors.map(|errors| errors.take(MAX_REASON_BYTES).read_to_end(&mut reason)).transpose().map_err(lost)?;
        let status = self.child.wait().map_err(lost)?;
        if status.success() { Ok(&[]) } else { Err(ended(status, &String::from_utf8_lossy(&reason))) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is to be done about a process that has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(status: ExitStatus, reason: &str) -> Failure {
    if status.code() == Some(UNREADABLE.into()) {
        return invalid_parquet(reason);
    }
    if is_out_of_bounds(status) {
        log::debug!("the process that reads files of Parquet ended with {status}: {reason}");
        let mebibytes = MEMORY >> 20;
        let found = format!("found what cannot be read with {mebibytes} MiB beside the file, in {SECONDS} seconds");
        return invalid_parquet(&found);
    }
    log::error!("the process that reads files of Parquet ended with {status}: {reason}");
    // What the system ends for lack of memory can be read another time.
    if status.code().is_none() { overloaded() } else { Failure::internal() }
}

/// Whether a process took, or asked for, more than it may have.
#[cfg(unix)]
fn is_out_of_bounds(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let signals = [Signal::ABORT, Signal::BUS, Signal::SEGV, Signal::XCPU];
    status.signal().is_some_and(|found| signals.iter().any(|signal| signal.as_raw() == found))
}

#[cfg(not(unix))]
fn is_out_of_bounds(_: ExitStatus) -> bool {
    false
}
