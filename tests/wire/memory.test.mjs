/*
 * memory.test.mjs - allocations that fail: the first one of a session, the second one, … all of them.
 *
 * The server is build/MODE/tests/failing/starling (tests/failing.h), whose allocations are told to
 * fail by a file. A session uses every way in and out; whatever fails, each request is answered as
 * it should be, refused with 503 `unavailable`, or its connection ends. No message that was
 * acknowledged is missing, none comes twice, no follower has a hole that it was not told of; and when
 * all clients have gone, the figures and the descriptors are what they were.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { EventStream, RawClient, RawWebSocket, frame, handshake, opcodes } from "./clients.mjs";
import { Dice } from "./dice.mjs";
import { Server, binary, call, descriptorsOf, hasThreadSanitizer, isBuiltWith, scratchDirectory, seqOf, speakPlainly,
	until, useServer, writeScratch } from "./harness.mjs";
import { Mesh } from "./meshes.mjs";
import { makePair, mint, secret } from "./tokens.mjs";

/* Tokens over TLS are a session of their own. */
speakPlainly();

const program = path.join(path.dirname(binary), "tests/failing/starling");
const skip = !fs.existsSync(program) && `${program} is not there`;

/* ---- the switch: a file of struct failing ---- */

const modes = { none: 0, one: 1, allFrom: 2 };

class Failing {
	constructor() {
		this.file = path.join(scratchDirectory(), "failing");
		fs.writeFileSync(this.file, Buffer.alloc(16));
		this.fd = fs.openSync(this.file, "r+");
	}

	#write(...words) {
		const bytes = Buffer.alloc(4 * words.length);
		words.forEach((word, i) => bytes.writeUInt32LE(word, 4 * i));
		fs.writeSync(this.fd, bytes, 0, bytes.length, 0);
	}

	arm(number, mode) {
		this.#write(modes.none, number, 0, 0);
		this.#write(mode);
	}

	/* What came of it: { seen, failed }. */
	disarm() {
		this.#write(modes.none);
		const words = Buffer.alloc(16);
		fs.readSync(this.fd, words, 0, 16, 0);
		return { seen: words.readUInt32LE(8), failed: words.readUInt32LE(12) };
	}
}

/* ---- what may come of a request ---- */

class Gone extends Error {}

/* `promise`, or Gone when the connection ended instead. */
async function orGone(promise) {
	try {
		return await promise;
	} catch (error) {
		const isEnd = /server closed instead|stream ended instead|socket hang up|ECONNRESET|EPIPE|alert internal error/;
		if (isEnd.test(error.message) || error.code === "ECONNRESET")
			throw new Gone(error.message);
		throw error;
	}
}

/* Its answer, null when it was refused for want of memory or the connection ended. */
async function ask(server, method, target, { mayBeGone, ...options } = {}) {
	try {
		const answer = await orGone(call(server, method, target, options));
		if (answer.status === 404 && mayBeGone) {
			assert.ok(!await mayBeGone.ask({ type: "ping" }, "pong"), answer.text);
			return null;
		}
		if (answer.status === 503) {
			assert.equal(answer.json().error.code, "unavailable", answer.text);
			return null;
		}
		assert.equal(answer.status, 200, `${method} ${target}: ${answer.text}`);
		return answer;
	} catch (error) {
		if (error instanceof Gone)
			return null;
		throw error;
	}
}

async function askJson(...args) {
	return (await ask(...args))?.json() ?? null;
}

/* ---- what is known of a channel ---- */

class Book {
	acknowledged = new Map(); /* id: data */

	note(channel, id, data) {
		assert.ok(!this.acknowledged.has(id), `${id} was given twice`);
		this.acknowledged.set(id, { channel, data: JSON.stringify(data) });
	}
}

/* A follower's messages rise within a channel, by one where it has no keys, or a gap is told. */
class Follower {
	#at = new Map();
	heard = new Map();

