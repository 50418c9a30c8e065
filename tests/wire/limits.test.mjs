/* What is bounded: channels, sizes, and the patience with one who does not read. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
	NativeClient, RawClient, RawWebSocket, exchange, frame, opcodes,
} from "./clients.mjs";
import {
	assertError, call, fresh, isSanitized, publish, scale, sleep, useServer, withServer,
} from "./harness.mjs";

describe("limits: channels_per_connection", () => {
	const server = useServer({ options: ["limits.channels_per_connection=3"] });

	it("one more is too_many_channels, until one is given back", async () => {
		const client = await NativeClient.open(server);
		const channels = [fresh(), fresh(), fresh()];
		for (const channel of channels)
			await client.subscribe(channel);
		const more = fresh();
		const refused = await client.ask({ type: "subscribe", channel: more });
		assert.equal(refused.type, "error");
		assert.equal(refused.code, "too_many_channels");
		await client.ask({ type: "unsubscribe", channel: channels[0] });
		await client.subscribe(more);
		client.close();
	});

	for (const path of ["/events", "/poll"])
		it(`${path} of more is 403, and of as many as may be is not`, async () => {
			const target = (count) => `${path}?${Array.from({ length: count },
				(_, i) => `channel=c${i}`).join("&")}`;
			assertError(await call(server, "GET", target(4)), 403, "too_many_channels");
			assert.equal((await call(server, "HEAD", target(3))).status, 200);
		});

	it("subscribing twice counts once", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		for (let i = 0; i < 5; i++)
			await client.subscribe(channel);
		client.close();
	});

	it("resume answers for those that fit and those that do not", async () => {
		const client = await NativeClient.open(server);
		const channels = Object.fromEntries(
			Array.from({ length: 5 }, () => [fresh(), "zzz-1"]));
		client.say({ type: "resume", ref: "r", channels });
		const answers = {};
		for (let i = 0; i < 5; i++) {
			const { type, code, channel, ref } = await client.hear();
			assert.equal(ref, "r");
			answers[channel] = code ?? type;
		}
		assert.deepEqual(Object.keys(answers).sort(), Object.keys(channels).sort());
		const heard = Object.values(answers).sort();
		assert.deepEqual(heard.slice(0, 3), Array(3).fill("subscribed"));
		assert.deepEqual(heard.slice(3), Array(2).fill("too_many_channels"));
		client.close();
	});
});

describe("limits: a resume of very many channels", () => {
	const server = useServer({ options: [
		"limits.channels_per_connection=3", "limits.message_size=2MiB",
	] });

	/* Each of 100,000 answers would be larger than what asks for it. */
	for (const [claim, name] of [["one and the same", () => "c"], ["each another", (i) => `c${i}`]])
		it(`of ${claim} answers for some and refuses the rest`, async () => {
			const client = await NativeClient.open(server);
			const channels = Array.from({ length: 100_000 }, (_, i) => `"${name(i)}":"0-0"`);
			client.send(frame(opcodes.text,
				`{"type":"resume","ref":1,"channels":{${channels}}}`));
			const heard = [];
			while (heard.length < 3 + 256 + 1)
				heard.push(await client.hear());
			assert.ok(heard.every(({ ref }) => ref === 1));
			const [rest, ...more] = heard.filter(({ channel }) => !channel);
			assert.equal(rest.code, "too_many_channels");
			assert.equal(more.length, 0);
			assert.equal((await client.ask({ type: "ping" })).type, "pong");
			client.close();
		});
});

describe("limits: sizes", () => {
	const server = useServer({
		options: ["limits.message_size=1KiB", "limits.header_size=1KiB"],
	});

	it("a message of message_size passes, one byte more closes with 1009", async () => {
		const client = await NativeClient.open(server);
		const command = JSON.stringify({ type: "ping", ref: 1 });
		client.say(command.padEnd(1024));
		assert.deepEqual(await client.hear(), { type: "pong", ref: 1 });
		client.say(command.padEnd(1025));
		assert.deepEqual(await client.closing(), { code: 1009, reason: "too_large" });
	});

	it("header_size holds for the target and for the headers", async () => {
		const head = (target, value) =>
			`GET ${target} HTTP/1.1\r\nHost: x\r\nX: ${value}\r\n\r\n`;
		const fits = await exchange(server, head("/health", "x".repeat(800)));
		assert.equal(fits.status, 200);
		const wide = await exchange(server, head("/health", "x".repeat(1100)));
		assertError(wide, 431, "header_too_large");
		const long = await exchange(server, head(`/${"x".repeat(1100)}`, ""));
		assertError(long, 414, "uri_too_long");
	});
});

