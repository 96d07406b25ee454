// Each library's server: the real one where it runs in Node, and for Phoenix and SignalR as much of the protocol as
// an echo needs. Each gets an HTTP server that is not listening yet.

import { createRequire } from "node:module";
import { WebSocketServer, createWebSocketStream } from "ws";
import { behind } from "./program.mjs";
import { soketi } from "./soketi.mjs";

const require = createRequire(import.meta.url);

/** A `ws` server on the HTTP server, with every message passed to `handle`. */
function sockets(http, opened, options = {}) {
  const server = new WebSocketServer({ server: http, ...options });
  server.on("connection", (socket, request) => {
    socket.on("error", () => {});
    opened(socket, request);
  });
}

const text = (socket, handle) => socket.on("message", (data) => handle(JSON.parse(data.toString())));

export const servers = {
  plain(http) {
    sockets(http, (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })));
  },

  async "graphql-ws"(http) {
    const { buildSchema } = await import("graphql");
    const { useServer } = await import("graphql-ws/use/ws");
    const schema = buildSchema("type Query { echo(text: String!): String! }");
    const server = new WebSocketServer({ server: http, handleProtocols: () => "graphql-transport-ws" });
    useServer({ schema, roots: { query: { echo: ({ text: given }) => given } } }, server);
  },

  async "mqtt"(http) {
    const { Aedes } = await import("aedes");
    const broker = await Aedes.createBroker();
    sockets(http, (socket, request) => broker.handle(createWebSocketStream(socket).on("error", () => {}), request), { handleProtocols: () => "mqtt" });
  },

  "@stomp/stompjs"(http) {
    const StompServer = require("stomp-broker-js");
    const server = new StompServer({ server: http, path: "/", heartbeat: [0, 0] });
    // It does not send a message back to its sender.
    server.subscribe("/there", (body) => server.send("/back", {}, body));
  },

  "phoenix"(http) {
    sockets(http, (socket) =>
      text(socket, ([joinRef, ref, topic, event, payload]) => {
        const response = event === "echo" ? payload : {};
        socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "ok", response }]));
      }),
    );
  },

  "pusher-js": soketi,

  "@microsoft/signalr"(http) {
    sockets(http, (socket) => {
      const send = (frame) => socket.send(`${JSON.stringify(frame)}\u001e`);
      socket.on("message", (data) => {
        for (const part of data.toString().split("\u001e").filter(Boolean)) {
          const { protocol, type, invocationId, arguments: given } = JSON.parse(part);
          if (protocol) send({});
          else if (type === 1) send({ type: 3, invocationId, result: given[0] });
          else if (type === 6) send({ type: 6 });
        }
      });
    });
  },

  "y-websocket"(http) {
    const { setupWSConnection, docs } = require("y-websocket/bin/utils");
    docs.clear();
    sockets(http, (socket, request) => {
      setupWSConnection(socket, request);
      const doc = docs.get("room");
      if (doc.echoes) return;
      doc.echoes = true;
      doc.getMap("there").observe(({ keysChanged }) => {
        for (const key of keysChanged) doc.getMap("back").set(key, true);
      });
    });
  },

  async "socket.io-client"(http) {
    const { Server } = await import("socket.io");
    new Server(http).on("connection", (socket) => socket.on("echo", (given, done) => done(given)));
  },

  async "viem"(http) {
    const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
    const program = require.resolve(`@foundry-rs/anvil-${platform}/bin/anvil`);
    const command = (port) => ({ program, args: ["--host", "127.0.0.1", "--port", String(port)] });
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] });
    await behind(http, command, (url) => fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body }));
  },
};
servers.partysocket = servers.plain;
servers["reconnecting-websocket"] = servers.plain;
