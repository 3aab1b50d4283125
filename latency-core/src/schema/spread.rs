//! How single measurements scatter around a path's median: how far above it their quantiles lie, by the kinds of its ends.

use serde::{Deserialize, Serialize};

use super::check::MAX_CATEGORIES;
use super::{Schema, Transform};

/// More kinds would make loading slow: each is compared with all categories.
const MAX_KINDS: usize = 100;

/// How one measurement scatters around its path's median.
///
/// Each end of a path is of a kind, by how it is connected and hosted. A kind says how far above the median the 90 % and
/// the 99 % quantile lie; of the two ends the one further up counts, for each quantile. In log space the excess over
/// the median is exponential, `ln(x / median) = scale · (E − ln 2)` with `E ~ Exp(1)`: the 90 % quantile gives the scale
/// up to it, the 99 % quantile the scale from there on (at least the other), and between them the logarithm of the scale
/// is a straight line over `−ln(1 − p)`.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let spread = predictor.schema().spread.as_ref().expect("the bundled model has a spread");
/// let kind = |name: &str| spread.kinds.iter().find(|kind| kind.name == name).expect("a kind of this name");
/// assert!(kind("cloud server").p99.over(100.0) < kind("wifi").p99.over(100.0));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spread {
    /// The fields that decide, one or two per end.
    pub ends: Vec<SpreadEnd>,
    /// The kinds of ends. The first one that fits counts.
    pub kinds: Vec<SpreadKind>,
    /// What holds for an end of which it is not known how it is connected.
    pub unknown: SpreadQuantiles,
}

/// The category fields that say of which kind an end is.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let spread = predictor.schema().spread.as_ref().expect("the bundled model has a spread");
/// let end = &spread.ends[1];
/// assert_eq!((end.access.as_str(), end.provider.as_deref()), ("dst_access", Some("dst_provider")));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpreadEnd {
    /// How it is connected.
    pub access: String,
    /// Who hosts it, if that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// A kind of end.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let spread = predictor.schema().spread.as_ref().expect("the bundled model has a spread");
/// for kind in &spread.kinds {
///     println!("{}: 90 % of measurements within {} ms of a median of 50 ms", kind.name, kind.p90.over(50.0));
/// }
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpreadKind {
    /// Its name, for people.
    pub name: String,
    /// The ways to be connected that it stands for.
    pub access: Vec<String>,
    /// The hosts that it stands for; empty if any will do, also none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<String>,
    /// How far the 90 % quantile of one measurement lies above the median.
    pub p90: SpreadExcess,
    /// How far the 99 % quantile does.
    pub p99: SpreadExcess,
}

impl SpreadKind {
    /// Whether an end that is connected and hosted like this is of this kind.
    ///
    /// ```
    /// let predictor = latency_core::Predictor::bundled()?;
    /// let cloud = &predictor.schema().spread.as_ref().expect("the bundled model has a spread").kinds[0];
    /// assert!(cloud.fits("server", Some("aws")) && !cloud.fits("server", None) && !cloud.fits("wifi", Some("aws")));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn fits(&self, access: &str, provider: Option<&str>) -> bool {
        self.fits_access(access) && self.fits_provider(provider)
    }

    pub(crate) fn fits_access(&self, access: &str) -> bool {
        self.access.iter().any(|word| word == access)
    }

    pub(crate) fn fits_provider(&self, provider: Option<&str>) -> bool {
        self.provider.is_empty() || provider.is_some_and(|provider| self.provider.iter().any(|word| word == provider))
    }
}

/// How far above the median two quantiles of one measurement lie.
///
/// ```
/// let predictor = latency_core::Predictor::bundled()?;
/// let unknown = predictor.schema().spread.as_ref().expect("the bundled model has a spread").unknown;
/// assert!(unknown.p90.over(50.0) < unknown.p99.over(50.0));
/// # Ok::<(), latency_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpreadQuantiles {
    /// The 90 % quantile.
    pub p90: SpreadExcess,
    /// The 99 % quantile.
    pub p99: SpreadExcess,
}

/// How far above the median a quantile lies: a time, a share of the median, or both.
///
/// ```
/// use latency_core::schema::SpreadExcess;
///
/// let excess: SpreadExcess = serde_json::from_str(r#"{"ms": 2, "relative": 0.1}"#)?;
/// assert_eq!(excess.over(50.0), 7.0);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpreadExcess {
    /// The time, ms.
    #[serde(default)]
    pub ms: f64,
    /// The share of the median.
    #[serde(default)]
    pub relative: f64,
}

impl SpreadExcess {
    /// The time above a median, ms.
    ///
    /// ```
    /// let excess: latency_core::schema::SpreadExcess = serde_json::from_str(r#"{"relative": 0.5}"#)?;
    /// assert_eq!(excess.over(10.0), 5.0);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn over(&self, median_ms: f64) -> f64 {
        self.ms + self.relative * median_ms
    }

    fn is_sound(self) -> bool {
        let sound = |number: f64| number.is_finite() && number >= 0.0;
        sound(self.ms) && sound(self.relative) && self.ms + self.relative > 0.0
    }
}

impl Spread {
    pub(super) fn check(&self, schema: &Schema) -> Result<(), String> {
        if schema.target.transform != Transform::Log {
            return Err("the spread needs the transform `log`".into());
        }
        let words = self.kinds.iter().map(|kind| kind.access.len().max(kind.provider.len())).max().unwrap_or_default();
        if self.kinds.len() > MAX_KINDS || words > MAX_CATEGORIES {
            return Err(format!(
                "found {} kinds of up to {words} categories in the spread; allowed: up to {MAX_KINDS}, of up to \
                 {MAX_CATEGORIES}",
                self.kinds.len()
            ));
        }
        let kinds = self.kinds.iter().flat_map(|kind| [kind.p90, kind.p99]);
        if !kinds.chain([self.unknown.p90, self.unknown.p99]).all(SpreadExcess::is_sound) {
            return Err(
                "found a quantile of the spread that is not above the median; allowed: an `ms` and a `relative` \
                        of at least 0, one of them above 0"
                    .into(),
            );
        }
        if !(1..=2).contains(&self.ends.len()) {
            return Err(format!("found {} ends in the spread; allowed: 1 or 2", self.ends.len()));
        }
        for SpreadEnd { access, provider } in &self.ends {
            let covered = |word: &String| self.kinds.iter().any(|kind| kind.fits(word, None));
            if !schema.categories(access).is_some_and(|categories| categories.iter().all(covered)) {
                return Err(format!(
                    "the spread needs a category field `{access}`, and for each of its categories a kind of any provider"
                ));
            }
            if let Some(provider) = provider.as_ref().filter(|name| schema.categories(name).is_none()) {
                return Err(format!("the spread needs a category field `{provider}`, which is not there"));
            }
        }
        Ok(())
    }
}
