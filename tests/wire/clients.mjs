/*
 * clients.mjs - clients that can misbehave.
 *
 * RawClient speaks bytes, RawWebSocket frames, NativeClient the protocol starling.v1, EventStream
 * reads server-sent events; Line is a way to the server that can be cut. Each of them holds what it
 * gets to the letter of its standard.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";

import { Signal, onceKey, persistently, requestTo, turn, within } from "./harness.mjs";

/* ---- bytes ---- */

/* One response at the start of `bytes`: { response, used }, or null when it is not whole yet. */
function parseResponse(bytes, { toHead, isClosed }) {
	const end = bytes.indexOf("\r\n\r\n");
	if (end < 0)
		return null;
	const [first, ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
	const [, version, status] = /^HTTP\/(1\.[01]) (\d{3})(?: .*)?$/.exec(first) ??
		assert.fail(`not a status line: ${first}`);
	const headers = {};
	for (const line of lines) {
		const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ??
			assert.fail(`not a header line: ${line}`);
		const key = name.toLowerCase();
		headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
	}
	const response = { version, status: Number(status), headers, text: "" };
	const body = parseBody(bytes.subarray(end + 4), response, { toHead, isClosed });
	if (!body)
		return null;
	response.text = body.text;
	return { response, used: end + 4 + body.used };
}

function parseBody(bytes, { status, headers }, { toHead, isClosed }) {
	if (toHead || status < 200 || status === 204 || status === 304)
		return { text: "", used: 0 };
	if (headers["transfer-encoding"] === "chunked")
		return parseChunks(bytes);
	if (headers["content-length"] === undefined)
		return isClosed ? { text: bytes.toString(), used: bytes.length } : null;
	assert.match(headers["content-length"], /^\d+$/);
	const length = Number(headers["content-length"]);
	if (bytes.length < length)
		return null;
	return { text: bytes.toString("utf8", 0, length), used: length };
}

function parseChunks(bytes) {
	const pieces = [];
	for (let at = 0; ;) {
		const end = bytes.indexOf("\r\n", at);
		if (end < 0)
			return null;
		const size = parseInt(bytes.toString("latin1", at, end), 16);
		assert.ok(size >= 0, "a chunk size");
		if (bytes.length < end + 2 + size + 2)
			return null;
		pieces.push(bytes.subarray(end + 2, end + 2 + size));
		at = end + 2 + size + 2;
		if (size === 0)
			return { text: Buffer.concat(pieces).toString(), used: at };
	}
}

export class RawClient {
	#chunks = [];
	#signal = new Signal();
	isClosed = false;

	/* `options` as net.connect() takes them: localAddress, or the path of a socket. */
	static async connect(server, options = {}) {
		const { socket, event } = server.connect(options);
		socket.setNoDelay(true);
		const client = new this(socket);
		await within(new Promise((resolve, reject) => {
			socket.once(event, resolve);
			socket.once("error", reject);
		}), "a connection");
		return client;
	}

	constructor(socket) {
		this.socket = socket;
		socket.on("data", (chunk) => {
			this.#chunks.push(chunk);
			this.#signal.wake();
		});
		socket.on("error", () => {});
		socket.on("close", () => {
			this.isClosed = true;
			this.#signal.wake();
		});
	}

	/* Strings are bytes: each character is one. */
	send(...parts) {
		this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part, "latin1"))));
	}

	/* Each piece in a segment of its own, as far as loopback keeps them apart. */
	async sendPieces(pieces) {
		for (const piece of pieces) {
			this.send(piece);
			await turn();
		}
	}

	/* What has come and was not consumed. */
	get received() {
		if (this.#chunks.length !== 1)
			this.#chunks = [Buffer.concat(this.#chunks)];
		return this.#chunks[0];
	}

	consume(count) {
		this.#chunks = [this.received.subarray(count)];
	}

	/* The first truthy answer of question(received); fails when the server closes before. */
	async until(question, what) {
		const ask = () => {
			const answer = question(this.received);
			if (answer || !this.isClosed)
				return answer;
			const rest = this.received.toString("latin1");
			return assert.fail(`the server closed instead of ${what}: ${rest}`);
		};
		return ask() || this.#signal.when(ask, what);
	}

	/* The next HTTP response. */
	async response({ toHead = false } = {}) {
		const parse = (bytes) => parseResponse(bytes, { toHead, isClosed: this.isClosed });
		const { response, used } = await this.until(parse, "a response");
		this.consume(used);
		return response;
	}

	/* All that still comes until the server closes. */
	async rest() {
		await this.#signal.when(() => this.isClosed, "the server to close");
		const rest = this.received;
		this.consume(rest.length);
		return rest;
	}

	close() {
		this.socket.destroy();
	}
}

