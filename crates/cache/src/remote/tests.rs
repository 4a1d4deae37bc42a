use rutile_runtime::TaskGroup;
use rutile_testkit::servers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

struct Fixture {
    cache: RemoteCache,
    registry: Registry,
    _tasks: TaskGroup,
}

impl Fixture {
    /// In front of these memcached, with `change` on top of the defaults.
    fn memcached(addresses: &[&str], change: impl FnOnce(&mut MemcachedConfig)) -> Self {
        let mut config = MemcachedConfig {
            addresses: addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
            // A busy machine must not make a test fail.
            timeout: rutile_model::GoDuration::from_ms(30_000),
            ..MemcachedConfig::default()
        };
        change(&mut config);
        Self::open(|registry, tasks| {
            RemoteCache::memcached("flag", &config, "test", registry, tasks).unwrap()
        })
    }

    fn redis(address: &str, change: impl FnOnce(&mut RedisConfig)) -> Self {
        let mut config = RedisConfig {
            addr: address.to_owned(),
            read_timeout: rutile_model::GoDuration::from_ms(30_000),
            write_timeout: rutile_model::GoDuration::from_ms(30_000),
            ..RedisConfig::default()
        };
        change(&mut config);
        Self::open(|registry, tasks| RemoteCache::redis(&config, "test", registry, tasks))
    }

    fn open(make: impl FnOnce(&Registry, &Spawner) -> RemoteCache) -> Self {
        let (registry, tasks) = (Registry::new(), TaskGroup::new("test"));
        let cache = make(&registry, &tasks.spawner());
        Self {
            cache,
            registry,
            _tasks: tasks,
        }
    }

    async fn get(&self, keys: &[&str]) -> Vec<Option<Bytes>> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.cache.get(&keys).await
    }

    /// Stores values and waits until the queue is empty.
    async fn store(&self, pairs: &[(&str, &[u8])]) {
        for (key, value) in pairs {
            self.cache.set(key, value, HOUR);
        }
        self.written().await;
    }

    async fn written(&self) {
        while self.cache.0.queued_bytes.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn count(&self, line: &str) -> f64 {
        let text = self.registry.render();
        let found = text
            .lines()
            .find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        let found = found.unwrap_or_else(|| panic!("{line} is not in\n{text}"));
        found.parse().unwrap()
    }
}

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

/// What holds for every cache, whatever is behind it.
async fn check_a_cache(fixture: &Fixture) {
    let long = "k".repeat(MAX_KEY_BYTES);
    let pairs: [(&str, &[u8]); 6] = [
        ("a", b"1"),
        ("content:b/meta.json", b"two\r\nEND\r\n"),
        ("with blank", b"\0\xff"),
        (&long, b"long"),
        ("\u{e4}", b"umlaut"),
        ("empty", b""),
    ];
    fixture.store(&pairs).await;
    let asked = [
        "x",
        "a",
        "with blank",
        &long,
        "a",
        "\u{e4}",
        "empty",
        "y",
        "content:b/meta.json",
    ];
    let expected = [
        None,
        Some(bytes(b"1")),
        Some(bytes(b"\0\xff")),
        Some(bytes(b"long")),
        Some(bytes(b"1")),
        Some(bytes(b"umlaut")),
        Some(bytes(b"")),
        None,
        Some(bytes(b"two\r\nEND\r\n")),
    ];
    assert_eq!(fixture.get(&asked).await, expected);
    assert_eq!(fixture.get(&[]).await, []);

    fixture.store(&[("a", b"2")]).await;
    assert_eq!(fixture.get(&["a"]).await, [Some(bytes(b"2"))]);
    fixture.cache.delete("a");
    fixture.cache.delete("never there");
    fixture.written().await;
    assert_eq!(fixture.get(&["a", "empty"]).await, [None, Some(bytes(b""))]);

    let large = vec![7; 300_000];
    fixture.store(&[("large", &large)]).await;
    assert_eq!(fixture.get(&["large"]).await, [Some(large.into())]);
}

