//! The flags of `rutile up`.

use std::path::{Path, PathBuf};

use clap::Args;
use rutile_model::ErrorKind;
use rutile_server::cli::{self, FlagValues};
use rutile_server::{Component, ConfigFlag, Failure, GrpcArgs, HttpArgs, PathOrContent};

/// The bucket; none is a folder.
#[derive(Debug)]
pub(super) struct Objstore;

impl ConfigFlag for Objstore {
    const NAME: &'static str = "objstore.config";
    const HELP: &'static str = "the object storage; if unset, the folder DATA-DIR/bucket";
}

/// Flags of `rutile up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(super) http: HttpArgs,
    /// Of the querier: other queriers, and Thanos's, read all data there.
    #[command(flatten)]
    pub(super) grpc: GrpcArgs,
    #[command(flatten)]
    pub(super) objstore: PathOrContent<Objstore>,
    /// Folder for the caches and scratch space of all components, and for the bucket if none is configured.
    #[arg(long, default_value = "./data", value_name = "PATH")]
    pub(super) data_dir: PathBuf,
    /// Run the compactor too. Leave it out where another one looks after the bucket.
    #[arg(long, default_value_t = true)]
    pub(super) compact: bool,
    /// Another flag of the store gateway, such as `--store.arg=--consistency-delay=0s` (repeated).
    #[arg(long = "store.arg", value_name = "FLAG", allow_hyphen_values = true)]
    store_args: Vec<String>,
    /// Another flag of the compactor (repeated).
    #[arg(long = "compact.arg", value_name = "FLAG", allow_hyphen_values = true)]
    compact_args: Vec<String>,
    /// Another flag of the querier, such as `--query.arg=--endpoint=sidecar:10901` (repeated).
    #[arg(long = "query.arg", value_name = "FLAG", allow_hyphen_values = true)]
    query_args: Vec<String>,
}

impl UpArgs {
    /// The configuration of the bucket. A folder of our own is made if it is not there.
    pub(super) fn bucket(&self) -> Result<String, Failure> {
        if let Some(yaml) = self.objstore.content()? {
            return Ok(yaml);
        }
        let folder = self.data_dir.join("bucket");
        std::fs::create_dir_all(&folder).map_err(|error| {
            let message = format!(
                "--data-dir: cannot make the folder {}: {error}",
                folder.display()
            );
            Failure::message(ErrorKind::Invalid, &message)
        })?;
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        // JSON is YAML, and escapes what a path may hold.
        let folder = format!("{:?}", folder.to_string_lossy());
        Ok(format!(
            "type: FILESYSTEM\nconfig:\n  directory: {folder}\n"
        ))
    }

    /// The store gateway's flags. Its listener is for the querier beside it.
    pub(super) fn store(&self, bucket: &str) -> Vec<String> {
        let mut flags = vec![
            format!("--objstore.config={bucket}"),
            at("--data-dir", &self.data_dir.join("store")),
            "--grpc-address=127.0.0.1:0".to_owned(),
        ];
        flags.extend_from_slice(&self.store_args);
        flags
    }

    /// The compactor's flags: it goes on for ever.
    pub(super) fn compact(&self, bucket: &str) -> Vec<String> {
        let mut flags = vec![
            format!("--objstore.config={bucket}"),
            at("--data-dir", &self.data_dir.join("compact")),
            "--wait".to_owned(),
        ];
        // The port is that of dashboards: whoever reaches it must not be able to have blocks deleted.
        let admin = "disable-admin-operations";
        if !self.compact_args.iter().any(|flag| flag.contains(admin)) {
            flags.push(format!("--{admin}"));
        }
        flags.extend_from_slice(&self.compact_args);
        flags
    }

    /// The querier's flags, with the store gateway's address.
    pub(super) fn query(&self, store: &str) -> Vec<String> {
        let mut flags = vec![
            format!("--endpoint={store}"),
            format!("--grpc-address={}", self.grpc.grpc_address),
        ];
        flags.extend_from_slice(&self.query_args);
        flags
    }
}

fn at(flag: &str, folder: &Path) -> String {
    format!("{flag}={}", folder.display())
}

/// Reads the flags of a component.
pub(super) fn parse<C: Component>(flags: Vec<String>) -> Result<(C::Args, FlagValues), Failure> {
    let argv = std::iter::once(C::PROGRAM.to_owned())
        .chain(flags)
        .collect();
    cli::parse_and_show::<C::Args>(C::PROGRAM, C::ABOUT, argv).map_err(|answer| {
        let message = format!("the flags of {}: {}", C::NAME, answer.text.trim());
        Failure::message(ErrorKind::Invalid, &message)
    })
}
