// A connection to a Socket.IO server: its namespaces, events, acknowledgements and recovery. How packets travel is the
// engine's.

import type { Clock } from "../browser-api.js";
import { utf8Length } from "../payload.js";
import type { WireError } from "../wire.js";
import { Engine, OLD_SERVER } from "./engine.js";
import {
  ANSWERED,
  type BrowserNetwork,
  type Incoming,
  type Link,
  type LinkEvents,
  linkError,
  type SendReply,
  type SentAs,
  type Target,
} from "./link.js";
import type { ResumeToken } from "./resume-tokens.js";
import type { MessageContent } from "./rules.js";
import { type EngineOptions, engineOptions } from "./socketio-options.js";
import {
  asEvent,
  bare,
  connectPacket,
  eventPackets,
  MAX_ATTACHMENTS,
  type Packet,
  PacketDecoder,
  replyPackets,
  type ServerEvent,
} from "./socketio-packet.js";

/** Events that may come before every namespace was answered. */
const MAX_EARLY = 4096;
/** Acknowledgements that may be awaited; the oldest is forgotten for a new one. */
const MAX_ACKS = 65_536;
/** Bytes of what came with a refusal; what is larger is left out. */
const MAX_REFUSAL = 4096;

type EventOf<Type> = Extract<ServerEvent, { type: Type }>;

/** A connection to a Socket.IO server. */
export class SocketIoLink implements Link {
  readonly #target: Target;
  readonly #options: EngineOptions;
  readonly #events: LinkEvents;
  readonly #engine: Engine;
  readonly #decoder = new PacketDecoder();
  readonly #recovery: NonNullable<ResumeToken["recovery"]>;
  /** Namespaces that the server has not answered for, and those that are open. */
  readonly #unanswered: Set<string>;
  readonly #joined = new Set<string>();
  readonly #acks = new Map<number, (how: SentAs) => void>();
  #lastAck = 0;
  #early: { message: Incoming; reply: SendReply | undefined }[] = [];
  #recovered = false;
  #isOpen = false;
  #isOver = false;

