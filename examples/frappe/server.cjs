// Frappe's realtime server as its documents describe it: the Origin's host must be the Host, each site is a namespace, and
// the `sid` cookie identifies the user. It also has the one whitelisted method that a client may poll.
//   node server.cjs [port]
const http = require("node:http");
const { Server } = require("socket.io");

const SITE = "/site1.local";
// As behind a proxy that lets no Socket.IO through.
const NO_SOCKET = Boolean(process.env.NO_SOCKET);
const messages = [];
const signedOut = new Set(["Guest", "expired"]);

const sid = (headers) => /(?:^|;\s*)sid=([^;]+)/.exec(headers.cookie ?? "")?.[1];
const signedIn = (headers) => Boolean(sid(headers)) && !signedOut.has(sid(headers));

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname !== "/api/method/ai.pending") return response.writeHead(NO_SOCKET ? 502 : 404).end();
  if (!signedIn(request.headers)) return response.writeHead(403).end('{"exc_type":"PermissionError"}');
  const after = Number(url.searchParams.get("after") ?? 0);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ message: messages.slice(after) }));
});

const io = NO_SOCKET ? new Server() : new Server(server);
// Every namespace is asked for by the same rules.
const sites = io.of(/^\/.*$/);
sites.use((socket, next) => {
  const { origin, host } = socket.request.headers;
  if (!origin || new URL(origin).host !== host) return next(new Error("Invalid origin"));
  if (socket.nsp.name !== SITE) return next(new Error("Invalid namespace"));
  if (!sid(socket.request.headers)) return next(new Error("No sid"));
  if (!signedIn(socket.request.headers)) return next(new Error("Unauthorized"));
  next();
});

function publish(event, message) {
  messages.push({ idx: messages.length + 1, event, message });
  io.of(SITE).emit(event, message);
}

/** One task: at once, or with a pause of so many milliseconds after each step. */
async function start(task, { step = 25, pause = 0 } = {}) {
  for (let percent = step; percent <= 100; percent += step) {
    publish("ai_progress", { task, percent });
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  publish("msgprint", { message: `Task ${task} is done` });
  // Desk evaluates this. Longwire delivers it as what it is: a string.
  publish("eval_js", "globalThis.pwned = true");
}

sites.on("connection", (socket) => {
  told({ connected: socket.conn.transport.name });
  socket.conn.on("upgrade", (transport) => told({ upgraded: transport.name }));
  socket.on("ai_start", start);
  socket.on("connections", (answer) => answer(socket.nsp.sockets.size));
  // The session ends in Desk, and every connection of it without a word.
  socket.on("sign_out", () => {
    signedOut.add(sid(socket.request.headers));
    socket.conn.transport.close();
  });
});

// For tests.
const told = (line) => process.env.END_WITH_STDIN && console.log(JSON.stringify(line));
if (NO_SOCKET) start("t0");

server.listen(Number(process.argv[2] ?? 9000), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
