//! Who holds which work, as the leases in the bucket tell, and whether work is done twice by those who hold theirs (BC-14).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rutile_block::{BlockId, Epoch, InvariantId, MarkKind, Work, mark_key, parse_lease_key};

use super::Oracle;
use crate::cells::Cells;
use crate::objects::Objects;
use crate::scenario::LEASE_MS;

/// One life of a process, by what it writes into its leases.
type Life = Bytes;
/// Work, and who does it.
type Claim = (Work, Life);

/// The leases of a run, and what was made by them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: BTreeMap<Claim, Holding>,
    /// What each process has claimed last.
    claims: BTreeMap<String, Claim>,
    /// Lives that did not renew a lease in time.
    lapsed: BTreeSet<Claim>,
    /// What was made by leases that were held when it was committed, by what it was made of.
    outputs: BTreeMap<Cells, Vec<(BlockId, Claim)>>,
}

#[derive(Debug)]
struct Holding {
    epoch: Epoch,
    /// When that was created.
    since_ms: i64,
}

impl Holding {
    fn is_over(&self, now_ms: i64) -> bool {
        now_ms - self.since_ms >= LEASE_MS
    }
}

impl Leases {
    /// An object was written. Whether work was taken over by that from somebody who has not ended it.
    pub(super) fn on_put(&mut self, objects: &Objects, by: &str, key: &str, now_ms: i64) -> bool {
        let lease = parse_lease_key(key).zip(objects.now(key));
        let Some(((work, epoch), (life, _))) = lease else {
            return false;
        };
        let over = { self.held.iter() }.filter(|(_, holding)| holding.is_over(now_ms));
        let over: Vec<Claim> = over.map(|(claim, _)| claim.clone()).collect();
        let mut taken_over = false;
        for claim in over {
            self.held.remove(&claim);
            taken_over |= epoch.held && claim.0 == work && claim.1 != *life;
            self.lapsed.insert(claim);
        }
        // Who stood still finds a number free that others have used and removed, and then that it is too late.
        let mut there = objects.keys().filter_map(parse_lease_key);
        let is_newest = there.all(|(other, there)| other != work || there <= epoch);
        let claim = (work, life.clone());
        if epoch.held && !is_newest {
            self.held.remove(&claim);
            self.lapsed.insert(claim);
        } else if epoch.held {
            let since_ms = now_ms;
            self.claims.insert(by.to_owned(), claim.clone());
            self.held.insert(claim, Holding { epoch, since_ms });
        } else {
            self.held.remove(&claim);
        }
        taken_over
    }

    /// An object was removed: whoever takes back its own lease never had it.
    pub(super) fn on_delete(&mut self, by: &str, key: &str) {
        let deleted = parse_lease_key(key).map(|(_, epoch)| epoch);
        if let Some(claim) = self.claims.get(by)
            && self.held.get(claim).map(|holding| holding.epoch) == deleted
        {
            self.held.remove(claim);
        }
    }

    /// What a process works on, if it has not lost the lease.
    fn claim_of(&self, by: &str, now_ms: i64) -> Option<&Claim> {
        let claim = self.claims.get(by)?;
        (self.is_held(claim, now_ms) && !self.lapsed.contains(claim)).then_some(claim)
    }

    fn is_held(&self, claim: &Claim, now_ms: i64) -> bool {
        let holding = self.held.get(claim);
        holding.is_some_and(|holding| !holding.is_over(now_ms))
    }

    /// Whether a lease is held, or was until it was given back.
    fn was_kept(&self, claim: &Claim, now_ms: i64) -> bool {
        let over = self.held.get(claim).is_some_and(|h| h.is_over(now_ms));
        !over && !self.lapsed.contains(claim)
    }

    /// Who else holds the work of a claim.
    fn rival(&self, claim: &Claim, now_ms: i64) -> Option<&Claim> {
        let mut others = self.held.keys();
        others.find(|other| other.0 == claim.0 && other.1 != claim.1 && self.is_held(other, now_ms))
    }
}

impl Oracle {
    /// An output was committed. Where answers are of the moment, only one makes it: who holds the work, and nobody after one that
    /// kept its lease.
    pub(super) fn check_made_once(
        &mut self,
        objects: &Objects,
        by: &str,
        (id, cells): (BlockId, Cells),
        now_ms: i64,
    ) {
        let Some(claim) = self.leases.claim_of(by, now_ms).cloned() else {
            return;
        };
        let before = self.leases.outputs.get(&cells).into_iter().flatten();
        let mut again = before.filter(|(other, of)| {
            *other != id && self.leases.was_kept(of, now_ms) && self.is_as_made(objects, *other)
        });
        let broken = match (again.next(), self.leases.rival(&claim, now_ms)) {
            (Some((other, _)), _) => Some(format!("{by} made {id} although {other} was there")),
            (None, Some((work, _))) => Some(format!("{by} made {id} when another one held {work}")),
            (None, None) => None,
        };
        if let (Some(what), true) = (broken, self.is_orderly) {
            self.violate(InvariantId::Bc14, what);
        }
        let outputs = self.leases.outputs.entry(cells).or_default();
        outputs.push((id, claim));
    }

    /// Whether a block is as it was committed, and nobody ever wanted it gone.
    fn is_as_made(&self, objects: &Objects, id: BlockId) -> bool {
        objects.meta(id).is_some_and(|meta| objects.is_whole(&meta))
            && objects.now(&mark_key(id, MarkKind::Deletion)).is_none()
            && !self.unmarked_ms.contains_key(&id)
            && !self.broken.contains(&id)
    }
}
