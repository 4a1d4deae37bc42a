use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rutile_testkit::certificates::{Authority, Certificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::*;

const NEWEST: &[&SupportedProtocolVersion] = &[&TLS13];
const OLDER: &[&SupportedProtocolVersion] = &[&TLS12];

fn settings(server: &Certificate) -> TlsSettings {
    TlsSettings {
        certificate: Pem::file("--cert", &server.certificate),
        key: Pem::file("--key", &server.key),
        clients: Clients::ANYBODY,
        choice: Choice {
            least: Version::Tls12,
            most: Version::Tls13,
            ciphers: Vec::new(),
            curves: Vec::new(),
        },
        protocols: &[b"h2", b"http/1.1"],
    }
}

fn verifying(server: &Certificate, policy: Policy, authority: &Authority) -> TlsSettings {
    TlsSettings {
        clients: Clients {
            policy,
            authorities: Some(Pem::file("--ca", authority.certificate())),
            names: None,
        },
        ..settings(server)
    }
}

/// A client that trusts `authority`, perhaps with a certificate.
fn client(
    authority: &Authority,
    own: Option<&Certificate>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(authority.certificate()).unwrap();
    roots.add(trusted).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_file(&own.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// What the server sends once they have agreed: protocol, suite, version.
async fn ask(encryption: &Encryption, client: ClientConfig) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Some(mut stream) = encryption.agree(stream).await else {
            return;
        };
        let session = stream.get_ref().1;
        let protocol = session.alpn_protocol().unwrap_or_default();
        let suite = session.negotiated_cipher_suite().unwrap().suite();
        let group = session.negotiated_key_exchange_group().unwrap().name();
        let said = format!("{} {suite:?} {group:?}", String::from_utf8_lossy(protocol));
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("server.test").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name, stream).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        std::io::Result::Ok(said)
    };
    let ((), said) = tokio::join!(serve, connect);
    said.map_err(|error| error.to_string())
}

async fn open(settings: &TlsSettings) -> Encryption {
    Encryption::by_flags(settings.clone()).await.unwrap()
}

