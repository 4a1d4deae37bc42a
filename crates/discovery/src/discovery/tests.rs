//! The list from all of its sources.

use std::fs;

use hickory_resolver::proto::rr::RecordType;
use rutile_runtime::TaskGroup;
use rutile_telemetry::Registry;

use super::*;
use crate::dns::tests::Server;

async fn discovery(settings: DiscoveryConfig, server: &Server) -> Result<Discovery> {
    let registry = Registry::new();
    let groups = registry.with_prefix("groups_");
    Discovery::new(settings, server.client(&registry), server.client(&groups)).await
}

fn names(specs: &watch::Receiver<Vec<EndpointSpec>>) -> Vec<String> {
    specs
        .borrow()
        .iter()
        .map(|spec| format!("{}={}", spec.name, spec.targets.join("|")))
        .collect()
}

#[tokio::test]
async fn all_sources_together() {
    let server = Server::start().await;
    server.add("stores.test", "10.0.0.1");
    server.add("stores.test", "10.0.0.2");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(
        path("sd.yml"),
        "endpoints: [{address: dns+stores.test:1, group: true}]",
    )
    .unwrap();
    fs::write(path("list.json"), r#"[{"targets": ["dns+stores.test:2"]}]"#).unwrap();
    let settings = DiscoveryConfig {
        entries: vec![Entry::new("flag:9", true, false, ClientConfig::default()).unwrap()],
        config: Some(Source::File(path("sd.yml"))),
        files: vec![path("list.json").to_str().unwrap().to_owned()],
        ..DiscoveryConfig::default()
    };
    let mut discovery = discovery(settings, &server).await.unwrap();
    let mut specs = discovery.watch();
    assert!(names(&specs).is_empty());
    discovery.update(false).await;
    let all = [
        "thanos:///dns+stores.test:1=10.0.0.1:1|10.0.0.2:1",
        "flag:9=flag:9",
        "10.0.0.1:2=10.0.0.1:2",
        "10.0.0.2:2=10.0.0.2:2",
    ];
    assert_eq!(names(&specs), all);
    let strict: Vec<_> = specs
        .borrow_and_update()
        .iter()
        .map(|spec| spec.strict)
        .collect();
    assert_eq!(strict, [false, true, false, false]);

    discovery.update(false).await;
    assert!(
        !specs.has_changed().unwrap(),
        "nothing is told when nothing changed"
    );

    fs::write(path("sd.yml"), "endpoints: [{address: nonsense}]").unwrap();
    discovery.update(false).await;
    assert_eq!(names(&specs), all, "a wrong file changes nothing");
    fs::write(
        path("sd.yml"),
        "default_client_config: {compression: snappy}",
    )
    .unwrap();
    discovery.update(false).await;
    assert_eq!(names(&specs), all[1..]);
    let snappy = |spec: &EndpointSpec| spec.client.compression == crate::Compression::Snappy;
    assert!(
        specs.borrow().iter().all(snappy),
        "the file's default counts for flags and lists"
    );
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_the_start() {
    let server = Server::start().await;
    let settings = |config| DiscoveryConfig {
        config: Some(config),
        ..DiscoveryConfig::default()
    };
    let wrong = Source::Text("endpoints: [{address: dns+a:1, strict: true}]".to_owned());
    let error = discovery(settings(wrong), &server).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("endpoint configuration: endpoints[0]: "),
        "{error}"
    );
    let absent = Source::File("no/such/file.yml".into());
    let error = discovery(settings(absent), &server).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read no/such/file.yml: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_is_not_found_yet_is_looked_up_again_soon() {
    let server = Server::start().await;
    server.fail("stores.test", RecordType::A);
    server.fail("stores.test", RecordType::AAAA);
    let entry = Entry::new("dns+stores.test:1", false, false, ClientConfig::default()).unwrap();
    let settings = DiscoveryConfig {
        entries: vec![entry],
        files_interval: Some(Duration::from_millis(10)),
        ..DiscoveryConfig::default()
    };
    let discovery = discovery(settings, &server).await.unwrap();
    let mut specs = discovery.watch();
    let tasks = TaskGroup::new("test");
    let _running = tasks.spawn("discovery", discovery.run());
    server.clear();
    server.add("stores.test", "10.0.0.1");
    let found = |specs: &Vec<EndpointSpec>| specs.iter().any(|spec| !spec.targets.is_empty());
    specs.wait_for(found).await.unwrap();
    assert_eq!(names(&specs), ["10.0.0.1:1=10.0.0.1:1"]);
}

#[tokio::test]
async fn a_name_that_leads_to_nothing_is_an_endpoint_without_targets() {
    let server = Server::start().await;
    let settings = DiscoveryConfig {
        entries: vec![
            Entry::new("dns+gone.test:1", false, false, ClientConfig::default()).unwrap(),
        ],
        ..DiscoveryConfig::default()
    };
    let mut discovery = discovery(settings, &server).await.unwrap();
    let specs = discovery.watch();
    discovery.update(false).await;
    assert_eq!(names(&specs), ["dns+gone.test:1="]);
    server.add("gone.test", "10.0.0.1");
    discovery.update(false).await;
    assert_eq!(names(&specs), ["10.0.0.1:1=10.0.0.1:1"]);
}
