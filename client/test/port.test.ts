import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { connect, type LongwireError, LongwireSocket } from "../src/index.js";
import { GREETING_TIMEOUT, MAX_SHORT_PORTS } from "../src/port.js";
import { FakeClock, settle } from "../src/testing/fake-clock.js";
import { FakeWorld } from "../src/testing/fake-world.js";
import "./support/close-event.js";
import { muteConsole, startWorker, watch } from "./support/worker.js";

test("listeners are added synchronously after connectNative, and hello is the first frame", async () => {
  const { fake, bridge, broker } = startWorker({ client: "popup", needs: ["disk"] });
  let listening = [0, 0];
  const connectNative = fake.connect.bind(fake);
  fake.connect = (host) => {
    const port = connectNative(host);
    queueMicrotask(() => {
      listening = [port.onMessage.listeners.length, port.onDisconnect.listeners.length];
    });
    return port;
  };
  await bridge.open("s", "ws://x");
  assert.deepEqual(listening, [1, 1]);
  const { profile, instance, ...hello } = broker.hellos[0] as unknown as Record<string, unknown>;
  assert.deepEqual(hello, {
    type: "hello",
    protocol: 1,
    client: "popup",
    sdk: `longwire-js/${JSON.parse(readFileSync("package.json", "utf8")).version}`,
    needs: ["disk"],
    accepts: ["messages"],
  });
  assert.equal(typeof profile, "string");
  assert.equal(typeof instance, "string");
  assert.equal(fake.port.sent[0]?.type, "hello");
});

test("no port is opened before there is a session", async () => {
  const { fake, clock } = startWorker();
  await clock.advance(10_000);
  assert.equal(fake.ports.length, 0);
});

test("the same host, client and profile give the same bridge", () => {
  const api = new FakeWorld().api();
  // A default that is written out is still the default: two bridges would take the sessions from each other.
  assert.equal(connect({ api }), connect({ api, client: "main", host: "com.longwire.bridge" }));
  assert.notEqual(connect({ api }), connect({ api, client: "popup" }));
});

test("a lost port is replaced by another after a random delay", async () => {
  for (const chance of [0, 0.5, 0.999]) {
    const { fake, clock, bridge } = startWorker();
    await bridge.open("s", "ws://x");
    await clock.advance(5000);
    clock.chance = chance;
    fake.port.die();
    assert.equal(bridge.state, "waiting");
    const [wait] = clock.due;
    assert.equal(wait, 250 * chance);
    await clock.advance(250);
    assert.equal(bridge.state, "ready");
    assert.equal(fake.ports.length, 2);
  }
});

test("after three consecutive hosts exit within two seconds no other is started, and the error has the reason", async () => {
  muteConsole();
  const { fake, clock, bridge } = startWorker({ listening: false });
  fake.hostFailure = "Native host has exited.";
  const states: string[] = [];
  bridge.on("state", (state) => states.push(state));
  const opening = watch(bridge.open("s", "ws://x"));
  await clock.advance(600_000);
  assert.equal(fake.ports.length, MAX_SHORT_PORTS);
  assert.equal(bridge.state, "failed");
  const error = opening.error as LongwireError;
  assert.equal(error.code, "host-keeps-dying");
  assert.equal((error.detail as LongwireError).code, "host-exited");
  assert.equal(error.doctor, "longwire doctor");
  assert.deepEqual(states, ["connecting", "waiting", "connecting", "waiting", "connecting", "failed"]);
  // Asking again tries again.
  fake.hostFailure = undefined;
  assert.equal((await bridge.open("s", "ws://x")).state, "connecting");
});

test("hosts that run longer than two seconds are always replaced", async () => {
  const { fake, clock, bridge } = startWorker();
  await bridge.open("s", "ws://x");
  for (let worker = 0; worker < 10; worker += 1) {
    await clock.advance(3000);
    fake.port.die("Error when communicating with the native messaging host.");
  }
  await clock.advance(3000);
  assert.equal(bridge.state, "ready");
});