  constructor(network: BrowserNetwork, clock: Clock, target: Target, events: LinkEvents) {
    this.#target = target;
    this.#options = engineOptions(target.options(), target.headers);
    this.#events = events;
    this.#recovery = target.token.recovery ??= new Map();
    this.#unanswered = new Set(this.#options.namespaces.map(bare));
    this.#engine = new Engine(network, clock, target, this.#options, {
      opened: () => this.#join(),
      message: (packet) => this.#take(packet),
      room: () => events.room(),
      ended: (end) => events.ended(end),
    });
  }

  get hasRoom(): boolean {
    return this.#isOpen && this.#engine.hasRoom;
  }

  send(content: MessageContent, done: (how: SentAs) => void, acknowledge = false): void {
    const event = asEvent(content);
    const { namespace = "/" } = event;
    if (!this.#joined.has(bare(namespace))) {
      const why = `the namespace \`${namespace}\` is not open on this connection`;
      done({ failed: linkError("not-sent", why, "later") });
      return;
    }
    const id = acknowledge ? ++this.#lastAck : undefined;
    const packets = eventPackets(event, id);
    const failed = this.#sizeFault(packets);
    if (failed) {
      done({ failed });
      return;
    }
    if (id !== undefined) this.#await(id, done);
    this.#engine.send(packets, () => done("sent"));
  }

  close(): void {
    this.#engine.close();
  }

  abort(): void {
    this.#isOver = true;
    this.#engine.abort();
  }

  #join(): void {
    const { namespaces, auth } = this.#options;
    for (const namespace of namespaces) {
      const data = { ...this.#recovery.get(bare(namespace)), ...(this.#target.auth ?? auth ?? {}) };
      this.#engine.send([connectPacket(namespace, data)]);
    }
  }

  #await(id: number, done: (how: SentAs) => void): void {
    this.#acks.set(id, done);
    const [oldest = id] = this.#acks.keys();
    if (this.#acks.size > MAX_ACKS) this.#acks.delete(oldest);
  }

  /** The server would end the connection at such a message, and the next one as well. */
  #sizeFault(packets: Packet[]): WireError | undefined {
    const { maxPayload } = this.#engine;
    const isText = !this.#options.transports.includes("websocket") || this.#options.websocket.base64;
    const sizeOf = (packet: Packet) =>
      typeof packet === "string"
        ? 1 + utf8Length(packet)
        : isText
          ? 1 + Math.ceil(packet.length / 3) * 4
          : packet.length;
    if (packets.length > MAX_ATTACHMENTS + 1) {
      return linkError("too-large", `a message has at most ${MAX_ATTACHMENTS} attachments`, "no");
    }
    const large = packets.map(sizeOf).find((size) => size > maxPayload);
    if (large === undefined) return undefined;
    const why = `a packet of ${large} bytes exceeds the server's \`maxHttpBufferSize\`: ${maxPayload}`;
    return linkError("too-large", why, "no");
  }

  #take(packet: Packet): void {
    const said = this.#decoder.decode(packet);
    if (!said) return;
    if (said.type === "event") this.#event(said);
    else if (said.type === "acknowledged") this.#acknowledged(said);
    else if (said.type === "connected") this.#connected(said);
    else if (said.type === "refused") this.#refused(said);
    else if (said.type === "disconnected") this.#disconnected(said);
    else if (said.type === "old") this.#events.ended(OLD_SERVER);
    else
      this.#events.ended({
        error: linkError("server-protocol", `the server's message is invalid: ${said.why}`),
      });
    this.#openIfAnswered();
  }

  #isMain(namespace: string): boolean {
    return bare(this.#options.namespaces[0] ?? "/") === namespace;
  }

  #openIfAnswered(): void {
    const main = bare(this.#options.namespaces[0] ?? "/");
    if (this.#isOpen || this.#unanswered.size > 0 || !this.#joined.has(main)) return;
    this.#isOpen = true;
    this.#events.opened(this.#recovered ? { continuity: "server" } : {});
    for (const { message, reply } of this.#early.splice(0)) this.#events.message(message, reply);
  }

  #event({ namespace, content, id, offset }: EventOf<"event">): void {
    const state = this.#recovery.get(namespace);
    if (state && offset !== undefined) state.offset = offset;
    const reply = id === undefined ? undefined : this.#reply(namespace, id);
    const message: Incoming = reply ? { ...content, reply: true } : content;
    if (this.#isOpen) this.#events.message(message, reply);
    else if (this.#early.push({ message, reply }) > MAX_EARLY) {
      const why = "events before an answer for every namespace";
      this.#events.ended({ error: linkError("server-protocol", why) });
    }
  }

  #reply(namespace: string, id: number): SendReply {
    let wasSaid = false;
    return (args) => {
      if (wasSaid || this.#isOver) return ANSWERED;
      const packets = replyPackets(namespace, id, args);
      const fault = this.#sizeFault(packets);
      if (fault) return fault;
      wasSaid = true;
      this.#engine.send(packets);
      return undefined;
    };
  }

  #acknowledged({ id = 0, content }: EventOf<"acknowledged">): void {
    const done = this.#acks.get(id);
    this.#acks.delete(id);
    done?.({ answer: content });
  }

  #connected({ namespace, pid }: EventOf<"connected">): void {
    if (!this.#unanswered.delete(namespace)) return;
    this.#joined.add(namespace);
    const before = this.#recovery.get(namespace);
    const isSame = before !== undefined && before.pid === pid;
    if (this.#isMain(namespace)) this.#recovered = isSame;
    if (pid === undefined) this.#recovery.delete(namespace);
    else if (!isSame) this.#recovery.set(namespace, { pid });
  }

  #refused({ namespace, why, data }: EventOf<"refused">): void {
    this.#unanswered.delete(namespace);
    const reason = why.slice(0, 200);
    const error = linkError("handshake", `the server refused the namespace \`${namespace}\`: ${reason}`);
    if (!this.#isMain(namespace)) {
      this.#events.namespace({ state: "failed", namespace, error });
      return;
    }
    const isSmall = data !== undefined && JSON.stringify(data).length <= MAX_REFUSAL;
    this.#events.ended({ action: "auth", reason, error, ...(isSmall ? { data } : {}) });
  }

  #disconnected({ namespace }: EventOf<"disconnected">): void {
    this.#joined.delete(namespace);
    const error = linkError("closed-by-server", `the server disconnected the namespace \`${namespace}\``);
    if (this.#isMain(namespace)) this.#events.ended({ action: "stop", error });
    else this.#events.namespace({ state: "closed", namespace, error });
  }
}
