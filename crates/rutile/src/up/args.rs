//! The flags of `rutile up`.

use std::path::{Path, PathBuf};

use clap::Args;
use rutile_compact::CompactComponent;
use rutile_disk::FolderLock;
use rutile_model::ErrorKind;
use rutile_query::QueryComponent;
use rutile_server::cli::{self, FlagValues};
use rutile_server::{Component, Failure, GrpcArgs, HttpArgs, PathOrContent, config_flag};
use rutile_store::StoreComponent;

/// Where the querier finds the store gateway, which is how answers call it.
const STORE_ADDRESS: &str = "127.0.0.1:10903";

/// The name of a flag that a component cannot be given here, and what to do instead.
type OfUp = (&'static str, &'static str);

const OF_ALL: [OfUp; 6] = [
    ("http-address", "one port serves all, use --http-address"),
    (
        "http-grace-period",
        "one port serves all, use --http-grace-period",
    ),
    ("http.config", "one port serves all, use --http.config"),
    ("data-dir", "each has a folder of its own in --data-dir"),
    (
        "objstore.config",
        "all work on one bucket, use --objstore.config",
    ),
    (
        "objstore.config-file",
        "all work on one bucket, use --objstore.config-file",
    ),
];
const OF_COMPACT: [OfUp; 2] = [
    ("wait", "it goes on until the process ends"),
    ("web.disable", "the page shows what it plans"),
];
const OF_QUERY: [OfUp; 9] = [
    ("grpc-address", "use --grpc-address"),
    ("grpc-grace-period", "use --grpc-grace-period"),
    (
        "grpc-server-max-connection-age",
        "use --grpc-server-max-connection-age",
    ),
    ("grpc-server-tls-cert", "use --grpc-server-tls-cert"),
    ("grpc-server-tls-key", "use --grpc-server-tls-key"),
    (
        "grpc-server-tls-client-ca",
        "use --grpc-server-tls-client-ca",
    ),
    (
        "grpc-server-tls-min-version",
        "use --grpc-server-tls-min-version",
    ),
    ("grpc-server-tls-ciphers", "use --grpc-server-tls-ciphers"),
    ("grpc-server-tls-curves", "use --grpc-server-tls-curves"),
];

config_flag!(
    /// The bucket; none is a folder.
    Objstore, "objstore.config", "the object storage; if unset, the folder DATA-DIR/bucket"
);

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
    /// Another flag of the store gateway, such as `--store.arg=--consistency-delay=0s` (repeated). It listens for the
    /// querier at 127.0.0.1:10903, unless `--store.arg=--grpc-address=…` says otherwise.
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

    /// Refuses flags that are wrong, of all components, before anything is begun.
    ///
    /// # Errors
    /// A failure that says what to change.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        self.grpc.validate()?;
        let somewhere = "";
        parse::<StoreComponent>(self.store(somewhere)?)?;
        parse::<QueryComponent>(self.query(somewhere)?)?;
        if self.compact {
            parse::<CompactComponent>(self.compact(somewhere)?)?;
        } else if !self.compact_args.is_empty() {
            return Err(Failure::usage(
                "--compact.arg has no effect with --no-compact: leave one of them out",
            ));
        }
        Ok(())
    }

    /// Holds the data folder.
    ///
    /// # Errors
    /// A failure that names the folder and who has it.
    pub(super) fn lock(&self) -> Result<FolderLock, Failure> {
        FolderLock::take(&self.data_dir).map_err(|error| {
            let failure = Failure::new(error.kind(), &error).context("--data-dir");
            match error {
                rutile_disk::Error::InUse { .. } => Failure::message(
                    failure.kind(),
                    format!("{failure}: end that one, or give this one a folder of its own"),
                ),
                _ => failure,
            }
        })
    }

    /// The store gateway's flags.
    pub(super) fn store(&self, bucket: &str) -> Result<Vec<String>, Failure> {
        let given = Given::new::<StoreComponent>(&self.store_args, &[])?;
        let mut flags = vec![
            format!("--objstore.config={bucket}"),
            at("--data-dir", &self.data_dir.join("store")),
        ];
        if !given.has("grpc-address") {
            flags.push(format!("--grpc-address={STORE_ADDRESS}"));
        }
        Ok(given.behind(flags))
    }

    /// The compactor's flags: it goes on for ever.
    pub(super) fn compact(&self, bucket: &str) -> Result<Vec<String>, Failure> {
        let given = Given::new::<CompactComponent>(&self.compact_args, &OF_COMPACT)?;
        let mut flags = vec![
            format!("--objstore.config={bucket}"),
            at("--data-dir", &self.data_dir.join("compact")),
            "--wait".to_owned(),
        ];
        // The port is that of dashboards: whoever reaches it must not be able to have blocks deleted.
        let admin = "disable-admin-operations";
        if !given.has(admin) {
            flags.push(format!("--{admin}"));
        }
        Ok(given.behind(flags))
    }

    /// The querier's flags, with the store gateway's address.
    pub(super) fn query(&self, store: &str) -> Result<Vec<String>, Failure> {
        let given = Given::new::<QueryComponent>(&self.query_args, &OF_QUERY)?;
        let mut flags = vec![
            format!("--endpoint={store}"),
            format!("--grpc-address={}", self.grpc.grpc_address),
            format!("--grpc-grace-period={}", self.grpc.grpc_grace_period),
            format!(
                "--grpc-server-max-connection-age={}",
                self.grpc.grpc_server_max_connection_age
            ),
        ];
        flags.extend(self.grpc.tls_flags());
        Ok(given.behind(flags))
    }
}

