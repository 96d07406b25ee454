// The options of a session, and credentials.

import type { EventPayload, Json, Payload, Rule } from "./values.js";

/** What to do with a message that matches `when`; the first line that matches decides. */
export interface Filter {
  /** A rule, which may also have `kind` and `size`; matches every message if missing. */
  when?: Rule;
  do: "deliver" | "hold" | "drop" | "conflate" | "sample" | "project";
  /** A JSON pointer, for `conflate` and `sample`. */
  key?: string;
  /** For `sample`: deliver the first of every N messages. */
  every?: number;
  /** For `sample`: deliver the first message in N milliseconds. */
  interval?: number;
  /** JSON pointers, for `project`. */
  keep?: string[];
  [more: string]: unknown;
}

/** The protocols of servers. */
export type Protocol = "websocket" | "socket.io" | "sse" | "poll";

/** Connection options of a Socket.IO server. */
export interface SocketIoOptions {
  /** On the server. Default `"/socket.io"`. */
  path?: string;
  /** Joined on every connection; the state of the session follows the first. Default `["/"]`. */
  namespaces?: string[];
  /** Sent with each namespace. */
  auth?: Record<string, unknown>;
  /** Default both, in this order. */
  transports?: ("polling" | "websocket")[];
  /** Upgrade from polling to a WebSocket. Default true. */
  upgrade?: boolean;
  /** Parameters beside the URL's own. */
  query?: Record<string, string | number | boolean | null>;
  /** End the path with a slash. Default true. */
  addTrailingSlash?: boolean;
  /** Begin with the WebSocket once an upgrade has succeeded. Default false. */
  rememberUpgrade?: boolean;
  /** Try the next transport when the first fails. By default polling is tried after the WebSocket, not the reverse. */
  tryAllTransports?: boolean;
  /** Sent with every request, in place of the session's `headers` of that name. */
  extraHeaders?: Record<string, string>;
  /** A parameter that makes each URL another one. Default for polling only. */
  timestampRequests?: boolean;
  /** Its name. Default `"t"`. */
  timestampParam?: string;
  /** Send bytes as text. Default false. */
  forceBase64?: boolean;
  /** Milliseconds that the answer to one request of polling may take. Default 120000. */
  requestTimeout?: number;
  /** What differs for one transport: the five options above. */
  transportOptions?: { [Name in "polling" | "websocket"]?: Partial<SocketIoOptions> };
}

/** Options for polling a server. */
export interface PollOptions {
  /** Milliseconds from a response to the next request. Default 5000. */
  interval?: number;
  /** Long polling: the server responds when it has data. Default false. */
  long?: boolean;
  /** Timeout of a response in milliseconds. Default 60000. */
  timeout?: number;
  /** Pointer to an array in the response, whose elements are the messages. */
  items?: string;
  /** Resume position: the value is read from one of the first three and sent in one of the next two. */
  cursor?: {
    pointer?: string;
    item?: string;
    header?: string;
    query?: string;
    requestHeader?: string;
    start?: string | number;
  };
}

/** One line of a guard. */
export interface GuardLine {
  /** As in a filter; matches every message if missing. */
  when?: Rule;
  /** Default `"allow"`. */
  do?: "allow" | "deny";
  /**
   * Pointers and their required types: `string`, `number`, `integer`, ...; with a trailing `?` the value may be
   * missing.
   */
  types?: Record<string, string>;
  /** Rate limit: at most `messages` in `per` milliseconds. */
  rate?: { messages: number; per: number };
}

/** One step of a login. */
export interface LoginStep {
  /** Matches the message that it answers. */
  when: Rule;
  /** Values to store: by name, a pointer or several, each applied to the JSON text that the previous one selects. */
  take?: Record<string, string | string[]>;
  /** Call `session.onAuth` first; it receives the values, and its `auth` is available to `send`. */
  ask?: boolean;
  /** The message is a refusal: the broker requests other credentials. */
  refused?: boolean;
  /** `{"$value": name}` and `{"$auth": pointer}` in JSON, `${name}` and `${/pointer}` in text, stand for values. */
  send?: ({ json: Json } | { text: string })[];
}

/**
 * Options of a session. All durations are in milliseconds. Unknown options are sent unchanged and listed in
 * `ignored`.
 */
