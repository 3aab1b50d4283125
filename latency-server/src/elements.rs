//! The elements of a JSON array, cut out but not parsed, so that memory stays bounded.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The elements of an array; past the cap they are only counted.
pub struct Elements<'a, const MAX: usize> {
    pub elements: Vec<&'a RawValue>,
    pub found: usize,
}

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Elements<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Cut(PhantomData))
    }
}

struct Cut<'a, const MAX: usize>(PhantomData<&'a ()>);

impl<'de: 'a, 'a, const MAX: usize> Visitor<'de> for Cut<'a, MAX> {
    type Value = Elements<'a, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < MAX {
            match sequence.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(Elements { found: elements.len(), elements }),
            }
        }
        let mut found = elements.len();
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(Elements { elements, found })
    }
}
