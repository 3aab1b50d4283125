//! What is loaded: name, version, provenance.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What is loaded.
///
/// ```
/// # fn main() -> latency_core::Result<()> {
/// let predictor = latency_core::Predictor::bundled()?;
/// let info = predictor.model_info();
/// assert_eq!((info.name.as_str(), info.version.len()), ("latency", 12));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The model's name.
    pub name: String,
    /// The first 12 hex digits of the file's SHA-256.
    pub version: String,
    /// What evaluates the trees.
    pub engine: Cow<'static, str>,
    /// SHA-256 of the model file, hex.
    pub sha256: String,
    /// Size of the model file, bytes.
    pub bytes: usize,
    /// Columns of the matrix that the trees eat.
    pub features: usize,
    /// Where the model comes from: data sets, rows, dates, metrics.
    pub provenance: serde_json::Map<String, serde_json::Value>,
}

/// The short form of [`ModelInfo`] that stands beside predictions over HTTP.
///
/// ```
/// # fn main() -> latency_core::Result<()> {
/// let predictor = latency_core::Predictor::bundled()?;
/// assert_eq!(predictor.model_info().tag().engine, "onnxruntime");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelTag<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The first 12 hex digits of the file's SHA-256.
    pub version: &'a str,
    /// What evaluates the trees.
    pub engine: &'a str,
}

impl ModelInfo {
    /// Name, version and engine.
    ///
    /// ```
    /// # fn main() -> latency_core::Result<()> {
    /// let predictor = latency_core::Predictor::bundled()?;
    /// assert_eq!(predictor.model_info().tag().name, "latency");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tag(&self) -> ModelTag<'_> {
        ModelTag { name: &self.name, version: &self.version, engine: &self.engine }
    }
}
