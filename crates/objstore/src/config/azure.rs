//! `type: AZURE`.

use std::sync::Arc;
use std::time::Duration;

use object_store::azure::MicrosoftAzureBuilder;
use rutile_model::PromDuration;
use serde::Deserialize;

use super::http::{Client, HttpConfig};
use super::{Provider, Surroundings, given, required};
use crate::remote::{Remote, RemoteBucket};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    az_tenant_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    storage_account: Option<String>,
    storage_account_key: Option<String>,
    storage_connection_string: Option<String>,
    storage_create_container: Option<bool>,
    container: Option<String>,
    endpoint: Option<String>,
    user_assigned_id: Option<String>,
    max_retries: Option<usize>,
    reader_config: Option<Reader>,
    pipeline_config: Option<Pipeline>,
    http_config: Option<HttpConfig>,
    msi_resource: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Reader {
    max_retry_requests: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Pipeline {
    max_tries: Option<usize>,
    try_timeout: Option<PromDuration>,
    retry_delay: Option<PromDuration>,
    max_retry_delay: Option<PromDuration>,
}

/// What a connection string says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) account: Option<String>,
    pub(super) key: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) endpoint: Option<String>,
}

impl Config {
    pub(super) fn open(self, around: &Surroundings<'_>) -> Result<Provider, String> {
        self.refuse()?;
        let connection = match given(&self.storage_connection_string) {
            Some(text) => Connection::parse(text)?,
            None => Connection::default(),
        };
        let account = required("storage_account", self.storage_account.clone())?;
        let container = required("container", self.container.clone())?;
        let host = given(&self.endpoint).unwrap_or("blob.core.windows.net");
        let endpoint = connection
            .endpoint
            .clone()
            .unwrap_or_else(|| format!("https://{account}.{host}"));
        let client = self
            .http_config
            .clone()
            .unwrap_or_default()
            .client(around.component)?;
        let builder = MicrosoftAzureBuilder::new()
            .with_account(connection.account.as_deref().unwrap_or(&account))
            .with_container_name(&container)
            .with_endpoint(endpoint.clone())
            .with_disable_tagging(true)
            .with_client_options(Client::options())
            .with_retry(self.retries())
            .with_http_connector(client.clone());
        let builder = self.authorize(builder, connection, around);
        let store = builder.build().map_err(|error| error.to_string())?;
        Ok(Provider::Remote(RemoteBucket::new(Remote {
            store: Arc::new(store),
            name: container,
            endpoint,
            credential_keys: "storage_account/storage_account_key",
            bucket_key: "container",
            attributes: object_store::Attributes::new(),
            concurrency: client.concurrency,
            unfinished: None,
        })))
    }

    fn refuse(&self) -> Result<(), String> {
        if self.storage_create_container == Some(true) {
            return Err(
                "`config.storage_create_container: true` is not supported yet: \
                        create the container, then remove the key"
                    .to_owned(),
            );
        }
        let identity = given(&self.user_assigned_id).is_some();
        let key = given(&self.storage_account_key).is_some();
        let string = given(&self.storage_connection_string).is_some();
        let client = [&self.az_tenant_id, &self.client_id, &self.client_secret];
        let client = client.map(|part| given(part).is_some());
        if client.contains(&true) && client.contains(&false) {
            return Err("`config.az_tenant_id`, `client_id` and `client_secret` \
                        must be set together"
                .to_owned());
        }
        let ways = [identity, key, string, client.contains(&true)];
        if (identity || key && string) && ways.iter().filter(|way| **way).count() > 1 {
            return Err("of `config.user_assigned_id`, `storage_account_key`, \
                        `storage_connection_string` and `client_id` only one may be set"
                .to_owned());
        }
        if given(&self.msi_resource).is_some() {
            tracing::warn!("config.msi_resource has no effect, as in the reference: remove it");
        }
        if self
            .pipeline_config
            .as_ref()
            .is_some_and(|pipeline| pipeline.try_timeout.is_some())
        {
            return Err("`config.pipeline_config.try_timeout` is not supported: \
                        use http_config.response_header_timeout"
                .to_owned());
        }
        Ok(())
    }

