//! `bucket rewrite`: what is deleted is gone, for good, and everything else is as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_block::{BlockId, Contract};
use rutile_compact::{CompactConfig, Compactor, Parts, Planner, Retention};
use rutile_dedup::Function;
use rutile_disk::MemoryDisk;
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_lifecycle::HashFunc;
use rutile_objstore::{OpenContext, open};
use rutile_runtime::{CpuPool, Ledger, SystemClock, SystemEntropy, TaskGroup};
use rutile_telemetry::Registry;
use rutile_testkit::prometheus::{promtool_analyze, promtool_dump, samples};

use super::*;

const NAME: &str = "http_requests_0_total";

fn of_name(line: &str) -> bool {
    line.contains(&format!("__name__=\"{NAME}\""))
}

fn delete(what: &str) -> Vec<String> {
    vec![
        "rewrite".to_owned(),
        format!("--id={}", NEWEST[0]),
        format!("--rewrite.to-delete-config={what}"),
        "-o=json".to_owned(),
    ]
}

fn rewrite(tools: &Tools, args: &[String], more: &[&str]) -> Value {
    let args: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    serde_json::from_str(&tools.ok(&args)).unwrap()
}

/// A line of promtool's dump with other labels.
fn with_labels(line: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let (labels, sample) = line.strip_prefix('{').unwrap().rsplit_once("} ").unwrap();
    let labels: Vec<String> = labels.split(", ").filter_map(change).collect();
    format!("{{{}}} {sample}", labels.join(", "))
}

/// Whether the block that is rewritten carries a mark.
fn is_marked(tools: &Tools, file: &str) -> bool {
    let mark = tools.bucket().join(NEWEST[0]).join(file);
    mark.try_exists().unwrap()
}

fn all_samples(tools: &Tools, id: &str) -> Vec<String> {
    promtool_dump(&[tools.bucket().join(id)])
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let tools = Tools::on_two_hour_blocks();
    let before = ids(&tools.bucket());
    let shown = rewrite(
        &tools,
        &delete(&format!("[{{matchers: {NAME}}}]")),
        &["--tmp.dir=tmp"],
    );
    assert_eq!(ids(&tools.bucket()), before);
    assert!(!is_marked(&tools, "no-compact-mark.json"));
    let [shown] = shown.as_array().unwrap().as_slice() else {
        panic!("{shown}");
    };
    assert_eq!(
        (&shown["series"], &shown["cut"], &shown["new"]),
        (&200.into(), &0.into(), &Value::Null)
    );
    let deleted = shown["deleted"].as_u64().unwrap();
    assert!(deleted > 0, "{shown}");
    let folders = fs::read_dir(tools.home.path().join("tmp")).unwrap();
    let logs = folders.map(|folder| folder.unwrap().path().join("change.log"));
    let logs = logs.filter(|path| path.try_exists().unwrap());
    let log: String = logs.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(log.lines().count() as u64, deleted);
    assert!(
        log.lines()
            .all(|line| line.starts_with("Deleted {") && of_name(line)),
        "{log}"
    );
}

#[test]
fn series_are_deleted_and_all_others_stay() {
    let tools = Tools::on_two_hour_blocks();
    let before = all_samples(&tools, NEWEST[0]);
    let args = delete(&format!("[{{matchers: {NAME}, request_id: '7'}}]"));
    let shown = rewrite(
        &tools,
        &args,
        &["--no-dry-run", "--delete-blocks", "--tmp.dir=tmp"],
    );
    let new = shown[0]["new"].as_str().unwrap();

    let after = all_samples(&tools, new);
    let expected: Vec<String> = before
        .iter()
        .filter(|line| !of_name(line))
        .cloned()
        .collect();
    assert!(expected.len() < before.len() && !expected.is_empty());
    assert!(
        after == expected,
        "{} of {} samples",
        after.len(),
        expected.len()
    );
    // Native histograms too.
    let mut series = samples(&[tools.bucket().join(NEWEST[0])]);
    series.retain(|labels, _| !of_name(labels));
    assert_eq!(samples(&[tools.bucket().join(new)]), series);
    let analyzed = promtool_analyze(&tools.bucket().join(new));
    assert!(analyzed.contains(new), "{analyzed}");
    let mark = |file: &str| fs::read_to_string(tools.bucket().join(NEWEST[0]).join(file)).unwrap();
    assert!(mark("no-compact-mark.json").contains("\"reason\":\"rewritten\""));
    assert!(mark("deletion-mark.json").contains(new));

    let meta = fs::read(tools.bucket().join(new).join("meta.json")).unwrap();
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    let name = serde_json::json!({ "Type": 0, "Name": "__name__", "Value": NAME });
    let applied = serde_json::json!([{ "matchers": [name], "request_id": "7" }]);
    let rewrites = serde_json::json!([{ "sources": [NEWEST[0]], "deletions_applied": applied }]);
    assert_eq!(meta["thanos"]["rewrites"], rewrites);
    assert_eq!(meta["compaction"]["sources"], serde_json::json!([new]));
    assert_eq!(meta["thanos"]["source"], "bucket.rewrite");
    let run = tools.run(&["verify", &format!("--id={new}")]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "no issues\n"),
        "{}",
        run.err
    );

    let again: Vec<&str> = args.iter().map(String::as_str).collect();
    tools.fails(&again, 1, "is marked for deletion");
}

