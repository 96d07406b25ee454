// A WebSocket server on loopback whose behaviour is chosen by the path of the URL: it echoes, closes, drops, refuses.
// It knows nothing of Longwire.

import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

/** What each path does with a new connection. */
const behaviours = {
  "/echo": (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  "/greet": (socket) => {
    for (const word of ["one", "two", "three"]) socket.send(word);
  },
  "/count": (socket, query) => {
    for (let n = 1; n <= Number(query.get("n")); n += 1) socket.send(String(n));
  },
  "/close": (socket, query) => {
    if (query.has("say")) socket.send(query.get("say"));
    const code = query.get("code");
    if (code) socket.close(Number(code), query.get("reason") ?? "");
    else socket.close();
  },
  "/drop": (socket) => {
    socket.send("going");
    setTimeout(() => socket.terminate(), 50);
  },
  "/chatter": (socket) => {
    const timer = setInterval(() => socket.send("chatter"), 1);
    socket.on("close", () => clearInterval(timer));
  },
  // Reports how it was closed to later requests.
  "/record": (socket, query, server) => {
    const seen = [];
    server.records.set(query.get("key"), seen);
    socket.on("message", (data) => seen.push(`message ${data.toString()}`));
    socket.on("close", (code, reason) => seen.push(`close ${code} ${reason.toString()}`.trim()));
  },
  "/replay": (socket, query, server) => {
    const look = () => {
      const seen = server.records.get(query.get("key")) ?? [];
      if (seen.some((line) => line.startsWith("close"))) socket.send(JSON.stringify(seen));
      else setTimeout(look, 10);
    };
    look();
  },
  // Answers a close with `code` and `reason`, or with `drop` not at all.
  "/answer": (socket, query) => {
    onClose(socket, () => {
      if (query.has("drop")) socket.terminate();
      else socket.close(Number(query.get("code")), query.get("reason") ?? "");
    });
  },
  // A close frame with any code at all.
  "/raw-close": (socket, query) => {
    const code = Number(query.get("code"));
    socket._socket.end(Buffer.from([0x88, 2, code >> 8, code & 255]));
  },
  // Reads nothing until `/read` is asked for, then counts what came: messages, bytes, whether they came in order.
  "/later": (socket, query, server) => {
    const tally = { messages: 0, bytes: 0, ordered: true };
    server.tallies.set(query.get("key"), { socket, tally });
    socket._socket.pause();
    socket.on("message", (data, isBinary) => {
      if (!isBinary && data.toString() !== String(tally.messages)) tally.ordered = false;
      tally.messages += 1;
      tally.bytes += data.length;
    });
    socket.on("close", (code, reason) => {
      tally.close = [code, reason.toString()];
    });
  },
  "/read": (socket, query, server) => {
    server.tallies.get(query.get("key")).socket._socket.resume();
    socket.send("true");
  },
  "/tally": (socket, query, server) => {
    const { tally } = server.tallies.get(query.get("key"));
    const look = () => {
      if (tally.close) socket.send(JSON.stringify(tally));
      else setTimeout(look, 10);
    };
    look();
  },
};

/** Hears the client's close frame in the place of `ws`, which would echo it. */
function onClose(socket, call) {
  socket._receiver.removeAllListeners("conclude");
  socket._receiver.on("conclude", call);
}

export class OddServer {
  records = new Map();
  tallies = new Map();
  #http;
  #sockets;

  static async start() {
    const server = new OddServer();
    server.#http = createServer();
    server.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      // `?choose=x` picks x, `?choose=` none, and without it the first one offered.
      handleProtocols: (offered, request) => {
        const chosen = new URL(request.url, "http://x").searchParams.get("choose");
        if (chosen === null) return [...offered][0];
        return chosen === "" ? false : chosen;
      },
    });
    let unanswered = 0;
    // Any question is answered when somebody has asked for `/never`.
    server.#http.on("request", (_, response) => {
      const answer = () => {
        unanswered -= 1;
        response.writeHead(204).end();
      };
      if (unanswered > 0) answer();
      else server.#http.once("never", answer);
    });
    server.#http.on("upgrade", (request, socket, head) => {
      const { pathname, searchParams } = new URL(request.url, "http://x");
      const behave = behaviours[pathname];
      socket.on("error", () => {});
      if (pathname === "/never") {
        unanswered += 1;
        server.#http.emit("never");
        return;
      }
      if (!behave) {
        socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      server.#sockets.handleUpgrade(request, socket, head, (client) => {
        client.on("error", () => {});
        behave(client, searchParams, server);
      });
    });
    server.#http.listen(0, "127.0.0.1");
    await once(server.#http, "listening");
    server.base = `ws://127.0.0.1:${server.#http.address().port}`;
    return server;
  }

  async stop() {
    for (const client of this.#sockets.clients) client.terminate();
    this.#http.closeAllConnections();
    this.#http.close();
  }
}
