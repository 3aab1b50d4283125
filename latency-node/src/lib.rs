//! Node.js bindings of `latency-core`, thin: convert, call, map errors. `index.js` loads what is built here.

#![cfg_attr(test, allow(dead_code, reason = "napi registers nothing in a test build"))]

mod error;
mod prediction;
mod predictor;
mod row;
mod value;
