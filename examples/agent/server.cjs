// An agent module: requests with answers, and events that the server starts by itself, on Socket.IO.
//   node server.cjs [port]
const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer();
// The state for clients that missed a restart: sent on every join.
const state = { version: 0, round: 0, hp: { hero: 20, dragon: 60 } };
let io;

// One life of the server: it remembers connections that break, and forgets them all when it ends.
function live() {
  io = new Server(server, { connectionStateRecovery: {}, cors: { origin: true } });
  io.on("connection", serve);
}

function serve(socket) {
  socket.on("join", (room, answer) => {
    socket.join(room);
    socket.emit("state", state);
    answer?.({ joined: room });
  });
  socket.on("ask", (question, answer) => {
    // An agent that never answers is what timeouts are for.
    if (question.text === "silence") return;
    socket.emit("typing", { who: "agent" });
    setTimeout(() => answer({ id: question.id, text: `You said: ${question.text}` }), question.after ?? 5);
  });
  socket.on("fight", fight);
  // One that breaks the rules: a client that checks events is not shown this.
  socket.on("cheat", () => io.emit("combat", { round: "none", hp: state.hp }));
  // The connection breaks without a word, and something happens meanwhile.
  socket.on("break", () => {
    socket.conn.transport.close();
    setImmediate(fight);
  });
  socket.on("restart", restart);
}

function fight() {
  state.version++;
  state.round++;
  state.hp.dragon -= 3;
  io.emit("combat", { round: state.round, hp: state.hp });
  io.emit("notification", { level: "info", text: `round ${state.round}` });
  io.emit("suggestion", { text: "Drink a potion?" });
}

// Like a crash: every connection ends, all state is lost, and the state has changed when they reconnect.
function restart() {
  io.engine.close();
  server.removeAllListeners("request").removeAllListeners("upgrade");
  state.version++;
  live();
}

live();
server.listen(Number(process.argv[2] ?? 8788), "127.0.0.1", () => console.log(server.address().port));
if (process.env.END_WITH_STDIN) process.stdin.resume().on("end", () => process.exit());
