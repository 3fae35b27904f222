use std::os::unix::process::ExitStatusExt as _;

use super::*;
use crate::stub::Stub;

const SOON: Duration = Duration::from_secs(5);
const NOTHING: [(&str, &str); 0] = [];

fn shell(script: &str) -> Process {
    Process::start("/bin/sh", [("GREETING", "hello")], ["-c", script]).unwrap()
}

/// What the process said, once it said `count` lines.
async fn said(process: &Process, count: usize) -> Vec<String> {
    let until = Instant::now() + SOON;
    while process.output().len() < count && Instant::now() < until {
        sleep(LOOK).await;
    }
    process.output()
}

#[tokio::test]
async fn its_lines_are_read_and_nothing_is_inherited() {
    let mut process = shell("echo \"$GREETING $HOME\"; echo oh >&2; exit 3");
    assert_eq!(process.wait_end(SOON).await.unwrap().code(), Some(3));
    assert_eq!(said(&process, 1).await, ["hello"]);
}

#[tokio::test]
async fn sigterm_gives_the_code_it_ends_with() {
    let mut process = shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done");
    said(&process, 1).await;
    assert_eq!(process.sigterm(SOON).await.unwrap().code(), Some(7));
    assert_eq!(process.sigterm(SOON).await.unwrap().code(), Some(7), "it stays as it ended");
}

#[tokio::test]
async fn a_frozen_one_does_nothing_until_it_is_thawed() {
    let mut process = shell("while :; do echo on; sleep 0.01; done");
    said(&process, 1).await;
    process.freeze().unwrap();
    sleep(LOOK * 5).await; // what it had said is read
    let before = process.output().len();
    sleep(LOOK * 20).await;
    assert_eq!(process.output().len(), before);
    process.thaw().unwrap();
    assert!(said(&process, before + 1).await.len() > before);
    process.sigkill().await.unwrap();
    assert!(matches!(process.freeze(), Err(ProcessError::Control { .. })));
}

#[tokio::test]
async fn one_that_does_not_stop_in_time_is_named_and_can_be_killed() {
    let mut process = shell("trap '' TERM; echo deaf; while :; do sleep 0.01; done");
    said(&process, 1).await;
    let error = process.sigterm(Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.to_string(), "sh was not at its end within 100ms; it said last:\ndeaf");
    assert_eq!(process.sigkill().await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn one_that_is_dropped_is_gone() {
    let process = shell("echo up; while :; do sleep 0.01; done");
    let pid = Pid::from_child(&process.child);
    drop(process);
    assert!(rustix::process::test_kill_process(pid).is_err());
}

#[tokio::test]
async fn ready_is_what_its_admin_listener_says() {
    let stub = Stub::start().unwrap();
    stub.on("GET", "/readyz").answers_empty(503);
    let mut process = shell("echo up; while :; do sleep 0.01; done");
    let error = process.wait_ready(stub.url(), Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, ProcessError::TooLate { what: "ready", .. }), "{error}");
    stub.on("GET", "/readyz").answers_empty(200);
    process.wait_ready(stub.url(), SOON).await.unwrap();
}

#[tokio::test]
async fn one_that_ends_while_it_is_waited_for_is_an_error_with_its_last_words() {
    let mut process = shell("echo no database; exit 78");
    let error = process.wait_ready("http://127.0.0.1:1", SOON).await.unwrap_err();
    assert!(matches!(&error, ProcessError::Ended { status, .. } if status.code() == Some(78)), "{error}");
}

#[tokio::test]
async fn a_binary_that_is_not_there_is_an_error() {
    let error = Process::start("/nowhere/arena-acl", NOTHING, ["serve"]).unwrap_err();
    assert_eq!(error.to_string(), "arena-acl cannot be controlled");
}

#[test]
fn a_free_port_can_be_bound() {
    let port = free_port().unwrap();
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}
