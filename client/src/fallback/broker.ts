// The broker in the browser. It implements the native host's protocol, so the bridge and its sessions work unchanged. It does
// not depend on browser ports or on where it runs.

import type { Clock } from "../browser-api.js";
import { Joiner } from "../parts.js";
import type {
  Batch,
  ErrorFrame,
  Hello,
  Open,
  Part,
  SessionCounters,
  StatusAnswer,
  ToBroker,
  ToExtension,
  WireError,
} from "../wire.js";
import { PROTOCOL } from "../wire.js";
import type { ClientPort } from "./consumer.js";
import { type FromBrowserBroker, type Handover, present, type ToRouter } from "./from-broker.js";
import { type BrowserNetwork, linkError } from "./link.js";
import { CAPABILITIES, refuseOpen } from "./options.js";
import { BrowserSession, type ToSession } from "./session.js";

/** Sent by a router: whether the native host is available. Not part of the protocol. */
export interface HostAvailability {
  type: "host-available";
  isAvailable: boolean;
}

/** `open`, and whether this client held the session before this broker started. */
export type OpenKnown = Open & { known?: boolean };

type PostToRouter = (frame: ToRouter) => void;

/** A router's connection to the broker. */
export interface BrokerPort {
  /** Takes a frame. */
  take(frame: unknown): void;
  /** The other side has disconnected. */
  disconnected(): void;
}

const MAX_SESSIONS = 256;
const FRAME = 1024 * 1024;

const noSession = (name: string): WireError => linkError("no-session", `there is no session ${name}`, "no");

/** Sessions of all profiles and clients of one extension. */
export class BrowserBroker {
  readonly #network: BrowserNetwork;
  readonly #clock: Clock;
  readonly #origin: string;
  readonly #boot = crypto.randomUUID();
  readonly #since: number;
  readonly #sessions = new Map<string, BrowserSession>();
  readonly #clients = new Set<ClientConnection>();
  #isHostAvailable = false;

  /** `origin` is the extension's own, which the browser sends. */
  constructor(network: BrowserNetwork, clock: Clock, origin: string) {
    this.#network = network;
    this.#clock = clock;
    this.#origin = origin;
    this.#since = clock.now();
  }

  /** Whether there are no sessions. */
  get isIdle(): boolean {
    return this.#sessions.size === 0;
  }

  /** Whether a router has found a native host. */
  get isHostAvailable(): boolean {
    return this.#isHostAvailable;
  }

  connect(post: PostToRouter): BrokerPort {
    const client = new ClientConnection(this, post);
    this.#clients.add(client);
    return {
      take: (frame) => client.take(frame),
      disconnected: () => {
        this.#clients.delete(client);
        client.detach();
      },
    };
  }

  welcome(profile: string): ToExtension {
    return {
      type: "welcome",
      protocol: PROTOCOL,
      version: "browser",
      broker: this.#boot,
      origin: this.#origin,
      capabilities: CAPABILITIES,
      limits: { frame: FRAME, sessions: MAX_SESSIONS },
      sessions: this.of(profile).map(({ name, state, pending }) => ({ session: name, state, pending })),
    };
  }

