// The server of an image-generation bridge: batches over a WebSocket, the same tasks by polling and as an event stream.
//   node server.cjs [port]
const http = require("node:http");
const { WebSocketServer } = require("ws");

// Every event of every batch, numbered, so that missed events can be sent again.
const events = [];
const batches = new Map();
const listeners = new Set();
// Transports that are disabled, as behind a proxy: "websocket", "sse".
const down = new Set((process.env.DOWN ?? "").split(","));
// Which transports were requested, in order, and the most that were open at once.
const transports = { asked: [], open: 0, most: 0 };

function isOpen(transport, connection) {
  if (transports.asked.at(-1) !== transport) transports.asked.push(transport);
  if (down.has(transport)) return false;
  transports.most = Math.max(transports.most, ++transports.open);
  connection.on("close", () => transports.open--);
  return true;
}

function tell(event) {
  const numbered = { n: events.length + 1, ...event };
  events.push(numbered);
  for (const listener of listeners) listener(numbered);
}

// Panels are ready a few at a time. Every hundredth fails once and is tried again.
function work(batch) {
  for (let step = 0; step < 20 && batch.next <= batch.panels; step++) {
    const panel = batch.next;
    if (panel % 100 === 0 && batch.retried !== panel) {
      batch.retried = panel;
      tell({ type: "retry", batchId: batch.id, panel });
      break;
    }
    batch.next++;
    tell({ type: "progress", batchId: batch.id, panel, of: batch.panels, url: `/images/${batch.id}/${panel}.png` });
  }
  if (batch.next > batch.panels) tell({ type: "completed", batchId: batch.id, panels: batch.panels });
  else setTimeout(work, 2, batch);
}

// The same batch asked for twice is one batch: a request may be sent again after a loss.
function begin({ batchId, panels }) {
  if (batches.has(batchId)) return;
  const batch = { id: batchId, panels, next: 1 };
  batches.set(batch.id, batch);
  setTimeout(work, 5, batch);
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/tasks/pending") {
    isOpen("poll", response);
    const after = Number(url.searchParams.get("after") ?? 0);
    const tasks = events.slice(after, after + 100).map(({ n, ...task }) => ({ id: n, ...task }));
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify({ tasks }));
  }
  if (url.pathname === "/events") {
    if (!isOpen("sse", response)) return response.writeHead(503).end();
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    // Open from now on, although there may be no events yet.
    response.flushHeaders();
    const write = (event) => response.write(`id: ${event.n}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    events.slice(Number(request.headers["last-event-id"] ?? 0)).forEach(write);
    listeners.add(write);
    return response.on("close", () => listeners.delete(write));
  }
  if (url.pathname === "/tasks/result" && request.method === "POST") {
    request.resume();
    return response.writeHead(201).end();
  }
  // Messages of clients without a WebSocket.
  if (url.pathname === "/tasks" && request.method === "POST") {
    let body = "";
    for await (const chunk of request) body += chunk;
    const message = JSON.parse(body);
    if (message.type === "generate") begin(message);
    return response.writeHead(202).end();
  }
  if (url.pathname === "/transports") return response.end(JSON.stringify(transports));
  response.writeHead(404).end();
});

const verifyClient = ({ req }, answer) => answer(isOpen("websocket", req.socket), 503, "no sockets here");

new WebSocketServer({ server, perMessageDeflate: false, verifyClient }).on("connection", (socket) => {
  const say = (message) => socket.send(JSON.stringify(message));
  const watched = new Set();
  const listener = (event) => watched.has(event.batchId) && say(event);
  listeners.add(listener);
  socket.on("close", () => listeners.delete(listener));
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "generate") {
      begin(message);
      say({ type: "accepted", id: message.id, batchId: message.batchId });
    }
    if (message.type === "watch") {
      events.filter((event) => event.batchId === message.batchId).forEach(say);
      watched.add(message.batchId);
      say({ type: "watching", batchId: message.batchId });
    }
    if (message.type === "fault") socket.terminate();
  });
});

server.listen(Number(process.argv[2] ?? 8787), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
