//! The series of a call, held until all have come: external labels change their order.
//!
//! Prometheus sorts by the labels that it has. Another label in each set keeps the order of most, but
//! not that of a set and a longer one that begins with it; labels that are replaced or removed change
//! more. So all of it is held, within the ledger, and sorted.

use futures::StreamExt;
use rutile_model::{ErrorKind, Labels};
use rutile_promclient::{Answer, Frame, ReadChunk, ReadStream};
use rutile_proto::thanos::ShardInfo;
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::{CallCounter, Error, Result, shard_matches};

use super::failed;

/// What becomes of the labels that Prometheus sends.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Win over a series' own labels.
    pub(super) external: Labels,
    /// Left out.
    pub(super) removed: Vec<String>,
    /// The part of the series that is wanted.
    pub(super) shard: Option<ShardInfo>,
}

/// Series with full labels.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// What may be missing.
    pub(super) warnings: Vec<String>,
    intake: Option<Intake>,
}

/// A series, or a part of one.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) labels: Labels,
    pub(super) chunks: Vec<ReadChunk>,
}

/// How rows are taken in.
#[derive(Debug)]
struct Intake {
    shape: Shape,
    counter: CallCounter,
    account: Account,
    held: Reservation,
}

impl Rows {
    /// No rows yet. They are counted, and their memory is reserved in `account`.
    pub(super) fn new(shape: Shape, counter: CallCounter, account: Account) -> Self {
        Self {
            intake: Some(Intake {
                shape,
                counter,
                held: account.empty(),
                account,
            }),
            ..Self::default()
        }
    }

    /// Takes series without chunks.
    pub(super) async fn add_labels(&mut self, answer: Answer<Vec<Labels>>) -> Result<()> {
        self.warnings.extend(answer.warnings);
        let rows = answer.data.into_iter().map(|labels| Row {
            labels,
            chunks: Vec::new(),
        });
        self.add(rows.collect(), 0).await
    }

    /// Takes all frames of a remote read. Returns how many there were.
    pub(super) async fn add_frames(&mut self, mut frames: ReadStream) -> Result<u32> {
        let mut received = 0;
        while let Some(frame) = frames.next().await {
            let Frame {
                series,
                warnings,
                bytes,
            } = frame.map_err(failed)?;
            received += 1;
            self.warnings.extend(warnings);
            let rows = series.into_iter().map(|series| Row {
                labels: series.labels,
                chunks: series.chunks,
            });
            self.add(rows.collect(), bytes).await?;
        }
        Ok(received)
    }

    /// `bytes` are what their chunks hold.
    async fn add(&mut self, rows: Vec<Row>, bytes: usize) -> Result<()> {
        let Some(intake) = &mut self.intake else {
            return Ok(());
        };
        let mut taken = Vec::with_capacity(rows.len());
        for row in rows {
            taken.extend(intake.take(row)?);
        }
        let of_row = |row: &Row| size_of::<Row>() + row.labels.bytes() + size_of_val(&*row.chunks);
        let memory = bytes + taken.iter().map(of_row).sum::<usize>();
        intake.reserve(memory as u64).await?;
        self.rows.append(&mut taken);
        Ok(())
    }

    /// In the order of their labels; parts of a series stay in the order in which they came.
    pub(super) fn sorted(mut self) -> Self {
        self.rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        self
    }
}

impl Intake {
    /// The row with full labels; `None` if it is of another shard.
    fn take(&mut self, row: Row) -> Result<Option<Row>> {
        let shape = &self.shape;
        let labels = row.labels.extended_with(&shape.external);
        let labels = labels.without(&shape.removed);
        let bytes = labels.iter();
        let bytes = bytes.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        if let Some(shard) = &shape.shard
            && !shard_matches(shard, bytes)
        {
            return Ok(None);
        }
        self.counter.add(row.chunks.len())?;
        Ok(Some(Row { labels, ..row }))
    }

    async fn reserve(&mut self, bytes: u64) -> Result<()> {
        let reserved = self.account.reserve(bytes).await.map_err(|exhausted| {
            let message =
                "the series of Prometheus do not fit into memory: ask for fewer, or for less time";
            Error::new(ErrorKind::Exhausted, message).with_source(exhausted)
        })?;
        self.held.merge(reserved);
        Ok(())
    }
}
