// The API of the page: read the view, listen for changes, request ticks. The page has no other access to Node.js.
const { contextBridge, ipcRenderer } = require("electron");

contextBridge.exposeInMainWorld("gateway", {
  view: () => ipcRenderer.invoke("view"),
  go: () => ipcRenderer.invoke("go"),
  onChanged: (call) => void ipcRenderer.on("changed", () => call()),
});
