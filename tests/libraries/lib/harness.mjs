// One run's harness: a library's server behind a relay that can be cut, a broker in a home of its own, and workers that are
// processes of their own. It asserts nothing; tests do.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { servers } from "./servers.mjs";

const TIMEOUT = 45_000;

export class Harness {
  #links = new Set();
  #workers = new Set();

  static async make(library) {
    const harness = new Harness();
    harness.library = library;
    harness.home = await mkdtemp(join(tmpdir(), "longwire-"));
    await harness.serve();
    harness.relay = createServer((socket) => harness.#relay(socket));
    harness.relay.listen(0, "127.0.0.1");
    await once(harness.relay, "listening");
    harness.url = `ws://127.0.0.1:${harness.relay.address().port}/`;
    return harness;
  }

  /** Starts the server, where it was before if it was. */
  async serve() {
    this.http = createHttpServer();
    this.sockets = new Set();
    this.http.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    await servers[this.library](this.http);
    this.http.listen(this.port ?? 0, "127.0.0.1");
    await once(this.http, "listening");
    this.port = this.http.address().port;
  }

  /** Ends the server with all its connections. */
  async stopServer() {
    const closed = once(this.http, "close");
    this.http.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #relay(socket) {
    const far = connect(this.port, "127.0.0.1");
    const link = [socket, far];
    this.#links.add(link);
    for (const [from, to] of [link, [far, socket]]) {
      from.on("error", () => {});
      from.on("data", (data) => to.write(data));
      from.on("close", () => {
        this.#links.delete(link);
        to.destroy();
      });
    }
    if (this.isCut) this.#pause(link, true);
  }

  #pause(link, isCut) {
    for (const socket of link) {
      if (isCut) socket.pause();
      else socket.resume();
    }
  }

  /** Nothing passes any more, and nothing is closed; or it passes again. */
  cut(isCut) {
    this.isCut = isCut;
    for (const link of this.#links) this.#pause(link, isCut);
  }

  /** How many connections the server has. */
  get connections() {
    return this.sockets.size;
  }

  /** A worker with the library's client. */
  async worker(options) {
    const child = fork(join(import.meta.dirname, "worker.mjs"), [this.library, this.url, JSON.stringify(options)], {
      env: { ...process.env, LONGWIRE_HOME: this.home, LONGWIRE_DEBUGGABLE: "1" },
      execArgv: ["--conditions=browser"],
      stdio: ["ignore", "ignore", process.env.VERBOSE ? "inherit" : "ignore", "ipc"],
    });
    this.#workers.add(child);
    const begun = await Promise.race([once(child, "message").then(() => true), once(child, "exit").then(() => false)]);
    if (!begun) throw new Error(`the worker of ${this.library} ended at once; VERBOSE=1 shows why`);
    return new Worker(child);
  }

  async end() {
    for (const child of this.#workers) child.kill("SIGKILL");
    this.relay.close();
    for (const link of this.#links) for (const socket of link) socket.destroy();
    await this.stopServer();
    for (const pid of await brokersOf(this.home)) process.kill(pid, "SIGKILL");
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Worker {
  #child;
  #calls = new Map();
  #last = 0;

  constructor(child) {
    this.#child = child;
    child.on("message", ({ id, result, error }) => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error));
    });
  }

  ask(command, argument, timeout = TIMEOUT) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${command}: no answer within ${timeout} ms`)), timeout);
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, command, argument });
      const clear = () => clearTimeout(timer);
      this.#calls.set(id, { resolve: (value) => (clear(), resolve(value)), reject: (error) => (clear(), reject(error)) });
    });
  }

  /** Asks again, with another text each time, until the text comes back. */
  async works(what) {
    const end = Date.now() + TIMEOUT;
    for (let attempt = 1; ; attempt += 1) {
      const text = `${what} ${attempt}`;
      try {
        const echoed = await this.ask("one", text, 4000);
        if (echoed === text) return;
        throw new Error(`answered ${echoed}`);
      } catch (error) {
        if (Date.now() > end) throw new Error(`${what}: ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async kill() {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** Processes with this home, which are brokers once the workers are gone. */
export async function brokersOf(home) {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = [];
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (environment.includes(`LONGWIRE_HOME=${home}`) && command.includes("longwire")) found.push(Number(pid));
  }
  return found;
}

export async function eventually(what, look) {
  const end = Date.now() + TIMEOUT;
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`not within ${TIMEOUT} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
