use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::META_FILE;

const ID: &str = "01M820PHAWJ4QN17XR7HF3SM97";

fn id() -> BlockId {
    ID.parse().unwrap()
}

/// The `meta.json` of every golden block.
fn golden() -> Vec<(BlockId, PathBuf, Vec<u8>)> {
    let root = rutile_testkit::golden();
    let files: Vec<_> = ["raw", "long", "ha/input", "ha/chain", "ha/penalty"]
        .iter()
        .flat_map(|bucket| rutile_testkit::block_dirs(&root.join(bucket)))
        .map(|dir| {
            let id = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let path = dir.join(META_FILE);
            let bytes = std::fs::read(&path).unwrap();
            (id, path, bytes)
        })
        .collect();
    assert_eq!(files.len(), 73);
    files
}

/// Fields that Thanos' writer always adds.
fn with_defaults(mut value: serde_json::Value) -> serde_json::Value {
    let thanos = value["thanos"].as_object_mut().unwrap();
    thanos.entry("index_stats").or_insert(serde_json::json!({}));
    thanos
        .entry("upload_time")
        .or_insert("0001-01-01T00:00:00Z".into());
    value
}

#[test]
fn golden_files_are_written_as_they_were() {
    let mut written_by_thanos = 0;
    for (id, path, bytes) in golden() {
        let meta = Meta::parse(id, &bytes).unwrap();
        let json = meta.to_json();
        if bytes.starts_with(b"{\n\t\"ulid\"") {
            written_by_thanos += 1;
            assert_eq!(
                String::from_utf8_lossy(&json),
                String::from_utf8_lossy(&bytes),
                "{path:?}"
            );
        } else {
            // The generator wrote these with sorted keys: the same meaning in another order.
            let original: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let ours: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(ours, with_defaults(original), "{path:?}");
        }
        assert_eq!(Meta::parse(id, &json).unwrap(), meta);
    }
    assert!(written_by_thanos > 25, "{written_by_thanos}");
}

/// Metadata in which nothing is empty.
fn full() -> Meta {
    let mut meta = Meta::new(id());
    meta.min_time = -5;
    meta.max_time = 7_200_000;
    meta.stats = Stats {
        num_samples: 1,
        num_float_samples: 2,
        num_histogram_samples: 3,
        num_series: 4,
        num_chunks: 5,
        num_tombstones: 6,
    };
    meta.compaction = Compaction {
        level: 2,
        sources: vec![id()],
        deletable: true,
        parents: vec![BlockDesc {
            id: id(),
            min_time: 0,
            max_time: 1,
        }],
        failed: true,
        hints: vec!["from-out-of-order".to_owned()],
    };
    meta.thanos.version = 1;
    meta.thanos.labels = Labels::from([("b", "<&>"), ("a", "x\u{2028}y")]);
    meta.thanos.downsample.resolution = resolution::FIVE_MINUTES;
    meta.thanos.source = Source::BucketRewrite;
    meta.thanos.segment_files = vec!["000001".to_owned()];
    let hash = FileHash {
        func: "SHA256".to_owned(),
        value: "ab".to_owned(),
    };
    meta.thanos.files = vec![FileStat {
        rel_path: "index".to_owned(),
        size_bytes: 9,
        hash: Some(hash),
    }];
    meta.thanos.rewrites = RawJson::from_text(&format!("[{{\"sources\":[\"{ID}\"]}}]"));
    meta.thanos.index_stats = IndexStats {
        series_max_size: 1,
        chunk_max_size: 2,
    };
    meta.thanos.extensions = RawJson::from_text("{\"z\": [1, 2.50], \"a\": \"<\", \"e\": { } }");
    meta.thanos.upload_time = UploadTime::from_ms(1_795_364_202_434);
    meta
}

