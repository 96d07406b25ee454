// One program for socket.io-client and for Longwire's `io`: it must not be able to distinguish them. It imports nothing
// but them: `IO` is replaced by the one or the other. What it returns is compared.

/** Runs in an extension's page, against the server of io.test.mjs at `url`. */
export async function program(url, IO) {
  const { io, connect, Manager, Socket, protocol } = await import(IO);
  const log = [];
  const note = (...words) => log.push(JSON.stringify(words));
  const within = (what, promise) =>
    Promise.race([
      promise,
      new Promise((_, reject) =>
        setTimeout(() => reject(new Error(`not within 20 s: ${what}\n${log.join("\n")}`)), 20_000),
      ),
    ]);
  const next = (emitter, event) =>
    within(event, new Promise((resolve) => emitter.once(event, (...args) => resolve(args))));
  const bytes = (value) => [Object.prototype.toString.call(value), ...new Uint8Array(value)];

  note("exports", typeof connect, typeof io.connect, typeof Manager, typeof Socket, protocol);

  // ---- a refusal, better credentials, a connection ----
  const socket = io(url, {
    autoConnect: false,
    auth: { token: "bad" },
    query: { room: "q1" },
    transports: ["websocket"],
    reconnectionDelay: 50,
    reconnectionDelayMax: 100,
  });
  note("new", socket.connected, socket.disconnected, socket.active, socket.recovered, socket.nsp, socket.auth);
  note("instance", socket instanceof Socket, socket.io instanceof Manager);
  socket.emit("early", "bird");
  note("buffered", socket.sendBuffer.length);
  socket.connect();
  note("connecting", socket.connected, socket.active);
  const [refusal] = await next(socket, "connect_error");
  note("refused", refusal instanceof Error, refusal.message, refusal.data, socket.connected, socket.active);
  socket.auth.token = "good";
  socket.onAny((event, ...args) => note("any", event, args.length));
  socket.prependAny((event) => note("any first", event));
  socket.onAnyOutgoing((event, ...args) => note("outgoing", event, args));
  const echoed = next(socket, "echo");
  socket.connect();
  await next(socket, "connect");
  note("connected", socket.connected, socket.disconnected, socket.active, Boolean(socket.recovered));
  note("early", await echoed);
  socket.offAny();
  note("any listeners", socket.listenersAny().length, socket.listenersAnyOutgoing().length);
  socket.offAnyOutgoing();

  // ---- out, and acknowledgements ----
  note("chain", socket.emit("nothing") === socket, socket.send("x") === socket);
  note("message", await next(socket, "message"));
  note("callback", await new Promise((resolve) => socket.emit("add", 1, 2, (...args) => resolve(args))));
  note("promise", await socket.emitWithAck("add", 3, 4));
  note("in time", await new Promise((resolve) => socket.timeout(5000).emit("add", 5, 6, (...args) => resolve(args))));
  const late = await new Promise((resolve) => socket.timeout(100).emit("silence", (...args) => resolve(args)));
  note("late", late.length, late[0] instanceof Error, late[0].message);
  note("late promise", await socket.timeout(100).emitWithAck("silence").catch(({ message }) => message));
  note("volatile", await socket.volatile.emitWithAck("add", 7, 8), await socket.compress(false).emitWithAck("add", 9, 1));
  note("handshake", await socket.emitWithAck("handshake"));
  for (const name of ["connect", "disconnect", "connect_error"]) {
    try {
      socket.emit(name);
    } catch (error) {
      note("reserved", error.message);
    }
  }

  // ---- what JSON and bytes come to ----
  const odd = [null, true, 1.5, "é€😀", [], {}, { a: [{ b: null }] }, undefined, new Date(0), { gone: undefined }];
  note("json", await new Promise((resolve) => socket.emit("mirror", ...odd, (...args) => resolve(args))));
  note("looks like ours", await socket.emitWithAck("mirror", { $base64: "AAA=" }), await socket.emitWithAck("mirror", { $$base64: [1] }));
  const data = new Uint8Array([1, 2, 3, 255]);
  note("a view", bytes(await socket.emitWithAck("mirror", data)));
  note("a buffer", bytes(await socket.emitWithAck("mirror", data.buffer)));
  note("a part", bytes(await socket.emitWithAck("mirror", data.subarray(1, 3))));
  const deep = await socket.emitWithAck("mirror", { list: [data, { inner: data.buffer }] });
  note("deep", bytes(deep.list[0]), bytes(deep.list[1].inner));
  note("seen by the server", await socket.emitWithAck("kinds", data, data.buffer, "text", { data }));

  // ---- in ----
  socket.on("question", (text, answer) => answer(`${text}!`, data));
  note("asked", await socket.emitWithAck("ask me"));
  const order = [];
  const one = (n) => order.push(`one ${n}`);
  const two = (n) => order.push(`two ${n}`);
  socket.on("tick", one).on("tick", two);
  socket.once("tick", (n) => order.push(`once ${n}`));
  note("listeners", socket.listeners("tick").length, socket.hasListeners("tick"), socket.hasListeners("tock"));
  await socket.emitWithAck("ticks", 2);
  socket.off("tick", one);
  await socket.emitWithAck("ticks", 1);
  socket.removeAllListeners("tick");
  await socket.emitWithAck("ticks", 1);
  note("order", order);
  // One event after the other: a listener that waits for one must be in time for the next.
  socket.emit("stairs");
  const [first] = await next(socket, "stair 1");
  const [second] = await next(socket, "stair 2");
  const [third] = await next(socket, "stair 3");
  note("stairs", first, second, third);

  // ---- namespaces ----
  const admin = io(`${url}/admin`, { auth: (take) => take({ token: "good" }), transports: ["websocket"] });
  note("as its manager", admin.active, admin.io === socket.io, socket.io.opts.autoConnect);
  admin.connect();
  await next(admin, "connect");
  note("admin", admin.nsp, admin.connected, await admin.emitWithAck("who"));
  admin.disconnect();
  const closed = io(`${url}/closed`, { transports: ["websocket"] });
  closed.connect();
  note("closed", (await next(closed, "connect_error"))[0].message, closed.active);
  closed.close();

  // ---- ends ----
  const dropped = next(socket, "disconnect");
  const tried = next(socket.io, "reconnect_attempt");
  const again = next(socket.io, "reconnect");
  const back = next(socket, "connect");
  socket.emit("drop me");
  const [reason, details] = await dropped;
  note("dropped", reason, typeof details, socket.active);
  note("while away", (await tried).length, (await again).length, (await back).length, await socket.emitWithAck("add", 20, 1));
  const kicked = next(socket, "disconnect");
  socket.emit("kick me");
  note("kicked", await kicked, socket.connected, socket.active);
  socket.connect();
  await next(socket, "connect");
  note("back", await socket.emitWithAck("add", 1, 1));
  const over = next(socket, "disconnect");
  note("disconnect", socket.disconnect() === socket, socket.connected, socket.active);
  note("over", await over);
  socket.open();
  await next(socket, "connect");
  note("open again", await socket.emitWithAck("add", 2, 2));
  socket.close();
  return log;
}
