// Everything an extension sees of the browser, with a native host and a broker in memory. A new `api` over the same
// storage is a restarted worker.

import type { ExtensionApi, PagePort, StorageChange } from "../browser-api.js";
import { FakeBroker } from "./fake-broker.js";
import { settle } from "./fake-clock.js";
import type { FakePagePort } from "./fake-page.js";
import { FakePort } from "./fake-port.js";
import { FakeEvent, FakeStorage } from "./fake-storage.js";

/** Everything an extension sees. A new `api` over the same storage is a restarted worker. */
export class FakeWorld {
  broker: FakeBroker | undefined;
  readonly local = new FakeStorage();
  readonly session = new FakeStorage();
  readonly ports: FakePort[] = [];
  lastError: { message?: string } | undefined;
  /** Every host exits at once with this reason. */
  hostFailure: string | undefined;
  /** Native messaging is permitted. */
  permitted = true;
  reloads = 0;
  alarms: { name: string; periodInMinutes: number }[] = [];
  onConnect = new FakeEvent<[port: PagePort]>();
  /** The pages' ends of their ports to the worker. */
  pagePorts: FakePagePort[] = [];
  onStartup = new FakeEvent<[]>();
  onUpdateAvailable = new FakeEvent<[details: { version: string }]>();
  onAlarm = new FakeEvent<[alarm: { name: string }]>();
  onChanged = new FakeEvent<[changes: Record<string, StorageChange>, area: string]>();

  constructor(private readonly newBroker = () => new FakeBroker()) {
    this.broker = newBroker();
    this.local.cleared = (changes) => this.onChanged.fire(changes, "local");
    this.session.cleared = (changes) => this.onChanged.fire(changes, "session");
  }

  get port(): FakePort {
    const port = this.ports.at(-1);
    if (!port) throw new Error("no port was opened");
    return port;
  }

  portClosed(port: FakePort): void {
    this.broker?.portClosed(port);
  }

  /** The worker stops and another starts: its state is lost, storage stays. */
  restart(): ExtensionApi {
    for (const port of this.ports) {
      if (port.open) {
        port.open = false;
        this.portClosed(port);
      }
    }
    this.onConnect = new FakeEvent();
    for (const port of this.pagePorts.splice(0)) {
      if (port.peer) port.peer.open = false;
      port.close();
    }
    this.onStartup = new FakeEvent();
    this.onUpdateAvailable = new FakeEvent();
    this.onAlarm = new FakeEvent();
    this.onChanged = new FakeEvent();
    return this.api();
  }

  api(): ExtensionApi {
    const world = this;
    return {
      runtime: {
        id: "abcdefghijklmnopabcdefghijklmnop",
        get lastError() {
          return world.lastError;
        },
        ...(this.permitted ? { connectNative: (host: string) => world.connect(host) } : {}),
        reload: () => {
          world.reloads += 1;
        },
        onConnect: this.onConnect,
        onStartup: this.onStartup,
        onUpdateAvailable: this.onUpdateAvailable,
      },
      storage: { local: this.local, session: this.session, onChanged: this.onChanged },
      alarms: {
        create: (name, info) => {
          world.alarms.push({ name, ...info });
        },
        clear: () => undefined,
        onAlarm: this.onAlarm,
      },
      cookies: {
        getAll: async () => [
          { name: "sid", value: "1" },
          { name: "lang", value: "en" },
        ],
      },
    };
  }

  connect(host: string): FakePort {
    const port = new FakePort(this, host);
    this.ports.push(port);
    if (this.hostFailure !== undefined) {
      const reason = this.hostFailure;
      queueMicrotask(() => port.die(reason));
    }
    return port;
  }

  /** The broker stops with its state and another takes over; the host reports it. */
  async replaceBroker(): Promise<void> {
    const port = this.port;
    this.broker = undefined;
    port.deliver({ type: "host", state: "lost", code: "broker-lost", message: "the broker is gone" });
    await settle();
    this.broker = this.newBroker();
    port.deliver({ type: "host", state: "back", code: "broker-lost", message: "another broker" });
  }
}
