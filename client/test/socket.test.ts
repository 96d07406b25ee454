// `LongwireSocket` as the standard describes `WebSocket`.

import "./support/close-event.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { LongwireSocket, type SocketOptions } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { name, opened, socket, standard, watchOpen } from "./support/socket.js";
import { muteConsole, startWorker } from "./support/worker.js";

test("the class and its instances have the constants", () => {
  const { made } = socket(startWorker());
  for (const [word, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    assert.equal(LongwireSocket[word as "OPEN"], value);
    assert.equal(made[word as "OPEN"], value);
  }
});

test("the URL is resolved, http becomes ws, and what is not one is a SyntaxError", () => {
  const { bridge } = startWorker();
  const url = (given: string | URL) => new LongwireSocket(given, [], { bridge }).url;
  assert.equal(url("ws://x.test"), "ws://x.test/");
  assert.equal(url("https://x.test/a b"), "wss://x.test/a%20b");
  assert.equal(url(new URL("http://x.test:80/")), "ws://x.test/");
  for (const bad of ["x.test", "ftp://x.test/", "ws://x.test/#f", "ws://x.test/#", "ws://"]) {
    assert.throws(() => url(bad), { name: "SyntaxError" }, bad);
  }
});

test("subprotocols must be tokens and differ", () => {
  const { bridge } = startWorker();
  for (const bad of [["a", "a"], [""], ["a b"], "a,b", ["é"]]) {
    assert.throws(() => new LongwireSocket("ws://x", bad, { bridge }), { name: "SyntaxError" }, String(bad));
  }
});

test("subprotocols are offered, and the chosen one is shown with the extensions", async () => {
  const worker = startWorker();
  const { made } = socket(worker, standard, ["v2", "v1"]);
  await settle();
  assert.deepEqual(worker.broker.session(name(worker)).options.subprotocols, ["v2", "v1"]);
  assert.deepEqual([made.protocol, made.extensions], ["", ""]);
  worker.broker.link(name(worker), "open", { subprotocol: "v1", extensions: "x" });
  assert.deepEqual([made.protocol, made.extensions], ["v1", "x"]);
});

test("open, messages, clean close by the server: in this order, and nothing after", async () => {
  const { made, log, broker, worker } = await opened(standard);
  assert.equal(made.readyState, 1);
  const session = name(worker);
  broker.text(session, "a");
  broker.link(session, "closed", { code: 4000, reason: "enough" });
  broker.text(session, "late");
  await settle();
  assert.deepEqual(log, ["open", "message a", "close 4000 true enough"]);
  assert.equal(made.readyState, 3);
  assert.equal(broker.sessions.size, 0);
});

test("a standard socket: a drop is a close 1006; a refused dial and a server error fire error before it", async () => {
  const dropped = await opened(standard);
  dropped.broker.link(name(dropped.worker), "closed", {
    error: { code: "link-lost", message: "x", retry: "later" },
  });
  await settle();
  assert.deepEqual(dropped.log, ["open", "close 1006 false"]);
  const broken = await opened(standard);
  broken.broker.link(name(broken.worker), "closed", {
    error: { code: "server-protocol", message: "x", retry: "later" },
  });
  await settle();
  assert.deepEqual(broken.log, ["open", "error", "close 1006 false"]);
  const worker = startWorker();
  const refused = socket(worker, standard);
  await settle();
  worker.broker.link(name(worker), "closed", { error: { code: "refused", message: "x", retry: "later" } });
  await settle();
  assert.deepEqual(refused.log, ["error", "close 1006 false"]);
});

test("a standard socket survives a crash of the host, and ends with its connection", async () => {
  const { log, worker, made, broker } = await opened(standard);
  const session = name(worker);
  const { options } = broker.session(session);
  assert.equal(options.reconnect, false);
  assert((options.linger ?? 0) <= 15_000 && (options.expire ?? 0) <= 15_000);
  worker.fake.port.die();
  broker.text(session, "meanwhile");
  await worker.clock.advance(1000);
  assert.deepEqual(log, ["open", "message meanwhile"]);
  broker.refuse.set("open", { code: "no-session", message: "it is over", retry: "no" });
  worker.fake.port.die();
  await worker.clock.advance(1000);
  assert.deepEqual(log.slice(2), ["close 1006 false"]);
  assert.equal(made.readyState, 3);
  assert.equal(worker.frames("open").at(-1)?.url, undefined, "nothing is dialled anew");
});

test("a server that closed while the host was down: its last message, code and reason", async () => {
  const { log, worker, broker } = await opened(standard);
  const session = name(worker);
  worker.fake.port.die();
  broker.text(session, "last");
  broker.link(session, "closed", { code: 4000, reason: "enough" });
  await worker.clock.advance(1000);
  assert.deepEqual(log, ["open", "message last", "close 4000 true enough"]);
});

test("a standard socket does not store its position", async () => {
  const { worker, broker } = await opened(standard);
  broker.text(name(worker), "a");
  await worker.clock.advance(100);
  assert.equal(broker.session(name(worker)).acked.get("main"), 2);
  assert.deepEqual(
    worker.fake.session.written.filter((key) => key.startsWith("longwire:at:")),
    [],
  );
});

test("options of persistent sockets are a TypeError that names the option `session`", () => {
  const { bridge } = startWorker();
  for (const options of [{ reconnect: {} }, { name: "x" }]) {
    assert.throws(() => new LongwireSocket("ws://x", [], { bridge, ...options } as SocketOptions), {
      name: "TypeError",
      message: /`session`/,
    });
  }
});

test("a service worker closes the sockets left by the previous one, and no others", async () => {
  const worker = startWorker();
  const scope = globalThis as { ServiceWorkerGlobalScope?: unknown };
  scope.ServiceWorkerGlobalScope = Object;
  try {
    const left = ["socket background earlier 1", "socket page other 1", "mine"];
    for (const session of left) await watchOpen(worker, session);
    const next = worker.next();
    next.broker.listed = left;
    socket(next, standard);
    await settle();
    const kept = [...next.broker.sessions.keys()].filter((session) => left.includes(session));
    assert.deepEqual(kept, ["socket page other 1", "mine"]);
    assert.deepEqual(
      next.frames("close").map(({ session, code }) => [session, code]),
      [["socket background earlier 1", 1001]],
    );
  } finally {
    delete scope.ServiceWorkerGlobalScope;
  }
});

test("an unreachable host is an error and a close 1006", async () => {
  muteConsole();
  const worker = startWorker();
  worker.fake.hostFailure = "Specified native messaging host not found.";
  const { log } = socket(worker);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
});

test("close() follows the rules of the standard", async () => {
  const { made } = await opened();
  for (const code of [0, 999, 1001, 1006, 2999, 5000, 65536 + 1000, Number.NaN]) {
    assert.throws(() => made.close(code), { name: "InvalidAccessError" }, String(code));
  }
  assert.throws(() => made.close(1000, "x".repeat(124)), { name: "SyntaxError" });
  assert.throws(() => made.close(1000, "é".repeat(62)), { name: "SyntaxError" });
  assert.equal(made.readyState, 1);
  made.close(3000.4, "é".repeat(61));
  assert.equal(made.readyState, 2);
  made.close();
});

test("close() while open: closing, then a clean close with its code and reason", async () => {
  const { made, log, worker, broker } = await opened(standard);
  made.close(3001, "bye");
  assert.deepEqual([made.readyState, log], [2, ["open"]]);
  broker.text(name(worker), "while closing");
  await settle();
  assert.deepEqual(log, ["open", "close 3001 true bye"]);
  assert.equal(broker.sessions.size, 0);
  assert.deepEqual(worker.frames("close").map(({ code, reason }) => [code, reason])[0], [3001, "bye"]);
});

test("close() without a code is a close 1005", async () => {
  const { made, log, worker } = await opened(standard);
  made.close();
  await settle();
  assert.deepEqual(log, ["open", "close 1005 true"]);
  assert.equal(worker.frames("close")[0]?.code, 1005);
});

test("close() while connecting fails the connection, later", async () => {
  const worker = startWorker();
  const { made, log } = socket(worker, standard);
  made.close();
  assert.deepEqual([made.readyState, log], [2, []]);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
  assert.equal(worker.broker.sessions.size, 0);
});

test("a message event carries the server's origin", async () => {
  const { made, broker, worker } = await opened();
  let origin = "";
  made.onmessage = (event) => {
    origin = event.origin;
  };
  broker.text(name(worker), "a");
  await settle();
  assert.equal(origin, "ws://x.test");
});

test("handler attributes keep their order, can be replaced and removed", async () => {
  const { made, broker, worker } = await opened();
  const seen: string[] = [];
  assert.equal(made.onmessage, null);
  const first = () => seen.push("first");
  made.onmessage = first;
  made.addEventListener("message", () => seen.push("listener"));
  assert.equal(made.onmessage, first);
  made.onmessage = function (this: LongwireSocket) {
    seen.push(`second ${this === made}`);
  };
  broker.text(name(worker), "a");
  await settle();
  assert.deepEqual(seen, ["second true", "listener"]);
  made.onmessage = 7 as never;
  assert.equal(made.onmessage, null);
  broker.text(name(worker), "b");
  assert.deepEqual(seen.slice(2), ["listener"]);
});

test("each event has a task of its own, so that code that awaits one does not miss the next", async () => {
  const worker = startWorker();
  const { made } = socket(worker);
  const next = (type: string) =>
    new Promise<unknown>((resolve) =>
      made.addEventListener(type, (event) => resolve((event as MessageEvent).data), { once: true }),
    );
  await settle();
  const opening = next("open");
  worker.broker.link(name(worker), "open");
  for (const text of ["one", "two", "three"]) worker.broker.text(name(worker), text);
  const got: unknown[] = [];
  void opening.then(async () => {
    for (;;) got.push(await next("message"));
  });
  await settle();
  assert.deepEqual(got, ["one", "two", "three"]);
  await worker.clock.advance(50);
  assert.equal(
    worker.broker.session(name(worker)).acked.get("main"),
    4,
    "acknowledged when they were delivered",
  );
});

test("a server that chooses none of the subprotocols offered fails the connection", async () => {
  const worker = startWorker();
  const { log, made } = socket(worker, {}, ["v1"]);
  await settle();
  worker.broker.link(name(worker), "open");
  await settle();
  assert.deepEqual([log, made.readyState], [["error", "close 1006 false"], 3]);
});

test("a socket created in the close event of another, to the same URL, has its own connection", async () => {
  const { made, broker, worker } = await opened({ session: "again" });
  let next: LongwireSocket | undefined;
  made.onclose = () => {
    next = new LongwireSocket("ws://x.test/p", [], { bridge: worker.bridge, session: "again" });
  };
  broker.link("again", "failed");
  await settle();
  assert.equal(broker.session("again").next, 1);
  broker.link("again", "open");
  assert.equal(next?.readyState, 1);
});

test("names of standard sockets are unique and contain no secrets", async () => {
  const worker = startWorker();
  const url = "wss://me:pw@x.test:99/names?token=1";
  for (let n = 0; n < 2; n += 1) new LongwireSocket(url, [], { bridge: worker.bridge });
  await settle();
  const names = [...worker.broker.sessions.keys()];
  assert.equal(names.length, 2);
  assert.doesNotMatch(names.join(), /pw|token/);
});

test("ports that browsers block are not dialled", async () => {
  muteConsole();
  const worker = startWorker();
  const blocked = [1, 7, 22, 25, 111, 6000, 6667, 10080];
  const closes: string[] = [];
  for (const port of blocked) {
    const made = new LongwireSocket(`ws://x.test:${port}/`, [], { bridge: worker.bridge });
    made.onclose = ({ code }) => closes.push(`${port} ${code}`);
  }
  await settle();
  assert.deepEqual(
    closes,
    blocked.map((port) => `${port} 1006`),
  );
  for (const port of [80, 443, 8080, 6001, 10081, 65535]) {
    new LongwireSocket(`ws://x.test:${port}/`, [], { bridge: worker.bridge });
  }
  await settle();
  assert.equal(worker.broker.sessions.size, 6);
});

test("a class made by with() has the options, and is a class that libraries can take", async () => {
  const worker = startWorker();
  const Socket = LongwireSocket.with({ bridge: worker.bridge, headers: { authorization: "x" } });
  const made = new Socket("ws://x.test/", ["v1"]);
  await settle();
  assert(made instanceof LongwireSocket && Socket.OPEN === 1 && Socket.name === "LongwireSocket");
  const { options } = worker.broker.session(name(worker));
  assert.deepEqual([options.headers, options.subprotocols], [{ authorization: "x" }, ["v1"]]);
});
