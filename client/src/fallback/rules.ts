// JSON pointers and rules, as the protocol defines them. It knows no session.

import type { Match, Payload, Rule } from "../wire.js";

/** A message as rules see it: its text, and the value that the text is as JSON. */
export interface Readable {
  readonly text?: string | undefined;
  readonly json: unknown;
}

/** Reads a payload for rules. What is no JSON has no `json`. */
export function readable(payload: Partial<Payload>): Readable {
  if (payload.text === undefined) return { json: payload.json };
  try {
    return { text: payload.text, json: JSON.parse(payload.text) };
  } catch {
    return { text: payload.text, json: undefined };
  }
}

/** The value that a JSON pointer (RFC 6901) leads to; undefined where it leads nowhere. */
export function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const step of pointer.split("/").slice(1)) {
    if (typeof at !== "object" || at === null) return undefined;
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    at = Object.hasOwn(at, key) ? (at as Record<string, unknown>)[key] : undefined;
  }
  return at;
}

/** Whether two JSON values are equal. Members may stand in any order. */
export function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every(
    (key) =>
      Object.hasOwn(other, key) &&
      isEqual((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]),
  );
}

/** Whether a message matches a rule: every value is equal, and an array means any of. */
export function matches(rule: Rule, message: Readable): boolean {
  return Object.entries(rule).every(([term, wanted]) => {
    const actual = term === "text" ? message.text : valueAt(message.json, term);
    if (actual === undefined) return false;
    return Array.isArray(wanted) ? wanted.some((one) => isEqual(one, actual)) : isEqual(wanted, actual);
  });
}

/** Whether `answer` is the answer to `question`. */
export function isAnswer(match: Match, question: Readable, answer: Readable): boolean {
  if ("ack" in match) return false;
  const [out, back] = "jsonrpc" in match ? ["/id", "/id"] : [match.out, match.in];
  const wanted = valueAt(question.json, out);
  if (wanted === undefined || !isEqual(wanted, valueAt(answer.json, back))) return false;
  if (!("jsonrpc" in match)) return true;
  const { result, error, method } = answer.json as Record<string, unknown>;
  return method === undefined && (result !== undefined || error !== undefined);
}
