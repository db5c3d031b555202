//! One line of a CSV file and its cells: `;` between them, `"…"` around those with `;`, quotation marks or line breaks.

/// Why a line cannot be taken apart; columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellsError {
    /// A quotation mark is not closed: the record goes on in the next line, or it is a slip.
    Open(usize),
    /// Something follows a closing quotation mark.
    AfterQuote(usize),
}

/// Takes a line apart. Spaces around a cell do not count.
pub(super) fn split(line: &str) -> Result<Vec<String>, CellsError> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let column = cells.len() + 1;
        let start = rest.trim_start_matches([' ', '\t']);
        let (cell, next) = match start.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted, column)?,
            None => rest
                .split_once(';')
                .map_or((rest.trim().to_string(), None), |(cell, next)| (cell.trim().to_string(), Some(next))),
        };
        cells.push(cell);
        match next {
            Some(next) => rest = next,
            None => return Ok(cells),
        }
    }
}

/// Takes a cell whose opening quotation mark is gone, and what comes after its `;`.
fn take_quoted(mut rest: &str, column: usize) -> Result<(String, Option<&str>), CellsError> {
    let mut cell = String::new();
    loop {
        let (text, after) = rest.split_once('"').ok_or(CellsError::Open(column))?;
        cell.push_str(text);
        if let Some(doubled) = after.strip_prefix('"') {
            cell.push('"');
            rest = doubled;
            continue;
        }
        let after = after.trim_start_matches([' ', '\t']);
        return match after.strip_prefix(';') {
            Some(next) => Ok((cell.trim().to_string(), Some(next))),
            None if after.is_empty() => Ok((cell.trim().to_string(), None)),
            None => Err(CellsError::AfterQuote(column)),
        };
    }
}

/// Writes cells as a line.
pub(super) fn join<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |cell: &str| {
        let plain = !cell.contains([';', '"', '\n', '\r']) && cell.trim() == cell;
        if plain { cell.to_string() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    };
    cells.into_iter().map(quoted).collect::<Vec<_>>().join(";")
}
