//! The ways to break the contract that runs reach, by their numbers in the catalogue.
//!
//! Each is counted when it is seen to happen: by the bucket, the oracle or a process. What no process
//! can reach yet stands with its reason in `docs/CONTRACT.md`.

/// Number and what must be seen.
pub const SCENARIOS: [(&str, &str); 57] = [
    ("S1", "an uploader crashes between two objects"),
    (
        "S2",
        "an uploader crashes between the last object and the commit",
    ),
    ("S3", "a commit takes effect and is reported failed"),
    ("S4", "two processes upload one block"),
    (
        "S5",
        "a commit lands after its objects were cleaned away as abandoned",
    ),
    (
        "S6",
        "a block is uploaded that is older than the partial age",
    ),
    ("S7", "an object is stored cut short, or without any bytes"),
    (
        "S8",
        "a reader sees a commit before another object of the block",
    ),
    ("S10", "an uploader loses its list"),
    ("S11", "a source is offered again after it was marked"),
    ("S12", "a stranger's partial block lies about"),
    (
        "S13",
        "two Prometheus have the same external labels and time",
    ),
    ("S14", "an upload in parts dangles"),
    (
        "S15",
        "a compactor crashes before, in or after a commit or between marks",
    ),
    ("S16", "a compactor's listing lacks a committed block"),
    ("S17", "a compactor plans from a listing that lags"),
    ("S18", "a source turns up after its time was compacted"),
    ("S19", "two compactors commit the same work"),
    (
        "S20",
        "a compactor stands still beyond the delete delay with a merge under way",
    ),
    (
        "S21",
        "work is taken over from a compactor that stands still, or died",
    ),
    ("S23", "an output equals one that exists"),
    ("S24", "a source is marked between planning and commit"),
    ("S25", "a person marks a block while a merge is under way"),
    ("S26", "a source cannot be read, for good"),
    (
        "S27",
        "replica labels change while a part of the blocks is compacted",
    ),
    ("S28", "the shards of readers change"),
    ("S29", "replicas that disagree are merged"),
    ("S31", "a local disk is full"),
    ("S33", "a successor is listed and cannot be read"),
    ("S34", "a deletion is interrupted"),
    (
        "S35",
        "a reader looks at a block in the middle of its deletion",
    ),
    ("S36", "a mark is written after its block was deleted"),
    ("S37", "a mark is torn, empty or of an unknown version"),
    ("S38", "a person takes a mark off"),
    ("S39", "two cleaners delete one block"),
    (
        "S40",
        "a commit lands after a cleaner saw the block as partial",
    ),
    (
        "S41",
        "a cleaner's clock jumps ahead by more than the delete delay",
    ),
    (
        "S42",
        "a reader stands still for longer than the delete delay",
    ),
    ("S43", "a query takes longer than the delete delay"),
    ("S44", "processes have different delays"),
    ("S45", "a deleted object is still shown"),
    ("S46", "somebody removes one object of a block"),
    ("S47", "the store shows directory markers"),
    (
        "S48",
        "raw samples have outlived their retention before they are downsampled",
    ),
    (
        "S49",
        "a compactor crashes when five minutes are there and their hours are due",
    ),
    (
        "S50",
        "a downsampled block cannot be read, and no raw block is left of it",
    ),
    ("S51", "retention takes a compacted block"),
    ("S52", "a block is rewritten without some of its samples"),
    (
        "S53",
        "blocks are restored from another bucket after some were rewritten",
    ),
    (
        "S54",
        "all blocks of a tenant are marked while its uploader goes on",
    ),
    ("S55", "a reader restarts with its caches"),
    ("S56", "a shard changes hands"),
    (
        "S57",
        "a block and what replaces it lie in different shards",
    ),
    ("S58", "what replaces blocks spans a border of time"),
    ("S61", "an uploader's clock is ahead"),
    ("S63", "blocks are copied to another bucket"),
    ("S66", "throttling leaves looks incomplete"),
];

/// Components of Thanos that work on the same bucket (S62), each by itself.
pub const NEIGHBOURS: [(&str, &str); 3] = [
    ("S62a", "Thanos's sidecar uploads"),
    ("S62b", "Thanos's store gateway reads"),
    ("S62c", "Thanos's compactor and ours take turns"),
];
