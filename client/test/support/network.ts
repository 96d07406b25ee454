// The browser's own connections, as a test plays their servers.

import type { BrowserNetwork } from "../../src/fallback/link.js";

/** A WebSocket of the browser, and its server. */
export class FakeWebSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  binaryType = "blob";
  bufferedAmount = 0;
  protocol = "";
  extensions = "";
  /** What reached the server. */
  readonly received: unknown[] = [];
  /** How the client closed it. */
  closed: { code?: number; reason?: string } | undefined;
  isOver = false;
  /** The browser's buffer is not sent. */
  isStuck = false;

  constructor(
    readonly url: string,
    readonly subprotocols: string[],
  ) {}

  accept(protocol = this.subprotocols[0] ?? ""): void {
    this.protocol = protocol;
    this.onopen?.();
  }

  deliver(data: unknown): void {
    this.onmessage?.({
      data: typeof data === "string" || data instanceof ArrayBuffer ? data : JSON.stringify(data),
    });
  }

  send(data: string | Uint8Array): void {
    this.received.push(data);
    if (this.isStuck) this.bufferedAmount += data.length;
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`Close code ${code} is neither 1000 nor 3000 to 4999`, "InvalidAccessError");
    }
    this.closed ??= { ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }) };
  }

  /** The connection ends: by the server's close frame, or just so. */
  end(code = 1006, reason = ""): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

/** A network without a server but those that a test plays. */
export class FakeNetwork implements BrowserNetwork {
  readonly sockets: FakeWebSocket[] = [];
  /** Answers requests. */
  answer: (url: string, init: RequestInit) => Response | Promise<Response> = () =>
    new Response(null, { status: 404 });
  readonly requests: { url: string; init: RequestInit }[] = [];
  readonly WebSocket: typeof WebSocket;

  constructor() {
    const { sockets } = this;
    this.WebSocket = class extends FakeWebSocket {
      constructor(url: string, subprotocols: string[]) {
        super(url, subprotocols);
        sockets.push(this);
      }
    } as unknown as typeof WebSocket;
  }

  fetch = async (url: unknown, init: RequestInit = {}): Promise<Response> => {
    this.requests.push({ url: String(url), init });
    return this.answer(String(url), init);
  };

  get socket(): FakeWebSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no connection was made");
    return socket;
  }

  /** The worker ended, and its connections with it. */
  forget(): void {
    this.sockets.length = 0;
  }
}
