//! The class that Python's `Place` is.

use std::hash::{DefaultHasher, Hash, Hasher};

use latency_core::PlaceKind;
use pyo3::prelude::*;

use crate::error::OrRaise;

/// A place: a city, an airport, a cloud region, or coordinates.
///
/// >>> from latency_predictor import Place
/// >>> Place.find("sao paulo")
/// Place('São Paulo, SP, BR', lat=-23.55, lon=-46.64)
/// >>> Place.find("aws:eu-west-2").provider
/// 'aws'
#[pyclass(frozen, eq, module = "latency_predictor")]
#[derive(PartialEq)]
pub struct Place {
    inner: latency_core::Place,
}

impl Place {
    /// The core's place.
    pub fn inner(&self) -> &latency_core::Place {
        &self.inner
    }
}

#[pymethods]
impl Place {
    /// Finds a place by name: `lat,lon` in degrees, a cloud region, an airport's IATA code in capitals, or a city.
    ///
    /// Raises `InvalidInputError` with the code `UNKNOWN_PLACE`, `AMBIGUOUS_PLACE` or `INVALID_FIELD`.
    #[staticmethod]
    fn find(py: Python<'_>, query: &str) -> PyResult<Self> {
        Ok(Self { inner: latency_core::Place::find(query).or_raise(py)? })
    }

    /// A place at these coordinates in degrees, WGS 84.
    ///
    /// Raises `InvalidInputError`, naming `lat` or `lon`, if they are out of range.
    #[staticmethod]
    fn at(py: Python<'_>, lat: f64, lon: f64) -> PyResult<Self> {
        Ok(Self { inner: latency_core::Place::at(lat, lon).or_raise(py)? })
    }

    /// Up to `limit` places whose names start with `prefix`, the largest first: for completion while typing.
    #[staticmethod]
    #[pyo3(signature = (prefix, limit=10))]
    fn suggest(prefix: &str, limit: usize) -> Vec<Self> {
        latency_core::Place::suggest(prefix, limit).into_iter().map(|inner| Self { inner }).collect()
    }

    /// Every cloud region that is known by name, provider by provider: candidates to rank.
    #[staticmethod]
    fn cloud_regions() -> Vec<Self> {
        latency_core::Place::cloud_regions().map(|inner| Self { inner }).collect()
    }

    /// Name to show: of the city for cities and cloud regions, of the airport for airports.
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// State or province, where known.
    #[getter]
    fn region(&self) -> Option<&str> {
        self.inner.region.as_deref()
    }

    /// ISO 3166-1 alpha-2 country code; None for coordinates.
    #[getter]
    fn country(&self) -> Option<&str> {
        self.inner.country.as_deref()
    }

    /// Latitude in degrees, WGS 84.
    #[getter]
    fn lat(&self) -> f64 {
        self.inner.lat
    }

    /// Longitude in degrees, WGS 84.
    #[getter]
    fn lon(&self) -> f64 {
        self.inner.lon
    }

    /// `city`, `airport`, `cloud_region` or `coordinates`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.inner.kind {
            PlaceKind::CloudRegion { .. } => "cloud_region",
            PlaceKind::Airport { .. } => "airport",
            PlaceKind::City => "city",
            _ => "coordinates",
        }
    }

    /// Whose cloud region it is; None for other places.
    #[getter]
    fn provider(&self) -> Option<&'static str> {
        self.inner.provider().map(latency_core::Provider::as_str)
    }

    /// How far from this position something at this place may be, km.
    #[getter]
    fn uncertainty_km(&self) -> f64 {
        self.inner.uncertainty_km()
    }

    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        let inner = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        Ok(Self { inner })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let json = serde_json::to_string(&self.inner).map_err(|error| not_json(&error))?;
        Ok((py.get_type::<Self>().getattr("_from_json")?, (json,)))
    }

    fn __str__(&self) -> String {
        self.inner.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Place('{}', lat={}, lon={})", self.inner, self.inner.lat, self.inner.lon)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.inner.to_string(), self.inner.lat.to_bits(), self.inner.lon.to_bits()).hash(&mut hasher);
        hasher.finish()
    }
}

fn not_json(error: &serde_json::Error) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(error.to_string())
}