/// Many keys at a time, over all servers.
async fn check_many(fixture: &Fixture) {
    let keys: Vec<String> = (0..2_345).map(|number| format!("key-{number}")).collect();
    for key in keys.iter().step_by(2) {
        fixture.cache.set(key, key.as_bytes(), HOUR);
    }
    fixture.written().await;
    let found = fixture.cache.get(&keys).await;
    for (place, (key, value)) in keys.iter().zip(found).enumerate() {
        let expected = (place % 2 == 0).then(|| Bytes::from(key.clone()));
        assert_eq!(value, expected, "{key}");
    }
}

#[tokio::test]
async fn memcached_gives_back_what_was_stored() {
    let servers = [
        servers::memcached(),
        servers::memcached(),
        servers::memcached(),
    ];
    let addresses = servers.each_ref().map(|server| server.address());
    check_a_cache(&Fixture::memcached(&addresses[..1], |_| {})).await;
    let fixture = Fixture::memcached(&addresses, |config| config.max_get_multi_batch_size = 100);
    check_many(&fixture).await;
    let reads =
        fixture.count("thanos_memcached_operations_total{name=\"test\",operation=\"getmulti\"}");
    assert!((24.0..28.0).contains(&reads), "{reads}");
    let writes = "thanos_memcached_operations_total{name=\"test\",operation=\"set\"}";
    assert_eq!(fixture.count(writes), 1_173.0);
    // Each server has a share: without one of them, that is missing, and nothing else.
    let [one, ..] = servers;
    drop(one);
    let keys: Vec<String> = (0..2_345).map(|number| format!("key-{number}")).collect();
    let found = fixture.cache.get(&keys).await.iter().flatten().count();
    assert!((600..1_000).contains(&found), "{found}");
}

#[tokio::test]
async fn redis_gives_back_what_was_stored() {
    let server = servers::redis(&[]);
    check_a_cache(&Fixture::redis(server.address(), |_| {})).await;
    check_many(&Fixture::redis(server.address(), |config| {
        config.get_multi_batch_size = 7;
    }))
    .await;
}

#[tokio::test]
async fn redis_has_users_databases_and_prefixes() {
    let server = servers::redis(&["--requirepass", "secret"]);
    let of = |db: i64, prefix: &str| {
        Fixture::redis(server.address(), |config| {
            config.password = "secret".to_owned();
            config.db = db;
            config.prefix = prefix.to_owned();
        })
    };
    let (zero, one, other) = (of(0, ""), of(1, ""), of(1, "other:"));
    zero.store(&[("a", b"zero")]).await;
    one.store(&[("a", b"one")]).await;
    other.store(&[("a", b"other")]).await;
    assert_eq!(zero.get(&["a"]).await, [Some(bytes(b"zero"))]);
    assert_eq!(one.get(&["a"]).await, [Some(bytes(b"one"))]);
    assert_eq!(other.get(&["a"]).await, [Some(bytes(b"other"))]);

    let stranger = Fixture::redis(server.address(), |_| {});
    stranger.store(&[("a", b"stranger")]).await;
    assert_eq!(stranger.get(&["a"]).await, [None]);
    let failed = |operation: &str| {
        let name = "rutile_redis_operation_failures_total{name=\"test\",operation=";
        let reasons = ["timeout", "network-error", "server-error", "other"];
        let of = |reason| stranger.count(&format!("{name}\"{operation}\",reason=\"{reason}\"}}"));
        reasons.map(of).iter().sum::<f64>()
    };
    assert_eq!((failed("set"), failed("getmulti")), (1.0, 1.0));
}

