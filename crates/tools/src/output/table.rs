//! A table that fits its screen: columns of little importance give way first, then the longest cells are cut.

use super::screen::{Screen, Style};

/// Blanks between two columns.
const GAP: usize = 2;
/// A column is not cut below this width.
const MIN_WIDTH: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A column's title and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) align: Align,
    /// When the screen is too narrow the columns with the highest number go first; 0 always stays.
    pub(crate) expendable: u8,
}

impl Column {
    pub(crate) const fn left(title: &'static str, expendable: u8) -> Self {
        Self {
            title,
            align: Align::Left,
            expendable,
        }
    }

    pub(crate) const fn right(title: &'static str, expendable: u8) -> Self {
        Self {
            title,
            align: Align::Right,
            expendable,
        }
    }
}

/// One field of a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            style: Style::Plain,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The lines of the table, title first, each with its line end.
    pub(crate) fn render(&self, screen: Screen) -> String {
        let layout = self.layout(screen.width);
        let mut out = String::new();
        let titles = self
            .columns
            .iter()
            .map(|column| Cell::styled(column.title, Style::Heading));
        self.line(&mut out, &layout.shown, &titles.collect::<Vec<_>>(), screen);
        for row in &self.rows {
            self.line(&mut out, &layout.shown, row, screen);
        }
        if !layout.hidden.is_empty() {
            let note = format!("(no room for {})", layout.hidden.join(", "));
            out.push_str(&screen.paint(Style::Faint, note));
            out.push('\n');
        }
        out
    }

    fn line(&self, out: &mut String, shown: &[(usize, usize)], cells: &[Cell], screen: Screen) {
        let mut pending = 0;
        for &(index, width) in shown {
            let (Some(column), Some(cell)) = (self.columns.get(index), cells.get(index)) else {
                continue;
            };
            let text = cut(&cell.text, width);
            let padding = width - text_width(&text);
            // Blanks are written when something follows them, so that no line ends in one.
            if column.align == Align::Right {
                pending += padding;
            }
            if !text.is_empty() {
                out.extend(std::iter::repeat_n(' ', pending));
                out.push_str(&screen.paint(cell.style, &text));
                pending = 0;
            } else {
                pending += text_width(&text);
            }
            if column.align == Align::Left {
                pending += padding;
            }
            pending += GAP;
        }
        out.push('\n');
    }

    fn layout(&self, limit: Option<usize>) -> Layout {
        let mut shown: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|index| (index, self.natural_width(index)))
            .collect();
        let mut hidden = Vec::new();
        let Some(limit) = limit else {
            return Layout { shown, hidden };
        };
        while total(&shown) > limit {
            let expendable = |&(index, _): &(usize, usize)| {
                self.columns
                    .get(index)
                    .map_or(0, |column| column.expendable)
            };
            let Some(position) = (0..shown.len())
                .max_by_key(|&position| shown.get(position).map_or(0, expendable))
                .filter(|&position| {
                    shown
                        .get(position)
                        .is_some_and(|entry| expendable(entry) > 0)
                })
            else {
                break;
            };
            let (index, _) = shown.remove(position);
            hidden.extend(self.columns.get(index).map(|column| column.title));
        }
        while total(&shown) > limit {
            let Some((_, widest)) = shown.iter_mut().max_by_key(|(_, width)| *width) else {
                break;
            };
            if *widest <= MIN_WIDTH {
                break;
            }
            *widest -= 1;
        }
        Layout { shown, hidden }
    }

    fn natural_width(&self, index: usize) -> usize {
        let title = self
            .columns
            .get(index)
            .map_or(0, |column| text_width(column.title));
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        cells
            .map(|cell| text_width(&cell.text))
            .fold(title, usize::max)
    }
}

/// Which columns are shown, how wide, and which are not.
struct Layout {
    shown: Vec<(usize, usize)>,
    hidden: Vec<&'static str>,
}

fn total(shown: &[(usize, usize)]) -> usize {
    shown
        .iter()
        .map(|(_, width)| width + GAP)
        .sum::<usize>()
        .saturating_sub(GAP)
}

fn text_width(text: &str) -> usize {
    text.chars().count()
}

/// The text, its end replaced by an ellipsis where it is too long.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([
            Column::left("NAME", 0),
            Column::right("COUNT", 1),
            Column::left("LABELS", 0),
        ]);
        table.row(["a".into(), "1".into(), "cluster=eu1".into()]);
        table.row([
            Cell::styled("bb", Style::Good),
            "20,000".into(),
            Cell::default(),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_a_blank() {
        assert_eq!(
            table().render(Screen::plain()),
            "NAME   COUNT  LABELS\n\
             a          1  cluster=eu1\n\
             bb    20,000\n"
        );
    }

    #[test]
    fn narrow_screens_lose_columns_and_then_text() {
        assert_eq!(
            table().render(Screen::terminal(20, false)),
            "NAME  LABELS\n\
             a     cluster=eu1\n\
             bb\n\
             (no room for COUNT)\n"
        );
        let mut long = Table::new([Column::left("NAME", 0)]);
        long.row(["0123456789abcdef".into()]);
        assert_eq!(
            long.render(Screen::terminal(14, false)),
            "NAME\n0123456789abc…\n"
        );
    }

    #[test]
    fn colour_does_not_move_the_columns() {
        let painted = table().render(Screen::terminal(80, true));
        assert!(
            painted.contains("\x1b[32mbb\x1b[0m    20,000\n"),
            "{painted}"
        );
    }
}
