//! The operator's port: health, reflection, and bytes of strangers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::time::Duration;

use headwater_location::proto::location_client::LocationClient;
use headwater_location::{Heartbeat, LocationConfig, Locator, Order, Role, Up, proto};
use headwater_operator::{Deps, Operator, OperatorConfig};
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SOON: Duration = Duration::from_secs(10);

struct Scenario {
    operator: Operator,
    registry: Registry,
    drain: Drain,
}

impl Scenario {
    async fn new(members: &[&str]) -> Scenario {
        let config = OperatorConfig {
            listen: "127.0.0.1:0".to_owned(),
            members: members.iter().map(ToString::to_string).collect(),
            ..OperatorConfig::default()
        };
        let registry = Registry::new().unwrap();
        let drain = Drain::new(SOON);
        let deps = Deps {
            registry: registry.clone(),
            drain: drain.clone(),
        };
        Scenario {
            operator: Operator::start(&config, deps).await.unwrap(),
            registry,
            drain,
        }
    }

    async fn channel(&self) -> Channel {
        let address = format!("http://{}", self.operator.address());
        Endpoint::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    fn member(&self, id: &str) -> Locator {
        let config = LocationConfig {
            operators: vec![self.operator.address().to_string()],
            id: id.to_owned(),
            ..LocationConfig::default()
        };
        let me = config.member(Role::Origin, "127.0.0.1:7000");
        Locator::start(&config, me, &Registry::new().unwrap()).unwrap()
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.registry.encode()).unwrap()
    }
}

#[tokio::test]
async fn health_is_answered_and_says_when_the_replica_drains() {
    let scenario = Scenario::new(&[]).await;
    let mut health = HealthClient::new(scenario.channel().await);
    for service in ["", "headwater.location.v1.Location"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let reply = health.check(request.clone()).await.unwrap().into_inner();
        assert_eq!(reply.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut statuses = health.watch(request).await.unwrap().into_inner();
    scenario.drain.begin();
    let drained = async {
        while let Some(Ok(HealthCheckResponse { status })) = statuses.next().await {
            if status == i32::from(ServingStatus::NotServing) {
                return;
            }
        }
        panic!("it ended first");
    };
    tokio::time::timeout(SOON, drained).await.unwrap();
}

#[tokio::test]
async fn reflection_shows_the_contract() {
    let scenario = Scenario::new(&[]).await;
    let mut reflection = ServerReflectionClient::new(scenario.channel().await);
    let ask = |question| {
        tokio_stream::once(ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        })
    };
    let mut replies = reflection
        .server_reflection_info(ask(MessageRequest::ListServices(String::new())))
        .await
        .unwrap()
        .into_inner();
    let reply = replies.next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else {
        panic!("{reply:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|it| it.name.as_str()).collect();
    for name in [
        "headwater.location.v1.Location",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let symbol = "headwater.location.v1.Location.Place".to_owned();
    let mut replies = reflection
        .server_reflection_info(ask(MessageRequest::FileContainingSymbol(symbol)))
        .await
        .unwrap()
        .into_inner();
    let reply = replies.next().await.unwrap().unwrap();
    assert!(matches!(
        reply.message_response,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn strangers_end_their_own_connection_only() {
    let scenario = Scenario::new(&[]).await;
    let member = scenario.member("origin-0");
    tokio::time::timeout(SOON, member.connected(1))
        .await
        .unwrap();
    let address = scenario.operator.address().to_string();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frame_of_16_mib = [&preface[..], &[0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]].concat();
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        &[0xFF; 4096],
        &[0; 4096],
        &frame_of_16_mib,
    ] {
        let mut stranger = net::connect(&address, SOON).await.unwrap();
        stranger.write_all(bytes).await.unwrap();
        let closed = async {
            let mut answer = [0; 4096];
            while matches!(stranger.read(&mut answer).await, Ok(read) if read > 0) {}
        };
        assert!(
            tokio::time::timeout(SOON, closed).await.is_ok(),
            "{:?}",
            &bytes[..8]
        );
    }
    let beat = proto::Up::from(&Up::Heartbeat(Heartbeat::default()));
    let nonsense = proto::Up { message: None };
    for (said, code) in [
        (beat, Code::FailedPrecondition),
        (nonsense, Code::InvalidArgument),
    ] {
        let mut client = LocationClient::new(scenario.channel().await);
        let up = tokio_stream::once(said).chain(tokio_stream::pending());
        let mut down = client.session(up).await.unwrap().into_inner();
        let ended = tokio::time::timeout(SOON, down.message()).await.unwrap();
        assert_eq!(ended.unwrap_err().code(), code);
    }
    let mut client = LocationClient::new(scenario.channel().await);
    let refused = client
        .locate(proto::LocateRequest {
            key: "a/../b".to_owned(),
            ..proto::LocateRequest::default()
        })
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let flood = proto::LocateRequest {
        key: "x".repeat(2 * 1024 * 1024),
        ..proto::LocateRequest::default()
    };
    assert_eq!(
        client.locate(flood).await.unwrap_err().code(),
        Code::OutOfRange
    );
    assert_eq!(member.replicas(), 1, "the healthy session goes on");
    let metrics = scenario.metrics();
    assert!(
        metrics.contains("headwater_operator_refused_messages_total{reason=\"missing\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn orders_and_standing_travel_and_strangers_to_the_list_do_not_join() {
    let scenario = Scenario::new(&["origin-0"]).await;
    let member = scenario.member("origin-0");
    let stranger = scenario.member("origin-1");
    tokio::time::timeout(SOON, member.connected(1))
        .await
        .unwrap();

    let mut members = member.members();
    member.set_standing(false, false);
    let unready = members.wait_for(|list| list.get("origin-0").is_some_and(|it| !it.ready));
    tokio::time::timeout(SOON, unready).await.unwrap().unwrap();
    member.set_standing(true, false);

    scenario.operator.cordon("origin-0", true);
    let cordoned = members.wait_for(|list| list.get("origin-0").is_some_and(|it| it.cordoned));
    tokio::time::timeout(SOON, cordoned).await.unwrap().unwrap();

    let drain = Order::Drain {
        grace: Duration::from_secs(7),
        reason: "node".to_owned(),
    };
    scenario.operator.order("origin-0", drain.clone());
    let mut orders = member.orders();
    let ordered = orders.wait_for(|order| *order == Some(drain.clone()));
    tokio::time::timeout(SOON, ordered).await.unwrap().unwrap();

    let listing = scenario.operator.listing();
    assert_eq!(listing.members.len(), 1);
    let json = serde_json::to_value(&listing).unwrap();
    assert_eq!(json["members"][0]["id"], "origin-0");
    assert_eq!(json["members"][0]["draining"], true);
    assert_eq!(stranger.replicas(), 0);
}

#[tokio::test]
async fn the_end_of_the_process_ends_sessions_at_once() {
    let scenario = Scenario::new(&[]).await;
    let member = scenario.member("origin-0");
    tokio::time::timeout(SOON, member.connected(1))
        .await
        .unwrap();
    scenario.drain.end();
    tokio::time::timeout(SOON, scenario.operator.ended())
        .await
        .unwrap();
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    let gone = async {
        while member.replicas() > 0 {
            poll.tick().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
}
