// The subscriptions of one session, sent again on every connection. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type { Subscribe, Subscription as SubscriptionFrame } from "../wire.js";
import { type MessageContent, matches, type Readable } from "./rules.js";

/** A subscription and its state on the current connection. */
interface SentSubscription {
  readonly frame: Subscribe;
  state: SubscriptionFrame["state"];
  /** Waits for the confirmation. */
  timer: unknown;
}

/** What the subscriptions need from their session. */
export interface SubscriptionsHost {
  /** Whether the connection is ready. */
  isReady(): boolean;
  send(content: MessageContent): void;
  /** Reports a state to the clients. */
  report(key: string, state: SubscriptionFrame["state"]): void;
}

/** Subscriptions of one session, at most. */
const MAX = 1024;
/** Milliseconds that a confirmation may take. */
const CONFIRM_TIMEOUT = 10_000;

/** The subscriptions of one session. */
export class Subscriptions {
  readonly #clock: Clock;
  readonly #host: SubscriptionsHost;
  readonly #held = new Map<string, SentSubscription>();

  constructor(clock: Clock, host: SubscriptionsHost) {
    this.#clock = clock;
    this.#host = host;
  }

  /** Keys and states, as `opened` has them. */
  get states(): { key: string; state: SubscriptionFrame["state"] }[] {
    return [...this.#held].map(([key, { state }]) => ({ key, state }));
  }

  /** Whether there is room for a subscription with this key. */
  hasRoomFor(key: string): boolean {
    return this.#held.has(key) || this.#held.size < MAX;
  }

  /** Adds a subscription. An active, unchanged one is not sent again. */
  add(frame: Subscribe): void {
    const { key } = frame;
    const before = this.#held.get(key);
    const isReady = this.#host.isReady();
    const content = (one: Subscribe | undefined) => JSON.stringify([one?.send, one?.undo, one?.confirm]);
    const stands = isReady && before?.state !== "failed" && content(before?.frame) === content(frame);
    if (before && stands) {
      this.#host.report(key, before.state);
      return;
    }
    if (before) this.#stopTimer(before);
    const held: SentSubscription = { frame, state: "pending", timer: undefined };
    this.#held.set(key, held);
    if (isReady) this.#send(held);
    else this.#host.report(key, "pending");
  }

  /** Removes a subscription. Returns whether there was one. */
  remove(key: string): boolean {
    const held = this.#held.get(key);
    if (!held) return false;
    this.#held.delete(key);
    this.#stopTimer(held);
    if (this.#host.isReady()) for (const content of held.frame.undo ?? []) this.#host.send(content);
    return true;
  }

  /** Sends all subscriptions on a new connection. */
  sendAll(): void {
    for (const held of this.#held.values()) this.#send(held);
  }

  /** The connection ended. */
  lost(): void {
    for (const held of this.#held.values()) {
      held.state = "pending";
      this.#stopTimer(held);
    }
  }

  /** Checks whether a message confirms a subscription. */
  onMessage(read: Readable): void {
    for (const held of this.#held.values()) {
      const { confirm } = held.frame;
      if (held.timer !== undefined && confirm && matches(confirm, read)) this.#enter(held, "active");
    }
  }

  #send(held: SentSubscription): void {
    const { send = [], confirm } = held.frame;
    for (const content of send) this.#host.send(content);
    this.#enter(held, confirm ? "pending" : "active");
    if (!confirm) return;
    held.timer = this.#clock.setTimeout(() => this.#enter(held, "failed"), CONFIRM_TIMEOUT);
  }

  #enter(held: SentSubscription, state: SentSubscription["state"]): void {
    this.#stopTimer(held);
    held.state = state;
    this.#host.report(held.frame.key, state);
  }

  #stopTimer(held: SentSubscription): void {
    this.#clock.clearTimeout(held.timer);
    held.timer = undefined;
  }
}
