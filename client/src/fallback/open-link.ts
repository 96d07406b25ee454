// The transport of each protocol.

import type { Clock } from "../browser-api.js";
import type { BrowserNetwork, Link, LinkEvents, Target } from "./link.js";
import { PollLink } from "./poll-link.js";
import { SocketIoLink } from "./socketio-link.js";
import { StreamLink } from "./stream-link.js";
import { WebSocketLink } from "./websocket-link.js";

/** Opens a connection. */
export function openLink(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents): Link {
  switch (target.protocol) {
    case "websocket":
      return new WebSocketLink(network, clock, target, events);
    case "socket.io":
      return new SocketIoLink(network, clock, target, events);
    case "sse":
      return new StreamLink(network, target, events);
    case "poll":
      return new PollLink(network, clock, target, events);
  }
}
