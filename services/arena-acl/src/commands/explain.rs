//! `explain`: what happened to an object, and what would happen next.

use chassis::exit::{self, Done};
use clap::{Args, error::ErrorKind};

use crate::{
    explain::{Explained, Key, Object, explain, shown},
    service::{Service, Store},
    terminal,
};

/// How many changes are told without `--all`.
const LAST: u32 = 50;

/// What is asked.
#[derive(Debug, Args)]
pub struct Explain {
    /// `deltaker ID`, `hist ID`, `gjennomforing ID`, or the UUID of a participant
    #[arg(required = true, num_args = 1..=2, value_name = "KEY")]
    key: Vec<String>,
    /// Every change; without it the last 50, and those that are unhandled
    #[arg(long)]
    all: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Nothing is held of what was asked about.
#[derive(Debug, thiserror::Error)]
#[error("nothing is stored of {key}{}", instead(.near))]
struct Unknown {
    key: Key,
    near: Vec<Key>,
}

fn instead(near: &[Key]) -> String {
    let known: Vec<String> = near.iter().map(|key| format!("`explain {key}`")).collect();
    if known.is_empty() { String::new() } else { format!("; there is {}", known.join(" and ")) }
}

pub(crate) async fn run<S: Store>(service: &Service<S>, asked: Explain) -> Result<Done, exit::Error> {
    let key = key(&asked.key)?;
    let limit = if asked.all { u32::MAX } else { LAST };
    let explained = explain(service.store(), key, limit, &service.moment()).await;
    match explained.map_err(exit::Error::failed)? {
        Explained::Unknown(near) => return Err(exit::Error::failed(Unknown { key, near })),
        Explained::Told(told) if asked.json => terminal::print_json(&told),
        Explained::Told(told) => terminal::print(&shown::text(&told)),
    }
    Ok(Done::All)
}

fn key(words: &[String]) -> Result<Key, clap::Error> {
    let key = match words {
        [id] => id.parse().ok().map(Key::Uuid),
        [table, id] => id.parse().ok().and_then(|id| Object::named(table, id)).map(Key::Object),
        _ => None,
    };
    let expected = "a key is `deltaker ID`, `hist ID`, `gjennomforing ID` or a UUID\n";
    key.ok_or_else(|| clap::Error::raw(ErrorKind::InvalidValue, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Option<String> {
        key(&words.iter().map(ToString::to_string).collect::<Vec<_>>()).ok().map(|key| key.to_string())
    }

    #[test]
    fn a_key_is_a_word_and_a_number_or_a_uuid() {
        assert_eq!(read(&["deltaker", "70001"]).as_deref(), Some("deltaker 70001"));
        assert_eq!(read(&["hist", "9001"]).as_deref(), Some("hist 9001"));
        assert_eq!(read(&["gjennomforing", "3001"]).as_deref(), Some("gjennomforing 3001"));
        let id = "00000000-0000-0000-0000-000000000007";
        assert_eq!(read(&[id]).as_deref(), Some(id));
        for refused in [&["deltaker"][..], &["deltaker", "x"], &["person", "1"], &["70001"], &[id, "1"]] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn whoever_asks_about_nothing_is_told_what_there_is() {
        let near = vec![Key::Object(Object::named("hist", 9001).unwrap())];
        let unknown = Unknown { key: Key::Object(Object::named("deltaker", 9001).unwrap()), near };
        assert_eq!(unknown.to_string(), "nothing is stored of deltaker 9001; there is `explain hist 9001`");
    }
}
