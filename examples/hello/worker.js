// The whole of a lasting WebSocket in a service worker.
import { connect } from "./longwire.js";

const KEEP = 50;

// At the top level: this registers the listeners that start the worker again.
const bridge = connect();

// Opening the same name again goes on where the worker that died was.
const opening = chrome.storage.local
  .get({ url: "ws://127.0.0.1:8787" })
  .then(({ url }) => bridge.open("hello", url))
  .then((session) => {
    session.onState(show);
    session.onGap((gap) => keep({ epoch: "gap", seq: gap.to, text: `(${gap.count} messages lost: ${gap.reason})` }));
    // The message is acknowledged when the promise is fulfilled: it is stored before it is forgotten elsewhere.
    session.on("message", (m) =>
      keep({ epoch: m.epoch, seq: m.seq, text: m.text ?? "(bytes)", time: m.time, redelivered: m.redelivered }),
    );
    show();
    return session;
  });
opening.catch((error) => show(error));
bridge.on("error", (error) => show(error));
bridge.on("state", () => show());

async function keep(message) {
  const { messages } = await chrome.storage.local.get({ messages: [] });
  // A worker may die between storing a message and acknowledging it. Then it comes again, under the same number.
  if (messages.some(({ epoch, seq }) => epoch === message.epoch && seq === message.seq)) return;
  await chrome.storage.local.set({ messages: [...messages, message].slice(-KEEP) });
}

function show(change) {
  const session = bridge.sessions.find(({ name }) => name === "hello");
  const problem = change instanceof Error ? { message: change.message, doctor: change.doctor } : null;
  chrome.storage.local.set({ state: session?.state ?? bridge.state, problem });
}

// A message from the popup also wakes the worker.
chrome.runtime.onMessage.addListener((request, _sender, answer) => {
  if (request.type === "send") {
    opening
      .then((session) => session.send(request.text))
      .then(answer, (error) => answer({ outcome: "failed", error: error.message }));
    return true;
  }
  if (request.type === "state") {
    opening.then(
      (session) => answer({ state: session.state }),
      (error) => answer({ state: bridge.state, error: error.message }),
    );
    return true;
  }
});

// Another URL: the session is redialled.
chrome.storage.onChanged.addListener((changes, area) => {
  if (area === "local" && changes.url?.newValue) bridge.open("hello", changes.url.newValue).catch(show);
});
