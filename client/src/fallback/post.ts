// The uplink of event streams and polling: one POST at a time.

import { fromBase64 } from "../payload.js";
import type { OpenOptions, Payload } from "../wire.js";
import { type BrowserNetwork, type LinkEnd, linkError, type SentAs, statusEnd } from "./link.js";

/** Posts the messages of one connection. */
export class Poster {
  readonly #network: BrowserNetwork;
  readonly #post: OpenOptions["post"];
  readonly #signal: AbortSignal;
  readonly #room: () => void;
  #busy = false;
  #idle: (() => void) | undefined;

  /** `room` is called when the next message may be posted. */
  constructor(network: BrowserNetwork, post: OpenOptions["post"], signal: AbortSignal, room: () => void) {
    this.#network = network;
    this.#post = post;
    this.#signal = signal;
    this.#room = room;
  }

  get hasRoom(): boolean {
    return this.#post !== undefined && !this.#busy;
  }

  /** Calls when nothing is in progress. */
  whenIdle(call: () => void): void {
    if (this.#busy) this.#idle = call;
    else call();
  }

  send(payload: Payload, done: (how: SentAs) => void, lost: (end: LinkEnd) => void): void {
    this.#busy = true;
    this.#request(payload).then(
      (end) => {
        this.#busy = false;
        done(end ? { end } : "confirmed");
        this.#idle?.();
        this.#room();
      },
      () => {
        if (!this.#signal.aborted) lost({ error: linkError("link-lost", "a POST was interrupted") });
      },
    );
  }

  async #request(payload: Payload): Promise<LinkEnd | undefined> {
    const { url, headers } = this.#post as { url: string; headers?: Record<string, string> };
    const [type, body] =
      payload.base64 !== undefined
        ? ["application/octet-stream", fromBase64(payload.base64)]
        : payload.text !== undefined
          ? ["text/plain", payload.text]
          : ["application/json", JSON.stringify(payload.json)];
    const response = await this.#network.fetch(url, {
      method: "POST",
      body: body as BodyInit,
      headers: { "content-type": type as string, ...headers },
      credentials: "include",
      signal: this.#signal,
    });
    if (response.ok) return undefined;
    const end = statusEnd(response);
    const comesBack = [401, 403, 429, 503].includes(response.status);
    return comesBack ? end : { ...end, action: "stop" };
  }
}
