// The options of a session, and credentials.

import type { EventPayload, Json, Payload, Rule } from "./values.js";

/** What to do with a message that fits `when`; the first line that fits decides. */
export interface Filter {
  /** A rule, which may also have `kind` and `size`; every message if it is missing. */
  when?: Rule;
  do: "deliver" | "hold" | "drop" | "conflate" | "sample" | "project";
  /** A JSON pointer, for `conflate` and `sample`. */
  key?: string;
  /** For `sample`: the first of every so many. */
  every?: number;
  /** For `sample`: the first in so many milliseconds. */
  interval?: number;
  /** JSON pointers, for `project`. */
  keep?: string[];
  [more: string]: unknown;
}

/** What a server may speak. */
export type Protocol = "websocket" | "socket.io" | "sse" | "poll";

/** How a Socket.IO server is reached. */
export interface SocketIoOptions {
  /** On the server. Default `"/socket.io"`. */
  path?: string;
  /** Asked for on every connection; the session stands and falls with the first. Default `["/"]`. */
  namespaces?: string[];
  /** Said with each namespace. */
  auth?: Record<string, unknown>;
  /** Default both, in this order. */
  transports?: ("polling" | "websocket")[];
  /** Go from polling to a WebSocket. Default true. */
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

/** How a server is asked again and again. */
export interface PollOptions {
  /** Milliseconds from an answer to the next question. Default 5000. */
  interval?: number;
  /** The server answers when it has something. Default false. */
  long?: boolean;
  /** Milliseconds an answer may take. Default 60000. */
  timeout?: number;
  /** Pointer to an array in the answer, whose elements are the messages. */
  items?: string;
  /** Where to continue: the value is read from one of the first three and sent in one of the next two. */
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
  /** As in a filter; every message if it is missing. */
  when?: Rule;
  /** Default `"allow"`. */
  do?: "allow" | "deny";
  /** Pointers and what must stand there: `string`, `number`, `integer`, ...; with a `?` behind it may be missing. */
  types?: Record<string, string>;
  /** So many messages in so many milliseconds. */
  rate?: { messages: number; per: number };
}

/** One step of a login. */
export interface LoginStep {
  /** The words that it answers. */
  when: Rule;
  /** Values to keep: by name, a pointer or several, each applied to the JSON text that the one before leads to. */
  take?: Record<string, string | string[]>;
  /** Ask `session.onAuth` first; it gets the values, and what it returns as `auth` is sent. */
  ask?: boolean;
  /** The words are a refusal: other credentials are asked for. */
  refused?: boolean;
  /** `{"$value": name}` and `{"$auth": pointer}` in JSON, `${name}` and `${/pointer}` in text, stand for values. */
  send?: ({ json: Json } | { text: string })[];
}

/** Options of a session. All spans are in milliseconds. Unknown ones are sent as they are and named in `ignored`. */
export interface OpenOptions {
  /** What the server speaks. Default `"websocket"`. */
  protocol?: Protocol;
  subprotocols?: string[];
  /** Sent with the handshake. Hop-by-hop headers, `Host` and `Sec-*` are refused. */
  headers?: Record<string, string>;
  /** Sent as the `Cookie` header. */
  cookies?: string;
  /** `"json"`: valid JSON text arrives parsed. Default `"text"`. */
  format?: "text" | "json";
  /** DNS, proxy, TLS and upgrade together. Default 15000. */
  connectTimeout?: number;
  /** `"system"` (default), `"none"`, or an `http://` or `socks5://` URL. */
  proxy?: string;
  /** Offer permessage-deflate. Default true. */
  compression?: boolean;
  /** `false`: never redial, a drop is `closed`. */
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
  /** Options for a well-known server; those given beside it win. */
  preset?: "ably" | "centrifugo" | "discord" | "graphql-transport-ws" | "phoenix" | "pusher" | "signalr";
  heartbeat?:
    | false
    | {
        interval?: number;
        timeout?: number;
        message?: Payload | EventPayload;
        expect?: Rule;
        /** A beat every `interval`, whatever is heard. */
        always?: boolean;
        /** The server's own beats and what they are answered with. */
        answers?: { when: Rule; send?: Payload | EventPayload }[];
        /** Where the server says in seconds how long it bears silence: pointers, each into the text found by the last. */
        intervalFrom?: string | string[];
      };
  /** Payloads sent on every connection. */
  greeting?: (Payload | EventPayload)[];
  /** Must match before subscriptions and the outbox flow. */
  ready?: Rule;
  /** What the server's words are answered with before the connection is ready. Needs `ready`. */
  login?: LoginStep[];
  queue?: {
    messages?: number;
    bytes?: number;
    age?: number;
    overflow?: "drop-oldest" | "drop-newest" | "pause" | "close";
  };
  outbox?: { messages?: number; bytes?: number; ttl?: number };
  /** Records and bytes that may be in flight without acknowledgement. Default 4096 and 4 MiB. */
  window?: { messages?: number; bytes?: number };
  /** How long `close` may take to write what was accepted before and to hear the server's answer. Default 10 s. */
  closeTimeout?: number;
  /** How long the link is kept without clients. Default 30 minutes. */
  linger?: number;
  /** How long the session is kept without clients. Default 24 hours. */
  expire?: number;
  /** `"disk"` survives the broker's death and a reboot. Default `"memory"`. */
  durability?: "memory" | "disk";
  /** `"provider"`: the extension is asked for credentials, see `session.onAuth`. Default `"none"`. */
  auth?: "none" | "provider";
  /** By code, status or range of them: `{"4000-4099": "stop"}`. */
  closeCodes?: Record<string, "retry" | "auth" | "stop">;
  /** Bytes; a larger message becomes a gap. Default 64 MiB. */
  maxMessage?: number;
  /** For `"socket.io"`. */
  socketio?: SocketIoOptions;
  /** For `"poll"`. */
  poll?: PollOptions;
  /** Where messages go of an event stream or a polled server. */
  post?: { url: string; headers?: Record<string, string> };
  /** Several protocols in order of preference, in place of `protocol`. */
  transports?: Protocol[];
  /** A URL for each transport that is not at the session's own. */
  urls?: { [Name in Protocol]?: string };
  /** What may be sent, and what shape is delivered. The first line that fits a message decides; what none fits passes. */
  guard?: { send?: GuardLine[]; receive?: GuardLine[] };
  [more: string]: unknown;
}

/** Fresh credentials, the answer to `auth-needed`. */
export interface Credentials {
  headers?: Record<string, string>;
  url?: string;
  subprotocols?: string[];
  auth?: unknown;
}
