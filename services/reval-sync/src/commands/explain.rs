//! `explain`: what is known of a doctor, and what came about it.

use chassis::exit::{self, Done};
use clap::{Args, error::ErrorKind};
use domain::reval_sync::GmcNumber;

use crate::{
    explain::{Key, explain, shown},
    shared::{Ports, Shared},
    terminal,
};

/// What is asked.
#[derive(Debug, Args)]
pub struct Explain {
    /// `doctor NUMBER`, or `person ID`
    #[arg(required = true, num_args = 2, value_name = "KEY")]
    key: Vec<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Neither index nor sources, journal and dead letters have it.
#[derive(Debug, thiserror::Error)]
#[error("nothing is known of {0}")]
struct Unknown(Key);

/// Prints what is known.
///
/// # Errors
/// Something could not be asked, or nothing is known.
pub(crate) async fn run<P: Ports>(shared: &Shared<P>, asked: Explain) -> Result<Done, exit::Error> {
    let key = key(&asked.key)?;
    let told = explain(shared, &key).await.map_err(exit::Error::failed)?;
    if told.is_empty() {
        return Err(exit::Error::failed(Unknown(key)));
    }
    if asked.json {
        terminal::print_json(&told);
    } else {
        terminal::print(&shown::text(&told));
    }
    Ok(Done::All)
}

fn key(words: &[String]) -> Result<Key, clap::Error> {
    let key = match words {
        [word, number] if word == "doctor" => GmcNumber::usable(Some(number)).map(Key::Doctor),
        [word, id] if word == "person" => id.parse().ok().map(Key::Person),
        _ => None,
    };
    let expected = "a key is `doctor NUMBER` with a usable number, or `person ID`\n";
    key.ok_or_else(|| clap::Error::raw(ErrorKind::InvalidValue, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_doctor_with_a_usable_number_or_a_person() {
        let read = |words: [&str; 2]| key(&words.map(str::to_owned)).ok().map(|key| key.to_string());
        assert_eq!(read(["doctor", " 7012345 "]).as_deref(), Some("doctor 7012345"));
        assert_eq!(read(["person", "41001"]).as_deref(), Some("person 41001"));
        for refused in [["doctor", "unknown"], ["person", "x"], ["trainee", "1"]] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
    }
}
