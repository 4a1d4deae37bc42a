//! `type: S3`, and the settings to which every S3-compatible type comes down.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key, Checksum};
use object_store::client::HttpConnector as _;
use object_store::{Attribute, Attributes};
use serde::Deserialize;

use super::http::{Client, HttpConfig};
use super::{Provider, Surroundings, credentials, given, required};
use crate::remote::unfinished::{Store, Unfinished};
use crate::remote::{Remote, RemoteBucket};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    bucket: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    disable_dualstack: Option<bool>,
    aws_sdk_auth: Option<bool>,
    access_key: Option<String>,
    insecure: Option<bool>,
    signature_version2: Option<bool>,
    secret_key: Option<String>,
    session_token: Option<String>,
    put_user_metadata: Option<BTreeMap<String, String>>,
    http_config: Option<HttpConfig>,
    trace: Option<Trace>,
    list_objects_version: Option<String>,
    bucket_lookup_type: Option<String>,
    send_content_md5: Option<bool>,
    disable_multipart: Option<bool>,
    part_size: Option<u64>,
    sse_config: Option<Encryption>,
    sts_endpoint: Option<String>,
    max_retries: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Trace {
    enable: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Encryption {
    r#type: Option<String>,
    kms_key_id: Option<String>,
    kms_encryption_context: Option<BTreeMap<String, String>>,
    encryption_key: Option<String>,
}

/// How to speak to a server of the S3 protocol.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) bucket: String,
    /// With scheme; with the bucket in the host when `virtual_hosted`.
    pub(super) endpoint: String,
    pub(super) virtual_hosted: bool,
    pub(super) region: String,
    pub(super) credentials: Vec<(Key, String)>,
    /// The keys of the configuration that hold the credentials, for messages.
    pub(super) credential_keys: &'static str,
    /// Bodies are hashed: for the signature, and as a checksum that the server verifies.
    pub(super) checksums: bool,
    pub(super) unsigned: bool,
    pub(super) encryption: Vec<(Key, String)>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) max_retries: Option<usize>,
    pub(super) http: HttpConfig,
}

