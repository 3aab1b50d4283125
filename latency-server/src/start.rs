//! From the command line to a running server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::tokio::runtime::{self, Runtime};

use crate::arguments::{Arguments, Command};
use crate::config::{Config, ConfigError};
use crate::models::Models;
use crate::observations;
use crate::parquet::reader;
use crate::settings::{self, Origin, Settings};
use crate::spans::Spans;
use crate::tokens::{self, Scopes};
use crate::variables::{VARIABLES, Variable};
use crate::{health_check, logging, stopping};

/// Exit code of a configuration or a command line that cannot be used; everything else that fails exits with 1.
pub const CONFIG_ERROR: u8 = 2;

/// Does what the command line asks for.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let Arguments { command, flags } = arguments;
    let done = match command {
        Command::Help => {
            print!("{}", help());
            Ok(())
        }
        Command::Version => {
            println!("latency-server {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::Token { name, scopes } => token(&name, scopes),
        Command::ReadParquet { length, columns } => return reader::run(length, &columns),
        Command::Health => health(flags),
        Command::CheckConfig => check_config(flags),
        Command::Serve => serve(flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop { message, code }) => {
            eprintln!("latency-server: {message}");
            ExitCode::from(code)
        }
    }
}

fn token(name: &str, scopes: Scopes) -> Result<(), Stop> {
    let (token, line) = tokens::make(name, scopes).map_err(Stop::new)?;
    println!("The token, which is shown this once:\n{token}\n\nIts line for LATENCY_TOKENS_FILE:\n{line}");
    Ok(())
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

impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Self {
        Self { message: error.to_string(), code: CONFIG_ERROR }
    }
}

type Flags = BTreeMap<&'static str, OsString>;

fn health(flags: Flags) -> Result<(), Stop> {
    // It needs no secret to ask.
    let config = Settings::read(flags)?.config(false)?;
    if config.tls.is_some() {
        return Err(Stop::new(
            "`health` speaks plain HTTP, and this server HTTPS; ask its /ready with a program that has its certificate",
        ));
    }
    health_check::ask(reachable(SocketAddr::new(config.address, config.port))).map_err(Stop::new)
}

fn check_config(flags: Flags) -> Result<(), Stop> {
    let (settings, config) = configure(flags)?;
    let models = load_models(&settings, &config)?;
    if let Some(trouble) = check_observations(&config, &start_runtime()?)? {
        log::warn!("{trouble}");
    }
    print!("{}", settings.table());
    println!("{}", found_good(&config, &models));
    Ok(())
}

/// Reads the configuration, and starts the log that it asks for.
fn configure(flags: Flags) -> Result<(Settings, Config), Stop> {
    let settings = Settings::read(flags)?;
    let config = settings.config(!cfg!(debug_assertions))?;
    logging::start(config.log_level, config.log_format);
    for warning in settings.warnings() {
        log::warn!("{warning}");
    }
    Ok((settings, config))
}

fn load_models(settings: &Settings, config: &Config) -> Result<Models, Stop> {
    // What the environment says, the core finds by itself, and says so if it is of no use.
    let in_environment = settings.origin("LATENCY_ORT_DYLIB_PATH") == Some(&Origin::Environment);
    let loaded = if in_environment {
        Config { ort_library: None, ..config.clone() }.load_models()
    } else {
        config.load_models()
    };
    loaded.map_err(|error| {
        log::debug!("{error:?}");
        Stop::new(format!("cannot start: {error}"))
    })
}

fn start_runtime() -> Result<Runtime, Stop> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Stop::new(format!("cannot start threads: {error}")))
}

/// Whether observations can be stored; why the server would wait for that, if it would.
fn check_observations(config: &Config, runtime: &Runtime) -> Result<Option<String>, Stop> {
    let Some(settings) = &config.observations else { return Ok(None) };
    runtime.block_on(observations::check(settings)).map_err(Stop::new)
}

fn serve(flags: Flags) -> Result<(), Stop> {
    let (settings, config) = configure(flags)?;
    let runtime = start_runtime()?;
    let no_signals = |error| Stop::new(format!("cannot handle signals: {error}"));
    let hangups = {
        let _in_runtime = runtime.enter();
        stopping::hangups().map_err(no_signals)?
    };
    let models = load_models(&settings, &config)?;
    check_observations(&config, &runtime)?;
    let rocket = crate::rocket(&config, models).attach(AdHoc::on_liftoff("greeting", |rocket| {
        Box::pin(async move {
            // The port that the system chose, if 0 was asked for.
            let config = rocket.config();
            let greeting = greeting(SocketAddr::new(config.address, config.port), config.tls_enabled());
            // Whoever started it may have stopped listening.
            let _ = writeln!(io::stdout(), "{greeting}");
        })
    }));
    let mut spans = None;
    let served = runtime.block_on(async {
        let rocket = rocket.ignite().await?;
        spans = rocket.state::<Spans>().cloned();
        match stopping::watch(&rocket, hangups, config.drain) {
            Ok(()) => rocket.launch().await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    });
    // Rocket has given requests their time to finish; a large batch that still runs has no one to answer.
    runtime.shutdown_background();
    if let Some(spans) = spans {
        spans.stop();
    }
    match served {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(no_signals(error)),
        // Whoever was still sending or reading when the time was over.
        Err(error) if matches!(error.kind(), ErrorKind::Shutdown(..)) => {
            log::warn!("connections were cut off: they were not closed in the time given by LATENCY_GRACE_SECONDS");
            Ok(())
        }
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
    let model = models.default_slot().served().map(|served| {
        let info = served.predictor.model_info();
        format!("model {} {}, ", info.name, info.version)
    });
    let address = SocketAddr::new(config.address, config.port);
    format!("The configuration is good: {}to listen on {address}", model.unwrap_or_default())
}

/// Where to call a server that listens here.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let local: IpAddr = match bound {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(if bound.ip().is_unspecified() { local } else { bound.ip() }, bound.port())
}

fn greeting(bound: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let local = reachable(bound);
    format!(
        "Listening on {scheme}://{bound}\nTry: curl {scheme}://{local}/predict -d '{{\"src\": \"London\", \"dst\": \"Tokyo\"}}'"
    )
}

fn help() -> String {
    let mut help = String::from(
        "Predicts network latency (RTT) over HTTP.\n\n\
         Usage: latency-server [health] [--check-config | --help | --version] [--NAME VALUE …]\n       \
         latency-server token NAME [--scope admin,predict]\n\n  \
         token NAME      make a bearer token, and the line for the file that knows it\n  \
         --scope LIST    what it allows: predict (default), admin, or both with a comma\n  \
         health          ask the server that runs with this configuration whether it is ready, and exit\n  \
         --check-config  read the configuration, load the model, show both, and exit\n  \
         --help, -h      show this\n  \
         --version, -V   show the version\n\n\
         Configured by flags, else by environment variables, else by lines NAME=value in a file .env in the working\n\
         directory, else by a TOML file with keys such as port = 5000, else by defaults:\n",
    );
    for Variable { name, purpose, allowed, default } in VARIABLES {
        let flag = settings::flag(name).map(|flag| format!(", --{flag}")).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(help, "\n  {name}{flag}\n      {purpose}; allowed: {allowed}; default: {default}\n");
    }
    help.push_str(
        "\nExit codes: 0 stopped as asked, or healthy; 1 cannot run, or not healthy; 2 configuration or flags cannot be\n\
         used; 130 or 143 told twice to stop (SIGINT, SIGTERM).\n",
    );
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
        assert!(VARIABLES.iter().all(|variable| help.contains(variable.name)));
    }
}
