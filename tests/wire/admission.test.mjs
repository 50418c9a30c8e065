/* How many may be connected: in all, of one user, from one address; and who is not counted. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient, RawClient, exchange, frame, handshake, opcodes } from "./clients.mjs";
import {
	assertError, call, fresh, publish, stats, until, useServer, withServer,
} from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";

const get = (target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
const connections = async (server) => (await stats(server)).connections;

/* Each sends its request on a client and comes back when it is in, or with what refused it. */
const ways = {
	"a WebSocket": (server, client, query) => accepted(client, handshake(server, `/ws?${query}`)),
	"an event stream": (server, client, query) =>
		accepted(client, get(`/events?channel=${fresh()}&${query}`)),
	"a poll that waits": async (server, client, query) => {
		const channel = fresh();
		const since = await publish(server, channel, 1);
		const before = (await stats(server)).connections_poll;
		client.send(get(`/poll?channel=${channel}&since=${since}&wait=60&${query}`));
		await until(async () => client.received.length > 0 ||
			(await stats(server)).connections_poll > before, "a poll to be in");
		return client.received.length > 0 ? client.response() : null;
	},
};

async function accepted(client, bytes) {
	client.send(bytes);
	await client.until((received) => received.includes("\r\n\r\n"), "a head");
	const isIn = /^HTTP\/1\.1 (101|200) /.test(client.received.toString("latin1"));
	return isIn ? null : client.response();
}

async function enter(server, way, query = "", options = {}) {
	const client = await RawClient.connect(server, options);
	const refused = await ways[way](server, client, query);
	assert.equal(refused, null, refused?.text);
	return client;
}

/* The connection of a client that was refused is as good as before. */
async function assertRefused(server, way, status, code, query = "", options = {}) {
	const client = await RawClient.connect(server, options);
	const refused = await ways[way](server, client, query);
	assert.notEqual(refused, null, `${way} was let in`);
	assertError(refused, status, code);
	assert.match(refused.headers["retry-after"], /^[1-9]\d*$/);
	client.send(get("/health"));
	assert.equal((await client.response()).status, 200);
	client.close();
}

/* Letters that were on their way before this are taken when it is over: each worker answers with what
 * it has, at the end of a turn in which it took all that waited for it. Twice, by one asker, so
 * that none was passed over who posts much. */
async function settle(server) {
	const client = await RawClient.connect(server);
	for (let i = 0; i < 2; i++) {
		client.send("GET /api/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n\r\n");
		assert.equal((await client.response()).status, 200);
	}
	client.close();
}

/* So many handshakes at once; the clients that were let in. */
async function rush(server, count, query = "") {
	const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(server)));
	const answers = await Promise.all(clients.map((client) =>
		accepted(client, handshake(server, `/ws?${query}`))));
	answers.forEach((refused) => assert.ok(!refused || [429, 503].includes(refused.status)));
	clients.filter((_, i) => answers[i]).forEach((client) => client.close());
	return clients.filter((_, i) => !answers[i]);
}

async function leave(server, clients) {
	clients.forEach((client) => client.close());
	await until(async () => await connections(server) === 0, "clients to be gone");
}

describe("admission: limits.connections", () => {
	const server = useServer({ options: ["limits.connections=5", "workers.count=4"] });

	it("one more is 503 overloaded, whatever it is, until one leaves", async () => {
		const names = Object.keys(ways);
		const clients = [];
		for (let i = 0; i < 5; i++)
			clients.push(await enter(server, names[i % names.length]));
		for (const way of names)
			await assertRefused(server, way, 503, "overloaded");
		assertError(await exchange(server, handshake(server, "/echo")), 503, "overloaded");
		assert.equal(await connections(server), 5);
		clients.pop().close();
		await until(async () => await connections(server) === 4);
		clients.push(await enter(server, "a WebSocket"));
		await leave(server, clients);
	});

	it("at the limit requests are answered, and polls that do not wait", async () => {
		const clients = await rush(server, 5);
		assert.equal(clients.length, 5);
		const channel = fresh();
		assert.equal((await call(server, "GET", "/health")).status, 200);
		assert.equal((await call(server, "GET", "/ready")).status, 200);
		await publish(server, channel, 1);
		assert.equal((await call(server, "GET", `/poll?channel=${channel}&since=start&wait=0`)).status, 200);
		assert.equal((await call(server, "GET", `/poll?channel=${channel}`)).status, 200);
		assert.equal((await call(server, "HEAD", `/events?channel=${channel}`)).status, 200);
		await leave(server, clients);
	});

	it("of many at once as many as may be get in, on whichever worker", async () => {
		for (let round = 0; round < 5; round++) {
			const clients = await rush(server, 40);
			assert.equal(clients.length, 5);
			await leave(server, clients);
		}
	});

	it("a refused handshake, a failed one and an answered poll count no more", async () => {
		for (let i = 0; i < 20; i++) {
			await exchange(server, get(`/events?channel=${fresh()}&since=nonsense`));
			const channel = fresh();
			const since = await publish(server, channel, 1);
			const poll = call(server, "GET", `/poll?channel=${channel}&since=${since}&wait=60`);
			await until(async () => (await stats(server)).connections_poll === 1);
			await publish(server, channel, 2);
			assert.equal((await poll).json().messages.length, 1);
		}
		await leave(server, await rush(server, 5));
	});
});

