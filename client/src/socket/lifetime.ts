// The sessions of sockets. Standard sockets end with their context: a page that is left closes its sockets, and a worker that
// starts closes those of the worker before it.

import { type Bridge, connect } from "../bridge.js";
import { inBackground } from "../browser-api.js";
import type { Unsubscribe } from "../events.js";
import type { Session } from "../session.js";
import type { SessionOptions } from "../session-types.js";
import type { SocketOptions } from "./types.js";
import { isBlocked } from "./url.js";

/** The close code of an endpoint that goes away. */
const GOING_AWAY = 1001;
/** Sessions of the extension's background: there is never more than one such context. */
const BACKGROUND = "socket background ";

const swept = /* @__PURE__ */ new WeakSet<Bridge>();
/** Where the id of this context is; the same for another copy of this module. */
const CONTEXT_ID = /* @__PURE__ */ Symbol.for("longwire.life");
let count = 0;

/** Opens the session of a socket: the persistent one of this name, or one that ends with this context. */
export async function openSession(
  url: string,
  name: string | undefined,
  bridge: SocketOptions["bridge"],
  options: SessionOptions,
): Promise<Session> {
  if (isBlocked(url)) throw new Error(`longwire: browsers block the port of ${url}`);
  const opener = bridge && "open" in bridge ? bridge : connect(bridge);
  try {
    return await opener.open(name ?? sessionName(opener), url, options);
  } finally {
    if (name === undefined) sweep(opener);
  }
}

/** A name that no other context uses. */
function sessionName(bridge: Bridge): string {
  count += 1;
  return `${isBackground(bridge) ? BACKGROUND : "socket page "}${contextId()} ${count}`;
}

/** Closes the session when the page is left; returns a function that cancels this. */
export function closeOnLeaving(session: Session): Unsubscribe {
  const page = globalThis.document?.defaultView;
  const leave = () => leaveServer(session);
  page?.addEventListener("pagehide", leave);
  return () => page?.removeEventListener("pagehide", leave);
}

/** Closes the sessions of a stopped worker, once for each bridge that has had an answer of the broker. */
function sweep(bridge: Bridge): void {
  const { welcome } = bridge;
  if (!welcome || !isBackground(bridge) || swept.has(bridge)) return;
  swept.add(bridge);
  for (const { session } of welcome.sessions) {
    const isLeft = session.startsWith(BACKGROUND) && !session.includes(` ${contextId()} `);
    if (isLeft) bridge.open(session).then(leaveServer, () => undefined);
  }
}

/** Closes the connection with 1001, unless the session is over. */
function leaveServer(session: Session): void {
  session.close(GOING_AWAY).catch(() => undefined);
}

/** Distinguishes this context from those before it. */
function contextId(): string {
  const scope = globalThis as { [CONTEXT_ID]?: string };
  scope[CONTEXT_ID] ??= crypto.randomUUID();
  return scope[CONTEXT_ID];
}

/** A service worker, or an event page: the one context of its kind in an extension. */
function isBackground(bridge: Bridge): boolean {
  const { api } = bridge.context;
  return !api.app && inBackground(api);
}
