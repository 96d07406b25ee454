// The end of a session as an error, and as a report on its link.

import { LongwireError } from "../errors.js";
import type { CloseReport, EndReason } from "../session-types.js";
import type { Detached } from "../wire.js";

/** The error that rejects pending calls of the session. */
export function endError(name: string, reason: EndReason): LongwireError {
  return reason === "superseded"
    ? new LongwireError(reason, `longwire: another port of this client took over session ${name}`)
    : new LongwireError("session-closed", `longwire: session ${name} has ended (${reason})`);
}

/** How the link ended, if the broker reports it. */
export function closeReport({ code, closeReason, clean }: Detached): CloseReport | undefined {
  return clean === undefined ? undefined : { code, reason: closeReason, clean };
}
