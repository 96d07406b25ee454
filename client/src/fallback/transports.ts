// Which of several transports a session uses, and with which target: the next one after failures, the best one again from time
// to time. It dials nothing.

import type { OpenOptions } from "../wire.js";
import type { Target } from "./link.js";
import { protocolsOf } from "./options.js";

/** Dials that may fail before the next transport is tried. */
const FAILURES = 2;

/** A position in a list of transports; the first is the best. */
export class TransportChoice {
  /** By the index of their transport. */
  readonly #targets: Target[] = [];
  #index = 0;
  #failures = 0;
  /** This transport has connected: failures do not count against it. */
  #isProven = false;
  /** A better one is being tried; this one worked. */
  #from: number | undefined;

  get index(): number {
    return this.#index;
  }

  /** The target of the chosen transport, with the state for its next connection. */
  target(url: string, options: OpenOptions): Target {
    this.#targets[this.#index] ??= newTarget(url, options, this.#index);
    return this.#targets[this.#index] as Target;
  }

  /** A dial failed. Returns whether to dial at once, with another transport. */
  failed(count: number): boolean {
    if (this.#from !== undefined) {
      this.#index = this.#from;
      this.#from = undefined;
      return true;
    }
    this.#failures += 1;
    if (this.#isProven || this.#failures < FAILURES) return false;
    this.#failures = 0;
    this.#index = (this.#index + 1) % Math.max(count, 1);
    return this.#index !== 0;
  }

  opened(): void {
    this.#failures = 0;
    this.#from = undefined;
    this.#isProven = true;
  }

  /** The best transport is tried once. */
  probeBest(): void {
    this.#from = this.#index;
    this.#index = 0;
  }
}

function newTarget(url: string, options: OpenOptions, index: number): Target {
  const { subprotocols = [], headers = {}, urls } = options;
  const protocol = protocolsOf(options)[index] ?? "websocket";
  return { protocol, url: urls?.[protocol] ?? url, subprotocols: [...subprotocols], headers, options };
}
