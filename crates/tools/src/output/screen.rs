//! What standard output is: its width, and whether it shows colour.

use std::fmt::Display;
use std::io::IsTerminal;

/// What to make stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    #[default]
    Plain,
    Heading,
    Faint,
    Good,
    Warning,
    Bad,
}

impl Style {
    /// The SGR parameter that switches the style on.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warning => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// Where a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns; `None` when the output is not a terminal, and nothing needs to be cut.
    pub(crate) width: Option<usize>,
    colour: bool,
}

impl Screen {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self::of(std::io::stdout().is_terminal(), width)
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(std::io::stderr().is_terminal(), None)
    }

    /// `NO_COLOR` and `TERM=dumb` switch colour off.
    fn of(is_terminal: bool, width: Option<usize>) -> Self {
        if !is_terminal {
            return Self::plain();
        }
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            width,
            colour: !refused && !dumb,
        }
    }

    /// A file or a pipe.
    pub(crate) const fn plain() -> Self {
        Self {
            width: None,
            colour: false,
        }
    }

    #[cfg(test)]
    pub(crate) const fn terminal(width: usize, colour: bool) -> Self {
        Self {
            width: Some(width),
            colour,
        }
    }

    /// `text` in a style, if the screen has colour.
    pub(crate) fn paint(self, style: Style, text: impl Display) -> String {
        match style.code() {
            Some(code) if self.colour => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_string(),
        }
    }
}
