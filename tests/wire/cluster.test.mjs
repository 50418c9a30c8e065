/*
 * Channels across nodes: real processes on loopback are one server, also while they end, hang, drain
 * and start again. What clients are told is held against what was acknowledged to those who publish.
 *
 * Which node is home of a channel nobody can see; channels are so many that each node is home of some.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { EventStream, NativeClient, opcodes } from "./clients.mjs";
import { assertError, call, fresh, publish, seqOf, until } from "./harness.mjs";
import { Mesh, figuresOf, stateOf, withMesh } from "./meshes.mjs";
import {
	Publisher, assertNothingIsLost, channels, history, keepsAll, served, some, tooSlow, withTraffic,
} from "./traffic.mjs";

async function poll(server, channel, since, wait) {
	const answer = await call(server, "GET", `/poll?channel=${channel}&since=${since}&wait=${wait}`);
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

describe("cluster: three nodes are one server", () => {
	const mesh = new Mesh([...keepsAll, "limits.message_size=1MiB", "channel.bare:*.history_size=0"]);
	before(async () => {
		await mesh.start(3);
		await mesh.converged();
		await served(mesh.nodes);
	});
	after(() => mesh.stop());

	it("what is published at any node reaches followers of each kind at all, in one order", async () => {
		const [a, b, c] = mesh.nodes, channel = fresh("log:order"), count = 30;
		const sockets = await Promise.all(mesh.nodes.map((node) => NativeClient.open(node)));
		const cursors = [];
		for (const socket of sockets)
			cursors.push((await socket.subscribe(channel)).cursor);
		assert.equal(new Set(cursors).size, 1);
		const streams = await Promise.all(mesh.nodes.map((node) =>
			EventStream.open(node, `/events?channel=${channel}&since=${cursors[0]}`)));
		const polled = mesh.nodes.map(async (node) => {
			const got = [];
			for (let since = cursors[0]; got.length < 3 * count;) {
				const answer = await poll(node, channel, since, 25);
				assert.equal(answer.recovered, true);
				got.push(...answer.messages.map(({ id }) => id));
				since = answer.cursor;
			}
			return got;
		});
		const acked = await Promise.all([a, b, c].map(async (node, n) => {
			const ids = [];
			for (let i = 0; i < count; i++)
				ids.push(await publish(node, channel, `${n} ${i}`));
			return ids;
		}));
		const order = acked.flat().sort((x, y) => seqOf(x) - seqOf(y));
		assert.deepEqual(order.map(seqOf), order.map((_, i) => i + 1));
		for (const ids of acked)
			assert.deepEqual(ids.toSorted((x, y) => seqOf(x) - seqOf(y)), ids);
		for (const socket of sockets)
			assert.deepEqual((await socket.messages(order.length)).map(({ id }) => id), order);
		for (const stream of streams)
			assert.deepEqual((await stream.take(order.length)).map(({ id }) => id), order);
		for (const got of await Promise.all(polled))
			assert.deepEqual(got, order);
		for (const node of mesh.nodes)
			assert.deepEqual([...(await history(node, channel)).keys()], order);
		sockets.forEach((socket) => socket.close());
		streams.forEach((stream) => stream.close());
	});

	it("an idempotency_key holds at all nodes", async () => {
		for (let i = 0; i < 6; i++) {
			const channel = fresh("log:once"), key = fresh("key");
			const ids = [];
			for (const node of mesh.nodes)
				ids.push(await publish(node, channel, node.name, { idempotency_key: key }));
			assert.equal(new Set(ids).size, 1);
			assert.deepEqual([...(await history(mesh.nodes[2], channel)).values()], ["n1"]);
		}
	});

	it("a cursor of one node is good at the others", async () => {
		for (let i = 0; i < 6; i++) {
			const [a, b, c] = mesh.nodes, channel = fresh("log:resume");
			const first = await publish(a, channel, 1);
			await publish(b, channel, 2);
			await publish(c, channel, 3);
			for (const node of mesh.nodes) {
				const client = await NativeClient.open(node);
				const answer = await client.subscribe(channel, { since: first });
				assert.equal(answer.recovered, true);
				assert.deepEqual(await client.data(2), [2, 3]);
				client.close();
			}
		}
	});

	it("the server API of any node knows the channels of all", async () => {
		const prefix = fresh("log:api"), names = [1, 2, 3, 4].map((i) => `${prefix}:${i}`);
		const clients = await Promise.all(mesh.nodes.map((node) => NativeClient.open(node)));
		const expected = [];
		for (const [i, channel] of names.entries()) {
			for (const client of clients.slice(i === 0 ? 1 : 0))
				await client.subscribe(channel);
			const cursor = await publish(mesh.nodes[i % 3], channel, i);
			expected.push({ channel, subscribers: i === 0 ? 2 : 3, cursor });
		}
		for (const node of mesh.nodes) {
			const list = await call(node, "GET", `/api/channels?prefix=${prefix}`);
			assert.deepEqual(list.json(), { channels: expected });
			const page = (await call(node, "GET",
				`/api/channels?prefix=${prefix}&limit=3`)).json();
			assert.deepEqual(page, { channels: expected.slice(0, 3), next: names[2] });
			for (const one of expected)
				assert.deepEqual((await call(node, "GET",
					`/api/channels/${one.channel}`)).json(), one);
			assertError(await call(node, "GET", `/api/channels/${prefix}:none`),
				404, "not_found");
		}
		clients.forEach((client) => client.close());
	});

	it("the server API of any node shows, sends to and ends connections of all", async () => {
		const clients = await Promise.all(mesh.nodes.map((node) => NativeClient.open(node)));
		const ids = clients.map((client) => client.welcome.connection);
		for (const node of mesh.nodes) {
			const { connections } = (await call(node, "GET", "/api/connections?limit=1000")).json();
			for (const [i, id] of ids.entries())
				assert.equal(connections.find((one) => one.id === id).node, mesh.nodes[i].name);
		}
		for (const [i, id] of ids.entries()) {
			const node = mesh.nodes[(i + 1) % 3];
			await clients[i].subscribe("log:1");
			const shown = (await call(node, "GET", `/api/connections/${id}`)).json();
			assert.deepEqual([shown.id, shown.channels], [id, ["log:1"]]);
			const sent = await call(node, "POST", `/api/connections/${id}/send`,
				{ body: '{"data":[1,2]}' });
			assert.deepEqual(sent.json(), { sent: 1 });
			const heard = await clients[i].hear();
			assert.deepEqual(heard.data, [1, 2]);
			const ended = await call(node, "DELETE", `/api/connections/${id}`);
			assert.deepEqual(ended.json(), { disconnected: 1 });
			assert.equal((await clients[i].message()).opcode, opcodes.close);
			await until(async () =>
				(await call(node, "GET", `/api/connections/${id}`)).status === 404);
		}
		const stranger = ids[0].replace(/^./, (c) => c === "1" ? "2" : "1");
		assertError(await call(mesh.nodes[0], "GET", `/api/connections/${stranger}`),
			404, "not_found");
	});

	it("what is sent to all but one session reaches it nowhere else", async () => {
		const [a, b] = mesh.nodes, channel = fresh("log:echo");
		const here = await NativeClient.open(a), there = await NativeClient.open(b);
		await here.subscribe(channel);
		await there.subscribe(channel);
		await here.publish(channel, "mine", { echo: false });
		await there.publish(channel, "yours");
		assert.deepEqual(await there.data(2), ["mine", "yours"]);
		assert.deepEqual(await here.data(1), ["yours"]);
		here.close();
		there.close();
	});

	/* As JSON each of these has more than one MiB, whatever it was on the way in. */
	it("a message that is larger than the mesh passes on is refused, and the largest arrives", async () => {
		const path = (at, channel) => `${at}?channel=${channel}`;
		const headers = { "content-type": "text/plain" };
		for (let i = 0; i < 3; i++) {
			const [node, other] = [mesh.nodes[i], mesh.nodes[(i + 1) % 3]];
			for (const kind of ["log", "bare"]) {
				const channel = fresh(`${kind}:large`);
				const client = await NativeClient.open(other);
				await client.subscribe(channel);
				assertError(await call(node, "POST", path("/api/stream", channel),
					{ headers, body: `${'"'.repeat(600_000)}\n` }), 413, "too_large");
				assertError(await call(node, "POST", path("/publish", channel),
					{ headers, body: "\x01".repeat(180_000) }), 413, "too_large");
				const largest = "x".repeat((1 << 20) - 2);
				await publish(node, channel, largest);
				assert.deepEqual(await client.data(1), [largest]);
				client.close();
			}
		}
		for (const node of mesh.nodes)
			assert.equal((await call(node, "GET", "/health")).status, 200);
	});

	it("except leaves out one connection, whichever node it is at and whichever is asked", async () => {
		const channel = fresh("log:except");
		const clients = await Promise.all(mesh.nodes.map((node) => NativeClient.open(node)));
		for (const client of clients)
			await client.subscribe(channel);
		const expected = clients.map(() => []);
		for (const node of mesh.nodes) {
			for (const [i, client] of clients.entries()) {
				const data = `${node.name} ${i}`;
				await publish(node, channel, data, { except: client.welcome.connection });
				expected.forEach((list, j) => { if (j !== i) list.push(data); });
			}
		}
		await publish(mesh.nodes[0], channel, "for all");
		for (const [i, client] of clients.entries()) {
			assert.deepEqual(await client.data(7), [...expected[i], "for all"]);
			client.close();
		}
	});
});

