// Two servers that number what they send, count who connects, and can go away and come back at the same address: npm's
// socket.io, and a server of the protocol graphql-transport-ws over npm's ws. They know nothing of Longwire.

import { once } from "node:events";
import { createServer } from "node:http";
import { Server as SocketIo } from "socket.io";
import { WebSocketServer } from "ws";

/** A Socket.IO server with a namespace `/feed`. */
export class FeedServer {
  #io;
  #number = 0;
  port = 0;
  /** The user agents of all connections to the namespace, in order. */
  agents = [];
  /** The arguments of every `add`. */
  received = [];

  static async start() {
    const server = new FeedServer();
    await server.listen();
    return server;
  }

  async listen() {
    const http = createServer();
    this.#io = new SocketIo(http, { cors: { origin: "*" } });
    const feed = this.#io.of("/feed");
    feed.use((socket, next) => next(socket.handshake.auth.token === "t" ? undefined : new Error("no token")));
    feed.on("connection", (socket) => {
      this.agents.push(socket.handshake.headers["user-agent"] ?? "");
      socket.on("add", (a, b, answer) => {
        this.received.push([a, b]);
        answer(a + b);
      });
      socket.on("mirror", (bytes, answer) => answer(bytes.length, bytes));
    });
    http.listen(this.port, "127.0.0.1");
    await once(http, "listening");
    this.port = http.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** How many are connected to the namespace now. */
  get clients() {
    return this.#io.of("/feed").sockets.size;
  }

  /** Emits the next `count` numbers to everybody; returns the last. */
  push(count) {
    for (let left = count; left > 0; left -= 1) {
      this.#number += 1;
      this.#io.of("/feed").emit("tick", this.#number);
    }
    return this.#number;
  }

  stop() {
    return new Promise((resolve) => this.#io.close(resolve));
  }
}

/** A server of graphql-transport-ws with one subscription, and unrequested messages. */
export class GraphServer {
  #server;
  #number = 0;
  port = 0;
  /** The user agents of all connections, in order, and how often each has subscribed. */
  agents = [];
  subscribed = [];
  /** Messages of clients that the protocol forbids. */
  faults = [];

  static async start() {
    const server = new GraphServer();
    await server.listen();
    return server;
  }

  async listen() {
    const handleProtocols = (offered) => offered.has("graphql-transport-ws") && "graphql-transport-ws";
    this.#server = new WebSocketServer({ host: "127.0.0.1", port: this.port, handleProtocols });
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.#server.on("connection", (socket, { headers }) => this.#serve(socket, headers["user-agent"] ?? ""));
  }

  #serve(socket, agent) {
    const at = this.agents.push(agent) - 1;
    this.subscribed.push(0);
    let isReady = false;
    socket.subscriptions = new Set();
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const { type, id } = JSON.parse(data);
      if (type === "connection_init") {
        isReady = true;
        socket.send(JSON.stringify({ type: "connection_ack" }));
      } else if (type === "ping") socket.send(JSON.stringify({ type: "pong" }));
      else if (!isReady) this.faults.push(type);
      else if (type === "subscribe") {
        this.subscribed[at] += 1;
        socket.subscriptions.add(id);
      } else if (type !== "pong") this.faults.push(type);
    });
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/graphql`;
  }

  /** How many have subscribed and are connected now. */
  get clients() {
    return [...this.#server.clients].filter(({ subscriptions }) => subscriptions?.size > 0).length;
  }

  /** Sends the next `count` numbers to every subscription, and noise; returns the last. */
  push(count) {
    for (let left = count; left > 0; left -= 1) {
      this.#number += 1;
      for (const socket of this.#server.clients) {
        socket.send(JSON.stringify({ type: "noise", n: this.#number }));
        for (const id of socket.subscriptions) {
          socket.send(JSON.stringify({ type: "next", id, payload: { data: { n: this.#number } } }));
        }
      }
    }
    return this.#number;
  }

  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
