// Waits for one acknowledgement. It requests nothing itself.

/** Receives an acknowledgement, or the error if there is none. */
export interface AckHandler {
  take(args: unknown[]): void;
  fail?(error: Error): void;
}

/** Calls `handler` once: by `end`, or after `limit` milliseconds, when `signal` aborts as well. */
export function awaitAck(
  handler: AckHandler | undefined,
  limit: number | undefined,
): { end(call: (handler: AckHandler) => void): void; signal: AbortSignal } {
  const over = new AbortController();
  let waiting = handler;
  const end = (call: (handler: AckHandler) => void) => {
    const handler = waiting;
    waiting = undefined;
    clearTimeout(timer);
    if (handler) call(handler);
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
