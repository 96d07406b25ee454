//! Where a dial leads, what it brings, and whether it may begin now.
//!
//! It waits for nothing: what becomes of a dial is in `linking`, whose turn it is in `core::pace`.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::options::{Options, Protocol};
use crate::wire::record::{ErrorInfo, State, StateChange};
use crate::wire::servers::SocketIo;

use crate::core::context::Context;
use crate::core::dialect::socketio::Recovery;
use crate::core::guard::Guard;
use crate::core::io::{Output, ProxyChoice, Target};
use crate::core::ladder::Ladder;
use crate::core::link::Link;
use crate::core::pace::Lane;
use crate::core::pattern::is_loopback;
use crate::core::policy;
use crate::core::rules::Rule;

use super::{Credentials, Session};

impl Session {
    /// Starts a dial because somebody asks for it, unless credentials, a URL or patience are wanted first.
    /// Any dial alive must have been ended before.
    pub(crate) fn dial(&mut self, ctx: &mut Context) {
        self.dial_in_turn(ctx, false);
    }

    /// `again`: nobody has asked just now; the link was lost.
    pub(super) fn dial_in_turn(&mut self, ctx: &mut Context, again: bool) {
        if let Some((why, status)) = self.wanted_credentials() {
            return self.need_credentials(ctx, why, status);
        }
        let Some(url) = self.dial_url() else {
            self.link = Link::Paused;
            return;
        };
        if let Err(why) = self.check_rules(ctx, &url) {
            return self.deny(ctx, why);
        }
        let rules = ctx.rules.clone();
        if let Some(lane) = self.lane(&url)
            && !ctx.pace.may(ctx.now.boot, &rules, &lane, again)
        {
            ctx.pace.wait(self.key, lane, again);
            let was_waiting = matches!(self.link, Link::Waiting(_) | Link::Queued);
            self.link = Link::Queued;
            if !was_waiting {
                self.tell_state(ctx, StateChange::new(State::Waiting));
            }
            return;
        }
        self.dial_now(ctx, url);
    }

    /// What the session is about to be when a dial is asked for now.
    pub(super) fn state_of_next_dial(&self, ctx: &Context) -> State {
        if self.wanted_credentials().is_some() {
            return State::Unauthorized;
        }
        let Some(url) = self.dial_url() else {
            return State::Paused;
        };
        if self.check_rules(ctx, &url).is_err() {
            return State::Failed;
        }
        match self.lane(&url) {
            Some(lane) if !ctx.pace.may(ctx.now.boot, &ctx.rules, &lane, false) => State::Waiting,
            _ => State::Connecting,
        }
    }

    /// It is this session's turn to dial.
    pub(crate) fn take_turn(&mut self, ctx: &mut Context) {
        if matches!(self.link, Link::Queued) {
            match self.dial_url() {
                Some(url) => self.dial_now(ctx, url),
                None => self.link = Link::Paused,
            }
        }
    }

    /// Where the next dial would lead.
    pub(super) fn dial_url(&self) -> Option<Url> {
        let protocol = self.next_protocol();
        let brought = self.credentials.url.clone();
        self.own_url(protocol).or(brought).or_else(|| self.url.clone())
    }

    /// Where the options lead for a protocol, whatever URL credentials bring.
    pub(super) fn address(&self, protocol: Protocol) -> Option<Url> {
        self.own_url(protocol).or_else(|| self.url.clone())
    }

    fn own_url(&self, protocol: Protocol) -> Option<Url> {
        let own = self.options.urls.get(&protocol)?;
        Url::parse(own).ok()
    }

    /// Where this dial takes its turn.
    fn lane(&self, url: &Url) -> Option<Lane> {
        let (host, port) = (url.host_str()?, url.port_or_known_default().unwrap_or_default());
        let proxy = policy::proxy_place(&self.options.proxy);
        let post = self
            .options
            .post
            .as_ref()
            .and_then(|post| Url::parse(&post.url).ok());
        let reached = [Some(url), proxy.as_ref(), post.as_ref()].into_iter().flatten();
        let mut local_ports: Vec<u16> = reached
            .filter(|url| is_loopback(url))
            .map(|url| url.port_or_known_default().unwrap_or_default())
            .collect();
        local_ports.sort_unstable();
        local_ports.dedup();
        Some(Lane {
            origin: self.owner.origin.clone(),
            host: (!is_loopback(url)).then(|| format!("{host}:{port}")),
            local_ports,
        })
    }

    /// Whether the settings allow this dial, as they are now.
    fn check_rules(&self, ctx: &Context, url: &Url) -> Result<(), ErrorInfo> {
        let origin = &self.owner.origin;
        let rule = ctx.rules.of(origin);
        policy::check_enabled(rule)?;
        let own = self.credentials.url.as_ref().or(self.url.as_ref());
        policy::check_dial(&self.options, own, rule, origin)?;
        let headers = self.credentials.headers.as_deref().unwrap_or_default();
        policy::check_headers(headers, rule, origin, std::slice::from_ref(url))
    }

    /// Whether the settings allow this session with another URL or other options.
    pub(crate) fn may_become(
        &self,
        rule: &Rule,
        url: Option<&Url>,
        options: Option<&Options>,
    ) -> Result<(), ErrorInfo> {
        let url = url.or(self.credentials.url.as_ref()).or(self.url.as_ref());
        let options = options.unwrap_or(&self.options);
        policy::check_dial(options, url, rule, &self.owner.origin)
    }

