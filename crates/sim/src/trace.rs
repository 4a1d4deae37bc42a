//! What happened, in words.

use std::collections::BTreeMap;
use std::fmt::Write;

use rutile_block::{BlockId, parse_entry};

/// The lines of a run. Blocks are called A, B, … in the order in which they turn up.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    names: BTreeMap<BlockId, String>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    at_ms: i64,
    actor: String,
    event: Event,
}

/// What an actor did.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request, and what came of it.
    Request {
        operation: &'static str,
        key: String,
        outcome: &'static str,
    },
    /// Anything else.
    Note(String),
}

impl Trace {
    pub(crate) fn add(&mut self, at_ms: i64, actor: &str, event: Event) {
        if let Event::Request { key, .. } = &event
            && let Some(id) = parse_entry(key)
        {
            self.name(id);
        }
        self.lines.push(Line {
            at_ms,
            actor: actor.to_owned(),
            event,
        });
    }

    /// What a block is called.
    pub(crate) fn name(&mut self, id: BlockId) -> String {
        let count = self.names.len();
        let name = self.names.entry(id).or_insert_with(|| letters(count));
        name.clone()
    }

    /// All lines, after a list of the names.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let mut write = |line: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            text.write_fmt(line).ok();
        };
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, name)| (name.len(), (*name).clone()));
        for (id, name) in names {
            write(format_args!("block {name} is {id}\n"));
        }
        for line in &self.lines {
            let (s, ms) = (line.at_ms / 1000, line.at_ms % 1000);
            let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
            write(format_args!(
                "{h:02}:{m:02}:{s:02}.{ms:03} {:<14} ",
                line.actor
            ));
            match &line.event {
                Event::Request {
                    operation,
                    key,
                    outcome,
                } => write(format_args!(
                    "{operation} {} -> {outcome}\n",
                    self.short(key)
                )),
                Event::Note(note) => write(format_args!("{note}\n")),
            }
        }
        text
    }

    fn short(&self, key: &str) -> String {
        let Some((folder, rest)) = key.split_once('/') else {
            return if key.is_empty() { "/" } else { key }.to_owned();
        };
        match parse_entry(folder).and_then(|id| self.names.get(&id)) {
            Some(name) => format!("{name}/{rest}"),
            None => key.to_owned(),
        }
    }
}

/// A, B, …, Z, AA, AB, …
fn letters(mut number: usize) -> String {
    let mut text = Vec::new();
    loop {
        text.push(char::from(b'A' + (number % 26) as u8));
        if number < 26 {
            return text.iter().rev().collect();
        }
        number = number / 26 - 1;
    }
}
