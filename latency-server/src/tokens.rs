//! Bearer tokens: who may change models, and if asked for, who may predict. A file holds their hashes; it is read again
//! whenever it changes.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// SHA-256 of a token.
pub(crate) type Hash = [u8; 32];

/// The longest file.
const MAX_BYTES: u64 = 1 << 20;

/// A file that changed within this time before it was read may change once more without looking different.
const SETTLED: Duration = Duration::from_secs(1);

const LINE: &str =
    "allowed: lines `name scopes sha256`, as `latency-server token NAME` prints them, and comments after #";

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    /// Change models; whoever may do that may also predict.
    pub admin: bool,
    /// Predict, where that needs a token.
    pub predict: bool,
}

impl Scopes {
    /// Predict, and nothing else.
    pub const PREDICT: Self = Self { admin: false, predict: true };
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scopes = Self { admin: false, predict: false };
        for scope in text.split(',') {
            match scope.trim() {
                "admin" => scopes.admin = true,
                "predict" => scopes.predict = true,
                other => {
                    return Err(format!("found the scope {other:?}; allowed: admin, predict, or both with a comma"));
                }
            }
        }
        Ok(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.admin, self.predict) {
            (true, true) => "admin,predict",
            (true, false) => "admin",
            _ => "predict",
        })
    }
}

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub name: String,
    pub scopes: Scopes,
    pub hash: Hash,
}

/// The tokens of a file.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    path: PathBuf,
    table: ArcSwap<Table>,
    reading: Mutex<()>,
}

struct Table {
    /// How the file looked when it was last tried.
    looks: Option<Looks>,
    settled: bool,
    tokens: HashMap<Hash, Arc<Token>>,
}

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Looks {
    modified: Option<SystemTime>,
    length: u64,
    /// Inode and time of its last change, where there are such.
    identity: (u64, i64, i64),
}

impl Looks {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let identity = (0, 0, 0);
        Self { modified: metadata.modified().ok(), length: metadata.len(), identity }
    }

    fn settled(&self) -> bool {
        self.modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age > SETTLED)
    }
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// Why the file cannot be used. Nothing of what it holds but names.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let table = read(&path).1?;
        Ok(Self(Arc::new(Inner { path, table: ArcSwap::from_pointee(table), reading: Mutex::new(()) })))
    }

    /// The token of this text. Its hash is looked up, not compared: how long that takes tells at most about the hash of
    /// a guess, which says nothing about a random token of 256 bits.
    pub(crate) fn find(&self, text: &str) -> Option<Arc<Token>> {
        self.by_hash(&Sha256::digest(text).into())
    }

    /// The token of this hash, if it is (still) in the file.
    pub(crate) fn by_hash(&self, hash: &Hash) -> Option<Arc<Token>> {
        self.refresh();
        self.0.table.load().tokens.get(hash).cloned()
    }

    /// Warns of a file that every user of the machine may read.
    pub(crate) fn warn_if_open_to_all(&self) {
        warn_if_open_to_all(&self.0.path, "LATENCY_TOKENS_FILE");
    }

    fn refresh(&self) {
        let inner = &*self.0;
        let looks = fs::metadata(&inner.path).ok().as_ref().map(Looks::of);
        let fresh = |table: &Table| table.settled && table.looks == looks;
        if fresh(&inner.table.load()) {
            return;
        }
        let _one = inner.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = inner.table.load_full();
        if fresh(&old) {
            return;
        }
        let (looks, table) = read(&inner.path);
        let table = table.unwrap_or_else(|message| {
            if looks != old.looks {
                log::error!("LATENCY_TOKENS_FILE: {message}; the tokens from before go on");
            }
            let settled = looks.is_none_or(|looks| looks.settled());
            Table { looks, settled, tokens: old.tokens.clone() }
        });
        if table.looks != old.looks {
            log::info!("LATENCY_TOKENS_FILE: {} tokens", table.tokens.len());
            self.warn_if_open_to_all();
        }
        inner.table.store(Arc::new(table));
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.0.path).finish()
    }
}

fn read(path: &Path) -> (Option<Looks>, Result<Table, String>) {
    let unreadable = |error: &dyn fmt::Display| format!("the file {} cannot be read: {error}", path.display());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return (None, Err(unreadable(&error))),
    };
    // Of the file that is open, not of one that has taken its place since.
    let looks = match file.metadata() {
        Ok(metadata) => Looks::of(&metadata),
        Err(error) => return (None, Err(unreadable(&error))),
    };
    let mut text = String::new();
    let tokens = match (&mut file).take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > MAX_BYTES => Err(format!("found more than {MAX_BYTES} bytes; {LINE}")),
        Ok(_) => parse(&text),
        Err(error) => Err(unreadable(&error)),
    };
    (Some(looks), tokens.map(|tokens| Table { looks: Some(looks), settled: looks.settled(), tokens }))
}

