// A side panel or options page that uses the hooks: a button, a progress bar, what was made.
import { createRoot } from "react-dom/client";
import { useAIWebSocket } from "./use-ai-websocket.js";

const getToken = async () => (await chrome.storage.session.get({ token: "a.demo.token" })).token;

export function Panel({ url = "ws://127.0.0.1:8789/ws" }) {
  const { isConnected, isProcessing, progress, result, error, lost, generate } = useAIWebSocket({
    url,
    userId: "u1",
    sessionId: "s1",
    getToken,
  });
  return (
    <main>
      <p role="status">{isConnected ? "connected" : (error?.message ?? "connecting")}</p>
      <button type="button" disabled={!isConnected || isProcessing} onClick={() => generate("a cat")}>
        Draw a cat
      </button>
      {isProcessing && <progress value={progress?.chunksReceived ?? 0} max={5} aria-label="drawing" />}
      {result && <p>done: {result.contentLength} characters</p>}
      {lost > 0 && <p role="alert">{lost} messages were lost: load the session anew</p>}
    </main>
  );
}

const root = typeof document === "undefined" ? null : document.getElementById("root");
if (root) createRoot(root).render(<Panel />);
