// `io`: the API of socket.io-client over a session. That both behave alike against a real server is tested in
// tests/browser/io.test.mjs; here is what such a server does not do when asked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { marked, unmarked } from "../src/io/binary-markers.js";
import { io, Manager, type ManagerOptions, type Socket } from "../src/io/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { muteConsole, startWorker, type Worker } from "./support/worker.js";

let servers = 0;

/** A socket in a worker, and the name of its session. */
async function made(
  opts: ManagerOptions = {},
  nsp = "",
): Promise<{ worker: Worker; socket: Socket; name: string; url: string }> {
  const worker = startWorker();
  servers += 1;
  const url = `http://server${servers}.example`;
  const socket = io(url + nsp, { ...opts, longwire: { bridge: worker.bridge, ...opts.longwire } });
  await settle();
  return { worker, socket, name: `io ${url}/socket.io${nsp || "/"}`, url };
}

/** Collects every event of an emitter. */
function listen(emitter: { on(event: never, call: never): unknown }, ...events: string[]): unknown[][] {
  const reported: unknown[][] = [];
  for (const event of events) {
    emitter.on(event as never, ((...args: unknown[]) => reported.push([event, ...args])) as never);
  }
  return reported;
}

const error = (code: string, message = code) => ({ code, message, retry: "later" });

test("options are passed to the session", async () => {
  const { worker, name, url } = await made({
    path: "/live/",
    query: { room: 7 },
    auth: { token: "t" },
    extraHeaders: { "x-a": "b" },
    transports: ["websocket", "webtransport"],
    reconnectionAttempts: 4,
    reconnectionDelay: 10,
    timeout: 99,
    longwire: { durability: "disk", name: "mine" },
  });
  const [open] = worker.frames("open");
  assert.equal(open?.url, `${url}/?room=7`);
  assert.equal(open?.session, "mine");
  assert.notEqual(open?.session, name);
  const { socketio, headers, connectTimeout, reconnect, durability, protocol, auth } = open?.options ?? {};
  assert.deepEqual(socketio, {
    path: "/live",
    namespaces: ["/"],
    auth: { token: "t" },
    transports: ["websocket"],
    extraHeaders: { "x-a": "b" },
  });
  assert.deepEqual([headers, connectTimeout, durability], [undefined, 99, "disk"]);
  assert.deepEqual(reconnect, { minDelay: 10, maxDelay: 5000, maxAttempts: 4 });
  assert.deepEqual([protocol, auth], ["socket.io", "none"]);
});

test("numbers are parsed as in socket.io-client", async () => {
  const { worker } = await made({
    reconnectionDelay: "2000" as never,
    reconnectionDelayMax: 1500,
    reconnectionAttempts: "2.5" as never,
    randomizationFactor: 0.25,
    timeout: "700" as never,
  });
  const { reconnect, connectTimeout } = worker.frames("open")[0]?.options ?? {};
  assert.deepEqual(reconnect, { minDelay: 1500, maxDelay: 1500, maxAttempts: 3, randomization: 0.25 });
  assert.equal(connectTimeout, 700);
  const odd = await made({ reconnectionDelay: 0, reconnectionDelayMax: Number.NaN, timeout: false });
  const { options } = odd.worker.frames("open")[0] ?? {};
  assert.deepEqual(options?.reconnect, { minDelay: 1000, maxDelay: 5000, maxAttempts: null });
  assert.equal(options?.connectTimeout, 1e9);
});

