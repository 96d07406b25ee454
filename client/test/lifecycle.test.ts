import assert from "node:assert/strict";
import { test } from "node:test";
import { IDLE } from "../src/bridge.js";
import { connect, cookieHeader, type LongwireError } from "../src/index.js";
import { FakeClock, settle } from "../src/testing/fake-clock.js";
import { FakeWorld } from "../src/testing/fake-world.js";
import { muteConsole, startWorker } from "./support/worker.js";

test("listeners are registered synchronously by connect()", () => {
  const { fake } = startWorker();
  assert.equal(fake.onStartup.listeners.length, 1);
  assert.equal(fake.onUpdateAvailable.listeners.length, 1);
  assert.equal(fake.onAlarm.listeners.length, 1);
  assert.deepEqual(fake.alarms, [{ name: "longwire", periodInMinutes: 0.5 }]);
});

test("the profile's id is created once and stored; another storage has another id", async () => {
  const first = startWorker();
  await first.bridge.open("s", "ws://x");
  const second = first.next();
  await second.bridge.open("s", "ws://x");
  const stranger = startWorker();
  await stranger.bridge.open("s", "ws://x");
  const profile = (worker: typeof first) => worker.frames("hello")[0]?.profile;
  assert.equal(first.broker.hellos.length, 2);
  assert.equal(profile(second), (first.broker.hellos[0] as { profile?: string }).profile);
  assert.notEqual(profile(second), profile(stranger));
  assert.equal(first.fake.local.items.get("longwire:profile"), profile(second));
});

test("a private window has its own profile", async () => {
  const fake = new FakeWorld();
  const bridge = connect({
    api: { ...fake.api(), extension: { inIncognitoContext: true } },
    clock: new FakeClock(),
  });
  await bridge.open("s", "ws://x");
  const [hello] = fake.port.sent;
  assert(hello?.type === "hello");
  assert.match(hello.profile ?? "", /\.private$/);
});

test("without storage the profile must be given", async () => {
  const fake = new FakeWorld();
  const { storage: _, ...api } = fake.api();
  const bridge = connect({ api, clock: new FakeClock() });
  bridge.on("error", () => undefined);
  await assert.rejects(
    bridge.open("s", "ws://x"),
    (error: LongwireError) => error.code === "storage-missing",
  );
  const own = connect({ api, clock: new FakeClock(), profile: "mine" });
  assert.equal((await own.open("s", "ws://x")).state, "connecting");
});

test("in split incognito mode the two workers share neither profile nor position, though they share storage", async () => {
  for (const profile of [undefined, "mine"]) {
    const fake = new FakeWorld();
    const clock = new FakeClock();
    const open = async (inIncognitoContext: boolean) => {
      const api = { ...fake.api(), extension: { inIncognitoContext } };
      const session = await connect({ api, clock, profile }).open("s", "ws://x");
      session.on("message", () => undefined);
      await settle();
    };
    await open(false);
    fake.broker?.text("s", "a");
    await clock.advance(50);
    await open(true);
    const [hello, attach] = fake.port.sent;
    assert(hello?.type === "hello" && attach?.type === "open");
    assert.notEqual(hello.profile, fake.ports[0]?.sent.map((frame) => (frame as typeof hello).profile)[0]);
    assert.equal(attach.resume, undefined);
    fake.broker?.text("s", "b");
    await clock.advance(50);
    assert.equal((fake.session.items.get("longwire:at:main:s") as { seq: number }).seq, 1);
    assert.equal((fake.session.items.get("longwire:at:main.private:s") as { seq: number }).seq, 2);
  }
});

test("when storage is full, the bridge continues with an id in memory and reports it once", async () => {
  for (const full of ["local", "session"] as const) {
    const fake = new FakeWorld();
    const clock = new FakeClock();
    fake[full].set = async () => {
      throw new Error("Resource::kQuotaBytes quota exceeded");
    };
    const bridge = connect({ api: fake.api(), clock });
    const errors: LongwireError[] = [];
    bridge.on("error", (error) => errors.push(error));
    const session = await bridge.open("s", "ws://x");
    session.on("message", () => undefined);
    await settle();
    fake.broker?.text("s", "a");
    await clock.advance(50);
    assert.equal(fake.broker?.session("s").acked.get("main"), 1, "the stream goes on");
    assert.deepEqual(
      errors.map(({ code, message }) => [code, /QUOTA_BYTES/.test(message)]),
      [["storage-failed", true]],
    );
    // Another port of the same worker is greeted with the same id.
    fake.port.die();
    await clock.advance(1000);
    const ids = fake.broker?.hellos.map((hello) => (hello as { profile?: string }).profile);
    assert.deepEqual([ids?.length, ids?.[0] === ids?.[1], typeof ids?.[0]], [2, true, "string"]);
  }
});