	/* With keys, the latest ones come first, which are older than the cursor. */
	begin(channel, cursor) {
		this.#at.set(channel, channel.startsWith("keyed:") ? cursor.replace(/-.*/, "-0") : cursor);
	}

	follows(channel) {
		return this.#at.has(channel);
	}

	gap(channel, cursor) {
		this.#at.set(channel, cursor);
	}

	message({ channel, id, data }) {
		const at = this.#at.get(channel);
		assert.ok(at !== undefined, `a message of ${channel}, which is not followed`);
		assert.equal(id.split("-")[0], at.split("-")[0], "an epoch that is not the follower's");
		const steps = seqOf(id) - seqOf(at);
		assert.ok(steps === 1 || (steps > 1 && channel.startsWith("keyed:")),
			`a hole in ${channel}: ${id} follows ${at}`);
		this.#at.set(channel, id);
		this.heard.set(id, JSON.stringify(data));
	}
}

/* ---- clients ---- */

/* A text message, or the place that a binary one has in its channel. */
function parseMessage({ opcode, payload }) {
	if (opcode === opcodes.text)
		return JSON.parse(payload);
	const [, length] = payload, idAt = 2 + length;
	const channel = payload.toString("latin1", 2, idAt);
	const id = payload.toString("latin1", idAt + 1, idAt + 1 + payload[idAt]);
	return { type: "message", channel, id };
}

class Client {
	follower = new Follower();
	isGone = false;

	static async open(server, query = "", options = {}) {
		const client = new this();
		try {
			client.socket = await orGone(RawWebSocket.connect(server, options));
			client.socket.send(handshake(server, `/ws?${query}`));
			await orGone(client.socket.accepted());
			client.welcome = await client.#hear();
			assert.equal(client.welcome.type, "welcome");
		} catch (error) {
			if (!(error instanceof Gone) && !/"unavailable"/.test(error.message))
				throw error;
			client.isGone = true;
		}
		return client;
	}

	async #hear() {
		const message = await orGone(this.socket.message());
		if (message.opcode === opcodes.close)
			throw new Gone(message.payload.toString("latin1", 2));
		return parseMessage(message);
	}

	#follow(object) {
		if (object.type === "message" && object.channel !== undefined)
			this.follower.message(object);
		else if (object.type === "gap")
			this.follower.gap(object.channel, object.cursor);
		else if (object.type === "subscribed")
			this.follower.begin(object.channel, object.cursor);
	}

	/* The answer; null when the server had no memory for it, or not for the client. */
	async ask(command, expected) {
		if (this.isGone)
			return null;
		const ref = Math.random();
		try {
			this.socket.send(frame(opcodes.text, JSON.stringify({ ref, ...command })));
			for (;;) {
				const object = await this.#hear();
				this.#follow(object);
				if (object.ref !== ref)
					continue;
				if (object.type === "error" && object.code === "unavailable")
					return null;
				assert.equal(object.type, expected, JSON.stringify(object));
				return object;
			}
		} catch (error) {
			if (!(error instanceof Gone))
				throw error;
			this.isGone = true;
			return null;
		}
	}

	async publish(book, channel, data, more = {}) {
		const answer = await this.ask({ type: "publish", channel, data, ...more }, "ack");
		if (answer && !answer.duplicate)
			book.note(channel, answer.id, data);
	}

	/* A binary publication in two pieces, and a ping in two frames. */
	async sendInPieces(channel) {
		if (this.isGone)
			return;
		const name = Buffer.from(channel);
		const whole = frame(opcodes.binary,
			Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([0, 42])]));
		await this.socket.sendPieces([
			whole.subarray(0, 3), whole.subarray(3, 20), whole.subarray(20),
			frame(opcodes.text, '{"type":', { fin: false }),
			frame(opcodes.continuation, '"ping"}'),
		]);
	}

	close() {
		this.socket?.close();
	}
}

/* ---- the session ---- */

async function subscribeAll(client, channels) {
	for (const channel of channels)
		await client.ask({ type: "subscribe", channel }, "subscribed");
}

