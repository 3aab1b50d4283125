//! The check of rows and batches against a schema: names and categories → one f64 per field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::batch::{Batch, Column};
use crate::error::{self, Error, ErrorKind, Result, list, number as shown};
use crate::path::PathFields;
use crate::places::COORDINATES_UNCERTAINTY_KM;
use crate::row::{Row, Value, find_place};
use crate::row_reader::Names;
use crate::schema::{Field, FieldKind, Schema};

/// Checked rows, row-major: one f64 per field, the index for a category, NaN for a missing value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EncodedRows {
    pub values: Vec<f64>,
    pub rows: usize,
    /// Columns of a batch that the model has no field for.
    pub ignored: Vec<String>,
}

impl EncodedRows {
    /// Checks an input and adds it as the last row.
    pub fn push(&mut self, encoder: &Encoder, input: &(impl Encode + ?Sized)) -> Result<()> {
        let start = self.values.len();
        match input.encode(encoder, &mut self.values) {
            Ok(()) => self.rows += 1,
            Err(error) => {
                self.values.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Takes the error of a row, and says whether to go on.
type Fault<'a> = dyn FnMut(Error) -> Result<()> + 'a;

/// The good rows of a batch, and what is wrong with the others.
#[derive(Debug)]
pub(crate) struct ValidRows {
    pub rows: EncodedRows,
    /// Which rows of the batch they are.
    pub numbers: Vec<usize>,
    /// One error for each other row, in their order.
    pub errors: Vec<Error>,
}

/// The index of a category in its encoded form; none if it is missing.
#[allow(clippy::cast_sign_loss)] // Encoded from an index.
pub(crate) fn category_index(code: f64) -> Option<usize> {
    (!code.is_nan()).then_some(code as usize)
}

/// What a [`Predictor`](crate::Predictor) predicts for: a [`Path`](crate::Path), or a [`Row`] by names.
///
/// ```
/// use latency_core::{Input, Path, Prediction, Predictor, Row};
///
/// fn median_ms(predictor: &Predictor, input: &impl Input) -> latency_core::Result<f32> {
///     predictor.predict(input).map(|prediction| prediction.p50_ms)
/// }
/// # fn main() -> latency_core::Result<()> {
/// # let predictor = Predictor::bundled()?;
/// let (path, row) = (Path::between("LHR", "NRT")?, Row::between("LHR", "NRT")?);
/// assert_eq!(median_ms(&predictor, &path)?, median_ms(&predictor, &row)?);
/// # Ok(())
/// # }
/// ```
///
/// Sealed: other types become one of these.
#[expect(private_bounds, reason = "that is what seals it")]
pub trait Input: Encode {}

impl Input for Row {}
impl Input for crate::Path {}

/// How an input becomes numbers.
pub(crate) trait Encode {
    /// Checks this input and appends one value per field.
    fn encode(&self, encoder: &Encoder, values: &mut Vec<f64>) -> Result<()>;

    /// How far from their positions the two ends may be, together, km.
    fn uncertainty_km(&self) -> f64;
}

/// A schema, ready to check inputs.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub schema: Schema,
    /// None for models that know no places.
    pub paths: Option<PathFields>,
}

impl Encoder {
    pub fn new(schema: Schema) -> Self {
        Self { paths: PathFields::new(&schema), schema }
    }

    /// The first required field that an encoded row lacks.
    pub fn missing(&self, row: &[f64]) -> Option<&Field> {
        let mut fields = self.schema.fields.iter().zip(row);
        fields.find(|(field, value)| field.required && value.is_nan()).map(|(field, _)| field)
    }
}

impl<I: Encode + ?Sized> Encode for &I {
    fn encode(&self, encoder: &Encoder, values: &mut Vec<f64>) -> Result<()> {
        (**self).encode(encoder, values)
    }

    fn uncertainty_km(&self) -> f64 {
        (**self).uncertainty_km()
    }
}

impl Encode for Row {
    fn encode(&self, encoder: &Encoder, values: &mut Vec<f64>) -> Result<()> {
        let schema = &encoder.schema;
        if self.nested && schema.coordinates.is_none() {
            return Err(schema.knows_no_places());
        }
        let start = values.len();
        values.resize(start + schema.fields.len(), f64::NAN);
        let row = &mut values[start..];
        for (name, value) in self.iter() {
            let Some(index) = schema.field_or_coordinate(name) else {
                if self.implied.iter().any(|implied| implied == name) {
                    continue;
                }
                let error = match name.split_once('_') {
                    Some((end @ ("src" | "dst"), part)) if self.shown(name) != name => schema.unknown_part(end, part),
                    _ => schema.unknown_field(name),
                };
                return Err(error.with_field(self.shown(name)));
            };
            let field = &schema.fields[index];
            if self.implied.iter().any(|implied| implied == name)
                && matches!(value, Value::Text(word) if !field.knows(word))
            {
                continue;
            }
            // A coordinate may come by its role or by its own name, but not by both: one would be lost.
            if !row[index].is_nan() {
                return Err(Error::new(
                    ErrorKind::InvalidField,
                    format!("found twice, also as `{}`; give it once", field.name),
                )
                .with_field(self.shown(name)));
            }
            row[index] = encode_value(field, value).map_err(|error| error.with_field(self.shown(name)))?;
        }
        match encoder.missing(row) {
            Some(field) => Err(schema.missing_field(field).with_field(self.shown(&field.name))),
            None => Ok(()),
        }
    }

    fn uncertainty_km(&self) -> f64 {
        self.uncertainty_km.iter().map(|km| km.unwrap_or(COORDINATES_UNCERTAINTY_KM)).sum()
    }
}

impl Schema {
    pub(crate) fn knows_no_places(&self) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!("this model knows no places; give its fields by name: {}", list(self.field_names())),
        )
    }

    /// The field of this name, or the one that holds this coordinate (`src_lat`, …) under a name of its own.
    fn field_or_coordinate(&self, name: &str) -> Option<usize> {
        self.field_index(name).or_else(|| {
            let roles = ["src_lat", "src_lon", "dst_lat", "dst_lon"];
            let role = roles.iter().position(|role| *role == name)?;
            self.field_index(self.coordinates.as_ref()?.names()[role])
        })
    }

    /// Checks a batch, column by column, and puts its values row-major in field order.
    pub(crate) fn encode_batch(&self, batch: &Batch<'_>) -> Result<EncodedRows> {
        self.encode_batch_or(batch, &mut Err)
    }

    /// Likewise; `fault` takes the error of each value that is wrong, and says whether to go on. Then its cell stays
    /// missing.
    fn encode_batch_or(&self, batch: &Batch<'_>, fault: &mut Fault<'_>) -> Result<EncodedRows> {
        let (rows, width) = (batch.len(), self.fields.len());
        for (name, column) in &batch.columns {
            if column.len() != rows {
                return Err(Error::new(
                    ErrorKind::InvalidBatch,
                    format!(
                        "found a column of length {}, but the first one has length {rows}; give columns of equal length",
                        column.len()
                    ),
                )
                .with_field(name.as_ref()));
            }
            if batch.columns.iter().filter(|(other, _)| other == name).count() > 1 {
                return Err(
                    Error::new(ErrorKind::InvalidBatch, "found twice; give each column once").with_field(name.as_ref())
                );
            }
        }
        let mut values = vec![f64::NAN; rows * width];
        let places = ["src", "dst"].map(|end| (end, batch.column(end).filter(|_| self.coordinates.is_some())));
        for (end, column) in places {
            if let Some(column) = column {
                self.encode_places(end, column, batch, &mut values, fault)?;
            }
        }
        for (index, field) in self.fields.iter().enumerate() {
            let cells = values.iter_mut().skip(index).step_by(width);
            match batch.column(&field.name) {
                Some(column) => encode_column(field, column, cells, fault)?,
                None if field.required
                    && rows > 0
                    && !places.iter().any(|(end, column)| column.is_some() && self.is_coordinate_of(end, index)) =>
                {
                    return Err(self.missing_field(field).with_field(&*field.name));
                }
                None => {}
            }
        }
        let ignored = batch
            .columns
            .iter()
            .map(|(name, _)| name.as_ref())
            .filter(|name| {
                self.field_index(name).is_none() && !places.iter().any(|(end, column)| end == name && column.is_some())
            })
            .map(str::to_owned)
            .collect();
        Ok(EncodedRows { values, rows, ignored })
    }

    /// Checks a batch and keeps its good rows; with their numbers, and the first error of each of the others.
    /// Whether to go on is asked at each error, because those cost most.
    pub(crate) fn encode_valid_rows(&self, batch: &Batch<'_>, go_on: impl Fn() -> Result<()>) -> Result<ValidRows> {
        let mut errors: BTreeMap<usize, Error> = BTreeMap::new();
        let mut rows = self.encode_batch_or(batch, &mut |error| match error.row() {
            Some(row) => {
                errors.entry(row).or_insert(error);
                go_on()
            }
            None => Err(error),
        })?;
        let width = self.fields.len();
        let numbers: Vec<_> = (0..rows.rows).filter(|row| !errors.contains_key(row)).collect();
        if !errors.is_empty() {
            rows.values =
                numbers.iter().flat_map(|row| &rows.values[row * width..(row + 1) * width]).copied().collect();
            rows.rows = numbers.len();
        }
        Ok(ValidRows { rows, numbers, errors: errors.into_values().collect() })
    }

    /// Whether a place's name at this end fills this field.
    fn is_coordinate_of(&self, end: &str, field: usize) -> bool {
        ["lat", "lon"].iter().any(|axis| self.field_or_coordinate(&format!("{end}_{axis}")) == Some(field))
    }

    fn encode_places(
        &self,
        end: &str,
        column: &Column<'_>,
        batch: &Batch<'_>,
        values: &mut [f64],
        fault: &mut Fault<'_>,
    ) -> Result<()> {
        let Column::Texts(texts) = column else {
            return Err(Error::new(
                ErrorKind::InvalidField,
                "found numbers; allowed: names of places, such as \"London\"; give coordinates in columns of their own",
            )
            .with_field(end));
        };
        let [lat, lon, provider] =
            ["lat", "lon", "provider"].map(|part| self.field_or_coordinate(&format!("{end}_{part}")));
        for name in [lat, lon].into_iter().flatten().map(|index| self.fields[index].name.as_str()) {
            if batch.column(name).is_some() {
                return Err(Error::new(
                    ErrorKind::InvalidBatch,
                    format!("found both `{end}` and `{name}`; give places or coordinates for an end, not both"),
                )
                .with_field(end));
            }
        }
        let width = self.fields.len();
        let mut names = Names::default();
        for (row, text) in texts.iter().enumerate() {
            let found = text
                .as_deref()
                .ok_or_else(|| no_place(end))
                .and_then(|name| names.note(find_place(end, name, names.find())));
            let place = match found {
                Ok(place) => place,
                Err(error) => {
                    fault(error.with_row(row))?;
                    continue;
                }
            };
            let cells = &mut values[row * width..(row + 1) * width];
            for (field, degrees, axis) in [(lat, place.lat, "lat"), (lon, place.lon, "lon")] {
                if let Some(field) = field {
                    match encode_number(&self.fields[field], degrees) {
                        Ok(number) => cells[field] = number,
                        Err(error) => fault(error.with_field(format!("{end}.{axis}")).with_row(row))?,
                    }
                }
            }
            // A place's provider is a hint: a model that does not know it does not mind.
            if let (Some(provider), Some(found)) = (provider, place.provider())
                && self.fields[provider].knows(found.as_str())
            {
                cells[provider] = encode_text(&self.fields[provider], found.as_str())?;
            }
        }
        Ok(())
    }

    pub(crate) fn missing_field(&self, field: &Field) -> Error {
        let coordinate =
            self.coordinates.as_ref().is_some_and(|coordinates| coordinates.names().contains(&field.name.as_str()));
        let cure = if coordinate { "give it, or the name of a place for that end" } else { "give it" };
        Error::new(ErrorKind::MissingField, format!("required, but not given; allowed: {}; {cure}", allowed(field)))
    }
}

fn no_place(end: &str) -> Error {
    Error::new(
        ErrorKind::MissingField,
        "found no place in this row; allowed: a place such as \"London\"; give one, or leave the row out",
    )
    .with_field(end)
}

fn encode_column<'v>(
    field: &Field,
    column: &'v Column<'_>,
    cells: impl Iterator<Item = &'v mut f64>,
    fault: &mut Fault<'_>,
) -> Result<()> {
    match column {
        Column::Numbers(numbers) => encode_numbers(field, numbers.iter(), cells, fault),
        Column::Strided(numbers) => encode_numbers(field, numbers.iter(), cells, fault),
        Column::Texts(texts) => encode_texts(field, texts, cells, fault),
    }
}

