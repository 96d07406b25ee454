// Writes to a WebSocket of the browser, and reports when messages have left the browser's buffer.

import type { Clock } from "../browser-api.js";
import { utf8Length } from "../payload.js";

/** Bytes that may wait in the browser; what is more waits in the outbox. */
const MAX_BUFFERED = 1024 * 1024;
/** Milliseconds between checks of the browser's send buffer. */
const CHECK_INTERVAL = 10;

/** The writing side of one WebSocket. */
export class SocketWriter {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #room: () => void;
  #given = 0;
  #pending: { upTo: number; done: () => void }[] = [];
  #timer: unknown;

  /** `room` is called when more may be written. */
  constructor(socket: WebSocket, clock: Clock, room: () => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#room = room;
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedAmount < MAX_BUFFERED;
  }

  /** `done` is called when it was written. */
  send(data: string | Uint8Array, done: () => void): void {
    this.#socket.send(data as string | Uint8Array<ArrayBuffer>);
    this.#given += typeof data === "string" ? utf8Length(data) : data.length;
    this.#pending.push({ upTo: this.#given, done });
    this.#timer ??= this.#clock.setTimeout(() => this.#check(), 0);
  }

  /** Reports what was written. */
  settle(): void {
    const left = this.#given - this.#socket.bufferedAmount;
    while (this.#pending[0] && this.#pending[0].upTo <= left) this.#pending.shift()?.done();
  }

  /** Reports nothing from now on. */
  stop(): void {
    this.#pending = [];
    this.#clock.clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    this.settle();
    if (this.#pending.length > 0) this.#timer = this.#clock.setTimeout(() => this.#check(), CHECK_INTERVAL);
    if (this.hasRoom) this.#room();
  }
}
