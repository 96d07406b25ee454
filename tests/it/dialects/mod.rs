//! Protocols of servers other than plain WebSocket, and the options of clients about messages.

mod behaviour;
mod filters;
mod guards;
#[cfg(target_os = "linux")]
mod http;
mod http_sessions;
mod login;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod socketio;
mod socketio_sessions;
mod subscriptions;
#[cfg(target_os = "linux")]
mod systems;
mod updates;
#[cfg(target_os = "linux")]
mod upgrading;
