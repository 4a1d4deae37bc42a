//! Parser of Go's regular expression syntax (`regexp/syntax` with its Perl flags), to a [`Hir`].
//!
//! Accepts and refuses exactly what Go does, with Go's wording, and gives every construct Go's
//! meaning: ASCII `\d \s \w \b`, no set operations in classes, octal escapes, `\Q…\E`, a literal
//! `{` where no repetition can be read. What a compiled program may cost is not its business, but
//! for the size of classes.

mod class;
mod error;
mod escape;
mod group;
mod repeat;
mod unicode;

pub(crate) use error::SyntaxError;
pub(super) use error::{Code, Refusal};
pub(crate) use unicode::{is_word, printable};

use regex_syntax::hir::{self, Class, ClassUnicode, Hir, Look};

use super::patterns::Room;

/// The height of the tree bounds our recursion and that of the compiler. Go's limit is 1000, which
/// overflows the stacks of our threads; nobody writes such patterns.
const MAX_HEIGHT: u32 = 100;

/// What a pattern means.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Its meaning, without anchors of our own.
    pub(crate) hir: Hir,
    /// Names of the groups, by number; 0 is the whole match. Go lets two have the same name.
    pub(crate) group_names: Vec<Option<String>>,
}

/// The flags that a pattern can change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flags {
    /// `i`
    fold_case: bool,
    /// Not `m`: `^` and `$` match only at the ends of the text.
    one_line: bool,
    /// `s`
    dot_matches_newline: bool,
    /// `U`
    non_greedy: bool,
}

impl Flags {
    /// Go's `syntax.Perl`, the default of `regexp.Compile`.
    pub(crate) const PERL: Self = Self {
        fold_case: false,
        one_line: true,
        dot_matches_newline: false,
        non_greedy: false,
    };

    /// Go's `syntax.Perl|syntax.DotNL`, with which Prometheus parses matchers.
    pub(crate) const PERL_DOT_NL: Self = Self {
        dot_matches_newline: true,
        ..Self::PERL
    };
}

/// Parses `pattern`. Groups become captures only if `capturing`.
///
/// # Errors
///
/// What Go refuses, with the place in `pattern`; classes for which there is no room.
pub(crate) fn parse(
    pattern: &str,
    flags: Flags,
    capturing: bool,
    room: &mut Room,
) -> Result<Parsed, SyntaxError> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        flags,
        capturing,
        group_names: vec![None],
        frames: vec![Frame::default()],
        last_repeat: None,
        room: *room,
    };
    let parsed = parser.run();
    *room = parser.room;
    parsed.map_err(|refusal| refusal.into_error(pattern))
}

/// A parsed part, with what the limits of nesting need.
#[derive(Debug, Clone)]
struct Node {
    hir: Hir,
    /// Height of the tree in Go's counting.
    height: u32,
    /// The largest product of nested repetition counts.
    repeats: u64,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self {
            hir,
            height: 1,
            repeats: 1,
        }
    }

    /// A node over `subs`, which are combined by `combine` if there is not just one.
    fn over(mut subs: Vec<Self>, combine: impl FnOnce(Vec<Hir>) -> Hir) -> Self {
        if subs.len() == 1 {
            return subs.remove(0);
        }
        let height = 1 + subs.iter().map(|s| s.height).max().unwrap_or(0);
        let repeats = subs.iter().map(|s| s.repeats).max().unwrap_or(1);
        let hir = combine(subs.into_iter().map(|s| s.hir).collect());
        Self {
            hir,
            height,
            repeats,
        }
    }
}

/// An open group; the first one is the whole pattern.
#[derive(Debug, Default)]
struct Frame {
    /// The finished alternatives.
    alternatives: Vec<Node>,
    /// The parts of the alternative that is being read.
    parts: Vec<Node>,
    /// The number of a capturing group.
    capture: Option<u32>,
    /// The flags to go back to at its end.
    outer_flags: Option<Flags>,
}

impl Frame {
    fn end_alternative(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        self.alternatives.push(Node::over(parts, Hir::concat));
    }

    fn finish(mut self) -> Node {
        self.end_alternative();
        Node::over(self.alternatives, Hir::alternation)
    }
}

