//! The log: one line per message on standard error, as text or as JSON.
//!
//! Nothing that a caller wrote can end a line or begin a new one.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use log::kv::{self, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use rocket::tokio::task::{self, JoinHandle};
use serde_json::Value;
use time::OffsetDateTime;

use crate::rfc3339::rfc3339;
use crate::spans::Parent;

/// The target of lines about who changed what: they are logged whatever the level.
pub const AUDIT: &str = "audit";

/// The target of the line that each request gets.
pub const ACCESS: &str = "access";

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `level target: message name=value`, without the time, which the service manager adds.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// Starts logging. Rocket leaves a logger alone that is there before its own.
pub fn start(level: LevelFilter, format: LogFormat) {
    if log::set_boxed_logger(Box::new(Lines { level, format })).is_ok() {
        // Nothing gets past this one, audit lines neither.
        log::set_max_level(level.max(LevelFilter::Warn));
        // A panic is a line like any other.
        std::panic::set_hook(Box::new(|panic| {
            if QUIET.get() {
                return;
            }
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let words = panic.payload_as_str().unwrap_or("no words");
            log::error!(target: "panic", "panicked at {place}: {words}");
        }));
    }
}

thread_local! {
    /// Whether a panic of this thread is expected.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The result of what may panic at what a stranger sends; none if it did. That is no fault of the server, and is not logged.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.ok()
}

struct Lines {
    level: LevelFilter,
    format: LogFormat,
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What it complains of are lines of a file of passwords, which it shows.
        if metadata.target() == "sqlx_postgres::options::pgpass" {
            return false;
        }
        // Rocket calls a request for an unknown path an error, its configuration a warning, and has several lines for
        // each request: from it, all is detail. Not so from its templates: what they complain of is a fault of ours.
        let target = metadata.target();
        let is_rocket = target == "rocket" || target.starts_with("rocket::") || target.starts_with("rocket_http");
        let level = if is_rocket { metadata.level().max(Level::Debug) } else { metadata.level() };
        level <= self.level || metadata.target() == AUDIT
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = match self.format {
                LogFormat::Text => text(record, current_request().as_deref()),
                LogFormat::Json => json(record, current_request().as_deref(), OffsetDateTime::now_utc()),
            };
            line.push('\n');
            // Whoever closed it does not want to know.
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn text(record: &Record<'_>, request: Option<&str>) -> String {
    let target = record.target().trim_end_matches("::_");
    let mut line = String::with_capacity(160);
    // Writing to a string cannot fail.
    let _ = write!(line, "{} {}: ", record.level().as_str().to_ascii_lowercase(), Plain(target));
    let _ = write!(line, "{}", Plain(&record.args().to_string()));
    for (name, value) in fields(record) {
        let _ = match value {
            Value::Null => Ok(()),
            Value::String(text) if is_bare(&text) => write!(line, " {name}={text}"),
            Value::String(text) => write!(line, " {name}={}", Plain(&format!("{text:?}"))),
            value => write!(line, " {name}={value}"),
        };
    }
    if let Some(id) = request {
        let _ = write!(line, " request_id={id}");
    }
    line
}

fn json(record: &Record<'_>, request: Option<&str>, now: OffsetDateTime) -> String {
    let mut line = Vec::with_capacity(512);
    let mut set = |start: &str, value: &str| {
        line.extend_from_slice(start.as_bytes());
        append(&mut line, value);
    };
    set("{\"time\":", &rfc3339(now));
    set(",\"level\":", &record.level().as_str().to_ascii_lowercase());
    set(",\"target\":", record.target().trim_end_matches("::_"));
    set(",\"message\":", &record.args().to_string());
    if let Some(id) = request {
        set(",\"request_id\":", id);
    }
    let before = line.len();
    let mut fields = JsonFields { line: &mut line, start: b",\"fields\":{" };
    // No visit fails.
    let _ = record.key_values().visit(&mut fields);
    if line.len() > before {
        line.push(b'}');
    }
    line.push(b'}');
    // JSON is UTF-8.
    String::from_utf8(line).unwrap_or_default()
}

/// Appends the JSON of a value, which escapes what could end a line.
fn append(line: &mut Vec<u8>, value: impl serde::Serialize) {
    let before = line.len();
    if serde_json::to_writer(&mut *line, &value).is_err() {
        line.truncate(before);
        line.extend_from_slice(b"null");
    }
}

/// Writes the fields of a line that are not null.
struct JsonFields<'l> {
    line: &'l mut Vec<u8>,
    /// What stands before the next one.
    start: &'static [u8],
}

impl<'kvs> VisitSource<'kvs> for JsonFields<'_> {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let before = self.line.len();
        self.line.extend_from_slice(self.start);
        append(self.line, key.as_str());
        self.line.push(b':');
        append(self.line, value);
        if self.line.ends_with(b":null") {
            self.line.truncate(before);
        } else {
            self.start = b",";
        }
        Ok(())
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_graphic() && !"\"=\\".contains(character))
}

