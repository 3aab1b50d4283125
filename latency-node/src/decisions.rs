//! What a prediction is for: the best of several, a deadline, a verdict.

use latency_core::{Entry, Error, Row};
use napi::bindgen_prelude::{Array, Env, JsObjectValue, JsValue, Object, ToNapiValue, Unknown};
use napi_derive::napi;

use crate::error::Failure;
use crate::prediction::Prediction;
use crate::predictor::Predictor;
use crate::row;
use crate::value::{List, Value, entries};

#[napi]
impl Predictor {
    /// Its types stand in types.d.ts: there are two.
    #[napi(catch_unwind, skip_typescript)]
    pub fn rank<'env>(
        &self,
        env: &'env Env,
        src: Unknown<'_>,
        candidates: Unknown<'_>,
        options: Unknown<'_>,
    ) -> napi::Result<Array<'env>> {
        let rank = || {
            let Some(candidates) = List::read(*env, &candidates)? else {
                let found = Value::read(&candidates)?;
                let allowed = "an array of ends, such as [\"aws:eu-west-2\", \"LHR\"]";
                return Err(Failure::found("candidates", &found, allowed));
            };
            let Options { budget_ms, fields } = Options::read(&options)?;
            let src = row::entry("src", Value::read(&src)?)?;
            let paths = (0..candidates.length).map(|index| {
                let candidate = candidates.get(index)?;
                let path = || {
                    let dst = row::entry("dst", Value::read(&candidate)?)?;
                    let ends = [("src".to_owned(), src.clone()), ("dst".to_owned(), dst)];
                    Ok(Row::from_entries(ends.into_iter().chain(fields.iter().cloned()))?)
                };
                path().map_err(|failure: Failure| in_candidate(failure, index as usize))
            });
            let paths = paths.collect::<Result<Vec<_>, Failure>>()?;
            let ranked = self.inner().rank_paths(&paths, budget_ms).map_err(|error| match error.row() {
                Some(index) => error.in_candidate(index),
                None => error,
            })?;
            let mut array = env.create_array(0)?;
            for one in ranked {
                let mut object = Object::new(env)?;
                object.set_named_property("candidate", candidates.get(one.index as u32)?)?;
                object.set_named_property("index", one.index as u32)?;
                object.set_named_property("p_best", one.p_best)?;
                if let Some(p_within_budget) = one.p_within_budget {
                    object.set_named_property("p_within_budget", p_within_budget)?;
                }
                array.insert(with_prediction(env, object, one.prediction)?)?;
            }
            Ok(array)
        };
        rank().map_err(|failure: Failure| failure.into_js(*env))
    }

    /// How long to wait for an answer over this path: the RTT that one measurement stays below with probability
    /// `quantile`, 0.5 to 0.999, by default 0.99. It is one round trip; add what the other side needs to answer.
    #[napi(catch_unwind, ts_args_type = "row: AnyRow, quantile?: number", ts_return_type = "Timeout")]
    pub fn timeout<'env>(&self, env: &'env Env, row: Unknown<'_>, quantile: Unknown<'_>) -> napi::Result<Object<'env>> {
        let timeout = || {
            let quantile = match Value::read(&quantile)? {
                Value::Undefined | Value::Null => 0.99,
                quantile => number("quantile", &quantile)?,
            };
            let found = self.inner().timeout(&row::from_js(&row)?, quantile)?;
            let mut object = Object::new(env)?;
            object.set_named_property("timeout_ms", latency_core::shortest(found.timeout_ms))?;
            object.set_named_property("quantile", found.quantile)?;
            Ok(with_prediction(env, object, found.prediction)?)
        };
        timeout().map_err(|failure: Failure| failure.into_js(*env))
    }

    /// Whether a measured RTT can be true for this path: plausible, slow, suspicious or impossible. How far off a position
    /// may be is allowed for: by the kind of place, or by an end's `uncertainty_km`.
    #[napi(catch_unwind, ts_args_type = "row: AnyRow, measured_ms: number", ts_return_type = "Judgement")]
    pub fn judge<'env>(
        &self,
        env: &'env Env,
        row: Unknown<'_>,
        measured_ms: Unknown<'_>,
    ) -> napi::Result<Object<'env>> {
        let judge = || {
            let measured_ms = number("measured_ms", &Value::read(&measured_ms)?)?;
            let found = self.inner().judge(&row::from_js(&row)?, measured_ms)?;
            let mut object = Object::new(env)?;
            object.set_named_property("verdict", found.verdict.as_str())?;
            object.set_named_property("quantile", found.quantile)?;
            object.set_named_property("message", found.message)?;
            Ok(with_prediction(env, object, found.prediction)?)
        };
        judge().map_err(|failure: Failure| failure.into_js(*env))
    }
}

/// What is asked for beside the ends.
#[derive(Default)]
struct Options {
    budget_ms: Option<f64>,
    /// What holds for every path.
    fields: Vec<(String, Entry)>,
}

impl Options {
    fn read(options: &Unknown<'_>) -> Result<Self, Failure> {
        let mut found = Self::default();
        let options = match Value::read(options)? {
            Value::Undefined | Value::Null => return Ok(found),
            Value::Object(options) => options,
            other => return Err(Failure::found("options", &other, "an object such as {budget_ms: 80}")),
        };
        for (name, value) in entries(&options)? {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("budget_ms", value) => found.budget_ms = Some(number(&name, &value)?),
                ("fields", Value::Object(fields)) => {
                    for (field, value) in entries(&fields)? {
                        let entry = row::entry(&field, value)?;
                        found.fields.push((field, entry));
                    }
                }
                ("fields", other) => return Err(Failure::found(name, &other, "an object of values by flat names")),
                _ => {
                    let message = "unknown option; allowed: budget_ms, fields";
                    return Err(Error::new(latency_core::ErrorKind::UnknownField, message).with_field(name).into());
                }
            }
        }
        Ok(found)
    }
}

fn number(field: &str, value: &Value<'_>) -> Result<f64, Failure> {
    match value {
        Value::Number(number) => Ok(*number),
        other => Err(Failure::found(field, other, "a number")),
    }
}

/// Names the field as the caller of `rank` wrote it.
fn in_candidate(failure: Failure, index: usize) -> Failure {
    match failure {
        Failure::Core(error) => error.in_candidate(index).into(),
        failure @ Failure::Js(_) => failure,
    }
}

/// The properties of a prediction, behind those that an object has.
fn with_prediction<'env>(
    env: &'env Env,
    mut object: Object<'env>,
    prediction: latency_core::Prediction,
) -> napi::Result<Object<'env>> {
    let prediction = Prediction::from(prediction).into_unknown(env)?.coerce_to_object()?;
    for name in Object::keys(&prediction)? {
        object.set_named_property(&name, prediction.get_named_property::<Unknown>(&name)?)?;
    }
    Ok(object)
}
