//! How dead letters look, to people and to programs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::open::{Contents, OpenLetter};

/// A letter as a JSON object; `key`, `headers` and `payload` (Base64) only where the letter has its bytes.
#[must_use]
pub fn object(letter: &OpenLetter) -> Value {
    let mut shown = json!({
        "id": letter.id.to_string(), "source": letter.source, "position": letter.position, "about": letter.about,
        "reason": letter.reason, "class": letter.class, "attempts": letter.attempts, "first_at": letter.first_at.map(time),
        "last_at": letter.last_at.map(time), "replay_count": letter.replay_count, "detail": letter.detail,
    });
    if let (Some(Contents { key, headers, payload }), Some(members)) = (&letter.contents, shown.as_object_mut()) {
        let base64 = |bytes: &bytes::Bytes| BASE64_STANDARD.encode(bytes);
        members.insert("key".to_owned(), key.as_ref().map(base64).into());
        let headers = headers.iter().map(|(name, value)| json!([name, base64(value)])).collect();
        members.insert("headers".to_owned(), Value::Array(headers));
        members.insert("payload".to_owned(), payload.as_ref().map(base64).into());
    }
    shown
}

/// Letters as lines of a table under a head, without their bytes. What follows the last column is free text.
#[must_use]
pub fn table(letters: &[OpenLetter]) -> Vec<String> {
    const HEAD: [&str; 10] =
        ["ID", "SOURCE", "POSITION", "ABOUT", "REASON", "CLASS", "ATTEMPTS", "REPLAYS", "LAST AT", "DETAIL"];
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = letters.iter().map(|letter| {
        [
            letter.id.to_string(),
            letter.source.clone(),
            or_dash(&letter.position),
            or_dash(&letter.about),
            letter.reason.clone(),
            letter.class.clone(),
            letter.attempts.to_string(),
            letter.replay_count.to_string(),
            or_dash(&letter.last_at.map(time)),
            letter.detail.clone(),
        ]
        // a cell stays on its line, whatever a service or an operator wrote
        .map(|cell| cell.replace(char::is_control, " "))
    });
    let rows: Vec<[String; 10]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; 10];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 10]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A time as it is shown: RFC 3339, UTC, seconds.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
