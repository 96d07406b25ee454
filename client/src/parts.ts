// Splits frames that are too large for native messaging, and joins them again. It does not read them.

import type { Part } from "./wire.js";

/**
 * UTF-16 units in one slice. A unit takes at most three bytes (a quote or backslash two), so a slice stays below
 * 1 MiB on the pipe whatever it holds.
 */
export const SLICE = 320 * 1024;

/** The parts of one encoded frame, in order. Surrogate pairs are never cut. */
export function split(encoded: string, part: string, slice: number = SLICE): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < encoded.length; ) {
    const data = encoded.slice(at, at + slice).replace(/[\ud800-\udbff]$/, "");
    at += data.length;
    parts.push({ type: "part", part, index: parts.length, last: at === encoded.length, data });
  }
  return parts;
}

/** Joins the parts that arrive on one port. Make a new one for every port. */
export class Joiner {
  #open = new Map<string, string[]>();

  /** Takes a part; returns the whole frame with its last one. A part out of order drops its frame, which is sent again. */
  take({ part, index, last, data }: Part): unknown {
    const slices = index === 0 ? [] : this.#open.get(part);
    this.#open.delete(part);
    if (slices?.length !== index) return undefined;
    slices.push(data);
    if (last) return JSON.parse(slices.join(""));
    this.#open.set(part, slices);
    return undefined;
  }
}
