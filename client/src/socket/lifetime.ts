// Ties standard sockets to the life of their context: a page that leaves closes them, and a worker that starts closes
// those of the worker before it. It opens no connection.

import type { Bridge } from "../bridge.js";
import { inBackground } from "../browser-api.js";
import type { Unsubscribe } from "../events.js";
import type { Session } from "../session.js";

/** The close code of an endpoint that goes away. */
const GOING_AWAY = 1001;
/** Sessions of the extension's background: there is never more than one such context. */
const BACKGROUND = "socket background ";

const swept = /* @__PURE__ */ new WeakSet<Bridge>();
const life = /* @__PURE__ */ Symbol.for("longwire.life");
let count = 0;

/** A name that no other context uses. */
export function sessionName(bridge: Bridge): string {
  count += 1;
  return `${isBackground(bridge) ? BACKGROUND : "socket page "}${lifeOfContext()} ${count}`;
}

/** Closes the session when the page is left; returns what ends that. */
export function closeOnLeaving(session: Session): Unsubscribe {
  const page = globalThis.document?.defaultView;
  const leave = () => leaveServer(session);
  page?.addEventListener("pagehide", leave);
  return () => page?.removeEventListener("pagehide", leave);
}

/** Ends what a dead worker has left, once for each bridge that has had an answer of the broker. */
export function sweep(bridge: Bridge): void {
  const { welcome } = bridge;
  if (!welcome || !isBackground(bridge) || swept.has(bridge)) return;
  swept.add(bridge);
  for (const { session } of welcome.sessions) {
    const isLeft = session.startsWith(BACKGROUND) && !session.includes(` ${lifeOfContext()} `);
    if (isLeft) bridge.open(session).then(leaveServer, () => undefined);
  }
}

/** If it is not over already. */
function leaveServer(session: Session): void {
  session.close(GOING_AWAY).catch(() => undefined);
}

/** Tells this context from those before it, also for another copy of this module. */
function lifeOfContext(): string {
  const scope = globalThis as { [life]?: string };
  scope[life] ??= crypto.randomUUID();
  return scope[life];
}

/** A service worker, or an event page: the one context of its kind in an extension. */
function isBackground(bridge: Bridge): boolean {
  const { api } = bridge.context;
  return !api.app && inBackground(api);
}
