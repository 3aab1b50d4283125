//! A row's field with an endless name. One test in its own process, because it looks at the process's memory.

use latency_core::{ErrorKind, Predictor, Row};

/// The most memory that this process ever held, bytes; none where the system does not say.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}

#[test]
fn a_field_with_a_name_of_megabytes_is_refused_without_much_memory() {
    const NAME: usize = 8 << 20;
    let predictor = Predictor::builder().sessions(1).build().unwrap();
    let row = Row::new().with("x".repeat(NAME), 1);
    let before = peak_memory();
    let error = predictor.predict(&row).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownField);
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        // A few copies of the name; looking for the nearest field once took 24, and seconds.
        assert!(after - before < 10 * NAME, "{before} bytes before, {after} after");
    }
}
