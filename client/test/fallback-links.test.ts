import assert from "node:assert/strict";
import { test } from "node:test";
import { browserFallback } from "../src/fallback/index.js";
import type { Received } from "../src/index.js";
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

/** A response whose body is written bit by bit. */
function stream(headers: Record<string, string> = {}) {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (made) => {
      controller = made;
    },
  });
  return {
    response: new Response(body, { headers: { "content-type": "text/event-stream", ...headers } }),
    write: (text: string) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => controller?.close(),
  };
}

test("server-sent events, by the rules of the standard, and again with `Last-Event-ID`", async () => {
  const { bridge, network, clock } = alone();
  const first = stream();
  network.answer = () => first.response;
  const session = await bridge.open("s", "https://x.example/events", {
    protocol: "sse",
    headers: { authorization: "Bearer x" },
  });
  const got: unknown[] = [];
  session.on("message", ({ text, event, lastEventId }) => got.push([text, event, lastEventId]));
  const states: unknown[] = [];
  session.onState(({ state, continuity }) => states.push([state, continuity]));
  await settle();
  first.write(": note\ndata: one\r\ndata: two\r");
  first.write("\nid: 7\nevent: tick\n\ndata:three\n\nretry: 5000\n\nid\n\ndata: cut");
  await settle();
  assert.deepEqual(got, [
    ["one\ntwo", "tick", "7"],
    ["three", undefined, "7"],
  ]);
  const second = stream();
  network.answer = () => second.response;
  first.write("\n\nid: 8\ndata: last\n\n");
  first.end();
  await settle();
  assert.deepEqual(states.at(-1), ["waiting", undefined]);
  // The server's minimum, and the jitter of the backoff.
  assert.equal(session.link?.retryIn, 5250);
  await clock.advance(5250);
  const headers = network.requests.map(({ init }) => init.headers as Record<string, string>);
  assert.deepEqual(
    headers.map((one) => [one.authorization, one["last-event-id"]]),
    [
      ["Bearer x", undefined],
      ["Bearer x", "8"],
    ],
  );
  assert.deepEqual(states.at(-1), ["open", "server"]);
});

test("status codes of an event stream", async () => {
  for (const [status, state] of [
    [204, "closed"],
    [404, "failed"],
    [401, "failed"],
    [503, "waiting"],
  ] as const) {
    const { bridge, network } = alone();
    network.answer = () => new Response(null, { status, headers: { "retry-after": "7" } });
    const session = await bridge.open("s", "https://x.example/", { protocol: "sse" });
    session.onState(() => {});
    await settle();
    assert.equal(session.state, state, `${status}`);
    assert.equal(session.link?.status, status);
    // Other clients were closed too: the redial is spread over five seconds.
    const { retryIn = 0 } = session.link ?? {};
    if (status === 503) assert(retryIn >= 7000 && retryIn <= 12_000, `${retryIn}`);
  }
});

test("a polled server: items, cursor and ETag; messages are posted one at a time", async () => {
  const { bridge, network, clock } = alone();
  let page = 0;
  network.answer = (_url, { method }) => {
    if (method === "POST") return new Response(null, { status: 200 });
    page += 1;
    const items = page === 1 ? [{ n: 1 }, { n: 2 }] : [];
    return Response.json({ items, next: page === 1 ? "abc" : "abc" }, { headers: { etag: `"${page}"` } });
  };
  const session = await bridge.open("s", "https://x.example/poll?a=1", {
    protocol: "poll",
    format: "json",
    poll: { interval: 1000, items: "/items", cursor: { pointer: "/next", query: "since" } },
    post: { url: "https://x.example/send", headers: { "x-own": "1" } },
  });
  const got: unknown[] = [];
  session.on("message", ({ json }) => got.push(json));
  await settle();
  assert.equal(session.state, "open");
  assert.deepEqual(got, [{ n: 1 }, { n: 2 }]);
  const sent = ["a", { b: 1 }, new Uint8Array([1])].map((data) => watch(session.send(data)));
  await settle();
  assert.deepEqual(
    sent.map(({ value }) => (value as { outcome: string }).outcome),
    ["confirmed", "confirmed", "confirmed"],
  );
  await clock.advance(1000);
  await clock.advance(1000);
  const asked = network.requests.filter(({ init }) => init.method !== "POST");
  assert.deepEqual(
    asked.map(({ url }) => url),
    [
      "https://x.example/poll?a=1",
      "https://x.example/poll?a=1&since=abc",
      "https://x.example/poll?a=1&since=abc",
    ],
  );
  assert.equal(new Headers(asked[2]?.init.headers).get("if-none-match"), '"2"');
  const posted = network.requests.filter(({ init }) => init.method === "POST");
  assert.deepEqual(
    posted.map(({ init }) => (init.headers as Record<string, string>)["content-type"]),
    ["text/plain", "application/json", "application/octet-stream"],
  );
});

