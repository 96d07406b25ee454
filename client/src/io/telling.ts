// What a session tells, put into an order and handed out one by one. It does not know what is told.

import { queueTask } from "../task.js";

/** What is to be told, each in a task of its own, in the order of `seq`. */
export class Telling {
  #events: { seq: number; call: () => void }[] = [];
  #telling = false;
  #latest = 0;

  /** Numbers begin anew. */
  begin(): void {
    this.#latest = 0;
  }

  /** What was not told yet is not told any more. */
  clear(): void {
    this.#events = [];
  }

  /** In a task of its own each, as socket.io-client does: code that awaits one event must not miss the next. */
  soon(seq: number | undefined, call: () => void): void {
    this.#latest = Math.max(this.#latest, seq ?? 0);
    const place = seq ?? this.#latest;
    let at = this.#events.length;
    // Answers come by way of a promise, a moment after what was behind them.
    while (at > 0 && (this.#events[at - 1] as { seq: number }).seq > place) at -= 1;
    this.#events.splice(at, 0, { seq: place, call });
    if (this.#telling) return;
    this.#telling = true;
    queueTask(() => this.#tell());
  }

  #tell(): void {
    const event = this.#events.shift();
    this.#telling = this.#events.length > 0;
    if (this.#telling) queueTask(() => this.#tell());
    event?.call();
  }
}
