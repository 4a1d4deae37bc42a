//! The containers of a suite, through `docker compose` or `docker-compose`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::suite::Suite;

/// The port on which every component serves HTTP; Prometheus and the proxy are told to as well.
const HTTP_PORT: &str = "10902";

/// The services of a suite. They are gone when `down` was called.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// `docker compose` or `docker-compose`, with file and project.
    compose: Vec<String>,
    /// Where the services' HTTP ports are on this machine, as far as asked; a start may move them.
    addresses: Mutex<BTreeMap<String, String>>,
}

/// How an ended command ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) output: String,
}

impl Cluster {
    /// Writes the compose file of a suite into `work`, which must hold what its services extend.
    pub(crate) async fn new(name: &str, suite: &Suite, work: &Path) -> Result<Self> {
        let file = work.join(format!("{name}.json"));
        let volumes: BTreeMap<&String, Value> =
            suite.volumes.iter().map(|name| (name, json!({}))).collect();
        let content = json!({ "services": suite.services, "volumes": volumes });
        let text = serde_json::to_string_pretty(&content)?;
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        let mut compose = command().await?;
        compose.extend(["-f".to_owned(), path(&file)?]);
        compose.extend(["-p".to_owned(), format!("rutile-e2e-{name}")]);
        Ok(Self {
            compose,
            addresses: Mutex::default(),
        })
    }

    /// Runs a command of compose, which must succeed.
    pub(crate) async fn run(&self, args: &[&str], services: &[String]) -> Result<String> {
        let ended = self.end(args, services).await?;
        if !ended.success {
            bail!(
                "compose {} {}: {}",
                args.join(" "),
                services.join(" "),
                ended.output
            );
        }
        // What was started anew has another port.
        let mut addresses = self.addresses.lock().await;
        services
            .iter()
            .for_each(|service| drop(addresses.remove(service)));
        Ok(ended.output)
    }

    /// Runs a command of compose to its end.
    pub(crate) async fn end(&self, args: &[&str], more: &[String]) -> Result<Ended> {
        let args = args.iter().map(|arg| (*arg).to_owned());
        let all = self.compose.iter().cloned().chain(args);
        execute(all.chain(more.iter().cloned()).collect()).await
    }

    /// Host and port of a service's HTTP server.
    pub(crate) async fn address(&self, service: &str) -> Result<String> {
        if let Some(known) = self.addresses.lock().await.get(service) {
            return Ok(known.clone());
        }
        let port = [HTTP_PORT.to_owned()];
        let ended = self.end(&["port", service], &port).await?;
        let address = ended.output.lines().next().unwrap_or_default().trim();
        if !ended.success || !address.contains(':') {
            bail!("{service} has no port {HTTP_PORT} now: {}", ended.output);
        }
        let mut addresses = self.addresses.lock().await;
        addresses.insert(service.to_owned(), address.to_owned());
        Ok(address.to_owned())
    }

    /// Forgets where a service was: it may have been started again.
    pub(crate) async fn forget(&self, service: &str) {
        self.addresses.lock().await.remove(service);
    }

    /// The last lines that the services logged.
    pub(crate) async fn logs(&self) -> String {
        match self.end(&["logs", "--no-color", "--tail=40"], &[]).await {
            Ok(ended) => ended.output,
            Err(error) => format!("no logs: {error:#}"),
        }
    }

    /// Removes containers, networks and volumes.
    pub(crate) async fn down(&self) -> Result<()> {
        let args = ["down", "--volumes", "--remove-orphans", "--timeout=1"];
        self.run(&args, &[]).await.map(drop)
    }
}

/// The newer way to call compose, where it is installed.
async fn command() -> Result<Vec<String>> {
    let ways: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    for way in ways {
        let way: Vec<String> = way.iter().map(|word| (*word).to_owned()).collect();
        let mut asked = way.clone();
        asked.push("version".to_owned());
        if execute(asked).await.is_ok_and(|ended| ended.success) {
            return Ok(way);
        }
    }
    bail!("neither `docker compose` nor `docker-compose` works: run `make e2e`, which installs it")
}

/// Runs a program to its end, beside what else goes on.
async fn execute(words: Vec<String>) -> Result<Ended> {
    let shown = words.join(" ");
    let run = move || -> std::io::Result<Output> {
        let (program, args) = words
            .split_first()
            .ok_or(std::io::ErrorKind::InvalidInput)?;
        Command::new(program).args(args).output()
    };
    let output = tokio::task::spawn_blocking(run).await?;
    let output = output.with_context(|| format!("run {shown}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Ended {
        success: output.status.success(),
        output: String::from_utf8_lossy(&text).trim().to_owned(),
    })
}

fn path(path: &PathBuf) -> Result<String> {
    let path = fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?;
    path.into_os_string()
        .into_string()
        .ok()
        .context("a path that is no text")
}
