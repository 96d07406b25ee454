// The options of socket.io-client: each is dialled by socket.io-client, by `io` and by `options.socketio`, and the server
// must see the same requests of all three.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { Server } from "socket.io";
import { io as theirs } from "socket.io-client";
import { connect } from "../../client/dist/node.js";
import { io as ours } from "../../client/dist/modules/io/index.js";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 30_000;
const APP = "com.example.options";

/** What is dialled, and the options of the server there. `last`: the transport that it ends on. */
const CASES = [
  { name: "nothing", opts: {} },
  { name: "path", opts: { path: "/live/io" }, server: { path: "/live/io" } },
  { name: "addTrailingSlash", opts: { path: "/live", addTrailingSlash: false }, server: { path: "/live", addTrailingSlash: false } },
  { name: "query", opts: { query: { room: 7, flag: true, name: "é" } } },
  { name: "extraHeaders", opts: { extraHeaders: { "X-Api-Key": "k", "X-Number": 5 } } },
  {
    name: "transportOptions",
    opts: {
      extraHeaders: { "X-All": "a" },
      transportOptions: { polling: { extraHeaders: { "X-Poll": "p" } }, websocket: { timestampRequests: true } },
    },
  },
  { name: "timestampRequests", opts: { timestampRequests: false } },
  { name: "timestampRequests for both", opts: { timestampRequests: true, timestampParam: "stamp" } },
  { name: "forceBase64", opts: { forceBase64: true } },
  { name: "transports", opts: { transports: ["websocket"] } },
  { name: "upgrade", opts: { upgrade: false }, last: "polling" },
  { name: "rememberUpgrade", opts: { rememberUpgrade: true }, again: true },
  { name: "rememberUpgrade, left out", opts: {}, again: true },
  { name: "tryAllTransports", opts: { tryAllTransports: true }, server: { transports: ["websocket"] } },
  { name: "requestTimeout", opts: { requestTimeout: 20_000 } },
];
/** Cannot be given in `options.socketio`, or means the session's option there. */
const OF_IO = [
  { name: "protocols", opts: { protocols: ["one", "two"], transports: ["websocket"] } },
  { name: "perMessageDeflate", opts: { perMessageDeflate: false, transports: ["websocket"] } },
];

/** A server that writes down every request. */
async function record(options, wanted) {
  const http = createServer();
  const io = new Server(http, { pingInterval: 25_000, ...options });
  const requests = [];
  const note = (request) => {
    const { pathname, searchParams } = new URL(request.url, "http://h");
    for (const name of ["t", "stamp", "sid"]) if (searchParams.has(name)) searchParams.set(name, "*");
    const own = request.rawHeaders.filter((_, at) => at % 2 === 0).filter((name) => name.startsWith("X-")).sort();
    const headers = own.map((name) => `${name}: ${request.headers[name.toLowerCase()]}`);
    const offers = (request.headers["sec-websocket-protocol"] ?? "").replaceAll(", ", ",");
    const deflate = request.headers["sec-websocket-extensions"] ? "deflate" : "";
    const what = request.headers.upgrade ? "socket" : request.method;
    searchParams.sort();
    requests.push([what, pathname, searchParams.toString(), ...headers, offers, deflate].join(" "));
  };
  http.prependListener("request", note);
  http.prependListener("upgrade", note);
  io.on("connection", (socket) => socket.on("echo", (bytes, answer) => answer(bytes)));
  http.listen(wanted, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address();
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    transports: () => [...io.sockets.sockets.values()].map(({ conn }) => conn.transport.name),
    drop: () => {
      for (const client of Object.values(io.engine.clients)) client.transport.close();
    },
    /** Each kind of request once, and with which the connections began. */
    seen: () => ({
      requests: [...new Set(requests)].sort(),
      beginnings: requests.filter((line) => !line.includes("sid=")).map((line) => line.split(" ")[0]),
    }),
    stop: () => new Promise((resolve) => io.close(resolve)),
  };
}

/** Dials by one client, and returns what the server received. */
async function dialled({ server: options, last = "websocket", again }, client, wanted) {
  const server = await record(options, wanted);
  const socket = client(server.url);
  const arrived = () => server.transports().length === 1 && server.transports()[0] === last;
  try {
    await eventually(TIMEOUT, `${last} at the server`, arrived);
    const bytes = await socket.echo(Uint8Array.of(1, 2, 3));
    assert.deepEqual([...new Uint8Array(bytes)], [1, 2, 3]);
    if (again) {
      server.drop();
      await eventually(TIMEOUT, `${last} once more`, () => server.seen().beginnings.length > 1 && arrived());
    }
    return { ...server.seen(), port: server.port };
  } finally {
    await socket.end();
    await server.stop();
  }
}

const byIo = (io, opts) => (url) => {
  const socket = io(url, { forceNew: true, reconnectionDelay: 10, ...opts });
  return { echo: (bytes) => socket.timeout(TIMEOUT).emitWithAck("echo", bytes), end: () => ended(socket, opts) };
};

/** Disconnects; ours once the broker knows: what is not closed would dial the next server here. */
async function ended(socket, { longwire }) {
  socket.disconnect();
  if (longwire) await eventually(TIMEOUT, "the session closed", () => longwire.bridge.sessions.length === 0);
}

const bySession = (bridge, name, socketio) => (url) => {
  const opening = bridge.open(name, url, { protocol: "socket.io", socketio, reconnect: { minDelay: 10 } });
  return {
    echo: async (bytes) => {
      const event = { event: "echo", args: [{ $base64: Buffer.from(bytes).toString("base64") }] };
      const answer = await (await opening).request(event, { match: { ack: true } });
      return Buffer.from(answer.args[0].$base64, "base64");
    },
    end: async () => (await opening).close(),
  };
};

test("socket.io-client's options produce the same requests in three implementations", async (t) => {
  const world = await World.make();
  Object.assign(process.env, world.env);
  const bridge = connect({ app: APP });
  t.after(async () => {
    await bridge.disconnect();
    await world.end();
  });
  await world.longwire("install", "--app", APP);
  let place = 0;
  for (const one of [...CASES, ...OF_IO]) {
    await t.test(one.name, async () => {
      const { port: _, ...expected } = await dialled(one, byIo(theirs, one.opts), 0);
      // One place for all: an extension may only try so many ports of this machine.
      const { port: used, ...byOurs } = await dialled(one, byIo(ours, { ...one.opts, longwire: { bridge } }), place);
      place = used;
      assert.deepEqual(byOurs, expected, "io()");
      if (OF_IO.includes(one)) return;
      const { port: same, ...raw } = await dialled(one, bySession(bridge, one.name, one.opts), place);
      assert.deepEqual([same, raw], [used, expected], "options.socketio");
    });
  }
});