describe("cluster: nodes of several workers", () => {
	it("all connections of a user are found and ended, whichever worker they are at", () =>
		withMesh(2, async (mesh) => {
			await mesh.converged();
			const [here, there] = mesh.nodes, clients = [];
			for (let i = 0; i < 12; i++)
				clients.push(await NativeClient.open(there, { query: "user=bob" }));
			const { connections, online } = (await call(here, "GET", "/api/users/bob")).json();
			assert.equal(online, true);
			assert.deepEqual(connections.map(({ id }) => id).sort(),
				clients.map(({ welcome }) => welcome.connection).sort());
			const ended = await call(here, "POST", "/api/users/bob/disconnect");
			assert.deepEqual(ended.json(), { disconnected: clients.length });
			for (const client of clients)
				assert.equal((await client.message()).opcode, opcodes.close);
		}, ["workers.count=3"]));
});

describe("cluster: a node that ends under traffic", () => {
	it("a node is killed: nothing acknowledged is lost, and its clients resume elsewhere", async () => {
		await withTraffic(3, async (mesh, publishers, followers) => {
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			const [victim, ...living] = mesh.nodes;
			await followers[0].until(some);
			publishers[0].isDoomed = true;
			await victim.kill();
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await followers[0].moveTo(living[0]);
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(living, publishers, followers);
		});
	});

	it("of two, either may be killed", async () => {
		await withTraffic(2, async (mesh, publishers, followers) => {
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			publishers[1].isDoomed = true;
			await mesh.nodes[1].kill();
			await publishers[0].more(some);
			await publishers[0].stop();
			await publishers[1].stop();
			await assertNothingIsLost([mesh.nodes[0]], publishers, [followers[0]]);
		});
	});

	it("a node drains: nothing is lost, and what it had is elsewhere", async () => {
		await withTraffic(3, async (mesh, publishers, followers) => {
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			const [leaver, ...living] = mesh.nodes;
			publishers[0].isDoomed = true;
			await followers[0].until(some);
			const ended = leaver.ended();
			leaver.signal("SIGTERM");
			await ended;
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await followers[0].moveTo(living[1]);
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await served(living);
			await assertNothingIsLost(living, publishers, followers);
		});
	});

	it("all are restarted, one after the other", { skip: tooSlow }, async () => {
		await withTraffic(3, async (mesh, publishers, followers) => {
			for (const [i, node] of mesh.nodes.entries()) {
				const next = (i + 1) % mesh.nodes.length;
				await Promise.all(publishers.map((publisher) => publisher.more(some)));
				publishers[i].isDoomed = true;
				const ended = node.ended();
				node.signal("SIGTERM");
				await ended;
				await node.start();
				await mesh.converged();
				await served(mesh.nodes);
				for (const follower of followers.filter(({ at }) => at === node))
					await follower.moveTo(mesh.nodes[next]);
				publishers.push(await Publisher.open(node));
			}
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
		});
	});
});

