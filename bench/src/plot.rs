//! A plot of cost against latency, as SVG without scripts.

use std::fmt::Write as _;

/// A point of a line.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) label: String,
    /// Milliseconds.
    pub(crate) x: f64,
    /// Core-seconds for a gigabyte.
    pub(crate) y: f64,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<Point>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 4] = ["#777777", "#1f6feb", "#c2410c", "#15803d"];

/// Draws `series`; the x axis is logarithmic from 0.1 ms on, the y axis begins at 0.
pub(crate) fn plot(title: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|s| &s.points);
    let x_max = all().map(|p| p.x).fold(1.0, f64::max) * 1.3;
    let y_max = all().map(|p| p.y).fold(0.1, f64::max) * 1.1;
    let x = |value: f64| {
        let share = (value.max(0.1) / 0.1).ln() / (x_max / 0.1).ln();
        MARGIN + share * (WIDTH - 2.0 * MARGIN)
    };
    let y = |value: f64| HEIGHT - MARGIN - value / y_max * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    let (left, right, bottom) = (MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN);
    for mark in [0.1, 1.0, 10.0, 100.0, 1_000.0] {
        if mark > x_max {
            continue;
        }
        let at = x(mark);
        line(format!(
            "<path d=\"M{at:.1} {MARGIN}V{bottom}\" stroke=\"#dddddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{mark}</text>",
            bottom + 16.0
        ));
    }
    for step in 0..=5_i32 {
        let mark = y_max * f64::from(step) / 5.0;
        let at = y(mark);
        line(format!(
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#dddddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mark:.2}</text>",
            left - 6.0,
            at + 4.0
        ));
    }
    line(format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">latency added, median, ms</text>",
        WIDTH / 2.0,
        HEIGHT - 18.0
    ));
    line(format!(
        "<text x=\"16\" y=\"{:.1}\" transform=\"rotate(-90 16 {:.1})\" text-anchor=\"middle\">core-seconds for a gigabyte</text>",
        HEIGHT / 2.0,
        HEIGHT / 2.0
    ));
    for (n, (one, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let mut path = String::new();
        for (m, point) in one.points.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(
                path,
                "{}{:.1} {:.1}",
                if m == 0 { 'M' } else { 'L' },
                x(point.x),
                y(point.y)
            );
        }
        line(format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
        let above = if n % 2 == 0 { 18.0 } else { -8.0 };
        for point in &one.points {
            let (px, py) = (x(point.x), y(point.y));
            line(format!(
                "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3.5\" fill=\"{colour}\"/><text x=\"{px:.1}\" y=\"{:.1}\" fill=\"{colour}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
                py + above,
                point.label
            ));
        }
        let row = MARGIN + 16.0 * f64::from(u16::try_from(n).unwrap_or(0));
        line(format!(
            "<text x=\"{:.1}\" y=\"{row:.1}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
            right - 4.0,
            one.name
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dearer_points_are_drawn_higher() {
        let point = |x, y| Point {
            label: String::new(),
            x,
            y,
        };
        let svg = plot(
            "",
            &[Series {
                name: "a",
                points: vec![point(1.0, 2.0), point(100.0, 1.0)],
            }],
        );
        let path = svg
            .lines()
            .find(|line| line.contains("stroke-width"))
            .unwrap();
        let numbers: Vec<f64> = path
            .split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter_map(|word| word.parse().ok())
            .collect();
        assert!(numbers[0] < numbers[2] && numbers[1] < numbers[3], "{path}");
    }
}