async function publishOverHttp(server, book, channels, keyed) {
	const headers = { "content-type": "application/json" };
	const post = (target, body) =>
		askJson(server, "POST", target, { headers, body: JSON.stringify(body) });
	const noteAll = (answer, data) => answer?.results.forEach((result, i) =>
		result.id && book.note(channels[i], result.id, data));
	const single = await post("/api/publish", {
		channel: channels[0], data: { a: 1 }, event: "e", key: "k", user: "bob",
		idempotency_key: `${Math.random()}`,
	});
	if (single)
		book.note(channels[0], single.id, { a: 1 });
	noteAll(await post("/api/publish", { channels, data: "many" }), "many");
	const messages = channels.map((channel) => ({ channel, data: ["batch", "\u00e9"] }));
	noteAll(await post("/api/batch", { messages }), ["batch", "\u00e9"]);
	const text = await askJson(server, "POST",
		`/publish?channel=${encodeURIComponent(channels[1])}&event=x%20y&key=a%2Bb`,
		{ headers: { "content-type": "text/plain" }, body: "text" });
	if (text)
		book.note(channels[1], text.id, "text");
	const stream = await askJson(server, "POST", `/api/stream?channel=${channels[2]}`, {
		headers: { "content-type": "text/plain", "transfer-encoding": "chunked" },
		body: "one\ntwo\nthree",
	});
	assert.ok(!stream || stream.published === 3);
	for (const [key, data] of [["a", 1], ["b", 2], ["a", 3]])
		await post("/api/publish", { channel: keyed, key, data });
}

/* Two requests, each of them in pieces. */
async function publishInPieces(server, book, channel) {
	const client = await RawClient.connect(server);
	const head = `POST /publish?channel=${channel} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n`;
	try {
		await client.sendPieces([
			head.slice(0, 30), head.slice(30), "Content-Length: 7\r\n\r\n", '"p', 'iece"',
			head, "Transfer-Encoding: chunked\r\n\r\n", "3\r\n", '"pi', "\r\n4\r\n", "ece\"\r\n0\r\n\r\n",
		]);
		for (let i = 0; i < 2; i++) {
			const answer = await orGone(client.response());
			assert.ok([200, 503].includes(answer.status), answer.text);
			if (answer.status === 200)
				book.note(channel, JSON.parse(answer.text).id, "piece");
		}
	} catch (error) {
		if (!(error instanceof Gone))
			throw error;
	}
	client.close();
}

/* What the API shows, and a message to a single connection. */
async function look(server, client, channels) {
	const prefix = channels[0].slice(0, -1);
	const list = await askJson(server, "GET", `/api/channels?prefix=%${prefix.charCodeAt(0).toString(16)}${prefix.slice(1)}`);
	assert.ok(!list || list.channels.every(({ channel }) => channel.startsWith(prefix)));
	const stats = await askJson(server, "GET", "/api/stats");
	assert.ok(!stats || stats.workers === 3);
	await ask(server, "GET", "/");
	const page = await askJson(server, "GET",
		`/api/channels/${encodeURIComponent(channels[0])}/history?limit=2`);
	assert.ok(!page || page.messages.length <= 2);
	await ask(server, "GET", `/api/channels/${encodeURIComponent(channels[0])}`);
	if (client.isGone)
		return;
	const id = client.welcome.connection;
	const own = await ask(server, "GET", `/api/connections/${id}`, { mayBeGone: client });
	assert.ok(!own || own.json().user === "ann");
	await ask(server, "POST", `/api/connections/${id}/send`,
		{ body: '{"data":{"direct":1}}', mayBeGone: client });
}

/* What the API shows, told as it changes: an answer, a refusal, or the end. */
async function lookLive(server) {
	const live = await openStream(server, "/api/live?get=/metrics&get=/api/connections");
	if (!live)
		return;
	await live.until(() => live.events.length > 0, "an answer").catch((error) => {
		if (!live.isClosed)
			throw error;
	});
	live.close();
}

