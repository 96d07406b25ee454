// What src/wire.ts says, as checks that run: the vectors of the Rust side are held against it. The compiler holds it
// against the types: a field that is missing here, or optional in one place only, does not compile.

import type * as wire from "../../src/wire.js";

type Check = (value: unknown) => boolean;
/** One check a field; `optional` where the type has a question mark, and nowhere else. */
type Shape<Frame> = {
  [Name in keyof Frame]-?: undefined extends Frame[Name] ? { optional: Check } : Check;
};

const text: Check = (value) => typeof value === "string";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const flag: Check = (value) => typeof value === "boolean";
const anything: Check = () => true;
const object: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const word =
  <Word extends string>(words: Record<Word, true>): Check =>
  (value) =>
    typeof value === "string" && value in words;
const name: Check = (value) =>
  typeof value === "string" && value.length > 0 && [...value].length <= 128 && !/\p{Cc}/u.test(value);

const payloadForms = ["text", "json", "base64"];
/** Exactly one form of content. */
const payload: Check = (value) => {
  if (!object(value)) return false;
  const forms = payloadForms.filter((form) => form in (value as object));
  const isEvent = "event" in (value as object) && forms.length === 0;
  return (
    isEvent ||
    (forms.length === 1 &&
      (forms[0] === "json" || text((value as Record<string, unknown>)[forms[0] as string])))
  );
};

function fits<Frame>(shape: Shape<Frame>, value: unknown, also: string[] = []): string[] {
  if (!object(value)) return ["it is not an object"];
  const fields = value as Record<string, unknown>;
  const faults: string[] = [];
  for (const [key, check] of Object.entries(shape) as [string, Check | { optional: Check }][]) {
    const required = typeof check === "function";
    if (!(key in fields)) {
      if (required) faults.push(`\`${key}\` is missing`);
    } else if (!(required ? check : check.optional)(fields[key])) {
      faults.push(`\`${key}\` is ${JSON.stringify(fields[key])}`);
    }
  }
  for (const key of Object.keys(fields)) {
    if (!(key in shape) && !also.includes(key)) faults.push(`\`${key}\` is not in the types`);
  }
  return faults;
}

const is =
  <Frame>(shape: Shape<Frame>): Check =>
  (value) =>
    fits(shape, value).length === 0;

const linkState = word<wire.LinkState>({
  connecting: true,
  open: true,
  waiting: true,
  unauthorized: true,
  paused: true,
  failed: true,
  closed: true,
});
const outcome = word<wire.OutcomeWord>({
  sent: true,
  confirmed: true,
  unknown: true,
  failed: true,
  expired: true,
  dropped: true,
  cancelled: true,
});
const reasons: Record<wire.GapReason, true> = {
  overflow: true,
  age: true,
  "too-large": true,
  crash: true,
  journal: true,
  acknowledged: true,
};
const gapReason = word(reasons);
const retry = word<wire.Retry>({ no: true, now: true, later: true, auth: true, action: true });
const subscriptionState = word<wire.Subscription["state"]>({ pending: true, active: true, failed: true });
const codes: Record<wire.WireCode, true> = {
  "bad-frame": true,
  "bad-json": true,
  "unknown-type": true,
  unsupported: true,
  "hello-required": true,
  "frame-too-large": true,
  "bad-part": true,
  "no-session": true,
  "bad-session-name": true,
  "bad-url": true,
  "bad-option": true,
  "session-conflict": true,
  "not-attached": true,
  "session-closed": true,
  "outbox-full": true,
  "too-large": true,
  "too-many-sessions": true,
  "rate-limited": true,
  overflow: true,
  "origin-denied": true,
  "url-denied": true,
  "header-denied": true,
  dns: true,
  refused: true,
  unreachable: true,
  tls: true,
  proxy: true,
  "http-status": true,
  handshake: true,
  "closed-by-server": true,
  heartbeat: true,
  timeout: true,
  "link-lost": true,
  "not-sent": true,
  cancelled: true,
  "server-protocol": true,
  "broker-starting": true,
  "broker-unreachable": true,
  "broker-lost": true,
  "shutting-down": true,
  internal: true,
};
const code = word(codes);
const error = is<wire.WireError>({ code, message: text, retry });
const totals = is<{ messages: number; bytes: number }>({ messages: count, bytes: count });
const pointers = is<{ out: string; in: string }>({ out: text, in: text });
const confirm: Check = (value) => pointers(value) || is<{ ack: true }>({ ack: flag })(value);
const match: Check = (value) => confirm(value) || is<{ jsonrpc: true }>({ jsonrpc: flag })(value);
const counters = is<wire.SessionCounters>({
  session: { optional: text },
  origin: { optional: text },
  profile: { optional: text },
  url: { optional: text },
  state: { optional: linkState },
  durability: { optional: word({ memory: true, disk: true }) },
  insecure: { optional: flag },
  dials: count,
  reconnects: count,
  connectedSince: { optional: count },
  received: totals,
  sent: totals,
  queued: count,
  unacknowledged: count,
  dropped: count,
  outbox: count,
  rtt: { optional: is<{ p50: number; p99: number; max: number }>({ p50: count, p99: count, max: count }) },
  clients: count,
  filtered: {
    optional: is<{
      dropped: number;
      conflated: number;
      sampled: number;
      held: number;
      projected: number;
      refused: number;
    }>({
      dropped: count,
      conflated: count,
      sampled: count,
      held: count,
      projected: count,
      refused: count,
    }),
  },
  error: { optional: error },
  retryIn: { optional: count },
  oldest: { optional: count },
});

