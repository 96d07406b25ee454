// Checks of the values that frames are made of, by the types of src/wire.ts.

import type * as wire from "../../src/wire.js";

export type Check = (value: unknown) => boolean;
/** One check a field; `optional` where the type has a question mark, and nowhere else. */
export type Shape<Frame> = {
  [Name in keyof Frame]-?: undefined extends Frame[Name] ? { optional: Check } : Check;
};

export const text: Check = (value) => typeof value === "string";
export const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const flag: Check = (value) => typeof value === "boolean";
export const anything: Check = () => true;
export const object: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
export const word =
  <Word extends string>(words: Record<Word, true>): Check =>
  (value) =>
    typeof value === "string" && value in words;
export const name: Check = (value) =>
  typeof value === "string" && value.length > 0 && [...value].length <= 128 && !/\p{Cc}/u.test(value);

export const payloadForms = ["text", "json", "base64"];
/** Exactly one form of content. */
export const payload: Check = (value) => {
  if (!object(value)) return false;
  const forms = payloadForms.filter((form) => form in (value as object));
  const isEvent = "event" in (value as object) && forms.length === 0;
  return (
    isEvent ||
    (forms.length === 1 &&
      (forms[0] === "json" || text((value as Record<string, unknown>)[forms[0] as string])))
  );
};

export function fits<Frame>(shape: Shape<Frame>, value: unknown, also: string[] = []): string[] {
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

export const is =
  <Frame>(shape: Shape<Frame>): Check =>
  (value) =>
    fits(shape, value).length === 0;

export const linkState = word<wire.LinkState>({
  connecting: true,
  open: true,
  waiting: true,
  unauthorized: true,
  paused: true,
  failed: true,
  closed: true,
});
export const outcome = word<wire.OutcomeWord>({
  sent: true,
  confirmed: true,
  unknown: true,
  failed: true,
  expired: true,
  dropped: true,
  cancelled: true,
});
export const reasons: Record<wire.GapReason, true> = {
  overflow: true,
  age: true,
  "too-large": true,
  crash: true,
  journal: true,
  acknowledged: true,
};
export const gapReason = word(reasons);
export const retry = word<wire.Retry>({ no: true, now: true, later: true, auth: true, action: true });
export const subscriptionState = word<wire.Subscription["state"]>({
  pending: true,
  active: true,
  failed: true,
});
export const codes: Record<wire.WireCode, true> = {
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
export const code = word(codes);
export const error = is<wire.WireError>({ code, message: text, retry });
export const totals = is<{ messages: number; bytes: number }>({ messages: count, bytes: count });
export const pointers = is<{ out: string; in: string }>({ out: text, in: text });
export const confirm: Check = (value) => pointers(value) || is<{ ack: true }>({ ack: flag })(value);
export const match: Check = (value) => confirm(value) || is<{ jsonrpc: true }>({ jsonrpc: flag })(value);
export const counters = is<wire.SessionCounters>({
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

/** Checks one frame; returns its errors as text. */
export type FrameCheck = (frame: unknown) => string[];

export const plain =
  <Frame>(shape: Shape<Frame>): FrameCheck =>
  (frame) =>
    fits(shape, frame);
/** With content: a payload, or a Socket.IO event in its place. */
export const carrying =
  <Frame>(shape: Shape<Frame>, needed = true): FrameCheck =>
  (frame) => {
    const faults = fits(shape, frame, [...payloadForms, "event", "args", "namespace"]);
    const empty = object(frame) && ![...payloadForms, "event"].some((form) => form in (frame as object));
    if (needed || !empty) if (!payload(frame)) faults.push("there is not exactly one payload");
    return faults;
  };

export const send: Shape<wire.SendFields> = {
  session: name,
  confirm: { optional: confirm },
  ttl: { optional: count },
  volatile: { optional: flag },
  lane: { optional: count },
  ifLost: { optional: word({ report: true, resend: true }) },
  receipt: { optional: flag },
};
export const record = { session: name, seq: count, redelivered: { optional: flag } };
