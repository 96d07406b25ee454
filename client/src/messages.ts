// Takes a run of messages apart that came in one frame. It hands none out.

import type { MessageFields, Messages } from "./wire.js";

/** The messages of a run, as if each had come by itself. */
export function unroll({ text, json, ...fields }: Messages): MessageFields[] {
  return (text ?? json ?? []).map((_, index) => ({
    ...fields,
    type: "message",
    seq: fields.seq + index,
    text: text?.[index],
    json: json?.[index],
  }));
}
