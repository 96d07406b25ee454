// The part of scripts/example for apps that are no browser extensions: VS Code and Electron. Everything it writes is below
// target/examples, and everything it starts ends with it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { VsCode } from "../tests/browser/lib/vscode.mjs";

const root = resolve(import.meta.dirname, "..");
const { positionals, values } = parseArgs({ allowPositionals: true, options: { seconds: { type: "string" } } });
const [name] = positionals;
const folder = join(root, "examples", name);
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const longwire = join(target, "debug/longwire");
const state = join(target, "examples", name);
rmSync(state, { recursive: true, force: true });
mkdirSync(state, { recursive: true });
const env = { ...process.env, HOME: state, LONGWIRE_HOME: join(state, "longwire") };
const headless = !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
const superuser = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const endings = [];

/** The server of another example, on a free port. */
async function serve(example) {
  const server = spawn(process.execPath, ["server.cjs", "0"], {
    cwd: join(root, "examples", example),
    env: { ...process.env, NODE_PATH: join(root, "tests/browser/node_modules"), END_WITH_STDIN: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  endings.push(() => server.stdin.end());
  const [port] = await once(createInterface({ input: server.stdout }), "line");
  server.stdout.resume();
  console.log(`server: examples/${example} on port ${port}`);
  return port;
}

function browser(url) {
  const profile = `--user-data-dir=${join(state, "chromium")}`;
  const args = [profile, "--no-first-run", ...superuser, ...(headless ? ["--headless=new", "--disable-gpu"] : []), url];
  start(process.env.CHROMIUM ?? "chromium", args, { stdio: "ignore" });
}

/** Starts what the user looks at; the example ends with it. */
function start(program, args, options) {
  const child = spawn(program, args, { cwd: folder, env, stdio: "inherit", ...options });
  endings.push(() => child.kill());
  child.once("exit", () => end(0));
  return child;
}

const examples = {
  async "vscode-progress"() {
    const site = `http://127.0.0.1:${await serve("frappe")}`;
    const code = await VsCode.serve({ home: state, env, folder, settings: { "frappeProgress.site": site } });
    endings.push(() => code.close());
    browser(code.url);
    return `VS Code runs at ${code.url}${headless ? " (headless: open that address in a browser)" : ""}. Any cookie but "expired" is good`;
  },
  async "electron-gateway"() {
    const url = `ws://127.0.0.1:${await serve("gateway")}/ws`;
    const electron = process.env.ELECTRON ?? "electron";
    if (spawnSync(electron, ["--version"]).status === 0) {
      start(electron, [...superuser, `--user-data-dir=${join(state, "data")}`, "."], { env: { ...env, GATEWAY_URL: url } });
      return "the app runs in Electron";
    }
    console.log(`there is no \`${electron}\` here: this is the app's main process in plain Node.js`);
    const terminal = start(process.execPath, ["terminal.js", join(state, "data"), url], { stdio: ["pipe", "inherit", "inherit"] });
    terminal.stdin.write("go\n");
    process.stdin.pipe(terminal.stdin, { end: !values.seconds });
    return "type `go` and Enter for ten more ticks";
  },
};

let ending = false;
async function end(code) {
  if (ending) return;
  ending = true;
  for (const work of endings.reverse()) await work();
  // The broker has left by itself if this fails.
  spawnSync(longwire, ["stop"], { env, stdio: "ignore" });
  process.exit(code);
}

process.once("SIGINT", () => end(0));
process.once("SIGTERM", () => end(0));
const [, command] = readFileSync(join(folder, "README.md"), "utf8").match(/`longwire (install --app [^`]*)`/);
console.log(`longwire ${command}`);
execFileSync(longwire, command.split(" "), { env, stdio: ["ignore", "inherit", "inherit"] });
console.log(`${await examples[name]()}. Ctrl-C ends it.`);
if (values.seconds) {
  await new Promise((done) => setTimeout(done, Number(values.seconds) * 1000));
  // It fails if nothing has connected yet; everything ends all the same.
  const { status } = spawnSync(longwire, ["status"], { env, stdio: ["ignore", "inherit", "inherit"] });
  await end(status ?? 1);
}