/// Text of which no character can end a line, move the cursor or turn the direction of what follows.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_strange = |character: char| {
            character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let mut rest = self.0;
        while let Some((at, found)) = rest.char_indices().find(|(_, character)| is_strange(*character)) {
            write!(f, "{}{}", &rest[..at], found.escape_default())?;
            rest = &rest[at + found.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// What a line says beside its words.
fn fields(record: &Record<'_>) -> Vec<(String, Value)> {
    struct Fields(Vec<(String, Value)>);

    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
            self.0.push((key.to_string(), serde_json::to_value(value).unwrap_or_default()));
            Ok(())
        }
    }

    let mut fields = Fields(Vec::new());
    // No visit fails.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

/// Which request each task works on: Rocket makes a task of every request, so that every line, ours or not, can name
/// the request that it belongs to.
static REQUESTS: LazyLock<[Mutex<Requests>; 16]> = LazyLock::new(Default::default);

type Requests = HashMap<task::Id, Current>;

/// A request that is worked on.
#[derive(Clone)]
struct Current {
    id: Arc<str>,
    span: Option<Parent>,
}

fn requests(task: task::Id) -> MutexGuard<'static, Requests> {
    let mut hasher = DefaultHasher::new();
    task.hash(&mut hasher);
    REQUESTS[hasher.finish() as usize % REQUESTS.len()].lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of the request that this task works on.
fn current<T>(of: impl FnOnce(&Current) -> T) -> Option<T> {
    task::try_id().and_then(|task| requests(task).get(&task).map(of))
}

fn current_request() -> Option<Arc<str>> {
    current(|current| Arc::clone(&current.id))
}

/// The span of the request that this task works on, if it has one.
pub(crate) fn current_span() -> Option<Parent> {
    current(|current| current.span.clone()).flatten()
}

/// While this value lives, lines that the current task logs name this request.
pub struct InRequest(Option<task::Id>);

/// The current task works on this request.
#[must_use]
pub fn in_request(id: Arc<str>, span: Option<Parent>) -> InRequest {
    begin(Current { id, span })
}

fn begin(current: Current) -> InRequest {
    let task = task::try_id();
    if let Some(task) = task {
        requests(task).insert(task, current);
    }
    InRequest(task)
}

impl Drop for InRequest {
    fn drop(&mut self) {
        if let Some(task) = self.0 {
            requests(task).remove(&task);
        }
    }
}

/// As tokio's: work that takes long, on a thread for such. Its lines name the request too.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let request = current(Current::clone);
    task::spawn_blocking(move || {
        let _in_request = request.map(begin);
        work()
    })
}

#[cfg(test)]
mod tests {
    use rocket::tokio::runtime::Runtime;

    use super::*;

    fn line(message: &str, path: &str, format: LogFormat) -> String {
        let values = [("path", kv::Value::from(path)), ("status", kv::Value::from(404)), ("none", kv::Value::null())];
        let show = |record: &Record<'_>| match format {
            LogFormat::Text => text(record, Some("id-1")),
            LogFormat::Json => json(record, Some("id-1"), OffsetDateTime::UNIX_EPOCH),
        };
        let mut record = Record::builder();
        record.level(Level::Warn).target("a::_").key_values(&values);
        show(&record.args(format_args!("{message}")).build())
    }

    #[test]
    fn text_lines() {
        assert_eq!(line("words", "/a", LogFormat::Text), "warn a: words path=/a status=404 request_id=id-1");
        let strange = "a\nwarn b: forged\r\u{1b}[31m\u{85}\u{2028}\u{202e}";
        let escaped = r"a\nwarn b: forged\r\u{1b}[31m\u{85}\u{2028}\u{202e}";
        let text = line(strange, strange, LogFormat::Text);
        assert_eq!(text, format!("warn a: {escaped} path=\"{escaped}\" status=404 request_id=id-1"));
        assert!(line("", "a b=\"c\"", LogFormat::Text).contains(r#" path="a b=\"c\"" status"#));
    }

    #[test]
    fn json_lines() {
        let strange = "a\nb\u{0}\u{1b}\"";
        let text = line(strange, strange, LogFormat::Json);
        assert!(!text.contains(|character: char| character.is_control()), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:00Z", "level": "warn", "target": "a", "message": strange, "request_id": "id-1",
            "fields": {"path": strange, "status": 404},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn tasks_know_their_requests() {
        let runtime = Runtime::new().unwrap();
        let of = |id: &'static str| async move {
            let _in_request = in_request(id.into(), None);
            task::yield_now().await;
            let below = spawn_blocking(current_request).await.unwrap();
            (current_request(), below)
        };
        let tasks: Vec<_> = ["a", "b", "c"].into_iter().map(|id| (id, runtime.spawn(of(id)))).collect();
        for (id, task) in tasks {
            assert_eq!(runtime.block_on(task).unwrap(), (Some(id.into()), Some(id.into())));
        }
        assert_eq!(runtime.block_on(runtime.spawn(async { current_request() })).unwrap(), None);
        assert!(REQUESTS.iter().all(|requests| requests.lock().unwrap().is_empty()));
    }
}
