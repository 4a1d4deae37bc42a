//! Which scenarios of the catalogue a request or a fault amounts to.

use rutile_block::{Part, parse_entry, parse_key};
use rutile_objstore::{Entry, Operation};

use super::Client;
use crate::oracle::Role;
use crate::scenario::CONTRACT;

impl Client {
    pub(super) fn saw_freeze(&self, length_ms: i64) {
        if length_ms <= CONTRACT.delete_delay_ms {
            return;
        }
        match self.actor.role {
            Role::Reader => self.world.reach("S42"),
            Role::Compactor => {
                let mut shared = self.world.lock();
                let shared = &mut *shared;
                let own = |name: &str| name == self.actor.name;
                if shared.oracle.is_merging(&shared.objects, own) {
                    shared.oracle.reach("S20");
                }
            }
            Role::Uploader | Role::Person | Role::Thanos => {}
        }
    }

    pub(super) fn saw_jump(&self, by_ms: i64) {
        match self.actor.role {
            Role::Compactor if by_ms > CONTRACT.delete_delay_ms => self.world.reach("S41"),
            Role::Uploader if by_ms > 0 => self.world.reach("S61"),
            _ => {}
        }
    }

    pub(super) fn saw_crash(&self, operation: Operation, key: &str, sent: bool) {
        let Some((_, part)) = parse_key(key) else {
            return;
        };
        let number = match (self.actor.role, operation, part) {
            (Role::Uploader, Operation::Put, Part::Meta) if !sent => "S2",
            (Role::Uploader, Operation::Put, Part::Index | Part::Chunks(_)) => "S1",
            (Role::Compactor, Operation::Put, _) => {
                let mut shared = self.world.lock();
                let shared = &mut *shared;
                if shared.oracle.is_between_resolutions(&shared.objects) {
                    shared.oracle.reach("S49");
                }
                shared.oracle.reach("S15");
                return;
            }
            (Role::Compactor, Operation::Delete, _) => "S34",
            _ => return,
        };
        self.world.reach(number);
    }

    pub(super) fn saw_failed_read(&self, key: &str) {
        if self.world.is_storm() {
            self.world.reach("S66");
        }
        if let (Role::Reader, Some((id, Part::Index))) = (self.actor.role, parse_key(key)) {
            let mut shared = self.world.lock();
            let shared = &mut *shared;
            if shared.oracle.held_by(id).count_ones() > 1 {
                shared.oracle.reach("S33");
            }
            if shared.oracle.is_all_that_is_left(&shared.objects, id) {
                shared.oracle.reach("S50");
            }
        }
    }

    pub(super) fn saw_lost_answer(&self, key: &str) {
        if matches!(parse_key(key), Some((_, Part::Meta))) {
            self.world.reach("S3");
        }
    }

    pub(super) fn saw_stale_list(&self, found: &[Entry]) {
        if self.actor.role != Role::Compactor {
            return;
        }
        let mut shared = self.world.lock();
        let committed = shared.objects.committed();
        let listed = |id| {
            found
                .iter()
                .any(|entry| parse_entry(&entry.key) == Some(id))
        };
        shared.oracle.reach("S17");
        if committed.into_iter().any(|id| !listed(id)) {
            shared.oracle.reach("S16");
        }
    }
}
