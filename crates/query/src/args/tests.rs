use rutile_dedup::Function;

use super::*;

fn parse(argv: &[&str]) -> Result<QueryArgs, String> {
    let argv = ["rutile-query"]
        .iter()
        .chain(argv)
        .map(|arg| (*arg).to_owned())
        .collect();
    rutile_server::cli::parse("rutile-query", "A test.", argv).map_err(|answer| answer.text)
}

fn failure<T>(result: Result<T, Failure>) -> String {
    result
        .err()
        .map(|failure| failure.to_string())
        .unwrap_or_default()
}

#[test]
fn defaults_are_those_of_thanos() {
    let args = parse(&[]).unwrap();
    let query = &args.query;
    assert_eq!((query.max_concurrent, query.max_concurrent_select), (20, 4));
    assert_eq!(query.timeout.as_ms(), 120_000);
    assert_eq!(query.dedup().unwrap(), Function::Penalty);
    let engine = query.engine().unwrap();
    assert_eq!(
        (engine.lookback_ms, engine.subquery_step_ms),
        (300_000, 60_000)
    );
    assert!(query.dynamic_lookback && query.partial.query && !query.auto_downsampling);
    assert!(query.replica_labels.is_empty() && query.active_query_folder().is_none());
    assert_eq!(query.telemetry().unwrap().seconds.len(), 9);
    assert_eq!(args.endpoints.endpoints_config().connection_labels.len(), 2);
    let discovery = args.endpoints.discovery().unwrap();
    assert!(
        discovery.entries.is_empty()
            && discovery.config.is_none()
            && discovery.client.tls.is_none()
    );
    assert_eq!(discovery.dns_interval.as_secs(), 30);
    assert_eq!(args.web.route_prefix().unwrap(), "");
    let tenancy = args.tenancy.tenancy().unwrap();
    assert_eq!(
        (tenancy.header.as_str(), tenancy.enforced_label),
        ("THANOS-TENANT", None)
    );
}

#[test]
fn flags_are_read_as_thanos_reads_them() {
    let args = parse(&[
        "--query.replica-label=a,b",
        "--query.replica-label",
        "c",
        "--no-query.partial-response",
        "--query.lookback-delta=1m",
        "--deduplication.func=chain",
        "--web.external-prefix=thanos/",
        "--query.enforce-tenancy",
        "--endpoint=a:1",
        "--endpoint-strict=b:2",
        "--endpoint-group=dns+c:3",
        "--grpc-compression=snappy",
        "--grpc-client-tls-secure",
        "--endpoint.sd-config=endpoints: []",
        "--selector-label=cluster=\"eu\"",
        "--query.conn-metric.label=ip_port",
        "--query.telemetry.request-samples-quantiles=5",
    ]);
    let args = args.unwrap();
    assert_eq!(args.query.replica_labels, ["a", "b", "c"]);
    assert!(!args.query.partial.query);
    assert_eq!(args.query.engine().unwrap().lookback_ms, 60_000);
    assert_eq!(args.query.dedup().unwrap(), Function::Chain);
    assert_eq!(args.web.route_prefix().unwrap(), "/thanos");
    assert_eq!(
        args.tenancy.tenancy().unwrap().enforced_label.as_deref(),
        Some("tenant_id")
    );
    let discovery = args.endpoints.discovery().unwrap();
    let entries = discovery
        .entries
        .iter()
        .map(|entry| (entry.address.as_str(), entry.strict, entry.group));
    let expected = [
        ("a:1", false, false),
        ("dns+c:3", false, true),
        ("b:2", true, false),
    ];
    assert_eq!(entries.collect::<Vec<_>>(), expected);
    assert!(discovery.client.tls.is_some() && discovery.config.is_some());
    let fanout = args.endpoints.fanout_config().unwrap();
    assert_eq!(fanout.selector_labels.value("cluster"), "eu");
    assert_eq!(args.endpoints.endpoints_config().connection_labels.len(), 1);
    assert_eq!(args.query.telemetry().unwrap().samples, [5.0]);
}

#[test]
fn what_cannot_be_is_refused() {
    let endpoints = |argv: &[&str]| failure(parse(argv).unwrap().endpoints.discovery());
    assert!(endpoints(&["--endpoint=a"]).starts_with("--endpoint: address \"a\" has no port"));
    assert!(endpoints(&["--endpoint-strict=dns+a:1"]).contains("must be host:port"));
    assert!(endpoints(&["--grpc-client-tls-cert=x"]).contains("go together"));
    let telemetry = |argv: &[&str]| failure(parse(argv).unwrap().query.telemetry());
    let samples = "--query.telemetry.request-samples-quantiles";
    for wrong in ["NaN", "inf"] {
        assert!(telemetry(&[&format!("{samples}={wrong}")]).starts_with(samples));
    }
    let falling = [&*format!("{samples}=5"), &format!("{samples}=4")];
    assert!(telemetry(&falling).contains("[5.0, 4.0]"));
    let tenancy = |argv: &[&str]| failure(parse(argv).unwrap().tenancy.tenancy());
    assert!(tenancy(&["--query.tenant-header=a b"]).starts_with("--query.tenant-header \"a b\""));
    let no_label = &["--query.enforce-tenancy", "--query.tenant-label-name="];
    assert!(tenancy(no_label).contains("set --query.tenant-label-name"));
    let engine = |argv: &[&str]| failure(parse(argv).unwrap().query.engine());
    assert_eq!(
        engine(&["--query.timeout=0s"]),
        "--query.timeout must be at least 1ms"
    );
    assert_eq!(
        engine(&["--query.default-step=500ms"]),
        "--query.default-step must be at least 1s"
    );
    let dedup = parse(&["--deduplication.func=x"]).unwrap().query.dedup();
    assert!(failure(dedup).starts_with("--deduplication.func: unknown deduplication function"));
    let fanout = |argv: &[&str]| failure(parse(argv).unwrap().endpoints.fanout_config());
    assert!(fanout(&["--selector-label=x"]).contains("write name=\"value\""));
    let rule = "--selector.relabel-config=[{action: replace, source_labels: [a], target_label: b}]";
    assert!(fanout(&[rule]).contains("use only the actions keep, drop and hashmod"));
    assert!(parse(&["--query.tenant-certificate-field=x"]).is_err());
    let prefix = |argv: &[&str]| failure(parse(argv).unwrap().web.route_prefix());
    assert!(prefix(&["--web.route-prefix=/{x}"]).contains("--web.route-prefix /{x} is no path"));
    assert!(prefix(&["--web.external-prefix=:x"]).contains("--web.external-prefix :x is no path"));
}
