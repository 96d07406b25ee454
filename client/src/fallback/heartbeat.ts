// An application's own beats on one connection. A browser's WebSocket has no pings for scripts, so without a `message` there
// are none; a stream or polled server without data for too long is detected without pings.

import type { Clock } from "../browser-api.js";
import type { OpenOptions, Protocol } from "../wire.js";
import { valueOnPath } from "./login.js";
import { type MessageContent, matches, type Readable } from "./rules.js";

const INTERVAL = 20_000;
const TIMEOUT = 10_000;

/** The beats of one connection. */
export class Heartbeat {
  readonly #options: Exclude<OpenOptions["heartbeat"], false | undefined>;
  readonly #clock: Clock;
  readonly #send: (content: MessageContent) => void;
  readonly #late: () => void;
  /** There is no ping: no data for both times means that the connection is lost. */
  readonly #onlyListens: boolean;
  #interval: number;
  #beat: unknown;
  #deadline: unknown;

  /** `late` is called when the server has sent nothing for too long. */
  constructor(
    options: OpenOptions["heartbeat"],
    protocol: Protocol,
    clock: Clock,
    send: (content: MessageContent) => void,
    late: () => void,
  ) {
    this.#options = options || {};
    this.#interval = this.#options.interval ?? INTERVAL;
    this.#onlyListens = !!options && !options.message && (protocol === "sse" || protocol === "poll");
    this.#clock = clock;
    this.#send = send;
    this.#late = late;
    this.#restart();
  }

  /** Data has arrived. */
  alive(): void {
    const { expect, message, always } = this.#options;
    if (this.#deadline !== undefined && !(expect && message)) this.#answered();
    if (!always && this.#deadline === undefined) this.#restart();
  }

  /** Adopts the interval from a message of the server. */
  adjust(message: Readable): void {
    const { intervalFrom, always } = this.#options;
    if (intervalFrom === undefined) return;
    const seconds = Number(valueOnPath(message.json, intervalFrom) ?? Number.NaN);
    if (!Number.isInteger(seconds) || seconds < 0) return;
    const most = Math.max(1, seconds) * 800;
    if (most >= this.#interval) return;
    this.#interval = most;
    if (always || this.#deadline === undefined) this.#restart();
  }

  /** Returns whether a message is a beat, which is not delivered. */
  onMessage(message: Readable): boolean {
    const { expect, answers = [] } = this.#options;
    if (this.#deadline !== undefined && expect && matches(expect, message)) {
      this.#answered();
      if (!this.#options.always) this.#restart();
      return true;
    }
    const answer = answers.find(({ when }) => matches(when, message));
    if (answer?.send) this.#send(answer.send);
    return answer !== undefined;
  }

  stop(): void {
    this.#clock.clearTimeout(this.#beat);
    this.#clock.clearTimeout(this.#deadline);
  }

  #answered(): void {
    this.#clock.clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  #restart(): void {
    const { message, timeout = TIMEOUT } = this.#options;
    if (!message && !this.#onlyListens) return;
    this.#clock.clearTimeout(this.#beat);
    const [call, delay] = message
      ? [() => this.#ask(message), this.#interval]
      : [this.#late, this.#interval + timeout];
    this.#beat = this.#clock.setTimeout(call, delay);
  }

  #ask(message: MessageContent): void {
    this.#send(message);
    this.#deadline ??= this.#clock.setTimeout(this.#late, this.#options.timeout ?? TIMEOUT);
    if (this.#options.always) this.#restart();
  }
}
