// Cuts frames that are too big for the pipe and joins them again. It knows nothing of what the frames say.

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
    let end = Math.min(at + slice, encoded.length);
    if (end < encoded.length && isHighSurrogate(encoded.charCodeAt(end - 1))) end -= 1;
    const last = end === encoded.length;
    parts.push({ type: "part", part, index: parts.length, last, data: encoded.slice(at, end) });
    at = end;
  }
  return parts;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** Joins the parts that arrive on one port. Make a new one for every port. */
export class Joiner {
  #open = new Map<string, string[]>();

  /** Takes a part; returns the whole frame with its last one. A part out of order drops its frame, which is sent again. */
  take(part: Part): unknown {
    const slices = part.index === 0 ? [] : this.#open.get(part.part);
    if (slices?.length !== part.index) {
      this.#open.delete(part.part);
      return undefined;
    }
    slices.push(part.data);
    if (!part.last) {
      this.#open.set(part.part, slices);
      return undefined;
    }
    this.#open.delete(part.part);
    try {
      return JSON.parse(slices.join(""));
    } catch {
      return undefined;
    }
  }
}
