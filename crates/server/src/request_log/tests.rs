//! What the YAML means, and what real requests leave in the log.

mod served;

use super::*;

fn parse(yaml: &str) -> Result<RequestLog, String> {
    RequestLog::from_yaml(yaml).map_err(|failure| failure.to_string())
}

#[test]
fn options_hold_for_what_does_not_say_otherwise() {
    assert_eq!(parse("").unwrap(), RequestLog::default());
    let log = parse(
        "options: {level: INFO, decision: {log_end: true}}\n\
         http:\n  config: [{path: /api/v1/blocks, port: 10902}, {path: /loaded}]\n\
         grpc:\n  options: {level: DEBUG, decision: {log_start: true, log_end: true}}\n  \
         config: [{service: thanos.Store, method: Series}]\n",
    );
    let log = log.unwrap();
    assert_eq!(log.http.level, Level::Info);
    assert_eq!(log.http.decision, Decision::End);
    let asked = |path: &str, port: u16| {
        let is_it = |only: &Endpoint| only.path == path && only.port.is_none_or(|p| p == port);
        log.http.holds_for(is_it)
    };
    assert!(asked("/api/v1/blocks", 10902) && asked("/loaded", 1));
    assert!(!asked("/api/v1/blocks", 80) && !asked("/", 10902));
    assert!(log.grpc.logs_start());
    assert!(log.grpc.holds_for(|only| only.method == "Series"));
    assert!(!log.grpc.holds_for(|only| only.method == "LabelNames"));
    // Options that are set hold as a whole, as in the reference: here nothing is decided.
    let log =
        parse("options: {level: INFO, decision: {log_end: true}}\nhttp: {options: {level: INFO}}");
    assert!(!log.as_ref().unwrap().http.is_on() && log.unwrap().grpc.is_on());
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let check = |yaml: &str, parts: &[&str]| {
        let error = parse(yaml).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
    };
    check(
        "http:\n  optoins: {}",
        &["line 2", "`optoins`", "options, config"],
    );
    check(
        "options:\n  decision: {log_begin: true}",
        &["line 2", "log_begin"],
    );
    check(
        "grpc: {config: [{service: a, methods: b}]}",
        &["line 1", "`methods`"],
    );
    check(
        "options: {level: TRACE}",
        &["`options.level: TRACE`", "WARNING"],
    );
    check("options: {level: info}", &["`options.level: info`", "INFO"]);
    check(
        "http: {options: {decision: {log_end: true}}}",
        &["`http.options.level` is empty"],
    );
    check(
        "grpc: {options: {level: INFO, decision: {log_start: true}}}",
        &["`grpc.options.decision`", "set log_end"],
    );
}

#[test]
fn names_of_requests_are_ulids() {
    let source = Source {
        clock: Arc::new(rutile_runtime::ManualClock::new(1_469_918_176_385)),
        entropy: Arc::new(rutile_runtime::SeededEntropy::new(1)),
    };
    let (first, second) = (source.request_id(), source.request_id());
    // The time of the example in the specification of ULIDs.
    assert!(first.starts_with("01ARYZ6S41"), "{first}");
    assert_eq!((first.len(), second.len()), (26, 26));
    assert_ne!(first, second);
}
