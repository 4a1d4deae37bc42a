//! A real Prometheus takes what the reloader makes and tells.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rutile_runtime::{CpuPool, SystemClock};
use rutile_sidecar::{Reloader, ReloaderConfig, Trigger};
use rutile_telemetry::Registry;
use rutile_testkit::servers::{Prometheus, Server};

use crate::support::{client, until};

/// A reloader that makes `prometheus.yml` of `in.yml`, and watches `rules`.
fn reloader(folder: &Path, trigger: Trigger, registry: &Registry) -> Reloader {
    let config = ReloaderConfig {
        config_file: Some(folder.join("in.yml")),
        output_file: Some(folder.join("prometheus.yml")),
        rule_dirs: vec![folder.join("rules")],
        watch_interval: Duration::from_millis(50),
        retry_interval: Duration::from_millis(50),
    };
    let clock = Arc::new(SystemClock);
    Reloader::new(config, trigger, clock, CpuPool::new(1), registry)
}

fn write_input(folder: &Path, cluster: &str) {
    let config = format!(
        "global: {{external_labels: {{cluster: {cluster}, path: '$(PATH)'}}}}\n\
         rule_files: [rules/*.yml]\n"
    );
    fs::write(folder.join("in.yml"), config).unwrap();
}

fn write_rule(folder: &Path, expression: &str) {
    let rule = format!("groups: [{{name: g, rules: [{{record: r, expr: '{expression}'}}]}}]\n");
    fs::write(folder.join("rules/r.yml"), rule).unwrap();
}

async fn cluster(server: &Server) -> String {
    let labels = client(server).external_labels().await.unwrap();
    labels.value("cluster").to_owned()
}

/// Until Prometheus loads its data, it answers nothing.
async fn answers(server: &Server) {
    let client = client(server);
    until("Prometheus is ready", async || client.ready().await.is_ok()).await;
}

fn shows(registry: &Registry, metrics: &[(&str, u64)]) {
    let page = registry.render();
    for (name, value) in metrics {
        let line = format!("thanos_sidecar_reloader_{name} {value}");
        assert!(page.lines().any(|shown| shown == line), "{line} in {page}");
    }
}

/// What is changed is taken, whichever way Prometheus is told.
async fn check_reloads(
    folder: &Path,
    server: &Server,
    mut reloader: Reloader,
    registry: &Registry,
) {
    // Whatever happened before the start: Prometheus is told once.
    assert!(!reloader.apply().await.unwrap());
    reloader.tell().await.unwrap();
    assert!(reloader.apply().await.unwrap(), "nothing changed");
    let labels = client(server).external_labels().await.unwrap();
    assert_eq!(labels.value("cluster"), "one");
    assert_eq!(labels.value("path"), std::env::var("PATH").unwrap());

    write_input(folder, "two");
    assert!(!reloader.apply().await.unwrap());
    assert_eq!(cluster(server).await, "one", "nobody was told yet");
    reloader.tell().await.unwrap();
    assert_eq!(cluster(server).await, "two");
    shows(
        registry,
        &[
            ("reloads_total", 2),
            ("reloads_failed_total", 0),
            ("last_reload_successful", 1),
            ("watch_events_total", 1),
            ("watches", 2),
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_http() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("rules")).unwrap();
    write_input(folder, "one");
    let registry = Registry::new();
    let nobody = rutile_promclient::Client::new(
        "http://127.0.0.1:1",
        &rutile_promclient::HttpConfig::default(),
        "test",
    );
    // Prometheus is started with what the reloader made.
    let mut first = reloader(folder, Trigger::Http(nobody.unwrap()), &registry);
    first.apply().await.unwrap();
    let server = Prometheus::new()
        .folder(folder)
        .flag("--web.enable-lifecycle")
        .start();
    answers(&server).await;
    let error = first.tell().await.unwrap_err();
    assert!(
        error.contains("cannot reach http://127.0.0.1:1/-/reload"),
        "{error}"
    );

    let registry = Registry::new();
    let trigger = Trigger::Http(client(&server));
    check_reloads(
        folder,
        &server,
        reloader(folder, trigger.clone(), &registry),
        &registry,
    )
    .await;

    // A rule that is none is told of until it is mended, and the reason is Prometheus's.
    let registry = Registry::new();
    let mut broken = reloader(folder, trigger, &registry);
    write_rule(folder, "sum(");
    assert!(!broken.apply().await.unwrap());
    let error = broken.tell().await.unwrap_err();
    assert!(error.contains("/-/reload answered 500"), "{error}");
    assert!(!broken.apply().await.unwrap(), "it is not known yet");
    shows(
        &registry,
        &[("reloads_failed_total", 1), ("last_reload_successful", 0)],
    );
    write_rule(folder, "sum(up)");
    assert!(!broken.apply().await.unwrap());
    broken.tell().await.unwrap();
    let rules = client(&server).rules(Default::default()).await.unwrap();
    assert_eq!(rules.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_signal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("rules")).unwrap();
    write_input(folder, "one");
    let name = format!("prom{}", std::process::id());
    let signalled = |server: Option<&Server>| Trigger::Signal {
        process: name.clone(),
        client: match server {
            Some(server) => client(server),
            None => rutile_promclient::Client::new(
                "http://127.0.0.1:1",
                &rutile_promclient::HttpConfig::default(),
                "test",
            )
            .unwrap(),
        },
    };
    let registry = Registry::new();
    reloader(folder, signalled(None), &registry)
        .apply()
        .await
        .unwrap();
    let server = Prometheus::new().folder(folder).called(&name).start();
    answers(&server).await;
    let registry = Registry::new();
    let told = reloader(folder, signalled(Some(&server)), &registry);
    check_reloads(folder, &server, told, &registry).await;

    // By HTTP this Prometheus takes no reloads, and says what to change.
    let mut by_http = reloader(folder, Trigger::Http(client(&server)), &Registry::new());
    by_http.apply().await.unwrap();
    let error = by_http.tell().await.unwrap_err();
    assert!(error.contains("--web.enable-lifecycle"), "{error}");
}

/// The loop does by itself what the other tests do step by step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("rules")).unwrap();
    write_input(folder, "one");
    let server = Prometheus::new()
        .folder(folder)
        .config("global: {external_labels: {cluster: zero}}\n")
        .flag("--web.enable-lifecycle")
        .start();
    answers(&server).await;
    let registry = Registry::new();
    let running = reloader(folder, Trigger::Http(client(&server)), &registry).run();
    let changing = async {
        until("the first reload", async || cluster(&server).await == "one").await;
        // What cannot be made replaces nothing, and stops nothing.
        fs::write(folder.join("in.yml"), "a: $(RUTILE_NOT_SET_1)").unwrap();
        until("the failure shows", async || {
            let line = "thanos_sidecar_reloader_config_environment_variable_expansion_errors 1";
            registry.render().lines().any(|shown| shown == line)
        })
        .await;
        assert!(
            fs::read_to_string(folder.join("prometheus.yml"))
                .unwrap()
                .contains("one")
        );
        write_input(folder, "two");
        until("the second reload", async || {
            cluster(&server).await == "two"
        })
        .await;
    };
    tokio::select! {
        () = running => panic!("it ended by itself"),
        () = changing => {}
    }
}
