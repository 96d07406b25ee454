// What a manager and its sockets agree on: options, events, and what a socket needs of its manager.

import type { Bridge, ConnectOptions, GapEvent } from "../index.js";
import type { SessionOptions } from "../session-types.js";
import type { OpenOptions } from "../wire.js";
import type { Emitter, EventsMap } from "./emitter.js";

/** Sent when joining the namespace; a function is called with a callback that receives the value. */
export type Auth = Record<string, unknown> | ((take: (data: Record<string, unknown>) => void) => void);

/** What may differ for one transport. */
export interface TransportOptions {
  extraHeaders?: Record<string, unknown>;
  timestampRequests?: boolean;
  timestampParam?: string;
  forceBase64?: boolean;
  requestTimeout?: number;
}

/** Options of `io` and `Manager`: socket.io-client's, and `longwire`. What cannot be had of socket.io-client's throws. */
export interface ManagerOptions {
  /** On the server. Default `"/socket.io"`. */
  path?: string;
  /** Added to the URL. */
  query?: Record<string, unknown>;
  /** End the path with a slash. Default true. */
  addTrailingSlash?: boolean;
  /** Sent with every request. */
  extraHeaders?: Record<string, unknown>;
  /** What differs for one transport. */
  transportOptions?: { polling?: TransportOptions; websocket?: TransportOptions; webtransport?: unknown };
  /** A parameter that makes each URL another one. Default for polling only. */
  timestampRequests?: boolean;
  /** Its name. Default `"t"`. */
  timestampParam?: string;
  /** Send bytes as text. */
  forceBase64?: boolean;
  /** Milliseconds that the answer to one request of polling may take. Default 120000. */
  requestTimeout?: number;
  /** Subprotocols that the WebSocket offers. */
  protocols?: string | string[];
  /** Offer compression on the WebSocket. Default true. */
  perMessageDeflate?: boolean | object;
  /** Default polling, then a WebSocket. `"webtransport"` is ignored. */
  transports?: string[];
  /** Upgrade from polling to a WebSocket. Default true. */
  upgrade?: boolean;
  /** Begin with the WebSocket once an upgrade has succeeded. */
  rememberUpgrade?: boolean;
  /** Try the next transport when the first fails. By default polling is tried after the WebSocket, not the reverse. */
  tryAllTransports?: boolean;
  /** Connect at once. Default true. */
  autoConnect?: boolean;
  /** Default true. */
  reconnection?: boolean;
  /** Default `Infinity`. */
  reconnectionAttempts?: number;
  /** Milliseconds. Default 1000. */
  reconnectionDelay?: number;
  /** Milliseconds. Default 5000. */
  reconnectionDelayMax?: number;
  /** Spread of the delays around their middle, 0 to 1. Default: from all of it ("full jitter"). */
  randomizationFactor?: number;
  /** Milliseconds until an attempt to connect is given up; `false`: never. Default 20000. */
  timeout?: number | false;
  /** Send the browser's cookies for the server. Needs the permission `cookies` and one for the host. */
  withCredentials?: boolean;
  /** Sent when joining the namespace; a function is called with a callback that receives the value. */
  auth?: Auth;
  /** Timeout in milliseconds of an acknowledgement requested without `timeout()`. Default none. */
  ackTimeout?: number;
  /** Create a separate manager. Socket and session are always separate. */
  forceNew?: boolean;
  /** `false`: as `forceNew`. */
  multiplex?: boolean;
  /** Options of Longwire: the session's name and options, the bridge or how to connect. */
  longwire?: OpenOptions & { name?: string; bridge?: Bridge | ConnectOptions };
  [more: string]: unknown;
}

/** The events of a manager. `packet` and `ping` never fire: the broker answers the server's pings. */
export interface ManagerEvents extends EventsMap {
  open: () => void;
  close: (reason: string, details?: unknown) => void;
  error: (error: Error) => void;
  reconnect: (attempts: number) => void;
  reconnect_attempt: (attempt: number) => void;
  reconnect_error: (error: Error) => void;
  reconnect_failed: () => void;
  /** Longwire's own: events were lost; has their number. */
  gap: (gap: GapEvent) => void;
}

/** The events of the socket itself. */
export interface ReservedEvents {
  connect: () => void;
  /** `data` is the `data` of the error in the server's middleware. */
  connect_error: (error: Error & { data?: unknown }) => void;
  disconnect: (reason: string, details?: { description: string; context: unknown }) => void;
}

/** Event names that the application cannot emit. */
export const RESERVED_EVENTS = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);

/** What a socket needs of its manager, and shows as `socket.io`. */
export interface SocketManager extends Emitter<ManagerEvents> {
  /** The server. */
  readonly uri: string;
  /** The options; changes take effect at the next `disconnect()` and `connect()`. */
  readonly opts: ManagerOptions;
  /** Connects all sockets. */
  connect(call?: (error?: Error) => void): this;
  /** As `connect`. */
  open(call?: (error?: Error) => void): this;
  /** Disconnects all sockets. */
  disconnect(): void;
  /** Throws: the connection belongs to the broker. */
  readonly engine: never;
  /** @internal */
  readonly bridge: Bridge;
  /** @internal */
  readonly url: string;
  /** @internal */
  nameFor(nsp: string): string;
  /** @internal */
  sessionOptions(nsp: string, auth: Auth | undefined): Promise<SessionOptions>;
  /** @internal */
  notify(socket: object, what: "open" | "close" | "error" | "attempt" | "failed", ...about: unknown[]): void;
}
