//! Tables for people: no frames, at most 100 columns but for sentences, colour only where asked for.

use comfy_table::{ColumnConstraint, ContentArrangement, presets};
use std::fmt::Write;

/// Blanks between columns.
const GAP: u16 = 2;
/// A column that is wrapped keeps this much room.
const WRAPPED_MIN: usize = 14;

/// Headings of columns that hold sentences.
const SENTENCES: [&str; 3] = ["COMMAND", "DETAIL", "MESSAGE"];

/// How a text stands out. Colour is never the only sign: the text says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
    Faint,
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// As wanted.
    pub fn good(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Good }
    }
    /// On its way, or in part.
    pub fn warning(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Warning }
    }
    /// Not as wanted.
    pub fn bad(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Bad }
    }
    /// Beside the matter.
    pub fn faint(text: impl ToString) -> Self {
        Self { text: text.to_string(), tone: Tone::Faint }
    }

    /// The text with its colour.
    pub fn paint(&self, color: bool) -> String {
        let code = match self.tone {
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
            Tone::Plain => return self.text.clone(),
        };
        if color { format!("\x1b[{code}m{}\x1b[0m", self.text) } else { self.text.clone() }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|h| h.to_uppercase()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Does its last column hold sentences? It takes the rest of the terminal then, however wide that is.
    pub fn ends_in_sentences(&self) -> bool {
        self.head.last().is_some_and(|head| SENTENCES.contains(&head.as_str()))
    }

    /// A last column of sentences is cut where the line ends: `--format json` and `lace why` have them whole.
    fn cut(&mut self, columns: u16) {
        let Some(last) = self.head.len().checked_sub(1).filter(|_| self.ends_in_sentences()) else { return };
        let width = |column: usize| {
            let cells =
                self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.max().unwrap_or(0).max(self.head[column].chars().count()) + usize::from(GAP)
        };
        let taken: usize = (0..last).map(width).sum();
        let room = usize::from(columns).saturating_sub(taken + usize::from(GAP)).max(WRAPPED_MIN);
        for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(last)) {
            cell.text = one_line(&cell.text, room);
        }
    }

    /// The table as text.
    pub fn render(mut self, columns: u16, color: bool) -> String {
        self.cut(columns);
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(columns)
            .set_header(self.head);
        table.force_no_tty();
        if color {
            table.enforce_styling();
        }
        for row in self.rows {
            table.add_row(row.into_iter().map(styled));
        }
        let whole = unbroken(&table.column_max_content_widths(), columns);
        for (column, whole) in table.column_iter_mut().zip(whole) {
            column.set_padding((0, GAP));
            if whole {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table.lines().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    }
}

fn one_line(text: &str, room: usize) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= room {
        return text;
    }
    let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// Which columns keep their lines in one piece, so that names and ids can be copied: the first, then the narrow ones, as
/// long as the others keep some room.
fn unbroken(widths: &[u16], columns: u16) -> Vec<bool> {
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by_key(|index| (*index != 0, widths[*index]));
    let mut whole = vec![false; widths.len()];
    let mut room = usize::from(columns);
    for (done, index) in order.into_iter().enumerate() {
        let others = (widths.len() - done - 1) * WRAPPED_MIN;
        let width = usize::from(widths[index] + GAP);
        if index != 0 && width + others > room {
            break;
        }
        whole[index] = true;
        room = room.saturating_sub(width);
    }
    whole
}

fn styled(cell: Cell) -> comfy_table::Cell {
    use comfy_table::{Attribute, Color};
    let styled = comfy_table::Cell::new(cell.text);
    match cell.tone {
        Tone::Plain => styled,
        Tone::Good => styled.fg(Color::Green),
        Tone::Warning => styled.fg(Color::Yellow),
        Tone::Bad => styled.fg(Color::Red),
        Tone::Faint => styled.add_attribute(Attribute::Dim),
    }
}