async function openStream(server, target, options) {
	try {
		const stream = await orGone(EventStream.open(server, target, options));
		if (stream.status === 200)
			return stream;
		assert.equal(stream.status, 503);
		stream.close();
	} catch (error) {
		if (!(error instanceof Gone))
			throw error;
	}
	return null;
}

/* Each event's id is the cursors of its channels, and one of them moves on by one. */
function checkStream(stream, count) {
	let at = null;
	for (const { event, data, id } of stream.events) {
		const cursors = id.split(",").map(seqOf);
		assert.equal(cursors.length, count, id);
		assert.ok(data.length > 0);
		if (at && event !== "gap") {
			const steps = cursors.map((cursor, i) => cursor - at[i]);
			const sum = steps.reduce((a, b) => a + b);
			assert.ok(sum === 1 && Math.min(...steps) >= 0, `a hole: ${id} follows ${at}`);
		}
		at = cursors;
	}
}

async function session(server, name) {
	const book = new Book();
	const channels = [1, 2, 3].map((i) => `${name}:${i}`), keyed = `keyed:${name}`;
	const stream = await openStream(server,
		`/events?channel=${channels[0]}&channel=${encodeURIComponent(channels[1])}`);
	const others = [await openStream(server, `/events?channel=${channels[0]}&format=text&since=start`),
		await openStream(server, `/events?channel=${channels[0]}&format=full`)];
	const one = await Client.open(server, "user=%61nn");
	const other = await Client.open(server);
	await subscribeAll(one, channels);
	await subscribeAll(other, channels);
	const poll = askJson(server, "GET", `/poll?channel=${channels[1]}&since=start&wait=1`);
	await one.publish(book, channels[0], { price: 1 }, { event: "e", key: "k" });
	await other.publish(book, channels[1], "x".repeat(300), { idempotency_key: `${Math.random()}` });
	await one.ask({ type: "publish", channel: keyed, data: 3, echo: false }, "ack");
	await one.publish(book, channels[2], 3);
	await one.sendInPieces(channels[0]);
	await publishInPieces(server, book, channels[0]);
	await publishOverHttp(server, book, channels, keyed);
	await poll;
	await one.ask({ type: "subscribe", channel: keyed }, "subscribed");
	if (other.follower.follows(channels[0]))
		await other.ask({ type: "unsubscribe", channel: channels[0] }, "unsubscribed");
	await other.ask({ type: "history", channel: channels[0], limit: 3 }, "history");
	await other.ask({ type: "subscribe", channel: channels[0], since: "start" }, "subscribed");
	await other.publish(book, channels[0], "last");
	await look(server, one, channels);
	await lookLive(server);
	await one.ask({ type: "ping" }, "pong");
	await other.ask({ type: "ping" }, "pong");
	one.close();
	other.close();
	[stream, ...others].forEach((one) => one?.close());
	[stream, ...others].forEach((one, i) => one && checkStream(one, i === 0 ? 2 : 1));
	return { book, channels };
}

/* ---- the session of those who have tokens, over TLS ---- */

const pairs = ["ES256", "EdDSA"].map((alg) => makePair(alg, alg));
const apiKey = "the key of the backend";
const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });
const asBackend = bearer(apiKey);

function tokenOf(user, pair) {
	const claims = { sub: user, allow: { "*": "rw" }, info: { name: user } };
	return mint(claims, pair ? { ...pair, header: { kid: pair.alg } } : {});
}

