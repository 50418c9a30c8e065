/*
 * Lines between nodes that are bad: they let through in one direction only, are long, lose packets,
 * or have their connections reset. Each node is in a network namespace of its own, the switch between
 * them is a program. What is published meanwhile is held against what all have in the end.
 *
 * LINES   seconds that each long or lossy line is in use (default 4; a soak takes 600)
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import { isSanitized, patience, sleep, until } from "./harness.mjs";
import { figuresOf, stateOf } from "./meshes.mjs";
import { SwitchedMesh, lacksSwitch } from "./namespaces.mjs";
import { assertNothingIsLost, served, some, tooSlow, withTraffic } from "./traffic.mjs";

const seconds = Number(process.env.LINES ?? (isSanitized ? 2 : 4));
const all = [1, 2, 3];
/* By either of the others, where a fifth is lost; in a few seconds on a busy machine it may be any. */
const someDeaths = seconds < 60 ? Infinity : seconds / 200;
const settings = { concurrency: 4, timeout: Infinity };
/* Of a long line, in seconds: on a busy machine the way over a short one is to be shorter still. */
const far = isSanitized ? { delay: 0.25, jitter: 0.1 } : { delay: 0.1, jitter: 0.05 };
const inMs = (s) => Math.round(1000 * s);

/* Of three nodes; where most are to agree, each of them has all in the end. */
const withLines = (body, pauseMs = 0) =>
	withTraffic(3, async (mesh, publishers, followers) => {
		publishers.forEach((publisher) => { publisher.pauseMs = pauseMs; });
		await body(mesh, publishers, followers);
	}, ["mesh.partition=pause", "channel.log:*.history_ttl=1h"], (given) => new SwitchedMesh(given));

const finds = (viewer, name, state) => until(async () =>
	(await stateOf(viewer, name)).state === state, `${viewer.name} to find ${name} ${state}`);

const areMore = (publishers, count = some) =>
	Promise.all(publishers.map((publisher) => publisher.more(count)));

const deaths = (mesh) => mesh.nodes.flatMap((node) =>
	[...node.stderr().matchAll(/\S+ is dead/g)].map(([what]) => `${node.name}: ${what}`));

/* They hear what comes meanwhile, and answer pings. */
async function whileAllHear(publishers, followers, body) {
	let isOver = false;
	const hearing = Promise.all(followers.map(async (follower) => {
		while (!isOver)
			await follower.until(follower.messages.size + 1);
	}));
	await Promise.race([hearing, body()]);
	isOver = true;
	await areMore(publishers, 1);
	await hearing;
}

async function assertWhole(mesh, publishers, followers) {
	await mesh.converged();
	await served(mesh.nodes);
	await areMore(publishers, 12);
	await Promise.all(publishers.map((publisher) => publisher.stop()));
	await assertNothingIsLost(mesh.nodes, publishers, followers);
}

