//! Which protocol a request speaks, by its path: its clients read errors in a form of their own.

use rocket::Request;
use serde::Serialize;

use crate::errors::{ErrorBody, Failure};
use crate::gate::lies_under;

/// The paths of `MLflow`'s clients. `/health` is everybody's.
const MLFLOW: [&str; 5] = ["/invocations", "/ping", "/version", "/endpoints", "/api/2.0/endpoints"];

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// This server's own.
    Native,
    /// The Open Inference Protocol, version 2.
    OpenInference,
    /// That of `MLflow`'s scoring server.
    Mlflow,
}

#[derive(Serialize)]
struct MlflowError<'a> {
    error_code: &'a str,
    message: String,
}

impl Dialect {
    pub fn of(request: &Request<'_>) -> Self {
        let path = request.uri().path().as_str();
        // The gate puts this before the paths of what it refuses.
        Self::of_path(path.strip_prefix("/-").unwrap_or(path))
    }

    fn of_path(path: &str) -> Self {
        if lies_under(path, "/v2") {
            Self::OpenInference
        } else if MLFLOW.iter().any(|start| lies_under(path, start)) {
            Self::Mlflow
        } else {
            Self::Native
        }
    }

    /// The body of an answer that is an error.
    pub fn error(self, failure: &Failure) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Native => serde_json::to_vec(&ErrorBody { error: failure }),
            Self::OpenInference => serde_json::to_vec(&ErrorBody { error: sentence(failure) }),
            Self::Mlflow => {
                let error_code = mlflow_code(failure.status.code);
                serde_json::to_vec(&MlflowError { error_code, message: sentence(failure) })
            }
        }
    }
}

/// A failure in one line, as [`latency_core::Error`] is shown.
fn sentence(Failure { field, row, message, .. }: &Failure) -> String {
    let row = row.map(|row| format!("row {row}: ")).unwrap_or_default();
    let field = field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    format!("{row}{field}{message}")
}

/// `MLflow`'s word for a status.
fn mlflow_code(status: u16) -> &'static str {
    match status {
        400 => "INVALID_PARAMETER_VALUE",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "ENDPOINT_NOT_FOUND",
        405..500 if status != 429 => "BAD_REQUEST",
        429 => "REQUEST_LIMIT_EXCEEDED",
        503 => "TEMPORARILY_UNAVAILABLE",
        _ => "INTERNAL_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_dialect() {
        for (path, dialect) in [
            ("/v2", Dialect::OpenInference),
            ("/v2/models/latency/infer", Dialect::OpenInference),
            ("/v20", Dialect::Native),
            ("/invocations", Dialect::Mlflow),
            ("/api/2.0/endpoints/latency", Dialect::Mlflow),
            ("/predict", Dialect::Native),
            ("/health", Dialect::Native),
        ] {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }
}
