//! Reads test scripts: lines into commands.
//!
//! The language is described in Prometheus' `promql/promqltest/README.md`.

use std::collections::HashMap;
use std::fmt;

use rutile_model::{Labels, PromDuration, Regex, unquote_prefix};
use rutile_promql::{SeriesValue, parse_series, parse_start_timestamps};

/// What a script does, in its order.
#[derive(Debug)]
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Samples to add.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) step_ms: i64,
    /// Whether classic histograms become native ones with custom buckets as well.
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<Loaded>,
}

/// A series to add.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Option<SeriesValue>>,
    /// Offsets of the start timestamps to the times of the samples; empty if there are none.
    pub(crate) starts: Vec<Option<i64>>,
}

/// A query, and what is expected of it.
#[derive(Debug)]
pub(crate) struct Eval {
    /// Of the script, from 1.
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) when: When,
    pub(crate) expect: Expect,
}

/// When a query is evaluated, ms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// What is expected of a query.
#[derive(Debug, Default)]
pub(crate) struct Expect {
    pub(crate) fail: Option<Text>,
    pub(crate) ordered: bool,
    pub(crate) warn: Vec<Text>,
    pub(crate) info: Vec<Text>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) string: Option<String>,
    /// Times of the samples of a range vector: start, end and step.
    pub(crate) range_vector: Option<(i64, i64, i64)>,
    pub(crate) scalar: Option<f64>,
    /// The position in the result, from 1, and the values.
    pub(crate) series: HashMap<Labels, (usize, Vec<Option<SeriesValue>>)>,
}

/// How a message must read.
pub(crate) enum Text {
    Any,
    Exactly(String),
    Pattern(String, Regex),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Exactly(text) => write!(f, "{text:?}"),
            Self::Pattern(pattern, _) => write!(f, "pattern {pattern:?}"),
        }
    }
}

impl Text {
    /// Whether `message` reads so.
    pub(crate) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(text) => text == message,
            Self::Pattern(_, regex) => regex.is_match(message),
        }
    }

    /// A pattern that is searched for, where ours match the whole.
    fn pattern(pattern: &str) -> Result<Self, String> {
        let regex = Regex::new(&format!(".*(?:{pattern}).*")).map_err(|e| e.to_string())?;
        Ok(Self::Pattern(pattern.to_owned(), regex))
    }
}

/// Lines of a script without comments and blanks around them; what is empty ends a command.
struct Lines<'t> {
    lines: Vec<&'t str>,
    next: usize,
}

impl<'t> Lines<'t> {
    /// The next line of the command at hand.
    fn of_command(&mut self) -> Option<&'t str> {
        let line = *self.lines.get(self.next)?;
        if line.is_empty() {
            return None;
        }
        self.next += 1;
        Some(line)
    }
}

/// Reads a whole script.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    let plain = |line: &'_ str| line.trim().to_owned();
    let owned: Vec<String> = text.lines().map(plain).collect();
    let lines = owned.iter().map(|line| match line.strip_prefix('#') {
        Some(_) => "",
        None => line.as_str(),
    });
    let mut lines = Lines {
        lines: lines.collect(),
        next: 0,
    };
    let mut commands = Vec::new();
    while let Some(line) = lines.lines.get(lines.next) {
        lines.next += 1;
        let number = lines.next;
        let word = line.split([' ', '\t']).next().unwrap_or_default();
        let command = match word {
            "" => continue,
            "clear" => Ok(Command::Clear),
            _ if word.starts_with("load") => load(line, &mut lines).map(Command::Load),
            _ if word.starts_with("eval") => {
                eval(line, &mut lines).map(|eval| Command::Eval(Box::new(eval)))
            }
            _ => Err(format!("no command: {line}")),
        };
        commands.push(command.map_err(|error| format!("line {number}: {error}"))?);
    }
    Ok(commands)
}

fn load(line: &str, lines: &mut Lines<'_>) -> Result<Load, String> {
    let (command, step) = line.split_once([' ', '\t']).ok_or("no step")?;
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(format!("no command: {command}")),
    };
    let mut load = Load {
        step_ms: duration(step)?,
        with_nhcb,
        series: Vec::new(),
    };
    let mut starts = None;
    while let Some(line) = lines.of_command() {
        if let Some(read) = parse_start_timestamps(line).map_err(|e| e.to_string())? {
            starts = Some(read);
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|e| e.to_string())?;
        let starts = match starts.take() {
            None => Vec::new(),
            Some(starts) if starts.labels == labels && starts.offsets.len() == values.len() => {
                starts.offsets
            }
            Some(_) => return Err(format!("start timestamps are not those of {line}")),
        };
        // Of two lines for one series the last one counts.
        load.series.retain(|loaded| loaded.labels != labels);
        load.series.push(Loaded {
            labels,
            values,
            starts,
        });
    }
    Ok(load)
}

