//! Where values come from: layers of variables, the strongest first, and the files that some of them name.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
};

use super::{Problem, Row};

/// The largest file that is read for a secret, in bytes.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Variables; one whose value is not Unicode is there without it.
type Layer = BTreeMap<String, Option<String>>;

/// Layers of variables; the first that knows a setting by any of its names decides.
pub(super) struct Source(Vec<Layer>);

/// A variable that was found: its name, and its text.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn environment() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())));
        Self(vec![variables.collect()])
    }

    pub(super) fn pairs(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        Self(vec![pairs.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect()])
    }

    /// These layers, and under them those of `other`.
    pub(super) fn over(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// What is set for a setting with these names.
    pub(super) fn find(&self, names: &[&'static str], secret: bool, expects: &str) -> Result<Option<Found>, Problem> {
        for layer in &self.0 {
            let mut set = Vec::new();
            for name in names {
                set.extend(is_set(layer, name).then(|| ((*name).to_owned(), false)));
                let file = file_name(name);
                set.extend((secret && is_set(layer, &file)).then_some((file, true)));
            }
            match set.as_slice() {
                [] => {}
                [(name, is_file)] => {
                    let text = layer.get(name).cloned().flatten();
                    let text =
                        text.ok_or_else(|| Problem::Unreadable { name: name.clone(), expects: expects.to_owned() })?;
                    let text = if *is_file { content(name, &text)? } else { text };
                    return Ok(Some(Found { name: name.clone(), text }));
                }
                several => {
                    return Err(Problem::Several { names: several.iter().map(|(name, _)| name.clone()).collect() });
                }
            }
        }
        Ok(None)
    }

    /// A problem for each variable that begins with one of `prefixes` and is not among `rows`.
    pub(super) fn unknown(&self, prefixes: &[&'static str], rows: &[Row]) -> Vec<Problem> {
        let known = |variable: &str| {
            rows.iter().any(|row| {
                let mut names = std::iter::once(&row.name).chain(&row.aliases);
                names.any(|name| variable == *name || (row.secret && variable == file_name(name)))
            })
        };
        let strange = |variable: &str| {
            let rest = prefixes.iter().find_map(|prefix| variable.strip_prefix(prefix));
            rest.is_some_and(|rest| !is_kubernetes(rest)) && !known(variable)
        };
        let set = self.0.iter().flat_map(|layer| layer.keys().filter(|name| is_set(layer, name)));
        set.filter(|name| strange(name)).map(|name| Problem::Unknown(name.clone())).collect()
    }
}

/// Without values, since some are secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").finish_non_exhaustive()
    }
}

fn is_set(layer: &Layer, name: &str) -> bool {
    layer.get(name).is_some_and(|value| value.as_ref().is_none_or(|text| !text.is_empty()))
}

fn file_name(name: &str) -> String {
    format!("{name}_FILE")
}

/// The secret in the file at `path`, without one line end at its end.
fn content(name: &str, path: &str) -> Result<String, Problem> {
    let wrong = |wrong: String| Problem::File { name: name.to_owned(), wrong };
    let cannot = |error: io::Error| wrong(format!("cannot be read: {}", error.kind()));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(wrong(format!("has more than {FILE_LIMIT} bytes")));
    }
    let Ok(mut text) = String::from_utf8(bytes) else { return Err(wrong("is not UTF-8".to_owned())) };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(wrong("is empty".to_owned())) } else { Ok(text) }
}

/// Whether Kubernetes injects a variable with this `rest` behind the prefix of a Service's name.
///
/// Source: Kubernetes, "Service", environment variables.
fn is_kubernetes(rest: &str) -> bool {
    let is_port = |rest: &str| {
        let (port, tail) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = tail.split('_').next();
        port.bytes().all(|byte| byte.is_ascii_digit()) && matches!(protocol, Some("TCP" | "UDP" | "SCTP"))
    };
    matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT")
        || rest.starts_with("SERVICE_PORT_")
        || rest.strip_prefix("PORT_").is_some_and(is_port)
}