/* Sends `bytes` on a new connection and reads one response. */
export async function exchange(server, bytes, options) {
	const client = await RawClient.connect(server);
	client.send(bytes);
	const response = await client.response(options);
	client.close();
	return response;
}

/* ---- WebSocket frames ---- */

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/* `lengthBytes` 2 or 8 forces a longer form of the length than needed. */
function frameHead(length, { opcode, fin, rsv, masked, lengthBytes }) {
	const form = lengthBytes ?? (length < 126 ? 0 : length < 65536 ? 2 : 8);
	const head = Buffer.alloc(2 + form);
	head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
	head[1] = (masked ? 0x80 : 0) | (form === 0 ? length : form === 2 ? 126 : 127);
	if (form === 2)
		head.writeUInt16BE(length, 2);
	if (form === 8)
		head.writeBigUInt64BE(BigInt(length), 2);
	return head;
}

/* A client's frame. */
export function frame(opcode, payload = "", options = {}) {
	const { fin = true, rsv = 0, masked = true, lengthBytes, declared } = options;
	const body = Buffer.from(payload);
	const head = frameHead(declared ?? body.length, { opcode, fin, rsv, masked, lengthBytes });
	if (!masked)
		return Buffer.concat([head, body]);
	const mask = randomBytes(4);
	for (let i = 0; i < body.length; i++) /* map() takes seconds for some MB */
		body[i] ^= mask[i % 4];
	return Buffer.concat([head, mask, body]);
}

export function closeFrame(code, reason = "") {
	const payload = Buffer.alloc(2);
	payload.writeUInt16BE(code);
	return frame(opcodes.close, Buffer.concat([payload, Buffer.from(reason)]));
}

/* One server frame at the start of `bytes`, which must be as a server has to make it. */
function parseFrame(bytes) {
	if (bytes.length < 2)
		return null;
	assert.equal(bytes[0] & 0x70, 0, "reserved bits of a server frame");
	assert.equal(bytes[1] & 0x80, 0, "a server frame is not masked");
	const short = bytes[1];
	const at = short < 126 ? 2 : short === 126 ? 4 : 10;
	if (bytes.length < at)
		return null;
	const length = short < 126 ? short :
		short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
	assert.ok(short !== 126 || length >= 126, "the shortest form of a length");
	assert.ok(short !== 127 || length >= 65536, "the shortest form of a length");
	if (bytes.length < at + length)
		return null;
	const payload = bytes.subarray(at, at + length);
	return { fin: bytes[0] >= 0x80, opcode: bytes[0] & 15, payload, used: at + length };
}

/* A handshake that is as it should be, but for `changes`: a header with null is left out. */
export function handshake(server, target = "/ws", changes = {}, first = `GET ${target} HTTP/1.1`) {
	const headers = {
		Host: `127.0.0.1:${server.port}`,
		Upgrade: "websocket",
		Connection: "Upgrade",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Version": "13",
		...changes,
	};
	const lines = Object.entries(headers)
		.filter(([, value]) => value !== null)
		.flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
	return [first, ...lines, "", ""].join("\r\n");
}

export function acceptOf(key) {
	const hash = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
	return hash.digest("base64");
}

export class RawWebSocket extends RawClient {
	static async open(server, target, changes) {
		const client = await this.connect(server);
		client.send(handshake(server, target, changes));
		await client.accepted();
		return client;
	}

