// WebIDL: conversions of arguments, for values of this realm and of others, and the properties of an interface. It does not
// know the socket.

import { isArrayBuffer, toBytes } from "../payload.js";

/** `USVString`: a symbol throws. */
export function usvString(value: unknown): string {
  return `${value as string}`.toWellFormed();
}

/** `[Clamp] unsigned short`: a symbol or a BigInt throws. */
export function clampedShort(value: unknown): number {
  const clamped = Math.min(Math.max(+(value as number) || 0, 0), 65535);
  // A half goes to the even neighbour.
  return clamped % 2 === 0.5 ? Math.floor(clamped) : Math.round(clamped);
}

/** `(DOMString or sequence<DOMString>)`: what cannot be iterated is one string, `null` included. */
export function stringOrSequence(value: unknown): string[] {
  const isObject = Object(value) === value;
  const iterator = isObject ? (value as Partial<Iterable<unknown>>)[Symbol.iterator] : undefined;
  if (iterator === undefined || iterator === null) return [`${value as string}`];
  if (typeof iterator !== "function") throw new TypeError("The protocols' @@iterator is not callable");
  return [...(value as Iterable<unknown>)].map((one) => `${one as string}`);
}

/** The bytes of a buffer or view, without copying; undefined for anything else. Throws as `[AllowShared]` is not there. */
export function bytesOf(data: unknown): Uint8Array | undefined {
  const isView = ArrayBuffer.isView(data);
  const buffer: unknown = isView ? data.buffer : data;
  const isOwn = isArrayBuffer(buffer);
  const isShared = isView || Object.prototype.toString.call(buffer) === "[object SharedArrayBuffer]";
  if (isOwn ? (buffer as { resizable?: boolean }).resizable : isShared) {
    throw new TypeError("A shared or resizable buffer cannot be sent");
  }
  // A detached buffer is empty, and no view of it can be made.
  return isOwn && buffer.byteLength === 0 ? new Uint8Array() : toBytes(data);
}

/** Makes a class an interface: enumerable members except `session`, constants, and a name that minifiers keep. */
export function defineInterface(
  name: string,
  Class: { readonly prototype: object },
  constants: Record<string, number>,
): void {
  const { prototype } = Class;
  for (const member of Object.getOwnPropertyNames(prototype)) {
    const isStandard = member !== "constructor" && member !== "session";
    if (isStandard) Object.defineProperty(prototype, member, { enumerable: true });
  }
  for (const [constant, value] of Object.entries(constants)) {
    for (const target of [Class, prototype]) {
      Object.defineProperty(target, constant, { value, enumerable: true });
    }
  }
  Object.defineProperty(Class, "name", { value: name });
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}