describe("admission: limits.connections_per_user", () => {
	const server = useServer({ options: ["limits.connections_per_user=3", "workers.count=4"] });

	for (const way of Object.keys(ways))
		it(`${way} more than the user may have is 429 connection_limit`, async () => {
			const clients = [];
			for (const each of Object.keys(ways))
				clients.push(await enter(server, each, "user=ann"));
			await assertRefused(server, way, 429, "connection_limit", "user=ann");
			clients.push(await enter(server, way, "user=bob"), await enter(server, way));
			clients.shift().close();
			await until(async () => await connections(server) === 4);
			clients.push(await enter(server, way, "user=ann"));
			await assertRefused(server, way, 429, "connection_limit", "user=ann");
			await leave(server, clients);
		});

	it("of many at once as many as may be get in, however often", async () => {
		for (let round = 0; round < 5; round++) {
			const rounds = await Promise.all(["ann", "bob", "eve", "joe", ""].map((user) =>
				rush(server, 12, `user=${user || `u${round}`}`)));
			rounds.forEach((clients) => assert.equal(clients.length, 3));
			await leave(server, rounds.flat());
		}
	});

	it("who goes away before the answer holds no place", async () => {
		for (let i = 0; i < 100; i++) {
			const client = await RawClient.connect(server);
			client.send(handshake(server, "/ws?user=ann"));
			client.socket.resetAndDestroy();
		}
		await until(async () => {
			const clients = await rush(server, 3, "user=ann");
			clients.forEach((client) => client.close());
			return clients.length === 3;
		}, "three places to be free");
	});

	it("what came with the handshake is heard when it is in", async () => {
		for (let i = 0; i < 12; i++) {
			const client = await RawClient.connect(server);
			client.send(get("/health"), handshake(server, `/ws?user=u${i}`),
				frame(opcodes.text, '{"type":"ping","ref":7}'));
			assert.equal((await client.response()).status, 200);
			assert.equal((await client.response()).status, 101);
			await client.until((received) => received.includes('{"type":"pong","ref":7}'), "pong");
			client.close();
		}
	});

	it("requests behind a refused one are answered", async () => {
		const clients = await rush(server, 3, "user=ann");
		const client = await RawClient.connect(server);
		client.send(handshake(server, "/ws?user=ann"), get("/health"));
		assertError(await client.response(), 429, "connection_limit");
		assert.equal((await client.response()).status, 200);
		client.close();
		await leave(server, clients);
	});

	it("one poll after the other holds one place", async () => {
		const clients = await rush(server, 2, "user=ann");
		const client = await RawClient.connect(server);
		const channel = fresh();
		let since = await publish(server, channel, 0);
		for (let data = 1; data < 30; data++) {
			client.send(get(`/poll?channel=${channel}&since=${since}&wait=60&user=ann`));
			await until(async () => (await stats(server)).connections_poll === 1);
			since = await publish(server, channel, data);
			const answer = await client.response();
			assert.equal(answer.status, 200, answer.text);
			assert.equal(JSON.parse(answer.text).messages[0].data, data);
		}
		client.close();
		await leave(server, clients);
	});
});

