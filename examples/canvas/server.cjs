// Notifications of an AI canvas: large payloads, compression, a ping that ends silent connections, batches.
//   node server.cjs [port]
const http = require("node:http");
const { WebSocketServer } = require("ws");

const PING = Number(process.env.PING ?? 30_000);
const started = Date.now();
const totals = { connections: 0, messagesSent: 0, messagesReceived: 0 };

const server = http.createServer((request, response) => {
  if (request.url !== "/api/ws/stats") return response.writeHead(404).end();
  const bySession = [...sockets.clients].map(({ sessionId, topics }) => ({ sessionId, subscriptions: [...topics] }));
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ active: sockets.clients.size, uptime: Date.now() - started, ...totals, bySession }));
});

const sockets = new WebSocketServer({
  server,
  path: "/ws",
  maxPayload: 100 * 1024 * 1024,
  perMessageDeflate: {
    zlibDeflateOptions: { chunkSize: 1024, memLevel: 7, level: 3 },
    zlibInflateOptions: { chunkSize: 10 * 1024 },
    threshold: 1024,
  },
});

// A token is three parts; this one is not checked further.
const isToken = (token) => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token ?? "");

sockets.on("connection", (socket, request) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  Object.assign(socket, { alive: true, topics: new Set(), waiting: [], sessionId: query.get("sessionId") });
  if (!query.get("userId") || !isToken(query.get("token"))) return socket.close(1008, "Unauthorized");
  totals.connections++;
  const say = (message) => {
    totals.messagesSent++;
    socket.send(JSON.stringify(message));
  };
  say({ type: "connection", userId: query.get("userId"), sessionId: socket.sessionId, timestamp: Date.now() });
  socket.on("pong", () => (socket.alive = true));
  socket.on("message", (data) => {
    totals.messagesReceived++;
    const message = JSON.parse(data);
    switch (message.type) {
      case "ping":
        return say({ type: "pong", timestamp: Date.now() });
      case "subscribe":
        socket.topics.add(message.topic);
        return say({ type: "subscribed", topic: message.topic });
      case "unsubscribe":
        socket.topics.delete(message.topic);
        return say({ type: "unsubscribed", topic: message.topic });
      case "draw":
        return draw(message);
      case "vanish":
        return socket.terminate();
    }
  });
});

// Events of one topic, in batches every 100 ms.
function draw({ topic, steps = 5, size = 0 }) {
  const about = { topic, jobId: `job-${Date.now()}` };
  notify(topic, { type: "ai_start", ...about });
  if (steps < 0) return notify(topic, { type: "ai_error", ...about, error: "there is nothing to draw" });
  for (let step = 1; step <= steps; step++) {
    notify(topic, { type: "ai_progress", ...about, step, of: steps, pixels: "x".repeat(size) });
  }
  notify(topic, { type: "ai_complete", ...about });
}

function notify(topic, event) {
  for (const socket of sockets.clients) if (socket.topics.has(topic)) socket.waiting.push(event);
}

setInterval(() => {
  for (const socket of sockets.clients) {
    if (socket.waiting.length === 0) continue;
    totals.messagesSent++;
    socket.send(JSON.stringify({ type: "batch", events: socket.waiting.splice(0) }));
  }
}, 100);

setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.alive) socket.terminate();
    socket.alive = false;
    socket.ping();
  }
}, PING);

server.listen(Number(process.argv[2] ?? 8789), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
