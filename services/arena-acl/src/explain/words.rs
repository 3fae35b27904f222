//! What a change waits for and what comes next, in words.

use domain::arena_acl::{
    Change, Held, HeldRow, IngestStatus, Moment, Need, Next, Outlook, Pass, Position, PublishedOperation, Question,
    Then, Topic, older_unhandled,
};

use super::{Recorded, shown::time};

/// What is told of one change.
pub(super) struct Told {
    pub(super) waits_for: Option<String>,
    pub(super) next: Option<String>,
}

/// Of a change of the old service whose position is no number: the rules cannot see it.
pub(super) fn without_position(status: IngestStatus) -> Told {
    let next = match status {
        IngestStatus::Handled | IngestStatus::ExternalSource => None,
        _ => Some("nothing: its position is not a number, so no rule can see it (2.8 no. 3)".to_owned()),
    };
    Told { waits_for: None, next }
}

/// Of a change; `row_at` gives the order of arrival of the change of the same object at a position, where it is known.
pub(super) fn of(
    row: &Recorded,
    change: &Change,
    outlook: &Outlook,
    held: &Held,
    moment: &Moment,
    row_at: impl Fn(&Position) -> Option<i64>,
) -> Told {
    let mut older: Vec<&HeldRow> = older_unhandled(change, held).collect();
    older.sort_by(|one, other| one.position.cmp(&other.position));
    let blocker = older.first().map(|first| Blocker {
        row: row_at(&first.position).map(|id| format!("r{id}")),
        status: first.status,
        position: first.position.clone(),
        more: older.len() - 1,
    });
    let blocker = blocker.filter(|_| matches!(outlook.need, Some(Need::Older(_))));
    Told {
        waits_for: outlook.need.map(|need| wanted(need, blocker.as_ref(), row, moment)),
        next: next(row, outlook, blocker.as_ref(), moment),
    }
}

/// The oldest unhandled change before this one.
struct Blocker {
    row: Option<String>,
    status: IngestStatus,
    position: Position,
    more: usize,
}

fn wanted(need: Need, blocker: Option<&Blocker>, row: &Recorded, moment: &Moment) -> String {
    match (need, blocker) {
        (Need::Course(id), _) => format!("course {id}, which has not been read yet"),
        (Need::ValidCourse(id), _) => format!("course {id}, which is not valid"),
        (Need::CourseUuid(id), _) => format!("course {id}, which the course register does not know yet"),
        (Need::Older(_), Some(Blocker { row, status, position, more })) => {
            let row = row.as_ref().map_or_else(String::new, |row| format!("{row} "));
            let more = if *more > 0 { format!(", and {more} more after it") } else { String::new() };
            format!("the older change {row}at position {position} ({}){more}", status.name())
        }
        (Need::Older(_), None) => "an older change that is not handled".to_owned(),
        (Need::HistoryRow, _) => format!(
            "the history row of the participation, or {} failed attempts (now {})",
            moment.delete_wait, row.attempts
        ),
    }
}

