// The options of socket.io-client and engine.io-client as a session's: each is honoured, or refused by name. The table of
// docs/MIGRATE.md says which. What the broker reads of `socketio` it refuses itself.

import type { SessionOptions } from "../session-types.js";
import type { SocketIoOptions } from "../wire.js";
import type { Auth, ManagerOptions } from "./options.js";

/** Meant for the broker as they are: `addTrailingSlash`, `extraHeaders`, ... (abbreviated, every byte is loaded). */
const PASSED = /^(upgrade|add.+|extra.+|transportO.+|timestamp.+|remember.+|tryAll.+|forceB.+|requestT.+)$/;
const REFUSED =
  /^(transports|parser|retries|transportI.+|autoUnref|closeOn.+|agent|local.+|pfx|key|pass.+|cert|ca|ciphers)$/;

/** The options for the broker. Throws for options that are not supported. */
export function passed(opts: ManagerOptions): SocketIoOptions {
  const transports = opts.transports?.filter((one) => one === "polling" || one === "websocket");
  const out: ManagerOptions = { transports };
  for (const [name, value] of Object.entries({ ...opts, transports: transports?.length === 0 })) {
    if (name === "rejectUnauthorized" ? value === false : REFUSED.test(name) && value) {
      throw new TypeError(`longwire: the option \`${name}\` is not supported`);
    }
    if (PASSED.test(name)) out[name] = value;
  }
  return out as SocketIoOptions;
}

/** The session that these options ask for, without cookies. */
export function sessionOptions(opts: ManagerOptions, nsp: string, auth: Auth | undefined): SessionOptions {
  const { name: _name, bridge: _bridge, ...own } = opts.longwire ?? {};
  const { protocols, timeout } = opts;
  const isProvider = typeof auth === "function";
  return {
    ...own,
    ...(opts.perMessageDeflate === false && { compression: false }),
    ...(protocols && { subprotocols: [protocols].flat() }),
    protocol: "socket.io",
    socketio: {
      ...passed(opts),
      path: pathOf(opts),
      namespaces: [nsp],
      auth: isProvider ? undefined : auth,
    },
    auth: isProvider ? "provider" : "none",
    // `false` sets no limit.
    connectTimeout: timeout === false ? 1e9 : milliseconds(timeout ?? 20_000),
    reconnect: opts.reconnection !== false && { ...reconnect(opts), ...(own.reconnect || {}) },
    ack: "manual",
  };
}

function reconnect(opts: ManagerOptions): NonNullable<Exclude<SessionOptions["reconnect"], boolean>> {
  const maxDelay = milliseconds(opts.reconnectionDelayMax || 5000);
  const most = Number(opts.reconnectionAttempts);
  const share = opts.randomizationFactor;
  return {
    minDelay: Math.min(maxDelay, milliseconds(opts.reconnectionDelay || 1000)),
    maxDelay,
    maxAttempts: most && most < 1e9 ? Math.ceil(most) : null,
    randomization: share && Number(share),
  };
}

/** Milliseconds as a timer would take them. */
function milliseconds(value: unknown): number {
  return Math.min(Math.round(Number(value)) || 1, 1e9);
}

/** The path, with a slash before it and none behind. */
export function pathOf({ path = "/socket.io" }: ManagerOptions): string {
  return `/${path.replace(/^\/+|\/+$/g, "")}`;
}
