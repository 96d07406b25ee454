// The last messages of one session as an immutable list, for `useSyncExternalStore`.

import type { Received, Session } from "../index.js";

const NONE: readonly Received[] = [];

/** Stores the newest `last` messages that arrive while there is a listener. */
export class MessageStore {
  #messages = NONE;
  readonly #listeners = new Set<() => void>();
  #stop: (() => void) | undefined;

  constructor(
    readonly session: Session | undefined,
    readonly last: number,
  ) {}

  readonly messages = (): readonly Received[] => this.#messages;

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#stop ??= this.session?.on("message", (message) => {
      this.#messages = [...this.#messages, message].slice(-this.last);
      for (const each of [...this.#listeners]) each();
    });
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  };
}