/* Each version of TLS, and each way for a token to come. */
async function secureSession(server, name) {
	const book = new Book();
	const channels = [`${name}:1`];
	const [channel] = channels;
	const tls12 = { secure: { maxVersion: "TLSv1.2" } };
	const ann = await Client.open(server, `token=${tokenOf("ann")}`);
	const bob = await Client.open(server, "", tls12);
	const isBob = await bob.ask({ type: "auth", token: tokenOf("bob", pairs[0]) }, "ack");
	const stream = await openStream(server, `/events?channel=${channel}`,
		bearer(tokenOf("cid", pairs[1])));
	await subscribeAll(ann, channels);
	if (isBob) {
		await subscribeAll(bob, channels);
		await bob.publish(book, channel, "y".repeat(40_000)); /* more than a record */
	}
	await ann.ask({ type: "auth", token: tokenOf("ann", pairs[1]) }, "ack");
	await ann.publish(book, channel, "x");
	const sent = await askJson(server, "POST", "/api/publish",
		{ ...asBackend, body: JSON.stringify({ channel, data: 1 }) });
	if (sent)
		book.note(channel, sent.id, 1);
	await askJson(server, "GET", `/poll?channel=${channel}&since=start`, bearer(tokenOf("ann")));
	await ann.ask({ type: "ping" }, "pong");
	await bob.ask({ type: "ping" }, "pong");
	ann.close();
	bob.close();
	stream?.close();
	if (stream)
		checkStream(stream, 1);
	return { book, channels };
}

/* ---- all of them ---- */

/* What was acknowledged is held, once and as it was. */
async function checkHistory(server, backend, { book, channels }) {
	for (const channel of channels) {
		const { messages } = (await call(server, "GET",
			`/api/channels/${channel}/history?limit=1000`, backend)).json();
		messages.forEach(({ id }, i) => assert.equal(seqOf(id), i + 1, `${id} in ${channel}`));
		const held = new Map(messages.map(({ id, data }) => [id, JSON.stringify(data)]));
		for (const [id, said] of book.acknowledged) {
			if (said.channel === channel)
				assert.equal(held.get(id), said.data, `${id} in ${channel}`);
		}
	}
}

/* Each of the three builds that are tested sees every third allocation fail, and another third. */
const step = 3;
const first = isBuiltWith("__asan_init") ? 1 : isBuiltWith("__tsan_init") ? 2 : 3;

/* A server and its switch; runAll(mode) goes through all allocations of a session, which are at
 * least so many. */
function useStarved({ session, least, backend, ...settings }) {
	const failing = skip ? null : new Failing();
	const server = useServer({ program, env: { FAILING_FILE: failing?.file }, ...settings });

	/* Nobody is connected, nothing followed, nothing left open but our own question. */
	async function assertRest(fds) {
		let seen;
		await until(async () => {
			const { connections, subscriptions } =
				(await call(server, "GET", "/api/stats", backend)).json();
			seen = { connections, subscriptions, fds: descriptorsOf(server) };
			return connections === 0 && subscriptions === 0 && seen.fds <= fds + 1;
		}, "rest").catch((error) => {
			error.message += `: ${JSON.stringify(seen)}, ${fds} descriptors before`;
			throw error;
		});
	}

	async function runAll(mode) {
		await session(server, `${mode}-warm`);
		const fds = descriptorsOf(server);
		let number = first, outcome;
		do {
			failing.arm(number, mode);
			try {
				const seen = await session(server, `${mode}-${number}`);
				outcome = failing.disarm();
				await checkHistory(server, backend, seen);
				await assertRest(fds);
			} catch (error) {
				error.message += ` (allocation ${number}, mode ${mode})`;
				throw error;
			}
			number += step;
		} while (outcome.failed > 0);
		assert.ok(number > least, `${number} allocations, and not ${least}`);
	}

	return { server, failing, runAll };
}

