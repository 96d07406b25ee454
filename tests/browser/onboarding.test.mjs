// The onboarding page of examples/hello in a real Chromium: a user without Longwire sees what to do, installs it while
// the page is open, and the waiting worker continues. SCREENSHOTS=docs/pictures takes the pictures of docs/PUBLISHING.md.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "./lib/eventually.mjs";
import { World } from "./lib/world.mjs";

const TIMEOUT = 60_000;

/** What the element shows, as text. */
const shown = (page) =>
  page.evaluate(() => {
    const element = document.querySelector("longwire-onboarding");
    return { state: element.state, text: element.shadowRoot.textContent };
  });

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  for (const scheme of ["light", "dark"]) {
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const { data } = await page.send("Page.captureScreenshot", { format: "png" });
    await writeFile(join(process.env.SCREENSHOTS, `onboarding-${name}-${scheme}.png`), Buffer.from(data, "base64"));
  }
}

test("a user without Longwire is guided through the installation, and the page continues without a reload", async (t) => {
  const world = await World.make();
  t.after(() => world.end());
  await world.launch();
  await world.page.evaluate((url) => chrome.storage.local.set({ url }), world.server.url);
  await eventually(TIMEOUT, "the popup shows the link to the page", () =>
    world.page.evaluate(() => document.querySelector("#setup").hidden === false),
  );

  const page = await world.browser.open(world.id, "onboarding.html");
  await eventually(TIMEOUT, "the missing host", async () => (await shown(page)).state === "missing");
  const { text } = await shown(page);
  assert.match(text, /Longwire hello needs Longwire, which is not installed/);
  assert.ok(text.includes(`longwire install --extension ${world.id}`), "the command names this extension");
  await picture(page, "missing");

  await world.longwire("install", "--extension", world.id, "--browser", "chromium");
  await eventually(TIMEOUT, "the page notices", async () => (await shown(page)).state === "ready");
  assert.match((await shown(page)).text, /^Found Longwire \d/);
  await picture(page, "ready");

  await eventually(TIMEOUT, "the worker goes on by itself", () => world.server.clients === 1);
  world.server.push(3);
  await eventually(TIMEOUT, "three messages in the extension", async () => {
    const { messages = [] } = await world.page.evaluate(() => chrome.storage.local.get("messages"));
    return messages.length === 3;
  });
});
