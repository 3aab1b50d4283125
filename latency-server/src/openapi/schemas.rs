//! The forms of questions and answers, made of the model's fields.

use latency_core::schema::{Field, FieldKind};
use latency_core::{NUMBERS, Predictor};
use serde_json::{Map, Value, json};

use crate::model_info::OUTPUTS;

/// Every named form.
pub fn all(predictor: &Predictor) -> Value {
    let schema = predictor.schema();
    let row = Row::of(&schema.fields, schema.coordinates.is_some());
    json!({
        "End": end(&schema.fields),
        "Row": row.with(&[], &[]),
        "RankQuestion": row.with(
            &[
                ("candidates", json!({
                    "description": "The destinations, or the regions of a provider.",
                    "oneOf": [
                        {"type": "array", "items": reference("End"), "maxItems": crate::decisions::MAX_CANDIDATES},
                        {
                            "type": "object",
                            "properties": {"regions": {"enum": ["aws", "azure", "gcp", "all"]}},
                            "required": ["regions"],
                            "additionalProperties": false,
                        },
                    ],
                })),
                ("budget_ms", json!({
                    "type": ["number", "null"], "exclusiveMinimum": 0,
                    "description": "How long one measurement may take, ms.",
                })),
            ],
            &["candidates"],
        ),
        "TimeoutQuestion": row.with(
            &[("quantile", json!({
                "type": ["number", "null"], "minimum": 0.5, "maximum": 0.999,
                "default": crate::decisions::DEFAULT_QUANTILE,
            }))],
            &[],
        ),
        "JudgeQuestion": row.with(
            &[("measured_ms", json!({
                "type": "number", "exclusiveMinimum": 0, "description": "The RTT that was measured, ms.",
            }))],
            &["measured_ms"],
        ),
        "Observation": observation(&row),
        "Observed": observed(),
        "Prediction": prediction(schema.coordinates.is_some()),
        "Answered": {"type": "object", "properties": {"model": reference("Model")}, "required": ["model"]},
        "Model": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "version": {"type": "string", "description": "The first 12 hex digits of the file's SHA-256."},
                "engine": {"type": "string"},
            },
            "required": ["name", "version", "engine"],
        },
        "Health": {
            "type": "object",
            "properties": {"status": {"type": "string"}, "model": reference("Model")},
            "required": ["status", "model"],
        },
        "Place": {
            "type": "object",
            "description": "Understood as an end of a path, too.",
            "properties": {
                "label": {"type": "string", "description": "The full form, which leads back to the place."},
                "name": {"type": "string"},
                "region": {"type": "string"},
                "country": {"type": "string", "description": "ISO 3166-1 alpha-2."},
                "lat": {"type": "number"},
                "lon": {"type": "number"},
                "kind": {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]},
            },
            "required": ["label", "name", "lat", "lon", "kind"],
        },
        "Failure": {
            "type": "object",
            "properties": {"error": reference("Error")},
            "required": ["error"],
            "additionalProperties": false,
        },
        "Error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "Never changes its meaning."},
                "field": {"type": "string", "description": "The field at fault, as the caller wrote it."},
                "row": {"type": "integer", "minimum": 0, "description": "The row at fault, from 0."},
                "message": {"type": "string", "description": "What was found, what is allowed, and the cure."},
            },
            "required": ["code", "message"],
            "additionalProperties": false,
        },
    })
}

/// What is allowed for a field, and what training saw.
pub fn field(field: &Field) -> Value {
    let mut described = field.description.clone();
    let mut say = |text: String| {
        described = if described.is_empty() { text } else { format!("{} {text}", described.trim_end()) };
    };
    let mut form = match &field.kind {
        FieldKind::Number { unit, min, max, seen } => {
            if !unit.is_empty() {
                say(format!("Unit: {unit}."));
            }
            if let Some([low, high]) = seen {
                say(format!("Training saw {low} to {high}."));
            }
            let mut form = json!({"type": if field.required { json!("number") } else { json!(["number", "null"]) }});
            for (key, limit) in [("minimum", min), ("maximum", max)] {
                if let Some(limit) = limit {
                    form[key] = json!(limit);
                }
            }
            form
        }
        FieldKind::Category { categories, seen } => {
            if seen.len() < categories.len() {
                say(format!("Training saw {}.", if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }));
            }
            let words = categories.iter().map(|word| json!(word));
            let unknown = (!field.required).then_some(Value::Null);
            json!({"enum": words.chain(unknown).collect::<Vec<_>>()})
        }
    };
    if !described.is_empty() {
        form["description"] = described.into();
    }
    form
}

