// Engine.IO 4, the client's side, over the browser's fetch and WebSocket: polling, a WebSocket, or the one and then the other.
// What its packets mean is for others to know.

import type { Clock } from "../browser-api.js";
import { fromBase64, toBase64, utf8Length } from "../payload.js";
import { type BrowserNetwork, type LinkEnd, linkError, statusEnd, type Target } from "./link.js";
import { isObject } from "./rules.js";
import { SocketWriter } from "./socket-writer.js";
import { type EngineOptions, engineUrl } from "./socketio-options.js";
import type { Packet } from "./socketio-packet.js";

/** Callbacks of an engine. */
export interface EngineEvents {
  opened(): void;
  /** A message, as text or bytes. */
  message(packet: Packet): void;
  /** More may be sent. */
  room(): void;
  /** It ended, and is to be aborted. */
  ended(end: LinkEnd): void;
}

/** A message that was not given to a transport yet. */
interface Queued {
  readonly packet: Packet;
  readonly done: (() => void) | undefined;
}

const SEPARATOR = "\u001e";
/** Bytes of a body that every server accepts, until the server sends its own limit. */
const MAX_BODY = 100_000;
/** Messages that may wait while the engine polls; what is more waits in the outbox. */
const MAX_QUEUED = 256;

/** One Engine.IO session. */
export class Engine {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #target: Target;
  readonly #options: EngineOptions;
  readonly #events: EngineEvents;
  readonly #abort = new AbortController();
  /** `upgrading`: the server has answered on the WebSocket, and polling ends. */
  #mode: "polling" | "probing" | "upgrading" | "socket";
  #sid: string | undefined;
  #maxPayload: number | undefined;
  #pingTimeout = 0;
  #aliveTimer: unknown;
  #queue: Queued[] = [];
  #isGetting = false;
  #isPosting = false;
  /** Another transport is tried because the first has failed. */
  #triedOther = false;
  #isClosing = false;
  #isOver = false;
  #stamp = 0;
  /** Without permission for the host, servers that allow all origins are read only without cookies. */
  #credentials: RequestCredentials = "include";
  #socket: WebSocket | undefined;
  #writer: SocketWriter | undefined;