/** A check of one frame: its faults, in words. */
type FrameCheck = (frame: unknown) => string[];

const plain =
  <Frame>(shape: Shape<Frame>): FrameCheck =>
  (frame) =>
    fits(shape, frame);
/** With content: a payload, or a Socket.IO event in its place. */
const carrying =
  <Frame>(shape: Shape<Frame>, needed = true): FrameCheck =>
  (frame) => {
    const faults = fits(shape, frame, [...payloadForms, "event", "args", "namespace"]);
    const empty = object(frame) && ![...payloadForms, "event"].some((form) => form in (frame as object));
    if (needed || !empty) if (!payload(frame)) faults.push("there is not exactly one payload");
    return faults;
  };

const send: Shape<wire.SendFields> = {
  session: name,
  confirm: { optional: confirm },
  ttl: { optional: count },
  volatile: { optional: flag },
  lane: { optional: count },
  ifLost: { optional: word({ report: true, resend: true }) },
  receipt: { optional: flag },
};
const record = { session: name, seq: count, redelivered: { optional: flag } };

const toBroker: Record<wire.ToBroker["type"], FrameCheck> = {
  hello: plain<wire.Hello>({
    type: text,
    protocol: count,
    profile: { optional: name },
    client: { optional: name },
    instance: { optional: text },
    sdk: { optional: text },
    needs: { optional: list(text) },
    accepts: { optional: list(text) },
  }),
  open: plain<wire.Open>({
    type: text,
    id: name,
    session: name,
    url: { optional: text },
    options: { optional: object },
    resume: { optional: is<{ epoch: string; seq: number }>({ epoch: text, seq: count }) },
    conflict: { optional: word({ update: true, keep: true, error: true }) },
  }),
  ack: plain<wire.Ack>({ type: text, session: name, seq: count }),
  send: carrying<{ type: "send"; id?: string } & wire.SendFields>({
    type: text,
    id: { optional: name },
    ...send,
  }),
  request: carrying<{ type: "request"; id: string; match: wire.Match; timeout?: number } & wire.SendFields>({
    type: text,
    id: name,
    match,
    timeout: { optional: count },
    ...send,
  }),
  cancel: plain<wire.Cancel>({ type: text, session: name, id: name }),
  subscribe: plain<wire.Subscribe>({
    type: text,
    session: name,
    id: name,
    key: name,
    send: { optional: list(payload) },
    undo: { optional: list(payload) },
    confirm: { optional: object },
    filter: { optional: list(object) },
  }),
  unsubscribe: plain<wire.Unsubscribe>({ type: text, session: name, id: name, key: name }),
  authorize: plain<
    { type: "authorize"; session: string; nonce?: string; id?: string; failed?: string } & wire.Credentials
  >({
    type: text,
    session: name,
    nonce: { optional: text },
    id: { optional: name },
    failed: { optional: text },
    headers: { optional: object },
    url: { optional: text },
    subprotocols: { optional: list(text) },
    auth: { optional: anything },
  } as never),
  window: plain<wire.Window>({
    type: text,
    session: name,
    messages: count,
    bytes: count,
    id: { optional: name },
  }),
  reconnect: plain<wire.Reconnect>({ type: text, session: name, id: { optional: name } }),
  detach: plain<wire.Detach>({ type: text, session: name, id: { optional: name } }),
  close: plain<wire.Close>({
    type: text,
    session: name,
    id: { optional: name },
    code: { optional: count },
    reason: { optional: text },
    discard: { optional: flag },
  }),
  status: plain<wire.Status>({ type: text, id: name }),
  reply: plain<wire.Reply>({
    type: text,
    session: name,
    seq: count,
    args: list(anything),
    id: { optional: name },
  }),
  ping: plain<wire.Ping>({ type: text, id: name }),
};

