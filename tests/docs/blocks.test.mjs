// The code blocks of the documents: each JavaScript and TypeScript block is checked against the types of the packed package,
// so that every option and method in it exists, and run with a fake browser, a server that sends something, and stand-ins
// for the reader's own functions. JSON is parsed. What is run by another test is named with that test.

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { transform } from "esbuild";
import { Project, blocks, root } from "./lib/project.mjs";

/** Blocks that are not run here: a word of the block, and why. */
const ELSEWHERE = [
  [/from "(partysocket|socket\.io-client)"/, "other libraries' code, shown before it is changed"],
  [/defineConfig|defineBackground|defineWxtModule|hello from Plasmo|launchPersistentContext|esbuild\.build/, "tools: tests/recipes"],
  [/longwire\/testing|^import "\.\/worker\.js"|import\("\.\/worker\.js"\)/m, "package.test.mjs"],
  [/from "(vue|svelte\/store|longwire\/react)"/, "frameworks.test.mjs"],
  [/longwire\/node/, "tests/browser/node.test.mjs"],
];
/** Blocks that only their types are checked of, since they need a document or a content script. */
const TYPES_ONLY = /longwireContent|document\.createElement|FakeBrowser|browser\.connect\(\)/;

const pages = ["README.md", "client/README.md", "examples/frappe/README.md"];
for (const name of await readdir(join(root, "docs"))) {
  // API.md is generated from the declarations.
  if (name.endsWith(".md") && name !== "API.md") pages.push(`docs/${name}`);
}
const all = (await Promise.all(pages.map(blocks))).flat();
const scripts = all.filter(({ language }) => ["js", "ts"].includes(language));

/** What blocks use of their reader's program. */
const SCOPE = `
import type { Bridge, connect, Session } from "longwire";
import type { z as zod } from "zod";
export interface Scope {
  bridge: Bridge; session: Session<any, any>; url: string; token: () => Promise<string>; key: string; SITE: string;
  store: (data: unknown) => Promise<void>; show: (...values: any[]) => void; handle: (data: unknown) => void;
  log: (...values: unknown[]) => void; save: (value: unknown) => void; refetch: () => void; badge: (text: string) => void;
  queue: (() => unknown)[]; z: typeof zod; readToken: () => Promise<string>; sign: (...values: unknown[]) => Promise<string>;
  showInstallPage: (fix?: string) => void; hideInstallPage: () => void; offerInstallation: (fix?: string) => void; hideOffer: () => void; data: unknown;
  connect: typeof connect; browser: any; finish: any; longwireContent: typeof import("longwire/content");
}
`;
const NAMES = [...SCOPE.matchAll(/(\w+): /g)].map(([, name]) => name).filter((name) => !["fix", "values", "value", "text"].includes(name));
const PACKAGES = { "./longwire.js": "longwire", "./io.js": "longwire/io", "./relay.js": "longwire/relay", "./fallback.js": "longwire/fallback" };

/** A block as a module that exports a function: imports stay at the top, the rest goes into the function. */
function moduleOf({ code }) {
  const imports = [];
  let body = code.replace(/^import [^;]*;[^\n]*$/gm, (line) => {
    imports.push(line.replace(/"(\.\/\w+\.js)"/, (whole, path) => JSON.stringify(PACKAGES[path] ?? path)));
    return "";
  });
  // Options by themselves.
  if (/^\w+: /.test(body.trim())) body = `await bridge.open("fragment", url, {${body}});`;
  const names = [...new Set(NAMES)].join(", ");
  return `${imports.join("\n")}
import type { Scope } from "./scope.js";
export default async ({ ${names} }: Scope) => {
  await (async () => {
${body}
  })();
};
`;
}

const reasonOf = ({ code }) => ELSEWHERE.find(([word]) => word.test(code))?.[1];
const nameOf = ({ page, line }) => `${page.replace(/\W/g, "_")}_${line}`;

