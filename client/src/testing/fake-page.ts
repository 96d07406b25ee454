// A web page with a content script in it, and the ports between it and the worker. It knows no messages.

import type { ExtensionApi, PagePort, PortSender } from "../browser-api.js";
import type { FakeClock } from "./fake-clock.js";
import { FakeEvent } from "./fake-storage.js";

/** The location of a page. */
export interface FakePageOptions {
  /** The tab's id. Default: another one for each page. */
  tab?: number;
  /** The frame's id. Default 0, the top. */
  frame?: number;
  /** The page's address. Default `https://page.example/`. */
  url?: string;
  /** Overrides what the browser reports about it, to test refusals of `relay`. */
  sender?: Partial<PortSender>;
}

/** One end of a port between a page and the worker. */
export class FakePagePort implements PagePort {
  readonly onMessage = new FakeEvent<[message: unknown]>();
  readonly onDisconnect = new FakeEvent<[port: PagePort]>();
  open = true;
  peer: FakePagePort | undefined;

  constructor(
    readonly name: string,
    readonly sender?: PortSender,
  ) {}

  postMessage(message: unknown): void {
    if (!this.open) throw new Error("Attempting to use a disconnected port object");
    const copy = JSON.parse(JSON.stringify(message));
    const { peer } = this;
    queueMicrotask(() => {
      if (peer?.open) peer.onMessage.fire(copy);
    });
  }

  disconnect(): void {
    this.open = false;
    // What was posted before arrives first.
    queueMicrotask(() => this.peer?.close());
  }

  /** The other end is closed. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.onDisconnect.fire(this);
  }
}

/** What a page needs of the browser. */
export interface PageWorld {
  readonly onConnect: FakeEvent<[port: PagePort]>;
  readonly pagePorts: FakePagePort[];
}

/** A web page with a content script. Get one with `browser.openPage()`. */
export class FakePage {
  /** @internal What the content script sees as `chrome`. */
  readonly api: ExtensionApi;
  #ports: FakePagePort[] = [];

  /** @internal */
  constructor(world: PageWorld, id: string, sender: PortSender, clock?: FakeClock) {
    this.api = {
      runtime: { id, connect: ({ name }) => this.#connect(world, name, sender) },
      ...(clock ? { clock } : {}),
    };
  }

  /**
   * Replaces `globalThis.chrome` with this page, so that the content script's `connect()` uses it. Returns a
   * function that restores it.
   */
  install(): () => void {
    const scope = globalThis as { chrome?: unknown };
    const before = Object.getOwnPropertyDescriptor(scope, "chrome");
    scope.chrome = this.api;
    return () => {
      if (before) Object.defineProperty(scope, "chrome", before);
      else delete scope.chrome;
    };
  }

  /** Closes the page, or navigates it to another one. */
  close(): void {
    for (const port of this.#ports.splice(0)) {
      port.open = false;
      port.peer?.close();
    }
  }

  #connect(world: PageWorld, name: string, sender: PortSender): PagePort {
    const [here, there] = [new FakePagePort(name), new FakePagePort(name, sender)];
    here.peer = there;
    there.peer = here;
    this.#ports.push(here);
    world.pagePorts.push(here);
    queueMicrotask(() => {
      if (world.onConnect.listeners.length === 0) here.close();
      else world.onConnect.fire(there);
    });
    return here;
  }
}
