// What survives what: five ways to hold a WebSocket in an extension, each alone, under the same troubles. The server
// numbers its messages, five a second, whether anybody listens or not; a number that never arrives was lost.
//   node compare.mjs [--quick] [rival ...]     prints a Markdown table; LONGWIRE=path for another build than target/debug

import { cp, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocketServer } from "ws";
import { Chromium } from "./lib/chromium.mjs";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const quick = process.argv.includes("--quick");
const TIMEOUT = 90_000;
const here = import.meta.dirname;
const all = {
  plain: "WebSocket in the worker, a message every 20 s",
  offscreen: "WebSocket in an offscreen document",
  fallbackWorker: "Longwire without the host, in the worker",
  fallback: "Longwire without the host, in an offscreen document",
  longwire: "Longwire",
};
const chosen = process.argv.slice(2).filter((name) => name in all);
const rivals = Object.fromEntries(Object.entries(all).filter(([name]) => !chosen.length || chosen.includes(name)));

/** Numbers messages for ever and sends them to every client. */
class Counter {
  number = 0;
  silent = false;
  static async start() {
    const counter = new Counter();
    await counter.listen(0);
    counter.timer = setInterval(() => {
      if (counter.silent) return;
      counter.number += 1;
      for (const socket of counter.sockets.clients) socket.send(JSON.stringify({ number: counter.number }));
    }, 200);
    return counter;
  }
  async listen(port) {
    this.sockets = new WebSocketServer({ host: "127.0.0.1", port });
    await new Promise((done) => this.sockets.once("listening", done));
    this.port = this.sockets.address().port;
  }
  async stop() {
    for (const socket of this.sockets.clients) socket.terminate();
    await new Promise((done) => this.sockets.close(done));
  }
}

/** Each fault: what happens, and what starts the worker afterwards. */
const troubles = {
  "one idle minute": async () => pause(quick ? 2000 : 60_000),
  "the worker is stopped for 10 s": async (world) => {
    await world.browser.stopWorker(world.id, world.page);
    await pause(10_000);
    await world.page.evaluate(() => chrome.runtime.sendMessage({}).catch(() => {}));
  },
  "the extension is reloaded": async (world) => {
    await world.page.evaluate(() => void setTimeout(() => chrome.runtime.reload(), 50));
    await pause(3000);
    await world.open();
    await world.page.evaluate(() => chrome.runtime.sendMessage({}).catch(() => {}));
  },
  "the browser is restarted, 5 s later": async (world) => {
    await world.browser.close();
    await pause(5000);
    await world.start();
    await world.page.evaluate(() => chrome.runtime.sendMessage({}).catch(() => {}));
  },
  "the server drops everybody for 3 s": async (world, counter) => {
    // The server sends nothing meanwhile: messages without a client are lost.
    counter.silent = true;
    await counter.stop();
    await pause(3000);
    await counter.listen(counter.port);
    await pause(quick ? 4000 : 8000);
    counter.silent = false;
  },
};

/** One rival through one trouble: how many numbers were lost, and how long until the first one after the trouble. */
async function measure(rival, trouble) {
  const world = await World.make();
  const counter = await Counter.start();
  const extension = join(world.folder, "extension");
  try {
    await mkdir(extension);
    await cp(join(here, "rivals"), extension, { recursive: true });
    for (const name of ["longwire.js", "fallback.js", "longwire-offscreen.js", "longwire-offscreen.html"]) {
      await cp(resolve(here, "../../client/dist", name), join(extension, name));
    }
    if (!rival.startsWith("fallback")) await world.longwire("install", "--extension", world.id, "--browser", "chromium");
    world.open = async () => {
      world.page = await world.browser.open(world.id, "page.html");
    };
    world.start = async () => {
      world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
      await world.open();
    };
    await world.start();
    const noted = async () =>
      (await world.page.evaluate((key) => chrome.storage.local.get({ [key]: [] }), rival))[rival];
    await world.page.evaluate((url, name) => chrome.storage.local.set({ url, wanted: [name] }), `ws://127.0.0.1:${counter.port}/`, rival);
    await eventually(TIMEOUT, `${rival} connected`, async () => (await noted()).length > 10);
    const [first] = await noted();
    await troubles[trouble](world, counter);
    const then = counter.number;
    const since = Date.now();
    await eventually(TIMEOUT, `${rival} back after: ${trouble}`, async () => (await noted()).some((number) => number > then + 5));
    const back = Date.now() - since;
    const numbers = new Set(await noted());
    let lost = 0;
    for (let number = first; number <= then; number += 1) if (!numbers.has(number)) lost += 1;
    return { lost, of: then - first + 1, back };
  } finally {
    clearInterval(counter.timer);
    await counter.stop().catch(() => {});
    await world.end();
  }
}

const rows = [];
for (const trouble of Object.keys(troubles)) {
  const cells = [];
  for (const rival of Object.keys(rivals)) {
    const { lost, of } = await measure(rival, trouble).catch((error) => ({ lost: `not back (${error.message})`, of: "" }));
    cells.push(of === "" ? lost : `${lost} of ${of} lost`);
    console.error(`${trouble}: ${rival}: ${cells.at(-1)}`);
  }
  rows.push(`| ${trouble} | ${cells.join(" | ")} |`);
}
console.log(`| | ${Object.values(rivals).join(" | ")} |\n|---${"|---".repeat(Object.keys(rivals).length)}|\n${rows.join("\n")}`);
