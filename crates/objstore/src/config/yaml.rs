//! Strict YAML with environment variables.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, options};

/// Puts the values of environment variables for `$(NAME)`, as the reference does: NAME of letters,
/// digits and `_`; anything else between the brackets is left alone.
pub(crate) fn expand(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("$(") {
        expanded.push_str(before);
        let name = from.split_once(')').map_or("", |(name, _)| name);
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_name {
            expanded.push_str("$(");
            rest = from;
            continue;
        }
        let value = environment(name).ok_or_else(|| {
            format!("$({name}) refers to an environment variable that is not set")
        })?;
        expanded.push_str(&value);
        rest = from.get(name.len() + 1..).unwrap_or_default();
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Reads the first document; what follows it is ignored, as the reference does. No document is the
/// same as an empty one.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // The source lines, which a snippet shows, may hold secrets.
    let options = options! { with_snippet: false };
    let mut bytes = text.as_bytes();
    let first = serde_saphyr::read_with_options(&mut bytes, options.clone()).next();
    match first {
        Some(document) => document.map_err(|error| explain(&error)),
        None => serde_saphyr::from_str_with_options("{}", options).map_err(|error| explain(&error)),
    }
}

fn explain(error: &Error) -> String {
    let error = error.without_snippet();
    let place = error.location().map_or_else(String::new, |location| {
        format!("line {}, column {}: ", location.line(), location.column())
    });
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            format!(
                "{place}unknown key `{field}`, allowed are {}",
                expected.join(", ")
            )
        }
        other => format!("{place}{other}"),
    }
}
