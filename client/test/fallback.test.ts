import assert from "node:assert/strict";
import { test } from "node:test";
import { browserFallback } from "../src/fallback/index.js";
import { LongwireSocket, type Received, type Session, type SessionOptions } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { FakeWorld } from "../src/testing/fake-world.js";
import { FakeNetwork } from "./support/network.js";
import { muteConsole, startWorker, type Worker, watch } from "./support/worker.js";

const MISSING = "Specified native messaging host not found.";

/** A worker without a host. */
function alone(world = new FakeWorld(), more = {}): Worker & { network: FakeNetwork } {
  world.hostFailure = MISSING;
  const network = new FakeNetwork();
  const made = startWorker({ fallback: browserFallback({ offscreen: false, network }), ...more }, world);
  return Object.assign(made, { network });
}

/** Collects the events of a session. */
function listen(session: Session): {
  texts: unknown[];
  gaps: string[];
  states: string[];
  messages: Received[];
} {
  const reported = {
    texts: [] as unknown[],
    gaps: [] as string[],
    states: [] as string[],
    messages: [] as Received[],
  };
  session.on("message", (message) => {
    reported.texts.push(message.data);
    reported.messages.push(message);
  });
  session.onGap(({ reason }) => reported.gaps.push(reason));
  session.onState(({ state, continuity }) =>
    reported.states.push(continuity ? `${state} ${continuity}` : state),
  );
  return reported;
}

test("without a host a session runs on the browser's own WebSocket", async () => {
  const { bridge, network, clock } = alone();
  const modes: unknown[] = [];
  bridge.on("mode", (mode, error) => modes.push([mode, error?.code]));
  const session = await bridge.open("s", "wss://x.example/a", { subprotocols: ["v1"] });
  assert.equal(bridge.mode, "browser");
  assert.equal(bridge.state, "ready");
  assert.deepEqual(modes, [["browser", "host-not-found"]]);
  assert.deepEqual(bridge.welcome?.capabilities.includes("websocket"), true);
  assert.equal(bridge.welcome?.capabilities.includes("disk"), false);
  const reported = listen(session);
  const early = watch(session.send("early"));
  network.socket.accept();
  await settle();
  assert.equal(network.socket.url, "wss://x.example/a");
  assert.equal(session.state, "open");
  assert.equal(session.link?.subprotocol, "v1");
  assert.deepEqual(network.socket.received, ["early"]);
  await clock.advance(20);
  assert.equal((early.value as { outcome: string }).outcome, "sent");
  network.socket.deliver("one");
  network.socket.deliver(new Uint8Array([1, 2]).buffer);
  await settle();
  assert.deepEqual(reported.texts, ["one", new Uint8Array([1, 2])]);
});

test("options that only the host supports are refused by name", async () => {
  const { bridge } = alone();
  const refused: [string, SessionOptions][] = [
    ["headers", { headers: { authorization: "x" } }],
    ["cookies", { cookies: "a=b" }],
    ["proxy", { proxy: "none" }],
    ["durability", { durability: "disk" }],
    ["headers", { protocol: "socket.io", headers: { authorization: "x" } }],
    ["headers", { protocol: "socket.io", socketio: { extraHeaders: { "x-a": "1" } } }],
    ["headers", { protocol: "poll", headers: { "user-agent": "x" } }],
  ];
  for (const [option, options] of refused) {
    await assert.rejects(
      bridge.open(option, "wss://x.example/", options),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "unsupported");
        assert.match(error.message, new RegExp(`\`${option}\``));
        return true;
      },
    );
  }
  for (const bad of ["ftp://x.example/", "wss://x.example/#part", "x.example", "ws://x.example:0/"]) {
    await assert.rejects(bridge.open("url", bad), { code: "bad-url" });
  }
});

test("a lost connection is redialled, with its states and `continuity: none`", async () => {
  const { bridge, network, clock } = alone();
  const session = await bridge.open("s", "wss://x.example/");
  const reported = listen(session);
  network.socket.accept();
  await settle();
  network.socket.end(1001, "away");
  await settle();
  assert.equal(session.link?.code, 1001);
  // Clients that a server disconnects all at once come back over five seconds.
  await clock.advance(6000);
  network.socket.accept();
  await settle();
  assert.equal(network.sockets.length, 2);
  assert.deepEqual(reported.states.slice(-4), ["open", "waiting", "connecting", "open none"]);
  network.socket.end(1008);
  await settle();
  assert.equal(session.state, "failed");
});

