// Notifications of a canvas: a token in the URL, a subscription that the server confirms, an application heartbeat.
import { connect } from "./longwire.js";

const KEEP = 40;
const bridge = connect();

const opening = bridge
  .open("canvas", "ws://127.0.0.1:8789/ws", {
    format: "json",
    auth: "provider",
    // This server means "not authorised" by it.
    closeCodes: { 1008: "auth" },
    ready: { "/type": "connection" },
    heartbeat: { interval: 25_000, timeout: 10_000, message: { json: { type: "ping" } }, expect: { "/type": "pong" } },
  })
  .then((session) => {
    // The token lives in memory only, and is shown nowhere: no log, no status has a query.
    session.onAuth(async () => {
      const { token = "a.demo.token" } = await chrome.storage.session.get("token");
      return { url: `ws://127.0.0.1:8789/ws?userId=u1&sessionId=s1&token=${token}` };
    });
    session.onState(({ state, code }) => chrome.storage.local.set({ state: `${state} ${code ?? ""}` }));
    session.subscribe("s1", {
      send: [{ type: "subscribe", sessionId: "s1" }],
      undo: [{ type: "unsubscribe" }],
      confirm: { "/type": "subscribed", "/sessionId": "s1" },
      // Whoever sleeps is not woken for the greeting.
      filter: [{ when: { "/type": ["connection", "subscribed"] }, do: "drop" }],
    });
    session.on("message", async ({ json }) => {
      for (const event of json.type === "batch_update" ? json.messages : [json]) {
        const done = event.progress?.chunksReceived;
        if (done) await chrome.storage.local.set({ progress: { done, of: Math.max(done, 5), label: "chunks" } });
        await note(`${event.type} ${done ?? ""}`);
      }
    });
    return session;
  });
opening.catch((error) => chrome.storage.local.set({ state: error.message }));

async function note(line) {
  const { lines = [] } = await chrome.storage.local.get("lines");
  await chrome.storage.local.set({ lines: [line, ...lines].slice(0, KEEP) });
}

chrome.runtime.onMessage.addListener(async (request) => {
  if (request.type === "go") await (await opening).send({ type: "generate", sessionId: "s1", prompt: "a cat" });
});
