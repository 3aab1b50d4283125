//! The command line: what to do, and flags for everything that can be set.

use std::collections::BTreeMap;
use std::ffi::OsString;

use lexopt::prelude::*;

use crate::settings::{flag, meant};
use crate::tokens::{Scopes, check_name};
use crate::variables::{VARIABLES, Variable};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve,
    /// Read the configuration, load the model, and say whether all is well.
    CheckConfig,
    /// Ask the server that runs whether it is ready.
    Health,
    /// Make a bearer token of this name, and the line for the file that knows it.
    Token {
        /// Its name, for the log.
        name: String,
        /// What it allows.
        scopes: Scopes,
    },
    /// Read a file of Parquet for the server that started this process.
    ReadParquet {
        /// How many bytes it has.
        length: u64,
        /// The columns whose cells are read.
        columns: Vec<String>,
    },
    /// Show the flags and the variables.
    Help,
    /// Show the version.
    Version,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// What it asks for.
    pub command: Command,
    /// Values by the names of the variables that they are for.
    pub flags: BTreeMap<&'static str, OsString>,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Arguments that nobody knows, or flags without a value.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut found = Self { command: Command::Serve, flags: BTreeMap::new() };
        let mut arguments = lexopt::Parser::from_args(arguments);
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(Self { command: Command::Help, ..found }),
                Short('V') | Long("version") => return Ok(Self { command: Command::Version, ..found }),
                Long("check-config") => found.command = Command::CheckConfig,
                Value(ref word) if word == "health" && found.command == Command::Serve => {
                    found.command = Command::Health;
                }
                Value(ref word) if word == "read-parquet" && found.command == Command::Serve => {
                    found.command = read_parquet(&mut arguments)?;
                    return Ok(found);
                }
                Value(ref word) if word == "token" && found.command == Command::Serve => {
                    found.command = token(&mut arguments)?;
                    return Ok(found);
                }
                Long(name) => {
                    let variable =
                        VARIABLES.iter().find(|variable| flag(variable.name).is_some_and(|flag| flag == name));
                    let Some(variable) = variable else { return Err(unknown(name).into()) };
                    let value = arguments.value()?;
                    found.flags.insert(variable.name, value);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(found)
    }
}

fn token(arguments: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut name, mut scopes) = (None, Scopes::PREDICT);
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("scope") => scopes = arguments.value()?.parse()?,
            Value(value) if name.is_none() => name = Some(value.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    let name = name.ok_or("token: found no name; allowed: latency-server token NAME [--scope admin,predict]")?;
    check_name(&name)?;
    Ok(Command::Token { name, scopes })
}

fn read_parquet(arguments: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (length, mut columns) = (arguments.value()?.parse()?, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(column) => columns.push(column.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::ReadParquet { length, columns })
}

fn unknown(name: &str) -> String {
    let hidden = VARIABLES.iter().find(|variable| {
        flag(variable.name).is_none() && crate::settings::key(variable.name).replace('_', "-") == name
    });
    if let Some(Variable { name, .. }) = hidden {
        return format!("a secret is no flag, since everybody on the machine sees command lines; set {name}");
    }
    let flags: Vec<_> = VARIABLES.iter().filter_map(|variable| flag(variable.name)).collect();
    let known = flags.iter().map(String::as_str).chain(["help", "version", "check-config"]);
    let meant = meant(name, known).map(|meant| format!("; did you mean --{meant}?")).unwrap_or_default();
    format!("found the flag --{name}{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_those_of_the_variables() {
        let found = parse("--port 80 --model=a.onnx --check-config --config c.toml --port 81").unwrap();
        let flags = [("LATENCY_CONFIG", "c.toml"), ("LATENCY_MODEL", "a.onnx"), ("LATENCY_PORT", "81")];
        assert_eq!(found.flags, flags.map(|(name, value)| (name, OsString::from(value))).into());
        assert_eq!(found.command, Command::CheckConfig);
        for (line, command) in [
            ("", Command::Serve),
            ("health --port 80", Command::Health),
            ("--port 80 -h", Command::Help),
            ("-V", Command::Version),
            (
                "read-parquet 700 -- src dst --lat",
                Command::ReadParquet { length: 700, columns: ["src", "dst", "--lat"].map(str::to_owned).into() },
            ),
        ] {
            assert_eq!(parse(line).unwrap().command, command, "{line}");
        }
    }

    #[test]
    fn what_nobody_knows_is_named() {
        for (line, words) in [
            ("--prot 80", "found the flag --prot; did you mean --port?"),
            ("--nothing-like-that", "found the flag --nothing-like-that"),
            ("--secret-key x", "set SECRET_KEY"),
            ("--port", "missing argument for option '--port'"),
            ("serve", "unexpected argument \"serve\""),
            ("health health", "unexpected argument \"health\""),
            ("-x", "invalid option '-x'"),
        ] {
            assert!(parse(line).unwrap_err().contains(words), "{line}: {}", parse(line).unwrap_err());
        }
    }
}
