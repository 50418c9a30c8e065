/*
 * hostile.test.mjs - peers that mean harm, or are lost: a server that is short of descriptors still
 * answers, whoever does nothing is gone at its time-out, and what all of them took comes back.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { describe, it } from "node:test";

import {
	NativeClient, RawClient, closeFrame, frame, handshake, opcodes,
} from "./clients.mjs";
import {
	areAllGone, assertError, binary, call, descriptorsOf, fresh, hasOneTable, isSanitized,
	publish, run, scale, sleep, stats, until, useServer, writeScratch,
} from "./harness.mjs";

const half = "GET / HTTP/1.1\r\nHost: x\r\nX: y";
const request = (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/* The server with as many descriptors. */
function limited(count) {
	const file = writeScratch("limited", `#!/bin/sh\nulimit -n ${count}\nexec '${binary}' "$@"\n`);
	fs.chmodSync(file, 0o700);
	return file;
}

const connectAll = (server, count) =>
	Promise.all(Array.from({ length: count }, () => RawClient.connect(server)));

/* ---- descriptors ---- */

const FILES = 160;

describe("hostile: short of descriptors", () => {
	const server = useServer({
		program: limited(FILES), options: ["workers.count=1", "limits.header_timeout=5m"],
	});

	it("the longest idle give way", async () => {
		const before = (await stats(server)).closes_total.crowded_out;
		const clients = [];
		for (let i = 0; i < 2 * FILES; i++) {
			const client = await RawClient.connect(server);
			client.send(request("/health"));
			assert.equal((await client.response()).status, 200);
			clients.push(client);
		}
		for (const client of clients.slice(0, FILES))
			assert.equal((await client.rest()).length, 0);
		clients.at(-1).send(request("/health"));
		assert.equal((await clients.at(-1).response()).status, 200);
		assert.ok((await stats(server)).closes_total.crowded_out - before >= FILES);
		clients.forEach((client) => client.close());
	});

	it("so do requests that are long in coming, and a client connects meanwhile", async () => {
		const first = await connectAll(server, FILES);
		first.forEach((client) => client.send(half));
		const channel = fresh();
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		const more = await connectAll(server, FILES);
		more.forEach((one) => one.send(half));
		for (const one of first)
			assert.equal((await one.rest()).length, 0);
		await publish(server, channel, 1);
		assert.deepEqual(await client.data(1), [1]);
		more.forEach((one) => one.close());
		client.close();
	});

	it("who idles gives way before a request that is coming", async () => {
		/* While those of before are still there, who has said nothing yet is the one who idles. */
		await until(async () => (await stats(server)).connections_http === 1, "all to be gone");
		const slow = await RawClient.connect(server);
		slow.send(half);
		const idle = [];
		for (let i = 0; i < 2 * FILES; i++) {
			const client = await RawClient.connect(server);
			client.send(request("/health"));
			await client.response();
			idle.push(client);
		}
		slow.send("\r\n\r\n");
		assert.equal((await slow.response()).status, 200);
		idle.forEach((client) => client.close());
		slow.close();
	});
});

for (const [claim, count, options] of [
	["one worker", 1, []],
	["workers that share a table", 2, []],
	["workers with tables of their own", 2, ["workers.private_fds=yes"]],
])
	describe(`hostile: as many clients as there are descriptors for, ${claim}`, {
		skip: options.length > 0 && hasOneTable,
	}, () => {
		const server = useServer({
			program: limited(FILES), options: [`workers.count=${count}`, ...options],
		});

		it("one more is told so, and the rest of the server answers", async () => {
			const channel = fresh(), clients = [];
			let refused = 0;
			/* The kernel spreads connections: all workers are full when many are refused in a row. */
			while (refused < 20) {
				const client = await RawClient.connect(server);
				client.send(handshake(server));
				const answer = await client.response();
				if (answer.status === 101) {
					clients.push(client);
					refused = 0;
					continue;
				}
				assertError(answer, 503, "overloaded");
				assert.match(answer.headers["retry-after"], /^[1-9]\d*$/);
				assert.equal(answer.headers.connection, "close");
				assert.equal((await client.rest()).length, 0);
				refused++;
			}
			assert.ok(clients.length > FILES / 2, `${clients.length} clients`);
			await until(() => /^starling: no descriptor is left for a connection: \d+ are in use/m
				.test(server.stderr()), "the journal to say so");
			for (const path of [`/events?channel=${channel}`, `/poll?channel=${channel}&since=x-1`])
				assertError(await call(server, "GET", path), 503, "overloaded");
			for (let i = 0; i < 50; i++)
				for (const path of ["/health", "/ready", "/metrics", "/api/stats"])
					assert.equal((await call(server, "GET", path)).status, 200);
			await publish(server, channel, 1);
			assert.ok(clients.every((client) => !client.isClosed));
			clients.forEach((client) => client.close());
			await until(async () => (await stats(server)).connections === 0, "all to be gone");
			const client = await NativeClient.open(server);
			await client.subscribe(channel, { since: "start" });
			assert.deepEqual(await client.data(1), [1]);
			client.close();
		});

		it("whoever fills the reserve too with half a request gives way", async () => {
			const clients = [], crowd = [];
			for (let refused = 0; refused < 20;) {
				const client = await RawClient.connect(server);
				client.send(handshake(server));
				const isIn = (await client.response()).status === 101;
				refused = isIn ? 0 : refused + 1;
				clients.push(client);
			}
			for (let round = 0; round < 10; round++) {
				for (const client of await connectAll(server, 50)) {
					client.send(half);
					crowd.push(client);
				}
				assert.equal((await call(server, "GET", "/health")).status, 200);
				assert.equal((await call(server, "GET", "/api/stats")).status, 200);
			}
			[...clients, ...crowd].forEach((client) => client.close());
		});
	});

