//! What commands print: their result on standard output, and nothing else there.

use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line. A standard output that is closed takes nothing, and the exit code still tells.
pub(crate) fn print(line: &str) {
    writeln!(io::stdout(), "{}", line.trim_end()).unwrap_or_default();
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) {
    print(&serde_json::to_string(value).unwrap_or_default());
}
