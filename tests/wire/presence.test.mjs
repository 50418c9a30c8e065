/* Who is there: told to those who asked, over each transport, and shown by the server API. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, closeFrame } from "./clients.mjs";
import {
	assertError, call, fresh, stats, turn, until, useServer, withServer,
} from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";
import { Watcher, as, names, presence, shown } from "./watcher.mjs";

const graceMs = 1500;
const rules = [
	"channel.room:*.presence=full", `channel.room:*.presence_grace=${graceMs}ms`,
	"channel.brief:*.presence=full", "channel.brief:*.presence_grace=0",
	"channel.long:*.presence=full", "channel.long:*.presence_grace=1h",
	"channel.count:*.presence=count", "channel.count:*.presence_grace=0",
];

describe("presence", () => {
	const server = useServer({ options: [...rules, "workers.count=2", "workers.pin_cpus=no"] });

	it("begins with all members, oneself included", async () => {
		const channel = fresh("room:");
		const ann = await as(server, "ann");
		await ann.subscribe(channel);
		const bob = await as(server, "bob");
		const { cursor } = await bob.subscribe(channel, { presence: true, ref: "s" });
		assert.match(cursor, /-0$/);
		const { members, ...rest } = await bob.hear();
		assert.deepEqual(rest, { type: "presence", channel, count: 2 });
		assert.deepEqual(members.sort((a, b) => (a.user < b.user ? -1 : 1)), [
			{ user: "ann", connections: 1 }, { user: "bob", connections: 1 },
		]);
		assert.deepEqual(await bob.ask({ type: "presence", ref: 6, channel: fresh("room:") })
			.then(({ channel: _, ...answer }) => answer),
		{ type: "presence", ref: 6, count: 0, members: [] });
		ann.close();
		bob.close();
	});

	it("then tells who of the others joined and left", async () => {
		const channel = fresh("room:");
		const ann = await Watcher.open(server, channel, "ann");
		assert.deepEqual(names(ann.first), ["ann"]);
		const bob = await as(server, "bob");
		await bob.subscribe(channel);
		assert.deepEqual(await ann.hear(), { type: "joined", channel, user: "bob" });
		await bob.ask({ type: "unsubscribe", channel });
		assert.deepEqual(await ann.hear(), { type: "left", channel, user: "bob" });
		ann.close();
		bob.close();
	});

	it("knows one user of two tabs, until both are closed", async () => {
		const channel = fresh("brief:");
		const ann = await Watcher.open(server, channel, "ann");
		const tabs = [await as(server, "bob"), await as(server, "bob")];
		for (const tab of tabs)
			await tab.subscribe(channel);
		await ann.sees("ann", "bob");
		await until(async () => (await shown(server, channel)).members
			.some(({ user, connections }) => user === "bob" && connections === 2));
		tabs[0].close();
		await until(async () => (await shown(server, channel)).members
			.some(({ user, connections }) => user === "bob" && connections === 1));
		tabs[1].close();
		await ann.sees("ann");
		assert.deepEqual(ann.told.slice(1).map(({ type }) => type), ["joined", "left"]);
		ann.close();
	});

	it("does not flicker when a page is loaded anew", async () => {
		const channel = fresh("long:");
		const ann = await Watcher.open(server, channel, "ann");
		for (const bye of [(tab) => tab.close(), (tab) => tab.send(closeFrame(1001))]) {
			const tab = await as(server, "bob");
			await tab.subscribe(channel);
			await ann.sees("ann", "bob");
			bye(tab);
			await until(async () => (await stats(server)).connections_websocket === 1);
		}
		const { count, members } = await shown(server, channel);
		assert.equal(count, 2);
		assert.deepEqual(members, [
			{ user: "ann", connections: 1 }, { user: "bob", connections: 0 },
		]);
		const stream = await EventStream.open(server, `/events?channel=${channel}&user=bob`);
		const eve = await as(server, "eve");
		await eve.subscribe(channel);
		await ann.sees("ann", "bob", "eve");
		assert.deepEqual(ann.told.slice(1).map(({ user }) => user), ["bob", "eve"]);
		for (const one of [ann, eve, stream])
			one.close();
	});

	for (const [how, bye] of Object.entries({
		"says goodbye (1000)": (tab) => tab.send(closeFrame(1000)),
		"unsubscribes": (tab, channel) => tab.say({ type: "unsubscribe", channel }),
	}))
		it(`tells at once of who ${how}`, async () => {
			const channel = fresh("long:");
			const ann = await Watcher.open(server, channel, "ann");
			const bob = await as(server, "bob");
			await bob.subscribe(channel);
			await ann.sees("ann", "bob");
			bye(bob, channel);
			await ann.sees("ann"); // in less than an hour
			ann.close();
			bob.close();
		});

	it("tells of who was lost when the grace is over, and not before", async () => {
		const channel = fresh("room:");
		const ann = await Watcher.open(server, channel, "ann");
		const bob = await as(server, "bob");
		await bob.subscribe(channel);
		await ann.sees("ann", "bob");
		const lost = performance.now();
		bob.close();
		await ann.sees("ann");
		/* The server has the time of its turn's beginning, which may be from before that. */
		const took = performance.now() - lost;
		assert.ok(took >= graceMs / 2, `${took} ms`);
		ann.close();
	});

	it("counts streams and polls, also between two polls", async () => {
		const channel = fresh("brief:");
		const ann = await Watcher.open(server, channel, "ann");
		const stream = await EventStream.open(server, `/events?channel=${channel}&user=bob`);
		await ann.sees("ann", "bob");
		const first = await call(server, "GET", `/poll?channel=${channel}&user=cyd`);
		await ann.sees("ann", "bob", "cyd");
		const { cursor } = first.json();
		for (let i = 0; i < 3; i++)
			await call(server, "GET",
				`/poll?channel=${channel}&user=cyd&since=${cursor}&wait=0`);
		assert.equal((await shown(server, channel)).count, 3);
		stream.close();
		await ann.sees("ann", "cyd");
		await ann.sees("ann"); // five seconds after the last poll
		assert.deepEqual(ann.told.slice(1).map(({ type, user }) => `${type} ${user}`),
			["joined bob", "joined cyd", "left bob", "left cyd"]);
		ann.close();
	});

	it("tells the number alone where the rule says so", async () => {
		const channel = fresh("count:");
		const ann = await Watcher.open(server, channel, "ann");
		assert.deepEqual(ann.first, { type: "presence", channel, count: 1 });
		const bob = await as(server, "bob");
		await bob.subscribe(channel);
		await ann.counts(2);
		bob.close();
		await ann.counts(1);
		assert.ok(ann.told.every((one) => one.type === "presence" && !one.members));
		assert.deepEqual(await shown(server, channel), { channel, count: 1 });
		assert.deepEqual(await ann.client.ask({ type: "presence", ref: 7, channel }),
			{ type: "presence", ref: 7, channel, count: 1 });
		ann.close();
	});

	it("leaves out who has no name", async () => {
		const channel = fresh("room:");
		const nobody = await Watcher.open(server, channel);
		assert.deepEqual(nobody.first, { type: "presence", channel, count: 0, members: [] });
		const ann = await as(server, "ann");
		await ann.subscribe(channel);
		await nobody.sees("ann");
		ann.close();
		nobody.close();
	});

	it("is not found where the rule has none", async () => {
		const channel = fresh("plain");
		const ann = await as(server, "ann");
		assert.equal((await ann.ask({ type: "presence", channel })).code, "not_found");
		await ann.subscribe(channel, { presence: true, ref: 1 });
		const { message, ...error } = await ann.hear();
		assert.deepEqual(error, { type: "error", ref: 1, channel, code: "not_found" });
		assert.match(message, /presence/);
		assertError(await presence(server, channel), 404, "not_found");
		ann.close();
	});

	it("refuses what is malformed", async () => {
		const ann = await as(server, "ann");
		const channel = fresh("room:");
		for (const command of [
			{ type: "subscribe", channel, presence: 1 }, { type: "presence" },
			{ type: "presence", channel: "a b" },
		])
			assert.equal((await ann.ask(command)).code, "bad_request");
		for (const query of ["?limit=0", "?limit=x", "?next=%x"])
			assertError(await presence(server, channel, query), 400, "bad_request");
		assertError(await presence(server, "a b"), 400, "bad_request");
		ann.close();
	});

	it("is counted", async () => {
		const channel = fresh("brief:");
		const before = await stats(server);
		const ann = await Watcher.open(server, channel, "ann");
		const bob = await as(server, "bob");
		await bob.subscribe(channel);
		await ann.sees("ann", "bob");
		const during = await stats(server);
		assert.equal(during.presence_members, before.presence_members + 2);
		assert.equal(during.presence_watchers, before.presence_watchers + 1);
		assert.equal(during.presence_news_total, before.presence_news_total + 1);
		assert.equal(during.presence_shown_total, before.presence_shown_total + 1);
		ann.close();
		bob.close();
		await until(async () => (await stats(server)).presence_watchers === before.presence_watchers);
	});
});

