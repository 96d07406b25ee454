// The guard of one direction of a session: which messages pass, of which shape, and how many in a while.

import type { Clock } from "../browser-api.js";
import type { GuardLine, OpenOptions, WireError } from "../wire.js";
import { fits, whenFault } from "./filter.js";
import { linkError } from "./link.js";
import { isObject, pointerFault, type Readable, valueAt } from "./rules.js";

const MAX_LINES = 64;
/** The types, with their articles for messages. */
const TYPES: Record<string, string> = {
  string: "a string",
  number: "a number",
  integer: "an integer",
  boolean: "a boolean",
  object: "an object",
  array: "an array",
  null: "null",
};

/** Messages of one line that may still pass, in thousandths, as of a moment. */
interface Bucket {
  left: number;
  asOf: number;
}

/** The guard of one direction. */
export class Guard {
  readonly #clock: Clock;
  #buckets = new Map<number, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a message for the rates. Returns why it does not pass. */
  check(lines: GuardLine[] = [], message: Readable): WireError | undefined {
    const at = lines.findIndex(({ when }) => fits(when, message));
    const line = lines[at];
    if (!line) return undefined;
    const what = message.event === undefined ? "the message" : `the event \`${message.event.slice(0, 64)}\``;
    const refused = `${what} is refused by the session's \`guard\``;
    if (line.do === "deny") return linkError("bad-frame", `${refused}: line ${at + 1} denies it`, "no");
    const fault = typesFault(line.types, message);
    if (fault) return linkError("bad-frame", `${refused}: ${fault}`, "no");
    const { rate } = line;
    if (!rate || this.#take(at, rate)) return undefined;
    return linkError(
      "rate-limited",
      `${what} exceeds the rate limit: ${rate.messages} in ${rate.per} ms`,
      "later",
    );
  }

  /** The lines have changed: resets the rates. */
  reset(): void {
    this.#buckets.clear();
  }

  #take(at: number, { messages, per }: NonNullable<GuardLine["rate"]>): boolean {
    const full = messages * 1000;
    const now = this.#clock.now();
    const bucket = this.#buckets.get(at) ?? { left: full, asOf: now };
    this.#buckets.set(at, bucket);
    const gained = Math.floor(((now - bucket.asOf) * full) / per);
    if (gained > 0) Object.assign(bucket, { left: Math.min(full, bucket.left + gained), asOf: now });
    if (bucket.left < 1000) return false;
    bucket.left -= 1000;
    return true;
  }
}

/** What is wrong with the shape of a message. */
function typesFault(types: GuardLine["types"] = {}, message: Readable): string | undefined {
  for (const [pointer, word] of Object.entries(types)) {
    const wanted = word.replace("?", "");
    const value = valueAt(message.json, pointer);
    if (value === undefined) {
      if (!word.endsWith("?")) return `\`${pointer}\` is missing; it must be ${TYPES[wanted]}`;
      continue;
    }
    const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    const isGood = wanted === "integer" ? Number.isInteger(value) : type === wanted;
    if (!isGood) return `\`${pointer}\` is ${TYPES[type]}; it must be ${TYPES[wanted]}`;
  }
  return undefined;
}

/** What is wrong with the option `guard`. */
export function guardFault(guard: OpenOptions["guard"]): string | undefined {
  for (const lines of [guard?.send ?? [], guard?.receive ?? []]) {
    if (lines.length > MAX_LINES) return `it has more than ${MAX_LINES} lines for one direction`;
    for (const line of lines) {
      const fault = isObject(line) ? lineFault(line) : "a line is an object";
      if (fault) return fault;
    }
  }
  return undefined;
}

function lineFault({ when, do: action, types = {}, rate }: GuardLine): string | undefined {
  if (action !== undefined && action !== "allow" && action !== "deny") {
    return `\`${action}\` is neither \`allow\` nor \`deny\``;
  }
  for (const [pointer, word] of Object.entries(types)) {
    const fault = pointerFault(pointer);
    if (fault) return fault;
    if (!Object.hasOwn(TYPES, String(word).replace(/\?$/, ""))) return `\`${word}\` is not a type`;
  }
  if (rate && !(rate.messages >= 1 && rate.per >= 1)) return "`rate` has `messages` and `per`, at least 1";
  return whenFault(when);
}
