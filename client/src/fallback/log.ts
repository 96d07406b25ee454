// The log of one session, in memory and bounded: dropped messages become a gap in their place. It does not deliver.

import type { Gap, GapReason, OpenOptions, RecordFrame } from "../wire.js";
import type { View } from "./filter.js";

/** What clients receive of a message that they do not receive unchanged. */
export type Views = Map<string, View>;

/** One record, its size in bytes, and the one client it is for, if it is not for all. */
export interface LogEntry {
  readonly frame: RecordFrame;
  readonly size: number;
  readonly at: number;
  readonly to: string | undefined;
  readonly views?: Views | undefined;
}

/** Acknowledged messages and bytes that are retained for `from: "last:50"`. */
const RETAINED = { messages: 1024, bytes: 1024 * 1024 };
const QUEUE = { messages: 65_536, bytes: 16 * 1024 * 1024, age: 86_400_000 };

/** A record without the fields that the log adds. */
export type NewRecord = WithoutPosition<RecordFrame>;
type WithoutPosition<Frame> = Frame extends unknown ? Omit<Frame, "session" | "seq"> : never;

/** The records of one session. */
export class SessionLog {
  readonly #session: string;
  /** Acknowledged by all clients. */
  readonly #old: LogEntry[] = [];
  #entries: LogEntry[] = [];
  #next = 1;
  #messages = 0;
  #bytes = 0;
  #oldBytes = 0;

  constructor(session: string) {
    this.#session = session;
  }

  /** The newest sequence number. */
  get last(): number {
    return this.#next - 1;
  }

  /** The sequence number before the oldest record that is held. */
  get start(): number {
    const [first] = this.#old.length > 0 ? this.#old : this.#entries;
    return first ? first.frame.seq - 1 : this.last;
  }

  /** Messages that a client has not acknowledged. */
  get pending(): { messages: number; bytes: number } {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  /** Returns the sequence number. */
  append(record: NewRecord, now: number, size = 0, to?: string, views?: Views): number {
    const frame = { session: this.#session, seq: this.#next, ...record } as RecordFrame;
    this.#next += 1;
    this.#entries.push({ frame, size, at: now, to, views });
    if (frame.type === "message") this.#count(1, size);
    return frame.seq;
  }

  /** Withholds a message from a client, and removes it unless another client needs it. Returns whether it was found. */
  withdraw(seq: number, client: string, isWanted: (entry: LogEntry) => boolean): boolean {
    const at = this.#entries.findIndex(({ frame }) => frame.seq === seq);
    const entry = this.#entries[at];
    if (entry?.frame.type !== "message") return false;
    const withheld = { ...entry, views: new Map(entry.views).set(client, "not") };
    if (isWanted(withheld)) this.#entries[at] = withheld;
    else {
      this.#entries.splice(at, 1);
      this.#count(-1, -entry.size);
    }
    return true;
  }

  /** Appends a state record. It replaces one at the end that was not delivered yet (`delivered`: the last that was). */
  state(record: Extract<NewRecord, { type: "state" }>, now: number, delivered: number): void {
    const before = this.#entries.at(-1)?.frame;
    const isOfLink =
      before?.type === "state" && before.namespace === undefined && record.namespace === undefined;
    if (isOfLink && before.seq > delivered) this.#entries.pop();
    this.append(record, now);
  }

  /** Appends a lost message, to the gap at the end if that was not delivered yet. */
  gap(reason: GapReason, now: number, delivered: number): void {
    const at = this.#entries.length;
    this.append({ type: "message", text: "", time: now }, now);
    this.#lose(at, reason, delivered);
  }

  /** Replaces a message with a gap, which is one with the gap before it if that was not delivered yet. */
  #lose(at: number, reason: GapReason, delivered: number): void {
    const { frame, size, at: since } = this.#entries[at] as LogEntry;
    const { seq } = frame;
    const before = this.#entries[at - 1]?.frame;
    const goesOn = before?.type === "gap" && before.seq > delivered && before.reason === reason;
    const { from, count } = goesOn ? before : { from: seq, count: 0 };
    const gap: Gap = {
      type: "gap",
      session: this.#session,
      seq,
      from,
      to: seq,
      count: count + 1,
      reason,
      exact: true,
    };
    const entry = { frame: gap, size: 0, at: since, to: undefined };
    this.#entries.splice(at - Number(goesOn), 1 + Number(goesOn), entry);
    this.#count(-1, -size);
  }

  /** Whether another message of this size exceeds the bounds. */
  isFull(size: number, queue: OpenOptions["queue"]): boolean {
    const { messages, bytes } = { ...QUEUE, ...queue };
    return this.#messages + 1 > messages || this.#bytes + size > bytes;
  }

  /** Replaces the oldest message with a gap. Returns whether there was one. */
  dropOldest(reason: GapReason, delivered: number): boolean {
    const at = this.#entries.findIndex(({ frame }) => frame.type === "message");
    if (at >= 0) this.#lose(at, reason, delivered);
    return at >= 0;
  }

  /** Replaces expired messages with gaps. */
  dropAged(now: number, queue: OpenOptions["queue"], delivered: number): void {
    const { age } = { ...QUEUE, ...queue };
    for (;;) {
      const oldest = this.#entries.find(({ frame }) => frame.type === "message");
      if (!oldest || oldest.at + age > now) return;
      this.dropOldest("age", delivered);
    }
  }

  /** All clients have acknowledged the records up to `floor`. */
  release(floor: number): void {
    let end = 0;
    for (; end < this.#entries.length; end += 1) {
      const entry = this.#entries[end] as LogEntry;
      if (entry.frame.seq > floor) break;
      if (entry.frame.type !== "message") continue;
      this.#count(-1, -entry.size);
      this.#old.push(entry);
      this.#oldBytes += entry.size;
    }
    if (end > 0) this.#entries = this.#entries.slice(end);
    while (this.#old.length > RETAINED.messages || this.#oldBytes > RETAINED.bytes) {
      this.#oldBytes -= this.#old.shift()?.size ?? 0;
    }
  }

  /** The records after a sequence number. */
  *after(seq: number): Generator<LogEntry> {
    const begin = (list: LogEntry[]) => {
      let low = 0;
      let high = list.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((list[middle] as LogEntry).frame.seq > seq) high = middle;
        else low = middle + 1;
      }
      return low;
    };
    for (const list of [this.#old, this.#entries]) {
      for (let at = begin(list); at < list.length; at += 1) yield list[at] as LogEntry;
    }
  }

  #count(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes;
  }
}
