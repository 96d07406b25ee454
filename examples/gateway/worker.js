// A pushing gateway in place of polling: the broker drains it at once, so the gateway never takes this client for slow.
import { connect } from "./longwire.js";

const KEEP = 40;
const bridge = connect();

const opening = bridge
  .open("gateway", "ws://127.0.0.1:8790/ws", {
    format: "json",
    maxMessage: 512 * 1024,
    // Sent on every connection; the answer identifies the server process.
    greeting: [{ json: { type: "hello", payload: "worker" } }],
    ready: { "/type": "welcome" },
  })
  .then((session) => {
    session.onState(({ state, code, retryIn }) =>
      chrome.storage.local.set({ state: `${state} ${code ?? ""} ${retryIn ? `again in ${retryIn} ms` : ""}` }),
    );
    session.on("message", async ({ json: { type, payload } }) => {
      if (type === "tick") {
        const done = ((payload.n - 1) % 10) + 1;
        await chrome.storage.local.set({ progress: { done, of: 10, label: "ticks" } });
      }
      if (type !== "welcome") return note(`${type} ${JSON.stringify(payload)}`);
      const { instance } = await chrome.storage.local.get("instance");
      if (instance && instance !== payload.instance) await note("the server was restarted: fetch everything anew");
      await chrome.storage.local.set({ instance: payload.instance });
    });
    return session;
  });
opening.catch((error) => chrome.storage.local.set({ state: error.message }));

async function note(line) {
  const { lines = [] } = await chrome.storage.local.get("lines");
  await chrome.storage.local.set({ lines: [line, ...lines].slice(0, KEEP) });
}

chrome.runtime.onMessage.addListener(async (request) => {
  if (request.type === "go") await (await opening).send({ type: "flood", payload: { count: 10 } });
});
