// Polling over the browser's fetch.

import type { Clock } from "../browser-api.js";
import { toBase64 } from "../payload.js";
import type { PollOptions } from "../wire.js";
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
import { Poster } from "./post.js";
import { type MessageContent, valueAt } from "./rules.js";

const INTERVAL = 5000;
const TIMEOUT = 60_000;
/** Milliseconds until the next request after an empty answer, with `long`. */
const AFTER_EMPTY = 500;

/** A polled server. */
export class PollLink implements Link {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #target: Target;
  readonly #events: LinkEvents;
  readonly #options: PollOptions;
  readonly #abort = new AbortController();
  readonly #poster: Poster;
  #isOpen = false;
  #over = false;
  #timer: unknown;
  #etag: string | undefined;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    this.#network = network;
    this.#clock = clock;
    this.#target = target;
    this.#events = events;
    this.#options = target.options.poll ?? {};
    const start = this.#options.cursor?.start;
    if (start !== undefined) target.cursor ??= String(start);
    this.#poster = new Poster(network, target.options.post, this.#abort.signal, () => events.room());
    void this.#ask();
  }

  get hasRoom(): boolean {
    return this.#poster.hasRoom;
  }

  send(content: MessageContent, done: (how: SentAs) => void): void {
    this.#poster.send(content, done, (end) => this.#end(end));
  }

  close(): void {
    this.#poster.whenIdle(() => this.#end({ clean: true, action: "closed" }));
  }

  abort(): void {
    this.#over = true;
    this.#clock.clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #end(end: LinkEnd): void {
    if (this.#over) return;
    this.abort();
    this.#events.ended(end);
  }

  async #ask(): Promise<void> {
    const { interval = INTERVAL, long = false, timeout = TIMEOUT } = this.#options;
    const late = this.#clock.setTimeout(
      () => this.#end({ error: linkError("timeout", "the server did not answer in time") }),
      timeout,
    );
    try {
      const response = await this.#network.fetch(...this.#request());
      const isEmpty = response.status === 204 || response.status === 304;
      if (!response.ok && !isEmpty) {
        this.#end(statusEnd(response));
        return;
      }
      const came = isEmpty ? 0 : await this.#take(response);
      if (this.#over) return;
      this.#opened();
      this.#events.alive?.();
      const pause = long ? (came > 0 ? 0 : AFTER_EMPTY) : interval;
      const { retryAfter = 0 } = statusEnd(response);
      this.#timer = this.#clock.setTimeout(() => void this.#ask(), Math.max(pause, retryAfter));
    } catch {
      this.#end({ error: linkError("link-lost", "a request was interrupted") });
    } finally {
      this.#clock.clearTimeout(late);
    }
  }

  #opened(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#events.opened(this.#options.cursor ? { continuity: "server" } : {});
  }

  #request(): [string, RequestInit] {
    const { cursor } = this.#options;
    const { url, headers, cursor: at } = this.#target;
    const asked = new URL(url);
    const said: Record<string, string> = ownHeaders(headers);
    if (at !== undefined && cursor?.query) asked.searchParams.set(cursor.query, at);
    if (at !== undefined && cursor?.requestHeader) said[cursor.requestHeader] = at;
    if (this.#etag) said["if-none-match"] = this.#etag;
    return [
      asked.href,
      { headers: said, cache: "no-store", credentials: "include", signal: this.#abort.signal },
    ];
  }

  /** Passes on the messages of a response; returns how many there were. */
  async #take(response: Response): Promise<number> {
    if (this.#isPage(response)) {
      this.#end({ error: linkError("server-protocol", "the server answered with a page instead of data") });
      return 0;
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = utf8(bytes);
    const value = text === undefined ? undefined : parsed(text);
    const { items: pointer } = this.#options;
    const found = pointer === undefined ? undefined : valueAt(value, pointer);
    if (pointer !== undefined && !Array.isArray(found)) {
      const error = linkError("server-protocol", `there is no array at ${pointer} in the response`, "no");
      this.#end({ action: "stop", error });
      return 0;
    }
    if (this.#over) return 0;
    this.#opened();
    const items = found as unknown[] | undefined;
    const whole = text === undefined ? { base64: toBase64(bytes) } : { text };
    const messages = items ? items.map((json) => ({ json })) : bytes.length > 0 ? [whole] : [];
    for (const message of messages) if (!this.#over) this.#events.message(message);
    this.#moveCursor(response, value, items);
    return messages.length;
  }

  /** Whether it is an HTML page that was not requested, such as a captive portal's. */
  #isPage({ headers }: Response): boolean {
    const asked = Object.entries(this.#target.headers).find(([name]) => /^accept$/i.test(name));
    const isHtml = /^text\/html\b/i.test(headers.get("content-type") ?? "");
    return isHtml && !asked?.[1].includes("text/html");
  }

  #moveCursor({ headers }: Response, value: unknown, items: unknown[] | undefined): void {
    const { pointer, item, header } = this.#options.cursor ?? {};
    const at =
      pointer !== undefined
        ? valueAt(value, pointer)
        : item !== undefined
          ? valueAt(items?.at(-1), item)
          : header && headers.get(header);
    const before = this.#target.cursor;
    if (typeof at === "string" || typeof at === "number") this.#target.cursor = String(at);
    this.#etag = before === this.#target.cursor ? (headers.get("etag") ?? undefined) : undefined;
  }
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
