// What the console shows about a failed link.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LongwireSocket } from "../src/index.js";
import { settle } from "../src/testing/fake-clock.js";
import type { LinkState, WireError } from "../src/wire.js";
import "./support/close-event.js";
import { muteConsole, startWorker } from "./support/worker.js";

const refused: WireError = { code: "refused", message: "127.0.0.1:9 refused the connection", retry: "later" };
const down = { error: refused, retryIn: 2000 };

test("one warning is logged per outage", async () => {
  const sent = muteConsole();
  const { broker, bridge } = startWorker();
  await bridge.open("s", "ws://user:pw@127.0.0.1:9/live?token=secret");
  for (const _ of [1, 2]) {
    for (const _again of [1, 2, 3]) broker.link("s", "waiting", down);
    await settle();
    broker.link("s", "open");
  }
  await settle();
  assert.deepEqual(sent, [
    [
      'longwire: session "s" has no connection to ws://127.0.0.1:9/live: 127.0.0.1:9 refused the connection (refused). ' +
        "Next attempt in 2 s. Run: longwire doctor --url ws://127.0.0.1:9/live",
    ],
    sent[0],
  ]);
});

const ends: [state: LinkState, error: WireError | undefined, status: number | undefined, text: RegExp][] = [
  [
    "failed",
    { code: "http-status", message: "404", retry: "action" },
    404,
    /No retry until session.reconnect/,
  ],
  [
    "unauthorized",
    { code: "http-status", message: "401", retry: "auth" },
    401,
    /Provide credentials with session.onAuth/,
  ],
  ["unauthorized", undefined, undefined, /the server requires credentials.*onAuth/],
  [
    "closed",
    { code: "tls", message: "unknown issuer", retry: "action" },
    undefined,
    /unknown issuer.*closed/,
  ],
  [
    "waiting",
    { code: "dns", message: "no such host", retry: "later" },
    undefined,
    /no such host \(dns\).*Next attempt/,
  ],
];

for (const [state, error, status, text] of ends) {
  test(`a link that ends in ${state} with ${error?.code} logs the fix`, async () => {
    const sent = muteConsole();
    const { broker, bridge } = startWorker();
    await bridge.open("s", "ws://x");
    broker.link("s", state, { error, status });
    await settle();
    assert.equal(sent.length, 1);
    assert.match(String(sent[0]), text);
  });
}

test("with a listener no warning is logged, even if it is added right after the session exists", async () => {
  const sent = muteConsole();
  const { broker, bridge } = startWorker();
  const opening = bridge.open("s", "ws://x");
  const states: unknown[] = [];
  const listening = (async () => {
    const session = await opening;
    session.onState(({ state }) => states.push(state));
  })();
  await opening;
  broker.link("s", "waiting", down);
  await listening;
  await settle();
  broker.link("s", "waiting", down);
  await settle();
  assert.deepEqual(sent, []);
  assert.equal(states.at(-1), "waiting");
});

test("with a credentials provider no warning about credentials is logged", async () => {
  const sent = muteConsole();
  const { broker, bridge } = startWorker();
  const session = await bridge.open("s", "ws://x", { auth: "provider" });
  session.onAuth(() => ({}));
  broker.link("s", "unauthorized");
  await settle();
  assert.deepEqual(sent, []);
  broker.link("s", "failed", { error: { code: "http-status", message: "401 again", retry: "auth" } });
  await settle();
  assert.equal(sent.length, 1);
});

test("a link that was down before this worker started is warned of, too", async () => {
  const sent = muteConsole();
  const first = startWorker();
  await first.bridge.open("s", "ws://x");
  first.broker.link("s", "waiting", down);
  await settle();
  const { bridge } = first.next();
  first.broker.session("s").acked.set("main", 0);
  await bridge.open("s", "ws://x");
  await settle();
  assert.equal(sent.length, 2);
});

test("a socket failure is logged on the console, as by the browser", async () => {
  const sent = muteConsole();
  const { broker, bridge } = startWorker();
  const socket = new LongwireSocket("ws://x", [], { bridge });
  await settle();
  broker.link((await socket.session).name, "waiting", down);
  await settle();
  assert.equal(sent.length, 1);
  assert.match(String(sent[0]), /refused the connection/);
});