fn parse(text: &str) -> Result<HashMap<Hash, Arc<Token>>, String> {
    let mut tokens: HashMap<Hash, Arc<Token>> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(line, _)| line);
        let wrong = |what: String| format!("line {number}: {what}");
        let parts: Vec<_> = line.split_ascii_whitespace().collect();
        let (name, scopes, hash) = match parts[..] {
            [] => continue,
            [name, scopes, hash] => (name, scopes, hash),
            _ => return Err(wrong(format!("found {} parts; {LINE}", parts.len()))),
        };
        check_name(name).map_err(wrong)?;
        let scopes = scopes.parse().map_err(wrong)?;
        // Not shown: it may be the token itself.
        let hash = from_hex(hash).ok_or_else(|| {
            wrong(format!("found something else than 64 hexadecimal digits behind the scopes of {name}; {LINE}"))
        })?;
        if tokens.values().any(|token| token.name == name) {
            return Err(wrong(format!("found {name:?} a second time; allowed: each name once")));
        }
        if tokens.insert(hash, Arc::new(Token { name: name.to_owned(), scopes, hash })).is_some() {
            return Err(wrong(format!("found the hash of {name} a second time; allowed: each token once")));
        }
    }
    Ok(tokens)
}

/// Whether a token can be called so.
///
/// # Errors
/// What is allowed.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(fits) {
        return Ok(());
    }
    Err(format!("found the name {name:?}; allowed: up to 64 letters, digits, `-`, `_` and `.`"))
}

/// 32 random bytes as text.
pub(crate) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A new token, and the line for the file.
///
/// # Errors
/// If the system has no random numbers.
pub fn make(name: &str, scopes: Scopes) -> Result<(String, String), String> {
    let random = random().map_err(|error| format!("the system gives no random numbers: {error}"))?;
    // So that a token that lies where it should not is known for one.
    let token = format!("latency_{random}");
    let line = format!("{name} {scopes} {}", hex::encode(Sha256::digest(&token)));
    Ok((token, line))
}

pub(crate) fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}

/// Warns of a file with secrets that every user of the machine may read.
pub(crate) fn warn_if_open_to_all(path: &Path, variable: &str) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o004 != 0 {
            log::warn!("{variable}: every user of this machine may read {0}; chmod 600 {0}", path.display());
        }
    }
    #[cfg(not(unix))]
    let _ = (path, variable);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(name: &str) -> (String, String) {
        make(name, Scopes::PREDICT).unwrap()
    }

    #[test]
    fn a_token_is_found_by_its_text_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let ((token, line), (other, _)) = (token_of("ci"), token_of("ci"));
        assert_ne!(token, other);
        fs::write(&path, format!("# made for the tests\n\n  {line}  # of ci\r\n")).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let found = tokens.find(&token).unwrap();
        assert_eq!((found.name.as_str(), found.scopes), ("ci", Scopes::PREDICT));
        let hash = hex::encode(found.hash);
        for wrong in [&other, "", &token[..token.len() - 1], &token.to_uppercase(), &hash] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_changed_file_counts_at_once_and_a_bad_one_leaves_the_old_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let ((first, first_line), (second, second_line)) = (token_of("one"), token_of("one"));
        fs::write(&path, &first_line).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let who = |tokens: &Tokens| (tokens.find(&first).is_some(), tokens.find(&second).is_some());
        assert_eq!(who(&tokens), (true, false));
        // Of the same length, at once, in place.
        fs::write(&path, &second_line).unwrap();
        assert_eq!(who(&tokens), (false, true));
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(who(&tokens), (false, true));
        fs::remove_file(&path).unwrap();
        assert_eq!(who(&tokens), (false, true));
        // Another file takes its place.
        fs::write(folder.path().join("new"), &first_line).unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(who(&tokens), (true, false));
        fs::write(&path, "").unwrap();
        assert_eq!(who(&tokens), (false, false));
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (token, line) = token_of("ci");
        fs::write(&path, line).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - 2 * SETTLED).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let before = tokens.0.table.load_full();
        assert!(tokens.find(&token).is_some());
        assert!(Arc::ptr_eq(&before, &tokens.0.table.load_full()));
    }

    #[test]
    fn a_bad_file_says_what_is_wrong_and_shows_no_token() {
        let (token, line) = token_of("ci");
        for (text, words) in [
            (
                format!("ci admin {token}"),
                "line 1: found something else than 64 hexadecimal digits behind the scopes of ci",
            ),
            (format!("\n{line} more"), "line 2: found 4 parts; allowed: lines `name scopes sha256`"),
            (line.replace("predict", "root"), "line 1: found the scope \"root\"; allowed: admin, predict"),
            (line.replace("ci ", "c/i "), "line 1: found the name \"c/i\"; allowed"),
            (format!("{line}\n{}", token_of("ci").1), "line 2: found \"ci\" a second time"),
            (format!("{line}\n{}", line.replace("ci ", "other ")), "line 2: found the hash of other a second time"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(words), "{error}");
            assert!(!error.contains(&token), "{error}");
        }
        let error = Tokens::open("/nowhere/tokens").unwrap_err();
        assert!(error.contains("/nowhere/tokens cannot be read"), "{error}");
    }
}
