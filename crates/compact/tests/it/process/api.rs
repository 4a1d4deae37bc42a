//! The block API: what it shows, and marking by HTTP.

use std::path::Path;

use super::{Running, command, copy, filesystem};
use crate::world::TWO_HOURS;

fn start(bucket: &Path, data: &Path, more: &[&str]) -> Running {
    let bucket = filesystem(bucket);
    let args = [bucket.as_str(), "--wait", "--consistency-delay=0s"];
    let running = Running::start(command(data, &[&args, more].concat()));
    let done = "thanos_compact_iterations_total 1";
    let page = std::iter::repeat_with(|| running.get("/metrics")).find(|page| page.contains(done));
    assert!(page.is_some());
    running
}

#[test]
fn the_block_api_shows_blocks_and_marks_them() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS[..5], folder.path());
    let data = tempfile::tempdir().unwrap();
    let running = start(folder.path(), data.path(), &["--bucket-web-label=cluster"]);
    let global = running.get("/api/v1/blocks");
    let loaded = running.get("/api/v1/blocks?view=loaded");
    for text in [
        "HTTP/1.1 200",
        "access-control-allow-origin: *",
        "\"status\":\"success\"",
        "\"label\":\"cluster\"",
        "\"err\":null",
        "\"refreshedAt\":\"20",
    ] {
        assert!(global.contains(text), "{text} in {global}");
    }
    let count = |page: &str| page.matches("\"compaction\":").count();
    // The five, and what four of them were merged into; which replaces these.
    assert_eq!((count(&global), count(&loaded)), (6, 2));

    let [first, .., newest] = &TWO_HOURS[..5] else {
        panic!("five blocks");
    };
    let query = format!("/api/v1/blocks/mark?id={newest}&action=NO_COMPACTION&detail=looks+odd");
    let of_others = "Origin: http://evil.example\r\n";
    let answer = running.ask_with("POST", &query, of_others, "");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("a page of another origin"), "{answer}");
    let mark = folder.path().join(newest).join("no-compact-mark.json");
    assert!(!mark.try_exists().unwrap());
    let answer = running.ask_with("POST", &query, "Origin: http://x\r\n", "");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let mark = std::fs::read_to_string(mark).unwrap();
    assert!(
        mark.contains("looks odd") && mark.contains("manual"),
        "{mark}"
    );
    let body = format!("id={newest}&action=DELETION&detail=gone%20wrong");
    let answer = running.ask("POST", "/api/v1/blocks/mark", &body);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let mark = folder.path().join(newest).join("deletion-mark.json");
    let mark = std::fs::read_to_string(mark).unwrap();
    assert!(mark.contains("gone wrong"), "{mark}");

    for (query, code, text) in [
        ("action=DELETION", 400, "ID cannot be empty"),
        ("id=x&action=DELETION", 400, "is not valid"),
        (&format!("id={first}"), 400, "Action cannot be empty"),
        (
            &format!("id={first}&action=x"),
            400,
            "not supported marker x",
        ),
        (
            "id=01M820PD8CGVZHQSH6D0C2DRFF&action=DELETION",
            404,
            "there is no such block",
        ),
    ] {
        let answer = running.ask("POST", &format!("/api/v1/blocks/mark?{query}"), "");
        let status = format!("HTTP/1.1 {code}");
        assert!(answer.starts_with(&status), "{query}: {answer}");
        assert!(answer.contains(text), "{query}: {answer}");
    }
}

#[test]
fn the_plan_says_what_becomes_of_each_block() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS[..5], folder.path());
    let data = tempfile::tempdir().unwrap();
    let running = start(folder.path(), data.path(), &[]);
    let plan = running.get("/api/v1/blocks/plan");
    let (_, plan) = plan.split_once("\r\n\r\n").unwrap();
    let plan: serde_json::Value = serde_json::from_str(plan).unwrap();
    assert!(plan["data"]["refreshedAt"].is_string(), "{plan}");
    let blocks = plan["data"]["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 6, "{plan}");
    let of = |id: &str| blocks.iter().find(|block| block["id"] == id).unwrap();
    let merged = of(TWO_HOURS[0]);
    assert_eq!(merged["state"], "superseded", "{merged}");
    assert_eq!(merged["next"]["action"], "wait", "{merged}");
    assert_eq!(merged["marks"][0]["kind"], "deletion-mark", "{merged}");
    assert!(merged["marks"][0]["time"].as_i64() > Some(1_000_000_000));
    let by = merged["supersededBy"].as_str().unwrap();
    assert_eq!(of(by)["state"], "served", "{plan}");
}

#[test]
fn the_block_api_can_be_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    copy(&TWO_HOURS[..1], folder.path());
    let data = tempfile::tempdir().unwrap();
    let more = ["--disable-admin-operations", "--web.disable-cors"];
    let running = start(folder.path(), data.path(), &more);
    let query = format!("/api/v1/blocks/mark?id={}&action=DELETION", TWO_HOURS[0]);
    let answer = running.ask("POST", &query, "");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("Admin operations are disabled"), "{answer}");
    let answer = running.get("/api/v1/blocks");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("access-control"), "{answer}");
    let mark = folder.path().join(TWO_HOURS[0]).join("deletion-mark.json");
    assert!(!mark.try_exists().unwrap());
    drop(running);
    let running = start(folder.path(), data.path(), &["--web.disable"]);
    let answer = running.get("/api/v1/blocks");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n404 page not found\n"), "{answer}");
}
