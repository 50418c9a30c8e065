/* What /api/stats counts: each refusal by its code, each end of a connection by its reason. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
	NativeClient, RawClient, RawWebSocket, closeFrame, exchange, frame, opcodes,
} from "./clients.mjs";
import { call, fresh, publish, stats, until, useServer } from "./harness.mjs";

/* Runs `body`; waits until that counter of the group is one higher than before, and no other. */
async function assertCounts(server, group, name, body) {
	const before = (await stats(server))[group];
	assert.ok(name in before, `${group} has no ${name}`);
	await body();
	const after = await until(async () => {
		const now = (await stats(server))[group];
		return now[name] > before[name] && now;
	}, `${group}.${name} to rise`);
	const expected = { ...before, [name]: before[name] + 1 };
	if ("answered" in after)
		expected.answered = after.answered; // asking for the figures ends connections too
	assert.deepEqual(after, expected);
}

const request = (line, headers = "") => `${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

describe("counters: errors_total", () => {
	const server = useServer({
		options: ["limits.message_size=1KiB", "limits.header_size=1KiB",
			"limits.channels_per_connection=1", "limits.message_rate=1/s",
			"limits.message_burst=2", "limits.header_timeout=300ms"],
	});
	const counts = (code, what, body) =>
		it(`${code}: ${what}`, () => assertCounts(server, "errors_total", code, body));

	const requests = {
		bad_request: request("GET /poll"),
		forbidden: request("GET /ws", "Origin: http://elsewhere.example\r\n"),
		not_found: request("GET /nothing"),
		method_not_allowed: request("PUT /ws"),
		timeout: "GET / HTTP/1.1\r\n",
		too_large: request("POST /publish", "Content-Length: 2000\r\n"),
		uri_too_long: request(`GET /${"x".repeat(2000)}`),
		upgrade_required: request("GET /ws"),
		header_too_large: request("GET /", `X: ${"x".repeat(2000)}\r\n`),
	};
	for (const [code, bytes] of Object.entries(requests))
		counts(code, "a request", async () => {
			const answer = await exchange(server, bytes);
			assert.equal(JSON.parse(answer.text).error.code, code);
		});

	const commands = {
		bad_request: [{ type: "what" }],
		unauthorized: [{ type: "subscribe", channel: "@ann" }],
		not_subscribed: [{ type: "unsubscribe", channel: "c" }],
		too_many_channels: [{ type: "subscribe", channel: "a" }, { type: "subscribe", channel: "b" }],
		rate_limited: [{ type: "ping" }, { type: "ping" }, { type: "ping" }],
	};
	for (const [code, asked] of Object.entries(commands))
		counts(code, "a command", async () => {
			const client = await NativeClient.open(server);
			let answer;
			for (const command of asked)
				answer = await client.ask(command);
			assert.equal(answer.code, code);
			client.close();
		});

	counts("bad_request", "an entry of a batch", async () => {
		const body = JSON.stringify({ messages: [{ data: 1 }, { channel: fresh(), data: 1 }] });
		const answer = await call(server, "POST", "/api/batch", { body });
		assert.equal(answer.json().results[0].error.code, "bad_request");
	});
});

describe("counters: closes_total", () => {
	const server = useServer({
		options: ["limits.message_size=1KiB", "limits.header_timeout=300ms",
			"limits.idle_timeout=300ms", "limits.outbound_buffer=64KiB",
			"heartbeat.interval=500ms", "heartbeat.timeout=1s"],
	});
	const counts = (reason, what, body) =>
		it(`${reason}: ${what}`, () => assertCounts(server, "closes_total", reason, body));

	const lastBytes = {
		bad_http: ["garbage", "\x16\x03\x01\x02\x00\x01"],
		header_timeout: ["a head in part", "GET / HTTP/1.1\r\n"],
		idle: ["no other request", request("GET /health")],
	};
	for (const [reason, [what, bytes]] of Object.entries(lastBytes))
		counts(reason, what, async () => {
			const client = await RawClient.connect(server);
			client.send(bytes);
			await client.rest();
		});
	counts("header_timeout", "not a byte", async () =>
		(await RawClient.connect(server)).rest());
	counts("bad_http", "a body that is no body", async () => {
		const client = await RawClient.connect(server);
		client.send(request("POST /publish", "Transfer-Encoding: chunked\r\n"), "zzz\r\n");
		await client.rest();
	});

	const lastFrames = {
		client: closeFrame(1000),
		protocol_error: frame(3),
		not_utf8: frame(opcodes.text, Buffer.from([0xff])),
		too_large: frame(opcodes.text, "x".repeat(2000)),
	};
	for (const [reason, bytes] of Object.entries(lastFrames))
		counts(reason, "a frame", async () => {
			const client = await RawWebSocket.open(server);
			client.send(bytes);
			await client.closing();
		});

	counts("gone", "a reset", async () => {
		const client = await NativeClient.open(server);
		client.socket.resetAndDestroy();
	});
	counts("timeout", "a dead peer", async () => {
		const client = await RawWebSocket.open(server);
		await client.rest();
	});
	counts("disconnected", "by the server API", async () => {
		const client = await NativeClient.open(server);
		const path = `/api/connections/${client.welcome.connection}`;
		assert.equal((await call(server, "DELETE", path)).status, 200);
		await client.closing();
	});
});

/* It answers no heartbeat, and is not to be closed for that. */
describe("counters: closes_total of a slow consumer", () => {
	const server = useServer({ options: ["heartbeat.interval=1h", "heartbeat.timeout=2h"] });

	it("slow_consumer: a reader that does not read", () =>
		assertCounts(server, "closes_total", "slow_consumer", async () => {
			const channel = fresh();
			const client = await NativeClient.open(server);
			await client.subscribe(channel);
			client.socket.pause();
			const slow = async () => (await stats(server)).closes_total.slow_consumer;
			for (const before = await slow(); await slow() === before;)
				await publish(server, channel, "x".repeat(500_000));
			client.close();
		}));
});
