// The filter of one client: what becomes of each message before it is delivered to that client. It judges a message once, when
// it arrives, and removes nothing itself.

import type { Filter, Rule, SessionCounters } from "../wire.js";
import {
  canonical,
  isObject,
  matches,
  pointerFault,
  type Readable,
  stepsOf,
  termsFault,
  valueAt,
} from "./rules.js";

/** How a client sees a message that it does not simply get: not at all, later, or only what is at these pointers. */
export type View = "not" | "held" | string[];

/** What a filter decides about a message. */
export interface FilterDecision {
  readonly view?: View;
  readonly counts?: keyof NonNullable<SessionCounters["filtered"]>;
  /** The number of the message that it replaces, if that one still waits. */
  readonly replaces?: number | undefined;
  /** The message got this number. */
  numbered?(seq: number): void;
}

/** Lines of one subscription, and of one client. */
const MAX_LINES = 64;
const MAX_CLIENT_LINES = 1024;
/** Values of `key` that one line remembers. Beyond that more is delivered than was asked for, never less. */
const MAX_VALUES = 4096;
/** For `sample` without a rate, in milliseconds. */
const INTERVAL = 1000;
const KINDS = ["text", "json", "base64", "args"];
const ACTIONS = ["deliver", "drop", "hold", "conflate", "sample", "project"];

/** Whether a message is meant by the `when` of a line. */
export function fits(when: Rule = {}, message: Readable): boolean {
  const { kind, size, ...rule } = when as Rule & { kind?: string | string[]; size?: Size };
  const { min = 0, max = Number.POSITIVE_INFINITY } = size ?? {};
  return (
    (size === undefined || (message.size >= min && message.size <= max)) &&
    (kind === undefined || [kind].flat().includes(message.kind)) &&
    matches(rule, message)
  );
}

interface Size {
  min?: number;
  max?: number;
}

/** What is wrong with the `when` of a line. */
export function whenFault(when: unknown): string | undefined {
  if (when === undefined) return undefined;
  if (!isObject(when)) return "`when` is an object of conditions";
  const { kind, size, ...rule } = when;
  const odd = kind === undefined ? undefined : [kind].flat().find((one) => !KINDS.includes(one as string));
  if (odd !== undefined) return `\`${odd}\` is not a kind; known: ${KINDS.join(", ")}`;
  const isSize = (one: unknown) => Number.isSafeInteger(one) && (one as number) >= 0;
  if (size !== undefined) {
    const good =
      isObject(size) && Object.entries(size).every(([name, one]) => /^m(in|ax)$/.test(name) && isSize(one));
    if (!good) return "`size` has `min` and `max`, whole numbers";
  }
  return termsFault(rule);
}

/** What is wrong with the filter of a subscription. */
export function filterFault(lines: Filter[] | undefined): string | undefined {
  if (!lines) return undefined;
  if (lines.length > MAX_LINES) return `a filter has at most ${MAX_LINES} lines`;
  for (const line of lines) {
    const fault = whenFault(line.when) ?? actionFault(line);
    if (fault) return fault;
  }
  return undefined;
}

function actionFault({ do: action, key, every, interval, keep }: Filter): string | undefined {
  if (action === undefined) return "`do` is missing";
  if (!ACTIONS.includes(action)) return `\`${action}\` is not a filter action`;
  const rates = [every, interval].filter((rate) => rate !== undefined);
  if (action === "sample" && (rates.length > 1 || rates.some((rate) => !(rate >= 1)))) {
    return "`sample` requires `every` or `interval`, at least 1";
  }
  if (action === "project" && !(keep && keep.length >= 1 && keep.length <= MAX_LINES)) {
    return `\`project\` needs \`keep\`, 1 to ${MAX_LINES} JSON pointers`;
  }
  return [...(key === undefined ? [] : [key]), ...(keep ?? [])].map(pointerFault).find(Boolean);
}

/** A line, and what it remembers by the values at its `key`: the newest number, the count, or the time. */
interface HeldLine {
  readonly key: string;
  readonly line: Filter;
  readonly values: Map<string, number>;
}

/** The lines of all subscriptions of one client, in the order in which their keys were first subscribed. */
export class ClientFilter {
  #lines: HeldLine[] = [];

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** Sets the lines of one subscription. Returns false if there are too many. */
  set(key: string, lines: Filter[]): boolean {
    const others = this.#lines.filter((held) => held.key !== key);
    if (others.length + lines.length > MAX_CLIENT_LINES) return false;
    const first = this.#lines.findIndex((held) => held.key === key);
    const at = first < 0 ? others.length : first;
    others.splice(at, 0, ...lines.map((line) => ({ key, line, values: new Map<string, number>() })));
    this.#lines = others;
    return true;
  }

  /** Removes the lines of one subscription. Returns whether there were any. */
  delete(key: string): boolean {
    const before = this.#lines.length;
    this.#lines = this.#lines.filter((held) => held.key !== key);
    return this.#lines.length < before;
  }

  /** The first line that matches decides. */
  judge(message: Readable, now: number): FilterDecision {
    const held = this.#lines.find(({ line }) => fits(line.when, message));
    if (!held) return {};
    const { line, values } = held;
    if (line.do === "drop") return { view: "not", counts: "dropped" };
    if (line.do === "hold") return { view: "held", counts: "held" };
    if (line.do === "project") return { view: line.keep ?? [], counts: "projected" };
    if (line.do === "deliver") return {};
    const value = line.key === undefined ? "" : canonical(valueAt(message.json, line.key));
    if (line.do === "conflate") {
      return { replaces: values.get(value), numbered: (seq) => remember(values, value, seq) };
    }
    return samples(held, value, now) ? {} : { view: "not", counts: "sampled" };
  }
}

function samples({ line, values }: HeldLine, value: string, now: number): boolean {
  const last = values.get(value);
  if (line.every !== undefined) {
    const count = last === undefined ? 0 : (last + 1) % line.every;
    remember(values, value, count);
    return count === 0;
  }
  const isDue = last === undefined || now >= last + (line.interval ?? INTERVAL);
  if (isDue) remember(values, value, now);
  return isDue;
}

function remember(values: Map<string, number>, value: string, number: number): void {
  if (values.size >= MAX_VALUES && !values.has(value)) values.clear();
  values.set(value, number);
}

/** What is at these pointers of a value, each in its place. Elements that are left out become `null`. */
export function project(value: unknown, keep: readonly string[]): unknown {
  return part(value, keep.filter((pointer) => valueAt(value, pointer) !== undefined).map(stepsOf));
}

function part(value: unknown, paths: string[][]): unknown {
  if (paths.some((path) => path.length === 0)) return value;
  const inside = (key: string) => paths.filter(([first]) => first === key).map(([, ...rest]) => rest);
  if (!Array.isArray(value)) {
    const kept = Object.entries(isObject(value) ? value : {}).filter(([key]) => inside(key).length > 0);
    return Object.fromEntries(kept.map(([key, one]) => [key, part(one, inside(key))]));
  }
  const last = Math.max(-1, ...paths.map(([first]) => Number(first)));
  return value
    .slice(0, last + 1)
    .map((one, at) => (inside(`${at}`).length > 0 ? part(one, inside(`${at}`)) : null));
}
