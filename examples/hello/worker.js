// The whole of a lasting WebSocket in a service worker.
import { connect } from "./longwire.js";

const KEEP = 50;

// At the top level: this registers the listeners that start the worker again.
const bridge = connect();
bridge.on("error", show);
bridge.on("state", () => show());

// Opening the same name again goes on where the worker that died was; with another URL the session is dialled anew.
async function dial() {
  const { url } = await chrome.storage.local.get({ url: "ws://127.0.0.1:8787" });
  return bridge.open("hello", url);
}

async function open() {
  const session = await dial();
  session.onState(() => show());
  session.onGap((gap) => keep({ epoch: "gap", seq: gap.to, text: `(${gap.count} messages lost: ${gap.reason})` }));
  // The message is acknowledged when the promise is fulfilled: it is stored here before it is forgotten elsewhere.
  session.on("message", (m) =>
    keep({ epoch: m.epoch, seq: m.seq, text: m.text ?? "(bytes)", time: m.time, redelivered: m.redelivered }),
  );
  await show();
  return session;
}

async function keep(message) {
  const { messages } = await chrome.storage.local.get({ messages: [] });
  // A worker may die between storing a message and acknowledging it. Then it comes again, under the same number.
  if (messages.some(({ epoch, seq }) => epoch === message.epoch && seq === message.seq)) return;
  await chrome.storage.local.set({ messages: [...messages, message].slice(-KEEP) });
}

function show(error) {
  const session = bridge.sessions.find(({ name }) => name === "hello");
  const state = bridge.state === "ready" && session ? session.state : `${bridge.state} (native host)`;
  const problem = error ? { code: error.code, message: error.message, doctor: error.doctor } : null;
  return chrome.storage.local.set({ state, problem });
}

async function answer(request) {
  // If the native host was missing when the worker started, it may be there now.
  const session = await opening.catch(() => (opening = open()));
  return request.type === "send" ? session.send(request.text) : { state: session.state };
}

// A message from the popup also wakes the worker.
chrome.runtime.onMessage.addListener((request, _sender, respond) => {
  answer(request).then(respond, (error) => respond({ outcome: "failed", error: error.message }));
  return true;
});

chrome.storage.onChanged.addListener((changes, area) => {
  if (area === "local" && changes.url) dial().catch(show);
});

// Last: a URL that changes while the worker starts is either read here or passed to the listener.
let opening = open();
opening.catch(show);
