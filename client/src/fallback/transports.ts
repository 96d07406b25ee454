// Which of several transports a session uses: the next one after failures, the best one again from time to time. It dials
// nothing.

/** Dials that may fail before the next transport is tried. */
const FAILURES = 2;

/** A position in a list of transports; the first is the best. */
export class TransportChoice {
  #index = 0;
  #failures = 0;
  /** This transport has connected: failures do not count against it. */
  #isProven = false;
  /** A better one is being tried; this one worked. */
  #from: number | undefined;

  get index(): number {
    return this.#index;
  }

  /** Begins with the best one. */
  reset(): void {
    this.#index = 0;
    this.#failures = 0;
    this.#isProven = false;
    this.#from = undefined;
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
