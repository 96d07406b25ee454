// The wire types against the vectors that the Rust side is tested with.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { split } from "../src/parts.js";
import { settle } from "../src/testing/fake-clock.js";
import type { ToBroker } from "../src/wire.js";
import { type Direction, errorCodes, faults, gapReasons, types } from "./support/schema.js";
import { startWorker } from "./support/worker.js";

interface Vector {
  name: string;
  direction: Direction;
  frame: unknown;
}

// The tests run in client/.
const folder = "../tests/vectors";

function vectors(): Vector[] {
  assert(
    existsSync(folder),
    `${folder} is missing: the frames both sides are tested with; check out the whole repository`,
  );
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Vector[])
    .filter(({ direction }) => direction === "to-broker" || direction === "to-extension");
}

test("every vector matches the types", () => {
  // Some contain unknown values on purpose.
  const [strange, known] = [true, false].map((is) =>
    vectors().filter(({ name }) => name.startsWith("unknown") === is),
  );
  const wrong = known?.flatMap(({ name, direction, frame }) =>
    faults(direction, frame).map((fault) => `${name}: ${fault}`),
  );
  assert.deepEqual(wrong, []);
  for (const { direction, frame } of strange ?? []) assert.notDeepEqual(faults(direction, frame), []);
});

test("every type has a vector", () => {
  for (const direction of ["to-broker", "to-extension"] as const) {
    const seen = new Set(
      vectors()
        .filter((vector) => vector.direction === direction)
        .map(({ frame }) => (frame as { type: string }).type),
    );
    const missing = types(direction).filter((type) => !seen.has(type));
    assert.deepEqual(missing, [], direction);
  }
});

test("the SDK's frames match the types", async () => {
  const worker = startWorker({ needs: ["disk"] });
  const session = await worker.bridge.open("s", "ws://x", { auth: "provider", conflict: "keep" });
  session.on("message", () => undefined);
  session.subscribe("k", { send: ["a", { b: 1 }], undo: [new Uint8Array(2)], confirm: { "/a": 1 } })();
  session.onAuth(() => ({ headers: { a: "b" } }));
  worker.broker.authNeeded("s");
  void session.request("x", { match: { jsonrpc: true }, timeout: 5 }).catch(() => 0);
  await settle();
  worker.broker.text("s", "m");
  await worker.clock.advance(50);
  await session.send("x", { ttl: 5, volatile: true, ifLost: "resend", confirm: { out: "/id", in: "/id" } });
  await session.send("x", { confirm: { ack: true }, lane: 0 });
  await session.window(1, 2);
  await session.reconnect();
  await worker.bridge.status();
  await worker.bridge.ping();
  await session.detach();
  await (await worker.bridge.open("s", "ws://x")).close(3000, "bye");
  const sent = worker.fake.port.sent as ToBroker[];
  for (const frame of sent) assert.deepEqual(faults("to-broker", frame), [], JSON.stringify(frame));
  const covered = new Set(sent.map(({ type }) => type));
  const silent = types("to-broker").filter((type) => !covered.has(type as "ack") && type !== "cancel");
  assert.deepEqual(silent, ["reply"]);
});

test("the error codes and reasons equal those of the Rust side", () => {
  const source = readFileSync("../proto/src/wire/code.rs", "utf8");
  const table = source.slice(source.indexOf("codes! {"));
  const codes = [...table.slice(0, table.indexOf("\n}")).matchAll(/= "([a-z-]+)"/g)].map(([, word]) => word);
  assert.deepEqual(codes.sort(), errorCodes.sort());
  const reasons = source.slice(source.indexOf("impl GapReason")).matchAll(/=> "([a-z-]+)"/g);
  assert.deepEqual([...reasons].map(([, word]) => word).sort(), gapReasons.sort());
});

test("the validators detect errors", () => {
  const hello = { type: "hello", protocol: 1 };
  assert.deepEqual(faults("to-broker", hello), []);
  assert.deepEqual(faults("to-broker", { ...hello, client: "" }), ['`client` is ""']);
  assert.deepEqual(faults("to-broker", { type: "hello", colour: 1 }), [
    "`protocol` is missing",
    "`colour` is not in the types",
  ]);
  assert.deepEqual(faults("to-broker", { type: "send", session: "s", text: "a", json: 1 }), [
    "there is not exactly one payload",
  ]);
  assert.deepEqual(faults("to-extension", hello), ["type `hello` is not in the types"]);
  const [part] = split("x", "p1");
  assert.deepEqual(faults("to-extension", { type: "batch", frames: [part, { type: "ok" }] }), [
    "`id` is missing",
  ]);
});
