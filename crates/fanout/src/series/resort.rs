//! Stores that do not remove replica labels: removed here, and sorted again.

use futures::{StreamExt, stream};
use rutile_model::ErrorKind;
use rutile_proto::thanos::ShardInfo;
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::{Batch, BatchStream, Error, Result, Series};

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
        let bytes: usize = batch.series.iter().map(Series::bytes).sum();
        match account.reserve(bytes as u64).await {
            Ok(reservation) => held.push(reservation),
            Err(exhausted) => {
                let message = "its series do not fit into memory, where replica labels are removed";
                let error = Error::new(ErrorKind::Exhausted, message).with_source(exhausted);
                all = reader.fail(&error, all)?;
                break;
            }
        }
        for mut series in batch.series {
            series.labels = series.labels.without(removed);
            if shard.is_none_or(|shard| is_of_shard(shard, &series.labels)) {
                all.series.push(series);
            }
        }
    }
    all.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    all.held = Some(Box::new(held));
    Ok(all)
}
