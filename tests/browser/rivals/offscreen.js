// The offscreen document's socket: it forwards messages to the worker, which also starts the worker.
const url = new URLSearchParams(location.search).get("url");

function open() {
  const socket = new WebSocket(`${url}offscreen`);
  socket.onmessage = ({ data }) =>
    chrome.runtime.sendMessage({ rival: "offscreen", number: JSON.parse(data).number }).catch(() => {});
  socket.onclose = () => setTimeout(open, 1000);
}
open();
