//! From the command line to a running server.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::tokio::runtime;

use crate::config::{self, Config};
use crate::logging;
use crate::models::Models;
use crate::tokens::{self, Scopes};

/// Exit code of a configuration or a command line that cannot be used; everything else that fails exits with 1.
pub const CONFIG_ERROR: u8 = 2;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve,
    /// Read the configuration, load the model, and say whether all is well.
    CheckConfig,
    /// Make a bearer token of this name, and the line for the file that knows it.
    Token {
        /// Its name, for the log.
        name: String,
        /// What it allows.
        scopes: Scopes,
    },
    /// Show the flags and the variables.
    Help,
    /// Show the version.
    Version,
}

/// Does what the command line asks for.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Token { name, scopes } => match tokens::make(&name, scopes) {
            Ok((token, line)) => {
                println!("The token, which is shown this once:\n{token}\n\nIts line for LATENCY_TOKENS_FILE:\n{line}");
            }
            Err(message) => {
                eprintln!("latency-server: {message}");
                return ExitCode::FAILURE;
            }
        },
        Command::Help => print!("{}", help()),
        Command::Version => println!("latency-server {}", env!("CARGO_PKG_VERSION")),
        Command::Serve | Command::CheckConfig => {
            if let Err(Stop { message, code }) = serve(command == Command::CheckConfig) {
                eprintln!("latency-server: {message}");
                return ExitCode::from(code);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Why the server does not run.
struct Stop {
    message: String,
    code: u8,
}

impl Stop {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

impl From<config::ConfigError> for Stop {
    fn from(error: config::ConfigError) -> Self {
        Self { message: error.to_string(), code: CONFIG_ERROR }
    }
}

fn serve(check_only: bool) -> Result<(), Stop> {
    config::load_dot_env(Path::new(".env"))?;
    let config = Config::from_env()?;
    logging::start(config.log_level);
    let models = config.load_models().map_err(|error| {
        log::debug!("{error:?}");
        Stop::new(format!("cannot start: {error}"))
    })?;
    if check_only {
        println!("{}", found_good(&config, &models));
        return Ok(());
    }
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::new(format!("cannot start threads: {error}")))?;
    let rocket = crate::rocket(&config, models).attach(AdHoc::on_liftoff("greeting", |rocket| {
        Box::pin(async move {
            // The port that the system chose, if 0 was asked for.
            let config = rocket.config();
            let greeting = greeting(SocketAddr::new(config.address, config.port), config.tls_enabled());
            // Whoever started it may have stopped listening.
            let _ = writeln!(io::stdout(), "{greeting}");
        })
    }));
    let served = runtime.block_on(rocket.launch());
    // Rocket has given requests their time to finish; a large batch that still runs has no one to answer.
    runtime.shutdown_background();
    match served {
        Ok(_) => Ok(()),
        Err(error) => Err(Stop::new(match error.kind() {
            // Of the certificates, by their words; of the socket, by number.
            ErrorKind::Bind(error) if error.raw_os_error().is_none() => {
                format!("LATENCY_TLS_CERT, LATENCY_TLS_KEY or LATENCY_TLS_CLIENT_CA: {error}")
            }
            ErrorKind::Bind(error) => format!(
                "cannot listen on {}: {error}; stop what listens there, or choose another LATENCY_PORT or LATENCY_ADDRESS",
                SocketAddr::new(config.address, config.port)
            ),
            kind => format!("cannot start: {kind}"),
        })),
    }
}

fn found_good(config: &Config, models: &Models) -> String {
    let served = models.default_slot().served();
    let model = served.predictor.model_info();
    format!(
        "The configuration is good: model {} {}, to listen on {}",
        model.name,
        model.version,
        SocketAddr::new(config.address, config.port)
    )
}

fn greeting(bound: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let mut local = bound;
    if bound.ip().is_unspecified() {
        local.set_ip(if bound.is_ipv4() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
        });
    }
    format!(
        "Listening on {scheme}://{bound}\nTry: curl {scheme}://{local}/predict -d '{{\"src\": \"London\", \"dst\": \"Tokyo\"}}'"
    )
}

fn help() -> String {
    let mut help = String::from(
        "Predicts network latency (RTT) over HTTP.\n\n\
         Usage: latency-server [--check-config | --help | --version]\n       \
         latency-server token NAME [--scope admin,predict]\n\n  \
         token NAME      make a bearer token, and the line for the file that knows it\n  \
         --scope LIST    what it allows: predict (default), admin, or both with a comma\n  \
         --check-config  read the configuration, load the model, say whether all is well, and exit\n  \
         --help, -h      show this\n  \
         --version, -V   show the version\n\n\
         Configured by environment variables, or by lines NAME=value in a file .env in the working directory:\n",
    );
    for variable in config::VARIABLES {
        // Writing to a string cannot fail.
        let _ = write!(
            help,
            "\n  {}\n      {}; allowed: {}; default: {}\n",
            variable.name, variable.purpose, variable.allowed, variable.default
        );
    }
    help.push_str("\nExit codes: 0 stopped as asked, 1 cannot run, 2 configuration or flags cannot be used.\n");
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_names_an_address_that_can_be_called() {
        for (bound, expected) in [
            ("127.0.0.1:5000", "curl http://127.0.0.1:5000/predict"),
            ("0.0.0.0:80", "curl http://127.0.0.1:80/predict"),
            ("[::]:80", "curl http://[::1]:80/predict"),
        ] {
            let greeting = greeting(bound.parse().unwrap(), false);
            assert!(greeting.starts_with(&format!("Listening on http://{bound}\n")), "{greeting}");
            assert!(greeting.contains(expected), "{greeting}");
        }
    }

    #[test]
    fn help_names_every_variable() {
        let help = help();
        assert!(config::VARIABLES.iter().all(|variable| help.contains(variable.name)));
    }
}