describe("limits: a reader that does not read", () => {
	const batch = 20;
	const batches = Math.max(10, 50 * scale);
	const payload = "x".repeat(50_000);
	const server = useServer({ config: "[channel *]\nhistory_size = 10\n" });

	/* Publishes one batch and reads it at each of `readers`. */
	async function round(channel, publisher, readers) {
		publisher.send(...Array.from({ length: batch }, (_, number) => frame(opcodes.text,
			JSON.stringify({ type: "publish", channel, data: [number, payload] }))));
		for (const reader of readers) {
			const heard = await reader.data(batch);
			assert.deepEqual(heard.map(([number]) => number), [...Array(batch).keys()]);
		}
		for (let acks = 0; acks < batch; acks++)
			assert.equal((await publisher.hear()).type, "ack");
	}

	it("is disconnected, while others hear all and memory stays flat", async () => {
		const channel = fresh();
		const [publisher, ...readers] = await Promise.all(
			[1, 2, 3, 4].map(() => NativeClient.open(server)));
		for (const reader of readers)
			await reader.subscribe(channel);
		await round(channel, publisher, readers);
		const slow = await NativeClient.open(server);
		const { cursor } = await slow.subscribe(channel);
		slow.socket.pause();
		const before = server.memory();
		let most = before;
		for (let i = 0; i < batches; i++) {
			await round(channel, publisher, readers);
			most = Math.max(most, server.memory());
		}
		assert.ok(isSanitized || most - before < 24 << 20, `${most - before} bytes`);

		slow.socket.resume();
		await assertCutOff(slow);
		const back = await NativeClient.open(server);
		assert.equal((await back.subscribe(channel, { since: cursor })).recovered, false);
		[...readers, publisher, back].forEach((client) => client.close());
	});

	/* Whole messages, then perhaps a close frame that says why, then the end. */
	async function assertCutOff(client) {
		const heard = [];
		for (;;) {
			const next = await client.frame().catch((error) => {
				assert.ok(client.isClosed, error.message);
				return null;
			});
			if (!next)
				break;
			if (next.opcode === opcodes.close) {
				assert.equal(next.payload.readUInt16BE(0), 1008);
				assert.equal(next.payload.toString("utf8", 2), "slow_consumer");
				continue;
			}
			heard.push(seqOfFrame(next));
		}
		assert.deepEqual(heard, heard.map((_, i) => heard[0] + i));
	}

	function seqOfFrame({ payload }) {
		return Number(/"id":\s*"[0-9a-z]+-(\d+)"/.exec(payload.toString("utf8"))[1]);
	}

	it("of a channel does not stand in the way of another channel", async () => {
		const [loud, calm] = [fresh(), fresh()];
		const [publisher, slow, reader] = await Promise.all(
			[1, 2, 3].map(() => NativeClient.open(server)));
		await slow.subscribe(loud);
		slow.socket.pause();
		await reader.subscribe(calm);
		for (let i = 0; i < 5; i++) {
			await round(loud, publisher, []);
			await publish(server, calm, i);
			assert.deepEqual(await reader.data(1), [i]);
		}
		[publisher, slow, reader].forEach((client) => client.close());
	});
});

