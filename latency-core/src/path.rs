//! Typed paths for models that know about places, such as the bundled one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::encode::{Encode, Encoder, allowed, encode_number};
use crate::error::{Error, ErrorKind, Result, number};
use crate::labels::{Access, Provider, Tier};
use crate::places::{COORDINATES_UNCERTAINTY_KM, Place, PlaceKind};
use crate::row::{Row, find_place};
use crate::schema::{Field, FieldKind, Schema};

/// An ordered pair of ends: source and destination.
///
/// ```
/// use latency_core::{Access, Endpoint, Path, Predictor};
/// # fn main() -> latency_core::Result<()> {
/// let player = Endpoint::at(-23.55, -46.63)?.with_access(Access::Wifi);
/// let path = Path::new(player, Endpoint::find("aws:us-east-1")?);
/// assert!(Predictor::bundled()?.predict(&path)?.p50_ms > 75.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// The source.
    pub src: Endpoint,
    /// The destination.
    pub dst: Endpoint,
}

/// One end of a path: a position, and what else is known about it.
///
/// Its JSON is an object, `{"lat": 51.51, "lon": -0.13, "access": "wifi"}`; it is read from the name of a place too, and
/// from an object with `place`, and from that of a [`Place`]. How far off the position may be is in it where it is not that of coordinates.
///
/// ```
/// use latency_core::{Endpoint, Provider};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let end: Endpoint = serde_json::from_str(r#"{"place": "aws:eu-west-2", "access": "server"}"#)?;
/// assert_eq!(end.provider(), Some(Provider::Aws));
/// let end: Endpoint = serde_json::from_str("\"Tokyo\"")?;
/// assert_eq!(serde_json::to_string(&end)?, r#"{"lat":35.69,"lon":139.69,"uncertainty_km":50.0}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Endpoint {
    lat: f64,
    lon: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<Tier>,
    /// Whether the provider comes from a place's name: a model that does not know it does not mind.
    #[serde(skip)]
    provider_implied: bool,
    #[serde(skip_serializing_if = "is_as_coordinates")]
    uncertainty_km: f64,
}

/// What is read for coordinates without it need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_as_coordinates(km: &f64) -> bool {
    *km == COORDINATES_UNCERTAINTY_KM
}

