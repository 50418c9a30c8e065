/*
 * Who is there, on several nodes: told to those who ask on whichever node, over its end, its drain and
 * the way of a client from one to another.
 *
 * Which node is home of a channel nobody can see; channels are so many that each node is home of some.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { call, fresh, turn, until } from "./harness.mjs";
import { Mesh, stateOf, withMesh } from "./meshes.mjs";
import { tooSlow } from "./traffic.mjs";
import { Watcher, as, names, shown } from "./watcher.mjs";

/* Graces are for good, or over at once: so no test waits for one, but where it is to end. */
const rules = [
	"channel.room:*.presence=full", "channel.room:*.presence_grace=1h",
	"channel.brief:*.presence=full", "channel.brief:*.presence_grace=0",
	"channel.short:*.presence=full", "channel.short:*.presence_grace=3s",
	"channel.count:*.presence=count", "channel.count:*.presence_grace=0",
];
const fromAll = (stem) => Array.from({ length: 8 }, () => fresh(`${stem}:`));

/* A client that follows all these channels. */
async function member(node, user, channels) {
	const client = await as(node, user);
	for (const channel of channels)
		await client.subscribe(channel);
	return client;
}

const watchAll = (node, user, channels) =>
	Promise.all(channels.map((channel) => Watcher.open(node, channel, user)));
const seeAll = (watchers, ...users) =>
	Promise.all(watchers.map((watcher) => watcher.sees(...users)));
const closeAll = (watchers) => watchers.forEach((watcher) => watcher.close());

/* What it was told of that user, in order. */
const toldOf = (watcher, user) => watcher.told
	.filter((event) => event.user === user).map(({ type }) => type);

