// A list of callbacks per event name. It does not order, delay or retry anything.

/** Removes the callback it was returned for, and no other. */
export type Off = () => void;

/** Callbacks by event name. A callback that throws does not keep the others from being called. */
export class Callbacks<Events extends { [Name in keyof Events]: unknown[] }> {
  #lists = new Map<keyof Events, Set<{ call: (...args: never[]) => unknown }>>();

  /** Adds a callback. The same function added twice is called twice. */
  on<Name extends keyof Events>(name: Name, call: (...args: Events[Name]) => unknown): Off {
    const entry = { call };
    const list = this.#lists.get(name) ?? new Set();
    this.#lists.set(name, list.add(entry));
    return () => {
      list.delete(entry);
    };
  }

  /** Calls everybody; returns how many there were. */
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

/** Tells the developer what nobody listens for, and exceptions in callbacks. */
export function report(error: unknown): void {
  console.error("longwire:", error);
}
