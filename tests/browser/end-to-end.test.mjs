// The main scenario: the example extension in a real Chromium, the host as `longwire install` registers it, a real server.
// It looks at what a user would miss: messages lost, doubled or out of order, a socket that did not outlive the worker,
// processes and files left behind. How the parts do it is tested elsewhere.

import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;

test("an extension's socket survives its service worker", async (t) => {
  const world = await World.make();
  const { server, id } = world;
  const manifest = join(world.profile, "NativeMessagingHosts", "com.longwire.bridge.json");

  let failed = false;
  /** A step of the scenario; the next ones are skipped when it fails. */
  const step = (name, work) =>
    t.test(name, async () => {
      if (failed) throw new Error("not tried: a step before failed");
      try {
        await work();
      } catch (error) {
        failed = true;
        t.diagnostic(await world.report());
        throw error;
      }
    });

  /** The numbers of the server's messages that the extension has finished, in the order in which it stored them. */
  const numbers = async () => (await seen()).filter(({ type }) => type === "tick").map(({ number }) => number);
  const seen = () => world.page.evaluate(() => globalThis.seen.map(({ text }) => JSON.parse(text)));
  const send = (text) => world.page.evaluate((words) => chrome.runtime.sendMessage({ type: "send", text: words }), text);
  const upTo = (last) => Array.from({ length: last }, (_, index) => index + 1);
  const arrived = async (last) => {
    await eventually(TIMEOUT, `message ${last} in the extension`, async () => (await numbers()).includes(last));
    assert.deepEqual(await numbers(), upTo(last));
  };

  try {
    await step("install registers the host where the browser looks", async () => {
      await world.longwire("install", "--extension", id, "--browser", "chromium");
      const { allowed_origins: origins, path } = JSON.parse(await readFile(manifest, "utf8"));
      assert.deepEqual(origins, [`chrome-extension://${id}/`]);
      await access(path);
    });

    await step("the worker connects through host and broker", async () => {
      await world.launch();
      await world.page.evaluate(() => {
        globalThis.seen = [];
        chrome.storage.onChanged.addListener(({ messages }) => {
          if (messages) globalThis.seen.push(messages.newValue.at(-1));
        });
      });
      await world.page.evaluate((url) => chrome.storage.local.set({ url }), server.url);
      await eventually(TIMEOUT, "a connection at the server", () => server.clients === 1);
      assert.equal((await world.hosts()).length, 1);
      assert.equal((await world.processes()).length, 2, "one host and one broker");
    });

    await step("messages go both ways, in order", async () => {
      await arrived(server.push(40));
      const { outcome } = await send("first");
      assert.equal(outcome, "sent");
      assert.deepEqual(server.received, ["first"]);
      await eventually(TIMEOUT, "the echo", async () => (await seen()).some(({ of }) => of === "first"));
    });

    for (const round of ["once", "twice", "three times"]) {
      await step(`the worker is stopped ${round}; the socket stays and nothing is lost`, async () => {
        const dials = server.connections;
        await world.browser.stopWorker(id, world.page);
        await eventually(TIMEOUT, "the host gone with its worker", async () => !(await world.hosts()).length);
        const last = server.push(40);
        assert.equal(await world.browser.worker(id), undefined, "the worker sleeps while messages come");
        assert.equal((await numbers()).length, last - 40);
        assert.equal((await send(`back ${round}`)).outcome, "sent");
        await arrived(last);
        await arrived(server.push(40));
        assert.ok(server.received.includes(`back ${round}`));
        assert.equal(server.connections, dials, "the same connection all along");
      });
    }

    await step("the host is killed; the worker goes on through another", async () => {
      const [[pid]] = await world.hosts();
      process.kill(pid, "SIGKILL");
      await arrived(server.push(40));
      await eventually(TIMEOUT, "another host", async () => (await world.hosts()).some(([other]) => other !== pid));
    });

    await step("the server goes away and comes back; the broker dials again", async () => {
      await server.stop();
      const sent = send("while away");
      await server.restart();
      await eventually(TIMEOUT, "a new connection", () => server.clients === 1);
      assert.equal((await sent).outcome, "sent");
      await arrived(server.push(40));
      assert.equal(server.received.filter((text) => text === "while away").length, 1);
    });

    await step("the browser ends, the host follows, the socket stays until `longwire stop`", async () => {
      await world.browser.close();
      await eventually(TIMEOUT, "no host", async () => !(await world.hosts()).length);
      assert.equal(server.clients, 1);
      await world.longwire("stop");
      await eventually(TIMEOUT, "no process of ours", async () => !(await world.processes()).length);
      await eventually(TIMEOUT, "no connection", () => server.clients === 0);
    });

    await step("uninstall leaves nothing behind", async () => {
      await world.longwire("uninstall", "--browser", "chromium");
      await assert.rejects(access(manifest), { code: "ENOENT" });
    });
  } finally {
    await world.end();
  }
});
