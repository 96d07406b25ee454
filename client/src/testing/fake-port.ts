// One end of a native port, joined to the broker in memory. It unpacks batches and parts and decides nothing.

import type { NativePort } from "../browser-api.js";
import type { Batch, Part, ToBroker } from "../wire.js";
import { FakeEvent } from "./fake-storage.js";

/** Frames of an extension, also in batches and parts. */
type FromExtension = ToBroker | Batch<FromExtension> | Part;

/** The other end of a port. */
export interface PortWorld {
  /** The port is closed, by either side. */
  portClosed(port: FakePort): void;
  lastError: { message?: string } | undefined;
  /** Set while every host exits at once: the browser's reason. */
  readonly hostFailure: string | undefined;
  readonly broker: { receive(port: FakePort, frame: ToBroker): void } | undefined;
}

/** One end of a port, as the extension holds it. */
export class FakePort implements NativePort {
  readonly onMessage = new FakeEvent<[message: unknown]>();
  readonly onDisconnect = new FakeEvent<[port: NativePort]>();
  error: { message?: string } | null = null;
  /** Frames from the extension, out of batches and parts. */
  readonly sent: ToBroker[] = [];
  /** What was posted, as it was posted. */
  readonly posted: unknown[] = [];
  open = true;
  readonly #parts = new Map<string, string>();

  constructor(
    readonly world: PortWorld,
    readonly host: string,
  ) {}

  postMessage(message: unknown): void {
    if (!this.open) throw new Error("Attempting to use a disconnected port object");
    const copy = JSON.parse(JSON.stringify(message));
    this.posted.push(copy);
    this.#take(copy);
  }

  disconnect(): void {
    this.open = false;
    this.world.portClosed(this);
  }

  /** The host sends a frame. */
  deliver(frame: unknown): void {
    if (this.open) this.onMessage.fire(JSON.parse(JSON.stringify(frame)));
  }

  /** The host exits; the browser reports `reason`. */
  die(reason = "Native host has exited.", firefox = false): void {
    if (!this.open) return;
    this.open = false;
    this.world.portClosed(this);
    if (firefox) this.error = reason ? { message: reason } : null;
    else this.world.lastError = { message: reason };
    this.onDisconnect.fire(this);
    this.world.lastError = undefined;
  }

  #take(frame: FromExtension): void {
    if (frame.type === "batch") {
      for (const one of frame.frames) this.#take(one);
    } else if (frame.type === "part") {
      const { part, data, last, index } = frame;
      const whole = (index === 0 ? "" : (this.#parts.get(part) ?? "")) + data;
      this.#parts.set(part, whole);
      if (last) this.#take(JSON.parse(whole));
    } else {
      this.sent.push(frame);
      if (this.world.hostFailure === undefined) this.world.broker?.receive(this, frame);
    }
  }
}
