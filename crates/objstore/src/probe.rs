//! What a store guarantees, found out by trying. For writers only: it writes.

use std::fmt;

use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::future::join_all;
use rutile_model::ErrorKind;
use rutile_runtime::Entropy;

use crate::{Bucket, Depth, Entry, Error, Operation, PutMode, Result};

/// Folder of the objects of probes, each in a folder of its own. Thanos ignores what is not named like a block. One that is cut
/// off leaves some behind.
pub const FOLDER: &str = "rutile/probe";

/// Writers that race to create one object, and how often: a server that checks and then writes,
/// without a lock between, lets a second one win in most rounds.
const WRITERS: usize = 8;
const ROUNDS: usize = 5;

/// What a store was seen to do. Seen in few tries: `true` is strong evidence, `false` is proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether an object can be created only if it is absent, by one writer at a time.
    pub conditional_create: ConditionalCreate,
    /// Whether listings tell modification times.
    pub listed_times: bool,
    /// Whether what was written, replaced or deleted is read so at once.
    pub read_after_write: bool,
    /// Whether what was written or deleted is listed so at once.
    pub list_after_write: bool,
}

/// How a store answers writers that create the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalCreate {
    /// Exactly one won, in every round.
    Atomic,
    /// More than one won, or the object was replaced: the condition is accepted and not kept.
    Racy,
    /// The store refuses the condition, or ignores it altogether.
    Unsupported,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            conditional_create,
            listed_times,
            read_after_write,
            list_after_write,
        } = self;
        write!(
            f,
            "conditional create {conditional_create}, listed times {}, read after write {}, \
             list after write {}",
            yes(*listed_times),
            yes(*read_after_write),
            yes(*list_after_write)
        )
    }
}

impl fmt::Display for ConditionalCreate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Atomic => "atomic",
            Self::Racy => "not atomic",
            Self::Unsupported => "not supported",
        })
    }
}

fn yes(known: bool) -> &'static str {
    if known { "yes" } else { "no" }
}

/// Tries the bucket out below `rutile/probe/`, in a folder of its own, and cleans up.
///
/// # Errors
/// When a plain write, read, listing or deletion fails: then the bucket is not usable.
pub async fn capabilities(bucket: &dyn Bucket, entropy: &dyn Entropy) -> Result<Capabilities> {
    let folder = format!("{FOLDER}/{:016x}", entropy.next_u64());
    let tried = try_out(bucket, &folder).await;
    let cleaned = clean_up(bucket, &folder).await;
    let capabilities = tried?;
    cleaned?;
    Ok(capabilities)
}

/// Tries out one thing: see [`Capabilities::conditional_create`].
///
/// # Errors
/// As [`capabilities`].
pub async fn conditional_create(
    bucket: &dyn Bucket,
    entropy: &dyn Entropy,
) -> Result<ConditionalCreate> {
    let folder = format!("{FOLDER}/{:016x}", entropy.next_u64());
    let tried = create(bucket, &folder).await;
    let cleaned = clean_up(bucket, &folder).await;
    let found = tried?;
    cleaned?;
    Ok(found)
}

async fn try_out(bucket: &dyn Bucket, folder: &str) -> Result<Capabilities> {
    let key = format!("{folder}/plain");
    let mut read_after_write = true;
    for body in ["first", "second"] {
        bucket.put(&key, body.into(), PutMode::Overwrite).await?;
        read_after_write &= seen(bucket.get(&key, 100).await)?.is_some_and(|read| read == body);
    }
    let listed = list(bucket, folder).await?;
    let entry = listed.iter().find(|entry| entry.key == key);
    let listed_times = entry.is_some_and(|entry| entry.attributes.is_some());
    let mut list_after_write = entry.is_some();
    bucket.delete(&key).await?;
    read_after_write &= !bucket.exists(&key).await?;
    list_after_write &= list(bucket, folder).await?.is_empty();
    let conditional_create = create(bucket, folder).await?;
    Ok(Capabilities {
        conditional_create,
        listed_times,
        read_after_write,
        list_after_write,
    })
}

async fn create(bucket: &dyn Bucket, folder: &str) -> Result<ConditionalCreate> {
    let key = format!("{folder}/created");
    for body in ["first", "second"] {
        match bucket.put(&key, body.into(), PutMode::Create).await {
            Ok(()) if body == "first" => {}
            // Also of the first, if its answer was lost and it was sent again.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind == ErrorKind::Unavailable => return Err(error),
            Ok(()) | Err(_) => return Ok(ConditionalCreate::Unsupported),
        }
    }
    let mut is_told = false;
    for round in 0..ROUNDS {
        match race(bucket, &format!("{folder}/race-{round}")).await? {
            Race::Won => is_told = true,
            Race::Untold => {}
            Race::Broken => return Ok(ConditionalCreate::Racy),
        }
    }
    if is_told {
        return Ok(ConditionalCreate::Atomic);
    }
    let (kind, operation) = (ErrorKind::Unavailable, Operation::Put);
    let what = "the answers to writers that create objects are lost: try again";
    Err(Error::new(kind, operation, bucket.name(), &key, what))
}

/// How several writers fared that created one object.
enum Race {
    /// One of them won, and its bytes stayed.
    Won,
    /// None of them: the answer to the one that won was lost, and its next try found the object.
    Untold,
    /// Several won, or one and its bytes did not stay.
    Broken,
}

async fn race(bucket: &dyn Bucket, key: &str) -> Result<Race> {
    let writers = (0..WRITERS).map(|writer| async move {
        let body = Bytes::from(format!("writer {writer}"));
        (body.clone(), bucket.put(key, body, PutMode::Create).await)
    });
    let mut winners = Vec::new();
    for (body, result) in join_all(writers).await {
        match result {
            Ok(()) => winners.push(body),
            Err(error) if error.kind == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    let stayed = seen(bucket.get(key, 100).await)?;
    Ok(match (winners.as_slice(), stayed) {
        ([], Some(_)) => Race::Untold,
        ([winner], Some(stayed)) if stayed == winner => Race::Won,
        _ => Race::Broken,
    })
}

async fn list(bucket: &dyn Bucket, folder: &str) -> Result<Vec<Entry>> {
    bucket.list(folder, Depth::Recursive).try_collect().await
}

fn seen(read: Result<Bytes>) -> Result<Option<Bytes>> {
    match read {
        Ok(body) => Ok(Some(body)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// By name, not by listing, which may not show everything yet.
async fn clean_up(bucket: &dyn Bucket, folder: &str) -> Result<()> {
    let races = (0..ROUNDS).map(|round| format!("{folder}/race-{round}"));
    let others = [format!("{folder}/plain"), format!("{folder}/created")];
    for key in races.chain(others) {
        bucket.delete(&key).await?;
    }
    Ok(())
}
