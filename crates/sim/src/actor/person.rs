//! A person at the command line: marks blocks, takes marks back, excludes blocks from compaction.

use rutile_block::{BlockId, MarkKind, reason};
use rutile_lifecycle::Lifecycle;
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
    match process.roll(5) {
        0..=1 => {
            process.note(format!("marks {name} for deletion"));
            process.world.reach("S25 a person marks a block");
            drop(lifecycle.mark_deletion(block, "by hand").await);
        }
        2..=3 => {
            process.note(format!("takes a deletion mark off {name}"));
            if let Ok(true) = lifecycle.remove_mark(block, MarkKind::Deletion).await {
                process.world.reach("S38 a person takes a mark off");
            }
        }
        _ => {
            process.note(format!("excludes {name} from compaction"));
            let marked = lifecycle.mark_no_compact(block, reason::MANUAL, "");
            drop(marked.await);
        }
    }
}
