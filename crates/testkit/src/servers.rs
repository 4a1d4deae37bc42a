//! Servers as processes: moto for S3, azurite for Azure, Debian's Prometheus, memcached and Redis.
//!
//! `make test-servers` installs them (`servers/install.sh`). Each call starts a process of its own
//! on a free port with nothing in it, waits until it listens, and ends it when dropped. A missing
//! server fails the test: nothing is skipped.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The bucket, or container, that each server starts with.
pub const BUCKET: &str = "rutile";

/// Longest wait for a server to listen: a first start on a busy machine takes seconds.
const START_WITHIN: Duration = Duration::from_secs(60);

/// The account that azurite always has, and its key: published, not a secret.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The creation of the container, signed once with that key: azurite minds no date.
const AZURE_CREATE: &str = "PUT /devstoreaccount1/rutile?restype=container HTTP/1.1\r\n\
    x-ms-date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    x-ms-version: 2021-08-06\r\n\
    Authorization: SharedKey devstoreaccount1:gFYr2+fuQmHUaKnDfyyWOLygo/lvdoeWMhvWV/PlJ4Y=\r\n";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Host and port.
    address: String,
    kind: Kind,
    /// Goes with it.
    data: Option<tempfile::TempDir>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    S3,
    Azure,
    Prometheus,
    Cache,
}

/// Ports that are tried for a server that cannot choose a free one: another process may take it first.
const PORTS: usize = 5;

/// Starts an S3 server with an empty bucket.
///
/// # Panics
/// When it is not installed or does not start.
#[must_use]
pub fn s3() -> Server {
    let program = program("moto/bin/moto_server");
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    let server = start(command, "Running on http://", Kind::S3);
    request(&server.address, &format!("PUT /{BUCKET} HTTP/1.1\r\n"));
    server
}

/// Starts an Azure blob server with an empty container.
///
/// # Panics
/// When it is not installed or does not start.
#[must_use]
pub fn azure() -> Server {
    let program = program("azurite/node_modules/.bin/azurite-blob");
    let mut command = Command::new(program);
    command
        .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
        .args(["--inMemoryPersistence", "--silent"])
        // It calls home otherwise, and refuses clients that are newer than itself.
        .args(["--disableTelemetry", "--skipApiVersionCheck"]);
    let server = start(command, "listens on http://", Kind::Azure);
    request(&server.address, AZURE_CREATE);
    server
}

/// Starts a Prometheus with an empty database and this `prometheus.yml`.
///
/// # Panics
/// When it is not installed, does not start, or refuses the configuration.
#[must_use]
pub fn prometheus(config: &str) -> Server {
    Prometheus::new().config(config).start()
}

/// How a Prometheus is started: with `prometheus.yml` and the database `data` in one folder.
#[derive(Debug, Default)]
pub struct Prometheus {
    config: Option<String>,
    folder: Option<PathBuf>,
    flags: Vec<String>,
    address: Option<String>,
    name: Option<String>,
}

impl Prometheus {
    /// On a free port, in a folder that goes with it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes this `prometheus.yml`; else there must be one.
    #[must_use]
    pub fn config(mut self, config: &str) -> Self {
        self.config = Some(config.to_owned());
        self
    }

    /// In a folder that stays.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// With another flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Where another one was that has ended.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.address = Some(address.to_owned());
        self
    }

    /// As a process of this name.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it is not installed, does not start, or refuses the configuration.
    #[must_use]
    pub fn start(self) -> Server {
        let own = self.folder.is_none();
        let own = own.then(|| made(tempfile::tempdir()));
        let given = self.folder.as_deref();
        let folder = own.as_ref().map_or(given, |own| Some(own.path()));
        let folder = folder.unwrap_or(Path::new("."));
        if let Some(config) = &self.config {
            made(fs::write(folder.join("prometheus.yml"), config));
        }
        let mut installed = program("prometheus/prometheus");
        if let Some(name) = &self.name {
            let link = folder.join(name);
            made(std::os::unix::fs::symlink(&installed, &link));
            installed = link;
        }
        let flag = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
        let address = self.address.as_deref().unwrap_or("127.0.0.1:0");
        let mut command = Command::new(installed);
        command
            .arg(format!("--web.listen-address={address}"))
            .arg(flag("config.file", "prometheus.yml"))
            .arg(flag("storage.tsdb.path", "data"))
            .args(&self.flags);
        let mut server = start(command, "msg=\"Listening on\" address=", Kind::Prometheus);
        server.data = own;
        server
    }
}

