// An extension event of our own.

import type { Listenable } from "../browser-api.js";

/** Calls its listeners. */
export class ExtensionEvent<Args extends unknown[]> implements Listenable<Args> {
  readonly #listeners: ((...args: Args) => void)[] = [];

  addListener(listener: (...args: Args) => void): void {
    this.#listeners.push(listener);
  }

  fire(...args: Args): void {
    for (const listener of this.#listeners) listener(...args);
  }
}