test("greeting, `ready`, subscriptions, outbox: in this order on each connection", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/", {
    format: "json",
    greeting: [{ json: { op: "hi" } }],
    ready: { "/op": "welcome" },
  });
  session.on("message", () => {});
  session.onState(() => {});
  const states: string[] = [];
  session.on("subscription", ({ state }) => states.push(state));
  session.subscribe("ticks", { send: [{ op: "sub" }], undo: [{ op: "unsub" }], confirm: { "/op": "ok" } });
  session.send({ op: "work" });
  for (const round of [0, 1]) {
    network.socket.accept();
    await settle();
    assert.deepEqual(network.socket.received, ['{"op":"hi"}']);
    network.socket.deliver({ op: "welcome" });
    await settle();
    const rest = ['{"op":"sub"}', ...(round === 0 ? ['{"op":"work"}'] : [])];
    assert.deepEqual(network.socket.received, ['{"op":"hi"}', ...rest]);
    network.socket.deliver({ op: "ok" });
    await clock.advance(100);
    assert.equal(states.at(-1), "active");
    network.socket.end(1006);
    await clock.advance(1000);
  }
});

test("requests are matched with answers; messages written when the connection was lost are `link-lost` and `unknown`", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/", { format: "json" });
  const got: unknown[] = [];
  session.on("message", ({ json }) => got.push(json));
  session.onState(() => {});
  network.socket.accept();
  await settle();
  const match = { out: "/id", in: "/id" };
  const first = watch(session.request({ id: 1 }, { match }));
  const second = watch(session.request({ id: 2 }, { match, timeout: 500 }));
  const proved = watch(session.send({ id: "c" }, { confirm: match }));
  await settle();
  network.socket.deliver({ id: 1, ok: true });
  network.socket.deliver({ id: "c" });
  await settle();
  assert.deepEqual((first.value as Received).json, { id: 1, ok: true });
  assert.equal((proved.value as { outcome: string }).outcome, "confirmed");
  // A message that merely confirms is delivered; the answer to a request is used up.
  assert.deepEqual(got, [{ id: "c" }]);
  await clock.advance(500);
  assert.equal((second.error as { code: string }).code, "timeout");
  network.socket.isStuck = true;
  const third = watch(session.request({ id: 3 }, { match }));
  const unproved = watch(session.send({ x: 1 }));
  const again = watch(session.send({ x: 2 }, { ifLost: "resend" }));
  await settle();
  network.socket.end();
  await settle();
  assert.equal((third.error as { code: string }).code, "link-lost");
  assert.equal((unproved.value as { outcome: string }).outcome, "unknown");
  assert.equal(again.done, false);
  await clock.advance(1000);
  network.socket.accept();
  await clock.advance(100);
  assert.deepEqual(network.socket.received, ['{"x":2}']);
  assert.equal((again.value as { outcome: string }).outcome, "sent");
});

test("credentials from a provider: a URL and subprotocols; headers are refused by name", async () => {
  muteConsole();
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/", { auth: "provider" });
  session.onState(() => {});
  assert.equal(session.state, "unauthorized");
  assert.equal(network.sockets.length, 0);
  const asked: string[] = [];
  session.onAuth(({ why }) => {
    asked.push(why);
    return { url: `wss://x.example/?token=${asked.length}`, subprotocols: ["v2"] };
  });
  await settle();
  assert.equal(network.socket.url, "wss://x.example/?token=1");
  assert.deepEqual(network.socket.subprotocols, ["v2"]);
  network.socket.accept();
  await settle();
  network.socket.end(4401);
  await settle();
  assert.equal(network.socket.url, "wss://x.example/?token=2");
  // A failed handshake may have been refused: the browser does not report that.
  network.socket.end();
  await clock.advance(1000);
  assert.equal(network.socket.url, "wss://x.example/?token=3");
  assert.deepEqual(asked, ["first", "refused", "refused"]);
  const other = await bridge.open("t", "wss://x.example/", { auth: "provider" });
  other.onState(() => {});
  other.on("error", () => {});
  other.onAuth(() => ({ headers: { authorization: "x" } }));
  await settle();
  assert.equal(other.state, "failed");
  assert.match(other.link?.error?.message ?? "", /`headers`/);
});

