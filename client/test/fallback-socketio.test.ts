// Socket.IO and lists of transports on the browser's own connections: how packets travel, and what follows when they cannot.
// What packets mean is in behaviour.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browserFallback } from "../src/fallback/index.js";
import { cookieHeader, type SendOutcome, type SessionOptions } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { FakeWorld } from "../src/testing/fake-world.js";
import { FakeNetwork } from "./support/network.js";
import { muteConsole, startWorker, watch } from "./support/worker.js";

/** A worker without a host. */
function alone() {
  const world = new FakeWorld();
  world.hostFailure = "Specified native messaging host not found.";
  const network = new FakeNetwork();
  return { ...startWorker({ fallback: browserFallback({ offscreen: false, network }) }, world), network };
}

const HELLO = `0${JSON.stringify({
  sid: "S",
  upgrades: ["websocket"],
  pingInterval: 25_000,
  pingTimeout: 20_000,
  maxPayload: 100,
})}`;

/** A server that is polled: its next response, and what was posted to it. */
class Polled {
  readonly posted: string[] = [];
  readonly urls: URL[] = [];
  readonly credentials: unknown[] = [];
  #waiting: ((body: string) => void) | undefined;
  #sent: string[] = [];

  constructor(network: FakeNetwork) {
    network.answer = (url, { method, body, credentials }) => {
      this.urls.push(new URL(url));
      this.credentials.push(credentials);
      if (method !== "POST") return this.#next().then((text) => new Response(text));
      this.posted.push(String(body));
      return new Response("ok");
    };
  }

  async deliver(...packets: string[]): Promise<void> {
    this.#sent.push(packets.join("\u001e"));
    this.#flush();
    await settle();
  }

  #next(): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#flush();
    });
  }

  #flush(): void {
    const [first] = this.#sent;
    if (!this.#waiting || first === undefined) return;
    this.#sent.shift();
    this.#waiting(first);
    this.#waiting = undefined;
  }
}

async function opened(more: SessionOptions = {}) {
  const worker = alone();
  const server = new Polled(worker.network);
  const session = await worker.bridge.open("s", "https://x.example/ignored?a=1", {
    protocol: "socket.io",
    ...more,
  });
  session.onState(() => {});
  const got: unknown[] = [];
  session.on("message", ({ event, args }) => {
    got.push([event, ...(args ?? [])]);
  });
  await settle();
  return { ...worker, server, session, got };
}

test("polling first, then a WebSocket: the upgrade loses and duplicates nothing", async () => {
  const { server, session, network, got, clock } = await opened({ socketio: { query: { room: 7 } } });
  assert.equal(`${server.urls[0]?.origin}${server.urls[0]?.pathname}`, "https://x.example/socket.io/");
  const asked = Object.fromEntries(server.urls[0]?.searchParams ?? []);
  assert.deepEqual({ ...asked, t: "" }, { a: "1", room: "7", EIO: "4", transport: "polling", t: "" });
  await server.deliver(HELLO);
  assert.deepEqual(server.posted, ["40"]);
  assert.equal(server.urls.at(-1)?.searchParams.get("sid"), "S");
  await server.deliver('40{"sid":"x"}', '42["one"]');
  assert.equal(session.state, "open");
  const { socket } = network;
  assert.match(socket.url, /^wss:\/\/x\.example\/socket\.io\/\?a=1&room=7&EIO=4&transport=websocket&sid=S$/);
  socket.accept();
  assert.deepEqual(socket.received, ["2probe"]);
  socket.deliver("3probe");
  // The request that is open has to end before the WebSocket is used.
  session.emit("late", [1]).catch(() => {});
  await settle();
  assert.deepEqual(socket.received, ["2probe"]);
  await server.deliver("6", '42["two"]');
  assert.deepEqual(socket.received, ["2probe", "5", '42["late",1]']);
  socket.deliver('42["three"]');
  socket.deliver("2");
  await clock.advance(10);
  assert.equal(socket.received.at(-1), "3");
  assert.deepEqual(got, [["one"], ["two"], ["three"]]);
  assert.deepEqual(server.posted, ["40"]);
});

