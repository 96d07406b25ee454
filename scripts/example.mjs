// The part of scripts/example that starts things: registration, server, browser. Everything it writes is below
// target/examples, and everything it starts ends with it.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
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
const folder = join(root, "examples", name);
const readme = readFileSync(join(folder, "README.md"), "utf8");
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
    cwd: folder,
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
    await browser.open("popup.html?page");
    return;
  }
  const args = [
    `--user-data-dir=${profile}`,
    `--load-extension=${folder}`,
    "--disable-features=DisableLoadExtensionCommandLineSwitch",
    "--no-first-run",
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ...(headless ? ["--headless=new", "--disable-gpu"] : []),
    `chrome-extension://${id}/popup.html?page`,
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
const ids = register();
await serve();
await browse(ids);
console.log(`${name} runs in ${values.firefox ? "Firefox" : "Chromium"}${headless ? " (headless)" : ""}. Ctrl-C ends it.`);
if (values.seconds) {
  await new Promise((done) => setTimeout(done, Number(values.seconds) * 1000));
  execFileSync(longwire, ["status"], { env, stdio: ["ignore", "inherit", "inherit"] });
  await end(0);
}
