//! Endpoints that come, go, fail and recover, alone and in groups.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rutile_discovery::EndpointSpec;
use rutile_fanout::{FanoutConfig, Stores};
use rutile_model::Labels;
use rutile_runtime::{ManualClock, TaskGroup};
use rutile_storeapi::{RequestContext, StoreApi};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::{oneshot, watch},
};

use crate::{
    scripted::{Scripted, Then},
    support::{
        Cluster, Switched, collect, eventually, everything, often, pods, series, serve, store,
    },
};

async fn cluster(specs: Vec<EndpointSpec>, clock: Arc<ManualClock>, tasks: TaskGroup) -> Cluster {
    Cluster::with(specs, FanoutConfig::default(), often(), clock, tasks).await
}

#[tokio::test]
async fn one_that_is_not_ready_is_listed_and_not_asked() {
    let tasks = TaskGroup::new("test");
    let switched = Arc::new(Switched {
        store: store(&pods(0..3), &Labels::empty()),
        is_ready: AtomicBool::new(true),
    });
    let server: Arc<dyn StoreApi> = Arc::clone(&switched) as _;
    let address = serve(server, &tasks).await.to_string();
    let clock = Arc::new(ManualClock::new(1_000));
    let cluster = cluster(
        vec![EndpointSpec::fixed(&address)],
        Arc::clone(&clock),
        tasks,
    )
    .await;
    let endpoints = &cluster.endpoints;
    assert_eq!(endpoints.stores().len(), 1);

    switched.is_ready.store(false, Ordering::SeqCst);
    eventually("it is not asked any more", || endpoints.stores().is_empty()).await;
    let statuses = endpoints.statuses();
    assert_eq!(statuses[0].last_error.as_deref(), Some("not ready"));
    assert_eq!(statuses[0].last_check_ms, Some(1_000));
    assert!(
        !cluster.registry.render().contains("connections{"),
        "a failing one does not count"
    );

    clock.advance(300_000);
    assert_eq!(endpoints.statuses().len(), 1, "as long as answers name it");

    switched.is_ready.store(true, Ordering::SeqCst);
    eventually("it is back", || endpoints.stores().len() == 1).await;
    assert_eq!(endpoints.statuses()[0].last_error, None);
    assert_eq!(endpoints.statuses()[0].last_check_ms, Some(301_000));
}

#[tokio::test]
async fn a_strict_one_is_always_asked_and_listed() {
    let tasks = TaskGroup::new("test");
    let clock = Arc::new(ManualClock::new(0));
    let strict = EndpointSpec {
        strict: true,
        ..EndpointSpec::fixed("127.0.0.1:1")
    };
    let cluster = cluster(vec![strict], Arc::clone(&clock), tasks).await;
    clock.advance(1_000_000);
    let [store] = &cluster.endpoints.stores()[..] else {
        panic!("it is asked")
    };
    assert_eq!(store.metadata.time_range(), (i64::MIN, i64::MAX));
    let [status] = &cluster.endpoints.statuses()[..] else {
        panic!("it is listed")
    };
    assert!(status.last_error.is_some());
    assert_eq!(status.last_check_ms, None);
}

#[tokio::test]
async fn an_address_that_is_there_twice_counts_once() {
    let tasks = TaskGroup::new("test");
    let address = serve(Arc::new(store(&pods(0..3), &Labels::empty())), &tasks)
        .await
        .to_string();
    let specs = vec![EndpointSpec::fixed(&address), EndpointSpec::fixed(&address)];
    let cluster = cluster(specs, Arc::default(), tasks).await;
    assert_eq!(cluster.endpoints.stores().len(), 1);
    let metrics = cluster.registry.render();
    assert!(
        metrics.contains("\nthanos_query_duplicated_endpoint_addresses_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_removed_one_is_disconnected() {
    let tasks = TaskGroup::new("test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (connected, is_connected) = oneshot::channel();
    let read = tasks.spawn("silent", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        connected.send(()).unwrap();
        stream.read_to_end(&mut Vec::new()).await.is_ok()
    });
    let cluster = cluster(Vec::new(), Arc::default(), tasks).await;
    cluster
        .endpoints
        .replace(vec![EndpointSpec::fixed(address)]);
    is_connected.await.unwrap();
    cluster.endpoints.replace(Vec::new());
    assert!(read.await.unwrap(), "the connection was closed");
    assert!(cluster.endpoints.statuses().is_empty());
}

#[tokio::test]
async fn members_of_a_group_are_asked_in_turn_and_the_dead_one_not() {
    let tasks = TaskGroup::new("test");
    let all: Vec<_> = pods(0..5).iter().map(series).collect();
    let member = || Scripted::new(store(&pods(0..5), &Labels::empty()), &all, Then::End);
    let members = [member(), member()];
    let mut targets = vec!["127.0.0.1:1".to_owned()];
    for member in &members {
        let member: Arc<dyn StoreApi> = Arc::clone(member) as _;
        targets.push(serve(member, &tasks).await.to_string());
    }
    let group = EndpointSpec {
        name: "thanos:///dns+stores:1".to_owned(),
        targets,
        group: true,
        ..EndpointSpec::fixed("")
    };
    let cluster = cluster(vec![group], Arc::default(), tasks).await;
    assert_eq!(cluster.endpoints.statuses().len(), 1);
    for _ in 0..20 {
        let items = cluster
            .fanout
            .series_items(&RequestContext::default(), everything(), &[])
            .unwrap();
        let (found, warnings, error) = collect(items).await;
        assert!(
            warnings.is_empty() && error.is_none(),
            "{warnings:?} {error:?}"
        );
        assert_eq!(found.len(), 5);
    }
    let calls: Vec<_> = members
        .iter()
        .map(|member| member.calls.load(Ordering::SeqCst))
        .collect();
    assert_eq!(
        calls.iter().sum::<usize>(),
        20,
        "each call went to one of them"
    );
    assert!(calls.iter().all(|calls| *calls >= 3), "{calls:?}");
}

#[tokio::test]
async fn what_is_discovered_is_followed() {
    let tasks = TaskGroup::new("test");
    let address = serve(Arc::new(store(&pods(0..3), &Labels::empty())), &tasks).await;
    let (specs, discovered) = watch::channel(vec![EndpointSpec::fixed(address.to_string())]);
    let spawner = tasks.spawner();
    let cluster = cluster(Vec::new(), Arc::default(), tasks).await;
    let endpoints = Arc::clone(&cluster.endpoints);
    let following = spawner.spawn("follow", async move { endpoints.follow(discovered).await });
    let stores = || cluster.endpoints.stores().len();
    eventually("what is there at the start", || stores() == 1).await;
    specs.send(Vec::new()).unwrap();
    eventually("what is gone", || stores() == 0).await;
    drop(specs);
    following.await.unwrap();
}
