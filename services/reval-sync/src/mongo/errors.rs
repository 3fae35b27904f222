//! What went wrong, in our words. The server's texts quote documents: only codes and kinds are kept.

use mongodb::{
    bson::Document,
    error::{Error, ErrorKind, WriteFailure},
};

use crate::sources::StoreError;

/// Two documents with one key.
const DUPLICATE: i32 = 11_000;
/// Codes that say: never. Login, rights, a document that is too large or not allowed, a command that is not known.
const NEVER: [i32; 10] = [2, 9, 13, 14, 18, 59, 73, 10_334, 17_419, 17_420];

pub(super) fn problem(error: &Error) -> StoreError {
    match &*error.kind {
        ErrorKind::Authentication { .. } => StoreError::Refused("login".to_owned()),
        ErrorKind::InvalidArgument { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::IncompatibleServer { .. } => StoreError::Refused("settings".to_owned()),
        ErrorKind::BsonSerialization(_) | ErrorKind::Bson(_) => StoreError::Refused("not representable".to_owned()),
        ErrorKind::Command(refusal) => coded(refusal.code, &refusal.code_name),
        ErrorKind::Write(WriteFailure::WriteError(refusal)) => {
            coded(refusal.code, refusal.code_name.as_deref().unwrap_or_default())
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(refusal)) => unconfirmed(refusal.code),
        ErrorKind::Io(error) => StoreError::Unavailable(error.kind().to_string()),
        ErrorKind::ServerSelection { .. } => StoreError::Unavailable("no server for the call".to_owned()),
        _ => StoreError::Unavailable("the call failed".to_owned()),
    }
}

/// Whether a write failed because its key is taken.
pub(super) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(refusal)) if refusal.code == DUPLICATE)
}

/// The first failure in the answer to a command of many writes.
pub(super) fn of_writes(answer: &Document) -> Result<(), StoreError> {
    let code = |refusal: &Document| {
        refusal.get_i32("code").or_else(|_| refusal.get_i64("code").map(|code| i32::try_from(code).unwrap_or_default()))
    };
    let refused = answer.get_array("writeErrors").ok().and_then(|refusals| refusals.first()?.as_document());
    if let Some(refusal) = refused {
        return Err(match code(refusal).unwrap_or_default() {
            // two upserts of one key at once: the next try finds it
            DUPLICATE => StoreError::Unavailable("somebody came between".to_owned()),
            code => coded(code, ""),
        });
    }
    match answer.get_document("writeConcernError") {
        Ok(refusal) => Err(unconfirmed(code(refusal).unwrap_or_default())),
        Err(_absent) => Ok(()),
    }
}

fn coded(code: i32, name: &str) -> StoreError {
    let text = format!("{code} {name}").trim_end().to_owned();
    if NEVER.contains(&code) { StoreError::Refused(text) } else { StoreError::Unavailable(text) }
}

fn unconfirmed(code: i32) -> StoreError {
    StoreError::Unavailable(format!("not confirmed by a majority: {code}"))
}