#[test]
fn times_are_cut_out_of_series() {
    let tools = Tools::on_two_hour_blocks();
    let before = all_samples(&tools, NEWEST[0]);
    let time = |line: &str| {
        line.rsplit(' ')
            .next()
            .and_then(|word| word.parse::<i64>().ok())
    };
    let times: Vec<i64> = before.iter().filter_map(|line| time(line)).collect();
    assert_eq!(times.len(), before.len());
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let (from, to) = (first + (last - first) / 3, first + (last - first) / 2);
    let what = format!(
        "[{{matchers: '{{__name__=\"{NAME}\"}}', intervals: [{{mint: {from}, maxt: {to}}}]}}]"
    );
    let shown = rewrite(&tools, &delete(&what), &["--no-dry-run", "--tmp.dir=tmp"]);
    assert_eq!(shown[0]["deleted"], 0);
    assert!(shown[0]["cut"].as_u64().unwrap() > 0, "{shown}");
    let stays = |line: &&String| !of_name(line) || !(from..=to).contains(&time(line).unwrap());
    let expected: Vec<String> = before.iter().filter(stays).cloned().collect();
    assert!(expected.len() < before.len());
    let after = all_samples(&tools, shown[0]["new"].as_str().unwrap());
    assert!(
        after == expected,
        "{} of {} samples",
        after.len(),
        expected.len()
    );
    assert!(
        !is_marked(&tools, "deletion-mark.json"),
        "nobody asked for that"
    );
    // Done again it makes no second block, and does what the first run was not asked for.
    let blocks = ids(&tools.bucket());
    let twice = format!("--id={}", NEWEST[0]);
    let again = rewrite(
        &tools,
        &delete(&what),
        &["--no-dry-run", "--delete-blocks", "--tmp.dir=tmp", &twice],
    );
    assert_eq!(again[0]["new"], shown[0]["new"]);
    assert_eq!(ids(&tools.bucket()), blocks);
    assert!(is_marked(&tools, "deletion-mark.json"));
}

#[test]
fn series_are_relabelled_and_joined() {
    let tools = Tools::on_two_hour_blocks();
    let before = all_samples(&tools, NEWEST[0]);
    let rules = format!(
        "[{{source_labels: [__name__], regex: {NAME}, target_label: __name__, replacement: a_total}}, \
          {{action: labeldrop, regex: namespace}}]"
    );
    let args = [
        "rewrite",
        &format!("--id={}", NEWEST[0]),
        "-o=json",
        "--no-dry-run",
        "--tmp.dir=tmp",
    ];
    let relabel = format!("--rewrite.to-relabel-config={rules}");
    let args: Vec<String> = args
        .iter()
        .map(|arg| (*arg).to_owned())
        .chain([relabel])
        .collect();
    let shown = rewrite(&tools, &args, &[]);
    assert!(shown[0]["relabelled"].as_u64().unwrap() > 0, "{shown}");
    let new = shown[0]["new"].as_str().unwrap();
    let mut after = all_samples(&tools, new);
    let renamed = |line: &String| {
        with_labels(line, |label| match label {
            label if label.starts_with("namespace=") => None,
            label if of_name(label) => Some("__name__=\"a_total\"".to_owned()),
            label => Some(label.to_owned()),
        })
    };
    let mut expected: Vec<String> = before.iter().map(renamed).collect();
    after.sort();
    expected.sort();
    let first = after.iter().zip(&expected).find(|(a, b)| a != b);
    assert!(
        after == expected,
        "{first:?}: {} of {} samples",
        after.len(),
        expected.len()
    );
    let analyzed = promtool_analyze(&tools.bucket().join(new));
    assert!(analyzed.contains(new), "{analyzed}");
}

