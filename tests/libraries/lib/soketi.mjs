// soketi, a real server of Pusher's protocol, and a client of it that echoes messages, because soketi sends no
// event back to its sender.

import { createHmac } from "node:crypto";
import { resolve } from "node:path";
import WebSocket from "ws";
import { behind } from "./program.mjs";

const PROGRAM = resolve(import.meta.dirname, "../soketi/node_modules/@soketi/soketi/bin/server.js");
const KEY = "key";
const SECRET = "secret";
const CHANNEL = "private-echo";

/** The signature that lets a connection subscribe to a private channel. */
export function signature(socketId, channel) {
  return `${KEY}:${createHmac("sha256", SECRET).update(`${socketId}:${channel}`).digest("hex")}`;
}

/** soketi behind the HTTP server. */
export async function soketi(http) {
  const command = (port) => ({
    program: process.execPath,
    args: [PROGRAM, "start"],
    env: {
      SOKETI_HOST: "127.0.0.1",
      SOKETI_PORT: String(port),
      SOKETI_DEFAULT_APP_KEY: KEY,
      SOKETI_DEFAULT_APP_SECRET: SECRET,
      SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES: "true",
    },
  });
  await echo(await behind(http, command, (url) => fetch(`${url}ready`)));
}

/** A member of the channel that echoes messages. */
async function echo(port) {
  const peer = new WebSocket(`ws://127.0.0.1:${port}/app/${KEY}?protocol=7`);
  peer.on("error", () => {});
  const send = (frame) => peer.send(JSON.stringify(frame));
  await new Promise((subscribed) =>
    peer.on("message", (message) => {
      const { event, data } = JSON.parse(message);
      if (event === "pusher:connection_established") {
        const auth = signature(JSON.parse(data).socket_id, CHANNEL);
        send({ event: "pusher:subscribe", data: { channel: CHANNEL, auth } });
      } else if (event === "pusher_internal:subscription_succeeded") subscribed();
      else if (event === "client-there") send({ event: "client-back", channel: CHANNEL, data });
    }),
  );
}
