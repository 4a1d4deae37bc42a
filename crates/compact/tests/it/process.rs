//! `rutile-compact` as a process: flags and their mistakes, one run, service, SIGKILL.

mod api;
mod kill;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rutile_testkit::{golden, metrics};

use crate::world::{TWO_HOURS, objects};

pub(crate) fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile-compact"));
    command
        .arg(format!("--data-dir={}", data.display()))
        .arg("--http-address=127.0.0.1:0")
        .args(args);
    command
}

fn filesystem(folder: &Path) -> String {
    let config = "--objstore.config={type: FILESYSTEM, config: {directory: ";
    format!("{config}\"{}\"}}}}", folder.display())
}

/// Asserts how the process ends and what it says.
fn check_end(args: &[&str], code: i32, texts: &[&str]) {
    let data = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = command(data.path(), args).output().unwrap();
    let shown = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{args:?}: {shown}");
    for text in texts {
        assert!(shown.contains(text), "{args:?}: {text:?} in {shown}");
    }
    assert!(!shown.contains("panicked"), "{args:?}: {shown}");
}

#[test]
fn mistakes_on_the_command_line() {
    check_end(
        &["--objstor.config=x"],
        2,
        &["--objstor.config", "--objstore.config"],
    );
    check_end(&["--wait-interval=ten"], 2, &["--wait-interval"]);
    check_end(
        &["--help"],
        0,
        &["--objstore.config", "--delete-delay", "--wait"],
    );
    check_end(&["--version"], 0, &["rutile-compact version "]);
    check_end(&[], 2, &["--objstore.config"]);
}

#[test]
fn settings_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = filesystem(folder.path());
    let check = |args: &[&str], texts: &[&str]| {
        let args: Vec<&str> = [bucket.as_str()].iter().chain(args).copied().collect();
        check_end(&args, 2, texts);
    };
    check(
        &["--min-time=-1h", "--max-time=-2h"],
        &["--min-time", "swap them"],
    );
    check(
        &["--compact.concurrency=0"],
        &["--compact.concurrency", "at least 1"],
    );
    check(
        &["--debug.max-compaction-level=5"],
        &["--debug.max-compaction-level", "at most 4"],
    );
    check(
        &["--retention.resolution-raw=39h"],
        &[
            "--retention.resolution-raw",
            "1d16h",
            "--downsampling.disable",
        ],
    );
    check(
        &["--retention.resolution-5m=9d"],
        &["--retention.resolution-5m", "10d"],
    );
    check(
        &["--contract.strict", "--delete-delay=5m"],
        &["BC-9", "--delete-delay"],
    );
    check(
        &["--deduplication.func=penalty"],
        &[
            "--deduplication.func=penalty",
            "--deduplication.replica-label",
        ],
    );
    // What may stand in a file is no mistake of the command line.
    let relabel = "--selector.relabel-config=[{action: replace, target_label: a}]";
    check_end(&[&bucket, relabel], 1, &["replace"]);
}

#[test]
fn flags_that_are_not_supported_yet_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = filesystem(folder.path());
    for flag in ["--debug.accept-malformed-index", "--web.route-prefix=/x"] {
        let name = flag.split('=').next().unwrap();
        check_end(&[&bucket, flag], 2, &[name, "not supported yet"]);
    }
    for flag in [
        "--no-debug.halt-on-error",
        "--compact.skip-block-with-out-of-order-chunks",
        "--compact.blocks-fetch-concurrency=4",
        "--downsample.concurrency=2",
        "--bucket-web-label=cluster",
        "--hash-func=SHA256",
        "--compact.enable-vertical-compaction",
        "--deduplication.replica-label=replica,rule_replica",
        "-w=false",
    ] {
        check_end(&[&bucket, flag], 0, &["iteration ended"]);
    }
}

/// A typo in its path must not look like a bucket with nothing to do.
#[test]
fn a_folder_that_does_not_exist_is_no_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("bukcet");
    let texts = [
        "--objstore.config",
        "bukcet does not exist: create it, or correct `directory`",
    ];
    for wait in [&[][..], &["--wait"]] {
        let bucket = filesystem(&absent);
        let args: Vec<&str> = [bucket.as_str()].iter().chain(wait).copied().collect();
        check_end(&args, 1, &texts);
    }
    assert!(!absent.try_exists().unwrap());
}

/// Puts golden two-hour blocks into a folder.
fn copy(blocks: &[&str], to: &Path) {
    for block in blocks {
        for (path, body) in objects(block) {
            let path = to.join(block).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, body).unwrap();
        }
    }
}