struct Parser<'p> {
    whole: &'p str,
    /// What is still to be read.
    rest: &'p str,
    flags: Flags,
    capturing: bool,
    group_names: Vec<Option<String>>,
    /// Never empty.
    frames: Vec<Frame>,
    /// Where the repetition operator that was read last began, if nothing followed it.
    last_repeat: Option<&'p str>,
    /// For classes: a few letters stand for some thousand bytes of them.
    room: Room,
}

type Parse<'p, T> = Result<T, Refusal<'p>>;

impl<'p> Parser<'p> {
    fn run(&mut self) -> Parse<'p, Parsed> {
        while let Some(c) = self.rest.chars().next() {
            let repeat = self.step(c)?;
            self.last_repeat = repeat;
        }
        let frame = self.frames.pop().unwrap_or_default();
        if !self.frames.is_empty() {
            return Err(Refusal::new(Code::MissingParen, self.whole));
        }
        let node = self.checked(frame.finish())?;
        Ok(Parsed {
            hir: node.hir,
            group_names: std::mem::take(&mut self.group_names),
        })
    }

    /// Reads one construct, which begins with `c`. Returns where it began if it was a repetition.
    fn step(&mut self, c: char) -> Parse<'p, Option<&'p str>> {
        match c {
            '(' if self.rest.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.skip(1);
                self.open_capture(None)?;
            }
            '|' => {
                self.skip(1);
                self.frame().end_alternative();
            }
            ')' => self.close_group()?,
            '^' => {
                self.skip(1);
                self.push_look(if self.flags.one_line {
                    Look::Start
                } else {
                    Look::StartLF
                })?;
            }
            '$' => {
                self.skip(1);
                self.push_look(if self.flags.one_line {
                    Look::End
                } else {
                    Look::EndLF
                })?;
            }
            '.' => {
                self.skip(1);
                self.push_class(any(self.flags.dot_matches_newline))?;
            }
            '[' => self.bracket_class()?,
            '*' | '+' | '?' => return self.repeat_operator(c).map(Some),
            '{' => return self.counted_repeat(),
            '\\' => self.backslash()?,
            _ => {
                self.skip(c.len_utf8());
                self.push_rune(u32::from(c))?;
            }
        }
        Ok(None)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn push(&mut self, node: Node) -> Parse<'p, ()> {
        let node = self.checked(node)?;
        self.frame().parts.push(node);
        Ok(())
    }

    fn checked(&self, node: Node) -> Parse<'p, Node> {
        if node.height > MAX_HEIGHT {
            return Err(Refusal::new(Code::NestingDepth, self.whole));
        }
        Ok(node)
    }

    fn push_look(&mut self, look: Look) -> Parse<'p, ()> {
        self.push(Node::leaf(Hir::look(look)))
    }

    fn push_class(&mut self, class: ClassUnicode) -> Parse<'p, ()> {
        self.take_room(&class)?;
        self.push(Node::leaf(Hir::class(Class::Unicode(class))))
    }

    fn take_room(&mut self, class: &ClassUnicode) -> Parse<'p, ()> {
        if self.room.take(size_of_val(class.ranges())) {
            return Ok(());
        }
        Err(Refusal::new(Code::TooLarge, self.whole))
    }

    /// Pushes one code point, in all its cases if they are folded.
    fn push_rune(&mut self, rune: u32) -> Parse<'p, ()> {
        // Go turns a surrogate into this one when it makes text of it.
        let c = char::from_u32(rune).unwrap_or(char::REPLACEMENT_CHARACTER);
        if self.flags.fold_case {
            return self.push_class(unicode::folded(c));
        }
        self.push(Node::leaf(Hir::literal(
            c.encode_utf8(&mut [0; 4]).as_bytes(),
        )))
    }
}

/// The class of `.`
fn any(with_newline: bool) -> ClassUnicode {
    let range = hir::ClassUnicodeRange::new;
    if with_newline {
        ClassUnicode::new([range('\0', char::MAX)])
    } else {
        ClassUnicode::new([range('\0', '\x09'), range('\x0B', char::MAX)])
    }
}