test("with `reconnect: false` a drop ends the session, as for a standard socket", async () => {
  const { bridge, network, clock } = alone();
  const socket = new LongwireSocket("wss://x.example/", "v1", { bridge });
  const events: unknown[] = [];
  for (const type of ["open", "message", "error", "close"] as const) {
    socket.addEventListener(type, (event) => {
      const { data, code, reason, wasClean } = event as MessageEvent & CloseEvent;
      events.push(type === "close" ? [type, code, reason, wasClean] : [type, data]);
    });
  }
  await settle();
  network.socket.accept("v1");
  await settle();
  assert.equal(socket.readyState, 1);
  assert.equal(socket.protocol, "v1");
  for (let count = 0; count < 500; count += 1) socket.send(`${count}`);
  await clock.advance(100);
  assert.equal(network.socket.received.length, 500);
  network.socket.deliver("hi");
  await settle();
  network.socket.end(4000, "enough");
  await settle();
  assert.deepEqual(events, [
    ["open", undefined],
    ["message", "hi"],
    ["close", 4000, "enough", true],
  ]);
});

test("a stopped worker is reported as a gap, and earlier messages are not delivered twice", async () => {
  muteConsole();
  const first = alone();
  const session = await first.bridge.open("s", "wss://x.example/");
  const reported = listen(session);
  first.network.socket.accept();
  first.network.socket.deliver("one");
  await first.clock.advance(100);
  assert.deepEqual(reported.texts, ["one"]);
  const second = alone(first.fake);
  const again = await second.bridge.open("s", "wss://x.example/");
  const after = listen(again);
  second.network.socket.accept();
  second.network.socket.deliver("three");
  await second.clock.advance(100);
  assert.deepEqual(after.gaps, ["reset"]);
  assert.deepEqual(after.texts, ["three"]);
});

test("a worker that stopped before it processed anything is reported as well", async () => {
  muteConsole();
  const first = alone();
  await first.bridge.open("s", "wss://x.example/");
  await settle();
  const second = alone(first.fake);
  const after = listen(await second.bridge.open("s", "wss://x.example/"));
  await settle();
  assert.deepEqual(after.gaps, ["reset"]);
  const third = alone();
  const fresh = listen(await third.bridge.open("s", "wss://x.example/"));
  await settle();
  assert.deepEqual(fresh.gaps, []);
});

test("a host that appears takes over the next connection: losses are reported, nothing is duplicated", async () => {
  muteConsole();
  const { bridge, network, clock, fake } = alone();
  const installed = watch(new Promise((resolve) => bridge.on("installed", resolve)));
  const modes: string[] = [];
  bridge.on("mode", (mode) => modes.push(mode));
  const session = await bridge.open("s", "wss://x.example/");
  const reported = listen(session);
  network.socket.accept();
  network.socket.deliver("one");
  await settle();
  fake.hostFailure = undefined;
  await clock.advance(20_000);
  assert.deepEqual(modes, ["browser", "host"]);
  assert.equal(installed.done, true);
  // The open connection continues in the browser.
  network.socket.deliver("two");
  await clock.advance(100);
  assert.deepEqual(reported.texts, ["one", "two"]);
  assert.deepEqual(
    fake.port.sent.filter(({ type }) => type === "open"),
    [],
  );
  // Another session begins at the host at once.
  await bridge.open("other", "wss://y.example/");
  assert.equal(network.sockets.length, 1);
  // The next connection is the host's, and what waited goes with it, once.
  network.socket.isStuck = true;
  network.socket.end(1006);
  const waited = watch(session.send("waited"));
  await clock.advance(50);
  assert.equal(network.sockets.length, 1);
  const { broker } = fake;
  assert(broker);
  assert.deepEqual(
    broker.session("s").server.map((frame) => (frame as { text?: string }).text),
    ["waited"],
  );
  await clock.advance(50);
  assert.equal((waited.value as { outcome: string }).outcome, "sent");
  broker.link("s", "open", { dial: 1 });
  broker.text("s", "three");
  await clock.advance(100);
  assert.deepEqual(reported.texts, ["one", "two", "three"]);
  assert.deepEqual(reported.gaps, ["reset"]);
});

