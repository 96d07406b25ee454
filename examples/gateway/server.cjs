// The same gateway as server.go, on npm `ws`, for machines without Go: `{type, payload}` pushed, 512 KB at most, 256
// messages waiting for a client before it is dropped as too slow, pings that must be answered.
//   node server.cjs [port]
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { WebSocketServer } = require("ws");

const SEND_BUFFER = 256;
const PONG_WAIT = 60_000;
const PING = Number(process.env.PING ?? 54_000);
// New with each life of the server: a client sees by it that there was a restart.
let instance = randomUUID();
let counter = 0;
// Handshakes that are still refused after a restart, as by a server that is not up again.
let refuse = 0;
const totals = { dropped: 0, pongs: 0, polls: 0 };

const server = http.createServer((request, response) => {
  // What was polled before there was a push.
  if (request.url === "/api/ticks") totals.polls++;
  else if (request.url !== "/api/stats") return response.writeHead(404).end();
  const stats = { instance, clients: hub.clients.size, ...totals };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(request.url === "/api/ticks" ? [] : stats));
});
const hub = new WebSocketServer({
  server,
  path: "/ws",
  maxPayload: 512 * 1024,
  perMessageDeflate: false,
  verifyClient: (_, answer) => (refuse-- > 0 ? answer(false, 503, "starting") : answer(true)),
});

hub.on("connection", (socket) => {
  // A bounded queue in front of the socket, as a Go channel: whoever does not drain it is sent away.
  const queue = [];
  let writing = false;
  const drain = () => {
    const message = queue.shift();
    writing = message !== undefined;
    if (writing) socket.send(message, drain);
  };
  socket.push = (type, payload) => {
    if (socket.isDropped) return;
    if (queue.length >= SEND_BUFFER) {
      totals.dropped++;
      socket.isDropped = true;
      return socket.terminate();
    }
    queue.push(JSON.stringify({ type, payload }));
    if (!writing) drain();
  };
  socket.heard = Date.now();
  socket.on("pong", () => {
    totals.pongs++;
    socket.heard = Date.now();
  });
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const { type, payload } = JSON.parse(data);
    if (type === "hello") socket.push("welcome", { instance, heard: payload });
    if (type === "flood") flood(payload);
    if (type === "restart") restart();
  });
});

function flood({ count, size = 0 }) {
  const pad = size > 0 ? "x".repeat(size) : undefined;
  for (; count > 0; count--) {
    counter++;
    for (const client of hub.clients) client.push("tick", { n: counter, pad });
  }
}

function restart() {
  instance = randomUUID();
  counter = 0;
  refuse = 3;
  for (const client of hub.clients) client.close(1012, "service restart");
}

setInterval(() => {
  for (const client of hub.clients) {
    if (Date.now() - client.heard > PONG_WAIT) client.terminate();
    else client.ping();
  }
}, PING);

server.listen(Number(process.argv[2] ?? 8790), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
