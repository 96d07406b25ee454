// The error codes of the protocol.

import type { Retry } from "./values.js";

/** The stable error codes of the protocol, and what to do about each. Later versions only add codes. */
export type WireCode =
  /** A field is missing, has the wrong type, or makes no sense here; the message names it. Correct the call. */
  | "bad-frame"
  /** The frame is not a JSON object. This is a bug in Longwire, unless you write the frames yourself. */
  | "bad-json"
  /** The broker does not know this type of frame: it is older than the SDK. Install a newer version. */
  | "unknown-type"
  /**
   * The broker lacks a capability of `needs`, or this protocol does not support the operation. Install a newer
   * version, or do not use it.
   */
  | "unsupported"
  /** The first frame on a port must be `hello`. The SDK sends it. */
  | "hello-required"
  /** A frame to the host exceeded 64 MiB. Send smaller messages. */
  | "frame-too-large"
  /** Parts of a large frame are out of order. The SDK sends them in order. */
  | "bad-part"
  /** There is no session of this name, and no URL to create one. Pass a URL to `open`. */
  | "no-session"
  /** The session's name is empty, longer than 128 characters, or has control characters. Choose another. */
  | "bad-session-name"
  /** The URL is invalid; the message has the reason. Correct it. */
  | "bad-url"
  /** An option has an invalid value; the message names it. Correct it. */
  | "bad-option"
  /** The session exists with another URL or other options, and `conflict` is `error`. Use another name, or `update`. */
  | "session-conflict"
  /** This port is not attached to the session. Open it again. */
  | "not-attached"
  /** The session has ended. Open it again to create a new one. */
  | "session-closed"
  /** The outbox is full. Wait for outcomes before you send more, or raise `outbox`. */
  | "outbox-full"
  /** The message is larger than `maxMessage`, or than the server's limit. Send smaller messages. */
  | "too-large"
  /** The extension has reached its limit of sessions. Close some, or raise `sessions` in the settings. */
  | "too-many-sessions"
  /**
   * A `rate` of the `guard` is exceeded, or a session has reached its limit of subscriptions. Retry later, or use
   * fewer.
   */
  | "rate-limited"
  /**
   * The log was full: the broker disconnected because of `queue.overflow`, or dropped an answer. Acknowledge faster,
   * or raise `queue`.
   */
  | "overflow"
  /** The user's settings do not allow this extension to use Longwire: `enabled`. See SETTINGS.md. */
  | "origin-denied"
  /**
   * The user's settings do not allow this extension to dial this URL (`allow`), or the address is always blocked.
   * See SETTINGS.md.
   */
  | "url-denied"
  /** A header that only the broker may set, or an `Origin` that the settings do not allow. Remove it. */
  | "header-denied"
  /** The server's name could not be resolved. The broker retries; check the name and the network. */
  | "dns"
  /** No server is listening at the address. The broker retries; start the server. */
  | "refused"
  /** The network has no route to the server's address. The broker retries; check the network. */
  | "unreachable"
  /** The TLS handshake failed. Fix the server's certificate, or add its authority to `ca-files` in the settings. */
  | "tls"
  /**
   * The proxy refused the connection, or could not be reached. Check `proxy` in options and settings, and the
   * environment.
   */
  | "proxy"
  /** The server refused the connection with an HTTP status, see `status`. The reaction depends on it: `closeCodes`. */
  | "http-status"
  /**
   * The server's response is invalid, or it closed the connection first. Check that it supports this protocol at
   * this URL.
   */
  | "handshake"
  /**
   * The server closed the connection. The broker requests a stream again; after a disconnect by a Socket.IO server
   * call `reconnect()`.
   */
  | "closed-by-server"
  /** The server was silent for too long (heartbeat timeout). The broker reconnects. */
  | "heartbeat"
  /** A timeout expired: of a dial, or of a request. Retry, or raise the timeout. */
  | "timeout"
  /** The link was lost. Written messages may have been processed: check with the server before you send them again. */
  | "link-lost"
  /** It was certainly not sent. Send it again. */
  | "not-sent"
  /** You have cancelled it. */
  | "cancelled"
  /** The server violated its protocol, or the `guard`. The message has the details; correct the server. */
  | "server-protocol"
  /** The broker is being started. Wait. */
  | "broker-starting"
  /** The host could not connect to or start a broker. It retries; run `longwire doctor` for the reason. */
  | "broker-unreachable"
  /** The broker exited; the host starts another. The outcome of pending requests is unknown. */
  | "broker-lost"
  /** The broker is shutting down and opens no sessions. Another one replaces it: open again after `host back`. */
  | "shutting-down"
  /** An internal error of Longwire. Please report it, with `longwire doctor --report`. */
  | "internal";

/** An error inside a record. */
export interface WireError {
  code: WireCode;
  message: string;
  retry: Retry;
}
