/*
 * limits.connections_per_user where there are several nodes: as many as may be on all of them together, over
 * the end of a node, its drain and a limit that is new. Which node counts a user nobody can see; there are so
 * many users that each counts some.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { NativeClient, RawClient, exchange, handshake } from "./clients.mjs";
import { assertError, fresh, until } from "./harness.mjs";
import { Mesh, figuresOf, withMesh } from "./meshes.mjs";
import { served, tooSlow } from "./traffic.mjs";
import { mint, secret } from "./tokens.mjs";

const limit = 5;
const options = [`limits.connections_per_user=${limit}`, "workers.count=2", "workers.pin_cpus=no"];
const usersOf = (stem) => Array.from({ length: 6 }, () => fresh(stem));

/* A WebSocket of that user; null: refused. */
async function enter(node, query) {
	const client = await RawClient.connect(node);
	client.send(handshake(node, `/ws?${query}`));
	await client.until((received) => received.includes("\r\n\r\n"), "a head");
	if (client.received.toString("latin1").startsWith("HTTP/1.1 101 "))
		return client;
	assertError(await client.response(), 429, "connection_limit");
	client.close();
	return null;
}

/* So many at once, spread over the nodes; those that got in. */
async function rush(nodes, count, user) {
	const clients = await Promise.all(Array.from({ length: count },
		(_, i) => enter(nodes[i % nodes.length], `user=${user}`)));
	return clients.filter((client) => client !== null);
}

const enters = (node, user) => until(() => enter(node, `user=${user}`), `a place for ${user}`);
const isFull = async (nodes, user) => (await rush(nodes, nodes.length, user)).length === 0;

describe("connections_per_user on several nodes", () => {
	const mesh = new Mesh(options);
	before(async () => {
		await mesh.start(3);
		await mesh.converged();
		await served(mesh.nodes);
	});
	after(() => mesh.stop());

	it("of many at once on all nodes as many as may be get in", async () => {
		const sumOf = (figures, key) =>
			figures.reduce((sum, { mesh_places: places }) => sum + places[key], 0);
		const figures = () => Promise.all(mesh.nodes.map(figuresOf));
		const unanswered = async () => sumOf(await figures(), "unanswered");
		const before = await figures();
		const users = usersOf("ann");
		for (let round = 0; round < 3; round++) {
			for (const user of users) {
				const clients = await until(async () => {
					const alone = await unanswered();
					const some = await rush(mesh.nodes, 20, user);
					if (some.length > limit) // nodes that wait for two seconds judge alone
						await until(async () => await unanswered() > alone, `not ${some.length} to be in`);
					if (some.length === limit) // or those of the round before count still
						return some;
					some.forEach((client) => client.close());
					return null;
				}, "all places to be taken");
				assert.ok(await isFull(mesh.nodes, user));
				clients.forEach((client) => client.close());
			}
		}
		const now = await figures();
		/* Who comes when a node has as many as may be itself is refused without a question. */
		assert.ok(sumOf(now, "asked") - sumOf(before, "asked") >= 3 * users.length * limit);
		assert.ok(sumOf(now, "refused") > sumOf(before, "refused"));
	});

	it("a place that is given back on one node is there on another", { skip: tooSlow }, async () => {
		const [n1, n2, n3] = mesh.nodes;
		for (const user of usersOf("bob")) {
			const clients = await rush([n1, n2], limit, user);
			assert.equal(clients.length, limit);
			assert.ok(await isFull([n3], user));
			clients[0].close();
			clients[0] = await enters(n3, user);
			assert.ok(await isFull(mesh.nodes, user));
			clients.forEach((client) => client.close());
		}
	});

	it("who is refused on one node may be somebody else, or nobody, there", { skip: tooSlow }, async () => {
		const [n1, n2] = mesh.nodes, user = fresh("eve");
		const clients = await rush([n1], limit, user);
		assert.equal(await enter(n2, `user=${user}`), null);
		clients.push(await enter(n2, `user=${fresh("joe")}`), await enter(n2, ""));
		clients.forEach((client) => client.close());
	});
});

