use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal as Kind, kill_process};
use tokio::time::sleep;

use super::*;
use crate::child::child;

fn say(word: &str) {
    writeln!(std::io::stdout(), "{word}").unwrap();
}

#[tokio::test]
#[ignore = "run in a process of its own by the tests below"]
async fn the_child_is_told_to_stop() {
    let stop = stop_signal();
    say("listening");
    stop.await;
    say("stopping");
    sleep(Duration::from_millis(700)).await;
}

struct Told {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Told {
    fn start() -> Self {
        let mut command = child("parts::signal::tests::the_child_is_told_to_stop");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut told = Self { child, lines };
        told.wait_for("listening");
        told
    }

    fn wait_for(&mut self, word: &str) {
        let mut lines = (&mut self.lines).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with(word)), "{word}");
    }

    fn send(&self, kind: Kind) {
        kill_process(Pid::from_child(&self.child), kind).unwrap();
    }

    fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

#[test]
fn either_signal_stops_and_lets_the_process_finish() {
    for kind in [Kind::TERM, Kind::INT] {
        let mut told = Told::start();
        told.send(kind);
        told.wait_for("stopping");
        assert_eq!(told.end().code(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut told = Told::start();
    told.send(Kind::INT);
    told.wait_for("stopping");
    told.send(Kind::TERM);
    assert_eq!(told.end().code(), Some(130));
}