describe("cluster: a node that hangs", { skip: tooSlow }, () => {
	it("others take over, and it finds its way back", async () => {
		await withTraffic(3, async (mesh, publishers, followers) => {
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			const [victim, ...living] = mesh.nodes;
			victim.signal("SIGSTOP");
			await until(async () => (await stateOf(living[0], victim.name)).state === "dead");
			await Promise.all(publishers.slice(1).map((publisher) => publisher.more(some)));
			victim.signal("SIGCONT");
			await mesh.converged();
			await publishers[0].more(some);
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
		});
	});

	it("what a node takes on alone is put together with what the others have", async () => {
		await withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [left, ...others] = mesh.nodes;
			await Promise.all(channels.map((channel) => publish(left, channel, "before")));
			others.forEach((node) => node.signal("SIGSTOP"));
			/* Alone it opens a stream of its own for each slot. */
			await Promise.all(channels.map((channel) => until(async () => {
				const answer = await call(left, "POST",
					`/publish?channel=${channel}&idempotency_key=alone`, {
						headers: { "content-type": "application/json" }, body: '"alone"' });
				return answer.status === 200;
			}, `${channel} to be served by one node alone`)));
			others.forEach((node) => node.signal("SIGCONT"));
			await mesh.converged();
			await served(mesh.nodes);
			for (const channel of channels)
				await publish(others[0], channel, "together");
			for (const node of mesh.nodes) {
				for (const channel of channels)
					await until(async () => {
						const kept = [...(await history(node, channel)).values()];
						return ["alone", "together"].every((data) =>
							kept.filter((one) => one === data).length === 1);
					}, `${channel} to be whole at ${node.name}`);
			}
		}, keepsAll);
	});

	it("what history has let go there is lost to the others, and they are told", async () => {
		await withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [left, ...others] = mesh.nodes;
			const rooms = channels.map((channel) => channel.replace("log", "few"));
			const follower = await NativeClient.open(others[0]);
			for (const room of rooms) {
				await follower.subscribe(room);
				await publish(left, room, "before");
			}
			others.forEach((node) => node.signal("SIGSTOP"));
			const alone = (room, i) => call(left, "POST", `/publish?channel=${room}&idempotency_key=${i}`, {
				headers: { "content-type": "application/json" }, body: `"alone ${i}"` });
			await Promise.all(rooms.map((room) => until(async () =>
				(await alone(room, 1)).status === 200, `${room} to be served by one node alone`)));
			for (const room of rooms) {
				for (const i of [2, 3, 4, 5])
					assert.equal((await alone(room, i)).status, 200);
			}
			others.forEach((node) => node.signal("SIGCONT"));
			const heard = new Map(rooms.map((room) => [room, []]));
			await follower.hearAll(({ type, channel, data }) => {
				heard.get(channel)?.push(type === "gap" ? type : data);
				return rooms.every((room) => heard.get(room).includes("alone 5"));
			});
			for (const room of rooms) {
				const told = heard.get(room), of = `${room}: ${told}`;
				assert.equal(told.includes("alone 2") || told.includes("alone 3"), false, of);
				assert.ok(told.includes("gap") && told.indexOf("gap") < told.indexOf("alone 4"), of);
			}
			follower.close();
		}, ["channel.few:*.history_size=2"]);
	});

	it("without a majority publications are refused, and taken again when it is back", async () => {
		await withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			/* Whoever keeps the only copy of a slot is a majority of those that keep one. */
			for (const node of mesh.nodes)
				await until(async () => (await figuresOf(node)).mesh_spare_replicas > 0,
					`copies of what ${node.name} is home of`);
			const [left, ...others] = mesh.nodes;
			const client = await NativeClient.open(left);
			for (const channel of channels)
				await client.publish(channel, "before");
			others.forEach((node) => node.signal("SIGSTOP"));
			const answers = await Promise.all(channels.map((channel) =>
				call(left, "POST", `/publish?channel=${channel}`, { body: '"between"' })));
			for (const answer of answers)
				assertError(answer, 503, "unavailable");
			others.forEach((node) => node.signal("SIGCONT"));
			await mesh.converged();
			await served(mesh.nodes);
			for (const channel of channels)
				assert.equal(seqOf(await client.publish(channel, "after")) >= 2, true);
			client.close();
		}, [...keepsAll, "mesh.partition=pause"]);
	});
});
