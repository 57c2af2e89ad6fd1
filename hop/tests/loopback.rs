//! Both shells over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by it"
)]

mod scene;

use std::time::Duration;

use headwater_hop::{
    EndReason, Event, Heard, Pull, PullEnd, PullError, PullLimits, Refusal, ServeSettings, Signal,
    StartAt, connect, run,
};
use headwater_hub::Liveness;
use scene::{ask, held, metrics, opening, push, serve, stream};
use tokio::sync::watch;

async fn pull(address: &str, start: StartAt) -> Result<Pull, PullError> {
    connect(address, &ask(start), &PullLimits::default(), &metrics()).await
}

async fn event(pull: &mut Pull) -> Event {
    match pull.next().await.unwrap() {
        Heard::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pull_feeds_a_stream_tag_by_tag_until_the_publisher_leaves() {
    let (home, edge) = (stream(), stream());
    home.open(opening(7)).unwrap();
    push(&home, 0..25);
    let address = serve(&home, ServeSettings::new(metrics())).await;
    let mut pull = pull(&address, StartAt::Oldest).await.unwrap();
    let mut progress = edge.subscribe();
    let live = async {
        progress.wait_for(|p| p.end == 25).await.unwrap();
        // Each tag crosses at once, by itself.
        for n in 25..60 {
            push(&home, n..n + 1);
            progress.wait_for(|p| p.end == n + 1).await.unwrap();
        }
        home.end(7);
    };
    let (end, ()) = tokio::join!(run(&mut pull, &edge, |_| {}), live);
    assert!(
        matches!(end, PullEnd::Ended(EndReason::PublisherLeft)),
        "{end:?}"
    );
    assert_eq!(held(&edge), held(&home));
    let progress = edge.progress();
    assert_eq!(
        (progress.liveness, progress.epoch, progress.term),
        (Liveness::Ended, 7, 7)
    );
    let spans = |s: &headwater_hub::Stream| s.with_ring(|ring| ring.span().dts_offset);
    assert_eq!(spans(&edge), spans(&home));
}

#[tokio::test]
async fn a_pull_from_live_brings_the_headers_in_force_and_the_newest_gop() {
    let (home, edge) = (stream(), stream());
    home.open(opening(7)).unwrap();
    push(&home, 0..25);
    let address = serve(&home, ServeSettings::new(metrics())).await;
    let mut pull = pull(&address, StartAt::Live).await.unwrap();
    let head = *pull.head();
    assert_eq!(
        (head.first_sequence, head.preface, head.first_dts.0),
        (22, 2, 220)
    );
    let mut progress = edge.subscribe();
    let live = async {
        progress.wait_for(|p| p.end == 3).await.unwrap();
        home.end(7);
    };
    tokio::join!(run(&mut pull, &edge, |_| {}), live);
    assert_eq!(held(&edge), held(&home)[22..]);
    let headers = |s: &headwater_hub::Stream| {
        s.with_ring(|ring| {
            ring.headers_at(ring.next_position() - 1)
                .iter()
                .map(|(s, t)| (s, t.payload.clone()))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(headers(&edge), headers(&home));
}

#[tokio::test]
async fn without_media_a_heartbeat_comes_and_the_sender_is_never_suspect() {
    let home = stream();
    home.open(opening(7)).unwrap();
    let address = serve(&home, ServeSettings::new(metrics())).await;
    let mut pull = pull(&address, StartAt::Oldest).await.unwrap();
    for _ in 0..6 {
        assert_eq!(event(&mut pull).await, Event::Heartbeat);
    }
    push(&home, 0..1);
    assert!(matches!(
        event(&mut pull).await,
        Event::Tag { sequence: 0, .. }
    ));
}

#[tokio::test]
async fn a_silent_sender_is_suspect_once_and_alive_again() {
    let home = stream();
    home.open(opening(7)).unwrap();
    let settings = ServeSettings {
        heartbeat: Duration::from_secs(3600),
        ..ServeSettings::new(metrics())
    };
    let address = serve(&home, settings).await;
    let limits = PullLimits {
        silence: Duration::from_millis(30),
        ..PullLimits::default()
    };
    let mut pull = connect(&address, &ask(StartAt::Oldest), &limits, &metrics())
        .await
        .unwrap();
    let edge = stream();
    let mut signals = Vec::new();
    let end = run(&mut pull, &edge, |signal| {
        match signal {
            Signal::Suspect(_) => push(&home, 0..1),
            Signal::Alive => home.end(7),
            _ => {}
        }
        signals.push(signal);
    })
    .await;
    assert!(matches!(end, PullEnd::Ended(_)));
    assert!(
        matches!(signals[..], [Signal::Suspect(silence), Signal::Alive] if silence >= limits.silence)
    );
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let home = stream();
    let quick = ServeSettings {
        wait: Duration::from_millis(20),
        ..ServeSettings::new(metrics())
    };
    let address = serve(&home, quick).await;
    let refused = |result: Result<Pull, PullError>| match result {
        Err(PullError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(pull(&address, StartAt::Live).await),
        Refusal::NotYet,
        "nothing has come yet"
    );
    home.open(opening(7)).unwrap();
    push(&home, 0..5);
    let after = |epoch, sequence| StartAt::After { epoch, sequence };
    assert_eq!(
        refused(pull(&address, after(7, 5)).await),
        Refusal::NotYet,
        "ahead of the ring"
    );
    assert_eq!(
        refused(pull(&address, after(8, 0)).await),
        Refusal::Behind { epoch: 7, term: 7 }
    );
    let far = headwater_hop::PullRequest {
        hops: 4,
        ..ask(StartAt::Live)
    };
    let far = connect(&address, &far, &PullLimits::default(), &metrics()).await;
    assert_eq!(refused(far), Refusal::Loop);
}

#[tokio::test]
async fn who_is_ahead_waits_for_its_tag() {
    let home = stream();
    home.open(opening(7)).unwrap();
    push(&home, 0..5);
    let address = serve(&home, ServeSettings::new(metrics())).await;
    let later = async {
        tokio::task::yield_now().await;
        push(&home, 5..7);
    };
    let (pull, ()) = tokio::join!(
        pull(
            &address,
            StartAt::After {
                epoch: 7,
                sequence: 5
            }
        ),
        later
    );
    let mut pull = pull.unwrap();
    assert!(matches!(
        event(&mut pull).await,
        Event::Tag { sequence: 6, .. }
    ));
}

#[tokio::test]
async fn a_higher_term_a_move_and_a_new_session_are_told() {
    let (home, edge) = (stream(), stream());
    home.open(opening(7)).unwrap();
    push(&home, 0..5);
    let (moved, moved_rx) = watch::channel(None);
    let settings = ServeSettings {
        moved: Some(moved_rx),
        ..ServeSettings::new(metrics())
    };
    let address = serve(&home, settings).await;
    let mut pull = pull(&address, StartAt::Oldest).await.unwrap();
    let mut signals = Vec::new();
    home.raise_term(9);
    let end = run(&mut pull, &edge, |signal| {
        match &signal {
            Signal::Term(_) => drop(moved.send_replace(Some("10.0.0.9:7000".to_owned()))),
            Signal::Moved { .. } => drop(home.open(opening(12)).unwrap()),
            _ => {}
        }
        signals.push(signal);
    })
    .await;
    assert!(
        matches!(end, PullEnd::Ended(EndReason::Replaced)),
        "{end:?}"
    );
    let moved = Signal::Moved {
        to: "10.0.0.9:7000".to_owned(),
        next: 5,
    };
    assert_eq!(signals, [Signal::Term(9), moved]);
    assert_eq!(edge.progress().term, 9);
}

#[tokio::test]
async fn two_pulls_side_by_side_give_each_tag_once() {
    let (home, ingress, edge) = (stream(), stream(), stream());
    for source in [&home, &ingress] {
        source.open(opening(7)).unwrap();
        push(source, 0..30);
    }
    let (first, second) = (
        serve(&home, ServeSettings::new(metrics())).await,
        serve(&ingress, ServeSettings::new(metrics())).await,
    );
    let mut first = pull(&first, StartAt::Oldest).await.unwrap();
    let mut second = pull(&second, StartAt::Oldest).await.unwrap();
    let mut progress = edge.subscribe();
    let live = async {
        for n in 30..50 {
            push(&ingress, n..n + 1);
            progress.wait_for(|p| p.end == n + 1).await.unwrap();
            push(&home, n..n + 1);
        }
        home.end(7);
        ingress.end(7);
    };
    tokio::join!(
        run(&mut first, &edge, |_| {}),
        run(&mut second, &edge, |_| {}),
        live
    );
    assert_eq!(held(&edge), held(&ingress));
}

#[tokio::test]
async fn a_receiver_that_leaves_is_let_go() {
    let home = stream();
    home.open(opening(7)).unwrap();
    push(&home, 0..5);
    let served = metrics();
    let address = serve(&home, ServeSettings::new(served)).await;
    let pull = pull(&address, StartAt::Oldest).await.unwrap();
    // The test's own hold, the server's and that of the pull.
    assert_eq!(std::sync::Arc::strong_count(&home), 4);
    drop(pull);
    while std::sync::Arc::strong_count(&home) > 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sender_hears_at_any_time_whether_its_receiver_wants_each_tag_at_once() {
    let home = stream();
    home.open(opening(7)).unwrap();
    push(&home, 0..25);
    let address = serve(&home, ServeSettings::new(metrics())).await;
    let mut pull = pull(&address, StartAt::Oldest).await.unwrap();
    assert!(home.pacing().has_at_once(), "who says nothing hurries");
    let mut next = 25;
    for at_once in [false, true, false] {
        pull.want_at_once(at_once);
        let heard = async {
            while home.pacing().has_at_once() != at_once {
                push(&home, next..next + 1);
                next += 1;
                event(&mut pull).await;
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(10), heard).await;
        assert!(heard.is_ok(), "at once: {at_once}");
    }
    // What comes meanwhile is whole: a word does not stand in the way of tags.
    push(&home, next..next + 1);
    while !matches!(event(&mut pull).await, Event::Tag { sequence, .. } if sequence == next) {}
    drop(pull);
}

#[tokio::test]
async fn words_that_mean_nothing_cost_the_receiver_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let home = stream();
    home.open(opening(7)).unwrap();
    push(&home, 0..25);
    let address = serve(&home, ServeSettings::new(metrics())).await;
    for words in ["", "2\r\n00\r\n", "5\r\nhurry\r\n", "1\r\n0\r\n0\r\n\r\n"] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let target = ask(StartAt::Oldest).target();
        let head =
            format!("GET {target} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut got = [0; 4096];
        assert!(socket.read(&mut got).await.unwrap() > 0);
        socket.write_all(words.as_bytes()).await.unwrap();
        // A heartbeat comes every 100 ms.
        for _ in 0..3 {
            assert!(socket.read(&mut got).await.unwrap() > 0, "{words:?}");
        }
    }
}
