//! `bucket replicate`: every block arrives once, whole, and nothing comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use super::*;

/// Any port: tests run beside each other.
const HTTP: &str = "--http-address=127.0.0.1:0";

/// The bucket that is copied to, and the flag that names it.
fn target(tools: &Tools) -> (PathBuf, String) {
    let folder = tools.home.path().join("target");
    fs::create_dir_all(&folder).unwrap();
    let flag = format!(
        "--objstore-to.config=type: FILESYSTEM\nconfig:\n  directory: {}",
        folder.display()
    );
    (folder, flag)
}

fn replicate(tools: &Tools, more: &[&str]) -> Run {
    let (_, flag) = target(tools);
    let run = tools.run(&[&["replicate", HTTP, "--single-run", &flag][..], more].concat());
    assert_eq!(run.code, Some(0), "{}", run.err);
    run
}

fn told(run: &Run, copied: usize, there: usize) {
    let words = format!("copied={copied} already_there={there} failed=0");
    assert!(run.err.contains(&words), "{words}: {}", run.err);
}

#[test]
fn blocks_are_copied_byte_for_byte_and_once() {
    let tools = Tools::on_raw();
    let (folder, _) = target(&tools);
    let wanted = ["--ignore-marked-for-deletion"];
    let first = replicate(&tools, &wanted);
    told(&first, 5, 0);
    let copied = ids(&folder);
    assert_eq!(copied.len(), 5);
    for id in &copied {
        for file in ["index", "chunks/000001"] {
            let read = |bucket: &Path| fs::read(bucket.join(id).join(file)).unwrap();
            assert!(read(&folder) == read(&tools.bucket()), "{id}/{file}");
        }
    }
    told(&replicate(&tools, &wanted), 0, 5);
    // What was merged there, and deleted, is not copied again: the two-hour blocks that are marked here.
    told(&replicate(&tools, &[]), 0, 39);
    assert_eq!(ids(&folder), copied);
}