fn eval(line: &str, lines: &mut Lines<'_>) -> Result<Eval, String> {
    let (number, mut rest) = (lines.next, line);
    let command = word(&mut rest)?;
    let when = match word(&mut rest)? {
        "instant" => {
            let mut after = rest;
            match word(&mut after)? {
                "at" => {
                    rest = after;
                    When::At(duration(word(&mut rest)?)?)
                }
                _ => return Err("no time".to_owned()),
            }
        }
        "range" => {
            let mut times = [0; 3];
            for (time, name) in times.iter_mut().zip(["from", "to", "step"]) {
                if word(&mut rest)? != name {
                    return Err(format!("no {name}"));
                }
                *time = duration(word(&mut rest)?)?;
            }
            let [start, end, step] = times;
            When::Range { start, end, step }
        }
        other => return Err(format!("no evaluation: {other}")),
    };
    let mut expect = Expect::default();
    match command {
        "eval" => {}
        "eval_fail" => expect.fail = Some(Text::Any),
        "eval_ordered" => expect.ordered = true,
        "eval_warn" => expect.warn.push(Text::Any),
        "eval_info" => expect.info.push(Text::Any),
        other => return Err(format!("no command: {other}")),
    }
    while let Some(line) = lines.of_command() {
        expect.read(line)?;
    }
    Ok(Eval {
        line: number,
        query: rest.to_owned(),
        when,
        expect,
    })
}

impl Expect {
    fn read(&mut self, line: &str) -> Result<(), String> {
        if let Some(message) = line.strip_prefix("expected_fail_message") {
            self.fail = Some(Text::Exactly(message.trim().to_owned()));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            self.fail = Some(Text::pattern(pattern.trim())?);
        } else if let Some(range) = line.strip_prefix("expect range vector ") {
            let mut rest = range;
            let mut times = [0; 3];
            for (time, name) in times.iter_mut().zip(["from", "to", "step"]) {
                if word(&mut rest)? != name {
                    return Err(format!("no {name}"));
                }
                *time = duration(word(&mut rest).unwrap_or(rest))?;
            }
            self.range_vector = Some((times[0], times[1], times[2]));
        } else if let Some(string) = line.strip_prefix("expect string ") {
            let (value, rest) = unquote_prefix(string).ok_or("no quoted text")?;
            if !rest.is_empty() {
                return Err(format!("more than a text: {rest}"));
            }
            self.string = Some(value);
        } else if let Some(expectation) = line.strip_prefix("expect ") {
            self.read_expectation(expectation.trim())?;
        } else if let Some(scalar) = number(line) {
            self.scalar = Some(scalar);
        } else {
            let (labels, values) = parse_series(line).map_err(|e| e.to_string())?;
            let place = self.series.len() + 1;
            self.series.insert(labels, (place, values));
        }
        Ok(())
    }

    fn read_expectation(&mut self, line: &str) -> Result<(), String> {
        let (kind, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim();
        let text = if rest.is_empty() {
            Text::Any
        } else if let Some(message) = rest.strip_prefix("msg:") {
            Text::Exactly(message.trim().to_owned())
        } else if let Some(pattern) = rest.strip_prefix("regex:") {
            Text::pattern(pattern.trim())?
        } else {
            return Err(format!("neither msg nor regex: {rest}"));
        };
        match kind {
            "fail" => self.fail = Some(text),
            "ordered" => self.ordered = true,
            "warn" => self.warn.push(text),
            "info" => self.info.push(text),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            _ => return Err(format!("no expectation: {kind}")),
        }
        Ok(())
    }
}

/// Takes a word off the front.
fn word<'t>(rest: &mut &'t str) -> Result<&'t str, String> {
    let text = rest.trim_start();
    if text.is_empty() {
        return Err("a word is missing".to_owned());
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    *rest = after.trim_start();
    Ok(word)
}

/// A duration in ms.
fn duration(text: &str) -> Result<i64, String> {
    let duration: PromDuration = text.trim().parse().map_err(|e| format!("{text}: {e}"))?;
    Ok(duration.to_std().as_millis() as i64)
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x") {
        let value = i64::from_str_radix(hex, 16).ok()? as f64;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    text.parse().ok()
}