/// The flags of a component that stand on the command line of `up`.
struct Given(Vec<String>);

impl Given {
    /// Flags of `C` without those that `up` sets, or serves itself: `of_up` and what no component may have.
    ///
    /// # Errors
    /// A failure that says which flag to give instead.
    fn new<C: Component>(flags: &[String], of_up: &[OfUp]) -> Result<Self, Failure> {
        let flags = cli::expand_files(flags.to_vec())
            .map_err(|answer| wrong::<C>(answer.text.trim_start_matches("error: ")))?;
        let given = Self(flags);
        for (name, instead) in OF_ALL.iter().chain(of_up) {
            if given.has(name) {
                return Err(wrong::<C>(&format!(
                    "--{name} is not theirs to set here: {instead}"
                )));
            }
        }
        Ok(given)
    }

    /// Whether a flag stands there, in any of its forms.
    fn has(&self, name: &str) -> bool {
        let is_it = |flag: &String| {
            let Some(flag) = flag.strip_prefix("--") else {
                return false;
            };
            let flag = flag.split('=').next().unwrap_or_default();
            flag == name || flag.strip_prefix("no-") == Some(name)
        };
        self.0.iter().any(is_it)
    }

    fn behind(self, mut flags: Vec<String>) -> Vec<String> {
        flags.extend(self.0);
        flags
    }
}

fn at(flag: &str, folder: &Path) -> String {
    format!("{flag}={}", folder.display())
}

/// Reads the flags of a component.
///
/// # Errors
/// A failure with the first lines of what its program would say, and where its flags are listed.
pub(super) fn parse<C: Component>(flags: Vec<String>) -> Result<(C::Args, FlagValues), Failure> {
    let argv = std::iter::once(C::PROGRAM.to_owned())
        .chain(flags)
        .collect();
    cli::parse_and_show::<C::Args>(C::PROGRAM, C::ABOUT, argv).map_err(|answer| {
        if answer.exit_code == 0 {
            return wrong::<C>("--help and --version are those of a program");
        }
        let problem = answer.text.split("\n\nUsage").next().unwrap_or_default();
        let lines: Vec<_> = problem
            .trim_start_matches("error: ")
            .split("\n")
            .map(str::trim)
            .collect();
        wrong::<C>(&lines.join(" "))
    })
}

fn wrong<C: Component>(problem: &str) -> Failure {
    let name = C::NAME;
    let help = format!("`rutile {name} --help` lists them");
    Failure::usage(format!(
        "the flags of {name} (--{name}.arg): {problem}; {help}"
    ))
}

#[cfg(test)]
mod tests;
