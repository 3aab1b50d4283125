//! Lines of a body that comes in pieces.

use crate::errors::Failure;
use crate::predict::{MAX_ROW_BYTES, invalid_json, row_too_long};

/// What is left of the last piece: the beginning of a line.
#[derive(Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// Whether the line is too long already, so that the rest of it is not kept.
    too_long: bool,
}

impl Lines {
    /// Gives the lines that end in this piece to `take`, without blank ones; if the piece is empty, the last one.
    pub fn cut(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(Result<&str, Failure>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if piece.is_empty() {
            return self.end(&mut take);
        }
        let mut parts = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let ends = parts.peek().is_some();
            if ends && self.begun.is_empty() && !self.too_long && part.len() <= MAX_ROW_BYTES {
                line(part, &mut take)?;
                continue;
            }
            // A little more than a row may have, so that spaces around it do not count.
            self.too_long |= self.begun.len() + part.len() > MAX_ROW_BYTES + 2;
            if self.too_long {
                self.begun.clear();
            } else {
                self.begun.extend_from_slice(part);
            }
            if ends {
                self.end(&mut take)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, take: &mut impl FnMut(Result<&str, Failure>) -> Result<(), Failure>) -> Result<(), Failure> {
        if std::mem::take(&mut self.too_long) {
            return take(Err(row_too_long("INVALID_JSON", &format!("more than {MAX_ROW_BYTES}"))));
        }
        let taken = line(&self.begun, take);
        self.begun.clear();
        taken
    }
}

fn line(bytes: &[u8], take: &mut impl FnMut(Result<&str, Failure>) -> Result<(), Failure>) -> Result<(), Failure> {
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    take(std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        invalid_json(format!("found a byte that is not UTF-8 at offset {at} of the line; allowed: JSON in UTF-8"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(body: &[u8], piece: usize) -> Vec<Result<String, &'static str>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in body.chunks(piece).chain([&[][..]]) {
            lines
                .cut(piece, |line| {
                    found.push(line.map(str::to_owned).map_err(|failure| failure.code));
                    Ok(())
                })
                .unwrap();
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let long = "x".repeat(3 * MAX_ROW_BYTES);
        let body = format!("first\r\n\n  \nsecond {long}\nthird\né\n{long}");
        let body = [body.as_bytes(), b"\n\xff\nlast"].concat();
        let ok = |line: &str| Ok(line.to_owned());
        let expected = [
            ok("first\r"),
            Err("INVALID_JSON"),
            ok("third"),
            ok("é"),
            Err("INVALID_JSON"),
            Err("INVALID_JSON"),
            ok("last"),
        ];
        for piece in [1, 2, 3, 7, 1_000, 65_536, usize::MAX] {
            assert_eq!(cut(&body, piece), expected, "in pieces of {piece} bytes");
        }
    }
}
