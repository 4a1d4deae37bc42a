//! What all reads of one request share.

use rutile_runtime::{Account, Reservation};

use crate::{Limits, Result, Stats};

/// Limits, memory and figures of one request, over all the blocks it reads.
#[derive(Debug)]
pub struct Request {
    /// What it may take.
    pub limits: Limits,
    /// What it did.
    pub stats: Stats,
    /// The memory it holds.
    pub account: Account,
}

impl Request {
    /// Takes `bytes` from the limit of downloaded bytes, and reserves memory for them.
    pub(crate) async fn admit(&self, bytes: u64) -> Result<Reservation> {
        let memory = self.account.reserve(bytes).await?;
        self.limits.bytes.take(bytes)?;
        Ok(memory)
    }
}