describe("admission: limits.connections_per_ip", () => {
	const server = useServer({ options: ["limits.connections_per_ip=2", "workers.count=4"] });
	const from = (localAddress) => ({ localAddress });

	for (const way of Object.keys(ways))
		it(`${way} more than an address may have is 429 connection_limit`, async () => {
			const clients = [await enter(server, way), await enter(server, "a WebSocket", "user=ann")];
			await assertRefused(server, way, 429, "connection_limit", "user=bob");
			clients.push(await enter(server, way, "", from("127.0.0.2")));
			clients.shift().close();
			await until(async () => await connections(server) === 2);
			clients.push(await enter(server, way));
			await assertRefused(server, way, 429, "connection_limit");
			await leave(server, clients);
		});

	it("echo counts too", async () => {
		const clients = await rush(server, 2);
		assertError(await exchange(server, handshake(server, "/echo")), 429, "connection_limit");
		await leave(server, clients);
	});

	it("with a limit by user as well, a place refused by one is not held by the other", () =>
		withServer({
			options: ["limits.connections_per_ip=2", "limits.connections_per_user=1",
				"workers.count=4"],
		}, async (both) => {
			const ann = await enter(both, "a WebSocket", "user=ann");
			for (let i = 0; i < 10; i++)
				await assertRefused(both, "a WebSocket", 429, "connection_limit", "user=ann");
			await settle(both); /* the address's home has heard that the last one is not there */
			const bob = await enter(both, "a WebSocket", "user=bob");
			for (const user of ["eve", "joe", "sue"])
				await assertRefused(both, "a WebSocket", 429, "connection_limit", `user=${user}`);
			bob.close();
			await until(async () => await connections(both) === 1);
			await settle(both);
			const eve = await enter(both, "a WebSocket", "user=eve");
			await leave(both, [ann, eve]);
		}));
});

describe("admission: others", () => {
	it("a user that comes by auth is counted then, and closed where one too many", () => withServer({
		options: [`auth.jwt_secret=${secret}`, "auth.api_key=key",
			"limits.connections_per_user=2", "workers.count=4"],
	}, async (server) => {
		for (let round = 0; round < 4; round++) {
			const sub = `user-${round}`;
			const clients = [];
			for (let i = 0; i < 2; i++) {
				clients.push(await NativeClient.open(server));
				const answer = await clients[i].ask({ type: "auth", token: mint({ sub }) });
				assert.equal(answer.type, "ack");
			}
			/* Their turns are over, and then those of the user's home, which has counted them. */
			for (const client of clients)
				assert.equal((await client.ask({ type: "ping" })).type, "pong");
			await settle(server);
			const refused = await exchange(server, handshake(server, `/ws?token=${mint({ sub })}`));
			assertError(refused, 429, "connection_limit");
			const more = await NativeClient.open(server);
			more.say({ type: "auth", token: mint({ sub }) });
			assert.deepEqual(await more.closing(), { code: 1008, reason: "connection_limit" });
			const again = await clients[0].ask({ type: "auth", token: mint({ sub }) });
			assert.equal(again.type, "ack");
			clients[1].close();
			const back = await until(async () => {
				const client = await RawClient.connect(server);
				const answer = await accepted(client, handshake(server, `/ws?token=${mint({ sub })}`));
				return answer === null && client;
			}, "a place to be free");
			assert.equal((await clients[0].ask({ type: "ping" })).type, "pong");
			back.close();
			clients[0].close();
		}
	}));

	it("backends are counted in all, and neither by user nor by address", () => withServer({
		options: ["auth.api_key=key", "limits.connections=4", "limits.connections_per_ip=1",
			"limits.connections_per_user=1"],
	}, async (server) => {
		const headers = { Authorization: "Bearer key" };
		const backends = [];
		for (let i = 0; i < 3; i++)
			backends.push(await NativeClient.open(server, { headers }));
		const client = await NativeClient.open(server);
		assertError(await exchange(server, handshake(server, "/ws", headers)), 503, "overloaded");
		[client, ...backends].forEach((one) => one.close());
	}));

	it("a limit that is new counts those who are in already", () => withServer({
		config: "[limits]\n", options: ["workers.count=4"],
	}, async (server) => {
		const clients = await rush(server, 6, "user=ann");
		assert.equal(clients.length, 6);
		await server.reload("[limits]\nconnections_per_user = 6\n");
		await until(async () => {
			const more = await rush(server, 1, "user=ann");
			more.forEach((client) => client.close());
			return more.length === 0;
		}, "those who are in to be counted");
		const eve = await enter(server, "a WebSocket", "user=eve");
		clients.shift().close();
		await until(async () => await connections(server) === 6);
		clients.push(await enter(server, "a WebSocket", "user=ann"), eve);
		await assertRefused(server, "a WebSocket", 429, "connection_limit", "user=ann");
		await server.reload("[limits]\nconnections = 3\n");
		await until(async () => {
			const refused = await exchange(server, handshake(server));
			return refused.status === 503;
		}, "the lower limit to hold");
		await leave(server, clients);
		assert.equal((await rush(server, 4, "user=ann")).length, 3);
	}));
});