#[test]
fn what_is_made_of_rewritten_blocks_has_the_rewrites_of_all() {
    let of = |text: &str| {
        let mut meta = Meta::new(id());
        meta.thanos.rewrites = RawJson::from_text(text);
        meta
    };
    let (a, b) = (of("[{\"z\":1.50,\"a\":2}, 3]"), of("[3,{\"b\":[]}]"));
    let (none, odd) = (Meta::new(id()), of("{\"sources\":[]}"));
    let united = Meta::united_rewrites(&[&a, &none, &odd, &b]);
    assert_eq!(
        united,
        RawJson::from_text("[{\"z\":1.50,\"a\":2},3,{\"b\":[]}]")
    );
    assert_eq!(Meta::united_rewrites(&[&none, &odd]), None);
}

#[test]
fn every_member_is_written_in_its_place() {
    let meta = full();
    let compaction = format!(
        "\t\"compaction\": {{\n\t\t\"level\": 2,\n\t\t\"sources\": [\n\t\t\t\"{ID}\"\n\t\t],\n\t\t\"deletable\": true,\n\
         \t\t\"parents\": [\n\t\t\t{{\n\t\t\t\t\"ulid\": \"{ID}\",\n\t\t\t\t\"minTime\": 0,\n\t\t\t\t\"maxTime\": 1\n\t\t\t}}\n\t\t],\n\
         \t\t\"failed\": true,\n\t\t\"hints\": [\n\t\t\t\"from-out-of-order\"\n\t\t]\n\t}},\n"
    );
    let head = format!(
        "{{\n\t\"ulid\": \"{ID}\",\n\t\"minTime\": -5,\n\t\"maxTime\": 7200000,\n\t\"stats\": {{\n\t\t\"numSamples\": 1,\n\
         \t\t\"numFloatSamples\": 2,\n\t\t\"numHistogramSamples\": 3,\n\t\t\"numSeries\": 4,\n\t\t\"numChunks\": 5,\n\
         \t\t\"numTombstones\": 6\n\t}},\n{compaction}\t\"version\": 1"
    );
    let thanos = format!(
        ",\n\t\"thanos\": {{\n\t\t\"version\": 1,\n\t\t\"labels\": {{\n\t\t\t\"a\": \"x\\u2028y\",\n\t\t\t\"b\": \"\\u003c\\u0026\\u003e\"\n\t\t}},\n\
         \t\t\"downsample\": {{\n\t\t\t\"resolution\": 300000\n\t\t}},\n\t\t\"source\": \"bucket.rewrite\",\n\
         \t\t\"segment_files\": [\n\t\t\t\"000001\"\n\t\t],\n\t\t\"files\": [\n\t\t\t{{\n\t\t\t\t\"rel_path\": \"index\",\n\t\t\t\t\"size_bytes\": 9,\n\
         \t\t\t\t\"hash\": {{\n\t\t\t\t\t\"hashFunc\": \"SHA256\",\n\t\t\t\t\t\"value\": \"ab\"\n\t\t\t\t}}\n\t\t\t}}\n\t\t],\n\
         \t\t\"rewrites\": [\n\t\t\t{{\n\t\t\t\t\"sources\": [\n\t\t\t\t\t\"{ID}\"\n\t\t\t\t]\n\t\t\t}}\n\t\t],\n\
         \t\t\"index_stats\": {{\n\t\t\t\"series_max_size\": 1,\n\t\t\t\"chunk_max_size\": 2\n\t\t}},\n\
         \t\t\"extensions\": {{\n\t\t\t\"z\": [\n\t\t\t\t1,\n\t\t\t\t2.50\n\t\t\t],\n\t\t\t\"a\": \"\\u003c\",\n\t\t\t\"e\": {{}}\n\t\t}},\n\
         \t\t\"upload_time\": \"2026-11-22T16:16:42.434Z\"\n\t}}"
    );
    let json = String::from_utf8(meta.to_json()).unwrap();
    assert_eq!(json, format!("{head}{thanos}\n}}\n"));
    assert_eq!(Meta::parse(id(), json.as_bytes()).unwrap(), meta);
    assert_eq!(meta.rewritten_sources(), [id()]);
    assert_eq!(
        String::from_utf8(meta.to_prometheus_json()).unwrap(),
        format!("{head}\n}}")
    );
}

