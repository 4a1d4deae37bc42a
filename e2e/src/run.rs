//! Takes the steps of suites.

mod havoc;
mod watch;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::faults::CONTROL;
use crate::probe::{self, Answer};
use crate::suite::{self, Exec, Expect, HttpStep, MetricStep, QueryStep, Sizes, Step, Suite};

/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A step that takes as long says so.
const LONG: Duration = Duration::from_secs(10);
/// For a service to be ready.
const READY_WITHIN: u64 = 120;
/// The service that is the proxy before the S3 server.
const PROXY: &str = "faults";

/// Runs the suites of a folder, or those that are named, one after the other.
pub(crate) async fn suites(
    folder: &Path,
    work: &Path,
    names: &[String],
    set: &Sizes,
) -> Result<()> {
    let all = find(folder)?;
    let unknown = names.iter().find(|name| !all.contains(*name));
    if let Some(name) = unknown {
        bail!("there is no suite {name}, but {}", all.join(", "));
    }
    if fs::exists(work)? {
        fs::remove_dir_all(work)?;
    }
    fs::create_dir_all(work)?;
    fs::copy(folder.join("../services.yaml"), work.join("services.yaml"))
        .context("copy services.yaml")?;
    let mut failed = Vec::new();
    for name in all
        .iter()
        .filter(|name| names.is_empty() || names.contains(name))
    {
        let begin = Instant::now();
        let suite = suite::read(&folder.join(format!("{name}.yaml")), set)?;
        println!("suite {name}: {}", suite.about);
        for (size, number) in &suite.sizes {
            println!("  {size}: {number}");
        }
        let outcome = one(name, &suite, work).await;
        let seconds = begin.elapsed().as_secs();
        match outcome {
            Ok(()) => println!("suite {name}: ok in {seconds} s"),
            Err(error) => {
                println!("suite {name}: FAILED in {seconds} s: {error:#}");
                failed.push(name.clone());
            }
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn find(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name().into_string().ok();
        names.extend(name.and_then(|name| name.strip_suffix(".yaml").map(str::to_owned)));
    }
    names.sort_unstable();
    Ok(names)
}

async fn one(name: &str, suite: &Suite, work: &Path) -> Result<()> {
    let cluster = Cluster::new(name, suite, work).await?;
    // What a run that was ended before has left.
    cluster.down().await?;
    let runner = Runner {
        cluster,
        client: probe::client().build()?,
        saved: RefCell::default(),
    };
    let outcome = runner.steps(&suite.steps).await;
    if outcome.is_err() {
        println!("{}", runner.cluster.logs().await);
    }
    let down = runner.cluster.down().await;
    outcome.and(down)
}

struct Runner {
    cluster: Cluster,
    client: reqwest::Client,
    /// Results that were kept, by their names.
    saved: RefCell<BTreeMap<String, Value>>,
}

impl Runner {
    fn steps<'a>(&'a self, steps: &'a [Step]) -> LocalBoxFuture<'a, Result<()>> {
        let all = async move {
            for step in steps {
                let begin = Instant::now();
                self.step(step).await?;
                let took = begin.elapsed();
                if took >= LONG {
                    println!("    took {} s", took.as_secs());
                }
            }
            Ok(())
        };
        all.boxed_local()
    }

    async fn step(&self, step: &Step) -> Result<()> {
        match step {
            Step::Up(services) => self.up(services).await,
            Step::Stop(services) => self.compose(&["stop"], services).await,
            Step::Kill(services) => self.compose(&["kill", "-s", "SIGKILL"], services).await,
            Step::Pause(services) => self.compose(&["pause"], services).await,
            Step::Unpause(services) => self.compose(&["unpause"], services).await,
            Step::Exec(exec) => self.exec(exec).await,
            Step::Metric(metric) => self.metric(metric).await,
            Step::Query(query) => self.query(query).await,
            Step::Http(http) => self.http(http).await,
            Step::Faults(rules) => self.faults(rules).await,
            Step::Watch(watch) => self.watch(watch).await,
            Step::Havoc(havoc) => self.havoc(havoc).await,
        }
    }

    async fn compose(&self, args: &[&str], services: &[String]) -> Result<()> {
        println!("  {} {}", args.join(" "), services.join(" "));
        self.cluster.run(args, services).await.map(drop)
    }

    async fn up(&self, services: &[String]) -> Result<()> {
        self.compose(&["up", "-d", "--no-deps"], services).await?;
        for service in services {
            self.ready(service).await?;
        }
        Ok(())
    }

    /// Waits until a service is ready, if it has an HTTP server.
    async fn ready(&self, service: &str) -> Result<()> {
        if self.cluster.address(service).await.is_err() {
            return Ok(());
        }
        let looked = async || {
            self.cluster.forget(service).await;
            let (status, body) = self.get(service, "/-/ready").await?;
            // The S3 server knows no such path.
            ensure!(status < 500, "{service} is not ready: {status} {body}");
            Ok(())
        };
        until(READY_WITHIN, looked).await
    }

    async fn get(&self, service: &str, path: &str) -> Result<(u16, String)> {
        self.request(reqwest::Method::GET, service, path).await
    }

    async fn request(
        &self,
        method: reqwest::Method,
        service: &str,
        path: &str,
    ) -> Result<(u16, String)> {
        let address = self.cluster.address(service).await?;
        let sent = self
            .client
            .request(method, format!("http://{address}{path}"))
            .send();
        let sent = sent.await;
        if sent.is_err() {
            self.cluster.forget(service).await;
        }
        let answer = sent.with_context(|| format!("ask {service} for {path}"))?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn exec(&self, exec: &Exec) -> Result<()> {
        println!("  run {} {}", exec.service, exec.args.join(" "));
        until(exec.within, async || self.run_once(exec).await).await
    }

    async fn run_once(&self, exec: &Exec) -> Result<()> {
        let run = ["run", "--rm", "--no-deps", "-T", &exec.service];
        let ended = self.cluster.end(&run, &exec.args).await?;
        ensure!(
            ended.success != exec.fails,
            "it {}: {}",
            if ended.success { "succeeded" } else { "failed" },
            ended.output
        );
        let missing = exec
            .prints
            .iter()
            .find(|text| !ended.output.contains(*text));
        match missing {
            Some(text) => bail!("`{text}` is not in its output: {}", ended.output),
            None => Ok(()),
        }
    }

    async fn metric(&self, step: &MetricStep) -> Result<()> {
        let looked = async || {
            let (_, text) = self.get(&step.service, "/metrics").await?;
            let found = probe::sample(&text, &step.name, &step.labels);
            let enough = found.is_some_and(|value| {
                step.at_least.is_none_or(|least| value >= least)
                    && step.at_most.is_none_or(|most| value <= most)
            });
            ensure!(enough, "{} of {} is {found:?}", step.name, step.service);
            Ok(found.unwrap_or_default())
        };
        let value = until(step.within, looked).await?;
        println!("  {} of {} is {value}", step.name, step.service);
        Ok(())
    }

    async fn http(&self, step: &HttpStep) -> Result<()> {
        let looked = async || {
            let method = step.method.parse().context("a method of HTTP")?;
            let (status, body) = self.request(method, &step.service, &step.path).await?;
            ensure!(status == step.status, "{} says {status}: {body}", step.path);
            let missing = step.body.iter().find(|text| !body.contains(*text));
            ensure!(missing.is_none(), "{} lacks {missing:?}: {body}", step.path);
            Ok(())
        };
        until(step.within, looked).await?;
        println!("  {}{} is as expected", step.service, step.path);
        Ok(())
    }

    async fn faults(&self, rules: &BTreeMap<String, f64>) -> Result<()> {
        let address = self.cluster.address(PROXY).await?;
        let sent = self
            .client
            .put(format!("http://{address}{CONTROL}"))
            .json(rules);
        let answer = sent.send().await.context("tell the proxy its faults")?;
        println!("  faults {rules:?}; so far {}", answer.text().await?);
        Ok(())
    }

    async fn ask(&self, step: &QueryStep) -> Result<Answer> {
        let answer = self.ask_once(step).await;
        if answer.is_err() {
            self.cluster.forget(&step.service).await;
        }
        answer
    }

    async fn ask_once(&self, step: &QueryStep) -> Result<Answer> {
        let address = self.cluster.address(&step.service).await?;
        let kind = if step.ask.contains_key("step") {
            "query_range"
        } else {
            "query"
        };
        let mut url: url::Url = format!("http://{address}/api/v1/{kind}").parse()?;
        url.query_pairs_mut().extend_pairs(&step.ask);
        let sent = self.client.get(url).send();
        let answer = sent
            .await
            .with_context(|| format!("query {}", step.service))?;
        Answer::parse(&answer.bytes().await?)
    }

    async fn query(&self, step: &QueryStep) -> Result<()> {
        let looked = async || {
            let answer = self.ask(step).await?;
            self.check(&step.expect, &answer)?;
            Ok(answer)
        };
        let answer = until(step.within, looked).await?;
        let shown = step.ask.get("query").map_or("", String::as_str);
        println!("  query {shown} is as expected: {} series", answer.series());
        if let Some(name) = &step.save {
            self.saved.borrow_mut().insert(name.clone(), answer.result);
        }
        Ok(())
    }

    fn check(&self, expect: &Expect, answer: &Answer) -> Result<()> {
        match (&expect.error, &answer.error) {
            (None, None) => {}
            (Some(part), Some(error)) if error.contains(part) => {}
            (expected, error) => bail!("the error is {error:?}, not {expected:?}"),
        }
        let warned = match &expect.warning {
            Some(part) => answer.warnings.iter().any(|text| text.contains(part)),
            None => answer.warnings.is_empty(),
        };
        ensure!(warned, "the warnings are {:?}", answer.warnings);
        if let Some(values) = &expect.values {
            let found = answer.values();
            ensure!(*values == found, "the values are {found:?}");
        }
        if let Some(least) = expect.series {
            ensure!(
                answer.series() >= least,
                "there are {} series",
                answer.series()
            );
        }
        if let Some(name) = &expect.same_as {
            let saved = self.saved.borrow();
            let saved = saved
                .get(name)
                .with_context(|| format!("nothing is kept as {name}"))?;
            ensure!(
                *saved == answer.result,
                "{}",
                difference(saved, &answer.result)
            );
        }
        Ok(())
    }
}

/// Looks until it is so, or the seconds have passed: then the last look's error.
async fn until<T>(seconds: u64, looked: impl AsyncFn() -> Result<T>) -> Result<T> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match looked().await {
            Ok(seen) => return Ok(seen),
            Err(error) if Instant::now() > end => {
                return Err(error.context(format!("not within {seconds} s")));
            }
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

/// The first series in which two results differ.
fn difference(first: &Value, second: &Value) -> String {
    let series = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (first, second) = (series(first), series(second));
    let differing = first.iter().zip(&second).find(|(one, other)| one != other);
    match differing {
        Some((one, other)) => {
            let (mut one, mut other) = (one.to_string(), other.to_string());
            one.truncate(600);
            other.truncate(600);
            format!("{one} became {other}")
        }
        None => format!("{} series became {}", first.len(), second.len()),
    }
}
