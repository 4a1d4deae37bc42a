//! How Go's `fmt` writes characters in messages.

use rutile_model::quote;

/// What Go shows for the end of the text.
const REPLACEMENT: char = '\u{FFFD}';

/// Go's `%q` of a character; `None` is the end of the text.
pub(super) fn quote_char(c: Option<char>) -> String {
    let c = c.unwrap_or(REPLACEMENT);
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => format!("'{}'", inside_quotes(c)),
    }
}

/// Go's `%#U` of a character: `U+0041 'A'`.
pub(super) fn code_point(c: char) -> String {
    let code = format!("U+{:04X}", u32::from(c));
    let printable = matches!(c, '"' | '\\') || inside_quotes(c) == c.to_string();
    if printable {
        format!("{code} '{c}'")
    } else {
        code
    }
}

/// Go's `%.10q` of a text, with dots: what is too long for a message.
pub(super) fn quote_start(text: &str) -> String {
    let start: String = text.chars().take(10).collect();
    format!("{}...", quote(&start))
}

fn inside_quotes(c: char) -> String {
    let quoted = quote(c.encode_utf8(&mut [0; 4]));
    quoted.trim_matches('"').to_owned()
}
