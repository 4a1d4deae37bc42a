//! Listening: a bounded number of connections, encrypted or not, each a task that ends with its listener.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use rutile_model::ErrorKind;
use rutile_runtime::{CancellationToken, Entropy, ShutdownReport, Spawner, TaskGroup};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::failure::Failure;
use crate::send_timeout::SendTimeout;
use crate::tls::Encryption;

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// A connection on which nothing comes for so long is closed before it has begun.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection, as hyper takes it.
pub(crate) type Io = TokioIo<SendTimeout<Either<TcpStream, TlsStream<TcpStream>>>>;

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    encryption: Option<Encryption>,
}

/// How connections end.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    /// Age at which a connection is asked to end (a tenth more or less, so that not all of them
    /// come back at once).
    pub(crate) max_age: Option<Duration>,
    /// How long open requests may go on after the shutdown began.
    pub(crate) grace: Duration,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Starts the tasks that hyper asks for in the group of the connection.
#[derive(Debug, Clone)]
pub(crate) struct StreamExecutor(Spawner);

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn("stream", future));
    }
}

impl Listener {
    /// Binds `host:port`; without a host, all addresses.
    pub(crate) async fn bind(address: &str, flag: &str) -> Result<Self, Failure> {
        let wildcard = address
            .strip_prefix(':')
            .map(|port| format!("0.0.0.0:{port}"));
        let target = wildcard.as_deref().unwrap_or(address);
        let bound = TcpListener::bind(target).await.and_then(|socket| {
            let address = socket.local_addr()?;
            Ok(Self {
                socket,
                address,
                encryption: None,
            })
        });
        bound.map_err(|error| {
            let message = format!("cannot listen on {address}: {error}: change {flag}");
            Failure::message(ErrorKind::Invalid, message)
        })
    }

    /// Takes encrypted connections only, if there is an `encryption`.
    pub(crate) fn encrypted(self, encryption: Option<Encryption>) -> Self {
        Self { encryption, ..self }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections, each by what `connect` makes of it, until `shutdown`; then lets open
    /// requests end within the grace period and aborts the rest.
    pub(crate) async fn serve<C>(
        self,
        lifetime: Lifetime,
        shutdown: CancellationToken,
        connect: impl Fn(Io, StreamExecutor) -> C + Clone + Send + 'static,
    ) -> ShutdownReport
    where
        C: GracefulConnection + Send + 'static,
        C::Error: std::fmt::Display + Send,
    {
        let connections = TaskGroup::new("connections");
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let slot = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let stream = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, address = %self.address, "accepting failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "connection broke at once");
                continue;
            }
            let streams = connections.child("streams");
            let (age, token, connect) =
                (lifetime.drawn_age(), connections.token(), connect.clone());
            let encryption = self.encryption.clone();
            drop(connections.spawn("connection", async move {
                if let Some(io) = begin(stream, encryption, &token).await {
                    let executor = StreamExecutor(streams.spawner());
                    drive(connect(io, executor), age, token).await;
                }
                // Streams of a connection that is gone have nobody to answer to.
                drop((streams, slot));
            }));
        }
        drop(self.socket);
        connections.shutdown(lifetime.grace).await
    }
}

impl Lifetime {
    fn drawn_age(&self) -> Option<Duration> {
        let spread = f64::from(u8::try_from(self.entropy.next_u64() % 201).unwrap_or(0));
        self.max_age.map(|age| age.mul_f64(0.9 + spread / 1000.0))
    }
}

/// Drives a connection to its end; at the given age, or when the token is cancelled, it takes no
/// further requests and ends with the open ones.
async fn drive<C>(connection: C, age: Option<Duration>, token: CancellationToken)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let too_old = async {
        match age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        biased;
        () = token.cancelled() => None,
        result = connection.as_mut() => Some(result),
        () = too_old => None,
    };
    let result = match ended {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended with an error");
    }
}

/// The other side of a connection.
pub(crate) fn peer(io: &Io) -> Option<SocketAddr> {
    let stream = match io.inner().stream() {
        Either::Left(plain) => plain,
        Either::Right(encrypted) => encrypted.get_ref().0,
    };
    stream.peer_addr().ok()
}

/// Waits until a client has begun, and agrees with it on encryption; `None` if it does neither in time.
async fn begin(
    stream: TcpStream,
    encryption: Option<Encryption>,
    token: &CancellationToken,
) -> Option<Io> {
    if !has_begun(&stream, token).await {
        return None;
    }
    let stream = match encryption {
        None => Either::Left(stream),
        Some(encryption) => {
            let agreed = token.run_until_cancelled(encryption.agree(stream));
            Either::Right(agreed.await??)
        }
    };
    Some(TokioIo::new(SendTimeout::new(stream)))
}

/// Waits for the first byte of a connection; `false` if none comes in time.
async fn has_begun(stream: &TcpStream, token: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = token.cancelled() => false,
        first = tokio::time::timeout(FIRST_BYTE_TIMEOUT, stream.readable()) => {
            matches!(first, Ok(Ok(())))
        }
    }
}
