/*
 * A mesh of two releases: its nodes go over from the one before to this one, and back, one after the
 * other, while clients publish, follow and are present. The first of them is waited for until it has
 * its share of the slots, so that each release takes from the other and keeps copies for it; the last
 * one does not drain but is killed.
 */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { NativeClient, exchange, handshake } from "./clients.mjs";
import { binary, call, fresh, until } from "./harness.mjs";
import { Mesh, figuresOf, stateOf } from "./meshes.mjs";
import { programBefore, whyNot } from "./releases.mjs";
import {
	Publisher, assertNothingIsLost, served, some, tooSlow, withTraffic,
} from "./traffic.mjs";
import { Watcher, as, shown } from "./watcher.mjs";

const room = "brief:room";
const limit = 5;
/* Nodes of before know nothing of the limit of other nodes, and are told nothing. */
const rules = [`limits.connections_per_user=${limit}`, "channel.brief:*.presence=full", "channel.brief:*.presence_grace=0",
	"workers.pin_cpus=no", "drain.time=100ms"];

class MeshOf extends Mesh {
	constructor(options, program) {
		super(options);
		this.program = program;
	}

	async add(given = {}) {
		return super.add({ program: this.program, ...given });
	}
}

const pauseMs = 5; /* it takes a minute, and does not need a million publications */

const userOf = (node) => `user-${node.name}`;

/* Who is present at each node, and who watches there. */
class Room {
	here = new Map();

	async enter(node) {
		const user = await as(node, userOf(node));
		await user.subscribe(room);
		this.here.set(node, { user, watcher: await Watcher.open(node, room) });
	}

	leave(node) {
		const { user, watcher } = this.here.get(node);
		user.close();
		watcher.close();
		this.here.delete(node);
	}

	/* All nodes, and who watches, know just those who are there. */
	async assertKnown(nodes) {
		const there = [...this.here.keys()].map(userOf);
		for (const node of nodes) {
			await until(async () => {
				const { members } = await shown(node, room);
				return String(members.map(({ user }) => user).sort()) === String([...there].sort());
			}, `${there} to be present at ${node.name}`);
			await this.here.get(node)?.watcher.sees(...there);
		}
	}
}

/* Links stand: each node has made one to each other and one more for each start of another. */
async function assertCalm(mesh, starts) {
	for (const node of mesh.nodes) {
		const { mesh_links: links, mesh_refused: refused } = await figuresOf(node);
		assert.deepEqual({ made: links.made, refused },
			{ made: starts.get(node), refused: Object.fromEntries(Object.keys(refused).map((key) => [key, 0])) },
			`links of ${node.name}`);
		for (const other of mesh.nodes)
			assert.ok(other.isKilled || !node.stderr().includes(`${other.name} is dead`), node.stderr());
	}
}

async function assertWell(node) {
	for (const target of ["/health", "/ready", "/metrics"])
		assert.equal((await call(node, "GET", target)).status, 200, target);
	const { text } = await call(node, "GET", "/metrics");
	assert.match(text, /^starling_mesh_links_total\{event="made"\} \d+$/m);
}

/* A user has as many connections as may be, and no node lets in another one. */
async function assertLimited(nodes) {
	const query = `user=${fresh("ann")}`;
	const clients = [];
	for (let i = 0; i < limit; i++)
		clients.push(await NativeClient.open(nodes[i % nodes.length], { query }));
	for (const node of nodes)
		await until(async () =>
			(await exchange(node, handshake(node, `/ws?${query}`))).status === 429,
		`${query} to be refused by ${node.name}`);
	clients.forEach((client) => client.close());
}

async function goOver(mesh, node, program, isKilled) {
	node.isKilled = isKilled;
	if (isKilled) {
		await node.kill();
	} else {
		node.signal("SIGTERM");
		assert.deepEqual(await node.ended(), { code: 0, signal: null }, node.stderr());
	}
	await served(mesh.nodes.filter((other) => other !== node));
	node.become(program);
	await node.start();
	await mesh.converged();
	await served(mesh.nodes);
}

async function open(node) {
	const publisher = await Publisher.open(node);
	publisher.pauseMs = pauseMs;
	return publisher;
}

async function allGoOver(mesh, program, publishers, followers, people) {
	const { nodes } = mesh, made = new Map();
	for (const node of nodes)
		made.set(node, (await figuresOf(node)).mesh_links.made);
	for (const [i, node] of nodes.entries()) {
		await Promise.all(publishers.map((publisher) => publisher.more(some)));
		publishers[i].isDoomed = true;
		people.leave(node);
		await goOver(mesh, node, program, i === nodes.length - 1);
		nodes.forEach((other) => made.set(other, made.get(other) + 1));
		made.set(node, nodes.length - 1);
		await followers[i].moveTo(nodes[(i + 1) % nodes.length]);
		await followers[i].moveTo(node);
		await people.enter(node);
		if (i === 0)
			await until(async () => (await stateOf(nodes[1], node.name)).slots > 0,
				`${node.name} to have slots`);
		await Promise.all(publishers.map((publisher) => publisher.more(some)));
		await Promise.all(publishers.map((publisher) => publisher.stop()));
		await assertNothingIsLost(nodes, publishers, followers);
		await people.assertKnown(nodes);
		await assertCalm(mesh, made);
		await Promise.all(nodes.map(assertWell));
		for (const [j, other] of nodes.entries()) {
			const { acked } = publishers[j];
			publishers[j] = await open(other);
			publishers[j].acked = acked;
		}
	}
}

describe("releases: a mesh of the one before and this one", { skip: tooSlow || whyNot }, () => {
	let old;
	before(() => { old = programBefore(); });

	it("goes over, and back, under traffic: nothing is lost, and links stand", () =>
		withTraffic(3, async (mesh, publishers, followers) => {
			const people = new Room();
			publishers.forEach((publisher) => { publisher.pauseMs = pauseMs; });
			for (const node of mesh.nodes)
				await people.enter(node);
			await allGoOver(mesh, binary, publishers, followers, people);
			await assertLimited(mesh.nodes);
			await allGoOver(mesh, old, publishers, followers, people);
			await Promise.all(publishers.map((publisher) => publisher.stop()));
		}, rules, (options) => new MeshOf(options, old)));
});
