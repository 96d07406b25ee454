import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type GapEvent, type LongwireError, type Received, type StateEvent } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import { hush, watch, worker } from "./support/worker.js";

test("messages reach the handler in order and are acknowledged after 50 ms", async () => {
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: string[] = [];
  session.on("message", (m) => seen.push(m.text ?? ""));
  await settle();
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.deepEqual(said("ack"), []);
  await clock.advance(50);
  assert.deepEqual(said("ack"), [{ type: "ack", session: "s", seq: 3 }]);
});

test("every form of content arrives as it was sent", async () => {
  const { broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.data));
  broker.text("s", "text");
  broker.append("s", { type: "message", time: 1, json: { a: [1, null] } });
  broker.append("s", { type: "message", time: 1, base64: "AP8=" });
  broker.append("s", { type: "message", time: 1, event: "e", args: [1, "2"] });
  await settle();
  assert.deepEqual(seen, ["text", { a: [1, null] }, new Uint8Array([0, 255]), [1, "2"]]);
});

test("what comes before the handler is added waits for it", async () => {
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  broker.text("s", "early");
  await clock.advance(1000);
  assert.deepEqual(said("ack"), []);
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  await clock.advance(50);
  assert.deepEqual(seen, ["early"]);
  assert.equal(said("ack").at(-1)?.seq, 1);
});

test("an async handler holds back the next message and the acknowledgement", async () => {
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  const done: (() => void)[] = [];
  session.on("message", (m) => {
    seen.push(m.text);
    return new Promise<void>((resolve) => done.push(resolve));
  });
  broker.text("s", "a");
  broker.text("s", "b");
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  assert.deepEqual(said("ack"), []);
  done[0]?.();
  await clock.advance(50);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(said("ack").at(-1)?.seq, 1);
});

test("a handler that throws is called again, a bounded number of times, and the message is not acknowledged", async () => {
  hush();
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: [unknown, boolean][] = [];
  const errors: [LongwireError, Received | undefined][] = [];
  session.on("error", (error, message) => errors.push([error, message]));
  session.on("message", async (m) => {
    seen.push([m.text, m.redelivered]);
    if (m.text === "bad") throw new Error("no");
  });
  broker.text("s", "bad");
  broker.text("s", "good");
  await clock.advance(60_000);
  assert.deepEqual(seen, [
    ["bad", false],
    ["bad", true],
    ["bad", true],
  ]);
  assert.deepEqual(said("ack"), []);
  assert.equal(errors.length, 1);
  assert.equal(errors[0]?.[0].code, "handler-failed");
  // Skipping it is the developer's decision.
  errors[0]?.[1]?.done();
  await clock.advance(50);
  assert.deepEqual(seen.at(-1), ["good", false]);
  assert.equal(said("ack").at(-1)?.seq, 2);
});

test("a `match` that throws counts as its handler: others and later messages are not lost", async () => {
  hush();
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  const errors: [LongwireError, Received | undefined][] = [];
  session.on("error", (error, message) => errors.push([error, message]));
  const match = (m: Received) => (m.json as { channel: string }).channel === "ticks";
  session.subscribe("ticks", { match }, (m) => seen.push(m.json));
  session.on("message", (m) => seen.push(m.data));
  await settle();
  broker.text("s", "no JSON");
  broker.append("s", { type: "message", time: 1, json: { channel: "ticks" } });
  await clock.advance(5000);
  assert.deepEqual(seen, ["no JSON"]);
  assert.equal(errors[0]?.[0].code, "handler-failed");
  errors[0]?.[1]?.done();
  await clock.advance(50);
  assert.deepEqual(seen, ["no JSON", { channel: "ticks" }, { channel: "ticks" }]);
  assert.equal(said("ack").at(-1)?.seq, 2);
});

