//! What `deploy/` holds: manifests and a chart that Kubernetes takes and whose flags the programs know, and alerts that
//! Prometheus takes.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use rutile_testkit::prometheus::promtool;
use rutile_testkit::servers;
use serde_json::Value;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

/// Values for everything that the chart lets be set.
const FULL: &str = "ci/full-values.yaml";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs what `make test-servers` installs for Kubernetes.
fn run(program: &str, args: &[&str]) -> Output {
    let program = servers::program(&format!("kubernetes/bin/{program}"));
    Command::new(program).args(args).output().unwrap()
}

/// What it prints, when it succeeds.
fn output(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program}: {printed}{told}");
    printed
}

fn kustomize(folder: &str) -> Vec<Value> {
    let folder = format!("{DEPLOY}/kubernetes/{folder}");
    let rendered = output("kustomize", &["build", &folder]);
    serde_saphyr::from_multiple(&rendered).unwrap()
}

fn chart() -> String {
    format!("{DEPLOY}/helm/rutile")
}

fn helm(args: &[&str]) -> Vec<Value> {
    let rendered = output("helm", &[&["template", "rutile", &chart()], args].concat());
    serde_saphyr::from_multiple(&rendered).unwrap()
}

/// `helm` with the values of `FULL`.
fn full() -> Vec<Value> {
    helm(&["--values", &format!("{}/{FULL}", chart())])
}

/// Each is what the schemas of Kubernetes say, and each flag of our programs is one of theirs.
fn kubernetes_takes(objects: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    // JSON is YAML, too.
    let documents: Vec<_> = objects.iter().map(ToString::to_string).collect();
    fs::write(&file, documents.join("\n---\n")).unwrap();
    output(
        "kubernetes-validate",
        &["--strict", &file.to_string_lossy()],
    );
    for args in containers(objects).map(|(_, container)| strings(&container["args"])) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_rutile"));
        let help = text(&program.args([args[0], "--help"]).output().unwrap().stdout);
        let known: BTreeSet<_> = help
            .split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
            .collect();
        for flag in &args[1..] {
            let name = flag.split('=').next().unwrap();
            assert!(known.contains(name), "{name} of {args:?}");
        }
    }
}

/// The containers that run our programs, each with the specification of its pod.
fn containers(objects: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    let pods = objects
        .iter()
        .map(|object| &object["spec"]["template"]["spec"]);
    pods.flat_map(|pod| {
        let list = pod["containers"].as_array().into_iter().flatten();
        let ours = list.filter(|container| name(container).starts_with("rutile-"));
        ours.map(move |container| (pod, container))
    })
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|value| value.as_str().unwrap()).collect()
}

/// Kind and name of each object.
fn names(objects: &[Value]) -> BTreeSet<(&str, &str)> {
    let named = objects.iter();
    named
        .map(|object| (object["kind"].as_str().unwrap(), name(&object["metadata"])))
        .collect()
}

#[test]
fn promtool_takes_the_alerts() {
    let mixin = format!("{DEPLOY}/mixin");
    let alerts = format!("{mixin}/alerts.yaml");
    let checked = promtool(&["check", "rules", "--lint-fatal", &alerts]);
    assert!(checked.contains("SUCCESS"), "{checked}");
    let tested = promtool(&["test", "rules", &format!("{mixin}/alerts_test.yaml")]);
    assert!(tested.contains("SUCCESS"), "{tested}");
}

#[test]
fn kubernetes_takes_the_manifests() {
    let example = kustomize("example");
    kubernetes_takes(&example);
    let ours: BTreeSet<_> = containers(&example).map(|(_, of)| name(of)).collect();
    let expected = ["compact", "query", "sidecar", "store"].map(|name| format!("rutile-{name}"));
    assert!(ours.iter().eq(expected.iter()), "{ours:?}");
}

#[test]
fn kubernetes_takes_the_chart() {
    let values = format!("{}/{FULL}", chart());
    output("helm", &["lint", "--strict", &chart()]);
    output("helm", &["lint", "--strict", &chart(), "--values", &values]);
    kubernetes_takes(&helm(&[]));
    kubernetes_takes(&full());
}