for (const [sent, code] of [
  ["Specified native messaging host not found.", "host-not-found"],
  ["Access to the specified native messaging host is forbidden.", "host-forbidden"],
  ["Access to the native messaging host was disabled by the system administrator.", "host-blocked"],
] as const) {
  test(`without a host open() rejects with the reason: ${code}`, async () => {
    muteConsole();
    const { fake, clock, bridge } = startWorker({ listening: false });
    fake.hostFailure = sent;
    const opening = watch(bridge.open("s", "ws://x"));
    await clock.advance(60_000);
    assert.equal(fake.ports.length, 1);
    assert.equal((opening.error as LongwireError).code, code);
  });
}

test("without a host `error` fires once on the bridge, and open() waits until there is one", async () => {
  const sent = muteConsole();
  const { fake, clock, bridge } = startWorker();
  fake.hostFailure = "Specified native messaging host not found.";
  const errors: string[] = [];
  const states: string[] = [];
  let installed = 0;
  bridge.on("error", ({ code }) => errors.push(code));
  bridge.on("state", (state) => states.push(state));
  bridge.on("installed", () => {
    installed += 1;
  });
  const opening = watch(bridge.open("s", "ws://x"));
  await clock.advance(600_000);
  assert.equal(opening.done, false);
  assert.deepEqual([errors, states, installed], [["host-not-found"], ["connecting", "failed"], 0]);
  fake.hostFailure = undefined;
  await clock.advance(30_000);
  assert.equal(opening.value?.state, "connecting");
  assert.deepEqual([errors, states, installed], [["host-not-found"], ["connecting", "failed", "ready"], 1]);
  // The next time the host is missing is another outage.
  fake.hostFailure = "Specified native messaging host not found.";
  fake.port.die();
  await clock.advance(60_000);
  assert.deepEqual(errors.slice(1), ["host-exited", "host-not-found"]);
  assert.deepEqual(sent, []);
});

test("an alarm also looks for a missing host, and opens no port that is not needed", async () => {
  const { fake, bridge } = startWorker();
  const idle = connect({ api: fake.api(), clock: new FakeClock(), client: "idle" });
  fake.hostFailure = "Access to the specified native messaging host is forbidden.";
  void bridge.open("s", "ws://x");
  await settle();
  assert.equal(bridge.state, "failed");
  fake.hostFailure = undefined;
  fake.onAlarm.fire({ name: "longwire" });
  await settle();
  assert.equal(bridge.state, "ready");
  assert.equal(idle.state, "resting");
});

test("after a rejected open() the bridge checks for the host only if somebody waits for it", async () => {
  muteConsole();
  for (const asked of [true, false]) {
    const { fake, clock, bridge } = startWorker({ listening: false });
    fake.hostFailure = "Specified native messaging host not found.";
    const found: string[] = [];
    if (asked) bridge.on("installed", ({ version }) => found.push(version));
    await assert.rejects(bridge.open("s", "ws://x"), { code: "host-not-found" });
    fake.hostFailure = undefined;
    await clock.advance(30_000);
    assert.deepEqual(found, asked ? ["0.1.0"] : []);
    assert.equal(fake.ports.length, asked ? 2 : 1);
  }
});

test("waitForHost decides for one session whether it waits for a host", async () => {
  muteConsole();
  const listening = startWorker();
  listening.fake.hostFailure = "Specified native messaging host not found.";
  await assert.rejects(listening.bridge.open("s", "ws://x", { waitForHost: false }), {
    code: "host-not-found",
  });
  const { fake, clock, bridge } = startWorker({ listening: false });
  fake.hostFailure = "Specified native messaging host not found.";
  const opening = bridge.open("s", "ws://x", { waitForHost: true });
  await settle();
  fake.hostFailure = undefined;
  await clock.advance(30_000);
  assert.equal((await opening).name, "s");
  const [open] = fake.port.sent.filter(({ type }) => type === "open");
  assert.deepEqual(Object.keys(open ?? {}).sort(), ["id", "session", "type", "url"]);
});

test("a failure is logged once: by the rejected call, or by the bridge", async () => {
  const sent = muteConsole();
  const { fake, bridge } = startWorker({ listening: false });
  fake.hostFailure = "Specified native messaging host not found.";
  const socket = new LongwireSocket("ws://x", [], { bridge });
  await new Promise((resolve) => {
    socket.onclose = resolve;
  });
  await settle();
  assert.equal(sent.length, 1);
  assert.match(String((sent[0] as unknown[])[1]), /not installed/);
});

