//! The README's recipes, as they are written.

/// The code blocks of `language` in the README, in order.
pub fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    include_str!("../../../README.md")
        .split(&fence)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

/// The shell commands of the README that begin with `program`, a line each; comments are left out.
pub fn commands(program: &str) -> Vec<String> {
    let whole = blocks("sh").concat().replace("\\\n", " ");
    whole
        .lines()
        .map(|line| {
            line.split(" #")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .filter(|line| line.split(' ').next() == Some(program))
        .collect()
}
