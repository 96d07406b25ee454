// Receiving, from the frame to the acknowledgement: which records are new, their handlers, and the position up to which all are
// finished. It does not know what was sent, nor the state of the link.

import { Acks, type AckToken } from "../acks.js";
import { LongwireError } from "../errors.js";
import type { Unsubscribe } from "../events.js";
import { report } from "../events.js";
import { ATTEMPTS, Inbox, type InboxHandler } from "../inbox.js";
import { Received, type ReceivedHost } from "../received.js";
import type { SessionOptions } from "../session-types.js";
import {
  describeIssues,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
} from "../standard-schema.js";
import type { Position } from "../storage.js";
import type { Gap, LinkState, Message, Opened, RecordFrame, Response } from "../wire.js";
import type { SessionContext } from "./context.js";

/** The default window: records and bytes in flight. */
const WINDOW = { messages: 4096, bytes: 4 * 1024 * 1024 };

/** Maximum messages of `from: "last:N"`. */
const MAX_TAIL = 1024;

/** The receiving part of one session. */
export class Delivery {
  /** The messages and gaps that are not finished, with their handlers. */
  readonly #inbox: Inbox;
  readonly #session: SessionContext;
  readonly #received: ReceivedHost;
  #acks: Acks | undefined;
  #epoch = "";
  /** The last record that arrived, and the one before it. */
  #arrived = 0;
  #before = 0;
  /** The newest record when this worker attached; earlier ones are past. */
  #last = 0;
  #resumed: Opened["resume"] | undefined;
  #window = WINDOW;
  readonly #schema: StandardSchema | undefined;
  /** Pending while messages are validated: later ones wait, to keep the order. */
  #validating: Promise<void> | undefined;
  /** With `from: "last:N"`: the newest past messages, held until replay is over. */
  #tail: { frame: Message; token: AckToken }[] | undefined;
  #tailLength: number | undefined;
  /** Positions are not stored. */
  readonly #transient: boolean;