test("every JavaScript block is valid", async () => {
  assert.ok(scripts.length > 40, `${scripts.length} blocks`);
  for (const { page, line, language, code } of all.filter(({ language }) => ["js", "ts", "jsx"].includes(language))) {
    const loader = language === "js" ? "jsx" : { jsx: "tsx", ts: "ts" }[language];
    const whole = /^\w+: /.test(code) ? `({${code}})` : code;
    await transform(whole, { loader }).catch((error) => assert.fail(`${page}:${line}: ${error.message}`));
  }
});

test("every JSON block is valid", () => {
  for (const { page, line, code } of all.filter(({ language }) => language === "json")) {
    const whole = /^\s*[{[]/.test(code) ? code : `{${code}}`;
    assert.doesNotThrow(() => JSON.parse(whole), `${page}:${line}`);
  }
});

test("every API and option used in the blocks exists", async (t) => {
  const project = await Project.make(t, { type: "module" });
  await project.write("scope.ts", SCOPE);
  const checked = scripts.filter((one) => !reasonOf(one));
  for (const one of checked) await project.write(`${nameOf(one)}.ts`, moduleOf(one));
  const files = checked.map((one) => `${nameOf(one)}.ts`);
  const options = ["--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "esnext", "--moduleResolution", "bundler", "--skipLibCheck"];
  const output = await project.run("typescript/bin/tsc", ...options, ...files).catch((error) => error.message);
  // Values that come from outside have no type in JavaScript.
  const faults = output.split("\n").filter((line) => /error TS/.test(line) && !/on type '(unknown|Event)'/.test(line));
  assert.deepEqual(faults, [], "a function of the reader's own belongs into SCOPE");
});

test("the blocks run", async (t) => {
  const project = await Project.make(t, { type: "module" });
  const { FakeBrowser } = await project.import("longwire/testing");
  const { connect } = await project.import("longwire");
  const { z } = await project.import("zod");
  for (const one of scripts.filter((one) => !reasonOf(one) && !TYPES_ONLY.test(one.code))) {
    const { code } = await transform(moduleOf(one), { loader: "ts" });
    await project.write(`${nameOf(one)}.js`, code);
    const { default: run } = await project.import(`./${nameOf(one)}.js`);
    const browser = new FakeBrowser();
    const uninstall = browser.install();
    const bridge = browser.connect();
    const problems = [];
    bridge.on("error", (error) => problems.push(error));
    const opening = bridge.open("scope", "wss://scope.example", { format: "json" });
    await browser.advance(10);
    const ignore = () => {};
    const later = async () => "value";
    const scope = { connect, bridge, session: await opening, url: "wss://example.org/", token: later, key: "key", store: later, show: ignore, handle: ignore };
    Object.assign(scope, { log: ignore, save: ignore, refetch: ignore, badge: ignore, queue: [], z, readToken: later, sign: later, SITE: "https://site.example" });
    Object.assign(scope, { showInstallPage: ignore, hideInstallPage: ignore, offerInstallation: ignore, hideOffer: ignore, data: "data" });
    let failure;
    // Not awaited: a loop over messages has no end.
    run(scope).catch((error) => (failure = error));
    const scripted = new Set();
    for (let round = 0; round < 5; round++) {
      await browser.advance(50);
      for (const { name } of bridge.sessions) {
        const server = browser.server(name);
        if (!scripted.has(name)) {
          for (const message of server.messages) answer(message);
          server.onMessage(answer);
        }
        scripted.add(name);
        server.send({ type: "tick", job: 1, price: 7, id: round });
      }
    }
    await browser.advance(50);
    uninstall();
    assert.equal(failure, undefined, `${one.page}:${one.line}: ${failure?.stack}`);
    assert.deepEqual(problems, [], `${one.page}:${one.line}`);
  }
});

/** Answers a message, if it was a request. */
function answer(message) {
  try {
    message.reply({ id: 7 });
  } catch (error) {
    assert.match(error.message, /only a `session.request` can be answered/);
  }
}
