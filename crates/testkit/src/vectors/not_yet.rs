//! The list of cases that do not pass yet.

use std::{collections::BTreeMap, fs, io, path::Path};

/// Full names of cases, each with whether it was met.
#[derive(Debug, Default)]
pub(super) struct NotYet {
    names: BTreeMap<String, bool>,
}

impl NotYet {
    /// Reads one name a line; blank lines and what follows a `#` do not count.
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string(file)?))
    }

    fn parse(text: &str) -> Self {
        let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        Self { names: names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), false)).collect() }
    }

    /// Whether `name` is listed; from now on it was met.
    pub(super) fn meet(&mut self, name: &str) -> bool {
        self.names.get_mut(name).is_some_and(|met| {
            *met = true;
            true
        })
    }

    /// The names that no case has, among those that fit the filter.
    pub(super) fn unmet(&self, only: Option<&str>) -> impl Iterator<Item = &str> {
        let fits = move |name: &str| only.is_none_or(|only| name.contains(only));
        self.names.iter().filter(move |(name, met)| !**met && fits(name)).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        let mut list = NotYet::parse("# history\n\n07-hist/one  # later\n  07-hist/two\n");
        assert!(list.meet("07-hist/one"));
        assert!(!list.meet("07-hist"));
        assert_eq!(list.unmet(None).collect::<Vec<_>>(), ["07-hist/two"]);
        assert_eq!(list.unmet(Some("08")).count(), 0);
    }
}
