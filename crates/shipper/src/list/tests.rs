use std::sync::Arc;

use rutile_disk::{Disk, Fault, FaultRates, FaultyDisk, MemoryDisk};
use rutile_runtime::{CpuPool, SeededEntropy};

use super::*;

const PATH: &str = "thanos.shipper.json";
/// As Go's encoder writes it with TABs.
const TWO: &str = "{\n\t\"version\": 1,\n\t\"uploaded\": [\n\t\t\"01M820PD8CGVZHQSH6D0C2DRFD\",\n\t\t\"01M820PD9CZWF1R857D2JDBVZV\"\n\t]\n}\n";
const NONE: &str = "{\n\t\"version\": 1,\n\t\"uploaded\": null\n}\n";

fn disk() -> (MemoryDisk, AsyncDisk) {
    let memory = MemoryDisk::new();
    let disk = AsyncDisk::new(Arc::new(memory.clone()), CpuPool::inline());
    (memory, disk)
}

fn ids() -> Vec<BlockId> {
    ["01M820PD8CGVZHQSH6D0C2DRFD", "01M820PD9CZWF1R857D2JDBVZV"]
        .map(|id| id.parse().unwrap())
        .into()
}

#[tokio::test]
async fn the_bytes_are_those_of_thanos() {
    let (memory, disk) = disk();
    for (blocks, bytes) in [(ids(), TWO), (Vec::new(), NONE)] {
        write(&disk, PATH, blocks.clone()).await.unwrap();
        assert_eq!(memory.read(PATH).unwrap(), bytes);
        let read = read(&disk, PATH).await.unwrap();
        assert!(read.into_iter().eq(blocks));
    }
}

#[tokio::test]
async fn what_is_no_list_is_an_empty_one() {
    let (memory, disk) = disk();
    assert!(read(&disk, PATH).await.unwrap().is_empty());
    let future = TWO.replace("\"version\": 1", "\"version\": 2");
    let no_id = TWO.replace("01M820PD8CGVZHQSH6D0C2DRFD", "x");
    let torn = TWO.trim_end_matches(['\n', '}']);
    for bad in ["", "{", "[]", torn, &future, &no_id] {
        memory
            .write(PATH, bad.as_bytes(), Durability::Durable)
            .unwrap();
        assert!(read(&disk, PATH).await.unwrap().is_empty(), "{bad}");
    }
    let long = vec![b' '; usize::try_from(MAX_BYTES).unwrap() + 1];
    memory.write(PATH, &long, Durability::Durable).unwrap();
    assert!(read(&disk, PATH).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_that_the_disk_does_not_give_is_not_an_empty_one() {
    let entropy = Arc::new(SeededEntropy::new(1));
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()), entropy, FaultRates::default());
    let disk = AsyncDisk::new(Arc::new(faulty.clone()), CpuPool::inline());
    write(&disk, PATH, ids()).await.unwrap();
    faulty.next([Some(Fault::Error)]);
    let error = read(&disk, PATH).await.unwrap_err();
    assert!(
        error.to_string().contains("--shipper.meta-file-name"),
        "{error}"
    );
    assert_eq!(read(&disk, PATH).await.unwrap().len(), 2);
}
