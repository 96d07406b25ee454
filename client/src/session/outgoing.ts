// What a session says, from the call to its end: messages, requests, commands and subscriptions. It keeps no received
// message and does not know the state of the link.

import type { Clock } from "../browser-api.js";
import { LongwireError } from "../errors.js";
import { type Sendable, toPayload } from "../payload.js";
import { type Asked, type Pending, PendingQueue, type Queued } from "../pending.js";
import type { RequestOptions, SendOptions, SubscribeSpec } from "../session-types.js";
import type { Cancel, EventPayload, Outcome, OutcomeWord, Payload, Response } from "../wire.js";

/** How a message ended, as the broker says it. */
export interface SendEnd {
  id: string;
  outcome: OutcomeWord | "accepted";
  error?: Outcome["error"];
}

/** What the outgoing part needs from its session. */
export interface OutgoingHost {
  readonly name: string;
  readonly clock: Clock;
  nextId(): string;
  post(frame: Asked | Cancel): void;
  /** Something waits for the broker. */
  asked(): void;
  /** A command failed that nobody waits for. */
  failed(error: LongwireError): void;
}

/** How a question can end. */
type Ends<Answer> = Pick<Pending<Answer>, "settle" | "fail" | "withdrawn" | "taken">;

/** Milliseconds beyond a request's own deadline after which a broker that cannot be reached is not waited for. */
const GRACE = 5000;

/** The outgoing part of one session. */
export class Outgoing {
  readonly #host: OutgoingHost;
  readonly #queue: PendingQueue;
  readonly #sends = new Map<string, Pending<SendEnd>>();
  readonly #requests = new Map<string, Pending<Response>>();
  readonly #commands = new Map<string, Pending<void>>();
  readonly #subscriptions = new Map<string, { frame: Asked; holders: number }>();
  #over: LongwireError | undefined;

  constructor(host: OutgoingHost) {
    this.#host = host;
    this.#queue = new PendingQueue(host.clock, (frame) => host.post(frame));
  }

  /** Bytes that the broker has not taken yet. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Whether everything said has been settled. */
  get quiet(): boolean {
    return this.#queue.quiet;
  }

  /** Whether the broker has taken responsibility for everything. */
  get handedOver(): boolean {
    return this.#queue.handedOver;
  }

  /** Whether an answer with this id is awaited. */
  awaits(id: string): boolean {
    return this.#queue.find(id) !== undefined;
  }

  // ---- asking ----

