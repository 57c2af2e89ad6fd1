//! What must hold before a process may be sent work.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Reasons = Arc<Mutex<BTreeMap<&'static str, Option<String>>>>;

#[derive(Debug, Default)]
pub(super) struct Readiness {
    conditions: Reasons,
}

impl Readiness {
    pub(super) fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            name,
            conditions: self.conditions.clone(),
        };
        condition.unready("starting");
        condition
    }

    pub(super) fn reasons(&self) -> Vec<String> {
        self.conditions
            .lock()
            .iter()
            .filter_map(|(name, reason)| Some(format!("{name}: {}", reason.as_ref()?)))
            .collect()
    }
}

/// Something that must hold before the process is ready; it stays as it was when this handle is dropped.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    conditions: Reasons,
}

impl Condition {
    /// It holds.
    pub fn ready(&self) {
        self.conditions.lock().insert(self.name, None);
    }

    /// It does not hold, for a `reason` that `/readyz` shows.
    pub fn unready(&self, reason: impl Into<String>) {
        self.conditions
            .lock()
            .insert(self.name, Some(reason.into()));
    }
}
