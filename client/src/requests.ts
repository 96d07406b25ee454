// The frames that the broker answers, each from the call to its answer, on any number of ports. It builds no frames.

import type { Clock } from "./browser-api.js";
import { LongwireError } from "./errors.js";
import { blobPayload } from "./payload.js";
import { type Answers, type Pending, type PendingFrame, PendingQueue, type RequestFrame } from "./pending.js";
import type { Cancel, OutcomeWord, Payload } from "./wire.js";

/** Options of one frame. */
interface Extra<Answer> {
  signal?: AbortSignal | undefined;
  onAccepted?: (() => void) | undefined;
  /** Becomes the payload. */
  blob?: Blob | undefined;
  /** The answer for a frame that ends without having been sent. Without it, that is an error. */
  withdrawn?: (outcome: OutcomeWord) => Answer;
}

/** The unanswered frames of one session, or of a bridge. */
export class Requests extends PendingQueue {
  readonly #onAdded: () => void;
  #over: LongwireError | undefined;

  /** `onAdded` is called when a frame waits for the broker. */
  constructor(clock: Clock, post: (frame: RequestFrame | Cancel) => void, onAdded: () => void) {
    super(clock, post);
    this.#onAdded = onAdded;
  }

  /** Sends a frame; resolves with its answer of the type `awaits`. */
  ask<Type extends keyof Answers>(
    awaits: Type,
    frame: RequestFrame,
    { signal, onAccepted, blob, withdrawn }: Extra<Answers[Type]> = {},
  ): Promise<Answers[Type]> {
    return new Promise((resolve, reject) => {
      const withdraw = (outcome: OutcomeWord) => {
        if (withdrawn) resolve(withdrawn(outcome));
        else reject(new LongwireError("cancelled", "longwire: cancelled"));
      };
      if (this.#over) return reject(this.#over);
      if (signal?.aborted) return withdraw("cancelled");
      const entry: Pending<Type> = {
        awaits,
        frame,
        bytes: blob?.size ?? weigh(frame),
        since: this.clock.now(),
        unread: !!blob,
        onAccepted,
        withdraw,
        settle: resolve,
        // A frame that was cancelled and lost counts as cancelled.
        fail: (error) => (signal?.aborted ? withdraw("cancelled") : reject(error)),
      };
      signal?.addEventListener("abort", () => this.cancel(entry), { once: true });
      this.add(entry);
      if (blob) this.#read(blob, entry);
      this.#onAdded();
    });
  }

  #read(blob: Blob, entry: PendingFrame): void {
    blobPayload(blob).then(
      (payload) => this.read(entry, payload),
      (error: LongwireError) => this.refused(entry.frame.id, error),
    );
  }

  /** Handles an answer; returns whether a frame of this worker waits for it. */
  answered<Type extends keyof Answers>(type: Type, answer: Answers[Type]): boolean {
    const entry = this.find(answer.id);
    if (!isAwaiting(type, entry)) return false;
    this.forget(entry);
    entry.settle(answer);
    return true;
  }

  /** The broker refuses; returns whether a frame of this worker has this id. */
  refused(id: string, error: LongwireError): boolean {
    const entry = this.find(id);
    if (!entry) return false;
    this.forget(entry);
    entry.fail(error);
    return true;
  }

  /** Fails what the broker has not accepted. Returns how many frames that were. */
  unreachable(error: LongwireError): number {
    const waiting = this.unaccepted;
    for (const { frame } of waiting) this.refused(frame.id, error);
    return waiting.length;
  }

  /** Fails everything, and all later frames. */
  end(error: LongwireError): void {
    this.#over = error;
    this.unreachable(error);
    for (const { frame } of this.unanswered) this.refused(frame.id, error);
  }
}

/** Whether an entry waits for an answer of this type. */
function isAwaiting<Type extends keyof Answers>(
  type: Type,
  entry: PendingFrame | undefined,
): entry is Pending<Type> {
  return entry?.awaits === type;
}

/** Roughly the bytes of a frame's content. */
function weigh(frame: RequestFrame): number {
  const { text, base64, json, args } = frame as Payload & { args?: unknown };
  if (base64) return (base64.length * 3) / 4;
  return (text ?? JSON.stringify(json ?? args))?.length ?? 0;
}
