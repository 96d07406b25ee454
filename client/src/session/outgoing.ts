// What a session sends, from the call to its result: messages, requests, commands and subscriptions. It keeps no received
// message and does not know the state of the link.

import { fromWire, LongwireError } from "../errors.js";
import { isBlob, type Sendable, type SendContent, toPayload } from "../payload.js";
import type { RequestFrame, SendResult } from "../pending.js";
import { Requests } from "../requests.js";
import type { RequestOptions, SendOptions, SendOutcome, SubscribeSpec } from "../session-types.js";
import type { EventPayload, OutcomeWord, Payload, Response } from "../wire.js";
import type { SessionContext } from "./context.js";

/** A subscription, and how many share it. */
interface SharedSubscription {
  readonly frame: RequestFrame;
  holders: number;
}

/** Milliseconds beyond a request's own deadline after which a broker that cannot be reached is not waited for. */
const GRACE = 5000;

/** The outgoing part of one session. */
export class Outgoing extends Requests {
  readonly #session: SessionContext;
  readonly #subscriptions = new Map<string, SharedSubscription>();

  /** `onAdded` is called when something waits for the broker. */
  constructor(session: SessionContext, onAdded: () => void) {
    super(session.clock, session.post, onAdded);
    this.#session = session;
  }

  // ---- sending ----

  /** Sends. `onAccepted` is called when the broker has accepted it. */
  async send(content: SendContent, options: SendOptions, onAccepted?: () => void): Promise<SendOutcome> {
    const { signal, receipt = true, id = this.#session.nextId(), ...fields } = options;
    const blob = isBlob(content) ? content : undefined;
    const body = blob ? {} : content;
    const frame = {
      type: "send",
      session: this.#session.name,
      id,
      ...body,
      ...fields,
      receipt,
    } as RequestFrame;
    const withdrawn = (outcome: OutcomeWord) => ({ id, outcome });
    return this.toOutcome(await this.ask("outcome", frame, { signal, onAccepted, blob, withdrawn }));
  }

  request(data: Sendable | EventPayload, options: RequestOptions): Promise<Response> {
    const { clock, name: session, nextId } = this.#session;
    const { signal, match, timeout = 30_000, id = nextId(), ...fields } = options;
    const body = "ack" in match ? toBody(data) : toPayload(data as Sendable);
    const frame = { type: "request", session, id, ...body, ...fields, match, timeout } as RequestFrame;
    const timer = clock.setTimeout(() => {
      const text = "longwire: the broker did not answer in time";
      this.refused(id, new LongwireError("timeout", text, { retry: "later" }));
    }, timeout + GRACE);
    return this.ask("response", frame, { signal }).finally(() => clock.clearTimeout(timer));
  }

  /** Subscribes, or shares the existing subscription. Returns a function that unsubscribes; the last holder ends it. */
  subscribe(key: string, spec: SubscribeSpec): () => void {
    const held = this.#subscriptions.get(key) ?? this.#subscription(key, spec);
    held.holders += 1;
    return () => {
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#subscriptions.delete(key);
      this.#command({ type: "unsubscribe", session: this.#session.name, id: this.#session.nextId(), key });
    };
  }

  #subscription(key: string, { send, undo, confirm, filter }: SubscribeSpec): SharedSubscription {
    const { name: session, nextId } = this.#session;
    const frame: RequestFrame = {
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
    this.#command(frame);
    return held;
  }

  /** Sends a command whose result no caller waits for. */
  #command(frame: RequestFrame): void {
    this.ask("ok", frame).catch((error: LongwireError) => this.#session.failed(error));
  }

  // ---- answers ----

  /** An outcome as the developer sees it. */
  toOutcome({ id, outcome, error }: SendResult): SendOutcome {
    return { id, outcome, error: error && fromWire(error, this.#session.url) };
  }

  /** The broker has accepted a frame. */
  accepted(id: string, outcome: OutcomeWord | undefined): void {
    const entry = this.find(id);
    if (!entry) return;
    this.accept(entry);
    if (entry.frame.type !== "send") return;
    entry.onAccepted?.();
    if (outcome || !entry.frame.receipt) this.#outcome(id, outcome ?? "accepted");
  }

  #outcome(id: string, outcome: SendResult["outcome"]): void {
    this.answered("outcome", { id, outcome });
  }

  // ---- attachments ----

  /** There is an attachment. `known` are the subscriptions that the broker remembers. */
  resume(known: ReadonlySet<string>): void {
    for (const [key, { frame }] of this.#subscriptions) {
      if (!known.has(key) && !this.has(frame.id)) this.#command(frame);
    }
    this.attached();
  }

  /** A new broker knows only these ids: the outcome of others that the old broker had accepted is unknown. */
  orphan(known: ReadonlySet<string>): void {
    for (const entry of this.unanswered) {
      const { frame } = entry;
      if (known.has(frame.id)) continue;
      if (frame.type !== "send") {
        const text = "longwire: the broker was lost before the answer";
        this.refused(frame.id, new LongwireError("broker-lost", text, { retry: "later" }));
      } else if (frame.ifLost === "resend") {
        this.forget(entry);
        entry.accepted = false;
        entry.posted = false;
        this.add(entry);
      } else this.#outcome(frame.id, "unknown");
    }
  }

  /** The session has ended in the broker. The outcome of accepted messages without one is unknown. */
  closed(): void {
    for (const { frame } of this.unanswered) {
      if (frame.type === "send") this.#outcome(frame.id, "unknown");
    }
  }
}

/** An event as it is, everything else as a payload. */
function toBody(data: Sendable | EventPayload): Payload | EventPayload {
  const { event, args } = Object(data) as EventPayload;
  return typeof event === "string" && Array.isArray(args)
    ? (data as EventPayload)
    : toPayload(data as Sendable);
}
