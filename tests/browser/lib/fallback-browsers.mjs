// A test of an extension with a fallback in Chromium, with an offscreen document and without one, and in Firefox.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { Chromium } from "./chromium.mjs";
import { fallbackExtension } from "./fallback-extension.mjs";
import { Firefox } from "./firefox.mjs";
import { skipUnless } from "./skip.mjs";
import { World } from "./world.mjs";

const ADDON = "hello@longwire.example";
const hasFirefox = spawnSync(process.env.FIREFOX ?? "firefox-esr", ["--version"]).status === 0;

/**
 * Declares a test for each browser; `program`: the worker; `run`: the test. It gets the world, a page of the extension, and
 * how to stop the worker and to install the host. `survives`: connections do not end with the worker.
 */
export function inEachBrowser(what, { program, run }) {
  for (const offscreen of [true, false]) {
    const where = offscreen ? "an offscreen document" : "the worker";
    test(`Chromium, ${what} in ${where}: without the host, then with it`, async (t) => {
      const world = await World.make();
      t.after(() => world.end());
      const extension = await fallbackExtension(world.folder, { offscreen, program });
      world.browser = await Chromium.launch({ profile: world.profile, extension, env: world.env });
      const page = await world.browser.open(world.id, "page.html");
      world.page = page;
      await run(t, {
        world,
        page,
        survives: offscreen,
        stopWorker: () => world.browser.stopWorker(world.id, page),
        install: () => world.longwire("install", "--extension", world.id, "--browser", "chromium"),
      });
    });
  }

  test(`Firefox, ${what} in the event page: without the host, then with it`, {
    skip: skipUnless(hasFirefox, "there is no firefox-esr here"),
  }, async (t) => {
    const world = await World.make();
    t.after(() => world.end());
    const extension = await fallbackExtension(world.folder, { offscreen: false, program });
    const profile = join(world.folder, "firefox");
    const firefox = await Firefox.launch({ profile, extension, addon: ADDON, env: world.env });
    t.after(() => firefox.close());
    const page = await firefox.open("page.html");
    await run(t, {
      world,
      page,
      survives: false,
      stopWorker: () => firefox.stopEventPage(ADDON),
      install: () => world.longwire("install", "--extension", ADDON, "--browser", "firefox"),
    });
  });
}
