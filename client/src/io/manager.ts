// One server as socket.io-client's Manager shows it: its options, its sockets, and what is known of the link. The link
// itself is the broker's; there is no engine here.

import { type Bridge, connect, cookieHeader } from "../index.js";
import type { SessionOptions } from "../session-types.js";
import { passed, pathOf, sessionOptions } from "./client-options.js";
import { Emitter } from "./emitter.js";
import type { Auth, ManagerEvents, ManagerOptions, SocketManager } from "./options.js";
import { Socket } from "./socket.js";

/** Names of sessions in this context, so that two sockets to one namespace do not share one. */
const names = new Set<string>();

/** Options and sockets of one server. */
export class Manager extends Emitter<ManagerEvents> implements SocketManager {
  /** The server. */
  readonly uri: string;
  /** The options; changes take effect at the next `disconnect()` and `connect()`. */
  readonly opts: ManagerOptions;
  /** @internal */
  readonly bridge: Bridge;
  /** @internal By namespace. */
  readonly nsps: Record<string, Socket> = {};
  #attempts = 0;

  constructor(uri: string, opts: ManagerOptions = {}) {
    super();
    this.uri = new URL(uri.replace(/^ws/, "http")).origin;
    this.opts = opts;
    passed(opts);
    const bridge = opts.longwire?.bridge;
    this.bridge = bridge && "open" in bridge ? bridge : connect(bridge);
  }

  /** The socket of a namespace, always the same one. */
  socket(nsp: string, opts: Pick<ManagerOptions, "auth" | "ackTimeout"> = {}): Socket {
    const socket = this.nsps[nsp] ?? new Socket(this, nsp, { ...this.opts, ...opts });
    this.nsps[nsp] = socket;
    if (this.opts.autoConnect !== false && !socket.active) socket.connect();
    return socket;
  }

  /** Throws: the connection belongs to the broker. */
  get engine(): never {
    throw new Error("longwire: no engine, the connection belongs to the broker");
  }

  /** Connects all sockets. */
  connect(call?: (error?: Error) => void): this {
    if (call) {
      this.once("open", () => call());
      this.once("error", call);
    }
    for (const socket of Object.values(this.nsps)) socket.connect();
    return this;
  }
  /** As `connect`. */
  open(call?: (error?: Error) => void): this {
    return this.connect(call);
  }
  /** Disconnects all sockets. */
  disconnect(): void {
    for (const socket of Object.values(this.nsps)) socket.disconnect();
  }

  /** @internal A name for a session that the next worker finds again. */
  nameFor(nsp: string): string {
    const wanted = this.opts.longwire?.name;
    const base = `${wanted ?? `io ${this.uri}${pathOf(this.opts)}`}${wanted && nsp === "/" ? "" : nsp}`.slice(
      0,
      120,
    );
    let name = base;
    for (let count = 2; names.has(name); count += 1) name = `${base} ${count}`;
    names.add(name);
    return name;
  }

  /** @internal The URL with its query. */
  get url(): string {
    const url = new URL(this.uri);
    for (const [key, value] of Object.entries(this.opts.query ?? {}))
      url.searchParams.set(key, String(value));
    return url.href;
  }

  /** @internal The session's options for a namespace. */
  async sessionOptions(nsp: string, auth: Auth | undefined): Promise<SessionOptions> {
    const cookies = this.opts.withCredentials && (await cookieHeader(this.url));
    return { ...sessionOptions(this.opts, nsp, auth), ...(cookies && { cookies }) };
  }

  // ---- reported by the sockets; only the first one counts for the link ----

  /** @internal */
  notify(socket: object, what: "open" | "close" | "error" | "attempt" | "failed", ...about: unknown[]): void {
    if (Object.values(this.nsps)[0] !== socket) return;
    const again = this.#attempts;
    if (what === "open") {
      this.#attempts = 0;
      this.emitReserved("open");
      if (again > 0) this.emitReserved("reconnect", again);
    } else if (what === "attempt") {
      this.#attempts += 1;
      this.emitReserved("reconnect_attempt", this.#attempts);
    } else if (what === "failed") {
      this.#attempts = 0;
      if (again > 0) this.emitReserved("reconnect_failed");
    } else {
      this.emitReserved(what, ...about);
      if (what === "error" && again > 0) this.emitReserved("reconnect_error", ...about);
    }
  }
}