impl Path {
    /// The path between two ends.
    ///
    /// ```
    /// use latency_core::{Endpoint, Path};
    /// # fn main() -> latency_core::Result<()> {
    /// let path = Path::new(Endpoint::find("LHR")?, Endpoint::at(35.68, 139.69)?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(src: Endpoint, dst: Endpoint) -> Self {
        Self { src, dst }
    }

    /// The path between two places, each in one of the forms that [`Place::find`] understands.
    ///
    /// ```
    /// let path = latency_core::Path::between("London", "aws:ap-northeast-1")?;
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Endpoint::find`], with the field `src` or `dst`.
    pub fn between(src: &str, dst: &str) -> Result<Self> {
        Ok(Self { src: find_place("src", src, Place::find)?.into(), dst: find_place("dst", dst, Place::find)?.into() })
    }
}

impl Endpoint {
    /// An end at these coordinates in degrees, WGS 84.
    ///
    /// ```
    /// let error = latency_core::Endpoint::at(91.0, 0.0).unwrap_err();
    /// assert_eq!((error.code(), error.field()), ("INVALID_FIELD", Some("lat")));
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] with the field `lat` (−90 to 90) or `lon` (−180 to 180).
    pub fn at(lat: f64, lon: f64) -> Result<Self> {
        Place::at(lat, lon).map(Self::from)
    }

    /// An end at a place, in one of the forms that [`Place::find`] understands. The name of a cloud region implies its
    /// provider.
    ///
    /// ```
    /// let end = latency_core::Endpoint::find("São Paulo")?;
    /// assert_eq!((end.lat(), end.lon()), (-23.55, -46.64));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Place::find`].
    pub fn find(place: &str) -> Result<Self> {
        Place::find(place).map(Self::from)
    }

    /// Says how this end is connected.
    ///
    /// ```
    /// use latency_core::{Access, Endpoint};
    ///
    /// assert_eq!(Endpoint::at(0.0, 0.0)?.with_access(Access::Starlink).access(), Some(Access::Starlink));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Says who hosts this end; it wins over what a place's name implies.
    ///
    /// ```
    /// use latency_core::{Endpoint, Provider};
    ///
    /// assert_eq!(Endpoint::at(0.0, 0.0)?.with_provider(Provider::Gcp).provider(), Some(Provider::Gcp));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_provider(mut self, provider: Provider) -> Self {
        self.provider = Some(provider);
        self.provider_implied = false;
        self
    }

    /// Says which network tier of its cloud this end uses.
    ///
    /// ```
    /// use latency_core::{Endpoint, Tier};
    ///
    /// assert_eq!(Endpoint::find("gcp:us-east1")?.with_tier(Tier::Standard).tier(), Some(Tier::Standard));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Says how far from its position this end may really be, km: what [`judge`](crate::Predictor::judge) allows for.
    /// Without it, [`Place::uncertainty_km`].
    ///
    /// ```
    /// use latency_core::Endpoint;
    ///
    /// // Located by IP address: perhaps another city.
    /// let end = Endpoint::at(48.86, 2.35)?.with_uncertainty_km(200.0)?;
    /// assert_eq!(end.uncertainty_km(), 200.0);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidField`] if it is not between 0 and 20,100, beyond which there is no place.
    pub fn with_uncertainty_km(mut self, km: f64) -> Result<Self> {
        self.uncertainty_km = check_uncertainty_km(km).map_err(|error| error.with_field("uncertainty_km"))?;
        Ok(self)
    }

    /// Latitude, degrees.
    ///
    /// ```
    /// assert_eq!(latency_core::Endpoint::at(51.51, -0.13)?.lat(), 51.51);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn lat(&self) -> f64 {
        self.lat
    }

    /// Longitude, degrees.
    ///
    /// ```
    /// assert_eq!(latency_core::Endpoint::at(51.51, -0.13)?.lon(), -0.13);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn lon(&self) -> f64 {
        self.lon
    }

    /// How this end is connected, if known.
    ///
    /// ```
    /// assert_eq!(latency_core::Endpoint::find("London")?.access(), None);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        self.access
    }

    /// Who hosts this end, if known.
    ///
    /// ```
    /// use latency_core::{Endpoint, Provider};
    ///
    /// assert_eq!(Endpoint::find("azure:uksouth")?.provider(), Some(Provider::Azure));
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }

    /// The network tier, if known.
    ///
    /// ```
    /// assert_eq!(latency_core::Endpoint::find("gcp:us-east1")?.tier(), None);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// How far from its position this end may really be, km.
    ///
    /// ```
    /// assert_eq!(latency_core::Endpoint::find("London")?.uncertainty_km(), 50.0);
    /// # Ok::<(), latency_core::Error>(())
    /// ```
    #[must_use]
    pub fn uncertainty_km(&self) -> f64 {
        self.uncertainty_km
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// [`Endpoint::find`].
    fn from_str(place: &str) -> Result<Self> {
        Self::find(place)
    }
}

