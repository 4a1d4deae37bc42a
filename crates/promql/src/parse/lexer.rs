//! Cuts a query into tokens.
//!
//! What a character means depends on where it is: within braces words are names and `=~` is one
//! token; within brackets only lengths of time are read. The message and the position of an error
//! are those of the reference, which depend on how far it had read; so does this lexer.

use rutile_model::quote;

use super::{
    cursor::{Cursor, is_alpha, is_alphanumeric, is_blank},
    go_text::{code_point, quote_char},
    number,
    token::{Keyword, Kind, Token},
};
use crate::ast::{BinaryOp, Span};

/// Why the text cannot be read any further.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LexError {
    pub(super) span: Span,
    pub(super) message: String,
}

type Lexed = Result<Kind, String>;

#[derive(Debug, Clone)]
pub(super) struct Lexer<'q> {
    pub(super) cursor: Cursor<'q>,
    /// Where the token that is being read starts.
    start: usize,
    /// How many parentheses are open.
    parens: u32,
    in_braces: bool,
    in_brackets: bool,
    /// At the start of brackets, before the first number.
    in_duration: bool,
    got_colon: bool,
    got_duration: bool,
}

impl<'q> Lexer<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self {
            cursor: Cursor::new(text),
            start: 0,
            parens: 0,
            in_braces: false,
            in_brackets: false,
            in_duration: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// The next token. After an error there is none.
    pub(super) fn token(&mut self) -> Result<Token<'q>, LexError> {
        self.skip_blanks();
        let lexed = if self.in_braces {
            self.within_braces()
        } else if self.in_duration {
            self.duration_start()
        } else {
            self.outside()
        };
        let end = self.cursor.at;
        match lexed {
            Ok(kind) => Ok(Token {
                kind,
                span: Span::new(self.start, end),
                text: self.cursor.from(self.start),
            }),
            Err(message) => Err(LexError {
                span: Span::new(self.start, self.cursor.len()),
                message,
            }),
        }
    }

    /// Skips blanks and comments, of which there are none at the start of brackets.
    fn skip_blanks(&mut self) {
        self.cursor.skip_while(is_blank);
        while !self.in_duration && self.cursor.is("#") {
            self.cursor.skip_while(|c| c != '\n' && c != '\r');
            self.cursor.skip_while(is_blank);
        }
        self.start = self.cursor.at;
    }

    fn outside(&mut self) -> Lexed {
        let Some(c) = self.cursor.peek() else {
            return self.end();
        };
        match c {
            '0'..='9' => return self.number_or_duration(),
            '.' if self.cursor.is_fraction() => {
                return self.number_or_duration();
            }
            _ if is_alpha(c) || c == ':' => return self.word(c),
            _ => {}
        }
        self.cursor.next();
        Ok(match c {
            ',' => Kind::Comma,
            '@' => Kind::At,
            '=' => return self.equal(),
            '!' => match self.cursor.next() {
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => {
                    let other = quote_char(other);
                    return Err(format!("unexpected character after '!': {other}"));
                }
            },
            '<' | '>' => self.comparison(c),
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '(' => self.open_paren(),
            ')' => return self.close_paren(),
            '{' => {
                self.in_braces = true;
                Kind::LeftBrace
            }
            '[' => return self.open_bracket(),
            ']' => return self.close_bracket(),
            c => match arithmetic(c) {
                Some(op) => Kind::Operator(op),
                None => return Err(format!("unexpected character: {}", quote_char(Some(c)))),
            },
        })
    }

    fn end(&self) -> Lexed {
        if self.parens != 0 {
            return Err("unclosed left parenthesis".to_owned());
        }
        if self.in_brackets {
            return Err("unclosed left bracket".to_owned());
        }
        Ok(Kind::End)
    }

    fn equal(&mut self) -> Lexed {
        match self.cursor.peek() {
            Some('=') => {
                self.cursor.next();
                Ok(Kind::Operator(BinaryOp::Equal))
            }
            Some('~') => Err("unexpected character after '=': '~'".to_owned()),
            _ => Ok(Kind::Equal),
        }
    }

    fn comparison(&mut self, c: char) -> Kind {
        let (plain, or_equal, trim) = if c == '<' {
            (BinaryOp::Less, BinaryOp::LessOrEqual, BinaryOp::TrimUpper)
        } else {
            (
                BinaryOp::Greater,
                BinaryOp::GreaterOrEqual,
                BinaryOp::TrimLower,
            )
        };
        Kind::Operator(if self.cursor.accept("=") {
            or_equal
        } else if self.cursor.accept("/") {
            trim
        } else {
            plain
        })
    }

    fn open_paren(&mut self) -> Kind {
        self.parens = self.parens.saturating_add(1);
        Kind::LeftParen
    }

    fn close_paren(&mut self) -> Lexed {
        let Some(left) = self.parens.checked_sub(1) else {
            self.start = self.cursor.at;
            return Err("unexpected right parenthesis ')'".to_owned());
        };
        self.parens = left;
        Ok(Kind::RightParen)
    }

    fn open_bracket(&mut self) -> Lexed {
        if self.in_brackets {
            return Err("unexpected left bracket '['".to_owned());
        }
        self.got_colon = false;
        self.in_brackets = true;
        self.in_duration = true;
        Ok(Kind::LeftBracket)
    }

    fn close_bracket(&mut self) -> Lexed {
        if !self.in_brackets {
            return Err("unexpected right bracket ']'".to_owned());
        }
        self.in_brackets = false;
        self.in_duration = false;
        Ok(Kind::RightBracket)
    }

    /// A word outside of brackets; within, a colon or one of the words that go with durations.
    fn word(&mut self, first: char) -> Lexed {
        if self.in_brackets {
            return self.word_in_brackets(first);
        }
        self.cursor.skip_while(|c| is_alphanumeric(c) || c == ':');
        let kind = Kind::of_word(self.cursor.from(self.start));
        let must_be_called = matches!(
            kind,
            Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)
        );
        let called = || {
            self.cursor
                .rest()
                .trim_start_matches(is_blank)
                .starts_with('(')
        };
        if must_be_called && !called() {
            return Ok(Kind::Identifier);
        }
        Ok(kind)
    }

    fn word_in_brackets(&mut self, first: char) -> Lexed {
        if first == ':' {
            if self.got_colon {
                self.cursor.next();
                return Err("unexpected colon ':'".to_owned());
            }
            self.cursor.next();
            self.got_colon = true;
            return Ok(Kind::Colon);
        }
        self.duration_word().ok_or_else(|| {
            format!(
                "unexpected character: {}, expected ':'",
                quote_char(Some(first))
            )
        })
    }

    fn duration_word(&mut self) -> Option<Kind> {
        self.cursor.skip_while(is_alpha);
        Kind::of_duration_word(&self.cursor.from(self.start).to_ascii_lowercase())
    }

    /// Within brackets, before the first number.
    fn duration_start(&mut self) -> Lexed {
        let unexpected = |c| {
            let c = quote_char(Some(c));
            Err(format!("unexpected character in duration expression: {c}"))
        };
        let Some(c) = self.cursor.peek() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        match c {
            '0'..='9' => return self.first_number(),
            '.' if self.cursor.is_fraction() => {
                return self.first_number();
            }
            's' | 'r' | 'm' | 'S' | 'R' | 'M' => {
                return self.duration_word().map_or_else(|| unexpected(c), Ok);
            }
            _ => {}
        }
        self.cursor.next();
        match c {
            ']' => {
                self.got_colon = false;
                self.close_bracket()
            }
            ':' => self.duration_colon(),
            '(' => Ok(self.open_paren()),
            ')' => self.close_paren(),
            ',' => Ok(Kind::Comma),
            c => arithmetic(c).map_or_else(|| unexpected(c), |op| Ok(Kind::Operator(op))),
        }
    }

    fn first_number(&mut self) -> Lexed {
        self.got_duration = true;
        self.in_duration = false;
        self.number_or_duration()
    }

    fn duration_colon(&mut self) -> Lexed {
        let problem = if !self.got_duration {
            "unexpected colon before duration in duration expression"
        } else if self.got_colon {
            "unexpected repeated colon in duration expression"
        } else {
            self.got_colon = true;
            return Ok(Kind::Colon);
        };
        self.start = self.cursor.at;
        Err(problem.to_owned())
    }

    fn number_or_duration(&mut self) -> Lexed {
        if number::scan_number(&mut self.cursor) {
            return Ok(Kind::Number);
        }
        if number::scan_duration(&mut self.cursor) {
            return Ok(Kind::Duration);
        }
        let read = quote(self.cursor.from(self.start));
        Err(format!("bad number or duration syntax: {read}"))
    }

    fn within_braces(&mut self) -> Lexed {
        let Some(c) = self.cursor.next() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        Ok(match c {
            ',' => Kind::Comma,
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '=' if self.cursor.accept("~") => Kind::EqualRegex,
            '=' => Kind::Equal,
            '!' => match self.cursor.next() {
                Some('~') => Kind::NotRegex,
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => {
                    let other = quote_char(other);
                    return Err(format!(
                        "unexpected character after '!' inside braces: {other}"
                    ));
                }
            },
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.in_braces = false;
                Kind::RightBrace
            }
            c if is_alpha(c) => {
                self.cursor.skip_while(is_alphanumeric);
                Kind::Identifier
            }
            c => {
                let c = quote_char(Some(c));
                return Err(format!("unexpected character inside braces: {c}"));
            }
        })
    }

    /// What follows the opening quote.
    fn string(&mut self, quote: char) -> Lexed {
        loop {
            match self.cursor.next() {
                Some('\\') => self.escape(quote)?,
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Lexed {
        loop {
            match self.cursor.next() {
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None => return Err("unterminated raw string".to_owned()),
                Some('`') => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, quote: char) -> Result<(), String> {
        let not_terminated = || "escape sequence not terminated".to_owned();
        let c = self.cursor.peek().ok_or_else(not_terminated)?;
        let (digits, radix, max) = match c {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => (0, 8, 0),
            c if c == quote => (0, 8, 0),
            '0'..='7' => (3, 8, 0xFF),
            'x' => (2, 16, 0xFF),
            'u' => (4, 16, u32::from(char::MAX)),
            'U' => (8, 16, u32::from(char::MAX)),
            c => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        if !c.is_ascii_digit() {
            self.cursor.next();
        }
        let mut value = 0_u32;
        for _ in 0..digits {
            let c = self.cursor.next().ok_or_else(not_terminated)?;
            let digit = c
                .to_digit(radix)
                .ok_or_else(|| format!("illegal character {} in escape sequence", code_point(c)))?;
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if value > max || (0xD800..0xE000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

fn arithmetic(c: char) -> Option<BinaryOp> {
    Some(match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}
