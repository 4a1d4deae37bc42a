//! `rutile-tools bucket` on copies of the golden bucket `raw`: 39 real blocks, 34 of them marked by the compaction
//! that merged them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rutile_testkit::{block_dirs, copy_bucket, golden};
use serde_json::Value;
use tempfile::TempDir;

#[path = "bucket/replicate.rs"]
mod replicate;
#[path = "bucket/rewrite.rs"]
mod rewrite;

/// The newest two-hour blocks, which no other block holds.
const NEWEST: [&str; 2] = ["01M820PDYWZG3SENBFJ0F29G26", "01M820PDZMK3SZGA9JJPRVBEKA"];
/// Eight hours, a result of compaction.
const EIGHT_HOURS: &str = "01M820Q9RQ27VBZF6TJTV2K9HB";

/// A filesystem bucket and the program on it.
struct Tools {
    home: TempDir,
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Tools {
    fn on_empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bucket")).unwrap();
        Self { home }
    }

    fn on_raw() -> Self {
        let tools = Self::on_empty();
        copy_bucket(&golden().join("raw"), &tools.bucket());
        tools
    }

    /// The thirty blocks that were compacted, as they were before.
    fn on_two_hour_blocks() -> Self {
        let tools = Self::on_raw();
        for block in block_dirs(&tools.bucket()) {
            if block.file_name().unwrap().to_str().unwrap() > NEWEST[1] {
                fs::remove_dir_all(block).unwrap();
            } else {
                // The newest two have none.
                let _absent = fs::remove_file(block.join("deletion-mark.json")).is_err();
            }
        }
        tools
    }

    fn bucket(&self) -> PathBuf {
        self.home.path().join("bucket")
    }

    fn run(&self, args: &[&str]) -> Run {
        let config = format!(
            "type: FILESYSTEM\nconfig:\n  directory: {}",
            self.bucket().display()
        );
        let output = Command::new(env!("CARGO_BIN_EXE_rutile-tools"))
            .args(["bucket", "--objstore.config", &config])
            .args(args)
            .current_dir(self.home.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs what must succeed.
    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.err);
        run.out
    }

    /// Runs what must fail, with this code and these words on standard error.
    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, words: &str) {
        let run = self.run(args);
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.err);
        assert!(run.err.contains(words), "{args:?}: {}", run.err);
        assert_eq!(run.out, "", "{args:?}");
    }

    /// State and reason of each block, by its ULID.
    fn states(&self, more: &[&str]) -> Vec<(String, String, String)> {
        let mut args = vec!["inspect", "-o", "json"];
        args.extend(more);
        let blocks: Vec<Value> = serde_json::from_str(&self.ok(&args)).unwrap();
        let text = |block: &Value, key: &str| block[key].as_str().unwrap().to_owned();
        blocks
            .iter()
            .map(|b| (text(b, "id"), text(b, "state"), text(b, "reason")))
            .collect()
    }

    /// What a compactor would do with a block, and why.
    #[track_caller]
    fn next(&self, id: &str, more: &[&str]) -> (String, String) {
        let args = [&["inspect", "-o", "json"], more].concat();
        let blocks: Vec<Value> = serde_json::from_str(&self.ok(&args)).unwrap();
        let block = blocks.iter().find(|block| block["id"] == id).unwrap();
        let text = |key: &str| block["next"][key].as_str().unwrap_or_default().to_owned();
        (text("action"), text("reason"))
    }

    #[track_caller]
    fn state(&self, id: &str, more: &[&str]) -> (String, String) {
        let all = self.states(more);
        let (_, state, reason) = all.into_iter().find(|(found, ..)| found == id).unwrap();
        (state, reason)
    }
}