impl From<Place> for Endpoint {
    fn from(place: Place) -> Self {
        let provider = place.provider();
        Self {
            lat: place.lat,
            lon: place.lon,
            access: None,
            provider,
            tier: None,
            provider_implied: provider.is_some(),
            uncertainty_km: place.uncertainty_km(),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

/// An end as it stands in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointObject {
    place: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    // The other keys of a `Place`.
    label: Option<IgnoredAny>,
    name: Option<Cow<'static, str>>,
    region: Option<Cow<'static, str>>,
    country: Option<Cow<'static, str>>,
    kind: Option<PlaceKind>,
    access: Option<Access>,
    provider: Option<Provider>,
    tier: Option<Tier>,
    uncertainty_km: Option<f64>,
}

/// Refuses what cannot be a distance between a position and a place on Earth.
pub(crate) fn check_uncertainty_km(km: f64) -> Result<f64> {
    if (0.0..=20_100.0).contains(&km) {
        return Ok(km);
    }
    Err(Error::new(ErrorKind::InvalidField, format!("found {}; allowed: a number from 0 to 20100 (km)", number(km))))
}

struct EndpointVisitor;

impl<'de> Visitor<'de> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place such as \"London\", or an object with `lat` and `lon`, or with `place`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Endpoint, E> {
        Endpoint::find(name).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        let object = EndpointObject::deserialize(MapAccessDeserializer::new(map))?;
        let described =
            [object.label.is_some(), object.name.is_some(), object.region.is_some(), object.country.is_some()];
        let any = object.kind.is_some() || described.contains(&true);
        let kind = object.kind.zip(object.name);
        if any && kind.is_none() {
            return Err(de::Error::custom(no_position(ErrorKind::InvalidField, "a place without `name` or `kind`")));
        }
        let end = match (object.place, object.lat, object.lon) {
            (None, Some(lat), Some(lon)) if kind.is_some() => Place::at(lat, lon).map(|mut place| {
                (place.region, place.country) = (object.region, object.country);
                if let Some((kind, name)) = kind {
                    (place.kind, place.name) = (kind, name);
                }
                place.into()
            }),
            (Some(place), None, None) => Endpoint::find(&place),
            (None, Some(lat), Some(lon)) => Endpoint::at(lat, lon),
            (Some(_), _, _) => Err(no_position(ErrorKind::InvalidField, "a place beside `lat` or `lon`")),
            (None, Some(_), None) => Err(no_position(ErrorKind::MissingField, "`lat` without `lon`")),
            (None, None, Some(_)) => Err(no_position(ErrorKind::MissingField, "`lon` without `lat`")),
            (None, None, None) => Err(no_position(ErrorKind::MissingField, "an end without a position")),
        };
        let mut end = end.map_err(de::Error::custom)?;
        end.access = object.access;
        end.tier = object.tier;
        if let Some(km) = object.uncertainty_km {
            end = end.with_uncertainty_km(km).map_err(de::Error::custom)?;
        }
        Ok(if let Some(provider) = object.provider { end.with_provider(provider) } else { end })
    }
}

fn no_position(kind: ErrorKind, found: &str) -> Error {
    Error::new(kind, format!("found {found}; give either `place`, or `lat` and `lon`"))
}

/// Where a model's fields are that a typed path fills.
#[derive(Debug)]
pub(crate) struct PathFields([EndFields; 2]);

#[derive(Debug)]
struct EndFields {
    end: &'static str,
    lat: usize,
    lon: usize,
    access: LabelField,
    provider: LabelField,
    tier: LabelField,
}

/// A category field, if the model has it, with the code of each label that it knows.
#[derive(Debug)]
struct LabelField(Option<(usize, Vec<Option<f64>>)>);

impl PathFields {
    /// None for models that know no places.
    pub fn new(schema: &Schema) -> Option<Self> {
        let names = schema.coordinates.as_ref()?.names();
        let end = |end: &'static str, lat: &str, lon: &str| {
            Some(EndFields {
                end,
                lat: schema.field_index(lat)?,
                lon: schema.field_index(lon)?,
                access: LabelField::new(schema, end, "access", Access::ALL.iter().map(|label| label.as_str())),
                provider: LabelField::new(schema, end, "provider", Provider::ALL.iter().map(|label| label.as_str())),
                tier: LabelField::new(schema, end, "tier", Tier::ALL.iter().map(|label| label.as_str())),
            })
        };
        Some(Self([end("src", names[0], names[1])?, end("dst", names[2], names[3])?]))
    }
}

impl LabelField {
    fn new(schema: &Schema, end: &str, part: &str, words: impl Iterator<Item = &'static str>) -> Self {
        let field = schema.field_index(&format!("{end}_{part}"));
        Self(field.and_then(|index| match &schema.fields[index].kind {
            FieldKind::Category { categories, .. } => {
                let code = |word: &str| categories.iter().position(|category| category == word).map(|code| code as f64);
                Some((index, words.map(code).collect()))
            }
            FieldKind::Number { .. } => None,
        }))
    }

    fn knows(&self, label: usize) -> bool {
        self.0.as_ref().is_some_and(|(_, codes)| codes.get(label).is_some_and(Option::is_some))
    }

    /// Puts the label's code into the row; `shown` is what the caller calls the field.
    fn fill(
        &self,
        schema: &Schema,
        label: usize,
        word: &str,
        row: &mut [f64],
        shown: impl Fn() -> String,
    ) -> Result<()> {
        let Some((field, codes)) = &self.0 else {
            return Err(
                Error::new(ErrorKind::UnknownField, "this model has no such field; leave it out").with_field(shown())
            );
        };
        row[*field] = codes.get(label).copied().flatten().ok_or_else(|| {
            let field = &schema.fields[*field];
            let cure = if field.required { "" } else { "; or leave it out" };
            let message = format!("found {word}, which this model does not know; allowed: {}{cure}", allowed(field));
            Error::new(ErrorKind::InvalidField, message).with_field(shown())
        })?;
        Ok(())
    }
}

