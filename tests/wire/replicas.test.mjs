/*
 * mesh.replicas on real processes: one copy of each channel, which is lost with its node and handed over
 * by one that drains; five, of which two may go at once; and nodes that are told different numbers.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import { call, publish, until } from "./harness.mjs";
import { Mesh, stateOf, withMesh } from "./meshes.mjs";
import {
	Publisher, assertNothingIsLost, history, keepsAll, served, some, tooSlow, withTraffic,
} from "./traffic.mjs";

/* So many that each node is home of some. */
const channels = Array.from({ length: 48 }, (_, i) => `log:one:${i}`);

/* A publication that waits as long as nobody is home of the channel. */
async function insist(node, channel, data) {
	await until(async () => (await call(node, "POST",
		`/publish?channel=${channel}&idempotency_key=${data}`, {
			headers: { "content-type": "application/json" }, body: JSON.stringify(data) }))
		.status === 200, `${channel} to be served by ${node.name}`);
}

async function withOneCopy(count, body) {
	await withMesh(count, async (mesh) => {
		await mesh.converged();
		await served(mesh.nodes);
		await Promise.all(channels.map((channel, i) =>
			publish(mesh.nodes[i % count], channel, "before")));
		await body(mesh);
	}, [...keepsAll, "mesh.replicas=1"]);
}

const held = async (node, channel) => [...(await history(node, channel)).values()];

describe("replicas: one copy of each channel", () => {
	it("what a node alone had is lost with it, and nobody is left untold", async () => {
		await withOneCopy(3, async (mesh) => {
			const [victim, left, other] = mesh.nodes;
			const client = await NativeClient.open(left), cursors = new Map();
			for (const channel of channels)
				cursors.set(channel, (await client.subscribe(channel)).cursor);
			await victim.kill();
			await Promise.all(channels.map((channel) => insist(other, channel, "after")));
			const lost = new Set();
			for (const channel of channels) {
				/* Two that both took over are put together a moment later. */
				let kept = [];
				await until(async () => {
					kept = await held(left, channel);
					return ["before,after", "after"].includes(kept.join());
				}, `${channel} to be the same at ${left.name}`);
				if (kept.length === 1)
					lost.add(channel);
			}
			assert.ok(lost.size > 0 && lost.size < channels.length, `${lost.size} were there`);
			const told = new Set(), heard = new Set();
			await client.hearAll(({ type, channel, data }) => {
				if (type === "gap")
					told.add(channel);
				else if (data === "after")
					heard.add(channel);
				return heard.size === channels.length;
			});
			assert.deepEqual([...told].sort(), [...lost].sort());
			const late = await NativeClient.open(other);
			for (const [channel, since] of cursors)
				assert.equal((await late.subscribe(channel, { since })).recovered,
					!lost.has(channel), channel);
			client.close();
			late.close();
		});
	});

	it("a node that drains hands over what it alone has", async () => {
		await withOneCopy(3, async (mesh) => {
			const [leaver, left, other] = mesh.nodes;
			const ended = leaver.ended();
			leaver.signal("SIGTERM");
			await ended;
			await Promise.all(channels.map((channel) => insist(other, channel, "after")));
			for (const channel of channels)
				assert.deepEqual(await held(left, channel), ["before", "after"], channel);
		});
	});
});

describe("replicas: five copies of each channel", { skip: tooSlow }, () => {
	it("two nodes may be killed at once: nothing acknowledged is lost", async () => {
		await withTraffic(5, async (mesh, publishers, followers) => {
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			const [first, second, ...living] = mesh.nodes;
			publishers[0].isDoomed = publishers[1].isDoomed = true;
			await Promise.all([first.kill(), second.kill()]);
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(living, publishers, followers.slice(2));
		}, ["mesh.replicas=5"]);
	});
});

describe("replicas: nodes that are told different numbers", () => {
	it("say so, and are one server", async () => {
		const mesh = new Mesh(keepsAll);
		const one = await mesh.add({ options: ["mesh.replicas=1"] });
		const two = await mesh.add({ options: ["mesh.replicas=5"] });
		await Promise.all([one.start(), two.start()]);
		await mesh.converged();
		await served(mesh.nodes);
		await until(() => one.stderr().includes(
			"starling: mesh: n2 is set otherwise: mesh.replicas is 5 there, 1 here\n"));
		await until(() => two.stderr().includes(
			"starling: mesh: n1 is set otherwise: mesh.replicas is 1 there, 5 here\n"));
		await Promise.all(channels.map((channel) => publish(one, channel, "both")));
		for (const channel of channels)
			assert.deepEqual(await held(two, channel), ["both"]);
		assert.equal((await stateOf(one, "n2")).state, "ready");
		await mesh.stop();
	});

	it("are changed by restarting one after the other: nothing is lost", { skip: tooSlow }, async () => {
		await withTraffic(3, async (mesh, publishers, followers) => {
			for (const [i, node] of mesh.nodes.entries()) {
				await Promise.all(publishers.map((publisher) => publisher.more(some)));
				publishers[i].isDoomed = true;
				const ended = node.ended();
				node.signal("SIGTERM");
				await ended;
				node.set("mesh.replicas=2");
				/* One that nobody has told of others begins alone, and what it takes meanwhile is
				 * put together with theirs, under other ids. */
				node.set(`mesh.join=127.0.0.1:${mesh.meshPorts[(i + 1) % 3]}`);
				await node.start();
				await mesh.converged();
				await served(mesh.nodes);
				for (const follower of followers.filter(({ at }) => at === node))
					await follower.moveTo(mesh.nodes[(i + 1) % 3]);
				publishers.push(await Publisher.open(node));
			}
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
		}, ["mesh.replicas=1"]);
	});
});
