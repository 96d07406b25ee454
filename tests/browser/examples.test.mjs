// Every example as its README says: its own server, and the host registered by the README's own command. The servers
// listen on free ports, so what is loaded is a copy of the example's folder that names the port in place of the default.
// Asserted is what a user sees in the popups, before and after the workers stop.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { Chromium } from "./lib/chromium.mjs";
import { eventually, soon } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const examples = resolve(import.meta.dirname, "../../examples");
const TIMEOUT = 60_000;

/** An example: its README, its server, and its popup. */
class Example {
  constructor(name, folder, readme) {
    this.name = name;
    this.folder = folder;
    this.readme = readme;
    const [, command] = readme.match(/`longwire (install [^`]*)`/);
    this.install = command.split(" ");
    this.id = this.install.at(this.install.indexOf("--extension") + 1);
  }

  /** A copy below `into`. */
  static async copy(name, into) {
    const folder = join(into, name);
    await cp(join(examples, name), folder, { recursive: true });
    return new Example(name, folder, await readFile(join(folder, "README.md"), "utf8"));
  }

  /** `npm start` on a free port, with the packages of this folder. Nothing of it is loaded yet. */
  async serve() {
    this.server = spawn(process.execPath, ["server.cjs", "0"], {
      cwd: this.folder,
      env: { ...process.env, NODE_PATH: join(import.meta.dirname, "node_modules"), END_WITH_STDIN: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.server.stdin.on("error", () => {});
    const ended = once(this.server, "exit").then(() => assert.fail(`${this.name}'s server ended`));
    const lines = createInterface({ input: this.server.stdout });
    const [port] = await soon(TIMEOUT, `the port of ${this.name}'s server`, Promise.race([once(lines, "line"), ended]));
    this.server.stdout.resume();
    await this.moveTo(port);
  }

  /** Names another port wherever the example and its README name the default. */
  async moveTo(port) {
    const [, usual] = this.readme.match(/on port (\d+)/);
    this.host = `127.0.0.1:${port}`;
    for (const file of ["worker.js", "README.md"]) {
      const path = join(this.folder, file);
      const text = await readFile(path, "utf8");
      const moved = text.replaceAll(`127.0.0.1:${usual}`, this.host);
      if (file === "worker.js") assert.notEqual(moved, text, `${path} names the default port`);
      await writeFile(path, moved);
      if (file === "README.md") this.readme = moved;
    }
  }

  async stop() {
    if (!this.server || this.server.exitCode !== null) return;
    const gone = once(this.server, "exit");
    this.server.stdin.end();
    await soon(10_000, `${this.name}'s server gone`, gone).catch(() => this.server.kill("SIGKILL"));
  }

  async open(browser) {
    await this.page?.close();
    this.page = await browser.open(this.id, "popup.html");
  }

  /** The state, and the lines from the oldest to the newest. */
  state() {
    return this.page.evaluate(() => document.getElementById("state").textContent.trim());
  }
  lines() {
    return this.page.evaluate(() => [...document.querySelectorAll("ol li")].map((line) => line.textContent).reverse());
  }
  go() {
    return this.page.evaluate(() => document.querySelector("#go, #generate").click());
  }

  /** Waits until the popup shows a line that fits, and returns all lines. */
  shows(...wanted) {
    let lines = [];
    const there = (one) => lines.some((line) => (one instanceof RegExp ? one.test(line) : line === one));
    return eventually(TIMEOUT, `${this.name} shows ${wanted.join(", ")}`, async () => {
      lines = await this.lines();
      return wanted.every(there) && lines;
    }).catch(async (error) => {
      throw new Error(`${error.message}\nstate: ${await this.state()}\n${lines.join("\n")}`);
    });
  }
  isOpen() {
    return eventually(TIMEOUT, `${this.name} connected`, async () => /^open/.test(await this.state()));
  }
}

const count = (lines, wanted) => lines.filter((line) => (wanted instanceof RegExp ? wanted.test(line) : line === wanted)).length;

/** Says one thing to a WebSocket server, as somebody else. */
async function sendTo(url, message) {
  const socket = new WebSocket(url);
  await once(socket, "open");
  socket.send(JSON.stringify(message));
  socket.close();
  await once(socket, "close");
}

