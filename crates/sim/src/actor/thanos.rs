//! Thanos's components as models, by the rules that they keep (BC-19): its sidecar verifies nothing,
//! its store gateway drops marked blocks whether their replacements can be read or not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use rutile_block::{
    BlockId, InvariantId, Mark, MarkKind, Meta, chunk_key, index_key, mark_key, meta_key,
    parse_entry,
};
use rutile_objstore::{Bucket, BucketReader, Depth, PutMode};

use crate::actor::Process;
use crate::actor::uploader::Stream;
use crate::cells::cells_in;
use crate::scenario::{CONTRACT, MINUTE, SYNC_MS};

/// The shipper of a sidecar: `meta.json` exists, or chunks, index and `meta.json` are put.
pub(crate) async fn sidecar(process: Process, stream: Stream) {
    loop {
        for (cell, born_ms) in &stream.cells {
            if *born_ms > process.world.elapsed_ms() || stream.listed.lock().contains(cell) {
                continue;
            }
            match ship(&process, *cell).await {
                Ok(()) => {
                    stream.listed.lock().insert(*cell);
                    process.world.reach("S62a");
                    process.world.change(|shared| {
                        let objects = &shared.objects;
                        shared.oracle.believe(*cell, objects);
                    });
                }
                Err(error) => {
                    process.note(format!("fails: {error}"));
                    break;
                }
            }
        }
        process.sleep(2 * MINUTE).await;
    }
}

async fn ship(process: &Process, cell: usize) -> rutile_objstore::Result<()> {
    let Some(made) = process.world.lock().oracle.cells.get(cell).cloned() else {
        return Ok(());
    };
    let client = &process.client;
    if client.exists(&meta_key(made.id)).await? {
        return Ok(());
    }
    let overwrite = PutMode::Overwrite;
    let chunks = chunk_key(made.id, 1);
    client.put(&chunks, made.chunks.clone(), overwrite).await?;
    let index = index_key(made.id);
    client.put(&index, made.index.clone(), overwrite).await?;
    let meta = made.meta_of_thanos(process.clock().now_ms());
    let meta = Bytes::from(meta.to_json());
    client.put(&meta_key(made.id), meta, overwrite).await
}

/// A store gateway: what it would answer with after each sync must be there, once faults have stopped
/// long enough ago for its view to be of that time.
pub(crate) async fn store(process: Process) {
    let mut metas = BTreeMap::new();
    loop {
        // A look that began while faults happened mixes what was with what is.
        let begun_ms = process.world.elapsed_ms();
        match look(&process, &mut metas).await {
            Ok(blocks) => check(&process, &blocks, begun_ms),
            Err(error) => process.note(format!("sync fails: {error}")),
        }
        process.sleep(SYNC_MS).await;
    }
}

/// The blocks that it would serve.
async fn look(
    process: &Process,
    metas: &mut BTreeMap<BlockId, Meta>,
) -> Result<BTreeSet<BlockId>, String> {
    let client = &process.client;
    let text = |e: rutile_objstore::Error| e.to_string();
    let listed: Vec<_> = client
        .list("", Depth::Shallow)
        .try_collect()
        .await
        .map_err(text)?;
    let ids: BTreeSet<BlockId> = listed.iter().filter_map(|e| parse_entry(&e.key)).collect();
    metas.retain(|id, _| ids.contains(id));
    let mut kept: BTreeMap<BlockId, Meta> = BTreeMap::new();
    for id in ids {
        if !client.exists(&meta_key(id)).await.map_err(text)? {
            continue;
        }
        if let Entry::Vacant(unknown) = metas.entry(id) {
            let body = client.get(&meta_key(id), 1 << 20).await.map_err(text)?;
            let Ok(meta) = Meta::parse(id, &body) else {
                continue;
            };
            unknown.insert(meta);
        }
        let mark = match client.get(&mark_key(id, MarkKind::Deletion), 1 << 20).await {
            Ok(body) => Mark::parse(MarkKind::Deletion, id, &body).ok(),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.to_string()),
        };
        let now_ms = process.clock().now_ms();
        let ignored = match mark {
            Some(Mark::Deletion(mark)) => now_ms - mark.time_ms() > CONTRACT.ignore_delay_ms,
            _ => false,
        };
        if let Some(meta) = metas.get(&id).filter(|_| !ignored) {
            kept.insert(id, meta.clone());
        }
    }
    Ok(deduplicated(&kept))
}

/// Without the blocks whose sources another one holds.
pub(super) fn deduplicated(kept: &BTreeMap<BlockId, Meta>) -> BTreeSet<BlockId> {
    let sources =
        |meta: &Meta| -> BTreeSet<BlockId> { meta.compaction.sources.iter().copied().collect() };
    let mut order: Vec<&Meta> = kept.values().collect();
    order.sort_by_key(|meta| (std::cmp::Reverse(meta.compaction.sources.len()), meta.id));
    let mut winners: Vec<&Meta> = Vec::new();
    for meta in order {
        let held = |winner: &&Meta| {
            winner.thanos.downsample == meta.thanos.downsample
                && sources(meta).is_subset(&sources(winner))
        };
        if !winners.iter().any(held) {
            winners.push(meta);
        }
    }
    winners.into_iter().map(|meta| meta.id).collect()
}

fn check(process: &Process, blocks: &BTreeSet<BlockId>, begun_ms: i64) {
    let world = Arc::clone(&process.world);
    let settled = world.scenario.chaos_ms + CONTRACT.ignore_delay_ms + SYNC_MS;
    if begun_ms < settled {
        return;
    }
    world.reach("S62b");
    world.change(|shared| {
        let oracle = &mut shared.oracle;
        let all = blocks.iter().fold(0, |all, id| all | oracle.held_by(*id));
        let lost = oracle.acknowledged & !oracle.given_up & !all;
        if let Some(at) = cells_in(lost).next() {
            let id = oracle.name(at);
            let what = format!("a store gateway of Thanos lacks {id} although no faults happen");
            oracle.violate(InvariantId::Bc19, what);
        }
    });
}
