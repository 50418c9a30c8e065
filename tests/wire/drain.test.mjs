/*
 * Going down (SPEC section 10): nobody new is let in, clients are sent away evenly over drain.time,
 * each told when to come back, and what is asked beside them is answered until the end.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient, RawClient } from "./clients.mjs";
import {
	assertError, call, fresh, publish, run, startServer, until,
} from "./harness.mjs";

const drained = { code: 1012, reason: "drain" };
const urlOf = (server) => ["--url", server.url];

/* A server that drains over `time`, with a client that keeps it from being over at once. */
async function drainingServer(time, more = {}) {
	const server = await startServer({ ...more, options: [`drain.time=${time}`, ...more.options ?? []] });
	const client = await NativeClient.open(server);
	return { server, client };
}

const isDraining = async (server) => (await call(server, "GET", "/ready")).status === 503;

async function end(server) {
	server.signal("SIGTERM");
	assert.deepEqual(await server.ended(), { code: 0, signal: null }, server.stderr());
}

describe("drain: who comes while a node drains", () => {
	for (const [what, begin] of Object.entries({
		SIGTERM: (server) => server.signal("SIGTERM"),
		SIGINT: (server) => server.signal("SIGINT"),
		"POST /api/drain": async (server) => {
			const answer = await call(server, "POST", "/api/drain");
			assert.equal(answer.status, 200);
			assert.deepEqual(answer.json(), { draining: true });
		},
		"starling drain": async (server) =>
			assert.deepEqual(await run(["drain", ...urlOf(server)]),
				{ status: 0, stdout: "", stderr: "" }),
	})) {
		it(`after ${what} is refused, while the rest is answered`, async () => {
			const { server, client } = await drainingServer("1h");
			await begin(server);
			await until(() => isDraining(server), "/ready to say so");
			assertError(await call(server, "GET", "/ready"), 503, "draining");
			const upgrade = { connection: "Upgrade", upgrade: "websocket",
				"sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
			for (const [method, target, headers] of [["GET", "/ws", upgrade],
				["GET", "/echo", upgrade], ["GET", "/events?channel=a"], ["GET", "/poll?channel=a"],
				["POST", "/publish?channel=a"]]) {
				const answer = await call(server, method, target, { headers });
				assertError(answer, 503, "draining");
				assert.match(answer.headers["retry-after"], /^[1-9]\d*$/);
			}
			for (const target of ["/health", "/metrics", "/api/stats", "/api/channels"])
				assert.equal((await call(server, "GET", target)).status, 200, target);
			assert.match((await call(server, "GET", "/metrics")).text, /^starling_draining 1$/m);
			const channel = fresh();
			await client.subscribe(channel);
			await publish(server, channel, "still here");
			assert.equal((await client.hear()).data, "still here");
			await until(() => /^starling: draining 1 clients? over 3600000 ms/m.test(server.stderr()),
				"the journal to say so");
			await server.kill();
		});
	}

	it("needs the key outside open mode", async () => {
		const server = await startServer({ options: ["auth.api_key=sesame"] });
		assertError(await call(server, "POST", "/api/drain"), 401, "unauthorized");
		const refused = await run(["drain", ...urlOf(server)]);
		assert.equal(refused.status, 1);
		assert.match(refused.stderr, /^starling: \/api\/drain: unauthorized: .*\n$/);
		assert.equal((await call(server, "GET", "/ready")).status, 200);
		const done = await run(["drain", ...urlOf(server), "--api-key", "sesame"]);
		assert.equal(done.status, 0, done.stderr);
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});
});

describe("drain: clients", () => {
	it("of each kind are told when to come back", async () => {
		const { server, client } = await drainingServer("300ms");
		const channel = fresh();
		await publish(server, channel, "last");
		const stream = await RawClient.connect(server);
		stream.send(`GET /events?channel=${channel} HTTP/1.1\r\nHost: x\r\n\r\n`);
		await stream.until(() => stream.received.includes("id: "), "the stream");
		const id = await publish(server, channel, "seen");
		await stream.until(() => stream.received.includes("seen"), "a message");
		const poll = call(server, "GET", `/poll?channel=${channel}&since=${id}&wait=60`);
		await until(async () => (await call(server, "GET", "/api/stats")).json()
			.connections_poll === 1, "the poll to wait");

		server.signal("SIGTERM");
		const reconnect = await client.hear();
		assert.equal(reconnect.type, "reconnect");
		assert.ok(Number.isInteger(reconnect.after) && reconnect.after >= 0);
		assert.deepEqual(await client.closing(), drained);
		const rest = String(await stream.rest());
		assert.match(rest, /\nretry: \d+\n\n$/);
		const answer = await poll;
		assert.equal(answer.status, 200);
		assert.deepEqual(answer.json(), { cursor: id, recovered: true, messages: [] });
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});

	it("go evenly, and not before their time", async () => {
		const count = 40, time = 2000, gone = [];
		const server = await startServer({ options: [`drain.time=${time}ms`] });
		const clients = [];
		for (let i = 0; i < count; i++)
			clients.push(await NativeClient.open(server));
		const begin = Date.now();
		server.signal("SIGTERM");
		await Promise.all(clients.map(async (client) => {
			assert.equal((await client.hear()).type, "reconnect");
			gone.push(Date.now() - begin);
			assert.deepEqual(await client.closing(), drained);
		}));
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
		/* The server is late on a busy machine, but never early: by a part of the time no
		 * more than that part of the clients has gone, and one of each worker. */
		gone.sort((a, b) => a - b);
		gone.forEach((ms, i) => assert.ok(i + 1 <= count * ms / time + 3,
			`${i + 1} clients had gone after ${ms} ms`));
	});

	it("that are slow to go are not waited for", async () => {
		const { server, client } = await drainingServer("100ms");
		client.socket.pause();
		await end(server);
	});

	it("are none: it ends at once", async () => {
		const server = await startServer({ options: ["drain.time=1h"] });
		await end(server);
	});

	it("have gone: it ends before its time", async () => {
		const { server, client } = await drainingServer("1h");
		server.signal("SIGTERM");
		await until(() => isDraining(server), "the drain to begin");
		client.close();
		client.socket.destroy();
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});
});

describe("drain: signals", () => {
	for (const second of ["SIGTERM", "SIGINT"]) {
		it(`a second one, ${second}, ends it at once with 1`, async () => {
			const { server } = await drainingServer("1h");
			server.signal("SIGTERM");
			await until(() => isDraining(server), "the drain to begin");
			server.signal(second);
			assert.deepEqual(await server.ended(), { code: 1, signal: null });
		});
	}

	it("the first one after POST /api/drain changes nothing, nor does asking again", async () => {
		const { server, client } = await drainingServer("1h");
		for (let i = 0; i < 3; i++)
			assert.equal((await call(server, "POST", "/api/drain")).status, 200);
		await until(() => isDraining(server), "the drain to begin");
		server.signal("SIGTERM");
		assert.equal((await call(server, "GET", "/health")).status, 200);
		client.socket.destroy();
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});

	it("a reload while it drains is carried out", async () => {
		const server = await startServer({ config: "", options: ["drain.time=1h"] });
		const client = await NativeClient.open(server);
		server.signal("SIGTERM");
		await until(() => isDraining(server), "the drain to begin");
		assert.match(await server.reload("[limits]\nmessage_size = 1KiB\n"), /was read again/);
		client.socket.destroy();
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});
});
