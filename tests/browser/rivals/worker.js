// Ways to hold a WebSocket in an extension, side by side: in the worker with a message every 20 s, in an offscreen
// document, by Longwire without its host, and by Longwire. Each notes the numbers it was given; what is missing was lost.
import { browserFallback } from "./fallback.js";
import { connect } from "./longwire.js";

const KEEP_ALIVE = 20_000;
const RETRY = 1000;
let turn = Promise.resolve();

/** Notes a number. One after the other, since storage has no append. */
function note(rival, number) {
  turn = turn.then(async () => {
    const { [rival]: numbers } = await chrome.storage.local.get({ [rival]: [] });
    if (!numbers.includes(number)) await chrome.storage.local.set({ [rival]: [...numbers, number] });
  });
  return turn;
}

// What a worker has to do to be started again with the browser.
chrome.runtime.onStartup.addListener(() => {});
chrome.alarms.create("rivals", { periodInMinutes: 0.5 });
chrome.alarms.onAlarm.addListener(() => {});
chrome.runtime.onMessage.addListener((message, _sender, respond) => {
  if (message.rival) note(message.rival, message.number).then(respond);
  else respond({});
  return true;
});

function plain(url) {
  const socket = new WebSocket(`${url}plain`);
  const timer = setInterval(() => socket.readyState === 1 && socket.send("keep-alive"), KEEP_ALIVE);
  socket.onmessage = ({ data }) => note("plain", JSON.parse(data).number);
  socket.onclose = () => {
    clearInterval(timer);
    setTimeout(() => plain(url), RETRY);
  };
}

async function offscreen(url) {
  if (await chrome.offscreen.hasDocument()) return;
  await chrome.offscreen.createDocument({
    url: `offscreen.html?url=${encodeURIComponent(url)}`,
    reasons: ["WORKERS"],
    justification: "hold a WebSocket",
  });
}

const bridges = {
  longwire: connect(),
  fallback: connect({ client: "fallback", fallback: browserFallback() }),
  fallbackWorker: connect({ client: "fallbackWorker", fallback: browserFallback({ offscreen: false }) }),
};

async function start() {
  const { url, wanted } = await chrome.storage.local.get({ url: "", wanted: [] });
  if (wanted.includes("plain")) plain(url);
  if (wanted.includes("offscreen")) await offscreen(url);
  for (const [name, bridge] of Object.entries(bridges)) {
    if (!wanted.includes(name)) continue;
    const session = await bridge.open("rival", `${url}${name}`, { format: "json" });
    session.on("message", ({ json }) => note(name, json.number));
    session.onGap(() => {});
  }
}
start();
chrome.storage.onChanged.addListener(({ wanted }) => {
  if (wanted) start();
});
