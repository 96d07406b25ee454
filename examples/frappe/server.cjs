// Frappe's realtime server as its documents describe it: the Origin's host must be the Host, the `sid` cookie says who
// comes, and each site is a namespace. Beside it the one whitelisted method that a poll may ask.
//   node server.cjs [port]
const http = require("node:http");
const { Server } = require("socket.io");

const SITE = "/site1.local";
const messages = [];

const sid = (headers) => /(?:^|;\s*)sid=([^;]+)/.exec(headers.cookie ?? "")?.[1];
const signedIn = (headers) => Boolean(sid(headers)) && sid(headers) !== "Guest" && sid(headers) !== "expired";

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname !== "/api/method/ai.pending") return response.writeHead(404).end();
  if (!signedIn(request.headers)) return response.writeHead(403).end('{"exc_type":"PermissionError"}');
  const after = Number(url.searchParams.get("after") ?? 0);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ message: messages.slice(after) }));
});

const io = new Server(server);
const site = io.of(SITE);
site.use((socket, next) => {
  const { origin, host } = socket.request.headers;
  if (!origin || new URL(origin).host !== host) return next(new Error("Invalid origin"));
  if (!signedIn(socket.request.headers)) return next(new Error("Unauthorized"));
  next();
});

function publish(event, message) {
  messages.push({ idx: messages.length + 1, event, message });
  site.emit(event, message);
}

site.on("connection", (socket) => {
  socket.on("ai_start", (task) => {
    for (let percent = 25; percent <= 100; percent += 25) publish("ai_progress", { task, percent });
    publish("msgprint", { message: `Task ${task} is done` });
    // Desk evaluates this. Longwire delivers it as what it is: a string.
    publish("eval_js", "globalThis.pwned = true");
  });
  socket.on("connections", (answer) => answer(site.sockets.size));
});

server.listen(Number(process.argv[2] ?? 9000), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
