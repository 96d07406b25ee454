// One host process as the port a browser gives an extension: frames with a length before them on its stdin and stdout.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { endianness } from "node:os";
import type { Readable, Writable } from "node:stream";
import type { NativePort } from "../browser-api.js";

type PortListener<Value> = (value: Value) => void;

/** A host never writes a longer frame. */
const MAX_FRAME = 1024 * 1024;

/** A port to a host process of its own. */
export class ChildPort implements NativePort {
  error: { message?: string } | null = null;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #messages: PortListener<unknown>[] = [];
  readonly #ends: PortListener<NativePort>[] = [];
  #pending: Buffer[] = [];
  #size = 0;
  #open = true;

  readonly onMessage = { addListener: (call: PortListener<unknown>) => void this.#messages.push(call) };
  readonly onDisconnect = { addListener: (call: PortListener<NativePort>) => void this.#ends.push(call) };

  constructor(program: string, origin: string) {
    this.#child = spawn(program, [origin], { stdio: ["pipe", "pipe", "inherit"], windowsHide: true });
    this.#child.stdout.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#child.stdin.on("error", () => undefined);
    this.#child.once("error", () => this.#end("Failed to start native messaging host."));
    this.#child.once("close", () => this.#end("Native host has exited."));
  }

  postMessage(message: unknown): void {
    if (!this.#open) throw new Error("Attempting to use a disconnected port object");
    const body = Buffer.from(JSON.stringify(message));
    const length = Buffer.alloc(4);
    if (endianness() === "LE") length.writeUInt32LE(body.length);
    else length.writeUInt32BE(body.length);
    this.#child.stdin.write(Buffer.concat([length, body]));
  }

  /** As in a browser: closes the host's input, and gives it two seconds to exit. */
  disconnect(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    this.#child.once("close", () => clearTimeout(timer));
  }

  #take(chunk: Buffer): void {
    this.#pending.push(chunk);
    this.#size += chunk.length;
    if (this.#size < 4) return;
    let buffer = this.#pending.length === 1 ? chunk : Buffer.concat(this.#pending);
    while (this.#open && buffer.length >= 4) {
      const length = endianness() === "LE" ? buffer.readUInt32LE() : buffer.readUInt32BE();
      if (length > MAX_FRAME) {
        this.#child.kill("SIGKILL");
        this.#end("Error when communicating with the native messaging host.");
        return;
      }
      if (buffer.length < 4 + length) break;
      const message: unknown = JSON.parse(buffer.toString("utf8", 4, 4 + length));
      buffer = buffer.subarray(4 + length);
      for (const call of this.#messages) call(message);
    }
    this.#pending = buffer.length > 0 ? [buffer] : [];
    this.#size = buffer.length;
  }

  #end(message: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.error = { message };
    for (const call of this.#ends) call(this);
  }
}