fn encode_texts<'v>(
    field: &Field,
    texts: &[Option<Cow<'_, str>>],
    cells: impl Iterator<Item = &'v mut f64>,
    fault: &mut Fault<'_>,
) -> Result<()> {
    for (row, (cell, text)) in cells.zip(texts).enumerate() {
        let found = match text {
            Some(text) => encode_text(field, text),
            None if field.required => Err(Error::new(
                ErrorKind::MissingField,
                format!(
                    "required, but missing in this row; allowed: {}; give it, or leave the row out",
                    allowed(field)
                ),
            )),
            // What a place's name implies may stand there.
            None => continue,
        };
        match found {
            Ok(code) => *cell = code,
            Err(error) => fault(error.with_field(&*field.name).with_row(row))?,
        }
    }
    Ok(())
}

fn encode_numbers<'v>(
    field: &Field,
    numbers: impl Iterator<Item = &'v f64>,
    cells: impl Iterator<Item = &'v mut f64>,
    fault: &mut Fault<'_>,
) -> Result<()> {
    for (row, (cell, number)) in cells.zip(numbers).enumerate() {
        if !number.is_nan() || field.required {
            match encode_number(field, *number) {
                Ok(number) => *cell = number,
                Err(error) => fault(error.with_field(&*field.name).with_row(row))?,
            }
        }
    }
    Ok(())
}