describe("hostile: descriptors that others have taken", () => {
	const server = useServer({ options: ["workers.count=1", "limits.idle_timeout=1h"] });
	/* Falls below what was dealt out: accept() fails, as it does when something else takes them. */
	const setLimit = (count) =>
		execFileSync("prlimit", [`--pid=${server.pid}`, `--nofile=${count}:1024`]);

	it("the longest idle give way to who comes", async () => {
		const clients = await connectAll(server, 50);
		clients.forEach((client) => client.send(request("/health")));
		await Promise.all(clients.map((client) => client.response()));
		setLimit(descriptorsOf(server));
		for (let i = 0; i < 20; i++)
			assert.equal((await call(server, "GET", "/health")).status, 200);
		assert.ok((await stats(server)).closes_total.crowded_out > 0);
		assert.ok(clients.some((client) => !client.isClosed));
		setLimit(1024);
		clients.forEach((client) => client.close());
	});

	it("with nobody to be spared it waits, and goes on when somebody leaves", async () => {
		await until(async () => (await stats(server)).connections_http === 1, "all to be gone");
		const clients = [];
		for (let i = 0; i < 5; i++)
			clients.push(await NativeClient.open(server));
		const said = server.stderr().length;
		setLimit(3); /* as if none was left */
		const waiting = await RawClient.connect(server);
		waiting.send(request("/health"));
		assert.equal((await clients[0].ask({ type: "ping" })).type, "pong");
		assert.equal(waiting.received.length, 0);
		await until(() => server.stderr().slice(said).includes("no descriptor is left"),
			"the journal to say so");
		setLimit(descriptorsOf(server));
		clients.pop().close();
		assert.equal((await waiting.response()).status, 200);
		waiting.close();
		clients.forEach((client) => client.close());
	});
});

/* ---- channels ---- */

/* Of a worker: CHANNELS_LINGERING_MAX, CHANNEL_LINGER_MS. */
const LINGERING = 32_768, LINGER_MS = 10_000;

/* With a sanitizer they would be forgotten for their age. */
describe("hostile: ever new channels", { skip: isSanitized }, () => {
	const server = useServer({ options: ["workers.count=1"] });
	const poll = async (client, channel, more = "") => {
		client.send(request(`/poll?channel=${channel}${more}`));
		return JSON.parse((await client.response()).text);
	};

	it("so many are remembered, and who comes back to another one is told", async () => {
		const client = await RawClient.connect(server), batch = 512, began = Date.now();
		const first = await poll(client, "first");
		for (let i = 0; i < LINGERING; i += batch) {
			client.send(Array.from({ length: batch },
				(_, k) => request(`/poll?channel=another-${i + k}`)).join(""));
			for (let k = 0; k < batch; k++)
				await client.response();
		}
		const last = await poll(client, "last");
		const { channels, channels_forgotten_total: forgotten } = await stats(server);
		assert.ok(channels <= LINGERING, `${channels} channels`);
		/* Where that took long some were too old before. */
		assert.ok(forgotten >= 2 || Date.now() - began > LINGER_MS, `${forgotten} forgotten`);
		for (const [channel, { cursor }, isKnown] of [["first", first, false], ["last", last, true]]) {
			const { recovered } = await poll(client, channel, `&since=${cursor}&wait=0`);
			assert.equal(recovered, isKnown, channel);
		}
		client.close();
	});
});

it("hostile: with too few descriptors to start with it says so", async () => {
	const { status, stderr } = await run(["-o", "listen.http=127.0.0.1:1"],
		{ program: limited(40) });
	assert.equal(status, 1);
	assert.match(stderr,
		/^starling: cannot start: RLIMIT_NOFILE of 40 is too low for \d+ workers?\n$/);
});

/* ---- peers ---- */

/* Sends `bytes` one by one until the server has closed. */
async function drip(client, bytes) {
	for (let i = 0; !client.isClosed; i++) {
		client.send(bytes[i % bytes.length]);
		await sleep(20);
	}
}

