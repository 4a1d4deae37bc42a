//! Versions, cipher suites and curves by the names of Go, which the reference's settings use.

use rutile_model::ErrorKind;
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::failure::Failure;

/// Suites that Go knows and whose choice has no effect: those with CBC are not offered, as nobody should use them any
/// more, and TLS 1.3's are always offered, in Go as well.
const WITHOUT_EFFECT: [&str; 7] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];
type Group = &'static dyn SupportedKxGroup;

/// A version of TLS. Whoever allows an older one gets 1.2 as the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// What a server lets its clients choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) least: Version,
    pub(crate) most: Version,
    /// Cipher suites of TLS 1.2; none: all that are safe.
    pub(crate) ciphers: Vec<String>,
    /// Key exchange groups, the preferred one first; none: all that are safe.
    pub(crate) curves: Vec<String>,
}

impl Choice {
    /// Refuses what can never work.
    ///
    /// # Errors
    /// A failure that says what is known instead.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.least > self.most {
            let message = "the lowest TLS version is above the highest one";
            return Err(Failure::message(ErrorKind::Invalid, message));
        }
        self.provider().map(drop)
    }

    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)];
        let range = self.least..=self.most;
        let chosen = all
            .into_iter()
            .filter(|(version, _)| range.contains(version));
        chosen.map(|(_, version)| version).collect()
    }

    pub(super) fn provider(&self) -> Result<CryptoProvider, Failure> {
        let mut provider = ring::default_provider();
        if !self.ciphers.is_empty() {
            let mut chosen = Vec::new();
            for name in &self.ciphers {
                chosen.extend(suite(name)?);
            }
            if chosen.is_empty() && self.most == Version::Tls12 {
                return Err(refuse(
                    "none of the chosen cipher suites is safe",
                    &safe_suites().map(name_of).collect::<Vec<_>>(),
                ));
            }
            let newest = provider.cipher_suites.iter().copied();
            let newest = newest.filter(|suite| suite.tls13().is_some());
            provider.cipher_suites = newest.chain(chosen).collect();
        }
        if !self.curves.is_empty() {
            let mut chosen = Vec::new();
            for name in &self.curves {
                chosen.extend(curve(name)?);
            }
            if chosen.is_empty() {
                let known = curves().into_iter().filter(|(_, group)| group.is_some());
                let known: Vec<_> = known.map(|(name, _)| name).collect();
                return Err(refuse("none of the chosen curves is there", &known));
            }
            provider.kx_groups = chosen;
        }
        Ok(provider)
    }
}

/// The suite of TLS 1.2 of that name; none if it is one of those [`WITHOUT_EFFECT`].
fn suite(name: &str) -> Result<Option<SupportedCipherSuite>, Failure> {
    let found = safe_suites().find(|suite| name_of(*suite) == name);
    if found.is_some() || WITHOUT_EFFECT.contains(&name) {
        return Ok(found);
    }
    let known: Vec<_> = safe_suites().map(name_of).collect();
    Err(refuse(&format!("cipher suite {name} is unknown"), &known))
}

/// The curve of that name; none if it is not there.
fn curve(name: &str) -> Result<Option<Group>, Failure> {
    match curves().into_iter().find(|(known, _)| *known == name) {
        Some((_, group)) => Ok(group),
        None => Err(refuse(
            &format!("curve {name} is unknown"),
            &curves().map(|(name, _)| name),
        )),
    }
}

/// Curves that Go knows, and what they are called here; those without a name are not there.
fn curves() -> [(&'static str, Option<Group>); 7] {
    [
        ("CurveP256", Some(ring::kx_group::SECP256R1)),
        ("CurveP384", Some(ring::kx_group::SECP384R1)),
        ("CurveP521", None),
        ("X25519", Some(ring::kx_group::X25519)),
        ("X25519MLKEM768", None),
        ("SecP256r1MLKEM768", None),
        ("SecP384r1MLKEM1024", None),
    ]
}

fn safe_suites() -> impl Iterator<Item = SupportedCipherSuite> {
    let all = ring::ALL_CIPHER_SUITES.iter().copied();
    all.filter(|suite| suite.tls13().is_none())
}

fn name_of(suite: SupportedCipherSuite) -> &'static str {
    suite.suite().as_str().unwrap_or_default()
}

fn refuse(problem: &str, known: &[&str]) -> Failure {
    let message = format!("{problem}: use {}", known.join(", "));
    Failure::message(ErrorKind::Invalid, message)
}
