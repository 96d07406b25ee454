// Server-sent events over the browser's fetch, which gives the status and allows headers.

import type { Clock } from "../browser-api.js";
import { HttpLink } from "./http-link.js";
import {
  type BrowserNetwork,
  type LinkEnd,
  type LinkEvents,
  linkError,
  statusEnd,
  type Target,
} from "./link.js";
import { headerValue } from "./options.js";
import type { ResumeToken } from "./resume-tokens.js";

/** An event stream. */
export class StreamLink extends HttpLink {
  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    super(network, clock, target, events);
    this.#run().then(
      (end) => events.ended(end),
      () => this.lost("the stream was interrupted"),
    );
  }

  async #run(): Promise<LinkEnd> {
    const { url, token } = this.target;
    const { lastEventId } = token;
    const response = await this.request(url, {
      accept: "text/event-stream",
      ...(lastEventId ? { "last-event-id": headerValue(lastEventId) } : {}),
    });
    if (response.status === 204) return { status: 204, action: "closed" };
    if (!response.ok) return statusEnd(response);
    if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
      const error = linkError("server-protocol", "the response is not an event stream", "no");
      return { action: "stop", error };
    }
    this.events.opened(lastEventId ? { continuity: "server" } : {});
    const parser = new EventParser(token, (message) => this.events.message(message));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { error: linkError("closed-by-server", "the server closed the stream") };
      this.events.alive();
      // An event after the end was not received: the server sends it again.
      parser.take(decoder.decode(value, { stream: true }), () => this.isOver);
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
  readonly #token: ResumeToken;
  readonly #call: (message: StreamEvent) => void;
  #rest = "";
  #data: string[] = [];
  #type = "";
  #id: string | undefined;

  constructor(token: ResumeToken, call: (message: StreamEvent) => void) {
    this.#token = token;
    this.#call = call;
  }

  /** Reads on, until `isOver`. */
  take(text: string, isOver: () => boolean): void {
    // A line feed may follow in the next chunk.
    const all = this.#rest + text;
    const complete = all.endsWith("\r") ? all.slice(0, -1) : all;
    const lines = complete.split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + all.slice(complete.length);
    for (const line of lines) if (!isOver()) this.#line(line);
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
    else if (field === "retry" && /^\d+$/.test(value)) this.#token.leastDelay = Number(value);
  }

  #dispatch(): void {
    const data = this.#data;
    const type = this.#type;
    this.#data = [];
    this.#type = "";
    if (this.#id !== undefined) this.#token.lastEventId = this.#id;
    if (data.length === 0) return;
    const { lastEventId } = this.#token;
    this.#call({
      text: data.join("\n"),
      ...(type && type !== "message" ? { event: type } : {}),
      ...(lastEventId ? { lastEventId } : {}),
    });
  }
}
