// Bytes among the arguments of an event: objects `{"$base64": "..."}` on the wire, ArrayBuffers for the developer. It does not
// know events.

import { fromBase64, isBlob, toBase64, toBytes } from "../payload.js";

/** An object of the application that looks like a marker has its dollar signs doubled. */
const MARKER = /^\$+base64$/;

function only(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length === 1 && MARKER.test(keys[0] as string) ? keys[0] : undefined;
}

/** A copy that can be sent as JSON: buffers and views become markers. Throws on a Blob, whose bytes cannot be read at once. */
export function marked(args: unknown[]): unknown[] {
  return JSON.parse(
    JSON.stringify(args, function (this: Record<string, unknown>, key, value) {
      // The value as it was before `toJSON`.
      const given = this[key];
      const bytes = toBytes(given);
      if (bytes) return new Marked(toBase64(bytes));
      if (isBlob(given)) {
        throw new TypeError("longwire: a Blob cannot be sent; send `await blob.arrayBuffer()`");
      }
      const own = value instanceof Marked ? undefined : only(value);
      return own ? { [own.replaceAll("$", "$$$$")]: value[own] } : value;
    }),
  );
}

class Marked {
  readonly $base64: string;
  constructor(text: string) {
    this.$base64 = text;
  }
}

/** A copy in which markers are ArrayBuffers again. */
export function unmarked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmarked);
  if (typeof value !== "object" || value === null) return value;
  const own = only(value);
  const fields = value as Record<string, unknown>;
  if (own === "$base64") return fromBase64(String(fields[own])).buffer;
  const name = (key: string) => (own ? key.slice((own.length - "base64".length) / 2) : key);
  return Object.fromEntries(Object.entries(fields).map(([key, inner]) => [name(key), unmarked(inner)]));
}
