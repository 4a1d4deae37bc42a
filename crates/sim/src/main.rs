//! `make sim`: runs seeds, shows what they reached, stops at the first violation.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a command line program that measures its own speed"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rutile_sim::{Counts, Fault, Profile, Scenario, run, shrink};

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
        let limit = number("LIMIT_SECONDS", 0)?;
        Ok(Self {
            first: number("FIRST_SEED", 1)?,
            seeds: number("SEEDS", 1_000)?,
            profiles,
            limit: (limit > 0).then(|| Duration::from_secs(limit)),
        })
    }

    fn run(&self) -> ExitCode {
        let begun = Instant::now();
        for profile in &self.profiles {
            let share = self.limit.map(|limit| limit / self.profiles.len() as u32);
            let started = Instant::now();
            let mut sum = Counts::default();
            let mut done = 0;
            for seed in self.first..self.first.saturating_add(self.seeds) {
                if share.is_some_and(|share| started.elapsed() > share) {
                    break;
                }
                let scenario = Scenario::new(seed, *profile);
                let outcome = run(&scenario);
                if outcome.violation.is_some() {
                    report(&scenario);
                    return ExitCode::FAILURE;
                }
                add(&mut sum, &outcome.counts);
                done += 1;
            }
            show(*profile, self.first, done, started.elapsed(), &sum);
        }
        println!("no violation in {:.1} s", begun.elapsed().as_secs_f64());
        ExitCode::SUCCESS
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

fn show(profile: Profile, first: u64, done: u64, took: Duration, sum: &Counts) {
    let seconds = took.as_secs_f64();
    let rate = done as f64 / seconds.max(0.001);
    println!("{profile}: {done} seeds from {first}, {rate:.1} seeds/s");
    let Counts {
        requests,
        answers,
        excused,
        merges,
        checks,
        ..
    } = sum;
    println!(
        "  {requests} requests, {merges} merges, {answers} answers checked, {excused} excused, \
         {checks} looks at the whole bucket"
    );
    let faults = Fault::ALL.iter().zip(sum.faults);
    let faults: Vec<String> = faults.map(|(fault, n)| format!("{fault:?} {n}")).collect();
    println!("  faults: {}", faults.join(", "));
    for (what, count) in &sum.reached {
        println!("  {count:>8} x {what}");
    }
}

fn report(scenario: &Scenario) {
    let small = match std::env::var("SHRINK").as_deref() {
        Ok("no") => scenario.clone(),
        _ => shrink(scenario),
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
