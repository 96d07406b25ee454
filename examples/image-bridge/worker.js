// A batch of panels: asked for once, watched on every connection, finished whatever dies on the way.
import { connect } from "./longwire.js";

const SERVER = "127.0.0.1:8787";
const KEEP = 40;

// The host of this bridge has a name of its own; see README.md.
const bridge = connect({ host: "com.semantest.bridge" });

// The same tasks as a poll or as an event stream, where no WebSocket gets through.
const options = {
  transports: ["websocket", "sse", "poll"],
  urls: { sse: `http://${SERVER}/events`, poll: `http://${SERVER}/tasks/pending` },
  poll: { interval: 5000, items: "/tasks", cursor: { item: "/id", query: "after" } },
  post: { url: `http://${SERVER}/tasks/result` },
  format: "json",
};

const opening = bridge.open("batches", `ws://${SERVER}`, options).then((session) => {
  session.onState(({ state }) => chrome.storage.local.set({ state }));
  session.on("message", ({ json }) => keep(json));
  session.onGap((gap) => keep({ type: `(${gap.count} lost: ${gap.reason})` }));
  return session;
});
opening.catch((error) => chrome.storage.local.set({ state: error.message }));

async function keep(event) {
  const { lines = [], batches = {} } = await chrome.storage.local.get(["lines", "batches"]);
  if (event.type === "progress") {
    // A panel that is reported twice counts once.
    const batch = { done: Math.max(event.panel, batches[event.batchId]?.done ?? 0), of: event.of };
    batches[event.batchId] = batch;
    return chrome.storage.local.set({ batches, progress: { ...batch, label: "panels" } });
  }
  const done = batches[event.batchId];
  const line = `${event.type} ${event.batchId ?? ""} ${done ? `${done.done}/${done.of}` : ""}`;
  await chrome.storage.local.set({ lines: [line, ...lines].slice(0, KEEP) });
}

chrome.runtime.onMessage.addListener((request) => {
  if (request.type === "go") generate(500);
});

async function generate(panels) {
  const session = await opening;
  const batchId = crypto.randomUUID();
  // Sent again on every connection: the server then reports what happened meanwhile.
  session.subscribe(batchId, {
    send: [{ type: "watch", batchId }],
    confirm: { "/type": "watching", "/batchId": batchId },
  });
  await session.request(
    { type: "generate", id: batchId, batchId, panels },
    { match: { out: "/id", in: "/id" }, ifLost: "resend" },
  );
}