describe("presence of a crowd", () => {
	const server = useServer({ options: [...rules, "workers.count=2", "workers.pin_cpus=no"] });
	const channel = "brief:crowd";
	const size = 1001; // one more than names are told of
	let crowd;

	it("is told by its number", async () => {
		const ann = await Watcher.open(server, channel, "ann");
		crowd = [];
		for (let i = 1; i < size; i++) {
			const one = await as(server, `user-${String(i).padStart(4, "0")}`);
			one.say({ type: "subscribe", channel });
			crowd.push(one);
			if (i % 50 === 0)
				await turn();
		}
		while (ann.count !== size)
			await ann.hear();
		assert.equal(ann.told.at(-1).members, undefined);
		const late = await Watcher.open(server, channel, "ann");
		assert.deepEqual(late.first, { type: "presence", channel, count: size });
		late.close();
		ann.close();
	});

	it("is shown by the server API in pages", async () => {
		await until(async () => (await shown(server, channel, "?limit=1")).count === size - 1);
		const seen = [];
		let next = "";
		do {
			const query = `?limit=300&next=${encodeURIComponent(next)}`;
			const page = await shown(server, channel, query);
			assert.equal(page.count, size - 1);
			assert.ok(page.members.length <= 300);
			seen.push(...page.members.map(({ user }) => user));
			({ next } = page);
		} while (next);
		assert.deepEqual(seen, crowd.map((_, i) => `user-${String(i + 1).padStart(4, "0")}`));
	});

	it("has names again when it is half as large", async () => {
		const ann = await Watcher.open(server, channel, "ann");
		assert.equal(ann.first.members, undefined);
		for (const one of crowd.splice(500))
			one.close();
		await until(async () => (await shown(server, channel, "?limit=1")).count === 501);
		crowd.pop().close();
		while (!ann.there)
			await ann.hear();
		assert.equal(ann.there.size, 500);
		for (const one of crowd)
			one.close();
		ann.close();
	});
});

