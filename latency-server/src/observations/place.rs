//! Where observations are stored: a file of `SQLite`, or a database of `PostgreSQL`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// What sqlx reads after the `?` of an address. It warns of everything else, and shows it, which may be a password.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// A file or a database.
#[derive(Debug, Clone)]
pub enum Place {
    /// The `SQLite` file; made if it is not there.
    File(PathBuf),
    /// The `PostgreSQL` database, which is there.
    Database(Box<Address>),
}

/// The address of a database, with the password.
#[derive(Clone)]
pub struct Address {
    /// Without it.
    shown: String,
    has_password: bool,
    pub(super) options: PgConnectOptions,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for Place {
    /// Without any password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database(address) => f.write_str(&address.shown),
        }
    }
}

impl Place {
    /// Reads a path, or an address.
    ///
    /// # Errors
    /// What was found in the place of an address. Nothing of it is shown that may be a part of a password.
    pub fn parse(text: OsString) -> Result<Self, String> {
        // A path need not be UTF-8.
        let Some((scheme, rest)) = text.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::File(text.into()));
        };
        if !SCHEMES.contains(&scheme) {
            return Err(format!("found the scheme {scheme:?}"));
        }
        let beyond_host = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
        if beyond_host.contains(['@', '#']) {
            let found = "found a `@` or `#` after the host; in a name or a password `/` is written %2F, `?` %3F, `#` %23, \
                         `@` %40, `%` %25";
            return Err(found.to_owned());
        }
        Address::parse(&format!("{scheme}://{rest}")).map(|address| Self::Database(Box::new(address)))
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Database(address) if address.has_password)
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, String> {
        let unread = |error: &dyn fmt::Display| format!("found an address that cannot be read: {error}");
        let url = Url::parse(text).map_err(|error| unread(&error))?;
        let mut has_password = url.password().is_some();
        for (key, _) in url.query_pairs() {
            if !PARAMETERS.contains(&&*key) && !key.starts_with("options[") {
                return Err(format!("found the parameter {key:?}; known are {}", PARAMETERS.join(", ")));
            }
            has_password |= key == "password";
        }
        // Its words show no value but that of `sslmode`.
        let mut options = PgConnectOptions::from_url(&url).map_err(|error| unread(&error))?;
        if options.get_application_name().is_none() {
            options = options.application_name("latency-server");
        }
        let mut shown = url;
        // Only an address without a host has no place for a password; then there is none.
        let _ = shown.set_password(None);
        shown.set_query(None);
        // Statements have thousands of values, whose places are all that the log would show.
        Ok(Self { shown: shown.into(), has_password, options: options.disable_statement_logging() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Result<Place, String> {
        Place::parse(text.into())
    }

    #[test]
    fn paths_and_addresses_are_told_apart() {
        for path in ["observations.db", "/data/postgres.db", "a:b", "postgres:x"] {
            assert!(matches!(parse(path), Ok(Place::File(found)) if found == Path::new(path)), "{path}");
        }
        for (address, shown) in [
            ("postgres://latency:s3cret@db.example:5433/rtt", "postgres://latency@db.example:5433/rtt"),
            ("postgresql://latency@db/rtt?sslmode=verify-full&password=s3cret", "postgresql://latency@db/rtt"),
            ("postgres://l:s3cret%2F%40@db/rtt?options[search_path]=a", "postgres://l@db/rtt"),
            ("postgres:///rtt?host=/run/postgresql", "postgres:///rtt"),
        ] {
            let place = parse(address).unwrap();
            assert_eq!((place.to_string().as_str(), format!("{place:?}").contains("s3cret")), (shown, false));
            assert_eq!(place.has_password(), address.contains("s3cret"), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_without_showing_a_password() {
        for address in [
            "mysql://latency:s3cret@db/rtt",
            "postgres://latency:12/s3cret@db/rtt",
            "postgres://latency:12?s3cret@db/rtt",
            "postgres://latency:12#s3cret@db/rtt",
            "postgres://latency:s3cret@db:port/rtt",
            "postgres://latency:s3cret@db/rtt?secret=s3cret",
            "postgres://latency:s3cret@db/rtt?sslmode=none",
            "postgres://latency:s3cret@db/rtt?port=s3cret",
        ] {
            let found = parse(address).unwrap_err();
            assert!(found.starts_with("found ") && !found.contains("s3cret"), "{found}");
        }
    }
}
