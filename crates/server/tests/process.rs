//! A whole process: flags, start, probes, signals, exit codes.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;
use rutile_testkit::certificates::Authority;

/// The example, which cargo builds beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/minimal")
}

fn ended(args: &[&str]) -> Output {
    Command::new(program()).args(args).output().unwrap()
}

fn check_end(args: &[&str], code: i32, text: &str) {
    let output = ended(args);
    let shown = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {shown}");
    assert!(shown.contains(text), "{args:?}: {shown}");
}

const FREE: [&str; 2] = ["--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"];

#[test]
fn exit_codes() {
    check_end(&["--version"], 0, "rutile-minimal version ");
    check_end(&["--help"], 0, "--grpc-grace-period");
    check_end(&["--htp-address=x"], 2, "--http-address");
    check_end(
        &["--http.config=/nowhere/web.yml"],
        1,
        "the file /nowhere/web.yml of --http.config cannot be read",
    );
    check_end(
        &[FREE[0], "--grpc-server-tls-cert=x"],
        2,
        "set both or none",
    );
    let [cert, key] = ["cert", "key"].map(|of| format!("--grpc-server-tls-{of}=/nowhere/{of}"));
    check_end(
        &[FREE[0], &cert, &key],
        1,
        "/nowhere/cert of --grpc-server-tls-cert cannot be read",
    );
    // Where systemd is, it would be taken.
    let journal = UnixDatagram::unbound().unwrap();
    if journal.connect("/run/systemd/journal/socket").is_err() {
        let told = "use logfmt or json where systemd is not";
        check_end(&["--log.format=journald"], 2, told);
    }
    check_end(&["--memory.limit=0B"], 2, "--memory.limit is 0 bytes");
    check_end(&["--memory.limit=15MB"], 2, "at least 16 MiB");
    check_end(
        &[FREE[0], FREE[1], "--fail=no bucket"],
        1,
        "err=\"no bucket\"",
    );
    let bad = ["--http-address=127.0.0.1:0", "--grpc-address=300.0.0.1:0"];
    check_end(&bad, 1, "change --grpc-address");
}

/// A running process; killed if a test fails.
struct Running {
    child: Child,
    http: String,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        Self::of(Command::new(program()), args)
    }

    fn of(mut command: Command, args: &[&str]) -> Self {
        let mut child = command
            .args(FREE)
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // The lines come in any order.
        let (mut http, mut grpc, mut ready) = (None, false, false);
        while http.is_none() || !grpc || !ready {
            let line = lines
                .next()
                .expect("the process says that it is ready")
                .unwrap();
            ready |= line.contains("status=ready");
            grpc |= line.contains("serving gRPC");
            if line.contains("requests and metrics") {
                http = line.split("address=").nth(1).map(str::to_owned);
            }
        }
        let http = http.unwrap();
        Self { child, http, lines }
    }

    fn wait_for(&mut self, text: &str) {
        self.log_until(text);
    }

    /// The log up to the line that has this text.
    fn log_until(&mut self, text: &str) -> String {
        let mut log = String::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            log.push_str(&line);
            if line.contains(text) {
                return log;
            }
        }
        panic!("no line has {text}: {log}");
    }

    fn get(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.bytes(path)).into_owned()
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_process_starts_serves_and_drains() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Running::start(&["--log.level=debug"]);
        assert!(process.get("/-/ready").starts_with("HTTP/1.1 200 OK"));
        process.signal("-HUP");
        let metrics = process.get("/metrics");
        for name in [
            "thanos_status{check=\"ready\",component=\"minimal\"} 1",
            "thanos_build_info{",
            "go_memstats_alloc_bytes ",
            "go_goroutines ",
            "process_resident_memory_bytes ",
            "rutile_memory_limit_bytes ",
            "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Check\",\
             grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"} 0",
        ] {
            assert!(metrics.contains(name), "{name} in {metrics}");
        }
        let profile = process.get("/debug/pprof/heap");
        assert!(profile.starts_with("HTTP/1.1 200 OK"), "{profile}");
        process.signal(signal);
        let log = process.log_until("exiting");
        assert!(!log.contains("outlived the grace period"), "{log}");
        assert_eq!(process.child.wait().unwrap().code(), Some(0));
    }
}

