/*
 * console.test.mjs - the operator's page, in a real browser, as an operator uses it; and the list of
 * connections it shows.
 *
 * PICTURES  folder for pictures of the page; none are taken without it
 */
import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";

import { says, withPages } from "./browser.mjs";
import { NativeClient } from "./clients.mjs";
import {
	assertError, call, fresh, publish, publishCount, startServer, until, useServer,
	withServer,
} from "./harness.mjs";

describe("connections: a list of them", () => {
	const server = useServer();
	const list = async (query = "") =>
		(await call(server, "GET", `/api/connections${query}`)).json();

	it("has each client's, with what it follows, and no request's", async () => {
		assert.deepEqual(await list(), { connections: [], more: false });
		const [ann, bob] = [
			await NativeClient.open(server, { query: "user=ann" }),
			await NativeClient.open(server, { query: "user=bob" }),
		];
		await ann.subscribe(fresh());
		const { connections, more } = await list();
		assert.equal(more, false);
		assert.deepEqual(new Set(connections.map(({ id }) => id)),
			new Set([ann.welcome.connection, bob.welcome.connection]));
		const [entry] = connections.filter(({ user }) => user === "ann");
		assert.equal(entry.transport, "websocket");
		assert.equal(entry.address, "127.0.0.1");
		assert.equal(entry.channels, 1);
		assert.equal(entry.node, ann.welcome.node);
		assert.ok(Math.abs(entry.since - Date.now()) < 600_000);
		assert.deepEqual((await list("?user=bob")).connections.map(({ user }) => user), ["bob"]);
		assert.deepEqual(await list("?user=cleo"), { connections: [], more: false });
		const page = await list("?limit=1");
		assert.equal(page.connections.length, 1);
		assert.equal(page.more, true);
		assert.equal((await list("?limit=2")).more, false);
		for (const client of [ann, bob])
			client.close();
	});

	it("refuses what it does not understand, and who has no key", async () => {
		for (const query of ["limit=0", "limit=x", "user=%zz"])
			assertError(await call(server, "GET", `/api/connections?${query}`), 400, "bad_request");
		await withServer({ options: ["auth.api_key=sesame"] }, async (locked) =>
			assertError(await call(locked, "GET", "/api/connections"), 401, "unauthorized"));
	});
});

/* The page, opened by an operator. */
const withConsole = (server, options, body) => withPages(1, async (page) => {
	await page.goto(`${server.url}/console`);
	await body(page);
}, options);

const isReady = (page) => page.waitForSelector('#state[data-state="ready"]');
const take = (page, name) => process.env.PICTURES &&
	page.screenshot({ path: path.join(process.env.PICTURES, `${name}.png`), fullPage: true });