  /** The sessions of a profile. */
  of(profile: string): BrowserSession[] {
    return [...this.#sessions]
      .filter(([key]) => key.startsWith(`${profile}\n`))
      .map(([, session]) => session);
  }

  session(profile: string, name: string): BrowserSession | undefined {
    return this.#sessions.get(`${profile}\n${name}`);
  }

  /** Finds or creates the session for an `open` frame; or returns the error. */
  sessionFor(profile: string, frame: Open): BrowserSession | Handover | WireError {
    const held = this.session(profile, frame.session);
    const error = refuseOpen({ ...frame, ...held?.given(frame) }, this.#origin);
    if (error) return error;
    if (held) return held;
    if (this.#isHostAvailable) return { type: "moved", session: frame.session, frames: [] };
    if (frame.url === undefined) {
      return noSession(frame.session);
    }
    if (this.of(profile).length >= MAX_SESSIONS) {
      return linkError("too-many-sessions", `the limit of ${MAX_SESSIONS} sessions is reached`, "no");
    }
    return this.#make(`${profile}\n${frame.session}`, frame, frame.url);
  }

  #make(key: string, frame: Open, url: string): BrowserSession {
    const host = {
      network: this.#network,
      clock: this.#clock,
      isHostAvailable: () => this.#isHostAvailable,
      over: () => void this.#sessions.delete(key),
    };
    const session = new BrowserSession(host, frame.session, url, frame.options ?? {});
    this.#sessions.set(key, session);
    return session;
  }

  hostAvailable(isAvailable: boolean): void {
    this.#isHostAvailable = isAvailable;
    if (isAvailable) for (const session of [...this.#sessions.values()]) session.hostAvailable();
  }

  status(id: string, profile: string): StatusAnswer {
    const sessions = this.of(profile).map(({ counters }) => counters);
    const uptime = this.#clock.now() - this.#since;
    const total = sum(sessions);
    return {
      type: "status",
      id,
      version: "browser",
      uptime,
      pid: 0,
      rss: 0,
      ports: this.#clients.size,
      total,
      sessions,
    };
  }
}

/** One client, through one port. */
class ClientConnection implements ClientPort {
  readonly #broker: BrowserBroker;
  readonly #post: PostToRouter;
  readonly #joiner = new Joiner();
  #out: FromBrowserBroker[] = [];
  #hello: { client: string; profile: string } | undefined;
  /** Sessions that moved to the host. Late frames for them are ignored: the client sends them again there. */
  readonly #moved = new Set<string>();

  constructor(broker: BrowserBroker, post: PostToRouter) {
    this.#broker = broker;
    this.#post = post;
  }

  /** Frames of one turn are sent as one batch. */
  post(frame: FromBrowserBroker): void {
    if (frame.type === "moved") this.#moved.add(frame.session);
    this.#out.push(frame);
    if (this.#out.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const frames = this.#out.splice(0);
    const [first] = frames;
    if (first && frames.length === 1) this.#post(first);
    else this.#post({ type: "batch", frames });
  }

  take(frame: unknown): void {
    const { type } = frame as { type?: string };
    if (type === "batch") for (const one of (frame as Batch<unknown>).frames) this.take(one);
    else if (type === "part") {
      const whole = this.#joiner.take(frame as Part);
      if (whole !== undefined) this.take(whole);
    } else if (type === "host-available") this.#broker.hostAvailable((frame as HostAvailability).isAvailable);
    else if (type === "hello") this.#handleHello(frame as Hello);
    else if (this.#hello) this.#take(frame as ToBroker, this.#hello);
    else this.#refuse(linkError("hello-required", "the first frame is `hello`", "now"), {});
  }

  detach(): void {
    const { client, profile } = this.#hello ?? { client: "", profile: "" };
    for (const session of this.#broker.of(profile)) session.detach(this, client);
  }

  #handleHello({ client = "main", profile = "default", needs = [] }: Hello): void {
    const unmet = needs.filter((need) => !CAPABILITIES.includes(need));
    if (unmet.length > 0) {
      const message = `this needs the native host: ${unmet.join(", ")}`;
      this.#refuse(linkError("unsupported", message, "action"), {});
      return;
    }
    const isOther = this.#hello && (this.#hello.client !== client || this.#hello.profile !== profile);
    if (isOther) this.detach();
    this.#hello = { client, profile };
    this.post(this.#broker.welcome(profile));
  }

  #take(frame: ToBroker, { client, profile }: { client: string; profile: string }): void {
    if (frame.type === "ping") this.post({ type: "pong", id: frame.id });
    else if (frame.type === "status") this.post(this.#broker.status(frame.id, profile));
    else if (frame.type === "open") this.#open(frame, client, profile);
    else {
      const { session: name } = frame as ToSession;
      const session = this.#broker.session(profile, name);
      if (session?.take(this, client, frame as ToSession) || this.#moved.has(name)) return;
      const error = session ? linkError("not-attached", "this port is not attached", "now") : noSession(name);
      this.#refuse(error, frame as ToSession);
    }
  }

  #open(frame: OpenKnown, client: string, profile: string): void {
    const found = this.#broker.sessionFor(profile, frame);
    if ("code" in found) this.#refuse(found, frame);
    else if ("type" in found) this.post(found);
    else {
      this.#moved.delete(frame.session);
      found.open(this, client, frame, frame.known ?? false);
    }
  }

  #refuse(error: WireError, about: object): void {
    const { id, session } = about as { id?: string; session?: string };
    const frame: ErrorFrame = { type: "error", ...error, id, session };
    this.post(present(frame));
  }
}

const COUNTERS = ["dials", "reconnects", "queued", "unacknowledged", "dropped", "outbox", "clients"] as const;

/** The sums over all sessions. */
function sum(sessions: SessionCounters[]): SessionCounters {
  const add = (of: (one: SessionCounters) => number) => sessions.reduce((all, one) => all + of(one), 0);
  const traffic = (way: "received" | "sent") => ({
    messages: add((one) => one[way].messages),
    bytes: add((one) => one[way].bytes),
  });
  const total = { received: traffic("received"), sent: traffic("sent") } as SessionCounters;
  for (const counter of COUNTERS) total[counter] = add((one) => one[counter]);
  return total;
}
