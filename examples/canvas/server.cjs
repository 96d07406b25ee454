// Notifications of an AI canvas: a session's tasks as they go, large payloads, compression, a ping that ends silent
// connections, batches.
//   node server.cjs [port]
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { WebSocketServer } = require("ws");

const PING = Number(process.env.PING ?? 30_000);
const BATCH = 100;
let totalConnections = 0;

const server = http.createServer((request, response) => {
  if (request.url !== "/api/ws/stats") return response.writeHead(404).end();
  const clients = [...sockets.clients].map(({ id, userId, sessionId, isAlive, readyState }) => {
    return { id, userId, sessionId, isAlive, state: readyState };
  });
  const activeConnections = clients.filter(({ state }) => state === 1).length;
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ totalConnections, activeConnections, clients }));
});

const sockets = new WebSocketServer({
  server,
  path: "/ws",
  clientTracking: true,
  maxPayload: 100 * 1024 * 1024,
  perMessageDeflate: {
    zlibDeflateOptions: { chunkSize: 1024, memLevel: 7, level: 3 },
    zlibInflateOptions: { chunkSize: 10 * 1024 },
    clientNoContextTakeover: true,
    serverNoContextTakeover: true,
    serverMaxWindowBits: 10,
    concurrencyLimit: 10,
    threshold: 1024,
  },
});

// A token is three parts; this one is not checked further.
const isToken = (token) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token ?? "");

sockets.on("connection", (socket, request) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  if (!isToken(query.get("token"))) return socket.close(1008, "Unauthorized");
  totalConnections++;
  Object.assign(socket, {
    id: `client_${randomUUID()}`,
    userId: query.get("userId"),
    sessionId: query.get("sessionId"),
    isAlive: true,
    waiting: [],
  });
  const say = (message) => socket.send(JSON.stringify({ ...message, timestamp: new Date().toISOString() }));
  say({ type: "connection", status: "connected", clientId: socket.id });
  socket.on("pong", () => {
    socket.isAlive = true;
    told({ pong: socket.id });
  });
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "ping":
        told({ ping: socket.id });
        return say({ type: "pong" });
      case "subscribe":
        socket.sessionId = message.sessionId;
        return say({ type: "subscribed", sessionId: message.sessionId });
      case "unsubscribe":
        socket.sessionId = null;
        return say({ type: "unsubscribed" });
      case "generate":
        return generate(message);
      // A whole canvas, up and down.
      case "snapshot":
        return say({ type: "snapshot", received: data.length, image: "x".repeat(message.bytes ?? 0) });
      case "vanish":
        return socket.terminate();
    }
  });
});

// A task of a session. The original is asked for it by POST; what comes of it is the same.
function generate({ sessionId, prompt = "", chunks = 5, chunk = 50 }) {
  notify(sessionId, { type: "ai_start", task: { prompt, mode: "generate" } });
  if (chunks < 0) {
    return notify(sessionId, { type: "ai_error", error: { message: "rate limit exceeded", type: "rate_limit_error" } });
  }
  for (let n = 1; n <= chunks; n++) {
    const progress = { chunksReceived: n, contentLength: n * chunk };
    notify(sessionId, { type: "ai_progress", progress, text: "x".repeat(chunk) });
  }
  notify(sessionId, { type: "ai_complete", result: { mode: "generate", contentLength: chunks * chunk, chunks } });
}

function notify(sessionId, event) {
  const whole = { ...event, sessionId, timestamp: new Date().toISOString() };
  for (const socket of sockets.clients) if (socket.sessionId === sessionId) socket.waiting?.push(whole);
}

setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.waiting?.length) continue;
    socket.send(JSON.stringify({ type: "batch_update", messages: socket.waiting.splice(0) }));
  }
}, BATCH);

setInterval(() => {
  for (const socket of sockets.clients) {
    if (socket.isAlive === false) {
      told({ terminated: socket.id });
      socket.terminate();
      continue;
    }
    socket.isAlive = false;
    socket.ping();
  }
}, PING);

// For tests.
const told = (line) => process.env.END_WITH_STDIN && console.log(JSON.stringify(line));

server.listen(Number(process.argv[2] ?? 8789), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
