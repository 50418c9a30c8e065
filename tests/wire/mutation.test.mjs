/*
 * mutation.test.mjs - good sessions, spoilt by seed: bits flipped, parts cut out, doubled, moved or
 * made up. Whatever comes, the server stays up and serves others, each connection ends with a
 * reason, and memory and descriptors return to what they were.
 *
 * STARLING_SEEDS  how many (default 200, and a fifth of that over TLS)
 * STARLING_SEED   this one alone, as a failure names it
 */
import assert from "node:assert/strict";
import net from "node:net";
import { describe, it } from "node:test";
import tls from "node:tls";

import { NativeClient, RawClient, frame, handshake, opcodes } from "./clients.mjs";
import {
	areAllGone, call, descriptorsOf, isSanitized, scale, until, useServer, within,
} from "./harness.mjs";

/* ---- good sessions ---- */

/* A frame whose mask changes nothing, so that what is sent depends on the seed alone. */
function plainFrame(opcode, payload = "", options = {}) {
	const bytes = frame(opcode, payload, { ...options, masked: false });
	const head = bytes.length - Buffer.from(payload).length;
	bytes[1] |= 0x80;
	return Buffer.concat([bytes.subarray(0, head), Buffer.alloc(4), bytes.subarray(head)]);
}

const say = (command) => plainFrame(opcodes.text, JSON.stringify(command));

const request = (line, headers = [], body = "") =>
	[`${line} HTTP/1.1`, "Host: localhost", ...headers, "", body].join("\r\n");

const post = (path, type, body) => request(`POST ${path}`,
	[`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`], body);

const chunked = (path, type, ...pieces) => request(`POST ${path}`,
	[`Content-Type: ${type}`, "Transfer-Encoding: chunked"],
	[...pieces, ""].map((piece) =>
		`${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`).join(""));

const json = "application/json";
const publication = { channel: "m", data: { text: "häppy ☃", list: [1, 2.5e3, null] }, key: "k" };

const sessions = {
	requests: [
		request("GET /health"), request("HEAD /ready"), request("GET /"),
		request("GET /api/channels?prefix=m&limit=3"), request("GET /api/channels/m/history?limit=2"),
		request("OPTIONS /publish?channel=m", ["Origin: http://localhost",
			"Access-Control-Request-Method: POST"]),
		request("GET /api/users/ann"), request("GET /api/stats", ["Connection: close"]),
	],
	"the server API": [
		post("/api/publish", json, JSON.stringify(publication)),
		post("/api/publish", json, JSON.stringify({ channels: ["m", "n"], data: 1, user: "ann" })),
		post("/api/batch", json, JSON.stringify({ messages: [publication, { channel: "n", data: [[]] }] })),
		chunked("/api/stream?channel=m", "text/plain", "one\ntwo", " and three\n", "four"),
	],
	publications: [
		post("/publish?channel=m&event=e&key=k&idempotency_key=i", json, '{"a":[true]}'),
		post("/publish?channel=m", "text/plain; charset=utf-8", "häppy"),
		post("/publish?channel=m", "application/octet-stream", "\0\x01\x02"),
		chunked("/publish?channel=m", json, "[1,", "2]"),
	],
	"a WebSocket": [
		handshake({ port: 1 }, "/ws?user=ann", { "Sec-WebSocket-Protocol": "starling.v1" }),
		say({ type: "subscribe", ref: 1, channel: "m", since: "start" }),
		say({ type: "publish", ref: "p", event: "e", ...publication }),
		say({ type: "resume", ref: 2, channels: { m: "abc-1", n: "start" } }),
		say({ type: "history", ref: 3, channel: "m", limit: 5 }),
		plainFrame(opcodes.binary, Buffer.from([1, 1, 0x6d, 0, 42, 43, 44])),
		plainFrame(opcodes.text, '{"type":"pi', { fin: false }),
		plainFrame(opcodes.ping, "beat"), plainFrame(opcodes.continuation, 'ng","ref":4}'),
		say({ type: "auth", ref: 5, token: "a.b.c" }),
		say({ type: "unsubscribe", ref: 6, channel: "m" }),
		plainFrame(opcodes.close, Buffer.from([0x03, 0xe8])),
	],
	"an echo": [
		handshake({ port: 1 }, "/echo"), plainFrame(opcodes.text, "x".repeat(300)),
		plainFrame(opcodes.binary, Buffer.alloc(70_000, 7)), plainFrame(opcodes.close),
	],
	"an event stream": [
		request("GET /events?channel=m&channel=n&since=start&format=full",
			["Accept: text/event-stream", "Last-Event-ID: abc-1,abc-2"]),
	],
	polls: [
		request("GET /poll?channel=m&since=start&wait=0"),
		request("GET /poll?channel=m&channel=n", ["Cookie: a=b; starling_token=x"]),
		request("GET /poll?channel=idle&since=abc-1&wait=1", ["Authorization: Bearer x"]),
	],
};

