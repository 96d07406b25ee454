// What the page may do: see the view, be told that it changed, ask for ticks. Nothing else of Node.js reaches it.
const { contextBridge, ipcRenderer } = require("electron");

contextBridge.exposeInMainWorld("gateway", {
  view: () => ipcRenderer.invoke("view"),
  go: () => ipcRenderer.invoke("go"),
  onChanged: (call) => void ipcRenderer.on("changed", () => call()),
});
