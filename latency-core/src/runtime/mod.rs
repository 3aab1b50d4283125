//! ONNX Runtime: finding its library, and running sessions. Nothing outside this folder names `ort`.

#[cfg(all(feature = "load-dynamic", target_os = "linux"))]
mod elf;
mod environment;
mod exit;
#[cfg(feature = "load-dynamic")]
mod library;
#[cfg(not(feature = "load-dynamic"))]
#[path = "linked.rs"]
mod library;
#[cfg(feature = "load-dynamic")]
mod locate;
mod pool;
#[cfg(all(test, loom))]
mod pool_models;
mod probe;
mod session;

pub(crate) use environment::{HostEnvironment, RuntimeOptions};
#[cfg(feature = "load-dynamic")]
pub use locate::{LIBRARY_VARIABLES, library_file_name};
pub(crate) use session::{SessionOptions, SessionPool};
