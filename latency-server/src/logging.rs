//! The log: one line per message on standard error, without colours or times (the service manager adds those).

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The target of lines about who changed what: they are logged whatever the level.
pub const AUDIT: &str = "audit";

/// Starts logging. Rocket leaves a logger alone that is there before its own.
pub fn start(level: LevelFilter) {
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(level);
    }
}

struct Lines;

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Rocket calls a request for an unknown path an error, and its configuration a warning: from it, all is news.
        let level = if metadata.target().starts_with("rocket::") {
            metadata.level().max(Level::Info)
        } else {
            metadata.level()
        };
        level <= log::max_level() || metadata.target() == AUDIT
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let (level, target) = (record.level().as_str().to_ascii_lowercase(), record.target());
            eprintln!("{level} {}: {}", target.trim_end_matches("::_"), record.args());
        }
    }

    fn flush(&self) {}
}
