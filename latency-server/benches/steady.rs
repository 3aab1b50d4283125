//! Single requests at a fixed rate, each at its time whatever was answered before, and how long each took since then:
//! `cargo bench -p latency-server --bench steady -- URL BODY-FILE PER-SECOND SECONDS CONNECTIONS`. Prints JSON.
//!
//! One thread asks its connections again and again, and never sleeps: generators on asynchronous timers wake up once in a
//! millisecond, and threads that sleep wait for each other, which is more than what is measured here. It needs a core of
//! its own.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use url::Url;

type Failed = Box<dyn Error + Send + Sync>;

/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failed> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [url, body, per_second, seconds, connections] = &arguments[..] else {
        // `cargo test --benches` only wants to know that this runs.
        println!("found {} arguments; allowed: URL BODY-FILE PER-SECOND SECONDS CONNECTIONS", arguments.len());
        return Ok(());
    };
    let server = Server::new(&url.parse()?, &std::fs::read(body)?)?;
    let (per_second, seconds): (f64, f64) = (per_second.parse()?, seconds.parse()?);
    let begun = Instant::now();
    let answers = ask(&server, per_second, seconds, connections.parse()?)?;
    let took = begun.elapsed().as_secs_f64();
    let mut statuses = BTreeMap::new();
    let mut times = Vec::new();
    for (status, time) in answers {
        *statuses.entry(status).or_insert(0_u32) += 1;
        times.push(time.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    #[expect(clippy::cast_sign_loss, reason = "a share is none below 0")]
    let quantile = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    println!(
        "{}",
        json!({
            "per_second": times.len() as f64 / took, "statuses": statuses,
            "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "p999_ms": quantile(0.999), "most_ms": quantile(1.0)
        })
    );
    Ok(())
}

/// Sends every request when it is due, or when a connection is free; statuses, and times since requests were due.
fn ask(server: &Server, per_second: f64, seconds: f64, connections: usize) -> Result<Vec<(u16, Duration)>, Failed> {
    let mut free = (0..connections).map(|_| server.connect()).collect::<Result<VecDeque<_>, _>>()?;
    let mut busy = Vec::new();
    let mut answers = Vec::new();
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let due = |number: u32| start + Duration::from_secs_f64(f64::from(number) / per_second);
    let mut next = 0;
    while due(next) < end || !busy.is_empty() {
        if due(next) < end
            && due(next) <= Instant::now()
            && let Some(mut connection) = free.pop_front()
        {
            connection.stream.write_all(&server.request)?;
            busy.push((due(next), connection));
            next += 1;
        }
        let mut index = 0;
        while let Some((due, connection)) = busy.get_mut(index) {
            let Some(answer) = connection.answer()? else {
                index += 1;
                continue;
            };
            answers.push((answer.status, due.elapsed()));
            let (_, connection) = busy.swap_remove(index);
            free.push_back(if answer.is_last { server.connect()? } else { connection });
        }
        if Instant::now() > end + PATIENCE {
            return Err(format!("{} requests are not answered", busy.len()).into());
        }
    }
    Ok(answers)
}

/// Where to send which bytes.
struct Server {
    address: SocketAddr,
    request: Vec<u8>,
}

impl Server {
    fn new(url: &Url, body: &[u8]) -> Result<Self, Failed> {
        let addresses = url.socket_addrs(|| None)?;
        let address = *addresses.first().ok_or("found no address in the URL")?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            url.path(),
            body.len()
        );
        Ok(Self { address, request: [head.as_bytes(), body].concat() })
    }

    fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, received: Vec::new() })
    }
}

struct Connection {
    stream: TcpStream,
    /// What has come of the answer.
    received: Vec<u8>,
}

struct Answer {
    status: u16,
    /// Whether the server closes the connection behind it.
    is_last: bool,
}

impl Connection {
    /// The answer, if all of it has come.
    fn answer(&mut self) -> Result<Option<Answer>, Failed> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err("the connection was closed before the answer was there".into()),
            Ok(bytes) => self.received.extend_from_slice(&piece[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(&self.received)? else { return Ok(None) };
        let header = |name: &str| {
            let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let length: usize = header("Content-Length").ok_or("found no Content-Length")?.parse()?;
        if self.received.len() < start + length {
            return Ok(None);
        }
        let status = head.code.ok_or("found no status")?;
        let is_last = header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.received.clear();
        Ok(Some(Answer { status, is_last }))
    }
}
