//! The real `bucket replicate`: to a second bucket all the time, and back from it now and then, as after a loss.

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_block::resolution;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_lifecycle::Lifecycle;
use rutile_objstore::fake::MemoryBucket;
use rutile_objstore::{Bucket, BucketReader};
use rutile_telemetry::Registry;
use rutile_tools::replicate::{Replicator, Wanted};

use crate::actor::Process;
use crate::scenario::{CONTRACT, MINUTE};

pub(crate) async fn run(process: Process, replica: MemoryBucket) {
    let there: Arc<dyn Bucket> = Arc::new(replica.clone());
    let away = replicator(&process, process.reader(), there);
    let back = replicator(&process, Arc::new(replica), process.bucket());
    loop {
        process.sleep(10 * MINUTE).await;
        let restores = process.world.is_chaos() && process.roll(8) == 0;
        let round = match restores {
            true => {
                process.note("restores");
                process.world.lock().oracle.saw_restore();
                back.round().await
            }
            false => away.round().await,
        };
        match round {
            Ok(round) if !restores && round.copied > 0 => process.world.reach("S63"),
            Ok(_) => {}
            Err(error) => process.note(format!("fails: {error:#}")),
        }
    }
}

fn replicator(process: &Process, from: Arc<dyn BucketReader>, to: Arc<dyn Bucket>) -> Replicator {
    let registry = Registry::new();
    let reader: Arc<dyn BucketReader> = Arc::<dyn Bucket>::clone(&to);
    Replicator {
        looks: process.fetcher(Arc::clone(&from)),
        from,
        looks_there: process.fetcher(reader),
        lifecycle: Lifecycle::new(to, process.clock(), CONTRACT, &registry),
        wanted: Wanted {
            resolutions: resolution::ALL.into_iter().collect(),
            levels: BTreeSet::new(),
            level_range: 1..=i64::MAX,
            matchers: Vec::new(),
            time: TimePartition::default(),
            ids: Vec::new(),
            leave_marked: false,
        },
        clock: process.clock(),
    }
}
