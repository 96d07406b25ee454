// One worker: a process with one library's client over LongwireSocket. Its parent asks over IPC, and kills it.
//   node --conditions=browser worker.mjs LIBRARY URL OPTIONS

import { LongwireSocket, connect } from "../../../client/dist/modules/index.js";
import { clients } from "./clients.mjs";
import { extension } from "./extension.mjs";

const [library, url, options] = process.argv.slice(2);
const hosts = [];
const bridge = connect({ api: extension((host) => hosts.push(host)), profile: "libraries" });
bridge.on("error", () => {});
const Socket = LongwireSocket.with({ bridge, ...JSON.parse(options) });
// For libraries that take no class.
globalThis.self = globalThis;
globalThis.navigator ??= { userAgent: "" };
globalThis.WebSocket = Socket;

const client = await clients[library](Socket, url);
const commands = {
  one: (text) => client.echo(text),
  many: async (count) => {
    const texts = Array.from({ length: count }, (_, n) => `m${n}`);
    return Promise.all(texts.map((text) => client.echo(text)));
  },
  binary: async (bytes) => [...new Uint8Array(await client.binary(new Uint8Array(bytes)))],
  killHost: async () => hosts.at(-1).kill("SIGKILL"),
};
process.on("message", ({ id, command, argument }) => {
  commands[command](argument).then(
    (result) => process.send({ id, result }),
    (error) => process.send({ id, error: String(error?.message ?? JSON.stringify(error)) }),
  );
});
process.on("unhandledRejection", () => {});
process.send({ ready: true });
