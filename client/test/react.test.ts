import "./support/close-event.js";
import "./support/dom.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { act, createElement, type FunctionComponent, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import {
  LongwireProvider,
  ReadyState,
  type SessionView,
  type UseSocket,
  useEvent,
  useMessages,
  useSession,
  useSessionEvent,
  useSocket,
} from "../src/react/index.js";
import { FakeBrowser } from "../src/testing/index.js";

/** Renders a component below the bridge of a fake browser, in strict mode, as development builds do. */
async function render(browser: FakeBrowser, component: FunctionComponent) {
  const bridge = browser.connect({ client: "page" });
  bridge.on("error", () => undefined);
  const root = createRoot(document.createElement("div") as unknown as Element);
  const tree = (inner: FunctionComponent) =>
    createElement(StrictMode, null, createElement(LongwireProvider, { value: bridge }, createElement(inner)));
  await act(async () => root.render(tree(component)));
  await act(() => browser.advance(100));
  return {
    bridge,
    show: (inner: FunctionComponent) => act(async () => root.render(tree(inner))),
    async unmount() {
      await act(async () => root.unmount());
      await new Promise<void>((resolve) => setTimeout(resolve));
      await browser.advance(100);
    },
  };
}

test("components share a session, which is detached after the last one unmounts", async () => {
  const browser = new FakeBrowser();
  const states: string[] = [];
  const Price: FunctionComponent = () => {
    const { state } = useSession("prices", { url: "wss://prices.example" });
    states.push(state);
    return createElement("i", null, state);
  };
  const page = await render(browser, () =>
    createElement("p", null, createElement(Price), createElement(Price)),
  );
  assert.equal(states[0], "opening");
  assert.equal(states.at(-1), "open");
  assert.equal(page.bridge.sessions.length, 1);
  await page.unmount();
  assert.equal(page.bridge.sessions.length, 0);
});

test("useMessages keeps the last messages, and re-rendering loses none", async () => {
  const browser = new FakeBrowser();
  let seen: unknown[] = [];
  let renders = 0;
  const List: FunctionComponent = () => {
    const { session } = useSession("s", { url: "wss://x", format: "json" });
    seen = useMessages(session, { last: 3 }).map((message) => message.json);
    renders += 1;
    return null;
  };
  const page = await render(browser, List);
  await act(async () => {
    for (const n of [1, 2, 3, 4]) browser.server("s").send({ n });
    await browser.advance(100);
  });
  assert.deepEqual(seen, [{ n: 2 }, { n: 3 }, { n: 4 }]);
  assert.ok(renders < 20, "a stable snapshot does not render for ever");
  await page.unmount();
});

test("useEvent and useSessionEvent call the newest handler", async () => {
  const browser = new FakeBrowser();
  const received: unknown[] = [];
  const Page: FunctionComponent = () => {
    const { session } = useSession("s", { url: "https://x", protocol: "socket.io" });
    useEvent(session, "progress", (message) => void received.push(message.args));
    useSessionEvent(session, "gap", (gap) => received.push(gap.count));
    return null;
  };
  const page = await render(browser, Page);
  browser.server("s").emit("progress", 50);
  browser.server("s").gap(2);
  await act(() => browser.advance(100));
  assert.deepEqual(received, [[50], 2]);
  await page.unmount();
});

test("a component shows why there is no session, and gets it when the host is installed", async () => {
  const browser = new FakeBrowser();
  browser.removeHost();
  let view: SessionView | undefined;
  const page = await render(browser, () => {
    view = useSession("s", { url: "wss://x" });
    return null;
  });
  await act(() => browser.advance(1000));
  assert.equal(view?.error?.code, "host-not-found");
  browser.installHost();
  await act(() => browser.advance(60_000));
  assert.equal(view?.state, "open");
  assert.equal(view?.error, undefined);
  await page.unmount();
});

test("useSocket queues messages sent early, and returns the last message as JSON", async () => {
  const browser = new FakeBrowser();
  let socket: UseSocket<{ n: number }> | undefined;
  const bridge = browser.connect();
  const page = await render(browser, () => {
    socket = useSocket<{ n: number }>("wss://x", { bridge });
    return null;
  });
  assert.equal(socket?.readyState, ReadyState.OPEN);
  await act(async () => {
    socket?.sendJsonMessage({ hello: 1 });
    await browser.advance(100);
  });
  const name = bridge.sessions[0]?.name ?? "";
  assert.deepEqual(browser.server(name).received, ['{"hello":1}']);
  browser.server(name).send({ n: 7 });
  await act(() => browser.advance(100));
  assert.deepEqual(socket.lastJsonMessage, { n: 7 });
  await page.unmount();
});
