//! Core errors → JavaScript `Error`s with `code`, and `field`, `row` and `cause` where there are any.

use std::error::Error as StdError;

use latency_core::{Error, ErrorKind};
use napi::Error as JsError;
use napi::bindgen_prelude::{Env, JsObjectValue, JsValue, Object};
use napi_derive::napi;

use crate::value::Value;

/// Why a call from JavaScript fails.
pub enum Failure {
    /// The core refuses.
    Core(Error),
    /// JavaScript itself does: a getter or a proxy threw, and its exception is under way.
    Js(JsError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<JsError> for Failure {
    fn from(error: JsError) -> Self {
        Self::Js(error)
    }
}

impl Failure {
    /// A value that is not what it should be. `field` is what the caller calls it.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidField, message).with_field(field).into()
    }

    /// A value of a kind that is not allowed there.
    pub fn found(field: impl Into<String>, value: &Value<'_>, allowed: &str) -> Self {
        Self::invalid(field, format!("found {}; allowed: {allowed}", value.kind()))
    }

    /// The same, in this row of a batch.
    pub fn in_row(self, row: usize) -> Self {
        match self {
            Self::Core(error) => Self::Core(error.with_row(row)),
            js @ Self::Js(_) => js,
        }
    }

    /// What napi throws for it.
    pub fn into_js(self, env: Env) -> JsError {
        match self {
            Self::Core(error) => to_js(env, &error).unwrap_or_else(|error| error),
            Self::Js(error) => error,
        }
    }
}

fn to_js(env: Env, error: &Error) -> napi::Result<JsError> {
    Ok(to_object(&env, error)?.to_unknown().into())
}

/// The `Error` of JavaScript.
pub fn to_object<'env>(env: &'env Env, error: &Error) -> napi::Result<Object<'env>> {
    let mut object = new_error(env, &error.to_string(), error.source())?;
    object.set_named_property("code", error.code())?;
    if let Some(field) = error.field() {
        object.set_named_property("field", field)?;
    }
    if let Some(row) = error.row() {
        object.set_named_property("row", row as f64)?;
    }
    Ok(object)
}

fn new_error<'env>(env: &'env Env, message: &str, cause: Option<&dyn StdError>) -> napi::Result<Object<'env>> {
    let mut object = env.create_error(JsError::from_reason(message))?;
    // napi writes its own status there.
    object.delete_named_property("code")?;
    if let Some(cause) = cause {
        object.set_named_property("cause", new_error(env, &cause.to_string(), cause.source())?)?;
    }
    Ok(object)
}

/// An error of the input that JavaScript finds, to be thrown by it. `code` is one of the catalogue.
#[napi(skip_typescript)]
#[allow(clippy::needless_pass_by_value)] // napi makes no &str.
pub fn input_error(env: &Env, code: String, field: Option<String>, message: String) -> napi::Result<Object<'_>> {
    let kind = ErrorKind::ALL.iter().copied().find(|kind| kind.code() == code).unwrap_or(ErrorKind::InvalidField);
    let error = Error::new(kind, message);
    to_object(
        env,
        &match field {
            Some(field) => error.with_field(field),
            None => error,
        },
    )
}

/// Stands for a row whose own error is kept elsewhere.
pub fn unread() -> Error {
    Error::new(ErrorKind::InvalidJson, "not read")
}

/// Every code that an error can have, the same in every language.
#[napi(skip_typescript)]
pub fn error_codes() -> Vec<&'static str> {
    ErrorKind::ALL.iter().map(|kind| kind.code()).collect()
}
