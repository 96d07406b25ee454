// A list of callbacks per event name. It does not order, delay or retry anything.

/** Removes the callback it was returned for, and no other. */
export type Unsubscribe = () => void;

/** Callbacks by event name. The exception of one does not affect the others. */
export class Callbacks<Events extends { [Name in keyof Events]: unknown[] }> {
  #lists = new Map<keyof Events, Set<{ call: (...args: never[]) => unknown }>>();

  /** Adds a callback. The same function added twice is called twice. */
  on<Name extends keyof Events>(name: Name, call: (...args: Events[Name]) => unknown): Unsubscribe {
    const entry = { call };
    const list = this.#lists.get(name) ?? new Set();
    this.#lists.set(name, list.add(entry));
    return () => {
      list.delete(entry);
    };
  }

  /** Whether there is a callback for this name. */
  has(name: keyof Events): boolean {
    return !!this.#lists.get(name)?.size;
  }

  /** Calls all callbacks; returns how many there were. */
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): number {
    const list = [...(this.#lists.get(name) ?? [])];
    for (const { call } of list) {
      try {
        const result = (call as (...args: Events[Name]) => unknown)(...args);
        if (result instanceof Promise) result.catch(report);
      } catch (error) {
        report(error);
      }
    }
    return list.length;
  }
}

const reported = new WeakSet<object>();

/** Logs errors without a listener, and exceptions of callbacks. An error that was reported is not logged again. */
export function report(error: unknown): void {
  if (isNew(error)) console.error("longwire:", error);
}

/** Whether this error has not been reported before; from now on it has. */
export function isNew(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return true;
  const isNew = !reported.has(error);
  reported.add(error);
  return isNew;
}

/** @deprecated The name of `Unsubscribe` until 0.1. */
export type Off = Unsubscribe;
