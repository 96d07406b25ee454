// What a socket was given to send, in order, until the broker has it. What does not fit the broker's outbox waits here:
// nothing is refused. It does not know the socket's state.

import type { Content } from "../payload.js";
import type { SendOutcome } from "../session-types.js";

/** Hands a message to the broker. `taken` is called when it is accepted; resolves with the outcome if one is wanted. */
export type Hand = (
  content: Content,
  options: { receipt: boolean },
  taken: () => void,
) => Promise<SendOutcome>;

/** Milliseconds after which a broker whose outbox was full is asked again. */
const RETRY_DELAY = 250;
/** A receipt is asked for once per this part of the limit: its outcome tells that everything before it was written. */
const SEGMENTS = 8;

interface Item {
  readonly seq: number;
  readonly size: number;
  readonly content: Content;
  taken: boolean;
}

/** Messages up to one that has a receipt. */
interface Segment {
  messages: number;
  bytes: number;
}

/** The messages on their way to the broker. */
export class Outgoing {
  readonly #hand: Hand;
  readonly #limit: { messages: number; bytes: number };
  readonly #failed: (error: unknown) => void;
  readonly #queue: Item[] = [];
  #seq = 0;
  /** Bytes that the broker has not accepted. */
  #waiting = 0;
  /** Messages handed over and not accepted yet. */
  #inFlight = 0;
  /** What the broker holds, as far as is known, and the part of it since the last receipt was asked for. */
  #held: Segment = { messages: 0, bytes: 0 };
  #segment: Segment = { messages: 0, bytes: 0 };
  /** Receipts that were asked for and have not come. */
  #receipts = 0;
  /** The outbox may hold more than was sent here: one message at a time, each with a receipt. */
  #careful: boolean;
  #retryTimer: unknown;
  /** The first message that was refused and waits again. */
  #refused = Number.POSITIVE_INFINITY;
  #stopped = false;
  #drained: (() => void)[] = [];

  /** `careful`: the broker's outbox is not empty. `failed`: the order cannot be kept, or a message was refused. */
  constructor(
    hand: Hand,
    outbox: { messages: number; bytes: number },
    careful: boolean,
    failed: (error: unknown) => void,
  ) {
    this.#hand = hand;
    // Other clients may share the outbox, and messages that are written but not proven count as well.
    this.#limit = {
      messages: Math.max(1, Math.floor(outbox.messages * 0.75)),
      bytes: Math.max(1, Math.floor(outbox.bytes * 0.75)),
    };
    this.#careful = careful;
    this.#failed = failed;
  }

  /** Bytes that the broker has not accepted yet. */
  get bytes(): number {
    return this.#waiting;
  }

  /** Adds a message. */
  add(size: number, content: Content): void {
    if (this.#stopped) return;
    this.#seq += 1;
    this.#waiting += size;
    this.#queue.push({ seq: this.#seq, size, content, taken: false });
    this.#pump();
  }

  /** Resolves when the broker has accepted everything. */
  drained(): Promise<void> {
    if (this.#isEmpty) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    clearTimeout(this.#retryTimer as number);
  }

  get #isEmpty(): boolean {
    return this.#queue.length === 0 && this.#inFlight === 0;
  }

  #pump(): void {
    while (!this.#stopped && this.#retryTimer === undefined) {
      const next = this.#queue[0];
      if (!next || !this.#hasRoom(next.size)) return;
      this.#queue.shift();
      this.#send(next);
    }
  }

  #hasRoom(size: number): boolean {
    // Without a receipt under way nothing would ever make room.
    if (this.#receipts === 0) return !this.#careful || this.#inFlight === 0;
    const { messages, bytes } = this.#held;
    return !this.#careful && messages < this.#limit.messages && bytes + size <= this.#limit.bytes;
  }

  #send(item: Item): void {
    const careful = this.#careful;
    const segment = this.#segment;
    add(segment, 1, item.size);
    add(this.#held, 1, item.size);
    this.#inFlight += 1;
    this.#refused = Number.POSITIVE_INFINITY;
    const receipt = careful || this.#isFull(segment);
    if (receipt) {
      this.#segment = { messages: 0, bytes: 0 };
      this.#receipts += 1;
    }
    const settled = () => {
      if (receipt) this.#settled(segment, careful);
    };
    this.#hand(item.content, { receipt }, () => this.#taken(item)).then(
      () => {
        // The outcome may be told without the acceptance, after a port was lost.
        this.#taken(item);
        settled();
      },
      (error: { code?: string }) => {
        add(segment, -1, -item.size);
        add(this.#held, -1, -item.size);
        settled();
        if (error.code === "outbox-full") this.#again(item);
        else this.#fail(error);
      },
    );
  }

  #isFull({ messages, bytes }: Segment): boolean {
    return messages * SEGMENTS >= this.#limit.messages || bytes * SEGMENTS >= this.#limit.bytes;
  }

  #taken(item: Item): void {
    if (item.taken) return;
    item.taken = true;
    this.#inFlight -= 1;
    this.#waiting -= item.size;
    if (item.seq > this.#refused) this.#fail(new Error("longwire: an earlier message was refused"));
    this.#pump();
    if (!this.#isEmpty) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** The messages of a segment were written, or lost with the link. */
  #settled(segment: Segment, careful: boolean): void {
    this.#receipts -= 1;
    add(this.#held, -segment.messages, -segment.bytes);
    if (careful) this.#careful = false;
    this.#pump();
  }

  /** The outbox was full: it waits again, before what was given later. */
  #again(item: Item): void {
    this.#inFlight -= 1;
    const at = this.#queue.findIndex(({ seq }) => seq > item.seq);
    this.#queue.splice(at < 0 ? this.#queue.length : at, 0, item);
    this.#refused = this.#queue[0]?.seq as number;
    this.#careful = true;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#pump();
    }, RETRY_DELAY);
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#failed(error);
  }
}

function add(segment: Segment, messages: number, bytes: number): void {
  segment.messages += messages;
  segment.bytes += bytes;
}