#[test]
fn ls_lists_what_is_asked_for() {
    let tools = Tools::on_raw();
    let expected: Vec<String> = block_dirs(&tools.bucket())
        .iter()
        .map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed =
        |args: &[&str]| -> Vec<String> { tools.ok(args).lines().map(str::to_owned).collect() };
    assert_eq!(listed(&["ls"]), expected);
    assert_eq!(listed(&["ls", "--exclude-delete"]).len(), 5);
    assert_eq!(listed(&["ls", "--no-exclude-delete"]).len(), 39);
    assert_eq!(
        listed(&["ls", "--min-time=2026-01-03T10:00:01Z"]),
        [NEWEST[1]]
    );
    assert_eq!(listed(&["ls", "--max-time=2025-12-31T00:00:00Z"]), [""; 0]);
    let keep_small = "--selector.relabel-config=- action: keep\n  source_labels: [__block_id]\n  regex: 01M820PD.*";
    assert_eq!(listed(&["ls", keep_small]).len(), 30);
    assert_eq!(
        listed(&["ls", "-o", "wide"])[0],
        "01M820PD8CGVZHQSH6D0C2DRFD -- 2026-01-01T00:00:00Z - 2026-01-01T02:00:00Z \
         Diff: 2h0m0s, Compaction: 1, Downsample: 0, Source: sidecar"
    );
    assert_eq!(
        listed(&["ls", "-o", "{{.ULID}} {{.Thanos.Labels.cluster}}"])[38],
        format!("{} eu1", expected[38])
    );
}

#[test]
fn ls_as_json_prints_each_meta_as_it_is() {
    let tools = Tools::on_empty();
    let id = EIGHT_HOURS;
    copy_bucket(&golden().join("raw").join(id), &tools.bucket().join(id));
    let meta = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let original = fs::read_to_string(tools.bucket().join(id).join("meta.json")).unwrap();
    assert_eq!(meta(&tools.ok(&["ls", "-o", "json"])), meta(&original));
}

#[test]
fn mistakes_are_explained() {
    let tools = Tools::on_empty();
    tools.fails(&["ls", "--wide"], 2, "--wide");
    tools.fails(&["ls", "--min-time=yesterday"], 2, "yesterday");
    tools.fails(&["ls", "-o", "{{range .Files}}"], 1, "only fields");
    tools.fails(
        &["ls", "--selector.relabel-config=- action: x"],
        1,
        "selector.relabel-config",
    );
    tools.fails(&["inspect", "--sort-by=SIZE"], 2, "SIZE");
    tools.fails(&["inspect", "-l", "cluster"], 1, "name=\"value\"");
    tools.fails(
        &["mark", "--marker=deletion-mark.json", "--details=x"],
        2,
        "--id",
    );
    tools.fails(
        &[
            "mark",
            "--marker=x",
            "--details=x",
            &format!("--id={}", NEWEST[0]),
        ],
        2,
        "x",
    );
    tools.fails(
        &[
            "mark",
            "--marker=deletion-mark.json",
            "--id=x",
            "--details=x",
        ],
        1,
        "ULID",
    );
    tools.fails(
        &[
            "mark",
            "--marker=deletion-mark.json",
            &format!("--id={}", NEWEST[0]),
        ],
        1,
        "--details",
    );
    tools.fails(&["upload-blocks"], 1, "--label");
    tools.fails(
        &["upload-blocks", "--label=a=b", "--path=nowhere"],
        1,
        "nowhere",
    );
    fs::remove_dir(tools.bucket()).unwrap();
    tools.fails(&["ls"], 1, "does not exist");
}

#[test]
fn inspect_has_the_columns_of_the_reference() {
    let tools = Tools::on_raw();
    let csv = tools.ok(&[
        "inspect",
        "-o",
        "csv",
        "--sort-by=#SAMPLES",
        "-l",
        "cluster=\"eu1\"",
    ]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 40);
    assert_eq!(
        lines[0],
        "ULID,FROM,UNTIL,RANGE,UNTIL-DOWN,#SERIES,#SAMPLES,#CHUNKS,COMP-LEVEL,COMP-FAILED,LABELS,RESOLUTION,SOURCE"
    );
    assert_eq!(
        lines[39],
        "01M820Q9SJYFHMNPJJ06KPJ51B,2026-01-01T00:00:00Z,2026-01-03T00:00:00Z,48h0m0s,-8h0m0s,500,\
         \"575,964\",\"4,800\",3,false,\"cluster=eu1,replica=a\",0s,compactor"
    );
    assert_eq!(
        tools
            .ok(&["inspect", "-o", "tsv", "-l", "cluster=us2"])
            .lines()
            .count(),
        1
    );
}

