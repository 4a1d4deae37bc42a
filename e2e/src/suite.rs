//! What a suite says.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// Numbers by name.
pub(crate) type Sizes = BTreeMap<String, u64>;

/// A cluster, and what is done with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// Services as in a compose file. What several suites share they extend from `services.yaml`.
    pub(crate) services: BTreeMap<String, Value>,
    /// Names of volumes that services share.
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    /// Numbers that a run may set otherwise. `$name` in the text stands for one.
    #[serde(default)]
    pub(crate) sizes: Sizes,
    pub(crate) steps: Vec<Step>,
}

/// One thing that is done, or must be seen.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Starts services, and waits until those that have a probe say that they are ready.
    Up(Vec<String>),
    /// Stops services as a person would.
    Stop(Vec<String>),
    /// Ends services with SIGKILL.
    Kill(Vec<String>),
    /// Freezes services.
    Pause(Vec<String>),
    /// Lets frozen services go on.
    Unpause(Vec<String>),
    /// Runs a service to its end, with other arguments.
    Exec(Exec),
    /// Waits for a sample of a service's own metrics.
    Metric(MetricStep),
    /// Asks a query until its answer is as expected.
    Query(QueryStep),
    /// Sends a request, and looks at status and body.
    Http(HttpStep),
    /// Tells the proxy before the S3 server what to do from now on.
    Faults(BTreeMap<String, f64>),
    /// Asks a query over and over while its steps run: every answer must be the first one.
    Watch(Watch),
    /// Ends random services with SIGKILL and starts them again, while its steps run.
    Havoc(Havoc),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exec {
    pub(crate) service: String,
    pub(crate) args: Vec<String>,
    /// What its output must hold.
    #[serde(default)]
    pub(crate) prints: Vec<String>,
    /// Whether it must fail.
    #[serde(default)]
    pub(crate) fails: bool,
    /// Seconds in which it is run again until it ends so; 0: it is run once.
    #[serde(default)]
    pub(crate) within: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricStep {
    pub(crate) service: String,
    /// Its name; the samples of all label sets that hold `labels` are added up.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) at_least: Option<f64>,
    pub(crate) at_most: Option<f64>,
    #[serde(default = "default_within")]
    pub(crate) within: u64,
}

/// A query, and its answer.
#[derive(Debug, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryStep {
    pub(crate) service: String,
    /// Parameters of `/api/v1/query_range`, or of `/api/v1/query` where there is no `step`.
    pub(crate) ask: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// Seconds until the answer must be so.
    #[serde(default = "default_within")]
    pub(crate) within: u64,
    /// A name under which the result is kept.
    pub(crate) save: Option<String>,
}

#[derive(Debug, Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// The values of the result, one of each series, sorted: the last one of a range.
    pub(crate) values: Option<Vec<String>>,
    /// The least number of series.
    pub(crate) series: Option<usize>,
    /// A result that was kept.
    pub(crate) same_as: Option<String>,
    /// A part of a warning; without it there must be none.
    pub(crate) warning: Option<String>,
    /// A part of an error.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpStep {
    pub(crate) service: String,
    #[serde(default = "default_method")]
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default = "default_status")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) body: Vec<String>,
    #[serde(default = "default_within")]
    pub(crate) within: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watch {
    pub(crate) queries: Vec<QueryStep>,
    /// How many answers there must be, of all queries.
    pub(crate) answers: u64,
    /// Passes over what failed or carries a warning: what claims to be whole must be it.
    #[serde(default)]
    pub(crate) tolerant: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Havoc {
    pub(crate) services: Vec<String>,
    /// How many there must be.
    pub(crate) kills: u64,
    /// Seconds between two, at most.
    pub(crate) every: f64,
    pub(crate) steps: Vec<Step>,
}

const fn default_within() -> u64 {
    60
}

fn default_method() -> String {
    "GET".to_owned()
}

const fn default_status() -> u16 {
    200
}

/// Reads a suite, with some sizes set otherwise.
pub(crate) fn read(path: &Path, set: &Sizes) -> Result<Suite> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        sizes: Sizes,
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let place = || format!("parse {}", path.display());
    let head: Head = serde_saphyr::from_str(&text).with_context(place)?;
    let unknown = set.keys().find(|name| !head.sizes.contains_key(*name));
    if let Some(name) = unknown {
        bail!("{} has no size {name:?} to be set", path.display());
    }
    let sizes = head.sizes.iter();
    let text = sizes.fold(text, |text, (name, size)| {
        let size = set.get(name).unwrap_or(size);
        text.replace(&format!("${name}"), &size.to_string())
    });
    let mut suite: Suite = serde_saphyr::from_str(&text).with_context(place)?;
    suite.sizes.extend(set.clone());
    Ok(suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The services that a step names.
    fn named(step: &Step) -> Vec<&str> {
        match step {
            Step::Up(names)
            | Step::Stop(names)
            | Step::Kill(names)
            | Step::Pause(names)
            | Step::Unpause(names) => names.iter().map(String::as_str).collect(),
            Step::Exec(exec) => vec![&exec.service],
            Step::Metric(metric) => vec![&metric.service],
            Step::Query(query) => vec![&query.service],
            Step::Http(http) => vec![&http.service],
            Step::Faults(_) => vec!["faults"],
            Step::Watch(watch) => {
                let queries = watch.queries.iter().map(|query| query.service.as_str());
                queries.chain(watch.steps.iter().flat_map(named)).collect()
            }
            Step::Havoc(havoc) => {
                let services = havoc.services.iter().map(String::as_str);
                services.chain(havoc.steps.iter().flat_map(named)).collect()
            }
        }
    }

    #[test]
    fn sizes_stand_for_what_they_are_set_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        let text = "about: x\nservices: {}\nsizes: {kills: 3}\nsteps:\n\
                    - havoc: {services: [a], kills: $kills, every: 1, steps: []}\n";
        std::fs::write(&path, text).unwrap();
        let kills = |set: &[(&str, u64)]| {
            let set = set.iter().map(|(name, size)| ((*name).to_owned(), *size));
            let suite = read(&path, &set.collect())?;
            let Some(Step::Havoc(havoc)) = suite.steps.first() else {
                bail!("no havoc");
            };
            Ok(havoc.kills)
        };
        assert_eq!(kills(&[]).unwrap(), 3);
        assert_eq!(kills(&[("kills", 300)]).unwrap(), 300);
        let unknown = kills(&[("kils", 300)]).unwrap_err().to_string();
        assert!(unknown.contains("has no size \"kils\""), "{unknown}");
    }

    /// Found out before a cluster is started.
    #[test]
    fn every_suite_can_be_read_and_names_services_that_it_has() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        let mut suites = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let suite = read(&entry.unwrap().path(), &Sizes::new()).unwrap();
            assert!(!suite.steps.is_empty(), "{}", suite.about);
            for name in suite.steps.iter().flat_map(named) {
                assert!(suite.services.contains_key(name), "{name}: {}", suite.about);
            }
            suites += 1;
        }
        assert!(suites > 0);
    }
}
