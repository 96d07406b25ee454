// A stand-in for Electron, where there is no binary of it: what examples/electron-gateway uses of its API, in Node.js, with
// tabs of a Chromium as windows. Use: node --require electron.cjs main.js; ELECTRON_CHROMIUM is the DevTools address, and
// ELECTRON_USER_DATA the app's folder. The context of a page is not isolated from its preload script, as it is in Electron.
const { EventEmitter } = require("node:events");
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { dirname, resolve } = require("node:path");
const { pathToFileURL } = require("node:url");

let devtools;
const windows = new Set();
const handlers = new Map();
const folder = () => dirname(resolve(process.argv[1]));

const app = Object.assign(new EventEmitter(), {
  requestSingleInstanceLock: () => true,
  getPath: () => process.env.ELECTRON_USER_DATA,
  async whenReady() {
    const { Devtools } = await import(pathToFileURL(resolve(__dirname, "devtools.mjs")).href);
    devtools = await Devtools.connect(process.env.ELECTRON_CHROMIUM);
  },
  quit() {
    let kept = false;
    app.emit("will-quit", { preventDefault: () => (kept = true) });
    if (!kept) devtools.close();
  },
});

/** What a page's preload script gets as `require("electron")`. */
const PRELOAD = `
  const waiting = new Map(), listeners = new Map();
  let last = 0;
  globalThis.electronAnswers = (id, value) => waiting.get(id)(value);
  globalThis.electronSends = (channel) => listeners.get(channel)?.({});
  const ipcRenderer = {
    invoke: (channel, ...args) => new Promise((resolve) => {
      waiting.set(++last, resolve);
      electronInvokes(JSON.stringify({ id: last, channel, args }));
    }),
    on: (channel, call) => void listeners.set(channel, call),
  };
  const contextBridge = { exposeInMainWorld: (name, value) => Object.defineProperty(globalThis, name, { value }) };
  const require = () => ({ contextBridge, ipcRenderer });
`;

class BrowserWindow {
  static getAllWindows = () => [...windows];

  #page;
  #preload;
  webContents = { send: (channel) => void this.#page?.evaluate((name) => globalThis.electronSends?.(name), channel).catch(() => {}) };

  constructor({ webPreferences: { preload } }) {
    this.#preload = readFileSync(preload, "utf8");
    windows.add(this);
  }

  async loadFile(file) {
    const page = await devtools.open("about:blank");
    await page.send("Page.enable");
    await page.send("Runtime.enable");
    await page.send("Runtime.addBinding", { name: "electronInvokes" });
    await page.send("Page.addScriptToEvaluateOnNewDocument", { source: `{${PRELOAD}{${this.#preload}}}` });
    devtools.listen(async (method, params, from) => {
      if (from !== page.sessionId || method !== "Runtime.bindingCalled") return;
      const { id, channel, args } = JSON.parse(params.payload);
      const value = await handlers.get(channel)({}, ...args);
      await page.evaluate((...words) => globalThis.electronAnswers(...words), id, value ?? null).catch(() => {});
    });
    this.#page = page;
    await page.send("Page.navigate", { url: pathToFileURL(resolve(folder(), file)).href });
  }
}

const ipcMain = { handle: (channel, work) => void handlers.set(channel, work) };
const load = Module._load;
Module._load = (name, ...rest) => (name === "electron" ? { app, BrowserWindow, ipcMain } : load(name, ...rest));
// The end of input stands for the user who quits.
process.stdin.resume().on("end", () => app.quit());
