//! `rutile` as a process: its commands, and the whole cluster on a bucket of real blocks.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rutile_testkit::{copy_bucket, golden, metrics};
use serde_json::Value;

/// In the middle of the data.
const QUERY: &str = "/api/v1/query?query=sum(http_requests_0_total)&time=1767355200";

fn rutile(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile"));
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_are_listed_and_mistakes_told() {
    let listed = rutile(&["--help"]);
    assert_eq!(listed.status.code(), Some(0));
    for command in ["up", "query", "store", "compact", "sidecar", "tools"] {
        let line = format!("\n  {command} ");
        assert!(text(&listed.stdout).contains(&line), "{command}");
        let help = rutile(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        assert!(text(&help.stdout).contains("--log.level"), "{command}");
    }
    for (args, usage) in [
        (&["up", "--x"][..], "Usage: rutile up "),
        (&["query", "--x"], "Usage: rutile query "),
        (&["store", "--x"], "Usage: rutile store "),
        (&["compact", "--x"], "Usage: rutile compact "),
        (&["sidecar", "--x"], "Usage: rutile sidecar "),
        (&["tools", "--x"], "Usage: rutile tools "),
        (
            &["tools", "bucket", "ls", "--x"],
            "Usage: rutile tools bucket ls ",
        ),
    ] {
        let wrong = rutile(args);
        assert_eq!(wrong.status.code(), Some(2), "{args:?}");
        let told = text(&wrong.stderr);
        assert!(told.contains(usage), "{args:?}: {told}");
    }
    let unknown = rutile(&["qery"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no command \"qery\""));
    assert_eq!(rutile(&[]).status.code(), Some(2));
}

/// Listens anywhere.
const ADDRESSES: [&str; 4] = [
    "up",
    "--http-address=127.0.0.1:0",
    "--grpc-address=127.0.0.1:0",
    "--store.arg=--grpc-address=127.0.0.1:0",
];

#[test]
fn a_wrong_flag_of_a_component_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().display());
    let file = folder.path().join("flags");
    std::fs::write(&file, "--http-address=:1\n").unwrap();
    let of_file = format!("--store.arg=@{}", file.display());
    for (wrong, told) in [
        (
            &["--store.arg=--sync-blok-duration=1s"][..],
            "the flags of store (--store.arg): unexpected argument '--sync-blok-duration' found",
        ),
        (&["--compact.arg=--wait-interval=x"], "the flags of compact"),
        (&["--query.arg=--endpoint=nowhere"], "has no port"),
        (&["--query.arg=--help"], "`rutile query --help` lists them"),
        (
            &["--query.arg=--http-address=:1"],
            "--http-address is not theirs to set here: one port serves all, use --http-address",
        ),
        (
            &["--compact.arg=--http-grace-period=1s"],
            "--http-grace-period is not theirs",
        ),
        (&[&of_file], "--http-address is not theirs"),
        (&["--store.arg=--data-dir=/x"], "--data-dir is not theirs"),
        (&["--compact.arg=--no-wait"], "--wait is not theirs"),
        (
            &["--query.arg=--grpc-address=:1"],
            "--grpc-address is not theirs",
        ),
        (
            &["--no-compact", "--compact.arg=--consistency-delay=0s"],
            "--compact.arg has no effect with --no-compact",
        ),
        (
            &["--grpc-server-tls-cert=x"],
            "--grpc-server-tls-cert and --grpc-server-tls-key go together",
        ),
    ] {
        let ended = rutile(&[&ADDRESSES[..], &[&data], wrong].concat());
        let shown = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{wrong:?}: {shown}");
        assert!(shown.contains(told), "{wrong:?}: {shown}");
    }
}

