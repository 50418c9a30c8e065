/*
 * Presence as people in browsers make it: tabs of one person, a page that is loaded anew, and a node
 * that is killed under a page. What a watcher is told says that nobody flickers.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { givePage, takePage } from "./browser.mjs";
import { fresh, until, useServer } from "./harness.mjs";
import { withMesh } from "./meshes.mjs";
import { tooSlow } from "./traffic.mjs";
import { Watcher, as, shown } from "./watcher.mjs";

/* A grace is over at once, or never: so no test waits for one. */
const rules = [
	"channel.chat:brief*.presence=full", "channel.chat:brief*.presence_grace=0",
	"channel.chat:long*.presence=full", "channel.chat:long*.presence_grace=1h",
];

/* Tabs of the first page in a browser that knows the person's name. */
async function withTabs(server, room, name, count, body) {
	const first = await takePage();
	try {
		await first.context().addInitScript((given) => {
			if (location.protocol.startsWith("http"))
				localStorage.setItem("name", given);
		}, name);
		const tabs = [first];
		while (tabs.length < count)
			tabs.push(await first.context().newPage());
		for (const tab of tabs) {
			await tab.goto(`${server.url}/?room=${room}`);
			await tab.waitForSelector('#status[data-state="open"]');
		}
		await body(...tabs);
	} finally {
		await givePage(first, { isSpent: true });
	}
}

const connectionsOf = async (server, channel, name) =>
	(await shown(server, channel)).members.find(({ user }) => user === name)?.connections;
const hasConnections = (server, channel, name, count) => until(
	async () => await connectionsOf(server, channel, name) === count, `${count} of ${name}`);
const toldOf = (watcher, name) =>
	watcher.told.filter(({ user }) => user === name).map(({ type }) => type);

/* Somebody comes and goes: what was to be told before has been told then. */
async function passesBy(server, watcher, channel, ...others) {
	const bob = await as(server, "bob");
	await bob.subscribe(channel);
	await watcher.sees(...others, "bob");
	await bob.ask({ type: "unsubscribe", channel });
	await watcher.sees(...others);
	bob.close();
}

describe("presence of people in browsers", () => {
	const server = useServer({ options: [...rules, "workers.count=2", "workers.pin_cpus=no"] });

	it("two tabs are one member, who leaves with the second", async () => {
		const room = fresh("brief"), channel = `chat:${room}`;
		const wim = await Watcher.open(server, channel, "wim");
		await withTabs(server, room, "ann", 2, async (one, two) => {
			await wim.sees("ann", "wim");
			await hasConnections(server, channel, "ann", 2);
			await one.goto("about:blank");
			await hasConnections(server, channel, "ann", 1);
			await passesBy(server, wim, channel, "ann", "wim");
			assert.deepEqual(toldOf(wim, "ann"), ["joined"]);
			await two.close();
			await wim.sees("wim");
			assert.deepEqual(toldOf(wim, "ann"), ["joined", "left"]);
		});
		wim.close();
	});

	it("a page that is loaded anew within the grace was never away", async () => {
		const room = fresh("long"), channel = `chat:${room}`;
		const wim = await Watcher.open(server, channel, "wim");
		await withTabs(server, room, "ann", 1, async (page) => {
			await wim.sees("ann", "wim");
			for (let i = 0; i < 3; i++) {
				await page.reload();
				await page.waitForSelector('#status[data-state="open"]');
				await hasConnections(server, channel, "ann", 1);
			}
			await passesBy(server, wim, channel, "ann", "wim");
			assert.deepEqual(toldOf(wim, "ann"), ["joined"]);
			assert.equal(wim.told.filter(({ type }) => type === "presence").length, 1);
		});
		wim.close();
	});
});

describe("presence of people in browsers, on several nodes", () => {
	it("who was on a node that is killed has left once", { skip: tooSlow }, () =>
		withMesh(3, async (mesh) => {
			await mesh.converged();
			const [n1, n2, n3] = mesh.nodes, room = fresh("brief"), channel = `chat:${room}`;
			const watchers = [await Watcher.open(n1, channel, "wim"),
				await Watcher.open(n2, channel, "liz")];
			await withTabs(n3, room, "ann", 2, async () => {
				for (const watcher of watchers)
					await watcher.sees("ann", "liz", "wim");
				await n3.kill();
				for (const watcher of watchers)
					await watcher.sees("liz", "wim");
				for (const [i, watcher] of watchers.entries())
					await passesBy([n2, n1][i], watcher, channel, "liz", "wim");
				for (const watcher of watchers)
					assert.deepEqual(toldOf(watcher, "ann"), ["joined", "left"]);
			});
			watchers.forEach((watcher) => watcher.close());
		}, [...rules, "workers.pin_cpus=no"]));
});
