//! What the settings turned out to be, for one line at the start.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

/// The names and values of the settings in force; secrets are in it as the word `redacted` alone.
#[derive(Debug, Clone, Default)]
pub struct InForce(Arc<Mutex<Map<String, Value>>>);

impl InForce {
    pub(super) fn note(&self, name: &str, shown: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Value::String(shown));
    }

    /// One JSON object, by name; a setting that is neither set nor defaulted is not in it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
