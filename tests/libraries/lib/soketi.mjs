// soketi, a real server of Pusher's protocol, in a process of its own behind an HTTP server; and a client of it that sends
// back what it hears, because soketi sends no event back to its sender.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { resolve } from "node:path";
import WebSocket from "ws";

const PROGRAM = resolve(import.meta.dirname, "../soketi/node_modules/@soketi/soketi/bin/server.js");
const PATIENCE = 30_000;
const KEY = "key";
const SECRET = "secret";
const CHANNEL = "private-echo";

/** The signature that lets a connection subscribe to a private channel. */
export function signature(socketId, channel) {
  return `${KEY}:${createHmac("sha256", SECRET).update(`${socketId}:${channel}`).digest("hex")}`;
}

/** Starts soketi behind the HTTP server, and ends it with that. */
export async function soketi(http) {
  const port = await freePort();
  const env = {
    ...process.env,
    SOKETI_HOST: "127.0.0.1",
    SOKETI_PORT: String(port),
    SOKETI_DEFAULT_APP_KEY: KEY,
    SOKETI_DEFAULT_APP_SECRET: SECRET,
    SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: "true",
  };
  const child = spawn(process.execPath, [PROGRAM, "start"], { env, stdio: process.env.VERBOSE ? "inherit" : "ignore" });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  http.once("close", end);
  await answers(port, child);
  await echo(port);
  http.on("upgrade", (request, socket, head) => forward(port, request, socket, head));
}

/** Hands a connection on, with its handshake. */
function forward(port, { method, url, rawHeaders }, socket, head) {
  const far = connect(port, "127.0.0.1");
  const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
  far.write([`${method} ${url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
  far.write(head);
  for (const [from, to] of [[socket, far], [far, socket]]) {
    from.on("error", () => {});
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
}

/** A member of the channel that sends back what it hears. */
async function echo(port) {
  const peer = new WebSocket(`ws://127.0.0.1:${port}/app/${KEY}?protocol=7`);
  peer.on("error", () => {});
  const say = (frame) => peer.send(JSON.stringify(frame));
  await new Promise((subscribed) =>
    peer.on("message", (message) => {
      const { event, data } = JSON.parse(message);
      if (event === "pusher:connection_established") {
        const auth = signature(JSON.parse(data).socket_id, CHANNEL);
        say({ event: "pusher:subscribe", data: { channel: CHANNEL, auth } });
      } else if (event === "pusher_internal:subscription_succeeded") subscribed();
      else if (event === "client-there") say({ event: "client-back", channel: CHANNEL, data });
    }),
  );
}

async function answers(port, child) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    if (response?.ok) return;
    if (child.exitCode !== null || Date.now() > end) throw new Error("soketi did not start; VERBOSE=1 shows why");
    await new Promise((look) => setTimeout(look, 50));
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
