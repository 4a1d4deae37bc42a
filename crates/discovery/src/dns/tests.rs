//! Real queries to a small name server on a socket.

use std::sync::Arc;

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{Name, Record, rdata},
};
use parking_lot::Mutex;
use rutile_runtime::TaskGroup;
use rutile_telemetry::Registry;
use tokio::net::UdpSocket;

use super::*;

/// Records by name and type, and names whose lookup fails.
#[derive(Default)]
struct Zone {
    records: Vec<(&'static str, RData)>,
    failing: Vec<(&'static str, RecordType)>,
}

type SharedZone = Arc<Mutex<Zone>>;

/// A name server for the zone; ends with the group.
pub(crate) struct Server {
    zone: SharedZone,
    address: SocketAddr,
    _tasks: TaskGroup,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = SharedZone::default();
        let tasks = TaskGroup::new("dns");
        drop(tasks.spawn("dns", serve(socket, Arc::clone(&zone))));
        Self {
            zone,
            address,
            _tasks: tasks,
        }
    }

    pub(crate) fn client(&self, registry: &Registry) -> Dns {
        let metrics = DnsMetrics {
            lookups: registry.int_counter("lookups_total", "Help."),
            failures: registry.int_counter("failures_total", "Help."),
            results: registry.int_gauge_vec("results", "Help.", &["addr"]),
        };
        Dns::with_server(self.address, metrics).unwrap()
    }

    pub(crate) fn add(&self, name: &'static str, address: &str) {
        let data = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(rdata::A(address)),
            IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
        };
        self.zone.lock().records.push((name, data));
    }

    fn add_service(&self, name: &'static str, target: &str, port: u16) {
        let service = rdata::SRV::new(0, 0, port, Name::from_utf8(target).unwrap());
        self.zone.lock().records.push((name, RData::SRV(service)));
    }

    pub(crate) fn clear(&self) {
        *self.zone.lock() = Zone::default();
    }

    pub(crate) fn fail(&self, name: &'static str, kind: RecordType) {
        self.zone.lock().failing.push((name, kind));
    }
}

async fn serve(socket: UdpSocket, zone: SharedZone) {
    let mut buffer = [0; 1500];
    loop {
        let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Message::from_vec(&buffer[..len]).unwrap();
        let answer = zone.lock().answer(&query);
        socket
            .send_to(&answer.to_vec().unwrap(), client)
            .await
            .unwrap();
    }
}

impl Zone {
    fn answer(&self, query: &Message) -> Message {
        let asked = &query.queries[0];
        let name = asked.name.to_utf8();
        let name = name.trim_end_matches('.');
        let mut answer = Message::new(
            query.metadata.id,
            MessageType::Response,
            query.metadata.op_code,
        );
        answer.metadata.recursion_desired = query.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(asked.clone());
        if self.failing.contains(&(name, asked.query_type)) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer;
        }
        let of_name = || self.records.iter().filter(|(owner, _)| *owner == name);
        if of_name().next().is_none() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        for (_, data) in of_name().filter(|(_, data)| data.record_type() == asked.query_type) {
            answer.add_answer(Record::from_rdata(asked.name.clone(), 60, data.clone()));
        }
        answer
    }
}

async fn found(dns: &Dns, address: &str) -> Result<Vec<String>> {
    dns.resolve(&Address::parse(address).unwrap()).await
}

#[tokio::test]
async fn each_form_is_looked_up() {
    let server = Server::start().await;
    server.add("stores.test", "10.0.0.2");
    server.add("stores.test", "10.0.0.1");
    server.add("stores.test", "fd00::1");
    server.add("six.test", "fd00::6");
    server.add_service("_grpc._tcp.test", "stores.test.", 7001);
    server.add_service("_grpc._tcp.test", "six.test.", 7002);
    let registry = Registry::new();
    let dns = server.client(&registry);
    let check = async |address: &str, expected: &[&str]| {
        assert_eq!(found(&dns, address).await.unwrap(), expected, "{address}");
    };
    check("10.9.9.9:1", &["10.9.9.9:1"]).await;
    check("dns+stores.test:1", &["10.0.0.1:1", "10.0.0.2:1"]).await;
    check(
        "dns+http://stores.test:1",
        &["http://10.0.0.1:1", "http://10.0.0.2:1"],
    )
    .await;
    check("dns+six.test:1", &["[fd00::6]:1"]).await;
    check("dns+10.1.1.1:1", &["10.1.1.1:1"]).await;
    check(
        "dnsdualstack+stores.test:1",
        &["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1"],
    )
    .await;
    check(
        "dnssrvnoa+_grpc._tcp.test",
        &["six.test:7002", "stores.test:7001"],
    )
    .await;
    check(
        "dnssrv+_grpc._tcp.test",
        &["10.0.0.1:7001", "10.0.0.2:7001", "[fd00::6]:7002"],
    )
    .await;
    check(
        "dnssrv+_grpc._tcp.test:9",
        &["10.0.0.1:9", "10.0.0.2:9", "[fd00::6]:9"],
    )
    .await;
    check("dns+nobody.test:1", &[]).await;
    check("dnssrv+nobody.test", &[]).await;
    check("dnsdualstack+six.test:1", &["[fd00::6]:1"]).await;
    let metrics = registry.render();
    assert!(metrics.contains("\nlookups_total 11\n"), "{metrics}");
    assert!(metrics.contains("\nfailures_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn of_two_stacks_one_may_fail() {
    let server = Server::start().await;
    server.add("stores.test", "10.0.0.1");
    server.fail("stores.test", RecordType::AAAA);
    let dns = server.client(&Registry::new());
    assert_eq!(
        found(&dns, "dnsdualstack+stores.test:1").await.unwrap(),
        ["10.0.0.1:1"]
    );
    server.fail("stores.test", RecordType::A);
    let error = found(&dns, "dnsdualstack+stores.test:1").await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot look up dnsdualstack+stores.test:1: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_lookup_that_fails_keeps_what_was_found() {
    let server = Server::start().await;
    server.add("stores.test", "10.0.0.1");
    let registry = Registry::new();
    let mut known = Known::new(server.client(&registry));
    let address = Address::parse("dns+stores.test:1").unwrap();
    let other = Address::parse("dns+other.test:1").unwrap();
    assert!(known.endpoints(&address).is_empty());
    known.update(vec![address.clone()], false).await;
    assert_eq!(known.endpoints(&address), ["10.0.0.1:1"]);

    // What is new is looked up; what is known only when it is due.
    server.clear();
    server.add("stores.test", "10.0.0.2");
    server.add("other.test", "10.0.0.3");
    known
        .update(vec![address.clone(), other.clone()], true)
        .await;
    assert_eq!(known.endpoints(&address), ["10.0.0.1:1"]);
    assert_eq!(known.endpoints(&other), ["10.0.0.3:1"]);

    server.fail("stores.test", RecordType::A);
    server.fail("stores.test", RecordType::AAAA);
    known.update(vec![address.clone()], false).await;
    assert_eq!(
        known.endpoints(&address),
        ["10.0.0.1:1"],
        "the lookup failed"
    );
    assert!(
        known.endpoints(&other).is_empty(),
        "nobody wants it any more"
    );
    let metrics = registry.render();
    assert!(metrics.contains("\nfailures_total 1\n"), "{metrics}");
    assert!(
        metrics.contains("\nresults{addr=\"dns+stores.test:1\"} 1\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("other.test"), "{metrics}");

    server.clear();
    known.update(vec![address.clone()], false).await;
    assert!(known.endpoints(&address).is_empty(), "the name is gone");
}
