// Finds the processes of one test run: those that carry its LONGWIRE_HOME. It ends nothing.

import { readdir, readFile } from "node:fs/promises";

/** The command lines, by pid, of every process whose environment says `LONGWIRE_HOME=home`. Linux only. */
export async function processesOf(home) {
  const found = new Map();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (!environment.split("\0").includes(`LONGWIRE_HOME=${home}`)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command) found.set(Number(pid), command.replaceAll("\0", " ").trim());
  }
  return found;
}
