//! Who is dead, and who was a moment ago: what excuses the end of a connection.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A connection that ends so long after its server's death ends by it.
const EXCUSED: Duration = Duration::from_secs(5);

/// Deaths by address.
#[derive(Debug, Default)]
pub(crate) struct Lives(Mutex<BTreeMap<String, Death>>);

#[derive(Clone, Copy, Debug)]
struct Death {
    at: Instant,
    over: bool,
}

impl Lives {
    pub(crate) fn dies(&self, address: &str) {
        let death = Death {
            at: Instant::now(),
            over: false,
        };
        self.0.lock().unwrap().insert(address.to_owned(), death);
    }

    pub(crate) fn back(&self, address: &str) {
        if let Some(death) = self.0.lock().unwrap().get_mut(address) {
            death.over = true;
        }
    }

    pub(crate) fn is_dead(&self, address: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .get(address)
            .is_some_and(|it| !it.over)
    }

    /// Whether a connection to `address` may have ended by its death.
    pub(crate) fn excuses(&self, address: &str) -> bool {
        let deaths = self.0.lock().unwrap();
        let death = deaths.get(address);
        death.is_some_and(|it| !it.over || it.at.elapsed() < EXCUSED)
    }
}
