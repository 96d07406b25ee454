// The browser's side of native messaging in Node: starts the real host as a browser does and speaks its framing. It knows
// no frame.

import { spawn } from "node:child_process";
import { resolve } from "node:path";

const LONGWIRE = process.env.LONGWIRE ?? resolve(import.meta.dirname, "../../../target/debug/longwire");
const ORIGIN = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";

class Event {
  #listeners = [];
  addListener = (listener) => this.#listeners.push(listener);
  fire = (...args) => {
    for (const listener of this.#listeners) listener(...args);
  };
}

/** `chrome`, as far as the SDK needs it. `started` gets each host's process. */
export function extension(started) {
  const storage = () => {
    const items = new Map();
    return {
      get: async (key) => (items.has(key) ? { [key]: items.get(key) } : {}),
      set: async (all) => {
        for (const [key, value] of Object.entries(all)) items.set(key, value);
      },
      remove: async (key) => void items.delete(key),
    };
  };
  const runtime = { id: "abcdefghijklmnopabcdefghijklmnop", lastError: undefined, connectNative };
  return { runtime, storage: { local: storage(), session: storage() } };

  function connectNative() {
    const host = spawn(LONGWIRE, [ORIGIN], { stdio: ["pipe", "pipe", "inherit"] });
    started(host);
    const port = { onMessage: new Event(), onDisconnect: new Event(), postMessage, disconnect: () => host.stdin.end() };
    host.stdin.on("error", () => {});
    readFrames(host.stdout, (frame) => port.onMessage.fire(frame));
    host.once("exit", () => {
      runtime.lastError = { message: "Native host has exited." };
      port.onDisconnect.fire(port);
      runtime.lastError = undefined;
    });
    return port;

    function postMessage(message) {
      const body = Buffer.from(JSON.stringify(message));
      const head = Buffer.alloc(4);
      head.writeUInt32LE(body.length);
      host.stdin.write(Buffer.concat([head, body]));
    }
  }
}

function readFrames(stream, take) {
  let held = Buffer.alloc(0);
  stream.on("data", (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
      const end = 4 + held.readUInt32LE(0);
      take(JSON.parse(held.subarray(4, end).toString()));
      held = held.subarray(end);
    }
  });
}
