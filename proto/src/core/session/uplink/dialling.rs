//! The target of a dial, what it sends there, and whether it may begin now.
//!
//! It waits for nothing: what becomes of a dial is in `loss`, whose turn it is in `core::dial_limiter`.

use std::time::Duration;

use url::Url;

use crate::wire::options::Options;
use crate::wire::record::{ErrorInfo, State};

use crate::core::dial_limiter::{DialKind, DialSlot};
use crate::core::dialect::{Beginning, DialKey, Dialect, ProtocolDescriptor, descriptor};
use crate::core::identity::Identity;
use crate::core::io::{Output, ProxyChoice, Target};
use crate::core::pattern::is_loopback;
use crate::core::policy;
use crate::core::rules::ExtensionRule;

use super::super::link_view::Load;
use super::fallback::Fallback;
use super::{Uplink, UplinkContext, UplinkEvent};

/// Everything that decides where and how a session is dialled: two that differ need two dials.
#[derive(Debug, PartialEq)]
pub(in crate::core::session) struct Address {
    /// What each of its transports would be dialled with, in order.
    dials: Vec<(DialKey, Target)>,
    /// Whether credentials come from a provider: those of another source are not used.
    has_provider: bool,
}

impl Uplink {
    /// Dials because a client asks for it, unless credentials, a URL or a delay are required first. An active dial must
    /// have been ended before.
    pub(super) fn dial(&mut self, ctx: &mut UplinkContext<'_>) {
        self.dial_in_turn(ctx, DialKind::First);
    }

    /// Dials because the link was lost: no client has asked just now.
    pub(in crate::core::session) fn redial(&mut self, ctx: &mut UplinkContext<'_>) {
        self.dial_in_turn(ctx, DialKind::Redial);
    }

    /// Dials now because the extension asks for it: refusals of credentials count from the beginning again.
    pub(super) fn start_over(&mut self, ctx: &mut UplinkContext<'_>) {
        self.credentials.start_over();
        self.reconnect(ctx);
    }

    /// Dials now: drops the link if there is one, clears the backoff and any failure.
    pub(super) fn reconnect(&mut self, ctx: &mut UplinkContext<'_>) {
        self.backoff.reset();
        let _ = self.pause(ctx, 1000);
        self.dial(ctx);
    }

    fn dial_in_turn(&mut self, ctx: &mut UplinkContext<'_>, kind: DialKind) {
        if let Some((why, status)) = self.wanted_credentials(ctx.options) {
            return self.need_credentials(ctx, why, status);
        }
        let Some(url) = self.dial_url(ctx.options) else {
            let _ = self.state.pause();
            return;
        };
        if let Err(why) = self.check_rules(ctx, &url) {
            return self.deny(why);
        }
        if let Some(slot) = slot(ctx, &url)
            && !ctx.dialer.may_dial(ctx.now.boot, &slot, kind)
        {
            let reason = rate_limit_reason(&slot);
            ctx.dialer.wait(ctx.who.key, slot, kind);
            if let Some(mut change) = self.state.queue() {
                change.reason = Some(reason.to_owned());
                self.report_change(change);
            }
            return;
        }
        self.dial_now(ctx, url);
    }

    /// What the link is about to be once a client has attached.
    pub(in crate::core::session) fn state_for_client(&self, ctx: &UplinkContext<'_>) -> State {
        match self.state.name() {
            State::Paused => self.state_of_next_dial(ctx),
            other => other,
        }
    }

    /// What the link is about to be when a dial is asked for now.
    fn state_of_next_dial(&self, ctx: &UplinkContext<'_>) -> State {
        if self.wanted_credentials(ctx.options).is_some() {
            return State::Unauthorized;
        }
        let Some(url) = self.dial_url(ctx.options) else {
            return State::Paused;
        };
        if self.check_rules(ctx, &url).is_err() {
            return State::Failed;
        }
        match slot(ctx, &url) {
            Some(slot) if !ctx.dialer.may_dial(ctx.now.boot, &slot, DialKind::First) => State::Waiting,
            _ => State::Connecting,
        }
    }

    /// It is this session's turn to dial.
    pub(in crate::core::session) fn dial_granted(&mut self, ctx: &mut UplinkContext<'_>) {
        if self.state.is_queued() {
            match self.dial_url(ctx.options) {
                Some(url) => self.dial_now(ctx, url),
                None => {
                    let _ = self.state.pause();
                }
            }
        }
    }

