// The environment of one test: a temporary home with its own Longwire, its own browser profile, a server and the example extension.
// It asserts nothing; tests do.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Chromium } from "./chromium.mjs";
import { processesOf } from "./processes.mjs";
import { Server } from "./server.mjs";

const root = resolve(import.meta.dirname, "../../..");
const run = promisify(execFile);

/** The program under test. */
const LONGWIRE = process.env.LONGWIRE ?? join(root, "target/debug/longwire");
/** The example extension, loaded as it lies there, and its fixed id. */
const EXTENSION = join(root, "examples/hello");
const ID = "cfgjijgalloanpinpjgfgakgkbhlgcka";

export class World {
  static EXTENSION = EXTENSION;
  id = ID;

  static async make() {
    const world = new World();
    world.folder = await mkdtemp(join(tmpdir(), "longwire-"));
    world.home = join(world.folder, "longwire");
    // Where Chromium looks by default, so that `install` needs no option for it.
    world.profile = join(world.folder, "config", "chromium");
    await mkdir(world.profile, { recursive: true });
    world.env = {
      ...process.env,
      HOME: world.folder,
      XDG_CONFIG_HOME: join(world.folder, "config"),
      LONGWIRE_HOME: world.home,
      // Processes are found by their environment, which they otherwise show to nobody but root.
      LONGWIRE_DEBUGGABLE: "1",
    };
    world.server = await Server.start();
    return world;
  }

  /** Runs `longwire` with `arguments_`; returns its stdout, throws with its stderr when it fails. */
  async longwire(...arguments_) {
    const { stdout } = await run(LONGWIRE, arguments_, { env: this.env, timeout: 60_000 });
    return stdout;
  }

  async launch() {
    this.browser = await Chromium.launch({ profile: this.profile, extension: EXTENSION, env: this.env });
    this.page = await this.browser.open(ID, "popup.html");
  }

  /** This run's hosts and brokers, as `[pid, command line]`; not the browser. */
  async processes() {
    const all = [...(await processesOf(this.home))];
    return all.filter(([, command]) => /^\S*longwire\S*( |$)/.test(command));
  }

  async hosts() {
    return (await this.processes()).filter(([, command]) => command.includes(" chrome-extension://"));
  }

  /** What a person would want to see after a failure. */
  async report() {
    const native = (await this.browser?.log())?.split("\n").filter((line) => /native|Longwire|longwire/i.test(line));
    const problem = await this.page?.evaluate(() => chrome.storage.local.get(null)).catch(String);
    const parts = [`stored by the extension: ${JSON.stringify(problem)}`, ...(native ?? [])];
    for (const [pid, command] of await this.processes()) parts.push(`running: ${pid} ${command}`);
    const files = await readdir(this.home, { recursive: true }).catch(() => []);
    for (const file of files.filter((name) => name.includes("log"))) {
      const text = await readFile(join(this.home, file), "utf8").catch(() => "");
      if (text) parts.push(`${file}:`, ...text.split("\n").slice(-40));
    }
    return parts.join("\n");
  }

  /** Kills remaining processes, by pid, and removes the folder. */
  async end() {
    await this.browser?.close();
    for (const [pid] of await this.processes()) process.kill(pid, "SIGKILL");
    await this.server.stop().catch(() => {});
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
