//! Separated values as Go's `encoding/csv` writes them, which the reference uses.

/// One line. A field with the separator, a quote, a line end or a leading blank is quoted.
pub(crate) fn line<S: AsRef<str>>(fields: &[S], separator: char) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| quote(field.as_ref(), separator))
        .collect();
    let mut line = fields.join(&separator.to_string());
    line.push('\n');
    line
}

fn quote(field: &str, separator: char) -> String {
    let special = |c: char| c == separator || matches!(c, '"' | '\r' | '\n');
    if field == r"\." || field.contains(special) || field.starts_with(char::is_whitespace) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_needed() {
        assert_eq!(
            line(&["a", "b,c", "d\"e", " f", ""], ','),
            "a,\"b,c\",\"d\"\"e\",\" f\",\n"
        );
        assert_eq!(line(&["a", "b,c"], '\t'), "a\tb,c\n");
    }
}
