// One message or answer as the application receives it. It does not acknowledge by itself; the inbox does.

import type { AckToken } from "./acks.js";
import { fromBase64 } from "./payload.js";
import type { Message, MessageFields, Response } from "./wire.js";

/** The fields of a received message, as JSON. */
export type ReceivedFields = Pick<
  Received,
  | "session"
  | "seq"
  | "time"
  | "redelivered"
  | "tags"
  | "text"
  | "json"
  | "base64"
  | "event"
  | "args"
  | "namespace"
  | "lastEventId"
> & { readonly reply: boolean };

/** What a message needs from its session. */
export interface ReceivedHost {
  done(message: Received): void;
  reply(message: Received, args: unknown[]): void;
}

/** A message from the server, or the answer to a request. */
export class Received<Json = unknown> {
  /** The session that received it. */
  declare readonly session: string;
  /** Its number in the session's log. Increases, may skip numbers, never repeats within an epoch. */
  declare readonly seq: number;
  /** Identifies the log that `seq` belongs to: both together identify this message permanently. */
  declare readonly epoch: string;
  /** Time of arrival at the broker, in milliseconds since 1970. 0 for answers. */
  declare readonly time: number;
  /** Whether it may have been delivered before: the worker died before the acknowledgement, or the handler failed. */
  declare redelivered: boolean;
  /** The subscriptions it belongs to. */
  declare readonly tags: readonly string[];
  /** The text, if it was received as text. */
  declare readonly text: string | undefined;
  /** The value, if it was received as JSON. */
  declare readonly json: Json;
  /** The bytes in base64, if it was received as bytes. `data` decodes them. */
  declare readonly base64: string | undefined;
  /** The event's name, on Socket.IO and SSE. */
  declare readonly event: string | undefined;
  /** The event's arguments, on Socket.IO. */
  declare readonly args: readonly unknown[] | undefined;
  /** The namespace, on Socket.IO. */
  declare readonly namespace: string | undefined;
  /** The server's own id of the event, on SSE. */
  declare readonly lastEventId: string | undefined;
  /** Whether the server expects `reply()`, on Socket.IO. */
  declare readonly wantsReply: boolean;
  readonly #host: ReceivedHost | undefined;
  readonly #token: AckToken | undefined;

  /** @internal */
  constructor(
    frame: Message | Response | ReceivedFields,
    epoch: string,
    host?: ReceivedHost,
    token?: AckToken,
  ) {
    const { type: _, reply = false, ...fields } = frame as Partial<MessageFields>;
    Object.assign(this, { epoch, time: 0, redelivered: false, tags: [], wantsReply: reply }, fields);
    this.#host = host;
    this.#token = token;
  }

  /** The content: a string, bytes, the parsed JSON, or the arguments of an event. */
  get data(): unknown {
    if (this.text !== undefined) return this.text;
    if (this.base64 !== undefined) return fromBase64(this.base64);
    return this.args ?? this.json;
  }

  /**
   * Marks the message as processed, so that it is not redelivered. Needed in manual mode only; a second call has no
   * effect.
   */
  done(): void {
    this.#token?.finish();
    this.#host?.done(this);
  }

  /** Acknowledges a Socket.IO event, if the server expects it. */
  reply(...args: unknown[]): void {
    this.#host?.reply(this, args);
  }
}
