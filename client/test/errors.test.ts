import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBrowser, fromWire } from "../src/errors.js";

const context = { host: "com.longwire.bridge", caller: "--extension abcdefghijklmnopabcdefghijklmnop" };
const install = `longwire install ${context.caller}`;

// Every text of Chromium 156 and Firefox 153, as measured.
const texts: [original: string | undefined, code: string, retry: string, fix?: string][] = [
  ["Specified native messaging host not found.", "host-not-found", "action", install],
  ["Invalid native messaging host name specified.", "host-name-invalid", "no", "a-z, 0-9, _ and dots"],
  ["Access to the specified native messaging host is forbidden.", "host-forbidden", "action", install],
  ["Native host has exited.", "host-exited", "later"],
  ["Error when communicating with the native messaging host.", "host-garbled", "later"],
  ["Failed to start native messaging host.", "host-not-started", "later"],
  ["Access to the native messaging host was disabled by the system administrator.", "host-blocked", "action"],
  ["Access to native messaging requires nativeMessaging permission.", "permission-missing", "action"],
  ["Message exceeded maximum allowed size of 64MiB.", "message-too-large", "no"],
  ["Could not serialize message.", "not-serializable", "no"],
  ["Attempting to use a disconnected port object", "port-lost", "later"],
  ["Invalid native messaging target.", "permission-missing", "action"],
  [
    "Native messaging requires a valid 'application' string in the target object.",
    "permission-missing",
    "action",
  ],
  ["No such native application com.longwire.bridge", "host-not-found", "action", install],
  ["An unexpected error occurred", "host-exited", "later"],
  [undefined, "host-exited", "later"],
  [
    "Native application tried to send a message of 1048577 bytes, which exceeds the limit of 1048576 bytes.",
    "host-garbled",
    "later",
  ],
  [
    'Type error for parameter application (String "a-b" must match /^\\w+(\\.\\w+)*$/) for runtime.connectNative.',
    "host-name-invalid",
    "no",
  ],
  ["Attempt to postMessage on disconnected port", "port-lost", "later"],
  ["Write too big", "message-too-large", "no"],
  ["Native messaging portal is not available", "host-not-started", "action"],
  ["something new", "port-lost", "later"],
];

for (const [text, code, retry, fix] of texts) {
  test(`the browser's error: ${text}`, () => {
    const error = fromBrowser(text, context);
    assert.equal(error.code, code);
    assert.equal(error.retry, retry);
    assert.equal(error.originalMessage, text);
    const which = code === "host-forbidden" ? ` ${context.caller}` : "";
    assert.equal(error.doctor, `longwire doctor${which}`);
    if (fix) assert.equal(error.fix, fix);
  });
}

test("the fix and the diagnostic command use a custom host name", () => {
  const error = fromBrowser("Specified native messaging host not found.", {
    ...context,
    host: "com.semantest.bridge",
  });
  assert.equal(error.fix, `${install} --name com.semantest.bridge`);
  assert.equal(error.doctor, "longwire doctor --name com.semantest.bridge");
});

test("an error of the link names the server for `longwire doctor`, without secrets", () => {
  const wire = { code: "tls", message: "bad certificate", retry: "action" } as const;
  const error = fromWire(wire, "wss://me:secret@example.org:8443/live?token=secret#x");
  assert.equal(error.doctor, "longwire doctor --url wss://example.org:8443/live");
  assert.equal(fromWire({ ...wire, code: "outbox-full" }, "wss://x/").doctor, "longwire doctor");
});
