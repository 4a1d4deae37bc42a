//! A request over TLS from where the services are: this machine knows neither their names nor their certificates.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use reqwest::tls::{Certificate, Identity};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The authority that the server's certificate must come from.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// A certificate to show, and its key.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// A name and its password, as `name:password`.
    #[arg(long)]
    user: Option<String>,
    url: String,
}

/// Prints status and body. Fails when there is no answer.
pub(crate) async fn get(args: Args) -> Result<()> {
    let mut client = crate::probe::client();
    if let Some(path) = &args.ca {
        let authority = Certificate::from_pem_bundle(&read(path)?).context("parse --ca")?;
        client = client.tls_certs_only(authority);
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let both = [read(cert)?, b"\n".to_vec(), read(key)?].concat();
        client = client.identity(Identity::from_pem(&both).context("parse --cert and --key")?);
    }
    let mut request = client.build()?.get(&args.url);
    if let Some(user) = &args.user {
        let (name, password) = user.split_once(':').context("--user is name:password")?;
        request = request.basic_auth(name, Some(password));
    }
    let answer = request.send().await?;
    println!("{}", answer.status());
    println!("{}", answer.text().await?);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}