    /// Looks for a better transport than the one that works, when it is time; while messages are under way it had better
    /// be later.
    pub(in crate::core::session) fn probe_better(&mut self, ctx: &mut UplinkContext<'_>, load: Load) {
        if self.fallback.probe_at().is_none_or(|at| ctx.now.boot < at) || self.state.connection().is_none() {
            return;
        }
        if load == Load::Busy {
            return self.fallback.postpone(ctx.now.boot);
        }
        self.fallback.probe_better();
        let _ = self.pause(ctx, 1000);
        self.redial(ctx);
    }

    /// The protocol of the next dial.
    pub(super) fn next_protocol(&self, options: &Options) -> &'static ProtocolDescriptor {
        let transport = options.transports.get(self.fallback.index());
        descriptor(transport.copied().unwrap_or(options.protocol))
    }

    /// Where the next dial would lead.
    pub(super) fn dial_url(&self, options: &Options) -> Option<Url> {
        own_url(options, self.next_protocol(options))
            .or_else(|| self.credentials.url().cloned())
            .or_else(|| self.url.clone())
    }

    /// Where the options lead for a protocol, whatever URL credentials bring.
    pub(super) fn address(&self, options: &Options, protocol: &ProtocolDescriptor) -> Option<Url> {
        own_url(options, protocol).or_else(|| self.url.clone())
    }

    /// Whether the settings allow this dial, as they are now.
    fn check_rules(&self, ctx: &UplinkContext<'_>, url: &Url) -> Result<(), ErrorInfo> {
        let origin = &ctx.who.owner.origin;
        let rule = ctx.dialer.rules().of(origin);
        policy::check_enabled(rule)?;
        let own = self.credentials.url().or(self.url.as_ref());
        policy::check_dial(ctx.options, own, rule, origin)?;
        policy::check_headers(
            self.credentials.headers(),
            rule,
            origin,
            std::slice::from_ref(url),
        )
    }

    /// Whether the settings allow this session with another URL or other options.
    pub(crate) fn may_become(
        &self,
        who: &Identity,
        rule: &ExtensionRule,
        url: Option<&Url>,
        options: &Options,
    ) -> Result<(), ErrorInfo> {
        let url = url.or_else(|| self.credentials.url()).or(self.url.as_ref());
        policy::check_dial(options, url, rule, &who.owner.origin)
    }

    /// The settings have changed: what they do not allow any more ends. The session stays.
    pub(in crate::core::session) fn rules_changed(&mut self, ctx: &mut UplinkContext<'_>) {
        let url = self.dial_url(ctx.options);
        let allowed = url.map_or(Ok(()), |url| self.check_rules(ctx, &url));
        if self.state.is_wanted()
            && let Err(why) = allowed
        {
            let _ = self.pause(ctx, 1000);
            self.deny(why);
        }
    }

    fn deny(&mut self, why: ErrorInfo) {
        let mut change = self.state.fail();
        change.error = Some(why);
        self.report_change(change);
    }

    fn dial_now(&mut self, ctx: &mut UplinkContext<'_>, url: Url) {
        let dial = ctx.dialer.new_dial(ctx.who.key);
        let protocol = self.next_protocol(ctx.options);
        if let Some(slot) = slot(ctx, &url) {
            ctx.dialer.begin(ctx.now.boot, slot, dial);
            if !(protocol.abilities)(ctx.options).has_handshake {
                ctx.dialer.end_handshake(dial);
            }
        }
        self.dials += 1;
        let mut change = self.state.dial(dial);
        let address = self.address(ctx.options, protocol).unwrap_or_else(|| url.clone());
        let key = protocol.dial_key(ctx.options, address);
        let auth = self.credentials.auth().or((protocol.auth)(ctx.options));
        let beginning = Beginning {
            url: url.clone(),
            token: self.tokens.take(&key),
            auth: auth.map(str::to_owned),
        };
        let target = self.target(ctx.who, ctx.options, protocol, url);
        ctx.out.push_back(Output::Dial(dial, Box::new(target)));
        self.dialect = Some(Dialect::begin(&mut ctx.dial(dial), key, beginning));
        change.dial = Some(self.dials);
        change.attempt = Some(self.backoff.attempts());
        self.report_change(change);
    }

    fn target(&self, who: &Identity, options: &Options, protocol: &ProtocolDescriptor, url: Url) -> Target {
        let mut headers = options.headers.clone();
        for (name, value) in self.credentials.headers() {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        let has = |headers: &[(String, String)], wanted: &str| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if let Some(cookies) = &options.cookies
            && !has(&headers, "Cookie")
        {
            headers.push(("Cookie".to_owned(), cookies.clone()));
        }
        if let Some(origin) = policy::default_origin(&who.owner.origin)
            && !has(&headers, "Origin")
        {
            headers.push(("Origin".to_owned(), origin.to_owned()));
        }
        Target {
            origin: Some(who.owner.origin.clone()),
            url,
            subprotocols: self
                .credentials
                .subprotocols()
                .unwrap_or(&options.subprotocols)
                .to_vec(),
            headers,
            connect_timeout: Duration::from_millis(options.connect_timeout),
            proxy: match options.proxy.as_str() {
                "system" => ProxyChoice::System,
                "none" => ProxyChoice::None,
                url => ProxyChoice::Url(url.to_owned()),
            },
            compression: options.compression,
            json: options.json,
            max_message: options.max_message,
            jar: Some(who.key.0),
            transport: (protocol.transport)(options),
        }
    }

    /// What, when it changes, needs another dial.
    pub(in crate::core::session) fn dial_address(&self, who: &Identity, options: &Options) -> Address {
        let dial = |protocol| {
            let address = self.address(options, protocol)?;
            let key = protocol.dial_key(options, address.clone());
            Some((key, self.target(who, options, protocol, address)))
        };
        let protocols = options.protocols().iter().copied().map(descriptor);
        Address {
            dials: protocols.filter_map(dial).collect(),
            has_provider: options.auth_provider,
        }
    }

    /// The session's URL.
    pub(crate) const fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// Other options: other transports are tried from the best on.
    pub(in crate::core::session) fn options_changed(&mut self, before: &Options, after: &Options) {
        if after.transports != before.transports {
            self.fallback = Fallback::default();
        }
    }

    /// The session leads elsewhere, or has other options than with this address `before`: dials anew if that changes the
    /// dial. `url`: its new URL, if it has another.
    pub(in crate::core::session) fn retarget(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        url: Option<Url>,
        before: &Address,
    ) {
        let had_no_url = self.url.is_none();
        if let Some(url) = url {
            self.url = Some(url);
        }
        let is_another = had_no_url || *before != self.dial_address(ctx.who, ctx.options);
        if is_another {
            self.forget_credentials();
        }
        if had_no_url || (is_another && self.state.name() != State::Paused) {
            self.reconnect(ctx);
        } else if self.state.connection().is_some() {
            self.renew_heartbeat(ctx);
            // Without pings what is written waits for no proof any more.
            let proof = self.view(ctx.options).proof();
            self.events.push_back(UplinkEvent::Written(0, proof));
        }
    }

    /// A client holds the session: it dials if it is paused, and the client is asked for the credentials that are required.
    pub(in crate::core::session) fn client_attached(&mut self, ctx: &mut UplinkContext<'_>) {
        match self.state.name() {
            State::Paused => self.dial(ctx),
            State::Unauthorized => self.events.push_back(UplinkEvent::CredentialsWanted),
            State::Open if self.asks_to_log_in() => self.events.push_back(UplinkEvent::CredentialsWanted),
            _ => {}
        }
    }

    /// The URL as status and people see it, with the scheme it was given with.
    pub(super) fn shown_url(&self, options: &Options) -> Option<String> {
        let shown = policy::shown_url(self.url.as_ref()?);
        let rest = shown
            .strip_prefix("ws")
            .filter(|_| self.abilities(options).is_http);
        Some(match rest {
            Some(rest) => format!("http{rest}"),
            None => shown,
        })
    }
}

