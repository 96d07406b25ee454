// Takes a run of messages apart that came in one frame. It hands none out.

import type { MessageFields, Messages } from "./wire.js";

/** The messages of a run, as if each had come by itself. */
export function unroll({ session, seq, time, redelivered, text, json }: Messages): MessageFields[] {
  return (text ?? json ?? []).map((_, index) => ({
    type: "message",
    session,
    seq: seq + index,
    time,
    redelivered,
    text: text?.[index],
    json: json?.[index],
  }));
}
