//! Checks links: the target and contents of a dial, whether it is allowed now, the effects of an end.
//!
//! How links end is chosen in `servers`; that only one is active is checked in `outputs`.

use std::time::Duration;

use longwire::core::io::{DialId, LinkEnd, Target};
use longwire::wire::code::Code;
use longwire::wire::message::{Authorize, Conflict};
use longwire::wire::options::{CloseClass, Protocol};

use super::cause::{Bearer, Kind};
use super::session::Reach;
use super::world::World;

/// Nobody obeys a server for longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Those who were sent away together come back within this.
const SPREAD: Duration = Duration::from_secs(5);
/// A link that stood so long shows that its credentials were good.
const ACCEPTED: Duration = Duration::from_secs(10);
/// Between two dials to other machines that no client has just asked for.
const BETWEEN: Duration = Duration::from_millis(250);
/// Dials that may come at once when clients have asked for them.
const BURST: usize = 16;

impl World {
    /// The credentials in this frame, and whether the hub may take them.
    pub(super) fn bearer_of(&self, authorize: &Authorize) -> Option<Bearer> {
        let number: usize = authorize.id.as_deref()?.strip_prefix('c')?.parse().ok()?;
        let slot = self.credentials[number];
        let session = self.slots[slot].incarnations.last()?;
        let leads_there = authorize.url.as_deref().is_none_or(|url| {
            let base = url.split('?').next();
            session.has_url && base == Some(&*self.slots[slot].addresses[session.reach.address])
        });
        Some(Bearer {
            number,
            may_pass: leads_there && authorize.nonce.as_deref() != Some("another"),
            failed: authorize.failed.is_some(),
        })
    }

    /// The hub confirms that it has accepted the credentials just sent.
    pub(super) fn brought(&mut self) {
        let Some(bearer) = self.cause.bearer.take() else {
            return;
        };
        assert!(
            bearer.may_pass,
            "credentials {} lead elsewhere, and are taken",
            bearer.number
        );
        let slot = self.credentials[bearer.number];
        let stood = self.has_stood(slot, ACCEPTED);
        self.cause.brought = true;
        let Some(session) = self.session(slot) else { return };
        // What servers remember may be another user's.
        session.recoverable.clear();
        let reach = &mut session.reach;
        if stood {
            reach.accepts();
        }
        if !bearer.failed {
            reach.bearer = Some(bearer.number);
            reach.fresh = true;
            reach.asks();
        }
    }

    /// Whether the link of a slot has stood for so long.
    fn has_stood(&self, slot: usize, time: Duration) -> bool {
        let session = self.slots[slot].incarnations.last();
        let dial = session.and_then(|session| session.dial);
        dial.and_then(|dial| self.dials.get(&(self.incarnation, dial)))
            .is_some_and(|dial| dial.open && self.now.boot.saturating_sub(dial.opened_at) >= time)
    }

    /// The slot a dial is for: it must have the session's URL, and nothing that was for another server.
    pub(super) fn leads(&self, target: &Target) -> usize {
        let text = target.url.as_str();
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        // A transport may have a URL of its own.
        let (main, own) = match base.rsplit_once("/own-") {
            Some((main, own)) => (main, Some(own)),
            None => (base, None),
        };
        let led = self.slots.iter().enumerate().find_map(|(slot, known)| {
            let address = known.addresses.iter().position(|known| known == main)?;
            Some((slot, address))
        });
        let (slot, address) = led.expect("an address that somebody gave");
        let dial_protocol = self.protocol_for(slot, &target.transport);
        let urls = &self.options_for(slot).urls;
        let is_http = |protocol: &Protocol| matches!(protocol, Protocol::EventStream | Protocol::Poll);
        let may_be_own = urls.iter().any(|(protocol, url)| {
            url == base && (*protocol == dial_protocol || (is_http(protocol) && is_http(&dial_protocol)))
        });
        assert!(
            own.is_none() || may_be_own,
            "slot {slot} is led to another transport's URL"
        );
        let session = self.slots[slot].incarnations.last().unwrap();
        let reach = &session.reach;
        // While an `open` is not answered yet, what it changes is already so.
        let opening = self
            .cause
            .opening
            .as_ref()
            .filter(|_| self.cause.slot == Some(slot));
        let opened = opening.and_then(|opening| {
            opening
                .address
                .filter(|_| session.follows_options(opening.conflict))
        });
        let is_new =
            own.is_none() && opened.is_some_and(|opened| opened != reach.address || !session.has_url);
        assert!(
            own.is_some() || address == opened.unwrap_or(reach.address),
            "slot {slot} is led elsewhere"
        );
        assert!(self.allowed, "a dial that the settings do not allow");
        let ticket = query
            .strip_prefix("ticket=")
            .map(|ticket| ticket.parse().unwrap());
        let header = target
            .headers
            .iter()
            .find_map(|(name, value)| (name == "Authorization").then(|| value.strip_prefix("Bearer ")));
        let bearer: Option<usize> = header.flatten().map(|bearer| bearer.parse().unwrap());
        for number in ticket.into_iter().chain(bearer) {
            assert!(
                self.credentials[number] == slot && number >= reach.since && !is_new,
                "credentials {number} were for something else than slot {slot} now"
            );
        }
        assert!(
            bearer.is_none() || bearer == reach.bearer,
            "old credentials {bearer:?}: {:?} came later",
            reach.bearer
        );
        assert!(
            opening.is_some()
                || !session.options.auth_provider
                || bearer.is_none()
                || bearer != reach.refused,
            "slot {slot} brings credentials {bearer:?} again, which were refused"
        );
        assert!(
            opening.is_some() || !session.options.auth_provider || bearer.is_some(),
            "slot {slot} dials without the credentials it waits for"
        );
        slot
    }

