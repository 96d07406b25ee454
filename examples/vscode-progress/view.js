// What the user sees: the state in the status bar, a notification with a progress bar for each task, and the log in a view.
// It knows nothing of Longwire.
const vscode = require("vscode");

const ICONS = { open: "$(pass-filled)", connecting: "$(sync~spin)", waiting: "$(sync~spin)", opening: "$(sync~spin)" };

class View {
  #log;
  #bar = vscode.window.createStatusBarItem("frappeProgress", vscode.StatusBarAlignment.Left, 0);
  #changed = new vscode.EventEmitter();
  #running = new Map();
  #signingIn = false;

  /** Why there is no connection, while the user can do something about it. */
  why;

  onDidChangeTreeData = this.#changed.event;

  constructor(context, log) {
    this.#log = log;
    this.#bar.name = "Frappe";
    this.state("opening");
    this.#bar.show();
    const tree = vscode.window.createTreeView("frappeProgress", { treeDataProvider: this });
    context.subscriptions.push(this.#bar, this.#changed, tree, { dispose: () => this.#endAll() });
  }

  state(state) {
    // Without a cookie there is no connection, whatever else is the state.
    if (state === "open") this.#signingIn = false;
    else if (this.#signingIn) return;
    this.#bar.text = `${ICONS[state] ?? "$(error)"} Frappe: ${state}`;
    this.#bar.tooltip = "Click to start an example task";
    this.#bar.command = "frappeProgress.start";
    this.why = undefined;
  }

  problem(message) {
    this.#bar.text = "$(error) Frappe: not connected";
    this.#bar.tooltip = message;
    this.why = message;
  }

  async needsSignIn(why) {
    this.#signingIn = true;
    this.#bar.text = "$(account) Frappe: sign in";
    this.#bar.command = "frappeProgress.signIn";
    const text = why === "refused" ? "Frappe refused the cookie." : "Sign in to see the progress of your Frappe site.";
    const choice = await vscode.window.showWarningMessage(text, "Sign In");
    if (choice) await vscode.commands.executeCommand("frappeProgress.signIn");
  }

  async progress(task, percent, id) {
    await this.note(`${task}: ${percent} %`, id);
    const shown = this.#running.get(task) ?? (percent < 100 ? this.#begin(task) : undefined);
    shown?.report(percent);
    if (percent >= 100) this.#running.delete(task);
  }

  /** Resolves when the line is in the file. */
  async note(line, id) {
    await this.#log.add(line, id);
    this.#changed.fire();
  }

  getChildren() {
    return this.#log.lines();
  }

  getTreeItem(line) {
    const item = new vscode.TreeItem(line);
    item.iconPath = new vscode.ThemeIcon(/ \d+ %$/.test(line) ? "graph-line" : "comment");
    return item;
  }

  /** A notification with a progress bar, until the task is done. */
  #begin(task) {
    let before = 0;
    let end;
    const done = new Promise((resolve) => (end = resolve));
    const shown = { end, report: () => {} };
    const options = { location: vscode.ProgressLocation.Notification, title: `Frappe: ${task}` };
    vscode.window.withProgress(options, (progress) => {
      shown.report = (percent) => {
        progress.report({ increment: percent - before, message: `${percent} %` });
        before = percent;
        if (percent >= 100) end();
      };
      return done;
    });
    this.#running.set(task, shown);
    return shown;
  }

  #endAll() {
    for (const { end } of this.#running.values()) end();
    this.#running.clear();
  }
}

module.exports = { View };
