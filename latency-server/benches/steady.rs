//! Single requests at a fixed rate, each at its time whatever was answered before, and how long each took since then:
//! `cargo bench -p latency-server --bench steady -- URL BODY-FILE PER-SECOND SECONDS CONNECTIONS`. Prints JSON.
//!
//! A thread for each connection sleeps until its next request is due, so that times are true to some 0.1 ms; generators
//! on asynchronous timers wake up once in a millisecond, which is more than what is measured here.

use std::collections::BTreeMap;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use ureq::Agent;

type Times = Vec<(u16, Duration)>;

struct Load {
    url: String,
    body: Vec<u8>,
    per_second: f64,
    seconds: f64,
    connections: u32,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [url, body, per_second, seconds, connections] = &arguments[..] else {
        // `cargo test --benches` only wants to know that this runs.
        println!("found {} arguments; allowed: URL BODY-FILE PER-SECOND SECONDS CONNECTIONS", arguments.len());
        return Ok(());
    };
    let load = Load {
        url: url.clone(),
        body: std::fs::read(body)?,
        per_second: per_second.parse()?,
        seconds: seconds.parse()?,
        connections: connections.parse()?,
    };
    let start = Instant::now() + Duration::from_millis(100);
    let found: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections)
            .map(|number| {
                scope.spawn({
                    let load = &load;
                    move || load.send(number, start)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread ends without a panic")).collect()
    });
    let took = start.elapsed().as_secs_f64();
    let mut statuses = BTreeMap::new();
    let mut times = Vec::new();
    for (status, time) in found.into_iter().collect::<Result<Vec<_>, _>>()?.concat() {
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

impl Load {
    /// Every request of one connection; the connections take turns.
    fn send(&self, number: u32, start: Instant) -> Result<Times, Box<dyn Error + Send + Sync>> {
        let agent = Agent::new_with_config(Agent::config_builder().http_status_as_error(false).build());
        let mut times = Times::new();
        for turn in 0_u32.. {
            let due = (f64::from(turn) * f64::from(self.connections) + f64::from(number)) / self.per_second;
            if due >= self.seconds {
                break;
            }
            let due = start + Duration::from_secs_f64(due);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut answer = agent.post(&self.url).content_type("application/json").send(&self.body[..])?;
            answer.body_mut().read_to_vec()?;
            times.push((answer.status().as_u16(), due.elapsed()));
        }
        Ok(times)
    }
}
