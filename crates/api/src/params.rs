//! The parameters of a request, and how Prometheus reads them.

mod form;
mod time;

use axum::extract::Request;
use rutile_model::{Matcher, Patterns, quote};
use rutile_promql::parse_metric_selector_with;
use rutile_runtime::Reservation;

use crate::{Failed, Result};

pub use time::{parse_duration_ns, parse_time};

/// What was asked, by GET or as the form of a POST. Of several values of a name the first one counts, those of the
/// form before those of the address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the address and the form of a request. `memory` grows by what a form takes, and is to be held as long as the
    /// parameters.
    ///
    /// # Errors
    /// `BadData` for escapes that are none, a value that is not UTF-8, or a form that is too long; `Execution` for one that
    /// does not fit into memory; `Unsupported` for one that is compressed or has several parts.
    pub async fn read(request: Request, memory: &mut Reservation) -> Result<Self> {
        form::read(request, memory).await
    }

    /// Reads the query part of an address.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_query(query: &str) -> Result<Self> {
        let mut params = Self::default();
        form::decode(query.as_bytes(), &mut params.0)?;
        Ok(params)
    }

    /// The value of a parameter; empty if it was not given.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let value = self.0.iter().find(|(found, _)| found == name);
        value.map_or("", |(_, value)| value)
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let values = self.0.iter().filter(move |(found, _)| found == name);
        values.map(|(_, value)| value.as_str())
    }

    /// A value that is given and not empty, as `parse` reads it.
    fn parsed<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>> {
        match self.get(name) {
            "" => Ok(None),
            text => match parse(text) {
                Ok(value) => Ok(Some(value)),
                Err(problem) => Err(Failed::parameter(name, problem)),
            },
        }
    }

    /// A time in ms, if there is one: seconds, or RFC 3339.
    ///
    /// # Errors
    /// `BadData` that names the parameter.
    pub fn time(&self, name: &str) -> Result<Option<i64>> {
        let in_words = |problem| format!("invalid time value for '{name}': {problem}");
        self.parsed(name, |text| parse_time(text).map_err(in_words))
    }

    /// A time that must be there.
    ///
    /// # Errors
    /// `BadData` that names the parameter.
    pub fn required_time(&self, name: &str) -> Result<i64> {
        parse_time(self.get(name)).map_err(|problem| Failed::parameter(name, problem))
    }

    /// A length of time in nanoseconds, if there is one: seconds, or `1h30m`.
    ///
    /// # Errors
    /// `BadData` that names the parameter.
    pub fn duration_ns(&self, name: &str) -> Result<Option<i64>> {
        self.parsed(name, parse_duration_ns)
    }

    /// A switch, if there is one: as Go's `strconv.ParseBool` reads it.
    ///
    /// # Errors
    /// `BadData` that names the parameter.
    pub fn switch(&self, name: &str) -> Result<Option<bool>> {
        self.parsed(name, |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            other => Err(format!("cannot parse {} to true or false", quote(other))),
        })
    }

    /// The most results that are wanted; none if that is zero or not said.
    ///
    /// # Errors
    /// `BadData` that names the parameter.
    pub fn limit(&self, name: &str) -> Result<Option<usize>> {
        let limit = self.parsed(name, |text| match text.parse::<i64>() {
            Ok(limit) if limit < 0 => Err("limit must be non-negative".to_owned()),
            Ok(limit) => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            Err(_) => Err(format!("cannot parse {} to a valid limit", quote(text))),
        })?;
        Ok(limit.filter(|limit| *limit > 0))
    }

    /// Selectors such as those of `match[]`, each a set of matchers.
    ///
    /// # Errors
    /// `BadData` that names the parameter; a selector of everything is refused, and regular expressions that are too
    /// large together.
    pub fn selectors(&self, name: &str) -> Result<Vec<Vec<Matcher>>> {
        let mut patterns = Patterns::default();
        let parse = |text: &str| {
            let matchers = parse_metric_selector_with(text, &mut patterns);
            let matchers = matchers.map_err(|error| Failed::parameter(name, error))?;
            if matchers.is_empty() {
                let problem = format!("{text} has no matcher: it must contain at least one");
                return Err(Failed::parameter(name, problem));
            }
            Ok(matchers)
        };
        self.all(name).map(parse).collect()
    }
}

#[cfg(test)]
mod tests;