    /// It is the turn of this slot to dial, and not too early.
    pub(super) fn gets_dial_slot(&mut self, slot: usize, lane: &(longwire::wire::record::Name, String)) {
        let boot = self.now.boot;
        let is_asked_now =
            matches!(self.cause.kind, Kind::Open | Kind::Dialling) && self.cause.slot == Some(slot);
        let reach = &mut self.session(slot).unwrap().reach;
        let asked = std::mem::take(&mut reach.asked) || is_asked_now;
        assert!(
            asked || boot >= reach.not_before,
            "slot {slot} dials at {boot:?}, and the server asked it to wait until {:?}",
            reach.not_before
        );
        if !self.remote {
            return;
        }
        let other = self.dials.iter().find(|((incarnation, _), dial)| {
            // A poll may wait for its answer as long as it likes, an event stream for its first event.
            let waits_long = matches!(dial.protocol, Protocol::Poll | Protocol::EventStream);
            let is_handshaking = !dial.over && !dial.open && !waits_long;
            *incarnation == self.incarnation && is_handshaking && dial.lane == *lane
        });
        assert!(other.is_none(), "two handshakes at once with {lane:?}");
        let before = self.dial_times.back().copied();
        assert!(
            asked || before.is_none_or(|before| boot.saturating_sub(before) >= BETWEEN),
            "slot {slot} dials again {before:?}..{boot:?}: too soon after another"
        );
        self.dial_times.push_back(boot);
        if self.dial_times.len() > 3 * BURST {
            self.dial_times.pop_front();
        }
        for (back, at) in self.dial_times.iter().rev().enumerate().skip(BURST + 1) {
            let least = BETWEEN * u32::try_from(back - BURST).unwrap();
            assert!(
                boot.saturating_sub(*at) >= least,
                "{back} dials after {at:?}, until {boot:?}"
            );
        }
    }

