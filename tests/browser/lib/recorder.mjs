// A server that writes down the head of every request, letter by letter, and answers WebSocket, event stream and polling.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A request's head: its first line, and its headers as `[name, value]` in order. */
function parsed(text) {
  const [line, ...rest] = text.split("\r\n");
  const headers = rest.map((header) => {
    const colon = header.indexOf(":");
    return [header.slice(0, colon), header.slice(colon + 1).trim()];
  });
  const value = (name) => headers.find(([known]) => known.toLowerCase() === name)?.[1];
  return { line, headers, value };
}

function answer({ line, value }) {
  const allow = `Access-Control-Allow-Origin: ${value("origin") ?? "*"}\r\n`;
  if (value("upgrade")?.toLowerCase() === "websocket") {
    const accept = createHash("sha1").update(value("sec-websocket-key") + GUID).digest("base64");
    return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
  }
  if (line.includes("/sse")) {
    return `HTTP/1.1 200 OK\r\n${allow}Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\ndata: hello\n\n`;
  }
  return `HTTP/1.1 200 OK\r\n${allow}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
}

/** Calls `take(head, socket, rest)` with every head; a `true` ends the reading of heads. */
function heads(socket, take) {
  let text = "";
  const data = (chunk) => {
    text += chunk.toString("latin1");
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const head = parsed(text.slice(0, end));
      text = text.slice(end + 4);
      if (take(head, socket, text)) return socket.off("data", data);
    }
  };
  socket.on("data", data).on("error", () => {});
}

async function listening(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

export class Recorder {
  /** Every head of a request whose path names a client, in order. */
  seen = [];
  #servers = [];
  #sockets = new Set();

  static async start(folder) {
    const recorder = new Recorder();
    const serve = (socket) => {
      recorder.#keep(socket);
      heads(socket, (head) => {
        recorder.seen.push(head);
        socket.write(answer(head));
        return head.value("upgrade") !== undefined;
      });
    };
    const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder, name));
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...subject], {
      stdio: "ignore",
    });
    recorder.#servers = [net.createServer(serve), tls.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, serve)];
    [recorder.port, recorder.tlsPort] = await Promise.all(recorder.#servers.map(listening));
    return recorder;
  }

  #keep(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
  }

  /** A port that records requests to a proxy and forwards them to it. */
  async before(proxy) {
    const server = net.createServer((socket) => {
      this.#keep(socket);
      heads(socket, (head) => {
        this.seen.push(head);
        const there = net.connect(proxy, "127.0.0.1");
        this.#keep(there);
        there.write(`${head.line}\r\n${head.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1");
        socket.pipe(there).pipe(socket);
        return true;
      });
    });
    this.#servers.push(server);
    return listening(server);
  }

  stop() {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}
