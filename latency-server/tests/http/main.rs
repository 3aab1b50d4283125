//! The server from outside: one program of tests, so that it is linked once.

mod admin;
mod arrow;
mod bad_input;
mod batch;
mod common;
mod config;
mod decisions;
mod docs;
mod golden;
mod headers;
mod limits;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod logs;
mod metrics;
mod mlflow;
mod observe;
mod oip;
mod openapi;
mod options;
mod page;
mod parquet;
mod places;
mod postgres;
mod registry;
mod reload;
mod shadow;
#[cfg(unix)]
mod stopping;
mod tls;
mod tokens;
#[cfg(unix)]
mod traces;