	async accepted() {
		this.answer = await this.response();
		assert.equal(this.answer.status, 101, this.answer.text);
		assert.match(this.answer.headers.upgrade, /^websocket$/i);
		assert.match(this.answer.headers.connection, /^upgrade$/i);
		assert.equal(this.answer.headers["sec-websocket-accept"],
			"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	}

	async frame() {
		const next = await this.until(parseFrame, "a frame");
		this.consume(next.used);
		return next;
	}

	/* The next frame that is not a ping; pings are answered. */
	async quietFrame() {
		for (;;) {
			const next = await this.frame();
			if (next.opcode !== opcodes.ping)
				return next;
			this.send(frame(opcodes.pong, next.payload));
		}
	}

	/* The next message, whole: { opcode, payload }. */
	async message() {
		const first = await this.quietFrame();
		const parts = [first.payload];
		for (let last = first; !last.fin;) {
			last = await this.quietFrame();
			assert.equal(last.opcode, opcodes.continuation);
			parts.push(last.payload);
		}
		return { opcode: first.opcode, payload: Buffer.concat(parts) };
	}

	/* The server's close frame, after which it ends the connection: { code, reason }. */
	async closing() {
		let next = await this.frame();
		while (next.opcode !== opcodes.close)
			next = await this.frame();
		this.send(frame(opcodes.close, next.payload));
		assert.equal((await this.rest()).length, 0, "nothing follows a close frame");
		assert.notEqual(next.payload.length, 1);
		if (next.payload.length === 0)
			return { code: 1005, reason: "" };
		const code = next.payload.readUInt16BE(0);
		return { code, reason: next.payload.toString("utf8", 2) };
	}
}

/* ---- starling.v1 ---- */

function readCounted(bytes, at) {
	let length = 0;
	for (let shift = 0; ; shift += 7) {
		const byte = bytes[at++];
		length |= (byte & 127) << shift;
		if (byte < 128)
			break;
	}
	return { text: bytes.toString("latin1", at, at + length), end: at + length };
}

/* A binary message: { channel, id, payload }. */
export function parseBinary(bytes) {
	assert.equal(bytes[0], 1);
	const channel = readCounted(bytes, 1);
	const id = readCounted(bytes, channel.end);
	return { channel: channel.text, id: id.text, payload: bytes.subarray(id.end) };
}

export class NativeClient extends RawWebSocket {
	#aside = [];
	#lastRef = 0;

	static async open(server, { query = "", headers = {} } = {}) {
		const client = await super.open(server, `/ws${query && `?${query}`}`, headers);
		client.server = server;
		client.welcome = await client.hear();
		assert.equal(client.welcome.type, "welcome");
		return client;
	}

	/* An object, or the text of a frame. */
	say(command) {
		this.send(frame(opcodes.text,
			typeof command === "string" ? command : JSON.stringify(command)));
	}

	/* The next frame's text. */
	async hearText() {
		const { opcode, payload } = await this.message();
		assert.equal(opcode, opcodes.text, payload.toString("utf8"));
		return payload.toString("utf8");
	}

	async hear() {
		return this.#aside.shift() ?? JSON.parse(await this.hearText());
	}

	/* The answer to `command`; what comes before it is heard later. */
	async ask(command) {
		const ref = `ask-${++this.#lastRef}`;
		this.say({ ref, ...command });
		for (;;) {
			const object = JSON.parse(await this.hearText());
			if (object.ref === (command.ref ?? ref))
				return object;
			this.#aside.push(object);
		}
	}

	async subscribe(channel, more = {}) {
		const answer = await persistently(this.server,
			() => this.ask({ type: "subscribe", channel, ...more }));
		assert.equal(answer.type, "subscribed", JSON.stringify(answer));
		return answer;
	}

	async publish(channel, data, more = {}) {
		const command = { type: "publish", channel, data, ...onceKey(this.server), ...more };
		const answer = await persistently(this.server, () => this.ask(command));
		assert.equal(answer.type, "ack", JSON.stringify(answer));
		return answer.id;
	}

	/* Hands objects to isEnough() as they come, without a promise for each, until it says so. */
	async hearAll(isEnough) {
		while (this.#aside.length > 0) {
			if (isEnough(this.#aside.shift()))
				return;
		}
		await this.until(() => {
			for (let next; (next = parseFrame(this.received));) {
				this.consume(next.used);
				if (next.opcode === opcodes.ping) {
					this.send(frame(opcodes.pong, next.payload));
					continue;
				}
				assert.ok(next.fin);
				const object = next.opcode === opcodes.binary
					? { type: "message", ...parseBinary(next.payload) }
					: JSON.parse(next.payload.toString());
				if (isEnough(object))
					return true;
			}
			return false;
		}, "messages");
	}

	/* The next `count` objects, all of them messages. */
	async messages(count) {
		const heard = [];
		if (count > 0)
			await this.hearAll((object) => {
				assert.equal(object.type, "message", JSON.stringify(object));
				return heard.push(object) === count;
			});
		return heard;
	}

	/* The data of the next `count` messages. */
	async data(count) {
		return (await this.messages(count)).map(({ data }) => data);
	}
}

/* ---- server-sent events ---- */

/*
 * A reader of text/event-stream after the WHATWG rules. onEvent(event) is called for each event:
 * { event, data, id }, id being the last one seen; comments and retry times are kept.
 */
export class EventStream {
	#rest = "";
	#fields = { event: "", data: [] };
	#signal = new Signal();
	events = [];
	comments = [];
	retries = [];
	lines = [];
	id = "";
	isClosed = false;

	static async open(server, target, { headers = {}, onEvent, onClose } = {}) {
		const stream = new this();
		stream.onEvent = onEvent ?? ((event) => stream.events.push(event));
		stream.onClose = onClose ?? (() => {});
		await within(stream.#connect(server, target, headers), `GET ${target}`);
		return stream;
	}

	#connect(server, target, headers) {
		return new Promise((resolve, reject) => {
			const { socketPath } = server;
			this.request = requestTo(server.url, { path: target, headers, socketPath });
			this.request.end();
			this.request.on("socket", (socket) => server.track(socket));
			this.request.on("error", (error) => { this.#end(); reject(error); });
			this.request.on("response", (response) => {
				this.status = response.statusCode;
				this.headers = response.headers;
				response.setEncoding("utf8");
				response.on("data", (text) => this.#read(text));
				response.on("error", () => {});
				response.on("close", () => this.#end());
				resolve();
			});
		});
	}

	#end() {
		if (this.isClosed)
			return;
		this.isClosed = true;
		this.onClose();
		this.#signal.wake();
	}

	#read(text) {
		const lines = (this.#rest + text).split("\n");
		this.#rest = lines.pop();
		for (const line of lines) {
			if (this.isClosed)
				return;
			this.#line(line.replace(/\r$/, ""));
		}
		this.#signal.wake();
	}

	#line(line) {
		if (this.lines.length < 100)
			this.lines.push(line);
		if (line === "")
			return this.#dispatch();
		const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
		if (name === "")
			this.comments.push(value);
		else if (name === "data")
			this.#fields.data.push(value ?? "");
		else if (name === "event")
			this.#fields.event = value ?? "";
		else if (name === "id")
			this.id = value ?? "";
		else if (name === "retry")
			this.retries.push(value);
		else
			assert.fail(`not a field of an event: ${line}`);
	}

	#dispatch() {
		const { event, data } = this.#fields;
		const { id } = this;
		this.#fields = { event: "", data: [] };
		if (data.length > 0)
			this.onEvent({ event: event || "message", data: data.join("\n"), id });
	}

	/* The first truthy answer of `question`; fails when the stream ends before. */
	async until(question, what) {
		const ask = () => {
			const answer = question();
			if (!answer && this.isClosed)
				assert.fail(`the stream ended instead of ${what}`);
			return answer;
		};
		return ask() || this.#signal.when(ask, what);
	}

	next() {
		return this.until(() => this.events.shift(), "an event");
	}

	async take(count) {
		const taken = [];
		while (taken.length < count)
			taken.push(await this.next());
		return taken;
	}

	close() {
		this.#end();
		this.request.destroy();
	}
}

/* ---- a line that can be cut ---- */

/* A TCP proxy to the server; cut() drops every connection through it. */
export class Line {
	#sockets = new Set();
	isUp = true;

	static async to(server) {
		const line = new this();
		line.listener = net.createServer((near) => line.#join(near, server));
		await new Promise((resolve) =>
			line.listener.listen(0, "127.0.0.1", resolve).unref());
		line.port = line.listener.address().port;
		line.url = `${server.scheme}://127.0.0.1:${line.port}`;
		line.wsUrl = `${server.isSecure ? "wss" : "ws"}://127.0.0.1:${line.port}/ws`;
		return line;
	}

	#join(near, server) {
		if (!this.isUp) {
			near.destroy();
			return;
		}
		const far = net.connect(server.port, "127.0.0.1");
		for (const [socket, other] of [[near, far], [far, near]]) {
			this.#sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => {
				this.#sockets.delete(socket);
				other.destroy();
			});
			socket.pipe(other);
		}
	}

	cut() {
		this.#sockets.forEach((socket) => socket.destroy());
	}

	close() {
		this.cut();
		this.listener.close();
	}
}
