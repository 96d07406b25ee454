// Ties standard sockets to the life of their context: a page that leaves closes them, and a worker that starts closes
// those of the worker before it. It opens no connection.

import type { Bridge } from "../bridge.js";
import type { Unsubscribe } from "../events.js";
import type { Session } from "../session.js";

/** The close code of an endpoint that goes away. */
const GOING_AWAY = 1001;
/** Sessions of the extension's background: there is never more than one such context. */
const BACKGROUND = "socket background ";

const swept = /* @__PURE__ */ new WeakSet<Bridge>();
const open = /* @__PURE__ */ new Set<Session>();
let count = 0;
let listening = false;

/** A name that no other context uses. The first call with a bridge ends what a dead worker has left. */
export function sessionName(bridge: Bridge): string {
  const life = lifeOfContext();
  count += 1;
  if (!isBackground()) return `socket page ${life} ${count}`;
  if (!swept.has(bridge)) {
    swept.add(bridge);
    sweep(bridge, `${BACKGROUND}${life} `);
  }
  return `${BACKGROUND}${life} ${count}`;
}

/** Closes the session when the page is left; returns what ends that. */
export function closeOnLeaving(session: Session): Unsubscribe {
  open.add(session);
  const page = globalThis.document?.defaultView;
  if (!listening && page) {
    listening = true;
    page.addEventListener("pagehide", () => {
      for (const one of open) one.close(GOING_AWAY).catch(() => undefined);
    });
  }
  return () => {
    open.delete(session);
  };
}

/** Tells this context from those before it, also for another copy of this module. */
function lifeOfContext(): string {
  const scope = globalThis as { [life]?: string };
  scope[life] ??= crypto.randomUUID();
  return scope[life];
}
const life = /* @__PURE__ */ Symbol.for("longwire.life");

/** A service worker, or an event page: the one context of its kind in an extension. */
function isBackground(): boolean {
  const { ServiceWorkerGlobalScope: Worker, location } = globalThis as {
    ServiceWorkerGlobalScope?: new () => object;
    location?: { pathname: string };
  };
  return Worker ? globalThis instanceof Worker : location?.pathname === "/_generated_background_page.html";
}

/** Ends the sessions of earlier workers, as soon as the broker has told which there are. */
function sweep(bridge: Bridge, mine: string): void {
  const end = () => {
    for (const { session } of bridge.welcome?.sessions ?? []) {
      if (!session.startsWith(BACKGROUND) || session.startsWith(mine)) continue;
      bridge
        .open(session)
        .then((left) => left.close(GOING_AWAY))
        // It was over already.
        .catch(() => undefined);
    }
  };
  if (bridge.welcome) {
    end();
    return;
  }
  const off = bridge.on("state", (state) => {
    if (state !== "ready") return;
    off();
    // The welcome is noted right after this.
    queueMicrotask(end);
  });
}
