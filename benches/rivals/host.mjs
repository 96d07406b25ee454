// A native messaging host as people write it with Node and npm `ws`: one socket, one native frame a message, nothing kept.
import { createRequire } from "node:module";

const { WebSocket } = createRequire(new URL("../../tests/fixtures/servers/package.json", import.meta.url))("ws");

let socket;
let seq = 0;
let pending = Buffer.alloc(0);

function say(frame) {
  const json = Buffer.from(JSON.stringify(frame));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(json.length);
  process.stdout.write(Buffer.concat([head, json]));
}

function hear(frame) {
  switch (frame.type) {
    case "hello":
      return say({ type: "welcome" });
    case "open":
      socket = new WebSocket(frame.url, { perMessageDeflate: false });
      socket.on("open", () => say({ type: "state", session: "s", seq: ++seq, state: "open" }));
      socket.on("message", (data) =>
        say({ type: "message", session: "s", seq: ++seq, text: data.toString(), time: Date.now() }),
      );
      return say({ type: "opened", id: frame.id });
    case "send":
      return socket.send(frame.text);
    case "batch":
      return frame.frames.forEach(hear);
    case "close":
      socket.terminate();
      return say({ type: "ok", id: frame.id });
  }
}

process.stdin.on("data", (bytes) => {
  pending = Buffer.concat([pending, bytes]);
  while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
    const end = 4 + pending.readUInt32LE(0);
    const frame = JSON.parse(pending.subarray(4, end));
    pending = pending.subarray(end);
    hear(frame);
  }
});
process.stdin.on("end", () => process.exit(0));
