use std::task::{Context as TaskContext, Poll};

use clap::Parser;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rutile_runtime::{Ledger, Task, TaskGroup};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use super::*;

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    grpc: GrpcArgs,
}

/// A server in this process, with the health service and [`Odd`].
struct Server {
    context: Context,
    address: SocketAddr,
    serving: Task<Result<ShutdownReport, Failure>>,
    events: mpsc::Receiver<Event>,
    _tasks: TaskGroup,
}

impl Server {
    async fn start(flags: &[&str]) -> Self {
        let tasks = TaskGroup::new("test");
        let context = Context::new("test", Ledger::new(1 << 30), &tasks);
        let flags = [&["test", "--grpc-address=127.0.0.1:0"], flags].concat();
        let flags = Flags::parse_from(flags);
        let server = GrpcServer::bind(&flags.grpc, &context).await.unwrap();
        let address = server.address();
        let (sender, events) = mpsc::channel(16);
        let services = GrpcServices::new().add_service(Odd { events: sender });
        let serving = tasks.spawn("grpc", server.serve(services, context.shutdown.clone()));
        Self {
            context,
            address,
            serving,
            events,
            _tasks: tasks,
        }
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect_lazy()
    }

    fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel())
    }

    async fn stop(self) -> ShutdownReport {
        self.context.shutdown.cancel();
        self.serving.await.unwrap().unwrap()
    }
}

/// Misbehaves in the way its method is called.
#[derive(Debug, Clone)]
struct Odd {
    events: mpsc::Sender<Event>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Entered,
    Dropped,
}

/// Tells when a handler is entered and dropped.
struct Told(mpsc::Sender<Event>);

impl Told {
    fn enter(events: mpsc::Sender<Event>) -> Self {
        events.try_send(Event::Entered).unwrap();
        Self(events)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // The test may be over.
        self.0.try_send(Event::Dropped).ok();
    }
}

impl NamedService for Odd {
    const NAME: &'static str = "test.Odd";
}

impl Service<Request<tonic::body::Body>> for Odd {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let told = Told::enter(self.events.clone());
        Box::pin(async move {
            let _told = told;
            match request.uri().path() {
                "/test.Odd/Panic" => panic!("in the handler"),
                "/test.Odd/PanicInStream" => {
                    let first = futures::stream::once(async {
                        Ok::<_, Infallible>(bytes::Bytes::from_static(&[0, 0, 0, 0, 0]))
                    });
                    let second = futures::stream::once(async { panic!("in the stream") });
                    let body = Body::from_stream(futures::StreamExt::chain(first, second));
                    Ok(Response::builder()
                        .header("content-type", "application/grpc")
                        .body(body)
                        .unwrap())
                }
                _ => std::future::pending().await,
            }
        })
    }
}

async fn call(channel: Channel, method: &str) -> Result<usize, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let path = format!("/test.Odd/{method}").parse().unwrap();
    let request = tonic::Request::new(HealthCheckRequest::default());
    let mut stream = client
        .server_streaming(request, path, codec)
        .await?
        .into_inner();
    let mut messages = 0;
    while stream.message().await?.is_some() {
        messages += 1;
    }
    Ok(messages)
}

