//! The program as its users run it: a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A key of 32 random bytes, used nowhere else.
pub const KEY: &str = "q0ZyS1u7Xw3vJm9dKc2RtA5pLfHbE8gNiOeVxY4T6kQ=";

/// No test waits longer for something that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The program in this folder, with nothing but these variables.
pub fn command(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latency-server"));
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.envs(std::env::var_os("LATENCY_ORT_DYLIB_PATH").map(|library| ("LATENCY_ORT_DYLIB_PATH", library)));
    command
}

/// Runs it to its end: exit code, standard output, standard error.
pub fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(folder, arguments, variables).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The program while it serves. It ends with this value.
pub struct Program {
    pub address: SocketAddr,
    /// The line after the address.
    pub greeting: String,
    child: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    pub fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::of(command(folder, arguments, variables))
    }

    /// As this command starts it.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let reader =
            thread::spawn(move || errors.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || output.next().and_then(Result::ok);
        let (listening, greeting) = (line(), line());
        let Some(address) = listening.as_deref().and_then(|line| line.strip_prefix("Listening on http://")) else {
            let _ = child.wait();
            panic!("the program does not serve: {:?}", lines.iter().collect::<Vec<_>>());
        };
        let address = address.parse().unwrap();
        Self { address, greeting: greeting.unwrap_or_default(), child, lines, reader: Some(reader) }
    }

    /// With a free port, and these variables.
    pub fn with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start(folder, &["--port", "0"], &[variables, &[("SECRET_KEY", KEY)]].concat())
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap().success());
    }

    /// The next line of the log that has these words.
    pub fn line(&self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("the log does not say {words}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it ends by itself: exit code, and the lines of the log that were not asked for yet.
    pub fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > end => panic!("the program does not end"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        (code, self.rest())
    }

    /// Ends it at once; the lines of the log that were not asked for yet.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.rest()
    }

    fn rest(&mut self) -> Vec<String> {
        self.reader.take().unwrap().join().unwrap();
        self.lines.try_iter().collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
