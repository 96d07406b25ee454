//! What happens to ports, and their frames about delivery: acknowledge, change the window, detach.

use crate::wire::message::{BrokerFrame, ClientFrame, ErrorFrame, Question, SubscriptionState};
use crate::wire::record::{ErrorInfo, Name};

use crate::core::io::PortId;

use super::super::input::DeliveryInput;
use super::{Delivery, DeliveryContext};

impl Delivery {
    /// Handles what happens to a port.
    pub(in crate::core::session) fn handle(&mut self, ctx: &mut DeliveryContext<'_>, input: DeliveryInput) {
        match input {
            DeliveryInput::Detach(port) => self.detach(ctx, port),
            DeliveryInput::PortHasRoom => self.begin_delivery(),
        }
    }

    /// Does what this frame asks of delivery.
    pub(in crate::core::session) fn frame(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        port: PortId,
        frame: ClientFrame,
    ) {
        match frame {
            ClientFrame::Ack { seq, .. } => {
                self.acknowledge(ctx, port, seq);
            }
            ClientFrame::Window { window, id, .. } => {
                ctx.ports.send_ok(port, id);
                self.set_window(port, window);
            }
            ClientFrame::Detach { id, .. } => {
                ctx.ports.send_ok(port, id);
                self.detach(ctx, port);
            }
            _ => {}
        }
        self.begin_delivery();
    }

    /// Tells every client the state of a subscription.
    pub(in crate::core::session) fn report_subscription(
        &self,
        ctx: &mut DeliveryContext<'_>,
        key: &Name,
        state: SubscriptionState,
    ) {
        for port in self.clients.iter().filter_map(|client| client.port()) {
            let frame = BrokerFrame::Subscription {
                session: ctx.who.name.clone(),
                key: key.clone(),
                state,
            };
            ctx.ports.send(port, frame);
        }
    }

    /// Asks the client that came last for credentials; one that comes later is asked when it attaches.
    pub(in crate::core::session) fn ask_for_credentials(
        &self,
        ctx: &mut DeliveryContext<'_>,
        question: Question,
    ) {
        let newest = self.clients.iter().filter_map(|client| client.port()).max();
        if let Some(port) = newest {
            let frame = BrokerFrame::AuthNeeded {
                session: ctx.who.name.clone(),
                question: Box::new(question),
            };
            ctx.ports.send(port, frame);
        }
    }

    /// An error that answers no frame, for every port that holds the session.
    pub(in crate::core::session) fn report_error(&self, ctx: &mut DeliveryContext<'_>, why: &ErrorInfo) {
        for port in self.clients.iter().filter_map(|client| client.port()) {
            let error = ErrorFrame::new(why.clone(), None, Some(ctx.who.name.clone()));
            ctx.ports.send(port, BrokerFrame::Error(Box::new(error)));
        }
    }
}
