//! A person who rewrites blocks without some of their samples, by the real `bucket rewrite`.

use std::sync::Arc;

use rutile_block::BlockId;
use rutile_disk::{AsyncDisk, MemoryDisk};
use rutile_lifecycle::{HashFunc, Lifecycle};
use rutile_merge::Merger;
use rutile_runtime::{CpuPool, Ledger, TaskGroup};
use rutile_telemetry::Registry;
use rutile_tools::rewrite::{Rewriter, Rewriting, find};

use crate::actor::Process;
use crate::cells::ROOM;
use crate::erasure::Erasure;
use crate::scenario::{CONTRACT, MINUTE};
use crate::world::Shared;

/// Memory that nobody gets to the end of here.
const MEMORY: u64 = 8 << 30;

pub(crate) async fn run(process: Process, erasure: Erasure) {
    let tasks = TaskGroup::new("rewrite");
    let registry = Registry::new();
    let lifecycle = Lifecycle::new(process.bucket(), process.clock(), CONTRACT, &registry);
    let request = erasure.request();
    let rewriting = Rewriting::parse(("to-delete", Some(&request)), ("to-relabel", None));
    let mut rewriter = Rewriter {
        merger: Merger {
            bucket: process.reader(),
            lifecycle,
            pool: CpuPool::inline(),
            spawner: tasks.spawner(),
            ledger: Ledger::new(MEMORY),
            scratch: AsyncDisk::new(Arc::new(MemoryDisk::new()), CpuPool::inline()),
            hash: HashFunc::None,
        },
        rewriting: rewriting.expect("a request that can be"),
        fetcher: process.fetcher(process.reader()),
        delete_blocks: true,
    };
    while process.world.is_chaos() && process.world.lock().oracle.cells.len() < ROOM - 1 {
        process.sleep(8 * MINUTE).await;
        let blocks = process.world.lock().objects.committed();
        if blocks.is_empty() {
            continue;
        }
        let block = blocks[process.roll(blocks.len() as u64) as usize];
        rewriter.delete_blocks = process.roll(6) != 0;
        if let Err(error) = Box::pin(rewrite(&process, &rewriter, block)).await {
            process.note(format!("does not rewrite {block}: {error:#}"));
        }
    }
}

async fn rewrite(
    process: &Process,
    rewriter: &Rewriter,
    block: BlockId,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let view = rewriter.fetcher.fetch().await?;
    let meta = find(&view, block, false)?;
    let before = rewriter.made_before(&view, &meta)?;
    process.note(format!("rewrites {block}"));
    {
        let mut shared = process.world.lock();
        let Shared {
            objects, oracle, ..
        } = &mut *shared;
        oracle.begins_to_rewrite(objects, block);
    }
    let survey = rewriter.survey(&meta, &mut |_| Ok(())).await?;
    let is_change = !survey.effect().is_none();
    if !is_change {
        let world = &process.world;
        world.change(|shared| shared.oracle.told_of_no_change(block));
    }
    let new = || BlockId::generate(process.clock().now_ms(), &*process.entropy());
    let output = before.unwrap_or_else(new);
    let there = before.is_some();
    let made = rewriter.replace(&meta, survey, output, there).await?;
    if is_change {
        process.note(format!("is told that {block} was rewritten: {made:?}"));
    }
    if is_change && rewriter.delete_blocks {
        process.world.change(|shared| {
            shared.oracle.told_of_rewrite(&shared.objects, block);
        });
    }
    Ok(())
}