#[tokio::test]
async fn a_cache_that_is_down_has_nothing_and_is_found_again() {
    let server = servers::memcached();
    let fixture = Fixture::memcached(&[server.address()], |_| {});
    fixture.store(&[("a", b"1")]).await;
    assert_eq!(fixture.get(&["a"]).await, [Some(bytes(b"1"))]);
    drop(server);
    fixture.store(&[("b", b"2")]).await;
    let name = "thanos_memcached_operation_failures_total{name=\"test\",operation=";
    let failed =
        |operation| fixture.count(&format!("{name}\"{operation}\",reason=\"network-error\"}}"));
    assert_eq!(failed("set"), 1.0);
    for _ in 0..10 {
        assert_eq!(fixture.get(&["a", "b"]).await, [None, None]);
    }
    // After some failures in a row it is not even asked.
    assert_eq!(failed("getmulti"), 5.0);
    let skipped = "thanos_memcached_operation_skipped_total{name=\"test\",operation=\"getmulti\",reason=\"circuit-breaker\"}";
    assert_eq!(fixture.count(skipped), 5.0);

    let redis = servers::redis(&[]);
    let fixture = Fixture::redis(redis.address(), |_| {});
    fixture.store(&[("a", b"1")]).await;
    assert_eq!(fixture.get(&["a"]).await, [Some(bytes(b"1"))]);
    drop(redis);
    assert_eq!(fixture.get(&["a"]).await, [None]);
}

/// A server that takes connections and does with each what `serve` says.
async fn scripted<F>(
    serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
) -> (String, TaskGroup)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tasks = TaskGroup::new("scripted");
    let spawner = tasks.spawner();
    drop(tasks.spawn("accept", async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(spawner.spawn("serve", serve(stream)));
        }
    }));
    (address, tasks)
}

