// The frames of the Longwire protocol, version 1, as types. It holds no code that runs: parts.ts, payload.ts
// and port.ts move these frames.

/** The version this SDK speaks. */
export const PROTOCOL = 1;

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A message's content: exactly one of the three. `base64` is bytes. */
export type Payload =
  | { text: string; json?: never; base64?: never }
  | { json: unknown; text?: never; base64?: never }
  | { base64: string; text?: never; json?: never };

/** A Socket.IO event in the place of a payload. */
export interface EventPayload {
  event: string;
  args?: unknown[];
  namespace?: string;
}

/** JSON pointers and the values they must have; an array means any of. */
export type Rule = Record<string, unknown>;

/** How a request finds its answer. */
export type Match = { out: string; in: string } | { jsonrpc: true } | { ack: true };

/** What proves a message `confirmed`: pointers into it and into an answer, or the acknowledgement of Socket.IO. */
export type Confirm = { out: string; in: string } | { ack: true };

/** The state of the link between broker and server. */
export type LinkState = "connecting" | "open" | "waiting" | "unauthorized" | "paused" | "failed" | "closed";

/** What to do about an error. */
export type Retry = "no" | "now" | "later" | "auth" | "action";

/** How a `send` ended. */
export type OutcomeWord = "sent" | "confirmed" | "unknown" | "failed" | "expired" | "dropped" | "cancelled";

/** Why records were lost. `acknowledged`: a position before one's own acknowledgement was offered. */
export type GapReason = "overflow" | "age" | "too-large" | "crash" | "journal" | "acknowledged";

/** What the broker could do with the offered position. */
export type ResumeAnswer = "fresh" | "exact" | "gap" | "reset";

/** The stable error codes of the protocol. The list only grows. */
export type WireCode =
  | "bad-frame"
  | "bad-json"
  | "unknown-type"
  | "unsupported"
  | "hello-required"
  | "frame-too-large"
  | "bad-part"
  | "no-session"
  | "bad-session-name"
  | "bad-url"
  | "bad-option"
  | "session-conflict"
  | "not-attached"
  | "session-closed"
  | "outbox-full"
  | "too-large"
  | "too-many-sessions"
  | "rate-limited"
  | "overflow"
  | "origin-denied"
  | "url-denied"
  | "header-denied"
  | "dns"
  | "refused"
  | "unreachable"
  | "tls"
  | "proxy"
  | "http-status"
  | "handshake"
  | "closed-by-server"
  | "heartbeat"
  | "timeout"
  | "link-lost"
  | "not-sent"
  | "cancelled"
  | "server-protocol"
  | "broker-starting"
  | "broker-unreachable"
  | "broker-lost"
  | "shutting-down"
  | "internal";

/** An error inside a record. */
export interface WireError {
  code: WireCode;
  message: string;
  retry: Retry;
}

/** What to do with a message that fits `when`; the first line that fits decides. */
export interface Filter {
  /** A rule, which may also have `kind` and `size`; every message if it is missing. */
  when?: Rule;
  do: "deliver" | "hold" | "drop" | "conflate" | "sample" | "project";
  /** A JSON pointer, for `conflate` and `sample`. */
  key?: string;
  /** For `sample`: the first of every so many. */
  every?: number;
  /** For `sample`: the first in so many milliseconds. */
  interval?: number;
  /** JSON pointers, for `project`. */
  keep?: string[];
  [more: string]: unknown;
}

/** What a server may speak. */
export type Protocol = "websocket" | "socket.io" | "sse" | "poll";

/** How a Socket.IO server is reached. */
export interface SocketIoOptions {
  /** On the server. Default `"/socket.io"`. */
  path?: string;
  /** Asked for on every connection; the session stands and falls with the first. Default `["/"]`. */
  namespaces?: string[];
  /** Said with each namespace. */
  auth?: Record<string, unknown>;
  /** Default both, in this order. */
  transports?: ("polling" | "websocket")[];
  /** Go from polling to a WebSocket. Default true. */
  upgrade?: boolean;
}

/** How a server is asked again and again. */
export interface PollOptions {
  /** Milliseconds from an answer to the next question. Default 5000. */
  interval?: number;
  /** The server answers when it has something. Default false. */
  long?: boolean;
  /** Milliseconds an answer may take. Default 60000. */
  timeout?: number;
  /** Pointer to an array in the answer, whose elements are the messages. */
  items?: string;
  /** How the server is told what was heard: read from one of the first three, said in one of the next two. */
  cursor?: {
    pointer?: string;
    item?: string;
    header?: string;
    query?: string;
    requestHeader?: string;
    start?: string | number;
  };
}

