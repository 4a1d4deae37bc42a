use super::*;

fn args(flags: &[&str]) -> UpArgs {
    let argv = ["rutile up"].iter().chain(flags);
    let argv = argv.map(|flag| (*flag).to_owned()).collect();
    cli::parse::<UpArgs>("rutile-up", "A test.", argv).unwrap()
}

#[test]
fn the_store_has_an_address_that_stays() {
    let address = |given: &[&str]| {
        let flags = args(given).store("bucket").unwrap();
        let (_, values) = parse::<StoreComponent>(flags).unwrap();
        values["grpc-address"].clone()
    };
    assert_eq!(address(&[]), "127.0.0.1:10903");
    let other = "--store.arg=--grpc-address=0.0.0.0:1";
    assert_eq!(address(&[other]), "0.0.0.0:1");
}

#[test]
fn what_up_is_told_of_grpc_is_the_queriers() {
    let given = [
        "--grpc-address=:7",
        "--grpc-grace-period=90s",
        "--grpc-server-max-connection-age=1h",
        "--grpc-server-tls-cert=cert",
        "--grpc-server-tls-key=key",
        "--grpc-server-tls-min-version=1.2",
        "--grpc-server-tls-curves=X25519",
        "--grpc-server-tls-curves=CurveP256",
    ];
    let flags = args(&given).query("store:1").unwrap();
    let (_, values) = parse::<QueryComponent>(flags).unwrap();
    for (flag, value) in [
        ("endpoint", "store:1"),
        ("grpc-address", ":7"),
        ("grpc-grace-period", "1m30s"),
        ("grpc-server-max-connection-age", "1h0m0s"),
        ("grpc-server-tls-cert", "cert"),
        ("grpc-server-tls-key", "key"),
        ("grpc-server-tls-client-ca", ""),
        ("grpc-server-tls-min-version", "1.2"),
        ("grpc-server-tls-curves", "X25519,CurveP256"),
    ] {
        assert_eq!(values[flag], value, "{flag}");
    }
}

#[test]
fn flags_of_all_are_read_before_anything_is_begun() {
    let check = |flag: &str, told: &str| {
        let failure = args(&[flag]).validate().unwrap_err();
        assert_eq!(failure.exit_code(), 2, "{flag}: {failure}");
        assert!(failure.to_string().contains(told), "{flag}: {failure}");
    };
    check(
        "--store.arg=--x",
        "the flags of store (--store.arg): unexpected argument '--x'",
    );
    check("--compact.arg=--x", "the flags of compact (--compact.arg)");
    check("--query.arg=--x", "the flags of query (--query.arg)");
    check("--query.arg=--http-address=:1", "use --http-address");
    args(&["--no-compact"]).validate().unwrap();
}
