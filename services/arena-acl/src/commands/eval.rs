//! `eval`: the pure functions, for who wants to check them from outside (docs/spec/arena-acl.md section 12).

use std::io::{self, BufRead, Write};

use chassis::exit::Done;
use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Value, json};

use crate::eval::{FUNCTIONS, eval};

/// Which function.
#[derive(Debug, Args)]
pub struct Eval {
    /// Its name; standard input has a line {"in": {…}} for each call, standard output gets a line {"out": {…}}
    #[arg(value_parser = PossibleValuesParser::new(FUNCTIONS))]
    function: String,
}

/// Answers each line of `input` on a line of `out`: the answer, or `{"error": …}` for a call that has none; then it is done in part.
pub(crate) fn run(Eval { function }: &Eval, input: impl BufRead, out: &mut impl Write) -> io::Result<Done> {
    let mut done = Done::All;
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let call: Option<Value> = serde_json::from_slice(&line).ok();
        let answer = match call.as_ref().and_then(|call| call.get("in")) {
            Some(input) => eval(function, input).map_err(|error| error.to_string()),
            None => Err("the line is not {\"in\": {…}}".to_owned()),
        };
        if answer.is_err() {
            done = Done::InPart;
        }
        let answer = answer.map_or_else(|error| json!({ "error": error }), |answer| json!({ "out": answer }));
        writeln!(out, "{answer}")?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_gets_its_answer_and_a_bad_one_costs_itself_only() {
        let input =
            "{\"in\":{\"tiltakskode\":\"JOBBKLUBB\"}}\n\nnot json\n{\"in\":{}}\n{\"in\":{\"tiltakskode\":\"X\"}}";
        let mut out = Vec::new();
        let done = run(&Eval { function: "tiltakskode".to_owned() }, input.as_bytes(), &mut out).unwrap();
        assert_eq!(done, Done::InPart);
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        {"out":{"arena_kode":"JOBBK","enkeltplass":false}}
        {"error":"the line is not {\"in\": {…}}"}
        {"error":"member tiltakskode is absent or not what it should be"}
        {"out":{"error":"unsupported"}}
        "#);
    }
}
