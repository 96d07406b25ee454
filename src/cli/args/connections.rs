//! Arguments of the commands that act as an extension, and what they trust beyond the settings.

use std::path::PathBuf;

use clap::Args;

/// Whom to trust beyond the settings, for this command only.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Trust this certificate authority as well (PEM file); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,
    /// Do not check the server's certificate: anyone on the network path can read the traffic
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Lines from stdin are sent, each as one message; messages are printed, each on a line. It ends when \
stdin has ended and the server was reached and has read everything, or as --expect, --timeout and --linger specify.\n\n\
On a terminal a line that begins with a slash is a command; /help lists them. For line editing: rlwrap longwire connect URL\n\n\
Examples:\n  longwire connect wss://example.com/socket --header 'Authorization: Bearer x'\n  \
longwire connect ws://localhost:8080 --send '{\"ask\":1}' --expect 1 --timeout 5\n  \
longwire connect wss://example.com/feed --json --expect 100 < /dev/null > feed.txt\n  \
base64 -w0 picture.png | longwire connect wss://example.com/upload --binary\n\n\
A URL, or the last word of a header or of cookies, may be env:NAME, file:PATH or prompt: and is then read from the \
environment, a file or the terminal, where no other process sees it. Control and bidirectional characters of messages \
are printed as escapes, which in JSON mean the same. With --ca or --insecure it uses a broker of its own.\n\n\
Exit codes: 0 done, 1 refused, lost or timed out, 2 wrong usage, 3 no broker."
)]
pub(crate) struct ConnectArgs {
    /// The server's `ws:` or `wss:` URL
    pub(crate) url: String,
    /// A header to send, `Name: value`; repeatable
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// The Cookie header, `name=value; other=value`
    #[arg(long, value_name = "COOKIES")]
    pub(crate) cookies: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// A subprotocol to offer; repeatable
    #[arg(long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,
    /// Any option of `open` as a JSON object, such as `{"heartbeat":false}`
    #[arg(long, value_name = "JSON")]
    pub(crate) options: Option<String>,
    /// Send this before reading stdin; repeatable
    #[arg(long = "send", short = 's', value_name = "TEXT")]
    pub(crate) first: Vec<String>,
    /// Treat input as base64-encoded bytes, and print received bytes as base64
    #[arg(long)]
    pub(crate) binary: bool,
    /// Print JSON messages indented (on a terminal that is the default; see --raw)
    #[arg(long)]
    pub(crate) json: bool,
    /// Print JSON as received, not indented
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Exit with 0 after N messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) expect: Option<u64>,
    /// Give up after SECONDS (exit 1 if --expect was not reached)
    #[arg(long, short = 't', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Keep running after stdin ends, until the server closes or --expect or --timeout ends it
    #[arg(long)]
    pub(crate) linger: bool,
    /// Do not reconnect after the connection is lost
    #[arg(long)]
    pub(crate) once: bool,
    /// The session's name
    #[arg(long, default_value = "connect")]
    pub(crate) session: String,
    /// Print every frame of the protocol instead of messages
    #[arg(long)]
    pub(crate) frames: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  longwire demo\n  longwire demo --browser")]
pub(crate) struct DemoArgs {
    /// Use a real Chromium with the example extension
    #[arg(long)]
    pub(crate) browser: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: a script that replaces the program in the browser's host manifest\n  \
#!/bin/sh\n  exec longwire record /tmp/port.jsonl \"$@\"\n\n\
The file has a line of JSON for each frame. Message contents, headers and URLs are removed; names, ids and the shape \
of JSON stay. Read the file before you share it."
)]
pub(crate) struct RecordArgs {
    /// The file to write, overwritten if it exists; while another port writes it, FILE-2, FILE-3 and so on
    pub(crate) file: PathBuf,
    /// The browser's arguments for the host: the extension's origin, or a manifest and an add-on id
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) host: Vec<String>,
    /// Record message contents too; keep such a file secret
    #[arg(long)]
    pub(crate) payloads: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  longwire replay port.jsonl --url ws://localhost:8080/\n\n\
It acts as the recorded extension. If a broker is running it asks first, since it changes that extension's sessions: \
set LONGWIRE_HOME to an empty folder to replay apart from them."
)]
pub(crate) struct ReplayArgs {
    /// A file written by `longwire record`
    pub(crate) file: PathBuf,
    /// The server for every session; a redacted file contains no URLs
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Skip the pauses of the recording
    #[arg(long)]
    pub(crate) fast: bool,
    /// Do not ask before acting as the extension on a running broker
    #[arg(long, short)]
    pub(crate) yes: bool,
}
