import "./support/close-event.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { LongwireSocket, type SocketOptions } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { hush, type Worker, worker } from "./support/worker.js";

/** A socket whose events are written down. */
function socket(life: Worker, options: SocketOptions = {}, protocols: string | string[] = []) {
  const made = new LongwireSocket("ws://x.test/p?token=1", protocols, { bridge: life.bridge, ...options });
  const log: string[] = [];
  for (const type of ["open", "message", "error", "close", "reconnecting", "resumed", "gap"]) {
    made.addEventListener(type, (event) => {
      const { code, wasClean, reason } = event as CloseEvent;
      if (type === "message") log.push(`message ${String((event as MessageEvent).data)}`);
      else log.push(type === "close" ? `close ${code} ${wasClean} ${reason}`.trim() : type);
    });
  }
  return { made, log };
}

const standard = {};
const lasting = { session: "lasting" };
const name = (life: Worker) => [...life.broker.sessions.keys()][0] as string;

/** What reached the server as text. */
const texts = (life: Worker) => life.said("send").map((frame) => (frame as { text?: string }).text);

/** Another session in the broker. */
async function watchOpen(life: Worker, session: string) {
  const opening = life.bridge.open(session, "ws://x.test/");
  await settle();
  await opening;
}

/** Waits for real timers: five seconds at most. */
async function until(what: () => boolean) {
  for (const end = Date.now() + 5000; !what(); ) {
    assert(Date.now() < end, String(what));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function opened(options: SocketOptions = {}, life = worker()) {
  const pair = socket(life, options);
  await settle();
  life.broker.link(name(life), "open", { subprotocol: "v1", extensions: "permessage-deflate" });
  await settle();
  return { ...pair, life, broker: life.broker };
}

test("constants stand on the class and on its instances", () => {
  const { made } = socket(worker());
  for (const [word, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
    assert.equal(LongwireSocket[word as "OPEN"], value);
    assert.equal(made[word as "OPEN"], value);
  }
});

test("the URL is resolved, http becomes ws, and what is not one is a SyntaxError", () => {
  const { bridge } = worker();
  const url = (given: string | URL) => new LongwireSocket(given, [], { bridge }).url;
  assert.equal(url("ws://x.test"), "ws://x.test/");
  assert.equal(url("https://x.test/a b"), "wss://x.test/a%20b");
  assert.equal(url(new URL("http://x.test:80/")), "ws://x.test/");
  for (const bad of ["x.test", "ftp://x.test/", "ws://x.test/#f", "ws://x.test/#", "ws://"]) {
    assert.throws(() => url(bad), { name: "SyntaxError" }, bad);
  }
});

test("subprotocols must be tokens and differ", () => {
  const { bridge } = worker();
  for (const bad of [["a", "a"], [""], ["a b"], "a,b", ["é"]]) {
    assert.throws(() => new LongwireSocket("ws://x", bad, { bridge }), { name: "SyntaxError" }, String(bad));
  }
});

test("subprotocols are offered, and the chosen one is shown with the extensions", async () => {
  const life = worker();
  const { made } = socket(life, standard, ["v2", "v1"]);
  await settle();
  assert.deepEqual(life.broker.session(name(life)).options.subprotocols, ["v2", "v1"]);
  assert.deepEqual([made.protocol, made.extensions], ["", ""]);
  life.broker.link(name(life), "open", { subprotocol: "v1", extensions: "x" });
  assert.deepEqual([made.protocol, made.extensions], ["v1", "x"]);
});

test("open, messages, clean close by the server: in this order, and nothing after", async () => {
  const { made, log, broker, life } = await opened(standard);
  assert.equal(made.readyState, 1);
  const session = name(life);
  broker.text(session, "a");
  broker.link(session, "closed", { code: 4000, reason: "enough" });
  broker.text(session, "late");
  await settle();
  assert.deepEqual(log, ["open", "message a", "close 4000 true enough"]);
  assert.equal(made.readyState, 3);
  assert.equal(broker.sessions.size, 0);
});

test("a standard socket: a drop is a close 1006, a refused dial and a fault of the server an error before it", async () => {
  const dropped = await opened(standard);
  dropped.broker.link(name(dropped.life), "closed", {
    error: { code: "link-lost", message: "x", retry: "later" },
  });
  await settle();
  assert.deepEqual(dropped.log, ["open", "close 1006 false"]);
  const broken = await opened(standard);
  broken.broker.link(name(broken.life), "closed", {
    error: { code: "server-protocol", message: "x", retry: "later" },
  });
  await settle();
  assert.deepEqual(broken.log, ["open", "error", "close 1006 false"]);
  const life = worker();
  const refused = socket(life, standard);
  await settle();
  life.broker.link(name(life), "closed", { error: { code: "refused", message: "x", retry: "later" } });
  await settle();
  assert.deepEqual(refused.log, ["error", "close 1006 false"]);
});

test("a standard socket goes on over a crash of the host, and ends with its connection", async () => {
  const { log, life, made, broker } = await opened(standard);
  const session = name(life);
  const { options } = broker.session(session);
  assert.equal(options.reconnect, false);
  assert((options.linger ?? 0) <= 15_000 && (options.expire ?? 0) <= 15_000);
  life.fake.port.die();
  broker.text(session, "meanwhile");
  await life.clock.advance(1000);
  assert.deepEqual(log, ["open", "message meanwhile"]);
  broker.refuse.set("open", { code: "no-session", message: "it is over", retry: "no" });
  life.fake.port.die();
  await life.clock.advance(1000);
  assert.deepEqual(log.slice(2), ["close 1006 false"]);
  assert.equal(made.readyState, 3);
  assert.equal(life.said("open").at(-1)?.url, undefined, "nothing is dialled anew");
});

test("a server that closed while the host was away: its last message, code and reason", async () => {
  const { log, life, broker } = await opened(standard);
  const session = name(life);
  life.fake.port.die();
  broker.text(session, "last");
  broker.link(session, "closed", { code: 4000, reason: "enough" });
  await life.clock.advance(1000);
  assert.deepEqual(log, ["open", "message last", "close 4000 true enough"]);
});

test("a standard socket does not store its position", async () => {
  const { life, broker } = await opened(standard);
  broker.text(name(life), "a");
  await life.clock.advance(100);
  assert.equal(broker.session(name(life)).acked.get("main"), 2);
  assert.deepEqual(
    life.fake.session.written.filter((key) => key.startsWith("longwire:at:")),
    [],
  );
});

test("options that only a lasting socket has are a TypeError, which says how to ask for one", () => {
  const { bridge } = worker();
  for (const options of [{ reconnect: {} }, { name: "x" }]) {
    assert.throws(() => new LongwireSocket("ws://x", [], { bridge, ...options } as SocketOptions), {
      name: "TypeError",
      message: /`session`/,
    });
  }
});

test("a service worker closes what the one before it has left, and nothing else", async () => {
  const life = worker();
  const scope = globalThis as { ServiceWorkerGlobalScope?: unknown };
  scope.ServiceWorkerGlobalScope = Object;
  try {
    const left = ["socket background earlier 1", "socket page other 1", "mine"];
    for (const session of left) await watchOpen(life, session);
    const next = life.next();
    next.broker.listed = left;
    socket(next, standard);
    await settle();
    const kept = [...next.broker.sessions.keys()].filter((session) => left.includes(session));
    assert.deepEqual(kept, ["socket page other 1", "mine"]);
    assert.deepEqual(
      next.said("close").map(({ session, code }) => [session, code]),
      [["socket background earlier 1", 1001]],
    );
  } finally {
    delete scope.ServiceWorkerGlobalScope;
  }
});

test("an unreachable host is an error and a close 1006", async () => {
  hush();
  const life = worker();
  life.fake.deadly = "Specified native messaging host not found.";
  const { log } = socket(life);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
});

test("close() takes its rules from the standard", async () => {
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

test("close() while open: closing, then a clean close with what was said", async () => {
  const { made, log, life, broker } = await opened(standard);
  made.close(3001, "bye");
  assert.deepEqual([made.readyState, log], [2, ["open"]]);
  broker.text(name(life), "while closing");
  await settle();
  assert.deepEqual(log, ["open", "close 3001 true bye"]);
  assert.equal(broker.sessions.size, 0);
  assert.deepEqual(life.said("close").map(({ code, reason }) => [code, reason])[0], [3001, "bye"]);
});

test("close() without a code is a close 1005", async () => {
  const { made, log, life } = await opened(standard);
  made.close();
  await settle();
  assert.deepEqual(log, ["open", "close 1005 true"]);
  assert.equal(life.said("close")[0]?.code, 1005);
});

test("close() while connecting fails the connection, later", async () => {
  const life = worker();
  const { made, log } = socket(life, standard);
  made.close();
  assert.deepEqual([made.readyState, log], [2, []]);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
  assert.equal(life.broker.sessions.size, 0);
});

test("send() throws while connecting, is silent when closed, and counts in both", async () => {
  const life = worker();
  const { made } = socket(life);
  assert.throws(() => made.send("x"), { name: "InvalidStateError" });
  assert.throws(() => (made.send as () => void)(), TypeError);
  await settle();
  life.broker.link(name(life), "open");
  made.close();
  made.send("é");
  assert.equal(made.bufferedAmount, 2);
  await settle();
  made.send(new Uint8Array(3));
  assert.equal(made.bufferedAmount, 5);
});

test("strings, buffers, views and blobs are sent in order and as what they are", async () => {
  const { made, broker, life } = await opened();
  const bytes = new Uint8Array([1, 2, 3, 4]);
  made.send("lone \ud800");
  made.send(new Blob([bytes]));
  made.send(bytes.buffer);
  made.send(bytes.subarray(1, 3));
  made.send({ toString: () => "object" } as never);
  made.send(undefined as never);
  assert.equal(made.bufferedAmount, 8 + 4 + 4 + 2 + 6 + 9);
  await settle();
  const bodies = broker.session(name(life)).server.map((frame) => {
    const { text, base64 } = frame as { text?: string; base64?: string };
    return text ?? base64;
  });
  assert.deepEqual(bodies, ["lone \ufffd", "AQIDBA==", "AQIDBA==", "AgM=", "object", "undefined"]);
  assert.equal(made.bufferedAmount, 0);
});

test("bufferedAmount falls when the broker takes the message", async () => {
  const { made, broker } = await opened();
  broker.holdAccepted = true;
  made.send("12345");
  await settle();
  assert.equal(made.bufferedAmount, 5);
});

test("bytes arrive as the binaryType says; other types are ignored", async () => {
  const { made, broker, life } = await opened();
  const data: unknown[] = [];
  made.onmessage = (event) => data.push(event.data);
  assert.equal(made.binaryType, "blob");
  const say = () => broker.append(name(life), { type: "message", time: 1, base64: "AQI=" });
  say();
  await settle();
  made.binaryType = "arraybuffer";
  made.binaryType = "nonsense" as never;
  assert.equal(made.binaryType, "arraybuffer");
  say();
  await settle();
  assert(data[0] instanceof Blob);
  assert.deepEqual(new Uint8Array(await (data[0] as Blob).arrayBuffer()), new Uint8Array([1, 2]));
  assert.deepEqual(data[1], new Uint8Array([1, 2]).buffer);
});

test("a message event carries the server's origin", async () => {
  const { made, broker, life } = await opened();
  let origin = "";
  made.onmessage = (event) => {
    origin = event.origin;
  };
  broker.text(name(life), "a");
  await settle();
  assert.equal(origin, "ws://x.test");
});

test("handler attributes keep their place, can be replaced and removed", async () => {
  const { made, broker, life } = await opened();
  const seen: string[] = [];
  assert.equal(made.onmessage, null);
  const first = () => seen.push("first");
  made.onmessage = first;
  made.addEventListener("message", () => seen.push("listener"));
  assert.equal(made.onmessage, first);
  made.onmessage = function (this: LongwireSocket) {
    seen.push(`second ${this === made}`);
  };
  broker.text(name(life), "a");
  await settle();
  assert.deepEqual(seen, ["second true", "listener"]);
  made.onmessage = 7 as never;
  assert.equal(made.onmessage, null);
  broker.text(name(life), "b");
  assert.deepEqual(seen.slice(2), ["listener"]);
});

test("a lasting socket: a drop is not a close; what is sent meanwhile waits", async () => {
  const { made, log, broker, life } = await opened(lasting);
  const session = name(life);
  broker.link(session, "waiting", { retryIn: 500 });
  assert.equal(made.readyState, 1);
  made.send("meanwhile");
  broker.link(session, "connecting");
  broker.link(session, "open", { continuity: "unknown" });
  broker.append(session, { type: "gap", from: 5, to: 5, count: 2, reason: "overflow", exact: true });
  await settle();
  assert.deepEqual(log, ["open", "reconnecting", "resumed", "gap"]);
  assert.equal(broker.session(session).server.length, 1);
});

test("a lasting socket: first dials that fail are told, and the state stays connecting", async () => {
  const life = worker();
  const { made, log } = socket(life, lasting);
  await settle();
  life.broker.link(name(life), "waiting");
  assert.deepEqual([log, made.readyState], [["reconnecting"], 0]);
  life.broker.link(name(life), "open");
  await settle();
  assert.deepEqual(log, ["reconnecting", "open"]);
});

test("each event has a task of its own, so that code that awaits one does not miss the next", async () => {
  const life = worker();
  const { made } = socket(life);
  const next = (type: string) =>
    new Promise<unknown>((resolve) =>
      made.addEventListener(type, (event) => resolve((event as MessageEvent).data), { once: true }),
    );
  await settle();
  const opening = next("open");
  life.broker.link(name(life), "open");
  for (const text of ["one", "two", "three"]) life.broker.text(name(life), text);
  const got: unknown[] = [];
  void opening.then(async () => {
    for (;;) got.push(await next("message"));
  });
  await settle();
  assert.deepEqual(got, ["one", "two", "three"]);
  await life.clock.advance(50);
  assert.equal(life.broker.session(name(life)).acked.get("main"), 4, "acknowledged when they were told");
});

test("a server that chooses none of the subprotocols offered fails the connection", async () => {
  const life = worker();
  const { log, made } = socket(life, {}, ["v1"]);
  await settle();
  life.broker.link(name(life), "open");
  await settle();
  assert.deepEqual([log, made.readyState], [["error", "close 1006 false"], 3]);
});

test("a lasting socket in the next worker gets what came meanwhile, also when the link is away", async () => {
  // A worker of its own has no memory of the other's names.
  const session = "lasting";
  const first = await opened({ session });
  first.broker.text(session, "a");
  await first.life.clock.advance(50);
  const life = first.life.next();
  first.broker.text(session, "b");
  first.broker.link(session, "waiting");
  const { log, made } = socket(life, { session });
  await settle();
  assert.deepEqual(log, ["reconnecting", "open", "message b"]);
  assert.equal(made.readyState, 1);
  first.broker.link(session, "open");
  assert.deepEqual(log.at(-1), "resumed");
});

test("a lasting socket that failed for good closes, and the next one dials anew", async () => {
  const { log, broker, life } = await opened(lasting);
  broker.link(name(life), "failed", {
    error: { code: "http-status", message: "404", retry: "no" },
    status: 404,
  });
  await settle();
  assert.deepEqual(log, ["open", "error", "close 1006 false"]);
  const again = socket(life, lasting);
  await settle();
  assert.equal(broker.session(name(life)).state, "connecting");
  assert.deepEqual(again.log, []);
});

test("a socket made in the close event of another, to the same URL, is a connection of its own", async () => {
  const { made, broker, life } = await opened({ session: "again" });
  let next: LongwireSocket | undefined;
  made.onclose = () => {
    next = new LongwireSocket("ws://x.test/p", [], { bridge: life.bridge, session: "again" });
  };
  broker.link("again", "failed");
  await settle();
  assert.equal(broker.session("again").next, 1);
  broker.link("again", "open");
  assert.equal(next?.readyState, 1);
});

test("names of standard sockets differ, and no secret is in them", async () => {
  const life = worker();
  const url = "wss://me:pw@x.test:99/names?token=1";
  for (let n = 0; n < 2; n += 1) new LongwireSocket(url, [], { bridge: life.bridge });
  await settle();
  const names = [...life.broker.sessions.keys()];
  assert.equal(names.length, 2);
  assert.doesNotMatch(names.join(), /pw|token/);
});

test("what the broker has no room for waits in order and counts in bufferedAmount", async () => {
  const { made, log, broker, life } = await opened();
  broker.refuse.set("send", { code: "outbox-full", message: "full", retry: "later" });
  for (const text of ["1", "22", "333"]) made.send(text);
  await settle();
  assert.equal(made.bufferedAmount, 6);
  broker.refuse.delete("send");
  await until(() => made.bufferedAmount === 0);
  const arrived = broker.session(name(life)).server.map((frame) => (frame as { text?: string }).text);
  assert.deepEqual(arrived, ["1", "22", "333"]);
  assert.deepEqual(log, ["open"]);
});

test("the broker gets three quarters of its outbox, and the rest when it has written that", async () => {
  const { made, broker, life } = await opened({ outbox: { messages: 16 } });
  broker.outcome = undefined;
  for (let n = 0; n < 40; n += 1) made.send(String(n));
  await settle();
  assert.equal(texts(life).length, 12);
  assert.equal(made.bufferedAmount, 10 + 30 * 2 - 10 - 2 * 2);
  const ids = () =>
    life
      .said("send")
      .filter(({ receipt }) => receipt)
      .map(({ id }) => id as string);
  const told = new Set<string>();
  while (texts(life).length < 40) {
    const fresh = ids().filter((id) => !told.has(id));
    assert(fresh.length > 0, "something must bring the room back");
    for (const id of fresh) {
      told.add(id);
      broker.end(name(life), id, "sent");
    }
    await settle();
  }
  assert.deepEqual(
    texts(life),
    Array.from({ length: 40 }, (_, n) => String(n)),
  );
  assert.equal(made.bufferedAmount, 0);
});

test("messages that wait in the SDK are handed over before the close", async () => {
  const { made, broker, life } = await opened({ outbox: { messages: 8 } });
  broker.outcome = undefined;
  for (let n = 0; n < 10; n += 1) made.send(String(n));
  made.close(3000);
  await settle();
  assert.deepEqual([texts(life).length, life.said("close").length], [6, 0]);
  for (const { id, receipt } of life.said("send")) if (receipt) broker.end(name(life), id as string, "sent");
  await settle();
  assert.deepEqual([texts(life).length, life.said("close").length], [10, 1]);
});

test("what the broker refuses is on the console, since the events do not say it", async () => {
  const said = hush();
  const life = worker();
  life.broker.refuse.set("open", { code: "url-denied", message: "not allowed", retry: "action" });
  const { log } = socket(life);
  await settle();
  assert.deepEqual(log, ["error", "close 1006 false"]);
  assert.match(String(said), /not allowed/);
});

test("ports that browsers block are not dialled", async () => {
  hush();
  const life = worker();
  const blocked = [1, 7, 22, 25, 111, 6000, 6667, 10080];
  const closes: string[] = [];
  for (const port of blocked) {
    const made = new LongwireSocket(`ws://x.test:${port}/`, [], { bridge: life.bridge });
    made.onclose = ({ code }) => closes.push(`${port} ${code}`);
  }
  await settle();
  assert.deepEqual(
    closes,
    blocked.map((port) => `${port} 1006`),
  );
  for (const port of [80, 443, 8080, 6001, 10081, 65535]) {
    new LongwireSocket(`ws://x.test:${port}/`, [], { bridge: life.bridge });
  }
  await settle();
  assert.equal(life.broker.sessions.size, 6);
});

test("a class made by with() has the options, and is a class that libraries can take", async () => {
  const life = worker();
  const Socket = LongwireSocket.with({ bridge: life.bridge, headers: { authorization: "x" } });
  const made = new Socket("ws://x.test/", ["v1"]);
  await settle();
  assert(made instanceof LongwireSocket && Socket.OPEN === 1 && Socket.name === "LongwireSocket");
  const { options } = life.broker.session(name(life));
  assert.deepEqual([options.headers, options.subprotocols], [{ authorization: "x" }, ["v1"]]);
});

test("a lasting socket warns once of a subprotocol that logs in, unless the broker does", async () => {
  const said = hush();
  const life = worker();
  const open = async (session: string, options: SocketOptions = {}) => {
    socket(life, { session, ...options }, ["mqtt"]);
    await settle();
    life.broker.link(session, "open", { subprotocol: "mqtt" });
    await settle();
  };
  await open("one", { greeting: [{ text: "hello" }] });
  assert.equal(said.length, 0);
  await open("two");
  assert.match(String(said), /"mqtt" logs in on every connection.*LIBRARIES/);
  life.broker.link("two", "open", { subprotocol: "mqtt" });
  await settle();
  assert.equal(said.length, 1);
});

test("a lasting socket warns when its links end right after they were resumed", async () => {
  const said = hush();
  const { life, broker } = await opened({ session: "short" });
  for (let n = 0; n < 3; n += 1) {
    assert.equal(said.length, 0);
    broker.link("short", "waiting");
    broker.link("short", "open");
    await settle();
  }
  broker.link("short", "waiting");
  await settle();
  assert.match(String(said), /3 times right after/);
  assert.equal(life.broker.sessions.size, 1);
});
