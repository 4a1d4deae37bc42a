//! JSON as Go's encoder writes it, from what `serde_json` writes.
//!
//! Two differences matter: Go escapes `<`, `>`, `&`, U+2028 and U+2029 inside strings, and it
//! indents with the string it is told. Neither character can stand outside a string in valid JSON,
//! so both are done in one pass over compact (or any) JSON text.

use serde::Serialize;

/// `json.Marshal`: no white space, HTML characters escaped.
pub(crate) fn compact(value: &impl Serialize) -> Vec<u8> {
    render(&encode(value), Layout::Compact)
}

/// `json.MarshalIndent` with one TAB for each level, without a trailing newline.
pub(crate) fn indented(value: &impl Serialize) -> Vec<u8> {
    render(&encode(value), Layout::Tabs)
}

/// Deeper levels are indented no further, so that hostile nesting cannot blow up its own rendering.
const MAX_INDENT: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Compact,
    Tabs,
}

#[expect(
    clippy::expect_used,
    reason = "maps have string keys and writing to memory cannot fail"
)]
fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("metadata is always representable as JSON")
}

fn render(json: &[u8], layout: Layout) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + json.len() / 4);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut rest = json;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if in_string {
            in_string = copy_string_byte(byte, &mut rest, &mut out);
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'{' | b'[' => {
                out.push(byte);
                let next = rest.iter().position(|b| !b.is_ascii_whitespace());
                match next.and_then(|at| rest.split_at_checked(at)) {
                    Some((_, [close @ (b'}' | b']'), after @ ..])) => {
                        out.push(*close);
                        rest = after;
                    }
                    _ => {
                        depth += 1;
                        new_line(layout, depth, &mut out);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(layout, depth, &mut out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(layout, depth, &mut out);
            }
            b':' if layout == Layout::Tabs => out.extend_from_slice(b": "),
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            other => out.push(other),
        }
    }
    out
}

/// Copies one character of a string; false at the string's end.
fn copy_string_byte(byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) -> bool {
    match (byte, *rest) {
        (b'"', _) => {
            out.push(byte);
            return false;
        }
        (b'\\', [escaped, tail @ ..]) => {
            out.extend_from_slice(&[byte, *escaped]);
            *rest = tail;
        }
        (b'<', _) => out.extend_from_slice(b"\\u003c"),
        (b'>', _) => out.extend_from_slice(b"\\u003e"),
        (b'&', _) => out.extend_from_slice(b"\\u0026"),
        (0xE2, [0x80, 0xA8, tail @ ..]) => {
            out.extend_from_slice(b"\\u2028");
            *rest = tail;
        }
        (0xE2, [0x80, 0xA9, tail @ ..]) => {
            out.extend_from_slice(b"\\u2029");
            *rest = tail;
        }
        _ => out.push(byte),
    }
    true
}

fn new_line(layout: Layout, depth: usize, out: &mut Vec<u8>) {
    if layout == Layout::Tabs {
        out.push(b'\n');
        out.resize(out.len() + depth.min(MAX_INDENT), b'\t');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn indents_like_go() {
        let value = json!({"a": [], "b": {}, "c": [1, "x:y,{", {"d": null}], "e": "\\\""});
        let expected = "{\n\t\"a\": [],\n\t\"b\": {},\n\t\"c\": [\n\t\t1,\n\t\t\"x:y,{\",\n\t\t{\n\t\t\t\"d\": null\n\t\t}\n\t],\n\t\"e\": \"\\\\\\\"\"\n}";
        assert_eq!(text(indented(&value)), expected);
        // Indenting twice changes nothing, so raw parts may keep their own white space.
        assert_eq!(text(render(expected.as_bytes(), Layout::Tabs)), expected);
        assert_eq!(
            text(render(b"{\"a\" : [ ] , \"b\":{\n}}", Layout::Tabs)),
            "{\n\t\"a\": [],\n\t\"b\": {}\n}"
        );
    }

    #[test]
    fn escapes_like_go() {
        let value = json!({"k": "<a>&\u{2028}\u{2029}\u{2027}\u{1}\u{8}\u{c}\n\u{7f}é"});
        let expected =
            "{\"k\":\"\\u003ca\\u003e\\u0026\\u2028\\u2029\u{2027}\\u0001\\b\\f\\n\u{7f}é\"}";
        assert_eq!(text(compact(&value)), expected);
    }
}
