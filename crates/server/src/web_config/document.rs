//! The YAML of a web configuration, as in the reference, and what it comes down to.
//!
//! Source of keys, defaults and checks: exporter-toolkit, `web/tls_config.go` and `web/handler.go`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use rutile_model::config::parse_yaml;
use rutile_model::{ErrorKind, GoDuration};
use serde::Deserialize;

use super::WebSettings;
use super::rate::Rate;
use super::users::Users;
use crate::failure::Failure;
use crate::tls::{Choice, Clients, Pem, Policy, TlsSettings, Version};

/// Headers that may be set, each with its values, if not all are allowed.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];
/// What is agreed on with clients, the preferred one first.
const WITH_HTTP2: &[&[u8]] = &[b"h2", b"http/1.1"];
const WITHOUT_HTTP2: &[&[u8]] = &[b"http/1.1"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    tls_server_config: Option<Tls>,
    http_server_config: Option<Http>,
    rate_limit: Option<RateLimit>,
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_auth_type: Option<String>,
    client_ca_file: Option<PathBuf>,
    cipher_suites: Option<Vec<String>>,
    curve_preferences: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    /// Of no effect in Go either: it always prefers what is fast and safe on both sides.
    #[serde(rename = "prefer_server_cipher_suites")]
    _prefer_server_cipher_suites: Option<bool>,
    client_allowed_sans: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RateLimit {
    interval: GoDuration,
    burst: u32,
}

/// Reads the text. Relative paths start in `folder`.
///
/// # Errors
/// A failure with the place or the key, and what is wrong.
pub(super) fn parse(text: &str, folder: &Path) -> Result<WebSettings, Failure> {
    let document: Document =
        parse_yaml(text).map_err(|error| Failure::new(error.kind(), &error))?;
    let http = document.http_server_config.unwrap_or_default();
    let http2 = http.http2.unwrap_or(true);
    let tls = document.tls_server_config.unwrap_or_default();
    let tls = tls
        .settings(folder, http2)
        .map_err(|failure| failure.context("tls_server_config"))?;
    Ok(WebSettings {
        tls,
        http2,
        headers: headers(http.headers.unwrap_or_default())?,
        users: Users::new(document.basic_auth_users.unwrap_or_default())?,
        rate: document.rate_limit.unwrap_or_default().rate()?,
    })
}

impl Tls {
    /// `None` if nothing is said of certificates.
    fn settings(self, folder: &Path, http2: bool) -> Result<Option<TlsSettings>, Failure> {
        let pem = |file: Option<PathBuf>, text: Option<String>, settings: [&'static str; 2]| {
            let file = file.filter(|path| !path.as_os_str().is_empty());
            let text = text.filter(|text| !text.is_empty());
            match (file, text) {
                // What is inline counts only without a file, as in the reference.
                (Some(path), _) => Some(Pem::file(settings[0], folder.join(path))),
                (None, text) => text.map(|text| Pem::text(settings[1], text)),
            }
        };
        let certificate = pem(self.cert_file, self.cert, ["cert_file", "cert"]);
        let key = pem(self.key_file, self.key, ["key_file", "key"]);
        let authorities = pem(
            self.client_ca_file,
            self.client_ca,
            ["client_ca_file", "client_ca"],
        );
        let policy = self.client_auth_type.as_deref().unwrap_or_default();
        let is_empty = certificate.is_none() && key.is_none() && authorities.is_none();
        if is_empty && policy.is_empty() {
            return Ok(None);
        }
        let certificate = certificate.ok_or_else(|| wrong("set cert_file or cert"))?;
        let key = key.ok_or_else(|| wrong("set key_file or key"))?;
        let policy = client_policy(policy)?;
        if authorities.is_some() && policy == Policy::No {
            return Err(wrong(
                "client_ca_file has no effect: set client_auth_type, to RequireAndVerifyClientCert",
            ));
        }
        let choice = Choice {
            least: version("min_version", self.min_version.as_deref(), Version::Tls12)?,
            most: highest(self.max_version.as_deref())?,
            ciphers: self.cipher_suites.unwrap_or_default(),
            curves: self.curve_preferences.unwrap_or_default(),
        };
        choice.check()?;
        Ok(Some(TlsSettings {
            certificate,
            key,
            clients: Clients {
                policy,
                authorities,
                names: client_names(self.client_allowed_sans, policy)?,
            },
            choice,
            protocols: if http2 { WITH_HTTP2 } else { WITHOUT_HTTP2 },
        }))
    }
}

fn client_policy(text: &str) -> Result<Policy, Failure> {
    Ok(match text {
        "" | "NoClientCert" => Policy::No,
        "RequestClientCert" => Policy::Request,
        "RequireAnyClientCert" | "RequireClientCert" => Policy::RequireAny,
        "VerifyClientCertIfGiven" => Policy::VerifyIfGiven,
        "RequireAndVerifyClientCert" => Policy::RequireAndVerify,
        other => {
            return Err(wrong(&format!(
                "client_auth_type {other} is unknown: use RequireAndVerifyClientCert, VerifyClientCertIfGiven, \
                 RequireAnyClientCert, RequestClientCert or NoClientCert"
            )));
        }
    })
}

/// Names of clients; those that could never be found are refused.
fn client_names(
    names: Option<Vec<String>>,
    policy: Policy,
) -> Result<Option<Vec<String>>, Failure> {
    let Some(names) = names else {
        return Ok(None);
    };
    if policy == Policy::No {
        return Err(wrong(
            "client_allowed_sans has no effect: set client_auth_type, to RequireAndVerifyClientCert",
        ));
    }
    // A URI may have one, too: `spiffe://user@host`.
    let is_mail = |name: &&String| name.contains('@') && !name.contains("://");
    match names.iter().find(is_mail) {
        Some(mail) => Err(wrong(&format!(
            "client_allowed_sans: {mail} is an e-mail address, which is not supported: use DNS names, URIs or IP \
             addresses"
        ))),
        None => Ok(Some(names)),
    }
}

fn version(key: &str, text: Option<&str>, default: Version) -> Result<Version, Failure> {
    match text {
        None | Some("") => Ok(default),
        Some("TLS10" | "TLS11" | "TLS12") => Ok(Version::Tls12),
        Some("TLS13") => Ok(Version::Tls13),
        Some(other) => Err(wrong(&format!(
            "{key} {other} is unknown: use TLS12 or TLS13"
        ))),
    }
}

fn highest(text: Option<&str>) -> Result<Version, Failure> {
    if let Some(old @ ("TLS10" | "TLS11")) = text {
        return Err(wrong(&format!(
            "max_version {old} is not supported, as it is not safe: use TLS12 or TLS13"
        )));
    }
    version("max_version", text, Version::Tls13)
}

fn headers(set: BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let header = |(name, value): (String, String)| {
        let Some((known, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = HEADERS.iter().map(|(known, _)| *known).collect();
            return Err(wrong(&format!(
                "http_server_config.headers: {name:?} cannot be set, only {}",
                known.join(", ")
            )));
        };
        let place = format!("http_server_config.headers.{known}");
        if !values.is_empty() && !values.contains(&value.as_str()) {
            let values = values.join(" or ");
            return Err(wrong(&format!("{place} is {value:?}: use {values}")));
        }
        let bad = |_| wrong(&format!("{place} has a character that no header can have"));
        let name = HeaderName::from_bytes(known.as_bytes())
            .map_err(|_| wrong(&format!("{place} is no header")))?;
        Ok((name, HeaderValue::from_str(&value).map_err(bad)?))
    };
    set.into_iter().map(header).collect()
}

impl RateLimit {
    fn rate(&self) -> Result<Option<Rate>, Failure> {
        let interval = self.interval.to_std();
        match self.burst {
            _ if interval.is_zero() => Ok(None),
            0 => Err(wrong(
                "rate_limit.burst is 0, which lets nobody in: set it to 1 or more",
            )),
            burst => Ok(Some(Rate { interval, burst })),
        }
    }
}

fn wrong(message: &str) -> Failure {
    Failure::message(ErrorKind::Invalid, message)
}