/** One line of a guard. */
export interface GuardLine {
  /** As in a filter; every message if it is missing. */
  when?: Rule;
  /** Default `"allow"`. */
  do?: "allow" | "deny";
  /** Pointers and what must stand there: `string`, `number`, `integer`, ...; with a `?` behind it may be missing. */
  types?: Record<string, string>;
  /** So many messages in so many milliseconds. */
  rate?: { messages: number; per: number };
}

/** Options of a session. All spans are in milliseconds. Unknown ones are sent as they are and named in `ignored`. */
export interface OpenOptions {
  /** What the server speaks. Default `"websocket"`. */
  protocol?: Protocol;
  subprotocols?: string[];
  /** Sent with the handshake. Hop-by-hop headers, `Host` and `Sec-*` are refused. */
  headers?: Record<string, string>;
  /** Sent as the `Cookie` header. */
  cookies?: string;
  /** `"json"`: valid JSON text arrives parsed. Default `"text"`. */
  format?: "text" | "json";
  /** DNS, proxy, TLS and upgrade together. Default 15000. */
  connectTimeout?: number;
  /** `"system"` (default), `"none"`, or an `http://` or `socks5://` URL. */
  proxy?: string;
  /** Offer permessage-deflate. Default true. */
  compression?: boolean;
  /** `false`: never redial, a drop is `closed`. */
  reconnect?:
    | false
    | {
        minDelay?: number;
        maxDelay?: number;
        factor?: number;
        maxAttempts?: number | null;
        stableAfter?: number;
      };
  /** Options for a well-known server; those given beside it win. */
  preset?: "ably" | "centrifugo" | "discord" | "graphql-transport-ws" | "phoenix" | "pusher" | "signalr";
  heartbeat?:
    | false
    | {
        interval?: number;
        timeout?: number;
        message?: Payload | EventPayload;
        expect?: Rule;
        /** A beat every `interval`, whatever is heard. */
        always?: boolean;
        /** The server's own beats and what they are answered with. */
        answers?: { when: Rule; send?: Payload | EventPayload }[];
      };
  /** Payloads sent on every connection. */
  greeting?: (Payload | EventPayload)[];
  /** Must match before the outbox flows. */
  ready?: Rule;
  queue?: {
    messages?: number;
    bytes?: number;
    age?: number;
    overflow?: "drop-oldest" | "drop-newest" | "pause" | "close";
  };
  outbox?: { messages?: number; bytes?: number; ttl?: number };
  /** Records and bytes that may be in flight without acknowledgement. Default 4096 and 4 MiB. */
  window?: { messages?: number; bytes?: number };
  /** How long the link is kept without clients. Default 30 minutes. */
  linger?: number;
  /** How long the session is kept without clients. Default 24 hours. */
  expire?: number;
  /** `"disk"` survives the broker's death and a reboot. Default `"memory"`. */
  durability?: "memory" | "disk";
  /** `"provider"`: the extension is asked for credentials, see `session.onAuth`. Default `"none"`. */
  auth?: "none" | "provider";
  /** By code, status or range of them: `{"4000-4099": "stop"}`. */
  closeCodes?: Record<string, "retry" | "auth" | "stop">;
  /** Bytes; a larger message becomes a gap. Default 64 MiB. */
  maxMessage?: number;
  /** For `"socket.io"`. */
  socketio?: SocketIoOptions;
  /** For `"poll"`. */
  poll?: PollOptions;
  /** Where messages go of an event stream or a polled server. */
  post?: { url: string; headers?: Record<string, string> };
  /** Several protocols in order of preference, in place of `protocol`. */
  transports?: Protocol[];
  /** A URL for each transport that is not at the session's own. */
  urls?: { [Name in Protocol]?: string };
  /** What may be sent, and what shape is delivered. The first line that fits a message decides; what none fits passes. */
  guard?: { send?: GuardLine[]; receive?: GuardLine[] };
  [more: string]: unknown;
}

/** Fresh credentials, the answer to `auth-needed`. */
export interface Credentials {
  headers?: Record<string, string>;
  url?: string;
  subprotocols?: string[];
  auth?: unknown;
}

