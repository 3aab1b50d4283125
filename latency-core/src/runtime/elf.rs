//! For which machine a library is made, by its ELF header. The linker calls a library for another processor "not found".

use std::fmt;
use std::io::Read;
use std::path::Path;

/// What must be equal for a library to fit a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    class: u8,
    data: u8,
    processor: [u8; 2],
}

/// `None`: the file does not begin as an ELF file does.
pub(super) fn machine(path: &Path) -> std::io::Result<Option<Machine>> {
    let mut header = Vec::new();
    std::fs::File::open(path)?.take(20).read_to_end(&mut header)?;
    Ok(match header[..] {
        [0x7f, b'E', b'L', b'F', class, data, .., low, high] if header.len() == 20 => {
            Some(Machine { class, data, processor: [low, high] })
        }
        _ => None,
    })
}

/// The machine that this program is made for, if it can be read.
pub(super) fn own() -> Option<Machine> {
    machine(&std::env::current_exe().ok()?).ok()?
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            if self.data == 2 { u16::from_be_bytes(self.processor) } else { u16::from_le_bytes(self.processor) };
        match number {
            3 => f.write_str("x86")?,
            40 => f.write_str("arm")?,
            62 => f.write_str("x86_64")?,
            183 => f.write_str("aarch64")?,
            243 => f.write_str("riscv")?,
            other => write!(f, "processor {other}")?,
        }
        write!(f, ", {}-bit", if self.class == 1 { 32 } else { 64 })?;
        if self.data == 2 { f.write_str(", big-endian") } else { Ok(()) }
    }
}
