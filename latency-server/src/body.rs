//! Request bodies: read up to a cap, whole or piece by piece, whatever their Content-Type says.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use rocket::data::{self, Data, DataStream, FromData, ToByteUnit};
use rocket::http::Status;
use rocket::outcome::Outcome;
use rocket::tokio::io::AsyncReadExt;
use rocket::tokio::task;
use rocket::{Request, async_trait};

use crate::errors::Failure;
use crate::limits::{SMALL_BODY, Share};
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
        match read_text(request, data).await {
            Ok(text) => Outcome::Success(Self(text)),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

async fn read_text(request: &Request<'_>, data: Data<'_>) -> Result<String, Failure> {
    require_identity(request)?;
    String::from_utf8(read(request, data).await?).map_err(|error| not_utf8(&error.utf8_error()))
}

/// A body that has to be text, and is none.
pub fn not_utf8(error: &std::str::Utf8Error) -> Failure {
    let offset = error.valid_up_to();
    let message = format!("found a byte that is not UTF-8 at offset {offset}; allowed: JSON in UTF-8");
    Failure::new(Status::BadRequest, "INVALID_JSON", message)
}

/// The bytes of a request's body, inflated if they were compressed.
pub struct Content(pub Vec<u8>);

#[async_trait]
impl<'r> FromData<'r> for Content {
    type Error = Failure;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        match read_inflated(request, data).await {
            Ok(bytes) => Outcome::Success(Self(bytes)),
            Err(failure) => Outcome::Error((failure.status, failure)),
        }
    }
}

async fn read_inflated(request: &Request<'_>, data: Data<'_>) -> Result<Vec<u8>, Failure> {
    let encoding = request.headers().get_one("Content-Encoding").unwrap_or("identity").to_ascii_lowercase();
    let inflate: fn(&[u8]) -> Box<dyn Read + Send + '_> = match encoding.as_str() {
        "identity" => return read(request, data).await,
        "gzip" | "x-gzip" => |bytes| Box::new(MultiGzDecoder::new(bytes)),
        "deflate" => |bytes| Box::new(ZlibDecoder::new(bytes)),
        _ => return Err(unsupported_encoding(&encoding, "gzip, deflate, or none")),
    };
    let bytes = read(request, data).await?;
    let (max, share) = (max_bytes(request)?, Share::of(request)?);
    let (mut inflated, mut held) = (Vec::new(), 0);
    let mut rest = inflate(&bytes);
    // A thousand bytes may hide in one: each piece is counted before the next one is there.
    loop {
        let read = rest.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut inflated).map_err(|error| {
            let message = format!("found a body that is no {encoding}, as its Content-Encoding says ({error})");
            Failure::new(Status::BadRequest, "INVALID_ENCODING", message)
        })?;
        if inflated.len() as u64 > max {
            return Err(too_large(&format!("more than {max} inflated"), max));
        }
        if inflated.len() > held + SMALL_BODY {
            share.hold(inflated.len() - held)?;
            held = inflated.len();
        }
        if read == 0 {
            break;
        }
        task::yield_now().await;
    }
    drop(rest);
    Ok(inflated)
}

/// All of a body as it was sent; then waits for the request's turn.
async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Vec<u8>, Failure> {
    let max = max_bytes(request)?;
    let length: Option<u64> = request.headers().get_one("Content-Length").and_then(|length| length.parse().ok());
    let mut stream = data.open(drained(max).bytes());
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
        return Err(too_large(&length.map_or_else(|| format!("more than {max}"), |length| length.to_string()), max));
    }
    Share::of(request)?.admit().await?;
    Ok(bytes)
}

/// A body that is worked off as it comes.
pub struct Pieces<'r> {
    stream: DataStream<'r>,
    pace: Pace<'r>,
    max: u64,
    received: u64,
}

/// How much of a body is worked off at once.
const PIECE_BYTES: usize = 64 * 1024;

#[async_trait]
impl<'r> FromData<'r> for Pieces<'r> {
    type Error = Failure;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let pieces = || {
            require_identity(request)?;
            let max = max_bytes(request)?;
            Ok(Self { stream: data.open(drained(max).bytes()), pace: Pace::new(request)?, max, received: 0 })
        };
        match pieces() {
            Ok(pieces) => Outcome::Success(pieces),
            Err(failure) => {
                let failure: Failure = failure;
                Outcome::Error((failure.status, failure))
            }
        }
    }
}

impl Pieces<'_> {
    /// The next piece; nothing at the end. `live` does not wait until a piece is worth its while.
    pub async fn next(&mut self, live: bool) -> Result<Vec<u8>, Failure> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        loop {
            let read = self.pace.read(&mut self.stream, &mut piece).await?;
            self.received += read as u64;
            if self.received > self.max {
                return Err(too_large(&format!("more than {}", self.max), self.max));
            }
            if read == 0 || piece.len() >= PIECE_BYTES || (live && !piece.is_empty()) {
                return Ok(piece);
            }
        }
    }

    /// The share of the server's means that the request has.
    pub fn share(&self) -> &Share<'_> {
        self.pace.share()
    }

    /// Reads and throws away what comes still, so that the client gets to the answer.
    pub async fn drain(&mut self) {
        if let Err(failure) = self.pace.drain(&mut self.stream).await {
            log::debug!("the rest of a body was not read: {}", failure.message);
        }
    }
}

/// The most bytes of a body; managed together with the routes that take one.
fn max_bytes(request: &Request<'_>) -> Result<u64, Failure> {
    request.rocket().state::<MaxBodyBytes>().map(|max| max.0).ok_or_else(Failure::internal)
}

/// As much of a body is read in all if it may have `max` bytes.
fn drained(max: u64) -> u64 {
    max.saturating_mul(1 + DRAIN)
}

/// Refuses compressed bodies.
fn require_identity(request: &Request<'_>) -> Result<(), Failure> {
    match request.headers().get_one("Content-Encoding").filter(|found| !found.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(encoding) => Err(unsupported_encoding(encoding, "none; send the body uncompressed")),
    }
}

fn unsupported_encoding(found: &str, allowed: &str) -> Failure {
    let message = format!("found the Content-Encoding {found:?}; allowed: {allowed}");
    Failure::new(Status::UnsupportedMediaType, "UNSUPPORTED_ENCODING", message)
}

/// `found` bytes where `max` are allowed.
fn too_large(found: &str, max: u64) -> Failure {
    let message =
        format!("found {found} bytes; allowed: up to {max} bytes in one body; send the rows in several requests");
    Failure::new(Status::PayloadTooLarge, "BODY_TOO_LARGE", message)
}
