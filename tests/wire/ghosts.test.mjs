/*
 * No ghost: nodes are killed, frozen until the others find them dead, drained, and cut off, one after the
 * other, while people come and go; again and again it is quiet for a moment, and then every node, and who
 * watches, knows just those who are there.
 *
 * Where namespaces can be made nodes are in some of their own; else none is cut off.
 *
 * GHOSTS       so many faults (default 6; a soak takes thousands, some three a second)
 * GHOSTS_SEED  which ones (default: others each time); a failure says it
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Dice } from "./dice.mjs";
import { scale, sleep, turn, until } from "./harness.mjs";
import { withMesh } from "./meshes.mjs";
import { NamespaceMesh, lacksNamespaces } from "./namespaces.mjs";
import { tooSlow } from "./traffic.mjs";
import { Watcher, as, shown } from "./watcher.mjs";

const faultCount = Number(process.env.GHOSTS ?? Math.max(3, 6 * scale));
const seed = Number(process.env.GHOSTS_SEED ?? Date.now() % 1e9);
const faultsAtOnce = 5; /* between two looks */
const channels = Array.from({ length: 6 }, (_, i) => `brief:${i}`);
const users = Array.from({ length: 10 }, (_, i) => `user-${i}`);
const rules = ["channel.brief:*.presence=full", "channel.brief:*.presence_grace=0",
	"workers.pin_cpus=no", "drain.time=100ms"];

const dice = new Dice(seed);
const below = (bound) => dice.below(bound), pick = (list) => dice.pick(list);

/* Those who are connected, and to what. */
class People {
	here = [];
	seen = { came: 0, went: 0, lost: 0 };

	async comes(node) {
		const one = { user: pick(users), node, channels: channels.filter(() => below(2) === 0) };
		one.client = await as(node, one.user);
		for (const channel of one.channels)
			await until(async () => (await one.client.ask({ type: "subscribe", channel })).type ===
				"subscribed", `${one.user} to follow ${channel}`);
		this.here.push(one);
		this.seen.came++;
	}

	goes() {
		const [one] = this.here.splice(below(this.here.length), 1);
		if (below(2) === 0)
			one.client.close();
		else
			one.client.socket.destroy();
		this.seen.went++;
	}

	/* Their node is no more. */
	lose(node) {
		const lost = this.here.filter((one) => one.node === node);
		lost.forEach(({ client }) => client.socket.destroy());
		this.here = this.here.filter((one) => one.node !== node);
		this.seen.lost += lost.length;
	}

	async move(nodes, count = 4) {
		for (let i = 0; i < count; i++) {
			if (this.here.length < 12 + below(8))
				await this.comes(pick(nodes));
			else
				this.goes();
		}
	}

	of(channel) {
		const count = {};
		for (const one of this.here.filter(({ channels: own }) => own.includes(channel)))
			count[one.user] = (count[one.user] ?? 0) + 1;
		return count;
	}
}

const sorted = (counts) => JSON.stringify(Object.entries(counts).sort());

const faults = {
	async kill(node, people) {
		await node.kill();
		people.lose(node);
		await sleep(below(400));
		await node.start();
	},
	async freeze(node) {
		node.signal("SIGSTOP");
		await sleep(pick([50, 500, 2500])); /* from two seconds on it is found dead */
		node.signal("SIGCONT");
	},
	/* While some come and go at the node itself. */
	async cut(node, people, mesh) {
		const number = mesh.nodes.indexOf(node) + 1;
		mesh.cutOff(number);
		await Promise.all([people.move([node], 2), sleep(pick([50, 500, 2500, 4000]))]);
		mesh.joinSwitch(number);
	},
	async drain(node, people) {
		node.signal("SIGTERM");
		await node.ended();
		people.lose(node);
		await node.start();
	},
};
const withoutNamespaces = lacksNamespaces();
const make = withoutNamespaces ? undefined : (options) => new NamespaceMesh(options);
const kinds = ["kill", "kill", "kill", "kill", "drain", "freeze",
	...withoutNamespaces ? [] : ["cut", "cut"]];

/* All nodes, and who watches at one, know those who are there and nobody else. */
async function assertNoGhost(mesh, people, watchers) {
	await mesh.converged();
	for (const channel of channels) {
		const there = sorted(people.of(channel));
		for (const node of mesh.nodes) {
			let found;
			await until(async () => {
				const { members } = await shown(node, channel);
				found = sorted(Object.fromEntries(
					members.filter(({ user }) => user !== "wim")
						.map(({ user, connections }) => [user, connections])));
				return found === there;
			}, `${there} in ${channel} at ${node.name}`).catch((error) => {
				error.message += `; it has ${found}`;
				throw error;
			});
		}
	}
	for (const watcher of watchers) {
		await watcher.sees(...Object.keys(people.of(watcher.channel)), "wim");
		watcher.close();
	}
}

describe("presence: no ghost", () => {
	it(`after ${faultCount} faults`, { skip: tooSlow, timeout: Infinity }, (test) =>
		withMesh(3, async (mesh) => {
			const people = new People(), done = { kill: 0, freeze: 0, drain: 0, cut: 0 };
			await mesh.converged();
			for (let count = 0; count < faultCount;) {
				const safe = pick(mesh.nodes);
				const others = mesh.nodes.filter((node) => node !== safe);
				await people.move(mesh.nodes);
				const watchers = [];
				for (const channel of channels.slice(0, 3)) {
					const watcher = await Watcher.open(safe, channel, "wim");
					watcher.knowsGaps = true; /* both of the others may be gone at once */
					watchers.push(watcher);
				}
				for (let i = 0; i < faultsAtOnce && count < faultCount; i++, count++) {
					const kind = pick(kinds), node = pick(others);
					await Promise.all([faults[kind](node, people, mesh), people.move([safe])]);
					done[kind]++;
					await turn();
				}
				await assertNoGhost(mesh, people, watchers);
			}
			people.here.forEach(({ client }) => client.close());
			test.diagnostic(`killed ${done.kill}, frozen ${done.freeze}, drained ${done.drain}, ` +
				`cut off ${done.cut}; ` +
				`${people.seen.came} came, ${people.seen.went} went, ` +
				`${people.seen.lost} were on a node that ended; seed ${seed}`);
			assert.equal(done.kill + done.freeze + done.drain + done.cut, faultCount);
		}, rules, make).catch((error) => {
			error.message += `\nGHOSTS_SEED=${seed}`;
			throw error;
		}));
});