#[test]
fn empty_metadata_has_the_members_that_go_always_writes() {
    let json = String::from_utf8(Meta::new(id()).to_json()).unwrap();
    for part in [
        "\t\"stats\": {},\n",
        "\t\t\"labels\": {},\n",
        "\t\t\"index_stats\": {},\n",
        "\"upload_time\": \"0001-01-01T00:00:00Z\"\n",
    ] {
        assert!(json.contains(part), "{part:?} in {json}");
    }
    assert!(!json.contains("extensions") && !json.contains("files"));
}

fn parse(body: &str) -> Result<Meta> {
    Meta::parse(id(), body.replace("ID", ID).as_bytes())
}

#[test]
fn reading_is_as_lenient_as_go() {
    let plain = parse(r#"{"ulid":"ID","version":1}"#).unwrap();
    assert_eq!(plain.thanos, ThanosMeta::default());
    for same in [
        r#"{"ulid":"ID","version":1} trailing"#,
        r#"{"unknown":[{"x":1}],"version":1,"ulid":"ID","thanos":{"more":{}}}"#,
        r#"{"ulid":"ID","version":1,"stats":null,"compaction":null,"thanos":null}"#,
        r#"{"ulid":"ID","version":1,"compaction":{"sources":null,"parents":null,"level":null},
            "thanos":{"labels":null,"files":null,"extensions":null,"rewrites":null,"upload_time":null,"source":null}}"#,
        r#"{"ulid":"ID","version":1,"thanos":{"upload_time":"0001-01-01T00:00:00Z"}}"#,
    ] {
        assert_eq!(parse(same).unwrap(), plain, "{same}");
    }
    let lower = format!("{{\"ulid\":\"{}\",\"version\":1}}", ID.to_lowercase());
    assert_eq!(Meta::parse(id(), lower.as_bytes()).unwrap(), plain);
}