    /// What the end of a link must lead to, by the tables of the protocol: any of these states.
    pub(super) fn expected_states(&mut self, id: DialId, end: &LinkEnd) -> &'static [&'static str] {
        let slot = self.dials[&(self.incarnation, id)].slot;
        let boot = self.now.boot;
        let stood = self.has_stood(slot, ACCEPTED);
        let session = self.slots[slot].incarnations.last().unwrap();
        let options = session.options.clone();
        let stable_after = options
            .reconnect
            .as_ref()
            .map_or(0, |reconnect| reconnect.stable_after);
        let stable = self.has_stood(slot, Duration::from_millis(stable_after));
        let reach = &mut self.session(slot).unwrap().reach;
        if stood {
            reach.accepts();
        }
        if stable {
            (reach.attempts, reach.uncertain) = (0, false);
        }
        let class = match (end.status, end.code) {
            (Some(number), _) | (None, Some(number)) if options.close_codes.get(&number).is_some() => {
                *options.close_codes.get(&number).unwrap()
            }
            (Some(401 | 403), _) | (None, Some(4401 | 4403)) => CloseClass::Auth,
            (Some(400 | 404), _) | (None, Some(1002 | 1003 | 1007 | 1008 | 1010)) => CloseClass::Stop,
            (None, None)
                if end
                    .error
                    .as_ref()
                    .is_some_and(|error| error.code == Code::UrlDenied) =>
            {
                CloseClass::Stop
            }
            _ => CloseClass::Retry,
        };
        match class {
            CloseClass::Stop => &["failed"],
            CloseClass::Auth => {
                reach.refused = reach.bearer;
                reach.refusals += u32::from(std::mem::take(&mut reach.fresh));
                let is_enough = reach.refusals >= 2;
                match (options.auth_provider, reach.may_be_fewer, is_enough) {
                    (false, ..) | (true, false, true) => &["failed"],
                    (true, false, false) => &["unauthorized"],
                    (true, true, _) => &["failed", "unauthorized"],
                }
            }
            CloseClass::Retry => {
                let Some(reconnect) = &options.reconnect else {
                    return &["closed"];
                };
                let is_last = reconnect.max_attempts.is_some_and(|most| reach.attempts >= most);
                reach.attempts += 1;
                let retry_after = end.retry_after.unwrap_or_default().min(DAY);
                // Another transport is tried without any wait.
                let has_others = options.transports.len() > 1;
                reach.not_before = if has_others {
                    Duration::ZERO
                } else {
                    boot + retry_after
                };
                let may_be_overloaded =
                    end.retry_after.is_some() || matches!(end.code, Some(1001 | 1012 | 1013));
                let spread = if may_be_overloaded { SPREAD } else { Duration::ZERO };
                let most = Duration::from_millis(reconnect.max_delay) + spread + retry_after;
                let uncertain = reach.uncertain;
                self.max_retry_wait = Some((slot, most));
                match (is_last, uncertain) {
                    (true, false) => &["failed"],
                    (false, false) => &["waiting"],
                    // It may have counted from the beginning again.
                    (_, true) => &["failed", "waiting"],
                }
            }
        }
    }

    /// The hub ends a link by itself: what it counts is not known any more.
    pub(super) fn gives_up(&mut self, id: DialId) {
        let Some(slot) = self.dials.get(&(self.incarnation, id)).map(|dial| dial.slot) else {
            return;
        };
        let stood = self.has_stood(slot, ACCEPTED);
        let brought = self.cause.brought;
        let Some(session) = self.session(slot) else { return };
        let reach = &mut session.reach;
        if stood && !brought {
            reach.accepts();
        }
        reach.uncertain = true;
        reach.not_before = Duration::ZERO;
    }

    /// Holds the hub to what the end of a link must lead to.
    pub(super) fn has_become(&mut self, slot: usize, end: &LinkEnd, allowed: &[&str], was_closing: bool) {
        let max_retry_wait = self.max_retry_wait.take();
        if was_closing {
            // It has ended with its link, and another may have its name already.
            return;
        }
        let transports = self.slots[slot]
            .incarnations
            .last()
            .map_or(0, |session| session.options.transports.len());
        if transports > 1 {
            // Another transport may have its turn.
            if let Some(session) = self.session(slot) {
                (session.reach.not_before, session.reach.uncertain) = (Duration::ZERO, true);
            }
            return;
        }
        let state = self.status()[slot].as_ref().and_then(|report| report.state);
        assert!(
            state.is_some_and(|state| allowed.contains(&state)),
            "slot {slot} is {state:?} after {end:?}; it must be one of {allowed:?}"
        );
        if state == Some("waiting")
            && let Some((_, most)) = max_retry_wait
        {
            let next = self.deadline();
            assert!(
                next.is_some_and(|next| next <= most),
                "slot {slot} looks again in {next:?}; at most {most:?} after {end:?}"
            );
        }
    }
}

impl Reach {
    /// A link stood long enough: its credentials were good.
    const fn accepts(&mut self) {
        (self.refusals, self.fresh, self.may_be_fewer) = (0, false, false);
    }

    /// Somebody asks for a dial: everything is counted from the beginning again.
    pub(super) const fn asks(&mut self) {
        (self.attempts, self.uncertain) = (0, false);
        self.asked = true;
        self.not_before = Duration::ZERO;
    }

    /// Another address: nothing that was brought is for it.
    pub(super) fn moves(&mut self, address: usize, credentials: usize) {
        *self = Self {
            address,
            since: credentials,
            attempts: self.attempts,
            uncertain: true,
            asked: self.asked,
            ..Self::default()
        };
    }
}

impl super::session::Session {
    /// Whether the options of an `open` take effect.
    pub(super) fn follows_options(&self, conflict: Conflict) -> bool {
        conflict == Conflict::Update || !self.has_url
    }
}
