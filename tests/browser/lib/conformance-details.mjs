// The finer points of a WebSocket, as conformance.mjs has the plain ones: shape of the class, conversions of arguments, close
// codes, order. Each scenario runs with the browser's own class and with ours. It imports nothing: the page gets it as text.

/** Runs every scenario with `Socket` against the odd server at `base`; returns results by name. */
export async function details(socketName, base, only) {
  const { LongwireSocket } = await import("./longwire.js");
  const Socket = socketName === "native" ? WebSocket : LongwireSocket;
  const url = (path) => base + path;
  const caught = (work) => {
    try {
      return ["returned", String(work())];
    } catch (error) {
      return [error.constructor.name, error.name];
    }
  };
  const event = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
  const open = async (path, protocols) => {
    const socket = protocols === undefined ? new Socket(url(path)) : new Socket(url(path), protocols);
    await event(socket, "open");
    return socket;
  };
  const summary = ({ code, reason, wasClean }) => [code, reason, wasClean];
  const ended = (socket, ...how) => {
    const close = event(socket, "close");
    socket.close(...how);
    return close.then(summary);
  };
  const ask = async (path) => {
    const socket = new Socket(url(path));
    const { data } = await event(socket, "message");
    await ended(socket);
    return JSON.parse(data);
  };
  const bytes = async (data) =>
    typeof data === "string" ? data : [...new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)];
  const withFrame = async (work) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    try {
      return await work(frame.contentWindow);
    } finally {
      frame.remove();
    }
  };

  const scenarios = {
    "properties of class and prototype": async () => {
      const flags = (target, name) => {
        const { writable, enumerable, configurable, get, set, value } = Object.getOwnPropertyDescriptor(target, name);
        const call = typeof value === "function" && name !== "constructor" ? [value.name, value.length] : undefined;
        return [name, { writable, enumerable, configurable }, get?.name, set?.name, call];
      };
      const { prototype } = WebSocket;
      const names = Object.getOwnPropertyNames(prototype).sort();
      const constants = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
      return [
        names.map((name) => flags(Socket.prototype, name)),
        constants.map((name) => [flags(Socket, name), Socket[name]]),
        Socket.length,
        Object.keys(Socket.prototype).sort(),
        Object.getPrototypeOf(Socket) === EventTarget,
      ];
    },

    "constants cannot be written": async () => {
      const socket = new Socket(url("/echo"));
      const results = [caught(() => (socket.OPEN = 9)), caught(() => delete Socket.OPEN), socket.OPEN, Socket.OPEN];
      await ended(socket);
      return results;
    },

    "attributes of what is no socket": async () => {
      const names = ["url", "readyState", "bufferedAmount", "protocol", "extensions", "binaryType", "onopen", "onclose"];
      const { get: _, ...rest } = {};
      const getters = names.map((name) => caught(() => Object.getOwnPropertyDescriptor(Socket.prototype, name).get.call(rest)));
      const methods = ["send", "close"].map((name) => caught(() => Socket.prototype[name].call(rest, "x")));
      return [getters, methods, caught(() => Socket(url("/echo")))];
    },

    "constructor: conversions and their order": async () => {
      const order = [];
      const text = (name, value) => ({ toString: () => (order.push(name), value) });
      const list = { *[Symbol.iterator]() { order.push("iterated"); yield text("element", "a b"); } };
      const results = [
        caught(() => new Socket(text("url", "::"), list)),
        [...order],
        caught(() => new Socket(Symbol("x"))),
        caught(() => new Socket("::", Symbol("x"))),
        caught(() => new Socket("ws://x y/", ["a", "a"])),
        caught(() => new Socket(url("/echo"), { [Symbol.iterator]: 5 })),
        caught(() => new Socket(url("/echo"), { [Symbol.iterator]: null, toString: () => "a b" })),
        caught(() => new Socket(url("/echo"), [Symbol("x")])),
      ];
      const made = [new Socket(url("/echo"), new String("x")), new Socket(url("/echo"), undefined)];
      await Promise.all(made.map((socket) => event(socket, "open")));
      results.push(made.map(({ protocol }) => protocol));
      await Promise.all(made.map((socket) => ended(socket)));
      return results;
    },

    "constructor: URLs are resolved against the base of the document": async () => {
      const tag = document.createElement("base");
      tag.href = `${base.replace("ws:", "http:")}/folder/page.html`;
      document.head.append(tag);
      try {
        const made = ["../echo", "/echo?x", `${base.replace("ws:", "")}/echo`, ""].map((given) => new Socket(given));
        const urls = made.map((socket) => socket.url);
        await Promise.all(made.map((socket) => ended(socket)));
        return urls;
      } finally {
        tag.remove();
      }
    },

    "constructor: relative URLs without a base": async () => ["echo", "/echo", "//", "?x"].map((given) => caught(() => new Socket(given))),

    "ports that browsers block": async () => {
      const lines = [];
      for (const port of [1, 22, 25, 6000, 6667, 10080]) {
        const socket = new Socket(`ws://127.0.0.1:${port}/`);
        lines.push(socket.readyState);
        socket.addEventListener("error", () => lines.push("error"));
        lines.push(summary(await event(socket, "close")));
      }
      return lines;
    },

    "close: conversions": async () => {
      const socket = await open("/echo");
      const order = [];
      const given = [
        [1000n],
        [Symbol("x")],
        [null],
        [NaN],
        ["nonsense"],
        [Infinity],
        [3000, Symbol("x")],
        [999, Symbol("x")],
        [{ valueOf: () => (order.push("code"), 999) }, { toString: () => (order.push("reason"), "r") }],
        [2999, "x".repeat(124)],
      ];
      const results = given.map((one) => caught(() => socket.close(...one)));
      return [results, order, socket.readyState, await ended(socket, "3000", { toString: () => "as text" })];
    },

    "close: what is no code is none": async () => {
      const results = [];
      for (const how of [[undefined], [undefined, undefined], [1000, undefined], [1000.4]]) {
        const key = crypto.randomUUID();
        const socket = await open(`/record?key=${key}`);
        results.push(await ended(socket, ...how), await ask(`/replay?key=${key}`));
      }
      return results;
    },

    "close: arguments are looked at in every state": async () => {
      const socket = new Socket(url("/echo"));
      const states = [caught(() => socket.close(1))];
      await event(socket, "open");
      await ended(socket);
      states.push(caught(() => socket.close(1)), caught(() => socket.close(1000, "x".repeat(124))), caught(() => socket.close(1000)));
      return states;
    },

    "send: what is shared, resizable, detached": async () => {
      const socket = await open("/echo");
      socket.binaryType = "arraybuffer";
      const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
      const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
      const detached = new ArrayBuffer(4);
      const view = new Uint8Array(detached);
      structuredClone(detached, { transfer: [detached] });
      const results = [];
      for (const data of [shared, new Uint8Array(shared, 0, 2), resizable, new Uint8Array(resizable), detached, view, new Uint8Array([7])]) {
        const outcome = caught(() => socket.send(data));
        results.push(outcome);
        if (outcome[0] === "returned") results.push(await bytes((await event(socket, "message")).data));
      }
      await ended(socket);
      return results;
    },

    "send: buffers, views and blobs of a frame": () =>
      withFrame(async (frame) => {
        const socket = await open("/echo");
        socket.binaryType = "arraybuffer";
        const given = [
          new frame.ArrayBuffer(2),
          new frame.Uint8Array([1, 2]),
          new frame.DataView(new frame.ArrayBuffer(3), 1),
          new frame.Blob(["blob"]),
        ];
        const results = [];
        for (const data of given) {
          socket.send(data);
          results.push(await bytes((await event(socket, "message")).data));
        }
        await ended(socket);
        return results;
      }),

    "send: a changed buffer does not change what was sent": async () => {
      const socket = await open("/echo");
      socket.binaryType = "arraybuffer";
      const data = new Uint8Array([1, 2, 3]);
      socket.send(data);
      data.fill(9);
      const result = await bytes((await event(socket, "message")).data);
      await ended(socket);
      return result;
    },

    "binaryType: conversions": async () => {
      const socket = new Socket(url("/echo"));
      const set = (value) => [caught(() => (socket.binaryType = value))[0], socket.binaryType];
      const results = [set(Symbol("x")), set(undefined), set({ toString: () => "arraybuffer" }), set("BLOB"), set(""), set("blob")];
      await ended(socket);
      return results;
    },

    "error and close come in turns of their own": async () => {
      const socket = new Socket(url("/nowhere"));
      const { type } = await event(socket, "error");
      const state = socket.readyState;
      const close = await Promise.race([event(socket, "close"), new Promise((resolve) => setTimeout(() => resolve("missed"), 5000))]);
      return [type, state, close === "missed" ? close : summary(close)];
    },

    "closed by the server while we close": async () => {
      const socket = new Socket(url("/close?code=1001&reason=away"));
      const close = event(socket, "close");
      socket.onopen = () => socket.close(3000, "ours");
      return summary(await close);
    },

    "the server answers our close with a code of its own": async () => {
      const results = [];
      for (const answer of ["code=4001&reason=mine", "code=1001", "code=1000"]) {
        results.push(await ended(await open(`/answer?${answer}`), 3000, "ours"));
      }
      return results;
    },

    "the server drops the connection in place of an answer": async () => [
      await ended(await open("/answer?drop"), 3000, "ours"),
      await ended(await open("/answer?drop")),
    ],

    "close codes that no server may send": async () => {
      const results = [];
      for (const code of [0, 999, 1004, 1005, 1006, 1007, 1010, 1014, 1015, 1016, 2000, 2999, 3000, 4999, 5000, 65535]) {
        const socket = new Socket(url(`/raw-close?code=${code}`));
        let error = false;
        socket.addEventListener("error", () => {
          error = true;
        });
        results.push([code, summary(await event(socket, "close")), error]);
      }
      return results;
    },

    "messages given before close arrive, also at a server that reads later": async () => {
      const key = crypto.randomUUID();
      const socket = await open(`/later?key=${key}`);
      for (let n = 0; n < 10; n += 1) socket.send(new Uint8Array(1024 * 1024));
      const close = event(socket, "close");
      socket.close(3000, "done");
      await ask(`/read?key=${key}`);
      return [summary(await close), await ask(`/tally?key=${key}`)];
    },

    "a flood of 20,000 messages before close arrives": async () => {
      const key = crypto.randomUUID();
      const socket = await open(`/later?key=${key}`);
      for (let n = 0; n < 20_000; n += 1) socket.send(String(n));
      const close = event(socket, "close");
      socket.close(1000);
      await ask(`/read?key=${key}`);
      return [summary(await close), await ask(`/tally?key=${key}`)];
    },

    "bufferedAmount after close counts on": async () => {
      const socket = await open("/echo");
      await ended(socket);
      const before = socket.bufferedAmount;
      socket.send("é");
      socket.send(new Blob(["123"]));
      socket.send(new Uint8Array(4));
      return [before, socket.bufferedAmount];
    },
  };

  const results = {};
  const names = Object.keys(scenarios).filter((name) => !only || name.includes(only));
  for (const name of names) {
    const late = new Promise((resolve) => setTimeout(() => resolve("nothing within 60 s"), 60_000));
    results[name] = await Promise.race([scenarios[name]().catch((error) => `failed: ${error}`), late]);
  }
  return results;
}
