use std::io;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn config(format: LogFormat, name: &str) -> LogConfig {
    let now_ms: NowMs = Arc::new(|| 1_700_000_000_123);
    LogConfig {
        level: LogLevel::Info,
        format,
        name: name.to_owned(),
        now_ms,
    }
}

/// What `log` writes, with the line numbers of `caller` cut out.
fn written(config: &LogConfig, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = subscriber(config, move || writer.clone(), None);
    tracing::subscriber::with_default(subscriber, log);
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    let mut parts = text.split("tests.rs:");
    let mut cut = parts.next().unwrap().to_owned();
    for part in parts {
        cut.push_str("tests.rs:N");
        cut.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    cut
}

fn events() {
    let span = tracing::info_span!("request", request_id = 7, late = tracing::field::Empty);
    let _entered = span.enter();
    span.record("late", "a b");
    tracing::info!(
        blocks = 3,
        ratio = 0.5,
        key = "x=y",
        empty = "",
        "loaded \"all\""
    );
    tracing::debug!("not shown");
    tracing::error!(target: "h2::codec", done = true, "from below");
    tracing::info!(target: "h2::codec", "not shown");
}

#[test]
fn logfmt_lines() {
    assert_eq!(
        written(&config(LogFormat::Logfmt, ""), events),
        "ts=2023-11-14T22:13:20.123Z caller=tests.rs:N level=info msg=\"loaded \\\"all\\\"\" \
         blocks=3 ratio=0.5 key=\"x=y\" empty= request_id=7 late=\"a b\"\n\
         ts=2023-11-14T22:13:20.123Z caller=tests.rs:N level=error msg=\"from below\" done=true \
         request_id=7 late=\"a b\"\n"
    );
}

#[test]
fn json_lines() {
    assert_eq!(
        written(&config(LogFormat::Json, "store-1"), events),
        "{\"ts\":\"2023-11-14T22:13:20.123Z\",\"caller\":\"tests.rs:N\",\"name\":\"store-1\",\
         \"level\":\"info\",\"msg\":\"loaded \\\"all\\\"\",\"blocks\":3,\"ratio\":0.5,\
         \"key\":\"x=y\",\"empty\":\"\",\"request_id\":7,\"late\":\"a b\"}\n\
         {\"ts\":\"2023-11-14T22:13:20.123Z\",\"caller\":\"tests.rs:N\",\"name\":\"store-1\",\
         \"level\":\"error\",\"msg\":\"from below\",\"done\":true,\"request_id\":7,\
         \"late\":\"a b\"}\n"
    );
}

#[test]
fn a_line_stays_a_line() {
    let text = written(&config(LogFormat::Logfmt, "n 1"), || {
        tracing::warn!(error = %"first\nsecond", "x\ty");
    });
    assert_eq!(
        text,
        "ts=2023-11-14T22:13:20.123Z caller=tests.rs:N name=\"n 1\" level=warn msg=\"x\\ty\" \
         error=\"first\\nsecond\"\n"
    );
}

#[test]
fn an_error_shows_its_sources() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);
    let error = Outer(io::Error::other("inner"));
    let text = written(&config(LogFormat::Logfmt, ""), || {
        tracing::error!(
            error = &error as &(dyn std::error::Error + 'static),
            "failed"
        );
    });
    assert!(
        text.ends_with("msg=failed error=\"outer: inner\"\n"),
        "{text}"
    );
}

#[test]
fn names_and_refusals() {
    assert_eq!("warn".parse(), Ok(LogLevel::Warn));
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    let unknown: Result<LogLevel, _> = "loud".parse();
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "unknown log level \"loud\": use error, warn, info or debug"
    );
}

#[test]
fn the_journal_gets_an_entry_for_each_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let refused = Journal::open(path.to_str().unwrap()).unwrap_err();
    assert!(
        refused.to_string().contains("/socket: No such file"),
        "{refused}"
    );
    let server = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let journal = Journal::open(path.to_str().unwrap()).unwrap();
    let subscriber = subscriber(&config(LogFormat::Journald, "eu1"), journal, None);
    tracing::subscriber::with_default(subscriber, || {
        events();
        tracing::warn!(path.of = "a\nb", long = "ä".repeat(10_000), "two\nlines");
    });
    let mut buffer = vec![0; 64 << 10];
    let mut entry = || {
        let length = server.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let first = entry();
    let mut lines = first.lines();
    assert_eq!(lines.next(), Some("THANOS_TS=2023-11-14T22:13:20.123Z"));
    assert!(lines.next().unwrap().starts_with("THANOS_CALLER=tests.rs:"));
    let rest: Vec<_> = lines.collect();
    assert_eq!(
        rest,
        [
            "THANOS_NAME=eu1",
            "PRIORITY=6",
            "MESSAGE=loaded \"all\"",
            "THANOS_BLOCKS=3",
            "THANOS_RATIO=0.5",
            "THANOS_KEY=x=y",
            "THANOS_EMPTY=",
            "THANOS_REQUEST_ID=7",
            "THANOS_LATE=a b"
        ]
    );
    assert!(entry().contains("\nPRIORITY=3\nMESSAGE=from below\n"));
    let last = entry();
    assert!(
        last.contains("\nPRIORITY=4\nMESSAGE=two\\nlines\n"),
        "{last}"
    );
    assert!(last.contains("\nTHANOS_PATH_OF=a\\nb\n"), "{last}");
    assert!(last.len() < 20 << 10, "{}", last.len());
}
