//! Request bodies: read whole up to a cap, whatever their Content-Type says.

use rocket::data::{self, Data, FromData, ToByteUnit};
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::tokio::io::{self, AsyncReadExt};
use rocket::{Request, async_trait};

use crate::errors::Failure;

/// The most bytes that a body may have.
pub struct MaxBodyBytes(pub u64);

/// How many times the cap is read and thrown away of a body that is too large, so that the client gets to the answer
/// instead of a reset connection.
const DRAIN: u64 = 3;

/// The text of a request's body.
pub struct Body(pub String);

#[async_trait]
impl<'r> FromData<'r> for Body {
    type Error = Failure;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        match read(request, data).await {
            Ok(text) => Outcome::Success(Self(text)),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

async fn read(request: &Request<'_>, data: Data<'_>) -> Result<String, Failure> {
    // Managed together with the routes that take a body.
    let Some(&MaxBodyBytes(max)) = request.rocket().state::<MaxBodyBytes>() else { return Err(Failure::internal()) };
    require_identity(request)?;
    let length: Option<u64> = request.headers().get_one("Content-Length").and_then(|length| length.parse().ok());
    let mut stream = data.open(drained(max).bytes());
    let mut bytes = Vec::with_capacity(usize::try_from(length.unwrap_or(0).min(64 * 1024)).unwrap_or(0));
    (&mut stream).take(max.saturating_add(1)).read_to_end(&mut bytes).await.map_err(|error| unread(&error))?;
    if bytes.len() as u64 > max {
        drop(bytes);
        io::copy(&mut stream, &mut io::sink()).await.map_err(|error| unread(&error))?;
        return Err(too_large(&length.map_or_else(|| format!("more than {max}"), |length| length.to_string()), max));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::new(
            Status::BadRequest,
            "INVALID_JSON",
            format!(
                "found a byte that is not UTF-8 at offset {}; allowed: JSON in UTF-8",
                error.utf8_error().valid_up_to()
            ),
        )
    })
}

/// As much of a body is read in all if it may have `max` bytes.
pub fn drained(max: u64) -> u64 {
    max.saturating_mul(1 + DRAIN)
}

/// Refuses compressed bodies.
pub fn require_identity(request: &Request<'_>) -> Result<(), Failure> {
    match request.headers().get_one("Content-Encoding").filter(|found| !found.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(encoding) => Err(Failure::new(
            Status::UnsupportedMediaType,
            "UNSUPPORTED_ENCODING",
            format!("found the Content-Encoding {encoding:?}; allowed: none; send the body uncompressed"),
        )),
    }
}

/// `found` bytes where `max` are allowed.
pub fn too_large(found: &str, max: u64) -> Failure {
    let message =
        format!("found {found} bytes; allowed: up to {max} bytes in one body; send the rows in several requests");
    Failure::new(Status::PayloadTooLarge, "BODY_TOO_LARGE", message)
}

/// The connection ended, or something else is wrong with it.
pub fn unread(error: &io::Error) -> Failure {
    log::info!("a body could not be read: {error}");
    Failure::new(Status::BadRequest, "INCOMPLETE_BODY", "the body ended before its end; send it again")
}
