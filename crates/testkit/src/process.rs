//! A component as a process of its own.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

/// A running component; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Host and port of its HTTP server.
    pub http: String,
    /// Host and port of its gRPC server.
    pub grpc: String,
    lines: Lines<BufReader<ChildStderr>>,
    /// Goes with it.
    data: Option<TempDir>,
}

impl Process {
    /// Starts it and waits until it is ready. The log tells the addresses.
    ///
    /// # Panics
    /// When it does not start, or ends before it is ready.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child = match command.stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {command:?}: {error}"),
        };
        let Some(output) = child.stderr.take() else {
            panic!("{command:?} has no log");
        };
        let mut lines = BufReader::new(output).lines();
        let (mut http, mut grpc, mut ready, mut log) = (None, None, false, String::new());
        loop {
            if let (Some(http), Some(grpc), true) = (&http, &grpc, ready) {
                let (http, grpc) = (String::clone(http), String::clone(grpc));
                return Self {
                    child,
                    http,
                    grpc,
                    lines,
                    data: None,
                };
            }
            let Some(Ok(line)) = lines.next() else {
                panic!("it ended before it was ready: {log}");
            };
            ready |= line.contains("status=ready");
            let address = || line.split("address=").nth(1).map(str::to_owned);
            if line.contains("requests and metrics") {
                http = address();
            } else if line.contains("serving gRPC") {
                grpc = address();
            }
            log += &line;
        }
    }

    /// The same, with a folder that goes with it.
    #[must_use]
    pub fn with_data(mut self, data: TempDir) -> Self {
        self.data = Some(data);
        self
    }

    /// The whole answer to a request without a body, from its status line on.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str) -> String {
        let asked = || {
            let mut stream = TcpStream::connect(&self.http)?;
            let rest = "Host: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(format!("{method} {path} HTTP/1.1\r\n{rest}").as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        match asked() {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// The same of a GET that succeeds.
    ///
    /// # Panics
    /// When it does not.
    pub fn get(&self, path: &str) -> String {
        let answer = self.ask("GET", path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        answer
    }

    /// Whether it says that it is ready.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ask("GET", "/-/ready").starts_with("HTTP/1.1 200 ")
    }

    /// Whether a metric without labels has this value.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn has_metric(&self, name: &str, value: u64) -> bool {
        let line = format!("{name} {value}");
        let text = self.ask("GET", "/metrics");
        text.lines().any(|shown| shown == line)
    }

    /// The next line of the log with this text.
    ///
    /// # Panics
    /// When the log ends without one.
    pub fn logged(&mut self, text: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        match lines.find(|line| line.contains(text)) {
            Some(line) => line,
            None => panic!("the log ends without {text:?}"),
        }
    }

    /// Ends it as a person would, and returns its exit code and the rest of its log.
    ///
    /// # Panics
    /// When it cannot be told.
    #[must_use]
    pub fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "cannot end {id}");
        let rest: Vec<_> = self.lines.by_ref().map_while(Result::ok).collect();
        let status = self.child.wait();
        (
            status.ok().and_then(|status| status.code()),
            rest.join("\n"),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        drop(self.data.take());
    }
}
