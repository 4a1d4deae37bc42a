//! The format of pprof: a gzipped protobuf message (`profile.proto` of github.com/google/pprof).

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::sampler::{INTERVAL, Samples};
use super::symbols::{Functions, Mapping, Symbol, look_up, mappings, program};

/// A profile that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) samples: Samples,
    pub(super) started_ms: i64,
    pub(super) duration: Duration,
}

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<MappingMessage>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
}

/// Numbers of strings, as everywhere where a text is meant.
#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct MappingMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Numbers strings, functions and locations, each once.
#[derive(Default)]
struct Tables {
    profile: Profile,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    locations: BTreeMap<usize, u64>,
}

impl Taken {
    /// The message, compressed.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (mappings, file) = (mappings(), program());
        let functions = file
            .as_ref()
            .and_then(|file| Functions::new(file, &mappings));
        let look_up = |address| look_up(address, functions.as_ref());
        let bytes = self.profile(&mappings, look_up).encode_to_vec();
        let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
        // Writing to memory cannot fail.
        encoder
            .write_all(&bytes)
            .and_then(|()| encoder.finish())
            .unwrap_or_default()
    }

    fn profile(&self, mappings: &[Mapping], look_up: impl Fn(usize) -> Vec<Symbol>) -> Profile {
        let mut tables = Tables::default();
        // The first string is always the empty one.
        tables.string("");
        let counted = tables.value_type("samples", "count");
        let timed = tables.value_type("cpu", "nanoseconds");
        tables.profile.sample_type = vec![counted, timed.clone()];
        tables.profile.period_type = Some(timed);
        let period = nanoseconds(INTERVAL);
        tables.profile.period = period;
        tables.profile.time_nanos = self.started_ms.saturating_mul(1_000_000);
        tables.profile.duration_nanos = nanoseconds(self.duration);
        for (mapping, id) in mappings.iter().zip(1..) {
            let message = tables.mapping(mapping, id);
            tables.profile.mapping.push(message);
        }
        for (stack, count) in &self.samples.stacks {
            let locations = stack.iter();
            let locations = locations.map(|&address| tables.location(address, mappings, &look_up));
            let location_id = locations.collect();
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let value = vec![count, count.saturating_mul(period)];
            tables.profile.sample.push(Sample { location_id, value });
        }
        if self.samples.lost > 0 {
            let lost = format!("{} more samples found no room", self.samples.lost);
            let lost = tables.string(&lost);
            tables.profile.comment.push(lost);
        }
        tables.profile
    }
}

impl Tables {
    fn string(&mut self, text: &str) -> i64 {
        if let Some(number) = self.strings.get(text) {
            return *number;
        }
        let number = i64::try_from(self.profile.string_table.len()).unwrap_or(i64::MAX);
        self.strings.insert(text.to_owned(), number);
        self.profile.string_table.push(text.to_owned());
        number
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> ValueType {
        ValueType {
            kind: self.string(kind),
            unit: self.string(unit),
        }
    }

    /// Symbols are looked up here, so that no reader needs the files.
    fn mapping(&mut self, mapping: &Mapping, id: u64) -> MappingMessage {
        MappingMessage {
            id,
            memory_start: mapping.memory.start as u64,
            memory_limit: mapping.memory.end as u64,
            file_offset: mapping.file_offset,
            filename: self.string(&mapping.path),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        }
    }

    fn location(
        &mut self,
        address: usize,
        mappings: &[Mapping],
        look_up: impl Fn(usize) -> Vec<Symbol>,
    ) -> u64 {
        if let Some(id) = self.locations.get(&address) {
            return *id;
        }
        let id = self.profile.location.len() as u64 + 1;
        self.locations.insert(address, id);
        let symbols = look_up(address);
        let line = symbols.iter().map(|symbol| self.line(symbol)).collect();
        let mapping = mappings.iter().zip(1..);
        let mapping = mapping.filter(|(mapping, _)| mapping.memory.contains(&address));
        self.profile.location.push(Location {
            id,
            mapping_id: mapping.map(|(_, id)| id).next().unwrap_or(0),
            address: address as u64,
            line,
        });
        id
    }

    fn line(&mut self, symbol: &Symbol) -> Line {
        let name = self.string(&symbol.name);
        let filename = self.string(&symbol.file);
        let system_name = self.string(&symbol.system_name);
        let functions = &mut self.profile.function;
        let function_id = *self.functions.entry((name, filename)).or_insert_with(|| {
            let id = functions.len() as u64 + 1;
            functions.push(Function {
                id,
                name,
                system_name,
                filename,
            });
            id
        });
        Line {
            function_id,
            line: i64::from(symbol.line),
        }
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, line: u32) -> Symbol {
        Symbol {
            name: name.to_owned(),
            system_name: format!("_R{name}"),
            file: "src/x.rs".to_owned(),
            line,
        }
    }

    #[test]
    fn everything_is_numbered_once() {
        let taken = Taken {
            samples: Samples {
                stacks: BTreeMap::from([(vec![10, 20], 3), (vec![11, 20], 1), (vec![99], 1)]),
                lost: 2,
            },
            started_ms: 5,
            duration: Duration::from_secs(1),
        };
        let look_up = |address| match address {
            10 | 11 => vec![symbol("inlined", 7), symbol("work", address as u32)],
            20 => vec![symbol("main", 1)],
            _ => Vec::new(),
        };
        let binary = Mapping {
            memory: 0..50,
            file_offset: 0,
            path: "/bin/x".to_owned(),
        };
        let profile = taken.profile(&[binary], look_up);
        let text = |number: i64| profile.string_table[usize::try_from(number).unwrap()].as_str();
        assert_eq!(text(0), "");
        let types = profile.sample_type.iter();
        let types: Vec<_> = types.map(|of| (text(of.kind), text(of.unit))).collect();
        assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
        assert_eq!(
            (profile.period, profile.duration_nanos),
            (10_000_000, 1_000_000_000)
        );
        let samples = profile.sample.iter();
        let samples: Vec<_> = samples
            .map(|of| (&of.location_id[..], &of.value[..]))
            .collect();
        let wanted: [(&[u64], &[i64]); 3] = [
            (&[1, 2], &[3, 30_000_000]),
            (&[3, 2], &[1, 10_000_000]),
            (&[4], &[1, 10_000_000]),
        ];
        assert_eq!(samples, wanted);
        let names: Vec<_> = profile.function.iter().map(|of| text(of.name)).collect();
        assert_eq!(names, ["inlined", "work", "main"]);
        let lines = &profile.location[2].line;
        assert_eq!(
            (lines[0].function_id, lines[1].function_id, lines[1].line),
            (1, 2, 11)
        );
        let mappings: Vec<_> = profile.location.iter().map(|of| of.mapping_id).collect();
        assert_eq!(mappings, [1, 1, 1, 0]);
        assert_eq!(text(profile.comment[0]), "2 more samples found no room");
    }
}
