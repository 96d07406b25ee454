// Hosts as a browser starts them, and servers that say whatever they like: what `under-attack` is made of.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";

export const program = process.env.LONGWIRE_BIN ?? join(import.meta.dirname, "../target/release/longwire");

/** A host as a browser starts it. */
export class Host {
  #child;
  #bytes = Buffer.alloc(0);
  #listeners = new Set();
  /** `isRead`: its frames are; what the attacker is told would only keep the clock from being looked at. */
  constructor(env, id, { isRead }) {
    this.#child = spawn(program, [`chrome-extension://${id.repeat(32)}/`], { env, stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdin.on("error", () => {});
    this.#child.stdout.on("data", (chunk) => {
      if (!isRead) return;
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      while (this.#bytes.length >= 4) {
        const length = this.#bytes.readUInt32LE(0);
        if (this.#bytes.length < 4 + length) return;
        const frame = length ? JSON.parse(this.#bytes.subarray(4, 4 + length)) : {};
        this.#bytes = this.#bytes.subarray(4 + length);
        for (const each of frame.type === "batch" ? frame.frames : [frame]) for (const hear of this.#listeners) hear(each);
      }
    });
    this.say({ type: "hello", protocol: 1 });
  }
  say(frame) {
    const json = Buffer.from(JSON.stringify(frame));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(json.length);
    this.#child.stdin.write(Buffer.concat([head, json]));
  }
  open(session, url, options = {}) {
    this.say({ type: "open", id: session, session, url, options });
  }
  hear(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  until(matches) {
    return new Promise((resolve) => {
      const stop = this.hear((frame) => {
        if (matches(frame)) {
          stop();
          resolve(frame);
        }
      });
    });
  }
  stopReading() {
    this.#child.stdout.pause();
  }
  end() {
    this.#child.stdin.end();
    this.#child.kill();
  }
}

/** A server on a free port; `serve` gets each socket and the head of its request. */
export async function server(serve) {
  const sockets = new Set();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let head = "";
    const read = (chunk) => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", read);
      serve(socket, head);
    };
    socket.on("data", read);
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const end = () => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: listener.address().port, end };
}

export function upgrade(socket, head, extension) {
  const key = /sec-websocket-key: *(\S+)/i.exec(head)[1];
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${extension ? `Sec-WebSocket-Extensions: ${extension}\r\n` : ""}\r\n`,
  );
}
export function frame(opcode, payload) {
  const bytes = Buffer.from(payload);
  const head = bytes.length < 126 ? Buffer.from([0x80 | opcode, bytes.length]) : Buffer.alloc(10);
  if (bytes.length >= 126) {
    head[0] = 0x80 | opcode;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(bytes.length), 2);
  }
  return Buffer.concat([head, bytes]);
}
/** Writes `blob` as long as the attack lasts, as fast as it is read. */
export function flood(socket, blob) {
  const more = () => {
    while (!socket.destroyed && socket.write(blob));
  };
  socket.on("drain", more);
  more();
}
/** Answers each masked text frame of up to 125 bytes with the same text. */
export function echo(socket, head) {
  upgrade(socket, head);
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 6) {
      const length = bytes[1] & 0x7f;
      if (bytes.length < 6 + length) return;
      const text = Buffer.from(bytes.subarray(6, 6 + length)).map((byte, at) => byte ^ bytes[2 + (at % 4)]);
      const opcode = bytes[0] & 0x0f;
      socket.write(frame(opcode === 9 ? 10 : opcode, text));
      bytes = bytes.subarray(6 + length);
    }
  });
}
