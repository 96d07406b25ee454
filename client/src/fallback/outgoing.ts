// What the clients of one session send: messages, subscriptions and replies. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type { OpenOptions, Request, Send, Subscribe, Subscription, WireError } from "../wire.js";
import type { ClientPort } from "./consumer.js";
import type { Dialer } from "./dialer.js";
import { Guard } from "./guard.js";
import type { IncomingLog } from "./incoming.js";
import { ANSWERED, linkError, type SendReply, type SentAs } from "./link.js";
import { protocolsOf, refuseFilter } from "./options.js";
import { contentOf, type Outbox } from "./outbox.js";
import { type MessageContent, matchFault, Readable } from "./rules.js";
import { bare } from "./socketio-packet.js";
import { Subscriptions } from "./subscriptions.js";

/** What it needs from its session. */
export interface OutgoingHost {
  dialer(): Dialer;
  readonly incoming: IncomingLog;
  readonly outbox: Outbox;
  isClosing(): boolean;
  refuse(port: ClientPort, error: WireError, id: string | undefined): void;
  /** A message may have ended. */
  settled(): void;
}

/** Events that may still be answered; the oldest is forgotten for a new one. */
const MAX_REPLIES = 65_536;
const TOO_MANY = linkError("rate-limited", "the session has too many subscriptions or filter lines");

/** The outgoing side of one session. */
export class BrowserOutgoing {
  readonly sent = { messages: 0, bytes: 0 };
  readonly #name: string;
  readonly #options: () => OpenOptions;
  readonly #host: OutgoingHost;
  readonly #subscriptions: Subscriptions;
  readonly #guard: Guard;
  /** Events of the current connection that the server awaits an answer to, by their numbers. */
  readonly #replies = new Map<number, SendReply>();

