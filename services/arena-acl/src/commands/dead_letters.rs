//! `dead-letters`: what every service has, over this one's letters (docs/spec/arena-acl.md 6.10).

use std::io::{self, IsTerminal as _};

use chassis::{
    dead_letters::commands::{CommandError, DeadLetterCommand, Form, run as carry_out},
    exit::Done,
};

use crate::service::{Service, Store};

pub(crate) async fn run<S: Store>(service: &Service<S>, command: DeadLetterCommand) -> Result<Done, CommandError> {
    let form = if io::stdout().is_terminal() { Form::Table } else { Form::Lines };
    carry_out(&*service.letters(), command, service.clock().now(), form, &mut io::stdout()).await
}
