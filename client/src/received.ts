// One message or answer as the developer sees it. It does not acknowledge by itself; the inbox does.

import type { Token } from "./acks.js";
import { fromBase64 } from "./payload.js";
import type { Message, MessageFields, Response } from "./wire.js";

/** What a message can ask of its session. */
export interface ReceivedHost {
  done(message: Received): void;
  reply(message: Received, args: unknown[]): void;
}

/** A message from the server, or the answer to a request. */
export class Received<Json = unknown> {
  /** The session it came through. */
  declare readonly session: string;
  /** Its place in the session's log. Increases, may skip, never repeats within an epoch. */
  declare readonly seq: number;
  /** Names the log that `seq` counts in: the two together name this message for ever. */
  declare readonly epoch: string;
  /** When it reached the broker, milliseconds since 1970. 0 for answers. */
  declare readonly time: number;
  /** It may have been delivered before: the worker died before it was acknowledged, or its handler failed. */
  declare redelivered: boolean;
  /** The subscriptions it belongs to. */
  declare readonly tags: readonly string[];
  /** Text, if it came as text. */
  declare readonly text: string | undefined;
  /** The value, if it came as JSON. */
  declare readonly json: Json;
  /** Bytes in base64, if it came as bytes. `data` decodes them. */
  declare readonly base64: string | undefined;
  /** The event's name, on Socket.IO and SSE. */
  declare readonly event: string | undefined;
  /** The event's arguments, on Socket.IO. */
  declare readonly args: readonly unknown[] | undefined;
  /** The namespace, on Socket.IO. */
  declare readonly namespace: string | undefined;
  /** The server's own id of the event, on SSE. */
  declare readonly lastEventId: string | undefined;
  /** The server awaits `reply()`, on Socket.IO. */
  declare readonly wantsReply: boolean;
  readonly #host: ReceivedHost | undefined;
  readonly #token: Token | undefined;

  /** @internal */
  constructor(frame: Message | Response, epoch: string, host?: ReceivedHost, token?: Token) {
    const fields = frame as Partial<MessageFields> & { base64?: string; text?: string; json?: unknown };
    this.session = frame.session;
    this.seq = frame.seq;
    this.epoch = epoch;
    this.time = fields.time ?? 0;
    this.redelivered = frame.redelivered ?? false;
    this.tags = fields.tags ?? [];
    this.text = fields.text;
    this.json = fields.json as Json;
    this.base64 = fields.base64;
    this.event = fields.event;
    this.args = fields.args;
    this.namespace = fields.namespace;
    this.lastEventId = fields.lastEventId;
    this.wantsReply = fields.reply ?? false;
    this.#host = host;
    this.#token = token;
  }

  /** The content: a string, bytes, the parsed JSON, or the arguments of an event. */
  get data(): unknown {
    if (this.text !== undefined) return this.text;
    if (this.base64 !== undefined) return fromBase64(this.base64);
    return this.args ?? this.json;
  }

  /** The message has been processed and need not come again. Needed in manual mode only; twice is harmless. */
  done(): void {
    this.#token?.finish();
    this.#host?.done(this);
  }

  /** Answers a Socket.IO event that asked for it. */
  reply(...args: unknown[]): void {
    this.#host?.reply(this, args);
  }
}
