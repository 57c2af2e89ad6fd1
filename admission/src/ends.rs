//! Telling the callback, in the background, that somebody is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::StreamKey;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::Kind;
use crate::callback::Event;
use crate::client::Client;
use crate::config::CallbackEvent;
use crate::metrics::{Metrics, Notice};

/// The end of an admitted publish or play.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What ended.
    pub kind: Kind,
    /// Of which stream.
    pub key: StreamKey,
    /// Whose.
    pub peer: SocketAddr,
    /// How long it was on.
    pub duration: Duration,
    /// Bytes of media that were received (publish) or sent (play).
    pub bytes: u64,
    /// Why it ended, as a label of a closed set.
    pub why: &'static str,
}

impl Ended {
    fn event(&self) -> Event<'_> {
        Event {
            event: CallbackEvent::end(self.kind),
            key: self.key.as_str(),
            vhost: self.key.vhost(),
            app: self.key.app(),
            stream: self.key.stream(),
            peer: self.peer,
            agent: None,
            query: None,
            duration_ms: Some(u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX)),
            bytes: Some(self.bytes),
            why: Some(self.why),
        }
    }
}

/// The bounded queue of ends. Each is told once; one that the callback does not take is counted, not told again.
pub(crate) struct Ends {
    queue: mpsc::Sender<Ended>,
    untold: watch::Sender<usize>,
    metrics: Metrics,
}

impl Ends {
    /// Begins a task that lives until the queue is dropped and empty.
    pub(crate) fn start(
        client: Arc<Client>,
        queued_max: usize,
        in_flight_max: usize,
        metrics: Metrics,
    ) -> Self {
        let (queue, ends) = mpsc::channel(queued_max);
        let untold = watch::Sender::new(0);
        tokio::spawn(tell_all(
            ends,
            client,
            in_flight_max,
            untold.clone(),
            metrics.clone(),
        ));
        Ends {
            queue,
            untold,
            metrics,
        }
    }

    pub(crate) fn push(&self, ended: Ended) {
        let kind = ended.kind;
        self.untold
            .send_modify(|count| *count = count.saturating_add(1));
        if self.queue.try_send(ended).is_err() {
            one_less(&self.untold);
            self.metrics.ended(kind, Notice::Dropped);
        }
    }

    /// Waits until nothing is queued or under way.
    pub(crate) async fn told(&self) {
        // It fails only without a sender, and `self` holds one.
        self.untold
            .subscribe()
            .wait_for(|count| *count == 0)
            .await
            .ok();
    }
}

fn one_less(untold: &watch::Sender<usize>) {
    untold.send_modify(|count| *count = count.saturating_sub(1));
}

async fn tell_all(
    mut ends: mpsc::Receiver<Ended>,
    client: Arc<Client>,
    in_flight_max: usize,
    untold: watch::Sender<usize>,
    metrics: Metrics,
) {
    let permits = Arc::new(Semaphore::new(in_flight_max));
    while let Some(ended) = ends.recv().await {
        // The semaphore is never closed.
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let (client, untold, metrics) = (client.clone(), untold.clone(), metrics.clone());
        tokio::spawn(async move {
            let notice = tell(&client, &ended).await;
            metrics.ended(ended.kind, notice);
            one_less(&untold);
            drop(permit);
        });
    }
}

async fn tell(client: &Client, ended: &Ended) -> Notice {
    let error = match ended.event().to_json() {
        Ok(body) => match client.post(body, client.deadline()).await {
            Ok(reply) if reply.status.is_success() => return Notice::Told,
            Ok(reply) => format!("status {}", reply.status),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    tracing::debug!(key = %ended.key, kind = %ended.kind, "the callback was not told of an end: {error}");
    Notice::Failed
}
