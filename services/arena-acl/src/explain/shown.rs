//! The timeline on a terminal: at most 100 columns, oldest first.

use chrono::NaiveDateTime;

use super::told::{ChangeTold, CourseTold, Explanation, KnownTold, MessageTold};

const WIDTH: usize = 100;
/// Where the text of a section and of a change begins.
const MARGIN: usize = 12;

/// All of it, lines with their ends.
pub(crate) fn text(told: &Explanation) -> String {
    let mut page = Page::default();
    page.line(0, &told.key);
    let participants =
        told.participant_ids.iter().map(|row| format!("{} = {} {} (3.2)", row.amt_id, row.arena_table, row.arena_id));
    let histories = told.history_ids.iter().map(|row| {
        let was = row.arena_id.as_ref().map_or_else(String::new, |id| format!(", was deltaker {id}"));
        format!("{} = hist {}{was} (3.3)", row.amt_id, row.arena_hist_id)
    });
    let of_a_course = told.courses.iter().any(|course| course.waiting.is_some());
    if !of_a_course {
        page.section("ids", participants.chain(histories), "no UUID");
    }
    page.section("courses", told.courses.iter().map(course), "none");
    if !of_a_course {
        page.section("last known", told.last_known.iter().map(known), "no row");
    }
    let shown = u64::try_from(told.changes.len()).unwrap_or(u64::MAX);
    let changes = match told.changes_in_all {
        all if all > shown => {
            format!("{all}, of which {shown} are shown: the last, and what is unhandled; --all shows all")
        }
        all => all.to_string(),
    };
    page.section("changes", [changes].into_iter(), "");
    for row in &told.changes {
        page.end();
        change(&mut page, row);
    }
    if !told.other_messages.is_empty() {
        page.end();
        page.line(0, "messages of no change above");
        told.other_messages.iter().for_each(|sent| page.line(MARGIN, &message(sent)));
    }
    page.0
}

fn change(page: &mut Page, told: &ChangeTold) {
    let ChangeTold { row, object, operation, position, .. } = told;
    page.head(row, &format!("{object} {operation}, position {position}, in Arena {}", told.arena_time));
    let at = told.ingested_at.map_or_else(String::new, |at| format!(" since {}", time(at)));
    let tried = match (told.attempts, told.last_attempted_at) {
        (0, _) => String::new(),
        (attempts, None) => format!("; {attempts} failed attempts"),
        (attempts, Some(last)) => format!("; {attempts} failed attempts, the last {}", time(last)),
    };
    page.line(MARGIN, &format!("{}{at}: {} ({}){tried}", told.status, told.rule, told.section));
    if let Some(at) = told.retry_at {
        page.line(MARGIN, &format!("retry_at {}", time(at)));
    }
    if let Some(note) = &told.note {
        page.line(MARGIN, &format!("note: {note}"));
    }
    told.messages.iter().for_each(|sent| page.line(MARGIN, &message(sent)));
    if let Some(waits_for) = &told.waits_for {
        let section = told.waits_for_section.map_or_else(String::new, |section| format!(" ({section})"));
        page.line(MARGIN, &format!("waits for {waits_for}{section}"));
    }
    if let Some(next) = &told.next {
        page.line(MARGIN, &format!("next: {next}"));
    }
}

fn message(sent: &MessageTold) -> String {
    let transaction = sent.transaction_id.map_or_else(String::new, |id| format!(", transaction {id}"));
    let left = match sent.published_at {
        Some(at) => format!("published {}", time(at)),
        None => format!("waits to leave since {}", time(sent.created_at)),
    };
    format!("message {} to {}{transaction}, {left}", sent.id, sent.topic)
}

fn course(told: &CourseTold) -> String {
    let CourseTold { arena_id, measure, supported, valid, id, waiting, .. } = told;
    let Some(measure) = measure else { return format!("{arena_id} has not been read yet") };
    let supported = if *supported == Some(true) { "" } else { ", not supported" };
    let valid = if *valid == Some(true) { "valid" } else { "not valid" };
    let id = id.map_or_else(|| "no UUID yet".to_owned(), |id| format!("UUID {id}"));
    let waiting = waiting.map_or_else(String::new, |waiting| format!(", WAITING for it: {waiting}"));
    format!("{arena_id} {measure}{supported}, {valid}, {id}{waiting}")
}

fn known(told: &KnownTold) -> String {
    let day = |day: Option<chrono::NaiveDate>| day.map_or_else(|| "…".to_owned(), |day| day.to_string());
    let since = told.status_changed.map_or_else(String::new, |at| format!(" since {}", time(at)));
    format!(
        "deltaker {} on {}: {}{since}, {} to {}, registered {}, modified {}",
        told.arena_id,
        told.course,
        told.status,
        day(told.start),
        day(told.end),
        time(told.registered),
        time(told.modified),
    )
}

pub(super) fn time(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn section(&mut self, name: &str, lines: impl Iterator<Item = String>, none: &str) {
        let mut name = name;
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            self.head(name, none);
        }
        for line in lines {
            self.head(name, &line);
            name = "";
        }
    }

    /// A text with a name before it.
    fn head(&mut self, name: &str, text: &str) {
        let begin = self.0.len();
        self.line(MARGIN, text);
        // the margin is blank and of one byte each
        let name: String = name.chars().take(MARGIN - 1).collect();
        let blank = MARGIN.min(name.chars().count());
        self.0.replace_range(begin..begin + blank, &name);
    }

    /// A text, wrapped at blanks and moved in; what a terminal would act upon is blank.
    fn line(&mut self, margin: usize, text: &str) {
        let mut column = 0;
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            let width = word.chars().count();
            if column == 0 || column + 1 + width > WIDTH {
                if column > 0 {
                    self.end();
                }
                self.0.extend(std::iter::repeat_n(' ', margin));
                column = margin;
            } else {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            column += width;
        }
        self.end();
    }

    fn end(&mut self) {
        self.0.push('\n');
    }
}