fn block_folders(bucket: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(bucket).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.len() == 26).collect();
    names.sort();
    names
}

#[test]
fn one_run_does_all_there_is_to_do() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS, folder.path());
    let bucket = filesystem(folder.path());
    let args = [
        bucket.as_str(),
        "--consistency-delay=0s",
        "--delete-delay=0s",
        "--compact.concurrency=2",
    ];
    check_end(&args, 0, &["merged=8"]);
    // Marked within this run and deleted within it or the next.
    check_end(&args, 0, &["merged=0"]);
    let left = block_folders(folder.path());
    let expected = "2 d, these at five minutes, 8 h, and the two newest";
    assert_eq!(left.len(), 5, "{expected}: {left:?}");
    // What is recorded of Thanos is left alone: nothing is to be done there but deletions.
    let recorded = tempfile::tempdir().unwrap();
    rutile_testkit::copy_bucket(&golden().join("raw"), recorded.path());
    check_end(&[&filesystem(recorded.path())], 0, &["merged=0"]);
}

#[test]
fn a_failed_step_ends_one_run_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS[..5], folder.path());
    // A folder where the output's index would be superseded by nothing: the sources of a block that
    // cannot be loaded.
    rutile_testkit::copy_bucket(
        &golden().join("raw").join(crate::world::FIRST_EIGHT_HOURS),
        &folder.path().join(crate::world::FIRST_EIGHT_HOURS),
    );
    let index = folder
        .path()
        .join(crate::world::FIRST_EIGHT_HOURS)
        .join("index");
    std::fs::remove_file(
        folder
            .path()
            .join(crate::world::FIRST_EIGHT_HOURS)
            .join("deletion-mark.json"),
    )
    .unwrap();
    std::fs::write(&index, "short").unwrap();
    let bucket = filesystem(folder.path());
    check_end(
        &[&bucket, "--consistency-delay=0s"],
        1,
        &["4 steps failed", "index has 5 bytes"],
    );
}

/// A running process and where it listens.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, address) = line.split_once("address=")?;
            Some(address.split_whitespace().next()?.to_owned())
        });
        // Read to the end, so that the process never waits for room in the pipe.
        let rest = move || lines.for_each(drop);
        #[expect(
            clippy::disallowed_methods,
            reason = "the log must be read while the test runs"
        )]
        std::thread::spawn(rest);
        Self {
            child,
            address: address.unwrap(),
        }
    }

    fn get(&self, path: &str) -> String {
        self.ask("GET", path, "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.ask_with(method, path, "", body)
    }

    /// With more lines of the head.
    fn ask_with(&self, method: &str, path: &str, lines: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_service_shows_itself_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS[..5], folder.path());
    let data = tempfile::tempdir().unwrap();
    let bucket = filesystem(folder.path());
    let args = [bucket.as_str(), "--wait", "--consistency-delay=0s"];
    let mut running = Running::start(command(data.path(), &args));
    assert!(running.get("/-/healthy").starts_with("HTTP/1.1 200"));
    // Ready once it runs; the first iteration ends some time after.
    let done = "thanos_compact_iterations_total 1";
    let page = std::iter::repeat_with(|| running.get("/metrics")).find(|page| page.contains(done));
    assert!(page.is_some());
    // A page is gathered metric by metric: the first ones may be from before.
    let page = running.get("/metrics");
    assert!(running.get("/-/ready").starts_with("HTTP/1.1 200"));
    for series in [
        "thanos_compact_halted 0",
        "thanos_compact_group_compactions_total{resolution=\"0\"} 1",
        "thanos_compact_group_compactions_failures_total{resolution=\"0\"} 0",
        "thanos_compact_todo_compactions 0",
        "thanos_compact_blocks_marked_total{marker=\"deletion-mark.json\",reason=\"\"} 4",
        "thanos_compact_garbage_collection_total 2",
        "thanos_delete_delay_seconds 172800",
        "thanos_consistency_delay_seconds 0",
        "thanos_blocks_meta_synced{state=\"loaded\"} 2",
        "rutile_compact_merges_running 0",
    ] {
        assert!(page.contains(series), "{series} in {page}");
    }
    let promised = metrics::promised(&["Compactor"]).into_iter();
    metrics::require(&page, promised.filter(|metric| !metric.labelled));
    let pid = running.child.id().to_string();
    let signalled = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(signalled.success());
    assert!(running.child.wait().unwrap().success());
}
