// `io` of the SDK: the same program with socket.io-client and with ours in one page, against npm's socket.io, and what
// ours does beyond it: a socket that outlives its worker.

import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Server } from "socket.io";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { fallbackExtension } from "./lib/fallback-extension.mjs";
import { program } from "./lib/io-program.mjs";
import { World } from "./lib/world.mjs";

const root = resolve(import.meta.dirname, "../..");
const TIMEOUT = 60_000;
const THEIRS = join(import.meta.dirname, "node_modules/socket.io-client/dist/socket.io.esm.min.js");

/** The server of the program. */
async function serve() {
  const http = createServer();
  const io = new Server(http, { cors: { origin: "*" } });
  const admit = (socket, next) => {
    const { token } = socket.handshake.auth;
    next(token === "good" ? undefined : Object.assign(new Error("not you"), { data: { token } }));
  };
  io.of("/closed").use((_, next) => next(new Error("closed for today")));
  const admin = io.of("/admin");
  admin.use(admit);
  admin.on("connection", (socket) => socket.on("who", (answer) => answer(socket.nsp.name)));
  const feed = io.of("/feed");
  feed.on("connection", (socket) => socket.on("add", (a, b, answer) => answer(a + b)));
  io.use(admit);
  io.on("connection", (socket) => {
    const on = (event, call) => socket.on(event, call);
    on("early", (...args) => socket.emit("echo", ...args));
    on("message", (...args) => socket.send(...args));
    on("add", (a, b, answer) => answer(a + b));
    on("silence", () => {});
    on("mirror", (...args) => args.pop()(...args));
    on("kinds", (...args) => {
      const answer = args.pop();
      answer(args.map((arg) => (Buffer.isBuffer(arg) ? `bytes ${arg.length}` : typeof arg)));
    });
    on("handshake", (answer) => answer([socket.handshake.auth, socket.handshake.query.room]));
    on("ask me", (answer) =>
      socket.timeout(5000).emit("question", "well", (error, ...args) => answer([String(error), args[0], args[1]?.length])),
    );
    on("ticks", (count, answer) => {
      for (let n = 1; n <= count; n += 1) socket.emit("tick", n);
      answer();
    });
    on("stairs", () => [1, 2, 3].forEach((n) => socket.emit(`stair ${n}`, n)));
    on("drop me", () => socket.conn.transport.close());
    on("kick me", () => socket.disconnect());
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return {
    io,
    feed,
    url: `http://127.0.0.1:${http.address().port}`,
    stop: () => new Promise((resolve) => io.close(resolve)),
  };
}

/** An extension whose worker holds a socket at its top level. */
async function extension(world, url) {
  const folder = join(world.folder, "extension");
  await mkdir(folder);
  const { key } = JSON.parse(await readFile(join(root, "examples/hello/manifest.json"), "utf8"));
  const manifest = {
    manifest_version: 3,
    name: "io",
    version: "1",
    key, // so that the id is known
    permissions: ["nativeMessaging", "storage", "alarms"],
    background: { service_worker: "worker.js", type: "module" },
  };
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(folder, "popup.html"), "<!doctype html>");
  for (const name of ["longwire.js", "io.js"]) await copyFile(join(root, "client/dist", name), join(folder, name));
  await copyFile(THEIRS, join(folder, "socket.io.js"));
  await writeFile(
    join(folder, "worker.js"),
    `import { io } from "./io.js";
const socket = io("${url}/feed");
let storing = Promise.resolve();
function note(line) {
  storing = storing.then(async () => {
    const { lines = [] } = await chrome.storage.local.get("lines");
    await chrome.storage.local.set({ lines: [...lines, line] });
  });
  return storing;
}
socket.on("connect", () => note(\`connect \${socket.recovered}\`));
socket.on("disconnect", (reason) => note(\`disconnect \${reason}\`));
socket.on("tick", (n) => note(\`tick \${n}\`));
chrome.runtime.onMessage.addListener((numbers, _, respond) => {
  socket.timeout(20_000).emitWithAck("add", ...numbers).then(respond, (error) => respond(error.message));
  return true;
});
`,
  );
  return folder;
}

test("io() behaves like socket.io-client, and survives the worker", async (t) => {
  const world = await World.make();
  const server = await serve();
  t.after(async () => {
    await world.end();
    await server.stop();
  });
  const folder = await extension(world, server.url);
  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  world.browser = await Chromium.launch({ profile: world.profile, extension: folder, env: world.env });
  world.page = await world.browser.open(world.id, "popup.html");

  await t.test("the same program, the same transcript", async () => {
    const run = (module) => world.page.evaluateFor(TIMEOUT, program, server.url, module);
    const expected = await run("./socket.io.js");
    assert.deepEqual(await run("./io.js"), expected);
    assert.ok(expected.length > 40, `${expected.length} lines`);
  });

  await t.test("events that come while the worker is stopped are delivered to the next one", async () => {
    // The page of the test before had a host of its own.
    await world.page.close();
    world.page = await world.browser.open(world.id, "popup.html");
    const lines = () => world.page.evaluate(async () => (await chrome.storage.local.get({ lines: [] })).lines);
    const add = (...numbers) => world.page.evaluateFor(TIMEOUT, (two) => chrome.runtime.sendMessage(two), numbers);
    // Until then an event may be delivered again: the worker may have stopped before it had finished with it.
    const finished = () =>
      eventually(TIMEOUT, "everything finished", async () => {
        const { sessions } = JSON.parse(await world.longwire("status", "--json"));
        return sessions.length > 0 && sessions.every(({ unacknowledged }) => unacknowledged === 0);
      });
    assert.equal(await add(1, 2), 3);
    const connections = server.feed.sockets.size;
    server.feed.emit("tick", 1);
    await eventually(TIMEOUT, "the first event", async () => (await lines()).includes("tick 1"));
    for (const n of [2, 3]) {
      await finished();
      await world.browser.stopWorker(world.id, world.page);
      await eventually(TIMEOUT, "the host gone with its worker", async () => !(await world.hosts()).length);
      server.feed.emit("tick", n);
      // A message wakes the worker, as a click on the popup does.
      assert.equal(await add(n, n), 2 * n);
      await eventually(TIMEOUT, `event ${n}`, async () => (await lines()).includes(`tick ${n}`));
    }
    assert.deepEqual(await lines(), ["connect false", "tick 1", "connect true", "tick 2", "connect true", "tick 3"]);
    assert.equal(server.feed.sockets.size, connections, "one connection all along");
    assert.equal(connections, 1);
  });
});

test("io() behaves like socket.io-client where the host is not installed", async (t) => {
  const world = await World.make();
  const server = await serve();
  t.after(async () => {
    await world.end();
    await server.stop();
  });
  const serveSockets = ({ connect }) => connect({ fallback: "browser" });
  const folder = await fallbackExtension(world.folder, { offscreen: false, program: serveSockets });
  await copyFile(THEIRS, join(folder, "socket.io.js"));
  const ours = `import { connect } from "./longwire.js";
import "./fallback.js";
connect({ fallback: "browser" });
export * from "./io.js";
`;
  await writeFile(join(folder, "io-fallback.js"), ours);
  world.browser = await Chromium.launch({ profile: world.profile, extension: folder, env: world.env });
  world.page = await world.browser.open(world.id, "page.html");
  const run = (module) => world.page.evaluateFor(TIMEOUT, program, server.url, module);
  const expected = await run("./socket.io.js");
  assert.deepEqual(await run("./io-fallback.js"), expected);
  assert.ok(expected.length > 40, `${expected.length} lines`);
});
