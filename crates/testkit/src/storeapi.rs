//! Recorded StoreAPI requests and their answers: `storeapi/<bucket>/requests.tsv` and `<name>.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dumps::split_labels;
use crate::golden;

/// One recorded request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Name of the request and of its answer's file.
    pub name: String,
    /// Which call it is.
    pub rpc: Rpc,
    /// Label matchers.
    pub matchers: Vec<Matcher>,
    /// First time asked for, ms, inclusive.
    pub min_time: i64,
    /// Last time asked for, ms, inclusive.
    pub max_time: i64,
    /// Only the series' labels are wanted.
    pub skip_chunks: bool,
    /// At most so many series; 0 is no limit.
    pub limit: i64,
    /// `response_batch_size`; 0 is one series a frame.
    pub batch: i64,
    /// Labels to drop from the series before they are sorted.
    pub without_replica_labels: Vec<String>,
    /// Coarsest resolution allowed, ms; 0 is raw.
    pub max_resolution_window: i64,
    /// Numbers of the `Aggr` enum.
    pub aggregates: Vec<i32>,
    answer: PathBuf,
}

/// The call that a request makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Rpc {
    /// `Series`
    #[default]
    Series,
    /// `LabelNames`
    LabelNames,
    /// `LabelValues` of this label.
    LabelValues(String),
}

/// A label matcher; `op` is `=`, `!=`, `=~` or `!~`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// Label name.
    pub name: String,
    /// Operator as it is written.
    pub op: &'static str,
    /// Value or regular expression.
    pub value: String,
}

/// One line of the answer to a `Series` call: a series, or one aggregate of one of its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesLine {
    /// The series, as [`crate::label_text`] writes it, external labels included.
    pub labels: String,
    /// The chunk; `None` when none was asked for.
    pub chunk: Option<AnsweredChunk>,
}

/// One aggregate of one chunk in the answer to a `Series` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredChunk {
    /// Time of the first sample, ms.
    pub min_time: i64,
    /// Time of the last sample, ms.
    pub max_time: i64,
    /// `raw`, `count`, `sum`, `min`, `max` or `counter`.
    pub aggregate: String,
    /// The wire's number: 0 XOR, 1 histogram, 2 float histogram.
    pub encoding: i32,
    /// Length of the payload.
    pub bytes: usize,
    /// [`crate::digest`] of the payload.
    pub digest: String,
}

/// The recorded requests to `raw`, `long` or `sidecar`, in order.
///
/// # Panics
/// When there are none, or one is malformed.
#[must_use]
pub fn requests(bucket: &str) -> Vec<Request> {
    let dir = golden().join("storeapi").join(bucket);
    read(&dir.join("requests.tsv"))
        .lines()
        .map(|line| {
            parse_request(line, &dir).unwrap_or_else(|| panic!("bad request of {bucket}: {line}"))
        })
        .collect()
}

