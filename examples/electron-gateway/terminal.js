// The same gateway without Electron: prints each change. `go` and Enter asks for ten ticks; the end of input ends it.
//   node terminal.js FOLDER [URL]
const { createInterface } = require("node:readline");
const { Gateway } = require("./gateway.js");

const [folder, url] = process.argv.slice(2);
const gateway = new Gateway(folder, url);
let shown = "";

gateway.on("changed", async () => {
  const { state, progress, lines } = await gateway.view();
  const line = `${state} | ${progress.done} of ${progress.of} | ${lines.length} lines, the newest: ${lines[0] ?? "none"}`;
  if (line !== shown) console.log((shown = line));
});
createInterface({ input: process.stdin })
  .on("line", (word) => word === "go" && gateway.go())
  .on("close", () => gateway.close());
