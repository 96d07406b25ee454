// The broker's side of the protocol in memory: one log per session, positions per client, windows, outcomes. A test
// can break every piece of it. It opens no socket; `server` holds what reached the server.

import type {
  AuthNeeded,
  ErrorFrame,
  LinkState,
  MessageFields,
  Messages,
  OpenOptions,
  OutcomeWord,
  RecordFrame,
  ToBroker,
  ToExtension,
} from "../wire.js";
import type { FakePort } from "./fake-port.js";

interface Attachment {
  port: FakePort;
  client: string;
  /** Last record written to the port. */
  cursor: number;
  /** Records that may be in flight, if the client has changed that. */
  window?: number;
}

interface BrokerSession {
  name: string;
  url: string | undefined;
  options: OpenOptions;
  epoch: string;
  log: RecordFrame[];
  next: number;
  state: LinkState;
  acked: Map<string, number>;
  attached: Map<string, Attachment>;
  ids: Map<string, string>;
  subscriptions: Set<string>;
  /** What reached the server, in order. */
  server: ToServer[];
  /** Accepted while the link was down, if the broker is automatic. */
  waiting: ToServer[];
  /** Sent on every connection, if the broker is automatic. */
  repeated: Map<string, ToServer[]>;
}

/** What reaches the server. */
export type ToServer = Extract<ToBroker, { type: "send" | "request" }>;

/** A record before the log gives it a number. */
type FakeRecord<Frame = RecordFrame> = Frame extends unknown ? Omit<Frame, "session" | "seq"> : never;

/** The broker. It delivers at once; `silent` and `holdAccepted` simulate faults. */
export class FakeBroker {
  static #boots = 0;
  readonly boot = `boot-${++FakeBroker.#boots}`;
  readonly sessions = new Map<string, BrokerSession>();
  readonly clients = new Map<FakePort, { client: string; profile: string; takesMessages: boolean }>();
  readonly hellos: ToBroker[] = [];
  /** Receives everything, answers nothing. */
  silent = false;
  /** Receives messages without sending `accepted`. */
  holdAccepted = false;
  /** The outcome every send gets, or none. */
  outcome: OutcomeWord | undefined = "sent";
  /** The sessions in its welcome. */
  listed: string[] = [];
  /** Options it does not know. */
  ignored: string[] = [];
  /** Receives what reaches a server. */
  onServer: ((session: string, frame: ToServer) => void) | undefined;
  /** Answers the next frames of a type with an error. */
  readonly refuse = new Map<string, Omit<ErrorFrame, "type">>();

  /**
   * `"automatic"`: links open by themselves, messages wait for a link, and subscriptions are sent on every connection.
   * `"manual"`: the test does all of that.
   */
  constructor(readonly mode: "manual" | "automatic" = "manual") {}

  receive(port: FakePort, frame: ToBroker): void {
    if (this.silent) return;
    const refusal = this.refuse.get(frame.type);
    if (refusal) {
      const { id, session } = frame as { id?: string; session?: string };
      port.deliver({ type: "error", ...refusal, ...(id ? { id } : {}), ...(session ? { session } : {}) });
      return;
    }
    if (frame.type === "hello") {
      this.hellos.push(frame);
      this.clients.set(port, {
        client: frame.client ?? "main",
        profile: frame.profile ?? "default",
        takesMessages: frame.accepts?.includes("messages") ?? false,
      });
      port.deliver({
        type: "welcome",
        protocol: 1,
        version: "0.1.0",
        broker: this.boot,
        origin: "chrome-extension://test/",
        capabilities: [],
        limits: { frame: 1048576 },
        sessions: this.listed.map((session) => ({ session, state: "open", pending: 0 })),
      });
      return;
    }
    const who = this.clients.get(port);
    if (!who) {
      port.deliver({ type: "error", code: "hello-required", message: "say hello first", retry: "now" });
      return;
    }
    if (frame.type === "status") port.deliver({ type: "status", id: frame.id, sessions: [] });
    else if (frame.type === "ping") port.deliver({ type: "pong", id: frame.id });
    else if (frame.type === "open") this.#open(port, who.client, frame);
    else this.#toSession(port, who.client, frame);
  }