#[tokio::test]
async fn versions_suites_and_protocols_are_as_configured() {
    let authority = Authority::new();
    let server = authority.issue("server", "DNS:server.test");
    let mut settings = settings(&server);
    let mut asking = client(&authority, None, &[&TLS13, &TLS12]);
    asking.alpn_protocols = vec![b"http/1.1".to_vec()];
    let said = ask(&open(&settings).await, asking).await.unwrap();
    assert!(said.starts_with("http/1.1 TLS13_"), "{said}");
    let older = || client(&authority, None, OLDER);
    let newest = || client(&authority, None, NEWEST);

    settings.choice.ciphers = ["AES_256_CBC_SHA", "CHACHA20_POLY1305_SHA256"]
        .map(|suite| format!("TLS_ECDHE_ECDSA_WITH_{suite}"))
        .to_vec();
    settings.choice.curves = vec!["CurveP521".to_owned(), "CurveP384".to_owned()];
    let chosen = open(&settings).await;
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 secp384r1";
    assert_eq!(ask(&chosen, older()).await.unwrap(), format!(" {suite}"));
    let said = ask(&chosen, newest()).await.unwrap();
    assert!(said.ends_with("secp384r1"), "{said}");

    settings.choice.least = Version::Tls13;
    let error = ask(&open(&settings).await, older()).await.unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
    settings.choice.least = Version::Tls12;
    settings.choice.most = Version::Tls12;
    let error = ask(&open(&settings).await, newest()).await.unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn clients_show_what_the_policy_asks_for() {
    let [ours, theirs] = [Authority::new(), Authority::new()];
    let server = ours.issue("server", "DNS:server.test");
    let known = ours.issue("client", "DNS:client.test");
    let unknown = theirs.issue("client", "DNS:client.test");
    for (policy, without, with_unknown, with_known) in [
        (Policy::No, true, true, true),
        (Policy::Request, true, true, true),
        (Policy::RequireAny, false, true, true),
        (Policy::VerifyIfGiven, true, false, true),
        (Policy::RequireAndVerify, false, false, true),
    ] {
        let mut settings = verifying(&server, policy, &ours);
        if policy == Policy::No {
            settings.clients = Clients::ANYBODY;
        }
        let encryption = open(&settings).await;
        for versions in [NEWEST, OLDER] {
            let check = async |own: Option<&Certificate>, is_taken: bool| {
                let said = ask(&encryption, client(&ours, own, versions)).await;
                assert_eq!(said.is_ok(), is_taken, "{policy:?}, {own:?}: {said:?}");
            };
            check(None, without).await;
            check(Some(&unknown), with_unknown).await;
            check(Some(&known), with_known).await;
        }
    }
}

#[tokio::test]
async fn only_clients_of_certain_names_come_in() {
    let authority = Authority::new();
    let server = authority.issue("server", "DNS:server.test");
    let mut settings = verifying(&server, Policy::RequireAndVerify, &authority);
    let names = ["a.test", "spiffe://test/b", "10.0.0.1"];
    settings.clients.names = Some(names.map(str::to_owned).to_vec());
    let encryption = open(&settings).await;
    for (names, is_taken) in [
        ("DNS:x.test,DNS:a.test", true),
        ("URI:spiffe://test/b", true),
        ("IP:10.0.0.1", true),
        ("DNS:b.a.test,IP:10.0.0.2", false),
        // A wildcard is a name, and none that was allowed.
        ("DNS:*.test", false),
    ] {
        let own = authority.issue("client", names);
        let said = ask(&encryption, client(&authority, Some(&own), NEWEST)).await;
        assert_eq!(said.is_ok(), is_taken, "{names}: {said:?}");
    }
}

#[tokio::test]
async fn files_that_were_replaced_count_for_the_next_connection() {
    let [old, new] = [Authority::new(), Authority::new()];
    let server = old.issue("server", "DNS:server.test");
    let own = old.issue("client", "DNS:client.test");
    let encryption = open(&verifying(&server, Policy::RequireAndVerify, &old)).await;
    let by_old = client(&old, Some(&own), NEWEST);
    let mut by_new = client(&new, Some(&own), NEWEST);
    assert!(ask(&encryption, by_old.clone()).await.is_ok());
    assert!(ask(&encryption, by_new.clone()).await.is_err());

    // Between certificate and key, those from before stay.
    let next = new.issue("server", "DNS:server.test");
    let replace = |from: &Path, to: &Path| fs::copy(from, to).unwrap();
    replace(&next.certificate, &server.certificate);
    assert!(ask(&encryption, by_old.clone()).await.is_ok());
    fs::remove_file(&server.key).unwrap();
    assert!(ask(&encryption, by_old.clone()).await.is_ok());
    replace(&next.key, &server.key);
    assert!(ask(&encryption, by_old).await.is_err());
    assert!(ask(&encryption, by_new.clone()).await.is_ok());

    // The old client is let in no more once its authority is not trusted.
    replace(&new.certificate(), &old.certificate());
    assert!(ask(&encryption, by_new).await.is_err());
    let own = new.issue("client", "DNS:client.test");
    by_new = client(&new, Some(&own), NEWEST);
    assert!(ask(&encryption, by_new).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let authority = Authority::new();
    let server = authority.issue("server", "DNS:server.test");
    let other = authority.issue("other", "DNS:server.test");
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.pem");
    fs::write(&junk, "junk").unwrap();
    let check = async |change: &dyn Fn(&mut TlsSettings), told: &[&str]| {
        let mut settings = verifying(&server, Policy::RequireAndVerify, &authority);
        change(&mut settings);
        let failure = Encryption::by_flags(settings).await.unwrap_err();
        for text in told {
            assert!(failure.to_string().contains(text), "{text} in {failure}");
        }
    };
    let absent = |tls: &mut TlsSettings| tls.certificate = Pem::file("--cert", "/nowhere/a.pem");
    check(
        &absent,
        &["/nowhere/a.pem of --cert cannot be read: No such file"],
    )
    .await;
    let none = |tls: &mut TlsSettings| tls.certificate = Pem::file("--cert", &junk);
    check(&none, &["junk.pem of --cert holds no certificate"]).await;
    let none = |tls: &mut TlsSettings| tls.key = Pem::file("--key", &junk);
    check(&none, &["junk.pem of --key holds no private key"]).await;
    let certificate = |tls: &mut TlsSettings| tls.key = Pem::file("--key", &server.certificate);
    check(&certificate, &["server.pem of --key holds no private key"]).await;
    let stranger = |tls: &mut TlsSettings| tls.key = Pem::file("--key", &other.key);
    check(
        &stranger,
        &["other.key of --key is not that of", "server.pem of --cert"],
    )
    .await;
    let none = |tls: &mut TlsSettings| tls.clients.authorities = Some(Pem::file("--ca", &junk));
    check(&none, &["junk.pem of --ca holds no certificate"]).await;
    let unknown = |tls: &mut TlsSettings| tls.choice.ciphers = vec!["TLS_X".to_owned()];
    check(&unknown, &["cipher suite TLS_X is unknown: use TLS_ECDHE_"]).await;
    let unknown = |tls: &mut TlsSettings| tls.choice.curves = vec!["P1".to_owned()];
    check(&unknown, &["curve P1 is unknown: use CurveP256, "]).await;
    let absent = |tls: &mut TlsSettings| tls.choice.curves = vec!["CurveP521".to_owned()];
    check(&absent, &["none of the chosen curves is there"]).await;
}
