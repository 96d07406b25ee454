// A real VS Code in its own environment: its server with one extension, and its window in a Chromium. It asserts nothing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Chromium } from "./chromium.mjs";
import { eventually, soon } from "./eventually.mjs";

const TIMEOUT = 90_000;
const EDITOR = resolve(import.meta.dirname, "../../vscode/node_modules/code-server/lib/vscode");

export class VsCode {
  /** Why there is none here; undefined if there is one. */
  static missing = existsSync(join(EDITOR, "node_modules/.package-lock.json")) ? undefined : "there is no VS Code in tests/vscode";

  output = "";

  /** Starts the server with the extension of `folder` and these settings, and opens a window. */
  static async launch({ world, folder, settings }) {
    const code = await VsCode.serve({ home: world.folder, env: world.env, folder, settings });
    const profile = join(world.folder, "vscode/chromium");
    await mkdir(profile);
    code.browser = await Chromium.launch({ profile, extension: "", flags: ["--window-size=1200,1000"], env: world.env });
    code.page = await code.browser.devtools.open(code.url);
    return code;
  }

  /** Starts the server: `url` is where a browser finds the editor. What it writes is below `home`. */
  static async serve({ home, env, folder, settings }) {
    const code = new VsCode();
    const data = join(home, "vscode");
    const { publisher, name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    await cp(folder, join(data, "extensions", `${publisher}.${name}-${version}`), { recursive: true });
    const all = { "security.workspace.trust.enabled": false, "workbench.startupEditor": "none", ...settings };
    for (const scope of ["User", "Machine"]) {
      await mkdir(join(data, "data", scope), { recursive: true });
      await writeFile(join(data, "data", scope, "settings.json"), JSON.stringify(all));
    }
    const workspace = join(home, "workspace");
    await mkdir(workspace);
    const words = ["out/server-main.js", "--host", "127.0.0.1", "--port", "0", "--without-connection-token", "--disable-workspace-trust"];
    words.push("--accept-server-license-terms", "--telemetry-level", "off", "--server-data-dir", data, "--extensions-dir", join(data, "extensions"));
    code.server = spawn(process.execPath, words, { cwd: EDITOR, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [code.server.stdout, code.server.stderr]) stream.on("data", (text) => (code.output += withoutNoise(String(text))));
    const port = await eventually(TIMEOUT, "VS Code's server", () => /Server bound to 127\.0\.0\.1:(\d+)/.exec(code.output)?.[1]);
    code.url = `http://127.0.0.1:${port}/?folder=${encodeURIComponent(workspace)}`;
    return code;
  }

  /** Reloads the window: another extension host takes the place of this one. */
  async reload() {
    await this.page.evaluate(() => document.body.setAttribute("data-old", ""));
    await this.page.send("Page.reload");
    await eventually(TIMEOUT, "the window reloaded", () =>
      this.page.evaluate(() => !document.body?.hasAttribute("data-old") && document.readyState === "complete").catch(() => false),
    );
  }

  /** The texts of the elements that fit a selector. */
  texts(selector) {
    return this.page.evaluate((wanted) => [...document.querySelectorAll(wanted)].map((one) => one.textContent), selector);
  }

  async click(selector, text) {
    await eventually(TIMEOUT, `${selector} with ${text}`, () =>
      this.page.evaluate(
        (wanted, words) => {
          const found = [...document.querySelectorAll(wanted)].find((one) => one.textContent.includes(words));
          found?.click();
          return Boolean(found);
        },
        selector,
        text,
      ),
    );
  }

  /** Types into whatever has the focus once `selector` has it, and presses Enter. */
  async type(selector, text) {
    await eventually(TIMEOUT, `the focus in ${selector}`, () =>
      this.page.evaluate((wanted) => {
        const input = document.querySelector(wanted);
        input?.focus();
        return document.activeElement === input && input !== null;
      }, selector),
    );
    await this.page.send("Input.insertText", { text });
    for (const type of ["keyDown", "keyUp"]) {
      await this.page.send("Input.dispatchKeyEvent", { type, key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" });
    }
  }

  async close() {
    await this.browser?.close();
    if (!this.server || this.server.exitCode !== null) return;
    const gone = once(this.server, "exit");
    this.server.kill("SIGTERM");
    await soon(10_000, "VS Code's server gone", gone).catch(() => this.server.kill("SIGKILL"));
  }
}

/** Without the traces of rotating logs, which need native code that is not built here. */
const withoutNoise = (text) => text.replace(/^Error: Could not locate the bindings file(.|\n)*?^}$/gm, "").replace(/^ → .*$/gm, "");