/// Series that differ by dropped labels alone become one, which has a sample wherever one of them has.
#[test]
fn series_that_become_equal_are_joined() {
    let tools = Tools::on_two_hour_blocks();
    let kept = |line: String| {
        let stays = |l: &str| l.starts_with("__name__=") || l.starts_with("le=");
        with_labels(&line, |label| stays(label).then(|| label.to_owned()))
    };
    let key = |line: &str| {
        let (rest, time) = line.rsplit_once(' ').unwrap();
        format!("{} {time}", rest.rsplit_once(' ').unwrap().0)
    };
    let before: Vec<String> = all_samples(&tools, NEWEST[0])
        .into_iter()
        .map(kept)
        .collect();
    let args = [
        "rewrite",
        &format!("--id={}", NEWEST[0]),
        "-o=json",
        "--no-dry-run",
        "--tmp.dir=tmp",
    ];
    let args = args.iter().map(|arg| (*arg).to_owned());
    let relabel =
        "--rewrite.to-relabel-config=[{action: labelkeep, regex: __name__|le}]".to_owned();
    let shown = rewrite(&tools, &args.chain([relabel]).collect::<Vec<_>>(), &[]);
    assert!(shown[0]["joined"].as_u64().unwrap() > 0, "{shown}");
    let after = all_samples(&tools, shown[0]["new"].as_str().unwrap());
    let keys = |lines: &[String]| lines.iter().map(|line| key(line)).collect::<BTreeSet<_>>();
    assert_eq!(keys(&after).len(), after.len(), "one sample for each time");
    assert_eq!(keys(&after), keys(&before));
    let known: BTreeSet<&String> = before.iter().collect();
    assert!(
        after.iter().all(|line| known.contains(line)),
        "no value is made up"
    );
}

