/*
 * Nodes are killed in the midst of a hand-over: of a node that drains, or that has come and takes its
 * share, the one that gives or one that takes. How far it has come by then is a matter of chance. Each
 * time nothing acknowledged is lost, every follower goes on without a hole, and all slots are served again.
 *
 * HANDOVERS       so many (default 6; 200 take 20 minutes)
 * HANDOVERS_SEED  which ones (default: others each time); a failure says it
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Dice } from "./dice.mjs";
import { patience, scale, sleep, until } from "./harness.mjs";
import { figuresOf, stateOf, withMesh } from "./meshes.mjs";
import { Follower, Publisher, assertNothingIsLost, mayBeQuiet, served, tooSlow } from "./traffic.mjs";

const count = Number(process.env.HANDOVERS ?? Math.max(3, Math.round(6 * scale)));
const seed = Number(process.env.HANDOVERS_SEED ?? Date.now() % 1e9);
const dice = new Dice(seed);
const rules = ["channel.log:*.history_size=5000", "workers.pin_cpus=no", "drain.time=100ms", ...mayBeQuiet];
const pauseMs = 3;
const some = 20; /* publications of each node */
const jitterMs = 40; /* figures are as old as that */
const slots = 4096;
/* A node takes its share ten seconds after it has come: those are fewer. */
const kinds = ["giver drains", "taker of a drain", "joiner", "giver drains", "taker of a drain",
	"giver to a joiner"];

const homesOf = async (node) => (await figuresOf(node)).mesh_homes;
const except = (nodes, ...others) => nodes.filter((node) => !others.includes(node));

/* The first answer of `question`, asked far oftener than figures change. */
async function soon(question, what) {
	for (const end = Date.now() + 2 * patience; Date.now() < end;) {
		const answer = await question();
		if (answer !== undefined)
			return answer;
		await sleep(5);
	}
	return assert.fail(`waited in vain for ${what}`);
}

/* SIGTERM, until so many slots of it are left as chance wants. */
async function drainsUntil(giver) {
	const all = await homesOf(giver), few = dice.below(all + 1), ms = dice.below(jitterMs);
	giver.signal("SIGTERM");
	const left = await soon(async () => {
		const homes = await homesOf(giver).catch(() => 0);
		return homes <= few ? homes : undefined;
	}, `${giver.name} to have ${few} of ${all} slots left`);
	await sleep(ms);
	return { left, all };
}

/* It has come, and as many slots as chance wants. */
async function joinsUntil(joiner) {
	const all = Math.floor(slots / 3.3), many = 1 + dice.below(all), ms = dice.below(jitterMs);
	const has = await soon(async () => {
		const homes = await homesOf(joiner);
		return homes >= many ? homes : undefined;
	}, `${joiner.name} to have ${many} slots`);
	await sleep(ms);
	return { left: all - has, all };
}

class Rounds {
	known = new Map();
	gone = [];
	seen = { killed: 0, between: 0 };

	constructor(mesh) {
		this.mesh = mesh;
	}

	async begin() {
		this.followers = [];
		for (const node of this.mesh.nodes)
			this.followers.push(await Follower.open(node));
	}

	/* Who is killed, who ends beside it, and what is under way then. */
	async cast(kind) {
		const { nodes } = this.mesh;
		if (kind.includes("joiner")) {
			const joiner = dice.pick(this.gone);
			return { victim: kind === "joiner" ? joiner : dice.pick(except(nodes, joiner)),
				ends: [], underWay: () => joinsUntil(joiner) };
		}
		const homes = await Promise.all(nodes.map(homesOf));
		const giver = dice.pick(nodes.filter((_, i) => homes[i] > 0));
		const victim = kind === "giver drains" ? giver : dice.pick(except(nodes, giver));
		return { victim, ends: except([giver], victim), underWay: () => drainsUntil(giver) };
	}

	async play(kind) {
		const { nodes } = this.mesh;
		const { victim, ends, underWay } = await this.cast(kind);
		this.gone = [victim, ...ends];
		const living = except(nodes, ...this.gone);
		const publishers = await Promise.all(nodes.map((node) => this.publisher(node)));
		await Promise.all(publishers.map((publisher) => publisher.more(some)));
		const { left, all } = await underWay();
		await victim.kill();
		this.seen.killed++;
		this.seen.between += left > 0 && left < all;
		for (const node of ends)
			assert.deepEqual(await node.ended(), { code: 0, signal: null }, node.stderr());
		for (const node of living)
			await until(async () => (await stateOf(node, victim.name)).state !== "ready");
		await served(living);
		const lasting = publishers.filter((_, i) => living.includes(nodes[i]));
		await Promise.all(lasting.map((publisher) => publisher.more(some)));
		await this.move(() => dice.pick(living));
		await Promise.all(this.gone.map((node) => node.start()));
		await this.mesh.converged();
		await this.move((node) => node);
		await Promise.all(lasting.map((publisher) => publisher.more(some)));
		await Promise.all(publishers.map((publisher) => publisher.stop()));
		await this.assertWhole(publishers);
	}

	async publisher(node) {
		const publisher = await Publisher.open(node);
		publisher.pauseMs = pauseMs;
		publisher.isDoomed = this.gone.includes(node);
		return publisher;
	}

	/* The followers of those that are gone. */
	async move(where) {
		for (const [i, node] of this.mesh.nodes.entries()) {
			if (this.gone.includes(node))
				await this.followers[i].moveTo(where(node));
		}
	}

	/* And the next node may be killed. */
	async assertWhole(publishers) {
		const { nodes } = this.mesh;
		await served(nodes);
		await assertNothingIsLost(nodes, publishers, this.followers, this.known);
		this.followers.forEach(({ messages }) => messages.clear());
		publishers.forEach(({ client }) => client.close());
		for (const node of nodes) {
			const { mesh_slots: counted } = await figuresOf(node);
			assert.deepEqual([counted.unclean, counted.forked], [0, 0], node.name);
			await until(async () => (await figuresOf(node)).mesh_spare_replicas > 0,
				`copies of what ${node.name} is home of`);
		}
	}
}

describe("hand-over: nodes are killed in the midst of it", () => {
	it(`${count} times`, { skip: tooSlow, timeout: Infinity }, (test) =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			/* Of two that start again at once neither may be all that the other knows of. */
			const seeds = mesh.meshPorts.map((port) => `127.0.0.1:${port}`);
			mesh.nodes.forEach((node) => node.set(`mesh.join=${seeds}`));
			const rounds = new Rounds(mesh);
			await rounds.begin();
			for (let i = 0; i < count; i++) {
				const kind = kinds[i % kinds.length];
				await rounds.play(kind).catch((error) => {
					error.message = `${error.message}\nround ${i}, ${kind}`;
					throw error;
				});
			}
			const { killed, between } = rounds.seen;
			test.diagnostic(`killed ${killed}, of these ${between} with some slots given and some ` +
				`not; seed ${seed}`);
		}, rules).catch((error) => {
			error.message += `\nHANDOVERS_SEED=${seed}`;
			throw error;
		}));
});
