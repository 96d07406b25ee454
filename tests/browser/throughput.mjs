// Events per second that reach a handler in an extension's page: the SDK through host and broker, the same page's native
// WebSocket, and a plain native host that writes one message a frame. Same sizes, same machine, same run.
//   node throughput.mjs [count]     prints a Markdown table

import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { World } from "./lib/world.mjs";

const COUNT = Number(process.argv[2] ?? 200_000);
const PLAIN_COUNT = 50_000;
const ROUNDS = 5;
/** Bytes of a message, and into how many parts its count is divided. */
const SIZES = new Map([
  [100, 1],
  [1024, 1],
  [64_000, 50],
]);
const TIMEOUT = 120_000;

/** Messages in one write: the server must not be the slowest. */
const CHUNK = 500;

/** Sends `n` messages of `size` bytes to each client of `/?n=..&size=..` after its first message, as fast as TCP accepts them. */
async function blaster() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((done) => server.once("listening", done));
  server.on("connection", (socket, request) => {
    const query = new URL(request.url, "http://x").searchParams;
    const body = Buffer.from(JSON.stringify({ pad: "x".repeat(Number(query.get("size")) - 10) }));
    const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
    const chunk = Buffer.concat(Array.from({ length: CHUNK }, () => Buffer.concat([head, body])));
    let left = Number(query.get("n")) / CHUNK;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!request.socket.write(chunk)) return request.socket.once("drain", more);
      }
    };
    // The client decides when.
    socket.once("message", more);
  });
  return server;
}

/** A native host as most are written: each event one message. */
const PLAIN_HOST = `#!${process.execPath}
let input = Buffer.alloc(0);
process.stdin.on("data", (data) => {
  input = Buffer.concat([input, data]);
  if (input.length < 4 || input.length < 4 + input.readUInt32LE(0)) return;
  const { n, size } = JSON.parse(input.subarray(4).toString());
  const body = Buffer.from(JSON.stringify({ pad: "x".repeat(size - 10) }));
  const frame = Buffer.concat([Buffer.alloc(4), body]);
  frame.writeUInt32LE(body.length);
  const chunk = Buffer.concat(Array.from({ length: 100 }, () => frame));
  let left = n / 100;
  const more = () => {
    while (left > 0) {
      left -= 1;
      if (!process.stdout.write(chunk)) return process.stdout.once("drain", more);
    }
  };
  more();
});
process.stdin.on("end", () => process.exit());
`;

const inPage = {
  "native WebSocket": async (n, size, url) => {
    const socket = new WebSocket(`${url}/?n=${n}&size=${size}`);
    await new Promise((done) => (socket.onopen = done));
    const since = performance.now();
    await new Promise((done) => {
      let count = 0;
      socket.onmessage = ({ data }) => {
        count += JSON.parse(data).pad ? 1 : 0;
        if (count === n) done();
      };
      socket.send("go");
    });
    const took = performance.now() - since;
    socket.close();
    return took;
  },
  "Longwire SDK": async (n, size, url) => {
    const { connect } = await import("./longwire.js");
    const session = await connect({ client: "page" }).open(`b${performance.now()}`.slice(0, 8), `${url}/?n=${n}&size=${size}`, {
      format: "json",
      queue: { messages: 1_000_000, bytes: 1 << 30, overflow: "pause" },
    });
    let since = 0;
    await new Promise((done) => {
      let count = 0;
      session.on("message", ({ json }) => {
        count += json.pad ? 1 : 0;
        if (count === n) done();
      });
      session.onGap(({ count: lost }) => {
        count += lost;
      });
      since = performance.now();
      void session.send("go");
    });
    const took = performance.now() - since;
    await session.close();
    return took;
  },
  "plain native host": async (n, size) => {
    const port = chrome.runtime.connectNative("plain.host");
    let since = 0;
    await new Promise((done, fail) => {
      let count = 0;
      port.onDisconnect.addListener(() => fail(new Error(chrome.runtime.lastError?.message)));
      port.onMessage.addListener(({ pad }) => {
        count += pad ? 1 : 0;
        if (count === n) done();
      });
      since = performance.now();
      port.postMessage({ n, size });
    });
    const took = performance.now() - since;
    port.disconnect();
    return took;
  },
};

const world = await World.make();
const server = await blaster();
try {
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  const host = join(world.folder, "plain-host.mjs");
  await writeFile(host, PLAIN_HOST);
  await chmod(host, 0o755);
  const manifest = {
    name: "plain.host",
    description: "one event, one message",
    path: host,
    type: "stdio",
    allowed_origins: [`chrome-extension://${world.id}/`],
  };
  await writeFile(join(world.profile, "NativeMessagingHosts", "plain.host.json"), JSON.stringify(manifest));
  await world.launch();
  const url = `ws://127.0.0.1:${server.address().port}`;
  // In turns, so that all of them meet the same troubles of the machine.
  const rates = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [size, part] of SIZES) {
      for (const [name, work] of Object.entries(inPage)) {
        const n = (name === "plain native host" ? Math.min(COUNT, PLAIN_COUNT) : COUNT) / part;
        const took = await world.page.evaluateFor(TIMEOUT, work, n, size, url);
        const key = `${name} ${size}`;
        rates.set(key, [...(rates.get(key) ?? []), Math.round((n / took) * 1000)]);
      }
    }
  }
  const number = (value) => value.toLocaleString("en");
  console.log("| events/s: median (lowest to highest) | 100 B | 1 KB | 64 KB |\n|---|---|---|---|");
  for (const name of Object.keys(inPage)) {
    const cells = [...SIZES.keys()].map((size) => {
      const sorted = rates.get(`${name} ${size}`).sort((a, b) => a - b);
      return `${number(sorted[ROUNDS >> 1])} (${number(sorted[0])} to ${number(sorted.at(-1))})`;
    });
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
} finally {
  server.close();
  for (const client of server.clients) client.terminate();
  await world.end();
}