test("messages accepted and not written in the browser move to the host with their ids", async () => {
  muteConsole();
  const { bridge, network, clock, fake } = alone();
  const session = await bridge.open("s", "wss://x.example/");
  listen(session);
  // Taken by the broker in the browser, which has no connection yet.
  const sent = watch(session.send("first", { id: "m1" }));
  const asked = watch(session.request({ id: 7 }, { match: { out: "/id", in: "/id" } }));
  await settle();
  fake.hostFailure = undefined;
  await clock.advance(20_000);
  network.socket.end(1006);
  await clock.advance(100);
  const { broker } = fake;
  assert(broker);
  assert.deepEqual(
    broker.session("s").server.map((frame) => [frame.type, frame.id === "m1"]),
    [
      ["send", true],
      ["request", false],
    ],
  );
  assert.equal((sent.value as { outcome: string }).outcome, "sent");
  const [, request] = broker.session("s").server;
  broker.append("s", { type: "response", id: request?.id ?? "", json: { id: 7, answer: 1 } });
  await settle();
  assert.deepEqual((asked.value as Received).json, { id: 7, answer: 1 });
});

test("reconnect() moves to the host immediately, and messages in flight get their outcome", async () => {
  muteConsole();
  const { bridge, network, clock, fake } = alone();
  const session = await bridge.open("s", "wss://x.example/");
  listen(session);
  network.socket.accept();
  await settle();
  fake.hostFailure = undefined;
  await clock.advance(20_000);
  network.socket.isStuck = true;
  const written = watch(session.send("written"));
  await settle();
  await session.reconnect();
  await clock.advance(100);
  assert.equal((written.value as { outcome: string }).outcome, "unknown");
  assert.equal(fake.broker?.session("s").url, "wss://x.example/");
  assert.equal(network.sockets.length, 1);
});

test("a running handler keeps its session in the browser until it finishes", async () => {
  muteConsole();
  const { bridge, network, clock, fake } = alone();
  const session = await bridge.open("s", "wss://x.example/");
  let release = () => {};
  session.on("message", () => new Promise<void>((resolve) => (release = resolve)));
  network.socket.accept();
  network.socket.deliver("slow");
  await settle();
  fake.hostFailure = undefined;
  await clock.advance(20_000);
  network.socket.end(1001);
  await clock.advance(6000);
  assert.deepEqual(
    fake.port.sent.filter(({ type }) => type === "open"),
    [],
  );
  release();
  await clock.advance(100);
  assert.equal(fake.port.sent.filter(({ type }) => type === "open").length, 1);
});

test("an alarm checks for the host", async () => {
  const { bridge, fake } = alone();
  await bridge.open("s", "wss://x.example/");
  fake.hostFailure = undefined;
  fake.onAlarm.fire({ name: "longwire" });
  await settle();
  assert.equal(bridge.mode, "host");
});

test("a crashed host does not cause a switch to the fallback", async () => {
  const fake = new FakeWorld();
  const network = new FakeNetwork();
  const { bridge, clock } = startWorker({ fallback: browserFallback({ offscreen: false, network }) }, fake);
  await bridge.open("s", "wss://x.example/");
  assert.equal(bridge.mode, "host");
  fake.port.die();
  await clock.advance(1000);
  assert.equal(bridge.mode, "host");
  assert.equal(network.sockets.length, 0);
});

test("a missing required capability is reported as without the fallback", async () => {
  const { bridge } = alone(new FakeWorld(), { needs: ["disk"] });
  const failed = watch(bridge.open("s", "wss://x.example/", { waitForHost: false }));
  await settle();
  assert.equal((failed.error as { code: string }).code, "host-not-found");
  assert.equal(bridge.state, "failed");
});

test('fallback: "browser" is what the import registers', async () => {
  const fake = new FakeWorld();
  fake.hostFailure = MISSING;
  const { bridge } = startWorker({ fallback: "browser" }, fake);
  await bridge.open("s", "wss://127.0.0.1:1/");
  assert.equal(bridge.mode, "browser");
  await bridge.end();
});
