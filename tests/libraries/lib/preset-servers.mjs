// A server for each preset, by path, as far as a connection without traffic needs it: it answers heartbeats, sends none
// unless the protocol has no answers, and closes a connection that its protocol calls dead.

import { createServer } from "node:http";
import { once } from "node:events";
import { WebSocketServer } from "ws";

const RECORD = "\u001e";
const BEAT = 15_000;

/**
 * By preset: `opened` is what the server sends first, `answer` what it sends for a message, `silence` after how many
 * seconds without a message it closes, `beat` what it sends every 15 seconds, `echo` a message that it answers.
 */
export const presets = {
  centrifugo: {
    answer: (message) => message.rpc && { id: message.id, rpc: message.rpc },
    echo: { id: 1, rpc: { data: "echo" } },
  },
  phoenix: {
    silence: 60,
    answer: ([join, ref, topic, , payload]) => [join, ref, topic, "phx_reply", { status: "ok", response: payload }],
    echo: ["1", "7", "room", "echo", {}],
  },
  pusher: {
    silence: 120,
    opened: { event: "pusher:connection_established", data: JSON.stringify({ socket_id: "1.1", activity_timeout: 120 }) },
    answer: ({ event, data }) => (event === "pusher:ping" ? { event: "pusher:pong", data: {} } : { event: "echo", data }),
    echo: { event: "client-echo", data: {} },
  },
  "graphql-transport-ws": {
    answer: ({ type, id, payload }) =>
      ({ connection_init: { type: "connection_ack" }, ping: { type: "pong" } })[type] ?? { type: "next", id, payload },
    echo: { type: "subscribe", id: "1", payload: {} },
  },
  ably: {
    opened: { action: 4, connectionDetails: { maxIdleInterval: 15_000 } },
    answer: (message) => message,
    echo: { action: 15, channel: "echo" },
  },
  signalr: {
    silence: 30,
    beat: { type: 6 },
    answer: ({ protocol, type, invocationId }) => {
      if (protocol) return {};
      return type === 1 && { type: 3, invocationId };
    },
    echo: { type: 1, invocationId: "1", target: "echo", arguments: [] },
    end: RECORD,
  },
  discord: {
    silence: 60,
    opened: { op: 10, d: { heartbeat_interval: 41_250 } },
    answer: ({ op, d }) => (op === 1 ? { op: 11 } : { op: 0, t: "ECHO", d }),
    echo: { op: 3, d: {} },
  },
};

/** Starts the servers on one port, each at `/<preset>`; another path is a silent server. */
export async function servePresets() {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, handleProtocols: (offered) => [...offered][0] });
  sockets.on("connection", (socket, { url }) => serve(socket, presets[url.slice(1)]));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const stop = () => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  };
  return { port: http.address().port, stop };
}

function serve(socket, preset) {
  socket.on("error", () => {});
  if (!preset) return;
  const { end = "" } = preset;
  const send = (message) => socket.send(`${JSON.stringify(message)}${end}`);
  let dead;
  const handle = () => {
    clearTimeout(dead);
    if (preset.silence) dead = setTimeout(() => socket.close(4201, "no heartbeat"), preset.silence * 1000);
  };
  handle();
  const beats = preset.beat && setInterval(() => send(preset.beat), BEAT);
  socket.on("close", () => {
    clearTimeout(dead);
    clearInterval(beats);
  });
  socket.on("message", (data) => {
    handle();
    const parts = end ? data.toString().split(end).filter(Boolean) : [data.toString()];
    for (const part of parts) {
      const answer = preset.answer(JSON.parse(part));
      if (answer) send(answer);
    }
  });
  if (preset.opened) send(preset.opened);
}
