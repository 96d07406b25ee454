// Tasks of their own, without the delay that browsers give to timers. It decides nothing.

const tasks: (() => void)[] = [];
let channel: MessageChannel | undefined;

/** Calls in a task of its own, in order. */
export function queueTask(call: () => void): void {
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => tasks.shift()?.();
    // Node.js would wait for more.
    (channel.port1 as { unref?(): void }).unref?.();
  }
  tasks.push(call);
  channel.port2.postMessage(0);
}