describe("memory", { skip }, () => {
	const { server, failing, runAll } = useStarved({
		session,
		least: 100,
		options: ["workers.count=3", "channel.keyed:*.deliver_last=yes", "channel.keyed:*.throttle=1ms",
			"channel.*.history_size=1000", "limits.message_size=16MiB"],
	});

	it("one that fails, whichever it is, costs a request or a connection", async () => {
		await runAll(modes.one);
	});

	it("so do all that follow", async () => {
		await runAll(modes.allFrom);
	});

	/* More than two sockets hold is sent back to a client that does not read. */
	it("what waits for a slow reader costs that reader", async () => {
		const payload = Buffer.alloc(14_000_000, "x"), whole = frame(opcodes.binary, payload);
		let number = 0, outcome;
		do {
			const slow = await RawWebSocket.open(server, "/echo");
			slow.socket.pause();
			failing.arm(++number, modes.one);
			slow.socket.write(whole);
			await until(() => slow.socket.writableLength === 0 || slow.isClosed, "all to be taken");
			slow.socket.resume();
			let heard = null;
			try {
				heard = await orGone(slow.message());
			} catch (error) {
				if (!(error instanceof Gone))
					throw error;
			}
			outcome = failing.disarm();
			if (outcome.failed === 0)
				assert.ok(heard.payload.equals(payload));
			else /* or it was an allocation of those before it, who are just being closed */
				assert.ok(!heard || heard.opcode === opcodes.close || heard.payload.equals(payload));
			slow.close();
		} while (outcome.failed > 0);
		assert.ok(number > 10, "so many allocations at least");
	});

	/* It says so in one line, and leaves nothing behind; or it needs none of what failed. */
	it("a server that has too little to start does not", async () => {
		const failing = new Failing();
		const file = writeScratch("starling.conf", "[channel a:*]\nhistory_size = 5\n");
		let number = first - step, started;
		do {
			number += step;
			failing.arm(number, modes.one);
			const other = new Server({
				program,
				env: { FAILING_FILE: failing.file },
				options: ["workers.count=2", "auth.api_key=secret"],
				args: ["-c", file],
			});
			/* One worker may answer already when the next cannot start, or refuse us before there
			 * is a banner. */
			await other.start().catch(() => {});
			await until(() => /page  /.test(other.stderr()) || !other.isAlive, "a banner, or the end");
			if (other.isAlive) {
				await other.stop();
				started = failing.disarm().failed === 0;
				continue;
			}
			assert.ok([1, 2].includes((await other.ended()).code), other.stderr());
			assert.match(other.stderr(), /^starling: [^\n]*memory[^\n]*\n$/i);
		} while (!started);
		assert.ok(number > 50, "so many allocations at least");
	});
});

describe("memory: tokens over TLS", { skip }, () => {
	const keys = writeScratch("keys.json", JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) }));
	const { server, failing, runAll } = useStarved({
		session: secureSession,
		least: 60,
		backend: asBackend,
		isSecure: true,
		config: "",
		options: ["workers.count=2", `auth.jwt_secret=${secret}`, `auth.api_key=${apiKey}`,
			`auth.jwt_public_key_file=${keys}`],
	});

	it("one allocation that fails costs a request or a connection", async () => {
		await runAll(modes.one);
	});

	it("so do all that follow", async () => {
		await runAll(modes.allFrom);
	});

	/* A worker that has just begun has not yet made room for anything. */
	it("a token that cannot be looked at is not taken for none", async () => {
		const failing = new Failing();
		let number = 0, outcome;
		do {
			const young = await new Server({ program, env: { FAILING_FILE: failing.file },
				options: ["workers.count=1", `auth.jwt_secret=${secret}`] }).start();
			await until(() => /page  /.test(young.stderr()), "a banner"); /* it answers before */
			failing.arm(++number, modes.one);
			const client = await Client.open(young, `token=${tokenOf("ann")}`);
			outcome = failing.disarm();
			assert.ok(client.isGone || client.welcome.user === "ann", `allocation ${number}`);
			client.close();
			await young.stop();
		} while (outcome.failed > 0);
		assert.ok(number > 3, `${number} allocations`);
	});

	it("a reload that has too little says so, and changes nothing", async () => {
		/* Each of the first, then every fifth: a kind of line has 100 of them in ten seconds. */
		let number = 0, outcome, said;
		do {
			number += number < 60 ? 1 : 5;
			failing.arm(number, modes.one);
			said = await server.reload();
			outcome = failing.disarm();
			const isRead = /was read again/.test(said);
			assert.ok(isRead || /memory/i.test(said), said);
			for (const pair of pairs) {
				const { status, text } = await call(server, "GET", "/poll?channel=c&wait=0",
					bearer(tokenOf("ann", pair)));
				assert.equal(status, 200, `${text} (allocation ${number}: ${said})`);
			}
		} while (outcome.failed > 0);
		assert.ok(number > 20, `${number} allocations`);
	});
});