impl Config {
    pub(super) fn settings(self, around: &Surroundings<'_>) -> Result<Settings, String> {
        self.refuse()?;
        let endpoint = required("endpoint", self.endpoint)?;
        let bucket = required("bucket", self.bucket)?;
        if endpoint.contains("://") {
            return Err(format!(
                "`config.endpoint: {endpoint}` must be host or host:port without a scheme; \
                 for plain HTTP add `insecure: true`"
            ));
        }
        let amazon = Amazon::parse(&endpoint);
        let region = given(&self.region)
            .or(amazon.as_ref().and_then(|amazon| amazon.region))
            .map(str::to_owned)
            .or_else(|| (around.environment)("AWS_REGION"))
            .or_else(|| (around.environment)("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned());
        let secure = self.insecure != Some(true);
        let virtual_hosted = match self.bucket_lookup_type.as_deref() {
            None | Some("" | "auto") => by_host(&endpoint, &bucket, secure),
            Some("virtual-hosted") => true,
            Some("path") => false,
            Some(other) => {
                return Err(format!(
                    "`config.bucket_lookup_type: {other}` is unknown: use auto, virtual-hosted or path"
                ));
            }
        };
        let host = match &amazon {
            Some(amazon) => amazon.host(&region, self.disable_dualstack == Some(true)),
            None => endpoint,
        };
        let keys = (given(&self.access_key), given(&self.secret_key));
        let credentials = match (keys, self.aws_sdk_auth == Some(true)) {
            ((Some(_), _), true) => {
                return Err(
                    "`config.aws_sdk_auth` and `config.access_key` exclude each other".to_owned(),
                );
            }
            ((Some(id), Some(secret)), false) => {
                static_keys(id, secret, given(&self.session_token))
            }
            ((None, None), _) => credentials::find(around)?,
            _ => {
                return Err(
                    "`config.access_key` and `config.secret_key` must both be set, \
                            or neither to take them from the environment"
                        .to_owned(),
                );
            }
        };
        let sts = given(&self.sts_endpoint).map(|url| (Key::StsEndpoint, url.to_owned()));
        Ok(Settings {
            endpoint: url(secure, &host, &bucket, virtual_hosted),
            bucket,
            virtual_hosted,
            region,
            credentials: credentials.into_iter().chain(sts).collect(),
            credential_keys: "access_key/secret_key",
            checksums: self.send_content_md5 != Some(false),
            unsigned: false,
            encryption: self.sse_config.unwrap_or_default().settings()?,
            metadata: self.put_user_metadata.unwrap_or_default(),
            max_retries: self.max_retries,
            http: self.http_config.unwrap_or_default(),
        })
    }

    /// What cannot be honoured is an error, what does nothing is said.
    fn refuse(&self) -> Result<(), String> {
        if self.signature_version2 == Some(true) {
            return Err("`config.signature_version2: true` is not supported: \
                        remove it, requests are signed by version 4"
                .to_owned());
        }
        match self.list_objects_version.as_deref() {
            None | Some("" | "v2") => {}
            Some(version) => {
                return Err(format!(
                    "`config.list_objects_version: {version}` is not supported: remove it, or set v2"
                ));
            }
        }
        if self.trace.as_ref().and_then(|trace| trace.enable) == Some(true) {
            return Err("`config.trace.enable: true` is not supported: remove it".to_owned());
        }
        if self.disable_multipart == Some(true) {
            return Err("`config.disable_multipart: true` is not supported: \
                        remove it, large objects are uploaded in parts"
                .to_owned());
        }
        if self.part_size.is_some_and(|size| size != 64 << 20) {
            tracing::warn!("config.part_size has no effect: the uploader chooses the parts");
        }
        Ok(())
    }
}

impl Encryption {
    fn settings(self) -> Result<Vec<(Key, String)>, String> {
        let setting = |name: &str, value: String| {
            name.parse::<Key>()
                .map(|key| (key, value))
                .map_err(|error| error.to_string())
        };
        let kind = |kind: &str| setting("aws_server_side_encryption", kind.to_owned());
        match given(&self.r#type) {
            None => Ok(vec![]),
            Some("SSE-S3") => Ok(vec![kind("AES256")?]),
            Some("SSE-KMS") => {
                if self
                    .kms_encryption_context
                    .is_some_and(|context| !context.is_empty())
                {
                    return Err(
                        "`config.sse_config.kms_encryption_context` is not supported: \
                                remove it"
                            .to_owned(),
                    );
                }
                let id = required("sse_config.kms_key_id", self.kms_key_id)?;
                Ok(vec![kind("aws:kms")?, setting("aws_sse_kms_key_id", id)?])
            }
            Some("SSE-C") => {
                let path = required("sse_config.encryption_key", self.encryption_key)?;
                let key = fs::read(&path).map_err(|error| {
                    format!("`config.sse_config.encryption_key: {path}`: {error}")
                })?;
                if key.len() != 32 {
                    return Err(format!(
                        "`config.sse_config.encryption_key: {path}` must hold 32 bytes, not {}",
                        key.len()
                    ));
                }
                let encoded = BASE64_STANDARD.encode(key);
                Ok(vec![
                    kind("sse-c")?,
                    setting("aws_sse_customer_key_base64", encoded)?,
                ])
            }
            Some(other) => Err(format!(
                "`config.sse_config.type: {other}` is unknown: use SSE-S3, SSE-KMS or SSE-C"
            )),
        }
    }
}

impl Settings {
    pub(super) fn open(self, around: &Surroundings<'_>) -> Result<Provider, String> {
        let client = self.http.client(around.component)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_endpoint(&self.endpoint)
            .with_virtual_hosted_style_request(self.virtual_hosted)
            .with_region(&self.region)
            .with_skip_signature(self.unsigned)
            // One request for each object works with every S3-compatible server.
            .with_disable_bulk_delete(true)
            .with_disable_tagging(true)
            .with_unsigned_payload(!self.checksums && self.endpoint.starts_with("https:"))
            .with_client_options(Client::options())
            .with_retry(Client::retries(self.max_retries))
            .with_http_connector(client.clone());
        if self.checksums {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        for (key, value) in self.credentials.into_iter().chain(self.encryption) {
            builder = builder.with_config(key, value);
        }
        let mut attributes = Attributes::new();
        for (name, value) in self.metadata {
            let attribute = match name.eq_ignore_ascii_case("x-amz-storage-class") {
                true => Attribute::StorageClass,
                false => Attribute::Metadata(name.into()),
            };
            attributes.insert(attribute, value.into());
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        let store = Arc::new(store);
        let bucket_url = match self.virtual_hosted {
            true => self.endpoint.clone(),
            false => format!("{}/{}", self.endpoint, self.bucket),
        };
        let unfinished = Unfinished {
            store: Store::S3 {
                store: Arc::clone(&store),
                region: self.region,
                unsigned: self.unsigned,
            },
            http: client
                .connect(&Client::options())
                .map_err(|error| error.to_string())?,
            bucket_url,
        };
        Ok(Provider::Remote(RemoteBucket::new(Remote {
            store,
            name: self.bucket,
            endpoint: self.endpoint,
            credential_keys: self.credential_keys,
            bucket_key: "bucket",
            attributes,
            concurrency: client.concurrency,
            unfinished: Some(unfinished),
        })))
    }
}

/// A regional endpoint of Amazon's own, the only ones whose host follows from the region.
struct Amazon<'a> {
    region: Option<&'a str>,
    /// `amazonaws.com` or `amazonaws.com.cn`.
    domain: &'a str,
}

impl<'a> Amazon<'a> {
    fn parse(endpoint: &'a str) -> Option<Self> {
        let at = endpoint.find(".amazonaws.com")?;
        let (service, domain) = endpoint.split_at(at);
        let domain = domain
            .strip_prefix('.')
            .filter(|domain| *domain == "amazonaws.com" || *domain == "amazonaws.com.cn")?;
        let region = match service {
            "s3" | "s3-external-1" => None,
            _ => Some(
                ["s3.dualstack.", "s3.", "s3-"]
                    .iter()
                    .find_map(|start| service.strip_prefix(start))
                    .filter(|region| !region.contains('.'))?,
            ),
        };
        Some(Self { region, domain })
    }

    fn host(&self, region: &str, disable_dualstack: bool) -> String {
        let stack = if disable_dualstack { "" } else { "dualstack." };
        format!("s3.{stack}{region}.{}", self.domain)
    }
}

/// Whether the bucket goes into the host where nothing is said: with those who want it there.
fn by_host(endpoint: &str, bucket: &str, secure: bool) -> bool {
    let host = endpoint.split(':').next().unwrap_or_default();
    let wants = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        "storage.googleapis.com",
        ".aliyuncs.com",
    ];
    // A certificate covers one level of names below the endpoint.
    wants.iter().any(|end| host.ends_with(end)) && !(secure && bucket.contains('.'))
}

pub(super) fn static_keys(id: &str, secret: &str, token: Option<&str>) -> Vec<(Key, String)> {
    let pair = [(Key::AccessKeyId, id), (Key::SecretAccessKey, secret)];
    let token = token.map(|token| (Key::Token, token));
    pair.into_iter()
        .chain(token)
        .map(|(key, value)| (key, value.to_owned()))
        .collect()
}

pub(super) fn url(secure: bool, host: &str, bucket: &str, virtual_hosted: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    match virtual_hosted {
        true => format!("{scheme}://{bucket}.{host}"),
        false => format!("{scheme}://{host}"),
    }
}
