// Ties bridges to the lifecycle of the worker: browser start, alarms, updates of the extension. It opens no port itself.

import { type ExtensionApi, inBackground } from "./browser-api.js";

/** A bridge, as the lifecycle of its worker uses it. */
export interface LifecycleMember {
  /** Opens the port if there is none. */
  connect(): void;
  /** Finishes pending work. */
  drain(): Promise<void>;
  /** Whether the port is needed. */
  readonly wanted: boolean;
}

/** The alarm's name. */
export const ALARM = "longwire";
/** Minutes between alarms; browsers allow no less. */
export const PERIOD = 0.5;

interface LifecycleGroup {
  readonly bridges: Set<LifecycleMember>;
  updates: boolean;
}

const groups = new WeakMap<ExtensionApi["runtime"], LifecycleGroup>();

/**
 * Registers the listeners, in the same turn: the browser starts a worker only for listeners of its first turn.
 * Returns whether an alarm will open the port.
 */
export function followLifecycle(api: ExtensionApi, bridge: LifecycleMember, updates?: boolean): boolean {
  if (!inBackground(api)) return false;
  let group = groups.get(api.runtime);
  if (!group) {
    group = { bridges: new Set(), updates: true };
    groups.set(api.runtime, group);
    register(api, group);
  }
  group.bridges.add(bridge);
  if (updates === false) group.updates = false;
  return !!api.alarms;
}

/** The bridge has ended: no event opens its port. */
export function leaveLifecycle(api: ExtensionApi, bridge: LifecycleMember): void {
  groups.get(api.runtime)?.bridges.delete(bridge);
}

function register(api: ExtensionApi, group: LifecycleGroup): void {
  const connect = () => {
    for (const bridge of group.bridges) if (bridge.wanted) bridge.connect();
  };
  // Without this listener a browser does not start the worker at all until something else does.
  api.runtime.onStartup?.addListener(connect);
  // With an open port Chromium never applies an update by itself.
  api.runtime.onUpdateAvailable?.addListener(() => {
    if (!group.updates) return;
    void Promise.all([...group.bridges].map((bridge) => bridge.drain())).then(() => api.runtime.reload?.());
  });
  // Fetches messages that arrived while the worker was stopped, and restarts a killed worker.
  api.alarms?.onAlarm.addListener((alarm) => {
    if (alarm.name === ALARM) connect();
  });
  void api.alarms?.create(ALARM, { periodInMinutes: PERIOD });
  if (!api.alarms && !api.app) console.warn(NO_ALARMS);
}

const NO_ALARMS =
  'longwire: add "alarms" to "permissions" in manifest.json: without it nothing restarts a worker that was killed';
