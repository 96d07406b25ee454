import "./support/dom.js";
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { LongwireError } from "../src/index.js";
import { type LongwireOnboarding, type OnboardingOptions, strings } from "../src/onboarding/index.js";
import { FakeBrowser } from "../src/testing/index.js";

async function show(t: TestContext, browser: FakeBrowser, options: OnboardingOptions = {}) {
  const bridge = browser.connect({ client: "onboarding" });
  const element = document.createElement("longwire-onboarding") as LongwireOnboarding;
  element.options = { product: "Ticker", language: "en", bridge, ...options };
  document.body.append(element);
  t.after(() => element.remove());
  await browser.advance(1000);
  return {
    element,
    text: () => element.shadowRoot?.textContent?.replace(/\s+/g, " ") ?? "",
    status: () => element.shadowRoot?.querySelector("[role=status]")?.textContent,
  };
}

test("a missing host: the installation steps are shown, and updated when it is installed", async (t) => {
  const browser = new FakeBrowser();
  t.after(browser.install());
  browser.removeHost();
  const downloads = {
    linux: "https://x.example/l.deb",
    macos: "https://x.example/l.pkg",
    windows: "https://x.example/l.msi",
  };
  const { element, text, status } = await show(t, browser, { downloads });
  const states: unknown[] = [];
  element.addEventListener("longwire-state", (event) => states.push((event as CustomEvent).detail));
  assert.equal(element.state, "missing");
  assert.match(status() ?? "", /Ticker needs Longwire, which is not installed/);
  assert.match(text(), /longwire install --extension abcdefghijklmnopabcdefghijklmnop/);
  assert.match(
    element.shadowRoot?.querySelector("a")?.getAttribute("href") ?? "",
    /^https:\/\/x\.example\/l\./,
  );
  browser.installHost();
  await browser.advance(30_000);
  assert.deepEqual(states, ["ready"]);
  assert.match(status() ?? "", /^Found Longwire [\d.]+\. Ticker continues automatically\.$/);
});

/** Replaces the host until it is installed. */
function standIn(hostError: LongwireError | undefined) {
  let call: (frame: unknown) => void = () => {};
  const port = {
    hostError,
    onMessage: { addListener: (listener: typeof call) => (call = listener) },
    onDisconnect: { addListener: () => {} },
    postMessage: () => queueMicrotask(() => port.welcome()),
    disconnect: () => {},
    welcome: () =>
      call({ type: "welcome", protocol: 1, version: "1.2.3", capabilities: [], limits: {}, sessions: [] }),
  };
  return port;
}

test("a bridge that uses the fallback still offers the installation", async (t) => {
  const browser = new FakeBrowser();
  t.after(browser.install());
  const port = standIn(new LongwireError("host-not-found", "longwire: not installed"));
  const bridge = browser.connect({ client: "fallback", fallback: { attach: () => () => port } });
  bridge.connect();
  await browser.advance(1000);
  assert.equal(bridge.state, "ready");
  const { element } = await show(t, browser, { bridge });
  assert.equal(element.state, "missing");
  port.hostError = undefined;
  port.welcome();
  await browser.advance(0);
  assert.equal(element.state, "ready");
});

test("an installed host is ready", async (t) => {
  const { status } = await show(t, new FakeBrowser());
  assert.match(status() ?? "", /Longwire [\d.]+ is installed. Ticker is ready\./);
});

test("every language has every string, and the browser's language is used", async (t) => {
  const browser = new FakeBrowser();
  browser.removeHost();
  for (const [language, own] of Object.entries(strings)) {
    assert.deepEqual(Object.keys(own), Object.keys(strings.en ?? {}), language);
    assert.ok(own.what.every((line) => line.length > 10));
  }
  const { element, status } = await show(t, browser, { language: "de-AT" });
  assert.match(status() ?? "", /Ticker benötigt Longwire/);
  assert.equal(element.lang, "de-AT");
});

test("single strings can be replaced", async (t) => {
  const browser = new FakeBrowser();
  browser.removeHost();
  const { status } = await show(t, browser, { strings: { missing: "Install our helper." } });
  assert.equal(status(), "Install our helper.");
});
