//! A pull, as an edge or a home makes it.

use std::time::Duration;

use bytes::Bytes;
use headwater_hop::{
    EndReason, Event, Heard, HopMetrics, Known, Pull, PullLimits, PullRequest, StartAt, connect,
};
use headwater_media::{Tag, TagKind};

use crate::scene::SOON;

pub(crate) struct Puller {
    pub(crate) pull: Pull,
}

impl Puller {
    /// Pulls from the oldest tag; tries again until the stream is there.
    pub(crate) async fn oldest(address: &str, key: &str) -> Puller {
        Puller::knowing(address, key, None).await
    }

    /// The same, by one who has heard of a term.
    pub(crate) async fn knowing(address: &str, key: &str, known: Option<Known>) -> Puller {
        let metrics = HopMetrics::register(&prometheus::Registry::new()).unwrap();
        let request = PullRequest {
            key: key.parse().unwrap(),
            start: StartAt::Oldest,
            hops: 1,
            known,
        };
        let there = async {
            loop {
                match connect(address, &request, &PullLimits::default(), &metrics).await {
                    Ok(pull) => return pull,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        Puller {
            pull: tokio::time::timeout(SOON, there)
                .await
                .expect("the stream is there"),
        }
    }

    /// The next tag, or why there is none.
    pub(crate) async fn next(&mut self) -> Result<(u64, Tag), EndReason> {
        let heard = async {
            loop {
                match self.pull.next().await.unwrap() {
                    Heard::Event(Event::Tag { sequence, tag }) => return Ok((sequence, tag)),
                    Heard::Event(Event::Ended(reason)) => return Err(reason),
                    Heard::Event(Event::Gap { .. }) => panic!("a gap"),
                    Heard::Event(
                        Event::Header(_) | Event::Heartbeat | Event::Term(_) | Event::Moved { .. },
                    )
                    | Heard::Suspect(_)
                    | Heard::Alive => {}
                }
            }
        };
        tokio::time::timeout(SOON, heard)
            .await
            .expect("a tag or the end")
    }

    /// As many tags as `sent`, which must be these, with numbers that follow one another.
    pub(crate) async fn same_as(&mut self, sent: &[(TagKind, Bytes)]) -> Vec<Tag> {
        let mut tags = Vec::new();
        let first = self.pull.next_sequence();
        for (expected, (kind, payload)) in (first..).zip(sent) {
            let (sequence, tag) = self.next().await.unwrap();
            assert_eq!(
                (sequence, tag.kind, &tag.payload),
                (expected, *kind, payload)
            );
            tags.push(tag);
        }
        tags
    }
}
