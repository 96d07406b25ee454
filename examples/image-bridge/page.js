// Shows what the worker has stored: the state of the connection, the progress and the log. Asks the worker to act.
const element = (id) => document.getElementById(id);

// The same document is the popup and, opened as a tab, the page.
document.body.classList.toggle("page", location.search === "?page");

const LIGHTS = { open: "open", connecting: "busy", waiting: "busy", unauthorized: "busy", unknown: "" };

async function show() {
  const { state = "unknown", lines = [], progress } = await chrome.storage.local.get(["state", "lines", "progress"]);
  element("state").textContent = state;
  element("light").dataset.is = LIGHTS[state.split(" ")[0]] ?? "bad";
  const { done = 0, of = 1, label = "" } = progress ?? {};
  element("progress").max = of;
  element("progress").value = done;
  element("progress-label").textContent = label || "nothing is running";
  element("progress-count").textContent = progress ? `${done} of ${of}` : "";
  element("lines").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

chrome.storage.onChanged.addListener(show);
element("go")?.addEventListener("click", () => chrome.runtime.sendMessage({ type: "go" }));
// Wakes the worker, if it sleeps: what arrived meanwhile is shown now.
chrome.runtime.sendMessage({ type: "look" }).catch(() => {});
show();
