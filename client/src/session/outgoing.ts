// What a session says, from the call to its end: messages, requests, commands and subscriptions. It keeps no received
// message and does not know the state of the link.

import { fromWire, LongwireError } from "../errors.js";
import { blobPayload, type Content, isBlob, type Sendable, toPayload } from "../payload.js";
import { type Asked, type Pending, PendingQueue } from "../pending.js";
import type { RequestOptions, SendOptions, SendOutcome, SubscribeSpec } from "../session-types.js";
import type { EventPayload, Outcome, OutcomeWord, Payload, Response } from "../wire.js";
import type { SessionContext } from "./context.js";

/** What may come with a frame: `taken` as in `Pending`, and a Blob that becomes its payload. */
interface Extra {
  signal?: AbortSignal | undefined;
  taken?: (() => void) | undefined;
  blob?: Blob | undefined;
}

/** A subscription, and how many share it. */
interface Held {
  readonly frame: Asked;
  holders: number;
}

/** How a message ended, as the broker says it. */
export interface SendEnd {
  id: string;
  outcome: OutcomeWord | "accepted";
  error?: Outcome["error"];
}

/** Milliseconds beyond a request's own deadline after which a broker that cannot be reached is not waited for. */
const GRACE = 5000;

/** The outgoing part of one session. */
export class Outgoing {
  readonly #session: SessionContext;
  /** What is not settled. */
  readonly queue: PendingQueue;
  readonly #subscriptions = new Map<string, Held>();
  readonly #asked: () => void;
  #over: LongwireError | undefined;

  /** `asked` is called when something waits for the broker. */
  constructor(session: SessionContext, asked: () => void) {
    this.#session = session;
    this.#asked = asked;
    this.queue = new PendingQueue(session.clock, session.post);
  }

  // ---- asking ----

  /** Sends. `taken` is called when the broker has it. */
  async send(content: Content, options: SendOptions, taken?: () => void): Promise<SendOutcome> {
    const { signal, receipt = true, id = this.#session.nextId(), ...fields } = options;
    const blob = isBlob(content) ? content : undefined;
    const body = blob ? {} : content;
    const frame = { type: "send", session: this.#session.name, id, ...body, ...fields, receipt } as Asked;
    return this.toOutcome(await this.ask<SendEnd>(frame, { signal, taken, blob }));
  }

  request(data: Sendable | EventPayload, options: RequestOptions): Promise<Response> {
    const { clock, name: session, nextId } = this.#session;
    const { signal, match, timeout = 30_000, id = nextId(), ...fields } = options;
    const body = "ack" in match ? toBody(data) : toPayload(data as Sendable);
    const frame = { type: "request", session, id, ...body, ...fields, match, timeout } as Asked;
    const timer = clock.setTimeout(() => {
      const text = "longwire: the broker did not answer in time";
      this.refused(id, new LongwireError("timeout", text, { retry: "later" }));
    }, timeout + GRACE);
    return this.ask<Response>(frame, { signal }).finally(() => clock.clearTimeout(timer));
  }

  /** Subscribes, or shares the subscription there is. Returns what ends it; the last holder to leave does. */
  subscribe(key: string, spec: SubscribeSpec): () => void {
    const held = this.#subscriptions.get(key) ?? this.#subscription(key, spec);
    held.holders += 1;
    return () => {
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#subscriptions.delete(key);
      this.#tell({ type: "unsubscribe", session: this.#session.name, id: this.#session.nextId(), key });
    };
  }

  #subscription(key: string, { send, undo, confirm, filter }: SubscribeSpec): Held {
    const { name: session, nextId } = this.#session;
    const frame: Asked = {
      type: "subscribe",
      session,
      id: nextId(),
      key,
      send: send?.map(toBody),
      undo: undo?.map(toBody),
      confirm,
      filter,
    };
    const held = { frame, holders: 0 };
    this.#subscriptions.set(key, held);
    this.#tell(frame);
    return held;
  }

  /** A command whose failure nobody waits for. */
  #tell(frame: Asked): void {
    this.ask(frame).catch((error: LongwireError) => this.#session.failed(error));
  }

  /** Says something that the broker answers. */
  ask<Answer = void>(frame: Asked, { signal, taken, blob }: Extra = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const withdrawn = (outcome: OutcomeWord) => {
        if (frame.type === "send") resolve({ id: frame.id, outcome } as Answer);
        else reject(new LongwireError("cancelled", "longwire: cancelled"));
      };
      if (this.#over) return reject(this.#over);
      if (signal?.aborted) return withdrawn("cancelled");
      const entry: Pending = {
        frame,
        bytes: blob?.size ?? weigh(frame),
        since: this.#session.clock.now(),
        accepted: false,
        posted: false,
        unread: blob !== undefined,
        taken,
        withdrawn,
        settle: resolve as (answer: unknown) => void,
        // What was withdrawn and not heard of again has ended as wanted.
        fail: (error) => (signal?.aborted ? withdrawn("cancelled") : reject(error)),
      };
      signal?.addEventListener("abort", () => this.queue.cancel(entry), { once: true });
      this.queue.add(entry);
      if (blob) void this.#read(blob, entry);
      this.#asked();
    });
  }

