// A gateway as Go programs with gorilla/websocket are: `{type, payload}` pushed, 512 KB at most, 256 messages waiting for
// a client before it is dropped as too slow.
//   node server.cjs [port]
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { WebSocketServer } = require("ws");

const SEND_BUFFER = 256;
// New with each life of the server: a client sees by it that there was a restart.
let instance = randomUUID();
let counter = 0;

const server = http.createServer((request, response) => response.writeHead(404).end());
const hub = new WebSocketServer({ server, path: "/ws", maxPayload: 512 * 1024, perMessageDeflate: false });

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
    if (queue.length >= SEND_BUFFER) return socket.terminate();
    queue.push(JSON.stringify({ type, payload }));
    if (!writing) drain();
  };
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const { type, payload } = JSON.parse(data);
    if (type === "hello") socket.push("welcome", { instance, heard: payload });
    if (type === "flood") for (let n = 1; n <= payload.count; n++) for (const client of hub.clients) client.push("tick", { n: ++counter });
    if (type === "restart") {
      instance = randomUUID();
      for (const client of hub.clients) client.close(1012, "service restart");
    }
  });
});

server.listen(Number(process.argv[2] ?? 8790), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