/// curl is a client of another making.
#[test]
fn a_web_configuration_turns_on_tls_users_and_headers() {
    let authority = Authority::new();
    let server = authority.issue("server", "IP:127.0.0.1");
    let client = authority.issue("client", "DNS:client.test");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    let tls = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
         client_auth_type: RequireAndVerifyClientCert\n",
        server.certificate.display(),
        server.key.display(),
        authority.certificate().display()
    );
    let hash = bcrypt::hash("secret", 4).unwrap();
    let users = format!("basic_auth_users: {{alice: {hash}}}\n");
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    std::fs::write(&file, format!("{tls}{users}{headers}")).unwrap();

    let process = Running::start(&[&format!("--http.config={}", file.display())]);
    let curl = |args: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--include",
                "--max-time",
                "60",
                "--cacert",
            ])
            .arg(authority.certificate())
            .args(args)
            .arg(format!("https://{}/-/ready", process.http));
        let output = command.output().unwrap();
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), shown)
    };
    let (cert, key) = (
        client.certificate.to_str().unwrap(),
        client.key.to_str().unwrap(),
    );
    let check = |args: &[&str], status: &str| {
        let (done, shown) = curl(&[&["--cert", cert, "--key", key], args].concat());
        assert!(done && shown.starts_with(status), "{args:?}: {shown}");
        shown
    };
    let alice = ["--user", "alice:secret"];
    let shown = check(&alice, "HTTP/2 200");
    assert!(shown.contains("x-frame-options: deny"), "{shown}");
    check(&[&alice[..], &["--http1.1"]].concat(), "HTTP/1.1 200");
    check(&[&alice[..], &["--tls-max", "1.2"]].concat(), "HTTP/2 200");
    let shown = check(&[], "HTTP/2 401");
    assert!(shown.contains("www-authenticate: Basic"), "{shown}");
    check(&["--user", "alice:wrong"], "HTTP/2 401");
    let (done, shown) = curl(&alice);
    assert!(!done, "without a certificate: {shown}");

    std::fs::write(&file, &tls).unwrap();
    check(&[], "HTTP/2 200");
}

#[test]
fn a_second_signal_ends_the_drain() {
    let mut process = Running::start(&["--log.level=debug"]);
    // A request that never ends keeps the drain going.
    let mut open = TcpStream::connect(&process.http).unwrap();
    write!(open, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    process.wait_for("hanging");
    process.signal("-TERM");
    process.wait_for("caught signal");
    process.signal("-INT");
    process.wait_for("caught a second signal");
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
}

/// Nothing of the process gets a turn, and yet it ends.
#[test]
fn signals_are_heard_by_a_process_whose_threads_are_all_busy() {
    let mut command = Command::new(program());
    // One thread, so that one request takes them all: a second request might reach nobody.
    command.env("TOKIO_WORKER_THREADS", "1");
    let mut process = Running::of(command, &["--log.level=debug"]);
    let mut open = TcpStream::connect(&process.http).unwrap();
    write!(open, "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    process.wait_for("busy for good");
    process.signal("-TERM");
    process.wait_for("caught signal");
    process.signal("-TERM");
    process.wait_for("caught a second signal");
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
    drop(open);
}

/// What busies the process is in its profile; another one at the same time is refused.
#[test]
fn a_cpu_profile_names_the_functions_that_run() {
    let process = Running::start(&[]);
    let done = AtomicBool::new(false);
    let [profile, refused] = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                process.get("/metrics");
            }
        });
        let take = || process.bytes("/debug/pprof/profile?seconds=2");
        let mut answers = [threads.spawn(take), threads.spawn(take)].map(|one| one.join().unwrap());
        done.store(true, Ordering::Relaxed);
        // Either may have come first: "200" sorts before "409".
        answers.sort();
        answers
    });
    let refused = String::from_utf8_lossy(&refused);
    assert!(refused.starts_with("HTTP/1.1 409 "), "{refused}");
    assert!(refused.contains("another CPU profile"), "{refused}");
    assert!(profile.starts_with(b"HTTP/1.1 200 OK"));
    let body = profile.windows(4).position(|window| window == b"\r\n\r\n");
    let mut message = Vec::new();
    GzDecoder::new(&profile[body.unwrap() + 4..])
        .read_to_end(&mut message)
        .unwrap();
    let message = String::from_utf8_lossy(&message);
    for name in [
        "nanoseconds",
        "examples/minimal",
        "rutile_server::http::show_metrics",
    ] {
        assert!(message.contains(name), "{name} is not in the profile");
    }
    assert!(
        process
            .get("/debug/pprof/profile?seconds=1")
            .starts_with("HTTP/1.1 200 OK")
    );
}
