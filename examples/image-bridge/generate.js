// Stores which batch is wanted, and sends nothing: a message is lost if the worker stops before it has acted on it. The
// change wakes the worker, and the next worker finds what this one did not ask for.
document.getElementById("generate").addEventListener("click", () =>
  chrome.storage.local.set({ [`wanted ${crypto.randomUUID()}`]: 500 }),
);
