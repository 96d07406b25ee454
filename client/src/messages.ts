// Unpacks several messages that arrived in one frame.

import type { MessageFields, Messages } from "./wire.js";

/** The messages of the frame, as if each had arrived in its own. */
export function unroll({ text, json, ...fields }: Messages): MessageFields[] {
  return (text ?? json ?? []).map((_, index) => ({
    ...fields,
    type: "message",
    seq: fields.seq + index,
    text: text?.[index],
    json: json?.[index],
  }));
}
