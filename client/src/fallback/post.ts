// The uplink of event streams and polling: one POST at a time.

import { fromBase64 } from "../payload.js";
import type { OpenOptions, WireError } from "../wire.js";
import { type BrowserNetwork, type LinkEnd, linkError, type SentAs, statusEnd } from "./link.js";
import type { MessageContent } from "./rules.js";

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

  send(content: MessageContent, done: (how: SentAs) => void, lost: (end: LinkEnd) => void): void {
    this.#busy = true;
    this.#request(content).then(
      (how) => {
        this.#busy = false;
        done(how);
        this.#idle?.();
        this.#room();
      },
      () => {
        if (!this.#signal.aborted) lost({ error: linkError("link-lost", "a POST was interrupted") });
      },
    );
  }

  async #request(payload: MessageContent): Promise<SentAs> {
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
    if (response.ok) return "confirmed";
    const end = statusEnd(response);
    // The message waits for another connection; with any other status it would be refused there, too.
    if ([401, 403, 429, 503].includes(response.status)) return { end };
    return { failed: end.error as WireError };
  }
}