/// A running cluster; killed if a test fails.
struct Up {
    child: Child,
    http: String,
    /// What it logged until it was ready.
    log: String,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Up {
    /// Starts it on the bucket in `folder`, and waits until it is ready.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rutile"));
        command.args(ADDRESSES);
        command.arg(format!("--data-dir={}", folder.display()));
        let mut child = command.args(args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut http, mut ready, mut log) = (None, 0, String::new());
        let components = if args.contains(&"--no-compact") { 2 } else { 3 };
        // Each component is ready, and then the process.
        while http.is_none() || ready <= components {
            let Some(line) = lines.next() else {
                panic!("it ended before it was ready: {log}");
            };
            let line = line.unwrap();
            ready += usize::from(line.contains("status=ready"));
            if line.contains("requests and metrics") {
                http = line.split("address=").nth(1).map(str::to_owned);
            }
            log += &line;
            log.push('\n');
        }
        Self {
            child,
            http: http.unwrap(),
            log,
            lines,
        }
    }

    /// The first line of the log that has this text, as soon as it is there.
    fn logged(&mut self, text: &str) -> String {
        if let Some(line) = self.log.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        let mut lines = self.lines.by_ref().map(|line| line.unwrap());
        lines.find(|line| line.contains(text)).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 "), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn value(&self) -> Value {
        let answer: Value = serde_json::from_str(&self.get(QUERY)).unwrap();
        assert_eq!(answer["warnings"], Value::Null, "{answer}");
        answer["data"]["result"][0]["value"][1].clone()
    }

    /// Ends it, and returns its exit code.
    fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_bucket_is_queried_and_compacted_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    copy_bucket(&golden().join("raw"), &folder.path().join("bucket"));
    let alone = Up::start(folder.path(), &["--no-compact"]);
    let value = alone.value();
    assert!(value.is_string(), "{value}");
    assert!(
        alone
            .get("/")
            .contains("data-serves=\"query metadata stores blocks\"")
    );
    let data = format!("--data-dir={}", folder.path().display());
    let second = rutile(&[&ADDRESSES[..], &[&data]].concat());
    let told = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{told}");
    let holder = format!("is in use by process {}", alone.child.id());
    assert!(
        told.contains(&holder) && told.contains("--data-dir"),
        "{told}"
    );
    assert_eq!(alone.terminate(), Some(0));

    let delay = "--compact.arg=--consistency-delay=0s";
    let mut up = Up::start(
        folder.path(),
        &[delay, "--store.arg=--sync-block-duration=1s"],
    );
    assert_eq!(up.value(), value);
    assert!(up.logged("iteration ended").contains("failed=0"));
    assert_eq!(up.value(), value);
    let blocks: Value = serde_json::from_str(&up.get("/api/v1/blocks?view=global")).unwrap();
    assert!(
        blocks["data"]["blocks"].as_array().unwrap().len() > 1,
        "{blocks}"
    );
    let served = "data-serves=\"query metadata stores blocks plan\"";
    assert!(up.get("/").contains(served));
    let plan: Value = serde_json::from_str(&up.get("/api/v1/blocks/plan")).unwrap();
    let count = |of: &Value| of["data"]["blocks"].as_array().unwrap().len();
    assert_eq!(count(&plan), count(&blocks), "{plan}");
    let metrics = up.get("/metrics");
    for of in [
        "thanos_status{check=\"ready\",component=\"up\"} 1",
        "thanos_status{check=\"ready\",component=\"query\"} 1",
        "thanos_bucket_store_blocks_loaded{component=\"store\"}",
        "thanos_compact_iterations_total{component=\"compact\"} 1",
    ] {
        assert!(metrics.contains(of), "{of} in {metrics}");
    }
    // All that alerts and dashboards ask of these components; sidecars and caches have tests of their own.
    let sections = [
        "Every process",
        "HTTP and gRPC",
        "Queries",
        "Endpoints and fan-out",
        "The bucket",
        "Blocks and the contract",
        "Store gateway",
        "Compactor",
        "Caches",
    ];
    let elsewhere = |name: &str| name.contains("memcached") || name.contains("redis");
    let used = metrics::promised(&sections).into_iter();
    let used = used.filter(|metric| metric.in_mixin && !elsewhere(&metric.name));
    metrics::require(&up.get("/metrics"), used);
    assert_eq!(up.terminate(), Some(0));
}
