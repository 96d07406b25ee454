// Responses at the edges of HTTP, WebSocket and event streams, as real servers and proxies send them, letter by letter.
// Each states how a browser handles it. This file dials nothing.

import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { deflateRawSync } from "node:zlib";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A frame of a server. */
export function frame(first, payload = "") {
  const body = Buffer.from(payload);
  if (body.length < 126) return Buffer.concat([Buffer.from([first, body.length]), body]);
  const head = Buffer.from([first, 126, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}
const text = (payload) => frame(0x81, payload);
const close = (code, reason = "") => frame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
const bye = close(1000);

/** The response that accepts a handshake. `change` edits its lines, `{ name: value }`; `undefined` leaves one out. */
function accepted(head, { line = "HTTP/1.1 101 Switching Protocols", change = {}, more = "", end = "\r\n" } = {}) {
  const accept = createHash("sha1").update(head.value("sec-websocket-key") + GUID).digest("base64");
  const headers = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": accept, ...change };
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined);
  return `${line}${end}${lines.map(([name, value]) => `${name}: ${value}${end}`).join("")}${more}${end}`;
}
const ws = (options, ...frames) => (head) => [accepted(head, options), ...(frames.length > 0 ? frames : [text("hi"), bye])];
/** Why Longwire continues where Chromium does not. */
const LENIENT = "the response is not quite as the RFC has it, but nothing is gained by refusing it";
const GOOD = ["open", "text hi", "close 1000"];
const FAILED = ["close 1006"];
const deflated = (payload, bits) => deflateRawSync(payload, { windowBits: bits, finishFlush: 2 }).subarray(0, -4);
const pmd = (answer, bits = 15) => ws(
  { more: `Sec-WebSocket-Extensions: ${answer}\r\n` },
  frame(0xc1, deflated("hi".repeat(1), bits)),
  bye,
);

export const SOCKETS = {
  "no reason phrase": [ws({ line: "HTTP/1.1 101" }), GOOD],
  "empty reason phrase": [ws({ line: "HTTP/1.1 101 " }), GOOD],
  "long reason phrase": [ws({ line: `HTTP/1.1 101 ${"x".repeat(5000)}` }), GOOD],
  "non-ASCII reason phrase": [ws({ line: "HTTP/1.1 101 Protokoll\u00fcbergang" }), GOOD],
  "HTTP/1.0": [ws({ line: "HTTP/1.0 101 Switching Protocols" }), GOOD],
  "lines that end in LF only": [ws({ end: "\n" }), GOOD],
  "a list in Connection": [ws({ change: { Connection: "upgrade, keep-alive" } }), GOOD],
  "two Connection lines": [ws({ more: "Connection: keep-alive\r\n" }), GOOD],
  "two Upgrade lines": [ws({ more: "Upgrade: websocket\r\n" }), FAILED, { ours: GOOD, why: LENIENT }],
  "a list in Upgrade": [ws({ change: { Upgrade: "websocket, h2c" } }), FAILED, { ours: GOOD, why: LENIENT }],
  "Upgrade in capitals": [ws({ change: { Upgrade: "WebSocket" } }), GOOD],
  "two accepts": [ws({ more: "Sec-WebSocket-Accept: x\r\n" }), FAILED, { ours: GOOD, why: LENIENT }],
  "Content-Length: 0": [ws({ more: "Content-Length: 0\r\n" }), GOOD],
  "Content-Length: 5": [ws({ more: "Content-Length: 5\r\n" }), GOOD],
  "Transfer-Encoding: chunked": [ws({ more: "Transfer-Encoding: chunked\r\n" }), GOOD],
  "folded header": [ws({ more: "X-Long: a\r\n b\r\n" }), GOOD],
  "blank before the colon": [ws({ more: "X-Odd : a\r\n" }), GOOD],
  "a header without colon": [ws({ more: "Nonsense\r\n" }), GOOD],
  "an empty header name": [ws({ more: ": x\r\n" }), GOOD],
  "a header name with blanks": [ws({ more: "X Y: z\r\n" }), GOOD],
  "a header value in Latin-1": [ws({ more: "X-Name: M\u00fcller\r\n" }), GOOD],
  "a header value with a control character": [ws({ more: "X-Name: a\u0001b\r\n" }), GOOD],
  "a header value with NUL": [ws({ more: "X-Name: a\u0000b\r\n" }), FAILED],
  "300 headers": [ws({ more: "X-Many: 1\r\n".repeat(300) }), GOOD],
  "a header of 100 KB": [ws({ more: `X-Long: ${"a".repeat(100_000)}\r\n` }), GOOD],
  "100 first": [(head) => ["HTTP/1.1 100 Continue\r\n\r\n", accepted(head), text("hi"), bye], FAILED, { ours: GOOD, why: LENIENT }],
  "103 first": [(head) => ["HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n", accepted(head), text("hi"), bye], FAILED, { ours: GOOD, why: LENIENT }],
  "a blank line first": [(head) => ["\r\n", accepted(head), text("hi"), bye], GOOD],
  "cookies with 101": [ws({ more: "Set-Cookie: a=1\r\nSet-Cookie: __Host-b=2; Secure; Path=/\r\n" }), GOOD],
  "blanks around the accept": [(head) => [accepted(head).replace(/(Accept: )(\S+)/, "$1 \t$2  "), text("hi"), bye], GOOD],
  "subprotocol as offered": [ws({ more: "Sec-WebSocket-Protocol: chat\r\n" }), ["open chat", "text hi", "close 1000"], { protocols: ["chat", "other"] }],
  "no subprotocol though offered": [ws({}), FAILED, { protocols: ["chat"], ours: GOOD, why: LENIENT }],
  "subprotocol in other letters": [ws({ more: "Sec-WebSocket-Protocol: CHAT\r\n" }), FAILED, { protocols: ["chat"] }],
  "two subprotocol lines": [ws({ more: "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n" }), FAILED, { protocols: ["chat"] }],
  "an empty subprotocol": [ws({ more: "Sec-WebSocket-Protocol: \r\n" }), FAILED],
  "an empty subprotocol though offered": [ws({ more: "Sec-WebSocket-Protocol: \r\n" }), FAILED, { protocols: ["chat"] }],
  "permessage-deflate": [pmd("permessage-deflate"), GOOD],
  "permessage-deflate in capitals": [pmd("Permessage-Deflate"), FAILED, { ours: GOOD, why: LENIENT }],
  "permessage-deflate, quoted window": [pmd('permessage-deflate; server_max_window_bits="10"', 10), GOOD],
  "permessage-deflate, escaped window": [pmd('permessage-deflate; server_max_window_bits="1\\0"', 10), GOOD],
  ...Object.fromEntries([8, 9, 12, 15].map((bits) => [
    `permessage-deflate, window ${bits}`,
    [pmd(`permessage-deflate; server_max_window_bits=${bits}; client_max_window_bits=${bits}`, Math.max(bits, 9)), GOOD],
  ])),
  "permessage-deflate, window 16": [pmd("permessage-deflate; server_max_window_bits=16"), FAILED],
  "permessage-deflate, window 08": [pmd("permessage-deflate; server_max_window_bits=08"), FAILED],
  "permessage-deflate, parameter without value": [pmd("permessage-deflate; client_max_window_bits"), FAILED],
  "permessage-deflate, unknown parameter": [pmd("permessage-deflate; x=1"), FAILED],
  "permessage-deflate, twice": [pmd("permessage-deflate, permessage-deflate"), FAILED],
  "permessage-deflate, parameter twice": [pmd("permessage-deflate; server_no_context_takeover; server_no_context_takeover"), FAILED],
  "permessage-deflate, takeover with a value": [pmd("permessage-deflate; server_no_context_takeover=1"), FAILED],
  "permessage-deflate, blanks": [pmd("permessage-deflate ;  client_no_context_takeover ; server_no_context_takeover"), GOOD],
  "an empty extension header": [ws({ more: "Sec-WebSocket-Extensions: \r\n" }), FAILED, { ours: GOOD, why: LENIENT }],
  "another extension": [ws({ more: "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n" }), FAILED],
  "a ping between fragments": [ws({}, frame(0x01, "h"), frame(0x89, "p"), frame(0x00), frame(0x8a), frame(0x80, "i"), bye), GOOD],
  "a message cut in a character": [ws({}, frame(0x01, Buffer.from("é").subarray(0, 1)), frame(0x80, Buffer.from("é").subarray(1)), bye), ["open", "text é", "close 1000"]],
  "text that is not UTF-8": [ws({}, frame(0x81, Buffer.from([0xff])), bye), ["open", "close 1006"]],
  "close without code": [ws({}, frame(0x88)), ["open", "close 1005"]],
  "close with one byte": [ws({}, frame(0x88, "x")), ["open", "close 1006"]],
  "close with 1005": [ws({}, close(1005)), ["open", "close 1006"]],
  "close with 1006": [ws({}, close(1006)), ["open", "close 1006"]],
  "close with 1015": [ws({}, close(1015)), ["open", "close 1006"]],
  "close with 999": [ws({}, close(999)), ["open", "close 999"]],
  "close with 1004": [ws({}, close(1004)), ["open", "close 1004"]],
  "close with 1016": [ws({}, close(1016, "x")), ["open", "close 1016 x"]],
  "close with 2999": [ws({}, close(2999)), ["open", "close 2999"]],
  "close with 3000": [ws({}, close(3000, "done")), ["open", "close 3000 done"]],
  "close with 4999": [ws({}, close(4999)), ["open", "close 4999"]],
  "close with 5000": [ws({}, close(5000)), ["open", "close 5000"]],
  "close with 65535": [ws({}, close(65535)), ["open", "close 65535"]],
  "close whose reason is not UTF-8": [ws({}, frame(0x88, Buffer.from([3, 232, 0xff]))), ["open", "close 1006"]],
  "close in fragments": [ws({}, frame(0x08, Buffer.from([3, 232]))), ["open", "close 1006"]],
  "a ping of 126 bytes": [ws({}, frame(0x89, "x".repeat(126))), ["open", "close 1006"]],
  "reserved opcode": [ws({}, frame(0x83, "x")), ["open", "close 1006"]],
  "reserved bit": [ws({}, frame(0xa1, "x")), ["open", "close 1006"]],
  "continuation of nothing": [ws({}, frame(0x80, "x")), ["open", "close 1006"]],
  "a new message in another": [ws({}, frame(0x01, "x"), text("y")), ["open", "close 1006"]],
  "a masked frame": [ws({}, Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x61])), ["open", "close 1006"]],
  "length in more bytes than needed": [ws({}, Buffer.from([0x81, 126, 0, 2, 0x68, 0x69]), bye), ["open", "close 1006"], { ours: GOOD, why: LENIENT }],
  "empty messages": [ws({}, text(""), frame(0x82), frame(0x01), frame(0x80), bye), ["open", "text ", "bytes ", "text ", "close 1000"]],
  "text with NUL and a mark": [ws({}, text("\ufeffa\u0000b"), bye), ["open", "text \ufeffa\u0000b", "close 1000"]],
  "200": [() => ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"], FAILED],
  "302": [() => ["HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"], FAILED],
};

