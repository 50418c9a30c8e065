/*
 * Nodes that are cut off without a word, and a node at the end of a slow line: each in a network
 * namespace of its own. What is published meanwhile is held against what all have in the end.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import { assertError, call, publish, until } from "./harness.mjs";
import { stateOf, withMesh } from "./meshes.mjs";
import { NamespaceMesh, lacksNamespaces } from "./namespaces.mjs";
import {
	assertNothingIsLost, channels, history, keepsAll, served, some, tooSlow, withTraffic,
} from "./traffic.mjs";

const make = (options) => new NamespaceMesh(options);

const isDead = (viewer, name) => until(async () =>
	(await stateOf(viewer, name)).state === "dead", `${viewer.name} to find ${name} dead`);

describe("namespaces: a node that is cut off", { skip: tooSlow || lacksNamespaces() }, () => {
	it("waits, where most are to agree, and misses nothing of what they did", () =>
		withTraffic(3, async (mesh, publishers, followers) => {
			const [n1, n2, n3] = mesh.nodes;
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			mesh.cutOff(3);
			await isDead(n1, n3.name);
			await isDead(n3, n1.name);
			await Promise.all(publishers.slice(0, 2).map((publisher) => publisher.more(some)));
			const answer = await call(n3, "POST", `/publish?channel=${channels[0]}`, { body: "1" });
			assertError(answer, 503, "unavailable");
			mesh.joinSwitch(3);
			await mesh.converged();
			await served([n1, n2, n3]);
			await Promise.all(publishers.map((publisher) => publisher.more(some)));
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
		}, ["mesh.partition=pause"], make));

	it("goes on alone, where each may, and what it took on is put together with the rest", () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, , n3] = mesh.nodes;
			for (const channel of channels)
				await publish(n1, channel, "before");
			mesh.cutOff(3);
			await isDead(n1, n3.name);
			await isDead(n3, n1.name);
			const sides = [[n1, "most"], [n3, "alone"]];
			for (const [node, data] of sides)
				await Promise.all(channels.map((channel) => publish(node, channel, data)));
			mesh.joinSwitch(3);
			await mesh.converged();
			await served(mesh.nodes);
			for (const node of mesh.nodes) {
				for (const channel of channels)
					await until(async () => {
						const kept = [...(await history(node, channel)).values()];
						return ["before", "most", "alone"].every((data) =>
							kept.filter((one) => one === data).length === 1);
					}, `${channel} to be whole at ${node.name}`);
			}
		}, keepsAll, make));

	it("comes back before anybody missed it, and nothing happened", () =>
		withTraffic(3, async (mesh, publishers, followers) => {
			for (let i = 0; i < 5; i++) {
				mesh.cutOff(1 + i % 3);
				await until(async () => (await call(mesh.nodes[0], "GET", "/health")).status === 200);
				mesh.joinSwitch(1 + i % 3);
				await Promise.all(publishers.map((publisher) => publisher.more(some)));
			}
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
			for (const node of mesh.nodes)
				assert.doesNotMatch(node.stderr(), / is dead/);
		}, [], make));
});

describe("namespaces: a slow line", { skip: tooSlow || lacksNamespaces() }, () => {
	it("what comes faster than it goes through comes late, whole and in order", () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			await served(mesh.nodes);
			const [n1, , n3] = mesh.nodes, channel = channels[0], count = 100;
			mesh.slowDown(3, "8mbit");
			const client = await NativeClient.open(n3);
			await client.subscribe(channel);
			/* Eight seconds of it. */
			const text = "x".repeat(40_000);
			const publisher = await NativeClient.open(n1);
			for (let i = 0; i < count; i++)
				await publisher.publish(channel, `${i} ${text}`);
			const got = await client.data(count);
			assert.deepEqual(got.map((data) => data.split(" ")[0]),
				Array.from({ length: count }, (_, i) => String(i)));
			publisher.close();
			client.close();
		}, keepsAll, make));
});
