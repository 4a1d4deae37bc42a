//! `meta.json`, the marks, object keys.

use rutile_block::{BlockId, Mark, MarkKind, Meta, parse_entry, parse_key};

/// The block of the seeds; marks and metas of other blocks are refused.
const ID: &str = "01M820PD8CGVZHQSH6D0C2DRFD";

fn id() -> BlockId {
    ID.parse().unwrap()
}

pub fn meta(data: &[u8]) {
    if let Ok(meta) = Meta::parse(id(), data) {
        let written = meta.to_json();
        let again = Meta::parse(id(), &written).expect("what was written is read");
        assert_eq!(again.to_json(), written);
        let _key = meta.group_key();
        let _sources = meta.rewritten_sources();
        let _plain = meta.to_prometheus_json();
    }
}

fn mark(kind: MarkKind, data: &[u8]) {
    if let Ok(mark) = Mark::parse(kind, id(), data) {
        assert_eq!(mark.kind(), kind);
        let _time = mark.time_ms();
        let written = mark.to_json();
        let again = Mark::parse(kind, id(), &written).expect("what was written is read");
        assert_eq!(again.to_json(), written);
    }
}

pub fn deletion_mark(data: &[u8]) {
    mark(MarkKind::Deletion, data);
}

pub fn no_compact_mark(data: &[u8]) {
    mark(MarkKind::NoCompact, data);
}

pub fn no_downsample_mark(data: &[u8]) {
    mark(MarkKind::NoDownsample, data);
}

pub fn key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _key = parse_key(text);
    let _entry = parse_entry(text);
    if let Ok(id) = text.parse::<BlockId>() {
        assert!(id.to_string().eq_ignore_ascii_case(text));
        assert_eq!(BlockId::parse_dir_name(text), Some(id));
    }
}
