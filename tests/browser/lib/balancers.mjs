// Debian's nginx, HAProxy and tinyproxy, each in the foreground on a free port, with their defaults where a test does not
// say otherwise. They end with the test.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { eventually } from "./eventually.mjs";
import { freePort } from "./free-port.mjs";

const TIMEOUT = 60_000;

/** Those of these programs that are not installed. */
export function missing(...programs) {
  const flags = { nginx: "-v", haproxy: "-v", tinyproxy: "-v", openssl: "version" };
  return programs.filter((program) => spawnSync(program, [flags[program] ?? "--version"]).error !== undefined);
}

/** Starts a program that listens on `port` and ends it with the test. */
async function started(t, port, program, ...flags) {
  const child = spawn(program, flags, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (data) => {
    output += data;
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  });
  await eventually(TIMEOUT, `${program} listening`, async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${output}`);
    const socket = net.connect(port, "127.0.0.1");
    const is = await new Promise((settle) => socket.once("connect", () => settle(true)).once("error", () => settle(false)));
    socket.destroy();
    return is;
  });
  return port;
}

/** nginx before `server`; `more` are further directives of its `location`, `log` the format of `access.log`. */
export async function nginx(t, folder, server, { more = "", log } = {}) {
  const port = await freePort();
  const config = join(folder, `nginx-${port}.conf`);
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
  const access = log ? `log_format own '${log}'; access_log ${folder}/access.log own;` : "access_log off;";
  await writeFile(
    config,
    `pid ${folder}/nginx-${port}.pid; daemon off; master_process off; error_log stderr; events {}
http { ${access} ${temp.join(" ")}
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server}; proxy_http_version 1.1;
    proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade; ${more} } } }`,
  );
  return started(t, port, "nginx", "-c", config);
}

/** HAProxy before `server`, with the timeouts of Debian's haproxy.cfg. Without a `timeout tunnel` they hold for WebSockets too. */
export async function haproxy(t, folder, server) {
  const port = await freePort();
  const config = join(folder, `haproxy-${port}.cfg`);
  await writeFile(
    config,
    `defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server one 127.0.0.1:${server}\n`,
  );
  return started(t, port, "haproxy", "-db", "-f", config);
}

export async function tinyproxy(t, folder) {
  const port = await freePort();
  const config = join(folder, "tinyproxy.conf");
  await writeFile(config, `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Critical\n`);
  return started(t, port, "tinyproxy", "-d", "-c", config);
}
