// A WebSocket server on loopback, by npm's `ws`: it numbers what it sends, keeps what it got, and can go away and come
// back at the same address. It knows nothing of Longwire.

import { once } from "node:events";
import { WebSocketServer } from "ws";

export class Server {
  #server;
  #number = 0;
  /** Every message received, as text, in order. */
  received = [];
  /** How many connections there have ever been. */
  connections = 0;
  /** The codes of the closes, in order. */
  closes = [];

  static async start(port = 0) {
    const server = new Server();
    await server.#listen(port);
    return server;
  }

  async #listen(port) {
    this.#server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false });
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.#server.on("connection", (socket, request) => {
      this.connections += 1;
      this.headers = request.headers;
      socket.on("error", () => {});
      socket.on("close", (code) => this.closes.push(code));
      socket.on("message", (data) => {
        this.received.push(data.toString());
        socket.send(JSON.stringify({ type: "echo", of: data.toString() }));
      });
    });
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** How many are connected now. */
  get clients() {
    return this.#server.clients.size;
  }

  /** Sends the next `count` numbered messages to every client; returns the last number. */
  push(count) {
    for (let left = count; left > 0; left -= 1) {
      this.#number += 1;
      const text = JSON.stringify({ type: "tick", number: this.#number });
      for (const socket of this.#server.clients) socket.send(text);
    }
    return this.#number;
  }

  /** Drops every connection without a closing handshake and stops listening. */
  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Listens again where it listened before. */
  async restart() {
    await this.#listen(this.port);
  }
}
