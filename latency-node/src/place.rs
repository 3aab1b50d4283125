//! Places by name, as plain objects.

use latency_core::Place;
use napi::bindgen_prelude::{Env, Unknown};
use napi_derive::napi;

use crate::error::Failure;
use crate::value::{self, Value};

/// Whose data the names and positions of places are; show it where you show places to the public.
#[napi(skip_typescript)]
pub fn attribution() -> &'static str {
    latency_core::ATTRIBUTION
}

/// Finds a place by name: `lat,lon` in degrees, a cloud region (`aws:eu-west-2`), an airport's IATA code in capitals, or
/// a city, perhaps with state or country (`Portland, OR`), in this order. What is found is an end of a path too, alone or
/// with more: `{ ...findPlace('Lisbon'), access: 'wifi' }`.
///
/// @throws `LatencyError`: `UNKNOWN_PLACE`, `AMBIGUOUS_PLACE`, or `INVALID_FIELD` for coordinates out of range.
#[napi(catch_unwind, ts_args_type = "name: string", ts_return_type = "Place")]
pub fn find_place<'env>(env: &'env Env, name: Unknown<'_>) -> napi::Result<Unknown<'env>> {
    let find = || Ok(Place::find(&text("name", &name)?)?);
    let place = find().map_err(|failure: Failure| failure.into_js(*env))?;
    value::to_js(env, &place)
}

/// Up to `limit` places whose name starts with `prefix`, the largest first: for completion while typing. `limit` is 10 by
/// default, at most 1000.
#[napi(catch_unwind, ts_args_type = "prefix: string, limit?: number", ts_return_type = "Place[]")]
pub fn suggest_places<'env>(env: &'env Env, prefix: Unknown<'_>, limit: Unknown<'_>) -> napi::Result<Unknown<'env>> {
    let suggest = || {
        let limit = match Value::read(&limit)? {
            Value::Undefined | Value::Null => 10,
            limit => limit.count("limit", 1000)?,
        };
        Ok(Place::suggest(&text("prefix", &prefix)?, limit))
    };
    let places = suggest().map_err(|failure: Failure| failure.into_js(*env))?;
    value::to_js(env, &places)
}

/// Every cloud region that is known by name, provider by provider, or those of one provider: candidates to rank.
#[napi(catch_unwind, ts_args_type = "provider?: Provider", ts_return_type = "(Place & { kind: CloudRegion })[]")]
pub fn cloud_regions<'env>(env: &'env Env, provider: Unknown<'_>) -> napi::Result<Unknown<'env>> {
    let regions = || {
        let provider = match Value::read(&provider)? {
            Value::Undefined | Value::Null => None,
            Value::Text(name) => {
                Some(name.parse::<latency_core::Provider>().map_err(|error| error.with_field("provider"))?)
            }
            other => return Err(Failure::found("provider", &other, "\"aws\", \"azure\", \"gcp\" or \"other\"")),
        };
        Ok(Place::cloud_regions()
            .filter(|region| provider.is_none() || region.provider() == provider)
            .collect::<Vec<_>>())
    };
    let regions = regions().map_err(|failure: Failure| failure.into_js(*env))?;
    value::to_js(env, &regions)
}

fn text(field: &str, value: &Unknown<'_>) -> Result<String, Failure> {
    match Value::read(value)? {
        Value::Text(text) => Ok(text),
        other => Err(Failure::found(field, &other, "a string")),
    }
}
