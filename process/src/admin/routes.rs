//! The JSON that roles add to the admin port.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};

type Answering = Pin<Box<dyn Future<Output = Value> + Send>>;
type Answer = Arc<dyn Fn() -> Answering + Send + Sync>;

/// Path → part → who answers.
#[derive(Default)]
pub(super) struct Routes(BTreeMap<&'static str, BTreeMap<&'static str, Answer>>);

impl Routes {
    pub(super) fn add<F, A>(&mut self, path: &'static str, part: &'static str, answer: F)
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Value> + Send + 'static,
    {
        self.0
            .entry(path)
            .or_default()
            .insert(part, Arc::new(move || Box::pin(answer())));
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The object of all parts of `path`, or `None` if nobody answers there.
    pub(super) fn answer(&self, path: &str) -> Option<impl Future<Output = Value> + Send + use<>> {
        let parts = self.0.get(path)?.clone();
        Some(async move {
            let mut object = Map::new();
            for (part, answer) in parts {
                object.insert(part.to_owned(), answer().await);
            }
            Value::Object(object)
        })
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
