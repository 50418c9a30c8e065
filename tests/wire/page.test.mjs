/* The first page, in a real browser, as a person meets it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { givePage, says, takePage } from "./browser.mjs";
import { call, publish, until, useServer, withServer } from "./harness.mjs";

let rooms = 0;

/* A tab of a person, who has a name, in a room of the test. Faults of the page fail the test. */
class Tab {
	static async open(server, room, { name = "ann", prepare } = {}) {
		const page = await takePage();
		const tab = Object.assign(new Tab(), {
			server, room, page, name, isSpent: prepare !== undefined });
		await prepare?.(page);
		await page.goto(`${server.url}/?room=${room}`);
		await page.fill("#name", name);
		return tab;
	}

	close() {
		return givePage(this.page, { isSpent: this.isSpent });
	}

	async say(text) {
		await this.page.fill("#text", text);
		await this.page.click("#composer button");
	}

	/* Until the messages shown are these, and no others. */
	async shows(...texts) {
		const shown = (wanted) => {
			const lines = [...document.querySelectorAll(".message p")];
			return JSON.stringify(lines.map((line) => line.textContent)) === wanted;
		};
		const wanted = JSON.stringify(texts);
		await this.page.waitForFunction(shown, wanted).catch(async () => {
			assert.deepEqual(
				await this.page.locator(".message p").allTextContents(),
				texts,
			);
		});
	}

	isOpen(transport) {
		return this.page.waitForFunction(
			(name) =>
				document.querySelector('#status[data-state="open"]') !== null &&
				document.querySelector("#transport").textContent === name,
			transport,
		);
	}

	cursor() {
		return this.page.textContent("#cursor");
	}
}

async function withTabs(tabs, body) {
	try {
		await body(...tabs);
	} finally {
		await Promise.all(tabs.map((tab) => tab.close()));
	}
}

