// What a WebSocket does, as a list of things to do with one. Each runs in a page, once with the browser's own class and
// once with ours; what they return must be equal. It imports nothing: the page gets it as text.

/** Runs every scenario with `Socket` against the odd server at `base`; returns results by name. */
export async function conformance(socketName, base, only) {
  const { LongwireSocket } = await import("./longwire.js");
  const Socket = socketName === "native" ? WebSocket : LongwireSocket;
  const url = (path) => base + path;
  const key = () => crypto.randomUUID();

  /** Records the events of a socket until it is closed. */
  function log(socket) {
    const lines = [];
    const all = new Promise((resolve) => {
      socket.addEventListener("open", () => lines.push(`open ${socket.readyState}`));
      socket.addEventListener("error", (event) => lines.push(`error ${socket.readyState} ${event.constructor.name}`));
      socket.addEventListener("message", ({ data }) =>
        lines.push(`message ${typeof data === "string" ? data : Object.prototype.toString.call(data)}`),
      );
      socket.addEventListener("close", ({ code, reason, wasClean }) => {
        lines.push(`close ${socket.readyState} ${code} ${wasClean} ${reason}`.trim());
        // What comes after a close would be wrong: give it a moment to come.
        setTimeout(() => resolve(lines), 50);
      });
    });
    return { lines, all };
  }
  const opened = (socket) =>
    new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve(socket), { once: true });
      socket.addEventListener("close", ({ code }) => reject(new Error(`closed ${code}`)), { once: true });
    });
  const open = (path, protocols) => opened(protocols === undefined ? new Socket(url(path)) : new Socket(url(path), protocols));
  const messages = (socket, count) =>
    new Promise((resolve) => {
      const got = [];
      socket.addEventListener("message", ({ data }) => {
        got.push(data);
        if (got.length === count) resolve(got);
      });
    });
  const caught = (work) => {
    try {
      work();
      return "nothing thrown";
    } catch (error) {
      return `${error.constructor.name} ${error.name}`;
    }
  };
  const closed = (socket) =>
    new Promise((resolve) => {
      socket.addEventListener("close", ({ code, wasClean }) => resolve([code, wasClean]), { once: true });
      socket.close();
    });
  const bytes = async (data) =>
    data instanceof Blob
      ? [data.type, ...new Uint8Array(await data.arrayBuffer())]
      : [data.constructor.name, ...new Uint8Array(data)];

  const scenarios = {
    "constants on the class and on instances": async () => {
      const socket = new Socket(url("/echo"));
      const names = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
      const result = [names.map((name) => Socket[name]), names.map((name) => socket[name]), socket instanceof EventTarget];
      await closed(socket);
      return result;
    },

    "constructor: what is refused": async () =>
      [
        ["x y z"],
        ["ftp://127.0.0.1/"],
        ["about:blank"],
        ["ws://127.0.0.1/#fragment"],
        ["ws://127.0.0.1/#"],
        ["ws://"],
        ["ws://127.0.0.1:99999/"],
        [],
        [url("/echo"), ["a", "a"]],
        [url("/echo"), ["a", "A"]],
        [url("/echo"), ""],
        [url("/echo"), [""]],
        [url("/echo"), "a b"],
        [url("/echo"), ["é"]],
        [url("/echo"), ["a,b"]],
        [url("/echo"), "\u007f"],
        [url("/echo"), {}],
        [url("/echo"), new Set(["a", "a"])],
      ].map((given) => [JSON.stringify(given), caught(() => closed(new Socket(...given)))]),

    "constructor: how a URL is resolved": async () => {
      const given = [url("/echo"), `${url("")}`, `${url("/a b?c=d e")}`, url("/echo").replace("ws:", "http:"), new URL(url("/echo"))];
      const made = given.map((one) => new Socket(one));
      const result = made.map((socket) => socket.url);
      await Promise.all(made.map(closed));
      return result;
    },

    "a new socket": async () => {
      const socket = new Socket(url("/echo"));
      const { readyState, bufferedAmount, protocol, extensions, binaryType, onopen, onmessage, onerror, onclose } = socket;
      await closed(socket);
      return [readyState, bufferedAmount, protocol, extensions, binaryType, onopen, onmessage, onerror, onclose];
    },

    "send while connecting": async () => {
      const socket = new Socket(url("/echo"));
      const result = [caught(() => socket.send("x")), caught(() => socket.send()), socket.bufferedAmount];
      await closed(socket);
      return result;
    },

    "text comes back": async () => {
      const socket = await open("/echo");
      const answers = messages(socket, 4);
      for (const text of ["", "plain", "é€😀\u0000", "lone \ud800!"]) socket.send(text);
      const result = await answers;
      await closed(socket);
      return result;
    },

    "everything that can be sent, in order": async () => {
      const socket = await open("/echo");
      socket.binaryType = "arraybuffer";
      const data = new Uint8Array([1, 2, 3, 4]);
      const given = ["a", new Blob([data]), "b", data.buffer, data.subarray(1, 3), new DataView(data.buffer, 2), new Blob([]), 7, null, undefined, { a: 1 }, [1, 2], true];
      const answers = messages(socket, given.length);
      for (const one of given) socket.send(one);
      const result = await Promise.all((await answers).map((one) => (typeof one === "string" ? one : bytes(one))));
      await closed(socket);
      return result;
    },

    "what cannot be sent": async () => {
      const socket = await open("/echo");
      const refused = [() => socket.send(), () => socket.send(Symbol("x")), () => socket.send(Object.create(null))].map(caught);
      await closed(socket);
      return refused;
    },

    "binaryType": async () => {
      const socket = await open("/echo");
      const result = [socket.binaryType];
      for (const type of ["blob", "arraybuffer", "nonsense"]) {
        socket.binaryType = type;
        result.push(socket.binaryType);
        const [answer] = await (socket.send(new Uint8Array([5, 6])), messages(socket, 1));
        result.push(await bytes(answer));
      }
      await closed(socket);
      return result;
    },

    "subprotocol chosen by the server": async () => {
      const socket = await open("/echo?choose=v1", ["v2", "v1"]);
      const result = [socket.protocol, await closed(socket)];
      return result;
    },

    "subprotocol as one string": async () => {
      const socket = await open("/echo", "only");
      return [socket.protocol, await closed(socket)];
    },

    "subprotocols offered and none chosen": () => log(new Socket(url("/close?choose=&code=4000"), ["v1"])).all,

    "subprotocols that are no list are text": async () => {
      const chosen = [];
      for (const given of [null, 5, new Set(["a", "b"])]) {
        const socket = await open("/echo", given);
        chosen.push(socket.protocol);
        await closed(socket);
      }
      return chosen;
    },

    "subprotocol that was not offered": () => log(new Socket(url("/close?choose=other&code=4000"), ["v1"])).all,

    "messages that come with the connection": async () => {
      const socket = new Socket(url("/greet"));
      const { lines } = log(socket);
      await messages(socket, 3);
      const result = [...lines];
      await closed(socket);
      return result;
    },

    "a thousand messages keep their order": async () => {
      const socket = new Socket(url("/count?n=1000"));
      const got = await messages(socket, 1000);
      await closed(socket);
      return got.every((text, at) => text === String(at + 1));
    },

    "a message event": async () => {
      const socket = await open("/echo");
      const event = await new Promise((resolve) => {
        socket.onmessage = resolve;
        socket.send("x");
      });
      const { type, data, origin, lastEventId, source, ports, bubbles, cancelable } = event;
      await closed(socket);
      return [event.constructor.name, type, data, origin, lastEventId, source, ports.length, bubbles, cancelable, event.target === socket];
    },

    "a close event": async () => {
      const socket = new Socket(url("/close?code=4001&reason=enough"));
      const event = await new Promise((resolve) => {
        socket.onclose = resolve;
      });
      const { type, code, reason, wasClean, bubbles, cancelable } = event;
      return [event.constructor.name, type, code, reason, wasClean, bubbles, cancelable];
    },

    "closed by the server: code and reason": () => log(new Socket(url(`/close?code=4001&reason=${encodeURIComponent("genug é")}`))).all,
    "closed by the server: 1000": () => log(new Socket(url("/close?code=1000"))).all,
    "closed by the server: 1001": () => log(new Socket(url("/close?code=1001&reason=away"))).all,
    "closed by the server: 1008": () => log(new Socket(url("/close?code=1008&reason=policy"))).all,
    "closed by the server: 1011": () => log(new Socket(url("/close?code=1011&reason=fault"))).all,
    "closed by the server: 4401": () => log(new Socket(url("/close?code=4401&reason=who"))).all,
    "closed by the server: no code": () => log(new Socket(url("/close"))).all,
    "closed by the server after a message": () => log(new Socket(url("/close?say=last&code=4002"))).all,
    "dropped by the server": () => log(new Socket(url("/drop"))).all,
    "refused with 404": () => log(new Socket(url("/nowhere"))).all,
    "nobody listens": () => log(new Socket("ws://127.0.0.1:9/")).all,

    "close: what is refused": async () => {
      const socket = await open("/echo");
      const given = [[0], [999], [1001], [1005], [1006], [2999], [5000], [70000], ["x"], [1000, "x".repeat(124)], [1000, "é".repeat(62)]];
      const result = given.map((one) => [JSON.stringify(one), caught(() => socket.close(...one))]);
      return [result, socket.readyState, await closed(socket)];
    },

    "close with code and reason": async () => {
      const id = key();
      const socket = await open(`/record?key=${id}`);
      const { all } = log(socket);
      socket.close(3001, "bye é");
      const state = socket.readyState;
      const lines = await all;
      const server = JSON.parse((await messages(await open(`/replay?key=${id}`), 1))[0]);
      return [state, lines, server];
    },

    "close without a code": async () => {
      const id = crypto.randomUUID();
      const socket = await open(`/record?key=${id}`);
      const { all } = log(socket);
      socket.close();
      const lines = await all;
      const server = JSON.parse((await messages(await open(`/replay?key=${id}`), 1))[0]);
      return [lines, server];
    },

    "close with a code and an empty reason": async () => {
      const socket = await open("/echo");
      const { all } = log(socket);
      socket.close(1000, "");
      return all;
    },

    "close twice, and send afterwards": async () => {
      const socket = await open("/echo");
      const { all } = log(socket);
      socket.close(3002, "first");
      socket.close(3003, "second");
      const during = [caught(() => socket.send("12345")), socket.bufferedAmount];
      const lines = await all;
      socket.close();
      const after = [caught(() => socket.send(new Uint8Array(3))), socket.bufferedAmount];
      return [during, lines, after];
    },

    "close while connecting": async () => {
      const socket = new Socket(url("/echo"));
      const { all } = log(socket);
      socket.close();
      const state = socket.readyState;
      return [state, await all];
    },

    "close while the server does not answer": async () => {
      const socket = new Socket(url("/never"));
      const { all } = log(socket);
      // Answered as soon as the server has been asked for the socket.
      await fetch(url("/asked").replace("ws:", "http:"), { mode: "no-cors" });
      socket.close(3000, "tired");
      return [socket.readyState, await all];
    },

    "what was sent before close arrives": async () => {
      const id = key();
      const socket = await open(`/record?key=${id}`);
      const { all } = log(socket);
      for (let n = 0; n < 100; n += 1) socket.send(String(n));
      socket.send(new Blob(["blob"]));
      socket.close(1000);
      await all;
      const [text] = await messages(await open(`/replay?key=${id}`), 1);
      return JSON.parse(text);
    },

    "no message after close": async () => {
      const socket = await open("/chatter");
      await messages(socket, 5);
      let late = 0;
      const { all } = log(socket);
      socket.close();
      socket.addEventListener("message", () => {
        late += 1;
      });
      const lines = await all;
      return [late, lines.filter((line) => line.startsWith("message")).length, lines.at(-1)];
    },

    "bufferedAmount": async () => {
      const socket = await open("/echo");
      const answers = messages(socket, 3);
      socket.send("é");
      const one = socket.bufferedAmount;
      socket.send(new Uint8Array(10));
      socket.send(new Blob(["123"]));
      const all = socket.bufferedAmount;
      await answers;
      while (socket.bufferedAmount > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await closed(socket);
      return [one, all, socket.bufferedAmount];
    },

    "event handler attributes": async () => {
      const socket = await open("/echo");
      const seen = [];
      socket.onmessage = () => seen.push("replaced");
      socket.addEventListener("message", () => seen.push("listener"));
      socket.onmessage = function handler(event) {
        seen.push(["attribute", this === socket, event.type]);
      };
      const kept = socket.onmessage.name;
      await (socket.send("x"), messages(socket, 1));
      socket.onmessage = 5;
      const afterNumber = socket.onmessage;
      const object = { handleEvent: () => seen.push("handleEvent") };
      socket.onmessage = object;
      const afterObject = socket.onmessage === object;
      await (socket.send("y"), messages(socket, 1));
      socket.onmessage = null;
      await (socket.send("z"), messages(socket, 1));
      await closed(socket);
      return [kept, seen, afterNumber, afterObject];
    },

    "a listener that throws does not keep others from hearing": async () => {
      const socket = await open("/echo");
      const complaint = (event) => event.preventDefault();
      addEventListener("error", complaint);
      const seen = [];
      socket.addEventListener("message", () => {
        throw new Error("on purpose");
      });
      socket.addEventListener("message", ({ data }) => seen.push(data));
      for (const text of ["a", "b"]) await (socket.send(text), messages(socket, 1));
      removeEventListener("error", complaint);
      await closed(socket);
      return seen;
    },

    "closing in the open handler": async () => {
      const socket = new Socket(url("/greet"));
      const { all } = log(socket);
      socket.onopen = () => socket.close(3000, "at once");
      return all;
    },

    "5 MB of bytes and 2 MB of text come back": async () => {
      const socket = await open("/echo");
      socket.binaryType = "arraybuffer";
      const big = new Uint8Array(5 * 1024 * 1024).map((_, at) => (at * 31) % 251);
      const text = "é".repeat(1024 * 1024);
      const answers = messages(socket, 2);
      socket.send(big);
      socket.send(text);
      const [first, second] = await answers;
      const same = new Uint8Array(first).every((byte, at) => byte === big[at]);
      await closed(socket);
      return [first.byteLength, same, second === text];
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
