//! What an endpoint configuration means.

use super::*;

fn read(text: &str, flags: &ClientConfig) -> EndpointsFile {
    EndpointsFile::parse(text, flags).unwrap()
}

#[test]
fn endpoints_in_order() {
    let file = read(
        "endpoints:\n- address: a:1\n- {address: b:2, strict: true}\n\
         - {address: dns+c:3, group: true, service_config: '{}'}",
        &ClientConfig::default(),
    );
    let entry = |address, strict, group| {
        Entry::new(address, strict, group, ClientConfig::default()).unwrap()
    };
    let expected = [
        entry("a:1", false, false),
        entry("b:2", true, false),
        entry("dns+c:3", false, true),
    ];
    assert_eq!(file.entries, expected);
    assert_eq!(read("", &ClientConfig::default()), EndpointsFile::default());
}

#[test]
fn refusals_say_where() {
    let check = |text: &str, expected: &str| {
        let error = EndpointsFile::parse(text, &ClientConfig::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        "endpoints: [{address: dns+a:1, strict: true}]",
        "endpoints[0]: endpoint dns+a:1 is strict",
    );
    check(
        "endpoints: [{address: a:1}, {address: b}]",
        "endpoints[1]: address \"b\" has no port",
    );
    check(
        "endpoints: [{address: a:1, service_config: '{}'}]",
        "only a group has a service_config",
    );
    check("endpoints: [{addres: a:1}]", "unknown key `addres`");
    check(
        "endpoints: [{address: a:1, client_config: {compression: gzip}}]",
        "use none or snappy",
    );
    check(
        "default_client_config: {tls_config: {min_version: '2'}}",
        "default_client_config: min_version",
    );
    check(
        "default_client_config: {tls_config: {cert_file: a}}",
        "cert_file and key_file go together",
    );
}

#[test]
fn settings_fall_back_to_the_default_and_to_flags() {
    let flags = ClientConfig {
        tls: Some(TlsConfig {
            ca_file: Some("flag".into()),
            ..TlsConfig::default()
        }),
        compression: Compression::Snappy,
    };
    let client = |text: &str, flags: &ClientConfig| {
        read(
            &format!("endpoints: [{{address: a:1, client_config: {text}}}]"),
            flags,
        )
        .entries[0]
            .client
            .clone()
    };
    let with = |change: &dyn Fn(&mut TlsConfig)| {
        let mut changed = flags.clone();
        change(changed.tls.as_mut().unwrap());
        changed
    };
    let plain = ClientConfig::default();
    assert_eq!(client("{}", &flags), flags);
    assert_eq!(
        client("{compression: none}", &flags).compression,
        Compression::None
    );
    assert_eq!(client("{tls_config: {enabled: false}}", &flags).tls, None);
    assert_eq!(
        client("{tls_config: {enabled: true}}", &flags).tls,
        Some(TlsConfig::default())
    );
    let skipping = with(&|tls| tls.insecure_skip_verify = true);
    assert_eq!(
        client("{tls_config: {insecure_skip_verify: true}}", &flags),
        skipping
    );
    let named = with(&|tls| tls.server_name = Some("store".to_owned()));
    assert_eq!(client("{server_name: store}", &flags), named);
    assert_eq!(
        client("{server_name: store}", &plain),
        plain,
        "a name alone turns nothing on"
    );
    let tls = client("{tls_config: {ca_file: own, min_version: '1.2'}}", &plain)
        .tls
        .unwrap();
    assert_eq!((tls.ca_file, tls.allow_tls12), (Some("own".into()), true));

    let file = read(
        "default_client_config: {compression: snappy}\nendpoints: [{address: a:1}]",
        &plain,
    );
    assert_eq!(file.default_client.compression, Compression::Snappy);
    assert_eq!(file.entries[0].client, file.default_client);
}