/// Where the options lead for this protocol alone.
fn own_url(options: &Options, protocol: &ProtocolDescriptor) -> Option<Url> {
    let own = options.urls.get(&protocol.protocol)?;
    Url::parse(own).ok()
}

/// Why a dial waits, for people: the settings that limit its rate.
const fn rate_limit_reason(slot: &DialSlot) -> &'static str {
    if slot.host.is_some() {
        "the dial waits for the rate limit (`dials-per-second`, `dials-per-minute`) or for another dial to this host"
    } else {
        "the dial waits for the rate limit of this machine (`loopback-ports-per-minute`)"
    }
}

/// Where a dial takes its turn.
fn slot(ctx: &UplinkContext<'_>, url: &Url) -> Option<DialSlot> {
    let (host, port) = (url.host_str()?, url.port_or_known_default().unwrap_or_default());
    let proxy = policy::proxy_place(&ctx.options.proxy);
    let post = ctx.options.post.as_ref();
    let post = post.and_then(|post| Url::parse(&post.url).ok());
    let reached = [Some(url), proxy.as_ref(), post.as_ref()].into_iter().flatten();
    let mut local_ports: Vec<u16> = reached
        .filter(|url| is_loopback(url))
        .map(|url| url.port_or_known_default().unwrap_or_default())
        .collect();
    local_ports.sort_unstable();
    local_ports.dedup();
    Some(DialSlot {
        origin: ctx.who.owner.origin.clone(),
        host: (!is_loopback(url)).then(|| format!("{host}:{port}")),
        local_ports,
    })
}
