// Requests and server events side by side on Socket.IO. The popup sees the same through storage; it could as well hold
// the session itself, as another client.
import { connect } from "./longwire.js";

const KEEP = 40;
const bridge = connect();
// The allowed messages, their rates and their types: everything else is refused with a clear error.
const guard = {
  send: [
    { when: { event: "fight" }, rate: { messages: 5, per: 1000 } },
    { when: { event: "ask" }, types: { "/0/text": "string" } },
    { when: { event: ["join", "restart"] } },
    { do: "deny" },
  ],
  receive: [{ when: { event: "combat" }, types: { "/0/round": "integer", "/0/hp": "object" } }],
};

const options = { protocol: "socket.io", guard };
const opening = bridge.open("agent", "http://127.0.0.1:8788", options).then((session) => {
  session.onState(({ state, continuity }) => chrome.storage.local.set({ state: `${state} ${continuity ?? ""}` }));
  // Said on every connection: the server tells its state then, so a restart leaves nothing out of step.
  session.subscribe("world", { send: [{ event: "join", args: ["world"] }] });
  session.onEvent("state", ({ args: [state] }) => note(`state ${state.version}`));
  // Several callbacks for one event are fine; each returns what removes it.
  session.onEvent("combat", async ({ args: [update] }) => {
    const done = ((update.round - 1) % 10) + 1;
    await chrome.storage.local.set({ progress: { done, of: 10, label: "rounds" } });
    await note(`round ${update.round}: ${JSON.stringify(update.hp)}`);
  });
  const off = session.onEvent("combat", () => {
    off();
    return note("(the first round)");
  });
  for (const event of ["typing", "notification", "suggestion"]) {
    session.onEvent(event, ({ args: [about] }) => note(`${event}: ${JSON.stringify(about)}`));
  }
  return session;
});
opening.catch((error) => chrome.storage.local.set({ state: error.message }));

// One after the other: answers come beside events, and an event may have two callbacks; two writers at once would lose a
// line. One that could not be written does not keep the next from it.
let noting = Promise.resolve();

function note(line) {
  noting = noting.catch(() => {}).then(async () => {
    const { lines = [] } = await chrome.storage.local.get("lines");
    await chrome.storage.local.set({ lines: [line, ...lines].slice(0, KEEP) });
  });
  return noting;
}

chrome.runtime.onMessage.addListener((request) => {
  if (request.type === "go") ask("hello").catch((error) => note(error.message));
});

async function ask(text) {
  const session = await opening;
  const question = { event: "ask", args: [{ id: crypto.randomUUID(), text }] };
  const answer = await session.request(question, { match: { ack: true }, timeout: 5000 });
  await note(`answer: ${JSON.stringify(answer.args?.[0])}`);
  await session.emit("fight");
}