fn encode_value(field: &Field, value: &Value) -> Result<f64> {
    match value {
        Value::Number(number) if number.is_nan() && !field.required => Ok(f64::NAN),
        Value::Number(number) => encode_number(field, *number),
        Value::Text(text) => encode_text(field, text),
        Value::Missing => Ok(f64::NAN),
    }
}

/// Checks a number against its field's range.
pub(crate) fn encode_number(field: &Field, number: f64) -> Result<f64> {
    match &field.kind {
        FieldKind::Number { min, max, .. } => {
            let in_range = number >= min.unwrap_or(f64::MIN) && number <= max.unwrap_or(f64::MAX);
            if in_range {
                Ok(number)
            } else {
                Err(Error::new(
                    ErrorKind::InvalidField,
                    format!("found {}; allowed: {}", shown(number), allowed(field)),
                ))
            }
        }
        FieldKind::Category { .. } => Err(Error::new(
            ErrorKind::InvalidField,
            format!("found the number {}; allowed: {}{}", shown(number), allowed(field), word_cure(field)),
        )),
    }
}

fn encode_text(field: &Field, text: &str) -> Result<f64> {
    let FieldKind::Category { categories, .. } = &field.kind else {
        return Err(Error::new(
            ErrorKind::InvalidField,
            format!("found the text {}; allowed: {}, written without quotes", error::text(text), allowed(field)),
        ));
    };
    match categories.iter().position(|category| category == text) {
        Some(index) => Ok(index as f64),
        None => Err(Error::new(
            ErrorKind::InvalidField,
            format!("found {}; allowed: {}{}", error::text(text), allowed(field), word_cure(field)),
        )),
    }
}

