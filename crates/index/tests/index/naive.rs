//! A second, slow and simple reader of what the tests compare with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use rutile_index::{Header, PostingsRange};
use rutile_testkit::{block_dirs, golden};

/// Every golden block: its name and its index.
pub(crate) fn blocks() -> Vec<(String, Bytes)> {
    let folders = ["raw", "long", "ha/input", "ha/penalty", "ha/chain"];
    let dirs: Vec<PathBuf> = folders
        .iter()
        .flat_map(|f| block_dirs(&golden().join(f)))
        .collect();
    assert!(dirs.len() > 50, "{}", dirs.len());
    let read = |dir: PathBuf| {
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(dir.join("index")).unwrap().into())
    };
    dirs.into_iter().map(read).collect()
}

/// What an index says, read field by field.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    /// Symbol reference and string.
    pub(crate) symbols: Vec<(u32, Vec<u8>)>,
    /// Name and value: where the list lies, and its references.
    pub(crate) postings: BTreeMap<(String, String), (PostingsRange, Vec<u32>)>,
}

fn be32(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn be64(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn uvarint(bytes: &[u8], at: &mut usize) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn string(bytes: &[u8], at: &mut usize) -> Vec<u8> {
    let len = uvarint(bytes, at);
    *at += len;
    bytes[*at - len..*at].to_vec()
}

impl Naive {
    pub(crate) fn read(index: &[u8]) -> Self {
        let mut naive = Self::default();
        let toc = index.len() - 52;
        let (symbols, table) = (be64(index, toc), be64(index, toc + 40));
        let mut at = symbols + 8;
        for ordinal in 0..be32(index, symbols + 4) {
            let reference = if index[4] == 1 { at } else { ordinal };
            let reference = u32::try_from(reference).unwrap();
            naive.symbols.push((reference, string(index, &mut at)));
        }
        let mut at = table + 8;
        let mut entries = Vec::new();
        for _ in 0..be32(index, table + 4) {
            assert_eq!(uvarint(index, &mut at), 2);
            let name = String::from_utf8(string(index, &mut at)).unwrap();
            let value = String::from_utf8(string(index, &mut at)).unwrap();
            entries.push((name, value, uvarint(index, &mut at)));
        }
        let ends = entries.iter().skip(1).map(|entry| entry.2).chain([table]);
        for ((name, value, list), end) in entries.iter().zip(ends) {
            let range = PostingsRange {
                start: *list as u64 + 4,
                end: end as u64 - 4,
            };
            let refs = (0..be32(index, list + 4)).map(|i| be32(index, list + 8 + 4 * i));
            let refs = refs.map(|r| u32::try_from(r).unwrap()).collect();
            naive
                .postings
                .insert((name.clone(), value.clone()), (range, refs));
        }
        naive
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .postings
            .keys()
            .map(|(name, _)| name.as_str())
            .collect();
        names.dedup();
        names.retain(|name| !name.is_empty());
        names
    }

    /// Value and range of every list of a name.
    pub(crate) fn lists(&self, name: &str) -> Vec<(&str, PostingsRange)> {
        let of_name = self.postings.iter().filter(|((n, _), _)| n == name);
        of_name
            .map(|((_, value), (range, _))| (value.as_str(), *range))
            .collect()
    }

    /// Checks every lookup of a header against this.
    pub(crate) fn check_header(&self, header: &Header) {
        for (reference, string) in &self.symbols {
            let span = header.symbols().locate(*reference).unwrap();
            assert_eq!(header.symbol_at(span), string);
            assert_eq!(header.symbol(*reference).unwrap(), string);
            let text = std::str::from_utf8(string).unwrap();
            assert_eq!(header.symbols().get_str(*reference).unwrap(), text);
            assert_eq!(header.lookup_symbol(text), Some(*reference));
            let beside = format!("{text}\u{1}");
            assert_eq!(header.lookup_symbol(&beside), None, "{beside:?}");
        }
        assert_eq!(header.lookup_symbol("\u{10ffff}"), None);
        let all: Vec<_> = header
            .symbols()
            .iter()
            .map(|(r, s)| (r, s.to_vec()))
            .collect();
        assert_eq!(all, self.symbols);
        assert!(
            header
                .symbol(self.symbols.last().unwrap().0 + 1_000_000)
                .is_err()
        );

        assert_eq!(header.label_names().collect::<Vec<_>>(), self.names());
        for name in self.names() {
            self.check_name(header, name);
        }
        for name in ["", "\u{1}", "nope", "zzz"] {
            assert_eq!(header.label_values(name).count(), 0);
            assert_eq!(header.postings_range(name, "x").unwrap(), None);
            assert_eq!(header.label_values_with_ranges(name, None).count(), 0);
            assert_eq!(
                header.postings_ranges(name, &["a", "b"]).unwrap(),
                [None, None]
            );
        }
        let everything = self.postings[&(String::new(), String::new())].0;
        assert_eq!(header.all_postings_range().unwrap(), Some(everything));
    }

    fn check_name(&self, header: &Header, name: &str) {
        let lists = self.lists(name);
        let values: Vec<&str> = lists.iter().map(|(value, _)| *value).collect();
        assert_eq!(header.label_values(name).len(), values.len());
        assert_eq!(header.label_values(name).collect::<Vec<_>>(), values);
        assert_eq!(
            header
                .label_values_with_ranges(name, None)
                .collect::<Vec<_>>(),
            lists
        );
        // Each value with an absent one on both sides.
        let mut wanted = Vec::new();
        for (value, range) in &lists {
            assert_eq!(
                header.postings_range(name, value).unwrap(),
                Some(*range),
                "{name} {value}"
            );
            let after = format!("{value}\0");
            assert_eq!(header.postings_range(name, &after).unwrap(), None);
            wanted.push(((*value).to_owned(), Some(*range)));
            wanted.push((after, None));
        }
        wanted.insert(0, (String::new(), None));
        wanted.push(("\u{10ffff}".to_owned(), None));
        for step in [1, 2, 3, 7, 100] {
            let some: Vec<_> = wanted.iter().step_by(step).collect();
            let keys: Vec<&String> = some.iter().map(|(key, _)| key).collect();
            let ranges: Vec<_> = some.iter().map(|(_, range)| *range).collect();
            assert_eq!(
                header.postings_ranges(name, &keys).unwrap(),
                ranges,
                "{name} by {step}"
            );
        }
        let prefixes = values
            .iter()
            .flat_map(|v| (0..=v.len()).filter_map(|end| v.get(..end)));
        for prefix in prefixes.step_by(17).chain(["~", "\u{1}"]) {
            let expected: Vec<_> = lists
                .iter()
                .filter(|(value, _)| value.starts_with(prefix))
                .copied()
                .collect();
            let found: Vec<_> = header
                .label_values_with_ranges(name, Some(prefix))
                .collect();
            assert_eq!(found, expected, "{name} with prefix {prefix:?}");
        }
    }
}
