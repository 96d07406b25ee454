// A server that is a program, in a process of its own behind an HTTP server that is given.

import { spawn } from "node:child_process";
import { connect } from "node:net";
import { freePort } from "../../browser/lib/free-port.mjs";

const TIMEOUT = 30_000;

/**
 * Starts the program, and ends it with the HTTP server. `command` makes its command line, and what the environment has
 * beside, for a port; `asks` is what it answers once it is ready. Resolves with the port.
 */
export async function behind(http, command, asks) {
  const port = await freePort();
  const { program, args, env } = command(port);
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: process.env.VERBOSE ? "inherit" : "ignore" });
  child.on("error", () => {});
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  http.once("close", end);
  const give = Date.now() + TIMEOUT;
  for (;;) {
    const response = await asks(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (response?.ok) break;
    if (child.exitCode !== null || Date.now() > give) throw new Error(`${program} did not start; VERBOSE=1 shows why`);
    await new Promise((look) => setTimeout(look, 50));
  }
  http.on("upgrade", (request, socket, head) => forward(port, request, socket, head));
  return port;
}

/** Hands a connection on, with its handshake. */
function forward(port, { method, url, rawHeaders }, socket, head) {
  const far = connect(port, "127.0.0.1");
  const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
  far.write([`${method} ${url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
  far.write(head);
  for (const [from, to] of [[socket, far], [far, socket]]) {
    from.on("error", () => {});
    from.on("close", () => to.destroy());
    from.pipe(to);
  }
}
