// Shows what the worker has stored, and asks it to act.
const element = (id) => document.getElementById(id);

async function show() {
  const { state = "unknown", lines = [] } = await chrome.storage.local.get(["state", "lines"]);
  element("state").textContent = state;
  element("lines").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

chrome.storage.onChanged.addListener(show);
element("go").addEventListener("click", () => chrome.runtime.sendMessage({ type: "go" }));
// Wakes the worker, if it sleeps: what came meanwhile is shown now.
chrome.runtime.sendMessage({ type: "look" }).catch(() => {});
show();