impl EndFields {
    fn fill(&self, schema: &Schema, end: &Endpoint, row: &mut [f64]) -> Result<()> {
        let shown = |part: &'static str| move || format!("{}.{part}", self.end);
        // An end can be made of a place whose position was changed, and a model can allow a part of the Earth.
        for (field, degrees, part) in [(self.lat, end.lat, "lat"), (self.lon, end.lon, "lon")] {
            row[field] =
                encode_number(&schema.fields[field], degrees).map_err(|error| error.with_field(shown(part)()))?;
        }
        if let Some(access) = end.access {
            self.access.fill(schema, access as usize, access.as_str(), row, shown("access"))?;
        }
        match end.provider {
            Some(provider) if !end.provider_implied || self.provider.knows(provider as usize) => {
                self.provider.fill(schema, provider as usize, provider.as_str(), row, shown("provider"))?;
            }
            _ => {}
        }
        if let Some(tier) = end.tier {
            self.tier.fill(schema, tier as usize, tier.as_str(), row, shown("tier"))?;
        }
        Ok(())
    }

    /// What callers of typed paths call this field, if it is a label of this end.
    fn label_shown(&self, schema: &Schema, field: &Field) -> Option<String> {
        let labels = [("access", &self.access), ("provider", &self.provider), ("tier", &self.tier)];
        let is_field =
            |label: &LabelField| label.0.as_ref().is_some_and(|(index, _)| schema.fields[*index].name == field.name);
        labels.into_iter().find(|(_, label)| is_field(label)).map(|(part, _)| format!("{}.{part}", self.end))
    }
}

impl Path {
    fn ends(&self) -> Ends<'_> {
        Ends { src: &self.src, dst: &self.dst }
    }
}

impl Encode for Path {
    fn encode(&self, encoder: &Encoder, values: &mut Vec<f64>) -> Result<()> {
        self.ends().encode(encoder, values)
    }

    fn uncertainty_km(&self) -> f64 {
        self.ends().uncertainty_km()
    }
}

/// A path whose ends live elsewhere.
pub(crate) struct Ends<'a> {
    pub src: &'a Endpoint,
    pub dst: &'a Endpoint,
}

impl Encode for Ends<'_> {
    fn encode(&self, encoder: &Encoder, values: &mut Vec<f64>) -> Result<()> {
        let Some(PathFields([src, dst])) = &encoder.paths else {
            return Err(encoder.schema.knows_no_places());
        };
        let start = values.len();
        values.resize(start + encoder.schema.fields.len(), f64::NAN);
        let row = &mut values[start..];
        src.fill(&encoder.schema, self.src, row)?;
        dst.fill(&encoder.schema, self.dst, row)?;
        let Some(field) = encoder.missing(row) else { return Ok(()) };
        if let Some(shown) = [src, dst].into_iter().find_map(|end| end.label_shown(&encoder.schema, field)) {
            return Err(encoder.schema.missing_field(field).with_field(shown));
        }
        Err(Error::new(
            ErrorKind::MissingField,
            "required, but not given: a typed path has no such field; give the path as a `Row`",
        )
        .with_field(&*field.name))
    }

    fn uncertainty_km(&self) -> f64 {
        self.src.uncertainty_km + self.dst.uncertainty_km
    }
}

impl From<&Path> for Row {
    /// The same path by flat names: every question about it has the same answer.
    fn from(path: &Path) -> Self {
        let mut row = Self::new();
        for (name, end) in [("src", &path.src), ("dst", &path.dst)] {
            row.set(format!("{name}_lat"), end.lat);
            row.set(format!("{name}_lon"), end.lon);
            let labels = [
                ("access", end.access.map(Access::as_str)),
                ("provider", end.provider.map(Provider::as_str)),
                ("tier", end.tier.map(Tier::as_str)),
            ];
            for (part, word) in labels {
                if let Some(word) = word {
                    row.set(format!("{name}_{part}"), word);
                }
            }
            if end.provider_implied {
                row.implied.push(format!("{name}_provider").into());
            }
        }
        row.uncertainty_km = [&path.src, &path.dst].map(|end| Some(end.uncertainty_km));
        row
    }
}