/// An end of a path: a name, or an object with what the model has for an end.
fn end(fields: &[Field]) -> Value {
    let mut parts: Map<String, Value> = Map::new();
    for (name, form) in fields.iter().filter_map(|found| Some((found.name.strip_prefix("src_")?, field(found)))) {
        parts.insert(name.to_owned(), form);
    }
    parts.insert("place".to_owned(), json!({"type": "string", "description": "Instead of coordinates."}));
    parts.insert(
        "uncertainty_km".to_owned(),
        json!({"type": ["number", "null"], "minimum": 0, "maximum": 20_100, "description": "How far off the position may be, for `/judge`."}),
    );
    json!({
        "description": "A city (`London`, `Portland, OR`), an airport (`LHR`), a cloud region (`aws:eu-west-2`), `lat,lon`, an object with one of them as `place`, or with `lat` and `lon`; or a place as `/places` gives it.",
        "oneOf": [
            {"type": "string", "examples": ["London", "aws:eu-west-2"]},
            {"type": "object", "properties": parts, "additionalProperties": false, "anyOf": [{"required": ["place"]}, {"required": ["lat", "lon"]}]},
            reference("Place"),
        ],
    })
}

/// The fields that a row may have.
struct Row {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Row {
    fn of(fields: &[Field], knows_places: bool) -> Self {
        let mut properties = Map::new();
        if knows_places {
            properties.insert("src".to_owned(), reference("End"));
            properties.insert("dst".to_owned(), reference("End"));
        }
        properties.extend(fields.iter().map(|found| (found.name.clone(), field(found))));
        // Where a place may stand for coordinates, which fields are required depends on it.
        let required = fields.iter().filter(|field| field.required && !knows_places);
        Self { required: required.map(|field| field.name.clone()).collect(), properties }
    }

    /// The same with more beside it.
    fn with(&self, more: &[(&str, Value)], required: &[&str]) -> Value {
        let mut properties = self.properties.clone();
        properties.extend(more.iter().map(|(name, form)| ((*name).to_owned(), form.clone())));
        let required: Vec<_> = self.required.iter().map(String::as_str).chain(required.iter().copied()).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

fn observation(row: &Row) -> Value {
    row.with(
        &[
            (
                "measured_ms",
                json!({"type": "number", "exclusiveMinimum": 0, "description": "The RTT that was measured, ms."}),
            ),
            ("at", json!({"type": ["string", "null"], "format": "date-time", "description": "When; by default now."})),
            (
                "id",
                json!({
                    "type": ["string", "null"], "minLength": 1, "maxLength": 128,
                    "description": "Stored once, however often it is sent.",
                }),
            ),
        ],
        &["measured_ms"],
    )
}

fn observed() -> Value {
    let numbers = ["measured_ms", "p50_ms", "low_ms", "high_ms", "p90_ms", "p99_ms"];
    let mut properties: Map<_, _> =
        numbers.map(|name| (name.to_owned(), json!({"type": "number"}))).into_iter().collect();
    properties.insert("status".to_owned(), json!({"enum": ["stored", "duplicate"]}));
    properties.insert("verdict".to_owned(), json!({"enum": ["plausible", "slow", "suspicious", "impossible"]}));
    properties.insert(
        "model".to_owned(),
        json!({
            "type": "object",
            "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
            "required": ["name", "version"],
        }),
    );
    let required: Vec<_> = numbers.into_iter().chain(["status", "model"]).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn prediction(knows_places: bool) -> Value {
    let mut properties = Map::new();
    let numbers = NUMBERS.iter().take(if knows_places { 7 } else { 5 });
    for name in numbers.clone() {
        let output = OUTPUTS.iter().find(|output| output.name == *name);
        let description = output.map_or("", |output| output.description);
        properties.insert((*name).to_owned(), json!({"type": "number", "description": description}));
    }
    properties.insert(
        "warnings".to_owned(),
        json!({"type": "array", "description": "What lies outside what training saw.", "items": {
            "type": "object",
            "properties": {
                "code": {"enum": ["OUT_OF_RANGE"]},
                "field": {"type": "string"},
                "message": {"type": "string"},
            },
            "required": ["code", "field", "message"],
        }}),
    );
    properties.insert(
        "missing".to_owned(),
        json!({"type": "array", "items": {"type": "string"}, "description": "Optional fields that were not given."}),
    );
    properties.insert(
        "quantiles".to_owned(),
        json!({"type": "array", "description": "If `quantiles` are asked for.", "items": {
            "type": "object",
            "properties": {"quantile": {"type": "number"}, "ms": {"type": "number"}},
            "required": ["quantile", "ms"],
        }}),
    );
    properties.insert(
        "ranges".to_owned(),
        json!({"type": "array", "description": "If `explain_range` is asked for.", "items": {
            "type": "object",
            "properties": {
                "field": {"type": "string"},
                "given": {"type": ["number", "string"]},
                "seen": {"type": "array", "description": "The smallest and the largest number, or the words."},
                "within": {"type": "boolean"},
            },
            "required": ["field", "given", "within"],
        }}),
    );
    let required: Vec<_> = numbers.copied().chain(["warnings", "missing"]).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