const toExtension: Record<wire.ToExtension["type"], FrameCheck> = {
  welcome: plain<wire.Welcome>({
    type: text,
    protocol: count,
    version: text,
    broker: text,
    origin: text,
    capabilities: list(text),
    limits: object,
    sessions: list(is<wire.Welcome["sessions"][number]>({ session: name, state: linkState, pending: count })),
  }),
  opened: plain<wire.Opened>({
    type: text,
    id: name,
    session: name,
    created: flag,
    epoch: text,
    resume: word<wire.ResumeAnswer>({ fresh: true, exact: true, gap: true, reset: true }),
    seq: count,
    last: count,
    state: linkState,
    subprotocol: { optional: text },
    outbox: list(is<wire.Opened["outbox"][number]>({ id: name, state: text })),
    subscriptions: list(is<wire.Opened["subscriptions"][number]>({ key: name, state: subscriptionState })),
    ignored: list(text),
  }),
  message: carrying<Omit<wire.MessageFields, "event" | "args" | "namespace">>({
    type: text,
    ...record,
    time: count,
    tags: { optional: list(text) },
    lastEventId: { optional: text },
    reply: { optional: flag },
  }),
  gap: plain<wire.Gap>({
    type: text,
    ...record,
    from: count,
    to: count,
    count,
    reason: gapReason,
    exact: flag,
  }),
  state: plain<wire.State>({
    type: text,
    ...record,
    state: linkState,
    dial: { optional: count },
    attempt: { optional: count },
    retryIn: { optional: count },
    code: { optional: count },
    status: { optional: count },
    reason: { optional: text },
    error: { optional: error },
    continuity: { optional: word({ server: true, none: true, unknown: true }) },
    subprotocol: { optional: text },
    extensions: { optional: text },
    namespace: { optional: text },
    transport: { optional: text },
    data: { optional: anything },
  }),
  outcome: plain<wire.Outcome>({ type: text, ...record, id: name, outcome, error: { optional: error } }),
  response: carrying(
    { type: text, ...record, id: name, error: { optional: error } } as Shape<{ type: string }>,
    false,
  ),
  live: plain<wire.Live>({ type: text, session: name, seq: count }),
  accepted: plain<wire.Accepted>({
    type: text,
    session: name,
    id: name,
    durability: word({ memory: true, disk: true }),
    duplicate: { optional: flag },
    outcome: { optional: outcome },
  }),
  subscription: plain<wire.Subscription>({ type: text, session: name, key: name, state: subscriptionState }),
  "auth-needed": plain<wire.AuthNeeded>({
    type: text,
    session: name,
    nonce: text,
    why: text,
    attempt: count,
    deadline: count,
    status: { optional: count },
    values: { optional: anything },
  }),
  stalled: plain<wire.Stalled>({
    type: text,
    session: name,
    messages: count,
    bytes: count,
    oldest: { optional: count },
  }),
  detached: plain<wire.Detached>({
    type: text,
    session: name,
    reason: word({ superseded: true, closed: true, expired: true }),
    code: { optional: count },
    closeReason: { optional: text },
    clean: { optional: flag },
  }),
  status: plain<wire.StatusAnswer>({
    type: text,
    id: name,
    version: text,
    uptime: count,
    pid: count,
    rss: count,
    ports: count,
    memory: { optional: is<wire.MemoryReport>({ held: count, limit: count }) },
    insecure: { optional: list(text) },
    total: counters,
    sessions: list(counters),
  }),
  pong: plain<wire.Pong>({ type: text, id: name }),
  ok: plain<wire.Ok>({ type: text, id: name }),
  error: plain<wire.ErrorFrame>({
    type: text,
    code,
    message: text,
    retry,
    id: { optional: name },
    session: { optional: name },
    detail: { optional: text },
  }),
  goaway: plain<wire.GoAway>({ type: text, reason: text, after: count }),
  host: plain<wire.HostFrame>({
    type: text,
    state: word({ starting: true, lost: true, back: true, failed: true }),
    code,
    message: text,
  }),
};

const messages = plain<wire.Messages>({
  type: text,
  ...record,
  time: count,
  text: { optional: list(text) },
  json: { optional: list(anything) },
});
const part = plain<wire.Part>({ type: text, part: name, index: count, last: flag, data: text });

/** Every word the types know. */
export const errorCodes: string[] = Object.keys(codes);
export const gapReasons: string[] = Object.keys(reasons);

export type Direction = "to-broker" | "to-extension";

/** What is wrong with a frame, by the types of src/wire.ts. */
export function faults(direction: Direction, frame: unknown): string[] {
  const { type, frames } = (frame ?? {}) as { type?: string; frames?: unknown };
  if (type === "part") return part(frame);
  if (type === "messages" && direction === "to-extension") return messages(frame);
  if (type === "batch") {
    return Array.isArray(frames)
      ? frames.flatMap((one) => faults(direction, one))
      : ["`frames` is not a list"];
  }
  const checks: Record<string, FrameCheck> = direction === "to-broker" ? toBroker : toExtension;
  const check = type === undefined ? undefined : checks[type];
  return check ? check(frame) : [`type \`${type}\` is not in the types`];
}

/** Every type that goes in a direction. */
export function types(direction: Direction): string[] {
  return Object.keys(direction === "to-broker" ? toBroker : toExtension);
}
