use tokio::io::AsyncReadExt;

use super::*;
use crate::metrics::Registry;
use crate::net::{connect, listen};

const SOON: Duration = Duration::from_secs(10);

struct Scenario {
    acceptor: Acceptor,
    registry: Registry,
    drain: Drain,
    to: String,
}

impl Scenario {
    async fn new(total: usize, per_address: usize) -> Self {
        let registry = Registry::new().unwrap();
        let drain = Drain::new(SOON);
        let listener = listen("[::]:0").await.unwrap();
        let to = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let acceptor = Acceptor::new(
            listener,
            Limits { total, per_address },
            AcceptMetrics::register(&registry).unwrap().port("test"),
            drain.clone(),
            Closes::WhenDraining,
        );
        Scenario {
            acceptor,
            registry,
            drain,
            to,
        }
    }

    async fn connect(&self) -> TcpStream {
        connect(&self.to, SOON).await.unwrap()
    }

    async fn next(&mut self) -> Accepted {
        tokio::time::timeout(SOON, self.acceptor.next())
            .await
            .unwrap()
            .unwrap()
    }

    fn shows(&self, line: &str) -> bool {
        let text = String::from_utf8(self.registry.encode()).unwrap();
        text.lines().any(|shown| shown == line)
    }
}

#[tokio::test]
async fn a_connection_over_the_limit_of_its_address_is_closed_and_the_next_place_is_given() {
    let mut scenario = Scenario::new(10, 2).await;
    let _near = [scenario.connect().await, scenario.connect().await];
    let first = scenario.next().await;
    let _second = scenario.next().await;

    let mut over = scenario.connect().await;
    let heard = tokio::select! {
        heard = over.read_u8() => heard,
        _ = scenario.acceptor.next() => panic!("let in over the limit"),
    };
    assert!(heard.is_err());
    assert!(
        scenario.shows(
            "headwater_process_refused_connections_total{port=\"test\",reason=\"address\"} 1"
        )
    );
    assert!(scenario.shows("headwater_process_connections{port=\"test\"} 2"));

    drop(first);
    let _again = scenario.connect().await;
    scenario.next().await;
    assert!(scenario.shows("headwater_process_accepted_connections_total{port=\"test\"} 3"));
}

#[tokio::test]
async fn a_refused_connection_hears_why() {
    let scenario = Scenario::new(0, 0).await;
    let to = scenario.to.clone();
    let mut acceptor = scenario.acceptor.refuse_with(b"full");
    let mut near = connect(&to, SOON).await.unwrap();
    let mut heard = Vec::new();
    tokio::select! {
        _ = acceptor.next() => panic!("let in over the limit"),
        read = near.read_to_end(&mut heard) => { read.unwrap(); }
    }
    assert_eq!(heard, b"full");
}

/// Connections from 127.0.0.1 come through a load balancer.
async fn behind_a_proxy(per_address: usize) -> Scenario {
    let mut scenario = Scenario::new(100, per_address).await;
    let networks = ProxyNetworks::parse(&["127.0.0.1".to_owned()]).unwrap();
    scenario.acceptor = scenario.acceptor.behind(networks);
    scenario
}

#[tokio::test]
async fn the_client_that_a_load_balancer_names_is_the_peer_and_is_limited_as_such() {
    let mut scenario = behind_a_proxy(1).await;
    let header = |last: u8| format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 4711 1935\r\nhello");
    let near = scenario.connect().await;
    // In two parts: the limits of the header are found wherever the network cuts it.
    let whole = header(7);
    let (front, rest) = whole.split_at(9);
    near.try_write(front.as_bytes()).unwrap();
    near.try_write(rest.as_bytes()).unwrap();
    let mut first = scenario.next().await;
    assert_eq!(first.peer, "192.0.2.7:4711".parse().unwrap());
    let mut follows = [0; 5];
    first.stream.read_exact(&mut follows).await.unwrap();
    assert_eq!(&follows, b"hello");

    let over = scenario.connect().await;
    over.try_write(header(7).as_bytes()).unwrap();
    let other = scenario.connect().await;
    other.try_write(header(8).as_bytes()).unwrap();
    let second = scenario.next().await;
    assert_eq!(second.peer, "192.0.2.8:4711".parse().unwrap());
    drop(first);
    let again = scenario.connect().await;
    again.try_write(header(7).as_bytes()).unwrap();
    let third = scenario.next().await;
    assert_eq!(third.peer, "192.0.2.7:4711".parse().unwrap());
    assert!(
        scenario.shows(
            "headwater_process_refused_connections_total{port=\"test\",reason=\"address\"} 1"
        )
    );
}

#[tokio::test]
async fn a_load_balancer_that_says_nothing_or_nonsense_keeps_nobody_out() {
    let mut scenario = behind_a_proxy(100).await;
    let _silent = [scenario.connect().await, scenario.connect().await];
    let mut wrong = scenario.connect().await;
    wrong.try_write(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut long = scenario.connect().await;
    long.try_write(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat())
        .unwrap();
    let right = scenario.connect().await;
    right.try_write(b"PROXY UNKNOWN\r\n").unwrap();
    let accepted = scenario.next().await;
    assert_eq!(accepted.peer, right.local_addr().unwrap());
    let closed = async {
        wrong.read_u8().await.unwrap_err();
        long.read_u8().await.unwrap_err();
    };
    tokio::select! {
        _ = scenario.acceptor.next() => panic!("let in without a header"),
        () = closed => {}
    }
    for reason in ["proxy_malformed", "proxy_too_long"] {
        assert!(scenario.shows(&format!(
            "headwater_process_refused_connections_total{{port=\"test\",reason=\"{reason}\"}} 1"
        )));
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_ends_its_connection_in_time() {
    let mut scenario = behind_a_proxy(100).await;
    let mut near = scenario.connect().await;
    near.try_write(b"PROXY TCP4 192").unwrap();
    tokio::time::pause();
    tokio::select! {
        _ = scenario.acceptor.next() => panic!("let in without a header"),
        read = near.read_u8() => { read.unwrap_err(); }
    }
    assert!(scenario.shows(
        "headwater_process_refused_connections_total{port=\"test\",reason=\"proxy_slow\"} 1"
    ));
    assert!(scenario.shows("headwater_process_connections{port=\"test\"} 0"));
}

#[tokio::test]
async fn a_header_from_elsewhere_is_left_to_the_protocol() {
    let mut scenario = Scenario::new(10, 10).await;
    let networks = ProxyNetworks::parse(&["10.0.0.0/8".to_owned()]).unwrap();
    scenario.acceptor = scenario.acceptor.behind(networks);
    let near = scenario.connect().await;
    near.try_write(b"PROXY UNKNOWN\r\n").unwrap();
    let mut accepted = scenario.next().await;
    assert_eq!(accepted.peer, near.local_addr().unwrap());
    assert_eq!(accepted.stream.read_u8().await.unwrap(), b'P');
}

#[tokio::test]
async fn a_drain_closes_the_port_and_keeps_connections() {
    let mut scenario = Scenario::new(10, 10).await;
    let mut near = scenario.connect().await;
    let held = scenario.next().await;
    scenario.drain.begin();
    assert!(scenario.acceptor.next().await.is_none());
    drop(scenario.acceptor);
    assert!(connect(&scenario.to, SOON).await.is_err());
    held.stream.try_write(b"!").unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'!');
}

#[test]
fn running_out_of_files_is_told_from_a_peer_that_left() {
    for (errno, exhaustion) in [
        (24, true),
        (23, true),
        (12, true),
        (105, true),
        (103, false),
    ] {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(is_exhaustion(&error), exhaustion, "{error}");
    }
}