export interface OpenOptions {
  /** The server's protocol. Default `"websocket"`. */
  protocol?: Protocol;
  subprotocols?: string[];
  /** Sent with the handshake. Hop-by-hop headers, `Host` and `Sec-*` are refused. */
  headers?: Record<string, string>;
  /** Sent as the `Cookie` header. */
  cookies?: string;
  /** `"json"`: valid JSON text is delivered as a parsed value. Default `"text"`. */
  format?: "text" | "json";
  /** Timeout for DNS, proxy, TLS and upgrade together. Default 15000. */
  connectTimeout?: number;
  /** `"system"` (default), `"none"`, or an `http://` or `socks5://` URL. */
  proxy?: string;
  /** Offer permessage-deflate. Default true. */
  compression?: boolean;
  /** `false`: never reconnect; a lost link is `closed`. */
  reconnect?:
    | false
    | {
        minDelay?: number;
        maxDelay?: number;
        factor?: number;
        /** Share of the delay that a wait may differ from it, 0 to 1. Default: from 0 to the delay ("full jitter"). */
        randomization?: number;
        maxAttempts?: number | null;
        stableAfter?: number;
      };
  /** Options for a well-known server; explicit options override them. */
  preset?: "ably" | "centrifugo" | "discord" | "graphql-transport-ws" | "phoenix" | "pusher" | "signalr";
  heartbeat?:
    | false
    | {
        interval?: number;
        timeout?: number;
        message?: Payload | EventPayload;
        expect?: Rule;
        /** Send a heartbeat every `interval`, even when data arrives. */
        always?: boolean;
        /** The server's own heartbeats and the answers to them. */
        answers?: { when: Rule; send?: Payload | EventPayload }[];
        /**
         * Where a message of the server has its idle timeout in seconds: pointers, each into the text selected by
         * the previous one.
         */
        intervalFrom?: string | string[];
      };
  /** Payloads sent on every connection. */
  greeting?: (Payload | EventPayload)[];
  /** Must match before subscriptions and the outbox are sent. */
  ready?: Rule;
  /** Answers to the server's messages before the connection is ready. Requires `ready`. */
  login?: LoginStep[];
  queue?: {
    messages?: number;
    bytes?: number;
    age?: number;
    overflow?: "drop-oldest" | "drop-newest" | "pause" | "close";
  };
  outbox?: { messages?: number; bytes?: number; ttl?: number };
  /** Maximum of unacknowledged records and bytes in flight. Default 4096 and 4 MiB. */
  window?: { messages?: number; bytes?: number };
  /** Timeout of `close` for writing accepted messages and receiving the server's answer. Default 10 s. */
  closeTimeout?: number;
  /** How long the link is kept without clients. Default 30 minutes. */
  linger?: number;
  /** How long the session is kept without clients. Default 24 hours. */
  expire?: number;
  /** `"disk"` survives a broker crash and a reboot. Default `"memory"`. */
  durability?: "memory" | "disk";
  /** `"provider"`: the broker requests credentials, see `session.onAuth`. Default `"none"`. */
  auth?: "none" | "provider";
  /** Reaction by code, status or range: `{"4000-4099": "stop"}`. */
  closeCodes?: Record<string, "retry" | "auth" | "stop">;
  /** Bytes; a larger message becomes a gap. Default 64 MiB. */
  maxMessage?: number;
  /** For `"socket.io"`. */
  socketio?: SocketIoOptions;
  /** For `"poll"`. */
  poll?: PollOptions;
  /** Where messages to an event stream or a polled server are posted. */
  post?: { url: string; headers?: Record<string, string> };
  /** Several protocols in order of preference, in place of `protocol`. */
  transports?: Protocol[];
  /** A URL for each transport that does not use the session's own. */
  urls?: { [Name in Protocol]?: string };
  /**
   * Which messages may be sent and received, with which types. The first line that matches a message decides; a
   * message without a match passes.
   */
  guard?: { send?: GuardLine[]; receive?: GuardLine[] };
  [more: string]: unknown;
}

/** New credentials, the answer to `auth-needed`. */
export interface Credentials {
  headers?: Record<string, string>;
  url?: string;
  subprotocols?: string[];
  auth?: unknown;
}