describe("limits: message_rate", { concurrency: true }, () => {
	const server = useServer({ options: ["limits.message_rate=1/s", "limits.message_burst=20"] });
	const post = (channel) => `POST /publish?channel=${channel} HTTP/1.1\r\nHost: x\r\n` +
		"Content-Type: application/json\r\nContent-Length: 1\r\n\r\n7";

	it("burst messages are carried out, each one more is refused with its ref", async () => {
		const client = await NativeClient.open(server);
		client.send(...Array.from({ length: 30 }, (_, ref) =>
			frame(opcodes.text, JSON.stringify({ type: "ping", ref }))));
		for (let ref = 0; ref < 30; ref++) {
			const answer = await client.hear();
			assert.equal(answer.ref, ref);
			assert.equal(answer.code ?? answer.type, ref < 20 ? "pong" : "rate_limited");
		}
		await sleep(1000);
		assert.equal((await client.ask({ type: "ping" })).type, "pong");
		client.close();
	});

	it("a refused publication is not published, a binary one is refused without ref", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const name = Buffer.from(channel);
		const binary = Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([0, 42])]);
		client.send(...Array.from({ length: 21 }, (_, data) => frame(opcodes.text,
			JSON.stringify({ type: "publish", ref: "p", channel, data }))));
		client.send(frame(opcodes.binary, binary));
		const heard = [];
		for (let i = 0; i < 22; i++)
			heard.push(await client.hear());
		const refused = heard.filter(({ type }) => type === "error");
		assert.deepEqual(refused.map(({ code, ref }) => [code, ref]),
			[["rate_limited", "p"], ["rate_limited", undefined]]);
		const held = await call(server, "GET", `/api/channels/${channel}/history`);
		assert.equal(held.json().messages.length, 20);
		client.close();
	});

	it("pings and pongs count, and one too many is not answered", async () => {
		const client = await RawWebSocket.open(server);
		await client.frame(); // welcome
		client.send(...Array(5).fill(frame(opcodes.pong)), ...Array(20).fill(frame(opcodes.ping)),
			frame(opcodes.close));
		const heard = [];
		while (heard.at(-1) !== opcodes.close)
			heard.push((await client.frame()).opcode);
		assert.deepEqual(heard, [...Array(15).fill(opcodes.pong), opcodes.close]);
		client.close();
	});

	it("POST /publish is 429 on its connection, other requests pass", async () => {
		const client = await RawClient.connect(server);
		const channel = fresh();
		client.send(post(channel).repeat(20), post(channel),
			"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
		for (let i = 0; i < 20; i++)
			assert.equal((await client.response()).status, 200);
		const refused = await client.response();
		assertError(refused, 429, "rate_limited");
		assert.match(refused.headers["retry-after"], /^[1-9]\d*$/);
		assert.equal((await client.response()).status, 200);
		client.close();
		await publish(server, channel, "another connection, and a backend's");
	});

	it("echo is not limited", async () => {
		const client = await RawWebSocket.open(server, "/echo");
		client.send(...Array(50).fill(frame(opcodes.text, "x")));
		for (let i = 0; i < 50; i++)
			assert.equal((await client.frame()).payload.toString(), "x");
		client.close();
	});

	it("after 10 s without pause over it the connection is closed with 1008", async () => {
		const client = await NativeClient.open(server);
		client.send(...Array(21).fill(frame(opcodes.text, '{"type":"ping"}')));
		const began = Date.now();
		const closing = client.closing();
		while (!client.isClosed) {
			client.say({ type: "ping" });
			await sleep(100);
		}
		assert.deepEqual(await closing, { code: 1008, reason: "rate_limited" });
		assert.ok(Date.now() - began >= 10_000, "not before its time");
		const { closes_total } = (await call(server, "GET", "/api/stats")).json();
		assert.equal(closes_total.rate_limited, 1);
	});

	it("a backend is not limited", () => withServer({
		options: ["auth.api_key=key", "limits.message_rate=1/s", "limits.message_burst=1"],
	}, async (closed) => {
		const backend = await RawWebSocket.open(closed, "/ws", { Authorization: "Bearer key" });
		await backend.frame();
		backend.send(...Array(20).fill(frame(opcodes.text, '{"type":"ping"}')));
		for (let i = 0; i < 20; i++)
			assert.equal((await backend.frame()).payload.toString(), '{"type":"pong"}');
		backend.close();
	}));
});