// ---- extension to broker ----

export interface Hello {
  type: "hello";
  protocol: number;
  profile?: string;
  client?: string;
  instance?: string;
  sdk?: string;
  needs?: string[];
  /** Frames beyond the usual that this side takes: `messages`. */
  accepts?: string[];
}
export interface Open {
  type: "open";
  id: string;
  session: string;
  url?: string;
  options?: OpenOptions;
  resume?: { epoch: string; seq: number };
  conflict?: "update" | "keep" | "error";
}
export interface Ack {
  type: "ack";
  session: string;
  seq: number;
}
export interface SendFields {
  session: string;
  confirm?: Confirm;
  ttl?: number;
  volatile?: boolean;
  ifLost?: "report" | "resend";
  receipt?: boolean;
  /** 0 to 3: among messages that wait, lower ones go first. Default 1. */
  lane?: number;
}
export type Send = { type: "send"; id?: string } & SendFields & (Payload | EventPayload);
export type Request = { type: "request"; id: string; match: Match; timeout?: number } & SendFields &
  (Payload | EventPayload);
export interface Cancel {
  type: "cancel";
  session: string;
  id: string;
}
export interface Subscribe {
  type: "subscribe";
  session: string;
  id: string;
  key: string;
  send?: (Payload | EventPayload)[];
  undo?: (Payload | EventPayload)[];
  confirm?: Rule;
  filter?: Filter[];
}
export interface Unsubscribe {
  type: "unsubscribe";
  session: string;
  id: string;
  key: string;
}
export type Authorize = { type: "authorize"; session: string; nonce?: string; id?: string } & (
  | (Credentials & { failed?: never })
  | { failed: string }
);
export interface Window {
  type: "window";
  session: string;
  messages: number;
  bytes: number;
  id?: string;
}
export interface Reconnect {
  type: "reconnect";
  session: string;
  id?: string;
}
export interface Detach {
  type: "detach";
  session: string;
  id?: string;
}
export interface Close {
  type: "close";
  session: string;
  id?: string;
  code?: number;
  reason?: string;
}
export interface Status {
  type: "status";
  id: string;
}
export interface Reply {
  type: "reply";
  session: string;
  seq: number;
  args: unknown[];
  id?: string;
}
export interface Ping {
  type: "ping";
  id: string;
}

/** Every frame an extension may say, but `part` and `batch`. */
export type ToBroker =
  | Hello
  | Open
  | Ack
  | Send
  | Request
  | Cancel
  | Subscribe
  | Unsubscribe
  | Authorize
  | Window
  | Reconnect
  | Detach
  | Close
  | Status
  | Reply
  | Ping;

// ---- broker to extension ----

export interface Welcome {
  type: "welcome";
  protocol: number;
  version: string;
  /** Boot id of the broker: another one means another broker process. */
  broker: string;
  origin: string;
  capabilities: string[];
  limits: { frame?: number; [more: string]: unknown };
  sessions: { session: string; state: LinkState; pending: number }[];
}
export interface Opened {
  type: "opened";
  id: string;
  session: string;
  created: boolean;
  epoch: string;
  resume: ResumeAnswer;
  /** Records that follow have a `seq` greater than this. */
  seq: number;
  /** The newest record in the log. */
  last: number;
  state: LinkState;
  subprotocol?: string;
  outbox: { id: string; state: string }[];
  subscriptions: { key: string; state: Subscription["state"] }[];
  ignored: string[];
}
interface RecordFields {
  session: string;
  seq: number;
  /** The broker cannot rule out that this record was delivered before. */
  redelivered?: boolean;
}
export interface MessageFields extends RecordFields {
  type: "message";
  /** When it arrived at the broker, milliseconds since 1970. */
  time: number;
  tags?: string[];
  event?: string;
  args?: unknown[];
  namespace?: string;
  lastEventId?: string;
  /** The server awaits a `reply`. */
  reply?: boolean;
}
export type Message = MessageFields & (Payload | EventPayload);
export interface Gap extends RecordFields {
  type: "gap";
  from: number;
  to: number;
  /** Number of messages lost. */
  count: number;
  reason: GapReason;
  /** Whether `count` is exact. */
  exact: boolean;
}
export interface State extends RecordFields {
  type: "state";
  state: LinkState;
  dial?: number;
  attempt?: number;
  /** Milliseconds until the next dial. */
  retryIn?: number;
  /** WebSocket close code. */
  code?: number;
  /** HTTP status. */
  status?: number;
  reason?: string;
  error?: WireError;
  continuity?: "server" | "none" | "unknown";
  subprotocol?: string;
  extensions?: string;
  namespace?: string;
  /** The one of `options.transports` that is on. */
  transport?: string;
  /** What a Socket.IO server gave with its refusal. */
  data?: unknown;
}
export interface Outcome extends RecordFields {
  type: "outcome";
  id: string;
  outcome: OutcomeWord;
  error?: WireError;
}
export type Response = RecordFields & { type: "response"; id: string; error?: WireError } & Partial<
    Record<"text" | "base64" | "event" | "namespace", string>
  > & { json?: unknown; args?: unknown[] };