  constructor(
    session: SessionContext,
    { ack = "auto", attempts = ATTEMPTS, schema, transient = false }: SessionOptions,
  ) {
    this.#schema = schema;
    this.#session = session;
    this.#transient = transient;
    this.#inbox = new Inbox(session.clock, ack, attempts, session.failed);
    this.#received = {
      done: (message) => this.#inbox.done(message),
      reply: ({ seq }, args) => session.post({ type: "reply", session: session.name, seq, args }),
    };
  }

  /** The position to resume from: everything up to it is finished, or the application wants to begin there. */
  async position(from?: SessionOptions["from"]): Promise<Position | undefined> {
    // For an unknown epoch the broker delivers its whole log.
    if (from !== undefined) return from === "now" ? undefined : { epoch: "from", seq: 0 };
    if (this.#acks) return { epoch: this.#epoch, seq: this.#acks.position };
    if (this.#transient) return undefined;
    return this.#session.memory.position(this.#session.name).catch(() => undefined);
  }

  /** Whether nothing waits for a handler or for its acknowledgement. */
  get quiet(): boolean {
    return this.#inbox.quiet && !this.#acks?.busy;
  }

  /** The window in records and bytes. */
  get window(): { readonly messages: number; readonly bytes: number } {
    return this.#window;
  }

  /** Changes the window. */
  resize(messages: number, bytes: number): void {
    this.#window = { messages, bytes };
  }

  /** There is an attachment. Returns whether positions start again although there were some. */
  attached(opened: Opened, window: SessionOptions["window"], from?: SessionOptions["from"]): boolean {
    const before = this.#acks;
    const goesOn = this.#epoch === opened.epoch && opened.resume !== "reset";
    this.#resumed = opened.resume;
    this.#window = { ...WINDOW, ...window };
    this.#last = opened.last;
    if (goesOn && before) {
      this.#arrived = Math.max(this.#arrived, opened.seq);
      before.reattached();
      return false;
    }
    this.#begin(from ? { ...opened, resume: "fresh" } : opened);
    this.#tailLength = tailLength(from);
    this.#tail = this.#tailLength === undefined ? undefined : [];
    return !!before && opened.resume === "reset";
  }

  #begin({ epoch, seq, resume, session }: Opened): void {
    this.#acks?.close();
    this.#epoch = epoch;
    this.#arrived = seq;
    const { memory, clock, post } = this.#session;
    this.#acks = new Acks(
      clock,
      {
        keep: async (finished) => {
          if (!this.#transient) await memory.keep(session, { epoch, seq: finished });
        },
        ack: (finished) => post({ type: "ack", session, seq: finished }),
      },
      this.#window.messages,
      seq,
    );
    this.#acks.reattached();
    if (resume === "reset") {
      this.#inbox.push({ gap: { session, from: 0, to: seq, count: 0, reason: "reset", exact: false } });
    }
  }

  /** Whether a record was there before this worker attached. */
  isPast({ seq }: RecordFrame): boolean {
    return seq <= this.#last;
  }

  /** Registers a record. Returns the token that acknowledges it; undefined if it has arrived before. */
  arrived({ seq }: RecordFrame): AckToken | undefined {
    if (!this.#acks || seq <= this.#arrived) return undefined;
    this.#before = this.#arrived;
    this.#arrived = seq;
    return this.#acks.arrived(seq);
  }

  /** Passes a message to its handlers. */
  message(frame: Message, token: AckToken): void {
    if (this.#tail && this.isPast(frame)) {
      this.#tail.push({ frame, token });
      if (this.#tail.length > (this.#tailLength ?? 0)) this.#tail.shift()?.token.finish();
      return;
    }
    this.live();
    const result = this.#schema?.["~standard"].validate(contentOf(frame));
    if (result instanceof Promise || this.#validating) {
      this.#enqueue(async () => this.#push(frame, token, await result));
    } else this.#push(frame, token, result);
  }

  /** Replay is over: delivers the past messages that were held. */
  live(): void {
    const tail = this.#tail ?? [];
    this.#tail = undefined;
    for (const { frame, token } of tail) this.message(frame, token);
  }

  #push(frame: Message, token: AckToken, result: SchemaResult<unknown> | undefined): void {
    const valid = result && !result.issues ? ({ ...frame, json: result.value } as Message) : frame;
    const message = new Received(valid, this.#epoch, this.#received, token);
    const issues = result?.issues;
    const invalid = issues && invalidMessage(message, issues);
    this.#inbox.push({ token, message, invalid });
  }

  /** Adds it behind the messages that are being validated. */
  #enqueue(push: () => Promise<void> | void): void {
    const validating = Promise.resolve(this.#validating)
      .then(push)
      .catch(report)
      .then(() => {
        if (this.#validating === validating) this.#validating = undefined;
      });
    this.#validating = validating;
  }

  /** Passes a gap to its handlers. */
  gap(frame: Gap, token: AckToken): void {
    if (this.#tail && this.isPast(frame)) {
      token.finish();
      return;
    }
    const { type: _type, seq: _seq, redelivered: _redelivered, ...gap } = frame;
    // Messages that are still here are not lost.
    const held = gap.from <= this.#before && this.#resumed === "gap";
    const item = { token, gap: held ? { ...gap, from: this.#before + 1, exact: false } : gap };
    if (this.#validating) this.#enqueue(() => this.#inbox.push(item));
    else this.#inbox.push(item);
  }

  /** The answer to a request as the developer sees it. */
  answer(frame: Response): Received {
    return new Received(frame, this.#epoch);
  }

  /** Acknowledges what is finished. */
  async flush(): Promise<void> {
    await this.#acks?.flush();
  }

  /** Delivers nothing more, waits for the handlers, and acknowledges. */
  async drain(): Promise<void> {
    await this.#inbox.pause();
    await this.flush();
  }

  /** Adds a handler. */
  on(handler: InboxHandler): Unsubscribe {
    return this.#inbox.on(handler);
  }

  /** Reads messages one by one. */
  read(): AsyncGenerator<Received, void, undefined> {
    return this.#inbox.read();
  }

  /** The link changed. While it is closed, readers have nothing to wait for. */
  linkChanged(state: LinkState): void {
    if (state === "closed") this.#inbox.end();
    else this.#inbox.revive();
  }

  /** Nothing arrives or is acknowledged any more. The parameters are those of `Inbox.end`. */
  end(...how: Parameters<Inbox["end"]>): void {
    this.#acks?.close();
    this.#inbox.end(...how);
  }
}

/** How many of the messages from before this attachment are wanted; undefined for all. */
function tailLength(from: SessionOptions["from"]): number | undefined {
  if (from === "now") return 0;
  const last = /^last:(\d+)$/.exec(from ?? "");
  // More would fill the window before replay is over.
  return last ? Math.min(Number(last[1]), MAX_TAIL) : undefined;
}

/** What a schema sees of a message. */
function contentOf(frame: Message): unknown {
  const { json, data } = new Received(frame, "");
  return json === undefined ? data : json;
}

function invalidMessage(message: Received, issues: readonly SchemaIssue[]): LongwireError<"invalid-message"> {
  const text = `longwire: the schema rejects message ${message.seq}: ${describeIssues(issues)}`;
  return new LongwireError("invalid-message", text, { detail: { issues, message } });
}
