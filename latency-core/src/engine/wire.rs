//! Protobuf's wire format, as much of it as an ONNX file needs: fields of messages, one after the other.
//!
//! Written by hand because that is a page, and a generated reader would copy every list of a graph before anyone looks at
//! it. Nothing is allocated here, and a length is believed only as far as the bytes go.

/// The fields of one message. Ends after the first fault.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Integer(u64),
    /// Text, another message, or a packed list.
    Bytes(&'a [u8]),
    Float(f32),
    /// Eight bytes, which no part of a file that is read here has.
    Other,
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's integer, if it is one of this number: a list of them is read faster so.
    #[inline]
    pub fn next_integer(&mut self, number: u8) -> Result<Option<u64>, Malformed> {
        let Some(rest) = self.after_key(number << 3) else { return Ok(None) };
        self.rest = rest;
        varint(&mut self.rest).map(Some)
    }

    /// Likewise for a float.
    #[inline]
    pub fn next_float(&mut self, number: u8) -> Result<Option<f32>, Malformed> {
        let Some(rest) = self.after_key(number << 3 | 5) else { return Ok(None) };
        let (float, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(Some(f32::from_le_bytes(*float)))
    }

    fn after_key(&self, key: u8) -> Option<&'a [u8]> {
        self.rest.split_first().filter(|(first, _)| **first == key).map(|(_, rest)| rest)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Value::Integer(varint(&mut self.rest)?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => Value::Float(f32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Malformed)?)),
            // Groups, which ONNX never had.
            _ => return Err(Malformed),
        };
        match u32::try_from(key >> 3) {
            Ok(0) | Err(_) => Err(Malformed),
            Ok(number) => Ok((number, value)),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    /// A field's number and value.
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Adds the integers of a field that is repeated, or packed.
pub(super) fn push_integers(value: Value<'_>, list: &mut Vec<i64>) -> Result<(), Malformed> {
    match value {
        Value::Integer(value) => list.push(value.cast_signed()),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                list.push(varint(&mut packed)?.cast_signed());
            }
        }
        Value::Float(_) | Value::Other => return Err(Malformed),
    }
    Ok(())
}

/// Adds the floats of a field that is repeated, or packed.
pub(super) fn push_floats(value: Value<'_>, list: &mut Vec<f32>) -> Result<(), Malformed> {
    match value {
        Value::Float(value) => list.push(value),
        Value::Bytes(packed) => {
            let (floats, []) = packed.as_chunks::<4>() else { return Err(Malformed) };
            list.extend(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Value::Integer(_) | Value::Other => return Err(Malformed),
    }
    Ok(())
}

/// Seven bits a byte, the lowest first.
#[inline]
fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    match *bytes {
        [byte @ 0..128, rest @ ..] => {
            *bytes = rest;
            Ok(u64::from(*byte))
        }
        [low, high @ 0..128, rest @ ..] => {
            *bytes = rest;
            Ok(u64::from(low & 127) | u64::from(*high) << 7)
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            // The tenth byte has room for one bit.
            return if shift == 63 && *byte > 1 { Err(Malformed) } else { Ok(value) };
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_type() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1D, 0, 0, 0x80, 0x3F, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let found: Vec<_> = Fields::new(&message).map(Result::unwrap).collect();
        let expected = [(1, Value::Integer(150)), (2, Value::Bytes(b"hi")), (3, Value::Float(1.0)), (4, Value::Other)];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_a_fault_and_then_the_end() {
        let faults: [&[u8]; 8] = [
            &[0x08],
            &[0x08, 0x80],
            &[0x12, 5, 1],
            // A length of nearly 2^64.
            &[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            // Eleven bytes, and a tenth byte with too many bits.
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
            // A group, and a field without a number.
            &[0x0B],
            &[0x00, 1],
        ];
        for message in faults {
            let found: Vec<_> = Fields::new(message).collect();
            assert_eq!(found, [Err(Malformed)], "{message:?}");
        }
    }

    #[test]
    fn lists_are_repeated_or_packed() {
        let (mut integers, mut floats) = (Vec::new(), Vec::new());
        push_integers(Value::Integer(u64::MAX), &mut integers).unwrap();
        push_integers(Value::Bytes(&[1, 0x96, 0x01]), &mut integers).unwrap();
        assert_eq!(integers, [-1, 1, 150]);
        push_floats(Value::Float(0.5), &mut floats).unwrap();
        push_floats(Value::Bytes(&[0, 0, 0x80, 0x3F]), &mut floats).unwrap();
        assert_eq!(floats, [0.5, 1.0]);
        assert_eq!(push_floats(Value::Bytes(&[0, 0, 0]), &mut floats), Err(Malformed));
        assert_eq!(push_integers(Value::Float(0.5), &mut integers), Err(Malformed));
    }
}