export interface Live {
  type: "live";
  session: string;
  seq: number;
}
export interface Accepted {
  type: "accepted";
  session: string;
  id: string;
  durability: "memory" | "disk";
  duplicate?: boolean;
  outcome?: OutcomeWord;
}
export interface Subscription {
  type: "subscription";
  session: string;
  key: string;
  state: "pending" | "active" | "failed";
}
export interface AuthNeeded {
  type: "auth-needed";
  session: string;
  nonce: string;
  why: string;
  attempt: number;
  /** Milliseconds left to answer. */
  deadline: number;
  status?: number;
}
export interface Stalled {
  type: "stalled";
  session: string;
  messages: number;
  bytes: number;
}
export interface Detached {
  type: "detached";
  session: string;
  reason: "superseded" | "closed" | "expired";
}
/** Counters of one session, or of all. */
export interface SessionCounters {
  session?: string;
  origin?: string;
  profile?: string;
  /** Scheme, host and path. */
  url?: string;
  state?: LinkState;
  durability?: "memory" | "disk";
  /** Nobody checks this server's certificate, by the user's settings. */
  insecure?: boolean;
  dials: number;
  reconnects: number;
  /** Milliseconds since 1970. */
  connectedSince?: number;
  received: { messages: number; bytes: number };
  sent: { messages: number; bytes: number };
  queued: number;
  unacknowledged: number;
  dropped: number;
  outbox: number;
  /** Round trips, in microseconds. */
  rtt?: { p50: number; p99: number; max: number };
  clients: number;
  /** Messages that filters kept from clients. */
  filtered?: {
    dropped: number;
    conflated: number;
    sampled: number;
    held: number;
    projected: number;
    refused: number;
  };
}
export interface StatusAnswer {
  type: "status";
  id: string;
  version: string;
  /** Milliseconds. */
  uptime: number;
  /** The broker's process. */
  pid: number;
  /** Resident bytes of the broker. */
  rss: number;
  ports: number;
  /** Hosts whose certificate nobody checks, by the user's settings. */
  insecure?: string[];
  total: SessionCounters;
  sessions: SessionCounters[];
}
export interface Pong {
  type: "pong";
  id: string;
}
export interface Ok {
  type: "ok";
  id: string;
}
export interface ErrorFrame extends WireError {
  type: "error";
  id?: string;
  session?: string;
  detail?: string;
}
export interface GoAway {
  type: "goaway";
  reason: string;
  after: number;
}
export interface HostWord {
  type: "host";
  state: "starting" | "lost" | "back" | "failed";
  code?: WireCode;
  message?: string;
}

/** The frames that live in a session's log. */
export type RecordFrame = Message | Gap | State | Outcome | Response;

/** Every frame a broker or host may say, but `part` and `batch`. */
export type ToExtension =
  | Welcome
  | Opened
  | RecordFrame
  | Live
  | Accepted
  | Subscription
  | AuthNeeded
  | Stalled
  | Detached
  | StatusAnswer
  | Pong
  | Ok
  | ErrorFrame
  | GoAway
  | HostWord;

// ---- either direction ----

/** A slice of a frame that is too big for the pipe. */
export interface Part {
  type: "part";
  part: string;
  index: number;
  last: boolean;
  data: string;
}
/** Plain messages in a row: `seq` is the first one's, those of the others follow. For who says so in `hello.accepts`. */
export interface Messages extends RecordFields {
  type: "messages";
  time: number;
  text?: string[];
  json?: unknown[];
}
/** Several frames in order. */
export interface Batch<Frame> {
  type: "batch";
  frames: Frame[];
}