    fn authorize(
        &self,
        builder: MicrosoftAzureBuilder,
        connection: Connection,
        around: &Surroundings<'_>,
    ) -> MicrosoftAzureBuilder {
        let key = connection
            .key
            .or_else(|| given(&self.storage_account_key).map(str::to_owned));
        if let Some(key) = key {
            return builder.with_access_key(key);
        }
        if let Some(signature) = connection.signature {
            let pairs = url::form_urlencoded::parse(signature.trim_start_matches('?').as_bytes());
            return builder.with_sas_authorization(pairs.into_owned().collect::<Vec<_>>());
        }
        let client = (&self.client_id, &self.client_secret, &self.az_tenant_id);
        if let (Some(id), Some(secret), Some(tenant)) =
            (given(client.0), given(client.1), given(client.2))
        {
            return builder.with_client_secret_authorization(id, secret, tenant);
        }
        if let Some(id) = given(&self.user_assigned_id) {
            return builder.with_client_id(id);
        }
        from_environment(builder, around)
    }

    fn retries(&self) -> object_store::RetryConfig {
        let pipeline = self.pipeline_config.as_ref();
        let reader = self
            .reader_config
            .as_ref()
            .and_then(|reader| reader.max_retry_requests);
        let tries = pipeline
            .and_then(|pipeline| pipeline.max_tries)
            .filter(|tries| *tries > 0);
        let mut retries = Client::retries(tries.or(self.max_retries).or(reader));
        let delay = |value: Option<PromDuration>| {
            Some(Duration::from_millis(value?.as_ms().unsigned_abs())).filter(|d| !d.is_zero())
        };
        if let Some(first) = pipeline.and_then(|pipeline| delay(pipeline.retry_delay)) {
            retries.backoff.init_backoff = first;
        }
        if let Some(most) = pipeline.and_then(|pipeline| delay(pipeline.max_retry_delay)) {
            retries.backoff.max_backoff = most;
        }
        retries
    }
}

impl Connection {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        let (mut scheme, mut suffix) = ("https".to_owned(), "core.windows.net".to_owned());
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            // Not the part itself in the message: it may be the key.
            let (name, value) = part
                .split_once('=')
                .ok_or("`config.storage_connection_string` must be name=value;name=value")?;
            let value = value.to_owned();
            match name {
                "AccountName" => found.account = Some(value),
                "AccountKey" => found.key = Some(value),
                "SharedAccessSignature" => found.signature = Some(value),
                "BlobEndpoint" => found.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "DefaultEndpointsProtocol" => scheme = value,
                "EndpointSuffix" => suffix = value,
                _ => {}
            }
        }
        if let (None, Some(account)) = (&found.endpoint, &found.account) {
            found.endpoint = Some(format!("{scheme}://{account}.blob.{suffix}"));
        }
        Ok(found)
    }
}

/// The identities that Azure's platforms put into the environment; without any, the managed
/// identity of the machine.
fn from_environment(
    mut builder: MicrosoftAzureBuilder,
    around: &Surroundings<'_>,
) -> MicrosoftAzureBuilder {
    use object_store::azure::AzureConfigKey as Key;
    let variables = [
        ("AZURE_CLIENT_ID", Key::ClientId),
        ("AZURE_CLIENT_SECRET", Key::ClientSecret),
        ("AZURE_TENANT_ID", Key::AuthorityId),
        ("AZURE_FEDERATED_TOKEN_FILE", Key::FederatedTokenFile),
        ("AZURE_AUTHORITY_HOST", Key::AuthorityHost),
        ("IDENTITY_ENDPOINT", Key::MsiEndpoint),
    ];
    for (name, key) in variables {
        if let Some(value) = (around.environment)(name) {
            builder = builder.with_config(key, value);
        }
    }
    builder
}