  async #read(blob: Blob, entry: Pending): Promise<void> {
    try {
      Object.assign(entry.frame, await blobPayload(blob));
      this.queue.read(entry);
    } catch (error) {
      this.refused(entry.frame.id, error as LongwireError);
    }
  }

  // ---- answers ----

  /** An outcome as the developer sees it. */
  toOutcome({ id, outcome, error }: SendEnd): SendOutcome {
    return { id, outcome, error: error && fromWire(error, this.#session.url) };
  }

  /** The broker has taken responsibility. */
  accepted(id: string, outcome: OutcomeWord | undefined): void {
    const entry = this.queue.find(id);
    if (!entry) return;
    this.queue.accepted(entry);
    if (entry.frame.type !== "send") return;
    entry.taken?.();
    if (outcome || !entry.frame.receipt) this.#outcome(id, outcome ?? "accepted");
  }

  #outcome(id: string, outcome: SendEnd["outcome"]): void {
    this.answered(id, { id, outcome });
  }

  /** Takes an answer; returns whether somebody here waits for it. */
  answered(id: string, answer: unknown): boolean {
    const entry = this.#end(id);
    entry?.settle(answer);
    return entry !== undefined;
  }

  /** The broker refuses; returns whether somebody here waits for this id. */
  refused(id: string, error: LongwireError): boolean {
    const entry = this.#end(id);
    entry?.fail(error);
    return entry !== undefined;
  }

  #end(id: string): Pending | undefined {
    const entry = this.queue.find(id);
    if (entry) this.queue.settled(entry);
    return entry;
  }

  // ---- attachments ----

  /** There is an attachment. `known` are the subscriptions that the broker remembers. */
  attached(known: ReadonlySet<string>): void {
    for (const [key, { frame }] of this.#subscriptions) {
      if (!known.has(key) && !this.queue.find(frame.id)) this.#tell(frame);
    }
    this.queue.attached();
  }

  /** Fails what the broker has not taken. Returns how many that were. */
  unreachable(error: LongwireError): number {
    const untaken = this.queue.where(false);
    for (const { frame } of untaken) this.refused(frame.id, error);
    return untaken.length;
  }

  /** A new broker knows only these ids: what the old one had accepted beside them has an unknown end. */
  orphan(known: ReadonlySet<string>): void {
    for (const entry of this.queue.where(true)) {
      const { frame } = entry;
      if (known.has(frame.id)) continue;
      if (frame.type !== "send") {
        const text = "longwire: the broker was lost before the answer";
        this.refused(frame.id, new LongwireError("broker-lost", text, { retry: "later" }));
      } else if (frame.ifLost === "resend") {
        this.queue.settled(entry);
        entry.accepted = false;
        entry.posted = false;
        this.queue.add(entry);
      } else this.#outcome(frame.id, "unknown");
    }
  }

  /** The session has ended in the broker. Of messages it had accepted and not settled nobody can say more. */
  closed(): void {
    for (const { frame } of this.queue.where(true)) {
      if (frame.type === "send") this.#outcome(frame.id, "unknown");
    }
  }

  /** This worker is no longer attached to the session. */
  end(error: LongwireError): void {
    this.#over = error;
    this.unreachable(error);
    for (const { frame } of this.queue.where(true)) this.refused(frame.id, error);
  }
}

/** An event as it is, everything else as a payload. */
function toBody(data: Sendable | EventPayload): Payload | EventPayload {
  const { event, args } = Object(data) as EventPayload;
  return typeof event === "string" && Array.isArray(args)
    ? (data as EventPayload)
    : toPayload(data as Sendable);
}

/** Roughly the bytes of a frame's content. */
function weigh(frame: Asked): number {
  const { text, base64, json, args } = frame as Payload & { args?: unknown };
  if (base64) return (base64.length * 3) / 4;
  return (text ?? JSON.stringify(json ?? args))?.length ?? 0;
}