describe("the console", () => {
	const server = useServer();

	it("shows the node and its load, live", async () => {
		const channel = fresh("load");
		const client = await NativeClient.open(server, { query: "user=ann" });
		await client.subscribe(channel);
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			assert.equal(await page.textContent("#node"), client.welcome.node);
			await publishCount(server, channel, 30);
			await page.waitForFunction(() =>
				[...document.querySelectorAll(".plot svg")].some((plot) =>
					/^Messages a second: in (?!0,)/.test(plot.getAttribute("aria-label") ?? "")));
			await says(page, "#channels", channel);
			await says(page, "#connections", "ann");
			await says(page, "#connections", client.welcome.node);
			await says(page, "#members", client.welcome.node);
			await says(page, "#members", "ready");
			const points = await page.getAttribute(".plot polyline", "points");
			assert.match(points, /^[\d.]+,[\d.-]+/);
		});
		client.close();
	});

	it("follows a channel from its history on", async () => {
		const channel = fresh("tail");
		await publish(server, channel, "before");
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await page.click(`#channels button[aria-label="Watch ${channel}"]`);
			await says(page, "#tail", "before");
			await publish(server, channel, { text: "live" }, { event: "news", key: "k" });
			await says(page, "#tail li:first-child", `{"text":"live"}`);
			await says(page, "#tail li:first-child", "event news");
			assert.equal(await page.inputValue("#channel"), channel);
			/* No event of a client's passes for the server's. */
			await publish(server, channel, "not hidden", { event: "gap" });
			await says(page, "#tail li:first-child", "not hidden");
		});
	});

	it("turns the pages of a channel's history", async () => {
		const channel = fresh("pages");
		const ids = await publishCount(server, channel, 60);
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await page.fill("#channel", channel);
			await page.press("#channel", "Enter");
			await page.click("#history summary");
			const shows = async (first, last) => {
				await says(page, "#history-note", `${ids[first]} to ${ids[last]}`);
				const held = await page.$$eval("#held li", (items) => items.map((item) =>
					item.lastChild.textContent));
				assert.deepEqual(held, ids.slice(first, last + 1).map((_, i) => String(first + i + 1)));
			};
			await shows(35, 59);
			await page.click("#history-older");
			await shows(10, 34);
			await page.click("#history-older");
			await shows(0, 24);
			await page.click("#history-newer");
			await shows(25, 49);
			await page.click("#history-newer");
			await shows(50, 59);
			await page.click("#history-newer");
			await says(page, "#history-note", "nothing newer");
			await page.click("#history-start");
			await shows(0, 24);
			await page.click("#history-newest");
			await shows(35, 59);
			await take(page, "console-history");
			await page.fill("#channel", fresh("empty"));
			await page.press("#channel", "Enter");
			await says(page, "#history-note", "Nothing is held");
			assert.equal(await page.$$eval("#held li", (items) => items.length), 0);
		});
	});

	it("shows what is asked for alone: channels by their beginning, connections of a user", async () => {
		const [one, other] = [fresh("one"), fresh("other")];
		const clients = [await NativeClient.open(server, { query: "user=ann" }),
			await NativeClient.open(server, { query: "user=bob" })];
		await Promise.all(clients.map((client, i) => client.subscribe([one, other][i])));
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await says(page, "#channels", one);
			await page.fill("#prefix", "other");
			await page.waitForFunction((name) =>
				!document.querySelector("#channels").textContent.includes(name), one);
			await says(page, "#channels", other);
			await page.fill("#user", "bob");
			await page.waitForFunction(() =>
				!document.querySelector("#connections").textContent.includes("ann"));
			await says(page, "#connections", "bob");
		});
		clients.forEach((client) => client.close());
	});

	it("asks on who is there when that fails, but not of a channel without presence", async () => {
		const channel = fresh("there");
		const path = `/api/channels/${channel}/presence`;
		await publish(server, channel, 1);
		await withConsole(server, {}, async (page) => {
			const codes = ["unavailable", "not_found"], asked = [];
			await page.route("**/api/live?*", (route) => {
				const isAsked = new URL(route.request().url()).searchParams.getAll("get").includes(path);
				if (asked.length > 0 || isAsked)
					asked.push(isAsked);
				const data = JSON.stringify({ get: path, answer: { error: { code: codes[0] } } });
				if (isAsked && codes.shift())
					return route.fulfill({ contentType: "text/event-stream",
						body: `event: refused\ndata: ${data}\n\n` });
				return route.continue();
			});
			await isReady(page);
			await page.click(`#channels button[aria-label="Watch ${channel}"]`);
			await until(() => asked.length >= 3, "the console to ask");
			assert.deepEqual(asked.slice(0, 3), [true, true, false]);
		});
	});

	it("comes back when the node does, and is live again", async () => {
		await withServer({}, async (own) => {
			await withConsole(own, {}, async (page) => {
				await isReady(page);
				await own.stop();
				await page.waitForSelector('#state[data-state="lost"]');
				await own.start();
				await isReady(page);
				await publish(own, "after", 1);
				await says(page, "#channels", "after");
			});
		});
	});

	it("publishes JSON and words, by keyboard", async () => {
		const channel = fresh("publish");
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await page.focus("#channel");
			await page.keyboard.type(channel);
			await page.keyboard.press("Enter");
			await says(page, "#tail-state", "live");
			await page.focus("#data");
			await page.keyboard.type(`{"n": 1}`);
			await page.keyboard.press("Enter");
			await says(page, "#tail", `{"n":1}`);
			await page.keyboard.type("just words");
			await page.keyboard.press("Enter");
			await says(page, "#tail", `"just words"`);
			await says(page, "#published", "Published as ");
		});
	});

	it("disconnects a client", async () => {
		const client = await NativeClient.open(server, { query: "user=mallory" });
		const id = client.welcome.connection;
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await page.fill("#user", "mallory");
			await page.click(`button[aria-label="Disconnect ${id}"]`);
			assert.deepEqual(await client.closing(), { code: 1008, reason: "disconnected" });
			await says(page, "#disconnected", "was disconnected");
			await page.waitForFunction(() =>
				document.querySelector("#connections").rows.length === 0);
			await says(page, "#troubles", "ended disconnected");
		});
	});

	it("fits a phone, and the dark", async () => {
		const channel = fresh("prices");
		const client = await NativeClient.open(server, { query: "user=ann" });
		await client.subscribe(channel);
		const views = {
			"console-light": { viewport: { width: 1280, height: 900 } },
			"console-dark": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
			"console-phone": { viewport: { width: 375, height: 812 }, colorScheme: "dark" },
		};
		for (const [name, options] of Object.entries(views)) {
			await withConsole(server, options, async (page) => {
				await isReady(page);
				await page.fill("#channel", channel);
				await page.press("#channel", "Enter");
				for (let i = 0; i < (process.env.PICTURES ? 3 : 1); i++) { /* for the plots */
					const before = await page.getAttribute(".plot polyline", "points");
					await publishCount(server, channel, 15);
					await page.waitForFunction((points) => points !==
						document.querySelector(".plot polyline").getAttribute("points"), before);
				}
				await says(page, "#tail", "15");
				await page.waitForFunction(() => document.documentElement.scrollWidth <=
					document.documentElement.clientWidth);
				await take(page, name);
			});
		}
		client.close();
	});
});

