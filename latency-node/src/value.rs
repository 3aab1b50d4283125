//! JavaScript values as this crate reads them.
//!
//! Read one by one and never through `JSON.stringify`, which turns NaN and Infinity into null without a word.

use std::time::{Duration, Instant};

use napi::bindgen_prelude::{
    Env, FromNapiValue, Function, JsObjectValue, JsValue, KeyCollectionMode, KeyConversion, KeyFilter, Object, Unknown,
};
use napi::{Result, ValueType};
use serde::Serialize;

use crate::error::Failure;

/// A JavaScript value.
pub enum Value<'env> {
    Undefined,
    Null,
    Number(f64),
    Text(String),
    Object(Object<'env>),
    /// Nothing that any caller could mean, in words: `a function`.
    Other(&'static str),
}

impl<'env> Value<'env> {
    pub fn read(value: &Unknown<'env>) -> Result<Self> {
        Ok(match value.get_type()? {
            ValueType::Undefined => Self::Undefined,
            ValueType::Null => Self::Null,
            ValueType::Number => Self::Number(f64::from_unknown(*value)?),
            ValueType::String => Self::Text(String::from_unknown(*value)?),
            ValueType::Object => {
                let object = Object::from_unknown(*value)?;
                if object.is_array()? || object.is_typedarray()? {
                    Self::Other("an array")
                } else {
                    Self::Object(object)
                }
            }
            ValueType::Boolean => Self::Other("true or false"),
            ValueType::Function => Self::Other("a function"),
            ValueType::BigInt => Self::Other("a BigInt"),
            ValueType::Symbol => Self::Other("a symbol"),
            ValueType::External | ValueType::Unknown => Self::Other("something that is no value of JavaScript"),
        })
    }

    /// What was found, with its value if that is short.
    pub fn shown(&self) -> String {
        match self {
            Self::Number(number) => format!("the number {number}"),
            Self::Text(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
            other => other.kind().to_owned(),
        }
    }

    /// A whole number from 1 to `most`.
    #[allow(clippy::cast_sign_loss)] // Between 1 and `most`.
    pub fn count(&self, field: &str, most: u32) -> std::result::Result<usize, Failure> {
        let allowed = format!("a whole number from 1 to {most}");
        match self {
            Self::Number(number) if number.fract() == 0.0 && (1.0..=f64::from(most)).contains(number) => {
                Ok(*number as usize)
            }
            Self::Number(number) => Err(Failure::invalid(field, format!("found {number}; allowed: {allowed}"))),
            other => Err(Failure::found(field, other, &allowed)),
        }
    }

    /// What was found, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

/// An array, or a proxy of one, which Node-API alone does not take for an array.
pub struct List<'env> {
    object: Object<'env>,
    pub length: u32,
}

impl<'env> List<'env> {
    /// None for what `Array.isArray` denies.
    pub fn read(env: Env, value: &Unknown<'env>) -> Result<Option<Self>> {
        if !value.is_array()? {
            let array: Function<Unknown> = env.get_global()?.get_named_property("Array")?;
            let is_array: Function<Unknown, bool> = array.get_named_property("isArray")?;
            if !is_array.call(*value)? {
                return Ok(None);
            }
        }
        let object = Object::from_unknown(*value)?;
        let length = object.get_named_property("length")?;
        Ok(Some(Self { object, length }))
    }

    /// `undefined` for a hole.
    pub fn get(&self, index: u32) -> Result<Unknown<'env>> {
        self.object.get_element(index)
    }
}

/// How long a piece of reading lasts, so that the event loop gets its turn.
pub struct Pace {
    until: Instant,
    values: u32,
}

impl Pace {
    pub fn start() -> Self {
        Self { until: Instant::now() + Duration::from_millis(2), values: 0 }
    }

    /// Asked before each value; looks at the clock now and then.
    pub fn is_over(&mut self) -> bool {
        self.values += 1;
        self.values.is_multiple_of(32) && Instant::now() >= self.until
    }
}

/// The properties that `Object.entries` lists, without those that are undefined: an undefined property is one that is
/// not there.
pub fn entries<'env>(object: &Object<'env>) -> Result<Vec<(String, Value<'env>)>> {
    let names = object.get_all_property_names(
        KeyCollectionMode::OwnOnly,
        KeyFilter::Enumerable,
        KeyConversion::NumbersToStrings,
    )?;
    let mut entries = Vec::new();
    for index in 0..names.get_array_length()? {
        let name: Unknown = names.get_element(index)?;
        let Value::Text(text) = Value::read(&name)? else { continue };
        let value: Unknown = object.get_property(name)?;
        match Value::read(&value)? {
            Value::Undefined => {}
            value => entries.push((text, value)),
        }
    }
    Ok(entries)
}

/// A plain JavaScript object with the JSON form of a value.
pub fn to_js<'env>(env: &'env Env, value: &impl Serialize) -> Result<Unknown<'env>> {
    let text = serde_json::to_string(value).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    let json: Object = env.get_global()?.get_named_property("JSON")?;
    let parse: Function<String, Unknown> = json.get_named_property("parse")?;
    parse.apply(json, text)
}
