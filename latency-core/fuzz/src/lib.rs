//! What the fuzz targets share.

use serde::de::IgnoredAny;

mod mutate;

pub use mutate::mutate_json;

/// The schema's JSON as it stands in the bundled model's file.
///
/// # Panics
/// If the file holds none.
#[must_use]
pub fn bundled_schema() -> &'static str {
    let model = latency_core::Predictor::bundled_model();
    let key = latency_core::schema::METADATA_KEY.as_bytes();
    let key_at = model.windows(key.len()).position(|window| window == key).expect("the model has a schema");
    let start = key_at + model[key_at..].iter().position(|byte| *byte == b'{').expect("the schema is an object");
    let mut values = serde_json::Deserializer::from_slice(&model[start..]).into_iter::<IgnoredAny>();
    values.next().expect("a value begins there").expect("the schema is JSON");
    std::str::from_utf8(&model[start..start + values.byte_offset()]).expect("JSON is UTF-8")
}