describe("the console: who may see it", () => {
	const server = useServer({ options: ["auth.api_key=sesame"] });

	it("is a page for anybody, and asks for the key", async () => {
		await withConsole(server, {}, async (page) => {
			await page.waitForSelector("#ask-key[open]");
			await page.fill("#api-key", "wrong");
			await page.press("#api-key", "Enter");
			await says(page, "#key-error", "not a key");
			await page.fill("#api-key", "sesame");
			await take(page, "console-key");
			await page.press("#api-key", "Enter");
			await isReady(page);
			assert.equal(await page.isVisible("#ask-key"), false);
			await page.reload();
			await isReady(page);
			await page.click("#forget");
			await page.waitForSelector("#ask-key[open]");
		});
	});

	it("never has the key in an address", async () => {
		await withConsole(server, {}, async (page) => {
			const urls = [];
			page.on("request", (request) => urls.push(request.url()));
			await page.fill("#api-key", "sesame");
			await page.press("#api-key", "Enter");
			await isReady(page);
			await page.fill("#channel", "a");
			await page.press("#channel", "Enter");
			await says(page, "#tail-state", "live");
			assert.ok(urls.length > 0);
			assert.deepEqual(urls.filter((url) => url.includes("sesame")), []);
		});
	});

	it("is where / leads outside open mode", async () => {
		const answer = await call(server, "GET", "/");
		assert.equal(answer.status, 302);
		assert.equal(answer.headers.location, "/console");
	});

	it("has a policy that lets in nothing but this server's own files", async () => {
		const { headers, text } = await call(server, "GET", "/console");
		assert.match(headers["content-security-policy"], /default-src 'self'/);
		assert.doesNotMatch(headers["content-security-policy"], /unsafe/);
		assert.doesNotMatch(text, /<script(?![^>]* src=)/);
		assert.doesNotMatch(text, / style=| on[a-z]+=/);
	});
});

describe("the console: a drain", () => {
	it("is asked about, and begins", async () => {
		const server = await startServer({ options: ["drain.time=1h"] });
		const client = await NativeClient.open(server);
		await withConsole(server, {}, async (page) => {
			await isReady(page);
			await page.click("#drain");
			await page.keyboard.press("Escape");
			assert.equal((await call(server, "GET", "/ready")).status, 200);
			await page.click("#drain");
			await page.click('#ask-drain button[value="yes"]');
			await page.waitForSelector('#state[data-state="draining"]');
			await until(async () => (await call(server, "GET", "/ready")).status === 503, "a drain");
		});
		client.socket.destroy();
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
	});
});
