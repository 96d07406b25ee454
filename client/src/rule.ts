// Matches a message against a rule: JSON pointers and values. It does not filter in the broker; that is the broker's.

import type { Received } from "./received.js";
import type { Rule } from "./wire.js";

/** Whether every value of the rule is equal; an array means any of. `event` and `namespace` may stand beside pointers. */
export function matches(rule: Rule, message: Received): boolean {
  const value = message.json ?? message.args ?? parse(message.text);
  return Object.entries(rule).every(([pointer, wanted]) => {
    const found = pointer === "event" || pointer === "namespace" ? message[pointer] : at(value, pointer);
    return Array.isArray(wanted) ? wanted.some((one) => equal(one, found)) : equal(wanted, found);
  });
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function at(value: unknown, pointer: string): unknown {
  let here: unknown = value;
  for (const step of pointer.split("/").slice(1)) {
    if (typeof here !== "object" || here === null) return undefined;
    here = (here as Record<string, unknown>)[step.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return here;
}

function equal(one: unknown, other: unknown): boolean {
  return one === other || (typeof one === "object" && JSON.stringify(one) === JSON.stringify(other));
}
