//! Settings as text: environment variables put in, strict YAML read.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, options};

use crate::{Error, Result};

/// Puts the value of an environment variable for every `$(NAME)`, as the reference does. NAME is of
/// letters, digits and `_`; anything else between the parentheses is left as it is. Values are not
/// expanded again.
///
/// # Errors
/// `Invalid`: a variable for which `environment` has no value; the message names it.
pub fn expand_env(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("$(") {
        expanded.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = from
            .split_once(')')
            .filter(|(name, _)| !name.is_empty() && name.chars().all(is_name));
        let Some((name, after)) = name else {
            expanded.push_str("$(");
            rest = from;
            continue;
        };
        let Some(value) = environment(name) else {
            return Err(Error::invalid(format!(
                "$({name}) refers to an environment variable that is not set"
            )));
        };
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Reads the first document; what follows it is ignored, as the reference does. No document is the
/// same as an empty one.
///
/// # Errors
/// `Invalid`: the message says line, column and what is wrong, of an unknown key also which ones
/// are known. It never quotes the text around the place, which may hold secrets.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T> {
    let options = options! { with_snippet: false };
    let mut bytes = text.as_bytes();
    let first = serde_saphyr::read_with_options(&mut bytes, options.clone()).next();
    first
        .unwrap_or_else(|| serde_saphyr::from_str_with_options("{}", options))
        .map_err(|error| Error::invalid(explain(&error)))
}

fn explain(error: &YamlError) -> String {
    let error = error.without_snippet();
    let place = error.location().map_or_else(String::new, |location| {
        format!("line {}, column {}: ", location.line(), location.column())
    });
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => format!(
            "{place}unknown key `{field}`, allowed are {}",
            expected.join(", ")
        ),
        other => format!("{place}{other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn environment_is_put_in() {
        let read = |name: &str| match name {
            "KEY_1" => Some("value $(X)".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let check = |text: &str, want: &str| assert_eq!(expand_env(text, read).unwrap(), want);
        check("a: $(KEY_1)/$(EMPTY)!", "a: value $(X)/!");
        check("$($(KEY_1)", "$(value $(X)");
        for left_alone in [
            "$KEY_1", "${KEY_1}", "$(", "$()", "$(A B)", "$(A-B)", "a$(", "$((x", "$",
        ] {
            check(left_alone, left_alone);
        }
        let error = expand_env("x: $(UNSET_1)", read).unwrap_err();
        assert_eq!(
            error.to_string(),
            "$(UNSET_1) refers to an environment variable that is not set"
        );
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        size: u8,
        name: String,
    }

    #[test]
    fn yaml_is_strict() {
        let read = |text: &str| parse_yaml::<Settings>(text).map_err(|error| error.to_string());
        assert_eq!(read(""), Ok(Settings::default()));
        let (size, name) = (3, String::new());
        assert_eq!(read("size: 3\n---\nsize: x"), Ok(Settings { size, name }));
        assert_eq!(
            read("size: 3\nnmae: secret").unwrap_err(),
            "line 2, column 1: unknown key `nmae`, allowed are size, name"
        );
        let error = read("size: 3\nname: [secret]").unwrap_err();
        assert!(error.starts_with("line 2, column 7: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
