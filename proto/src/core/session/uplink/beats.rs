//! The heartbeat of the link: its messages, their answers, and the probe after the machine has slept.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::rule::ParsedMessage;

use crate::core::io::Output;

use super::heartbeat::Heartbeat;
use super::{Uplink, UplinkContext, UplinkEvent};

/// What is answered to a message that may be a beat.
#[derive(Debug)]
pub(super) enum BeatReply {
    /// It is none.
    NoBeat,
    /// It is used up.
    Nothing,
    /// It is used up, and this is to be sent.
    Send(Payload),
}

impl Uplink {
    pub(super) fn ponged(&mut self, ctx: &UplinkContext<'_>, token: u64) -> Option<UplinkEvent> {
        let (proves, took) = self.state.connection_mut()?.pong(ctx.now.boot, token)?;
        self.round_trips.add(took);
        proves.map(UplinkEvent::Proven)
    }

    /// The heartbeat of a link on the present transport, if it is to have one.
    pub(super) fn new_heartbeat(&self, ctx: &UplinkContext<'_>) -> Option<Heartbeat> {
        let settings = ctx.options.heartbeat.as_ref()?;
        let beats = ctx.options.transports.is_empty() || self.abilities(ctx.options).pings;
        beats.then(|| Heartbeat::new(settings, ctx.now.boot))
    }

    /// The options have changed and the dial has not: the heartbeat begins anew.
    pub(super) fn renew_heartbeat(&mut self, ctx: &UplinkContext<'_>) {
        let heartbeat = self.new_heartbeat(ctx);
        if let Some(connection) = self.state.connection_mut() {
            connection.set_heartbeat(heartbeat);
        }
    }

    pub(super) fn heartbeat_mut(&mut self) -> Option<&mut Heartbeat> {
        self.state.connection_mut()?.heartbeat_mut()
    }

    /// Takes the answer to our beat, or a beat of the server's: they are not the extension's.
    pub(super) fn take_beat(&mut self, ctx: &UplinkContext<'_>, message: &ParsedMessage<'_>) -> BeatReply {
        let Some(settings) = &ctx.options.heartbeat else {
            return BeatReply::NoBeat;
        };
        if let Some(beat) = self.heartbeat_mut()
            && beat.awaits()
            && settings.expect.as_ref().is_some_and(|rule| rule.matches(message))
        {
            return match beat.answered(ctx.now.boot) {
                true => BeatReply::Nothing,
                false => BeatReply::NoBeat,
            };
        }
        match settings.answers.iter().find(|(when, _)| when.matches(message)) {
            None => BeatReply::NoBeat,
            Some((_, None)) => BeatReply::Nothing,
            Some((_, Some(answer))) => BeatReply::Send(answer.clone()),
        }
    }

    /// Beats as often as the server requests, if it does.
    pub(super) fn adjust_beat(&mut self, options: &Options, message: &ParsedMessage<'_>) {
        let settings = options.heartbeat.as_ref();
        let Some(path) = settings.and_then(|settings| settings.interval_from.as_ref()) else {
            return;
        };
        let seconds = path.find(message).and_then(|found| found.parse::<u32>().ok());
        if let (Some(seconds), Some(beat)) = (seconds, self.heartbeat_mut()) {
            // Well before the server's patience is over.
            beat.beat_within(Duration::from_secs(u64::from(seconds.max(1))) * 4 / 5);
        }
    }

    /// The machine slept, or its network changed: ask at once, trust nothing.
    pub(in crate::core::session) fn resumed(&mut self, ctx: &mut UplinkContext<'_>) {
        let has_pings = self.abilities(ctx.options).pings;
        if self.state.waits_until().is_some() {
            self.redial(ctx);
        } else if self.state.dial_id().is_some() && !has_pings {
            // Nothing can be asked on a stream that only the other side writes.
            self.give_up(ctx, Code::LinkLost, "the machine slept");
            self.state.hasten(ctx.now.boot);
        } else if let Some(connection) = self.state.connection_mut()
            && let Some(heartbeat) = connection.heartbeat_mut()
        {
            heartbeat.probe(ctx.now.boot);
            self.ping(ctx);
        }
    }

    pub(super) fn ping(&mut self, ctx: &mut UplinkContext<'_>) {
        if let Some(connection) = self.state.connection_mut() {
            let token = connection.ping(ctx.now.boot, None);
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
    }

    pub(super) fn beat(&mut self, ctx: &mut UplinkContext<'_>) {
        let settings = ctx.options.heartbeat.as_ref();
        if let Some(message) = settings.and_then(|settings| settings.message.clone()) {
            self.events.push_back(UplinkEvent::Beat(message));
        } else if self.abilities(ctx.options).pings {
            self.ping(ctx);
        }
    }
}
