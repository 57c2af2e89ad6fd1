//! The locator against replicas that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use headwater_location::proto::location_server::{Location, LocationServer};
use headwater_location::{
    Down, Located, LocationConfig, Locator, Member, Members, Part, PlacedBy, Role, Site, Source,
    Sources, proto,
};
use headwater_process::metrics::Registry;
use headwater_process::net;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

const SOON: Duration = Duration::from_secs(10);

/// A replica that does as it is told.
#[derive(Clone)]
struct Replica {
    name: &'static str,
    settled: bool,
    /// It beats.
    beats: Arc<AtomicBool>,
    /// Its answers: each takes one away, and waits for it.
    answers: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
}

impl Replica {
    fn new(name: &'static str, answers: usize) -> Replica {
        Replica {
            name,
            settled: true,
            beats: Arc::new(AtomicBool::new(true)),
            answers: Arc::new(Semaphore::new(answers)),
            asked: Arc::default(),
        }
    }

    async fn serve(&self) -> String {
        let listener = net::listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routes = Routes::new(LocationServer::new(self.clone()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(routes.clone());
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        address
    }

    fn source(&self) -> Source {
        Source {
            member: self.name.into(),
            role: Role::Origin,
            part: Part::Home,
            address: format!("{}:7000", self.name),
            site: Site::default(),
        }
    }

    async fn answer(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
    }
}

#[tonic::async_trait]
impl Location for Replica {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<proto::Down, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<proto::Up>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (to, down) = mpsc::channel(8);
        let beats = self.beats.clone();
        let settled = self.settled;
        tokio::spawn(async move {
            let mut up = request.into_inner();
            let list = Down::Members(Members {
                replica: "fake".to_owned(),
                version: 1,
                members: vec![Arc::new(Member::new("listed", Role::Origin, "listed:7000"))],
                settled,
                complete: true,
                operators: Vec::new(),
            });
            to.send(Ok(proto::Down::from(&list))).await.ok();
            // Heartbeats come up every 250 ms, and one goes down for each.
            while let Ok(Some(_)) = up.message().await {
                if beats.load(Ordering::SeqCst) {
                    let beat = proto::Down::from(&Down::Beat { settled });
                    to.send(Ok(beat)).await.ok();
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(down))))
    }

    async fn place(
        &self,
        _request: Request<proto::PlaceRequest>,
    ) -> Result<Response<proto::PlaceReply>, Status> {
        self.answer().await;
        Ok(Response::new(proto::PlaceReply {
            candidates: vec![(&self.source()).into()],
            settled: self.settled,
            ..proto::PlaceReply::default()
        }))
    }

    async fn locate(
        &self,
        _request: Request<proto::LocateRequest>,
    ) -> Result<Response<proto::LocateReply>, Status> {
        self.answer().await;
        let reply = headwater_location::LocateReply {
            sources: Sources {
                epoch: 1,
                term: 1,
                sources: vec![self.source()],
            },
            cache: Duration::ZERO,
            left_ago: None,
            settled: self.settled,
        };
        Ok(Response::new((&reply).into()))
    }
}

async fn locator(operators: Vec<String>) -> Locator {
    let count = operators.len();
    let config = LocationConfig {
        operators,
        id: "me".to_owned(),
        ..LocationConfig::default()
    };
    let me = config.member(Role::Origin, "me:7000");
    let locator = Locator::start(&config, me, &Registry::new().unwrap()).unwrap();
    tokio::time::timeout(SOON, locator.connected(count))
        .await
        .unwrap();
    locator
}

fn room() -> headwater_location::StreamKey {
    "default/live/room".parse().unwrap()
}

#[tokio::test]
async fn a_replica_that_beats_and_does_not_answer_delays_nobody() {
    let (stuck, good) = (Replica::new("stuck", 0), Replica::new("good", 100));
    let locator = locator(vec![stuck.serve().await, good.serve().await]).await;
    for _ in 0..3 {
        let asked = Instant::now();
        let placement = locator.place(&room(), 1, &[]).await.unwrap();
        assert_eq!(&*placement.candidates[0].member, "good");
        assert_eq!(placement.by, PlacedBy::Operator);
        let Ok(Located::Found(found)) = locator.locate(&room()).await else {
            panic!("not found");
        };
        assert_eq!(&*found.sources[0].member, "good");
        assert!(
            asked.elapsed() < Duration::from_millis(600),
            "{:?}",
            asked.elapsed()
        );
    }
}

#[tokio::test]
async fn when_no_replica_answers_the_ring_does() {
    let stuck = Replica::new("stuck", 0);
    let locator = locator(vec![stuck.serve().await]).await;
    let placement = locator.place(&room(), 1, &[]).await.unwrap();
    assert_eq!(placement.by, PlacedBy::Ring);
    let Ok(Located::Guess(guess)) = locator.locate(&room()).await else {
        panic!("no guess");
    };
    assert_eq!(guess, placement.candidates);
}

#[tokio::test]
async fn a_crowd_that_asks_for_one_stream_asks_once() {
    let replica = Replica::new("home", 0);
    let locator = locator(vec![replica.serve().await]).await;
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let locator = locator.clone();
            tokio::spawn(async move { locator.locate(&room()).await })
        })
        .collect();
    let asked = async {
        while replica.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, asked).await.unwrap();
    // One of the crowd goes away: the others are answered all the same.
    crowd[0].abort();
    replica.answers.add_permits(1);
    for asker in crowd.into_iter().skip(1) {
        assert!(matches!(asker.await.unwrap(), Ok(Located::Found(_))));
    }
    assert_eq!(replica.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_second_of_silence_is_the_end_of_a_session_and_not_of_what_was_known() {
    let replica = Replica::new("home", 100);
    let locator = locator(vec![replica.serve().await]).await;
    let mut members = locator.members();
    members
        .wait_for(|list| list.get("listed").is_some())
        .await
        .unwrap();
    replica.beats.store(false, Ordering::SeqCst);
    let silent = Instant::now();
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    while locator.replicas() > 0 {
        poll.tick().await;
        assert!(silent.elapsed() < SOON);
    }
    assert!(
        silent.elapsed() > Duration::from_millis(700),
        "{:?}",
        silent.elapsed()
    );
    assert!(
        silent.elapsed() < Duration::from_millis(2000),
        "{:?}",
        silent.elapsed()
    );
    assert!(locator.members().borrow().get("listed").is_some());
}