test("Firefox reports the reason on the port", async () => {
  muteConsole();
  const { fake, clock, bridge } = startWorker({ listening: false });
  fake.broker = undefined;
  const opening = watch(bridge.open("s", "ws://x"));
  await settle();
  fake.port.die("No such native application com.longwire.bridge", true);
  await clock.advance(1000);
  assert.equal((opening.error as LongwireError).code, "host-not-found");
});

test("a content script gets permission-missing, with or without storage", async () => {
  const fake = new FakeWorld();
  fake.permitted = false;
  fake.session.get = async () => {
    throw new Error("Access to storage is not allowed from this context.");
  };
  for (const api of [fake.api(), { ...fake.api(), storage: undefined as never }]) {
    const bridge = connect({ api, clock: new FakeClock() });
    await assert.rejects(bridge.open("s", "ws://x"), (error: LongwireError) => {
      assert.equal(error.code, "permission-missing");
      assert.match(error.fix ?? "", /content script/);
      return true;
    });
  }
});

test("without the permission the error names what to add to the manifest", async () => {
  const fake = new FakeWorld();
  fake.permitted = false;
  const bridge = connect({ api: fake.api(), clock: new FakeClock() });
  bridge.on("error", () => undefined);
  await assert.rejects(bridge.open("s", "ws://x"), (error: LongwireError) => {
    assert.equal(error.code, "permission-missing");
    assert.match(error.fix ?? "", /"nativeMessaging"/);
    return true;
  });
});

test("a host that does not answer is given up; `host starting` extends the timeout", async () => {
  muteConsole();
  const { fake, clock, broker, bridge } = startWorker();
  broker.silent = true;
  void bridge.open("s", "ws://x");
  await clock.advance(GREETING_TIMEOUT - 1);
  fake.port.deliver({ type: "host", state: "starting" });
  await clock.advance(GREETING_TIMEOUT - 1);
  assert.equal(fake.ports.length, 1);
  broker.silent = false;
  await clock.advance(500);
  assert.equal(fake.ports.length, 2);
  assert.equal(bridge.state, "ready");
});

test("`host failed` rejects calls that wait for a first answer; for other sessions the port is opened again", async () => {
  muteConsole();
  const { fake, clock, bridge } = startWorker({ listening: false });
  await bridge.open("old", "ws://x");
  fake.port.deliver({ type: "host", state: "lost", code: "broker-lost" });
  const opening = watch(bridge.open("new", "ws://x"));
  fake.port.deliver({
    type: "host",
    state: "failed",
    code: "broker-unreachable",
    message: "cannot start the broker",
  });
  await settle();
  assert.equal((opening.error as LongwireError).code, "broker-unreachable");
  await clock.advance(1000);
  assert.equal(bridge.state, "ready");
  assert.deepEqual(
    bridge.sessions.map(({ name }) => name),
    ["old"],
  );
});

test("a hello that is refused permanently is not sent again", async () => {
  muteConsole();
  const { fake, clock, broker, bridge } = startWorker({ needs: ["teleport"] });
  broker.refuse.set("hello", { code: "unsupported", message: "no teleport", retry: "no" });
  await assert.rejects(bridge.open("s", "ws://x"), { code: "unsupported" });
  await clock.advance(60_000);
  assert.equal(fake.ports.length, 1);
});

test("status and ping are answered, also after a lost port", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  assert.deepEqual((await bridge.status()).sessions, []);
  assert.equal(await bridge.ping(), 0);
  broker.silent = true;
  const status = watch(bridge.status());
  await clock.advance(5000);
  broker.silent = false;
  fake.port.die();
  await clock.advance(1000);
  assert.equal(status.value?.type, "status");
});

test("unknown and malformed frames are ignored", async () => {
  const { fake, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  await settle();
  for (const frame of [null, 42, "x", {}, { type: 7 }, { type: "news", session: "s" }, { type: "batch" }]) {
    fake.port.deliver(frame);
  }
  fake.port.deliver({ type: "message", session: "unknown", seq: 9, time: 1, text: "x" });
  broker.text("s", "still here");
  assert.deepEqual(seen, ["still here"]);
});