  #open(port: FakePort, client: string, frame: Extract<ToBroker, { type: "open" }>): void {
    let session = this.sessions.get(frame.session);
    const created = session === undefined;
    session ??= {
      name: frame.session,
      url: frame.url,
      options: frame.options ?? {},
      epoch: `${this.boot}/${frame.session}`,
      log: [],
      next: 1,
      state: "connecting",
      acked: new Map(),
      attached: new Map(),
      ids: new Map(),
      subscriptions: new Set(),
      server: [],
      waiting: [],
      repeated: new Map(),
    };
    this.sessions.set(frame.session, session);
    const old = session.attached.get(client);
    if (old && old.port !== port)
      old.port.deliver({ type: "detached", session: session.name, reason: "superseded" });
    const last = session.next - 1;
    const first = (session.log[0]?.seq ?? session.next) - 1;
    let answer = "fresh";
    let seq = last;
    if (frame.resume && frame.resume.epoch === session.epoch && frame.resume.seq <= last) {
      answer = frame.resume.seq < first ? "gap" : "exact";
      seq = frame.resume.seq;
    } else if (frame.resume) {
      answer = "reset";
      seq = first;
    } else if (session.acked.has(client)) {
      answer = "exact";
      seq = session.acked.get(client) ?? 0;
    }
    session.acked.set(client, Math.max(seq, session.acked.get(client) ?? 0));
    const attachment = { port, client, cursor: seq };
    session.attached.set(client, attachment);
    port.deliver({
      type: "opened",
      id: frame.id,
      session: session.name,
      created,
      epoch: session.epoch,
      resume: answer,
      seq,
      last,
      state: session.state,
      outbox: [...session.ids].filter(([, end]) => end === "").map(([id]) => ({ id, state: "waiting" })),
      subscriptions: [...session.subscriptions].map((key) => ({ key, state: "active" })),
      ignored: this.ignored,
    });
    this.#deliver(session, attachment, answer === "reset");
    port.deliver({ type: "live", session: session.name, seq: last });
    if (created && this.mode === "automatic") this.link(session.name, "open", { dial: 1 });
  }

  #toSession(
    port: FakePort,
    client: string,
    frame: Exclude<ToBroker, { type: "hello" | "open" | "status" | "ping" }>,
  ): void {
    const session = this.sessions.get(frame.session);
    const attachment = session?.attached.get(client);
    const { id } = frame as { id?: string };
    if (!session || attachment?.port !== port) {
      port.deliver({
        type: "error",
        code: "not-attached",
        message: "not attached",
        retry: "now",
        session: frame.session,
        id,
      });
      return;
    }
    if (frame.type === "ack" && frame.seq > attachment.cursor) {
      port.deliver({
        type: "error",
        code: "bad-frame",
        message: "never delivered here",
        retry: "no",
        session: session.name,
      });
    } else if (frame.type === "ack") {
      session.acked.set(client, Math.max(frame.seq, session.acked.get(client) ?? 0));
      this.#deliver(session, attachment);
    } else if (frame.type === "window") {
      attachment.window = frame.messages;
      port.deliver({ type: "ok", id });
      this.#deliver(session, attachment);
    } else if (frame.type === "send" || frame.type === "request") {
      this.#send(port, session, frame);
    } else if (frame.type === "cancel") {
      const known = session.ids.get(frame.id);
      const why = { code: "not-sent", message: "no message with this id was accepted", retry: "no" };
      if (known === undefined) port.deliver({ type: "error", ...why, id: frame.id, session: session.name });
      else if (known === "") this.end(session.name, frame.id, "cancelled");
    } else if (frame.type === "subscribe") {
      this.#subscribe(port, session, frame);
    } else if (frame.type === "unsubscribe") {
      session.subscriptions.delete(frame.key);
      session.repeated.delete(frame.key);
      port.deliver({ type: "ok", id });
    } else if (frame.type === "detach") {
      session.attached.delete(client);
      port.deliver({ type: "ok", id });
    } else if (frame.type === "close") {
      this.#close(session, frame);
      port.deliver({ type: "ok", id });
    } else if (id !== undefined) {
      port.deliver({ type: "ok", id });
    }
  }

  #subscribe(port: FakePort, session: BrokerSession, frame: Extract<ToBroker, { type: "subscribe" }>): void {
    session.subscriptions.add(frame.key);
    const said = (frame.send ?? []).map((payload) => ({ type: "send", session: session.name, ...payload }));
    session.repeated.set(frame.key, said as ToServer[]);
    port.deliver({ type: "ok", id: frame.id });
    if (this.mode === "automatic" && session.state === "open") this.#repeat(session, frame.key);
    port.deliver({ type: "subscription", session: session.name, key: frame.key, state: "active" });
  }

  #close(session: BrokerSession, frame: Extract<ToBroker, { type: "close" }>): void {
    this.link(session.name, "closed", {
      code: frame.code ?? 1000,
      ...(frame.reason ? { reason: frame.reason } : {}),
    });
    this.sessions.delete(session.name);
    for (const { port: each } of session.attached.values()) {
      each.deliver({ type: "detached", session: session.name, reason: "closed" });
    }
  }

  #send(
    port: FakePort,
    session: BrokerSession,
    frame: Extract<ToBroker, { type: "send" | "request" }>,
  ): void {
    const { id } = frame;
    const waits = this.mode === "automatic" && session.state !== "open";
    if (id === undefined) {
      if (!waits) this.#reach(session, frame);
      else if (!frame.volatile) session.waiting.push(frame);
      return;
    }
    const known = session.ids.get(id);
    if (known === undefined) session.ids.set(id, "");
    if (!this.holdAccepted) {
      port.deliver({
        type: "accepted",
        session: session.name,
        id,
        durability: "memory",
        ...(known === undefined ? {} : { duplicate: true }),
        ...(known ? { outcome: known } : {}),
      });
    }
    if (known !== undefined) return;
    if (!waits) this.#reach(session, frame);
    else if (frame.volatile) this.end(session.name, id, "dropped");
    else session.waiting.push(frame);
  }

  /** The frame reaches the server, and its outcome follows. */
  #reach(session: BrokerSession, frame: ToServer): void {
    session.server.push(frame);
    const { id } = frame;
    if (id !== undefined && !this.holdAccepted && frame.type === "send" && this.outcome) {
      session.ids.set(id, this.outcome);
      if (frame.receipt) this.append(session.name, { type: "outcome", id, outcome: this.outcome });
    }
    this.onServer?.(session.name, frame);
  }

  /** Sends a subscription's messages. */
  #repeat(session: BrokerSession, key: string): void {
    for (const frame of session.repeated.get(key) ?? []) this.#reach(session, frame);
  }

  /** Ends an accepted id. */
  end(name: string, id: string, outcome: OutcomeWord): void {
    this.session(name).ids.set(id, outcome);
    this.append(name, { type: "outcome", id, outcome });
  }

  /** Appends a record and delivers it. */
  append(name: string, record: FakeRecord): number {
    const session = this.session(name);
    const seq = session.next++;
    session.log.push({ session: name, seq, ...record });
    for (const attachment of session.attached.values()) this.#deliver(session, attachment);
    return seq;
  }

  /** A message from the server. */
  text(name: string, text: string, more: Record<string, unknown> = {}): number {
    return this.append(name, { type: "message", time: 1, text, ...more });
  }

  /** The link changes. */
  link(name: string, state: LinkState, more: Record<string, unknown> = {}): number {
    const session = this.session(name);
    session.state = state;
    const seq = this.append(name, { type: "state", state, ...more });
    if (this.mode === "automatic" && state === "open") {
      for (const key of session.repeated.keys()) this.#repeat(session, key);
      for (const frame of session.waiting.splice(0)) this.#reach(session, frame);
    }
    return seq;
  }

  authNeeded(name: string, more: Partial<AuthNeeded> = {}): void {
    for (const { port } of this.session(name).attached.values()) {
      port.deliver({
        type: "auth-needed",
        session: name,
        nonce: "n1",
        why: "start",
        attempt: 1,
        deadline: 60000,
        ...more,
      });
    }
  }

  session(name: string): BrokerSession {
    const session = this.sessions.get(name);
    if (!session) throw new Error(`no session ${name}`);
    return session;
  }

  portClosed(port: FakePort): void {
    this.clients.delete(port);
    for (const session of this.sessions.values()) {
      for (const [client, { port: held }] of session.attached) {
        if (held === port) session.attached.delete(client);
      }
    }
  }

  #deliver(session: BrokerSession, attachment: Attachment, redelivered = false): void {
    const window = attachment.window ?? session.options.window?.messages ?? 4096;
    const acked = session.acked.get(attachment.client) ?? 0;
    const frames: ToExtension[] = [];
    for (const record of session.log) {
      if (record.seq <= attachment.cursor) continue;
      if (record.seq > acked + window) break;
      attachment.cursor = record.seq;
      frames.push(redelivered ? { ...record, redelivered: true } : record);
    }
    const { takesMessages } = this.clients.get(attachment.port) ?? {};
    const packed = takesMessages ? rolledUp(frames) : frames;
    if (packed.length === 1) attachment.port.deliver(packed[0]);
    else if (packed.length > 1) attachment.port.deliver({ type: "batch", frames: packed });
  }
}

/** Plain messages in a row as one frame, as the broker packs them. */
function rolledUp(frames: readonly ToExtension[]): (ToExtension | Messages)[] {
  const packed: (ToExtension | Messages)[] = [];
  let run: Messages | undefined;
  let next = 0;
  for (const frame of frames) {
    const { type, session, seq, time, redelivered, ...content } = frame as MessageFields;
    const [[form, value], more] = Object.entries(content) as [[string, unknown], unknown];
    if (type !== "message" || more || (form !== "text" && form !== "json")) {
      packed.push(frame);
      run = undefined;
    } else if (run?.[form] && seq === next && time === run.time && redelivered === run.redelivered) {
      (run[form] as unknown[]).push(value);
    } else {
      run = { type: "messages", session, seq, time, redelivered, [form]: [value] };
      packed.push(run);
    }
    next = seq + 1;
  }
  return packed;
}
