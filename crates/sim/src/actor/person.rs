//! A person at the command line: marks blocks, takes marks back, excludes blocks from compaction.

use bytes::Bytes;
use rutile_block::{BlockId, Mark, MarkKind, chunk_key, index_key, mark_key, meta_key, reason};
use rutile_lifecycle::Lifecycle;
use rutile_objstore::{Bucket, PutMode};
use rutile_telemetry::Registry;

use crate::actor::Process;
use crate::scenario::{CONTRACT, MINUTE};

pub(crate) async fn run(process: Process) {
    let lifecycle = Lifecycle::new(
        process.bucket(),
        process.clock(),
        CONTRACT,
        &Registry::new(),
    );
    while process.world.is_chaos() {
        process.sleep(25 * MINUTE).await;
        if !process.world.is_chaos() {
            return;
        }
        let blocks = process.world.lock().objects.committed();
        if blocks.is_empty() {
            continue;
        }
        let block = blocks[process.roll(blocks.len() as u64) as usize];
        act(&process, &lifecycle, block).await;
    }
}

async fn act(process: &Process, lifecycle: &Lifecycle, block: BlockId) {
    let name = process.world.lock().trace.name(block);
    match process.roll(14) {
        0..=2 => {
            process.note(format!("marks {name} for deletion"));
            drop(lifecycle.mark_deletion(block, "by hand").await);
        }
        3..=5 => {
            process.note(format!("takes a deletion mark off {name}"));
            if let Ok(true) = lifecycle.unmark(block, MarkKind::Deletion).await {
                process.world.reach("S38");
            }
        }
        6 => leave_partial(process).await,
        7 => leave_upload(process).await,
        8 => spoil_mark(process, block).await,
        9 => break_block(process, block).await,
        10 => mark_blindly(process).await,
        11 => mark_stream(process, lifecycle, block).await,
        _ => {
            process.note(format!("excludes {name} from compaction"));
            let marked = lifecycle.mark_no_compact(block, reason::MANUAL, "");
            drop(marked.await);
        }
    }
}

/// Marks a block that may be gone by now, as a script does that works from an old list.
async fn mark_blindly(process: &Process) {
    let known = process.world.lock().oracle.ever_committed();
    let block = known[process.roll(known.len() as u64) as usize];
    process.note(format!("marks {block} without a look"));
    let now_ms = process.clock().now_ms();
    let mark = Mark::new(MarkKind::Deletion, block, "", "by a script", now_ms);
    let key = mark_key(block, MarkKind::Deletion);
    drop(
        process
            .client
            .put(&key, mark.to_json().into(), PutMode::Overwrite)
            .await,
    );
}

/// Marks all blocks with the labels of one, as who gives up a tenant does; its uploader goes on.
async fn mark_stream(process: &Process, lifecycle: &Lifecycle, block: BlockId) {
    let blocks: Vec<BlockId> = {
        let shared = process.world.lock();
        let labels = |id: BlockId| shared.objects.meta(id).map(|meta| meta.thanos.labels);
        let all = shared.objects.committed().into_iter();
        all.filter(|id| labels(*id) == labels(block)).collect()
    };
    process.note(format!("marks all blocks with the labels of {block}"));
    process.world.reach("S54");
    for block in blocks {
        drop(lifecycle.mark_deletion(block, "by hand").await);
    }
}

/// What a program that nobody knows leaves of an upload.
async fn leave_partial(process: &Process) {
    let id = BlockId::generate(process.clock().now_ms(), &*process.entropy());
    process.note(format!("leaves a part of {id}"));
    process.world.reach("S12");
    let body = Bytes::from_static(b"not an index");
    drop(
        process
            .client
            .put(&index_key(id), body, PutMode::Overwrite)
            .await,
    );
}

/// An upload in parts that nobody finishes; now and then somebody does, when a cleaner may be at it.
async fn leave_upload(process: &Process) {
    let id = BlockId::generate(process.clock().now_ms(), &*process.entropy());
    process.note(format!("begins an upload in parts to {id}"));
    let Ok(mut upload) = process.client.start_multipart(&chunk_key(id, 1)).await else {
        return;
    };
    process.world.reach("S14");
    if process.roll(3) == 0 {
        process.sleep(CONTRACT.partial_age_ms).await;
        drop(upload.complete().await);
    }
}

async fn spoil_mark(process: &Process, block: BlockId) {
    let mark = match process.roll(3) {
        0 => String::new(),
        1 => format!("{{\"id\":\"{block}\",\"ver"),
        _ => format!("{{\"id\":\"{block}\",\"version\":2,\"deletion_time\":1}}"),
    };
    process.world.reach("S37");
    let key = mark_key(block, MarkKind::Deletion);
    drop(
        process
            .client
            .put(&key, mark.into(), PutMode::Overwrite)
            .await,
    );
}

/// Removes one object: what the block holds is not promised any more.
async fn break_block(process: &Process, block: BlockId) {
    let keys = [meta_key(block), index_key(block), chunk_key(block, 1)];
    let key = &keys[process.roll(3) as usize];
    process.note(format!("removes {key}"));
    process.world.reach("S46");
    process.world.change(|shared| {
        let oracle = &mut shared.oracle;
        oracle.given_up |= oracle.meant_by(block);
        oracle.broken.insert(block);
    });
    drop(process.client.delete(key).await);
}
