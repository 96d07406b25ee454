// Errors received over the port, as errors of this page.

import { LongwireError } from "../errors.js";
import type { PlainError } from "../relay/messages.js";
import type { Retry } from "../wire.js";

/** The error that JSON describes. */
export function fromPlain({ code, message, ...more }: PlainError): LongwireError {
  return new LongwireError(code, message, more as { retry: Retry });
}
