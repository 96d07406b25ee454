// Checks a session's options: those that a browser cannot implement are refused by name, never ignored.

import type { Credentials, Filter, Open, OpenOptions, Protocol, WireError } from "../wire.js";
import { filterFault } from "./filter.js";
import { guardFault } from "./guard.js";
import { linkError } from "./link.js";
import { loginFault } from "./login.js";
import { PRESETS, withPreset } from "./presets.js";
import { ruleFault } from "./rules.js";
import { isServerUrl, serverUrl } from "./server-url.js";
import { engineOptions, socketIoFault } from "./socketio-options.js";

const PROTOCOLS: readonly string[] = ["websocket", "socket.io", "sse", "poll"] satisfies Protocol[];
/** `welcome.capabilities` of the broker in the browser. */
export const CAPABILITIES =
  "websocket socket.io sse poll ack json binary batch request subscribe filter guard lane auth window presets".split(
    " ",
  );

/** Options of the protocol. */
const KNOWN = new Set(
  "protocol transports urls subprotocols headers cookies format connectTimeout proxy compression reconnect preset heartbeat greeting ready login queue outbox window closeTimeout linger expire durability auth closeCodes maxMessage socketio poll post guard".split(
    " ",
  ),
);
/** Headers that Fetch does not let scripts set. */
const FORBIDDEN =
  /^(accept-(charset|encoding)|access-control-.*|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via|proxy-.*|sec-.*)$/i;

const refusal = (code: WireError["code"], message: string): WireError => linkError(code, message, "no");

/** The refusal of one option, by name. */
function unsupported(option: string, why: string): WireError {
  return refusal("unsupported", `the option \`${option}\` needs the native host: ${why}`);
}

function bad(option: string, why: string | undefined): WireError | undefined {
  return why === undefined ? undefined : refusal("bad-option", `option \`${option}\`: ${why}`);
}

/** The protocols of a session, in order of preference. */
export function protocolsOf({ transports, protocol = "websocket" }: OpenOptions): Protocol[] {
  return transports?.length ? transports : [protocol];
}

/** Why a session cannot be opened like this; undefined when it can. `ownOrigin` is what the browser sends as `Origin`. */
export function refuseOpen({ url, options: given = {} }: Open, ownOrigin: string): WireError | undefined {
  const { preset } = given;
  if (preset !== undefined && !Object.hasOwn(PRESETS, preset)) {
    return bad("preset", `\`${preset}\` is not a preset; known: ${Object.keys(PRESETS).join(", ")}`);
  }
  const options = withPreset(given);
  if (options.cookies !== undefined) return unsupported("cookies", "the browser sends its own cookies");
  if (options.durability === "disk") return unsupported("durability", "the log is in memory");
  if (options.proxy !== undefined && options.proxy !== "system") {
    return unsupported("proxy", "the browser uses its own proxy settings");
  }
  return optionFault(options) ?? refuseHeaders(options, ownOrigin) ?? refuseUrls(url, options);
}

/** The fault of an option's value, in the host's words. */
function optionFault(options: OpenOptions): WireError | undefined {
  const { ready, heartbeat, transports = [], greeting = [], reconnect, post } = options;
  const protocols = protocolsOf(options);
  const odd = protocols.find((protocol) => !PROTOCOLS.includes(protocol));
  if (odd !== undefined) {
    const name = transports.length > 0 ? "transports" : "protocol";
    return bad(name, `\`${odd}\` is not a protocol; known: ${PROTOCOLS.join(", ")}`);
  }
  const { message: _message, expect, answers = [] } = heartbeat || {};
  const rules = [...(expect ? [expect] : []), ...answers.map(({ when }) => when)];
  const { minDelay = 500, maxDelay = 30_000 } = reconnect || {};
  const sends = protocols.some((protocol) => protocol === "websocket" || protocol === "socket.io") || post;
  const hasEvent = greeting.some((message) => "event" in message) && !protocols.includes("socket.io");
  return (
    bad("transports", new Set(transports).size < transports.length ? "each is allowed once" : undefined) ??
    bad("reconnect", minDelay > maxDelay ? "`minDelay` must be at most `maxDelay`" : undefined) ??
    bad("ready", ready && ruleFault(ready)) ??
    bad("heartbeat", rules.map(ruleFault).find(Boolean)) ??
    bad("greeting", hasEvent ? "an `event` is for Socket.IO servers" : undefined) ??
    bad("greeting", greeting.length > 0 && !sends ? "it needs `post`" : undefined) ??
    bad("login", loginFault(options)) ??
    bad("guard", guardFault(options.guard)) ??
    bad("socketio", socketIoFault(options))
  );
}

