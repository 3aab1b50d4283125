//! What traces cost a request: `cargo bench -p latency-server --bench tracing`. For counting instructions, a number of
//! requests of one kind: `valgrind --tool=callgrind PROGRAM KIND REQUESTS`.

use std::error::Error;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use latency_core::Predictor;
use latency_server::models::{Models, Source};
use latency_server::{Config, rocket};
use rocket::config::SecretKey;
use rocket::http::Header;
use rocket::local::blocking::Client;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is measured, the sampler that makes it so, and its share.
const KINDS: [(&str, &str, &str); 4] =
    [("off", "", ""), ("none", "always_off", ""), ("1%", "traceidratio", "0.01"), ("all", "always_on", "")];

const ROUNDS: usize = 41;
const REQUESTS: u32 = 500;

fn main() -> Result<()> {
    let collector = collector()?;
    let predictor = Predictor::bundled()?;
    let client = |kind: &(&str, &str, &str)| client(kind, &collector, &predictor);
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [kind, requests] = &arguments[..] {
        let kind = KINDS.iter().find(|(name, ..)| name == kind).ok_or("allowed: off, none, 1%, all")?;
        ask(&client(kind)?, requests.parse()?);
        return Ok(());
    }
    let clients = KINDS.iter().map(client).collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::with_capacity(ROUNDS); KINDS.len()];
    // In turns, so that what else the machine does hits all alike.
    for _ in 0..ROUNDS {
        for (client, times) in clients.iter().zip(&mut times) {
            let start = Instant::now();
            ask(client, REQUESTS);
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS));
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<_> = times.iter_mut().map(median).collect();
    for ((kind, ..), median) in KINDS.iter().zip(&medians) {
        println!("{kind:>5}: {median:8.2} µs for one request, {:.3} of that without traces", median / medians[0]);
    }
    Ok(())
}

fn client((_, sampler, share): &(&str, &str, &str), collector: &str, predictor: &Predictor) -> Result<Client> {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", if sampler.is_empty() { "" } else { collector }),
        ("OTEL_TRACES_SAMPLER", sampler),
        ("OTEL_TRACES_SAMPLER_ARG", share),
    ];
    let lookup =
        |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(*value));
    let secret_key = Some(SecretKey::derive_from(b"only for measurements of this server"));
    let config = Config { secret_key, ..Config::from_lookup(lookup, false)? };
    Ok(Client::untracked(rocket(&config, Models::new(predictor.clone(), Source::Bundled, None)))?)
}

fn ask(client: &Client, requests: u32) {
    for _ in 0..requests {
        let request =
            client.post("/predict").remote(([127, 0, 0, 1], 1).into()).body(r#"{"src":"London","dst":"Tokyo"}"#);
        let trace = Header::new("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        let answer = request.header(trace).dispatch();
        assert_eq!(answer.status().code, 200);
    }
}

/// A collector that takes everything: its address.
fn collector() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            thread::spawn(move || take(stream));
        }
    });
    Ok(address)
}

fn take(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or(0);
        }
        if line.is_empty() {
            stream.read_exact(&mut vec![0; length])?;
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
}