/** Emits an event to a Socket.IO server, as another client, and a second that is acknowledged: by then the first was received. */
async function emit(url, options, event, after) {
  const socket = io(url, { ...options, transports: ["websocket"], forceNew: true });
  await soon(TIMEOUT, `connected to ${url}`, new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject)));
  socket.emit(...event);
  await socket.timeout(TIMEOUT).emitWithAck(...after);
  socket.disconnect();
}

test("every example does what its README says, and loses nothing while its worker is stopped", async (t) => {
  const world = await World.make();
  const copies = join(world.folder, "examples");
  const names = ["hello", "image-bridge", "agent", "frappe", "canvas", "gateway"];
  const all = await Promise.all(names.map((name) => Example.copy(name, copies)));
  const [hello, images, agent, frappe, canvas, gateway] = all;
  t.after(async () => {
    await world.end();
    await Promise.all(all.map((example) => example.stop()));
  });
  await Promise.all(all.slice(1).map((example) => example.serve()));
  for (const { install } of all) await world.longwire(...install, "--browser", "chromium");
  const extension = all.map(({ folder }) => folder).join(",");
  world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
  for (const example of all) await example.open(world.browser);
  world.page = hello.page;
  /** A part of the test, with what a person would want to see when it fails. */
  const part = (name, work) =>
    t.test(name, async () => {
      try {
        await work();
      } catch (error) {
        t.diagnostic(await world.report());
        throw error;
      }
    });

  await part("hello: another URL, messages, sending", async () => {
    await hello.page.evaluate((url) => {
      document.getElementById("url").value = url;
      document.getElementById("where").requestSubmit();
    }, world.server.url);
    await eventually(TIMEOUT, "a connection at the server", () => world.server.clients === 1);
    await hello.isOpen();
    world.server.push(3);
    await hello.shows(/"number":3/);
    await hello.page.evaluate(() => {
      document.getElementById("text").value = "hi there";
      document.getElementById("send").requestSubmit();
    });
    await hello.shows(/"of":"hi there"/);
    const outcome = () => hello.page.evaluate(() => document.getElementById("outcome").textContent);
    await eventually(TIMEOUT, "the outcome", async () => (await outcome()) === "sent");
    assert.equal(await hello.page.evaluate(() => document.getElementById("problem").textContent), "");
  });

  await part("image-bridge: 500 panels, under its own host's name", async () => {
    assert.deepEqual(images.install.slice(0, 3), ["install", "--name", "com.semantest.bridge"]);
    await images.isOpen();
    await images.go();
    const shown = await images.shows(/^completed \S+ 500\/500$/);
    assert.equal(count(shown, /^retry /), 5, "every hundredth panel is tried again");
  });

  await part("agent: an answer, events, and a callback that was removed", async () => {
    await agent.isOpen();
    await agent.go();
    await agent.shows(/^answer: .*You said: hello/, /^typing/, /^round 1:/, "(the first round)", /^suggestion/);
    await agent.go();
    await agent.shows(/^round 2:/);
    await agent.go();
    const shown = await agent.shows(/^round 3:/, /^notification: .*round 3/);
    await eventually(TIMEOUT, "three suggestions", async () => count(await agent.lines(), /^suggestion/) === 3);
    assert.equal(count(shown, "(the first round)"), 1, "removed after the first round");
    assert.deepEqual(shown.filter((line) => /^round/.test(line)).map((line) => line.split(":")[0]), ["round 1", "round 2", "round 3"]);
  });

  await part("frappe: nobody without a cookie, events with it, code as data", async () => {
    await eventually(TIMEOUT, "told to sign in", async () => /sign in to Desk/.test(await frappe.state()));
    const [, url, cookie] = frappe.readme.match(/open <(http:[^>]+)>, and enter\s+`document\.cookie = "([^"]*)"`/);
    const desk = await world.browser.devtools.open(url);
    await desk.evaluate((text) => {
      document.cookie = text;
    }, cookie);
    await frappe.isOpen();
    await frappe.go();
    const shown = await frappe.shows("the server wanted to run: globalThis.pwned = true");
    assert.deepEqual(shown.slice(0, -1), [25, 50, 75, 100].map((done) => `example: ${done} %`).concat("Task example is done"));
    await desk.close();
  });

  await part("canvas: a drawing in batches", async () => {
    await canvas.isOpen();
    await canvas.go();
    const shown = await canvas.shows(/^ai_complete/);
    assert.deepEqual(shown.map((line) => line.trim()), ["ai_start", ...[1, 2, 3, 4, 5].map((n) => `ai_progress ${n}`), "ai_complete"]);
  });

  await part("gateway: what it pushes", async () => {
    await gateway.isOpen();
    await gateway.go();
    const shown = await gateway.shows('tick {"n":10}');
    assert.equal(count(shown, /^tick/), 10);
  });

  // SCREENSHOTS=../../examples: the pictures in the READMEs.
  for (const example of process.env.SCREENSHOTS ? all : []) {
    await part(`${example.name}: a picture of its page`, async () => {
      const page = await world.browser.open(example.id, "popup.html?page");
      await eventually(TIMEOUT, "the log", () => page.evaluate(() => document.querySelectorAll("ol li").length > 0));
      await page.send("Emulation.setDeviceMetricsOverride", { width: 800, height: 640, deviceScaleFactor: 1, mobile: false });
      for (const scheme of ["light", "dark"]) {
        await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
        const { data } = await page.send("Page.captureScreenshot", { format: "png" });
        await writeFile(join(process.env.SCREENSHOTS, example.name, `screenshot-${scheme}.png`), Buffer.from(data, "base64"));
      }
      await page.close();
    });
  }

  await part("the workers sleep: what comes meanwhile is there when a popup is opened", async () => {
    // Until then a message may come again: a worker may stop before it has acknowledged it.
    await eventually(TIMEOUT, "everything finished", async () => {
      const { sessions } = JSON.parse(await world.longwire("status", "--json"));
      return sessions.length === all.length && sessions.every(({ unacknowledged }) => unacknowledged === 0);
    });
    // Before, while and after the worker receives it: it may have requested the batch, or not.
    for (let batch = 0; batch < 3; batch++) {
      await images.go();
      await world.browser.stopWorker(hello.id, hello.page);
    }
    // A message sent just before may start a worker that has stopped.
    await eventually(TIMEOUT, "the workers asleep, and their hosts gone", async () => {
      await world.browser.stopWorker(hello.id, hello.page);
      const workers = await Promise.all(all.map(({ id }) => world.browser.worker(id)));
      return !workers.some(Boolean) && !(await world.hosts()).length;
    });
    const before = await Promise.all(all.map((example) => example.lines()));
    world.server.push(2);
    await emit(`http://${agent.host}`, {}, ["fight"], ["join", "elsewhere"]);
    const desk = { extraHeaders: { origin: `http://${frappe.host}`, cookie: "sid=other" } };
    await emit(`http://${frappe.host}/site1.local`, desk, ["ai_start", "missed"], ["connections"]);
    await sendTo(`ws://${canvas.host}/ws?userId=u2&sessionId=s2&token=a.b.c`, { type: "generate", sessionId: "s1", chunks: 2 });
    await sendTo(`ws://${gateway.host}/ws`, { type: "flood", payload: { count: 5 } });
    assert.deepEqual(await Promise.all(all.map((example) => example.lines())), before, "nobody was woken for it");

    for (const example of all) await example.open(world.browser);
    await hello.shows(/"number":4/, /"number":5/);
    const fights = await agent.shows(/^round 4:/, /^notification: .*round 4/);
    assert.equal(count(fights, /^round 4:/), 1);
    await eventually(TIMEOUT, "a suggestion for each round", async () => count(await agent.lines(), /^suggestion/) === 4);
    await frappe.shows("missed: 100 %", "Task missed is done");
    const drawn = await canvas.shows(/^ai_complete/);
    await eventually(TIMEOUT, "two drawings", async () => count(await canvas.lines(), /^ai_complete/) === 2);
    assert.ok(drawn.length >= 7);
    const ticks = await gateway.shows('tick {"n":15}');
    assert.deepEqual(ticks.filter((line) => /^tick/.test(line)), Array.from({ length: 15 }, (_, at) => `tick {"n":${at + 1}}`));
    const completed = async () => count(await images.lines(), /^completed \S+ 500\/500$/);
    await eventually(TIMEOUT, "four batches done", async () => (await completed()) >= 4);
    assert.equal(await completed(), 4, "each once");
  });
});