test("options and values that are not supported throw an error that names them", async () => {
  const { worker, socket, url } = await made();
  assert.throws(() => io("/path"), /needs the server's URL/);
  const bridge = { longwire: { bridge: worker.bridge } };
  assert.throws(() => new Manager(url, { ...bridge, parser: {} }), /`parser` is not supported/);
  assert.throws(() => new Manager(url, { ...bridge, retries: 3 }), /`retries` is not supported/);
  for (const name of [
    "agent",
    "pfx",
    "key",
    "passphrase",
    "cert",
    "ca",
    "ciphers",
    "localAddress",
    "autoUnref",
    "closeOnBeforeunload",
  ]) {
    assert.throws(
      () => new Manager(url, { ...bridge, [name]: "x" }),
      new RegExp(`\`${name}\` is not supported`),
    );
  }
  const insecure = { ...bridge, rejectUnauthorized: false };
  assert.throws(() => new Manager(url, insecure), /`rejectUnauthorized` is not supported/);
  const harmless = {
    agent: false,
    rejectUnauthorized: true,
    secure: true,
    retries: 0,
    useNativeTimers: true,
  };
  assert.ok(new Manager(url, { ...bridge, ...harmless }));
  assert.throws(
    () => new Manager(url, { ...bridge, transports: ["webtransport"] }),
    /`transports` is not supported/,
  );
  assert.throws(() => socket.io.engine, /connection belongs to the broker/);
  assert.throws(() => socket.emit("x", new Blob(["a"])), /a Blob cannot be sent/);
  assert.equal(socket.id, undefined);
});

test("one manager per server, one session per namespace; a second socket is separate", async () => {
  const { worker, socket, url } = await made();
  const opts = { longwire: { bridge: worker.bridge } };
  const room = io(`${url}/room`, opts);
  assert.equal(room.io, socket.io);
  const second = io(url, opts);
  assert.notEqual(second.io, socket.io);
  assert.notEqual(io(`${url}/other`, { ...opts, forceNew: true }).io, socket.io);
  await settle();
  const names = worker.frames("open").map(({ session, options }) => [session, options?.socketio?.namespaces]);
  assert.deepEqual(names, [
    [`io ${url}/socket.io/`, ["/"]],
    [`io ${url}/socket.io/room`, ["/room"]],
    [`io ${url}/socket.io/ 2`, ["/"]],
    [`io ${url}/socket.io/other`, ["/other"]],
  ]);
});

test("a lost link, retries and a new link fire the events of socket and manager", async () => {
  const { worker, socket, name } = await made();
  const reported = listen(socket, "connect", "connect_error", "disconnect");
  const managed = listen(
    socket.io,
    "open",
    "close",
    "error",
    "reconnect_attempt",
    "reconnect_error",
    "reconnect",
  );
  const { broker } = worker;
  broker.link(name, "open");
  broker.link(name, "waiting", { error: error("heartbeat") });
  broker.link(name, "connecting", { dial: 2 });
  broker.link(name, "waiting", { error: error("refused") });
  broker.link(name, "connecting", { dial: 3 });
  await settle();
  assert.equal(socket.active, true);
  broker.link(name, "open", { continuity: "server" });
  await settle();
  assert.deepEqual(
    reported.map(([event, about]) => [event, about instanceof Error ? about.message : about]),
    [
      ["connect", undefined],
      ["disconnect", "ping timeout"],
      ["connect_error", "longwire: refused"],
      ["connect", undefined],
    ],
  );
  assert.deepEqual(
    managed.map(([event, about]) => [event, typeof about === "number" ? about : undefined]),
    [
      ["open", undefined],
      ["close", undefined],
      ["reconnect_attempt", 1],
      ["error", undefined],
      ["reconnect_error", undefined],
      ["reconnect_attempt", 2],
      ["open", undefined],
      ["reconnect", 2],
    ],
  );
  assert.deepEqual([socket.connected, socket.recovered], [true, true]);
});

test("a link that waits for a dial slot is not a failure", async () => {
  const { worker, socket, name } = await made();
  const reported = listen(socket, "connect", "connect_error");
  const attempts = listen(socket.io, "reconnect_attempt");
  worker.broker.link(name, "waiting");
  worker.broker.link(name, "connecting", { dial: 1 });
  worker.broker.link(name, "open");
  await settle();
  assert.deepEqual(reported, [["connect"]]);
  assert.deepEqual(attempts, []);
});

test("acknowledgements are ordered with events", async () => {
  const { worker, socket, name } = await made();
  const { broker } = worker;
  broker.link(name, "open");
  const order: string[] = [];
  socket.on("news", (n: number) => order.push(`news ${n}`));
  socket.emit("ask", (answer: string) => order.push(answer));
  await settle();
  const [request] = worker.frames("request");
  // In one frame, as a busy broker sends them.
  const seq = broker.session(name).next;
  const record = { session: name, time: 1 };
  worker.fake.port.deliver({
    type: "batch",
    frames: [
      { type: "message", ...record, seq, event: "news", args: [1] },
      { type: "response", ...record, seq: seq + 1, id: request?.id, args: ["the answer"] },
      { type: "message", ...record, seq: seq + 2, event: "news", args: [2] },
    ],
  });
  await settle();
  assert.deepEqual(order, ["news 1", "the answer", "news 2"]);
});

test("an event is finished with its asynchronous listeners, and an exception does not affect other listeners", async () => {
  const { worker, socket, name } = await made();
  worker.broker.link(name, "open");
  let end: () => void = () => undefined;
  const got: string[] = [];
  socket.on("slow", () => new Promise<void>((resolve) => (end = resolve)));
  socket.on("next", () => got.push("next"));
  const slow = worker.broker.append(name, { type: "message", time: 1, event: "slow", args: [] });
  const next = worker.broker.append(name, { type: "message", time: 1, event: "next", args: [] });
  await worker.clock.advance(100);
  assert.deepEqual(got, ["next"], "nobody waits for the slow one");
  assert.ok(!worker.frames("ack").some(({ seq }) => seq >= slow));
  end();
  await worker.clock.advance(100);
  assert.equal(worker.frames("ack").at(-1)?.seq, next);
});

test("a function as `auth` is asked first, after a refusal only by connect(), and by itself once it has expired", async () => {
  let asked = 0;
  const { worker, socket, name } = await made({ auth: (take) => take({ token: ++asked }) });
  const { broker } = worker;
  const reported = listen(socket, "connect", "connect_error");
  const given = () => worker.frames("authorize").map((frame) => (frame as { auth?: unknown }).auth);
  broker.authNeeded(name, { why: "first" });
  await settle();
  assert.deepEqual(given(), [{ token: 1 }]);
  const no = { reason: "not you", error: error("handshake") };
  broker.link(name, "unauthorized", no);
  broker.authNeeded(name, { why: "refused" });
  await settle();
  assert.equal((reported[0]?.[1] as Error | undefined)?.message, "not you");
  assert.deepEqual([given().length, socket.active], [1, false]);
  socket.connect();
  await settle();
  assert.deepEqual(given(), [{ token: 1 }, { token: 2 }]);
  broker.link(name, "open");
  await settle();
  broker.link(name, "waiting", { error: error("link-lost") });
  broker.link(name, "unauthorized", no);
  broker.authNeeded(name, { why: "refused" });
  await settle();
  assert.deepEqual(given().length, 3, "an expired one is replaced unasked");
  assert.deepEqual(
    reported.map(([event]) => event),
    ["connect_error", "connect"],
  );
});

test("a session that failed before this worker started is retried; an open one sets `recovered`", async () => {
  const worker = startWorker();
  const bridge = worker.bridge;
  await bridge.open("a", "http://x", { protocol: "socket.io" });
  await bridge.open("b", "http://x", { protocol: "socket.io" });
  worker.broker.link("a", "failed", { error: error("closed-by-server") });
  worker.broker.link("b", "open");
  await settle();
  const next = worker.next();
  const socket = (name: string) =>
    io("http://old.example", { forceNew: true, longwire: { bridge: next.bridge, name } });
  const reported = listen(socket("a"), "connect_error", "disconnect");
  const standing = socket("b");
  await settle();
  assert.deepEqual(
    next.frames("reconnect").map(({ session }) => session),
    ["a"],
  );
  assert.deepEqual(reported, []);
  assert.deepEqual([standing.connected, standing.recovered], [true, true]);
});

test("without a host connect_error has the fix, and connect() retries", async () => {
  muteConsole();
  const worker = startWorker();
  worker.fake.hostFailure = "Specified native messaging host not found.";
  const socket = io("http://nohost.example", { longwire: { bridge: worker.bridge } });
  const reported = listen(socket, "connect_error");
  await worker.clock.advance(60_000);
  assert.equal(reported.length, 1);
  assert.equal((reported[0]?.[1] as { code?: string } | undefined)?.code, "host-not-found");
  assert.equal(socket.active, false);
  worker.fake.hostFailure = undefined;
  socket.emit("kept");
  socket.connect();
  await worker.clock.advance(1000);
  assert.deepEqual(
    worker.frames("send").map((frame) => (frame as { event?: string }).event),
    ["kept"],
  );
});

test("off() removes one of two registrations of the same listener", async () => {
  const { socket } = await made();
  let calls = 0;
  const count = () => {
    calls += 1;
  };
  socket.on("tick", count);
  socket.once("tick", count);
  socket.emitReserved("tick");
  assert.deepEqual([calls, socket.listeners("tick").length], [2, 1]);
  socket.emitReserved("tick");
  socket.emitReserved("tick");
  assert.deepEqual([calls, socket.listeners("tick").length], [4, 1]);
});

test("gaps are emitted on the manager, or logged without a listener", async () => {
  const sent = muteConsole();
  const { worker, socket, name } = await made();
  const gap = { type: "gap", from: 1, to: 2, count: 2, reason: "overflow", exact: true } as const;
  worker.broker.append(name, { ...gap });
  await settle();
  assert.equal(sent.length, 1);
  const reported = listen(socket.io, "gap");
  worker.broker.append(name, { ...gap });
  await settle();
  assert.equal((reported[0]?.[1] as { count?: number } | undefined)?.count, 2);
});

test("binary data is marked, and user data resembling a marker is escaped", () => {
  const bytes = new Uint8Array([1, 2]);
  assert.deepEqual(marked([bytes, [bytes.buffer], { a: new DataView(bytes.buffer, 1) }]), [
    { $base64: "AQI=" },
    [{ $base64: "AQI=" }],
    { a: { $base64: "Ag==" } },
  ]);
  for (const value of [
    { $base64: "AQI=" },
    { $$base64: { $base64: 1 } },
    { $base64: 1, b: 2 },
    { base64: 3 },
  ]) {
    assert.deepEqual(unmarked(marked([value])), [value]);
  }
  assert.deepEqual(marked([{ $base64: "AQI=" }]), [{ $$base64: "AQI=" }]);
  const [back] = unmarked([{ $base64: "AQI=" }]) as [ArrayBuffer];
  assert.deepEqual([...new Uint8Array(back)], [1, 2]);
});
