// `longwire/relay`: lets the content scripts of this extension use sessions of the worker. It decides who may connect;
// page.ts does the rest.

import type { ExtensionApi, PagePort, PortSender, StorageArea } from "../browser-api.js";
import { Bridge, LongwireError } from "../index.js";
import { PORT_NAME, toPlain } from "./messages.js";
import { RelayedPage } from "./page.js";

export type { PortSender } from "../browser-api.js";

/** Options of `relay`. */
export interface RelayOptions {
  /** The only sessions that pages may open, receive from and send to. */
  sessions: readonly string[];
  /**
   * Called for every page that connects, and for every session that it opens. Default: allows every content script of
   * this extension. Other extensions and web pages are always refused.
   */
  allow?: (sender: PortSender, session?: string) => boolean;
}

const PAGE_ID = /^[0-9a-f-]{36}$/;

const relaying = new WeakSet<ExtensionApi["runtime"]>();

/**
 * Lets content scripts that call `connect` of `longwire/content` use sessions of this worker. Call it once, at the top
 * level of the worker: it registers the listener that starts the worker for a page.
 *
 * Each page is a separate client, with its own position and its own native port, until it is closed.
 */
export function relay(bridge: Bridge, options: RelayOptions): void {
  const { runtime } = bridge.context.api;
  if (!runtime.onConnect)
    throw new TypeError("longwire: relay() needs runtime.onConnect: call it in the worker");
  if (relaying.has(runtime)) throw new TypeError("longwire: relay() was already called; call it only once");
  relaying.add(runtime);
  const { allow = () => true } = options;
  const sessions = new Set(options.sessions);
  /** What ends the page of a client. */
  const ends = new Map<string, () => Promise<void>>();

  const accept = (port: PagePort, sender: PortSender, client: string) => {
    // A page that comes back may be here before its former port is told to be closed.
    const before = ends.get(client)?.();
    let page: RelayedPage | undefined;
    let ended: Promise<void> | undefined;
    const started = Promise.resolve(before).then(() => {
      if (ended) return;
      page = new RelayedPage(port, {
        bridge: pageBridge(bridge, client),
        clock: bridge.context.clock,
        allows: (session) => sessions.has(session) && allow(sender, session),
      });
    });
    const finish = async () => {
      await started;
      await page?.end();
      if (ends.get(client) === end) ends.delete(client);
    };
    const end = () => {
      ended ??= finish();
      return ended;
    };
    ends.set(client, end);
    port.onDisconnect.addListener(() => void end());
  };

  // Web pages and other extensions come with `onConnectExternal`, which nobody listens to here.
  runtime.onConnect.addListener((port) => {
    if (!port.name.startsWith(PORT_NAME)) return;
    const { sender } = port;
    const client = clientName(bridge, port);
    if (sender && client && sender.id === runtime.id && allow(sender)) accept(port, sender, client);
    else refuse(port);
  });
}

/** The client of a page: what the browser says of it, and the id that it gives itself, which tells reloads apart. */
function clientName({ context }: Bridge, { name, sender }: PagePort): string | undefined {
  const id = name.slice(PORT_NAME.length);
  const tab = sender?.tab?.id;
  if (tab === undefined || !PAGE_ID.test(id)) return undefined;
  return `${context.options.client}.tab${tab}.${sender?.frameId ?? 0}.${id}`;
}

function refuse(port: PagePort): void {
  const text = "longwire: relay() does not allow this page to connect";
  port.postMessage({ type: "refused", error: toPlain(new LongwireError("relay-refused", text)) });
  port.disconnect();
}

/**
 * A client over the same browser, for as long as its page is there. Its positions are in memory: the broker has those
 * that the page has acknowledged, and nothing remains in `chrome.storage` of pages that have gone.
 */
function pageBridge({ context }: Bridge, client: string): Bridge {
  const { api, options, clock } = context;
  const storage = api.storage && { local: api.storage.local, session: new MemoryArea() };
  return new Bridge({ ...picked(api), ...(storage ? { storage } : {}) }, { ...options, clock, client });
}

/** `chrome` is no plain object: what the SDK uses of it. */
function picked({ runtime, alarms, extension, app }: ExtensionApi): ExtensionApi {
  return {
    runtime,
    ...(alarms ? { alarms } : {}),
    ...(extension ? { extension } : {}),
    ...(app ? { app } : {}),
  };
}

/** A storage area in memory. */
class MemoryArea implements StorageArea {
  readonly #items = new Map<string, unknown>();
  async get(key: string): Promise<Record<string, unknown>> {
    return this.#items.has(key) ? { [key]: this.#items.get(key) } : {};
  }
  async set(items: Record<string, unknown>): Promise<void> {
    for (const [key, value] of Object.entries(items)) this.#items.set(key, value);
  }
  async remove(key: string): Promise<void> {
    this.#items.delete(key);
  }
}
