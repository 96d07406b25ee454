// Checks a session's options: those that a browser cannot implement are refused by name, never ignored.

import type { Credentials, Filter, Open, OpenOptions, Protocol, WireError } from "../wire.js";

/** `welcome.capabilities` of the broker in the browser. */
export const CAPABILITIES = [
  "websocket",
  "sse",
  "poll",
  "json",
  "binary",
  "batch",
  "request",
  "subscribe",
  "auth",
];

/** Supported options of the protocol. */
const KEPT = new Set([
  "protocol",
  "subprotocols",
  "headers",
  "format",
  "connectTimeout",
  "proxy",
  "compression",
  "reconnect",
  "heartbeat",
  "greeting",
  "ready",
  "queue",
  "outbox",
  "window",
  "closeTimeout",
  "linger",
  "expire",
  "durability",
  "auth",
  "closeCodes",
  "maxMessage",
  "poll",
  "post",
]);
/** Options that need the host, and why. */
const HOST_ONLY: Record<string, string> = {
  cookies: "the browser sends its own cookies",
  preset: "presets need the host",
  login: "login steps need the host",
  guard: "guards need the host",
  socketio: "Socket.IO needs the host",
  transports: "only one transport is supported; set `protocol`",
  urls: "only one transport is supported; set `protocol`",
};
const PROTOCOLS: Protocol[] = ["websocket", "sse", "poll"];
/** Headers that Fetch does not let scripts set. */
const FORBIDDEN =
  /^(accept-(charset|encoding)|access-control-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via|proxy-.*|sec-.*)$/i;

const refusal = (code: WireError["code"], message: string): WireError => ({ code, message, retry: "no" });

/** The refusal of one option, by name. */
function unsupported(option: string, why: string): WireError {
  return refusal("unsupported", `the option \`${option}\` needs the native host: ${why}`);
}

/** Why a session cannot be opened like this; undefined when it can. `ownOrigin` is what the browser sends as `Origin`. */
export function refuseOpen({ url, options = {} }: Open, ownOrigin: string): WireError | undefined {
  const { protocol = "websocket" } = options;
  for (const [option, why] of Object.entries(HOST_ONLY)) {
    if (options[option] !== undefined) return unsupported(option, why);
  }
  if (!PROTOCOLS.includes(protocol)) return unsupported("protocol", `browsers do not support "${protocol}"`);
  if (options.durability === "disk") return unsupported("durability", "the log is in memory");
  if (options.proxy !== undefined && options.proxy !== "system") {
    return unsupported("proxy", "the browser uses its own proxy settings");
  }
  return refuseUrl(url, protocol) ?? refuseHeaders(options, ownOrigin);
}

function refuseUrl(url: string | undefined, protocol: Protocol): WireError | undefined {
  if (url === undefined) return undefined;
  const schemes = protocol === "websocket" ? /^wss?:$/ : /^https?:$/;
  const isGood = URL.canParse(url) && schemes.test(new URL(url).protocol);
  return isGood ? undefined : refusal("bad-url", `${url} is not a URL for the protocol "${protocol}"`);
}

function refuseHeaders(
  { headers, post, protocol, poll }: OpenOptions,
  ownOrigin: string,
): WireError | undefined {
  const isFetch = protocol === "sse" || protocol === "poll";
  for (const [name, value] of Object.entries(headers ?? {})) {
    // The browser sends this header anyway.
    if (/^origin$/i.test(name) && value === ownOrigin) continue;
    if (!isFetch) return unsupported("headers", "browsers do not send custom headers with a WebSocket");
    if (FORBIDDEN.test(name)) return unsupported("headers", `browsers do not let an extension set ${name}`);
  }
  for (const name of [...Object.keys(post?.headers ?? {}), poll?.cursor?.requestHeader ?? ""]) {
    if (FORBIDDEN.test(name)) return unsupported("headers", `browsers do not let an extension set ${name}`);
  }
  return undefined;
}

/** Why these credentials cannot be used; undefined when they can. */
export function refuseCredentials(
  { headers, auth }: Credentials,
  options: OpenOptions,
): WireError | undefined {
  if (auth !== undefined) return unsupported("auth", "login steps need the host");
  return headers && refuseHeaders({ ...options, headers }, "");
}

/** Why a subscription's filters cannot be kept; undefined when they can. */
export function refuseFilter(filter: Filter[] | undefined): WireError | undefined {
  return filter?.length ? unsupported("filter", "filters need the host") : undefined;
}

/** The names of options that nobody knows. */
export function unknownOptions(options: OpenOptions = {}): string[] {
  return Object.keys(options).filter((name) => !KEPT.has(name) && !(name in HOST_ONLY));
}

/** The headers that a request is given. */
export function ownHeaders(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^origin$/i.test(name)));
}