const stream = (head = "", body = "data: x\n\n") => () => [`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n${head}\r\n`, `retry: 1\n\n`, body];
const X = ["open", "message x", "again", "closed"];
const typed = (type) => () => [`HTTP/1.1 200 OK\r\n${type ? `Content-Type: ${type}\r\n` : ""}Connection: close\r\n\r\n`, "retry: 1\n\ndata: x\n\n"];
const NONE = ["failed"];
const raw = (body) => () => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", body];
const chunked = (...parts) => () => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nA\r\nretry: 1\n\n\r\n", ...parts];

export const STREAMS = {
  plain: [stream(), X],
  "HTTP/1.0": [() => ["HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "no reason phrase": [() => ["HTTP/1.1 200\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "LF only": [() => ["HTTP/1.1 200 OK\nContent-Type: text/event-stream\nConnection: close\n\n", "retry: 1\n\ndata: x\n\n"], X],
  "ICY": [() => ["ICY 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "retry: 1\n\ndata: x\n\n"], NONE],
  "a blank line first": [() => ["\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "103 first": [() => ["HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "type in capitals": [typed("Text/Event-Stream"), X],
  "charset": [typed("text/event-stream; charset=utf-8"), X],
  "another charset": [typed("text/event-stream; charset=latin1"), NONE, { ours: X, why: "an event stream is UTF-8 whatever its `charset` says" }],
  "blanks around the type": [typed("  text/event-stream ;charset=utf-8 "), X],
  "a comma behind the type": [typed("text/event-stream, text/plain"), NONE],
  "two types": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "type and its repetition": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n", "retry: 1\n\ndata: x\n\n"], X],
  "no type": [typed(""), NONE],
  "text/plain": [typed("text/plain"), NONE],
  "201": [() => ["HTTP/1.1 201 Created\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "data: x\n\n"], NONE],
  "205": [() => ["HTTP/1.1 205 Reset\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", ""], NONE],
  "206": [() => ["HTTP/1.1 206 Partial\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "data: x\n\n"], NONE],
  "mark first": [raw("\ufeffretry: 1\ndata: x\n\n"), X],
  "two marks first": [raw("\ufeff\ufeffretry: 1\nretry: 1\ndata: x\n\n"), X],
  "CR only": [raw("retry: 1\rdata: x\r\r"), X],
  "CR LF": [raw("retry: 1\r\ndata: x\r\n\r\n"), X],
  "no final blank line": [raw("retry: 1\ndata: x\n\ndata: y\n"), X],
  "comments": [raw(": hello\nretry: 1\n:\n:\n\ndata: x\n:\n\n"), X],
  "an id": [raw("retry: 1\nid: 7\ndata: x\n\ndata: y\n\n"), ["open", "message x 7", "message y 7", "again", "closed"]],
  "an id with NUL": [raw("retry: 1\nid: 7\n\nid: a\u0000\ndata: x\n\n"), ["open", "message x 7", "again", "closed"]],
  "an id that is taken back": [raw("retry: 1\nid: 7\ndata: x\n\nid\ndata: y\n\n"), ["open", "message x 7", "message y", "again", "closed"]],
  "an id before a stream's end": [raw("retry: 1\nid: 7\ndata: x\n\nid: 8\n"), ["open", "message x 7", "again", "closed"]],
  "an id beyond ASCII": [raw("retry: 1\nid: \u00e9\u4e2d\ndata: x\n\n"), ["open", "message x \u00e9\u4e2d", "again", "closed"]],
  "a named event": [raw("retry: 1\nevent: a b\ndata: x\n\n"), ["open", "message x a b", "again", "closed"]],
  "fields in capitals": [raw("retry: 1\nDATA: y\ndata: x\n\n"), X],
  "blank before the colon": [raw("retry: 1\ndata : y\ndata: x\n\n"), X],
  "two blanks": [raw("retry: 1\ndata:  x\n\n"), ["open", "message  x", "again", "closed"]],
  "a tab": [raw("retry: 1\ndata:\tx\n\n"), ["open", "message \tx", "again", "closed"]],
  "no data": [raw("retry: 1\ndata\n\ndata:\n\ndata: x\n\n"), ["open", "message ", "message ", "message x", "again", "closed"]],
  "NUL in data": [raw("retry: 1\ndata: a\u0000b\n\n"), ["open", "message a\u0000b", "again", "closed"]],
  "data that is not UTF-8": [raw(Buffer.concat([Buffer.from("retry: 1\ndata: a"), Buffer.from([0xff]), Buffer.from("b\n\n")])), ["open", "message a\ufffdb", "again", "closed"]],
  "retry with letters": [raw("retry: 1\nretry: 9x\nretry: -5\nretry: 1.5\ndata: x\n\n"), X],
  "chunk extensions": [chunked("9;name=value;q=\"a b\"\r\ndata: x\n\n\r\n0\r\n\r\n"), X],
  "chunk sizes in capitals and with zeros": [chunked("0009\r\ndata: x\n\n\r\n0000\r\n\r\n"), X],
  "chunk sizes with blanks": [chunked("9 \r\ndata: x\n\n\r\n0\r\n\r\n"), X],
  "chunk trailers": [chunked("9\r\ndata: x\n\n\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"), X],
  "chunks without an end": [chunked("9\r\ndata: x\n\n\r\n"), X],
  "Content-Length": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 19\r\n\r\nretry: 1\n\ndata: x\n\n"], X],
  "Content-Length twice": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 19\r\nContent-Length: 19\r\n\r\nretry: 1\n\ndata: x\n\n"], X],
  "Content-Length as a list": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 19, 19\r\n\r\nretry: 1\n\ndata: x\n\n"], X],
  "Content-Length too long": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\nConnection: close\r\n\r\nretry: 1\n\ndata: x\n\n"], X],
  "Content-Length and chunked": [() => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n13\r\nretry: 1\n\ndata: x\n\n\r\n0\r\n\r\n"], X],
  "Transfer-Encoding: identity": [stream("Transfer-Encoding: identity\r\n"), X],
  "Content-Encoding: identity": [stream("Content-Encoding: identity\r\n"), X],
  "Content-Encoding: utf-8": [stream("Content-Encoding: utf-8\r\n"), X],
  "Content-Encoding: none": [stream("Content-Encoding: none\r\n"), X],
  "folded header": [stream("X-Long: a\r\n\tb\r\n"), X],
  "a header without colon": [stream("Nonsense\r\n"), X],
  "a header value beyond ASCII": [stream("X-Name: \u00e9\r\n"), X],
  "blank before a header's colon": [stream("X-Odd : 1\r\n"), X],
  "300 headers": [stream("X-Many: 1\r\n".repeat(300)), X],
};

/** `Location` of a redirect, as `BASE/to/KIND` where the stream is. */
const redirect = (location, status = 302, more = "") => (head, base, origin) => [
  `HTTP/1.1 ${status} X\r\n${location === undefined ? "" : `Location: ${location(base, origin)}\r\n`}${more}Content-Length: 0\r\nConnection: close\r\n\r\n`,
];
export const REDIRECTS = {
  ...Object.fromEntries([301, 302, 303, 307, 308].map((status) => [`${status}`, [redirect((base) => `${base}/to`, status), X]])),
  300: [redirect((base) => `${base}/to`, 300), NONE],
  304: [redirect((base) => `${base}/to`, 304), NONE],
  305: [redirect((base) => `${base}/to`, 305), NONE],
  absolute: [redirect((base, origin) => `http://${origin}${base}/to`), X],
  "without scheme": [redirect((base, origin) => `//${origin}${base}/to`), X],
  relative: [redirect((base) => `${base.split("/").pop()}/to`), X],
  "with a fragment": [redirect((base) => `${base}/to#part`), X],
  "with blanks around": [redirect((base) => `  ${base}/to  `), X],
  "with a blank inside": [redirect((base) => `${base}/to?a b`), X],
  "beyond ASCII": [redirect((base) => `${base}/to?\u00fc`), X],
  "query only": [redirect(() => `?to`), X],
  "without Location": [redirect(undefined), NONE],
  "empty Location": [redirect(() => ""), NONE],
  "with user and password": [redirect((base, origin) => `http://us:pw@${origin}${base}/to`), NONE, { ours: X, why: "a rule of CORS, which extensions are free of elsewhere" }],
  "to another scheme": [redirect(() => "ftp://localhost/"), NONE],
  "to nonsense": [redirect(() => "http://[/"), NONE],
  "with a cookie": [redirect((base) => `${base}/to`, 302, "Set-Cookie: r=1; Path=/\r\n"), X],
};

function parsed(block) {
  const [line, ...rest] = block.split("\r\n");
  const headers = rest.map((header) => [header.slice(0, header.indexOf(":")), header.slice(header.indexOf(":") + 1).trim()]);
  return { line, headers, value: (name) => headers.find(([known]) => known.toLowerCase() === name)?.[1] };
}

const ALLOW = "Access-Control-Allow-Origin: ORIGIN\r\nAccess-Control-Allow-Credentials: true\r\n";
const OVER = `HTTP/1.1 204 No Content\r\n${ALLOW}Connection: close\r\n\r\n`;
const SOME = `HTTP/1.1 200 OK\r\n${ALLOW}Content-Type: text/event-stream\r\nConnection: close\r\n`;

/** Serves the cases at `/GROUP/INDEX/CLIENT`. */
export class EdgeServer {
  /** Every head, in order. */
  seen = [];
  #sockets = new Set();
  #asked = new Map();

  static async start() {
    const server = new EdgeServer();
    server.listener = net.createServer((socket) => server.#serve(socket));
    server.listener.listen(0, "127.0.0.1");
    await once(server.listener, "listening");
    server.port = server.listener.address().port;
    return server;
  }

  #serve(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    let read = "";
    const data = (bytes) => {
      read += bytes.toString("latin1");
      const end = read.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", data).on("data", () => {});
      const head = parsed(read.slice(0, end));
      this.seen.push(head);
      for (const part of this.#answer(head)) socket.write(part);
      socket.end();
    };
    socket.on("data", data);
  }

  /** How often this was asked for before. */
  #before(key) {
    const before = this.#asked.get(key) ?? 0;
    this.#asked.set(key, before + 1);
    return before;
  }

  #answer(head) {
    const path = head.line.split(" ")[1];
    const [, group, index, client] = path.split(/[/?]/);
    const base = `/${group}/${index}/${client}`;
    const allowed = (text) => text.replace("ORIGIN", head.value("origin") ?? "*");
    if (group === "ws") return Object.values(SOCKETS)[index][0](head);
    if (group === "urls") return head.value("upgrade") ? ws({}, bye)(head) : [allowed(this.#before(base) ? OVER : `${SOME}\r\nretry: 1\n\n`)];
    if (group === "sse") return this.#before(base) ? [OVER] : Object.values(STREAMS)[index][0](head);
    if (group === "cookies") {
      if (this.#before(base)) return [allowed(OVER)];
      const host = head.value("host").split(":")[0];
      const set = Object.values(COOKIES)[index].map((cookie) => `Set-Cookie: ${cookie.replace("HOST", host)}\r\n`);
      return [`${allowed(SOME)}${set.join("")}\r\nretry: 1\n\n`];
    }
    if (!/[/?]to/.test(path.slice(base.length))) return Object.values(REDIRECTS)[index][0](head, base, head.value("host"));
    return this.#before(base) ? [OVER] : stream()(head);
  }

  stop() {
    for (const socket of this.#sockets) socket.destroy();
    this.listener.close();
  }
}

/** URLs as people write them: `[scheme, host, rest]`; `MARK` names the client. */
export const URLS = {
  "a blank": ["ws", "localhost", "/MARK/a b?c d"],
  "beyond ASCII": ["ws", "localhost", "/MARK/\u00fc\u4e2d?\u00fc=\u4e2d"],
  "percent signs": ["ws", "localhost", "/MARK/%zz%4?%&100%"],
  "percent and small letters": ["ws", "localhost", "/MARK/%c3%bc?%c3%BC"],
  quotes: ["ws", "localhost", `/MARK/"'\`<>?"'\`<>`],
  "brackets and bars": ["ws", "localhost", "/MARK/[a]{b}|c^d?[a]{b}|c^d\\e"],
  backslashes: ["ws", "localhost", "/MARK\\a\\b"],
  "dots and slashes": ["ws", "localhost", "/MARK/a/./b/../c//d/%2e%2E/e"],
  "a tab and a line feed": ["ws", "localhost", "/MARK/a\tb?c\nd"],
  "blanks around": ["  ws", "localhost", "/MARK/a  "],
  "a semicolon and an at": ["ws", "localhost", "/MARK/a;b=c@d:e!$&'()*+,;=?a;b=c@d:e!$&'()*+,/?"],
  "a question mark alone": ["ws", "localhost", "/MARK?"],
  "control characters": ["ws", "localhost", "/MARK/\u0001?\u007f"],
  "http for a socket": ["http:ws", "localhost", "/MARK/a"],
  "capitals": ["WS", "LOCALHOST", "/MARK/A"],
  "a final dot": ["ws", "localhost.", "/MARK"],
  "a name below": ["ws", "a.b_c.localhost", "/MARK"],
  "an international name": ["ws", "b\u00fccher.localhost", "/MARK"],
  "a sharp s": ["ws", "fa\u00df.localhost", "/MARK"],
  "an emoji in the name": ["ws", "\u2603.localhost", "/MARK"],
  "wide letters": ["ws", "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "/MARK"],
  "percent in the name": ["ws", "%6cocalhost", "/MARK"],
  "a short address": ["ws", "127.1", "/MARK"],
  "an address in hexadecimal": ["ws", "0x7f000001", "/MARK"],
  "an address in octal": ["ws", "0177.0.0.01", "/MARK"],
  "an address with a final dot": ["ws", "127.0.0.1.", "/MARK"],
  "an address of both families": ["ws", "[::ffff:127.0.0.1]", "/MARK"],
  "a zone": ["ws", "[fe80::1%25lo]", "/MARK"],
  "a blank in the name": ["ws", "local host", "/MARK"],
  "a port with zeros": ["ws", "localhost", "/MARK", (port) => `000${port}`],
  "a port that is none": ["ws", "localhost", "/MARK", () => "65536"],
  "an event stream with a part": ["http", "localhost", "/MARK/sse?a#part"],
  "an event stream, beyond ASCII": ["http", "localhost", "/MARK/sse/\u00fc|'?\u00fc|'"],
};

/** `Set-Cookie` headers of a first response; the next request's cookies are compared. */
export const COOKIES = {
  plain: ["a=1"],
  "with blanks": ["  a  =  1 2  ; Path = / "],
  quoted: ['a="1; 2"'],
  "with equals signs": ["a=b=c=="],
  "no name": ["=1"],
  "no equals sign": ["abc"],
  "no value": ["a="],
  "a comma": ["a=1,b=2"],
  "beyond ASCII": ["a=\u00fc\u4e2d"],
  "percent signs": ["a=%20%zz"],
  brackets: ['a={"b":[1]}'],
  "twice the same": ["a=1", "a=2"],
  "letters' case": ["a=1", "A=2"],
  "another path": ["a=1; Path=/elsewhere"],
  "the path's beginning": ["a=1; Path=/cook"],
  "a path without slash": ["a=1; Path=x"],
  "no path": ["a=1; Path="],
  "two paths": ["a=1; Path=/elsewhere; Path=/"],
  "longer paths first": ["a=1; Path=/", "b=2; Path=/cookies"],
  deleted: ["a=1", "a=; Max-Age=0"],
  "deleted by a negative age": ["a=1", "a=; Max-Age=-1"],
  "deleted by its date": ["a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
  "deleted by a date with dashes": ["a=1", "a=; expires=Thu, 01-Jan-1970 00:00:01 GMT"],
  "deleted by an old date": ["a=1", "a=; expires=Sunday, 06-Nov-94 08:49:37 GMT"],
  "deleted by C's date": ["a=1", "a=; expires=Sun Nov  6 08:49:37 1994"],
  "deleted by a date without a day": ["a=1", "a=; expires=06 Nov 1994 08:49:37"],
  "a date to come": ["a=1; Expires=Fri, 31 Dec 2099 23:59:59 GMT"],
  "a date of two digits": ["a=1; Expires=Fri, 31-Dec-60 23:59:59 GMT"],
  "a date without sense": ["a=1; Expires=tomorrow"],
  "an age without sense": ["a=1; Max-Age=soon"],
  "an age over a date": ["a=1; Max-Age=1000; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
  "a large age": ["a=1; Max-Age=99999999999999999999"],
  "its own domain": ["a=1; Domain=HOST"],
  "its own domain with a dot": ["a=1; Domain=.HOST"],
  "somebody else's domain": ["a=1; Domain=example.com"],
  "no domain": ["a=1; Domain="],
  HttpOnly: ["a=1; httponly"],
  "SameSite=Lax": ["a=1; SameSite=Lax"],
  "unknown attributes": ["a=1; Priority=High; Foo; Partitioned2"],
  "4096 bytes and attributes": [`a=${"x".repeat(4095)}; Path=/; HttpOnly; SameSite=Lax`],
  "4097 bytes": [`a=${"x".repeat(4096)}`],
  "60 cookies": Array.from({ length: 60 }, (_, n) => `c${n}=1`),
  "a tab in it": ["a=1\t2"],
};

/** Cookies that Longwire takes otherwise than Chromium, and why. */
export const OTHER_COOKIES = {
  "no name": "RFC 6265 (5.2) ignores it",
  "no equals sign": "RFC 6265 (5.2) ignores it",
  "a tab in it": "Chromium refuses what RFC 6265 (5.2) takes",
};