#[test]
fn inspect_tells_what_is_served_and_why_not() {
    let tools = Tools::on_raw();
    let states = tools.states(&[]);
    let count = |state: &str| states.iter().filter(|(_, found, _)| found == state).count();
    assert_eq!(
        (states.len(), count("served"), count("superseded")),
        (39, 5, 34)
    );
    let (state, reason) = tools.state("01M820PDXC2FK9EQKT0GRGMCSA", &[]);
    assert_eq!(
        (state.as_str(), reason.contains(EIGHT_HOURS)),
        ("superseded", true),
        "{reason}"
    );

    // The copies were written just now.
    for id in NEWEST {
        assert_eq!(tools.state(id, &["--consistency-delay=30m"]).0, "too-fresh");
    }
    assert_eq!(
        tools.state(EIGHT_HOURS, &["--consistency-delay=30m"]).0,
        "served"
    );

    let table = tools.ok(&["inspect"]);
    assert!(
        table.ends_with("39 blocks: 5 served, 34 superseded; next: 34 wait\n"),
        "{table}"
    );
    assert!(!table.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn inspect_tells_what_a_store_gateway_could_not_load() {
    let tools = Tools::on_raw();
    let block = tools.bucket().join(EIGHT_HOURS);
    let hidden = tools.home.path().join("hidden");
    fs::rename(block.join("chunks/000001"), &hidden).unwrap();
    let (state, reason) = tools.state(EIGHT_HOURS, &[]);
    let missing = "queries of it may fail: object chunks/000001 is missing";
    assert_eq!(state, "served");
    assert!(reason.contains(missing), "{reason}");

    let index = fs::read(block.join("index")).unwrap();
    fs::write(block.join("index"), &index[..index.len() - 1]).unwrap();
    let (state, reason) = tools.state(EIGHT_HOURS, &[]);
    let cannot = "it cannot be loaded: object index has ";
    assert_eq!(state, "bad");
    assert!(reason.starts_with(cannot), "{reason}");
    // What it replaces is served in its place.
    let (state, reason) = tools.state("01M820PDXC2FK9EQKT0GRGMCSA", &[]);
    let replaces = format!("{EIGHT_HOURS}, which replaces it, cannot be loaded");
    assert_eq!(state, "served");
    assert!(reason.contains(&replaces), "{reason}");
}

#[test]
fn inspect_tells_what_a_compactor_does_next_and_why() {
    let tools = Tools::on_raw();
    let next = |id: &str, flags: &[&str]| tools.next(id, flags);
    let (action, reason) = next("01M820PDXC2FK9EQKT0GRGMCSA", &[]);
    assert_eq!(
        (action.as_str(), reason.as_str()),
        ("wait", "deleted in 1d23h")
    );
    assert_eq!(
        next("01M820PDXC2FK9EQKT0GRGMCSA", &["--delete-delay=0s"]).0,
        "delete"
    );
    assert_eq!(next(NEWEST[1], &[]).0, "");
    let keep_a_day = &["--retention.resolution-raw=1d", "--downsampling.disable"];
    assert_eq!(next(EIGHT_HOURS, keep_a_day).0, "mark");

    // As before the compaction.
    let tools = Tools::on_two_hour_blocks();
    let (action, reason) = tools.next("01M820PD8CGVZHQSH6D0C2DRFD", &[]);
    assert_eq!(
        (action.as_str(), reason.as_str()),
        ("merge", "4 blocks into one of 8h")
    );
    let table = tools.ok(&["inspect"]);
    assert!(
        table.ends_with("30 blocks: 30 served; next: 28 merge\n"),
        "{table}"
    );
    let (_, reason) = tools.next("01M820PDD273ECWRHKRCTQJ9XD", &[]);
    assert_eq!(reason, "4 blocks into one of 8h, after another merge");
    let listed = tools.ok(&["inspect", "-o", "json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let mut merges = BTreeMap::new();
    for number in listed
        .iter()
        .filter_map(|block| block["next"]["merge"].as_u64())
    {
        *merges.entry(number).or_insert(0) += 1;
    }
    assert_eq!(merges.into_values().collect::<Vec<_>>(), [4; 7]);
    // A block that must not be compacted parts its neighbours.
    tools.ok(&[
        "mark",
        "--marker=no-compact-mark.json",
        "--details=looks odd",
        "--id=01M820PD8CGVZHQSH6D0C2DRFD",
    ]);
    let (action, reason) = tools.next("01M820PD8CGVZHQSH6D0C2DRFD", &[]);
    assert_eq!(
        (action.as_str(), reason.as_str()),
        ("hold", "marked no-compact: manual, looks odd")
    );
    let (_, reason) = tools.next("01M820PD9CZWF1R857D2JDBVZV", &[]);
    assert_eq!(reason, "3 blocks into one of 6h");
}

#[test]
fn cleanup_deletes_what_was_marked_long_enough_ago() {
    let tools = Tools::on_raw();
    tools.ok(&["cleanup"]);
    assert_eq!(ids(&tools.bucket()).len(), 39, "the marks are fresh");
    // Of what a deletion left behind, and of what nothing replaces.
    let partial = tools.bucket().join("01M820PDXC2FK9EQKT0GRGMCSA/meta.json");
    fs::remove_file(partial).unwrap();
    tools.ok(&["cleanup", "--delete-delay=0s"]);
    assert_eq!(ids(&tools.bucket()).len(), 5);
    assert_eq!(tools.state(EIGHT_HOURS, &[]).0, "served");
}

#[test]
fn cleanup_marks_what_another_block_replaces() {
    let tools = Tools::on_raw();
    let mark = tools
        .bucket()
        .join("01M820PDXC2FK9EQKT0GRGMCSA/deletion-mark.json");
    fs::remove_file(&mark).unwrap();
    tools.ok(&["cleanup", "--consistency-delay=0s"]);
    let written = fs::read_to_string(mark).unwrap();
    assert!(written.contains("outdated block"), "{written}");
}

#[test]
fn retention_marks_what_is_too_old() {
    let tools = Tools::on_two_hour_blocks();
    let keep = "--retention.resolution-raw=1d";
    let flags = ["retention", keep, "--consistency-delay=0s"];
    tools.ok(&flags);
    assert_eq!(
        marked(&tools),
        0,
        "they are to be compacted and downsampled first"
    );
    tools.ok(&[&flags[..], &["--downsampling.disable"]].concat());
    assert_eq!(marked(&tools), 30);
    tools.fails(&["retention", "--retention.resolution-raw=one"], 2, "one");
}

#[test]
fn downsample_makes_what_is_due() {
    let tools = Tools::on_raw();
    let due = "01M820Q9SJYFHMNPJJ06KPJ51B";
    let made = "01M820Q9TTYVEY9S7VQHAQVG39";
    let blocks = || block_dirs(&tools.bucket()).len();
    let before = blocks();
    let flags = [
        "downsample",
        "--http-address=127.0.0.1:0",
        "--wait-interval=0s",
        "--consistency-delay=0s",
    ];
    tools.ok(&flags);
    assert_eq!(blocks(), before, "it is there already");
    fs::remove_dir_all(tools.bucket().join(made)).unwrap();
    let plan = tools.ok(&["inspect", "-o", "json"]);
    assert!(plan.contains("a block of 5m is due"), "{plan}");
    tools.ok(&flags);
    assert_eq!(blocks(), before);
    let index = |block: &Path| fs::read(block.join("index")).unwrap();
    let recorded = index(&golden().join("raw").join(made));
    let alike = block_dirs(&tools.bucket()).into_iter();
    let alike = alike.filter(|block| index(block) == recorded).count();
    assert_eq!(alike, 1, "of {due}");
    assert_eq!(tools.ok(&["verify"]), "no issues\n");
    tools.fails(&["downsample", "--downsample.concurrency=0"], 2, "0");
}

#[test]
fn verify_finds_what_is_damaged_and_what_overlaps() {
    let tools = Tools::on_raw();
    assert_eq!(tools.ok(&["verify"]), "no issues\n");

    let segment = tools.bucket().join(EIGHT_HOURS).join("chunks/000001");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let id = format!("--id={EIGHT_HOURS}");
    let run = tools.run(&["verify", &id]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.out.contains("index_known_issues") && run.out.contains("chunk-checksum"),
        "{}",
        run.out
    );
    assert!(run.err.contains("1 issue was found"), "{}", run.err);

    let meta = tools.bucket().join(NEWEST[0]).join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    assert!(text.contains("\"numSeries\": 200"), "{text}");
    fs::write(
        &meta,
        text.replace("\"numSeries\": 200", "\"numSeries\": 201"),
    )
    .unwrap();
    let id = format!("--id={}", NEWEST[0]);
    let run = tools.run(&["verify", &id, "-o", "json"]);
    let found: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        found[0]["message"],
        "meta.json says 201 series, the block has 200"
    );

    tools.fails(&["verify", "--repair"], 1, "--objstore-backup.config");
    tools.fails(
        &["verify", "--id=01M820PDZMK3SZGA9JJPRVBEKB"],
        1,
        "no block of the bucket",
    );
}

/// The name of a copy of [`EIGHT_HOURS`].
const TWIN: &str = "01M820Q9RQ27VBZF6TJTV2K9HC";

fn add_twin(tools: &Tools) {
    let twin = tools.bucket().join(TWIN);
    copy_bucket(&tools.bucket().join(EIGHT_HOURS), &twin);
    let meta = twin.join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    let ulid = |id: &str| format!("\"ulid\": \"{id}\"");
    fs::write(&meta, text.replace(&ulid(EIGHT_HOURS), &ulid(TWIN))).unwrap();
}

/// A new folder for what repairs put aside.
fn backup(tools: &Tools) -> PathBuf {
    let backup = tools.home.path().join("backup");
    fs::create_dir(&backup).unwrap();
    backup
}

fn backup_config(folder: &Path) -> String {
    format!(
        "--objstore-backup.config=type: FILESYSTEM\nconfig:\n  directory: {}",
        folder.display()
    )
}

/// Nothing is repaired that is not in the backup first, and nothing is removed.
#[test]
fn verify_repairs_what_can_be() {
    let tools = Tools::on_raw();
    let backup = backup(&tools);
    let to = backup_config(&backup);
    let repair = [
        "verify",
        "--repair",
        "--issues=index_known_issues",
        "--issues=duplicated_compaction",
        &to,
    ];
    assert_eq!(tools.ok(&repair), "no issues\n");
    assert_eq!(ids(&backup).len(), 0);

    // A meta.json that does not say what is in the block, a twin, and a segment that is lost.
    let meta = tools.bucket().join(NEWEST[0]).join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(
        &meta,
        text.replace("\"numSeries\": 200", "\"numSeries\": 201"),
    )
    .unwrap();
    add_twin(&tools);
    fs::write(tools.bucket().join(NEWEST[1]).join("chunks/000001"), "").unwrap();
    let before = ids(&tools.bucket());

    let run = tools.run(&repair);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("1 issue was not repaired"), "{}", run.err);
    assert_eq!(ids(&backup), [NEWEST[0], TWIN]);
    let new: Vec<String> = ids(&tools.bucket())
        .into_iter()
        .filter(|id| !before.contains(id))
        .collect();
    let [new] = new.as_slice() else {
        panic!("{new:?}");
    };
    let mark = |id: &str| {
        fs::read_to_string(tools.bucket().join(id).join("deletion-mark.json")).unwrap_or_default()
    };
    assert!(mark(NEWEST[0]).contains("source of repaired block"));
    assert!(mark(TWIN).contains("outdated block"));
    assert!(mark(NEWEST[1]).is_empty() && mark(EIGHT_HOURS).is_empty());
    let index = |id: &str| fs::read(tools.bucket().join(id).join("index")).unwrap();
    assert!(
        index(new) == index(NEWEST[0]),
        "nothing was wrong with the rest"
    );
    assert_eq!(tools.ok(&["verify", &format!("--id={new}")]), "no issues\n");
    // Readers change over within the delay.
    let late = ["--ignore-deletion-marks-delay=0s"];
    assert_eq!(tools.state(NEWEST[0], &late).0, "superseded");
    assert_eq!(tools.state(new, &late).0, "served");
}

/// Of equal blocks one must be left that is whole and that nobody has marked.
#[test]
fn verify_marks_no_duplicate_of_what_does_not_stay() {
    let with_twin = || {
        let tools = Tools::on_raw();
        add_twin(&tools);
        let backup = backup(&tools);
        (tools, backup)
    };
    let repair = |tools: &Tools, backup: &Path| {
        let to = backup_config(backup);
        tools.run(&["verify", "--repair", "--issues=duplicated_compaction", &to])
    };
    let is_marked = |tools: &Tools, id: &str| {
        let mark = tools.bucket().join(id).join("deletion-mark.json");
        mark.try_exists().unwrap()
    };
    // A person marked the one that would be kept.
    let (tools, backup) = with_twin();
    tools.ok(&[
        "mark",
        "--marker=deletion-mark.json",
        "--details=by hand",
        &format!("--id={EIGHT_HOURS}"),
    ]);
    let run = repair(&tools, &backup);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(!is_marked(&tools, TWIN));
    // It is damaged.
    let (tools, backup) = with_twin();
    fs::write(tools.bucket().join(EIGHT_HOURS).join("index"), "x").unwrap();
    let run = repair(&tools, &backup);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("repair it first"), "{}", run.err);
    assert!(!is_marked(&tools, TWIN));
    // The copy would be in the bucket itself.
    let (tools, _) = with_twin();
    let run = repair(&tools, &tools.bucket());
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("it is the bucket itself"), "{}", run.err);
    assert!(!is_marked(&tools, TWIN));
}

