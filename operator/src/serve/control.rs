//! What people ask of a cluster: drain a member, take that back, move streams to where they belong.

use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::{TEXT_MAX_BYTES, WORD_MAX_BYTES};
use headwater_location::proto::control_server::Control;
use headwater_location::{Order, proto};
use tonic::{Request, Response, Status};

use super::desk::Desk;
use crate::index::Event;

#[derive(Debug)]
pub(super) struct ControlService {
    desk: Arc<Desk>,
}

impl ControlService {
    pub(super) fn new(desk: Arc<Desk>) -> ControlService {
        ControlService { desk }
    }

    fn order(&self, member: &str, order: Order) -> Result<(), Status> {
        if member.is_empty() || member.len() > WORD_MAX_BYTES {
            return Err(Status::invalid_argument("say which member, by its id"));
        }
        if !self
            .desk
            .read(|index| index.members().get(member).is_some())
        {
            return Err(Status::not_found(format!(
                "no member `{member}` is alive; /members of an operator's admin port lists them"
            )));
        }
        self.desk.apply(Event::Order(member.into(), order));
        Ok(())
    }
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn drain(
        &self,
        request: Request<proto::DrainRequest>,
    ) -> Result<Response<proto::DrainReply>, Status> {
        let asked = request.into_inner();
        if asked.reason.len() > TEXT_MAX_BYTES {
            return Err(Status::invalid_argument("the reason is too long"));
        }
        let order = Order::Drain {
            grace: Duration::from_millis(asked.grace_ms),
            reason: asked.reason,
        };
        self.order(&asked.member, order)?;
        Ok(Response::new(proto::DrainReply {}))
    }

    async fn undrain(
        &self,
        request: Request<proto::UndrainRequest>,
    ) -> Result<Response<proto::UndrainReply>, Status> {
        self.order(&request.into_inner().member, Order::Undrain)?;
        Ok(Response::new(proto::UndrainReply {}))
    }

    async fn rebalance(
        &self,
        request: Request<proto::RebalanceRequest>,
    ) -> Result<Response<proto::RebalanceReply>, Status> {
        let dry_run = request.into_inner().dry_run;
        let moves = self.desk.rebalance(dry_run);
        if !dry_run {
            tracing::info!(moves = moves.len(), "rebalancing");
        }
        let moves = moves.into_iter().map(|moved| proto::Rebalanced {
            key: moved.key.to_string(),
            from: moved.from.to_string(),
            to: moved.to.to_string(),
        });
        Ok(Response::new(proto::RebalanceReply {
            moves: moves.collect(),
        }))
    }
}
