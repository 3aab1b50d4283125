//! Request bodies: read whole up to a cap, whatever their Content-Type says.

use rocket::data::{self, Data, FromData, ToByteUnit};
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::tokio::io::AsyncReadExt;
use rocket::{Request, async_trait};

use crate::errors::Failure;
use crate::limits::admit;
use crate::pace::Pace;

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
    let headers = request.headers();
    if let Some(encoding) =
        headers.get_one("Content-Encoding").filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(Failure::new(
            Status::UnsupportedMediaType,
            "UNSUPPORTED_ENCODING",
            format!("found the Content-Encoding {encoding:?}; allowed: none; send the body uncompressed"),
        ));
    }
    let length: Option<u64> = headers.get_one("Content-Length").and_then(|length| length.parse().ok());
    let too_large = |found: String| {
        Failure::new(
            Status::PayloadTooLarge,
            "BODY_TOO_LARGE",
            format!("found {found} bytes; allowed: up to {max} bytes in one body; send the rows in several requests"),
        )
    };
    let mut stream = data.open(max.saturating_mul(1 + DRAIN).bytes());
    let mut bytes = Vec::with_capacity(usize::try_from(length.unwrap_or(0).min(64 * 1024)).unwrap_or(0));
    let mut pace = Pace::new(request)?;
    let mut start = (&mut stream).take(max.saturating_add(1));
    loop {
        match pace.read(&mut start, &mut bytes).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(overloaded) if overloaded.status == Status::ServiceUnavailable => {
                drop(bytes);
                pace.drain(&mut stream).await?;
                return Err(overloaded);
            }
            Err(failure) => return Err(failure),
        }
    }
    if bytes.len() as u64 > max {
        drop(bytes);
        pace.drain(&mut stream).await?;
        return Err(too_large(length.map_or_else(|| format!("more than {max}"), |length| length.to_string())));
    }
    admit(request).await?;
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
