//! The two directions of a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::parts::{key, sources};
use super::{WireError, chunk, list, policy, required, sentence, word};
use crate::limits::OPERATORS_MAX;
use crate::{
    Down, Endpoint, Exception, Exceptions, Heartbeat, Load, Member, Members, Order, Rehome, Report,
    StreamKey, StreamReport, Up, proto,
};

fn keys(keys: Vec<String>) -> Result<Vec<StreamKey>, WireError> {
    chunk(keys, "keys", |text| key(&text))
}

fn texts(keys: &[StreamKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

impl TryFrom<proto::Up> for Up {
    type Error = WireError;

    fn try_from(up: proto::Up) -> Result<Up, WireError> {
        use proto::up::Message;
        Ok(match required(up.message, "up.message")? {
            Message::Hello(hello) => Up::Hello(required(hello.member, "hello.member")?.try_into()?),
            Message::Report(report) => Up::Report(Report {
                begin: report.begin,
                complete: report.complete,
                streams: chunk(report.streams, "report.streams", StreamReport::try_from)?,
            }),
            Message::Heartbeat(beat) => Up::Heartbeat(Heartbeat {
                ready: beat.ready,
                draining: beat.draining,
                revision: beat.revision,
                load: Load {
                    cpu_permille: beat.cpu_permille,
                    memory_bytes: beat.memory_bytes,
                    egress_bits_per_second: beat.egress_bits_per_second,
                    connections: beat.connections,
                },
            }),
            Message::Watch(watch) => Up::Watch(keys(watch.keys)?),
            Message::Unwatch(unwatch) => Up::Unwatch(keys(unwatch.keys)?),
        })
    }
}

impl From<&Up> for proto::Up {
    fn from(up: &Up) -> proto::Up {
        use proto::up::Message;
        let message = match up {
            Up::Hello(member) => Message::Hello(proto::Hello {
                member: Some(member.into()),
            }),
            Up::Report(report) => Message::Report(proto::Report {
                begin: report.begin,
                complete: report.complete,
                streams: report.streams.iter().map(Into::into).collect(),
            }),
            Up::Heartbeat(beat) => Message::Heartbeat(proto::Heartbeat {
                ready: beat.ready,
                draining: beat.draining,
                revision: beat.revision,
                cpu_permille: beat.load.cpu_permille,
                memory_bytes: beat.load.memory_bytes,
                egress_bits_per_second: beat.load.egress_bits_per_second,
                connections: beat.load.connections,
            }),
            Up::Watch(keys) => Message::Watch(proto::Watch { keys: texts(keys) }),
            Up::Unwatch(keys) => Message::Unwatch(proto::Unwatch { keys: texts(keys) }),
        };
        proto::Up {
            message: Some(message),
        }
    }
}

fn exception(exception: proto::Exception) -> Result<(StreamKey, Exception), WireError> {
    Ok((
        key(&exception.key)?,
        Exception {
            home: word(exception.home, "exception.home")?.into(),
            ingress: exception.ingress.map(Endpoint::try_from).transpose()?,
            epoch: exception.epoch,
            term: exception.term,
        },
    ))
}

fn address(text: String) -> Result<SocketAddr, WireError> {
    text.parse()
        .map_err(|_| WireError::Meaningless("members.operators"))
}

fn order(order: proto::Order) -> Result<Order, WireError> {
    use proto::order;
    Ok(match required(order.order, "order")? {
        order::Order::Drain(drain) => Order::Drain {
            grace: Duration::from_millis(drain.grace_ms),
            reason: sentence(drain.reason, "drain.reason")?,
        },
        order::Order::Undrain(proto::Undrain {}) => Order::Undrain,
    })
}

impl TryFrom<proto::Down> for Down {
    type Error = WireError;

    fn try_from(down: proto::Down) -> Result<Down, WireError> {
        use proto::down::Message;
        Ok(match required(down.message, "down.message")? {
            Message::Members(members) => Down::Members(Members {
                replica: word(members.replica, "members.replica")?,
                version: members.version,
                members: chunk(members.members, "members.members", |member| {
                    Member::try_from(member).map(Arc::new)
                })?,
                settled: members.settled,
                complete: members.complete,
                operators: list(
                    members.operators,
                    OPERATORS_MAX,
                    "members.operators",
                    address,
                )?,
            }),
            Message::Exceptions(exceptions) => Down::Exceptions(Exceptions {
                reset: exceptions.reset,
                set: chunk(exceptions.set, "exceptions.set", exception)?,
                removed: keys(exceptions.removed)?,
            }),
            Message::Move(moved) => Down::Move {
                key: key(&moved.key)?,
                sources: sources(moved.epoch, moved.term, moved.sources)?,
            },
            Message::Order(given) => Down::Order(order(given)?),
            Message::Rehome(rehome) => Down::Rehome(Rehome {
                key: key(&rehome.key)?,
                epoch: rehome.epoch,
                home: required(rehome.home, "rehome.home")?.try_into()?,
            }),
            Message::Beat(beat) => Down::Beat {
                settled: beat.settled,
            },
            Message::Policies(policies) => Down::Policies(policy::chunk(policies)?),
        })
    }
}

impl From<&Order> for proto::Order {
    fn from(order: &Order) -> proto::Order {
        let order = match order {
            Order::Drain { grace, reason } => proto::order::Order::Drain(proto::Drain {
                grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
                reason: reason.clone(),
            }),
            Order::Undrain => proto::order::Order::Undrain(proto::Undrain {}),
        };
        proto::Order { order: Some(order) }
    }
}

impl From<&Down> for proto::Down {
    fn from(down: &Down) -> proto::Down {
        use proto::down::Message;
        let message = match down {
            Down::Members(members) => Message::Members(proto::Members {
                replica: members.replica.clone(),
                version: members.version,
                members: members
                    .members
                    .iter()
                    .map(|member| proto::Member::from(&**member))
                    .collect(),
                settled: members.settled,
                complete: members.complete,
                operators: members
                    .operators
                    .iter()
                    .map(SocketAddr::to_string)
                    .collect(),
            }),
            Down::Exceptions(exceptions) => Message::Exceptions(proto::Exceptions {
                reset: exceptions.reset,
                set: exceptions
                    .set
                    .iter()
                    .map(|(key, exception)| proto::Exception {
                        key: key.to_string(),
                        home: exception.home.to_string(),
                        ingress: exception.ingress.as_ref().map(Into::into),
                        epoch: exception.epoch,
                        term: exception.term,
                    })
                    .collect(),
                removed: texts(&exceptions.removed),
            }),
            Down::Move { key, sources } => Message::Move(proto::Move {
                key: key.to_string(),
                epoch: sources.epoch,
                term: sources.term,
                sources: sources.sources.iter().map(Into::into).collect(),
            }),
            Down::Order(order) => Message::Order(order.into()),
            Down::Rehome(rehome) => Message::Rehome(proto::Rehome {
                key: rehome.key.to_string(),
                epoch: rehome.epoch,
                home: Some((&rehome.home).into()),
            }),
            Down::Beat { settled } => Message::Beat(proto::Beat { settled: *settled }),
            Down::Policies(chunk) => Message::Policies(chunk.into()),
        };
        proto::Down {
            message: Some(message),
        }
    }
}