test("a handler that throws once is acknowledged after its second try, and the others are not called twice", async () => {
  hush();
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const calls = { flaky: 0, steady: 0 };
  session.on("message", () => {
    calls.flaky += 1;
    if (calls.flaky === 1) throw new Error("once");
  });
  session.on("message", () => {
    calls.steady += 1;
  });
  broker.text("s", "a");
  await clock.advance(1000);
  assert.deepEqual(calls, { flaky: 2, steady: 1 });
  assert.equal(said("ack").at(-1)?.seq, 1);
});

test("a message that a dead handler left is delivered to the next worker", async () => {
  hush();
  const first = worker();
  const session = await first.bridge.open("s", "ws://x");
  session.on("message", () => new Promise(() => undefined));
  first.broker.text("s", "kept");
  await first.clock.advance(1000);
  const second = first.next();
  const seen: unknown[] = [];
  (await second.bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(seen, ["kept"]);
});

test("the loop acknowledges a message when it asks for the next", async () => {
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const bodies: (() => void)[] = [];
  const seen: unknown[] = [];
  void (async () => {
    for await (const m of session) {
      seen.push(m.text);
      await new Promise<void>((resolve) => bodies.push(resolve));
    }
  })();
  broker.text("s", "a");
  broker.text("s", "b");
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  assert.deepEqual(said("ack"), []);
  bodies[0]?.();
  await clock.advance(50);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(said("ack").at(-1)?.seq, 1);
});

test("a loop left in the middle leaves its message to the next reader; done() keeps it from that", async () => {
  const { broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  for await (const m of session) if (m.text === "a") break;
  for await (const m of session) {
    assert.deepEqual([m.text, m.redelivered], ["a", true]);
    m.done();
    break;
  }
  for await (const m of session) {
    assert.deepEqual([m.text, m.redelivered], ["b", false]);
    break;
  }
});

test("a second reader and a handler beside a loop are refused", async () => {
  const { bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const loop = session[Symbol.asyncIterator]();
  void loop.next();
  assert.throws(() => session.on("message", () => undefined), TypeError);
  await assert.rejects(session[Symbol.asyncIterator]().next(), TypeError);
});

test("in manual mode only done() acknowledges, and nobody is waited for", async () => {
  const { clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x", { ack: "manual" });
  const seen: Received[] = [];
  session.on("message", (m) => {
    seen.push(m);
    return new Promise(() => undefined);
  });
  await settle();
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  await clock.advance(1000);
  assert.equal(seen.length, 3);
  assert.deepEqual(said("ack"), []);
  seen[0]?.done();
  seen[2]?.done();
  await clock.advance(50);
  assert.equal(said("ack").at(-1)?.seq, 1);
});

test("a record that comes twice is delivered once", async () => {
  const { fake, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await settle();
  broker.text("s", "a");
  broker.text("s", "b");
  fake.port.say({ type: "message", session: "s", seq: 1, time: 1, text: "a", redelivered: true });
  fake.port.say({ type: "message", session: "s", seq: 2, time: 1, text: "b", redelivered: true });
  broker.text("s", "c");
  assert.deepEqual(seen, [1, 2, 3]);
});

test("the window bounds what waits when nobody reads", async () => {
  const { fake, clock, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x", { window: { messages: 8, bytes: 1000 } });
  for (let n = 1; n <= 20; n += 1) broker.text("s", String(n));
  await clock.advance(1000);
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await clock.advance(1000);
  assert.equal(seen.length, 20);
  assert(fake.port.said.filter(({ type }) => type === "ack").length >= 2);
});

test("messages keep their order and none is lost or doubled over twenty dead workers", async () => {
  let life = worker();
  const seen: number[] = [];
  let sent = 0;
  for (let round = 0; round < 20; round += 1) {
    const session = await life.bridge.open("s", "ws://x");
    session.on("message", async (m) => {
      seen.push(Number(m.text));
    });
    for (let n = 0; n < 37; n += 1) life.broker.text("s", String(sent++));
    await life.clock.advance(50);
    life = life.next();
    for (let n = 0; n < 5; n += 1) life.broker.text("s", String(sent++));
  }
  const session = await life.bridge.open("s", "ws://x");
  session.on("message", (m) => seen.push(Number(m.text)));
  await settle();
  assert.deepEqual(seen, [...Array(sent).keys()]);
});

test("a position that was stored is offered, even if its acknowledgement was lost", async () => {
  const first = worker();
  const session = await first.bridge.open("s", "ws://x");
  session.on("message", () => undefined);
  await settle();
  first.broker.text("s", "a");
  await first.clock.advance(50);
  first.broker.session("s").acked.set("main", 0);
  const second = first.next();
  const seen: unknown[] = [];
  (await second.bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(second.said("open")[0]?.resume, { epoch: first.broker.session("s").epoch, seq: 1 });
  assert.deepEqual(seen, []);
});

test("after a lost port the session goes on, and what was in hand is not delivered twice", async () => {
  const { fake, clock, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  let free: (() => void) | undefined;
  session.on("message", (m) => {
    seen.push(m.text);
    if (m.text === "a") return new Promise<void>((resolve) => (free = resolve));
    return undefined;
  });
  broker.text("s", "a");
  broker.text("s", "b");
  await settle();
  fake.port.die();
  broker.text("s", "c");
  await clock.advance(1000);
  free?.();
  await clock.advance(1000);
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.equal(fake.ports.length, 2);
  assert.equal(broker.session("s").acked.get("main"), 3);
});

test("a gap is told in its place; without a listener it is warned of", async () => {
  const warned = hush();
  const { broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  const off = session.onGap((gap) => seen.push(gap));
  await settle();
  broker.text("s", "a");
  broker.append("s", { type: "gap", from: 2, to: 2, count: 7, reason: "overflow", exact: true });
  broker.text("s", "b");
  const gap: GapEvent = { session: "s", from: 2, to: 2, count: 7, reason: "overflow", exact: true };
  assert.deepEqual(seen, ["a", gap, "b"]);
  assert.equal(warned.length, 0);
  off();
  broker.append("s", { type: "gap", from: 5, to: 5, count: 1, reason: "age", exact: true });
  assert.equal(warned.length, 1);
});

test("another epoch is told as a gap, and counting begins anew", async () => {
  const { fake, clock, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(`${m.epoch.slice(0, 4)} ${m.seq} ${m.text}`));
  session.onGap((gap) => seen.push(gap.reason));
  await settle();
  fake.broker?.text("s", "a");
  await clock.advance(50);
  await fake.replaceBroker();
  await settle();
  fake.broker?.text("s", "b");
  await clock.advance(50);
  assert.deepEqual(seen, ["boot 1 a", "reset", "boot 1 b"]);
  assert.equal(fake.broker?.session("s").acked.get("main"), 1);
});

test("a handler that awaits what lies behind a full window gets it", async () => {
  const { fake, clock, broker, bridge, said } = worker();
  const session = await bridge.open("s", "ws://x", { window: { messages: 2, bytes: 1000 } });
  let hurry = () => {};
  const slow = new Promise<void>((resolve) => {
    hurry = resolve;
  });
  const done: unknown[] = [];
  session.on("message", async (m) => {
    if (done.length === 0) await slow;
    done.push([m.text, (await session.send(`got ${m.text}`)).outcome]);
  });
  await settle();
  for (const text of ["1", "2", "3", "4", "5", "6", "7"]) broker.text("s", text);
  const stall = () => fake.port.say({ type: "stalled", session: "s", messages: 5, bytes: 5 });
  stall();
  await clock.advance(1000);
  assert.deepEqual(said("window"), [], "a handler that is only slow gets no more");
  // It asks only now; nobody tells of the stall a second time.
  hurry();
  await clock.advance(1000);
  assert.deepEqual(done, []);
  assert.deepEqual(
    said("window").map(({ messages, bytes }) => [messages, bytes]),
    [[4, 2000]],
  );
  stall();
  await clock.advance(1000);
  const all = ["1", "2", "3", "4", "5", "6", "7"].map((text) => [text, "sent"]);
  assert.deepEqual(done.slice(0, 1), all.slice(0, 1));
  for (let n = 0; n < 3; n += 1) {
    stall();
    await clock.advance(1000);
  }
  assert.deepEqual(done, all);
});

test("states are told, with typed errors; those of the past do not change session.state", async () => {
  const first = worker();
  const opened = await first.bridge.open("s", "wss://x/y?secret=1");
  const states: StateEvent[] = [];
  opened.onState((state) => states.push(state));
  first.broker.link("s", "open", { dial: 1, subprotocol: "v1" });
  first.broker.link("s", "waiting", {
    retryIn: 500,
    error: { code: "tls", message: "bad", retry: "action" },
  });
  assert.equal(opened.state, "waiting");
  assert.equal(states[0]?.subprotocol, "v1");
  assert.equal(states[1]?.error?.doctor, "longwire doctor --url wss://x/y");
  const second = first.next();
  first.broker.link("s", "open", { continuity: "unknown" });
  const again = await second.bridge.open("s", "wss://x/y?secret=1");
  assert.equal(again.state, "open");
});

test("another port of the same client takes over: the loop ends with an error, and nothing is said any more", async () => {
  const { fake, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const loop = watch(session[Symbol.asyncIterator]().next());
  fake.port.say({ type: "detached", session: "s", reason: "superseded" });
  await settle();
  assert.equal((loop.error as LongwireError).code, "superseded");
  assert.equal(session.state, "detached");
  await assert.rejects(session.send("x"), { code: "superseded" });
  assert.deepEqual(broker.session("s").server, []);
});

test("close() ends the session for everybody and the loop with it; the name can be opened anew", async () => {
  const { broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const loop = watch(session[Symbol.asyncIterator]().next());
  await session.close(1000, "bye");
  await settle();
  assert.deepEqual(loop.value, { done: true, value: undefined });
  assert.equal(broker.sessions.size, 0);
  const again = await bridge.open("s", "ws://x");
  assert.notEqual(again, session);
  assert.equal(again.opened?.created, true);
});

test("open() in the turn of close() or detach() waits for it", async () => {
  const { fake, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const epoch = session.opened?.epoch;
  const closing = session.close();
  const again = await bridge.open("s", "ws://x");
  await closing;
  assert.equal(again.opened?.created, true);
  // Word of the end of the old attachment may come late.
  const leaving = again.detach();
  const third = bridge.open("s", "ws://x");
  await leaving;
  fake.port.say({ type: "detached", session: "s", reason: "closed" });
  assert.equal((await third).opened?.created, false);
  assert.equal(broker.session("s").attached.size, 1);
  assert.notEqual(epoch, undefined);
});

test("who has left is handed nothing more: it comes to the next", async () => {
  const { fake, clock, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => {
    seen.push(m.text);
    return m.text === "a" ? session.detach() : undefined;
  });
  for (const text of ["a", "b", "c"]) broker.text("s", text);
  await clock.advance(1000);
  assert.deepEqual(seen, ["a"]);
  const next = await bridge.open("s");
  const read: unknown[] = [];
  const loop = watch(
    (async () => {
      for await (const m of next) {
        read.push(m.text);
        if (m.text === "b") fake.port.say({ type: "detached", session: "s", reason: "superseded" });
      }
    })(),
  );
  await clock.advance(1000);
  assert.deepEqual(read, ["a", "b"]);
  assert.equal((loop.error as LongwireError).code, "superseded");
});

test("detach() acknowledges what is finished, and the next open goes on", async () => {
  const { broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  session.on("message", () => undefined);
  await settle();
  broker.text("s", "a");
  await session.detach();
  assert.equal(broker.session("s").acked.get("main"), 1);
  broker.text("s", "b");
  const seen: unknown[] = [];
  (await bridge.open("s", "ws://x")).on("message", (m) => seen.push(m.text));
  await settle();
  assert.deepEqual(seen, ["b"]);
});

test("open() rejects with the broker's reason, and a later open tries again", async () => {
  const { broker, bridge } = worker();
  broker.refuse.set("open", { code: "bad-url", message: "cannot parse `x`", retry: "no" });
  await assert.rejects(bridge.open("s", "x"), { code: "bad-url", message: "longwire: cannot parse `x`" });
  broker.refuse.clear();
  assert.equal((await bridge.open("s", "ws://x")).state, "connecting");
});

test("an attachment refused for now after a lost port is asked for again", async () => {
  const { fake, clock, broker, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  broker.refuse.set("open", { code: "rate-limited", message: "slowly", retry: "later" });
  fake.port.die();
  await clock.advance(1000);
  broker.text("s", "a");
  broker.refuse.clear();
  await clock.advance(3000);
  assert.deepEqual(seen, ["a"]);
});

test("a batch is unpacked in order", async () => {
  const { fake, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.seq));
  await settle();
  const frames = [1, 2, 3].map((seq) => ({ type: "message", session: "s", seq, time: 1, text: "x" }));
  fake.port.say({ type: "batch", frames });
  assert.deepEqual(seen, [1, 2, 3]);
});

test("messages in one frame arrive one by one, each with its own seq", async () => {
  const { fake, bridge, clock, said } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", ({ seq, time, data, redelivered }) => seen.push([seq, time, data, redelivered]));
  await settle();
  const shared = { type: "messages", session: "s", time: 5 };
  fake.port.say({ ...shared, seq: 1, text: ["a", ""] });
  fake.port.say({
    type: "batch",
    frames: [{ ...shared, seq: 3, redelivered: true, json: [{ a: 1 }, null] }],
  });
  assert.deepEqual(seen, [
    [1, 5, "a", false],
    [2, 5, "", false],
    [3, 5, { a: 1 }, true],
    [4, 5, null, true],
  ]);
  await clock.advance(50);
  assert.deepEqual(said("ack"), [{ type: "ack", session: "s", seq: 4 }]);
});

test("of messages in one frame nothing is handed out after a handler closed the port", async () => {
  const { fake, bridge } = worker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", ({ text }) => {
    seen.push(text);
    fake.port.die();
  });
  await settle();
  fake.port.say({ type: "messages", session: "s", seq: 1, time: 5, text: ["a", "b"] });
  assert.deepEqual(seen, ["a"]);
});

test("two clients have positions of their own", async () => {
  const main = worker();
  const popup = worker({ client: "popup" }, main.fake, main.clock);
  const seen: string[] = [];
  const one = await main.bridge.open("s", "ws://x");
  const other = await popup.bridge.open("s", "ws://x");
  one.on("message", (m) => seen.push(`main ${m.text}`));
  other.on("message", (m) => seen.push(`popup ${m.text}`));
  await settle();
  main.broker.text("s", "a");
  assert.deepEqual(seen.sort(), ["main a", "popup a"]);
});

test("options that the broker does not know are told on the console", async () => {
  const said = hush();
  const { broker, bridge } = worker();
  broker.ignored = ["formt"];
  await bridge.open("s", "ws://x", { formt: "json" });
  assert.match(String(said), /unknown options: formt/);
});

test("in Firefox the Origin is that of the add-on's pages", async () => {
  const page = "moz-extension://12345678-9abc-def0-1234-56789abcdef0";
  const { fake, said, bridge } = worker();
  const api = fake.api();
  await bridge.open("s", "ws://x");
  assert.equal(said("open")[0]?.options, undefined);
  const firefox = connect({
    api: { ...api, runtime: { ...api.runtime, getURL: (path) => `${page}/${path}` } },
  });
  await firefox.open("one", "ws://x");
  await firefox.open("two", "ws://x", { headers: { origin: "https://x", "X-A": "1" } });
  await firefox.open("three");
  const opened = fake.port.said.filter((frame) => frame.type === "open").map((frame) => frame.options);
  assert.deepEqual(opened.slice(-3), [
    { headers: { Origin: page } },
    { headers: { origin: "https://x", "X-A": "1" } },
    undefined,
  ]);
});
