//! The query string of a request: what stands there is known, and stands there once.

use rocket::Request;
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};

use crate::errors::Failure;

/// The parameters of a request, decoded.
pub struct Query(Vec<(String, String)>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Query {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Self::Error> {
        let fields = request.query_fields().map(|field| (field.name.source().to_string(), field.value.to_owned()));
        Outcome::Success(Self(fields.collect()))
    }
}

impl Query {
    /// Refuses parameters that are none of these, and those that are given twice.
    pub fn only(self, allowed: &[&str]) -> Result<Self, Failure> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                let message = match allowed {
                    [] => "no such parameter; allowed: none".to_owned(),
                    allowed => format!("no such parameter; allowed: {}", allowed.join(", ")),
                };
                return Err(refused("UNKNOWN_FIELD", name, message));
            }
            if self.0[..index].iter().any(|(other, _)| other == name) {
                return Err(refused("INVALID_FIELD", name, "found twice; give it once".to_owned()));
            }
        }
        Ok(self)
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is switched on: `?name=true`.
    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(refused("INVALID_FIELD", name, format!("found {other:?}; allowed: true, false"))),
        }
    }
}

/// A failure of a parameter.
pub fn refused(code: &'static str, name: &str, message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure { field: Some(name.to_owned()), ..Failure::new(Status::BadRequest, code, message) }
}
