// An acknowledgement that somebody waits for: told once, or why there is none. It asks for nothing itself.

/** Takes an acknowledgement, or why there is none. */
export interface Taker {
  take(args: unknown[]): void;
  fail?(error: Error): void;
}

/** Sees to it that `taker` is told once: by `end`, or after `limit` milliseconds, when `signal` is given too. */
export function awaited(
  taker: Taker | undefined,
  limit: number | undefined,
): { end(call: (taker: Taker) => void): void; signal: AbortSignal } {
  const over = new AbortController();
  let waiting = taker;
  const end = (call: (taker: Taker) => void) => {
    const taker = waiting;
    waiting = undefined;
    clearTimeout(timer);
    if (taker) call(taker);
  };
  const timer =
    limit === undefined
      ? undefined
      : setTimeout(() => {
          end(({ fail }) => fail?.(new Error("operation has timed out")));
          over.abort();
        }, limit);
  return { end, signal: over.signal };
}
