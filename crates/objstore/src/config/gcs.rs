//! `type: GCS`, by the XML API.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::client::HttpConnector as _;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use serde::Deserialize;

use super::http::{Client, HttpConfig};
use super::{Provider, Surroundings, given, required};
use crate::remote::unfinished::{Store, Unfinished};
use crate::remote::{Remote, RemoteBucket};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    bucket: Option<String>,
    service_account: Option<String>,
    use_grpc: Option<bool>,
    grpc_conn_pool_size: Option<usize>,
    http_config: Option<HttpConfig>,
    chunk_size_bytes: Option<u64>,
    no_auth: Option<bool>,
    max_retries: Option<usize>,
}

impl Config {
    pub(super) fn open(self, around: &Surroundings<'_>) -> Result<Provider, String> {
        let bucket = required("bucket", self.bucket)?;
        if self.use_grpc == Some(true) {
            return Err("`config.use_grpc: true` is not supported: remove it".to_owned());
        }
        if self.grpc_conn_pool_size.is_some_and(|size| size > 0) {
            tracing::warn!("config.grpc_conn_pool_size has no effect without use_grpc");
        }
        if self.chunk_size_bytes.is_some_and(|size| size > 0) {
            tracing::warn!("config.chunk_size_bytes has no effect: the uploader chooses the parts");
        }
        let client = self
            .http_config
            .unwrap_or_default()
            .client(around.component)?;
        // The reference counts tries, here it is tries after the first.
        let retries = self.max_retries.filter(|tries| *tries > 0);
        let mut retry = Client::retries(retries);
        if let Some(tries) = retries {
            retry.max_retries = tries - 1;
        }
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&bucket)
            .with_client_options(Client::options())
            .with_retry(retry)
            .with_http_connector(client.clone());
        let mut endpoint = "https://storage.googleapis.com".to_owned();
        if let Some(account) = given(&self.service_account) {
            endpoint = base_url(account).unwrap_or(endpoint);
            builder = builder.with_service_account_key(account);
        } else if self.no_auth == Some(true) {
            // With a token, so that nothing asks the metadata server for one.
            let nobody = GcpCredential {
                bearer: String::new(),
            };
            builder = builder
                .with_credentials(Arc::new(StaticCredentialProvider::new(nobody)))
                .with_skip_signature(true);
        } else if let Some(path) = (around.environment)("GOOGLE_APPLICATION_CREDENTIALS") {
            builder = builder.with_application_credentials(path);
        }
        let store = builder
            .build()
            .map_err(|error| format!("`config.service_account`: {error}"))?;
        let store = Arc::new(store);
        let unfinished = Unfinished {
            store: Store::Google(Arc::clone(&store)),
            http: client
                .connect(&Client::options())
                .map_err(|error| error.to_string())?,
            bucket_url: format!("{endpoint}/{bucket}"),
        };
        Ok(Provider::Remote(RemoteBucket::new(Remote {
            store,
            name: bucket,
            endpoint,
            credential_keys: "service_account",
            bucket_key: "bucket",
            attributes: object_store::Attributes::new(),
            concurrency: client.concurrency,
            unfinished: Some(unfinished),
        })))
    }
}

/// The endpoint that a service account for an emulator names.
fn base_url(account: &str) -> Option<String> {
    let account: serde_json::Value = serde_json::from_str(account).ok()?;
    Some(account.get("gcs_base_url")?.as_str()?.to_owned())
}
