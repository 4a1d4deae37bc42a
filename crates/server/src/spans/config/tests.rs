use opentelemetry::Key;

use super::*;

fn read(yaml: &str) -> Result<Settings, String> {
    Settings::from_yaml(yaml, "rutile-store").map_err(|failure| failure.to_string())
}

#[test]
fn what_is_left_out_is_as_in_the_reference() {
    let settings = read("type: OTLP\nconfig: {client_type: grpc}").unwrap();
    assert_eq!(settings.endpoint, "localhost:4317");
    assert!(!settings.insecure && !settings.gzip && settings.headers.is_empty());
    assert_eq!(settings.timeout, Duration::from_secs(10));
    assert_eq!(settings.retry.unwrap().within, Duration::from_secs(60));
    let service = settings.resource.get(&Key::from_static_str("service.name"));
    assert_eq!(service.unwrap().as_str(), "rutile-store");
    let settings = read("type: otlp\nconfig: {client_type: http}").unwrap();
    assert_eq!(settings.endpoint, "localhost:4318");
    assert_eq!(settings.path, "/v1/traces");
}

#[test]
fn every_key_counts() {
    let settings = read(
        "type: OTLP\n\
         config:\n  client_type: http\n  service_name: eu1\n  resource_attributes: {zone: a}\n  \
         reconnection_period: 5s\n  compression: gzip\n  insecure: true\n  endpoint: collector:80\n  \
         url_path: otlp/traces\n  timeout: 2s\n  headers: {x-scope: me}\n  \
         retry_config: {retry_enabled: true, retry_initial_interval: 1s, retry_max_interval: 3s, \
         retry_max_elapsed_time: 20s}\n  \
         tls_config: {ca_file: ca.pem, cert_file: a, key_file: b}\n  \
         sampler_type: parentbasedtraceidratiobased\n  sampler_param: \"0.25\"\n",
    );
    let settings = settings.unwrap();
    assert_eq!(settings.protocol, Protocol::Http);
    assert_eq!(settings.endpoint, "collector:80");
    assert_eq!(settings.path, "/otlp/traces");
    assert!(settings.insecure && settings.gzip);
    assert_eq!(settings.timeout, Duration::from_secs(2));
    let seconds = Duration::from_secs;
    let retry = Retry {
        first: seconds(1),
        longest: seconds(3),
        within: seconds(20),
    };
    assert_eq!(settings.retry, Some(retry));
    assert_eq!(settings.headers.get("x-scope").unwrap(), "me");
    assert_eq!(settings.tls.ca_file, "ca.pem");
    let zone = settings.resource.get(&Key::from_static_str("zone"));
    assert_eq!(zone.unwrap().as_str(), "a");
    let intervals =
        "type: OTLP\nconfig: {client_type: http, retry_config: {retry_initial_interval: 1s}}";
    assert_eq!(read(intervals).unwrap().retry.unwrap().first, seconds(1));
    let off = read("type: OTLP\nconfig: {client_type: http, retry_config: {retry_enabled: false}}");
    assert_eq!(off.unwrap().retry, None);
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let otlp = |config: &str| read(&format!("type: OTLP\nconfig: {{{config}}}")).unwrap_err();
    let grpc = |config: &str| otlp(&format!("client_type: grpc, {config}"));
    let http = |config: &str| otlp(&format!("client_type: http, {config}"));
    let cases = [
        (
            read("type: JAEGER\nconfig: {agent_host: x}").unwrap_err(),
            "use OTLP",
        ),
        (
            read("type: ZIPKIN").unwrap_err(),
            "`type: ZIPKIN` is unknown",
        ),
        (read("kind: OTLP").unwrap_err(), "allowed are type, config"),
        (otlp("client_type: udp"), "use grpc or http"),
        (
            read("type: OTLP").unwrap_err(),
            "is missing: set it to grpc or http",
        ),
        (grpc("clint: x"), "unknown key `clint`"),
        (grpc("compression: zip"), "use gzip"),
        (grpc("endpoint: \"http://a:1\""), "leave out the scheme"),
        (
            grpc("sampler_type: maybe"),
            "`config.sampler_type: maybe` is unknown",
        ),
        (
            grpc("sampler_type: traceidratiobased, sampler_param: 5"),
            "between 0 and 1",
        ),
        (grpc("sampler_type: traceidratiobased"), "between 0 and 1"),
        (
            grpc("tls_config: {cert_file: a}"),
            "both `cert_file` and `key_file`",
        ),
        (
            grpc("tls_config: {insecure_skip_verify: true}"),
            "client_type: http",
        ),
        (http("tls_config: {server_name: a}"), "as `endpoint`"),
    ];
    for (error, text) in cases {
        assert!(error.contains(text), "{text:?} in {error}");
    }
}
