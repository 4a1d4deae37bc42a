//! `make sim`: runs seeds on all cores, shows what they reached, stops at the first violation.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a command line program that measures its own speed"
)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rutile_sim::{Counts, Fault, NEIGHBOURS, Profile, SCENARIOS, Scenario, Violation, run, shrink};
use xxhash_rust::xxh64::xxh64;

fn main() -> ExitCode {
    match Options::read() {
        Ok(options) => options.run(),
        Err(error) => {
            println!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// From the environment, as `make` passes it.
struct Options {
    first: u64,
    seeds: u64,
    profiles: Vec<Profile>,
    limit: Option<Duration>,
    threads: usize,
    /// Whether to list all seeds that fail, in a line each, instead of stopping at one.
    keep_going: bool,
}

/// A seed that failed.
struct Failure {
    scenario: Scenario,
    violation: Violation,
}

/// What became of the seeds of one profile so far.
#[derive(Default)]
struct Done {
    seeds: u64,
    counts: Counts,
    /// Of all traces, in whatever order they came: equal numbers mean equal traces, on any machine.
    digest: u64,
}

/// The seeds of one profile, as the threads that run them share them.
struct Batch {
    profile: Profile,
    next: AtomicU64,
    end: AtomicU64,
    until: Option<Instant>,
    done: Mutex<Done>,
    failures: Mutex<Vec<Failure>>,
    keep_going: bool,
}

impl Options {
    fn read() -> Result<Self, String> {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) if !text.is_empty() => {
                let parsed = text.parse();
                parsed.map_err(|_| format!("{name}={text:?} is not a number"))
            }
            _ => Ok(default),
        };
        let profiles = match std::env::var("PROFILE") {
            Ok(text) if !text.is_empty() && text != "all" => vec![text.parse()?],
            _ => Profile::ALL.to_vec(),
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let limit = number("LIMIT_SECONDS", 0)?;
        Ok(Self {
            first: number("FIRST_SEED", 1)?,
            seeds: number("SEEDS", 1_000)?,
            profiles,
            limit: (limit > 0).then(|| Duration::from_secs(limit)),
            threads: number("THREADS", cores as u64)?.max(1) as usize,
            keep_going: std::env::var("KEEP_GOING").is_ok_and(|text| text == "yes"),
        })
    }

    fn run(&self) -> ExitCode {
        let begun = Instant::now();
        let mut failed = 0;
        let mut all = Counts::default();
        for profile in &self.profiles {
            let share = self.limit.map(|limit| limit / self.profiles.len() as u32);
            let started = Instant::now();
            let batch = Batch {
                profile: *profile,
                next: AtomicU64::new(self.first),
                end: AtomicU64::new(self.first.saturating_add(self.seeds)),
                until: share.map(|share| started + share),
                done: Mutex::default(),
                failures: Mutex::default(),
                keep_going: self.keep_going,
            };
            std::thread::scope(|scope| {
                for _ in 0..self.threads {
                    scope.spawn(|| batch.work());
                }
            });
            let mut failures = batch.failures.into_inner().unwrap_or_default();
            failures.sort_by_key(|failure| failure.scenario.seed);
            failed += failures.len();
            match failures.first() {
                Some(first) if !self.keep_going => {
                    report(first);
                    return ExitCode::FAILURE;
                }
                _ => failures.iter().for_each(list),
            }
            let done = batch.done.into_inner().unwrap_or_default();
            show(*profile, self.first, &done, started.elapsed());
            add(&mut all, &done.counts);
        }
        show_coverage(&all);
        let seconds = begun.elapsed().as_secs_f64();
        if failed > 0 {
            println!("{failed} violations in {seconds:.1} s");
            return ExitCode::FAILURE;
        }
        println!("no violation in {seconds:.1} s");
        ExitCode::SUCCESS
    }
}

impl Batch {
    /// Runs seeds until there are none left, or time is over. After a violation only smaller seeds are
    /// finished, so that the smallest one is what is reported, however many threads there are.
    fn work(&self) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let late = self.until.is_some_and(|until| Instant::now() > until);
            if seed >= self.end.load(Ordering::Relaxed) || late {
                return;
            }
            let scenario = Scenario::new(seed, self.profile);
            let outcome = run(&scenario);
            if let Ok(mut done) = self.done.lock() {
                done.seeds += 1;
                done.digest = done
                    .digest
                    .wrapping_add(xxh64(outcome.trace.as_bytes(), seed));
                add(&mut done.counts, &outcome.counts);
            }
            let Some(violation) = outcome.violation else {
                continue;
            };
            if !self.keep_going {
                self.end.fetch_min(seed, Ordering::Relaxed);
            }
            if let Ok(mut failures) = self.failures.lock() {
                failures.push(Failure {
                    scenario,
                    violation,
                });
            }
        }
    }
}

fn add(sum: &mut Counts, one: &Counts) {
    sum.requests += one.requests;
    sum.answers += one.answers;
    sum.excused += one.excused;
    sum.merges += one.merges;
    sum.checks += one.checks;
    for (all, count) in sum.faults.iter_mut().zip(one.faults) {
        *all += count;
    }
    for (what, count) in &one.reached {
        *sum.reached.entry(what).or_default() += count;
    }
}

fn show(profile: Profile, first: u64, done: &Done, took: Duration) {
    let Done {
        seeds,
        counts,
        digest,
    } = done;
    let rate = *seeds as f64 / took.as_secs_f64().max(0.001);
    println!("{profile}: {seeds} seeds from {first}, {rate:.1} seeds/s, traces {digest:016x}");
    let Counts {
        requests,
        answers,
        excused,
        merges,
        checks,
        ..
    } = counts;
    println!(
        "  {requests} requests, {merges} merges, {answers} answers checked, {excused} excused, \
         {checks} looks at the whole bucket"
    );
    let faults = Fault::ALL.iter().zip(counts.faults);
    let faults: Vec<String> = faults.map(|(fault, n)| format!("{fault:?} {n}")).collect();
    println!("  faults: {}", faults.join(", "));
}

/// How often each scenario of the catalogue was reached.
fn show_coverage(all: &Counts) {
    println!("scenarios reached:");
    let mut missed = Vec::new();
    for (number, what) in SCENARIOS.iter().chain(&NEIGHBOURS) {
        let count = all.reached.get(number).copied().unwrap_or(0);
        println!("  {number:<5} {count:>9}  {what}");
        if count == 0 {
            missed.push(*number);
        }
    }
    if !missed.is_empty() {
        println!("not reached: {}", missed.join(", "));
    }
}

fn list(failure: &Failure) {
    let (seed, profile) = (failure.scenario.seed, failure.scenario.profile);
    let Violation { clause, what } = &failure.violation;
    println!("seed {seed} of {profile}: {clause}: {what}");
}

fn report(failure: &Failure) {
    let scenario = &failure.scenario;
    let small = match std::env::var("SHRINK").as_deref() {
        Ok("no") => scenario.clone(),
        _ => shrink(scenario, failure.violation.clause),
    };
    let outcome = run(&small);
    let seed = scenario.seed;
    println!("{}", outcome.trace);
    println!("violation with {small:?}");
    if let Some(violation) = outcome.violation {
        println!("{}: {}", violation.clause, violation.what);
    }
    let profile = scenario.profile;
    println!("replay: make sim SEEDS=1 FIRST_SEED={seed} PROFILE={profile}");
}