describe("the first page", () => {
	const server = useServer();
	const check = (claim, body) => test(claim, () => body(`room-${++rooms}`));
	const open = (room, options) => Tab.open(server, room, options);

	check("two tabs talk", async (room) => {
		const tabs = [await open(room, { name: "ann" }), await open(room, { name: "bob" })];
		await withTabs(tabs, async (ann, bob) => {
			await ann.isOpen("WebSocket");
			await ann.say("hello bob");
			await bob.shows("hello bob");
			await bob.say("hello ann");
			for (const tab of tabs) await tab.shows("hello bob", "hello ann");
			assert.deepEqual(await ann.page.locator(".own p").allTextContents(), [
				"hello bob",
			]);
			assert.equal(await ann.page.textContent(".message:not(.own) b"), "bob");
		});
	});

	check("a reload shows what was said, and keeps the name", async (room) =>
		withTabs([await open(room, { name: "cleo" })], async (tab) => {
			await tab.say("one");
			await tab.say("two");
			await tab.shows("one", "two");
			await tab.page.reload();
			await tab.shows("one", "two");
			assert.equal(await tab.page.inputValue("#name"), "cleo");
		}),
	);

	check("who types is shown to others, until it is said", async (room) => {
		const tabs = [await open(room, { name: "ann" }), await open(room, { name: "bob" })];
		await withTabs(tabs, async (ann, bob) => {
			for (const tab of tabs) await tab.isOpen("WebSocket");
			await until(async () => {
				await bob.page.type("#text", "w");
				return (await ann.page.textContent("#typing")).includes("bob typing");
			}, "bob to type");
			const text = await bob.page.inputValue("#text");
			assert.equal(await bob.page.textContent("#typing"), "");
			await bob.page.click("#composer button");
			await ann.shows(text);
			await ann.page.waitForFunction(() =>
				document.querySelector("#typing").textContent === "");
		});
	});

	check("where the channel has no presence, it says what to set", async (room) =>
		withTabs([await open(room)], async (tab) => {
			await tab.isOpen("WebSocket");
			await says(tab.page, "#here", "channel.chat:*.presence=full");
		}),
	);

	check("what the server API publishes appears", async (room) =>
		withTabs([await open(room)], async (tab) => {
			await publish(server, `chat:${room}`, {
				name: "backend",
				text: "by POST /api/publish",
			});
			const answer = await call(server, "POST", `/publish?channel=chat:${room}`, {
				headers: { "content-type": "text/plain" },
				body: "by POST /publish",
			});
			assert.equal(answer.status, 200, answer.text);
			await tab.shows("by POST /api/publish", "by POST /publish");
			assert.equal(await tab.cursor(), answer.json().id);
		}),
	);

	check("any other data is shown for what it is", async (room) =>
		withTabs([await open(room)], async (tab) => {
			const target = `/publish?channel=chat:${room}`;
			for (const [type, body] of [
				["application/json", '"hello"'],
				["application/json", '{"price":1}'],
				["application/json", "null"],
				["application/octet-stream", "\x01\x02"],
			]) {
				const headers = { "content-type": type };
				await call(server, "POST", target, { headers, body });
			}
			await tab.shows("hello", '{\n "price": 1\n}', "null", "2 bytes");
			const names = await tab.page.locator(".message b").allTextContents();
			assert.deepEqual(new Set(names), new Set(["somebody"]));
		}),
	);

	check("the curl line does what it says", async (room) =>
		withTabs([await open(room)], async (tab) => {
			const line = await tab.page.textContent("#curl");
			const [, url, body] = /^curl (\S+) -d '(.*)'$/s.exec(line);
			/* As curl -d says. */
			const headers = { "content-type": "application/x-www-form-urlencoded" };
			const answer = await call(server, "POST", new URL(url).pathname, {
				headers,
				body,
			});
			assert.equal(answer.status, 200, answer.text);
			await tab.shows("hello");
		}),
	);

	check("markup in a message is text", async (room) =>
		withTabs([await open(room)], async (tab) => {
			await tab.say("<img src=x onerror=alert(1)>");
			await tab.shows("<img src=x onerror=alert(1)>");
			assert.equal(await tab.page.locator(".messages img").count(), 0);
		}),
	);

	for (const [value, name] of [
		["websocket", "WebSocket"],
		["sse", "SSE"],
		["poll", "long poll"],
	]) {
		check(`${name} carries the room, and a dropped one resumes`, async (room) =>
			withTabs([await open(room)], async (tab) => {
				await tab.page.check(`input[value=${value}]`, { force: true });
				await tab.isOpen(name);
				await tab.say("before");
				await tab.shows("before");
				const cursor = await tab.cursor();
				await tab.page.click("#drop");
				await publish(server, `chat:${room}`, "while away");
				await tab.page.waitForSelector(
					`.note:has-text("resuming after ${cursor}")`,
				);
				await tab.isOpen(name);
				await tab.say("after");
				await tab.shows("before", "while away", "after");
			}),
		);
	}

	check("a change of transport loses nothing and repeats nothing", async (room) =>
		withTabs([await open(room)], async (tab) => {
			const said = [];
			for (const value of ["poll", "sse", "websocket", "auto"]) {
				await tab.page.check(`input[value=${value}]`, { force: true });
				said.push(`during ${value}`);
				await publish(server, `chat:${room}`, said.at(-1));
				await tab.shows(...said);
			}
			await tab.isOpen("WebSocket");
		}),
	);

	/* Takes a constructor away from the page, or lets its connections fail. */
	const block = (names) => (page) =>
		page.addInitScript((blocked) => {
			for (const name of blocked)
				window[name] = class extends EventTarget {
					constructor() {
						super();
						setTimeout(() => {
							this.onerror?.(new Event("error"));
							this.onclose?.(
								new CloseEvent("close", {
									code: 1006,
								}),
							);
						});
					}

					close() {}
				};
		}, names);

	check("where WebSocket is blocked the page takes SSE", async (room) =>
		withTabs([await open(room, { prepare: block(["WebSocket"]) })], async (tab) => {
			await tab.isOpen("SSE");
			await tab.say("still here");
			await tab.shows("still here");
		}),
	);

	check("where SSE is blocked too it polls", async (room) => {
		/* As by a proxy: the request itself is refused. */
		const prepare = async (page) => {
			await block(["WebSocket"])(page);
			await page.route("**/events?*", (route) => route.abort());
		};
		await withTabs([await open(room, { prepare })], async (tab) => {
			await tab.isOpen("long poll");
			await tab.say("still here");
			await tab.shows("still here");
		});
	});

	for (const [width, height] of [
		[1280, 800],
		[390, 844],
	]) {
		check(`nothing sticks out at ${width} x ${height}`, async (room) =>
			withTabs([await open(room)], async (tab) => {
				await tab.page.setViewportSize({ width, height });
				await tab.say("long".repeat(200));
				await tab.shows("long".repeat(200));
				assert.equal(
					await tab.page.evaluate(
						() => document.documentElement.scrollWidth,
					),
					width,
				);
				assert.ok(await tab.page.isVisible("#text"));
			}),
		);
	}

	test("the files say their types, and the page its policy", async () => {
		for (const [path, type] of [
			["/", "text/html"],
			["/demo.js", "text/javascript"],
			["/common.css", "text/css"],
			["/demo.css", "text/css"],
		]) {
			const answer = await call(server, "GET", path);
			assert.equal(answer.status, 200);
			assert.ok(
				answer.headers["content-type"].startsWith(type),
				answer.headers["content-type"],
			);
		}
		const { text } = await call(server, "GET", "/");
		assert.doesNotMatch(
			text,
			/<style|style=|\son[a-z]+=|<script(?! type="module" src=)/,
		);
	});
});

test("who is there is shown, comes and goes, by the name of the moment", () =>
	withServer({ options: ["channel.chat:*.presence=full", "channel.chat:*.presence_grace=0"] },
		async (server) => {
			const room = `room-${++rooms}`;
			await withTabs([await Tab.open(server, room)], async (ann) => {
				await ann.page.press("#name", "Tab");
				await says(ann.page, "#here", "Here: ann");
				const bob = await Tab.open(server, room, { name: "bob" });
				await bob.page.press("#name", "Tab");
				await says(ann.page, "#here", "bob");
				await says(bob.page, "#here", "ann");
				await bob.page.fill("#name", "rob");
				await bob.page.press("#name", "Tab");
				await says(ann.page, "#here", "rob");
				await ann.page.waitForFunction(() =>
					!document.querySelector("#here").textContent.includes("bob"));
				await bob.close();
				await ann.page.waitForFunction(() =>
					document.querySelector("#here").textContent === "Here: ann");
			});
		}));

test("a server killed and started again: the page comes back and tells the gap", () =>
	withServer({}, async (server) => {
		const room = `room-${++rooms}`;
		await withTabs([await Tab.open(server, room)], async (tab) => {
			await tab.say("before");
			await tab.shows("before");
			const cursor = await tab.cursor();
			await server.kill();
			await tab.page.waitForSelector('#status[data-state="waiting"]');
			await server.start();
			await publish(server, `chat:${room}`, "after");
			await tab.page.waitForSelector('.note:has-text("A gap")');
			await tab.shows("before", "after");
			await tab.isOpen("WebSocket");
			assert.notEqual((await tab.cursor()).split("-")[0], cursor.split("-")[0]);
		});
	}));
