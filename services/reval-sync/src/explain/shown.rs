//! What is told, on a terminal.

use std::collections::BTreeMap;

use search::engine::Source;
use serde_json::Value;

use super::{DocumentTold, Explanation};
use crate::wire::MASTER_FIELDS;

/// All of it, lines with their ends.
pub(crate) fn text(told: &Explanation) -> String {
    let mut page = Page::default();
    page.line(0, &told.key);
    for document in &told.documents {
        shown(&mut page, document, &told.index);
    }
    if told.documents.is_empty() {
        page.head(&format!("no document in {}", told.index));
    }
    for missing in &told.missing {
        page.head("a run would add");
        fields(missing).for_each(|(name, value)| page.row(&[name, &value]));
    }
    page.head("sources, as they are now");
    for (name, count) in &told.sources {
        page.row(&[name, &count.to_string()]);
    }
    for left in &told.unreadable {
        page.row(&[left.collection, &format!("{} cannot be read: {}", left.key, left.why)]);
    }
    page.head("journal");
    if told.journal.is_empty() {
        page.line(2, "nothing, as far back as it goes");
    }
    for entry in &told.journal {
        let token = entry.token.as_ref().map_or_else(String::new, |token| format!(", token {token}"));
        page.line(2, &format!("{}  {}{token}", entry.at, entry.what));
        if let Some(note) = &entry.note {
            page.line(6, note);
        }
        for (name, value) in fields(&entry.said) {
            page.line(6, &format!("{name} = {value}"));
        }
    }
    page.head("open dead letters");
    if told.dead_letters.is_empty() {
        page.line(2, "none");
    }
    for letter in &told.dead_letters {
        let at = letter.at.as_deref().unwrap_or("-");
        page.row(&[at, &format!("{} of {}: {} {}", letter.id, letter.source, letter.reason, letter.detail)]);
    }
    page.0
}

fn shown(page: &mut Page, told: &DocumentTold, index: &str) {
    page.head(&format!("document {} of {index}", told.id));
    let names = if told.found_in.is_empty() { "no name".to_owned() } else { told.found_in.join(", ") };
    page.row(&["found under", &names]);
    page.row(&["written by run", told.run.as_deref().unwrap_or("none: by a change since, or by another program")]);
    for (key, token) in &told.tokens {
        page.row(&["last event", &format!("{key}, token {token}")]);
    }
    if let Some(why) = &told.unreadable {
        page.row(&["not compared", why]);
    }
    page.end();
    let differing: BTreeMap<&str, _> = told.differences.iter().map(|found| (found.field, found)).collect();
    page.line(2, &format!("{:<24} {:<32} {}", "FIELD", "INDEX", "A RUN WOULD WRITE"));
    for name in MASTER_FIELDS {
        let other = differing.get(name).map(|found| found.sources.as_ref().map_or_else(|| "-".to_owned(), plain));
        let own = told.fields.get(name).map(plain);
        if own.is_some() || other.is_some() {
            let own = own.unwrap_or_else(|| "-".to_owned());
            page.line(2, &format!("{name:<24} {own:<32} {}", other.unwrap_or_default()));
        }
    }
}

/// Fields with their values, in the order of the document.
fn fields(source: &Source) -> impl Iterator<Item = (&'static str, String)> + '_ {
    MASTER_FIELDS.into_iter().filter_map(|name| Some((name, plain(source.get(name)?))))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, text: &str) {
        self.end();
        self.line(0, text);
    }

    fn row(&mut self, cells: &[&str]) {
        let (name, rest) = cells.split_first().map_or(("", &[][..]), |(name, rest)| (*name, rest));
        self.line(2, &format!("{name:<24} {}", rest.join(" ")));
    }

    /// A text, moved in; what a terminal would act upon is blank.
    fn line(&mut self, margin: usize, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.0.extend(std::iter::repeat_n(' ', margin));
        self.0.push_str(text.trim_end());
        self.end();
    }

    fn end(&mut self) {
        self.0.push('\n');
    }
}