test("after storage.local.clear() the profile stays the same, in this worker and in the next", async () => {
  const first = startWorker();
  await first.bridge.open("s", "ws://x");
  const id = first.fake.local.items.get("longwire:profile");
  first.fake.local.clear();
  await settle();
  assert.equal(first.fake.local.items.get("longwire:profile"), id);
  // Cleared while no worker runs: the copy in storage.session remains.
  first.fake.onChanged.listeners.length = 0;
  first.fake.local.clear();
  const second = first.next();
  await second.bridge.open("s", "ws://x");
  assert.equal(second.broker.session("s").epoch, first.broker.session("s").epoch);
  assert.equal(first.fake.local.items.get("longwire:profile"), id);
  // Everything is cleared while no worker runs: the event that starts the next one brings the id.
  first.fake.onChanged.listeners.length = 0;
  first.fake.local.items.clear();
  first.fake.session.items.clear();
  const third = second.next();
  const opening = third.bridge.open("s", "ws://x");
  first.fake.onChanged.fire({ "longwire:profile": { oldValue: id } }, "local");
  await opening;
  assert.equal((third.broker.hellos.at(-1) as { profile?: string }).profile, id);
});

test("positions are stored in storage.session, or in storage.local without it", async () => {
  for (const quick of [true, false]) {
    const fake = new FakeWorld();
    const clock = new FakeClock();
    const full = fake.api();
    const api = quick ? full : { ...full, storage: { local: fake.local } };
    const session = await connect({ api, clock }).open("s", "ws://x");
    session.on("message", () => undefined);
    await settle();
    fake.broker?.text("s", "a");
    await clock.advance(50);
    const area = quick ? fake.session : fake.local;
    const epoch = fake.broker?.session("s").epoch;
    assert.deepEqual(area.items.get("longwire:at:main:s"), { epoch, seq: 1 });
  }
});

test("a browser start and an alarm open the port for existing sessions", async () => {
  const { fake, clock, bridge } = startWorker({ keepAlive: "alarms" });
  await bridge.open("s", "ws://x");
  await clock.advance(IDLE * 3);
  assert.equal(bridge.state, "resting");
  fake.onAlarm.fire({ name: "somebody else's" });
  await settle();
  assert.equal(bridge.state, "resting");
  fake.onAlarm.fire({ name: "longwire" });
  await settle();
  assert.equal(bridge.state, "ready");
  await clock.advance(IDLE * 3);
  fake.onStartup.fire();
  await settle();
  assert.equal(bridge.state, "ready");
});

test("with keepAlive: alarms an idle port is closed, and messages are fetched by the alarm", async () => {
  const { fake, clock, broker, bridge } = startWorker({ keepAlive: "alarms" });
  const session = await bridge.open("s", "ws://x");
  const seen: unknown[] = [];
  session.on("message", (m) => seen.push(m.text));
  await clock.advance(IDLE - 1);
  broker.text("s", "a");
  await clock.advance(IDLE - 1);
  assert.equal(bridge.state, "ready");
  await clock.advance(IDLE);
  assert.equal(bridge.state, "resting");
  assert.equal(fake.port.open, false);
  assert.equal(broker.session("s").acked.get("main"), 1);
  broker.text("s", "b");
  fake.onAlarm.fire({ name: "longwire" });
  await settle();
  assert.deepEqual(seen, ["a", "b"]);
});

test("with keepAlive: alarms a send opens the port immediately, and an unsettled message keeps it open", async () => {
  const { fake, clock, broker, bridge } = startWorker({ keepAlive: "alarms" });
  const session = await bridge.open("s", "ws://x");
  await clock.advance(IDLE * 3);
  assert.equal((await session.send("a")).outcome, "sent");
  broker.outcome = undefined;
  void session.send("b");
  await clock.advance(IDLE * 5);
  assert.equal(bridge.state, "ready");
  assert.equal(fake.ports.length, 2);
});

test("with keepAlive: alarms the port stays open if no alarm would open it again", async () => {
  const popup = globalThis as { document?: unknown };
  popup.document = {};
  const page = startWorker({ keepAlive: "alarms", client: "popup" });
  popup.document = undefined;
  const fake = new FakeWorld();
  const clock = new FakeClock();
  const { alarms: _none, ...api } = fake.restart();
  const silent = connect({ api, clock, keepAlive: "alarms" });
  for (const [bridge, time] of [
    [page.bridge, page.clock],
    [silent, clock],
  ] as const) {
    await bridge.open("s", "ws://x");
    await time.advance(IDLE * 3);
    assert.equal(bridge.state, "ready");
  }
});

