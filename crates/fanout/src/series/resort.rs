//! Stores that do not remove replica labels: removed here, and sorted again.

use futures::{StreamExt, stream};
use rutile_model::ErrorKind;
use rutile_proto::thanos::{Series, ShardInfo};
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::{Batch, BatchStream, Error, Result, compare_labels};

use super::reader::{Reader, is_of_shard};

/// The whole answer of a store in one batch, without the labels in `removed`, sorted again, of the
/// shard if there is one. The memory is reserved in `account`; what does not fit is a failure of the
/// store.
pub(super) fn stripped(
    reader: Reader,
    removed: Vec<String>,
    shard: Option<ShardInfo>,
    account: Account,
) -> BatchStream {
    let sort = async move { read_all(reader, &removed, shard.as_ref(), &account).await };
    stream::once(sort).boxed()
}

async fn read_all(
    mut reader: Reader,
    removed: &[String],
    shard: Option<&ShardInfo>,
    account: &Account,
) -> Result<Batch> {
    let mut all = Batch::default();
    let mut held: Vec<Reservation> = Vec::new();
    while let Some(batch) = reader.next().await {
        let batch = batch?;
        all.passing.extend(batch.passing);
        match account.reserve(memory_of(&batch.series)).await {
            Ok(reservation) => held.push(reservation),
            Err(exhausted) => {
                let message = "its series do not fit into memory, where replica labels are removed";
                let error = Error::new(ErrorKind::Exhausted, message).with_source(exhausted);
                all = reader.fail(&error, all)?;
                break;
            }
        }
        for mut series in batch.series {
            series.labels.retain(|label| !removed.contains(&label.name));
            if shard.is_none_or(|shard| is_of_shard(shard, &series.labels)) {
                all.series.push(series);
            }
        }
    }
    all.series
        .sort_by(|a, b| compare_labels(&a.labels, &b.labels));
    all.held = Some(Box::new(held));
    Ok(all)
}

/// Bytes that decoded series take: texts, chunks, and the structures around them.
fn memory_of(series: &[Series]) -> u64 {
    let of_labels = |series: &Series| -> usize {
        let labels = series.labels.iter();
        labels
            .map(|label| size_of_val(label) + label.name.len() + label.value.len())
            .sum()
    };
    let of_chunks = |series: &Series| -> usize {
        let chunks = series.chunks.iter();
        chunks
            .map(|chunk| size_of_val(chunk) + prost::Message::encoded_len(chunk))
            .sum()
    };
    let of_one = |series: &Series| size_of_val(series) + of_labels(series) + of_chunks(series);
    series.iter().map(of_one).sum::<usize>() as u64
}
