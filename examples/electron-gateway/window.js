// Shows what the main process has. The global `gateway` is what preload.js lets through.
const element = (id) => document.getElementById(id);
const LIGHTS = { open: "open", opening: "busy", connecting: "busy", waiting: "busy" };

async function show() {
  const { state, lines, progress } = await gateway.view();
  element("state").textContent = state;
  element("light").dataset.is = LIGHTS[state] ?? "bad";
  element("progress").max = progress.of;
  element("progress").value = progress.done;
  element("progress-label").textContent = progress.label;
  element("progress-count").textContent = progress.done ? `${progress.done} of ${progress.of}` : "";
  element("lines").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

gateway.onChanged(show);
element("go").addEventListener("click", () => gateway.go());
show();
