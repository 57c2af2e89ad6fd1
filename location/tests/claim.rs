//! Claim and Release over a real socket, on a port that hyper serves as an origin's internal one does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::sync::Arc;
use std::time::Duration;

use headwater_location::claim::{
    Claim, ClaimError, ClaimHandler, OnAir, OnDuplicate, Origins, Release, Standing, Verdict,
    routes,
};
use headwater_location::{Endpoint, Seen};
use headwater_process::net;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(10);

struct Home {
    verdict: Verdict,
    heard: mpsc::Sender<String>,
}

impl ClaimHandler for Home {
    async fn claim(&self, claim: Claim) -> Verdict {
        if claim.key.stream() == "slow" {
            std::future::pending::<()>().await;
        }
        self.heard.send(format!("{claim:?}")).await.unwrap();
        self.verdict.clone()
    }

    async fn release(&self, release: Release) {
        self.heard.send(format!("{release:?}")).await.unwrap();
    }
}

async fn serve(verdict: Verdict) -> (String, mpsc::Receiver<String>) {
    let (heard, hearing) = mpsc::channel(8);
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let routes = routes(Arc::new(Home { verdict, heard }));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(routes.clone());
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    (address, hearing)
}

fn claim(stream: &str) -> Claim {
    Claim {
        key: format!("default/live/{stream}").parse().unwrap(),
        epoch: 1,
        term: 2,
        ingress: Endpoint {
            member: "origin-0".into(),
            address: "127.0.0.1:7000".to_owned(),
        },
        publisher: "192.0.2.1:4000".to_owned(),
        on_duplicate: OnDuplicate::Refuse,
        last: Some(Seen {
            stream_dts_ms: -3,
            unix_ms: 4,
        }),
        standing: Some(Standing {
            ready: Some(Duration::from_millis(5)),
        }),
    }
}

#[tokio::test]
async fn a_claim_arrives_as_it_was_sent_and_so_does_the_verdict() {
    for verdict in [
        Verdict::Accepted {
            term: 9,
            dts_offset_ms: -1,
        },
        Verdict::AtCap,
        Verdict::Refused {
            reason: "duplicate".to_owned(),
            text: "somebody else is on".to_owned(),
        },
        Verdict::Stale { term: 10 },
        Verdict::StandsBy(OnAir {
            ingress: Some(claim("room").ingress),
            silent: Some(Duration::from_millis(6)),
        }),
        Verdict::StandsBy(OnAir::default()),
    ] {
        let (address, mut heard) = serve(verdict.clone()).await;
        let origins = Origins::new();
        let claim = claim("room");
        let got = origins.claim(&address, &claim, SOON).await.unwrap();
        assert_eq!(got, verdict);
        assert_eq!(heard.recv().await.unwrap(), format!("{claim:?}"));

        let release = Release {
            key: claim.key,
            epoch: 1,
            term: 11,
            code: "NetStream.Publish.BadName".to_owned(),
            reason: "replaced".to_owned(),
            stands_by: true,
        };
        origins.release(&address, &release, SOON).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), format!("{release:?}"));
    }
}

#[tokio::test]
async fn an_origin_that_does_not_answer_or_is_not_there_is_told_apart() {
    let (address, _heard) = serve(Verdict::AtCap).await;
    let origins = Origins::new();
    let soon = Duration::from_millis(50);
    let error = origins.claim(&address, &claim("slow"), soon).await;
    assert_eq!(error.unwrap_err().reason(), "timeout");

    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = origins
        .claim(&closed, &claim("room"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, ClaimError::Unreachable { .. }), "{error}");

    let nameless = Claim {
        ingress: Endpoint {
            member: "".into(),
            address: String::new(),
        },
        ..claim("room")
    };
    let error = origins.claim(&address, &nameless, SOON).await.unwrap_err();
    assert_eq!(error.reason(), "refused", "{error}");
}