    /// The settings have changed: what they do not allow any more ends. The session stays.
    pub(crate) fn rules_changed(&mut self, ctx: &mut Context) {
        let allowed = self.dial_url().map_or(Ok(()), |url| self.check_rules(ctx, &url));
        if self.wants_link()
            && let Err(why) = allowed
        {
            self.pause_link(ctx, 1000);
            self.deny(ctx, why);
        }
    }

    fn deny(&mut self, ctx: &mut Context, why: ErrorInfo) {
        self.link = Link::Failed;
        let mut change = StateChange::new(State::Failed);
        change.error = Some(why);
        self.tell_state(ctx, change);
    }

    fn dial_now(&mut self, ctx: &mut Context, url: Url) {
        let dial = ctx.new_dial(self.key);
        let protocol = self.next_protocol();
        if let Some(lane) = self.lane(&url) {
            let rules = ctx.rules.clone();
            ctx.pace.begin(ctx.now.boot, &rules, lane, dial);
            if protocol == Protocol::Poll {
                // A long poll may be answered late: that is no handshake others should wait for.
                ctx.pace.end(dial);
            }
        }
        self.counters.dials += 1;
        self.link = Link::Dialing(dial);
        let target = self.target(protocol, url);
        let url = target.url.clone();
        ctx.out.push_back(Output::Dial(dial, Box::new(target)));
        self.start_dialect(ctx, dial, protocol, url);
        let mut change = StateChange::new(State::Connecting);
        change.dial = Some(self.counters.dials);
        change.attempt = Some(self.backoff.attempts());
        self.tell_state(ctx, change);
    }

    fn target(&self, protocol: Protocol, url: Url) -> Target {
        let mut headers = self.options.headers.clone();
        for (name, value) in self.credentials.headers.iter().flatten() {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        let has = |headers: &[(String, String)], wanted: &str| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if let Some(cookies) = &self.options.cookies
            && !has(&headers, "Cookie")
        {
            headers.push(("Cookie".to_owned(), cookies.clone()));
        }
        if let Some(origin) = policy::default_origin(&self.owner.origin)
            && !has(&headers, "Origin")
        {
            headers.push(("Origin".to_owned(), origin.to_owned()));
        }
        Target {
            jar: Some(self.key.0),
            origin: Some(self.owner.origin.clone()),
            url,
            subprotocols: self
                .credentials
                .subprotocols
                .clone()
                .unwrap_or_else(|| self.options.subprotocols.clone()),
            headers,
            connect_timeout: Duration::from_millis(self.options.connect_timeout),
            proxy: match self.options.proxy.as_str() {
                "system" => ProxyChoice::System,
                "none" => ProxyChoice::None,
                url => ProxyChoice::Url(url.to_owned()),
            },
            compression: self.options.compression,
            json: self.options.json,
            max_message: self.options.max_message,
            road: self.road(protocol),
        }
    }

    /// Whether this URL or these options differ from the session's own.
    pub(crate) fn differs(&self, url: Option<&Url>, options: Option<&Options>) -> bool {
        url.is_some_and(|url| self.url.as_ref() != Some(url))
            || options.is_some_and(|options| *self.options != *options)
    }

    /// What, when it changes, needs another dial: everything that each of its transports would be dialled with.
    fn dial_key(&self) -> (Vec<(Protocol, Target)>, bool, SocketIo) {
        let transports = match self.options.transports.as_slice() {
            [] => std::slice::from_ref(&self.options.protocol),
            some => some,
        };
        let target = |protocol: &Protocol| {
            let address = self.address(*protocol)?;
            Some((*protocol, self.target(*protocol, address)))
        };
        (
            transports.iter().filter_map(target).collect(),
            self.options.auth_provider,
            self.options.socketio.clone(),
        )
    }

    /// What Socket.IO servers remember belongs to other credentials than those that come now.
    pub(super) fn forget_recovery(&mut self) {
        self.memories.forget_recovery();
        if let Some(dialect) = &mut self.dialect {
            dialect.memory.recovery = Recovery::default();
        }
    }

    /// Other options, another URL: redials if the dial changes.
    pub(crate) fn update(&mut self, ctx: &mut Context, url: Option<Url>, options: Option<Options>) {
        let before = self.dial_key();
        let had_no_url = self.url.is_none();
        if let Some(url) = url {
            self.url = Some(url);
        }
        if let Some(options) = options {
            // What a session survives is settled when it is made.
            if options.guard != self.options.guard {
                self.guard = Guard::default();
            }
            if options.transports != self.options.transports {
                self.ladder = Ladder::default();
            }
            self.options = Arc::new(Options {
                durability: self.options.durability,
                ..options
            });
            self.options_held = self.options.held();
        }
        let is_another = had_no_url || before != self.dial_key();
        if is_another {
            // They were for what was dialled before.
            self.credentials = Credentials::default();
            self.forget_recovery();
        }
        if had_no_url || (is_another && !matches!(self.link, Link::Paused)) {
            self.reconnect(ctx);
        } else {
            let mut heartbeat = self.new_heartbeat(ctx.now.boot);
            if let Some(connection) = self.link.up() {
                if let Some(heartbeat) = heartbeat.as_mut().filter(|_| connection.paused) {
                    // What is not read cannot answer.
                    heartbeat.rest();
                }
                connection.heartbeat = heartbeat;
                // Without pings what is written waits for no proof any more.
                self.written(ctx, 0);
            }
        }
        self.keep_meta(ctx);
        self.shrink(ctx);
        self.listen_again(ctx);
    }
}
