// The transport of each protocol.

import type { Clock } from "../browser-api.js";
import type { Protocol } from "../wire.js";
import type { BrowserNetwork, Link, LinkEvents, Target } from "./link.js";
import { PollLink } from "./poll-link.js";
import { SocketIoLink } from "./socketio-link.js";
import { StreamLink } from "./stream-link.js";
import { WebSocketLink } from "./websocket-link.js";

type Transport = new (network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) => Link;

/** Opens a connection when it is made. */
export const TRANSPORTS: Record<Protocol, Transport> = {
  websocket: WebSocketLink,
  "socket.io": SocketIoLink,
  sse: StreamLink,
  poll: PollLink,
};
