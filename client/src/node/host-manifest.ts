// Finds the native host that is installed for an app, as a browser finds the one of an extension: by a manifest of the
// host's name in a known folder. It starts nothing.

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The texts a browser has for a host that cannot be started; the SDK knows them. */
export const NOT_FOUND = "Specified native messaging host not found.";
export const FORBIDDEN = "Access to the specified native messaging host is forbidden.";

/** The folders with manifests for apps, the user's before the system's. */
export function manifestFolders(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home = homedir(),
): string[] {
  if (env.LONGWIRE_HOME) return [join(env.LONGWIRE_HOME, "state", "apps")];
  if (platform === "win32") {
    const local = env.LOCALAPPDATA ?? join(home, "AppData", "Local");
    const all = env.ProgramData ?? "C:\\ProgramData";
    return [join(local, "longwire", "data", "apps"), join(all, "longwire", "apps")];
  }
  if (platform === "darwin") {
    const support = "Library/Application Support/longwire/apps";
    return [join(home, support), join("/", support)];
  }
  const state = env.XDG_STATE_HOME || join(home, ".local", "state");
  return [join(state, "longwire", "apps"), "/etc/longwire/apps"];
}

/** The program of the host, if the app may start it. Throws with a browser's text otherwise. */
export function hostProgram(host: string, app: string, folders = manifestFolders()): string {
  for (const folder of folders) {
    let text: string;
    try {
      text = readFileSync(join(folder, `${host}.json`), "utf8");
    } catch {
      continue;
    }
    const { path, allowed_apps: allowed } = JSON.parse(text) as { path?: string; allowed_apps?: string[] };
    if (typeof path !== "string") continue;
    if (!allowed?.includes(app)) throw new Error(FORBIDDEN);
    return path;
  }
  throw new Error(NOT_FOUND);
}