test("without a WebSocket, polling continues", async () => {
  const { server, session, network, got } = await opened();
  await server.deliver(HELLO, '40{"sid":"x"}');
  network.socket.end(1006);
  await session.emit("a", ["x".repeat(60)]);
  await server.deliver('42["one"]');
  assert.deepEqual(got, [["one"]]);
  const first = session.emit("b", ["y".repeat(60)], { receipt: true });
  const second = session.emit("c", ["z".repeat(60)], { receipt: true });
  assert.deepEqual([(await first).outcome, (await second).outcome], ["sent", "sent"]);
  // A body holds no more than the server takes.
  assert(server.posted.every((body) => body.length <= 100));
  const large = await session.emit("d", ["z".repeat(100)]);
  assert.deepEqual([large.outcome, large.error?.code], ["failed", "too-large"]);
  const closed = watch(session.close());
  await settle();
  assert.equal(server.posted.at(-1), "1");
  assert.equal(closed.done, true);
});

test("without permission for the host: without cookies, then by the WebSocket alone", async () => {
  const { bridge, network } = alone();
  const credentials: unknown[] = [];
  network.answer = (_url, init) => {
    credentials.push(init.credentials);
    throw new TypeError("Failed to fetch");
  };
  const session = await bridge.open("s", "https://x.example", { protocol: "socket.io" });
  session.onState(() => {});
  await settle();
  assert.deepEqual(credentials, ["include", "omit"]);
  network.socket.accept();
  network.socket.deliver(HELLO);
  network.socket.deliver('40{"sid":"x"}');
  await settle();
  assert.equal(session.state, "open");
  assert.equal(network.sockets.length, 1);
  assert.deepEqual(network.socket.received, ["40"]);
});

test("statuses of the handshake, pages and old servers", async () => {
  muteConsole();
  for (const [response, state, code] of [
    [() => new Response("", { status: 401 }), "failed", "http-status"],
    [() => new Response("no such path", { status: 404 }), "failed", "http-status"],
    [() => new Response("", { status: 502 }), "waiting", "http-status"],
    [() => new Response("<!doctype html>"), "waiting", "server-protocol"],
    [() => new Response('96:0{"sid":"x","pingInterval":1,"pingTimeout":1}2:40'), "failed", "server-protocol"],
  ] as const) {
    const { bridge, network } = alone();
    network.answer = response;
    const session = await bridge.open("s", "https://x.example", { protocol: "socket.io" });
    session.onState(() => {});
    session.on("error", () => {});
    await settle();
    assert.deepEqual([session.state, session.link?.error?.code], [state, code]);
  }
});

