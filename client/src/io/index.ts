// `io` for code written for socket.io-client: finds the manager and the namespace for a URL. Everything else is in
// manager.ts and socket.ts.

import { Manager } from "./manager.js";
import type { ManagerOptions } from "./options.js";
import { Socket } from "./socket.js";

export type { CatchAllEmitter } from "./catch-all.js";
export type { Emitter, EventsMap, Listener } from "./emitter.js";
export type { Auth, ManagerEvents, ManagerOptions, ReservedEvents, SocketManager } from "./options.js";
export { Socket } from "./socket.js";
export { io as connect, Manager };

/** The version of Socket.IO's protocol that the broker implements. */
export const protocol = 5;

/** Managers by server. */
const managers = new Map<string, Manager>();

/**
 * Returns the socket of a server's namespace, like `io` of socket.io-client. Call it at the top level of the worker.
 * A second socket of the same namespace has its own connection.
 */
export function io(uri: string, opts: ManagerOptions = {}): Socket {
  if (typeof uri !== "string" || /^\/(?!\/)/.test(uri)) {
    throw new TypeError("longwire: io() needs the server's URL");
  }
  const url = new URL(/^(https?|wss?):\/\//.test(uri) ? uri : `https://${uri.replace(/^\/\//, "")}`);
  const nsp = url.pathname;
  const query: Record<string, unknown> = { ...opts.query };
  if (!opts.query) {
    url.searchParams.forEach((value, key) => {
      query[key] = value;
    });
  }
  const known = managers.get(url.origin);
  const fresh = opts.forceNew || opts.multiplex === false || (known && nsp in known.nsps);
  const manager = (!fresh && known) || new Manager(url.origin, { ...opts, query });
  if (!fresh && !known) managers.set(url.origin, manager);
  return manager.socket(nsp, opts);
}

Object.assign(io, { connect: io, io, Manager, Socket, protocol });
export default io;
