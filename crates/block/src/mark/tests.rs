use super::*;

const ID: &str = "01M820QDEEW4ZVS213X6HMWF4J";

fn id() -> BlockId {
    ID.parse().unwrap()
}

#[test]
fn written_compact_in_order() {
    let cases = [
        (
            Mark::new(
                MarkKind::Deletion,
                id(),
                "",
                details::COMPACTED,
                1_795_364_206_999,
            ),
            format!(
                r#"{{"id":"{ID}","version":1,"details":"source of compacted block","deletion_time":1795364206}}"#
            ),
        ),
        (
            Mark::new(MarkKind::Deletion, id(), "", "", 0),
            format!(r#"{{"id":"{ID}","version":1,"deletion_time":0}}"#),
        ),
        (
            Mark::new(MarkKind::NoCompact, id(), reason::MANUAL, "a<b", 5_000),
            format!(
                r#"{{"id":"{ID}","version":1,"details":"a\u003cb","no_compact_time":5,"reason":"manual"}}"#
            ),
        ),
        (
            Mark::new(MarkKind::NoDownsample, id(), reason::MANUAL, "", 5_000),
            format!(r#"{{"id":"{ID}","version":1,"no_downsample_time":5,"reason":"manual"}}"#),
        ),
    ];
    for (mark, json) in cases {
        assert_eq!(String::from_utf8(mark.to_json()).unwrap(), json);
        assert_eq!(
            Mark::parse(mark.kind(), id(), json.as_bytes()).unwrap(),
            mark
        );
        for length in 0..json.len() {
            let error = Mark::parse(mark.kind(), id(), &json.as_bytes()[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes");
        }
    }
}

#[test]
fn golden_marks_are_written_as_they_were() {
    let root = rutile_testkit::golden();
    let mut seen = 0;
    for dir in ["raw", "ha/chain", "ha/penalty"]
        .iter()
        .flat_map(|b| rutile_testkit::block_dirs(&root.join(b)))
    {
        let path = dir.join(MarkKind::Deletion.file_name());
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let id = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let mark = Mark::parse(MarkKind::Deletion, id, &bytes).unwrap();
        assert_eq!(mark.to_json(), bytes);
        assert_eq!(mark.details(), details::COMPACTED);
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn torn_is_corrupt_and_another_version_is_unsupported() {
    let parse =
        |json: &str| Mark::parse(MarkKind::Deletion, id(), json.as_bytes()).map_err(|e| e.kind());
    for torn in [
        "",
        "{",
        "null",
        "[]",
        "\0\0",
        r#"{"version":1,"deletion_time":"x"}"#,
        r#"{"version":1} {}"#,
    ] {
        assert_eq!(parse(torn), Err(ErrorKind::Corrupt), "{torn}");
    }
    for unknown in [
        "{}",
        r#"{"version":2,"deletion_time":{"new":"shape"}}"#,
        r#"{"version":0}"#,
    ] {
        assert_eq!(parse(unknown), Err(ErrorKind::Unsupported), "{unknown}");
    }
    let error = Mark::parse(MarkKind::NoCompact, id(), b"{\"version\":1,").unwrap_err();
    assert_eq!(
        (error.object.as_str(), error.offset),
        (&*format!("{ID}/no-compact-mark.json"), 13)
    );
}

#[test]
fn bc_05_retention_and_people_need_no_successor() {
    for (text, needs) in [
        (details::COMPACTED, true),
        (details::OUTDATED, true),
        (details::REPAIRED, true),
        (details::REWRITTEN, true),
        ("block exceeding retention of 720h0m0s", false),
        ("", false),
        ("tenant left", false),
    ] {
        assert_eq!(
            DeletionMark::new(id(), text, 0).needs_successor(),
            needs,
            "{text}"
        );
    }
}