test("the next of several transports is used after two failures, and the best one is probed again", async () => {
  const { bridge, network, clock } = alone();
  const streams: string[] = [];
  network.answer = (url) => {
    streams.push(url);
    const body = new ReadableStream({
      start: (sink) => sink.enqueue(new TextEncoder().encode("data: hi\n\n")),
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
  const session = await bridge.open("s", "wss://x.example/socket", {
    transports: ["websocket", "sse"],
    urls: { sse: "https://x.example/events" },
  });
  const used: unknown[] = [];
  session.onState(({ state, transport }) => {
    if (state === "open") used.push(transport);
  });
  const got: unknown[] = [];
  session.on("message", ({ text }) => {
    got.push(text);
  });
  for (let failures = 0; failures < 2; failures += 1) {
    network.socket.end(1006);
    await clock.advance(2000);
  }
  assert.deepEqual([used, streams, got], [["sse"], ["https://x.example/events"], ["hi"]]);
  assert.equal(network.sockets.length, 2);
  await clock.advance(300_000);
  assert.equal(network.sockets.length, 3);
  network.socket.accept();
  await settle();
  assert.deepEqual(used, ["sse", "websocket"]);
});

test("an event that a WebSocket cannot carry fails, and plain messages are still sent", async () => {
  const { bridge, network } = alone();
  const session = await bridge.open("s", "wss://x.example/socket", {
    transports: ["websocket", "socket.io"],
  });
  session.onState(() => {});
  const event = watch(session.emit("e", [1]));
  session.send("text").catch(() => {});
  network.socket.accept();
  await settle();
  const { outcome, error } = event.value as SendOutcome;
  assert.deepEqual([outcome, error?.code, network.socket.received], ["failed", "not-sent", ["text"]]);
});

test("events name a namespace without its query", async () => {
  const { server, session } = await opened({
    socketio: { namespaces: ["/n?a=1"], transports: ["polling"] },
  });
  await server.deliver(HELLO, '40/n,{"sid":"x"}');
  await session.emit("e", [], { namespace: "/n" });
  assert.deepEqual(server.posted, ["40/n?a=1,", '42/n,["e"]']);
});

test("a message refused by an HTTP status fails, and the others are sent", async () => {
  const { bridge, network } = alone();
  const statuses = [413, 200];
  network.answer = (_url, { method }) =>
    method === "POST" ? new Response(null, { status: statuses.shift() ?? 200 }) : new Response("x");
  const session = await bridge.open("s", "https://x.example/", {
    protocol: "poll",
    post: { url: "https://x.example/send" },
  });
  session.on("message", () => {});
  await settle();
  const [first, second] = [watch(session.send("large")), watch(session.send("small"))];
  await settle();
  await settle();
  const { outcome, error } = first.value as SendOutcome;
  assert.deepEqual([outcome, error?.code], ["failed", "http-status"]);
  assert.equal((second.value as { outcome: string }).outcome, "confirmed");
  assert.equal(session.state, "open");
});

test("a message that an earlier connection may have carried is `unknown` if the next one refuses it", async () => {
  const { bridge, network, clock } = alone();
  network.answer = (_url, { method }) =>
    method === "POST" ? new Response(null, { status: 413 }) : new Response("x");
  const session = await bridge.open("s", "wss://x.example/", {
    transports: ["websocket", "poll"],
    urls: { poll: "https://x.example/poll" },
    post: { url: "https://x.example/send" },
  });
  session.onState(() => {});
  const sent = watch(session.send("text", { ifLost: "resend", receipt: true }));
  network.socket.accept();
  await settle();
  assert.deepEqual(network.socket.received, ["text"]);
  await bridge.open("s", "wss://x.example/", {
    protocol: "poll",
    urls: { poll: "https://x.example/poll" },
    post: { url: "https://x.example/send" },
  });
  await settle();
  await clock.advance(2000);
  await settle();
  assert.equal((sent.value as SendOutcome | undefined)?.outcome, "unknown");
});

test("cookies that the browser sends itself are not refused", async () => {
  const { bridge, network } = alone();
  const api = { runtime: {}, cookies: { getAll: async () => [{ name: "sid", value: "7" }] } };
  const cookies = await cookieHeader("wss://x.example/", api);
  assert.equal(cookies, "sid=7");
  await bridge.open("a", "wss://x.example/", { cookies });
  await bridge.open("b", "wss://x.example/", { headers: { Cookie: cookies } });
  assert.equal(network.sockets.length, 2);
  await assert.rejects(bridge.open("c", "wss://x.example/", { cookies: "sid=8" }), { code: "unsupported" });
});

test("an event stream without data is closed after the time in `heartbeat`", async () => {
  const { bridge, network, clock } = alone();
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  network.answer = () => {
    const body = new ReadableStream<Uint8Array>({
      start: (made) => {
        sink = made;
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
  const session = await bridge.open("s", "https://x.example/", {
    protocol: "sse",
    heartbeat: { interval: 3000, timeout: 1000 },
  });
  session.onState(() => {});
  await settle();
  await clock.advance(3999);
  sink?.enqueue(new TextEncoder().encode(": alive\n"));
  await settle();
  await clock.advance(3999);
  assert.equal(session.state, "open");
  await clock.advance(1);
  assert.equal(session.link?.error?.code, "heartbeat");
});