fn next(row: &Recorded, outlook: &Outlook, blocker: Option<&Blocker>, moment: &Moment) -> Option<String> {
    let redrive = format!("`dead-letters redrive r{}`", row.id);
    Some(match &outlook.next {
        Next::Nothing => return None,
        Next::Relast => {
            "nothing by itself: it is published when its measure is loaded again (`relast`, 6.9)".to_owned()
        }
        Next::Operator => format!("nothing by itself; tried again after {redrive}"),
        Next::Purge => "deleted by the next purge (6.4)".to_owned(),
        Next::Release(course) => {
            format!("set to RETRY and tried as soon as course {course} arrives valid (4.3 step 6, IMP-17)")
        }
        Next::Forgotten => "nothing by itself, although its course is valid: `verify --fix` queues it".to_owned(),
        Next::Run { pass, then } => {
            let run = match pass {
                Pass::Failed => format!("the nightly run over FAILED, or a wake-up after {redrive},"),
                Pass::Retry | Pass::Live | Pass::Wake => retry(row, moment),
            };
            let hope = hope(&outlook.asks);
            match then {
                Then::Published(topic, operation) => {
                    format!(
                        "{run} publishes it as {} to the {} topic{hope}",
                        operation_name(*operation),
                        topic_name(*topic)
                    )
                }
                Then::Handled(note) => match note {
                    Some(note) => format!("{run} handles it without a message ({note}){hope}"),
                    None => format!("{run} handles it without a message{hope}"),
                },
                Then::Status { .. } if blocker.is_some_and(|blocker| blocker.status == IngestStatus::Failed) => {
                    let blocked = blocker.map(|blocker| match &blocker.row {
                        Some(row) => format!("blocked by FAILED {row}: `dead-letters redrive {row}`, then woken"),
                        None => format!("blocked by the FAILED change at position {}", blocker.position),
                    });
                    format!("{}{}", blocked.unwrap_or_default(), blocked_end(row, moment))
                }
                Then::Status { status, note, .. } => match (status, blocker) {
                    (IngestStatus::Retry, Some(Blocker { position, .. })) => {
                        format!(
                            "woken and tried as soon as {position} is handled, and by {}{}",
                            retry(row, moment),
                            blocked_end(row, moment)
                        )
                    }
                    (IngestStatus::Retry, None) if outlook.need == Some(Need::HistoryRow) => format!(
                        "woken and tried as soon as the history row is handled, and by {}; without it published as FEILREGISTRERT \
                         after {} failed attempts of retry runs (now {}; a wake-up is no attempt)",
                        retry(row, moment),
                        moment.delete_wait,
                        row.attempts
                    ),
                    (IngestStatus::Retry, None) => {
                        let woken = match outlook.need {
                            Some(Need::Course(course)) => {
                                format!("woken and tried as soon as course {course} arrives valid")
                            }
                            _ => "tried again".to_owned(),
                        };
                        let and = if outlook.need.is_some() { ", and" } else { "" };
                        format!("{woken}{and} by {}{}", retry(row, moment), blocked_end(row, moment))
                    }
                    (IngestStatus::Failed, _) if *pass == Pass::Failed => {
                        format!("{run} leaves it FAILED as long as that is missing")
                    }
                    (status, _) => format!("{run} makes it {}: {note}", status.name()),
                },
            }
        }
    })
}

/// What tries a change in RETRY next: a run of the job takes all of them, a wake-up what is due.
fn retry(row: &Recorded, moment: &Moment) -> String {
    match row.due() {
        None => "the next retry run".to_owned(),
        Some(at) if at <= moment.now => format!("the wake-up that is due since {}", time(at)),
        Some(at) => format!("the wake-up at {} (or an earlier retry run)", time(at)),
    }
}

fn blocked_end(row: &Recorded, moment: &Moment) -> String {
    match row.status {
        IngestStatus::Retry => format!(
            "; after {} failed attempts of retry runs FAILED (now {}; a wake-up is no attempt)",
            moment.max_attempts, row.attempts
        ),
        _ => String::new(),
    }
}

fn hope(asks: &[Question]) -> String {
    let whom = |question: &Question| match question {
        Question::CourseUuid(_) => Some("the UUID of its course"),
        Question::CourseDetails(_) => Some("the details of its course"),
        Question::NationalId(_) => Some("the national id"),
        Question::Participations(..) => Some("the participations downstream"),
        Question::Lock(_) => None,
    };
    let asked: Vec<&str> = asks.iter().filter_map(whom).collect();
    match asked.as_slice() {
        [] => String::new(),
        asked => format!(", if it gets {}", asked.join(", ")),
    }
}

fn topic_name(topic: Topic) -> &'static str {
    match topic {
        Topic::Group => "group",
        Topic::SinglePlace => "single-place",
    }
}

fn operation_name(operation: PublishedOperation) -> &'static str {
    match operation {
        PublishedOperation::Created => "CREATED",
        PublishedOperation::Modified => "MODIFIED",
    }
}
