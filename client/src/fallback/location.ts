// Where the broker in the browser runs, and how to connect to it: in an offscreen document (Chromium), in the worker, or in
// Firefox's event page. It reads no frames.

import { type Clock, type ExtensionApi, inBackground, type PagePort } from "../browser-api.js";
import { BrowserBroker } from "./broker.js";
import type { ToRouter } from "./from-broker.js";
import type { BrowserNetwork } from "./link.js";

/** Names of ports between contexts of the extension. */
export const OFFSCREEN_PORT = "longwire.fallback.offscreen";
export const WORKER_PORT = "longwire.fallback.worker";

/** An open channel to a broker. */
export interface BrokerChannel {
  post(frame: unknown): void;
  disconnect(): void;
}

/** Callbacks of a channel. */
export interface ChannelEvents {
  frame(frame: ToRouter): void;
  /** The other side has disconnected. */
  closed(): void;
}

/** Parts of the browser that only the fallback uses. */
interface OffscreenApi {
  readonly offscreen?: {
    createDocument(options: { url: string; reasons: string[]; justification: string }): Promise<void>;
  };
  readonly runtime: ExtensionApi["runtime"] & {
    getContexts?(filter: { contextTypes: string[]; documentUrls: string[] }): Promise<unknown[]>;
  };
}

const JUSTIFICATION =
  "A worker in this document keeps the extension's connections open while the service worker is stopped.";

const workers = new WeakMap<ExtensionApi["runtime"], BrowserBroker>();

/** The location of the broker as one context sees it. */
export class BrokerLocation {
  readonly #api: ExtensionApi & OffscreenApi;
  readonly #clock: Clock;
  readonly #network: BrowserNetwork;
  readonly #page: string | false;
  readonly #isBackground: boolean;

  /** `page` is the offscreen document's path, or `false`: none. */
  constructor(api: ExtensionApi, clock: Clock, network: BrowserNetwork, page: string | false) {
    this.#api = api as ExtensionApi & OffscreenApi;
    this.#clock = clock;
    this.#network = network;
    this.#page = page;
    this.#isBackground = inBackground(api);
    if (this.#isBackground && !workers.has(api.runtime)) this.#serve();
  }

  /** Whether this context is the one that the browser stops when it is idle. */
  get isBackground(): boolean {
    return this.#isBackground;
  }

  /** A channel to the broker, if there is one that may hold sessions. */
  async find(events: ChannelEvents): Promise<BrokerChannel | undefined> {
    if (await this.#hasDocument()) return this.#connect(OFFSCREEN_PORT, events);
    if (!this.#isBackground) return this.#connect(WORKER_PORT, events);
    const broker = workers.get(this.#api.runtime);
    return broker && !broker.isIdle ? channelTo(broker, events) : undefined;
  }

  /** A channel to the broker, which is started if necessary. */
  async open(events: ChannelEvents): Promise<BrokerChannel> {
    if (await this.#createDocument()) return this.#connect(OFFSCREEN_PORT, events);
    if (!this.#isBackground) return this.#connect(WORKER_PORT, events);
    return channelTo(workers.get(this.#api.runtime) as BrowserBroker, events);
  }

  /** Makes a broker in this worker, for itself and for the extension's pages. */
  #serve(): void {
    const { runtime } = this.#api;
    const origin = (runtime.getURL?.("") ?? "").replace(/\/$/, "");
    const broker = new BrowserBroker(this.#network, this.#clock, origin);
    workers.set(runtime, broker);
    runtime.onConnect?.addListener((port) => {
      if (port.name === WORKER_PORT && isOwnPage(this.#api, port)) serve(broker, port);
    });
  }

  #connect(name: string, events: ChannelEvents): BrokerChannel {
    const port = this.#api.runtime.connect?.({ name });
    if (!port) throw new TypeError("longwire: this context cannot reach the extension's worker");
    port.onMessage.addListener((frame) => events.frame(frame as ToRouter));
    port.onDisconnect.addListener(() => {
      // Chromium logs an error that is not read.
      void this.#api.runtime.lastError;
      events.closed();
    });
    return { post: (frame) => port.postMessage(frame), disconnect: () => port.disconnect() };
  }

  get #documentUrl(): string {
    return this.#api.runtime.getURL?.(this.#page || "") ?? "";
  }

  async #hasDocument(): Promise<boolean> {
    if (this.#page === false || !this.#api.offscreen) return false;
    const filter = { contextTypes: ["OFFSCREEN_DOCUMENT"], documentUrls: [this.#documentUrl] };
    return ((await this.#api.runtime.getContexts?.(filter)) ?? []).length > 0;
  }

  /** Whether there is an offscreen document now. */
  async #createDocument(): Promise<boolean> {
    const { offscreen } = this.#api;
    if (this.#page === false || !offscreen) return false;
    try {
      if (!(await this.#hasDocument())) {
        const options = { url: this.#page, reasons: ["WORKERS"], justification: JUSTIFICATION };
        await offscreen.createDocument(options);
      }
      return true;
    } catch (error) {
      // Another context may have made it at the same moment.
      if (await this.#hasDocument()) return true;
      console.warn(`longwire: no offscreen document, so connections end with the worker: ${error}`);
      return false;
    }
  }
}

function channelTo(broker: BrowserBroker, events: ChannelEvents): BrokerChannel {
  const port = broker.connect((frame) => events.frame(frame));
  return { post: (frame) => port.take(frame), disconnect: () => port.disconnected() };
}

/** Connects a port of another context to a broker. */
export function serve(broker: BrowserBroker, port: PagePort): void {
  const end = broker.connect((frame) => port.postMessage(frame));
  port.onMessage.addListener((frame) => end.take(frame));
  port.onDisconnect.addListener(() => end.disconnected());
}

/** Whether a port is of this extension's own worker or page: content scripts have the address of their web page. */
export function isOwnPage({ runtime }: ExtensionApi, { sender }: PagePort): boolean {
  const own = runtime.getURL?.("") ?? "";
  return sender?.id === runtime.id && own !== "" && (sender?.url ?? "").startsWith(own);
}
