// What a connection is for: the protocol, the URL, and the options that only this protocol uses. Keys are compared as a
// whole: two that differ need two connections, and a resume token belongs to one key.

import type { OpenOptions, Protocol } from "../wire.js";
import { serverUrl } from "./server-url.js";
import { engineOptions } from "./socketio-options.js";

/** What a connection is for. */
export interface DialKey {
  readonly protocol: Protocol;
  /** By the session's URL and options. Credentials may lead the connection to another URL of the same server. */
  readonly address: string;
  /** The options of this protocol that a resume token, or the connection itself, depends on. */
  readonly terms: unknown;
}

/** The key of connections with this protocol to this address. */
export function dialKey(protocol: Protocol, address: string, options: OpenOptions): DialKey {
  return { protocol, address: serverUrl(address, "http"), terms: termsOf(protocol, options) };
}

function termsOf(protocol: Protocol, { socketio, poll }: OpenOptions): unknown {
  if (protocol === "socket.io") return engineOptions({ socketio });
  if (protocol !== "poll" || !poll?.cursor) return undefined;
  const { pointer, item, header, query, requestHeader } = poll.cursor;
  // `start` is no position: it is sent only while there is none.
  return { pointer, item, header, query, requestHeader, items: item === undefined ? undefined : poll.items };
}
