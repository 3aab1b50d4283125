//! Node.js bindings of `latency-core`, thin: convert, call, map errors. `lib/addon.js` loads what is built here,
//! `lib/batch.js` feeds batches in pieces.

#![cfg_attr(test, allow(dead_code, reason = "napi registers nothing in a test build"))]

mod background;
mod batch;
mod columns;
mod decisions;
mod error;
mod place;
mod prediction;
mod predictor;
mod row;
mod value;
