// Shows what the worker has stored, and asks it to send. It needs no connection of its own.
const $ = (id) => document.getElementById(id);

const KEYS = { url: "ws://127.0.0.1:8787", state: "unknown", problem: null, messages: [] };

// The same document is the popup and, opened as a tab, the page.
document.body.classList.toggle("page", location.search === "?page");

const LIGHTS = { open: "open", connecting: "busy", waiting: "busy", unauthorized: "busy", unknown: "" };

async function show() {
  const { url, state, problem, messages } = await chrome.storage.local.get(KEYS);
  if (document.activeElement !== $("url")) $("url").value = url;
  $("state").textContent = state;
  $("light").dataset.is = LIGHTS[state.split(" ")[0]] ?? "bad";
  $("progress").value = messages.length;
  $("progress-count").textContent = `${messages.length} of 50`;
  $("problem").textContent = problem ? `${problem.message}\nTry: ${problem.doctor}` : "";
  $("setup").hidden = !["host-not-found", "host-forbidden"].includes(problem?.code);
  $("messages").replaceChildren(
    ...messages.map(({ seq, text }) => {
      const line = document.createElement("li");
      line.value = seq;
      line.textContent = text;
      return line;
    }),
  );
  $("messages").lastElementChild?.scrollIntoView({ block: "nearest" });
}

$("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  const { outcome, error } = await chrome.runtime.sendMessage({ type: "send", text });
  $("outcome").textContent = error ? `${outcome}: ${error}` : outcome;
});

$("where").addEventListener("submit", async (event) => {
  event.preventDefault();
  await chrome.storage.local.set({ url: $("url").value });
});

chrome.storage.onChanged.addListener(show);
// Wakes the worker, if it sleeps.
chrome.runtime.sendMessage({ type: "state" }).then(show, show);
show();
