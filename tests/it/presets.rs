//! The names of presets. The simulation uses them too, where nothing else of `support` is built.

/// Names of presets; their values are data.
pub(crate) const PRESETS: &[&str] = &[
    "ably",
    "centrifugo",
    "discord",
    "graphql-transport-ws",
    "phoenix",
    "pusher",
    "signalr",
];
