// Listeners by event name, with the methods that socket.io-client's emitters have. It calls them in the order of adding; an
// exception of one does not affect the others.

/** A listener. Arguments are whatever the server sent. */
// biome-ignore lint/suspicious/noExplicitAny: as in socket.io-client; the types of an event map narrow it.
export type Listener = (...args: any[]) => unknown;

/** Listeners by event name, for typed code. */
// biome-ignore lint/suspicious/noExplicitAny: as in socket.io-client.
export type EventsMap = { [event: string]: any };

interface Entry {
  readonly call: Listener;
  readonly once: boolean;
}

/** The emitter of socket.io-client. */
export class Emitter<Events extends EventsMap = EventsMap> {
  #lists = new Map<string, readonly Entry[]>();

  /** Adds a listener. The same function added twice is called twice. */
  on<Name extends keyof Events & string>(event: Name, listener: Events[Name]): this {
    return this.#add(event, { call: listener, once: false });
  }

  /** Adds a listener that is called once at most. */
  once<Name extends keyof Events & string>(event: Name, listener: Events[Name]): this {
    return this.#add(event, { call: listener, once: true });
  }

  /** Removes a listener, all of an event, or all. */
  off<Name extends keyof Events & string>(event?: Name, listener?: Events[Name]): this {
    if (event === undefined) this.#lists.clear();
    else if (listener === undefined) this.#lists.delete(event);
    else {
      const list = this.#lists.get(event) ?? [];
      const at = list.findIndex(({ call }) => call === listener);
      this.#lists.set(
        event,
        list.filter((_, index) => index !== at),
      );
    }
    return this;
  }

  /** As `on`. */
  addEventListener<Name extends keyof Events & string>(event: Name, listener: Events[Name]): this {
    return this.on(event, listener);
  }
  /** As `off`. */
  removeListener<Name extends keyof Events & string>(event?: Name, listener?: Events[Name]): this {
    return this.off(event, listener);
  }
  /** As `off`. */
  removeEventListener<Name extends keyof Events & string>(event?: Name, listener?: Events[Name]): this {
    return this.off(event, listener);
  }
  /** As `off`. */
  removeAllListeners(event?: keyof Events & string): this {
    return this.off(event);
  }

  /** The listeners of an event. */
  listeners(event: keyof Events & string): Listener[] {
    return (this.#lists.get(event) ?? []).map(({ call }) => call);
  }

  /** Whether an event has listeners. */
  hasListeners(event: keyof Events & string): boolean {
    return this.listeners(event).length > 0;
  }

  /** @internal Calls the listeners of an event; returns what they returned. */
  emitReserved(event: string, ...args: unknown[]): unknown[] {
    const list = this.#lists.get(event) ?? [];
    const rest = list.filter(({ once }) => !once);
    if (rest.length < list.length) this.#lists.set(event, rest);
    return callAll(
      this,
      list.map(({ call }) => call),
      args,
    );
  }

  #add(event: string, entry: Entry): this {
    this.#lists.set(event, [...(this.#lists.get(event) ?? []), entry]);
    return this;
  }
}

/** Calls all listeners. Their exceptions are thrown again in a microtask, so that they are reported as uncaught. */
export function callAll(self: unknown, list: readonly Listener[], args: unknown[]): unknown[] {
  return list.map((call) => {
    try {
      return call.apply(self, args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
      return undefined;
    }
  });
}

/** The list without this listener; without any when none is named. */
export function without(list: Listener[], listener: Listener | undefined): Listener[] {
  if (!listener) return [];
  const at = list.indexOf(listener);
  return list.filter((_, index) => index !== at);
}

/** Waits for all; a rejection is reported as unhandled. */
export async function settled(results: unknown[]): Promise<void> {
  for (const result of await Promise.allSettled(results)) {
    if (result.status === "rejected") void Promise.reject(result.reason);
  }
}
