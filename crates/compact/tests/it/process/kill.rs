//! SIGKILL at requests to an S3 server, while a store gateway reads: the real program, not a future
//! that is dropped. A proxy before the server counts the requests and kills at one of them.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::TryStreamExt;
use rutile_block::{BlockId, Part, REMOVALS_PREFIX, parse_key};
use rutile_objstore::{Bucket, Depth, OpenContext, PutMode, open};
use rutile_runtime::{SystemClock, TaskGroup};
use rutile_telemetry::Registry;
use rutile_testkit::servers::{self, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::command;
use crate::reader::{Chunks, Reader, dumped};
use crate::world::{TWO_HOURS, objects};

/// Requests between two kills. All of them are tried by dropping the future, in `crash`.
const STRIDE: usize = 9;

/// No restart waits for the lease of the one before; `workers` has leases.
const ALONE: &str = "--compact.lease-duration=0s";

/// Passes requests on and counts them.
#[derive(Default)]
struct Proxy {
    seen: AtomicU64,
    /// The request, counted from 1, that is not passed on any more.
    last: AtomicU64,
    reached: Notify,
}

impl Proxy {
    async fn serve(self: Arc<Self>, listener: TcpListener, upstream: String, tasks: TaskGroup) {
        while let Ok((client, _)) = listener.accept().await {
            let (this, upstream) = (Arc::clone(&self), upstream.clone());
            let connection = async move { this.connect(client, upstream).await.ok() };
            drop(tasks.spawn("connection", connection));
        }
    }

    async fn connect(&self, client: TcpStream, upstream: String) -> std::io::Result<()> {
        let server = TcpStream::connect(upstream).await?;
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        let answers = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::select! {
            biased;
            passed = self.pass(from_client, to_server) => passed,
            copied = answers => copied.map(drop),
        }
    }

    /// Passes on whole requests: the head line by line, then the body by its length.
    async fn pass(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
        let mut from = BufReader::new(from);
        loop {
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let start = head.len();
                if from.read_until(b'\n', &mut head).await? == 0 {
                    return Ok(());
                }
                let line = String::from_utf8_lossy(&head[start..]).to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let number = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
            let last = self.last.load(Ordering::SeqCst);
            if last > 0 && number >= last {
                self.reached.notify_one();
                std::future::pending::<()>().await;
            }
            to.write_all(&head).await?;
            tokio::io::copy(&mut (&mut from).take(length), &mut to).await?;
        }
    }
}

/// A folder of the server's bucket, and the way to it through the proxy.
struct Place {
    direct: String,
    counted: String,
    bucket: Arc<dyn Bucket>,
}

impl Place {
    async fn new(server: &Server, proxy: &str, name: &str) -> Self {
        let config = |address: &str| {
            let config = server.objstore_config().replace(server.address(), address);
            format!("{config}prefix: {name}\n")
        };
        let direct = config(server.address());
        let context = OpenContext {
            clock: Arc::new(SystemClock),
            registry: Registry::new(),
            component: "test".to_owned(),
        };
        let bucket = open(&direct, &context).unwrap();
        for block in &TWO_HOURS[..5] {
            let mut objects = objects(block);
            objects.sort_by_key(|(path, _)| path == "meta.json");
            for (path, body) in objects {
                let key = format!("{block}/{path}");
                bucket
                    .put(&key, body.into(), PutMode::Create)
                    .await
                    .unwrap();
            }
        }
        Self {
            counted: config(proxy),
            direct,
            bucket,
        }
    }

    /// One run of the program to its end.
    async fn run(&self, config: &str, more: &[&str]) {
        let data = tempfile::tempdir().unwrap();
        let config = format!("--objstore.config={config}");
        let args: Vec<&str> = [config.as_str(), "--consistency-delay=0s", ALONE]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let mut command = tokio::process::Command::from(command(data.path(), &args));
        let ended = command.output().await.unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }

    /// One run that is killed at a request; whether it came to that.
    async fn run_and_kill(&self, proxy: &Proxy, at: u64) -> bool {
        proxy.seen.store(0, Ordering::SeqCst);
        proxy.last.store(at, Ordering::SeqCst);
        let data = tempfile::tempdir().unwrap();
        let config = format!("--objstore.config={}", self.counted);
        let args = [config.as_str(), "--consistency-delay=0s", ALONE];
        let mut command = tokio::process::Command::from(command(data.path(), &args));
        let mut child = command
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let killed = tokio::select! {
            biased;
            () = proxy.reached.notified() => true,
            ended = child.wait() => {
                assert!(ended.unwrap().success());
                false
            }
        };
        if killed {
            // SIGKILL.
            child.kill().await.unwrap();
        }
        proxy.last.store(0, Ordering::SeqCst);
        killed
    }

    /// The blocks that are there, and what is there besides.
    async fn keys(&self) -> (Vec<BlockId>, Vec<String>) {
        let keys: Vec<String> = self
            .bucket
            .list("", Depth::Recursive)
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .unwrap();
        let metas = keys.iter().filter_map(|key| match parse_key(key) {
            Some((id, Part::Meta)) => Some(id),
            _ => None,
        });
        let blocks: Vec<BlockId> = metas.collect();
        let is_of_block = |key: &String| match parse_key(key) {
            Some((id, Part::Mark(_))) => !blocks.contains(&id),
            Some((id, _)) => blocks.contains(&id),
            // Notices of removals outlive them for a while (BC-6).
            None => key == "rutile/clock" || key.starts_with(REMOVALS_PREFIX),
        };
        let besides = keys
            .iter()
            .filter(|key| !is_of_block(key))
            .cloned()
            .collect();
        (blocks, besides)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bc_10_sigkill_at_requests_leaves_what_a_restart_finishes() {
    let server = servers::s3();
    let tasks = TaskGroup::new("proxy");
    let proxy = Arc::new(Proxy::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::clone(&proxy).serve(
        listener,
        server.address().to_owned(),
        tasks.child("connections"),
    );
    let serving = tasks.spawn("proxy", serve);
    let expected = Arc::new(dumped(TWO_HOURS[..5].iter().copied()));
    let mut kills = 0;
    for at in (1..).step_by(STRIDE) {
        let place = Place::new(&server, &address, &format!("run-{at}")).await;
        let reading = Reading::start(&place, Arc::clone(&expected), &tasks);
        let killed = place.run_and_kill(&proxy, at).await;
        kills += u32::from(killed);
        check_read(&place, &expected, at).await;
        place.run(&place.direct, &[]).await;
        check_read(&place, &expected, at).await;
        assert!(reading.end().await > 0, "read while it ran");
        // The delays are over.
        let over = ["--delete-delay=0s", "--debug.partial-upload-age=1ms"];
        place.run(&place.direct, &over).await;
        let (blocks, besides) = place.keys().await;
        assert_eq!(besides, Vec::<String>::new(), "killed at request {at}");
        assert_eq!(blocks.len(), 2, "killed at request {at}: {blocks:?}");
        check_read(&place, &expected, at).await;
        if !killed {
            break;
        }
    }
    serving.abort();
    assert!(kills > 5, "{kills} kills");
}

async fn check_read(place: &Place, expected: &Chunks, at: u64) {
    let bucket = Arc::<dyn Bucket>::clone(&place.bucket);
    let read = Reader::new(bucket, Arc::new(SystemClock))
        .everything()
        .await;
    assert!(read == *expected, "killed at request {at}");
}

/// A store gateway that looks at the bucket and reads everything again and again.
struct Reading {
    stop: Arc<AtomicBool>,
    task: rutile_runtime::Task<u32>,
}

impl Reading {
    fn start(place: &Place, expected: Arc<Chunks>, tasks: &TaskGroup) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let bucket = Arc::<dyn Bucket>::clone(&place.bucket);
        let reader = Reader::new(bucket, Arc::new(SystemClock));
        let read = async move {
            let mut times = 0;
            while !stopped.load(Ordering::SeqCst) {
                assert!(
                    reader.everything().await == *expected,
                    "after {times} looks"
                );
                times += 1;
            }
            times
        };
        Self {
            stop,
            task: tasks.spawn("reading", read),
        }
    }

    /// How often everything was read.
    async fn end(self) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}
