//! The table as documentation.

use std::fmt::Write as _;

/// What the documentation says of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Further names that it is read by.
    pub aliases: Vec<&'static str>,
    /// The text it has when nothing is set.
    pub default: Option<&'static str>,
    /// Whether it is never shown and may stand in the file that `NAME_FILE` names.
    pub secret: bool,
    /// Whether the start is refused without it.
    pub required: bool,
    /// What it can hold.
    pub expects: String,
    /// What it means.
    pub doc: &'static str,
}

/// The rows as a Markdown table, with a line end at its end.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| setting | default | meaning |\n| --- | --- | --- |\n");
    for row in rows {
        let mut names = Vec::new();
        for name in std::iter::once(&row.name).chain(&row.aliases) {
            names.push(format!("`{name}`"));
            names.extend(row.secret.then(|| format!("`{name}_FILE`")));
        }
        let names = names.join(" or ");
        let default = match row.default {
            Some(default) => format!("`{}`", cell(default)),
            None if row.required => "required".to_owned(),
            None => "–".to_owned(),
        };
        let expects = if row.secret { String::new() } else { format!(": {}", cell(&row.expects)) };
        writeln!(text, "| {names} | {default} | {}{expects} |", cell(row.doc)).unwrap_or_default();
    }
    text
}

/// The text as one cell: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
