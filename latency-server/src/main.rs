//! `latency-server`: see `--help`.

use std::process::ExitCode;

use latency_server::start::{self, Command};
use latency_server::tokens::{Scopes, check_name};
use lexopt::prelude::*;

fn main() -> ExitCode {
    match command() {
        Ok(command) => start::run(command),
        Err(error) => {
            eprintln!("{error}; `latency-server --help` lists the flags");
            ExitCode::from(start::CONFIG_ERROR)
        }
    }
}

fn command() -> Result<Command, lexopt::Error> {
    let mut command = Command::Serve;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("check-config") => command = Command::CheckConfig,
            Value(word) if word == "token" => return token(&mut arguments),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(command)
}

fn token(arguments: &mut lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut name, mut scopes) = (None, Scopes::PREDICT);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("scope") => scopes = arguments.value()?.parse()?,
            Value(value) if name.is_none() => name = Some(value.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    let name = name.ok_or("token: found no name; allowed: latency-server token NAME [--scope admin,predict]")?;
    check_name(&name)?;
    Ok(Command::Token { name, scopes })
}
