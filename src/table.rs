//! Tables for people.

/// Rows as columns of text, as wide as their widest cell, with two spaces between; numbers to the right.
pub(crate) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        std::iter::once(head)
            .chain(rows.iter().map(Vec::as_slice))
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<(usize, bool)> = (0..head.len())
        .map(|column| {
            let mut cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .filter(|cell| *cell != "-")
                .peekable();
            let numbers = cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok());
            (width(column), numbers)
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, (width, number))| {
                if *number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let head = ["KEY", "VIEWERS", "HOME"].map(str::to_owned);
        let rows = [
            ["default/live/room", "12", "origin-0"]
                .map(str::to_owned)
                .to_vec(),
            ["default/live/é", "-", ""].map(str::to_owned).to_vec(),
        ];
        assert_eq!(
            table(&head, &rows),
            "KEY                VIEWERS  HOME\n\
             default/live/room       12  origin-0\n\
             default/live/é           -\n"
        );
    }
}