test("a full log drops the oldest messages and reports how many", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/", {
    queue: { messages: 4 },
    window: { messages: 2 },
    maxMessage: 100,
  });
  const got: unknown[] = [];
  let release = () => {};
  session.on("message", ({ text }) => {
    got.push(text);
    return new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  session.onGap(({ count, reason }) => got.push([reason, count]));
  network.socket.accept();
  await settle();
  for (let number = 1; number <= 10; number += 1) network.socket.deliver(`${number}`);
  network.socket.deliver("x".repeat(101));
  for (let turn = 0; turn < 12; turn += 1) {
    await clock.advance(60);
    release();
  }
  await clock.advance(60);
  const numbers = got.filter((one) => typeof one === "string");
  const lost = got.filter((one) => Array.isArray(one)) as [string, number][];
  const overflow = lost
    .filter(([reason]) => reason === "overflow")
    .reduce((sum, [, count]) => sum + count, 0);
  assert.equal(numbers[0], "1");
  assert.equal(numbers.at(-1), "10");
  // The first may be among the dropped, and was delivered before.
  assert(overflow + numbers.length >= 10 && overflow + numbers.length <= 12, JSON.stringify(got));
  assert.deepEqual(lost.at(-1), ["too-large", 1]);
});

test("a silent server is disconnected when an application heartbeat is not answered", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/", {
    heartbeat: { message: { text: "ping" }, expect: { text: "pong" }, interval: 1000, timeout: 500 },
  });
  session.onState(() => {});
  const got: unknown[] = [];
  session.on("message", ({ text }) => got.push(text));
  network.socket.accept();
  await clock.advance(1000);
  assert.deepEqual(network.socket.received, ["ping"]);
  network.socket.deliver("pong");
  await clock.advance(1000);
  assert.equal(session.state, "open");
  await clock.advance(500);
  assert.equal(session.state, "waiting");
  assert.equal(session.link?.error?.code, "heartbeat");
  assert.deepEqual(got, []);
});

test("close writes earlier messages first, and reports the server's answer", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/");
  let how: unknown;
  session.on("detached", (reason, _error, report) => {
    how = [reason, report];
  });
  network.socket.accept();
  await settle();
  const sent = watch(session.send("last"));
  const closed = watch(session.close(4001, "bye"));
  await clock.advance(50);
  assert.deepEqual(network.socket.received, ["last"]);
  assert.deepEqual(network.socket.closed, { code: 4001, reason: "bye" });
  network.socket.end(4001, "bye");
  await settle();
  assert.equal(closed.done, true);
  assert.equal((sent.value as { outcome: string }).outcome, "sent");
  assert.deepEqual(how, ["closed", { code: 4001, reason: "bye", clean: true }]);
});

test("other options and another URL redial, `conflict: error` refuses", async () => {
  const { bridge, network } = alone();
  const session = await bridge.open("s", "wss://x.example/a");
  session.onState(() => {});
  network.socket.accept();
  await settle();
  await assert.rejects(bridge.open("s", "wss://x.example/b", { conflict: "error" }), {
    code: "session-conflict",
  });
  network.socket.isStuck = true;
  const written = watch(session.send("text", { receipt: true }));
  await settle();
  await bridge.open("s", "wss://x.example/b", {});
  await settle();
  assert.equal((written.value as { outcome: string } | undefined)?.outcome, "unknown");
  assert.deepEqual(
    network.sockets.map(({ url }) => url),
    ["wss://x.example/a", "wss://x.example/b"],
  );
});

test("an HTML page in place of data is a lost link, unless it was requested", async () => {
  for (const [headers, state, count] of [
    [{}, "waiting", 0],
    [{ Accept: "text/html" }, "open", 1],
  ] as const) {
    const { bridge, network } = alone();
    network.answer = () => new Response("<p>log in</p>", { headers: { "content-type": "text/html" } });
    const session = await bridge.open("s", "https://x.example/", { protocol: "poll", headers });
    session.onState(() => {});
    const got: unknown[] = [];
    session.on("message", ({ text }) => {
      got.push(text);
    });
    await settle();
    assert.deepEqual([session.state, got.length], [state, count]);
  }
});
