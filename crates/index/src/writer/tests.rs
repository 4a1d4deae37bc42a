use bytes::Bytes;

use super::*;
use crate::IndexReader;

fn chunk(min_time: i64, max_time: i64, chunk_ref: u64) -> ChunkMeta {
    ChunkMeta {
        min_time,
        max_time,
        chunk_ref,
    }
}

fn with_symbols(symbols: &[&str]) -> IndexWriter {
    let mut writer = IndexWriter::new();
    for (i, symbol) in (0..).zip(symbols) {
        assert_eq!(writer.add_symbol(symbol.as_bytes()).unwrap(), i);
    }
    writer
}

#[test]
fn empty_index() {
    let bytes = IndexWriter::new().finish().unwrap().into_bytes().unwrap();
    let reader = IndexReader::open(bytes.into()).unwrap();
    reader.verify().unwrap();
    assert_eq!(reader.series().count(), 0);
    assert_eq!(reader.label_names().count(), 0);
    assert!(reader.symbols().is_empty());
    assert!(reader.postings("", "").unwrap().unwrap().is_empty());
}

#[test]
fn extreme_times_and_references() {
    let chunks = [chunk(i64::MIN, -1, 0), chunk(0, i64::MAX, u64::MAX >> 1)];
    let mut writer = with_symbols(&["a", "b"]);
    writer.add_series(&[(0, 1)], &chunks).unwrap();
    writer.add_series(&[(1, 0)], &[]).unwrap();
    let bytes = writer.finish().unwrap().into_bytes().unwrap();
    let reader = IndexReader::open(bytes.into()).unwrap();
    reader.verify().unwrap();
    let read: Vec<Vec<ChunkMeta>> = reader
        .series()
        .map(|s| s.unwrap().1.chunks().map(Result::unwrap).collect())
        .collect();
    assert_eq!(read, [chunks.to_vec(), Vec::new()]);
}

#[test]
fn large_index_comes_in_pieces() {
    let symbols: Vec<String> = (0..60_000).map(|i| format!("v{i:05}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut writer = with_symbols(&symbols);
    let mut bytes = Vec::new();
    let mut pieces = 0;
    for value in 0..60_000 {
        writer
            .add_series(&[(0, value), (1, value / 1000)], &[])
            .unwrap();
        if writer.pending() > 1 << 20 {
            bytes.append(&mut writer.take());
        }
    }
    for piece in writer.finish().unwrap() {
        let mut piece = piece.unwrap();
        assert!(piece.len() < 3 << 20, "{}", piece.len());
        bytes.append(&mut piece);
        pieces += 1;
    }
    assert!(pieces > 1, "{pieces}");
    let reader = IndexReader::open(Bytes::from(bytes)).unwrap();
    reader.verify().unwrap();
    assert_eq!(reader.label_values("v00000").len(), 60_000);
    assert_eq!(
        reader.postings("v00001", "v00059").unwrap().unwrap().len(),
        1000
    );
}

#[test]
fn refuses_what_breaks_the_format() {
    #[track_caller]
    fn refused(labels: &[(u32, u32)], chunks: &[ChunkMeta], words: &str) {
        let mut writer = with_symbols(&["a", "b", "c"]);
        writer.add_series(&[(0, 1)], &[chunk(0, 10, 100)]).unwrap();
        let error = writer.add_series(labels, chunks).unwrap_err();
        assert_eq!(error.kind(), rutile_model::ErrorKind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
    }
    refused(&[(0, 1)], &[], "order of their labels");
    refused(&[(0, 0)], &[], "order of their labels");
    refused(&[], &[], "order of their labels");
    refused(&[(1, 1), (0, 1)], &[], "order of their names");
    refused(&[(1, 1), (1, 2)], &[], "order of their names");
    refused(&[(0, 3)], &[], "symbol table");
    refused(&[(1, 1)], &[chunk(0, 1, 99)], "references decrease");
    refused(
        &[(1, 1)],
        &[chunk(0, 1, 101), chunk(2, 3, 100)],
        "references decrease",
    );
    refused(&[(1, 1)], &[chunk(1, 0, 100)], "overlap");
    refused(&[(1, 1)], &[chunk(0, 5, 100), chunk(5, 6, 101)], "overlap");

    let mut writer = with_symbols(&["a", "b"]);
    assert!(writer.add_symbol(b"b").is_err());
    assert!(writer.add_symbol(b"aa").is_err());
    writer.add_series(&[(0, 1)], &[]).unwrap();
    assert!(writer.add_symbol(b"c").is_err());
}

#[test]
fn empty_string_is_a_symbol() {
    let mut writer = with_symbols(&["", "a"]);
    assert!(writer.add_symbol(b"").is_err());
    writer.add_series(&[(1, 0)], &[]).unwrap();
    let reader = IndexReader::open(writer.finish().unwrap().into_bytes().unwrap().into()).unwrap();
    assert_eq!(reader.label_values("a").collect::<Vec<_>>(), [""]);
}

/// Spilled postings in a vector.
#[derive(Debug, Default)]
struct Kept(Vec<Vec<u8>>);

impl Spill for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<u64, String> {
        self.0.push(bytes.to_vec());
        Ok(self.0.len() as u64 - 1)
    }

    fn read(
        &mut self,
        number: u64,
        offset: u64,
        len: usize,
    ) -> std::result::Result<Vec<u8>, String> {
        let words = |_| "no such place".to_owned();
        let run = &self.0[usize::try_from(number).map_err(words)?];
        let start = usize::try_from(offset).map_err(words)?;
        Ok(run[start..run.len().min(start + len)].to_vec())
    }
}

#[test]
fn spilled_postings_make_the_same_index() {
    let written = |mut writer: IndexWriter| {
        let symbols: Vec<String> = (0..30_000).map(|i| format!("v{i:05}")).collect();
        for symbol in &symbols {
            writer.add_symbol(symbol.as_bytes()).unwrap();
        }
        for series in 0..20_000 {
            // Names that come and go, values of one series, of many and of all.
            let mut labels = vec![(0, series), (1, series % 7), (2, 9)];
            labels.extend((series % 3 == 0).then_some((3 + series % 50, series / 100)));
            writer.add_series(&labels, &[]).unwrap();
        }
        writer.finish().unwrap().into_bytes().unwrap()
    };
    let plain = written(IndexWriter::new());
    IndexReader::open(plain.clone().into())
        .unwrap()
        .verify()
        .unwrap();
    for bound in [0, 20_000] {
        assert!(written(IndexWriter::with_spill(bound, Box::new(Kept::default()))) == plain);
    }
}

#[test]
fn postings_that_cannot_be_spilled_are_an_error() {
    #[derive(Debug)]
    struct Full;
    impl Spill for Full {
        fn write(&mut self, _: &[u8]) -> std::result::Result<u64, String> {
            Err("no room".to_owned())
        }
        fn read(&mut self, _: u64, _: u64, _: usize) -> std::result::Result<Vec<u8>, String> {
            Err("no room".to_owned())
        }
    }
    let mut writer = IndexWriter::with_spill(0, Box::new(Full));
    writer.add_symbol(b"a").unwrap();
    writer.add_series(&[(0, 0)], &[]).unwrap();
    let error = writer.finish().unwrap_err();
    assert_eq!(error.kind(), rutile_model::ErrorKind::Unavailable);
}
