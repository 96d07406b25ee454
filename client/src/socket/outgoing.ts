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
/** The part of the outbox that is used: other clients may share it, and what is written but not proven counts as well. */
const LIMIT = 0.75;
/** A receipt is asked for once per this part of the limit: its outcome tells that everything before it was written. */
const SEGMENT = 1 / 8;

interface Item {
  readonly seq: number;
  readonly size: number;
  /** The part of the limit that it takes. */
  readonly share: number;
  readonly content: Content;
  taken: boolean;
}

/** The messages on their way to the broker. */
export class Outgoing {
  readonly #hand: Hand;
  readonly #outbox: { messages: number; bytes: number };
  readonly #failed: (error: unknown) => void;
  readonly #queue: Item[] = [];
  #seq = 0;
  /** Bytes that the broker has not accepted. */
  #waiting = 0;
  /** Messages handed over and not accepted yet. */
  #inFlight = 0;
  /** Shares handed over, up to the last message whose receipt was asked for, and up to the last whose receipt came. */
  #handed = 0;
  #asked = 0;
  #written = 0;
  /** The outbox may hold more than was sent here: one message at a time, each with a receipt. */
  #careful: boolean;
  #retryTimer: unknown;
  /** The first message that was refused and waits again. */
  #refused = Number.POSITIVE_INFINITY;
  #stopped = false;
  #drained: (() => void) | undefined;

  /** `careful`: the broker's outbox is not empty. `failed`: the order cannot be kept, or a message was refused. */
  constructor(
    hand: Hand,
    outbox: { messages: number; bytes: number },
    careful: boolean,
    failed: (error: unknown) => void,
  ) {
    this.#hand = hand;
    this.#outbox = outbox;
    this.#careful = careful;
    this.#failed = failed;
  }

  /** Bytes that the broker has not accepted yet. */
  get bytes(): number {
    return this.#waiting;
  }

  /** Adds a message. */
  add(size: number, content: Content): void {
    const { messages, bytes } = this.#outbox;
    this.#seq += 1;
    this.#waiting += size;
    const share = Math.max(1 / messages, size / bytes) / LIMIT;
    this.#queue.push({ seq: this.#seq, size, share, content, taken: false });
    this.#pump();
  }

  /** Resolves when the broker has accepted everything. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#pump();
    });
  }

  /** Hands over nothing more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer as number);
  }

  #pump(): void {
    if (this.#stopped || this.#retryTimer !== undefined) return;
    for (let next = this.#queue[0]; next && this.#hasRoom(next); next = this.#queue[0]) {
      this.#queue.shift();
      this.#send(next);
    }
    if (this.#queue.length + this.#inFlight === 0) this.#drained?.();
  }

  #hasRoom({ share }: Item): boolean {
    // Without a receipt under way nothing would ever make room.
    const noReceipt = this.#asked <= this.#written;
    if (this.#careful) return noReceipt && this.#inFlight === 0;
    return noReceipt || this.#handed - this.#written + share <= 1;
  }

  #send(item: Item): void {
    this.#inFlight += 1;
    this.#handed += item.share;
    this.#refused = Number.POSITIVE_INFINITY;
    const upTo = this.#handed;
    const careful = this.#careful;
    const receipt = careful || upTo - this.#asked >= SEGMENT;
    if (receipt) this.#asked = upTo;
    // The messages up to here were written, or lost with the link.
    const settled = () => {
      if (!receipt) return;
      if (careful) this.#careful = false;
      this.#written = upTo;
    };
    this.#hand(item.content, { receipt }, () => this.#taken(item)).then(
      () => {
        settled();
        // The outcome may be told without the acceptance, after a port was lost.
        this.#taken(item);
        this.#pump();
      },
      (error: { code?: string }) => {
        settled();
        if (error.code === "outbox-full") this.#again(item);
        else this.#fail(error);
      },
    );
  }

  #taken(item: Item): void {
    if (item.taken) return;
    item.taken = true;
    this.#inFlight -= 1;
    this.#waiting -= item.size;
    if (item.seq > this.#refused) this.#fail(new Error("longwire: an earlier message was refused"));
    this.#pump();
  }

  /** The outbox was full: it waits again, before what was given later. */
  #again(item: Item): void {
    this.#inFlight -= 1;
    this.#handed -= item.share;
    this.#queue.push(item);
    this.#queue.sort((one, other) => one.seq - other.seq);
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
