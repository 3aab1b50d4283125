//! Work on a thread of libuv's pool, answered by a promise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use latency_core::{Error, ErrorKind};
use napi::bindgen_prelude::{AsyncTask, Env, ToNapiValue, TypeName};
use napi::{Result, Task};

use crate::error::Failure;

/// What is done there, and what becomes of it back on JavaScript's thread.
pub trait Work: Send {
    type Output: Send + 'static;
    type Js: ToNapiValue + TypeName;

    fn run(&mut self) -> latency_core::Result<Self::Output>;

    fn finish(env: Env, output: Self::Output) -> Result<Self::Js>;
}

pub struct Background<W>(W);

/// Starts it; what the core refuses rejects the promise as it would be thrown.
pub fn start<W: Work>(work: W) -> AsyncTask<Background<W>> {
    AsyncTask::new(Background(work))
}

impl<W: Work> Task for Background<W> {
    type Output = latency_core::Result<W::Output>;
    type JsValue = W::Js;

    fn compute(&mut self) -> Result<Self::Output> {
        // A panic must not reach libuv, which is C: it would end the process.
        Ok(catch_unwind(AssertUnwindSafe(|| self.0.run())).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::InferenceFailed, "a fault in latency-predictor itself: please report it"))
        }))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<Self::JsValue> {
        match output {
            Ok(output) => W::finish(env, output),
            Err(error) => Err(Failure::from(error).into_js(env)),
        }
    }
}
