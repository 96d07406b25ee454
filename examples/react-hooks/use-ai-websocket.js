// `useAIWebSocket`: the tasks of one session as state. `ai_start`, `ai_progress`, `ai_complete` and `ai_error` become one
// object; everything about the connection is `useWebSocket`'s.
import { useCallback, useState } from "react";
import { useWebSocket } from "./use-websocket.js";

const IDLE = { isProcessing: false, task: null, progress: null, text: "", result: null, error: null };

/** The state after one more message. */
function next(state, message) {
  switch (message.type) {
    case "ai_start":
      return { ...IDLE, isProcessing: true, task: message.task };
    case "ai_progress":
      return { ...state, isProcessing: true, progress: message.progress, text: state.text + (message.text ?? "") };
    case "ai_complete":
      return { ...state, isProcessing: false, result: message.result };
    case "ai_error":
      return { ...state, isProcessing: false, error: message.error };
    default:
      return state;
  }
}

/** @param {Parameters<typeof useWebSocket>[0] & { onComplete?: Function, onError?: Function }} options */
export function useAIWebSocket({ onComplete, onError, ...options }) {
  const [state, setState] = useState(IDLE);
  const connection = useWebSocket({
    ...options,
    onMessage(message) {
      setState((before) => next(before, message));
      if (message.type === "ai_complete") return onComplete?.(message.result);
      if (message.type === "ai_error") return onError?.(message.error);
    },
  });
  const { sendMessage } = connection;
  const { sessionId } = options;
  const generate = useCallback(
    (prompt) => sendMessage({ type: "generate", sessionId, prompt }),
    [sendMessage, sessionId],
  );
  const reset = useCallback(() => setState(IDLE), []);
  return { ...connection, ...state, error: state.error ?? connection.error, generate, reset };
}