describe("presence on several nodes", () => {
	const mesh = new Mesh([...rules, "workers.count=2", "workers.pin_cpus=no"]);
	before(async () => {
		await mesh.start(3);
		await mesh.converged();
	});
	after(() => mesh.stop());

	it("begins with the members of all nodes, and tells of who joins and leaves", async () => {
		const [n1, n2, n3] = mesh.nodes, channels = fromAll("brief");
		const ann = await member(n1, "ann", channels);
		const watchers = await watchAll(n2, "wim", channels);
		await seeAll(watchers, "ann", "wim");
		const bob = await member(n3, "bob", channels);
		await seeAll(watchers, "ann", "bob", "wim");
		const late = await watchAll(n1, "liz", channels);
		for (const watcher of late)
			assert.deepEqual(names(watcher.first), ["ann", "bob", "liz", "wim"]);
		ann.close();
		await bob.ask({ type: "unsubscribe", channel: channels[0] });
		await seeAll(watchers.slice(0, 1), "liz", "wim");
		await seeAll(watchers.slice(1), "bob", "liz", "wim");
		bob.close();
		await seeAll(watchers, "liz", "wim");
		await seeAll(late, "liz", "wim");
		closeAll([...watchers, ...late]);
	});

	it("counts connections of one user on several nodes", async () => {
		const [n1, n2, n3] = mesh.nodes, channels = fromAll("brief");
		const watchers = await watchAll(n3, "wim", channels);
		const tabs = [];
		for (const node of [n1, n2, n2])
			tabs.push(await member(node, "ann", channels));
		await seeAll(watchers, "ann", "wim");
		for (const node of mesh.nodes) {
			const asker = await as(node, "kim");
			for (const channel of channels)
				await until(async () => {
					const { members } = await asker.ask({ type: "presence", channel });
					return members.some(({ user, connections }) => user === "ann" && connections === 3);
				}, "three connections of ann");
			asker.close();
		}
		tabs[0].close();
		tabs[1].close();
		for (const channel of channels)
			await until(async () => (await shown(n1, channel)).members
				.some(({ user, connections }) => user === "ann" && connections === 1), "one of ann");
		for (const watcher of watchers)
			assert.deepEqual(toldOf(watcher, "ann").filter((type) => type === "left"), []);
		tabs[2].close();
		await seeAll(watchers, "wim");
		closeAll(watchers);
	});

	it("takes a return through another node for no absence", async () => {
		const [n1, n2, n3] = mesh.nodes, channels = fromAll("room");
		const watchers = await watchAll(n3, "wim", channels);
		let ann = await member(n1, "ann", channels);
		await seeAll(watchers, "ann", "wim");
		for (const node of [n2, n3, n1]) {
			ann.socket.destroy();
			for (const channel of channels)
				await until(async () => (await shown(n1, channel)).members
					.some(({ user, connections }) => user === "ann" && connections === 0), "none of ann");
			ann = await member(node, "ann", channels);
		}
		for (const channel of channels)
			await ann.ask({ type: "unsubscribe", channel });
		await seeAll(watchers, "wim");
		for (const watcher of watchers)
			assert.deepEqual(toldOf(watcher, "ann").slice(-1), ["left"]);
		for (const watcher of watchers)
			assert.equal(toldOf(watcher, "ann").filter((type) => type === "left").length, 1);
		ann.close();
		closeAll(watchers);
	});

	it("has who polls, though no poll waits", async () => {
		const [n1, n2, n3] = mesh.nodes, channels = fromAll("room");
		const watchers = [...await watchAll(n2, "wim", channels), ...await watchAll(n3, "wim", channels)];
		for (const channel of channels) {
			const { status } = await call(n1, "GET", `/poll?channel=${channel}&user=ann&wait=0`);
			assert.equal(status, 200);
		}
		await seeAll(watchers, "ann", "wim");
		closeAll(watchers);
	});

	it("is the same in pages of the server API, whichever node is asked", async () => {
		const channels = fromAll("room");
		const all = [];
		for (const [i, node] of mesh.nodes.entries()) {
			for (const user of [`u${i}`, `v${i}`])
				all.push(await member(node, user, channels));
		}
		for (const node of mesh.nodes) {
			for (const channel of channels) {
				await until(async () => (await shown(node, channel)).count === all.length,
					"all to be shown");
				const users = [];
				for (let next = ""; next !== undefined;) {
					const page = await shown(node, channel, `?limit=4${next && `&next=${next}`}`);
					users.push(...page.members.map(({ user }) => user));
					next = page.next;
				}
				assert.deepEqual(users, ["u0", "u1", "u2", "v0", "v1", "v2"]);
			}
		}
		all.forEach((client) => client.close());
	});

	it("is a number where the rule says so", async () => {
		const [n1, n2, n3] = mesh.nodes, channels = fromAll("count");
		const watchers = await watchAll(n2, "wim", channels);
		const ann = await member(n1, "ann", channels), bob = await member(n3, "bob", channels);
		await Promise.all(watchers.map((watcher) => watcher.counts(3)));
		ann.close();
		bob.close();
		await Promise.all(watchers.map((watcher) => watcher.counts(1)));
		for (const watcher of watchers)
			assert.equal(watcher.there, undefined);
		closeAll(watchers);
	});

	it("is the number of a crowd on all nodes, and has names again of half of it", async () => {
		const channel = fresh("brief:"), crowd = [], { nodes } = mesh;
		const watchers = [];
		for (const node of nodes)
			watchers.push(await Watcher.open(node, channel, `wim-${node.name}`));
		for (let i = 0; i < 1000; i++) { // with those who watch more than names are told of
			const one = await as(nodes[i % nodes.length], `user-${i}`);
			one.say({ type: "subscribe", channel });
			crowd.push(one);
			if (i % 50 === 0)
				await turn();
		}
		for (const watcher of watchers) {
			while (watcher.count !== 1000 + watchers.length)
				await watcher.hear();
			assert.equal(watcher.told.at(-1).members, undefined);
		}
		for (const node of nodes) {
			const users = new Set();
			for (let next = ""; next !== undefined;) {
				const page = await shown(node, channel, `?limit=300&next=${encodeURIComponent(next)}`);
				assert.equal(page.count, 1000 + watchers.length);
				page.members.forEach(({ user }) => users.add(user));
				({ next } = page);
			}
			assert.equal(users.size, 1000 + watchers.length);
		}
		crowd.splice(480).forEach((one) => one.close());
		for (const watcher of watchers) {
			while (watcher.there?.size !== 480 + watchers.length)
				await watcher.hear();
		}
		crowd.forEach((one) => one.close());
		await seeAll(watchers, ...nodes.map(({ name }) => `wim-${name}`));
		closeAll(watchers);
	});
});

