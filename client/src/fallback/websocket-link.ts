// A connection over the browser's own WebSocket.

import type { Clock } from "../browser-api.js";
import { fromBase64, toBase64 } from "../payload.js";
import {
  type BrowserNetwork,
  type Link,
  type LinkEvents,
  linkError,
  type SentAs,
  type Target,
} from "./link.js";
import type { MessageContent } from "./rules.js";
import { SocketWriter } from "./socket-writer.js";

/** A WebSocket of the browser. */
export class WebSocketLink implements Link {
  readonly #socket: WebSocket;
  readonly #writer: SocketWriter;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    const socket = new network.WebSocket(target.url, target.subprotocols);
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, clock, () => events.room());
    socket.binaryType = "arraybuffer";
    let wasOpen = false;
    socket.onopen = () => {
      wasOpen = true;
      events.opened({ subprotocol: socket.protocol, extensions: socket.extensions });
    };
    socket.onmessage = ({ data }) => {
      events.message(typeof data === "string" ? { text: data } : { base64: toBase64(new Uint8Array(data)) });
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      // Messages that had left the buffer were written.
      this.#writer.settle();
      const lost = wasOpen
        ? linkError("link-lost", "the connection was lost")
        : linkError("unreachable", "the browser could not connect and gives no reason");
      events.ended({ code, reason, clean: wasClean, ...(code === 1006 || !wasOpen ? { error: lost } : {}) });
    };
  }

  get hasRoom(): boolean {
    return this.#writer.hasRoom;
  }

  send({ base64, json, text = JSON.stringify(json) }: MessageContent, done: (how: SentAs) => void): void {
    this.#writer.send(base64 === undefined ? text : fromBase64(base64), () => done("sent"));
  }

  /** Without a code in the close frame for those that browsers let no script send. */
  close(code = 1000, reason?: string): void {
    if (code === 1000 || code >= 3000) this.#socket.close(code, reason);
    else this.#socket.close();
  }

  abort(): void {
    this.#writer.stop();
    this.#socket.close(1000);
  }
}