describe("lines", { ...settings, skip: tooSlow || lacksSwitch() }, () => {
	describe("one that lets through in one direction only", settings, () => {
		const n3HasNobody = [
			["of whom nothing is heard", [3], [1, 2]],
			["who hears nothing", [1, 2], [3]],
		];
		for (const [what, from, to] of n3HasNobody)
			it(`who is there and ${what} is found dead, and nothing is lost`, () =>
				withLines(async (mesh, publishers, followers) => {
					const [n1, n2, n3] = mesh.nodes;
					await areMore(publishers);
					await mesh.fare(from, to, { cut: true });
					await Promise.all([finds(n1, "n3", "dead"), finds(n2, "n3", "dead"),
						finds(n3, "n1", "dead"), finds(n3, "n2", "dead")]);
					await areMore(publishers.slice(0, 2));
					await mesh.fare(from, to);
					await assertWhole(mesh, publishers, followers);
				}));

		it("two of whom one does not hear the other are alive, as a third one hears both", () =>
			withLines(async (mesh, publishers, followers) => {
				const [n1, , n3] = mesh.nodes;
				await areMore(publishers);
				const { mesh_links: { closed, lost } } = await figuresOf(n1);
				await mesh.fare([1], [3], { cut: true });
				await Promise.all([finds(n1, "n3", "suspect"), finds(n3, "n1", "suspect")]);
				/* After longer than it takes to be found dead. */
				await until(async () => {
					const { mesh_links: links } = await figuresOf(n1);
					return links.closed + links.lost > closed + lost;
				}, "the link between n1 and n3 to end");
				await areMore([publishers[1]]);
				await mesh.fare([1], [3]);
				await assertWhole(mesh, publishers, followers);
				assert.deepEqual(deaths(mesh), []);
			}));
	});

	describe("a long one", settings, () => {
		it(`of a node that is ${inMs(far.delay)} ms away, more or less ${inMs(far.jitter)}: ` +
			"nobody waits for it who has another copy", (test) =>
			withLines(async (mesh, publishers, followers) => {
				const channels = Array.from({ length: 48 }, (_, i) => ({ name: `log:far:${i}`, took: [] }));
				const end = Date.now() + 1000 * seconds, late = end + patience;
				const client = await NativeClient.open(mesh.nodes[0]);
				await mesh.fare([3], [1, 2], far);
				const least = (channel) => Math.min(...channel.took);
				/* The way to it and back takes so long at least. */
				const wayMs = inMs(far.delay - far.jitter);
				const near = () => channels.filter((channel) => least(channel) < wayMs);
				const isEnough = () => near().length >= channels.length / 3;
				const measure = async () => {
					while (Date.now() < end || (!isEnough() && Date.now() < late))
						for (const { name, took } of channels) {
							const before = performance.now();
							await client.publish(name, 1);
							took.push(performance.now() - before);
						}
				};
				await whileAllHear(publishers, followers, measure);
				assert.ok(isEnough(), `${near().length} of ${channels.length} channels are near`);
				/* Those whose home is far: it tells one that is near, and who has asked, each by that way. */
				const distant = channels.filter((channel) => least(channel) >= 2 * wayMs);
				assert.ok(distant.length > 0);
				client.close();
				await mesh.fare([3], [1, 2]);
				await assertWhole(mesh, publishers, followers);
				assert.deepEqual(deaths(mesh), []);
				for (const [what, those] of Object.entries({ near: near(), far: distant })) {
					const took = those.flatMap((channel) => channel.took).sort((a, b) => a - b);
					const [p50, p99] = [0.5, 0.99].map((share) =>
						took[Math.floor(share * took.length)].toFixed(1));
					test.diagnostic(`${what}: ${those.length} channels; acknowledged after ${p50} ms, ` +
						`${p99} of a hundred ${took.length}`);
				}
			}, 20));
	});

	describe("those that lose packets", settings, () => {
		for (const [loss, deathsMax] of [[0.01, 0], [0.05, 0], [0.2, someDeaths]])
			it(`${100 * loss} % of them are lost, and nothing of what they hold`, (test) =>
				withLines(async (mesh, publishers, followers) => {
					await mesh.fare(all, all, { loss });
					const acked = () => publishers.map((publisher) => publisher.acked.size);
					const before = acked();
					await whileAllHear(publishers, followers, () => sleep(1000 * seconds));
					await until(async () => (await mesh.figures()).lost > 0, "a packet to be lost");
					const count = acked().reduce((sum, now, i) => sum + now - before[i], 0);
					await mesh.fare(all, all);
					await assertWhole(mesh, publishers, followers);
					const { lost } = await mesh.figures();
					test.diagnostic(`${lost} packets lost, ${count} acknowledgements, dead: ${deaths(mesh)}`);
					assert.ok(deaths(mesh).length <= deathsMax, String(deaths(mesh)));
				}, 20));
	});

	describe("connections that are reset", settings, () => {
		it("all at once, again and again: they are made anew, and nobody has missed anything", (test) =>
			withLines(async (mesh, publishers, followers) => {
				let slowest = 0;
				for (let i = 0; i < 5; i++) {
					await areMore(publishers);
					const before = await Promise.all(mesh.nodes.map(figuresOf));
					const sent = await mesh.reset(), from = performance.now();
					assert.ok(sent >= 12, "two connections a pair, of three, at both ends");
					for (const [n, node] of mesh.nodes.entries())
						await until(async () => (await figuresOf(node)).mesh_links.made >=
							before[n].mesh_links.made + 2, `${node.name} to be linked to both again`);
					slowest = Math.max(slowest, performance.now() - from);
				}
				await assertWhole(mesh, publishers, followers);
				assert.deepEqual(deaths(mesh), []);
				test.diagnostic(`linked again after ${Math.round(slowest)} ms at most`);
			}));
	});
});
