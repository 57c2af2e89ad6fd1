//! Keeping the picture like the cluster: one watch for each kind of object.

use std::fmt::Debug;
use std::sync::Arc;

use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_stream::StreamExt;

use super::picture::{Picture, Shown};
use super::rights::Troubles;

/// The picture, and bells that ring when it has changed: for the index, for orders, and for the keys that
/// policies name.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) picture: Mutex<Picture>,
    pub(super) changed: Notify,
    pub(super) ordered: Notify,
    pub(super) named: Notify,
}

/// Watches the objects of `api` that `config` selects, for ever.
pub(super) async fn keep<K>(
    api: Api<K>,
    config: watcher::Config,
    seen: Arc<Seen>,
    troubles: Arc<Troubles>,
) where
    K: Shown + Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let mut coming = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if is_answer(&event) {
                    troubles.well(K::KIND);
                }
                take(event, &mut coming, &seen);
            }
            Err(error) => failed::<K>(&error, &troubles),
        }
    }
}

/// Whether the API server has said `event`. That a list begins is the watcher's own word, ahead of a refusal, too.
fn is_answer<K>(event: &Event<K>) -> bool {
    !matches!(event, Event::Init)
}

fn take<K: Shown>(event: Event<K>, coming: &mut Vec<K>, seen: &Seen) {
    match event {
        Event::Init => coming.clear(),
        Event::InitApply(object) => coming.push(object),
        Event::InitDone => seen.picture.lock().replace(std::mem::take(coming)),
        Event::Apply(object) => object.show(&mut seen.picture.lock()),
        Event::Delete(object) => object.hide(&mut seen.picture.lock()),
    }
    seen.changed.notify_one();
    seen.ordered.notify_one();
    seen.named.notify_one();
}

fn failed<K: Shown>(error: &watcher::Error, troubles: &Troubles) {
    let what = format!("watch {}", K::KIND);
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => troubles.failed(K::KIND, &what, error),
        watcher::Error::WatchError(status) => {
            // 410: what was missed is listed anew.
            if status.code != 410 {
                troubles.failed(K::KIND, &what, &kube::Error::Api(status.clone()));
            }
        }
        watcher::Error::NoResourceVersion => tracing::error!(what, %error, "watch"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_is_no_answer() {
        assert!(!is_answer::<()>(&Event::Init));
        for event in [
            Event::InitApply(()),
            Event::InitDone,
            Event::Apply(()),
            Event::Delete(()),
        ] {
            assert!(is_answer(&event), "{event:?}");
        }
    }
}
