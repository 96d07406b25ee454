// What the server must hear on every connection, for the clients that want it. It knows no connection.

import type { Payload, Subscribe } from "../wire.js";
import { matches, type Readable } from "./rules.js";

/** A subscription, and whose it is. */
export interface Subscription {
  readonly frame: Subscribe;
  readonly client: string;
  isActive: boolean;
}

/** What the subscriptions need from their session. */
export interface SubscriptionsHost {
  /** Whether something may be said now. */
  canSend(): boolean;
  send(payload: Payload): void;
  /** Its client is to hear how it stands. */
  tell(subscription: Subscription): void;
}

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #host: SubscriptionsHost;
  readonly #held = new Map<string, Subscription>();

  constructor(host: SubscriptionsHost) {
    this.#host = host;
  }

  /** Keys and states, as `opened` says them. */
  get states(): { key: string; state: "active" | "pending" }[] {
    return [...this.#held].map(([key, { isActive }]) => ({ key, state: isActive ? "active" : "pending" }));
  }

  /** Takes a subscription. One that is the same as before is not said again. */
  add(client: string, frame: Subscribe): void {
    const before = this.#held.get(frame.key);
    const content = (one: Subscribe | undefined) => JSON.stringify([one?.send, one?.confirm]);
    const isKnown = before !== undefined && content(before.frame) === content(frame);
    const held = { frame, client, isActive: isKnown && before.isActive };
    this.#held.set(frame.key, held);
    if (this.#host.canSend() && !isKnown) this.#say(held);
    else this.#host.tell(held);
  }

  remove(key: string): void {
    const held = this.#held.get(key);
    this.#held.delete(key);
    if (!this.#host.canSend()) return;
    for (const payload of held?.frame.undo ?? []) this.#host.send(payload as Payload);
  }

  /** There is a connection. */
  sayAll(): void {
    for (const held of this.#held.values()) this.#say(held);
  }

  /** The connection is gone. */
  lost(): void {
    for (const held of this.#held.values()) held.isActive = false;
  }

  /** The server has said something, perhaps that it agrees. */
  heard(read: Readable): void {
    for (const held of this.#held.values()) {
      if (held.isActive || !held.frame.confirm || !matches(held.frame.confirm, read)) continue;
      held.isActive = true;
      this.#host.tell(held);
    }
  }

  #say(held: Subscription): void {
    for (const payload of held.frame.send ?? []) this.#host.send(payload as Payload);
    held.isActive = !held.frame.confirm;
    this.#host.tell(held);
  }
}