  /** Sends. `taken` is called when the broker has it. */
  send(body: Payload | EventPayload, options: SendOptions, taken?: () => void): Promise<SendEnd> {
    const { signal, receipt = true, id = this.#host.nextId(), ...fields } = options;
    const frame = { type: "send", session: this.#host.name, id, ...body, ...fields, receipt } as Asked;
    return new Promise((resolve, reject) => {
      const withdrawn = (outcome: OutcomeWord) => resolve({ id, outcome });
      this.#ask(this.#sends, frame, { settle: resolve, fail: reject, withdrawn, taken }, signal);
    });
  }

  request(data: Sendable | EventPayload, options: RequestOptions): Promise<Response> {
    const { signal, match, timeout = 30_000, id = this.#host.nextId(), ...fields } = options;
    const body = isEvent(data) && "ack" in match ? data : toPayload(data as Sendable);
    const session = this.#host.name;
    const frame = { type: "request", session, id, ...body, ...fields, match, timeout } as Asked;
    const { clock } = this.#host;
    let timer: unknown;
    return new Promise<Response>((resolve, reject) => {
      timer = clock.setTimeout(() => {
        const text = "longwire: the broker did not answer in time";
        this.#take(this.#requests, id)?.fail(new LongwireError("timeout", text, { retry: "later" }));
      }, timeout + GRACE);
      this.#ask(this.#requests, frame, { settle: resolve, fail: reject, withdrawn: cancels(reject) }, signal);
    }).finally(() => clock.clearTimeout(timer));
  }

  command(frame: Asked): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ask(this.#commands, frame, { settle: resolve, fail: reject, withdrawn: cancels(reject) });
    });
  }

  /** Subscribes, or shares the subscription there is. Returns what ends it; the last holder to leave does. */
  subscribe(key: string, spec: SubscribeSpec): () => void {
    const known = this.#subscriptions.get(key);
    const held = known ?? { frame: this.#subscription(key, spec), holders: 0 };
    held.holders += 1;
    if (!known) {
      this.#subscriptions.set(key, held);
      this.#tell(held.frame);
    }
    return () => {
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#subscriptions.delete(key);
      this.#tell({ type: "unsubscribe", session: this.#host.name, id: this.#host.nextId(), key });
    };
  }

  /** A command whose failure nobody waits for. */
  #tell(frame: Asked): void {
    this.command(frame).catch((error: LongwireError) => this.#host.failed(error));
  }

  #subscription(key: string, { send, undo, confirm, filter }: SubscribeSpec): Asked {
    const say = (list?: (Sendable | EventPayload)[]) =>
      list?.map((one) => (isEvent(one) ? one : toPayload(one as Sendable)));
    const { name: session } = this.#host;
    const id = this.#host.nextId();
    return { type: "subscribe", session, id, key, send: say(send), undo: say(undo), confirm, filter };
  }

  #ask<Answer>(
    waiting: Map<string, Pending<Answer>>,
    frame: Asked,
    ends: Ends<Answer>,
    signal?: AbortSignal,
  ): void {
    if (this.#over) {
      ends.fail(this.#over);
      return;
    }
    if (signal?.aborted) {
      ends.withdrawn("cancelled");
      return;
    }
    const forget = () => waiting.delete(frame.id);
    const entry: Pending<Answer> = {
      frame,
      bytes: weigh(frame),
      since: this.#host.clock.now(),
      accepted: false,
      posted: false,
      taken: ends.taken,
      settle: ends.settle,
      withdrawn: (outcome) => {
        forget();
        ends.withdrawn(outcome);
      },
      fail: (error) => {
        forget();
        // What was withdrawn and not heard of again has ended as wanted.
        if (signal?.aborted) ends.withdrawn("cancelled");
        else ends.fail(error);
      },
    };
    signal?.addEventListener("abort", () => this.#queue.cancel(entry), { once: true });
    waiting.set(frame.id, entry);
    this.#queue.add(entry);
    this.#host.asked();
  }

  // ---- answers ----

  /** Takes the outcome of a message; returns whether somebody here waits for it. */
  outcome(end: SendEnd): boolean {
    const pending = this.#take(this.#sends, end.id);
    pending?.settle(end);
    return pending !== undefined;
  }

  /** Takes the response to a request; returns whether somebody here waits for it. */
  response(frame: Response): boolean {
    const pending = this.#take(this.#requests, frame.id);
    pending?.settle(frame);
    return pending !== undefined;
  }

  /** The broker has done what it was told. */
  ok(id: string): void {
    this.#take(this.#commands, id)?.settle();
  }

  /** The broker has taken responsibility. */
  accepted(id: string, outcome: OutcomeWord | undefined): void {
    const entry = this.#queue.accepted(id);
    if (entry?.frame.type !== "send") return;
    entry.taken?.();
    if (outcome) this.outcome({ id, outcome });
    else if (!entry.frame.receipt) this.outcome({ id, outcome: "accepted" });
  }

  /** The broker refuses; returns whether somebody here waits for this id. */
  refused(id: string, error: LongwireError): boolean {
    const entry = this.#queue.find(id);
    if (entry) this.#fail(entry, error);
    return entry !== undefined;
  }

  #take<Answer>(waiting: Map<string, Pending<Answer>>, id: string): Pending<Answer> | undefined {
    const pending = waiting.get(id);
    if (!pending) return undefined;
    waiting.delete(id);
    this.#queue.settled(id);
    return pending;
  }

  #fail(entry: Queued, error: LongwireError): void {
    this.#queue.settled(entry.frame.id);
    entry.fail(error);
  }

  // ---- attachments ----

  /** There is an attachment. `known` are the subscriptions that the broker remembers. */
  attached(known: ReadonlySet<string>): void {
    for (const [key, { frame }] of this.#subscriptions) {
      if (!known.has(key) && !this.awaits(frame.id)) this.#tell(frame);
    }
    this.#queue.attached();
  }

  /** The attachment is gone. */
  lost(): void {
    this.#queue.lost();
  }

  /** Fails what the broker has not taken. Returns how many that were. */
  unreachable(error: LongwireError): number {
    return this.#queue.failUntaken(error);
  }

  /** A new broker knows only these ids: what the old one had accepted beside them has an unknown end. */
  orphan(known: ReadonlySet<string>): void {
    for (const entry of this.#queue.inBroker) {
      const { frame } = entry;
      if (known.has(frame.id)) continue;
      if (frame.type === "send" && frame.ifLost === "resend") {
        this.#queue.settled(frame.id);
        entry.accepted = false;
        entry.posted = false;
        this.#queue.add(entry);
      } else if (!this.outcome({ id: frame.id, outcome: "unknown" })) {
        const text = "longwire: the broker was lost before the answer";
        this.#fail(entry, new LongwireError("broker-lost", text, { retry: "later" }));
      }
    }
  }

  /** The session has ended in the broker. Of messages it had accepted and not settled nobody can say more. */
  closed(): void {
    for (const { frame } of this.#queue.inBroker) this.outcome({ id: frame.id, outcome: "unknown" });
  }

  /** This worker is no longer attached to the session. */
  end(error: LongwireError): void {
    this.#over = error;
    this.#queue.failUntaken(error);
    for (const entry of this.#queue.inBroker) this.#fail(entry, error);
  }
}

function cancels(reject: (error: LongwireError) => void): () => void {
  return () => reject(new LongwireError("cancelled", "longwire: cancelled"));
}

function isEvent(data: unknown): data is EventPayload {
  return (
    typeof (data as EventPayload | null)?.event === "string" && Array.isArray((data as EventPayload).args)
  );
}

/** Roughly the bytes of a frame's content. */
function weigh(frame: Asked): number {
  const { text, base64, json, args } = frame as {
    text?: string;
    base64?: string;
    json?: unknown;
    args?: unknown;
  };
  if (base64) return (base64.length * 3) / 4;
  return (text ?? JSON.stringify(json ?? args))?.length ?? 0;
}
