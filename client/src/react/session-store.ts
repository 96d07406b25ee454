// One session shared by components: opened by the first, detached after the last. It renders nothing.

import type { Bridge, LongwireError, Session, SessionOptions } from "../index.js";

/** What `useSession` returns. The object changes when something in it does. */
export interface SessionView {
  /** The session, once the broker has answered. */
  readonly session: Session | undefined;
  /** The state of its link; `opening` until the broker has answered, `detached` when it was closed or taken over. */
  readonly state: Session["state"];
  /** The reason why it could not be opened, or why its link is down. */
  readonly error: LongwireError | undefined;
}

const OPENING: SessionView = { session: undefined, state: "opening", error: undefined };

/** Holds one session for the components that use it. */
export class SessionStore {
  #view = OPENING;
  readonly #listeners = new Set<() => void>();
  #stops: (() => void)[] = [];
  #current: Session | undefined;
  #asked: string | undefined;

  constructor(
    readonly bridge: Bridge,
    readonly name: string,
  ) {}

  readonly view = (): SessionView => this.#view;

  /** Opens the session for one more component. Returns a function that releases it. */
  hold(listener: () => void, url: string | undefined, options: SessionOptions | undefined): () => void {
    this.#listeners.add(listener);
    const asked = JSON.stringify([url, options]);
    if (asked !== this.#asked || this.#view.error) {
      this.#asked = asked;
      void this.#open(url, options);
    }
    return () => {
      this.#listeners.delete(listener);
      // React's strict mode and hot reloading unmount and mount again at once: detach only if no component uses it then.
      setTimeout(() => {
        if (this.#listeners.size === 0) this.#leave();
      });
    };
  }

  async #open(url: string | undefined, options: SessionOptions | undefined): Promise<void> {
    // It waits for a missing host; meanwhile the component shows the error.
    const stop = this.bridge.on("state", (_state, error) => {
      if (error && !this.#current) this.#show({ ...OPENING, error });
    });
    try {
      const session = await this.bridge.open(this.name, url, { waitForHost: true, ...options });
      if (this.#listeners.size === 0) {
        this.#current = session;
        this.#leave();
      } else if (session !== this.#current) {
        this.#watch(session);
      }
    } catch (error) {
      this.#show({ error: error as LongwireError, state: "detached", session: undefined });
    } finally {
      stop();
    }
  }

  #watch(session: Session): void {
    this.#stop();
    this.#current = session;
    this.#stops = [
      session.on("state", ({ state, error }) => this.#show({ session, state, error })),
      session.on("detached", (_reason, error) => {
        this.#asked = undefined;
        this.#show({ session: undefined, state: "detached", error });
      }),
    ];
    this.#show({ session, state: session.state, error: session.link?.error });
  }

  #leave(): void {
    const session = this.#current;
    this.#stop();
    this.#current = undefined;
    this.#asked = undefined;
    this.#view = OPENING;
    if (session && session.state !== "detached") session.detach().catch(() => undefined);
  }

  #stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #show(view: SessionView): void {
    this.#view = view;
    for (const listener of [...this.#listeners]) listener();
  }
}

const stores = new WeakMap<Bridge, Map<string, SessionStore>>();

/** The store of that name: the same one for every component. */
export function sessionStore(bridge: Bridge, name: string): SessionStore {
  const known = stores.get(bridge) ?? new Map<string, SessionStore>();
  stores.set(bridge, known);
  const store = known.get(name) ?? new SessionStore(bridge, name);
  known.set(name, store);
  return store;
}
