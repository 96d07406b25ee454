// docs/FRAMEWORKS.md and examples/react-hooks, run against a fake browser with the packed package: what a component shows,
// and that nothing stays open behind it.

import assert from "node:assert/strict";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { transform } from "esbuild";
import { Window } from "happy-dom";
import { block, Project, root } from "./lib/project.mjs";

const PAGE = "docs/FRAMEWORKS.md";

/** A project and a fake browser in place of the real one. */
async function made(t) {
  const project = await Project.make(t, { type: "module" });
  const { FakeBrowser } = await project.import("longwire/testing");
  const browser = new FakeBrowser();
  t.after(browser.install());
  return { project, browser };
}

/** A document, and what React needs of it. */
async function dom(project) {
  const window = new Window();
  // Newer versions of Node.js have a `navigator` that cannot be assigned to.
  Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
  Object.assign(globalThis, { window, document: window.document, HTMLElement: window.HTMLElement, IS_REACT_ACT_ENVIRONMENT: true });
  const { act, createElement } = await project.import("react");
  const { createRoot } = await project.import("react-dom/client");
  return { act, createElement, createRoot };
}

async function writeJsx(project, name, code) {
  const { code: js } = await transform(code, { loader: "jsx", jsx: "automatic", format: "esm" });
  await project.write(name, js);
}

test("Vue: messages and state, and the session is detached with its scope", async (t) => {
  const { project, browser } = await made(t);
  await project.write("use-session.js", await block(PAGE, "## Vue", "js"));
  const { useSession } = await project.import("./use-session.js");
  const { effectScope } = await project.import("vue");
  const scope = effectScope();
  const { messages, state } = scope.run(() => useSession("prices", "wss://prices.example", { format: "json" }));
  assert.equal(state.value, "opening");
  await browser.advance(100);
  browser.server("prices").send({ price: 7 });
  browser.server("prices").send({ price: 8 });
  await browser.advance(100);
  assert.equal(state.value, "open");
  assert.deepEqual(messages.value.map(({ json }) => json.price), [7, 8]);
  scope.stop();
  await browser.advance(100);
  browser.server("prices").send({ price: 9 });
  await browser.advance(100);
  assert.equal(messages.value.length, 2, "nothing comes after the scope has ended");
});

test("Svelte: a store that opens with its first subscriber and detaches with its last", async (t) => {
  const { project, browser } = await made(t);
  await project.write("messages.js", await block(PAGE, "## Svelte", "js"));
  const { messages } = await project.import("./messages.js");
  const store = messages("prices", "wss://prices.example", { format: "json" });
  let seen = [];
  const unsubscribe = store.subscribe((list) => (seen = list.map(({ json }) => json.price)));
  await browser.advance(100);
  browser.server("prices").send({ price: 7 });
  await browser.advance(100);
  assert.deepEqual(seen, [7]);
  unsubscribe();
  await browser.advance(100);
  browser.server("prices").send({ price: 8 });
  await browser.advance(100);
  assert.deepEqual(seen, [7]);
});

test("React: the component of the page shows received messages", async (t) => {
  const { project, browser } = await made(t);
  await writeJsx(project, "prices.js", await block(PAGE, "## React", "jsx"));
  const { act, createElement, createRoot } = await dom(project);
  const { Prices } = await project.import("./prices.js");
  const place = document.createElement("div");
  const page = createRoot(place);
  await act(async () => page.render(createElement(Prices)));
  await act(() => browser.advance(100));
  await act(async () => {
    browser.server("prices").send({ price: 7 });
    await browser.advance(100);
  });
  assert.equal(place.querySelector("ul").getAttribute("aria-label"), "open");
  assert.deepEqual([...place.querySelectorAll("li")].map((item) => item.textContent), ["7"]);
  await act(async () => page.unmount());
});

/** What examples/canvas/server.cjs answers. */
function canvas(server) {
  server.onMessage((message) => {
    const { type, sessionId } = message.data;
    if (type === "subscribe") server.send({ type: "subscribed", sessionId });
    if (type !== "generate") return;
    server.send({ type: "batch_update", messages: [{ type: "ai_start", task: { prompt: "a cat" } }] });
    server.send({ type: "ai_progress", progress: { chunksReceived: 2 }, text: "xx" });
  });
}

test("examples/react-hooks: useAIWebSocket from sign-in to a finished task, through a lost link", async (t) => {
  const { project, browser } = await made(t);
  for (const name of ["use-websocket.js", "use-ai-websocket.js"]) await cp(join(root, "examples/react-hooks", name), join(project.folder, name));
  await writeJsx(project, "panel.js", await readFile(join(root, "examples/react-hooks/panel.jsx"), "utf8"));
  const react = await dom(project);
  const { act, createElement, createRoot } = react;
  const { StrictMode } = await project.import("react");
  const { useAIWebSocket } = await project.import("./use-ai-websocket.js");
  const done = [];
  let view;
  const Probe = () => {
    view = useAIWebSocket({
      url: "ws://canvas.example/ws",
      userId: "u1",
      sessionId: "s1",
      getToken: async () => "a.demo.token",
      onComplete: (result) => done.push(result),
    });
    return null;
  };
  /** Something happens, and everything that follows from it. */
  const step = (work) =>
    act(async () => {
      work();
      await browser.advance(100);
    });
  const page = createRoot(document.createElement("div"));
  await act(async () => page.render(createElement(StrictMode, null, createElement(Probe))));
  await act(() => browser.advance(100));
  const server = browser.server("notifications-u1");
  canvas(server);
  await step(() => server.askCredentials());
  assert.equal(view.isConnected, true);

  let outcome;
  await step(() => view.generate("a cat").then((value) => (outcome = value)));
  assert.equal(outcome, "sent");
  assert.equal(view.isProcessing, true);
  assert.deepEqual([view.task, view.progress, view.text], [{ prompt: "a cat" }, { chunksReceived: 2 }, "xx"]);

  await step(() => server.drop(1006));
  assert.deepEqual([view.isConnected, view.isReconnecting], [false, true]);
  await step(() => {
    server.accept();
    server.gap(2, "overflow");
    server.send({ type: "ai_complete", result: { contentLength: 250 } });
  });
  assert.equal(view.isConnected, true);
  assert.deepEqual([view.isProcessing, view.result, view.lost], [false, { contentLength: 250 }, 2]);
  assert.deepEqual(done, [{ contentLength: 250 }]);
  await step(() => server.send({ type: "ai_error", error: { type: "rate_limit_error" } }));
  assert.deepEqual(view.error, { type: "rate_limit_error" });
  await act(async () => page.unmount());

  const { Panel } = await project.import("./panel.js");
  const place = document.createElement("div");
  const panel = createRoot(place);
  await act(async () => panel.render(createElement(Panel, { url: "ws://canvas.example/ws" })));
  await act(() => browser.advance(100));
  assert.equal(place.querySelector("[role=status]").textContent, "connected");
  assert.equal(place.querySelector("button").disabled, false);
  await act(async () => panel.unmount());
});
