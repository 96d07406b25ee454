// The error codes of the protocol.

import type { Retry } from "./values.js";

/** The stable error codes of the protocol, and what to do about each. The list only grows. */
export type WireCode =
  /** A field is missing, has the wrong type, or makes no sense here; the message names it. Correct the call. */
  | "bad-frame"
  /** What came is not one JSON object. Longwire's fault, unless the frames are your own. */
  | "bad-json"
  /** The broker does not know this kind of frame: it is older than the SDK. Install a newer one. */
  | "unknown-type"
  /** The broker lacks a capability of `needs`, or this kind of server cannot do it. Install a newer one, or do without. */
  | "unsupported"
  /** The first frame on a port must be `hello`. The SDK says it. */
  | "hello-required"
  /** A frame to the host exceeded 64 MiB. Send less at once. */
  | "frame-too-large"
  /** Parts of a large frame came out of order. The SDK sends them in order. */
  | "bad-part"
  /** There is no session of this name, and no URL to make one. Give `open` a URL. */
  | "no-session"
  /** The session's name is empty, above 128 characters, or has control characters. Choose another. */
  | "bad-session-name"
  /** The URL cannot be dialled; the message says why. Correct it. */
  | "bad-url"
  /** An option has a value that cannot be used; the message names it. Correct it. */
  | "bad-option"
  /** The session exists with another URL or other options, and `conflict` is `error`. Take another name, or `update`. */
  | "session-conflict"
  /** This port does not hold the session. Open it again. */
  | "not-attached"
  /** The session has ended. Open it again to begin a new one. */
  | "session-closed"
  /** As many messages wait as may. Wait for outcomes before you send more, or raise `outbox`. */
  | "outbox-full"
  /** The message is larger than `maxMessage`, or than the server takes. Send less at once. */
  | "too-large"
  /** The extension holds as many sessions as it may. Close some, or raise `sessions` in the settings. */
  | "too-many-sessions"
  /** A `rate` of the `guard` is used up, or a session holds as many subscriptions as it may. Later, or fewer. */
  | "rate-limited"
  /** The log had no room: it hung up as `queue.overflow` says, or an answer was lost. Acknowledge faster, or raise `queue`. */
  | "overflow"
  /** The user's settings do not let this extension use Longwire: `enabled`. See SETTINGS.md. */
  | "origin-denied"
  /** The user's settings do not let this extension dial this URL: `allow`; or the address is never dialled. See SETTINGS.md. */
  | "url-denied"
  /** A header that only the broker may set, or an `Origin` that the settings do not allow. Leave it out. */
  | "header-denied"
  /** The server's name could not be resolved. Tried again by itself; check the name and the network. */
  | "dns"
  /** Nobody listens at the server's address. Tried again by itself; start the server. */
  | "refused"
  /** No way leads to the server's address. Tried again by itself; check the network. */
  | "unreachable"
  /** The TLS handshake failed. Mend the server's certificate, or add its authority to `ca-files` in the settings. */
  | "tls"
  /** The proxy refused, or could not be reached. Check `proxy` in options and settings, and the environment. */
  | "proxy"
  /** The server answered with a status that is no link; `status` has it. What follows depends on it: `closeCodes`. */
  | "http-status"
  /** The server's answer breaks the rules, or it hung up before. Does it speak this protocol at this URL? */
  | "handshake"
  /** The server ended it. A stream is asked for anew by itself; after a Socket.IO server's farewell call `reconnect()`. */
  | "closed-by-server"
  /** The server was silent for too long. Dialled again by itself. */
  | "heartbeat"
  /** A deadline passed: of a dial, or of a request's answer. Ask again, or allow more time. */
  | "timeout"
  /** The link was lost. What was written before may have been processed: ask the server before you repeat it. */
  | "link-lost"
  /** It was certainly not sent. Send it again. */
  | "not-sent"
  /** You have withdrawn it. */
  | "cancelled"
  /** The server broke its own protocol, or the `guard`. The message says how; correct the server. */
  | "server-protocol"
  /** The broker is being started. Wait. */
  | "broker-starting"
  /** The host could not meet or start a broker. Tried again by itself; `longwire doctor` says why. */
  | "broker-unreachable"
  /** The broker ended; another is sought by itself. A request that it held has an unknown end. */
  | "broker-lost"
  /** The broker is leaving and opens nothing new. Another one takes its place: open again after `host back`. */
  | "shutting-down"
  /** A fault of Longwire's own. Please report it, with `longwire doctor --report`. */
  | "internal";

/** An error inside a record. */
export interface WireError {
  code: WireCode;
  message: string;
  retry: Retry;
}
