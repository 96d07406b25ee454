// The packets of Socket.IO 5: kind, attachments, namespace, id and data, and bytes among arguments. It knows no connection.

import { fromBase64, toBase64 } from "../payload.js";
import { isObject, type MessageContent } from "./rules.js";

/** A packet of Engine.IO: text, or the bytes of an attachment. */
export type Packet = string | Uint8Array;

/** What a packet of the server means. */
export type ServerEvent =
  | { type: "connected"; namespace: string; pid: string | undefined }
  | { type: "refused"; namespace: string; why: string; data: unknown }
  | { type: "disconnected"; namespace: string }
  | {
      type: "event";
      namespace: string;
      content: MessageContent;
      id: number | undefined;
      offset: string | undefined;
    }
  | { type: "acknowledged"; id: number | undefined; content: MessageContent }
  | { type: "old" }
  | { type: "malformed"; why: string };

/** Attachments of one packet, at most. */
export const MAX_ATTACHMENTS = 1024;
/** The only key of an object that stands for bytes. An object of the user's that looks like it has more dollar signs. */
const MARK = /^\$+base64$/;

/** A namespace without its query. */
export function bare(namespace: string): string {
  return namespace.split("?")[0] as string;
}

/** The packet that joins a namespace. */
export function connectPacket(namespace: string, data: object): string {
  const said = Object.keys(data).length > 0 ? JSON.stringify(data) : "";
  return `0${prefix(namespace)}${said}`;
}

/** The packets of an event. `id`: it shall be acknowledged. */
export function eventPackets({ event, args = [], namespace }: MessageContent, id?: number): Packet[] {
  return packets(2, namespace, id, args, event ?? "");
}

/** The packets that acknowledge an event. */
export function replyPackets(namespace: string, id: number, args: unknown[]): Packet[] {
  return packets(3, namespace, id, args);
}

/** What has no name of its own is sent as the event `message`. */
export function asEvent(content: MessageContent): MessageContent {
  const { event, text, base64, json } = content;
  if (event !== undefined) return content;
  const value = text ?? (base64 === undefined ? json : { $base64: base64 });
  return { event: "message", args: [value] };
}

function packets(
  kind: 2 | 3,
  namespace: string | undefined,
  id: number | undefined,
  args: unknown[],
  ...before: unknown[]
): Packet[] {
  const attachments: Uint8Array[] = [];
  let data = JSON.stringify([...before, ...args]);
  if (data.includes("base64"))
    data = JSON.stringify([...before, ...(takeApart(args, attachments) as unknown[])]);
  const head = attachments.length > 0 ? `${kind + 3}${attachments.length}-` : `${kind}`;
  return [`${head}${prefix(namespace)}${id ?? ""}${data}`, ...attachments];
}

function prefix(namespace = "/"): string {
  return namespace === "/" ? "" : `${namespace},`;
}

/** Marked bytes become attachments. */
function takeApart(value: unknown, attachments: Uint8Array[]): unknown {
  if (Array.isArray(value)) return value.map((one) => takeApart(one, attachments));
  if (!isObject(value)) return value;
  const dollars = dollarsOf(value);
  const bytes = dollars === 1 ? bytesOf(value.$base64) : undefined;
  if (bytes) return { _placeholder: true, num: attachments.push(bytes) - 1 };
  const name = (key: string) => (dollars > 0 && dollars % 2 === 0 ? key.slice(dollars / 2) : key);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [name(key), takeApart(inner, attachments)]),
  );
}

/** Attachments take the places of their placeholders, each once. */
function restore(value: unknown, attachments: (Uint8Array | undefined)[]): unknown {
  if (Array.isArray(value)) return value.map((one) => restore(one, attachments));
  if (!isObject(value)) return value;
  const bytes = value._placeholder === true ? attachments[value.num as number] : undefined;
  if (bytes) {
    attachments[value.num as number] = undefined;
    return { $base64: toBase64(bytes) };
  }
  const more = "$".repeat(dollarsOf(value));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [more + key, restore(inner, attachments)]),
  );
}

/** How many dollar signs the mark has that is the only key; 0 if it is none. */
function dollarsOf(value: object): number {
  const [key = "", other] = Object.keys(value);
  return other === undefined && MARK.test(key) ? key.length - "base64".length : 0;
}

function bytesOf(text: unknown): Uint8Array | undefined {
  try {
    return typeof text === "string" ? fromBase64(text) : undefined;
  } catch {
    return undefined;
  }
}

interface Head {
  readonly kind: string;
  readonly namespace: string;
  readonly id: number | undefined;
  readonly data: string;
}

/** Decodes the packets of one connection. It keeps an event until its attachments are there. */
export class PacketDecoder {
  #partial: { head: Head; missing: number; attachments: Uint8Array[] } | undefined;

  /** Returns what a packet means; undefined while attachments are missing. */
  decode(packet: Packet): ServerEvent | undefined {
    const partial = this.#partial;
    if (typeof packet !== "string") {
      if (!partial) return malformed("bytes without an event");
      partial.attachments.push(packet);
      if (partial.attachments.length < partial.missing) return undefined;
      this.#partial = undefined;
      return decoded(partial.head, partial.attachments);
    }
    if (partial) return malformed("attachments of an event are missing");
    const found = /^(?:([0-4])|([56])(\d{1,4})-)(\/[^,]*,?)?(\d{0,15})(.*)$/s.exec(packet);
    if (!found) return malformed("it is not a Socket.IO packet");
    const [, plain, binary, count = "0", name = "/", id, data = ""] = found;
    const namespace = bare(name.replace(/,$/, ""));
    const head = { kind: plain ?? `${Number(binary) - 3}`, namespace, id: id ? Number(id) : undefined, data };
    const missing = Number(count);
    if (missing > MAX_ATTACHMENTS) return malformed("it has too many attachments");
    if (missing === 0) return decoded(head, []);
    this.#partial = { head, missing, attachments: [] };
    return undefined;
  }
}

function malformed(why: string): ServerEvent {
  return { type: "malformed", why };
}

function decoded({ kind, namespace, id, data }: Head, attachments: Uint8Array[]): ServerEvent {
  const value = parsed(data);
  if (kind === "1") return { type: "disconnected", namespace };
  // A server of version 2 opens the main namespace by itself, without a packet.
  if (kind === "0" && data === "") return { type: "old" };
  if (kind === "0") {
    const { pid } = isObject(value) ? value : {};
    return { type: "connected", namespace, pid: typeof pid === "string" ? pid : undefined };
  }
  if (kind === "4") {
    const why = isObject(value) ? value.message : value;
    const shown = typeof why === "string" ? why : "no reason given";
    return { type: "refused", namespace, why: shown, data: isObject(value) ? value.data : undefined };
  }
  if (!Array.isArray(value)) {
    return malformed(kind === "2" ? "an event without a name" : "no arguments");
  }
  const isPlain = attachments.length === 0 && !data.includes("base64");
  const whole = isPlain ? value : (restore(value, attachments) as unknown[]);
  const own = namespace === "/" ? {} : { namespace };
  if (kind === "3") return { type: "acknowledged", id, content: { args: whole, ...own } };
  const [name, ...args] = whole;
  if (typeof name !== "string" && typeof name !== "number") return malformed("an event without a name");
  // The last argument is the server's offset, unless the event awaits an answer.
  const last = id === undefined ? args.at(-1) : undefined;
  return {
    type: "event",
    namespace,
    content: { event: `${name}`, args, ...own },
    id,
    offset: typeof last === "string" ? last : undefined,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
