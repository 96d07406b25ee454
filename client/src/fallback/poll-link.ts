// Polling over the browser's fetch.

import type { Clock } from "../browser-api.js";
import { toBase64 } from "../payload.js";
import type { PollOptions } from "../wire.js";
import { HttpLink } from "./http-link.js";
import { type BrowserNetwork, type LinkEvents, linkError, statusEnd, type Target } from "./link.js";
import { headerValue } from "./options.js";
import { valueAt } from "./rules.js";

const INTERVAL = 5000;
const TIMEOUT = 60_000;
/** Milliseconds until the next request after an empty answer, with `long`. */
const AFTER_EMPTY = 500;

/** A polled server. */
export class PollLink extends HttpLink {
  /** The first request has the position of an earlier connection. */
  readonly #isResuming: boolean;
  #isOpen = false;
  #timer: unknown;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    super(network, clock, target, events);
    this.#isResuming = this.#options.cursor !== undefined && target.token.cursor !== undefined;
    void this.#ask();
  }

  override abort(): void {
    this.clock.clearTimeout(this.#timer);
    super.abort();
  }

  get #options(): PollOptions {
    return this.target.options().poll ?? {};
  }

  async #ask(): Promise<void> {
    const { interval = INTERVAL, long = false, timeout = TIMEOUT } = this.#options;
    const late = this.clock.setTimeout(
      () => this.events.ended({ error: linkError("timeout", "the server did not answer in time") }),
      timeout,
    );
    try {
      const response = await this.request(...this.#question());
      const isEmpty = response.status === 204 || response.status === 304;
      if (!response.ok && !isEmpty) {
        this.events.ended(statusEnd(response));
        return;
      }
      const came = isEmpty ? 0 : await this.#take(response);
      if (this.isOver) return;
      this.#opened();
      this.events.alive();
      const pause = long ? (came > 0 ? 0 : AFTER_EMPTY) : interval;
      const { retryAfter = 0 } = statusEnd(response);
      this.#timer = this.clock.setTimeout(() => void this.#ask(), Math.max(pause, retryAfter));
    } catch {
      this.lost("a request was interrupted");
    } finally {
      this.clock.clearTimeout(late);
    }
  }

  #opened(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.events.opened(this.#isResuming ? { continuity: "server" } : {});
  }

  /** The URL and the headers of the next request. */
  #question(): [string, Record<string, string>] {
    const { cursor } = this.#options;
    const { url, token } = this.target;
    const at = token.cursor ?? (cursor?.start === undefined ? undefined : `${cursor.start}`);
    const asked = new URL(url);
    const headers: Record<string, string> = {};
    if (at !== undefined && cursor?.query) asked.searchParams.set(cursor.query, at);
    if (at !== undefined && cursor?.requestHeader) headers[cursor.requestHeader] = headerValue(at);
    if (token.etag) headers["if-none-match"] = token.etag;
    return [asked.href, headers];
  }

  /** Passes on the messages of a response; returns how many there were. */
  async #take(response: Response): Promise<number> {
    if (this.#isPage(response)) {
      this.events.ended({
        error: linkError("server-protocol", "the server answered with a page"),
      });
      return 0;
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = utf8(bytes);
    const value = text === undefined ? undefined : parsed(text);
    const { items: pointer, cursor } = this.#options;
    const isJson = pointer ?? cursor?.pointer ?? cursor?.item;
    if (isJson !== undefined && value === undefined && bytes.length > 0) {
      this.events.ended({ error: linkError("server-protocol", "the response is not JSON") });
    }
    if (this.isOver) return 0;
    this.#opened();
    const found = pointer === undefined ? undefined : (valueAt(value, pointer) ?? []);
    const items = Array.isArray(found) ? found : [found];
    const whole = text === undefined ? { base64: toBase64(bytes) } : { text };
    const messages = found !== undefined ? items.map((json) => ({ json })) : bytes.length > 0 ? [whole] : [];
    for (const message of messages) if (!this.isOver) this.events.message(message);
    // What was not received is requested again.
    if (this.isOver) return 0;
    this.#moveCursor(response, value, items);
    return messages.length;
  }

  /** Whether it is an HTML page that was not requested, such as a captive portal's. */
  #isPage({ headers }: Response): boolean {
    const asked = Object.entries(this.target.headers).find(([name]) => /^accept$/i.test(name));
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
    const { token } = this.target;
    const before = token.cursor;
    if (typeof at === "string" || typeof at === "number") token.cursor = `${at}`;
    token.etag = before === token.cursor ? (headers.get("etag") ?? undefined) : undefined;
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
