//! Tells the program what it was built with, for `latency_build_info`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by whoever builds from a known commit; a build from an archive knows none.
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    let commit = std::env::var("BUILD_COMMIT").unwrap_or_default();
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.trim());
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version =
        Command::new(compiler).arg("--version").output().ok().and_then(|out| String::from_utf8(out.stdout).ok());
    // `rustc 1.95.0 (…)`
    let version = version.as_deref().and_then(|version| version.split(' ').nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=BUILD_RUSTC={}", version.trim());
}
