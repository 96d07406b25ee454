// The part of scripts/example that starts things: registration, server, browser. Everything it writes is below
// target/examples, and everything it starts ends with it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Firefox } from "../tests/browser/lib/firefox.mjs";
import { Server } from "../tests/browser/lib/server.mjs";

const root = resolve(import.meta.dirname, "..");
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { firefox: { type: "boolean" }, seconds: { type: "string" } },
});
const [name] = positionals;
const home = join(root, "examples", name);
// One that has to be built lies in a folder of its own, its page is another one, and its server is another example's.
const built = existsSync(join(home, "extension"));
const folder = built ? join(home, "extension") : home;
const page = built ? "panel.html" : "popup.html?page";
const readme = readFileSync(join(home, "README.md"), "utf8");
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const longwire = join(target, "debug/longwire");
const state = join(target, "examples", name);
rmSync(state, { recursive: true, force: true });
const profile = join(state, "config", "chromium");
mkdirSync(profile, { recursive: true });
const env = {
  ...process.env,
  HOME: state,
  XDG_CONFIG_HOME: join(state, "config"),
  LONGWIRE_HOME: join(state, "longwire"),
  NODE_PATH: join(root, "tests/browser/node_modules"),
};
const headless = !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
const endings = [];

/** The build of the README, with the SDK and the packages of client/. */
function build() {
  const [, words] = readme.match(/npx esbuild (.*)$/m);
  const client = join(root, "client");
  const alias = `--alias:longwire/react=${client}/dist/modules/react/index.js`;
  const options = { cwd: home, env: { ...env, NODE_PATH: join(client, "node_modules") }, stdio: "inherit" };
  execFileSync(join(client, "node_modules/.bin/esbuild"), [...words.split(" "), alias], options);
}

/** The registration of the README, for the browser that is opened. */
function register() {
  const [, command] = readme.match(/`longwire (install [^`]*)`/);
  const words = command.split(" ");
  const id = words[words.indexOf("--extension") + 1];
  const addon = `${name}@longwire.example`;
  const args = values.firefox
    ? [...words.map((word) => (word === id ? addon : word)), "--browser", "firefox"]
    : [...words, "--browser", "chromium"];
  console.log(`longwire ${args.join(" ")}`);
  execFileSync(longwire, args, { env, stdio: ["ignore", "inherit", "inherit"] });
  return { id, addon };
}

/** The example's own server on the port that its worker names; for `hello` one that counts. */
async function serve() {
  if (name === "hello") {
    const server = await Server.start(8787);
    const timer = setInterval(() => server.push(1), 1000);
    endings.push(() => clearInterval(timer), () => server.stop());
    return console.log("server: ws://127.0.0.1:8787, one message a second");
  }
  const server = spawn(process.execPath, ["server.cjs"], {
    cwd: built ? join(root, "examples/canvas") : folder,
    env: { ...env, END_WITH_STDIN: "1" },
    stdio: ["pipe", "inherit", "inherit"],
  });
  endings.push(() => server.stdin.end());
  server.once("exit", (code) => {
    if (code) end(1, "the server ended; is its port in use by another program?");
  });
}

async function browse({ id, addon }) {
  if (values.firefox) {
    const browser = await Firefox.launch({ profile: join(state, "firefox"), extension: folder, addon, env, headless });
    endings.push(() => browser.close());
    await browser.open(page);
    return;
  }
  const args = [
    `--user-data-dir=${profile}`,
    `--load-extension=${folder}`,
    "--disable-features=DisableLoadExtensionCommandLineSwitch",
    "--no-first-run",
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ...(headless ? ["--headless=new", "--disable-gpu"] : []),
    // A built one opens its page itself.
    ...(built ? [] : [`chrome-extension://${id}/${page}`]),
  ];
  const browser = spawn(process.env.CHROMIUM ?? "chromium", args, { env, stdio: "ignore" });
  endings.push(() => browser.kill());
  browser.once("exit", () => end(0));
}

let ending = false;
async function end(code, why) {
  if (ending) return;
  ending = true;
  if (why) console.error(`error: ${why}`);
  for (const work of endings.reverse()) await work();
  try {
    execFileSync(longwire, ["stop"], { env, stdio: "ignore" });
  } catch {
    // The broker has left by itself.
  }
  process.exit(code);
}

process.once("SIGINT", () => end(0));
process.once("SIGTERM", () => end(0));
if (built) build();
const ids = register();
await serve();
await browse(ids);
console.log(`${name} runs in ${values.firefox ? "Firefox" : "Chromium"}${headless ? " (headless)" : ""}. Ctrl-C ends it.`);
if (values.seconds) {
  await new Promise((done) => setTimeout(done, Number(values.seconds) * 1000));
  // It fails if nothing has connected yet; everything ends all the same.
  const { status } = spawnSync(longwire, ["status"], { env, stdio: ["ignore", "inherit", "inherit"] });
  await end(status ?? 1);
}
