//! Bulk writing, item by item.

use std::time::Duration;

use chassis::backoff::{self, Jitter};
use futures::{StreamExt as _, stream::FuturesOrdered};
use search::engine::{Engine, Error, Operation, Outcome};
use tokio::time::sleep;

/// Bounds of bulk writing.
#[derive(Debug, Clone, Copy)]
pub struct Bulk {
    /// Operations in one request.
    pub max_actions: usize,
    /// About so many bytes in one request.
    pub max_bytes: usize,
    /// Requests under way.
    pub concurrency: usize,
}

/// Writes operations to an index and says what became of each, in order. What the engine has no room for is sent again until it has; an outage is an
/// error at once. `answered` hears how many operations each answer settled.
///
/// # Errors
/// The engine's: some may be written.
pub async fn write(
    engine: &impl Engine,
    index: &str,
    operations: &[Operation],
    bulk: Bulk,
    answered: impl Fn(usize) + Send,
) -> Result<Vec<Outcome>, Error> {
    let mut requests = cut(operations, bulk).into_iter();
    let mut answers = FuturesOrdered::new();
    let mut outcomes = Vec::with_capacity(operations.len());
    for request in requests.by_ref().take(bulk.concurrency.max(1)) {
        answers.push_back(send(engine, index, request));
    }
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        answered(answer.len());
        outcomes.extend(answer);
        if let Some(request) = requests.next() {
            answers.push_back(send(engine, index, request));
        }
    }
    Ok(outcomes)
}

/// One request, and smaller ones with what the engine had no room for.
async fn send(engine: &impl Engine, index: &str, request: &[Operation]) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = engine.bulk(index, request).await?;
    let mut jitter = Jitter::random();
    for attempt in 1.. {
        let late: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes.get(*at) == Some(&Outcome::Later)).collect();
        if late.is_empty() {
            break;
        }
        sleep(backoff::pause(attempt, None, &mut jitter).max(Duration::from_millis(50))).await;
        let again: Vec<Operation> = late.iter().filter_map(|at| request.get(*at)).cloned().collect();
        for (at, outcome) in late.into_iter().zip(engine.bulk(index, &again).await?) {
            if let Some(place) = outcomes.get_mut(at) {
                *place = outcome;
            }
        }
    }
    Ok(outcomes)
}

fn cut(operations: &[Operation], bulk: Bulk) -> Vec<&[Operation]> {
    let (mut requests, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, operation) in operations.iter().enumerate() {
        let size = size(operation);
        if at > start && (at - start >= bulk.max_actions || bytes + size > bulk.max_bytes) {
            requests.extend(operations.get(start..at));
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    requests.extend(operations.get(start..).filter(|rest| !rest.is_empty()));
    requests
}

/// About as many bytes as it has on the wire.
fn size(operation: &Operation) -> usize {
    match operation {
        Operation::Index { id, source } | Operation::Create { id, source } | Operation::Replace { id, source, .. } => {
            let value = |value: &serde_json::Value| match value {
                serde_json::Value::String(text) => text.len() + 2,
                serde_json::Value::Array(entries) => 256 * entries.len(),
                _ => 16,
            };
            64 + id.len() + source.iter().map(|(name, member)| name.len() + 4 + value(member)).sum::<usize>()
        }
        Operation::Delete { id, .. } => 64 + id.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_by_number_and_by_size() {
        let operations: Vec<Operation> =
            (0..10).map(|id| Operation::Delete { id: id.to_string(), version: None }).collect();
        let sizes = |max_actions, max_bytes| -> Vec<usize> {
            cut(&operations, Bulk { max_actions, max_bytes, concurrency: 1 }).into_iter().map(<[_]>::len).collect()
        };
        assert_eq!(sizes(4, usize::MAX), [4, 4, 2]);
        assert_eq!(sizes(100, 130), [2, 2, 2, 2, 2]);
        assert_eq!(sizes(100, 1), [1; 10]);
        assert!(cut(&[], Bulk { max_actions: 1, max_bytes: 1, concurrency: 1 }).is_empty());
    }
}
