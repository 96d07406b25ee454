// Errors that came over the port, as errors of this page. It makes none of its own.

import { LongwireError } from "../errors.js";
import type { PlainError } from "../relay/messages.js";
import type { Retry } from "../wire.js";

/** The error that JSON describes. */
export function fromPlain({ code, message, ...more }: PlainError): LongwireError {
  return new LongwireError(code, message, more as { retry: Retry });
}
