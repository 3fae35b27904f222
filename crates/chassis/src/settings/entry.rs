//! One setting while it is declared.

use super::{Problem, Row, Slot, Table, values::Reader};

/// A setting that is being declared; nothing is read before it is said what happens when it is not set.
#[must_use = "a setting is declared by `required`, `or` or `optional`"]
#[derive(Debug)]
pub struct Entry<'t, T> {
    table: &'t mut Table,
    names: Vec<&'static str>,
    doc: &'static str,
    reader: Reader<T>,
}

impl<'t, T> Entry<'t, T> {
    pub(super) fn new(table: &'t mut Table, name: &'static str, doc: &'static str, reader: Reader<T>) -> Self {
        Self { table, names: vec![name], doc, reader }
    }

    /// A further name that it is read by. Two of its names at once are a problem.
    pub fn alias(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }

    /// Without it the start is refused.
    pub fn required(self) -> Slot<T> {
        match self.read(None, true) {
            Slot(Some(Some(value))) => Slot(Some(value)),
            Slot(_) => Slot(None),
        }
    }

    /// Without it `default` is read, by the same rules.
    pub fn or(self, default: &'static str) -> Slot<T> {
        match self.read(Some(default), false) {
            Slot(Some(Some(value))) => Slot(Some(value)),
            Slot(_) => Slot(None),
        }
    }

    /// It may be left out.
    pub fn optional(self) -> Slot<Option<T>> {
        self.read(None, false)
    }

    fn read(self, default: Option<&'static str>, required: bool) -> Slot<Option<T>> {
        let Self { table, names, doc, reader } = self;
        let (name, aliases) = names.split_first().map_or(("", Vec::new()), |(name, aliases)| (*name, aliases.to_vec()));
        let expects = reader.expects.clone();
        table.rows.push(Row { name, aliases, default, secret: reader.secret, required, expects: expects.clone(), doc });
        let Some(source) = &table.source else { return Slot(None) };
        let found = match source.find(&names, reader.secret, &expects) {
            Ok(found) => found.map(|found| (found.name, found.text)),
            Err(problem) => {
                table.problems.push(problem);
                return Slot(None);
            }
        };
        let Some((used, text)) = found.or_else(|| default.map(|text| (name.to_owned(), text.to_owned()))) else {
            if required {
                table.problems.push(Problem::Missing { name, expects });
            }
            return Slot((!required).then_some(None));
        };
        let value = reader.parse(&text);
        if value.is_some() {
            table.in_force.note(name, reader.shown(&text));
        } else {
            table.problems.push(Problem::Unreadable { name: used, expects });
        }
        Slot(value.map(Some))
    }
}