  constructor(name: string, clock: Clock, options: () => OpenOptions, host: OutgoingHost) {
    this.#name = name;
    this.#options = options;
    this.#host = host;
    this.#guard = new Guard(clock);
    this.#subscriptions = new Subscriptions(clock, {
      isReady: () => host.dialer().isReady,
      send: (content) => host.dialer().send(content),
      report: (key, state) => {
        for (const { port } of host.incoming.attached) {
          port?.post({ type: "subscription", session: name, key, state });
        }
      },
    });
  }

  /** Keys and states of the subscriptions. */
  get subscriptions(): { key: string; state: Subscription["state"] }[] {
    return this.#subscriptions.states;
  }

  optionsChanged(): void {
    this.#host.outbox.options = this.#options().outbox;
    this.#guard.reset();
  }

  /** The connection is ready: subscriptions are sent, then what waits. */
  begin(): void {
    this.#subscriptions.sendAll();
    this.pump();
  }

  /** The connection ended. */
  lost(): void {
    this.#replies.clear();
    this.#host.outbox.lost();
    this.#subscriptions.lost();
  }

  /** A message of the server. Returns whether it is the answer to a request, which is no message. */
  onMessage(read: Readable, content: MessageContent): boolean {
    this.#subscriptions.onMessage(read);
    return this.#host.outbox.onMessage(read, content);
  }

  // ---- messages ----

  send(port: ClientPort, client: string, frame: Send | Request): void {
    const { id } = frame;
    const known = id === undefined ? undefined : this.#host.outbox.known(client, id);
    const error = known ? undefined : this.#refuseSend(frame);
    if (error) {
      this.#host.refuse(port, error, id);
      return;
    }
    if (id !== undefined) {
      port.post({ type: "accepted", session: this.#name, id, durability: "memory", ...known });
    }
    if (known) return;
    const item = this.#host.outbox.add(client, frame);
    if (frame.volatile && !this.#host.dialer().isReady) this.#host.outbox.drop(item);
    else this.pump();
  }

  /** Sends as many waiting messages as the connection accepts. */
  pump(): void {
    const dialer = this.#host.dialer();
    while (dialer.canSend) {
      const item = this.#host.outbox.next();
      if (!item) break;
      this.sent.messages += 1;
      this.sent.bytes += item.size;
      const done = (how: SentAs) => {
        this.#host.outbox.sent(item, how);
        this.#host.settled();
      };
      const match = item.frame.type === "request" ? item.frame.match : item.frame.confirm;
      dialer.send(item.content, done, match !== undefined && "ack" in match);
    }
    this.#host.settled();
  }

  #refuseSend(frame: Send | Request): WireError | undefined {
    if (this.#host.isClosing()) {
      return linkError("session-closed", "the session is being closed", "no");
    }
    const content = contentOf(frame as MessageContent);
    const read = new Readable(content);
    const [field, match] =
      frame.type === "request" ? (["match", frame.match] as const) : (["confirm", frame.confirm] as const);
    const fault = match && matchFault(field, match, read);
    const error =
      this.#cannotCarry(content, match && "ack" in match) ??
      (fault ? linkError("bad-frame", fault, "no") : this.#guard.check(this.#options().guard?.send, read));
    if (error) return error;
    const isDropped = frame.volatile && !this.#host.dialer().isReady;
    const isFull = !isDropped && this.#host.outbox.isFull(read.size);
    return isFull ? linkError("outbox-full", "the outbox is full") : undefined;
  }

  /** Why this session's servers cannot be sent a message. */
  #cannotCarry({ event, namespace = "/" }: MessageContent, acknowledges = false): WireError | undefined {
    const options = this.#options();
    const protocols = protocolsOf(options);
    const isSocketIo = protocols.includes("socket.io");
    const { socketio: { namespaces = ["/"] } = {}, post } = options;
    if (acknowledges && !isSocketIo) {
      const why = "field `match`: `ack` needs a server with acknowledgements (Socket.IO)";
      return linkError("unsupported", why, "no");
    }
    if (event !== undefined && !isSocketIo) {
      const why = "field `event`: this session's protocol has no events";
      return linkError("bad-frame", why, "no");
    }
    if (event !== undefined && !namespaces.some((known) => bare(known) === namespace)) {
      const why = `field \`namespace\`: the session has no \`${namespace}\``;
      return linkError("bad-frame", why, "no");
    }
    const onlyListens = protocols.every((protocol) => protocol === "sse" || protocol === "poll") && !post;
    if (!onlyListens) return undefined;
    return linkError("unsupported", "to send, open the session with option `post`", "no");
  }

  // ---- subscriptions ----

  subscribe(port: ClientPort, client: string, frame: Subscribe): void {
    const contents = [...(frame.send ?? []), ...(frame.undo ?? [])];
    const error =
      refuseFilter(frame.filter) ??
      contents.map((content) => this.#cannotCarry(content)).find(Boolean) ??
      (this.#setFilter(client, frame) ? undefined : TOO_MANY);
    if (error) {
      this.#host.refuse(port, error, frame.id);
      return;
    }
    port.post({ type: "ok", id: frame.id });
    this.#subscriptions.add(frame);
    this.#host.incoming.deliver();
  }

  #setFilter(client: string, { key, filter = [] }: Subscribe): boolean {
    return this.#subscriptions.hasRoomFor(key) && this.#host.incoming.setFilter(client, key, filter);
  }

  unsubscribe(key: string): void {
    if (!this.#subscriptions.remove(key)) return;
    this.#host.incoming.deleteFilter(key);
    this.#host.incoming.deliver();
  }

  // ---- replies ----

  /** The server awaits an answer to the event with this number. */
  awaitReply(seq: number, reply: SendReply): void {
    this.#replies.set(seq, reply);
    const [oldest = seq] = this.#replies.keys();
    if (this.#replies.size > MAX_REPLIES) this.#replies.delete(oldest);
  }

  /** Answers an event of the server, once and on the connection that delivered it. */
  reply(seq: number, args: unknown[]): WireError | undefined {
    const reply = this.#replies.get(seq);
    if (!reply && !protocolsOf(this.#options()).includes("socket.io")) {
      return linkError("unsupported", "`reply` needs a server with acknowledgements (Socket.IO)", "no");
    }
    const error = reply ? reply(args) : ANSWERED;
    if (!error) this.#replies.delete(seq);
    return error;
  }
}
