// One client of one session: its position and its in-flight window. It does not know the connection.

import type { Clock } from "../browser-api.js";
import type { Opened, OpenOptions, RecordFrame } from "../wire.js";
import { ClientFilter, project, type View } from "./filter.js";
import type { FromBrowserBroker } from "./from-broker.js";
import type { LogEntry, SessionLog } from "./log.js";
import { type MessageContent, Readable } from "./rules.js";

/** Where frames for a client go. */
export interface ClientPort {
  post(frame: FromBrowserBroker): void;
}

const WINDOW = { messages: 4096, bytes: 4 * 1024 * 1024 };
/** Milliseconds of a full window before the first `stalled` frame, and between two of them. */
const STALLED = { first: 2000, again: 30_000 };

/** A client's position and window. */
export class Consumer {
  readonly client: string;
  readonly filter = new ClientFilter();
  readonly #session: string;
  readonly #log: SessionLog;
  readonly #clock: Clock;
  #port: ClientPort | undefined;
  #window = WINDOW;
  #cursor: number;
  /** Messages that the filter holds are delivered up to this one. */
  #releasedUpTo = 0;
  #flight: LogEntry[] = [];
  #flightBytes = 0;
  /** Records up to this one may have been delivered before. */
  #redelivered = 0;
  /** Replay ends here. */
  #liveAt: number | undefined;
  #stalledTimer: unknown;

  constructor(client: string, session: string, log: SessionLog, clock: Clock) {
    this.client = client;
    this.#session = session;
    this.#log = log;
    this.#clock = clock;
    this.#cursor = log.last;
  }

  get port(): ClientPort | undefined {
    return this.#port;
  }

  /** The last record that it has acknowledged, or that was not for it. */
  get acked(): number {
    const [oldest] = this.#flight;
    return oldest ? oldest.frame.seq - 1 : this.#cursor;
  }

  /** The last delivered record. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Records in flight. */
  get unacknowledged(): number {
    return this.#flight.length;
  }

  /** Attaches through a port, at the resume position. */
  attach(
    port: ClientPort,
    window: OpenOptions["window"],
    resume: { seq: number; answer: Opened["resume"] },
  ): void {
    this.#port = port;
    this.#window = { ...WINDOW, ...window };
    this.#redelivered =
      resume.answer === "reset" ? this.#log.last : Math.max(this.#redelivered, this.#cursor);
    this.#cursor = resume.seq;
    this.#flight = [];
    this.#flightBytes = 0;
    this.#liveAt = this.#log.last;
    this.release();
  }

  detach(): void {
    this.#port = undefined;
    this.#stopStalledTimer();
  }

  /** Acknowledges all records up to `seq`. Returns false if that record was never delivered. */
  ack(seq: number): boolean {
    if (seq > this.#cursor) return false;
    while (this.#flight[0] && this.#flight[0].frame.seq <= seq) {
      this.#flightBytes -= this.#flight.shift()?.size ?? 0;
    }
    this.deliver();
    return true;
  }

  set window(window: { messages: number; bytes: number }) {
    this.#window = window;
    this.deliver();
  }

  /** What the filter has held up to now is delivered. */
  release(): void {
    this.#releasedUpTo = this.#log.last;
  }

  /** Delivers as much as the window allows. */
  deliver(): void {
    const port = this.#port;
    if (!port) return;
    let isBlocked = false;
    let isHeld = false;
    for (const entry of this.#log.after(this.#cursor)) {
      const view = entry.views?.get(this.client);
      const isOwn = this.isFor(entry);
      isHeld = view === "held" && entry.frame.seq > this.#releasedUpTo;
      isBlocked = isOwn && !isHeld && !this.#hasRoom(entry);
      if (isBlocked || isHeld) break;
      this.#cursor = entry.frame.seq;
      if (!isOwn) continue;
      this.#flight.push(entry);
      this.#flightBytes += entry.size;
      const frame = seenAs(entry.frame, view);
      port.post(frame.seq <= this.#redelivered ? { ...frame, redelivered: true } : frame);
    }
    if (!isBlocked && !isHeld) this.#cursor = Math.max(this.#cursor, this.#log.last);
    if (this.#liveAt !== undefined && this.#cursor >= this.#liveAt) {
      port.post({ type: "live", session: this.#session, seq: this.#liveAt });
      this.#liveAt = undefined;
    }
    if (isBlocked) this.#startStalledTimer(STALLED.first);
    else this.#stopStalledTimer();
  }

  /** Whether a record is for this client. */
  isFor({ to, views }: LogEntry): boolean {
    return (to === undefined || to === this.client) && views?.get(this.client) !== "not";
  }

  #hasRoom({ size }: LogEntry): boolean {
    const { messages, bytes } = this.#window;
    if (this.#flight.length >= messages) return false;
    return this.#flight.length === 0 || this.#flightBytes + size <= bytes;
  }

  #stopStalledTimer(): void {
    this.#clock.clearTimeout(this.#stalledTimer);
    this.#stalledTimer = undefined;
  }

  #startStalledTimer(delay: number): void {
    this.#stalledTimer ??= this.#clock.setTimeout(() => {
      this.#stalledTimer = undefined;
      const { messages, bytes } = this.#log.pending;
      this.#port?.post({ type: "stalled", session: this.#session, messages, bytes });
      this.#startStalledTimer(STALLED.again);
    }, delay);
  }
}

/** The record as a filter shows it: only what is at its pointers, if it is JSON. */
function seenAs(frame: RecordFrame, view: View | undefined): RecordFrame {
  if (frame.type !== "message" || !Array.isArray(view)) return frame;
  const { text: _text, json: _json, base64, ...rest } = frame as typeof frame & MessageContent;
  const { json } = new Readable(frame);
  if (base64 !== undefined || json === undefined) return frame;
  const part = project(json, view);
  return { ...rest, ...(frame.args ? { args: part } : { json: part }) } as RecordFrame;
}
