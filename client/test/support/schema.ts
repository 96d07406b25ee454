// The types of src/wire.ts as checks at run time; the vectors of the Rust side must pass them. The compiler compares them with
// the types: a field that is missing here, or optional in one place only, does not compile.

import type * as wire from "../../src/wire.js";
import {
  anything,
  carrying,
  code,
  codes,
  count,
  counters,
  error,
  type FrameCheck,
  flag,
  gapReason,
  is,
  linkState,
  list,
  match,
  name,
  object,
  outcome,
  payload,
  plain,
  reasons,
  record,
  retry,
  type Shape,
  send,
  subscriptionState,
  text,
  word,
} from "./schema-values.js";

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
  unsubscribe: plain<wire.UnsubscribeFrame>({ type: text, session: name, id: name, key: name }),
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

/** Every string literal of the types. */
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
