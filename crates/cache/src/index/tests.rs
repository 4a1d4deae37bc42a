use rutile_model::ByteSize;
use rutile_runtime::{SystemClock, TaskGroup};

use super::*;
use crate::MemoryConfig;

fn cache(config: &IndexCacheConfig) -> (MemoryIndexCache, Registry) {
    let Backend::Memory(memory) = config.backend else {
        panic!("{config:?} is not in memory");
    };
    let registry = Registry::new();
    let enabled = config.enabled_items.clone();
    (MemoryIndexCache::new(memory, enabled, &registry), registry)
}

fn of_size(max_size: u64, max_item_size: u64) -> IndexCacheConfig {
    let memory = MemoryConfig {
        max_size: ByteSize(max_size),
        max_item_size: ByteSize(max_item_size),
    };
    IndexCacheConfig {
        backend: Backend::Memory(memory),
        ..IndexCacheConfig::in_memory(ByteSize(0))
    }
}

/// A cache in memory needs no tasks.
fn parts(registry: &Registry) -> CacheParts {
    CacheParts {
        clock: Arc::new(SystemClock),
        registry: registry.clone(),
        tasks: TaskGroup::new("test").spawner(),
    }
}

fn block(n: u8) -> BlockId {
    BlockId::from_bytes([n; 16])
}

#[track_caller]
fn metric(registry: &Registry, line: &str) {
    let text = registry.render();
    assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn gives_back_what_was_stored_under_the_same_key() {
    let (cache, registry) = cache(&IndexCacheConfig::in_memory(ByteSize(1 << 20)));
    let (one, two) = (block(1), block(2));
    cache.store_postings(one, ("ab", "c"), "ab=c".into());
    cache.store_postings(one, ("a", "bc"), "a=bc".into());
    cache.store_expanded_postings(one, "abc", "expanded".into());
    cache.store_series(one, 7, "series".into());
    // The first value stays.
    cache.store_series(one, 7, "again".into());

    let found = cache
        .postings(one, &[("a", "bc"), ("a", "b"), ("ab", "c"), ("abc", "")])
        .await;
    assert_eq!(
        found,
        [Some(bytes("a=bc")), None, Some(bytes("ab=c")), None]
    );
    assert_eq!(cache.postings(two, &[("ab", "c")]).await, [None]);
    assert_eq!(
        cache.expanded_postings(one, "abc").await,
        Some(bytes("expanded"))
    );
    assert_eq!(cache.expanded_postings(two, "abc").await, None);
    assert_eq!(
        cache.series(one, &[8, 7]).await,
        [None, Some(bytes("series"))]
    );
    assert!(cache.series(one, &[]).await.is_empty());

    let name = "thanos_store_index_cache";
    metric(
        &registry,
        &format!("{name}_requests_total{{item_type=\"Postings\",tenant=\"default-tenant\"}} 5"),
    );
    metric(
        &registry,
        &format!("{name}_hits_total{{item_type=\"Postings\",tenant=\"default-tenant\"}} 2"),
    );
    metric(
        &registry,
        &format!("{name}_hits_total{{item_type=\"Series\",tenant=\"default-tenant\"}} 1"),
    );
    metric(
        &registry,
        &format!("{name}_items{{item_type=\"Postings\"}} 2"),
    );
    metric(
        &registry,
        &format!("{name}_items_added_total{{item_type=\"Series\"}} 1"),
    );
    metric(
        &registry,
        &format!("{name}_items_size_bytes{{item_type=\"Postings\"}} 8"),
    );
    metric(&registry, &format!("{name}_max_size_bytes 1048576"));
}

#[tokio::test]
async fn stays_within_its_bound() {
    let (cache, registry) = cache(&of_size(100_000, 10_000));
    for series in 0..10_000 {
        cache.store_series(block(1), series, vec![0; 100].into());
        assert!(cache.store.weight() <= 100_000);
    }
    let text = registry.render();
    let value = |name: &str| -> u64 {
        let prefix = format!("thanos_store_index_cache_{name}{{item_type=\"Series\"}} ");
        text.lines()
            .find_map(|l| l.strip_prefix(&prefix))
            .unwrap()
            .parse()
            .unwrap()
    };
    let (added, evicted, current) = (
        value("items_added_total"),
        value("items_evicted_total"),
        value("items"),
    );
    assert_eq!(added, 10_000);
    assert_eq!(added - evicted, current);
    assert!((300..500).contains(&current), "{current}");
    assert_eq!(value("items_size_bytes"), current * 100);
}

#[tokio::test]
async fn what_is_too_large_is_counted_and_not_kept() {
    let (cache, registry) = cache(&of_size(100_000, 1_000));
    cache.store_series(block(1), 1, vec![0; 1_000].into());
    assert_eq!(cache.series(block(1), &[1]).await, [None]);
    metric(
        &registry,
        "thanos_store_index_cache_items_overflowed_total{item_type=\"Series\"} 1",
    );
    metric(
        &registry,
        "thanos_store_index_cache_items{item_type=\"Series\"} 0",
    );
    // The largest item that is allowed fits.
    cache.store_series(block(1), 2, vec![0; 840].into());
    assert_eq!(
        cache.series(block(1), &[2]).await[0]
            .as_ref()
            .unwrap()
            .len(),
        840
    );
}

#[tokio::test]
async fn a_slice_does_not_hold_what_it_was_cut_from() {
    let (cache, _) = cache(&IndexCacheConfig::in_memory(ByteSize(1 << 20)));
    let large = Bytes::from(vec![1; 1 << 16]);
    cache.store_series(block(1), 1, large.slice(10..20));
    let kept = cache.series(block(1), &[1]).await.pop().flatten().unwrap();
    assert!(!large.as_ptr_range().contains(&kept.as_ptr()));
}

#[tokio::test]
async fn only_enabled_items_are_cached() {
    let config = IndexCacheConfig::parse("type: IN-MEMORY\nenabled_items: [Postings]").unwrap();
    let (cache, registry) = cache(&config);
    cache.store_series(block(1), 1, "series".into());
    cache.store_postings(block(1), ("a", "b"), "list".into());
    assert_eq!(cache.series(block(1), &[1]).await, [None]);
    assert_eq!(
        cache.postings(block(1), &[("a", "b")]).await,
        [Some(bytes("list"))]
    );
    metric(
        &registry,
        "thanos_store_index_cache_items{item_type=\"Series\"} 0",
    );
}

#[test]
fn opens_by_flag_or_by_yaml() {
    let size = ByteSize(1 << 20);
    let registry = Registry::new();
    open_index_cache(None, size, &parts(&registry)).unwrap();
    metric(&registry, "thanos_store_index_cache_max_size_bytes 1048576");
    open_index_cache(Some("type: IN-MEMORY"), size, &parts(&Registry::new())).unwrap();
    open_index_cache(Some("type: REDIS"), size, &parts(&Registry::new())).unwrap_err();
}