/// What a chunk of aggregates was made of is not in it any more.
#[test]
fn downsampled_series_go_in_whole_chunks() {
    let tools = Tools::on_raw();
    let five_minutes = "01M820Q9TTYVEY9S7VQHAQVG39";
    let raw = "01M820Q9SJYFHMNPJJ06KPJ51B";
    let id = format!("--id={five_minutes}");
    let cut = format!(
        "--rewrite.to-delete-config=[{{matchers: {NAME}, intervals: [{{mint: 1767225600000, maxt: 1767225900000}}]}}]"
    );
    tools.fails(
        &["rewrite", &id, &cut, "--tmp.dir=tmp"],
        1,
        "only whole chunks of it can be deleted",
    );
    let all = format!("--rewrite.to-delete-config=[{{matchers: {NAME}}}]");
    let shown = tools.ok(&[
        "rewrite",
        &id,
        &all,
        "-o=json",
        "--no-dry-run",
        "--delete-blocks",
        "--tmp.dir=tmp",
    ]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(shown[0]["deleted"].as_u64().unwrap() > 0, "{shown}");
    let new = shown[0]["new"].as_str().unwrap();
    assert_eq!(tools.ok(&["verify", &format!("--id={new}")]), "no issues\n");
    // The finer block has no successor in this, and says so of a coarser one.
    let run = tools.run(&["rewrite", &format!("--id={raw}"), &all, "--tmp.dir=tmp"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.err.contains("is not rewritten"), "{}", run.err);
}

#[test]
fn mistakes_in_rewriting_are_explained() {
    let tools = Tools::on_two_hour_blocks();
    let id = format!("--id={}", NEWEST[0]);
    tools.fails(&["rewrite", &id], 1, "nothing is to change");
    let fails = |what: &str, words: &str| {
        let what = format!("--rewrite.to-delete-config={what}");
        tools.fails(&["rewrite", &id, &what], 1, words);
    };
    fails(
        "[{matchers: '{'}]",
        "--rewrite.to-delete-config: not a selector",
    );
    fails("[{matcher: a}]", "matcher");
    fails(
        "[{matchers: a, intervals: [{mint: 2, maxt: 1}]}]",
        "before it begins",
    );
    let all = "--rewrite.to-delete-config=[{matchers: '{__name__=~\".+\"}'}]";
    tools.fails(
        &["rewrite", &id, all, "--no-dry-run", "--tmp.dir=tmp"],
        1,
        "nothing would be left",
    );
    let nobody = "--id=01M820PDZMK3SZGA9JJPRVBEKB";
    tools.fails(&["rewrite", nobody, all], 1, "no block of the bucket");
}

/// What vertical compaction would merge back: the original that stays, and the new block, which overlap (P18, S52).
#[tokio::test]
async fn bc_15_p18_what_was_deleted_does_not_come_back_by_a_compaction() {
    for more in [
        &["--no-dry-run", "--delete-blocks", "--tmp.dir=tmp"][..],
        &["--no-dry-run", "--tmp.dir=tmp"],
    ] {
        let tools = Tools::on_two_hour_blocks();
        let args = delete(&format!("[{{matchers: {NAME}}}]"));
        let shown = rewrite(&tools, &args, more);
        let new = shown[0]["new"].as_str().unwrap().to_owned();
        let before = ids(&tools.bucket());
        compact(&tools.bucket()).await;
        let outputs = ids(&tools.bucket())
            .into_iter()
            .filter(|id| !before.contains(id));
        for output in outputs {
            let meta = fs::read(tools.bucket().join(&output).join("meta.json")).unwrap();
            let meta: Value = serde_json::from_slice(&meta).unwrap();
            let sources = meta["compaction"]["sources"].as_array().unwrap();
            assert!(
                !sources.contains(&NEWEST[0].into()),
                "{more:?}: {output} was made of {sources:?}"
            );
        }
        assert!(ids(&tools.bucket()).contains(&new));
    }
}

/// What would be left of it elsewhere: in what it was compacted into, or in what was compacted into it, before a compactor marks that.
#[test]
fn bc_15_what_another_block_holds_too_is_not_rewritten() {
    let tools = Tools::on_raw();
    let mut sources: Vec<BlockId> = meta(&tools, EIGHT_HOURS)["compaction"]["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().parse().unwrap())
        .collect();
    let source = sources.pop().unwrap().to_string();
    let what = format!("--rewrite.to-delete-config=[{{matchers: {NAME}}}]");
    for block in [&source, EIGHT_HOURS] {
        // The newest eight hours were compacted into nothing.
        let mark = tools.bucket().join(block).join("deletion-mark.json");
        let _absent = fs::remove_file(mark).is_err();
    }
    let fails = |block: &str, words: &str| {
        let id = format!("--id={block}");
        tools.fails(&["rewrite", &id, &what, "--tmp.dir=tmp"], 1, words);
    };
    fails(
        &source,
        &format!("block {EIGHT_HOURS} holds its samples too"),
    );
    fails(
        EIGHT_HOURS,
        &format!("block {source}, which went into it, would count again"),
    );
}

/// It went into a larger block, which tells of it, before its original was deleted.
#[tokio::test]
async fn bc_15_what_was_rewritten_and_compacted_is_not_rewritten_again() {
    let tools = Tools::on_two_hour_blocks();
    let first = ids(&tools.bucket()).remove(0);
    let what = format!("--rewrite.to-delete-config=[{{matchers: {NAME}}}]");
    let id = format!("--id={first}");
    let args = ["rewrite", &id, &what, "--no-dry-run", "--tmp.dir=tmp"];
    tools.ok(&args);
    compact(&tools.bucket()).await;
    tools.fails(
        &args,
        1,
        "it was rewritten before, and the result went into block",
    );
}

fn meta(tools: &Tools, block: &str) -> Value {
    let meta = fs::read(tools.bucket().join(block).join("meta.json")).unwrap();
    serde_json::from_slice(&meta).unwrap()
}

/// A compactor with vertical compaction, until nothing is left to do.
pub(super) async fn compact(bucket: &Path) {
    let clock = Arc::new(SystemClock);
    let context = OpenContext {
        clock: Arc::<SystemClock>::clone(&clock),
        registry: Registry::new(),
        component: "compact".to_owned(),
    };
    let config = format!(
        "type: FILESYSTEM\nconfig:\n  directory: {}",
        bucket.display()
    );
    let tasks = TaskGroup::new("compact");
    let parts = Parts {
        bucket: open(&config, &context).unwrap(),
        disk: Arc::new(MemoryDisk::new()),
        clock,
        entropy: Arc::new(SystemEntropy),
        cpu: CpuPool::inline(),
        files: CpuPool::inline(),
        ledger: Ledger::new(1 << 30),
        tasks: tasks.spawner(),
        registry: Registry::new(),
    };
    let config = CompactConfig {
        fetcher: FetcherConfig::default(),
        scope: Scope::default(),
        contract: Contract {
            consistency_delay_ms: 0,
            ..Contract::default()
        },
        planner: Planner::new(Planner::MAX_LEVEL, 64 << 30),
        vertical: Some(Function::Chain),
        replica_labels: Vec::new(),
        retention: Retention::default(),
        concurrency: 1,
        downsample_concurrency: 1,
        hash: HashFunc::None,
        lease: None,
    };
    let report = Compactor::build(parts, config).unwrap().iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert!(report.merged > 0, "{report:?}");
}
