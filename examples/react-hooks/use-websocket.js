// `useWebSocket` of an app with notifications: one connection for each user and session, whoever mounts it, with the app's own
// messages and names. Reconnecting, resubscribing and the heartbeat are options here; nothing of them is code.
import { useCallback, useEffect, useRef, useState } from "react";
import { useSession } from "longwire/react";

/**
 * @param {{ url: string, userId: string, sessionId: string, getToken: () => Promise<string>, onMessage?: Function }} options
 * @returns {{ isConnected: boolean, isReconnecting: boolean, error: Error | undefined, lastMessage: any, lost: number,
 *   sendMessage: (message: unknown) => Promise<string> }}
 */
export function useWebSocket({ url, userId, sessionId, getToken, onMessage }) {
  const [lastMessage, setLastMessage] = useState(null);
  const [lost, setLost] = useState(0);
  const latest = useRef({ getToken, onMessage });
  useEffect(() => {
    latest.current = { getToken, onMessage };
  });

  const { session, state, error } = useSession(`notifications-${userId}`, {
    url,
    format: "json",
    auth: "provider",
    closeCodes: { 1008: "auth" }, // this server means "not authorised" by it
    ready: { "/type": "connection" },
    heartbeat: { interval: 25_000, timeout: 10_000, message: { json: { type: "ping" } }, expect: { "/type": "pong" } },
  });

  useEffect(() => {
    if (!session) return;
    // The token is asked for before the first connection, and again when it was refused.
    session.onAuth(async () => {
      const token = await latest.current.getToken();
      return { url: `${url}?${new URLSearchParams({ userId, sessionId, token })}` };
    });
    // Sent again on every connection.
    const unsubscribe = session.subscribe(sessionId, {
      send: [{ type: "subscribe", sessionId }],
      undo: [{ type: "unsubscribe" }],
      confirm: { "/type": "subscribed", "/sessionId": sessionId },
    });
    const stop = session.on("message", async ({ json }) => {
      for (const message of json.type === "batch_update" ? json.messages : [json]) {
        setLastMessage(message);
        await latest.current.onMessage?.(message); // acknowledged when this has settled
      }
    });
    const stopGaps = session.onGap(({ count }) => setLost((before) => before + (count ?? 1)));
    return () => {
      unsubscribe();
      stop();
      stopGaps();
    };
  }, [session, url, userId, sessionId]);

  const sendMessage = useCallback(
    async (message) => {
      if (!session) throw new Error("not connected yet");
      const { outcome } = await session.send(message);
      return outcome;
    },
    [session],
  );

  const isReconnecting = state === "connecting" || state === "waiting";
  return { isConnected: state === "open", isReconnecting, error, lastMessage, lost, sendMessage };
}
