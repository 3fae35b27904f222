//! Aliases, and the one call that moves them.

use std::collections::BTreeMap;

use crate::engine::{AliasAction, Error, Query};

#[derive(Debug, Clone, Default)]
pub(super) struct Aliases(BTreeMap<(String, String), Shown>);

#[derive(Debug, Clone)]
struct Shown {
    filter: Option<Query>,
    write: bool,
}

impl Aliases {
    pub(super) fn contains(&self, alias: &str) -> bool {
        self.of(alias).next().is_some()
    }

    /// The indices of an alias, each with what it shows of it.
    pub(super) fn of(&self, alias: &str) -> impl Iterator<Item = (&str, Option<&Query>)> {
        let named = self.0.iter().filter(move |((name, _), _)| name == alias);
        named.map(|((_, index), shown)| (index.as_str(), shown.filter.as_ref()))
    }

    /// The aliases of an index, by name.
    pub(super) fn naming(&self, index: &str) -> Vec<String> {
        self.0.keys().filter(|(_, named)| named == index).map(|(alias, _)| alias.clone()).collect()
    }

    /// An index that goes takes its place in every alias along.
    pub(super) fn forget(&mut self, index: &str) {
        self.0.retain(|(_, named), _| named != index);
    }

    /// What holds after `actions`, and the indices that go with them. Indices go first, whatever the order.
    ///
    /// # Errors
    /// Whatever the engine refuses; nothing has changed then.
    pub(super) fn after(
        &self,
        actions: &[AliasAction],
        is_index: impl Fn(&str) -> bool,
    ) -> Result<(Self, Vec<String>), Error> {
        let mut after = self.clone();
        let mut gone = Vec::new();
        for action in actions {
            if let AliasAction::RemoveIndex { index } = action {
                if self.contains(index) {
                    return Err(refused("illegal_argument_exception: an alias is no index"));
                }
                if !is_index(index) {
                    return Err(Error::NoIndex(index.clone()));
                }
                after.forget(index);
                gone.push(index.clone());
            }
        }
        let stands = |index: &String| is_index(index) && !gone.contains(index);
        for action in actions {
            match action {
                AliasAction::Add { index, alias, filter, write } => {
                    if !stands(index) {
                        return Err(Error::NoIndex(index.clone()));
                    }
                    if stands(alias) {
                        return Err(refused("invalid_alias_name_exception: an index has the name of the alias"));
                    }
                    let shown = Shown { filter: filter.clone(), write: *write };
                    after.0.insert((alias.clone(), index.clone()), shown);
                }
                AliasAction::Remove { index, .. } if !stands(index) => return Err(Error::NoIndex(index.clone())),
                AliasAction::Remove { index, alias } => {
                    after.0.remove(&(alias.clone(), index.clone()));
                }
                AliasAction::RemoveIndex { .. } => {}
            }
        }
        after.one_writer_each()?;
        Ok((after, gone))
    }

    fn one_writer_each(&self) -> Result<(), Error> {
        let writers: Vec<_> = self.0.iter().filter(|(_, shown)| shown.write).map(|((alias, _), _)| alias).collect();
        if writers.iter().zip(writers.iter().skip(1)).any(|(one, next)| one == next) {
            return Err(refused("illegal_state_exception: an alias has more than one write index"));
        }
        Ok(())
    }
}

fn refused(reason: &str) -> Error {
    Error::Refused { status: 400, reason: reason.to_owned() }
}
