//! What the SDK says went wrong, in our words. Its own texts may quote messages: only codes and kinds are kept.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::queue::Error;

/// Codes that say: not now.
const LATER: [&str; 6] =
    ["ThrottlingException", "RequestThrottled", "Throttling", "OverLimit", "InternalError", "ServiceUnavailable"];

/// A call that failed as a whole.
pub(super) fn failure<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Error {
    match error {
        SdkError::ConstructionFailure(_) => Error::Refused("the request cannot be made".to_owned()),
        SdkError::TimeoutError(_) => Error::Unavailable("no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Error::Refused("the request cannot be sent".to_owned())
        }
        SdkError::DispatchFailure(_) => Error::Unavailable("no connection, or no credentials".to_owned()),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().map_or_else(|| status.to_string(), str::to_owned);
            if status >= 500 || status == 429 || is_later(&code) {
                Error::Unavailable(code)
            } else {
                Error::Refused(code)
            }
        }
        // an answer that cannot be read
        _ => Error::Unavailable("its answer cannot be read".to_owned()),
    }
}

/// An answer that lacks what the protocol promises.
pub(super) fn malformed() -> Error {
    Error::Unavailable("its answer is incomplete".to_owned())
}

fn is_later(code: &str) -> bool {
    // the older protocol puts a name before it
    LATER.iter().any(|later| code.rsplit('.').next() == Some(later))
}

/// Errors of single items of a batch.
pub(super) mod item {
    use aws_sdk_sqs::types::BatchResultErrorEntry;

    use super::is_later;
    use crate::queue::Error;

    /// Codes that say that a receipt counts no more.
    const GONE: [&str; 4] = ["ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight", "InvalidAddress"];

    /// One result for each of `count` receipts, whose ids are their places.
    pub(in super::super) fn results(
        count: usize,
        failed: Result<Vec<BatchResultErrorEntry>, Error>,
    ) -> Vec<Result<(), Error>> {
        let failed = match failed {
            Ok(failed) => failed,
            Err(error) => return vec![Err(error); count],
        };
        let mut results = vec![Ok(()); count];
        for entry in failed {
            if let Some(result) = entry.id().parse::<usize>().ok().and_then(|index| results.get_mut(index)) {
                *result = Err(error(&entry, &GONE));
            }
        }
        results
    }

    /// Why an item failed; a code of `gone` says that it is no longer ours.
    pub(in super::super) fn error(entry: &BatchResultErrorEntry, gone: &[&str]) -> Error {
        let code = entry.code();
        if gone.contains(&code.rsplit('.').next().unwrap_or(code)) {
            Error::Gone
        } else if !entry.sender_fault() || is_later(code) {
            Error::Unavailable(code.to_owned())
        } else {
            Error::Refused(code.to_owned())
        }
    }
}
