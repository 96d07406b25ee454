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
  /** Parameters beside the URL's own. */
  query?: Record<string, string | number | boolean | null>;
  /** End the path with a slash. Default true. */
  addTrailingSlash?: boolean;
  /** Begin with the WebSocket once an upgrade has succeeded. Default false. */
  rememberUpgrade?: boolean;
  /** Try the next transport when the first fails. By default polling is tried after the WebSocket, not the reverse. */
  tryAllTransports?: boolean;
  /** Sent with every request, in place of the session's `headers` of that name. */
  extraHeaders?: Record<string, string>;
  /** A parameter that makes each URL another one. Default for polling only. */
  timestampRequests?: boolean;
  /** Its name. Default `"t"`. */
  timestampParam?: string;
  /** Send bytes as text. Default false. */
  forceBase64?: boolean;
  /** Milliseconds that the answer to one request of polling may take. Default 120000. */
  requestTimeout?: number;
  /** What differs for one transport: the five options above. */
  transportOptions?: { [Name in "polling" | "websocket"]?: Partial<SocketIoOptions> };
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
  /** Where to continue: the value is read from one of the first three and sent in one of the next two. */
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

/** One step of a login. */
export interface LoginStep {
  /** The words that it answers. */
  when: Rule;
  /** Values to keep: by name, a pointer or several, each applied to the JSON text that the one before leads to. */
  take?: Record<string, string | string[]>;
  /** Ask `session.onAuth` first; it gets the values, and what it returns as `auth` is sent. */
  ask?: boolean;
  /** The words are a refusal: other credentials are asked for. */
  refused?: boolean;
  /** `{"$value": name}` and `{"$auth": pointer}` in JSON, `${name}` and `${/pointer}` in text, stand for values. */
  send?: ({ json: Json } | { text: string })[];
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
        /** Share of the delay that a wait may differ from it, 0 to 1. Default: from 0 to the delay ("full jitter"). */
        randomization?: number;
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
        /** Where the server says in seconds how long it bears silence: pointers, each into the text found by the last. */
        intervalFrom?: string | string[];
      };
  /** Payloads sent on every connection. */
  greeting?: (Payload | EventPayload)[];
  /** Must match before subscriptions and the outbox flow. */
  ready?: Rule;
  /** What the server's words are answered with before the connection is ready. Needs `ready`. */
  login?: LoginStep[];
  queue?: {
    messages?: number;
    bytes?: number;
    age?: number;
    overflow?: "drop-oldest" | "drop-newest" | "pause" | "close";
  };
  outbox?: { messages?: number; bytes?: number; ttl?: number };
  /** Records and bytes that may be in flight without acknowledgement. Default 4096 and 4 MiB. */
  window?: { messages?: number; bytes?: number };
  /** How long `close` may take to write what was accepted before and to hear the server's answer. Default 10 s. */
  closeTimeout?: number;
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
  /** Messages that still wait are cancelled. Without it they are written first, up to `closeTimeout`. */
  discard?: boolean;
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
  /** With `why: "login"`: what the server has said, by the names that `login` takes it under. */
  values?: Record<string, Json>;
}
export interface Stalled {
  type: "stalled";
  session: string;
  messages: number;
  bytes: number;
  /** Age of the oldest record that this client has not acknowledged, in milliseconds. */
  oldest?: number;
}
export interface Detached {
  type: "detached";
  session: string;
  reason: "superseded" | "closed" | "expired";
  /** After `closed`: the server's close code. */
  code?: number;
  /** After `closed`: the server's close reason. */
  closeReason?: string;
  /** After `closed`: everything accepted was written, and the server answered the close frame. */
  clean?: boolean;
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
  /** The last failure of the link, as in a `state` record. */
  error?: WireError;
  /** Milliseconds until the next dial, if one is scheduled. */
  retryIn?: number;
  /** Age in milliseconds of the oldest record that somebody attached has not acknowledged. */
  oldest?: number;
}
/** Bytes that an extension holds in the broker, in all profiles, and may hold at the moment. */
export interface MemoryReport {
  held: number;
  limit: number;
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
  /** What this extension holds. Older brokers do not tell. */
  memory?: MemoryReport;
  /** Hosts whose certificate is not checked, by the user's settings. */
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
export interface HostFrame {
  type: "host";
  state: "starting" | "lost" | "back" | "failed";
  code: WireCode;
  message: string;
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
  | HostFrame;

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
