// `longwire/testing`: a browser with a native host, a broker and servers in memory, for the unit tests of an
// extension. It opens no socket and starts no process.

import { type Bridge, type ConnectOptions, connect } from "../index.js";
import { FakeBroker } from "./fake-broker.js";
import { FakeClock, settle } from "./fake-clock.js";
import { FakePage, type FakePageOptions } from "./fake-page.js";
import { FakeServer } from "./fake-server.js";
import { FakeWorld } from "./fake-world.js";

export { FakeClock } from "./fake-clock.js";
export { FakePage, type FakePageOptions } from "./fake-page.js";
export { FakeServer, type ServerMessage } from "./fake-server.js";

/** Options of `new FakeBrowser()`. */
export interface FakeBrowserOptions {
  /** `"virtual"` (default): time passes only in `advance`. `"real"`: the timers of the test runner. */
  time?: "virtual" | "real";
}

/**
 * A fake browser with one extension, and an in-memory native host, broker and servers behind
 * `chrome.runtime.connectNative`.
 */
export class FakeBrowser {
  /** Virtual time; does not advance until `advance`. */
  readonly clock = new FakeClock();
  readonly #world: FakeWorld;
  readonly #servers = new Map<string, FakeServer>();
  readonly #virtual: boolean;
  #installed = false;
  #pages = 0;
  #api = {} as ReturnType<FakeWorld["api"]>;

  constructor(options: FakeBrowserOptions = {}) {
    this.#virtual = options.time !== "real";
    this.#world = new FakeWorld(() => {
      const broker = new FakeBroker("automatic");
      broker.onServer = (session, frame) => this.server(session).take(frame);
      return broker;
    });
    this.#start();
  }

  /** The bridge of the current worker, as `connect` returns it. */
  connect(options: ConnectOptions = {}): Bridge {
    return connect({ ...options, api: this.#api });
  }

  /**
   * Replaces `globalThis.chrome` with this browser, so that the extension's own `connect()` uses it. Returns a
   * function that restores it.
   */
  install(): () => void {
    const scope = globalThis as { chrome?: unknown };
    const before = Object.getOwnPropertyDescriptor(scope, "chrome");
    scope.chrome = this.#api;
    this.#installed = true;
    return () => {
      this.#installed = false;
      if (before) Object.defineProperty(scope, "chrome", before);
      else delete scope.chrome;
    };
  }

  /** The server of a session, whether or not the session is open already. */
  server(session: string): FakeServer {
    const server = this.#servers.get(session) ?? new FakeServer(() => this.#broker, session);
    this.#servers.set(session, server);
    return server;
  }

  /** A web page with the extension's content script. Its `connect()` of `longwire/content` reaches the worker's `relay`. */
  openPage(options: FakePageOptions = {}): FakePage {
    this.#pages += 1;
    const { tab = this.#pages, frame = 0, url = "https://page.example/", sender: more } = options;
    const { id = "" } = this.#api.runtime;
    const sender = { id, tab: { id: tab }, frameId: frame, url, origin: new URL(url).origin, ...more };
    return new FakePage(this.#world, id, sender, this.#virtual ? this.clock : undefined);
  }

  /** Kills the service worker. Storage and broker remain: call `connect` again, as the next worker does. */
  killWorker(): void {
    this.#start();
  }

  /** Kills the native host's process; the SDK starts another. */
  async killHost(): Promise<void> {
    this.#world.port.die();
    await settle();
  }

  /** Kills the broker with all its state, and starts another. */
  async replaceBroker(): Promise<void> {
    await this.#world.replaceBroker();
    await settle();
  }

  /** Uninstalls Longwire. Open ports close. */
  removeHost(): void {
    const { port } = { port: this.#world.ports.at(-1) };
    this.#world.hostFailure = "Specified native messaging host not found.";
    port?.die(this.#world.hostFailure);
  }

  /** Installs Longwire (again). */
  installHost(): void {
    this.#world.hostFailure = undefined;
  }

  /** Runs everything that is ready; with virtual time, `milliseconds` pass and timers fire in order. */
  async advance(milliseconds = 0): Promise<void> {
    if (this.#virtual) await this.clock.advance(milliseconds);
    else await settle();
  }

  /** How many times the extension called `runtime.reload`. */
  get reloads(): number {
    return this.#world.reloads;
  }

  /** How many ports to the native host are open. */
  get openPorts(): number {
    return this.#world.ports.filter(({ open }) => open).length;
  }

  /** Simulates a fetched update of the extension. */
  offerUpdate(version: string): void {
    this.#world.onUpdateAvailable.fire({ version });
  }

  /** Fires the alarm that wakes a sleeping worker. */
  fireAlarm(name = "longwire"): void {
    this.#world.onAlarm.fire({ name });
  }

  get #broker(): FakeBroker {
    if (!this.#world.broker) throw new Error("the broker is being replaced");
    return this.#world.broker;
  }

  #start(): void {
    this.#api = { ...this.#world.restart(), ...(this.#virtual ? { clock: this.clock } : {}) };
    if (this.#installed) (globalThis as { chrome?: unknown }).chrome = this.#api;
  }
}
