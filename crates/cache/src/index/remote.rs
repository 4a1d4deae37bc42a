//! The index cache behind the network.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use rutile_block::BlockId;
use rutile_blockio::IndexCache;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::key::KeyRef;
use super::metrics::Requests;
use crate::IndexItem;
use crate::remote::RemoteCache;

/// Parts of indexes in a cache that processes share.
#[derive(Debug)]
pub(super) struct RemoteIndexCache {
    pub(super) cache: RemoteCache,
    pub(super) requests: Requests,
    pub(super) enabled: Vec<IndexItem>,
    pub(super) ttl: Duration,
}

impl RemoteIndexCache {
    async fn fetch(&self, item: IndexItem, keys: Vec<String>) -> Vec<Option<Bytes>> {
        if !self.enabled.contains(&item) {
            return vec![None; keys.len()];
        }
        let started = Instant::now();
        let found = self.cache.get(&keys).await;
        let hits = found.iter().flatten().count();
        let took = started.elapsed();
        self.requests.fetched(item, found.len(), hits, took);
        found
    }

    fn keep(&self, key: KeyRef<'_>, value: &[u8]) {
        if self.enabled.contains(&key.item()) {
            self.requests.stored(key.item(), value.len());
            self.cache.set(&text(key), value, self.ttl);
        }
    }
}

#[async_trait]
impl IndexCache for RemoteIndexCache {
    async fn postings(&self, block: BlockId, keys: &[(&str, &str)]) -> Vec<Option<Bytes>> {
        let keys = keys
            .iter()
            .map(|(name, value)| text(KeyRef::Postings(block, name, value)));
        self.fetch(IndexItem::Postings, keys.collect()).await
    }

    fn store_postings(&self, block: BlockId, key: (&str, &str), list: Bytes) {
        self.keep(KeyRef::Postings(block, key.0, key.1), &list);
    }

    async fn expanded_postings(&self, block: BlockId, matchers: &str) -> Option<Bytes> {
        let keys = vec![text(KeyRef::Expanded(block, matchers))];
        self.fetch(IndexItem::ExpandedPostings, keys)
            .await
            .pop()
            .flatten()
    }

    fn store_expanded_postings(&self, block: BlockId, matchers: &str, list: Bytes) {
        self.keep(KeyRef::Expanded(block, matchers), &list);
    }

    async fn series(&self, block: BlockId, refs: &[u32]) -> Vec<Option<Bytes>> {
        let keys = refs
            .iter()
            .map(|series| text(KeyRef::Series(block, *series)));
        self.fetch(IndexItem::Series, keys.collect()).await
    }

    fn store_series(&self, block: BlockId, series_ref: u32, entry: Bytes) {
        self.keep(KeyRef::Series(block, series_ref), &entry);
    }
}

/// A key of bounded length: what may be long is in it as its digest.
fn text(key: KeyRef<'_>) -> String {
    match key {
        KeyRef::Postings(block, name, value) => {
            let length = (name.len() as u64).to_le_bytes();
            let digest = digest(&[&length, name.as_bytes(), value.as_bytes()]);
            format!("P:{block}:{digest}")
        }
        KeyRef::Expanded(block, matchers) => {
            format!("EP:{block}:{}", digest(&[matchers.as_bytes()]))
        }
        KeyRef::Series(block, series) => format!("S:{block}:{series}"),
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    BASE64_URL_SAFE_NO_PAD.encode(digest.finalize())
}
