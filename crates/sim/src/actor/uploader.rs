//! Uploads the blocks of a stream as a sidecar does: in order, with a list of what is uploaded that
//! may get lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use rutile_disk::{AsyncDisk, Disk, Durability, MemoryDisk};
use rutile_lifecycle::{HashFunc, Lifecycle, upload_dir};
use rutile_model::ErrorKind;
use rutile_runtime::CpuPool;
use rutile_telemetry::Registry;

use crate::actor::Process;
use crate::scenario::{CONTRACT, MINUTE};

/// The blocks of a stream on local disk, and when each was cut.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Cell, and when it turns up, ms since the start.
    pub(crate) cells: Vec<(usize, i64)>,
    /// What the list of uploaded blocks says; shared by twins, and lost now and then.
    pub(crate) listed: Arc<Mutex<BTreeSet<usize>>>,
}

pub(crate) async fn run(process: Process, stream: Stream) {
    let lifecycle = Lifecycle::new(
        process.bucket(),
        process.clock(),
        CONTRACT,
        &Registry::new(),
    );
    let disk = Arc::new(MemoryDisk::new());
    fill(&process, &stream, &*disk);
    let disk = AsyncDisk::new(disk, CpuPool::inline());
    if process.world.is_chaos() && process.roll(4) == 0 {
        process.note("has lost its list of uploaded blocks");
        process.world.reach("S10");
        // What was given up is not offered again: nobody could tell it from new data.
        let given_up = process.world.lock().oracle.given_up;
        stream
            .listed
            .lock()
            .retain(|cell| given_up >> cell & 1 == 1);
    }
    loop {
        for (cell, born_ms) in &stream.cells {
            if *born_ms > process.world.elapsed_ms() || stream.listed.lock().contains(cell) {
                continue;
            }
            if !upload(&process, &stream, &lifecycle, &disk, *cell).await {
                break;
            }
        }
        process.sleep(2 * MINUTE).await;
    }
}

fn fill(process: &Process, stream: &Stream, disk: &dyn Disk) {
    let shared = process.world.lock();
    for (cell, _) in &stream.cells {
        let Some(cell) = shared.oracle.cells.get(*cell) else {
            continue;
        };
        for (path, body) in [("index", &cell.index), ("chunks/000001", &cell.chunks)] {
            let path = format!("{}/{path}", cell.id);
            let written = disk.write(&path, body, Durability::Cached);
            written.expect("memory has room");
        }
    }
}

/// Whether to go on with the next block.
async fn upload(
    process: &Process,
    stream: &Stream,
    lifecycle: &Lifecycle,
    disk: &AsyncDisk,
    cell: usize,
) -> bool {
    let Some(made) = process.world.lock().oracle.cells.get(cell).cloned() else {
        return false;
    };
    let folder = made.id.to_string();
    let hash = HashFunc::None;
    let uploaded = upload_dir(lifecycle, disk, &folder, made.meta, hash, false).await;
    match uploaded {
        Ok(_) => {
            let name = process.world.lock().trace.name(made.id);
            process.note(format!("is told that {name} is safe"));
            stream.listed.lock().insert(cell);
            process.world.change(|shared| {
                let objects = &shared.objects;
                shared.oracle.acknowledge(cell, objects);
            });
            true
        }
        Err(error) if error.kind() == ErrorKind::Invalid => {
            // It is marked: what becomes of it is others' business now.
            process.world.reach("S11");
            true
        }
        Err(error) => {
            process.note(format!("fails: {error}"));
            false
        }
    }
}
