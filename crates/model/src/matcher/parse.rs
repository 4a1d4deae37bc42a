//! Reads matchers as a person writes them: `job=~"a|b"`, `job=a`, `up{job="a",pod!~"b.*"}`.

use super::{MatchOp, Matcher};
use crate::{
    Error,
    labels::METRIC_NAME,
    quote::{quote, unquote_prefix},
};

impl Matcher {
    /// Reads one matcher. The name and the value may be quoted as in PromQL (with Go's escapes); a
    /// value without quotes reaches to the end of `text` as it is.
    ///
    /// # Errors
    ///
    /// There is no name or operator, a quoted text is not closed, or the regular expression is
    /// malformed.
    pub fn parse(text: &str) -> crate::Result<Self> {
        let mut reader = Reader {
            whole: text,
            rest: text.trim_start(),
        };
        let (name, op) = reader.name_and_op()?;
        if !reader.rest.starts_with(['"', '\'', '`']) {
            return Self::new(op, name, reader.rest);
        }
        let value = reader.quoted()?;
        reader.end()?;
        Self::new(op, name, value)
    }

    /// Reads a selector: `{a="b",c!~"d"}`, with or without a metric name in front of the braces
    /// or, quoted, in them; or else a single matcher as [`Matcher::parse`] does.
    ///
    /// # Errors
    ///
    /// As of [`Matcher::parse`], and if a brace or a comma is missing.
    pub fn parse_selector(text: &str) -> crate::Result<Vec<Self>> {
        let text = text.trim();
        let mut matchers = Vec::new();
        let metric_len = text
            .find(|c: char| !is_metric_char(c))
            .unwrap_or(text.len());
        let (metric, rest) = text.split_at(metric_len);
        let rest = rest.trim_start();
        if !metric.is_empty() && (rest.is_empty() || rest.starts_with('{')) {
            matchers.push(Self::equal(METRIC_NAME, metric));
        } else if !rest.starts_with('{') || !metric.is_empty() {
            return Ok(vec![Self::parse(text)?]);
        }
        if rest.is_empty() {
            return Ok(matchers);
        }
        let mut reader = Reader { whole: text, rest };
        reader.skip_one("{")?;
        while !reader.rest.starts_with('}') {
            matchers.push(reader.listed_matcher()?);
            if !reader.rest.starts_with('}') {
                reader.skip_one(",")?;
            }
        }
        reader.skip_one("}")?;
        reader.end()?;
        Ok(matchers)
    }
}

struct Reader<'t> {
    whole: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    /// Reads what stands between two commas, values always quoted.
    fn listed_matcher(&mut self) -> crate::Result<Matcher> {
        if self.rest.starts_with(['"', '\'', '`']) {
            let before = self.rest;
            let metric = self.quoted()?;
            if self.rest.starts_with([',', '}']) {
                return Ok(Matcher::equal(METRIC_NAME, metric));
            }
            self.rest = before;
        }
        let (name, op) = self.name_and_op()?;
        let value = self.quoted()?;
        Matcher::new(op, name, value)
    }

    fn name_and_op(&mut self) -> crate::Result<(String, MatchOp)> {
        let name = if self.rest.starts_with(['"', '\'', '`']) {
            self.quoted()?
        } else {
            let end = self
                .rest
                .find(['=', '!', '{', '}', ',', '"'])
                .unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            name.trim().to_owned()
        };
        if name.is_empty() {
            return Err(self.error("a label name is missing"));
        }
        let ops = [
            MatchOp::Regex,
            MatchOp::NotRegex,
            MatchOp::NotEqual,
            MatchOp::Equal,
        ];
        let Some(op) = ops
            .into_iter()
            .find(|op| self.rest.starts_with(op.as_str()))
        else {
            return Err(self.error("one of = != =~ !~ is missing"));
        };
        self.skip_one(op.as_str())?;
        Ok((name, op))
    }

    fn quoted(&mut self) -> crate::Result<String> {
        let Some((value, rest)) = unquote_prefix(self.rest) else {
            return Err(self.error("a quoted text is missing, not closed, or has a wrong escape"));
        };
        self.rest = rest.trim_start();
        Ok(value)
    }

    fn skip_one(&mut self, token: &str) -> crate::Result<()> {
        let Some(rest) = self.rest.strip_prefix(token) else {
            return Err(self.error(&format!("{token} is missing")));
        };
        self.rest = rest.trim_start();
        Ok(())
    }

    fn end(&self) -> crate::Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error("nothing more is expected"))
        }
    }

    fn error(&self, problem: &str) -> Error {
        let at = self.whole.len() - self.rest.len();
        Error::invalid(format!(
            "not a selector: {}: {problem} at byte {at}: write name=\"value\" or \
             {{a=\"b\",c=~\"d.*\"}}",
            quote(self.whole)
        ))
    }
}

fn is_metric_char(c: char) -> bool {
    c == '_' || c == ':' || c.is_ascii_alphanumeric()
}
