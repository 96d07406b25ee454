//! What servers speak beside plain WebSocket messages, and what clients want of it.

mod filters;
