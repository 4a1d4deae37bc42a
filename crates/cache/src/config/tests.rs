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

fn memory(max_size: u64, max_item_size: u64) -> Backend {
    Backend::Memory(MemoryConfig {
        max_size: ByteSize(max_size),
        max_item_size: ByteSize(max_item_size),
    })
}

#[test]
fn defaults_are_those_of_the_reference() {
    let index = IndexCacheConfig::parse("type: IN-MEMORY").unwrap();
    assert_eq!(index.backend, memory(250 << 20, 125 << 20));
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
    assert_eq!(index.backend, memory(1 << 30, 1 << 20));
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
            backend: memory(10 << 20, 1 << 20),
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
fn memcached_and_redis_are_read_with_the_defaults_of_the_reference() {
    let yaml = "type: MEMCACHED\nttl: 1h\nconfig:\n  addresses: [a:1, dns+b:2]\n  max_item_size: 2MiB\n  \
                set_async_circuit_breaker_config: {enabled: true, failure_percent: 0.5}";
    let index = IndexCacheConfig::parse(yaml).unwrap();
    assert_eq!(index.ttl, Duration::from_hours(1));
    let Backend::Memcached(memcached) = index.backend else {
        panic!("{index:?}");
    };
    let expected = MemcachedConfig {
        addresses: vec!["a:1".to_owned(), "dns+b:2".to_owned()],
        max_item_size: ByteSize(2 << 20),
        set_async_circuit_breaker_config: BreakerConfig {
            enabled: true,
            failure_percent: 0.5,
            ..BreakerConfig::default()
        },
        ..MemcachedConfig::default()
    };
    assert_eq!(memcached, expected);
    assert_eq!(memcached.timeout, GoDuration::from_ms(500));

    let yaml = "type: redis\nconfig: {addr: 'a:1', password: hidden, db: 3}\nblocks_iter_ttl: 1m";
    let bucket = CachingBucketConfig::parse(yaml).unwrap();
    assert_eq!(bucket.blocks_iter_ttl_ms, MINUTE_MS);
    let Backend::Redis(redis) = &bucket.backend else {
        panic!("{bucket:?}");
    };
    assert_eq!((redis.addr.as_str(), redis.db), ("a:1", 3));
    assert_eq!(
        (redis.get_multi_batch_size, redis.read_timeout),
        (100, GoDuration::from_ms(3_000))
    );
    assert!(!format!("{bucket:?}").contains("hidden"));
    let ttl = IndexCacheConfig::parse("type: REDIS\nconfig: {addr: 'a:1'}")
        .unwrap()
        .ttl;
    assert_eq!(ttl, Duration::from_hours(24));
}

/// Both caches refuse this for the same reason, each naming its flag.
#[track_caller]
fn check(kind: &str, config: &str, error: ErrorKind, words: &[&str]) {
    let yaml = format!("type: {kind}\nconfig: {{{config}}}");
    let places = ["index-cache.config", "store.caching-bucket.config"];
    refused(
        IndexCacheConfig::parse(&yaml),
        error,
        &[words, &places[..1]].concat(),
    );
    refused(
        CachingBucketConfig::parse(&yaml),
        error,
        &[words, &places[1..]].concat(),
    );
}

#[test]
fn what_remote_caches_cannot_do_is_refused() {
    let invalid = |kind: &str, config: &str, words: &[&str]| {
        check(kind, config, ErrorKind::Invalid, words);
    };
    invalid("MEMCACHED", "", &["config.addresses is empty"]);
    invalid(
        "MEMCACHED",
        "addresses: [a]",
        &["config.addresses", "no port"],
    );
    invalid(
        "MEMCACHED",
        "addresses: ['a:1'], timeout: 0s",
        &["config.timeout is 0s"],
    );
    invalid(
        "MEMCACHED",
        "adresses: ['a:1']",
        &["unknown key `adresses`"],
    );
    let none = "addresses: ['a:1'], max_async_concurrency: 0";
    invalid("MEMCACHED", none, &["config.max_async_concurrency is 0"]);
    let breaker = |inside: &str| {
        format!("addr: 'a:1', set_async_circuit_breaker_config: {{enabled: true, {inside}}}")
    };
    invalid(
        "REDIS",
        &breaker("failure_percent: 2"),
        &["failure_percent is 2"],
    );
    invalid(
        "REDIS",
        &breaker("consecutive_failures: 0"),
        &["consecutive_failures is 0"],
    );
    invalid("REDIS", "", &["config.addr is empty"]);
    invalid(
        "REDIS",
        "addr: dns+a:1",
        &["config.addr is \"dns+a:1\": write host:port"],
    );
}

#[test]
fn what_is_not_there_yet_is_said() {
    let unsupported = |kind: &str, config: &str, words: &[&str]| {
        check(kind, config, ErrorKind::Unsupported, words);
    };
    unsupported(
        "MEMCACHED",
        "addresses: ['a:1'], auto_discovery: true",
        &["auto_discovery"],
    );
    unsupported("REDIS", "addr: 'a:1,b:1'", &["several addresses"]);
    unsupported("REDIS", "addr: 'a:1', tls_enabled: true", &["tls_enabled"]);
    unsupported("REDIS", "addr: 'a:1', master_name: m", &["master_name"]);
    unsupported("REDIS", "addr: 'a:1', cache_size: 1MB", &["cache_size"]);
    refused(
        CachingBucketConfig::parse("type: GROUPCACHE"),
        ErrorKind::Unsupported,
        &["GROUPCACHE", "not supported yet"],
    );
    refused(
        IndexCacheConfig::parse("type: GROUPCACHE"),
        ErrorKind::Invalid,
        &["unknown", "IN-MEMORY, MEMCACHED, REDIS"],
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
    assert_eq!(config.backend, memory(1 << 20, 1 << 20));
}