describe("presence and tokens", () => {
	const server = useServer({
		options: [...rules, `auth.jwt_secret=${secret}`, "auth.api_key=the-key",
			"channel.closed:*.presence=full"],
	});
	const backend = { Authorization: "Bearer the-key" };
	const withToken = (claims) => NativeClient.open(server, { query: `token=${mint(claims)}` });

	it("shows the token's info", async () => {
		const channel = fresh("room:");
		const info = { name: "Ann", age: [1, 2] };
		const bob = await withToken({ sub: "bob", allow: { "room:*": "r" } });
		await bob.subscribe(channel, { presence: true });
		await bob.hear();
		const ann = await withToken({ sub: "ann", info, allow: { "room:*": "r" } });
		await ann.subscribe(channel);
		assert.deepEqual(await bob.hear(), { type: "joined", channel, user: "ann", info });
		const { members } = (await presence(server, channel, "", backend)).json();
		assert.deepEqual(members, [
			{ user: "ann", connections: 1, info }, { user: "bob", connections: 1 },
		]);
		ann.close();
		bob.close();
	});

	it("follows the right to read", async () => {
		const channel = fresh("closed:");
		for (const [allow, code] of [["r", undefined], ["p", undefined], ["w", "forbidden"]]) {
			const one = await withToken({ sub: "ann", allow: { "closed:*": allow } });
			assert.equal((await one.ask({ type: "presence", channel })).code, code, allow);
			one.close();
		}
		const nobody = await NativeClient.open(server);
		assert.equal((await nobody.ask({ type: "presence", channel })).code, "unauthorized");
		nobody.close();
		assertError(await presence(server, channel), 401, "unauthorized");
		assertError(await presence(server, channel, "", { Authorization: `Bearer ${mint()}` }),
			403, "forbidden");
	});

	it("makes who gets a name later a member", async () => {
		await withServer({
			options: [...rules, `auth.jwt_secret=${secret}`, "channel.room:*.subscribe=any"],
		}, async (one) => {
			const bob = await NativeClient.open(one, { query: `token=${mint({ sub: "bob" })}` });
			await bob.subscribe("room:1", { presence: true });
			await bob.hear();
			const late = await NativeClient.open(one);
			await late.subscribe("room:1");
			await late.ask({ type: "auth", token: mint({ sub: "late" }) });
			assert.deepEqual(await bob.hear(),
				{ type: "joined", channel: "room:1", user: "late" });
			bob.close();
			late.close();
		});
	});
});

