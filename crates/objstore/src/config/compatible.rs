//! The types that Rutile reaches by their S3-compatible endpoint: COS, ALIYUNOSS, OBS, BOS, OCI.
//!
//! Their own protocols are not spoken. What only those have is refused.

use serde::Deserialize;

use super::http::HttpConfig;
use super::s3::{Settings, static_keys, url};
use super::{Surroundings, given, required};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cos {
    bucket: Option<String>,
    region: Option<String>,
    app_id: Option<String>,
    endpoint: Option<String>,
    secret_key: Option<String>,
    secret_id: Option<String>,
    max_retries: Option<usize>,
    http_config: Option<HttpConfig>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Oss {
    endpoint: Option<String>,
    bucket: Option<String>,
    access_key_id: Option<String>,
    access_key_secret: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Obs {
    bucket: Option<String>,
    endpoint: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
    max_retries: Option<usize>,
    http_config: Option<HttpConfig>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bos {
    bucket: Option<String>,
    endpoint: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Oci {
    provider: Option<String>,
    bucket: Option<String>,
    compartment_ocid: Option<String>,
    tenancy_ocid: Option<String>,
    user_ocid: Option<String>,
    region: Option<String>,
    fingerprint: Option<String>,
    privatekey: Option<String>,
    passphrase: Option<String>,
    part_size: Option<i64>,
    max_request_retries: Option<usize>,
    request_retry_interval: Option<u64>,
    http_config: Option<serde::de::IgnoredAny>,
}

impl Cos {
    pub(super) fn settings(self) -> Result<Settings, String> {
        let id = required("secret_id", self.secret_id)?;
        let secret = required("secret_key", self.secret_key)?;
        let (endpoint, bucket) = match given(&self.endpoint) {
            // The reference takes the bucket's own URL here.
            Some(endpoint) => {
                let (secure, host) = without_scheme(endpoint)?;
                let bucket = host.split('.').next().unwrap_or_default().to_owned();
                (url(secure, host, "", false), bucket)
            }
            None => {
                let bucket = required("bucket", self.bucket.clone())?;
                let app = required("app_id", self.app_id)?;
                let region = required("region", self.region.clone())?;
                let bucket = format!("{bucket}-{app}");
                (
                    url(true, &format!("cos.{region}.myqcloud.com"), &bucket, true),
                    bucket,
                )
            }
        };
        let region = given(&self.region).map(str::to_owned);
        Ok(Settings {
            bucket: self
                .bucket
                .filter(|name| !name.is_empty())
                .unwrap_or(bucket),
            region: region.unwrap_or_else(|| label(&endpoint, 2)),
            endpoint,
            virtual_hosted: true,
            credentials: static_keys(&id, &secret, None),
            credential_keys: "secret_id/secret_key",
            max_retries: self.max_retries,
            http: self.http_config.unwrap_or_default(),
            ..Settings::default()
        })
    }
}

impl Oss {
    pub(super) fn settings(self) -> Result<Settings, String> {
        let id = required("access_key_id", self.access_key_id)?;
        let secret = required("access_key_secret", self.access_key_secret)?;
        let bucket = required("bucket", self.bucket)?;
        let endpoint = required("endpoint", self.endpoint)?;
        // Written without a scheme, plain HTTP is what the reference's client uses; not here.
        let (secure, host) = without_scheme(&endpoint)?;
        let region = host
            .split('.')
            .next()
            .unwrap_or_default()
            .trim_end_matches("-internal");
        Ok(Settings {
            region: region.to_owned(),
            endpoint: url(secure, host, &bucket, true),
            bucket,
            virtual_hosted: true,
            credentials: static_keys(&id, &secret, None),
            credential_keys: "access_key_id/access_key_secret",
            ..Settings::default()
        })
    }
}

impl Obs {
    pub(super) fn settings(self) -> Result<Settings, String> {
        let keys = (self.access_key, self.secret_key);
        let http = self.http_config.unwrap_or_default();
        let settings = by_host(self.bucket, self.endpoint, keys)?;
        Ok(Settings {
            max_retries: self.max_retries,
            http,
            ..settings
        })
    }
}

impl Bos {
    pub(super) fn settings(self) -> Result<Settings, String> {
        let endpoint = required("endpoint", self.endpoint)?;
        // `bj.bcebos.com` speaks Baidu's protocol, `s3.bj.bcebos.com` that of S3.
        let (secure, host) = without_scheme(&endpoint)?;
        let host = if host.starts_with("s3.") {
            host.to_owned()
        } else {
            format!("s3.{host}")
        };
        let endpoint = url(secure, &host, "", false);
        by_host(
            self.bucket,
            Some(endpoint),
            (self.access_key, self.secret_key),
        )
    }
}

impl Oci {
    pub(super) fn settings(self, around: &Surroundings<'_>) -> Result<Settings, String> {
        let variable =
            |name: &str| {
                (around.environment)(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                format!(
                    "`type: OCI` is reached by its S3 compatibility API, which does not take \
                     the API keys of this configuration: set the environment variable {name}"
                )
            })
            };
        let bucket = required("bucket", self.bucket)?;
        let region = required("region", self.region)?;
        let namespace = variable("OCI_NAMESPACE")?;
        let keys = (
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
        );
        let host = format!("{namespace}.compat.objectstorage.{region}.oraclecloud.com");
        Ok(Settings {
            region,
            endpoint: url(true, &host, &bucket, false),
            bucket,
            credentials: static_keys(&keys.0, &keys.1, None),
            credential_keys: "AWS_ACCESS_KEY_ID/AWS_SECRET_ACCESS_KEY (a customer secret key)",
            max_retries: self.max_request_retries,
            ..Settings::default()
        })
    }
}

/// OBS and BOS: the bucket in the host, the region as its second label.
fn by_host(
    bucket: Option<String>,
    endpoint: Option<String>,
    (id, secret): (Option<String>, Option<String>),
) -> Result<Settings, String> {
    let id = required("access_key", id)?;
    let secret = required("secret_key", secret)?;
    let bucket = required("bucket", bucket)?;
    let endpoint = required("endpoint", endpoint)?;
    let (secure, host) = without_scheme(&endpoint)?;
    let endpoint = url(secure, host, &bucket, true);
    Ok(Settings {
        region: label(&endpoint, 2),
        endpoint,
        bucket,
        virtual_hosted: true,
        credentials: static_keys(&id, &secret, None),
        credential_keys: "access_key/secret_key",
        ..Settings::default()
    })
}

/// Whether HTTPS is meant (also where nothing is said), and the host.
fn without_scheme(endpoint: &str) -> Result<(bool, &str), String> {
    let (secure, host) = match endpoint.split_once("://") {
        None => (true, endpoint),
        Some(("https", host)) => (true, host),
        Some(("http", host)) => (false, host),
        Some(_) => {
            return Err(format!(
                "`config.endpoint: {endpoint}` must be an HTTP URL or a host"
            ));
        }
    };
    let host = host.trim_end_matches('/');
    match host.is_empty() || host.contains('/') {
        true => Err(format!(
            "`config.endpoint: {endpoint}` must not have a path"
        )),
        false => Ok((secure, host)),
    }
}

/// A label of the host of a URL, from the left: in `https://bucket.cos.region.…` the region is 2.
fn label(url: &str, index: usize) -> String {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    host.split('.').nth(index).unwrap_or("us-east-1").to_owned()
}
