// `longwire/node` with the real host and broker: an app that is registered, one that is not, and a session that continues
// in the next process of the app, as after a reload of the window.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { eventually, soon } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;
const SDK = pathToFileURL(resolve(import.meta.dirname, "../../client/dist/node.js")).href;

/** One process of the app: it prints each message that it has processed, and sends what it reads. */
const PROGRAM = `
import { connect } from ${JSON.stringify(SDK)};
import { createInterface } from "node:readline";
const bridge = connect({ app: process.argv[1] });
try {
  const session = await bridge.open("feed", process.argv[2], { format: "json" });
  session.on("message", (message) => console.log(JSON.stringify(message.json)));
  for await (const line of createInterface({ input: process.stdin })) {
    const { outcome } = await session.send(line);
    console.log(JSON.stringify({ outcome }));
  }
  await bridge.disconnect();
} catch (error) {
  console.log(JSON.stringify({ code: error.code, fix: error.fix }));
  process.exit(1);
}
`;

class App {
  lines = [];

  constructor(world, id) {
    const args = ["--input-type=module", "--eval", PROGRAM, id, world.server.url];
    this.process = spawn(process.execPath, args, { env: world.env, stdio: ["pipe", "pipe", "inherit"], cwd: join(world.folder) });
    this.ended = once(this.process, "exit");
    createInterface({ input: this.process.stdout }).on("line", (line) => this.lines.push(JSON.parse(line)));
  }

  numbers() {
    return this.lines.filter(({ type }) => type === "tick").map(({ number }) => number);
  }
}

test("sessions of a Node.js app survive its processes", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  const stranger = new App(world, "com.example.stranger");
  await soon(TIMEOUT, "the stranger refused", stranger.ended);
  assert.deepEqual(stranger.lines, [{ code: "host-not-found", fix: "longwire install --app com.example.stranger" }]);

  await world.longwire("install", "--app", "com.example.reader");
  const forbidden = new App(world, "com.example.stranger");
  await soon(TIMEOUT, "the stranger still refused", forbidden.ended);
  assert.equal(forbidden.lines[0].code, "host-forbidden");

  const first = new App(world, "com.example.reader");
  await eventually(TIMEOUT, "a connection at the server", () => world.server.clients === 1);
  world.server.push(3);
  first.process.stdin.write("hello\n");
  await eventually(TIMEOUT, "three messages and an outcome", () => first.lines.some(({ outcome }) => outcome === "sent") && first.numbers().length === 3);
  assert.deepEqual(world.server.received, ["hello"]);
  // Positions are acknowledged after a moment; what was not comes again.
  first.process.kill("SIGKILL");
  await first.ended;
  world.server.push(3);
  const second = new App(world, "com.example.reader");
  await eventually(TIMEOUT, "what came meanwhile", () => second.numbers().includes(6));
  assert.equal(world.server.connections, 1, "the connection outlived the process");
  assert.deepEqual([...new Set([...first.numbers(), ...second.numbers()])], [1, 2, 3, 4, 5, 6]);
  second.process.stdin.end();
  await soon(TIMEOUT, "the app ends when its bridge rests", second.ended);
});
