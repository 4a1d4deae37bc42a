//! Regular expressions with groups, and templates that refer to them, as Go expands them.

use regex_automata::{
    Anchored, Input, meta, nfa::thompson::WhichCaptures, util::captures::Captures,
};

use super::{Flags, Room, engine, syntax};

/// A compiled regular expression that remembers what its groups matched.
#[derive(Debug, Clone)]
pub struct CapturingRegex {
    engine: meta::Regex,
    group_names: Vec<Option<String>>,
}

impl CapturingRegex {
    /// Compiles `pattern`, which is matched against a whole value.
    ///
    /// # Errors
    ///
    /// The pattern is not of Go's syntax, or its program is too large.
    pub fn new(pattern: &str) -> crate::Result<Self> {
        Self::within(pattern, &mut Room::default())
    }

    pub(super) fn within(pattern: &str, room: &mut Room) -> crate::Result<Self> {
        let parsed = syntax::parse(pattern, Flags::PERL_DOT_NL, true, room)?;
        let engine = engine(pattern, parsed.hir, WhichCaptures::All, room)?;
        Ok(Self {
            engine,
            group_names: parsed.group_names,
        })
    }

    /// Matches `value`; yields the expansion of templates.
    #[must_use]
    pub fn match_whole<'v>(&self, value: &'v str) -> Option<Match<'_, 'v>> {
        let mut groups = self.engine.create_captures();
        self.engine
            .captures(Input::new(value).anchored(Anchored::Yes), &mut groups);
        groups.is_match().then_some(Match {
            regex: self,
            value,
            groups,
        })
    }
}

/// A value and what the groups matched in it.
#[derive(Debug)]
pub struct Match<'r, 'v> {
    regex: &'r CapturingRegex,
    value: &'v str,
    groups: Captures,
}

impl<'v> Match<'_, 'v> {
    /// `template` with its variables replaced; unknown and unmatched ones become empty.
    #[must_use]
    pub fn expand(&self, template: &Template) -> String {
        let pieces = template.pieces.iter();
        pieces.map(|piece| self.value_of(piece)).collect()
    }

    /// How many bytes [`Self::expand`] would yield: to ask before, where it may be too many.
    #[must_use]
    pub fn expanded_len(&self, template: &Template) -> usize {
        let lengths = template
            .pieces
            .iter()
            .map(|piece| self.value_of(piece).len());
        lengths.fold(0, usize::saturating_add)
    }

    fn value_of<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Text(text) => text,
            Piece::Number(number) => self.group(*number).unwrap_or_default(),
            Piece::Name(name) => {
                // Of groups with the same name the first that took part counts.
                let numbers = self.regex.group_names.iter().enumerate();
                let mut named = numbers.filter(|(_, n)| n.as_ref() == Some(name));
                named.find_map(|(n, _)| self.group(n)).unwrap_or_default()
            }
        }
    }

    fn group(&self, number: usize) -> Option<&'v str> {
        self.groups
            .get_group(number)
            .and_then(|span| self.value.get(span.range()))
    }
}

/// A text with variables: `$1`, `$name`, `${name}`, `$$` for a dollar.
///
/// A name is the longest run of letters, digits and `_`: `$1x` is `${1x}`, not `${1}x`.
#[derive(Debug, Clone)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    /// Reads a template: every text is one.
    #[must_use]
    pub fn new(template: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('$') {
            pieces.push(Piece::Text(text.to_owned()));
            rest = after;
            if let Some(after) = after.strip_prefix('$') {
                pieces.push(Piece::Text("$".to_owned()));
                rest = after;
            } else if let Some((name, after)) = variable(after) {
                pieces.push(Piece::variable(name));
                rest = after;
            } else {
                pieces.push(Piece::Text("$".to_owned()));
            }
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self { pieces }
    }
}

impl Piece {
    fn variable(name: &str) -> Self {
        let is_number = name.bytes().all(|b| b.is_ascii_digit())
            && (name == "0" || !name.starts_with('0'))
            && name.len() <= 9;
        match name.parse() {
            Ok(number) if is_number => Self::Number(number),
            _ => Self::Name(name.to_owned()),
        }
    }
}

/// Reads `name` or `{name}`, which must not be empty, off the text after a dollar.
fn variable(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let end = text
        .find(|c: char| !syntax::is_word(c))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = if braced.is_some() {
        rest.strip_prefix('}')?
    } else {
        rest
    };
    (!name.is_empty()).then_some((name, rest))
}
