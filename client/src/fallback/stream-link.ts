// Server-sent events over the browser's fetch, which gives the status and allows headers.

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
import type { MessageContent } from "./rules.js";

/** An event stream. */
export class StreamLink implements Link {
  readonly #target: Target;
  readonly #events: LinkEvents;
  readonly #abort = new AbortController();
  readonly #poster: Poster;
  #over = false;

  constructor(network: BrowserNetwork, target: Target, events: LinkEvents) {
    this.#target = target;
    this.#events = events;
    const { signal } = this.#abort;
    this.#poster = new Poster(network, target.options.post, signal, () => events.room());
    this.#run(network).then(
      (end) => this.#end(end),
      () => this.#end({ error: linkError("link-lost", "the stream was interrupted") }),
    );
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
    this.#abort.abort();
  }

  #end(end: LinkEnd): void {
    if (this.#over) return;
    this.abort();
    this.#events.ended(end);
  }

  async #run(network: BrowserNetwork): Promise<LinkEnd> {
    const { url, headers, cursor } = this.#target;
    const response = await network.fetch(url, {
      headers: {
        accept: "text/event-stream",
        ...ownHeaders(headers),
        ...(cursor ? { "last-event-id": cursor } : {}),
      },
      cache: "no-store",
      credentials: "include",
      signal: this.#abort.signal,
    });
    if (response.status === 204) return { status: 204, action: "closed" };
    if (!response.ok) return statusEnd(response);
    if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
      return {
        action: "stop",
        error: linkError("server-protocol", "the response is not an event stream", "no"),
      };
    }
    this.#events.opened(cursor ? { continuity: "server" } : {});
    const parser = new EventParser(this.#target, (message) => {
      if (!this.#over) this.#events.message(message);
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { error: linkError("closed-by-server", "the server closed the stream") };
      this.#events.alive?.();
      parser.take(decoder.decode(value, { stream: true }));
    }
  }
}

interface StreamEvent {
  text: string;
  event?: string;
  lastEventId?: string;
}

/** Reads a stream by the rules of the HTML standard (9.2.6). */
class EventParser {
  readonly #target: Target;
  readonly #call: (message: StreamEvent) => void;
  #rest = "";
  #data: string[] = [];
  #type = "";
  #id: string | undefined;

  constructor(target: Target, call: (message: StreamEvent) => void) {
    this.#target = target;
    this.#call = call;
  }

  take(text: string): void {
    // A line feed may follow in the next chunk.
    const all = this.#rest + text;
    const complete = all.endsWith("\r") ? all.slice(0, -1) : all;
    const lines = complete.split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + all.slice(complete.length);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const [field = ""] = line.split(":", 1);
    const value = line.slice(field.length + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.#target.leastDelay = Number(value);
  }

  #dispatch(): void {
    const data = this.#data;
    const type = this.#type;
    this.#data = [];
    this.#type = "";
    if (this.#id !== undefined) this.#target.cursor = this.#id;
    if (data.length === 0) return;
    const { cursor } = this.#target;
    this.#call({
      text: data.join("\n"),
      ...(type && type !== "message" ? { event: type } : {}),
      ...(cursor ? { lastEventId: cursor } : {}),
    });
  }
}