/// What the start of a Prometheus needs of the disk.
fn made<T>(result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("cannot make a folder for Prometheus: {error}"))
}

/// Starts an empty memcached.
///
/// # Panics
/// When it is not installed or does not start.
#[must_use]
pub fn memcached() -> Server {
    on_a_free_port("server listening", |port| {
        let mut command = Command::new("memcached");
        command.args(["-vv", "-l", "127.0.0.1", "-p", port, "-U", "0"]);
        // As root it wants to be told whom to become.
        command.args(["-u", "nobody"]);
        command
    })
}

/// Starts an empty Redis that keeps nothing on disk, with these further arguments.
///
/// # Panics
/// When it is not installed or does not start.
#[must_use]
pub fn redis(further: &[&str]) -> Server {
    on_a_free_port("Ready to accept connections", |port| {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", port])
            .args(["--save", "", "--appendonly", "no"])
            .args(further);
        command
    })
}

fn on_a_free_port(ready: &'static str, command: impl Fn(&str) -> Command) -> Server {
    let mut last = String::new();
    for _ in 0..PORTS {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let free = free.unwrap_or_else(|error| panic!("there is no free port: {error}"));
        match try_start(command(&free.port().to_string()), ready, Kind::Cache) {
            Ok(mut server) => {
                server.address = free.to_string();
                return server;
            }
            Err(message) => last = message,
        }
    }
    panic!("{last}");
}

impl Server {
    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The `objstore.config` for its bucket.
    ///
    /// # Panics
    /// When it has no bucket.
    #[must_use]
    pub fn objstore_config(&self) -> String {
        let address = &self.address;
        match self.kind {
            Kind::S3 => format!(
                "type: S3\nconfig:\n  bucket: {BUCKET}\n  endpoint: {address}\n  insecure: true\n  \
                 access_key: test\n  secret_key: test\n  region: us-east-1\n"
            ),
            Kind::Azure => format!(
                "type: AZURE\nconfig:\n  container: {BUCKET}\n  storage_account: {AZURE_ACCOUNT}\n  \
                 storage_connection_string: \"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};\
                 BlobEndpoint=http://{address}/{AZURE_ACCOUNT}\"\n"
            ),
            Kind::Prometheus | Kind::Cache => panic!("{self:?} is no object storage"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
        drop(self.data.take());
    }
}

/// An installed program below `target/servers`.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn program(path: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |target| workspace.join(target));
    let program = target.join("servers").join(path);
    match fs::canonicalize(&program) {
        Ok(program) => program,
        Err(error) => panic!(
            "the test server {} is not there ({error}): run `make test-servers`",
            program.display()
        ),
    }
}

fn start(command: Command, before: &'static str, kind: Kind) -> Server {
    try_start(command, before, kind).unwrap_or_else(|message| panic!("{message}"))
}

/// Starts a server and waits for the line in which it tells its address, after `before`; an error if it does not.
#[expect(
    clippy::disallowed_methods,
    reason = "a server's output must be read while tests run"
)]
fn try_start(mut command: Command, before: &'static str, kind: Kind) -> Result<Server, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env("PYTHONUNBUFFERED", "1");
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Err(format!(
                "cannot start {command:?}: {error}: run `make test-servers`"
            ));
        }
    };
    let (sender, receiver) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        // Reads to the end, so that the server never waits for room in the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once(before) {
                    // Only the first line has a receiver.
                    sender.send(address.trim().to_owned()).ok();
                }
            }
        });
    }
    drop(sender);
    let address = receiver.recv_timeout(START_WITHIN);
    let server = Server {
        child,
        address: address.clone().unwrap_or_default(),
        kind,
        data: None,
    };
    match address {
        Ok(_) => Ok(server),
        Err(error) => Err(format!("{command:?} does not tell its address: {error}")),
    }
}

/// Sends a request without a body and expects success.
fn request(address: &str, head: &str) {
    let send = || {
        let mut stream = TcpStream::connect(address)?;
        let rest = format!("Host: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(format!("{head}{rest}").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    match send() {
        Ok(answer) if answer.contains(" 20") => {}
        other => panic!("the test server at {address} does not create its bucket: {other:?}"),
    }
}