impl Field {
    /// Whether this is a category field with this word.
    fn knows(&self, word: &str) -> bool {
        matches!(&self.kind, FieldKind::Category { categories, .. } if categories.iter().any(|known| known == word))
    }
}

/// What else to do where a word is not allowed.
fn word_cure(field: &Field) -> &'static str {
    if field.required { "" } else { "; leave it out if it is not known" }
}

pub(crate) fn allowed(field: &Field) -> String {
    match &field.kind {
        FieldKind::Number { unit, min, max, .. } => {
            let range = match (min, max) {
                (Some(min), Some(max)) => format!("a number from {} to {}", shown(*min), shown(*max)),
                (Some(min), None) => format!("a number from {} up", shown(*min)),
                (None, Some(max)) => format!("a number up to {}", shown(*max)),
                (None, None) => "a finite number".to_owned(),
            };
            if unit.is_empty() { range } else { format!("{range} ({unit})") }
        }
        FieldKind::Category { categories, .. } => list(categories),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Path, Place};

    fn schema(
        fields: &serde_json::Value,
        coordinates: Option<serde_json::Value>,
        features: &serde_json::Value,
    ) -> Schema {
        let outputs = ["low_ms", "p50_ms", "high_ms", "p90_ms", "p99_ms"];
        let mut text = json!({
            "format": 1, "name": "own", "fields": fields, "features": features,
            "target": {"name": "rtt_ms", "transform": "identity"},
            "outputs": outputs.map(|name| json!({"name": name, "quantile": 0.5})),
            "golden": []
        });
        if let Some(coordinates) = coordinates {
            text["coordinates"] = coordinates;
        }
        Schema::from_json(&text.to_string()).unwrap()
    }

    fn encode_row(schema: &Schema, row: &Row) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        row.encode(&Encoder::new(schema.clone()), &mut values).map(|()| values)
    }

    #[test]
    fn a_model_without_places_says_so() {
        let hops =
            json!([{"name": "hops", "type": "number"}, {"name": "link", "type": "category", "categories": ["fibre"]}]);
        let own = schema(&hops, None, &json!([{"kind": "number", "field": "hops"}]));
        let error = encode_row(&own, &Row::between("London", "Tokyo").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "this model knows no places; give its fields by name: hops, link");
        assert_eq!(encode_row(&own, &Row::new().with("hops", 3).with("link", "fibre")).unwrap(), [3.0, 0.0]);
        assert!(encode_row(&own, &Row::new().with("link", "fibre")).unwrap()[0].is_nan());
    }

    #[test]
    fn places_reach_coordinates_under_names_of_their_own() {
        let names = ["client_lat", "client_lng", "server_lat", "server_lng"];
        let field = |name: &str| json!({"name": name, "type": "number", "min": -90, "max": 90, "required": true});
        let roles = json!({"src_lat": names[0], "src_lon": names[1], "dst_lat": names[2], "dst_lon": names[3]});
        let own = schema(&names.map(field).into(), Some(roles), &json!([{"kind": "distance_km"}]));
        let single = encode_row(&own, &Row::between("1,2", "3,4").unwrap()).unwrap();
        assert_eq!(single, [1.0, 2.0, 3.0, 4.0]);
        let both = Row::new().with("client_lat", 1).with("src_lat", 2);
        let error = encode_row(&own, &both).unwrap_err();
        assert_eq!(error.to_string(), "src_lat: found twice, also as `client_lat`; give it once");
        let places =
            Batch::new().with("src", Column::from(["1,2"].as_slice())).with("dst", Column::from(["3,4"].as_slice()));
        assert_eq!(own.encode_batch(&places).unwrap().values, single);
        let error = own.encode_batch(&places.with("server_lng", vec![5.0])).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidBatch, Some("dst")));
        assert!(error.message().contains("both `dst` and `server_lng`"), "{error}");
    }

    /// Coordinates between -60 and 60, and one provider at each end.
    fn part_of_the_earth() -> Schema {
        let names = ["src_lat", "src_lon", "dst_lat", "dst_lon"];
        let field = |name: &str| json!({"name": name, "type": "number", "min": -60, "max": 60, "required": true});
        let provider = |name: &str| json!({"name": name, "type": "category", "categories": ["aws"]});
        let fields: Vec<_> =
            names.map(field).into_iter().chain(["src_provider", "dst_provider"].map(provider)).collect();
        let roles = names.map(|name| (name.to_owned(), name.into())).into_iter().collect();
        schema(&fields.into(), Some(serde_json::Value::Object(roles)), &json!([{"kind": "distance_km"}]))
    }

    fn encode_path(schema: &Schema, path: &Path) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        path.encode(&Encoder::new(schema.clone()), &mut values).map(|()| values)
    }

    #[test]
    fn positions_out_of_range_are_refused_in_every_form() {
        let own = part_of_the_earth();
        for (dst, field) in [("70,0", "dst.lat"), ("0,-61", "dst.lon")] {
            let row = encode_row(&own, &Row::between("0,0", dst).unwrap()).unwrap_err();
            let path = encode_path(&own, &Path::between("0,0", dst).unwrap()).unwrap_err();
            let batch = own.encode_batch(&Batch::new().with("src", ["0,0"]).with("dst", [dst])).unwrap_err();
            for error in [&row, &path, &batch] {
                assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some(field)), "{error}");
                assert_eq!(error.message(), row.message());
            }
            assert_eq!(batch.row(), Some(0));
        }
        let mut place = Place::find("1,2").unwrap();
        for lat in [500.0, f64::NAN, f64::INFINITY] {
            place.lat = lat;
            let path = Path::new(place.clone().into(), Place::find("1,2").unwrap().into());
            assert_eq!(encode_path(&own, &path).unwrap_err().field(), Some("src.lat"), "{lat}");
        }
    }

    #[cfg(feature = "places")]
    #[test]
    fn a_provider_that_only_a_name_implies_may_be_unknown() {
        let own = part_of_the_earth();
        let (src, dst) = ("azure:uksouth", "aws:eu-west-2");
        let found = encode_row(&own, &Row::between(src, dst).unwrap()).unwrap();
        assert!(found[4].is_nan() && found[5] == 0.0, "{found:?}");
        let path = Path::between(src, dst).unwrap();
        let batch = Batch::new().with("src", [src]).with("dst", [dst]);
        for other in [encode_path(&own, &path).unwrap(), own.encode_batch(&batch).unwrap().values] {
            assert_eq!(
                other.iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
                found.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            );
        }
        assert!(encode_row(&own, &Row::from(&path)).unwrap()[4].is_nan());
        // What the caller says is another matter.
        let error = encode_row(&own, &Row::between(src, dst).unwrap().with("src_provider", "azure")).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidField, Some("src_provider")));
        let path = Path { src: path.src.with_provider(crate::Provider::Azure), ..path };
        assert_eq!(encode_path(&own, &path).unwrap_err().field(), Some("src.provider"));
    }
}
