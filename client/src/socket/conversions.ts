// Conversions of arguments as WebIDL defines them, for values of this realm and of others. It knows nothing of sockets.

import { isArrayBuffer } from "../payload.js";

/** `USVString`: a symbol throws. */
export function usvString(value: unknown): string {
  return `${value as string}`.toWellFormed();
}

/** `[Clamp] unsigned short`: a symbol or a BigInt throws. */
export function clampedShort(value: unknown): number {
  const number = +(value as number);
  const clamped = Math.min(Math.max(number || 0, 0), 65535);
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** `(DOMString or sequence<DOMString>)`: what cannot be iterated is one string, `null` included. */
export function stringOrSequence(value: unknown): string[] {
  const isObject = (typeof value === "object" || typeof value === "function") && value !== null;
  const iterator = isObject ? (value as Partial<Iterable<unknown>>)[Symbol.iterator] : undefined;
  if (iterator === undefined || iterator === null) return [`${value as string}`];
  if (typeof iterator !== "function") throw new TypeError("The protocols' @@iterator is not callable");
  return [...(value as Iterable<unknown>)].map((one) => `${one as string}`);
}

/** The bytes of a buffer or view, without copying; undefined for anything else. Throws as `[AllowShared]` is not there. */
export function bytesOf(data: unknown): Uint8Array<ArrayBuffer> | undefined {
  const isView = ArrayBuffer.isView(data);
  const buffer: unknown = isView ? data.buffer : data;
  if (!isArrayBuffer(buffer)) {
    const isShared = isView || Object.prototype.toString.call(buffer) === "[object SharedArrayBuffer]";
    if (isShared) throw new TypeError("A shared buffer cannot be sent");
    return undefined;
  }
  if ((buffer as { resizable?: boolean }).resizable) throw new TypeError("A resizable buffer cannot be sent");
  const { byteOffset, byteLength } = isView ? data : { byteOffset: 0, byteLength: buffer.byteLength };
  // A detached buffer is empty, and no view of it can be made.
  return byteLength === 0 ? new Uint8Array() : new Uint8Array(buffer, byteOffset, byteLength);
}