#[tokio::test]
async fn health_follows_readiness() {
    let server = Server::start(&[]).await;
    let mut client = server.health();
    let request = HealthCheckRequest::default;
    let status = |answer: tonic::Response<HealthCheckResponse>| answer.into_inner().status;
    assert_eq!(status(client.check(request()).await.unwrap()), NOT_SERVING);
    let mut watch = client.watch(request()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, NOT_SERVING);
    server.context.probe.set_healthy();
    server.context.probe.set_ready();
    assert_eq!(watch.message().await.unwrap().unwrap().status, SERVING);
    assert_eq!(status(client.check(request()).await.unwrap()), SERVING);
    let unknown = HealthCheckRequest {
        service: "x".to_owned(),
    };
    assert_eq!(
        client.check(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn calls_are_counted() {
    let server = Server::start(&[]).await;
    let mut client = server.health();
    client.check(HealthCheckRequest::default()).await.unwrap();
    client
        .check(HealthCheckRequest {
            service: "x".to_owned(),
        })
        .await
        .unwrap_err();
    call(server.channel(), "NoSuchService/x").now_or_never();
    let text = server.context.registry.render();
    let labels = "grpc_method=\"Check\",grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"";
    for line in [
        format!("grpc_server_started_total{{{labels}}} 2\n"),
        format!("grpc_server_msg_received_total{{{labels}}} 2\n"),
        format!("grpc_server_msg_sent_total{{{labels}}} 1\n"),
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1\n"),
        format!("grpc_server_handled_total{{grpc_code=\"NotFound\",{labels}}} 1\n"),
        format!("grpc_server_handled_total{{grpc_code=\"Canceled\",{labels}}} 0\n"),
        format!("grpc_server_handling_seconds_count{{{labels}}} 2\n"),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(
        !text.contains("test.Odd"),
        "a service without descriptors is not counted"
    );
}

#[tokio::test]
async fn panics_become_a_status_and_harm_nobody_else() {
    let server = Server::start(&[]).await;
    let channel = server.channel();
    for method in ["Panic", "PanicInStream"] {
        let status = call(channel.clone(), method).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Internal, "the handler panicked")
        );
    }
    let text = server.context.registry.render();
    assert!(
        text.contains("grpc_req_panics_recovered_total 2\n"),
        "{text}"
    );
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_ends_when_its_client_goes_away() {
    let mut server = Server::start(&[]).await;
    let mut hanging = Box::pin(call(server.channel(), "Hang"));
    tokio::select! {
        biased;
        event = server.events.recv() => assert_eq!(event, Some(Event::Entered)),
        result = &mut hanging => panic!("the call ended: {result:?}"),
    }
    drop(hanging);
    assert_eq!(server.events.recv().await, Some(Event::Dropped));
}

#[tokio::test]
async fn a_deadline_of_the_client_ends_the_call() {
    let mut server = Server::start(&[]).await;
    let tasks = TaskGroup::new("clients");
    let (response, _connection) = raw_call(&server, &tasks, "test.Odd/Hang", "20m").await;
    assert_eq!(grpc_code(response.headers()), Some(Code::DeadlineExceeded));
    assert_eq!(server.events.recv().await, Some(Event::Entered));
    assert_eq!(server.events.recv().await, Some(Event::Dropped));
}

#[test]
fn deadlines_are_read_as_written() {
    let check = |text: &str, want: Option<Duration>| {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        assert_eq!(deadline(&headers), want, "{text}");
    };
    check("5S", Some(Duration::from_secs(5)));
    check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
    check("250m", Some(Duration::from_millis(250)));
    check("7u", Some(Duration::from_micros(7)));
    for bad in ["", "S", "5", "5x", "-5S", "123456789S", "5 S", "+5S"] {
        check(bad, None);
    }
    assert_eq!(deadline(&HeaderMap::new()), None);
}

/// Makes one call on a connection of its own, without what tonic's client adds.
async fn raw_call(
    server: &Server,
    tasks: &TaskGroup,
    method: &str,
    timeout: &str,
) -> (Response<Incoming>, Task<hyper::Result<()>>) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake::<_, _, Body>(
        TokioExecutor::new(),
        TokioIo::new(stream),
    );
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tasks.spawn("client", connection);
    let request = Request::post(format!("http://{}/{method}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(Body::from(vec![0, 0, 0, 0, 0]))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    // The connection goes on until the server closes it.
    drop(tasks.spawn("sender", async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    }));
    (response, connection)
}

#[tokio::test]
async fn old_connections_are_closed() {
    let server = Server::start(&["--grpc-server-max-connection-age=50ms"]).await;
    let tasks = TaskGroup::new("clients");
    let method = "grpc.health.v1.Health/Check";
    let (response, connection) = raw_call(&server, &tasks, method, "1H").await;
    assert_eq!(response.status(), 200);
    drop(response);
    connection.await.unwrap().unwrap();
    assert_eq!(server.stop().await, ShutdownReport::default());
}

#[tokio::test]
async fn shutdown_lets_idle_connections_go_and_aborts_the_rest_after_its_grace() {
    let server = Server::start(&["--grpc-grace-period=50ms"]).await;
    let mut client = server.health();
    let mut watch = client
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    watch.message().await.unwrap().unwrap();
    let report = server.stop().await;
    assert!(
        report
            .aborted
            .contains(&"connections/connection".to_owned()),
        "{report:?}"
    );
    watch.message().await.unwrap_err();

    let server = Server::start(&[]).await;
    let mut client = server.health();
    client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(server.stop().await, ShutdownReport::default());
    client
        .check(HealthCheckRequest::default())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn two_hundred_connections_leave_no_tasks() {
    let server = Server::start(&[]).await;
    let alive = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = alive();
    let channels: Vec<Channel> = (0..200).map(|_| server.channel()).collect();
    let checks = channels.iter().map(|channel| {
        let mut client = HealthClient::new(channel.clone());
        async move { client.watch(HealthCheckRequest::default()).await }
    });
    let watches = futures::future::join_all(checks).await;
    assert!(watches.iter().all(Result::is_ok));
    assert!(alive() >= before + 400, "{} of {before}", alive());
    drop((watches, channels));
    let ended = async {
        while alive() > before {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    assert!(ended.is_ok(), "{} tasks of {before} are left", alive());
    assert_eq!(server.stop().await, ShutdownReport::default());
}

#[tokio::test]
async fn two_hundred_calls_on_one_connection_are_served() {
    let server = Server::start(&[]).await;
    let client = server.health();
    let calls = (0..200).map(|_| {
        let mut client = client.clone();
        async move { client.check(HealthCheckRequest::default()).await }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn an_address_in_use_names_the_flag() {
    let server = Server::start(&[]).await;
    let flags = Flags::parse_from(["test", &format!("--grpc-address={}", server.address)]);
    let failure = GrpcServer::bind(&flags.grpc, &server.context)
        .await
        .unwrap_err();
    let text = failure.to_string();
    assert!(
        text.ends_with("change --grpc-address") && text.contains("in use"),
        "{text}"
    );
}
