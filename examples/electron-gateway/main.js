// Electron's main process: one gateway for all windows. A window that is reloaded, or closed and opened again, is shown what
// there is; the connection does not notice.
const { join } = require("node:path");
const { app, BrowserWindow, ipcMain } = require("electron");
const { Gateway } = require("./gateway.js");

// Two instances of the app would take the session over from each other.
if (!app.requestSingleInstanceLock()) app.quit();

app.whenReady().then(() => {
  const gateway = new Gateway(app.getPath("userData"), process.env.GATEWAY_URL);
  gateway.on("changed", () => {
    for (const window of BrowserWindow.getAllWindows()) window.webContents.send("changed");
  });
  ipcMain.handle("view", () => gateway.view());
  ipcMain.handle("go", () => gateway.go());
  open();

  app.on("activate", () => BrowserWindow.getAllWindows().length === 0 && open());
  app.on("second-instance", () => BrowserWindow.getAllWindows()[0]?.focus());
  app.on("window-all-closed", () => process.platform !== "darwin" && app.quit());
  let closed = false;
  app.on("will-quit", async (event) => {
    if (closed) return;
    event.preventDefault();
    closed = true;
    await gateway.close();
    app.quit();
  });
});

function open() {
  const window = new BrowserWindow({
    width: 760,
    height: 640,
    title: "Gateway",
    icon: join(__dirname, "icon-128.png"),
    webPreferences: { preload: join(__dirname, "preload.js") },
  });
  window.loadFile("page.html");
}
