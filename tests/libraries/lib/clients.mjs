// Each library's client, as its own documentation makes one, with the class or the factory that it takes. `echo` resolves
// with what the server made of a text: the same text. `binary` does so with bytes, where the protocol has them.

import { createRequire } from "node:module";
import { signature } from "./soketi.mjs";

/** The build for browsers, which the package hides from Node. */
const BROWSER_SOCKET_IO = "../node_modules/socket.io-client/dist/socket.io.min.js";

/** Waits for answers that carry the text they answer. */
function answers() {
  const waiting = new Map();
  return {
    take: (text) => {
      waiting.get(text)?.(text);
      waiting.delete(text);
    },
    of: (text, send) =>
      new Promise((resolve) => {
        waiting.set(text, resolve);
        send();
      }),
  };
}

/** Over anything with the interface of a WebSocket that reconnects by itself. */
function plain(socket) {
  const replies = answers();
  let bytes;
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") replies.take(data);
    else bytes?.(data);
  });
  return {
    echo: (text) => replies.of(text, () => socket.send(text)),
    binary: (data) =>
      new Promise((resolve) => {
        bytes = resolve;
        socket.send(data);
      }),
  };
}

export const clients = {
  async "partysocket"(WebSocketClass, url) {
    const { WebSocket } = await import("partysocket");
    return plain(new WebSocket(url, [], { WebSocket: WebSocketClass, minReconnectionDelay: 300, maxReconnectionDelay: 1000 }));
  },

  async "reconnecting-websocket"(WebSocket, url) {
    const module = await import("reconnecting-websocket");
    const Reconnecting = module.default.default ?? module.default;
    return plain(new Reconnecting(url, [], { WebSocket, minReconnectionDelay: 300, maxReconnectionDelay: 1000 }));
  },

  async "graphql-ws"(webSocketImpl, url) {
    const { createClient } = await import("graphql-ws");
    const client = createClient({ url, webSocketImpl, lazy: false, retryAttempts: 1000, retryWait: () => new Promise((wait) => setTimeout(wait, 300)), shouldRetry: () => true });
    return {
      echo: async (text) => {
        const [{ data }] = await all(client.iterate({ query: "query($text: String!) { echo(text: $text) }", variables: { text } }));
        return data.echo;
      },
    };
  },

  async "mqtt"(WebSocketClass, url) {
    // Else it takes Node's own sockets.
    Object.assign(globalThis, { window: globalThis, document: {} });
    const { default: mqtt } = await import("mqtt/dist/mqtt.esm");
    const client = mqtt.connect(url, {
      createWebsocket: (where, protocols) => new WebSocketClass(where, protocols),
      reconnectPeriod: 300,
      keepalive: 5,
      timerVariant: "native",
    });
    const replies = answers();
    client.on("error", () => {});
    client.on("message", (_, payload) => replies.take(payload.toString()));
    client.subscribe("echo", { qos: 1 });
    return { echo: (text) => replies.of(text, () => client.publish("echo", text, { qos: 1 })) };
  },

  async "@stomp/stompjs"(WebSocketClass, url) {
    const { Client } = await import("@stomp/stompjs");
    const replies = answers();
    const client = new Client({
      webSocketFactory: () => new WebSocketClass(url),
      reconnectDelay: 300,
      heartbeatIncoming: 0,
      heartbeatOutgoing: 0,
      onConnect: () => client.subscribe("/back", ({ body }) => replies.take(body)),
    });
    client.activate();
    return {
      echo: async (text) => {
        if (!client.connected) throw new Error("not connected");
        return replies.of(text, () => client.publish({ destination: "/there", body: text }));
      },
    };
  },

  async "phoenix"(transport, url) {
    const { Socket } = await import("phoenix");
    const socket = new Socket(url, { transport, reconnectAfterMs: () => 300, rejoinAfterMs: () => 300, heartbeatIntervalMs: 5000 });
    socket.connect();
    const channel = socket.channel("echo", {});
    channel.join();
    const push = (payload) =>
      new Promise((resolve, reject) =>
        channel.push("echo", payload, 3000).receive("ok", resolve).receive("timeout", () => reject(new Error("timeout"))),
      );
    return { echo: async (text) => (await push({ text })).text };
  },

  async "pusher-js"(_, url) {
    const { default: Pusher } = await import("pusher-js/worker/index.js");
    const { hostname, port } = new URL(url);
    const channelAuthorization = {
      customHandler: ({ socketId, channelName }, done) => done(null, { auth: signature(socketId, channelName) }),
    };
    const pusher = new Pusher("key", { cluster: "", wsHost: hostname, wsPort: Number(port), forceTLS: false, enabledTransports: ["ws"], activityTimeout: 5000, pongTimeout: 2000, channelAuthorization });
    const replies = answers();
    const channel = pusher.subscribe("private-echo");
    channel.bind("client-back", ({ text }) => replies.take(text));
    return {
      echo: async (text) => {
        if (!channel.subscribed) throw new Error(pusher.connection.state);
        return replies.of(text, () => channel.trigger("client-there", { text }));
      },
    };
  },

  async "@microsoft/signalr"(WebSocketClass, url) {
    const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import("@microsoft/signalr");
    const connection = new HubConnectionBuilder()
      .withUrl(url.replace("ws:", "http:"), { WebSocket: WebSocketClass, skipNegotiation: true, transport: HttpTransportType.WebSockets })
      .configureLogging(LogLevel.None)
      .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 300 })
      .build();
    connection.serverTimeoutInMilliseconds = 6000;
    connection.keepAliveIntervalInMilliseconds = 2000;
    await connection.start();
    return { echo: (text) => connection.invoke("Echo", text) };
  },

  async "y-websocket"(WebSocketPolyfill, url) {
    const { WebsocketProvider } = await import("y-websocket");
    const { Doc } = await import("yjs");
    const doc = new Doc();
    new WebsocketProvider(url, "room", doc, { WebSocketPolyfill, disableBc: true, maxBackoffTime: 500 });
    const replies = answers();
    const back = doc.getMap("back");
    back.observe(({ keysChanged }) => {
      for (const key of keysChanged) replies.take(key);
    });
    return { echo: (text) => replies.of(text, () => doc.getMap("there").set(text, true)) };
  },

  async "socket.io-client"(_, url) {
    const { io } = createRequire(import.meta.url)(BROWSER_SOCKET_IO);
    const socket = io(url.replace("ws:", "http:"), { transports: ["websocket"], reconnectionDelay: 300, reconnectionDelayMax: 500, timeout: 3000 });
    return {
      echo: (text) => socket.timeout(3000).emitWithAck("echo", text),
      binary: (data) => socket.timeout(3000).emitWithAck("echo", data),
    };
  },

  async "viem"(_, url) {
    const { createPublicClient, hexToString, stringToHex, webSocket } = await import("viem");
    const client = createPublicClient({ transport: webSocket(url, { reconnect: { delay: 300, attempts: 1000 }, retryCount: 0, timeout: 3000 }) });
    // The contract at address 4 returns what it is called with.
    const to = `0x${"4".padStart(40, "0")}`;
    return { echo: async (text) => hexToString((await client.call({ to, data: stringToHex(text) })).data) };
  },
};

async function all(iterator) {
  const results = [];
  for await (const result of iterator) results.push(result);
  return results;
}
