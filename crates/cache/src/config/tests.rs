use super::*;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{word:?} is not in: {error}"
        );
    }
}

#[test]
fn defaults_are_those_of_the_reference() {
    let index = IndexCacheConfig::parse("type: IN-MEMORY").unwrap();
    assert_eq!(index.memory.max_size.bytes(), 250 << 20);
    assert_eq!(index.memory.max_item_size.bytes(), 125 << 20);
    assert_eq!(index.enabled_items, IndexItem::ALL);

    let bucket = CachingBucketConfig::parse("type: in-memory").unwrap();
    let day = 24 * 3_600_000;
    assert_eq!(bucket.chunk_subrange_size, 16_000);
    assert_eq!(bucket.max_chunks_get_range_requests, Some(3));
    assert_eq!(bucket.metafile_max_size, 1 << 20);
    assert_eq!(
        (
            bucket.chunk_object_attrs_ttl_ms,
            bucket.chunk_subrange_ttl_ms
        ),
        (day, day)
    );
    assert_eq!(
        (bucket.blocks_iter_ttl_ms, bucket.metafile_exists_ttl_ms),
        (300_000, 7_200_000)
    );
    assert_eq!(bucket.metafile_doesnt_exist_ttl_ms, 900_000);
    assert_eq!(bucket.metafile_content_ttl_ms, day);
}

#[test]
fn every_key_is_read() {
    let index = IndexCacheConfig::parse(
        "type: IN-MEMORY\nenabled_items: [Series, Postings]\nttl: 1h\n\
         config: {max_size: 1GB, max_item_size: 1MiB}",
    )
    .unwrap();
    assert_eq!(index.memory.max_size.bytes(), 1 << 30);
    assert_eq!(index.memory.max_item_size.bytes(), 1 << 20);
    assert_eq!(
        index.enabled_items,
        [IndexItem::Series, IndexItem::Postings]
    );

    let bucket = CachingBucketConfig::parse(
        "type: IN-MEMORY\nconfig:\n  max_size: 10MB\n  max_item_size: 1MB\n\
         chunk_subrange_size: 100\nmax_chunks_get_range_requests: 0\nmetafile_max_size: 2KB\n\
         chunk_object_attrs_ttl: 1s\nchunk_subrange_ttl: 2s\nblocks_iter_ttl: 3s\n\
         metafile_exists_ttl: 4s\nmetafile_doesnt_exist_ttl: 5s\nmetafile_content_ttl: 6s\n",
    )
    .unwrap();
    assert_eq!(
        bucket,
        CachingBucketConfig {
            memory: MemoryConfig {
                max_size: ByteSize(10 << 20),
                max_item_size: ByteSize(1 << 20)
            },
            chunk_subrange_size: 100,
            max_chunks_get_range_requests: None,
            metafile_max_size: 2048,
            chunk_object_attrs_ttl_ms: 1000,
            chunk_subrange_ttl_ms: 2000,
            blocks_iter_ttl_ms: 3000,
            metafile_exists_ttl_ms: 4000,
            metafile_doesnt_exist_ttl_ms: 5000,
            metafile_content_ttl_ms: 6000,
        }
    );
}

#[test]
fn remote_types_are_not_supported_yet() {
    for kind in ["MEMCACHED", "redis"] {
        let yaml = format!("type: {kind}\nconfig: {{addresses: [a]}}");
        let words = ["index-cache.config", kind, "not supported yet"];
        refused(
            IndexCacheConfig::parse(&yaml),
            ErrorKind::Unsupported,
            &words,
        );
        let words = ["store.caching-bucket.config", kind, "not supported yet"];
        refused(
            CachingBucketConfig::parse(&yaml),
            ErrorKind::Unsupported,
            &words,
        );
    }
    refused(
        CachingBucketConfig::parse("type: GROUPCACHE"),
        ErrorKind::Unsupported,
        &["GROUPCACHE"],
    );
    refused(
        IndexCacheConfig::parse("type: GROUPCACHE"),
        ErrorKind::Invalid,
        &["unknown"],
    );
}

#[test]
fn mistakes_are_named() {
    let invalid = ErrorKind::Invalid;
    refused(
        IndexCacheConfig::parse("config: {}"),
        invalid,
        &["`type` is missing"],
    );
    refused(
        IndexCacheConfig::parse("type: IN-MEMORY\nmaxsize: 1GB"),
        invalid,
        &["line 2", "unknown key `maxsize`", "enabled_items"],
    );
    refused(
        IndexCacheConfig::parse("type: IN-MEMORY\nconfig: {max_sise: 1GB}"),
        invalid,
        &["unknown key `max_sise`", "max_size"],
    );
    refused(
        IndexCacheConfig::parse("type: IN-MEMORY\nenabled_items: [Chunks]"),
        invalid,
        &["Chunks", "Postings"],
    );
    refused(
        IndexCacheConfig::parse("type: IN-MEMORY\nconfig: {max_size: 1MB}"),
        invalid,
        &["max_item_size (125MiB)", "max_size (1MiB)"],
    );
    refused(
        CachingBucketConfig::parse("type: IN-MEMORY\nchunk_subrange_size: 0"),
        invalid,
        &["chunk_subrange_size"],
    );
    refused(
        CachingBucketConfig::parse("type: IN-MEMORY\nblocks_iter_ttl: soon"),
        invalid,
        &["soon"],
    );
    refused(
        CachingBucketConfig::parse("type: ["),
        invalid,
        &["store.caching-bucket.config"],
    );
}

#[test]
fn size_flag_alone_bounds_the_items_too() {
    let config = IndexCacheConfig::in_memory(ByteSize(1 << 20));
    assert_eq!(config.memory.max_item_size.bytes(), 1 << 20);
}