/// Takes a connection and says nothing.
async fn hang(stream: tokio::net::TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

#[tokio::test]
async fn a_cache_that_does_not_answer_is_given_up_in_time() {
    let (address, _tasks) = scripted(hang).await;
    let soon = rutile_model::GoDuration::from_ms(20);
    let memcached = Fixture::memcached(&[&address], |config| config.timeout = soon);
    assert_eq!(memcached.get(&["a", "b"]).await, [None, None]);
    memcached.store(&[("a", b"1")]).await;
    let failures = "thanos_memcached_operation_failures_total{name=\"test\",operation=\"set\",reason=\"timeout\"}";
    assert_eq!(memcached.count(failures), 1.0);
    let redis = Fixture::redis(&address, |config| {
        config.read_timeout = soon;
        config.write_timeout = soon;
    });
    assert_eq!(redis.get(&["a"]).await, [None]);
    redis.store(&[("a", b"1")]).await;
    let failures =
        "rutile_redis_operation_failures_total{name=\"test\",operation=\"set\",reason=\"timeout\"}";
    assert_eq!(redis.count(failures), 1.0);
}

#[tokio::test]
async fn what_does_not_fit_the_queue_is_dropped_and_counted() {
    let (address, _tasks) = scripted(hang).await;
    let fixture = Fixture::memcached(&[&address], |config| {
        config.max_async_buffer_size = 10;
        config.max_async_concurrency = 2;
        config.max_item_size = rutile_model::ByteSize(100);
    });
    // Nobody runs meanwhile.
    for number in 0..50 {
        fixture.cache.set(&number.to_string(), b"value", HOUR);
    }
    fixture.cache.set("large", &[0; 100], HOUR);
    let skipped = |reason: &str| {
        let name =
            "thanos_memcached_operation_skipped_total{name=\"test\",operation=\"set\",reason=";
        fixture.count(&format!("{name}\"{reason}\"}}"))
    };
    assert_eq!(
        (skipped("async-buffer-full"), skipped("max-item-size")),
        (40.0, 1.0)
    );
    let queued = fixture.cache.0.queued_bytes.load(Ordering::Relaxed);
    assert_eq!(
        queued,
        10 * ("rutile1:0".len() + DIGEST_BYTES + "value".len())
    );

    let fixture = Fixture::memcached(&[&address], |config| {
        config.max_item_size = rutile_model::ByteSize(0);
    });
    let large = vec![0; MAX_QUEUED_BYTES / 2];
    for key in ["one", "two"] {
        fixture.cache.set(key, &large, HOUR);
    }
    let dropped = "thanos_memcached_operation_skipped_total{name=\"test\",operation=\"set\",reason=\"async-buffer-full\"}";
    assert_eq!(fixture.count(dropped), 1.0);
}

#[tokio::test]
async fn writes_are_given_up_when_the_breaker_says_so() {
    let server = servers::memcached();
    let address = server.address().to_owned();
    drop(server);
    let fixture = Fixture::memcached(&[&address], |config| {
        config.max_async_concurrency = 1;
        config.set_async_circuit_breaker_config = BreakerConfig {
            enabled: true,
            min_requests: 3,
            consecutive_failures: 3,
            ..BreakerConfig::default()
        };
    });
    let pairs: [(&str, &[u8]); 5] = ["a", "b", "c", "d", "e"].map(|key| (key, &b"value"[..]));
    fixture.store(&pairs).await;
    let name = "thanos_memcached_operation_";
    let failed =
        format!("{name}failures_total{{name=\"test\",operation=\"set\",reason=\"network-error\"}}");
    let skipped = format!(
        "{name}skipped_total{{name=\"test\",operation=\"set\",reason=\"circuit-breaker\"}}"
    );
    assert_eq!(
        (fixture.count(&failed), fixture.count(&skipped)),
        (3.0, 2.0)
    );
}

/// Whatever a server says, it is a miss, and the next question is asked on another connection.
#[tokio::test]
async fn answers_that_make_no_sense_are_misses() {
    let good = sealed("rutile1:a", b"value");
    let value = |key: &str, length: usize| format!("VALUE {key} 0 {length}\r\n").into_bytes();
    let whole = [&value("rutile1:a", good.len())[..], &good, b"\r\nEND\r\n"].concat();
    let mut flipped = whole.clone();
    let last = flipped.len() - b"\r\nEND\r\n".len() - 1;
    flipped[last] ^= 1;
    let other = sealed("rutile1:b", b"value");
    let answers: Vec<(Vec<u8>, bool)> = vec![
        (whole.clone(), true),
        (flipped, false),
        (
            [&value("rutile1:a", other.len())[..], &other, b"\r\nEND\r\n"].concat(),
            false,
        ),
        (
            [&value("rutile1:b", good.len())[..], &good, b"\r\nEND\r\n"].concat(),
            false,
        ),
        (
            [&value("rutile1:a", 5)[..], &good, b"\r\nEND\r\n"].concat(),
            false,
        ),
        (
            [&value("rutile1:a", 3)[..], b"abc\r\nEND\r\n"].concat(),
            false,
        ),
        (value("rutile1:a", usize::MAX), false),
        (b"VALUE rutile1:a 0 -1\r\n".to_vec(), false),
        (b"VALUE\r\n".to_vec(), false),
        (b"SERVER_ERROR out of memory\r\n".to_vec(), false),
        (b"\xff\xfe\r\n".to_vec(), false),
        (vec![b'x'; 100_000], false),
        (b"END".to_vec(), false),
        (Vec::new(), false),
    ];
    for (answer, is_hit) in answers {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        let (address, _tasks) = scripted(move |mut stream| {
            let answer = answer.clone();
            async move {
                let mut question = [0; 1024];
                // A client that hangs up early has understood that this makes no sense.
                if stream.read(&mut question).await.is_ok() {
                    stream.write_all(&answer).await.ok();
                }
            }
        })
        .await;
        let fixture = Fixture::memcached(&[&address], |_| {});
        for _ in 0..2 {
            let expected = is_hit.then(|| Bytes::from_static(b"value"));
            assert_eq!(fixture.get(&["a"]).await, [expected], "{shown}");
        }
    }
}
