// Batches of panels: wanted in storage, watched on every connection, finished whatever dies on the way.
import { connect } from "./longwire.js";

const SERVER = "127.0.0.1:8787";
const KEEP = 40;
// Keys in the storage: "wanted " and the id of a batch, with the number of its panels.
const WANTED = "wanted ";

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
  const { [event.batchId]: batch = { done: 0 } } = batches;
  // An event comes again on a new connection, and if a worker died before it had acknowledged it.
  const isRetried = event.type === "retry" && event.panel === batch.retried;
  if (isRetried || event.panel <= batch.done || batch.completed) return;
  if (event.type === "progress") {
    batches[event.batchId] = { ...batch, done: event.panel, of: event.of };
    return chrome.storage.local.set({ batches, progress: { done: event.panel, of: event.of, label: "panels" } });
  }
  const line = `${event.type} ${event.batchId ?? ""} ${batch.of ? `${batch.done}/${batch.of}` : ""}`;
  if (event.type === "retry") batches[event.batchId] = { ...batch, retried: event.panel };
  if (event.type === "completed") batches[event.batchId] = { ...batch, completed: true };
  await chrome.storage.local.set({ batches, lines: [line, ...lines].slice(0, KEEP) });
}

// Each batch that the popup has stored is asked for by every worker until it is complete. The server begins it once.
const asked = new Set();

async function generateWanted() {
  const session = await opening;
  const { batches = {}, ...stored } = await chrome.storage.local.get(null);
  for (const [key, panels] of Object.entries(stored)) {
    if (!key.startsWith(WANTED) || asked.has(key)) continue;
    asked.add(key);
    const batchId = key.slice(WANTED.length);
    if (batches[batchId]?.completed) {
      await chrome.storage.local.remove(key);
      continue;
    }
    generate(session, batchId, panels).catch((error) => {
      asked.delete(key);
      return keep({ type: error.message });
    });
  }
}

function generate(session, batchId, panels) {
  // Sent again on every connection: the server then reports what happened meanwhile.
  session.subscribe(batchId, {
    send: [{ type: "watch", batchId }],
    confirm: { "/type": "watching", "/batchId": batchId },
    // Nobody is woken for the confirmation.
    filter: [{ when: { "/type": "watching" }, do: "drop" }],
  });
  return session.request(
    { type: "generate", id: crypto.randomUUID(), batchId, panels },
    { match: { out: "/id", in: "/id" }, ifLost: "resend" },
  );
}

chrome.storage.onChanged.addListener((changes) => {
  if (Object.keys(changes).some((key) => key.startsWith(WANTED))) generateWanted();
});
generateWanted();
// The popup sends a message when it opens: this listener lets it wake the worker.
chrome.runtime.onMessage.addListener(() => {});
