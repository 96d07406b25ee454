// Events of a session in order, dispatched one per task. It does not know what they are.

import { queueTask } from "../task.js";

/** Calls each event in a task of its own, in the order of `seq`. */
export class EventQueue {
  #events: { seq: number; call: () => void }[] = [];
  #running = false;
  #latest = 0;

  /** Sequence numbers start again. */
  reset(): void {
    this.#latest = 0;
  }

  /** Drops what has not been called yet. */
  clear(): void {
    this.#events = [];
  }

  /** In a task of its own each, as socket.io-client does: code that awaits one event must not miss the next. */
  push(seq: number | undefined, call: () => void): void {
    this.#latest = Math.max(this.#latest, seq ?? 0);
    const place = seq ?? this.#latest;
    let at = this.#events.length;
    // Answers arrive through a promise, after events with higher numbers.
    while (at > 0 && (this.#events[at - 1] as { seq: number }).seq > place) at -= 1;
    this.#events.splice(at, 0, { seq: place, call });
    if (this.#running) return;
    this.#running = true;
    queueTask(() => this.#next());
  }

  #next(): void {
    const event = this.#events.shift();
    this.#running = this.#events.length > 0;
    if (this.#running) queueTask(() => this.#next());
    event?.call();
  }
}
