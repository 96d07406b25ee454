// A client of the broker in the browser, frame by frame, and the servers that it reaches.

import assert from "node:assert/strict";
import { type BrokerPort, BrowserBroker } from "../../src/fallback/broker.js";
import { FakeClock, settle } from "../../src/testing/fake-clock.js";
import { FakeNetwork } from "./network.js";

export type Frame = Record<string, unknown>;

/** The session `s` of one client. */
export class BrokerClient {
  readonly network = new FakeNetwork();
  readonly clock = new FakeClock();
  readonly #broker: BrowserBroker;
  readonly #port: BrokerPort;
  #frames: Frame[] = [];
  #opens = 0;
  #fetched = 0;

  constructor() {
    this.#broker = new BrowserBroker(this.network, this.clock, "chrome-extension://a");
    this.#port = this.connect("main", (frame) => this.#frames.push(frame));
  }

  /** Another port, of this client or another one. */
  connect(client: string, take: (frame: Frame) => void): BrokerPort {
    const each = (frame: unknown): void => {
      const { type, frames } = frame as { type: string; frames?: unknown[] };
      if (type === "batch") for (const one of frames ?? []) each(one);
      else take(frame as Frame);
    };
    const port = this.#broker.connect(each);
    port.take({ type: "hello", protocol: 1, client });
    return port;
  }

  async sends(type: string, more: Frame = {}): Promise<void> {
    this.#port.take({ type, session: "s", ...more });
    await settle();
  }

  async open(more: Frame = {}): Promise<void> {
    this.#opens += 1;
    await this.sends("open", { id: `o${this.#opens}`, ...more });
  }

  /** The frames of these types since the last time. */
  received(...types: string[]): Frame[] {
    return this.#frames.splice(0).filter(({ type }) => types.includes(type as string));
  }

  /** The states of the link since the last time. */
  states(): unknown[] {
    return this.received("state").map(({ state }) => state);
  }

  /** The requests since the last time: the URL, and what the headers say about the position. */
  requests(): { url: string; headers: Headers; method: string | undefined }[] {
    const all = this.network.requests.slice(this.#fetched);
    this.#fetched = this.network.requests.length;
    return all.map(({ url, init }) => ({ url, headers: new Headers(init.headers), method: init.method }));
  }

  /** The only request since the last time. */
  request(): { url: string; headers: Headers } {
    const all = this.requests();
    assert.equal(all.length, 1, JSON.stringify(all.map(({ url }) => url)));
    return all[0] as { url: string; headers: Headers };
  }
}

/** An event stream that is written bit by bit. */
export function stream(): { response: Response; write(text: string): void; end(): void } {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (made) => {
      controller = made;
    },
  });
  return {
    response: new Response(body, { headers: { "content-type": "text/event-stream" } }),
    write: (text) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => controller?.close(),
  };
}
