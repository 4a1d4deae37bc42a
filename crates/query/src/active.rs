//! The log of queries that run: what a process was busy with when it died.
//!
//! A file of as many records as queries may run at a time, in Prometheus's form: a list in JSON, padded to records of
//! 1,000 bytes. What the last process left in it is logged at start. Source: Prometheus 3.14,
//! `promql/query_logger.go`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rutile_runtime::{Clock, CpuPool};

/// The file in the folder.
const FILE: &str = "queries.active";
/// Length of a record, the comma behind it included.
const RECORD_BYTES: usize = 1000;
/// The most queries in the file, if any number may run.
const MAX_RECORDS: usize = 1000;

/// The log of queries that run.
#[derive(Debug, Clone)]
pub struct ActiveQueries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Arc<File>,
    /// Records that are free.
    free: Mutex<Vec<u32>>,
    clock: Arc<dyn Clock>,
    pool: CpuPool,
}

/// A query in the log. Taken out on drop.
#[derive(Debug)]
pub(crate) struct Active {
    shared: Arc<Shared>,
    record: Option<u32>,
}

impl ActiveQueries {
    /// Opens the log in `folder`, which is made if it is not there, after logging what the last process left.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn open(
        folder: &Path,
        max_queries: usize,
        clock: Arc<dyn Clock>,
        pool: CpuPool,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        report(&path);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        let records = if max_queries == 0 {
            MAX_RECORDS
        } else {
            max_queries.min(MAX_RECORDS)
        };
        file.write_all_at(b"[", 0)?;
        let count = u32::try_from(records).unwrap_or(u32::MAX);
        for record in 0..count {
            file.write_all_at(&padded(""), offset(record))?;
        }
        Ok(Self(Arc::new(Shared {
            file: Arc::new(file),
            free: Mutex::new((0..count).rev().collect()),
            clock,
            pool,
        })))
    }

    /// Writes a query into the log, if there is room.
    pub(crate) async fn enter(&self, query: &str) -> Active {
        let record = self.0.free.lock().pop();
        if let Some(record) = record {
            let text = json(query, self.0.clock.now_ms() / 1000);
            self.0.write(record, &text).await;
        }
        Active {
            shared: Arc::clone(&self.0),
            record,
        }
    }
}

impl Shared {
    async fn write(&self, record: u32, text: &str) {
        let (file, bytes) = (Arc::clone(&self.file), padded(text));
        let written = self
            .pool
            .run(move || file.write_all_at(&bytes, offset(record)))
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, "cannot write the active query log");
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let Some(record) = self.record else {
            return;
        };
        // One write into the page cache: not worth a thread.
        if let Err(error) = self.shared.file.write_all_at(&padded(""), offset(record)) {
            tracing::warn!(%error, "cannot write the active query log");
        }
        self.shared.free.lock().push(record);
    }
}

fn offset(record: u32) -> u64 {
    1 + u64::from(record) * RECORD_BYTES as u64
}

/// A record: the text, zeros, and a comma.
fn padded(text: &str) -> Vec<u8> {
    let mut record = text.as_bytes().to_vec();
    record.resize(RECORD_BYTES - 1, 0);
    record.push(b',');
    record
}

/// A query as JSON, cut to a record.
fn json(query: &str, at_s: i64) -> String {
    let mut query = query;
    loop {
        let text = serde_json::json!({ "query": query, "timestamp_sec": at_s }).to_string();
        let Some(excess) = text
            .len()
            .checked_sub(RECORD_BYTES)
            .map(|excess| excess + 1)
        else {
            return text;
        };
        let end = query.floor_char_boundary(query.len().saturating_sub(excess));
        query = query.get(..end).unwrap_or_default();
    }
}

/// Logs the queries that the last process did not finish.
fn report(path: &Path) {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        file.take((RECORD_BYTES * MAX_RECORDS) as u64 + 1)
            .read_to_string(&mut text)
    });
    if read.is_err() {
        return;
    }
    let queries: Vec<&str> = text
        .trim_start_matches('[')
        .split('\0')
        .map(|record| record.trim_start_matches(','))
        .filter(|record| !record.is_empty())
        .collect();
    if !queries.is_empty() {
        let queries = queries.join(",");
        tracing::info!(
            queries,
            "these queries didn't finish in the last run of this process"
        );
    }
}

#[cfg(test)]
mod tests {
    use rutile_runtime::ManualClock;

    use super::*;

    fn open(folder: &Path) -> ActiveQueries {
        ActiveQueries::open(
            folder,
            2,
            Arc::new(ManualClock::new(5000)),
            CpuPool::inline(),
        )
        .unwrap()
    }

    fn records(folder: &Path) -> Vec<String> {
        let bytes = std::fs::read(folder.join(FILE)).unwrap();
        assert_eq!((bytes.len(), bytes[0]), (2001, b'['));
        let record = |record: &[u8]| {
            String::from_utf8(record.to_vec())
                .unwrap()
                .trim_end_matches(['\0', ','])
                .to_owned()
        };
        bytes[1..].chunks(RECORD_BYTES).map(record).collect()
    }

    #[tokio::test]
    async fn queries_are_in_the_file_while_they_run() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let first = log.enter("up").await;
        let long = "é".repeat(2000);
        let second = log.enter(&long).await;
        let third = log.enter("no room").await;
        let found = records(folder.path());
        assert_eq!(found[0], "{\"query\":\"up\",\"timestamp_sec\":5}");
        let read: serde_json::Value = serde_json::from_str(&found[1]).unwrap();
        let query = read["query"].as_str().unwrap();
        assert!(long.starts_with(query) && query.len() > 900);
        drop((first, third));
        assert_eq!(records(folder.path())[0], "");
        drop(second);
        assert_eq!(records(folder.path()), ["", ""]);
        assert_eq!(log.0.free.lock().len(), 2);
    }

    #[tokio::test]
    async fn what_is_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        let active = log.enter("up").await;
        open(folder.path());
        assert_eq!(records(folder.path()), ["", ""]);
        drop(active);
    }
}
