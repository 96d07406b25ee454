// What event streams and polling share: requests to the server, and the messages that are posted to it, one at a time.

import type { Clock } from "../browser-api.js";
import { fromBase64 } from "../payload.js";
import {
  type BrowserNetwork,
  type Link,
  type LinkEnd,
  type LinkEvents,
  linkError,
  type SentAs,
  statusEnd,
  type Target,
} from "./link.js";
import { ownHeaders } from "./options.js";
import type { MessageContent } from "./rules.js";

/** Statuses of a POST after which the message waits for another connection. With any other it would be refused there, too. */
const STATUSES_THAT_WAIT = new Set([401, 403, 429, 503]);

/** A server that is asked with requests. */
export abstract class HttpLink implements Link {
  protected readonly clock: Clock;
  protected readonly target: Target;
  protected readonly events: LinkEvents;
  readonly #network: BrowserNetwork;
  readonly #abort = new AbortController();
  #isPosting = false;
  /** Closes as soon as nothing is being posted. */
  #isClosing = false;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    this.#network = network;
    this.clock = clock;
    this.target = target;
    this.events = events;
  }

  get hasRoom(): boolean {
    return this.target.options().post !== undefined && !this.#isPosting;
  }

  protected get isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  send(content: MessageContent, done: (how: SentAs) => void): void {
    this.#isPosting = true;
    this.#post(content).then(
      (how) => {
        this.#isPosting = false;
        done(how);
        if (this.#isClosing) this.close();
        this.events.room();
      },
      () => this.lost("a POST was interrupted"),
    );
  }

  close(): void {
    this.#isClosing = true;
    if (!this.#isPosting) this.events.ended({ clean: true, action: "closed" });
  }

  abort(): void {
    this.#abort.abort();
  }

  /** A request was interrupted, by whatever. */
  protected lost(why: string): void {
    this.events.ended({ error: linkError("link-lost", why) });
  }

  protected request(url: string, headers: Record<string, string>, more: RequestInit = {}): Promise<Response> {
    const { signal } = this.#abort;
    const all = { ...ownHeaders(this.target.headers), ...headers };
    return this.#network.fetch(url, {
      ...more,
      headers: all,
      cache: "no-store",
      credentials: "include",
      signal,
    });
  }

  async #post({ base64, text, json }: MessageContent): Promise<SentAs> {
    const { url = "", headers } = this.target.options().post ?? {};
    const [type, body] =
      base64 !== undefined
        ? ["application/octet-stream", fromBase64(base64)]
        : text !== undefined
          ? ["text/plain", text]
          : ["application/json", JSON.stringify(json)];
    const response = await this.request(
      url,
      { "content-type": type, ...headers },
      { method: "POST", body: body as BodyInit },
    );
    if (response.ok) return "confirmed";
    const end: LinkEnd = statusEnd(response);
    return STATUSES_THAT_WAIT.has(response.status) || !end.error ? { end } : { failed: end.error };
  }
}