fn marked(tools: &Tools) -> usize {
    let marks = block_dirs(&tools.bucket());
    let marks = marks.iter().map(|block| block.join("deletion-mark.json"));
    marks.filter(|mark| mark.is_file()).count()
}

#[test]
fn damaged_blocks_are_shown_and_harm_no_others() {
    let tools = Tools::on_raw();
    let meta = |id: &str| tools.bucket().join(id).join("meta.json");
    fs::remove_file(meta(NEWEST[0])).unwrap();
    fs::write(meta(NEWEST[1]), "{").unwrap();
    let (state, _) = tools.state(NEWEST[0], &[]);
    assert_eq!(state, "partial");
    let (state, reason) = tools.state(NEWEST[1], &[]);
    assert_eq!(
        (state.as_str(), reason.contains("meta.json")),
        ("bad", true),
        "{reason}"
    );
    assert_eq!(tools.state(EIGHT_HOURS, &[]).0, "served");
    assert_eq!(tools.ok(&["ls"]).lines().count(), 37);
}

#[test]
fn marks_are_put_kept_and_removed() {
    let tools = Tools::on_raw();
    let id = format!("--id={}", NEWEST[0]);
    let file = tools.bucket().join(NEWEST[0]).join("deletion-mark.json");
    tools.ok(&[
        "mark",
        "--marker=deletion-mark.json",
        "--details=for a test",
        &id,
    ]);
    let first = fs::read_to_string(&file).unwrap();
    assert!(first.contains("for a test"), "{first}");
    assert_eq!(
        tools
            .state(NEWEST[0], &["--ignore-deletion-marks-delay=0s"])
            .0,
        "marked"
    );
    let (state, reason) = tools.state(NEWEST[0], &[]);
    assert_eq!(
        (state.as_str(), reason.starts_with("marked ")),
        ("served", true),
        "{reason}"
    );
    assert_eq!(tools.ok(&["ls", "--exclude-delete"]).lines().count(), 4);

    tools.ok(&[
        "mark",
        "--marker=deletion-mark.json",
        "--details=again",
        &id,
    ]);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        first,
        "a mark keeps its time and its reason"
    );

    tools.ok(&["mark", "--marker=deletion-mark.json", "--remove", &id]);
    assert!(!file.try_exists().unwrap());

    for marker in ["no-compact-mark.json", "no-downsample-mark.json"] {
        tools.ok(&[
            "mark",
            &format!("--marker={marker}"),
            "--details=for a test",
            &id,
        ]);
        assert!(
            tools
                .bucket()
                .join(NEWEST[0])
                .join(marker)
                .try_exists()
                .unwrap()
        );
    }
    let (state, reason) = tools.state(NEWEST[0], &[]);
    assert_eq!(
        (state.as_str(), reason.as_str()),
        (
            "served",
            "marked not to be compacted; marked not to be downsampled"
        )
    );
    let absent = "--id=00000000000000000000000001";
    tools.fails(
        &["mark", "--marker=deletion-mark.json", "--details=x", absent],
        1,
        "0000000001",
    );
}

