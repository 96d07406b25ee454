// Converts values of the application to payloads on the wire, and back. It neither sends nor stores.

import type { EventPayload, Payload } from "./wire.js";

/** Data that can be sent: text, bytes, or any JSON value. */
export type Sendable = string | ArrayBuffer | ArrayBufferView | JsonValue;
type JsonValue = null | boolean | number | object;

/** The content of a message: a Blob becomes its bytes when it is sent. */
export type SendContent = Payload | EventPayload | Blob;

/** The payload of a value: strings as text, buffers and views as bytes, everything else as JSON. */
export function toPayload(data: Sendable): Payload {
  if (typeof data === "string") return { text: data.toWellFormed() };
  const bytes = toBytes(data);
  if (bytes) return { base64: toBase64(bytes) };
  // A Blob gives its bytes later, and would be `{}` as JSON. Only `send` can wait for them.
  const encoded = isBlob(data) ? undefined : JSON.stringify(data);
  if (!encoded) throw new TypeError("longwire: this value cannot be sent as JSON");
  return { json: JSON.parse(encoded) };
}

/** The bytes of a buffer or view of any realm, without copying; undefined for anything else. */
export function toBytes(data: unknown): Uint8Array | undefined {
  if (isArrayBuffer(data)) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return undefined;
}

/** Whether it is an `ArrayBuffer`, also one of a frame. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return hasBrand(value, ArrayBuffer, "byteLength");
}

/** Whether it is a `Blob`, also one of a frame. */
export function isBlob(value: unknown): value is Blob {
  return hasBrand(value, Blob, "size");
}

/** The bytes of a Blob as a payload. */
export async function blobPayload(blob: Blob): Promise<Payload> {
  return { base64: toBase64(new Uint8Array(await Blob.prototype.arrayBuffer.call(blob))) };
}

/** Whether a getter of a built-in class accepts the value, which it does for objects of every realm. */
function hasBrand(value: unknown, Class: new () => object, attribute: string): boolean {
  try {
    Reflect.get(Class.prototype, attribute, value);
    return true;
  } catch {
    return false;
  }
}

/** Base64 with padding. */
export function toBase64(bytes: Uint8Array & { toBase64?(): string }): string {
  if (bytes.toBase64) return bytes.toBase64();
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

/** The bytes of base64 text. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = Uint8Array as { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
  if (native.fromBase64) return native.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** Length of a text in UTF-8 bytes. */
export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