impl Request {
    /// The recorded answer, line by line: values of a label call, or series and chunks as text.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn answer(&self) -> Vec<String> {
        read(&self.answer).lines().map(str::to_owned).collect()
    }

    /// The recorded answer to a `Series` call.
    ///
    /// # Panics
    /// When there is none, or a line is malformed.
    #[must_use]
    pub fn series(&self) -> Vec<SeriesLine> {
        self.answer()
            .iter()
            .map(|line| {
                parse_series(line)
                    .unwrap_or_else(|| panic!("bad line in {}: {line}", self.answer.display()))
            })
            .collect()
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn parse_request(line: &str, dir: &Path) -> Option<Request> {
    let (name, arguments) = line.split_once('\t')?;
    let mut request = Request {
        name: name.to_owned(),
        answer: dir.join(format!("{name}.txt")),
        ..Request::default()
    };
    let mut label = None;
    let mut words = arguments.split_ascii_whitespace();
    while let Some(flag) = words.next() {
        if flag == "-skip-chunks" {
            request.skip_chunks = true;
            continue;
        }
        let value = words.next()?;
        match flag {
            "-match" => request.matchers.push(parse_matcher(value)?),
            "-mint" => request.min_time = value.parse().ok()?,
            "-maxt" => request.max_time = value.parse().ok()?,
            "-limit" => request.limit = value.parse().ok()?,
            "-batch" => request.batch = value.parse().ok()?,
            "-without-replica" => request.without_replica_labels.push(value.to_owned()),
            "-max-resolution-window" => request.max_resolution_window = value.parse().ok()?,
            "-aggrs" => {
                request.aggregates = value
                    .split(',')
                    .map(|n| n.parse().ok())
                    .collect::<Option<_>>()?;
            }
            "-rpc" if value == "names" => request.rpc = Rpc::LabelNames,
            "-rpc" if value == "values" => request.rpc = Rpc::LabelValues(String::new()),
            "-label" => label = Some(value.to_owned()),
            _ => return None,
        }
    }
    if let Rpc::LabelValues(name) = &mut request.rpc {
        *name = label?;
    }
    Some(request)
}

fn parse_matcher(text: &str) -> Option<Matcher> {
    let at = text.find(['=', '!'])?;
    let (name, rest) = text.split_at_checked(at)?;
    let op = ["=~", "!~", "!=", "="]
        .into_iter()
        .find(|op| rest.starts_with(op))?;
    let value = rest.strip_prefix(op)?;
    Some(Matcher {
        name: name.to_owned(),
        op,
        value: value.to_owned(),
    })
}

fn parse_series(line: &str) -> Option<SeriesLine> {
    let (labels, rest) = split_labels(line)?;
    let labels = labels.to_owned();
    let mut fields = rest.split_ascii_whitespace();
    let Some(min_time) = fields.next() else {
        return Some(SeriesLine {
            labels,
            chunk: None,
        });
    };
    let chunk = AnsweredChunk {
        min_time: min_time.parse().ok()?,
        max_time: fields.next()?.parse().ok()?,
        aggregate: fields.next()?.to_owned(),
        encoding: fields.next()?.parse().ok()?,
        bytes: fields.next()?.parse().ok()?,
        digest: fields.next()?.to_owned(),
    };
    fields.next().is_none().then_some(SeriesLine {
        labels,
        chunk: Some(chunk),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_request_and_answer_parses() {
        for (bucket, expected) in [("raw", 24), ("long", 24), ("sidecar", 16)] {
            let requests = requests(bucket);
            assert_eq!(requests.len(), expected, "{bucket}");
            for request in requests {
                if request.rpc == Rpc::Series {
                    let chunks = request
                        .series()
                        .iter()
                        .filter(|line| line.chunk.is_some())
                        .count();
                    assert!(
                        !request.skip_chunks || chunks == 0,
                        "{bucket}/{}",
                        request.name
                    );
                } else {
                    assert!(!request.answer().is_empty(), "{bucket}/{}", request.name);
                }
            }
        }
    }

    #[test]
    fn arguments_are_understood() {
        let request = parse_request(
            "x\t-match a!~b=c -match d= -mint 1 -maxt 2 -aggrs 1,2 -skip-chunks -rpc values -label pod",
            Path::new("dir"),
        )
        .unwrap();
        assert_eq!(request.rpc, Rpc::LabelValues("pod".to_owned()));
        let matcher = |name: &str, op, value: &str| Matcher {
            name: name.to_owned(),
            op,
            value: value.to_owned(),
        };
        assert_eq!(
            request.matchers,
            [matcher("a", "!~", "b=c"), matcher("d", "=", "")]
        );
        assert_eq!((request.min_time, request.max_time), (1, 2));
        assert_eq!(request.aggregates, [1, 2]);
        assert!(request.skip_chunks);
        assert!(parse_request("x\t-unknown 1", Path::new("dir")).is_none());
        assert!(parse_request("x\t-rpc values", Path::new("dir")).is_none());
    }
}
