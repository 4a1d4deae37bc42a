//! Real blocks: read to what their dumps say, written again to the same bytes.

use std::fs;

use bytes::Bytes;
use rutile_index::{
    ChunkMeta, Header, HeaderPlan, IndexReader, IndexVersion, IndexWriter, SeriesEntry,
    build_header,
};
use rutile_testkit::{dumps, golden, label_text};

use crate::naive::{Naive, blocks};

fn open(index: &Bytes) -> IndexReader {
    IndexReader::open(index.clone()).unwrap()
}

fn chunk_metas(entry: &SeriesEntry<'_>) -> Vec<ChunkMeta> {
    entry.chunks().map(Result::unwrap).collect()
}

#[test]
fn header_is_byte_identical() {
    let headers = fs::read_dir(golden().join("index-header")).unwrap();
    let indexes: std::collections::BTreeMap<_, _> = blocks().into_iter().collect();
    let mut compared = 0;
    for entry in headers {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let index = &indexes[name];
        let expected = fs::read(&path).unwrap();
        assert!(build_header(index).unwrap() == expected, "{name}");

        // The same from parts, as from a remote index.
        let plan = HeaderPlan::new(index.len() as u64).unwrap();
        let part = |range: std::ops::Range<u64>| {
            let at = |offset| usize::try_from(offset).unwrap();
            &index[at(range.start)..at(range.end)]
        };
        let [first5, toc] = plan.probe();
        let sections = plan.sections(part(first5), part(toc)).unwrap();
        let (symbols, tail) = (part(sections.symbols()), part(sections.tail()));
        assert!(
            sections.assemble(symbols, tail).unwrap() == expected,
            "{name}"
        );
        assert_eq!(sections.header_len(), expected.len() as u64);
        assert_eq!(
            Header::open(expected.into()).unwrap().index_len(),
            index.len() as u64
        );
        sections.assemble(&symbols[1..], tail).unwrap_err();
        compared += 1;
    }
    assert_eq!(compared, 13);
}

#[test]
fn header_lookups_agree_with_a_naive_reader() {
    for (name, index) in blocks() {
        let naive = Naive::read(&index);
        let bytes = Bytes::from(build_header(&index).unwrap());
        let header = Header::open(bytes.clone()).unwrap();
        header.verify().unwrap();
        naive.check_header(&header);
        let resident = header.resident_bytes();
        assert!(
            resident < 8 * 1024,
            "{name} keeps {resident} bytes resident"
        );
        for sampling in [1, 3, 1000] {
            naive.check_header(&Header::open_sampled(bytes.clone(), sampling).unwrap());
        }
    }
}

#[test]
fn postings_agree_with_a_naive_reader() {
    for (_, index) in blocks() {
        let reader = open(&index);
        assert_eq!(reader.version(), IndexVersion::V2);
        for ((name, value), (_, refs)) in Naive::read(&index).postings {
            let list = reader.postings(&name, &value).unwrap().unwrap();
            assert_eq!(list.to_vec(), refs);
        }
        assert_eq!(reader.postings("nope", "x").unwrap(), None);
    }
}

#[test]
fn chunks_are_those_of_the_dumps() {
    for (name, index) in blocks() {
        let reader = open(&index);
        let mut dump = dumps::chunks(&name);
        for series in reader.series() {
            let (reference, entry) = series.unwrap();
            let again = reader.series_at(reference).unwrap();
            assert_eq!(again.label_bytes(), entry.label_bytes());
            let labels: Vec<(&str, &str)> = entry
                .labels()
                .map(|pair| pair.unwrap())
                .map(|(name, value)| {
                    let symbols = reader.symbols();
                    (
                        symbols.get_str(name).unwrap(),
                        symbols.get_str(value).unwrap(),
                    )
                })
                .collect();
            let text = label_text(labels.iter().copied());
            assert_eq!(entry.chunk_count(), entry.chunks().count());
            assert_eq!(entry.label_count(), labels.len());
            for chunk in chunk_metas(&entry) {
                let line = dump.next().unwrap();
                assert_eq!(line.labels, text, "{name}");
                assert_eq!(
                    (line.min_time, line.max_time),
                    (chunk.min_time, chunk.max_time)
                );
            }
        }
        assert_eq!(dump.next(), None, "{name}");
    }
}

#[test]
fn written_again_byte_identical() {
    for (name, index) in blocks() {
        let reader = open(&index);
        reader.verify().unwrap();
        let mut writer = IndexWriter::new();
        for (reference, symbol) in reader.symbols() {
            assert_eq!(writer.add_symbol(symbol).unwrap(), reference);
        }
        let mut written = Vec::new();
        for series in reader.series() {
            let (reference, entry) = series.unwrap();
            let labels: Vec<_> = entry.labels().map(Result::unwrap).collect();
            assert_eq!(
                writer.add_series(&labels, &chunk_metas(&entry)).unwrap(),
                reference
            );
            if writer.pending() > 10_000 {
                written.append(&mut writer.take());
            }
        }
        written.append(&mut writer.finish().unwrap().into_bytes().unwrap());
        assert!(written == index, "{name} differs");
    }
}