/* ---- a node of a mesh ---- */

/* The mesh allocates all the time, so that no number is that of the same allocation twice: while a
 * session is under way one of the next thousand fails, and again one four times a second; but no more
 * than so many, as where nodes are slow to link none could do what the session waits for. What there
 * is of a session at the node goes with its connections; those at the other nodes hear everything. */
const starvedMost = 12;

async function starving(failing, dice, body) {
	let failed = 0;
	const again = () => {
		failed += failing.disarm().failed;
		if (failed < starvedMost)
			failing.arm(1 + dice.below(1000), modes.one);
	};
	const timer = setInterval(again, 250);
	try {
		await body();
	} finally {
		clearInterval(timer);
		failed += failing.disarm().failed;
	}
	return failed;
}

async function meshSession(starved, other, name) {
	const book = new Book();
	const channels = [1, 2, 3, 4].map((i) => `${name}:${i}`), room = `room:${name}`;
	const here = await Client.open(starved, "user=ann"), there = await Client.open(other, "user=bob");
	for (const client of [here, there]) {
		await subscribeAll(client, channels);
		await client.ask({ type: "subscribe", channel: room, presence: true }, "subscribed");
	}
	for (const channel of channels) {
		await here.publish(book, channel, "here", { idempotency_key: `${Math.random()}` });
		await there.publish(book, channel, "there");
		await ask(starved, "POST", "/api/publish", { body: JSON.stringify({ channel, data: "api" }) });
	}
	for (const server of [starved, other]) {
		await ask(server, "GET", `/api/channels?prefix=${name}`);
		await ask(server, "GET", "/api/users/ann");
		await ask(server, "GET", `/api/channels/${room}/presence`);
		await ask(server, "GET", "/api/cluster");
	}
	await there.ask({ type: "history", channel: channels[0] }, "history");
	assert.ok(!there.isGone, "nobody is short of memory there");
	here.close();
	there.close();
	return { book, channels };
}

/* With the thread sanitizer links that begin anew all the time are more than a machine can do. */
const skipMesh = skip || (hasThreadSanitizer && "a thread sanitizer slows nodes too much");

describe("memory: a node of a mesh", { skip: skipMesh }, () => {
	const seed = Number(process.env.STARVED_SEED ?? Date.now() % 1e9);

	it(`goes on whatever fails, and nothing acknowledged is lost (STARVED_SEED=${seed})`, async () => {
		const failing = new Failing(), dice = new Dice(seed);
		const mesh = new Mesh(["channel.*.history_size=1000", "channel.room:*.presence=full",
			"limits.connections_per_user=100"]);
		const starved = await mesh.add({ program, env: { FAILING_FILE: failing.file },
			options: ["workers.count=2"] });
		const others = [await mesh.add(), await mesh.add()];
		try {
			await Promise.all(mesh.nodes.map((node) => node.start()));
			await mesh.converged();
			let failed = 0;
			for (let round = 0; round < Number(process.env.STARVED ?? 5); round++) {
				let seen;
				failed += await starving(failing, dice, async () => {
					seen = await meshSession(starved, dice.pick(others), `r${round}`);
				});
				assert.ok(starved.isAlive, starved.stderr());
				await mesh.converged();
				for (const node of mesh.nodes)
					await until(() => checkHistory(node, {}, seen).then(() => true, (error) => {
						starved.why = error;
						return false;
					}), "the history to be whole").catch((error) => {
						throw starved.why ?? error;
					});
			}
			assert.ok(failed > 0);
			await mesh.stop();
		} catch (error) {
			for (const node of mesh.nodes) {
				error.message += `\n${node.name}:\n${node.stderr()}`;
				if (node.isAlive)
					await node.kill().catch(() => {});
			}
			throw error;
		}
	});
});
