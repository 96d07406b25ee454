// The frames of a broker or host, and those of either direction.

import type { WireCode, WireError } from "./codes.js";
import type {
  EventPayload,
  GapReason,
  Json,
  LinkState,
  OutcomeWord,
  Payload,
  ResumeAnswer,
} from "./values.js";

export interface Welcome {
  type: "welcome";
  protocol: number;
  version: string;
  /** Id of the broker process; changes with every start. */
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
  /** With `why: "login"`: values from the server's messages, by the names in `login`. */
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
  /** The certificate of this server is not checked, by the user's settings. */
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
  /** Messages that filters withheld from clients. */
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
  /** Age in milliseconds of the oldest record that an attached client has not acknowledged. */
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
  /** What this extension holds. Older brokers do not report it. */
  memory?: MemoryReport;
  /** Hosts without certificate checks, by the user's settings. */
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
  /** `upgrade`: a newer broker takes over all sessions. */
  reason: string;
  /** The broker closes its connections within this many milliseconds, then writes its journals and exits. */
  after: number;
}
export interface HostFrame {
  type: "host";
  state: "starting" | "lost" | "back" | "failed";
  code: WireCode;
  message: string;
}

/** The records of a session's log. */
export type RecordFrame = Message | Gap | State | Outcome | Response;

/** Every frame of a broker or host, but `part` and `batch`. */
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
/** Several plain messages: `seq` is the first one's, the others follow. Only sent to clients that list `messages` in `hello.accepts`. */
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