describe("connections_per_user by tokens, on several nodes", () => {
	it("closes a client that gets its user by auth, and is one too many then", { skip: tooSlow }, () =>
		withMesh(2, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, n2] = mesh.nodes;
			for (const sub of usersOf("kim")) {
				const token = mint({ sub });
				const first = [];
				for (let i = 0; i < limit; i++)
					first.push(await enter(n1, `token=${token}`));
				const late = await NativeClient.open(n2);
				late.say({ type: "auth", token });
				assert.deepEqual(await late.closing(),
					{ code: 1008, reason: "connection_limit" });
				first.forEach((client) => client.close());
			}
		}, [...options, `auth.jwt_secret=${secret}`, "auth.open=yes"], (all) => new Mesh(all)));
});

describe("connections_per_user when nodes come and go", () => {
	it("the connections of a node that is killed count no more", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, n2, n3] = mesh.nodes, users = usersOf("ann"), clients = [];
			for (const user of users) {
				clients.push(...await rush([n1], 2, user), ...await rush([n3], limit - 2, user));
				assert.ok(await isFull([n2], user));
			}
			assert.equal(clients.length, users.length * limit);
			await n3.kill();
			for (const user of users) {
				for (let i = 2; i < limit; i++)
					clients.push(await enters(n2, user));
				assert.ok(await isFull([n1, n2], user), "the new home knows who is on n1");
			}
			await n3.start();
			await mesh.converged();
			await served(mesh.nodes);
			for (const user of users)
				assert.ok(await isFull(mesh.nodes, user));
			clients.forEach((client) => client.close());
		}, options));

	it("who counts hands on what it knows as it drains", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, n2, n3] = mesh.nodes, users = usersOf("bob"), clients = [];
			for (const user of users)
				clients.push(...await rush([n1, n2], limit, user));
			n3.signal("SIGTERM");
			await n3.ended();
			for (const user of users)
				assert.ok(await isFull([n1, n2], user));
			clients.forEach((client) => client.close());
			for (const user of users) {
				const again = [];
				for (let i = 0; i < limit; i++)
					again.push(await enters(n2, user));
				assert.ok(await isFull([n1], user));
				again.forEach((client) => client.close());
			}
		}, [...options, "drain.time=1s"]));

	it("lets in by what a node knows alone when whoever counts is silent", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, n2, n3] = mesh.nodes, users = usersOf("liz");
			for (const node of [n2, n3])
				node.signal("SIGSTOP");
			try {
				const clients = await Promise.all(users.map((user) => enter(n1, `user=${user}`)));
				assert.ok(clients.every((client) => client !== null));
				clients.forEach((client) => client.close());
			} finally {
				for (const node of [n2, n3])
					node.signal("SIGCONT");
			}
			await mesh.converged();
			await served(mesh.nodes);
			for (const user of users) {
				const clients = await until(async () => {
					const some = await rush([n2, n3], limit, user);
					if (some.length < limit)
						some.forEach((client) => client.close());
					return some.length === limit && some;
				}, "all places to be free");
				assert.ok(await isFull(mesh.nodes, user));
				clients.forEach((client) => client.close());
			}
		}, options));

	it("a limit that is new counts those who are in already, wherever", () =>
		withMesh(2, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, n2] = mesh.nodes, users = usersOf("sue"), clients = [];
			for (const user of users)
				clients.push(...await rush([n1, n2], 4, user));
			assert.equal(clients.length, 4 * users.length);
			for (const node of mesh.nodes)
				await node.reload(node.config + "[limits]\nconnections_per_user = 4\n");
			for (const user of users) {
				await until(async () => {
					const more = await rush([n1, n2], 2, user);
					more.forEach((client) => client.close());
					return more.length === 0;
				}, "those who are in to be counted");
			}
			clients.forEach((client) => client.close());
		}, ["workers.count=2", "workers.pin_cpus=no"], (all) => new ConfiguredMesh(all)));
});

/* Whose nodes have files that can be read again. */
class ConfiguredMesh extends Mesh {
	async add(given = {}) {
		const config = `[mesh]\nsecret = ${secret}\n`;
		const node = await super.add({ config, ...given });
		node.config = config;
		return node;
	}
}