/* ---- what is done to them ---- */

/* xorshift: as good as it needs to be, and the same everywhere. */
class Chance {
	constructor(seed) {
		this.state = (seed * 2654435761 ^ 0x9e3779b9) >>> 0 || 1;
	}

	below(count) {
		this.state ^= this.state << 13;
		this.state ^= this.state >>> 17;
		this.state = (this.state ^ this.state << 5) >>> 0;
		return this.state % count;
	}

	/* A part of `bytes`: [from, to]. */
	part(bytes) {
		const from = this.below(bytes.length + 1);
		const length = this.below(2) ? this.below(8) : this.below(bytes.length + 1);
		return [from, Math.min(bytes.length, from + length)];
	}

	bytes(count) {
		return Buffer.from(Array.from({ length: count }, () => this.below(256)));
	}
}

const joined = (...parts) => Buffer.concat(parts);

const mutations = {
	flip(bytes, chance) {
		const flipped = Buffer.from(bytes);
		for (let left = 1 + chance.below(8); left > 0 && bytes.length > 0; left--)
			flipped[chance.below(bytes.length)] ^= 1 << chance.below(8);
		return flipped;
	},
	cut(bytes, chance) {
		const [from, to] = chance.part(bytes);
		return joined(bytes.subarray(0, from), bytes.subarray(to));
	},
	double(bytes, chance) {
		const [from, to] = chance.part(bytes);
		return joined(bytes.subarray(0, to), bytes.subarray(from));
	},
	move(bytes, chance) {
		const [from, to] = chance.part(bytes);
		const rest = joined(bytes.subarray(0, from), bytes.subarray(to));
		const at = chance.below(rest.length + 1);
		return joined(rest.subarray(0, at), bytes.subarray(from, to), rest.subarray(at));
	},
	insert(bytes, chance) {
		const at = chance.below(bytes.length + 1);
		const made = chance.below(3) === 0 ? Buffer.from(["\r\n", "\r\n\r\n", "{", "\0", "%"][
			chance.below(5)]) : chance.bytes(1 + chance.below(16));
		return joined(bytes.subarray(0, at), made, bytes.subarray(at));
	},
};

/* The parts in another order now and then, then one to three mutations of all of it. */
function spoil(parts, chance) {
	const order = parts.map((part) => Buffer.from(part));
	if (chance.below(4) === 0) {
		const [moved] = order.splice(chance.below(order.length), 1);
		order.splice(chance.below(order.length + 1), 0, moved);
	}
	let bytes = joined(...order);
	const kinds = Object.values(mutations);
	for (let left = 1 + chance.below(3); left > 0; left--)
		bytes = kinds[chance.below(kinds.length)](bytes, chance);
	return bytes;
}

/* In pieces of any size; then it says no more, or breaks off. */
async function play(client, bytes, chance) {
	for (let at = 0; at < bytes.length && !client.isClosed;) {
		const size = 1 + chance.below(chance.below(3) ? 1500 : 100_000);
		await client.sendPieces([bytes.subarray(at, at + size)]);
		at += size;
	}
	if (chance.below(8) === 0) {
		/* A socket that is shutting down cannot be reset, and would stay open for ever. */
		if (client.socket.writableEnded)
			client.socket.destroy();
		else
			client.socket.resetAndDestroy();
		return;
	}
	client.socket.end();
	await client.rest();
}

