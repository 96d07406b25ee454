// The option `socketio`: how a Socket.IO server is reached, with what a browser cannot do refused by name.

import type { OpenOptions, SocketIoOptions } from "../wire.js";
import { isObject } from "./rules.js";

/** The form of one transport's requests. */
export interface TransportLook {
  readonly headers: Record<string, string>;
  /** The name of the parameter that makes every URL unique. */
  readonly stamp: string | undefined;
  readonly base64: boolean;
  /** Milliseconds that a response may take. */
  readonly timeout: number;
}

/** How a Socket.IO server is reached. */
export interface EngineOptions {
  readonly path: string;
  readonly query: Record<string, unknown>;
  readonly namespaces: string[];
  readonly auth: Record<string, unknown> | undefined;
  /** In the order in which they are used. */
  readonly transports: ("polling" | "websocket")[];
  readonly upgrade: boolean;
  readonly rememberUpgrade: boolean;
  readonly tryAllTransports: boolean | undefined;
  readonly polling: TransportLook;
  readonly websocket: TransportLook;
}

const REQUEST_TIMEOUT = 120_000;
const MAX_NAMESPACES = 64;
const EACH = ["extraHeaders", "timestampRequests", "timestampParam", "forceBase64", "requestTimeout"];
const KNOWN = new Set([
  ...EACH,
  "path",
  "namespaces",
  "auth",
  "transports",
  "upgrade",
  "query",
  "addTrailingSlash",
  "rememberUpgrade",
  "tryAllTransports",
  "transportOptions",
]);

/** The option with its defaults. `headers`: the session's, which requests have as well. */
export function engineOptions(
  { socketio = {} }: Pick<OpenOptions, "socketio">,
  headers: Record<string, string> = {},
): EngineOptions {
  const path = (socketio.path ?? "/socket.io").replace(/\/$/, "");
  return {
    path: path + ((socketio.addTrailingSlash ?? true) ? "/" : ""),
    query: socketio.query ?? {},
    namespaces: socketio.namespaces ?? ["/"],
    auth: socketio.auth,
    transports: socketio.transports ?? ["polling", "websocket"],
    upgrade: socketio.upgrade ?? true,
    rememberUpgrade: socketio.rememberUpgrade ?? false,
    tryAllTransports: socketio.tryAllTransports,
    polling: look(socketio, "polling", headers),
    websocket: look(socketio, "websocket", headers),
  };
}

function look(
  socketio: SocketIoOptions,
  transport: "polling" | "websocket",
  headers: Record<string, string>,
): TransportLook {
  const own = { ...socketio, ...socketio.transportOptions?.[transport] };
  const stamps = own.timestampRequests ?? transport === "polling";
  const extra = Object.entries(own.extraHeaders ?? {}).map(([name, value]) => [name, `${value}`]);
  return {
    headers: { ...headers, ...Object.fromEntries(extra) },
    stamp: stamps ? (own.timestampParam ?? "t") : undefined,
    base64: own.forceBase64 ?? false,
    timeout: Number(own.requestTimeout) || REQUEST_TIMEOUT,
  };
}

/** The URL of a request to the server at `base`, which has the scheme of HTTP. `count` makes it unique, with `timestampRequests`. */
export function engineUrl(
  base: string,
  options: EngineOptions,
  transport: "polling" | "websocket",
  sid: string | undefined,
  count: number,
): string {
  const { path, query, [transport]: look } = options;
  const url = new URL(base);
  const said = new URLSearchParams(url.search);
  for (const [name, value] of Object.entries(query)) said.append(name, `${value}`);
  said.append("EIO", "4");
  said.append("transport", transport);
  if (sid !== undefined) said.append("sid", sid);
  if (look.stamp) said.append(look.stamp, `${Date.now().toString(36)}.${count}`);
  if (look.base64) said.append("b64", "1");
  const origin = transport === "polling" ? url.origin : url.origin.replace("http", "ws");
  return `${origin}${path}?${said}`;
}

/** What is wrong with the option. */
export function socketIoFault({ socketio = {} }: OpenOptions): string | undefined {
  const { path = "/", namespaces = ["/"], transports = ["polling"], auth = {} } = socketio;
  const unknown = Object.keys(socketio).find((name) => !KNOWN.has(name));
  if (unknown) return `\`${unknown}\` is not supported`;
  if (!path.startsWith("/") || /[?#]/.test(path)) return "`path` must start with `/` and have no query";
  if (namespaces.length < 1 || namespaces.length > MAX_NAMESPACES) {
    return `\`namespaces\` has 1 to ${MAX_NAMESPACES} names`;
  }
  const bad = namespaces.find((name) => !/^\/[^,]*$/.test(name));
  if (bad !== undefined) return `\`${bad}\` is not a namespace: it must start with \`/\` and have no comma`;
  if (transports.length === 0 || transports.some((name) => !/^(polling|websocket)$/.test(name))) {
    return "`transports` are `polling` and `websocket`";
  }
  if (auth !== null && !isObject(auth)) return "`auth` is an object";
  for (const [transport, own] of Object.entries(socketio.transportOptions ?? {})) {
    const odd = Object.keys(own ?? {}).find((name) => !EACH.includes(name));
    if (odd) return `\`${odd}\` in \`transportOptions\` of \`${transport}\` is not supported`;
  }
  return undefined;
}
