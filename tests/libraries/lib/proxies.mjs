// nginx and HAProxy before a server, with the idle limits that they have unless somebody changes them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";

/** Starts nginx with its own idle limit, 60 s, and HAProxy with that of Debian's configuration, 50 s. */
export async function startProxies(folder, server) {
  const children = [];
  const start = async (program, configure, ...flags) => {
    const port = await freePort();
    const config = join(folder, `${program}.conf`);
    await writeFile(config, configure(port));
    const child = spawn(program, [...flags, config], { stdio: ["ignore", "ignore", "inherit"] });
    children.push(child);
    await listening(program, child, port);
    return port;
  };
  const stop = async () => {
    for (const child of children) {
      const gone = child.exitCode === null && once(child, "exit");
      child.kill();
      await gone;
    }
  };
  try {
    const nginx = await start("nginx", (port) => nginxConfig(folder, port, server), "-c");
    const haproxy = await start("haproxy", (port) => haproxyConfig(port, server), "-db", "-f");
    return { ports: { nginx, haproxy }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** As the documentation of nginx has it for WebSockets; the limits are not touched. */
function nginxConfig(folder, port, server) {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
  return `pid ${folder}/nginx.pid; daemon off; master_process off; error_log stderr crit; events {}
http { access_log off; ${temp.join(" ")}
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server}; proxy_http_version 1.1;
    proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade; } } }
`;
}

/** The timeouts of Debian's haproxy.cfg. Without a `timeout tunnel` they hold for WebSockets too. */
function haproxyConfig(port, server) {
  return `defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server one 127.0.0.1:${server}
`;
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function listening(program, child, port) {
  const deadline = Date.now() + 20_000;
  let failed;
  child.once("error", (error) => {
    failed = error;
  });
  for (;;) {
    if (failed || child.exitCode !== null) throw failed ?? new Error(`${program} exited with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const reached = await Promise.race([once(socket, "connect").then(() => true), once(socket, "close").then(() => false)]).catch(
      () => false,
    );
    socket.destroy();
    if (reached) return;
    if (Date.now() > deadline) throw new Error(`${program} does not listen`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
