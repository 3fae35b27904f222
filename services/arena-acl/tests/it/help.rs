//! What the binary says of its commands.

use arena_acl::cli::Cli;
use clap::CommandFactory as _;

fn help(path: &[&str]) -> String {
    let mut command = Cli::command();
    for name in path {
        command = command.find_subcommand(name).unwrap().clone();
    }
    command.render_help().to_string()
}

#[test]
fn the_commands_are_told() {
    insta::assert_snapshot!(help(&[]), @r"
    Arena's change records over Kafka, through Postgres, to clean participant messages

    Usage: arena-acl <COMMAND>

    Commands:
      serve           Run the service, migrations first
      migrate         Bring the database schema up to date
      job             Run a job once
      check           Look whether the settings are right and everything that the service needs is there
      explain         Tell what happened to an object, and what would happen next
      verify          Look whether the copy is true; exit code 3 when it is not
      dead-letters    Look after what the service gave up: quarantined records (q…), and rows in INVALID and FAILED (r…)
      requeue-latest  Send the newest HANDLED change of each object to RETRY, to be published again by the next retry run
      check-latest    Find the objects whose change that was handled last is not their newest
      relast          Send the newest change of each participant of a single-place measure to RETRY
      backfill        Import single-place participants from the start of the participant topic; publishes nothing. A repeat goes on where it stopped
      eval            Call a pure function, line by line; needs no settings and no server
      settings        Print every setting as a table
      help            Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
}

#[test]
fn the_commands_of_dead_letters_are_told() {
    insta::assert_snapshot!(help(&["dead-letters"]), @r"
    Look after what the service gave up: quarantined records (q…), and rows in INVALID and FAILED (r…)

    Usage: dead-letters <COMMAND>

    Commands:
      list     List what waits for a person, by id: a table on a terminal, JSON lines otherwise
      show     Show one with all its fields, as a JSON object
      export   Write them out with key, headers and payload in Base64, as JSON lines. They are about people: keep the file safe
      redrive  Feed them through the service once more, by the ordinary path
      drop     Take them off the list without any effect; their bytes are kept
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
    ");
    insta::assert_snapshot!(help(&["dead-letters", "redrive"]), @r"
    Feed them through the service once more, by the ordinary path

    Usage: redrive [OPTIONS] [IDS]...

    Arguments:
      [IDS]...  Ids, as `list` prints them

    Options:
          --reason <REASON>  With this reason
          --source <SOURCE>  From this source: a topic, a table
          --since <SINCE>    Given up since then: a time (2025-03-10T12:00:00Z) or a span back from now (90m, 24h, 7d)
          --all              Every one that is open
          --force            Also those that were redriven five times
          --dry-run          Say what would be done and do nothing
      -h, --help             Print help
    ");
    insta::assert_snapshot!(help(&["dead-letters", "drop"]), @r"
    Take them off the list without any effect; their bytes are kept

    Usage: drop [OPTIONS] --why <WHY> --by <BY> [IDS]...

    Arguments:
      [IDS]...  Ids, as `list` prints them

    Options:
          --reason <REASON>  With this reason
          --source <SOURCE>  From this source: a topic, a table
          --since <SINCE>    Given up since then: a time (2025-03-10T12:00:00Z) or a span back from now (90m, 24h, 7d)
          --all              Every one that is open
          --why <WHY>        Why, for the log and the letter; nothing about people
          --by <BY>          Who you are, for the log and the letter
          --dry-run          Say what would be done and do nothing
      -h, --help             Print help
    ");
}

#[test]
fn the_import_says_that_its_offsets_are_inclusive() {
    insta::assert_snapshot!(help(&["backfill"]), @r"
    Import single-place participants from the start of the participant topic; publishes nothing. A repeat goes on where it stopped

    Usage: backfill [OPTIONS] --until <UNTIL>

    Options:
          --until <UNTIL>  For each partition its last record, inclusive: `0:10535748,1:10531311`. Partitions that are not named are not read
          --from-start     Begin at the start of the topic, whatever the group has committed
      -h, --help           Print help
    ");
}
