//! The requests.

use std::{cmp::Ordering, time::Duration};

use serde_json::Value;

use super::{
    Memory,
    index::{Held, Sight},
    query::compare,
};
use crate::engine::{
    AliasAction, Document, Engine, Error, Index, Operation, Outcome, Page, Query, Reindex, Task, TaskState,
};

/// `index.max_result_window` as it is by default.
const LARGEST_PAGE: usize = 10_000;

impl Engine for Memory {
    async fn version(&self) -> Result<String, Error> {
        drop(self.state()?);
        Ok("memory 1".to_owned())
    }

    async fn create(&self, name: &str, body: &Value) -> Result<(), Error> {
        let mut state = self.state()?;
        if state.taken(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        state.indices.insert(name.to_owned(), Held::create(body));
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state()?;
        if state.aliases.contains(name) {
            return Err(Error::Refused {
                status: 400,
                reason: "illegal_argument_exception: an alias is no index".to_owned(),
            });
        }
        state.indices.remove(name);
        state.aliases.forget(name);
        Ok(())
    }

    async fn indices(&self, pattern: &str) -> Result<Vec<Index>, Error> {
        let state = self.state()?;
        let listed = state.indices.keys().map(|name| Index { name: name.clone(), aliases: state.aliases.naming(name) });
        let is_meant = |name: &String| is_like(pattern, name);
        Ok(listed.filter(|index| is_meant(&index.name) || index.aliases.iter().any(is_meant)).collect())
    }

    async fn aliases(&self, actions: &[AliasAction]) -> Result<(), Error> {
        let mut state = self.state()?;
        let (aliases, gone) = state.aliases.after(actions, |name| state.indices.contains_key(name))?;
        state.aliases = aliases;
        state.indices.retain(|name, _| !gone.contains(name));
        Ok(())
    }

    async fn set(&self, name: &str, settings: &Value) -> Result<(), Error> {
        self.on_each(name, |held| held.set(settings))
    }

    async fn clone_index(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut state = self.state()?;
        let source = state.index(from)?;
        if state.taken(to) {
            return Err(Error::Exists(to.to_owned()));
        }
        if !source.write_blocked {
            return Err(Error::Refused {
                status: 400,
                reason: "illegal_state_exception: the index takes writes".to_owned(),
            });
        }
        let copy = source.copy();
        state.indices.insert(to.to_owned(), copy);
        Ok(())
    }

    async fn healthy(&self, name: &str, _limit: Duration) -> Result<bool, Error> {
        Ok(self.state()?.taken(name))
    }

    async fn refresh(&self, name: &str) -> Result<(), Error> {
        self.on_each(name, Held::refresh)
    }

    async fn count(&self, name: &str, query: &Query) -> Result<u64, Error> {
        let state = self.state()?;
        let counts =
            state.meant(name)?.into_iter().map(|(held, filter)| held.found(Sight::Refreshed, filter, query).count());
        Ok(u64::try_from(counts.sum::<usize>()).unwrap_or(u64::MAX))
    }

    async fn get(&self, name: &str, ids: &[String]) -> Result<Vec<Option<Document>>, Error> {
        let state = self.state()?;
        let held = state.index(name)?;
        Ok(ids.iter().map(|id| held.get(id)).collect())
    }

    async fn search(
        &self,
        name: &str,
        query: &Query,
        sort: &str,
        size: usize,
        after: Option<&[Value]>,
    ) -> Result<Page, Error> {
        let state = self.state()?;
        if size > LARGEST_PAGE {
            return Err(Error::Refused { status: 400, reason: "illegal_argument_exception".to_owned() });
        }
        let mut hits: Vec<(Vec<Value>, &Document)> = Vec::new();
        for (held, filter) in state.meant(name)? {
            let found = held.found(Sight::Refreshed, filter, query);
            hits.extend(found.map(|hit| (vec![held.view(&hit.source).order(sort), hit.version.seq_no.into()], &**hit)));
        }
        hits.retain(|(place, _)| after.is_none_or(|after| order(place, after) == Ordering::Greater));
        hits.sort_by(|(one, _), (other, _)| order(one, other));
        hits.truncate(size);
        let after = if hits.len() == size { hits.last().map(|(place, _)| place.clone()) } else { None };
        Ok(Page { documents: hits.into_iter().map(|(_, document)| document.clone()).collect(), after })
    }

    async fn bulk(&self, index: &str, operations: &[Operation]) -> Result<Vec<Outcome>, Error> {
        let mut state = self.state()?;
        let held = state.index_mut(index)?;
        Ok(operations.iter().map(|operation| held.apply(operation)).collect())
    }

    async fn reindex(&self, reindex: &Reindex) -> Result<Task, Error> {
        let mut state = self.state()?;
        let mut copies = Vec::new();
        for (held, filter) in state.meant(&reindex.source)? {
            for document in held.found(Sight::Refreshed, filter, &reindex.query) {
                let mut source = document.source.clone();
                source.retain(|name, _| reindex.fields.contains(name));
                source.extend(reindex.constants.iter().cloned());
                copies.push(Operation::Index { id: document.id.clone(), source });
            }
        }
        let destination = state.index_mut(&reindex.destination)?;
        let refused = copies.iter().filter(|copy| destination.apply(copy) != Outcome::Done).count();
        let ended = match refused {
            0 => TaskState::Done(u64::try_from(copies.len()).unwrap_or(u64::MAX)),
            refused => TaskState::Failed(format!("{refused} documents refused")),
        };
        state.tasks.push(ended);
        Ok(Task(state.tasks.len().to_string()))
    }

    async fn task(&self, task: &Task) -> Result<TaskState, Error> {
        let state = self.state()?;
        let place = task.0.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let known = place.and_then(|place| state.tasks.get(place)).cloned();
        Ok(known.unwrap_or_else(|| TaskState::Failed("the engine does not know the task".to_owned())))
    }
}

impl Memory {
    fn on_each(&self, name: &str, act: impl Fn(&mut Held)) -> Result<(), Error> {
        let mut state = self.state()?;
        let mut names: Vec<String> = state.aliases.of(name).map(|(index, _)| index.to_owned()).collect();
        if names.is_empty() {
            names.push(name.to_owned());
        }
        for name in names {
            act(state.index_mut(&name)?);
        }
        Ok(())
    }
}

fn order(one: &[Value], other: &[Value]) -> Ordering {
    let differing = one.iter().zip(other).map(|(one, other)| compare(one, other)).find(|order| order.is_ne());
    differing.unwrap_or(Ordering::Equal)
}

/// Whether a name is what a pattern with `*` in some places says.
fn is_like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(place, _)| place)
                .chain([name.len()])
                .any(|place| name.get(place..).is_some_and(|name| is_like(rest, name)))
        }),
    }
}
