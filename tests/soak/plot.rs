//! Small panels of one line each, as SVG without scripts.

use std::fmt::Write as _;

const COLUMNS: usize = 3;
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 130.0;
const MARGIN: f64 = 34.0;

/// Draws each panel's points, (minutes, value); every axis begins at 0.
pub(crate) fn plot(panels: &[(String, Vec<(f64, f64)>)]) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let count = |it: usize| f64::from(u32::try_from(it).unwrap());
    let (width, height) = (WIDTH * count(COLUMNS), HEIGHT * count(rows));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (title, points)) in panels.iter().enumerate() {
        let left = WIDTH * count(index % COLUMNS) + MARGIN;
        let top = HEIGHT * count(index / COLUMNS) + 22.0;
        let (right, bottom) = (left + WIDTH - MARGIN - 12.0, top + HEIGHT - 42.0);
        let x_max = points.iter().map(|it| it.0).fold(1.0, f64::max);
        let y_max = points.iter().map(|it| it.1).fold(1.0, f64::max) * 1.1;
        let line: Vec<String> = points
            .iter()
            .map(|(x, y)| {
                let across = left + x / x_max * (right - left);
                let up = bottom - y / y_max * (bottom - top);
                format!("{across:.1},{up:.1}")
            })
            .collect();
        writeln!(
            svg,
            "<text x=\"{left}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>\n\
             <path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#999999\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>\n\
             <text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{x_max:.0} min</text>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\"/>",
            top - 6.0,
            left - 4.0,
            top + 8.0,
            y_max,
            bottom + 12.0,
            line.join(" ")
        )
        .unwrap();
    }
    svg.push_str("</svg>\n");
    svg
}
