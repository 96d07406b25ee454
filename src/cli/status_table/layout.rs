//! Lays a table out: columns that fit the width of a terminal, and lines of cells.
//!
//! The contents of cells are its caller's.

use super::super::render::Terminal;
use super::super::text::{Align, cut, pad, width};

/// One column of the table.
pub(super) struct Column {
    head: &'static str,
    /// Those with the highest number go first when there is no room; 0 always stays.
    rank: u8,
    align: Align,
    cells: Vec<String>,
}

impl Column {
    pub(super) const fn new(head: &'static str, rank: u8, align: Align, cells: Vec<String>) -> Self {
        Self {
            head,
            rank,
            align,
            cells,
        }
    }
}

fn column_width(column: &Column) -> usize {
    let cells = column.cells.iter().map(|cell| width(cell));
    cells.max().unwrap_or(0).max(column.head.len())
}

/// Takes columns out until the table is no wider than the terminal.
fn fit(columns: &mut Vec<Column>, max_width: usize) {
    loop {
        let total: usize = columns.iter().map(|column| column_width(column) + 2).sum();
        if total <= max_width + 2 {
            return;
        }
        let ranks = columns.iter().map(|column| column.rank);
        let Some(rank) = ranks.max().filter(|rank| *rank > 0) else {
            return cut_names(columns, total - max_width - 2, max_width);
        };
        if let Some(at) = columns.iter().rposition(|column| column.rank == rank) {
            columns.remove(at);
        }
    }
}

/// Nothing is left to take out: names give what is missing, and on the narrowest terminals the last columns go.
fn cut_names(columns: &mut Vec<Column>, over: usize, max_width: usize) {
    if let Some(first) = columns.first_mut() {
        let max_columns = column_width(first).saturating_sub(over).max(7);
        for cell in &mut first.cells {
            *cell = cut(cell, max_columns);
        }
    }
    let total = |columns: &[Column]| {
        columns
            .iter()
            .map(|column| column_width(column) + 2)
            .sum::<usize>()
    };
    while columns.len() > 2 && total(columns) > max_width + 2 {
        columns.pop();
    }
}

/// The table's lines, one by one.
pub(super) struct Lines {
    columns: Vec<Column>,
    widths: Vec<usize>,
    colour: bool,
}

impl Lines {
    /// The lines of these columns; on a terminal, of those that fit.
    pub(super) fn new(mut columns: Vec<Column>, terminal: Option<Terminal>) -> Self {
        if let Some(terminal) = terminal {
            fit(&mut columns, terminal.columns);
        }
        Self {
            widths: columns.iter().map(column_width).collect(),
            columns,
            colour: terminal.is_some_and(|terminal| terminal.colour),
        }
    }

    pub(super) fn head(&self) -> String {
        let line = self.line(|column| column.head.to_owned());
        if self.colour {
            format!("\x1b[1m{line}\x1b[0m")
        } else {
            line
        }
    }

    pub(super) fn row(&self, row: usize) -> String {
        self.line(|column| column.cells.get(row).cloned().unwrap_or_default())
    }

    pub(super) fn dim(&self, text: &str) -> String {
        if self.colour {
            format!("\x1b[2m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, cell: impl Fn(&Column) -> String) -> String {
        let mut line = String::new();
        for (column, &width) in self.columns.iter().zip(&self.widths) {
            let cell = cell(column);
            let padded = pad(&cell, width, column.align);
            match shade(&cell).filter(|_| self.colour && column.head == "state") {
                Some(shade) => line.push_str(&format!("\x1b[{shade}m{padded}\x1b[0m")),
                None => line.push_str(&padded),
            }
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    }
}

/// The colour of a state.
fn shade(state: &str) -> Option<u8> {
    match state {
        // Nobody checks the server's certificate.
        _ if state.ends_with("(insecure)") => Some(31),
        "open" => Some(32),
        "connecting" | "waiting" => Some(33),
        "failed" | "unauthorized" => Some(31),
        "paused" | "closed" => Some(2),
        _ => None,
    }
}