async function playSeed(server, seed) {
	const chance = new Chance(seed);
	const all = Object.values(sessions);
	const bytes = spoil(all[chance.below(all.length)], chance);
	await play(await RawClient.connect(server), bytes, chance);
}

/* What a client of TLS says first. */
async function helloBytes() {
	const listener = net.createServer();
	const hello = new Promise((resolve) => {
		listener.on("connection", (socket) => socket.once("data", (bytes) => {
			socket.destroy();
			resolve(bytes);
		}));
	});
	await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
	const client = tls.connect({ port: listener.address().port, host: "127.0.0.1" });
	client.on("error", () => {});
	const bytes = await within(hello, "a hello");
	client.destroy();
	listener.close();
	return bytes;
}

/* ---- all of it ---- */

const AT_ONCE = 20;
const given = process.env.STARLING_SEED;
const seeds = Number(process.env.STARLING_SEEDS ?? 200 * Math.max(scale, 0.2));

for (const isSecure of [false, true])
	describe(`mutation${isSecure ? " over TLS" : ""}`, () => {
		const server = useServer({
			isSecure,
			options: ["limits.header_timeout=5s", "limits.message_size=70KiB",
				"channel.*.subscribe=any", "channel.*.publish=any"],
		});
		const count = Math.ceil(isSecure ? seeds / 5 : seeds);

		/* Runs seeds, so many at once; others are served in between. */
		async function playAll(first, end, playOne) {
			for (let from = first; from < end; from += AT_ONCE) {
				const batch = Array.from({ length: Math.min(AT_ONCE, end - from) }, (_, i) => from + i);
				try {
					await Promise.all(batch.map(playOne));
					assert.equal((await call(server, "GET", "/health")).status, 200);
				} catch (error) {
					error.message += `\nwith STARLING_SEED one of ${batch.join(" ")}`;
					throw error;
				}
			}
			const client = await NativeClient.open(server);
			await client.subscribe("probe");
			await client.publish("probe", 1);
			assert.deepEqual(await client.data(1), [1]);
			client.close();
			await until(() => areAllGone(server), "each connection to end with a reason");
		}

		for (const [name, parts] of Object.entries(sessions))
			it(`as it was recorded ${name} is good`, async () => {
				const before = (await call(server, "GET", "/api/stats")).json().closes_total;
				const client = await RawClient.connect(server);
				client.send(...parts.map((part) => Buffer.from(part)));
				await client.until((bytes) => bytes.length > 0, "an answer");
				client.socket.end();
				const answers = (await client.rest()).toString("latin1");
				assert.match(answers, /^HTTP\/1\.1 (200|101) /);
				assert.doesNotMatch(answers, /HTTP\/1\.1 (400|408|411|413|414|431|5\d\d) /);
				await until(() => areAllGone(server), "it to end");
				const { closes_total: after } = (await call(server, "GET", "/api/stats")).json();
				for (const reason of ["bad_http", "protocol_error", "not_utf8", "too_large"])
					assert.equal(after[reason], before[reason], reason);
			});

		it("spoilt it does no harm", async () => {
			const [from, to] = given ? [Number(given), Number(given) + 1] : [1, 1 + count];
			await playAll(1, Math.ceil(count / 10), (seed) => playSeed(server, seed));
			const [held, open] = [server.memory(), descriptorsOf(server)];
			await playAll(from, to, (seed) => playSeed(server, seed));
			await until(() => descriptorsOf(server) <= open, "descriptors to come back");
			if (!isSanitized)
				await until(() => server.memory() - held < 8 << 20, "memory to come back");
		});

		if (isSecure)
			it("a spoilt handshake does no harm", async () => {
				const hello = await helloBytes();
				await playAll(1, 1 + count, async (seed) => {
					const chance = new Chance(seed);
					const socket = server.track(net.connect(server.port, "127.0.0.1"));
					await play(new RawClient(socket), spoil([hello], chance), chance);
				});
			});
	});