describe("users", () => {
	const server = useServer({ options: [...rules, "workers.count=2", "workers.pin_cpus=no"] });
	const user = async (name) =>
		(await call(server, "GET", `/api/users/${encodeURIComponent(name)}`)).json();

	it("are shown with their connections, whichever worker has them", async () => {
		assert.deepEqual(await user("nobody"), { user: "nobody", online: false, connections: [] });
		const name = "ann \u00e9/x";
		const query = encodeURIComponent(name);
		const tabs = [];
		for (let i = 0; i < 4; i++)
			tabs.push(await as(server, query));
		const stream = await EventStream.open(server, `/events?channel=c&user=${query}`);
		const found = await user(name);
		assert.equal(found.user, name);
		assert.equal(found.online, true);
		assert.deepEqual(found.connections.map(({ transport }) => transport).sort(),
			["sse", ...tabs.map(() => "websocket")]);
		const ids = found.connections.map(({ id }) => id);
		for (const tab of tabs)
			assert.ok(ids.includes(tab.welcome.connection));
		for (const one of found.connections) {
			assert.equal(typeof one.since, "number");
			assert.equal(one.node, (await stats(server)).node);
		}
		for (const one of [...tabs, stream])
			one.close();
		await until(async () => !(await user(name)).online);
	});

	it("are disconnected everywhere, and gone at once", async () => {
		const channel = fresh("long:");
		const ann = await Watcher.open(server, channel, "ann");
		const tabs = [await as(server, "bob"), await as(server, "bob"), await as(server, "bob")];
		for (const tab of tabs)
			await tab.subscribe(channel);
		await ann.sees("ann", "bob");
		const answer = await call(server, "POST", "/api/users/bob/disconnect");
		assert.deepEqual(answer.json(), { disconnected: 3 });
		for (const tab of tabs)
			assert.deepEqual(await tab.closing(), { code: 1008, reason: "disconnected" });
		await ann.sees("ann");
		assert.deepEqual((await call(server, "POST", "/api/users/bob/disconnect")).json(),
			{ disconnected: 0 });
		ann.close();
	});

	it("have names, and are asked for by backends", async () => {
		assertError(await call(server, "GET", "/api/users/a%0a"), 400, "bad_request");
		assertError(await call(server, "GET", "/api/users/bob/disconnect"), 405,
			"method_not_allowed");
		await withServer({ options: ["auth.api_key=the-key"] }, async (closed) => {
			assertError(await call(closed, "GET", "/api/users/bob"), 401, "unauthorized");
			assertError(await call(closed, "POST", "/api/users/bob/disconnect"), 401,
				"unauthorized");
		});
	});
});
