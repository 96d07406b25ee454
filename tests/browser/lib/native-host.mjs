// A host process as a browser starts it, addressed with frames.

import { spawn } from "node:child_process";
import { once } from "node:events";

export class NativeHost {
  #child;
  #read = Buffer.alloc(0);
  frames = [];

  /** Starts the host for an extension and sends hello. */
  constructor(program, origin, env) {
    this.#child = spawn(program, [origin], { env, stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdout.on("data", (data) => {
      this.#read = Buffer.concat([this.#read, data]);
      while (this.#read.length >= 4) {
        const length = this.#read.readUInt32LE();
        if (this.#read.length < 4 + length) return;
        const frame = JSON.parse(this.#read.subarray(4, 4 + length).toString());
        this.frames.push(...(frame.type === "batch" ? frame.frames : [frame]));
        this.#read = this.#read.subarray(4 + length);
      }
    });
    this.send({ type: "hello", protocol: 1 });
  }

  send(frame) {
    const json = Buffer.from(JSON.stringify(frame));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    this.#child.stdin.write(Buffer.concat([length, json]));
  }

  /** Hangs up, as a browser that closes. */
  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode) return;
    const gone = once(this.#child, "exit");
    this.#child.stdin.end();
    await gone;
  }
}
