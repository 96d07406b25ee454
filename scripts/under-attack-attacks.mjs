// The attacks of `under-attack`, each in a thread of its own: what an attack costs must not delay the clock that measures.
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { constants, deflateRawSync } from "node:zlib";
import { flood, frame, Host, server, upgrade } from "./under-attack-servers.mjs";

export const attacks = {
  nothing: () => {},
  "10,000 connections that say nothing": ({ socket, stop }) => {
    const open = [];
    const timer = setInterval(() => {
      for (let each = 0; each < 200 && open.length < 10_000; each++) {
        const connection = connect(socket);
        connection.on("error", () => {});
        open.push(connection);
      }
    }, 20);
    stop.push(() => clearInterval(timer), () => open.forEach((each) => each.destroy()));
  },
  "garbage and torn frames on the local socket": ({ socket, stop }) => {
    const garbage = Buffer.alloc(1 << 20, "\x00\x00\x01\x00{");
    const torn = Buffer.concat([Buffer.from(Uint32Array.of(60 << 20).buffer), Buffer.alloc(1 << 20, "x")]);
    const timer = setInterval(() => {
      for (const bytes of [garbage, torn]) {
        const connection = connect(socket, () => connection.end(bytes));
        connection.on("error", () => {});
      }
    }, 5);
    stop.push(() => clearInterval(timer));
  },
  "frames that are broken": ({ host, stop }) => {
    const timer = setInterval(() => {
      for (let each = 0; each < 500; each++) host.say({ type: "open", id: `${each}`, session: each, url: [] });
    }, 10);
    stop.push(() => clearInterval(timer));
  },
  "questions whose answers nobody reads": ({ host, stop }) => {
    host.stopReading();
    const timer = setInterval(() => {
      for (let each = 0; each < 500; each++) host.say({ type: "open", id: `${each}`, session: "s", url: "nonsense" });
    }, 10);
    stop.push(() => clearInterval(timer));
  },
  "frames in parts, never whole": ({ host }) => {
    const data = "x".repeat(16 << 20);
    for (let part = 0; part < 8; part++) host.say({ type: "part", part: `p${part}`, index: 0, last: false, data });
  },
  "20 subscriptions of 16 MB": ({ host }) => {
    host.open("s", "ws://127.0.0.1:1/", { reconnect: { minDelay: 60000, maxDelay: 60000 } });
    const undo = [{ text: "x".repeat(16 << 20) }];
    for (let key = 0; key < 20; key++) host.say({ type: "subscribe", session: "s", id: `${key}`, key: `${key}`, undo });
  },
  "a server that floods empty messages": async ({ host, serve }) => {
    const blob = Buffer.concat(Array(10_000).fill(frame(1, "")));
    const port = await serve((socket, head) => (upgrade(socket, head), flood(socket, blob)));
    host.open("s", `ws://127.0.0.1:${port}/`, { queue: { messages: 1e12 }, window: { messages: 0, bytes: 0 } });
  },
  "a guard with 4,096 values, and a flood": async ({ host, serve }) => {
    const blob = Buffer.concat(Array(1000).fill(frame(1, '{"id":-1}')));
    const port = await serve((socket, head) => (upgrade(socket, head), flood(socket, blob)));
    const when = { "/id": Array.from({ length: 4096 }, (_, id) => id) };
    host.open("s", `ws://127.0.0.1:${port}/`, { format: "json", guard: { receive: [{ when, do: "deny" }] } });
  },
  "an event stream with an id of 32 MB": async ({ host, serve }) => {
    const port = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: ");
      socket.write(Buffer.alloc(32 << 20, "A"));
      socket.write(`\ndata: 1\n\n${"data:x\n\n".repeat(1000)}`);
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "sse" });
  },
  "6,000 placeholders of one attachment": async ({ host, serve }) => {
    const port = await serve((socket, head) => {
      upgrade(socket, head);
      socket.write(frame(1, '0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'));
      socket.write(frame(1, '40{"sid":"x"}'));
      socket.write(frame(1, `451-["e",${Array(6000).fill('{"_placeholder":true,"num":0}').join()}]`));
      socket.write(frame(2, Buffer.alloc(1 << 20)));
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "socket.io", socketio: { transports: ["websocket"] } });
  },
  "250 sessions that redial a closed port": async ({ host, serve, stop }) => {
    const port = await serve(() => {});
    stop.shift()();
    const reconnect = { minDelay: 1, maxDelay: 1, factor: 1 };
    for (let each = 0; each < 250; each++) host.open(`s${each}`, `ws://127.0.0.1:${port}/`, { reconnect });
  },
  "messages of 60 MB of JSON, and an open request": async ({ host, serve }) => {
    const text = `{"id":-1,"a":[${"1,".repeat(30 << 20)}1]}`;
    const message = frame(1, text);
    const port = await serve((socket, head) => (upgrade(socket, head), flood(socket, message)));
    host.open("s", `ws://127.0.0.1:${port}/`, { format: "json", guard: { receive: [{ when: { "/id": 1 }, do: "deny" }] } });
    host.say({ type: "request", session: "s", id: "r", json: { id: 1 }, match: { jsonrpc: true }, timeout: 1e9 });
  },
  "answers of 60 MB of items to a poll": async ({ host, serve }) => {
    const body = Buffer.from(`{"items":[${"1,".repeat(30 << 20)}1]}`);
    const port = await serve((socket) => {
      const answer = () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        socket.write(body);
      };
      socket.on("data", answer);
      answer();
    });
    const poll = { items: "/items", interval: 1 };
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "poll", poll });
  },
  "Engine.IO bodies of 8 million packets": async ({ host, serve }) => {
    const body = Buffer.from(Array(8 << 20).fill("6").join("\x1e"));
    const port = await serve((socket, head) => {
      const send = (text) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`);
        socket.write(text);
      };
      const answer = (request) => {
        if (request.startsWith("POST")) return send("ok");
        if (request.includes("sid=")) return send(body);
        return send('0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}');
      };
      socket.on("data", (chunk) => answer(chunk.toString("latin1")));
      answer(head);
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "socket.io", socketio: { transports: ["polling"] } });
  },
  "Socket.IO events of 60 MB": async ({ host, serve }) => {
    const event = frame(1, `42["e","\\u0041",[${"1,".repeat(30 << 20)}1]]`);
    const port = await serve((socket, head) => {
      upgrade(socket, head);
      socket.write(frame(1, '0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'));
      socket.write(frame(1, '40{"sid":"x"}'));
      flood(socket, event);
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "socket.io", socketio: { transports: ["websocket"] } });
  },
  "an event stream of 60 MB events": async ({ host, serve }) => {
    const event = Buffer.from(`data: [${"1,".repeat(30 << 20)}1]\n\n`);
    const port = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
      flood(socket, event);
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "sse", format: "json" });
  },
  "an event stream that floods events of one byte": async ({ host, serve }) => {
    const blob = Buffer.from("data:x\n\n".repeat(100_000));
    const port = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
      flood(socket, blob);
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "sse", window: { messages: 0, bytes: 0 } });
  },
  "messages of 60 MB for a session on disk": async ({ host, serve }) => {
    const message = frame(2, Buffer.alloc(60 << 20));
    const port = await serve((socket, head) => (upgrade(socket, head), flood(socket, message)));
    host.open("s", `ws://127.0.0.1:${port}/`, { durability: "disk", queue: { bytes: 200 << 20 } });
  },
  "compressed messages that inflate a thousand times": async ({ host, serve }) => {
    const bomb = deflateRawSync(Buffer.alloc(48 << 20), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    const message = frame(2, bomb);
    message[0] |= 0x40;
    const port = await serve((socket, head) => (upgrade(socket, head, "permessage-deflate"), flood(socket, message)));
    host.open("s", `ws://127.0.0.1:${port}/`);
  },
  "messages of 60 MB that nobody reads to their end": async ({ host, serve }) => {
    const half = frame(2, Buffer.alloc(60 << 20)).subarray(0, 50 << 20);
    const port = await serve((socket, head) => (upgrade(socket, head), socket.write(half)));
    for (let each = 0; each < 40; each++) host.open(`s${each}`, `ws://127.0.0.1:${port}/`);
  },
  "frames of 60 MB from the extension": ({ host, stop }) => {
    host.open("s", "ws://127.0.0.1:1/", { guard: { send: [{ when: { "/id": 1 }, do: "deny" }] } });
    const json = Array(8 << 20).fill(1);
    const timer = setInterval(() => host.say({ type: "send", session: "s", json }), 1000);
    stop.push(() => clearInterval(timer));
  },
  "events of 60 MB from the extension to Socket.IO": async ({ host, serve, stop }) => {
    const port = await serve((socket, head) => {
      upgrade(socket, head);
      socket.write(frame(1, '0{"sid":"a","upgrades":[],"pingInterval":250000,"pingTimeout":200000,"maxPayload":1000000000}'));
      socket.write(frame(1, '40{"sid":"x"}'));
      socket.resume();
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "socket.io", socketio: { transports: ["websocket"] } });
    const args = Array(8 << 20).fill(1);
    args.push({ $base64: "QUJD".repeat(4 << 20) });
    const timer = setInterval(() => host.say({ type: "send", session: "s", event: "e", args }), 1000);
    stop.push(() => clearInterval(timer));
  },
  "control frames, fragments of one byte, a head without end": async ({ host, serve }) => {
    const pings = Buffer.concat(Array(10_000).fill(frame(9, "p")));
    const pinging = await serve((socket, head) => (upgrade(socket, head), flood(socket, pings)));
    host.open("pings", `ws://127.0.0.1:${pinging}/`);
    const one = frame(0, "x");
    one[0] = 0;
    const pieces = Buffer.concat(Array(100_000).fill(one));
    const fragments = await serve((socket, head) => {
      upgrade(socket, head);
      socket.write(Buffer.from([1, 1, 0x78]));
      flood(socket, pieces);
    });
    host.open("fragments", `ws://127.0.0.1:${fragments}/`);
    const headless = await serve((socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\n");
      flood(socket, "X-Header: value\r\n".repeat(1000));
    });
    host.open("head", `ws://127.0.0.1:${headless}/`, { reconnect: { minDelay: 1, maxDelay: 1 } });
  },
  "cookies in every answer": async ({ host, serve }) => {
    let number = 0;
    const port = await serve((socket) => {
      const answer = () => {
        const cookies = Array.from({ length: 200 }, () => `Set-Cookie: k${number++}=${"v".repeat(230)}\r\n`).join("");
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${cookies}\r\nok`);
      };
      socket.on("data", answer);
      answer();
    });
    host.open("s", `http://127.0.0.1:${port}/`, { protocol: "poll", poll: { interval: 1 } });
  },
  "sessions on disk in ever new profiles": ({ host, stop }) => {
    let profile = 0;
    const timer = setInterval(() => {
      host.say({ type: "hello", protocol: 1, profile: `p${profile++}` });
      for (let each = 0; each < 50; each++) host.open(`s${each}`, "wss://203.0.113.1/", { durability: "disk", linger: 1 });
    }, 50);
    stop.push(() => clearInterval(timer));
  },
};

if (workerData?.attack) {
  const { attack, env, socket } = workerData;
  const stop = [];
  const serve = async (handler) => {
    const one = await server(handler);
    stop.unshift(one.end);
    return one.port;
  };
  const host = new Host(env, "a", { isRead: false });
  await attacks[attack]({ host, serve, stop, socket });
  parentPort.once("message", () => {
    for (const each of stop) each();
    host.end();
    process.exit();
  });
  parentPort.postMessage("started");
}