#[test]
fn upload_blocks_uploads_what_is_missing() {
    let tools = Tools::on_empty();
    let data = tools.home.path().join("data");
    for id in [NEWEST[0], NEWEST[1], EIGHT_HOURS] {
        copy_bucket(&golden().join("raw").join(id), &data.join(id));
    }
    fs::create_dir(data.join("wal")).unwrap();
    let upload = ["upload-blocks", "--label=cluster=\"eu9\""];
    tools.ok(&upload);
    assert_eq!(
        ids(&tools.bucket()),
        NEWEST,
        "a compacted block is not uploaded unasked"
    );
    for id in NEWEST {
        for file in ["index", "chunks/000001"] {
            let read = |dir: &Path| fs::read(dir.join(id).join(file)).unwrap();
            assert_eq!(read(&data), read(&tools.bucket()), "{id}/{file}");
        }
    }
    let shown = tools.ok(&["ls", "-o", "{{.Thanos.Labels}} {{.Thanos.Source}}"]);
    assert_eq!(shown, "map[cluster:eu9] bucket.upload\n".repeat(2));

    let again = tools.run(&upload);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(again.err.contains("uploaded=0"), "{}", again.err);

    tools.ok(&[
        "upload-blocks",
        "--label=cluster=\"eu9\"",
        "--shipper.upload-compacted",
    ]);
    assert_eq!(ids(&tools.bucket()), [NEWEST[0], NEWEST[1], EIGHT_HOURS]);
}

#[test]
fn upload_blocks_refuses_compacted_blocks_that_overlap() {
    let tools = Tools::on_raw();
    let data = tools.home.path().join("data");
    copy_bucket(
        &golden().join("raw").join(EIGHT_HOURS),
        &data.join(EIGHT_HOURS),
    );
    fs::remove_dir_all(tools.bucket().join(EIGHT_HOURS)).unwrap();
    let upload = [
        "upload-blocks",
        "--label=cluster=eu1",
        "--label=replica=a",
        "--shipper.upload-compacted",
    ];
    tools.fails(&upload, 1, "overlaps");
    assert!(!tools.bucket().join(EIGHT_HOURS).try_exists().unwrap());
}

fn ids(bucket: &Path) -> Vec<String> {
    block_dirs(bucket)
        .iter()
        .map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}
