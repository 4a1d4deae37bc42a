//! Selectors as people type them: `up{job=~"api.*"}` as in PromQL, and single matchers, `job=api`.

use anyhow::{Context, Result, bail};
use rutile_model::{MatchOp, Matcher, labels::METRIC_NAME};

/// The operators, the longer ones first.
const OPERATORS: [(&str, MatchOp); 4] = [
    ("=~", MatchOp::Regex),
    ("!~", MatchOp::NotRegex),
    ("!=", MatchOp::NotEqual),
    ("=", MatchOp::Equal),
];

/// Parses `name`, `{a="b",c!~"d"}` or `name{a="b"}`.
pub(crate) fn parse_selector(text: &str) -> Result<Vec<Matcher>> {
    parse_vector(text).with_context(|| format!("invalid selector {text:?}"))
}

/// Parses one matcher; the value's quotes may be left out.
pub(crate) fn parse_matcher(text: &str) -> Result<Matcher> {
    parse_single(text).with_context(|| format!("invalid matcher {text:?}"))
}

fn parse_vector(text: &str) -> Result<Vec<Matcher>> {
    let mut input = Input(text.trim());
    let mut matchers = Vec::new();
    let name = input.name();
    if !name.is_empty() {
        matchers.push(Matcher::new(MatchOp::Equal, METRIC_NAME, name)?);
    }
    if input.take("{") {
        while !input.take("}") {
            let name = input.label_name()?;
            let op = input.operator()?;
            let value = input.quoted()?.context("expected a value in quotes")?;
            matchers.push(Matcher::new(op, name, value)?);
            if !input.take(",") && !input.0.trim_start().starts_with('}') {
                bail!("expected `,` or `}}` at {:?}", input.0);
            }
        }
    }
    if !input.0.trim().is_empty() {
        bail!("expected the end at {:?}", input.0);
    }
    if matchers.is_empty() {
        bail!("it selects nothing: write a metric name or matchers, as in up{{job=\"api\"}}");
    }
    Ok(matchers)
}

fn parse_single(text: &str) -> Result<Matcher> {
    let mut input = Input(text.trim());
    let name = input.label_name()?;
    let op = input.operator()?;
    let value = match input.quoted()? {
        Some(value) if input.0.trim().is_empty() => value,
        Some(_) => bail!("expected the end at {:?}", input.0),
        None => input.0.to_owned(),
    };
    Ok(Matcher::new(op, name, value)?)
}

/// What is left of the text.
struct Input<'a>(&'a str);

impl Input<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        if let Some(rest) = rest {
            self.0 = rest;
        }
        rest.is_some()
    }

    /// An unquoted name, maybe empty. Colons occur in the names of recorded metrics.
    fn name(&mut self) -> String {
        let text = self.0.trim_start();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        self.0 = rest;
        name.to_owned()
    }

    fn label_name(&mut self) -> Result<String> {
        let name = match self.quoted()? {
            Some(name) => name,
            None => self.name(),
        };
        if name.is_empty() {
            bail!("expected a label name at {:?}", self.0);
        }
        Ok(name)
    }

    fn operator(&mut self) -> Result<MatchOp> {
        OPERATORS
            .into_iter()
            .find_map(|(token, op)| self.take(token).then_some(op))
            .with_context(|| format!("expected =, !=, =~ or !~ at {:?}", self.0))
    }

    /// A string in double, single or back quotes, if there is one.
    fn quoted(&mut self) -> Result<Option<String>> {
        let mut rest = self.0.trim_start().chars();
        let Some(quote @ ('"' | '\'' | '`')) = rest.next() else {
            return Ok(None);
        };
        let mut value = String::new();
        loop {
            match rest.next().context("a quote is not closed")? {
                c if c == quote => break,
                '\\' if quote != '`' => value.push(escaped(&mut rest)?),
                c => value.push(c),
            }
        }
        self.0 = rest.as_str();
        Ok(Some(value))
    }
}

/// The character that an escape stands for, read from after its backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Result<char> {
    let digits = match rest.next().context("a backslash at the end")? {
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        c @ ('\\' | '"' | '\'') => return Ok(c),
        'u' => 4,
        'U' => 8,
        c => bail!("unknown escape `\\{c}`: write `\\\\` for a backslash"),
    };
    let hex: String = rest.by_ref().take(digits).collect();
    let code = u32::from_str_radix(&hex, 16)
        .ok()
        .filter(|_| hex.len() == digits);
    code.and_then(char::from_u32)
        .with_context(|| format!("unknown character `\\u{hex}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(matchers: &[Matcher]) -> String {
        let each = matchers
            .iter()
            .map(|m| format!("{}{}{}", m.name(), m.op().as_str(), m.value()));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn selectors_are_read_as_in_promql() {
        for (selector, expected) in [
            ("up", "__name__=up"),
            (" job:up:sum { } ", "__name__=job:up:sum"),
            (r#"{a="b"}"#, "a=b"),
            (
                r#"up{a!="b", c=~"d|e", f!~'g' ,}"#,
                "__name__=up a!=b c=~d|e f!~g",
            ),
            (
                r#"{"http.method"="\"GET\"\u0021",x=`\d`}"#,
                r#"http.method="GET"! x=\d"#,
            ),
        ] {
            assert_eq!(text(&parse_selector(selector).unwrap()), expected);
        }
    }

    #[test]
    fn matchers_need_no_quotes() {
        for (matcher, expected) in [
            ("job=api", "job=api"),
            ("job=~\"a|b\"", "job=~a|b"),
            ("job!=", "job!="),
            ("path=a=b c", "path=a=b c"),
        ] {
            assert_eq!(text(&[parse_matcher(matcher).unwrap()]), expected);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (selector, message) in [
            ("", "selects nothing"),
            ("{}", "selects nothing"),
            ("up{a=b}", "in quotes"),
            ("up{a=\"b}", "not closed"),
            ("up{a=\"b\"", "expected `,` or `}`"),
            ("up{a=\"b\"} x", "expected the end"),
            ("up{=\"b\"}", "label name"),
            ("up{a~\"b\"}", "expected =, !=, =~ or !~"),
            ("up{a=\"\\q\"}", "unknown escape"),
            ("up{a=~\"(\"}", "("),
        ] {
            let error = format!("{:#}", parse_selector(selector).unwrap_err());
            assert!(error.contains(message), "{selector}: {error}");
        }
    }
}
