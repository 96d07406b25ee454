// A connection over the browser's own WebSocket.

import type { Clock } from "../browser-api.js";
import { fromBase64, toBase64, utf8Length } from "../payload.js";
import type { Payload } from "../wire.js";
import {
  type BrowserNetwork,
  type Link,
  type LinkEvents,
  linkError,
  type SentAs,
  type Target,
} from "./link.js";

/** Bytes that may wait in the browser; what is more waits in the outbox. */
const MAX_BUFFERED = 1024 * 1024;
/** Milliseconds between checks of the browser's send buffer. */
const CHECK_INTERVAL = 10;

/** A WebSocket of the browser. */
export class WebSocketLink implements Link {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  #over = false;
  #given = 0;
  #pending: { upTo: number; done: (how: SentAs) => void }[] = [];
  #timer: unknown;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    this.#clock = clock;
    this.#events = events;
    const socket = new network.WebSocket(target.url, target.subprotocols);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      if (!this.#over) events.opened({ subprotocol: socket.protocol, extensions: socket.extensions });
    };
    socket.onmessage = ({ data }) => {
      if (this.#over) return;
      events.message(typeof data === "string" ? { text: data } : { base64: toBase64(new Uint8Array(data)) });
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      if (this.#over) return;
      // Messages that had left the buffer were written.
      this.#settle();
      this.#stop();
      const lost = wasOpen
        ? linkError("link-lost", "the connection was lost")
        : linkError("unreachable", "the browser could not connect and gives no reason");
      events.ended({ code, reason, clean: wasClean, ...(code === 1006 || !wasOpen ? { error: lost } : {}) });
    };
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedAmount < MAX_BUFFERED;
  }

  send(payload: Payload, done: (how: SentAs) => void): void {
    const { base64, text = JSON.stringify(payload.json) } = payload;
    const data = base64 === undefined ? text : fromBase64(base64);
    this.#socket.send(data);
    this.#given += typeof data === "string" ? utf8Length(data) : data.length;
    this.#pending.push({ upTo: this.#given, done });
    this.#timer ??= this.#clock.setTimeout(() => this.#check(), 0);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  abort(): void {
    this.#stop();
    this.#socket.close();
  }

  #check(): void {
    this.#timer = undefined;
    this.#settle();
    if (this.#pending.length > 0) this.#timer = this.#clock.setTimeout(() => this.#check(), CHECK_INTERVAL);
    if (this.hasRoom) this.#events.room();
  }

  #settle(): void {
    const left = this.#given - this.#socket.bufferedAmount;
    while (this.#pending[0] && this.#pending[0].upTo <= left) this.#pending.shift()?.done("sent");
  }

  #stop(): void {
    this.#over = true;
    this.#pending = [];
    this.#clock.clearTimeout(this.#timer);
  }
}
