// The subscriptions of one session, sent again on every connection. It does not know the connection.

import type { Payload, Subscribe } from "../wire.js";
import { matches, type Readable } from "./rules.js";

/** A subscription and its client. */
export interface Subscription {
  readonly frame: Subscribe;
  readonly client: string;
  isActive: boolean;
}

/** What the subscriptions need from their session. */
export interface SubscriptionsHost {
  /** Whether messages may be sent now. */
  canSend(): boolean;
  send(payload: Payload): void;
  /** Reports its state to its client. */
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

  /** Adds a subscription. An unchanged one is not sent again. */
  add(client: string, frame: Subscribe): void {
    const before = this.#held.get(frame.key);
    const content = (one: Subscribe | undefined) => JSON.stringify([one?.send, one?.confirm]);
    const isKnown = before !== undefined && content(before.frame) === content(frame);
    const held = { frame, client, isActive: isKnown && before.isActive };
    this.#held.set(frame.key, held);
    if (this.#host.canSend() && !isKnown) this.#send(held);
    else this.#host.tell(held);
  }

  remove(key: string): void {
    const held = this.#held.get(key);
    this.#held.delete(key);
    if (!this.#host.canSend()) return;
    for (const payload of held?.frame.undo ?? []) this.#host.send(payload as Payload);
  }

  /** Sends all subscriptions on a new connection. */
  sendAll(): void {
    for (const held of this.#held.values()) this.#send(held);
  }

  /** The connection ended. */
  lost(): void {
    for (const held of this.#held.values()) held.isActive = false;
  }

  /** Checks whether a message confirms a subscription. */
  onMessage(read: Readable): void {
    for (const held of this.#held.values()) {
      if (held.isActive || !held.frame.confirm || !matches(held.frame.confirm, read)) continue;
      held.isActive = true;
      this.#host.tell(held);
    }
  }

  #send(held: Subscription): void {
    for (const payload of held.frame.send ?? []) this.#host.send(payload as Payload);
    held.isActive = !held.frame.confirm;
    this.#host.tell(held);
  }
}