const upload = "POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 60000\r\n\r\n";
const subscription = frame(opcodes.text, JSON.stringify({ type: "subscribe", channel: "hostile" }));
const large = frame(opcodes.text, "x".repeat(50_000));

/* Each does to one connection what its name says; `reason` is what the server ends it with. */
const peers = [
	["connects and waits", "header_timeout", (client) => client.rest()],
	["sends half a head and waits", "header_timeout", async (client) => {
		client.send(half);
		assert.equal((await client.response()).status, 408);
	}],
	["sends a head byte by byte", "header_timeout", async (client) => {
		client.send(half);
		await drip(client, "z");
	}],
	["sends a body byte by byte", "header_timeout", async (client) => {
		client.send(upload);
		await drip(client, "z");
	}],
	["sends chunks of one byte", "header_timeout", async (client) => {
		client.send("POST /publish?channel=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
		await drip(client, ["1\r\nz\r\n"]);
	}],
	["asks once and idles", "idle", async (client) => {
		client.send(request("/health"));
		assert.equal((await client.response()).status, 200);
		await client.rest();
	}],
	["says no more after half a head", "gone", async (client) => {
		client.socket.end(half);
		await client.rest();
	}],
	["says no more after its request", "gone", async (client) => {
		client.socket.end(request("/health"));
		assert.equal((await client.response()).status, 200);
		await client.rest();
	}],
	["breaks off within a head", "gone", async (client) => {
		client.send(half);
		client.socket.resetAndDestroy();
	}],
	["breaks off within a body", "gone", async (client) => {
		client.send(upload, "z".repeat(1000));
		client.socket.resetAndDestroy();
	}],
	["breaks off a poll", "gone", async (client) => {
		client.send(request("/poll?channel=hostile&since=start"));
		client.socket.resetAndDestroy();
	}],
	["breaks off within a frame", "gone", async (client, server) => {
		client.send(handshake(server), subscription, large.subarray(0, 30_000));
		await client.response();
		client.socket.resetAndDestroy();
	}],
	["is dead behind its WebSocket", "timeout", async (client, server) => {
		client.send(handshake(server), subscription);
		await client.rest();
	}],
	["stops within a frame", "timeout", async (client, server) => {
		client.send(handshake(server), large.subarray(0, 30_000));
		await client.rest();
	}],
	["sends garbage", "bad_http", async (client) => {
		client.send(Buffer.concat([Buffer.from([0]), randomBytes(5000)]));
		await client.rest();
	}],
	["sends garbage as frames", "protocol_error", async (client, server) => {
		client.send(handshake(server), Buffer.from([0xff, 0xff]), randomBytes(5000));
		await client.rest();
	}],
	["asks more than it reads, and breaks off", "gone", async (client) => {
		client.socket.pause();
		client.send(request("/starling.js").repeat(100));
		await sleep(20);
		client.socket.resetAndDestroy();
	}],
];

for (const isSecure of [false, true])
	describe(`hostile: peers${isSecure ? " over TLS" : ""}`, () => {
		const server = useServer({
			isSecure,
			options: ["limits.header_timeout=3s", "limits.idle_timeout=3s",
				"heartbeat.interval=1s", "heartbeat.timeout=3s"],
		});
		const count = Math.ceil((isSecure ? 4 : 50) * Math.sqrt(scale));

		const expected = {};
		for (const [, reason] of peers)
			expected[reason] = (expected[reason] ?? 0) + count;

		/* As many of each kind, at once. */
		async function attack() {
			const crowd = Array.from({ length: count }, () => peers).flat();
			await Promise.all(crowd.map(async ([, , behave]) => {
				const client = await RawClient.connect(server);
				await behave(client, server);
			}));
			await until(() => areAllGone(server), "all to be gone");
		}

		it("each ends with the reason that fits, while others are served", async () => {
			const { closes_total: before } = await stats(server);
			let isOver = false;
			const attacked = attack().finally(() => { isOver = true; });
			while (!isOver) {
				const client = await NativeClient.open(server);
				assert.equal((await client.ask({ type: "ping" })).type, "pong");
				client.send(closeFrame(1000));
				await client.rest();
				await sleep(50);
			}
			await attacked;
			const { closes_total: after } = await stats(server);
			const counted = Object.keys(expected).map((reason) =>
				[reason, after[reason] - before[reason]]);
			assert.deepEqual(Object.fromEntries(counted), expected);
		});

		it("what they took has come back", async () => {
			const [held, open] = [server.memory(), descriptorsOf(server)];
			await attack();
			await until(() => descriptorsOf(server) <= open, "descriptors to come back");
			if (!isSanitized) /* nothing grows with what has been before */
				await until(() => server.memory() - held < 4 << 20, "memory to come back");
		});
	});
