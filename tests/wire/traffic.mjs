/*
 * traffic.mjs - publishers and followers at each node of a mesh, and what they have in the end held
 * against what was acknowledged.
 *
 * Which node is home of a channel nobody can see; channels are so many that each node is home of some.
 */
import assert from "node:assert/strict";

import { NativeClient } from "./clients.mjs";
import { call, fresh, hasThreadSanitizer, scale, seqOf, sleep, until } from "./harness.mjs";
import { clusterOf, withMesh } from "./meshes.mjs";

const slotsInAll = 4096;
export const channels = Array.from({ length: 12 }, (_, i) => `log:${i}`);
export const keepsAll = ["channel.log:*.history_size=100000"];
/* Clients here answer pings while they hear, and on a busy machine a step in which some do not takes minutes. */
export const mayBeQuiet = ["heartbeat.interval=5m", "heartbeat.timeout=10m"];
/* Nodes that are so slow run into the time-outs that they have for each other and for clients. */
export const tooSlow = hasThreadSanitizer && "a thread sanitizer slows nodes too much";

/* Each slot has a home among `nodes`, and all of them know. */
export async function served(nodes) {
	for (const node of nodes)
		await until(async () => {
			const { members } = await clusterOf(node);
			const living = members.filter(({ node: name }) =>
				nodes.some((other) => other.name === name));
			return living.reduce((sum, { slots }) => sum + slots, 0) === slotsInAll;
		}, `${node.name} to find a home for each slot`);
}

/* All that history holds, asked of `server`, by id; or what it holds behind `after`. */
export async function history(server, channel, after = "start") {
	const messages = new Map();
	for (let since = after, more = true; more;) {
		const answer = await call(server, "GET",
			`/api/channels/${channel}/history?limit=1000&since=${since}`);
		assert.equal(answer.status, 200, answer.text);
		const page = answer.json();
		page.messages.forEach(({ id, data }) => messages.set(id, data));
		({ cursor: since, more } = page);
	}
	return messages;
}

/* Publishes into all channels in turn, as long as it is let and the server lives. */
export class Publisher {
	acked = new Map(); /* id -> data */
	pauseMs = 0; /* after each, where a test is long */
	#isOver = false;

	static async open(server) {
		const publisher = new this();
		publisher.name = server.name;
		publisher.client = await NativeClient.open(server);
		publisher.running = publisher.#run(server);
		publisher.running.catch(() => {}); // stop() tells
		return publisher;
	}

	async #run(server) {
		for (let i = 0; !this.#isOver; i++) {
			const channel = channels[i % channels.length], data = `${fresh(this.name)} ${channel}`;
			const answer = await this.#publish(channel, data).catch((error) => {
				assert.ok(this.isDoomed || !server.isAlive, error.message);
				return null;
			});
			if (answer === null)
				return;
			this.acked.set(answer.id, { channel, data });
			if (this.pauseMs > 0)
				await sleep(this.pauseMs);
		}
	}

	/* As publishers are told to: what is unavailable just now is said again, under the same key. */
	async #publish(channel, data) {
		const command = { type: "publish", channel, data, idempotency_key: data };
		for (;;) {
			const answer = await this.client.ask(command);
			if (answer.type === "ack")
				return answer;
			assert.equal(answer.code, "unavailable", JSON.stringify(answer));
		}
	}

	/* So many more were acknowledged, or it cannot go on. */
	async more(count) {
		const goal = this.acked.size + count;
		await until(() => this.acked.size >= goal || this.isDoomed,
			`${count} more acknowledgements at ${this.name}`);
	}

	async stop() {
		this.#isOver = true;
		await this.running;
	}
}

/* Follows all channels, and holds each message against those before it. */
export class Follower {
	messages = new Map(); /* id -> data */
	#heads = new Map();

	static async open(server) {
		const follower = new this();
		await follower.#begin(server, () => ({}));
		return follower;
	}

	async #begin(server, more) {
		this.at = server;
		this.client = await NativeClient.open(server);
		for (const channel of channels) {
			const answer = await this.client.subscribe(channel, more(channel));
			if (!this.#heads.has(channel))
				this.#heads.set(channel, answer.cursor);
			else
				assert.equal(answer.recovered, true, `${JSON.stringify(answer)} after ${JSON.stringify(more(channel))}`);
		}
	}

	/* Goes on at another node from where it was. */
	async moveTo(server) {
		this.client.close();
		await this.#begin(server, (channel) => ({ since: this.#heads.get(channel) }));
	}

	#take({ type, channel, id, data }) {
		assert.equal(type, "message");
		const [epoch, seq] = this.#heads.get(channel).split("-");
		assert.equal(id, `${epoch}-${Number(seq) + 1}`, `${channel} goes on without a hole`);
		this.#heads.set(channel, id);
		this.messages.set(id, data);
	}

	/* Hears until it has come to these heads. */
	async reach(heads) {
		const isThere = () => channels.every((channel) =>
			seqOf(this.#heads.get(channel)) >= seqOf(heads.get(channel)));
		if (!isThere())
			await this.client.hearAll((object) => {
				this.#take(object);
				return isThere();
			});
	}

	async until(count) {
		await this.client.hearAll((object) => {
			this.#take(object);
			return this.messages.size >= count;
		});
	}
}

/* What was acknowledged is in the history of every node, once, and everybody who followed has it. Where it
 * is asked again and again, `known` are the heads of channels up to which all is well. */
export async function assertNothingIsLost(nodes, publishers, followers, known = new Map()) {
	const acked = new Map(publishers.flatMap((publisher) => [...publisher.acked]));
	assert.ok(acked.size > 0);
	const kept = new Map(), heads = new Map();
	for (const channel of channels) {
		const [first, ...others] = await Promise.all(
			nodes.map((node) => history(node, channel, known.get(channel))));
		for (const other of others)
			assert.deepEqual([...other], [...first]);
		heads.set(channel, [...first.keys()].at(-1) ?? known.get(channel) ?? "0-0");
		first.forEach((data, id) => kept.set(id, data));
	}
	for (const [id, { data }] of acked)
		assert.equal(kept.get(id), data, `${id} was acknowledged`);
	assert.equal(new Set(kept.values()).size, kept.size, "nothing has two places");
	for (const follower of followers) {
		await follower.reach(heads);
		for (const [id, data] of follower.messages)
			assert.equal(kept.get(id), data);
		for (const [id, { data }] of acked)
			assert.equal(follower.messages.get(id), data, `${id} was delivered`);
	}
	heads.forEach((head, channel) => known.set(channel, head));
}

/* A mesh under traffic: publishers and followers at each node. */
export async function withTraffic(count, body, options = [], make = undefined) {
	await withMesh(count, async (mesh) => {
		await mesh.converged();
		await served(mesh.nodes);
		const followers = [], publishers = [];
		for (const node of mesh.nodes)
			followers.push(await Follower.open(node));
		for (const node of mesh.nodes)
			publishers.push(await Publisher.open(node));
		await body(mesh, publishers, followers);
	}, [...keepsAll, ...mayBeQuiet, ...options], make);
}

/* So many publications are enough to meet whatever a test does meanwhile. */
export const some = Math.max(24, Math.round(120 * scale));