test("without the permission for alarms a background warns once", async () => {
  const sent = muteConsole();
  const { alarms: _none, ...api } = new FakeWorld().api();
  connect({ api });
  connect({ api, client: "other" });
  assert.equal(sent.length, 1);
  assert.match(String(sent[0]), /"alarms".*manifest\.json.*killed/);
});

test("a dedicated worker is not a background context: it registers no listeners and gets no warning", () => {
  const sent = muteConsole();
  const scope = globalThis as { DedicatedWorkerGlobalScope?: unknown };
  scope.DedicatedWorkerGlobalScope = Object;
  try {
    const fake = new FakeWorld();
    const { alarms: _none, ...api } = fake.api();
    connect({ api });
    assert.equal(fake.onUpdateAvailable.listeners.length, 0);
    assert.deepEqual(sent, []);
  } finally {
    delete scope.DedicatedWorkerGlobalScope;
  }
});

test("a page that the manifest names as background is a background context, and other pages are not", async () => {
  const place = globalThis as { document?: unknown; location?: { pathname: string } };
  for (const [page, pathname, alarms] of [
    ["background.html", "/background.html", 1],
    ["/pages/background.html?x", "/pages/background.html", 1],
    ["background.html", "/popup.html", 0],
    [undefined, "/_generated_background_page.html", 1],
    [undefined, "/background.html", 0],
  ] as const) {
    place.document = {};
    place.location = { pathname };
    const fake = new FakeWorld();
    const api = fake.api();
    connect({
      api: { ...api, runtime: { ...api.runtime, getManifest: () => ({ background: page ? { page } : {} }) } },
    });
    assert.equal(fake.alarms.length, alarms, `${page} at ${pathname}`);
    assert.equal(fake.onUpdateAvailable.listeners.length, alarms);
  }
  place.document = undefined;
  place.location = undefined;
});

test("with keepAlive: true the port stays open", async () => {
  const { clock, bridge } = startWorker();
  await bridge.open("s", "ws://x");
  await clock.advance(3_600_000);
  assert.equal(bridge.state, "ready");
});

test("an update waits for handlers, acknowledges, and reloads", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  let free: (() => void) | undefined;
  const seen: unknown[] = [];
  session.on("message", (m) => {
    seen.push(m.text);
    return new Promise<void>((resolve) => {
      free = resolve;
    });
  });
  broker.text("s", "a");
  broker.text("s", "b");
  await settle();
  fake.onUpdateAvailable.fire({ version: "2" });
  await clock.advance(1000);
  assert.equal(fake.reloads, 0);
  free?.();
  await settle();
  assert.equal(fake.reloads, 1);
  assert.deepEqual(seen, ["a"]);
  assert.equal(broker.session("s").acked.get("main"), 1);
});

test("an update waits until the broker has accepted sent messages", async () => {
  const { fake, clock, broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x");
  fake.port.die();
  void session.send("a");
  fake.onUpdateAvailable.fire({ version: "2" });
  await settle();
  assert.equal(fake.reloads, 0);
  await clock.advance(1000);
  assert.equal(fake.reloads, 1);
  assert.equal(broker.session("s").server.length, 1);
});

test("an update waits a bounded time, and not at all if the extension handles updates", async () => {
  const stuck = startWorker();
  const session = await stuck.bridge.open("s", "ws://x");
  session.on("message", () => new Promise(() => undefined));
  await settle();
  stuck.broker.text("s", "a");
  stuck.fake.onUpdateAvailable.fire({ version: "2" });
  await stuck.clock.advance(5000);
  assert.equal(stuck.fake.reloads, 1);
  const own = startWorker({ updates: false });
  await own.bridge.open("s", "ws://x");
  own.fake.onUpdateAvailable.fire({ version: "2" });
  await own.clock.advance(60_000);
  assert.equal(own.fake.reloads, 0);
});

test("cookies are sent as a header", async () => {
  const fake = new FakeWorld();
  const asked: unknown[] = [];
  const cookies = {
    getAll: async (filter: { url: string }) => {
      asked.push(filter);
      return [
        { name: "sid", value: "1" },
        { name: "lang", value: "en" },
      ];
    },
  };
  assert.equal(await cookieHeader("wss://example.org/x", { ...fake.api(), cookies }), "sid=1; lang=en");
  assert.deepEqual(asked, [{ url: "https://example.org/x" }]);
  await assert.rejects(cookieHeader("wss://x", { runtime: {} }), /"cookies"/);
});
