//! Series, label names and label values.

use rutile_model::{Labels, Matcher};
use url::Url;

use crate::{Answer, Client, Result};

/// The seconds that Prometheus reads as a time, away from zero: beyond, its milliseconds overflow.
///
/// Source: Prometheus, `web/api/v1/api.go` (`MinTime`, `MaxTime`).
const MAX_SECONDS: i64 = i64::MAX / 1000 - 62_135_596_801;

/// Which series are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// All of them match. None at all is any series, for label calls only.
    pub matchers: Vec<Matcher>,
    /// Milliseconds, inclusive.
    pub min_time: i64,
    /// Milliseconds, inclusive.
    pub max_time: i64,
}

impl Client {
    /// The label sets of the series that have samples in the range, more or less: whole blocks count.
    ///
    /// # Errors
    /// As of every call: `Unavailable` when nobody answers, `Denied`, `Invalid` when the server refuses what
    /// is asked, `Exhausted` for an answer beyond all bounds, `Corrupt` for one that cannot be read.
    pub async fn series(&self, selection: &Selection) -> Result<Answer<Vec<Labels>>> {
        self.list(self.url(&["api", "v1", "series"]), selection)
            .await
    }

    /// The names of the labels of these series, sorted.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn label_names(&self, selection: &Selection) -> Result<Answer<Vec<String>>> {
        self.list(self.url(&["api", "v1", "labels"]), selection)
            .await
    }

    /// The values of the label `name` of these series, sorted.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn label_values(
        &self,
        name: &str,
        selection: &Selection,
    ) -> Result<Answer<Vec<String>>> {
        let name = in_path(name);
        self.list(
            self.url(&["api", "v1", "label", &name, "values"]),
            selection,
        )
        .await
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        mut url: Url,
        selection: &Selection,
    ) -> Result<Answer<Vec<T>>> {
        {
            let mut query = url.query_pairs_mut();
            if !selection.matchers.is_empty() {
                query.append_pair("match[]", &selector(&selection.matchers));
            }
            query.append_pair("start", &seconds(selection.min_time));
            query.append_pair("end", &seconds(selection.max_time));
        }
        let answer = self.api(&url).await?;
        Ok(Answer {
            data: answer.data.unwrap_or_default(),
            warnings: answer.warnings,
        })
    }
}

/// `{a="b",c=~"d"}`.
fn selector(matchers: &[Matcher]) -> String {
    let matchers: Vec<_> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", matchers.join(","))
}

/// Milliseconds as the API takes a time: seconds, with a fraction if there is one.
pub(crate) fn seconds(ms: i64) -> String {
    let whole = ms.div_euclid(1000);
    if whole.abs() >= MAX_SECONDS {
        return (whole.signum() * MAX_SECONDS).to_string();
    }
    match (ms.rem_euclid(1000), whole) {
        (0, whole) => whole.to_string(),
        (rest, 0..) => format!("{whole}.{rest:03}"),
        // -0.5 s is 500 ms after -1 s.
        (rest, whole) => format!("-{}.{:03}", -(whole + 1), 1000 - rest),
    }
}

/// A label name as part of a path: what is not a letter, a digit or `_` is escaped as Prometheus 3 reads it.
///
/// Source: Prometheus, `common/model/metric.go` (`EscapeName`, value encoding).
fn in_path(name: &str) -> String {
    let is_plain = |(i, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit())
    };
    if name.chars().enumerate().all(is_plain) {
        return name.to_owned();
    }
    let mut escaped = String::from("U__");
    for c in name.chars().enumerate() {
        match c {
            (_, '_') => escaped.push_str("__"),
            (_, plain) if is_plain(c) => escaped.push(plain),
            (_, other) => escaped.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rutile_model::MatchOp;

    use super::*;

    #[test]
    fn times_are_seconds() {
        for (ms, text) in [
            (0, "0"),
            (1_500, "1.500"),
            (-1, "-0.001"),
            (-1_000, "-1"),
            (-1_250, "-1.250"),
            (1_767_225_600_007, "1767225600.007"),
            (i64::MIN, "-9223309901257974"),
            (i64::MAX, "9223309901257974"),
        ] {
            assert_eq!(seconds(ms), text, "{ms}");
        }
    }

    #[test]
    fn selectors_and_names_are_quoted() {
        let matchers = [
            Matcher::equal("a", "x\"y"),
            Matcher::new(MatchOp::NotRegex, "b", "c.*").unwrap(),
        ];
        assert_eq!(selector(&matchers), r#"{a="x\"y",b!~"c.*"}"#);
        for (name, path) in [
            ("__name__", "__name__"),
            ("a_1", "a_1"),
            ("http.status_code", "U__http_2e_status__code"),
            ("1a/ä", "U___31_a_2f__e4_"),
        ] {
            assert_eq!(in_path(name), path);
        }
    }
}
