//! What sessions over Socket.IO can do, how Engine.IO travels for them, and which events cannot go.

use std::time::Duration;

use super::super::{Abilities, ProtocolDescriptor, ProtocolTerms};
use super::SocketIoSession;
use crate::core::dialect::engine::requested_url;
use crate::core::dialect::packet::bare;
use crate::core::io::{EngineTransports, RequestOptions, TransportKind};
use crate::wire::code::Code;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;
use crate::wire::socketio::{SocketIoOptions, TransportOptions};

/// The protocol.
pub(crate) const DESCRIPTOR: ProtocolDescriptor = ProtocolDescriptor {
    own_option: "socketio",
    terms: |options| ProtocolTerms::SocketIo(options.socketio.clone().into()),
    requested_url: |options, url| requested_url(url, &options.socketio.path),
    extra_headers: |options| {
        let SocketIoOptions {
            polling, websocket, ..
        } = &options.socketio;
        [polling.headers.as_slice(), &websocket.headers].concat()
    },
    auth: |options| options.socketio.auth.as_deref(),
    check,
    ..ProtocolDescriptor::new(
        Protocol::SocketIo,
        |ctx, beginning| Box::new(SocketIoSession::begin(ctx.options, beginning)),
        |_: &Options| Abilities {
            pings: false,
            sends: true,
            acknowledges: true,
            is_http: true,
            has_handshake: true,
        },
        |options| TransportKind::Engine(transports(options)),
    )
};

/// Which ways Engine.IO may travel.
pub(super) fn transports(options: &Options) -> EngineTransports {
    let options = &options.socketio;
    let has = |wanted: &str| options.transports.iter().any(|transport| transport == wanted);
    EngineTransports {
        path: options.path.clone(),
        polling: has("polling"),
        websocket: has("websocket"),
        websocket_first: options
            .transports
            .first()
            .is_some_and(|first| first == "websocket"),
        upgrade: options.upgrade,
        remember_upgrade: options.remember_upgrade,
        try_all: options.try_all_transports,
        query: options.query.clone(),
        polling_requests: requests(&options.polling),
        websocket_requests: requests(&options.websocket),
    }
}

fn requests(options: &TransportOptions) -> RequestOptions {
    RequestOptions {
        headers: options.headers.clone(),
        timestamp_param: options.timestamp_param.clone(),
        base64: options.base64,
        timeout: options.request_timeout.map(Duration::from_millis),
    }
}

/// Why an event cannot go to this server: its namespace is none of the session's.
fn check(options: &Options, payload: &Payload) -> Result<(), ErrorInfo> {
    let Payload::Event(_) = payload else { return Ok(()) };
    let namespace = payload.namespace().unwrap_or("/");
    // A namespace may be asked for with a query; events name it without.
    if options
        .socketio
        .namespaces
        .iter()
        .any(|known| bare(known) == namespace)
    {
        return Ok(());
    }
    let why = format!("field `namespace`: `{namespace}` is not among the session's `namespaces`");
    Err(ErrorInfo::new(Code::BadFrame, why))
}
