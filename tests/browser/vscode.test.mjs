// examples/vscode-progress in a real VS Code, code-server's: its extension host, its window, a reload of the window in the
// middle of a task. The extension and the settings are as they lie; only the site's port is another one.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { eventually, soon } from "./lib/eventually.mjs";
import { VsCode } from "./lib/vscode.mjs";
import { World } from "./lib/world.mjs";

const examples = resolve(import.meta.dirname, "../../examples");
const folder = join(examples, "vscode-progress");
const TIMEOUT = 90_000;

/** The site of examples/frappe on a free port; it ends with the test. */
async function site(t) {
  const server = spawn(process.execPath, ["server.cjs", "0"], {
    cwd: join(examples, "frappe"),
    env: { ...process.env, NODE_PATH: join(import.meta.dirname, "node_modules"), END_WITH_STDIN: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => server.kill("SIGKILL"));
  const connections = [];
  const lines = createInterface({ input: server.stdout });
  const [port] = await soon(TIMEOUT, "the site's port", once(lines, "line"));
  lines.on("line", (line) => connections.push(line));
  return { url: `http://127.0.0.1:${port}`, connections };
}

test("a task continues in a reloaded VS Code window: each step once, over one connection", { skip: VsCode.missing }, async (t) => {
  const world = await World.make();
  let code;
  t.after(async () => {
    await code?.close();
    await world.end();
  });
  const { url, connections } = await site(t);
  const readme = await readFile(join(folder, "README.md"), "utf8");
  const [, command] = /`longwire (install --app [^`]*)`/.exec(readme);
  await world.longwire(...command.split(" "));
  code = await VsCode.launch({ world, folder, settings: { "frappeProgress.site": url } });

  const status = async () => (await code.texts("[id='longwire.vscode-progress.frappeProgress']")).join();
  const lines = () => code.texts(".pane-body .monaco-list-row .label-name");
  const percents = async () => (await lines()).flatMap((line) => /^report: (\d+) %$/.exec(line)?.[1] ?? []).map(Number);
  try {
    await eventually(TIMEOUT, "the extension asks to sign in", async () => /sign in/.test(await status()));
    await code.click(".notifications-toasts .monaco-button", "Sign In");
    await code.type(".quick-input-widget input", "abc");
    await eventually(TIMEOUT, "a connection", async () => /open/.test(await status()));
    await code.click("[id='longwire.vscode-progress.frappeProgress'] a", "Frappe");
    await eventually(TIMEOUT, "the first steps", async () => (await percents()).length >= 4);
    await code.reload();
    await eventually(TIMEOUT, "the last step in the reloaded window", async () => (await percents()).includes(100));
    const wanted = Array.from({ length: 20 }, (_, at) => 100 - 5 * at);
    assert.deepEqual(await percents(), wanted);
    await eventually(TIMEOUT, "the message at the end", async () => (await lines()).includes("Task report is done"));
    assert.equal(connections.filter((line) => line.includes("connected")).length, 1, "one connection all along");
  } catch (error) {
    t.diagnostic(`${await status()}\n${(await lines()).join("\n")}\n${code.output}`);
    throw error;
  }
});
