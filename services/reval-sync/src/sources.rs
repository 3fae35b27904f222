//! What other teams hold about doctors, as far as it is read here (chapter 6).

use std::future::Future;

use serde_json::Value;

/// A collection of another team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// `doctorsForDB`
    Doctors,
    /// `recommendation`
    Recommendations,
    /// `connectionLogs`
    ConnectionLogs,
    /// `hiddenDiscrepancy`
    HiddenDiscrepancies,
    /// `exceptionLogs`
    ExceptionLogs,
}

impl Collection {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Doctors, Self::Recommendations, Self::ConnectionLogs, Self::HiddenDiscrepancies, Self::ExceptionLogs];

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Doctors => "doctorsForDB",
            Self::Recommendations => "recommendation",
            Self::ConnectionLogs => "connectionLogs",
            Self::HiddenDiscrepancies => "hiddenDiscrepancy",
            Self::ExceptionLogs => "exceptionLogs",
        }
    }

    /// The fields that are read, beside `_id`.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Doctors => &[
                "gmcReferenceNumber",
                "doctorFirstName",
                "doctorLastName",
                "submissionDate",
                "dateAdded",
                "underNotice",
                "sanction",
                "doctorStatus",
                "lastUpdatedDate",
                "designatedBodyCode",
                "admin",
                "existsInGmc",
            ],
            Self::Recommendations => &["gmcNumber", "outcome", "gmcSubmissionDate", "actualSubmissionDate"],
            Self::ConnectionLogs => &["gmcId", "updatedBy", "requestTime", "responseCode"],
            Self::HiddenDiscrepancies => {
                &["gmcId", "hiddenForDesignatedBodyCode", "hiddenBy", "reason", "hiddenDateTime"]
            }
            Self::ExceptionLogs => &["gmcId", "errorMessage", "timestamp"],
        }
    }

    /// The field that holds the GMC number; `_id` may hold it instead where this is absent.
    #[must_use]
    pub fn number_field(self) -> &'static str {
        match self {
            Self::Doctors => "_id",
            Self::Recommendations => "gmcNumber",
            Self::ConnectionLogs | Self::HiddenDiscrepancies | Self::ExceptionLogs => "gmcId",
        }
    }

    /// Whether its documents come in order of `_id`; the others come in any order, so that no sort is asked for.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Doctors | Self::HiddenDiscrepancies)
    }
}

/// A store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, has no primary or did not answer in time; whether a write took effect is not known.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// It refuses, and would again: login, a document that is too large.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// A collection while it is read.
pub trait Cursor: Send {
    /// The next documents, as relaxed extended JSON; none after the last. A field that is null is there, one that is absent is not.
    ///
    /// # Errors
    /// As [`StoreError`] says: the collection has to be read anew.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Value>, StoreError>> + Send;
}

/// The collections of other teams. Only reads.
pub trait Sources: Send + Sync + 'static {
    /// A collection while it is read.
    type Cursor: Cursor;

    /// Begins to read a whole collection, its [fields](Collection::fields) only.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn read(&self, collection: Collection) -> impl Future<Output = Result<Self::Cursor, StoreError>> + Send;

    /// About how many documents a collection has, for progress.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn count(&self, collection: Collection) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The documents of these GMC numbers, by the [field](Collection::number_field) of the number or by `_id`; numbers are compared as they are.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    fn of_numbers(
        &self,
        collection: Collection,
        numbers: &[String],
    ) -> impl Future<Output = Result<Vec<Value>, StoreError>> + Send;
}
