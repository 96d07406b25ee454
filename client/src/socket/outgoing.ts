// The messages of a socket, in order, until the broker accepts them. Messages that do not fit the broker's outbox wait here:
// none is refused. It does not know the socket's state.

import type { SendContent } from "../payload.js";
import type { SendOutcome } from "../session-types.js";

/** Sends a message. `onAccepted` is called when the broker accepts it; resolves with the outcome if a receipt is wanted. */
export type SendMessage = (
  content: SendContent,
  options: { receipt: boolean },
  onAccepted: () => void,
) => Promise<SendOutcome>;

/** Milliseconds until the next attempt when the broker's outbox was full. */
const RETRY_DELAY = 250;
/** The part of the outbox that is used: other clients may share it, and written messages without an outcome count as well. */
const LIMIT = 0.75;
/** One receipt is requested per this part of the limit: its outcome proves that everything before it was written. */
const SEGMENT = 1 / 8;

interface QueuedMessage {
  readonly seq: number;
  readonly size: number;
  /** The part of the limit that it takes. */
  readonly share: number;
  readonly content: SendContent;
  isAccepted: boolean;
}

/** The messages of one socket that the broker has not accepted. */
export class SocketOutgoing {
  #sendMessage: SendMessage | undefined;
  readonly #outbox: { messages: number; bytes: number };
  readonly #failed: (error: unknown) => void;
  readonly #queue: QueuedMessage[] = [];
  #seq = 0;
  /** Bytes that the broker has not accepted. */
  #waiting = 0;
  /** Messages sent and not accepted yet. */
  #inFlight = 0;
  /** Shares sent, up to the last message with a receipt, and up to the last one whose receipt has arrived. */
  #sent = 0;
  #withReceipt = 0;
  #written = 0;
  /** The outbox may hold messages of others: one message at a time, each with a receipt. */
  #careful = false;
  #retryTimer: unknown;
  /** The first message that was refused and waits again. */
  #refused = Number.POSITIVE_INFINITY;
  #stopped = false;
  #drained: (() => void) | undefined;

  /** `failed`: the order cannot be kept, or a message was refused. */
  constructor(outbox: { messages: number; bytes: number }, failed: (error: unknown) => void) {
    this.#outbox = outbox;
    this.#failed = failed;
  }

  /** The session is there. `careful`: the broker's outbox is not empty. */
  attach(sendMessage: SendMessage, careful: boolean): void {
    this.#sendMessage = sendMessage;
    this.#careful = careful;
  }

  /** Bytes that the broker has not accepted, and those that are never sent. */
  get bytes(): number {
    return this.#waiting;
  }

  /** Adds a message. Without its content it is counted and never sent. */
  add(size: number, content: SendContent | undefined): void {
    const { messages, bytes } = this.#outbox;
    this.#waiting += size;
    if (!content) return;
    this.#seq += 1;
    const share = Math.max(1 / messages, size / bytes) / LIMIT;
    this.#queue.push({ seq: this.#seq, size, share, content, isAccepted: false });
    this.#pump();
  }

  /** Resolves when the broker has accepted everything. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#pump();
    });
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer as number);
  }

  #pump(): void {
    if (this.#stopped || this.#retryTimer) return;
    for (let next = this.#queue[0]; next && this.#hasRoom(next); next = this.#queue[0]) {
      this.#queue.shift();
      this.#send(next);
    }
    if (this.#queue.length + this.#inFlight === 0) this.#drained?.();
  }

  #hasRoom({ share }: QueuedMessage): boolean {
    // Only a receipt under way makes room.
    const noReceipt = this.#withReceipt <= this.#written;
    if (this.#careful) return noReceipt && this.#inFlight === 0;
    return noReceipt || this.#sent - this.#written + share <= 1;
  }

  #send(item: QueuedMessage): void {
    this.#inFlight += 1;
    this.#sent += item.share;
    this.#refused = Number.POSITIVE_INFINITY;
    const upTo = this.#sent;
    const careful = this.#careful;
    const receipt = careful || upTo - this.#withReceipt >= SEGMENT;
    if (receipt) this.#withReceipt = upTo;
    // The messages up to here were written, or lost with the link.
    const settled = () => {
      if (!receipt) return;
      if (careful) this.#careful = false;
      this.#written = upTo;
    };
    this.#sendMessage?.(item.content, { receipt }, () => this.#accepted(item)).then(
      () => {
        settled();
        // After a port was lost, the outcome may arrive without the acceptance.
        this.#accepted(item);
        this.#pump();
      },
      (error: { code?: string }) => {
        settled();
        if (error.code === "outbox-full") this.#again(item);
        else this.#fail(error);
      },
    );
  }

  #accepted(item: QueuedMessage): void {
    if (item.isAccepted || this.#stopped) return;
    item.isAccepted = true;
    this.#inFlight -= 1;
    this.#waiting -= item.size;
    if (item.seq > this.#refused) this.#fail(new Error("longwire: an earlier message was refused"));
    this.#pump();
  }

  /** The outbox was full: the message waits again, before later ones. */
  #again(item: QueuedMessage): void {
    this.#inFlight -= 1;
    this.#sent -= item.share;
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
