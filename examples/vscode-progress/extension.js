// Progress of a Frappe site in VS Code. The broker keeps the connection while the window reloads; the next extension host
// continues after the last event this one has processed.
const { join } = require("node:path");
const vscode = require("vscode");
const { connect } = require("./longwire-node.js"); // require("longwire/node") where it is installed with npm
const { Log } = require("./log.js");
const { View } = require("./view.js");

/** Allowed by `longwire install --app longwire.vscode-progress`. */
const APP = "longwire.vscode-progress";

let bridge;

exports.activate = (context) => {
  const settings = vscode.workspace.getConfiguration("frappeProgress");
  const site = settings.get("site");
  const namespace = settings.get("namespace");
  // A folder for each workspace: two windows have sessions of their own.
  const folder = (context.storageUri ?? context.globalStorageUri).fsPath;
  const view = new View(context, new Log(join(folder, "log.jsonl")));
  bridge = connect({ app: APP, storage: join(folder, "longwire.json") });
  bridge.on("error", (error) => view.problem(error.message));
  bridge.on("installed", () => view.state("connecting"));

  let session;
  const opening = bridge.open("frappe", site, {
    protocol: "socket.io",
    socketio: { namespaces: [namespace] },
    headers: { Origin: site }, // Frappe compares this with the Host it is asked on
    auth: "provider",
  });
  opening
    .then((opened) => {
      session = opened;
      listen(session, context, view);
    })
    .catch((error) => view.problem(error.message));

  /** A command that needs the session; without one the user reads why there is none. */
  const command = (name, work) =>
    vscode.commands.registerCommand(name, () =>
      session ? work(session) : vscode.window.showWarningMessage(view.why ?? "Frappe: connecting, try again in a moment"),
    );
  const start = async () => {
    await vscode.commands.executeCommand("frappeProgress.focus");
    await session.emit("ai_start", ["report", { pause: 200, step: 5 }], { namespace });
  };
  context.subscriptions.push(
    command("frappeProgress.signIn", () => signIn(context, session)),
    command("frappeProgress.start", start),
  );
};

/** VS Code waits for this when a window closes or reloads: what was processed is acknowledged. */
exports.deactivate = () => bridge?.disconnect();

function listen(session, context, view) {
  // Asked before the first dial, and whenever the site refused the cookie.
  session.onAuth(async ({ why }) => {
    const sid = why === "refused" ? undefined : await context.secrets.get("sid");
    if (sid) return credentials(sid);
    view.needsSignIn(why);
    throw new Error("not signed in to Frappe");
  });
  session.onState(({ state }) => view.state(state));
  view.state(session.state);
  session.onGap(({ count, reason }) => view.note(`${count ?? "some"} events were lost: ${reason}`));
  // A handler's promise settles when its line is in the file: then the event is acknowledged, and not delivered again.
  session.onEvent("ai_progress", (message) => {
    const [{ task, percent }] = message.args;
    return view.progress(task, percent, idOf(message));
  });
  session.onEvent("msgprint", (message) => view.note(message.args[0].message, idOf(message)));
  // This is data and is never evaluated.
  session.onEvent("eval_js", (message) => view.note(`the server wanted to run: ${message.args[0]}`, idOf(message)));
}

/** The same for an event that is delivered a second time, and for no other. */
const idOf = ({ epoch, seq }) => `${epoch}/${seq}`;

const credentials = (sid) => ({ headers: { Cookie: `sid=${sid}` } });

async function signIn(context, session) {
  const sid = await vscode.window.showInputBox({
    title: "Sign in to Frappe",
    prompt: "The value of the cookie sid, from the browser in which you use Desk",
    password: true,
    ignoreFocusOut: true,
  });
  if (!sid) return;
  await context.secrets.store("sid", sid);
  await session.authorize(credentials(sid));
}
