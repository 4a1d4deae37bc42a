use std::fs;

use http_body_util::BodyExt;
use rutile_runtime::SystemEntropy;

use super::*;
use crate::tls::{Pem, Policy, Version};

/// The hash of `secret`, at the least cost.
fn hash() -> String {
    bcrypt::hash("secret", 4).unwrap()
}

fn parse(text: &str) -> Result<WebSettings, String> {
    let folder = std::path::Path::new("/etc/rutile");
    document::parse(text, folder).map_err(|failure| failure.to_string())
}

#[test]
fn a_file_of_the_reference_is_read() {
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: /keys/server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  min_version: TLS13\n  \
         client_allowed_sans: [a.test]\n  prefer_server_cipher_suites: true\n\
         http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
         Strict-Transport-Security: max-age=1\n\
         rate_limit: {{interval: 1s, burst: 5}}\n\
         basic_auth_users:\n  alice: {}\n  12: {}\n",
        hash(),
        hash()
    );
    let settings = parse(&text).unwrap();
    let tls = settings.tls.unwrap();
    assert_eq!(
        tls.certificate,
        Pem::file("cert_file", "/etc/rutile/server.crt")
    );
    assert_eq!(tls.key, Pem::file("key_file", "/keys/server.key"));
    assert_eq!(tls.clients.policy, Policy::RequireAndVerify);
    assert_eq!(tls.clients.names, Some(vec!["a.test".to_owned()]));
    assert_eq!(
        (tls.choice.least, tls.choice.most),
        (Version::Tls13, Version::Tls13)
    );
    assert_eq!(tls.protocols, [b"http/1.1"]);
    assert!(!settings.http2);
    assert_eq!(settings.headers.len(), 2);
    assert_eq!(format!("{:?}", settings.users), "[\"12\", \"alice\"]");
    let interval = std::time::Duration::from_secs(1);
    assert_eq!(settings.rate, Some(Rate { interval, burst: 5 }));

    for nothing in [
        "",
        "tls_server_config:",
        "tls_server_config: {min_version: TLS13}",
    ] {
        let settings = parse(nothing).unwrap();
        assert!(settings.tls.is_none() && settings.http2 && settings.rate.is_none());
    }
    let inline = parse("tls_server_config: {cert: A, key: B}").unwrap();
    let shown = format!("{inline:?}");
    assert!(shown.contains("Pem(the text of key)"), "{shown}");
}

#[test]
fn mistakes_are_told() {
    let check = |text: &str, told: &str| {
        let error = parse(text).unwrap_err();
        assert!(error.contains(told), "{text}: {told:?} in {error}");
    };
    check(
        "tls_config: {}",
        "unknown key `tls_config`, allowed are tls_server_config",
    );
    check(
        "tls_server_config: {cert_file: a}",
        "tls_server_config: set key_file or key",
    );
    check("tls_server_config: {key_file: a}", "set cert_file or cert");
    check(
        "tls_server_config: {client_auth_type: NoClientCert}",
        "set cert_file",
    );
    let tls = |more: &str| format!("tls_server_config: {{cert_file: a, key_file: b, {more}}}");
    check(
        &tls("client_auth_type: Any"),
        "client_auth_type Any is unknown",
    );
    check(&tls("client_ca_file: c"), "client_ca_file has no effect");
    check(
        &tls("client_allowed_sans: [a]"),
        "client_allowed_sans has no effect",
    );
    let mail = "client_auth_type: RequireAnyClientCert, client_allowed_sans: [a@b.c]";
    check(&tls(mail), "a@b.c is an e-mail address");
    check(&tls("min_version: TLS14"), "min_version TLS14 is unknown");
    check(
        &tls("max_version: TLS11"),
        "max_version TLS11 is not supported",
    );
    check(
        &tls("min_version: TLS13, max_version: TLS12"),
        "above the highest",
    );
    check(
        &tls("cipher_suites: [TLS_X]"),
        "cipher suite TLS_X is unknown",
    );
    let unsafe_only = "max_version: TLS12, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]";
    check(
        &tls(unsafe_only),
        "none of the chosen cipher suites is safe",
    );
    check(&tls("curve_preferences: [P1]"), "curve P1 is unknown");
    let headers = |more: &str| format!("http_server_config: {{headers: {{{more}}}}}");
    check(
        &headers("Server: x"),
        "\"Server\" cannot be set, only Content-Security-Policy, ",
    );
    check(
        &headers("X-Frame-Options: x"),
        "X-Frame-Options is \"x\": use deny or sameorigin",
    );
    check(
        &headers("X-XSS-Protection: \"\\n\""),
        "a character that no header can have",
    );
    check("rate_limit: {interval: 1s}", "rate_limit.burst is 0");
    check(
        "basic_auth_users: {a: b}",
        "basic_auth_users.a is no bcrypt hash",
    );
}

struct Server {
    folder: tempfile::TempDir,
    config: WebConfig,
}

impl Server {
    async fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        fs::write(&path, text).unwrap();
        let config = WebConfig::open(path.to_str().unwrap(), &SystemEntropy).await;
        let config = config.unwrap();
        Self { folder, config }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("web.yml"), text).unwrap();
    }

    /// Asks as `alice` with this password, or as nobody.
    async fn ask(&self, password: Option<&str>) -> (u16, Response) {
        use base64::Engine;
        let header = password.map(|password| {
            let pair = base64::prelude::BASE64_STANDARD.encode(format!("alice:{password}"));
            HeaderValue::from_str(&format!("Basic {pair}")).unwrap()
        });
        let handle = async { Ok("here".into_response()) };
        let response = self.config.answer(header, handle).await;
        (response.status().as_u16(), response)
    }
}

#[tokio::test]
async fn what_the_file_says_now_counts() {
    let server = Server::with("").await;
    let (status, response) = server.ask(None).await;
    assert!(status == 200 && response.headers().get("x-frame-options").is_none());

    let users = format!("basic_auth_users: {{alice: {}}}\n", hash());
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    server.write(&format!("{users}{headers}"));
    let (status, response) = server.ask(None).await;
    assert_eq!(
        (status, &response.headers()["www-authenticate"]),
        (401, &HeaderValue::from_static("Basic"))
    );
    assert_eq!(response.headers()["x-frame-options"], "deny");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"Unauthorized\n");
    assert_eq!(server.ask(Some("wrong")).await.0, 401);
    let (status, response) = server.ask(Some("secret")).await;
    assert_eq!(
        (status, &response.headers()["x-frame-options"]),
        (200, &HeaderValue::from_static("deny"))
    );

    // Nobody comes in while it is not known who may.
    for broken in ["basic_auth_users: {alice: x}", "basic_auth_user: {}"] {
        server.write(broken);
        assert_eq!(server.ask(Some("secret")).await.0, 500);
    }
    fs::remove_file(server.folder.path().join("web.yml")).unwrap();
    assert_eq!(server.ask(Some("secret")).await.0, 500);
    server.write(&users);
    assert_eq!(server.ask(Some("secret")).await.0, 200);
    server.write("");
    assert_eq!(server.ask(None).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_the_start_holds() {
    let server = Server::with("rate_limit: {interval: 1h, burst: 2}").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(server.ask(None).await.0);
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let failure = WebConfig::open("/nowhere/web.yml", &SystemEntropy)
        .await
        .unwrap_err();
    let told = "the file /nowhere/web.yml of --http.config cannot be read: No such file";
    assert!(failure.to_string().starts_with(told), "{failure}");
    assert_eq!(failure.exit_code(), 1);
}
