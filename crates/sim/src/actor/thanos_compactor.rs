//! Thanos's compactor as a model, by the rules that it keeps (BC-19): it plans with hand-marked blocks,
//! believes its listings, verifies nothing, and deletes by the time in a mark.
//!
//! It takes turns with ours in one place of the cluster, as in a migration and a roll-back (S62). It
//! is the only compactor then, as its documentation asks for, and is not frozen: what it does when it
//! wakes after days is known to lose data.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::TryStreamExt;
use rutile_block::{
    BlockId, Mark, MarkKind, Meta, chunk_key, details, index_key, mark_key, meta_key, parse_entry,
};
use rutile_objstore::{Bucket, BucketReader, Depth, PutMode, Result};

use crate::actor::Process;
use crate::actor::thanos::deduplicated;
use crate::cell::Cell;
use crate::scenario::{BLOCK_MS, CONTRACT, ITERATION_MS};

/// What it knows of the bucket in one pass.
#[derive(Debug, Default)]
struct Pass {
    metas: BTreeMap<BlockId, Meta>,
    partial: BTreeSet<BlockId>,
    /// Deletion marks, with their times.
    marked_ms: BTreeMap<BlockId, i64>,
}

pub(crate) async fn run(process: &Process) {
    process.world.reach("S62c");
    loop {
        if let Err(error) = pass(process).await {
            process.note(format!("Thanos's compactor fails: {error}"));
        }
        process.sleep(ITERATION_MS).await;
    }
}

async fn pass(process: &Process) -> Result<()> {
    loop {
        let mut seen = look(process).await?;
        delete_marked(process, &seen).await?;
        let now_ms = process.clock().now_ms();
        let ignored = |ms: i64| now_ms - ms > CONTRACT.delete_delay_ms / 2;
        let dropped = seen.marked_ms.iter().filter(|(_, ms)| ignored(**ms));
        let dropped: Vec<BlockId> = dropped.map(|(id, _)| *id).collect();
        seen.metas.retain(|id, _| !dropped.contains(id));
        collect_garbage(process, &mut seen).await?;
        let Some(inputs) = plan(&seen.metas) else {
            return clean_partial(process, &seen).await;
        };
        compact(process, &inputs).await?;
    }
}

