//! Who may come in: names and passwords of HTTP's basic authentication, passwords as bcrypt hashes.
//!
//! A hash takes a tenth of a second by intent, so outcomes are kept, those that were refused apart from the others:
//! whoever tries passwords drives nobody else out. One hash is computed at a time, and few may wait for it.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bcrypt::HashParts;
use quick_cache::sync::Cache;
use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, Entropy};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::failure::Failure;

/// Outcomes that are kept, of each kind.
const KEPT: usize = 100;
/// Requests that may wait for their passwords to be checked.
const MAX_WAITING: usize = 64;
/// The cost of what is computed for a name that nobody has, if no user has a greater one.
const LEAST_COST: u32 = 10;

/// Names and hashes of the passwords; nobody has to log in if there are none.
#[derive(Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// A hash of no password, as costly as those of the users, so that time does not tell who is one.
    nobodys: String,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    LetIn,
    /// No name and password, or wrong ones.
    Unknown,
    /// Too many passwords to check.
    Busy,
}

/// Checks names and passwords.
pub(super) struct Logins {
    /// Keys the digests by which outcomes are kept, so that nobody can choose them.
    secret: [u8; 32],
    let_in: Cache<[u8; 32], ()>,
    refused: Cache<[u8; 32], ()>,
    hashing: CpuPool,
    waiting: Semaphore,
}

impl Users {
    /// # Errors
    /// A failure that names the user whose hash is none.
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut cost = LEAST_COST;
        for (name, hash) in &hashes {
            let parts: HashParts = hash.parse().map_err(|_| {
                let message = format!(
                    "basic_auth_users.{name} is no bcrypt hash: make one with `htpasswd -nBC 10 {name}`"
                );
                Failure::message(ErrorKind::Invalid, message)
            })?;
            cost = cost.max(parts.get_cost());
        }
        // Salt and hash of zeros.
        let nobodys = format!("$2b${cost:02}${}", ".".repeat(53));
        Ok(Self { hashes, nobodys })
    }
}

impl Logins {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self {
            secret,
            let_in: Cache::new(KEPT),
            refused: Cache::new(KEPT),
            hashing: CpuPool::new(1),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Whether a request with this `Authorization` is from one of `users`.
    pub(super) async fn check(&self, users: &Users, header: Option<&HeaderValue>) -> Verdict {
        if users.hashes.is_empty() {
            return Verdict::LetIn;
        }
        let Some((name, password)) = header.and_then(basic_auth) else {
            return Verdict::Unknown;
        };
        let known = users.hashes.get(&name);
        let hash = known.unwrap_or(&users.nobodys).clone();
        let digest = self.digest(&[name.as_bytes(), hash.as_bytes(), &password]);
        if self.let_in.get(&digest).is_some() {
            return Verdict::LetIn;
        }
        if self.refused.get(&digest).is_some() {
            return Verdict::Unknown;
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            tracing::warn!(limit = MAX_WAITING, "too many passwords to check at a time");
            return Verdict::Busy;
        };
        let fits = move || bcrypt::verify(password, &hash).unwrap_or(false);
        if self.hashing.run(fits).await && known.is_some() {
            self.let_in.insert(digest, ());
            return Verdict::LetIn;
        }
        self.refused.insert(digest, ());
        Verdict::Unknown
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.secret);
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// Name and password of the header (RFC 7617); `None` if there are none.
fn basic_auth(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (name, password) = pair.split_at(colon);
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((name, password.get(1..)?.to_vec()))
}

impl fmt::Debug for Users {
    /// Leaves the hashes out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hashes.keys()).finish()
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("let_in", &self.let_in.len())
            .field("refused", &self.refused.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
