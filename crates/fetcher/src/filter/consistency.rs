//! Leaves out a block that is younger than the consistency delay (BC-4): its objects may not all be
//! visible yet. The rule itself is [`Contract::is_fresh`].

use rutile_block::{Contract, age_ms, uploaded_at_ms};

use crate::{BlockInfo, Exclusion};

/// Why the block is not relied on yet, if so.
#[must_use]
pub fn exclusion(contract: &Contract, info: &BlockInfo, now_ms: i64) -> Option<Exclusion> {
    contract
        .is_fresh(&info.meta, info.meta_modified_ms, now_ms)
        .then(|| Exclusion::TooFresh {
            age_ms: age_ms(
                uploaded_at_ms(&info.meta, info.meta_modified_ms, now_ms),
                now_ms,
            ),
            delay_ms: contract.consistency_delay_ms,
        })
}