/// It is watched as Thanos's is: probes, and the metrics of its dashboards.
#[test]
fn one_that_goes_on_serves_probes_and_metrics() {
    let tools = Tools::on_two_hour_blocks();
    let (_, flag) = target(&tools);
    let config = format!(
        "--objstore.config=type: FILESYSTEM\nconfig:\n  directory: {}",
        tools.bucket().display()
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile-tools"));
    command.args(["bucket", "replicate", HTTP, &config, &flag]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |words: &str| {
        lines
            .find_map(|line| line.ok().filter(|line| line.contains(words)))
            .unwrap()
    };
    let serving = until("requests and metrics");
    let address = serving.split("address=").nth(1).unwrap().to_owned();
    until("copied=30");
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let ready = get("/-/ready");
    let metrics = get("/metrics");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    for line in [
        "thanos_replicate_blocks_replicated_total 30",
        "thanos_replicate_objects_replicated_total 90",
        "thanos_replicate_replication_runs_total{result=\"success\"} 1",
        "thanos_replicate_replication_runs_total{result=\"error\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let of_both = ["from", "to"].map(|bucket| format!("replicate=\"{bucket}\""));
    assert!(
        of_both.iter().all(|label| metrics.contains(label)),
        "{metrics}"
    );
}

#[test]
fn only_what_is_asked_for_is_copied() {
    let copied = |more: &[&str]| {
        let tools = Tools::on_raw();
        replicate(&tools, more);
        ids(&target(&tools).0)
    };
    assert_eq!(copied(&["--id", NEWEST[0], "--compaction=9"]), [NEWEST[0]]);
    assert_eq!(copied(&["--resolution=5m"]), ["01M820Q9TTYVEY9S7VQHAQVG39"]);
    assert_eq!(copied(&["--matcher=cluster=\"eu9\""]), [""; 0]);
    assert_eq!(
        copied(&["--matcher=cluster=~\"eu.\",replica!=\"a\""]),
        [""; 0]
    );
    assert_eq!(
        copied(&["--compaction=1", "--min-time=2026-01-03T10:00:00Z"]),
        NEWEST
    );
    assert_eq!(
        copied(&["--compaction=3", "--resolution=0s"]),
        ["01M820Q9SJYFHMNPJJ06KPJ51B"]
    );
}

/// What was deleted from a bucket does not come back with what is restored from its replica: not from the original of a block that was
/// rewritten, when that is gone, nor when what was written went into a larger block (S53).
#[tokio::test]
async fn bc_15_nothing_is_restored_that_was_deleted_by_rewriting() {
    let tools = Tools::on_two_hour_blocks();
    let (folder, _) = target(&tools);
    told(&replicate(&tools, &[]), 30, 0);
    let first = ids(&tools.bucket()).remove(0);
    let id = format!("--id={first}");
    let what = "--rewrite.to-delete-config=[{matchers: http_requests_0_total}]";
    tools.ok(&[
        "rewrite",
        &id,
        what,
        "--no-dry-run",
        "--delete-blocks",
        "--tmp.dir=tmp",
    ]);
    fs::remove_dir_all(tools.bucket().join(&first)).unwrap();
    let restore = |more: &[&str]| {
        let from = format!(
            "--objstore.config=type: FILESYSTEM\nconfig:\n  directory: {}",
            folder.display()
        );
        let to = format!(
            "--objstore-to.config=type: FILESYSTEM\nconfig:\n  directory: {}",
            tools.bucket().display()
        );
        let args = [&["replicate", HTTP, "--single-run", &from, &to][..], more].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_rutile-tools"))
            .arg("bucket")
            .args(args)
            .output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let nothing = "copied=0 already_there=29 failed=0 rewritten_there=1";
    let (code, err) = restore(&[]);
    assert!(code == Some(0) && err.contains(nothing), "{err}");
    let (code, err) = restore(&["--id", &first]);
    assert!(
        code == Some(1) && err.contains("would bring back what was deleted"),
        "{err}"
    );

    rewrite::compact(&tools.bucket()).await;
    for block in block_dirs(&tools.bucket()) {
        if block.join("deletion-mark.json").try_exists().unwrap() {
            fs::remove_dir_all(block).unwrap();
        }
    }
    let before = ids(&tools.bucket());
    let (code, err) = restore(&[]);
    assert!(code == Some(0) && err.contains(nothing), "{err}");
    assert_eq!(ids(&tools.bucket()), before);
}

/// Whoever erased a block from the copy does not get it back (BC-15).
#[test]
fn bc_15_what_is_marked_there_is_not_copied_again() {
    let tools = Tools::on_raw();
    let (folder, flag) = target(&tools);
    let block = folder.join(NEWEST[0]);
    fs::create_dir(&block).unwrap();
    let id = NEWEST[0];
    fs::write(
        block.join("deletion-mark.json"),
        format!(
            "{{\"id\":\"{id}\",\"version\":1,\"details\":\"by hand\",\"deletion_time\":1767225600}}"
        ),
    )
    .unwrap();
    let run = tools.run(&["replicate", HTTP, "--single-run", &flag, "--id", id]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.err.contains(id) && run.err.contains("mark"),
        "{}",
        run.err
    );
    assert!(!block.join("meta.json").try_exists().unwrap());
}

/// A copy that was cut off is no block for anybody, and is made whole by the next try.
#[test]
fn bc_02_what_was_copied_in_part_is_copied_again() {
    let tools = Tools::on_raw();
    let (folder, _) = target(&tools);
    let part = folder.join(NEWEST[0]).join("chunks");
    fs::create_dir_all(&part).unwrap();
    fs::write(part.join("000001"), "half").unwrap();
    replicate(&tools, &["--id", NEWEST[0]]);
    let read = |bucket: &Path| fs::read(bucket.join(NEWEST[0]).join("chunks/000001")).unwrap();
    assert!(read(&folder) == read(&tools.bucket()));
    let mut meta: Vec<Value> = Vec::new();
    for bucket in [&folder, &tools.bucket()] {
        let text = fs::read(bucket.join(NEWEST[0]).join("meta.json")).unwrap();
        meta.push(serde_json::from_slice(&text).unwrap());
    }
    assert_eq!(meta[0]["stats"], meta[1]["stats"]);
    assert_eq!(meta[0]["thanos"]["labels"], meta[1]["thanos"]["labels"]);
}

#[test]
fn what_cannot_be_copied_is_told_and_the_rest_goes_on() {
    let tools = Tools::on_two_hour_blocks();
    let (folder, flag) = target(&tools);
    fs::remove_file(tools.bucket().join(NEWEST[0]).join("index")).unwrap();
    let run = tools.run(&["replicate", HTTP, "--single-run", &flag]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains(NEWEST[0]), "{}", run.err);
    let copied = ids(&folder);
    assert_eq!(copied.len(), ids(&tools.bucket()).len() - 1);
    assert!(!copied.contains(&NEWEST[0].to_owned()));

    tools.fails(
        &["replicate", HTTP, "--single-run"],
        1,
        "--objstore-to.config",
    );
    let itself = flag.replace("/target", "/bucket");
    tools.fails(
        &["replicate", HTTP, "--single-run", &itself],
        1,
        "it is the bucket itself",
    );
    let all = "--compaction-max=9223372036854775807";
    tools.fails(
        &["replicate", HTTP, &flag, all, "--single-run"],
        1,
        NEWEST[0],
    );
    fs::write(tools.bucket().join(NEWEST[0]).join("index"), "").unwrap();
    tools.fails(&["replicate", HTTP, &flag, "--single-run"], 1, "is empty");
    let nobody = "--id=01M820PDZMK3SZGA9JJPRVBEKB";
    tools.fails(
        &["replicate", HTTP, &flag, nobody],
        1,
        "no block of the bucket",
    );
    tools.fails(
        &["replicate", HTTP, &flag, "--compaction-min=5"],
        1,
        "--compaction-max=4",
    );
    tools.fails(
        &["replicate", HTTP, &flag, "--resolution=7m"],
        1,
        "blocks have 0s (raw), 5m or 1h",
    );
}