#[test]
fn the_chart_gives_what_the_manifests_give() {
    let (manifests, chart) = (
        kustomize("base"),
        helm(&["--set", "sidecar.selector.app=prometheus"]),
    );
    let (wanted, found) = (names(&manifests), names(&chart));
    assert!(wanted.is_subset(&found), "{wanted:?} {found:?}");
    let of = |objects: &[Value]| -> Vec<Value> {
        let mut list: Vec<_> = containers(objects)
            .map(|(pod, container)| {
                let args: BTreeSet<_> = strings(&container["args"]).into_iter().collect();
                let ports = container["ports"].as_array().unwrap();
                let ports: BTreeSet<_> = ports.iter().map(ToString::to_string).collect();
                serde_json::json!({
                    "name": container["name"], "args": args, "ports": ports,
                    "resources": container["resources"], "mounts": container["volumeMounts"],
                    "security": [&pod["securityContext"], &container["securityContext"]],
                })
            })
            .collect();
        list.sort_by_key(|container| name(container).to_owned());
        list
    };
    assert_eq!(of(&chart), of(&manifests));

    let version = env!("CARGO_PKG_VERSION");
    for (_, container) in containers(&chart) {
        assert_eq!(container["image"], format!("rutile:{version}"));
    }
    let shown = output("helm", &["show", "chart", &self::chart()]);
    assert!(shown.contains(&format!("\nversion: {version}")), "{shown}");
}

#[test]
fn values_of_the_chart_arrive() {
    let objects = full();
    let of = |kind: &str, of: &str| {
        let found = objects
            .iter()
            .find(|object| object["kind"] == kind && name(&object["metadata"]) == of);
        found.unwrap_or_else(|| panic!("no {kind} {of}: {:?}", names(&objects)))
    };
    let pod = |kind, name| &of(kind, name)["spec"]["template"]["spec"];

    let secret = of("Secret", "metrics-bucket");
    let config = secret["stringData"]["bucket.yaml"].as_str().unwrap();
    assert!(config.contains("part_size: 134217728\n"), "{config}");
    let volumes = pod("StatefulSet", "metrics-compact")["volumes"].to_string();
    assert!(volumes.contains("\"metrics-bucket\""), "{volumes}");
    assert_eq!(of("StatefulSet", "metrics-compact")["spec"]["replicas"], 2);

    let shard = pod("StatefulSet", "metrics-store-zero");
    let args = strings(&shard["containers"][0]["args"]);
    let keep = r#"--selector.relabel-config=[{"action":"hashmod","modulus":2,"source_labels":["__block_id"],"target_label":"shard"},{"action":"keep","regex":"0$$","source_labels":["shard"]}]"#;
    assert!(args.contains(&keep), "{args:?}");
    assert_eq!(shard["nodeSelector"]["example.com/disk"], "ssd");
    assert_eq!(shard["nodeSelector"]["kubernetes.io/arch"], "amd64");
    let other = pod("StatefulSet", "metrics-store-one");
    let args = strings(&other["containers"][0]["args"]);
    assert!(args.ends_with(&["--min-time=-52w"]), "{args:?}");

    let query = pod("Deployment", "metrics-query");
    assert_eq!(query["terminationGracePeriodSeconds"], 400);
    for endpoint in ["_tcp.metrics-store", "_tcp.metrics-sidecar"] {
        let flag = format!("--endpoint=dnssrv+_grpc.{endpoint}");
        assert!(strings(&query["containers"][0]["args"]).contains(&&*flag));
    }
    of("ServiceMonitor", "metrics");

    let alerts = fs::read_to_string(format!("{DEPLOY}/mixin/alerts.yaml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&alerts).unwrap();
    assert_eq!(of("PrometheusRule", "metrics")["spec"], alerts);
}

#[test]
fn the_chart_refuses_wrong_values() {
    for (wrong, told) in [
        (
            "stor.replicas=2",
            "additional properties 'stor' not allowed",
        ),
        (
            "compact.replicas=0",
            "at '/compact/replicas': minimum: got 0, want 1",
        ),
        (
            "store.replicas=0",
            "at '/store/replicas': minimum: got 0, want 1",
        ),
        (
            "store.replicas=two",
            "at '/store/replicas': got string, want integer",
        ),
        (
            "store.storage.size=many",
            "'/store/storage/size': 'many' does not match pattern",
        ),
        (
            "store.shards[0].name=A",
            "'/store/shards/0/name': 'A' does not match pattern",
        ),
        (
            "compact.retention=1 year",
            "'/compact/retention': '1 year' does not match pattern",
        ),
        (
            "query.extraArgs[0]=x",
            "'/query/extraArgs/0': 'x' does not match pattern",
        ),
        (
            "bucket.config.type=S3",
            "'/bucket/config': properties 'config' required, if 'type' exists",
        ),
        (
            "image.pullPolicy=Often",
            "'/image/pullPolicy': value must be one of",
        ),
    ] {
        let refused = run("helm", &["template", "rutile", &chart(), "--set", wrong]);
        let shown = text(&refused.stderr);
        assert!(!refused.status.success(), "{wrong}");
        assert!(shown.contains(told), "{wrong}: {shown}");
    }
}
