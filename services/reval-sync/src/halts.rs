//! Named points of the work, at which a test can end it.

use std::sync::{Arc, Mutex, PoisonError};

/// Points at which work stops for good, as if the process had died there; none unless one is armed. With the feature `failpoints` the process itself
/// dies at the point that its environment names.
#[derive(Debug, Clone, Default)]
pub struct Halts(Arc<Mutex<Option<String>>>);

impl Halts {
    /// From now on work that reaches `point` goes no further.
    pub fn arm(&self, point: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(point.to_owned());
    }

    pub(crate) async fn reach(&self, point: &'static str) {
        chassis::failpoints::hit(point);
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(point);
        if armed {
            std::future::pending::<()>().await;
        }
    }
}