function refuseUrls(url: string | undefined, options: OpenOptions): WireError | undefined {
  for (const protocol of protocolsOf(options)) {
    const own = options.urls?.[protocol] ?? url;
    if (own === undefined) continue;
    if (!isServerUrl(own)) return refusal("bad-url", `${own} is not the URL of a server`);
  }
  return undefined;
}

function refuseHeaders(options: OpenOptions, ownOrigin: string): WireError | undefined {
  const { headers, post, poll } = options;
  // The browser sends this header anyway.
  const isOwn = (name: string, value: string) => /^origin$/i.test(name) && value === ownOrigin;
  const named = Object.entries(headers ?? {}).filter(([name, value]) => !isOwn(name, value));
  const { polling, websocket, transports } = engineOptions(options);
  const protocols = protocolsOf(options);
  const usesSocket =
    protocols.includes("websocket") || (protocols.includes("socket.io") && transports.includes("websocket"));
  if (usesSocket && named.length + Object.keys(websocket.headers).length > 0) {
    const isEngine = protocols.includes("socket.io");
    const instead = isEngine ? "; use polling only, or `transportOptions.polling`" : "";
    return unsupported("headers", `browsers do not send custom headers with a WebSocket${instead}`);
  }
  const names = [
    ...named.map(([name]) => name),
    ...Object.keys(polling.headers),
    ...Object.keys(post?.headers ?? {}),
    poll?.cursor?.requestHeader ?? "",
  ];
  const forbidden = names.find((name) => FORBIDDEN.test(name));
  if (forbidden === undefined) return undefined;
  return unsupported("headers", `browsers do not let an extension set ${forbidden}`);
}

/**
 * Why these credentials cannot be used with a session at `own`; undefined when they can. `open`: the nonce of the request
 * that the provider has not answered.
 */
export function refuseCredentials(
  { headers, url, nonce }: Credentials & { nonce?: string },
  own: string,
  options: OpenOptions,
  open: string | undefined,
): WireError | undefined {
  const originOf = (one: string) => isServerUrl(one) && new URL(serverUrl(one, "http")).origin;
  if (url !== undefined && originOf(url) !== originOf(own)) {
    const why = "field `url`: credentials must lead to the session's server";
    return refusal("bad-url", why);
  }
  if (nonce !== undefined && nonce !== open)
    return refusal("bad-frame", "field `nonce`: the request has ended");
  return headers && refuseHeaders({ ...options, headers }, "");
}

/** Why a subscription's filters are refused; undefined if they are valid. */
export function refuseFilter(filter: Filter[] | undefined): WireError | undefined {
  const fault = filterFault(filter);
  return fault === undefined ? undefined : refusal("bad-frame", `field \`filter\`: ${fault}`);
}

/** The names of unknown options. */
export function unknownOptions(options: OpenOptions = {}): string[] {
  return Object.keys(options).filter((name) => !KNOWN.has(name));
}

/** The headers that a request is given. */
export function ownHeaders(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^origin$/i.test(name)));
}

/** A text as the value of a header: its bytes in UTF-8, with what HTTP does not allow percent-encoded. */
export function headerValue(text: string): string {
  const value = text.replace(/[^\t -\u{10ffff}]/gu, encodeURIComponent);
  return String.fromCharCode(...new TextEncoder().encode(value));
}