#[test]
fn another_version_is_unknown_not_damaged() {
    for body in [
        r#"{"ulid":"ID","version":2}"#,
        r#"{"ulid":"ID"}"#,
        r#"{"version":3,"ulid":{"new":"shape"}}"#,
        r#"{"ulid":"ID","version":1,"thanos":{"version":2}}"#,
        r#"{"ulid":"ID","version":1,"thanos":{"version":-1}}"#,
    ] {
        let error = parse(body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{body}");
        assert_eq!(error.object, format!("{ID}/meta.json"));
    }
}

#[test]
fn damage_is_named_with_object_and_offset() {
    // Where the offending text ends.
    let cases = [
        ("", ""),
        (" null", " "),
        ("[]", ""),
        ("\0\0\0\0", ""),
        (
            "{\"version\": 1,\n \"ulid\": \"ID\",\n \"minTime\": \"x\"}",
            "\"x\"",
        ),
        (r#"{"version":1,"ulid":"not one"}"#, "one\""),
        (r#"{"ulid":"ID","version":1,"minTime":1e40}"#, "1e40"),
        (
            r#"{"ulid":"ID","version":1,"stats":{"numSeries":-1}}"#,
            "-1",
        ),
        (r#"{"ulid":"01M820PH5Q0KK7SBJ1BGHXYZJ7","version":1}"#, ""),
    ];
    for (body, offending) in cases {
        let body = body.replace("ID", ID);
        let offset = body.find(offending).unwrap() + offending.len();
        let error = parse(&body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{body}: {error}");
        assert_eq!(error.object, format!("{ID}/meta.json"));
        assert!(
            error.offset.abs_diff(offset) <= 1,
            "{body}: {error}, not {offset}"
        );
    }
    let long = vec![b' '; usize::try_from(MAX_META_BYTES).unwrap() + 1];
    assert_eq!(
        Meta::parse(id(), &long).unwrap_err().kind(),
        ErrorKind::Exhausted
    );
}

#[test]
fn every_truncation_and_every_flipped_bit_is_survived() {
    let (id, _, bytes) = golden()
        .into_iter()
        .find(|(_, _, b)| b.starts_with(b"{\n\t\"ulid\""))
        .unwrap();
    let document = bytes.len() - 1;
    for length in 0..document {
        let error = Meta::parse(id, &bytes[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error}");
        assert!(error.offset <= length);
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(meta) = Meta::parse(id, &flipped) {
            assert_eq!(meta.id, id);
        }
    }
}

#[test]
fn deep_nesting_is_kept_without_recursion_or_blow_up() {
    let depth = 20_000;
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let body =
        format!("{{\"ulid\":\"{ID}\",\"version\":1,\"thanos\":{{\"extensions\":{nested}}}}}");
    let meta = Meta::parse(id(), body.as_bytes()).unwrap();
    let text = meta.to_json();
    assert!(text.len() < 100 * body.len(), "{} bytes", text.len());
    assert_eq!(Meta::parse(id(), &text).unwrap(), meta);
}

#[test]
fn group_is_resolution_and_labels() {
    let mut meta = Meta::new(id());
    meta.thanos.labels = Labels::from([("cluster", "eu1"), ("replica", "a")]);
    let hash = meta.thanos.labels.hash();
    assert_eq!(meta.group_key().to_string(), format!("0@{hash}"));
    let mut other = meta.clone();
    other.thanos.downsample.resolution = resolution::ONE_HOUR;
    assert_ne!(meta.group_key(), other.group_key());
}

#[test]
fn sources_round_trip() {
    for name in [
        "",
        "sidecar",
        "receive",
        "compactor",
        "compactor.repair",
        "ruler",
        "bucket.repair",
        "bucket.rewrite",
        "bucket.upload",
        "test",
        "somebody",
    ] {
        assert_eq!(Source::from(name).as_str(), name);
        assert_eq!(
            matches!(Source::from(name), Source::Other(_)),
            name == "somebody"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(Meta::parse(id(), &bytes));
        drop(crate::Mark::parse(crate::MarkKind::Deletion, id(), &bytes));
    }
}

#[test]
fn a_block_may_hold_what_another_is_made_of_untouched_or_rewritten_or_both() {
    let block = |at: u64| BlockId::from_parts(at, [0; 10]);
    let made_of = |at: u64, sources: &[u64]| {
        let mut meta = Meta::new(block(at));
        meta.compaction.sources = sources.iter().map(|at| block(*at)).collect();
        meta
    };
    let rewritten = |mut meta: Meta, from: &[u64]| {
        let sources: Vec<String> = from.iter().map(|at| block(*at).to_string()).collect();
        let rewrites = serde_json::json!([{ "sources": sources }]).to_string();
        meta.thanos.rewrites = Some(serde_json::from_str(&rewrites).unwrap());
        meta
    };
    let old = made_of(9, &[1, 2]);
    // (the other block, holds its sources, is rewritten from it)
    for (new, holds, is_rewritten) in [
        (made_of(10, &[1, 2, 3]), true, false),
        (made_of(10, &[3, 2, 1]), true, false),
        (made_of(10, &[1, 3]), false, false),
        (made_of(10, &[]), false, false),
        (rewritten(made_of(10, &[10]), &[1, 2]), false, true),
        (rewritten(made_of(10, &[10]), &[1]), false, false),
        (rewritten(made_of(11, &[1, 2, 10]), &[1, 2]), true, true),
    ] {
        assert_eq!(new.holds_sources_of(&old), holds, "{new:?}");
        assert_eq!(new.is_rewritten_from(&old), is_rewritten, "{new:?}");
    }
    // A block that names no sources is its own.
    let bare = made_of(5, &[]);
    assert!(made_of(10, &[4, 5]).holds_sources_of(&bare));
    assert!(bare.holds_sources_of(&bare));
    assert!(!made_of(10, &[4]).holds_sources_of(&bare));
}