async fn look(process: &Process) -> Result<Pass> {
    let client = &process.client;
    let listed: Vec<_> = client.list("", Depth::Shallow).try_collect().await?;
    let mut seen = Pass::default();
    for id in listed.iter().filter_map(|entry| parse_entry(&entry.key)) {
        match client.get(&meta_key(id), 1 << 20).await {
            Ok(body) => match Meta::parse(id, &body) {
                Ok(meta) => seen.metas.insert(id, meta),
                Err(_) => continue,
            },
            Err(error) if error.is_not_found() => {
                seen.partial.insert(id);
                continue;
            }
            Err(error) => return Err(error),
        };
        match client.get(&mark_key(id, MarkKind::Deletion), 1 << 20).await {
            Ok(body) => {
                let mark = Mark::parse(MarkKind::Deletion, id, &body).ok();
                seen.marked_ms.extend(mark.map(|mark| (id, mark.time_ms())));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    let now_ms = process.clock().now_ms();
    seen.metas.retain(|id, meta| {
        let uploaded = meta.thanos.upload_time.ms().unwrap_or(id.time_ms());
        meta.compaction.level > 1 || now_ms - uploaded >= CONTRACT.consistency_delay_ms
    });
    Ok(seen)
}

async fn delete_marked(process: &Process, seen: &Pass) -> Result<()> {
    for (id, marked_ms) in &seen.marked_ms {
        if process.clock().now_ms() - marked_ms > CONTRACT.delete_delay_ms {
            delete(process, *id).await?;
        }
    }
    Ok(())
}

async fn delete(process: &Process, id: BlockId) -> Result<()> {
    let client = &process.client;
    client.delete(&meta_key(id)).await?;
    let mark = mark_key(id, MarkKind::Deletion);
    let folder = id.to_string();
    let entries: Vec<_> = client.list(&folder, Depth::Recursive).try_collect().await?;
    for entry in entries.iter().filter(|entry| entry.key != mark) {
        client.delete(&entry.key).await?;
    }
    client.delete(&mark).await?;
    client.delete(&folder).await
}

async fn mark(process: &Process, id: BlockId, details: &str) -> Result<()> {
    let (client, key) = (&process.client, mark_key(id, MarkKind::Deletion));
    if client.exists(&key).await? {
        return Ok(());
    }
    let now_ms = process.clock().now_ms();
    let mark = Mark::new(MarkKind::Deletion, id, "", details, now_ms);
    client
        .put(&key, mark.to_json().into(), PutMode::Overwrite)
        .await
}

async fn collect_garbage(process: &Process, seen: &mut Pass) -> Result<()> {
    let kept = deduplicated(&seen.metas);
    let all: Vec<BlockId> = seen.metas.keys().copied().collect();
    for id in all.into_iter().filter(|id| !kept.contains(id)) {
        seen.metas.remove(&id);
        if !seen.marked_ms.contains_key(&id) {
            mark(process, id, details::OUTDATED).await?;
        }
    }
    Ok(())
}

/// The blocks of one window of a group, if it is complete or a later block exists.
fn plan(metas: &BTreeMap<BlockId, Meta>) -> Option<Vec<Meta>> {
    let mut groups: BTreeMap<String, Vec<&Meta>> = BTreeMap::new();
    for meta in metas.values() {
        let labels = format!("{:?}", meta.thanos.labels);
        groups.entry(labels).or_default().push(meta);
    }
    for group in groups.values_mut() {
        group.sort_by_key(|meta| meta.min_time);
        let overlap = |pair: &[&Meta]| matches!(pair, [a, b] if b.min_time < a.max_time);
        if group.windows(2).any(overlap) {
            // It would halt.
            continue;
        }
        let Some(newest) = group.pop() else {
            continue;
        };
        for window_ms in [4 * BLOCK_MS, 24 * BLOCK_MS] {
            let mut windows: BTreeMap<i64, Vec<&Meta>> = BTreeMap::new();
            for meta in group.iter() {
                let window = meta.min_time.div_euclid(window_ms);
                if meta.max_time <= (window + 1) * window_ms {
                    windows.entry(window).or_default().push(meta);
                }
            }
            let full = |metas: &&Vec<&Meta>| {
                metas.len() > 1 && metas.iter().all(|meta| meta.max_time <= newest.min_time)
            };
            if let Some(inputs) = windows.values().find(full) {
                return Some(inputs.iter().copied().cloned().collect());
            }
        }
    }
    None
}

async fn compact(process: &Process, inputs: &[Meta]) -> Result<()> {
    for input in inputs {
        // The download.
        process.client.get(&index_key(input.id), 1 << 20).await?;
        process.client.get(&chunk_key(input.id, 1), 1 << 20).await?;
    }
    let id = BlockId::generate(process.clock().now_ms(), &*process.entropy());
    let made = {
        let shared = process.world.lock();
        let cells = inputs
            .iter()
            .fold(0, |all, meta| all | shared.oracle.held_by(meta.id));
        Cell::merged(id, inputs, shared.oracle.samples(cells))
    };
    let (client, overwrite) = (&process.client, PutMode::Overwrite);
    client
        .put(&chunk_key(id, 1), made.chunks.clone(), overwrite)
        .await?;
    client
        .put(&index_key(id), made.index.clone(), overwrite)
        .await?;
    let meta = made.meta_of_thanos(process.clock().now_ms());
    client
        .put(&meta_key(id), Bytes::from(meta.to_json()), overwrite)
        .await?;
    for input in inputs {
        mark(process, input.id, details::COMPACTED).await?;
    }
    Ok(())
}

/// By the newest object, or the ULID where a listing does not tell.
async fn clean_partial(process: &Process, seen: &Pass) -> Result<()> {
    for id in &seen.partial {
        let folder = id.to_string();
        let entries: Vec<_> = process
            .client
            .list(&folder, Depth::Recursive)
            .try_collect()
            .await?;
        let mut newest_ms = None;
        for entry in &entries {
            let attributes = process.client.attributes(&entry.key).await?;
            newest_ms = newest_ms.max(Some(attributes.last_modified_ms));
        }
        let age_ms = process.clock().now_ms() - newest_ms.unwrap_or(id.time_ms());
        if age_ms > CONTRACT.partial_age_ms {
            delete(process, *id).await?;
        }
    }
    Ok(())
}