  constructor(
    network: BrowserNetwork,
    clock: Clock,
    target: Target,
    options: EngineOptions,
    events: EngineEvents,
  ) {
    this.#network = network;
    this.#clock = clock;
    this.#target = target;
    this.#options = options;
    this.#events = events;
    const { transports, rememberUpgrade, upgrade } = options;
    const skipsPolling =
      rememberUpgrade && upgrade && target.token.wasOnSocket && transports.includes("websocket");
    this.#mode = transports[0] === "websocket" || skipsPolling ? "socket" : "polling";
    if (this.#mode === "socket") this.#openSocket();
    else void this.#get();
  }

  /** Whether another message may be sent now. */
  get hasRoom(): boolean {
    if (this.#sid === undefined || this.#isClosing) return false;
    return this.#mode === "socket" ? (this.#writer?.hasRoom ?? false) : this.#queue.length < MAX_QUEUED;
  }

  /** The bytes of one packet that the server accepts. */
  get maxPayload(): number {
    return this.#maxPayload ?? Number.POSITIVE_INFINITY;
  }

  /** Sends the packets of one message. `done` is called when all were written. */
  send(packets: Packet[], done?: () => void): void {
    const last = packets.length - 1;
    packets.forEach((packet, at) => {
      const whole = typeof packet === "string" ? `4${packet}` : packet;
      this.#queue.push({ packet: whole, done: at === last ? done : undefined });
    });
    this.#flow();
  }

  /** Closes gracefully: what was sent is written first. */
  close(): void {
    this.#isClosing = true;
    if (this.#mode === "socket") this.#socket?.close();
    else if (this.#sid === undefined) this.#end({ clean: true, action: "closed" });
    else {
      this.#dropSocket();
      this.#queue.push({ packet: "1", done: () => this.#end({ clean: true, action: "closed" }) });
      this.#flow();
    }
  }

  /** Drops the connection, without `ended`. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clock.clearTimeout(this.#aliveTimer);
    this.#writer?.stop();
    this.#socket?.close();
    this.#abort.abort();
    if (this.#mode === "socket" || this.#sid === undefined || this.#isClosing) return;
    // Else the server would keep the connection for up to a minute.
    const { headers } = this.#options.polling;
    const request = { method: "POST", body: "1", headers, credentials: this.#credentials };
    this.#network.fetch(this.#address("polling"), request).catch(() => undefined);
  }

  #end(end: LinkEnd): void {
    this.#writer?.settle();
    if (end.error && this.#mode !== "socket") this.#sid = undefined;
    this.#events.ended(end);
  }

  /** Does what can be done now. */
  #flow(): void {
    if (this.#isOver || this.#sid === undefined) return;
    if (this.#mode === "upgrading" && !this.#isGetting && !this.#isPosting) {
      this.#mode = "socket";
      this.#target.token.wasOnSocket = true;
      this.#socket?.send("5");
      this.#events.room();
    }
    if (this.#mode === "socket") {
      for (const { packet, done } of this.#queue.splice(0)) {
        const isText = typeof packet !== "string" && this.#options.websocket.base64;
        this.#writer?.send(isText ? inBase64(packet) : packet, done ?? (() => undefined));
      }
    } else if (this.#mode !== "upgrading") {
      void this.#post();
      void this.#get();
    }
  }

  // ---- polling ----

  async #get(): Promise<void> {
    if (this.#isGetting) return;
    this.#isGetting = true;
    while (!this.#isOver && (this.#mode === "polling" || this.#mode === "probing")) {
      const response = await this.#fetch({});
      if (response === undefined) return;
      if (this.#sid === undefined && /^\s*</.test(response)) {
        this.#end({
          error: linkError("server-protocol", "the server answered with a page"),
        });
        return;
      }
      for (const packet of response.split(SEPARATOR)) if (packet && !this.#isOver) this.#take(packet);
    }
    this.#isGetting = false;
    this.#flow();
  }

  async #post(): Promise<void> {
    if (this.#isPosting || this.#queue.length === 0) return;
    this.#isPosting = true;
    const most = this.#maxPayload ?? MAX_BODY;
    let body = "";
    const posted: Queued[] = [];
    for (const queued of this.#queue) {
      const { packet } = queued;
      const encoded = typeof packet === "string" ? packet : inBase64(packet);
      if (body && utf8Length(body) + 1 + utf8Length(encoded) > most) break;
      body += body ? SEPARATOR + encoded : encoded;
      posted.push(queued);
    }
    this.#queue.splice(0, posted.length);
    const response = await this.#fetch({ method: "POST", body });
    if (response === undefined) return;
    this.#isPosting = false;
    for (const { done } of posted) done?.();
    this.#events.room();
    this.#flow();
  }

  /** The text of a response; undefined if the engine has ended or changes its transport. */
  async #fetch(init: RequestInit): Promise<string | undefined> {
    const { headers, timeout } = this.#options.polling;
    const late = this.#clock.setTimeout(
      () => this.#end({ error: linkError("timeout", `a request took longer than ${timeout} ms`) }),
      timeout,
    );
    try {
      const response = await this.#network.fetch(this.#address("polling"), {
        ...init,
        cache: "no-store",
        credentials: this.#credentials,
        headers: { ...(init.body ? { "content-type": "text/plain;charset=UTF-8" } : {}), ...headers },
        signal: this.#abort.signal,
      });
      const text = await response.text();
      if (this.#isOver) return undefined;
      if (response.ok) return text;
      this.#failed(response, text);
    } catch {
      if (!this.#isOver) this.#unreachable();
    } finally {
      this.#clock.clearTimeout(late);
    }
    return undefined;
  }

  #failed(response: Response, text: string): void {
    const reason = text.replace(/\s+/g, " ").slice(0, 200);
    const error = linkError("http-status", `the server answered with ${response.status}: ${reason}`);
    // In the middle it means that the server has forgotten this session: another one may be had.
    if (this.#sid !== undefined) this.#end({ error, reason });
    else if (this.#options.tryAllTransports !== true || !this.#tryOther()) {
      this.#end({ ...statusEnd(response), error, reason });
    }
  }

  /** The browser gives no reason: without permission for the host, a WebSocket may work where fetch fails. */
  #unreachable(): void {
    if (this.#sid === undefined && this.#credentials === "include") {
      this.#credentials = "omit";
      this.#isGetting = false;
      void this.#get();
      return;
    }
    const mayTryOther = this.#sid === undefined && this.#options.tryAllTransports !== false;
    if (mayTryOther && this.#tryOther()) return;
    const [code, why] =
      this.#sid === undefined
        ? (["unreachable", "the browser could not connect and gives no reason"] as const)
        : (["link-lost", "a request was interrupted"] as const);
    this.#end({ error: linkError(code, why) });
  }

  /** Goes on with the transport that was not tried yet. Returns false if there is none. */
  #tryOther(): boolean {
    const other = this.#mode === "socket" ? "polling" : "websocket";
    if (this.#triedOther || !this.#options.transports.includes(other)) return false;
    this.#triedOther = true;
    this.#isGetting = false;
    this.#mode = other === "polling" ? "polling" : "socket";
    if (other === "polling") void this.#get();
    else this.#openSocket();
    return true;
  }

  // ---- WebSocket ----

  #openSocket(): void {
    const socket = new this.#network.WebSocket(this.#address("websocket"), this.#target.subprotocols);
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, this.#clock, () => this.#events.room());
    socket.binaryType = "arraybuffer";
    const isCurrent = () => socket === this.#socket && !this.#isOver;
    socket.onopen = () => {
      if (isCurrent() && this.#mode === "probing") socket.send("2probe");
    };
    socket.onmessage = ({ data }) => {
      if (!isCurrent()) return;
      if (this.#mode === "probing") {
        if (data !== "3probe") {
          this.#abortUpgrade();
          return;
        }
        this.#mode = "upgrading";
        this.#flow();
      } else if (typeof data === "string") this.#take(data);
      else this.#events.message(new Uint8Array(data));
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      if (!isCurrent()) return;
      if (this.#mode !== "socket") this.#abortUpgrade();
      else if (this.#sid === undefined) this.#refused(code, reason);
      else {
        const lost = code === 1006 ? { error: linkError("link-lost", "the connection was lost") } : {};
        this.#end({ code, reason, clean: wasClean, ...lost });
      }
    };
  }

  #refused(code: number, reason: string): void {
    const { tryAllTransports, rememberUpgrade } = this.#options;
    if ((tryAllTransports !== false || rememberUpgrade) && this.#tryOther()) return;
    const error = linkError("unreachable", "the browser could not connect and gives no reason");
    this.#end({ code, reason, error });
  }

  /** The WebSocket failed: polling continues. */
  #abortUpgrade(): void {
    this.#dropSocket();
    this.#flow();
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#mode = "polling";
    socket?.close();
  }

  // ---- packets ----

  #take(packet: string): void {
    const kind = packet[0];
    if (kind === "4" && this.#sid !== undefined) this.#events.message(packet.slice(1));
    else if (kind === "b" && this.#sid !== undefined) this.#events.message(fromBase64(packet.slice(1)));
    else if (kind === "0" && this.#sid === undefined) this.#open(packet.slice(1));
    else if (kind === "1")
      this.#end({ error: linkError("closed-by-server", "the server closed the connection") });
    else if (kind === "2") {
      this.#alive();
      this.#queue.push({ packet: "3", done: undefined });
      this.#flow();
    } else if (!/^[03-6]/.test(packet)) this.#malformed(packet);
  }

  #open(json: string): void {
    let said: unknown;
    try {
      said = JSON.parse(json);
    } catch {
      // Malformed, as below.
    }
    const { sid, upgrades, pingInterval, pingTimeout, maxPayload } = isObject(said) ? said : {};
    this.#pingTimeout = Number(pingInterval) + Number(pingTimeout);
    if ((typeof sid !== "string" && typeof sid !== "number") || !(this.#pingTimeout >= 0)) {
      this.#malformed(json);
      return;
    }
    this.#sid = `${sid}`;
    if (Number(maxPayload) >= 1) this.#maxPayload = Number(maxPayload);
    this.#alive();
    const { transports, upgrade } = this.#options;
    const offers = Array.isArray(upgrades) && upgrades.includes("websocket");
    if (this.#mode === "socket") this.#target.token.wasOnSocket = true;
    else if (offers && upgrade && transports.includes("websocket") && !this.#triedOther) {
      this.#mode = "probing";
      this.#openSocket();
    }
    this.#events.opened();
  }

  #malformed(packet: string): void {
    // Engine.IO 3 begins a body with the length of a packet.
    if (/^\d+:0\{/.test(packet)) this.#end(OLD_SERVER);
    else
      this.#end({ error: linkError("server-protocol", "the server's message is not an Engine.IO packet") });
  }

  #alive(): void {
    this.#clock.clearTimeout(this.#aliveTimer);
    this.#aliveTimer = this.#clock.setTimeout(
      () => this.#end({ error: linkError("heartbeat", "the server was silent for too long") }),
      this.#pingTimeout,
    );
  }

  /** The URL of the next request. */
  #address(transport: "polling" | "websocket"): string {
    this.#stamp += 1;
    return engineUrl(this.#target.url, this.#options, transport, this.#sid, this.#stamp);
  }
}

/** A server with an old version of the protocol. */
export const OLD_SERVER: LinkEnd = {
  action: "stop",
  error: linkError("server-protocol", "the server uses Socket.IO 2; Longwire supports 3 and 4", "no"),
};

function inBase64(bytes: Uint8Array): string {
  return `b${toBase64(bytes)}`;
}
