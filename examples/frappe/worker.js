// Frappe's realtime events with the cookie of the user who is signed in to Desk.
import { connect } from "./longwire.js";

const SITE = "http://127.0.0.1:9000";
const KEEP = 40;
const bridge = connect();

const opening = bridge
  .open("frappe", SITE, {
    protocol: "socket.io",
    socketio: { namespaces: ["/site1.local"] },
    // Frappe compares this with the Host it is asked on.
    headers: { Origin: SITE },
    auth: "provider",
  })
  .then((session) => {
    // Asked before the first dial, and whenever the cookie was refused.
    session.onAuth(async () => {
      const cookie = await chrome.cookies.get({ url: SITE, name: "sid" });
      if (!cookie) throw new Error("sign in to Desk first");
      return credentials(cookie);
    });
    session.onState(({ state, reason }) => chrome.storage.local.set({ state: `${state} ${reason ?? ""}` }));
    session.onEvent("ai_progress", async ({ args: [{ task, percent }] }) => {
      await chrome.storage.local.set({ progress: { done: percent, of: 100, label: task } });
      await note(`${task}: ${percent} %`);
    });
    session.onEvent("msgprint", ({ args: [{ message }] }) => note(message));
    // This is data and is never evaluated.
    session.onEvent("eval_js", ({ args: [code] }) => note(`the server wanted to run: ${code}`));
    return session;
  });
opening.catch((error) => chrome.storage.local.set({ state: error.message }));

const credentials = ({ value }) => ({ headers: { Cookie: `sid=${value}` } });

// The user has signed in: the broker does not request credentials again, so provide them.
chrome.cookies.onChanged.addListener(async ({ cookie, removed }) => {
  if (removed || cookie.name !== "sid" || cookie.domain !== new URL(SITE).hostname) return;
  const session = await opening;
  if (session.state !== "open") await session.authorize(credentials(cookie));
});

async function note(line) {
  const { lines = [] } = await chrome.storage.local.get("lines");
  await chrome.storage.local.set({ lines: [line, ...lines].slice(0, KEEP) });
}

chrome.runtime.onMessage.addListener(async (request) => {
  if (request.type !== "go") return;
  const session = await opening;
  await session.emit("ai_start", ["example"], { namespace: "/site1.local" });
});
