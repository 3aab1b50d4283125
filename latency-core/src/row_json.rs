//! The JSON form of a row, from text or from a parsed value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::places::Place;
use crate::row::{END, Entry, Find, Row, Value, Written};

/// A JSON value as a row needs it. Objects keep every key, so that one given twice is found and not lost.
#[derive(Debug)]
enum Node<'a> {
    Scalar(Value),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    /// What cannot stand in a row, by name.
    Other(&'static str),
}

impl Row {
    /// Reads the JSON form that HTTP and Node.js use: an end is a string or an object, other fields stand beside them,
    /// and flat names are understood too.
    ///
    /// ```
    /// use latency_core::{Row, Value};
    /// # fn main() -> latency_core::Result<()> {
    /// let json = serde_json::json!({"src": "51.51,-0.13", "dst": {"lat": 35.68, "lon": 139.69, "access": "wifi"}});
    /// let row = Row::from_json(&json)?;
    /// assert_eq!(row.get("dst_access"), Some(&Value::from("wifi")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`] if it is no object, [`ErrorKind::InvalidField`] for values of a wrong type, and the
    /// errors of [`Place::find`](crate::Place::find).
    pub fn from_json(json: &serde_json::Value) -> Result<Self> {
        Node::deserialize(json).map_err(|error| not_json(&error)).and_then(|node| Self::from_node(node, Place::find))
    }

    /// Reads the same form from text. A key that stands there twice is an error; a parsed value has already lost it.
    ///
    /// ```
    /// use latency_core::Row;
    /// # fn main() -> latency_core::Result<()> {
    /// let row = Row::from_json_str(r#"{"src": "London", "dst": {"place": "Tokyo", "access": "wifi"}}"#)?;
    /// assert!(row.get("dst_access").is_some());
    /// let twice = Row::from_json_str(r#"{"src": "London", "dst": {"lat": 1, "lat": 2, "lon": 3}}"#);
    /// assert_eq!(twice.unwrap_err().field(), Some("dst.lat"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), and [`ErrorKind::InvalidJson`] with line and column if it is not JSON.
    pub fn from_json_str(text: &str) -> Result<Self> {
        Self::from_json_str_by(text, Place::find)
    }

    pub(crate) fn from_json_str_by(text: &str, find: Find) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| not_json(&error)).and_then(|node| Self::from_node(node, find))
    }

    fn from_node(node: Node<'_>, find: Find) -> Result<Self> {
        let Node::Object(object) = node else {
            return Err(Error::new(
                ErrorKind::InvalidJson,
                format!(
                    "found {}; allowed: an object such as {{\"src\": \"London\", \"dst\": \"Tokyo\"}}",
                    node.kind()
                ),
            ));
        };
        let entries = object
            .into_iter()
            .map(|(key, node)| {
                let entry = Written::from_node(&key, node)?;
                Ok((key, entry))
            })
            .collect::<Result<Vec<_>>>()?;
        Self::from_written(entries, find)
    }
}

impl Entry {
    /// Reads what stands under one key of a row in JSON: for callers whose objects hold more than a row.
    ///
    /// ```
    /// use latency_core::{Entry, Row};
    /// # fn main() -> latency_core::Result<()> {
    /// let src = Entry::from_json_str("src", r#"{"place": "London", "access": "wifi"}"#)?;
    /// let dst = Entry::from_json_str("dst", r#""Tokyo""#)?;
    /// let row = Row::from_entries([("src".to_owned(), src), ("dst".to_owned(), dst)])?;
    /// assert!(row.get("src_access").is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`] if it is not JSON, [`ErrorKind::InvalidField`] for what cannot stand there.
    pub fn from_json_str(key: &str, text: &str) -> Result<Self> {
        let node = serde_json::from_str(text).map_err(|error| not_json(&error).with_field(key))?;
        Written::from_node(key, node).map(Self::from)
    }
}

impl<'a> Written<'a> {
    fn from_node(key: &str, node: Node<'a>) -> Result<Self> {
        Ok(match node {
            Node::Object(mut end) => {
                let place = place_in(&mut end).map_err(|error| error.with_field(key))?;
                let values = end.into_iter().map(|(part, node)| {
                    let value = node.scalar(|| format!("{key}.{part}"))?;
                    Ok((part, value))
                });
                let values = values.collect::<Result<_>>()?;
                match place {
                    Some(place) => Self::Place(place, values),
                    None => Self::End(values),
                }
            }
            Node::Other(kind) if key == "src" || key == "dst" => {
                return Err(
                    Error::new(ErrorKind::InvalidField, format!("found {kind}; allowed: {END}")).with_field(key)
                );
            }
            node => Self::Value(node.scalar(|| key.to_owned())?),
        })
    }
}

/// Takes the place out of an end that holds one as [`Place`]'s JSON has it.
fn place_in(end: &mut Vec<(Cow<'_, str>, Node<'_>)>) -> Result<Option<Place>> {
    if !end.iter().any(|(part, node)| Place::is_kind(part) && matches!(node, Node::Object(_))) {
        return Ok(None);
    }
    let mut place = serde_json::Map::new();
    for (part, node) in end.extract_if(.., |(part, _)| Place::has_key(part)) {
        if place.insert(part.clone().into_owned(), node.into_json()).is_some() {
            return Err(Error::new(ErrorKind::InvalidField, format!("found `{part}` twice; give it once")));
        }
    }
    Place::from_json(place.into()).map(Some)
}

impl Serialize for Row {
    /// The values by flat names.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Row {
    /// The form that [`Row::from_json`] reads.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_node(Node::deserialize(deserializer)?, Place::find).map_err(de::Error::custom)
    }
}

impl Node<'_> {
    fn scalar(self, field: impl FnOnce() -> String) -> Result<Value> {
        match self {
            Self::Scalar(value) => Ok(value),
            other => Err(Error::new(
                ErrorKind::InvalidField,
                format!("found {}; allowed: a number, a string or null", other.kind()),
            )
            .with_field(field())),
        }
    }

    fn into_json(self) -> serde_json::Value {
        match self {
            Self::Scalar(Value::Number(number)) => number.into(),
            Self::Scalar(Value::Text(text)) => text.into(),
            Self::Scalar(Value::Missing) | Self::Other(_) => serde_json::Value::Null,
            Self::Object(entries) => {
                entries.into_iter().map(|(key, node)| (key.into_owned(), node.into_json())).collect()
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(Value::Missing) => "null",
            Self::Scalar(Value::Number(_)) => "a number",
            Self::Scalar(Value::Text(_)) => "a string",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Other("true or false"))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Number(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Text(text)))
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Scalar(Value::Missing))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<'de>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), node)) = map.next_entry()? {
            entries.push((key, node));
        }
        Ok(Node::Object(entries))
    }
}

/// A key, which stays where it was read if it can.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text)))
    }
}

fn not_json(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let what = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    Error::new(
        ErrorKind::InvalidJson,
        format!(
            "found something that is not JSON at line {line} column {column} ({what}); allowed: one object such as \
             {{\"src\": \"London\", \"dst\": \"Tokyo\"}}; null, not NaN, where a value is not known"
        ),
    )
}
