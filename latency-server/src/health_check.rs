//! `latency-server health`: asks the server that runs with this configuration whether it is ready. For containers,
//! which have no other program to ask with.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that does not answer for so long is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the server at this address is ready.
///
/// # Errors
/// Why it is not, in words.
pub fn ask(address: SocketAddr) -> Result<(), String> {
    let line = status_line(address).map_err(|error| format!("no answer from http://{address}/ready: {error}"))?;
    // `HTTP/1.1 200 OK`
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("http://{address}/ready answers {line:?}; allowed: 200")),
    }
}

fn status_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /ready HTTP/1.1\r\nHost: {address}\r\nUser-Agent: latency-server health\r\nConnection: close\r\n\r\n"
    )?;
    // All of it, so that the server does not find the connection broken.
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
