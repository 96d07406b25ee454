// JSON pointers and rules, as the protocol defines them. It knows no session.

import { utf8Length } from "../payload.js";
import type { Match, Rule } from "../wire.js";

/** What a message of either direction has: a payload, or an event of Socket.IO in its place. */
export interface MessageContent {
  text?: string;
  json?: unknown;
  base64?: string;
  event?: string;
  args?: unknown[];
  namespace?: string;
}

/** The bytes of a message's content. */
export function sizeOf({ text, json, base64, args }: MessageContent): number {
  if (base64 !== undefined) return (base64.length * 3) / 4;
  return utf8Length(text ?? JSON.stringify(json ?? args) ?? "");
}

/** A message for rules. Its text is parsed once, and only if a pointer needs it. */
export class Readable {
  readonly content: MessageContent;
  readonly text: string | undefined;
  /** Missing for what is no event. */
  readonly event: string | undefined;
  #format: "text" | "json";
  #value: { json: unknown } | undefined;
  #size: number | undefined;

  /** `format`: as the option of the session. */
  constructor(content: MessageContent, format: "text" | "json" = "text") {
    this.content = content;
    this.text = content.text;
    this.event = content.event;
    this.#format = format;
  }

  /** The value of the content; undefined for what is not JSON. Of events of Socket.IO, the arguments. */
  get json(): unknown {
    this.#value ??= { json: this.#parse() };
    return this.#value.json;
  }

  get namespace(): string | undefined {
    return this.event === undefined ? undefined : (this.content.namespace ?? "/");
  }

  /** The field that has the content when it is delivered. */
  get kind(): string {
    const { text, base64, args } = this.content;
    if (args) return "args";
    if (base64 !== undefined) return "base64";
    const isValue = text === undefined || (this.#format === "json" && this.json !== undefined);
    return isValue ? "json" : "text";
  }

  get size(): number {
    this.#size ??= sizeOf(this.content);
    return this.#size;
  }

  #parse(): unknown {
    if (this.text === undefined) return this.content.args ?? this.content.json;
    try {
      return JSON.parse(this.text);
    } catch {
      return undefined;
    }
  }
}

/** A message with its value in place of its text. */
export function withJson<Content extends MessageContent>(message: Content, { json }: Readable): Content {
  const { text: _text, ...rest } = message;
  return { ...rest, json } as Content;
}

/** Whether a value is an object and no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The steps of a JSON pointer (RFC 6901). */
export function stepsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The value that a JSON pointer leads to; undefined where it leads nowhere. */
export function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const key of stepsOf(pointer)) {
    if (typeof at !== "object" || at === null) return undefined;
    const isThere = Object.hasOwn(at, key) && (!Array.isArray(at) || /^\d+$/.test(key));
    at = isThere ? (at as Record<string, unknown>)[key] : undefined;
  }
  return at;
}

/** A text that is the same for equal JSON values: members may stand in any order. */
export function canonical(value: unknown): string {
  const sorted = (_: string, one: unknown) =>
    isObject(one) ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1))) : one;
  return JSON.stringify(value, sorted) ?? "";
}

/** Whether two JSON values are equal. */
export function isEqual(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object") return one === other;
  return canonical(one) === canonical(other);
}

/** Terms that are no pointers. */
const WORDS = ["text", "event", "namespace"] as const;
const isWord = (term: string) => (WORDS as readonly string[]).includes(term);

/** Whether a message matches a rule: every value is equal, and an array means any of. */
export function matches(rule: Rule, message: Readable): boolean {
  return Object.entries(rule).every(([term, wanted]) => {
    const actual = isWord(term) ? message[term as (typeof WORDS)[number]] : valueAt(message.json, term);
    if (actual === undefined) return false;
    return Array.isArray(wanted) ? wanted.some((one) => isEqual(one, actual)) : isEqual(wanted, actual);
  });
}

/** The fault of a JSON pointer. */
export function pointerFault(pointer: unknown): string | undefined {
  if (typeof pointer === "string" && /^(\/|$)/.test(pointer)) return undefined;
  return `\`${pointer}\` is not a JSON pointer: it must start with \`/\``;
}

/** What is wrong with the terms of a rule. */
export function termsFault(rule: Rule): string | undefined {
  for (const [term, wanted] of Object.entries(rule)) {
    if (!isWord(term)) {
      const fault = pointerFault(term);
      if (fault) return fault;
      continue;
    }
    const values = [wanted].flat();
    if (values.length === 0) return `\`${term}\` is empty`;
    if (!values.every((value) => typeof value === "string")) {
      return `\`${term}\` must be a string or an array of strings`;
    }
  }
  return undefined;
}

/** What is wrong with a rule. */
export function ruleFault(rule: unknown): string | undefined {
  const isRule = isObject(rule) && Object.keys(rule).length > 0;
  return isRule ? termsFault(rule) : "a rule is an object with at least one JSON pointer";
}

/** The two pointers of a correlation. */
function pointersOf(match: Match): [out: string, incoming: string] {
  return "out" in match ? [match.out, match.in] : ["/id", "/id"];
}

/** Why no answer to a message could be recognised. */
export function matchFault(field: string, match: Match, question: Readable): string | undefined {
  if ("ack" in match) return undefined;
  const [out, incoming] = pointersOf(match);
  const fault = pointerFault(out) ?? pointerFault(incoming);
  if (fault) return `field \`${field}\`: ${fault}`;
  if (valueAt(question.json, out) !== undefined) return undefined;
  return `field \`${field}\`: the payload is not JSON with a value at \`${out}\``;
}

/** Whether `answer` is the answer to `question`. */
export function isAnswer(match: Match, question: Readable, answer: Readable): boolean {
  if ("ack" in match) return false;
  const [out, incoming] = pointersOf(match);
  const wanted = valueAt(question.json, out);
  if (wanted === undefined || !isEqual(wanted, valueAt(answer.json, incoming))) return false;
  // A call of the server's with the same id is no answer.
  return !("jsonrpc" in match) || valueAt(answer.json, "/method") === undefined;
}