/* Whose turn it is to be ended by a test: homes of channels are spread over all of them. */
describe("presence when a node ends", () => {
	it("has one `left` for each who was there when it is killed", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			const [n1, n2, n3] = mesh.nodes, channels = fromAll("short");
			const watchers = [
				...await watchAll(n1, "wim", channels), ...await watchAll(n2, "liz", channels),
			];
			const bob = await member(n2, "bob", channels);
			const ann = await member(n3, "ann", channels), kim = await member(n3, "kim", channels);
			await seeAll(watchers, "ann", "bob", "kim", "liz", "wim");
			await n3.kill();
			ann.close();
			kim.close();
			const back = await member(n1, "kim", channels);
			await seeAll(watchers, "bob", "kim", "liz", "wim");
			for (const node of [n1, n2]) {
				for (const channel of channels)
					await until(async () => names(await shown(node, channel)).join() ===
						"bob,kim,liz,wim", "the members that are left");
			}
			/* What is told in order after that shows that nothing else was to come. */
			bob.close();
			await seeAll(watchers, "kim", "liz", "wim");
			for (const watcher of watchers) {
				assert.equal(toldOf(watcher, "ann").filter((type) => type === "left").length, 1);
				assert.equal(toldOf(watcher, "bob").filter((type) => type === "left").length, 1);
				for (const user of ["kim", "liz", "wim"])
					assert.ok(!toldOf(watcher, user).includes("left"), user);
				assert.equal(watcher.told.filter(({ type }) => type === "presence").length, 1);
			}
			back.close();
			closeAll(watchers);
		}, [...rules, "workers.pin_cpus=no"]));

	it("knows no absence of those who move from a node that drains", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			const [n1, n2, n3] = mesh.nodes, channels = fromAll("room");
			const watchers = await watchAll(n1, "wim", channels);
			const ann = await member(n3, "ann", channels), bob = await member(n2, "bob", channels);
			await seeAll(watchers, "ann", "bob", "wim");
			n3.signal("SIGTERM");
			while ((await ann.hear()).type !== "reconnect")
				;
			ann.close();
			const back = await member(n2, "ann", channels);
			await n3.ended();
			await until(async () => (await stateOf(n1, n3.name)) === undefined ||
				(await stateOf(n1, n3.name)).state === "left", "n3 to have left");
			for (const channel of channels)
				await until(async () => {
					const { members } = await shown(n1, channel);
					return members.length === 3 && members.every(({ connections }) => connections === 1);
				}, "all three");
			await back.ask({ type: "unsubscribe", channel: channels[0] });
			for (const channel of channels.slice(1))
				await back.ask({ type: "unsubscribe", channel });
			await seeAll(watchers, "bob", "wim");
			for (const watcher of watchers) {
				assert.deepEqual(toldOf(watcher, "ann").filter((type) => type === "left"), ["left"]);
				assert.ok(!toldOf(watcher, "bob").includes("left"));
				assert.equal(watcher.told.filter(({ type }) => type === "presence").length, 1);
			}
			[back, bob].forEach((client) => client.close());
			closeAll(watchers);
		}, [...rules, "workers.pin_cpus=no", "drain.time=5s"]));
});
