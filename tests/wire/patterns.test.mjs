/*
 * patterns.test.mjs - the page of patterns, in a real browser: two windows, and what one does in the
 * other.
 *
 * PICTURES  folder for pictures of the page; none are taken without it
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { says, withPages } from "./browser.mjs";
import { NativeClient } from "./clients.mjs";
import { call, until, useServer } from "./harness.mjs";

const withWindows = (server, count, body, options) => withPages(count, async (...pages) => {
	for (const page of pages) {
		await page.goto(`${server.url}/patterns`);
		await page.waitForSelector('#state[data-state="open"]');
	}
	await body(...pages);
}, options);

describe("the page of patterns", () => {
	const server = useServer();

	it("a dashboard shows in one window what another feeds, and to who comes late", async () => {
		await withWindows(server, 2, async (one, two) => {
			await one.click("#feed");
			await two.waitForFunction(() => document.querySelectorAll("#tiles b").length === 3);
			await one.click("#feed");
			assert.equal(await one.getAttribute("#feed", "aria-pressed"), "false");
		});
		await withWindows(server, 1, (late) =>
			late.waitForFunction(() => document.querySelectorAll("#tiles b").length > 0));
	});

	it("cursors are seen by others, by pointer and by keys", async () => {
		await withWindows(server, 2, async (one, two) => {
			await until(async () => {
				await one.hover("#field", { position: { x: 40, y: 40 } });
				await one.hover("#field", { position: { x: 60, y: 50 } });
				return await two.locator("#field circle").count() === 1;
			}, "a pointer");
			const placeOf = () => two.getAttribute("#field g", "transform");
			const place = await placeOf();
			await one.focus("#field");
			await until(async () => {
				await one.keyboard.press("ArrowRight");
				return await placeOf() !== place;
			}, "it to move");
			assert.equal(await one.locator("#field circle").count(), 0);
		});
	});

	/* Runs doc/game meanwhile. */
	async function withGame(body) {
		const game = spawn("python3", [fileURLToPath(new URL("../../doc/game", import.meta.url)),
			server.url], { stdio: ["ignore", "ignore", "pipe"] });
		let said = "";
		game.stderr.setEncoding("utf8").on("data", (text) => { said += text; });
		const ended = new Promise((resolve) => game.on("close", resolve));
		try {
			await body();
			assert.equal(game.exitCode, null, said);
		} finally {
			game.kill("SIGKILL");
			await ended;
		}
	}

	it("a game by a backend's ticks is played in every window, over every transport", async () => {
		await withGame(() => withWindows(server, 2, async (one, two) => {
			for (const transport of ["websocket", "sse", "poll"]) {
				await two.selectOption("#transport", transport);
				await two.waitForSelector('#state[data-state="open"]');
				const before = await two.textContent("#ticks");
				await two.waitForFunction((text) =>
					document.querySelector("#ticks").textContent !== text, before);
			}
			/* One plays by pointer, two by keys; the game forgets who is still. They may have drawn
			 * the same number, one of 255. */
			let seen;
			await until(async () => {
				await one.hover("#game", { position: { x: 40 + Math.random() * 40, y: 40 } });
				await two.focus("#game");
				await two.keyboard.press("ArrowLeft");
				seen = [await one.textContent("#ticks"), await two.textContent("#ticks")];
				return seen.every((text) => /players: [12], you have/.test(text));
			}, "both to play").catch((error) => { throw new Error(`${error.message}: ${seen}`); });
		}));
	});

	it("who goes to the crumb has caught one", async () => {
		await withGame(async () => {
			const player = await NativeClient.open(server);
			await player.subscribe("demo:game");
			await player.subscribe("demo:moves");
			await player.publish("demo:moves", ["no move", { that: "is" }, -1]);
			await player.hearAll((message) => {
				if (message.payload === undefined)
					return false; /* a move */
				const [crumb, x, y, none, ...players] = message.payload;
				assert.deepEqual([crumb, none], [0, 0]);
				for (const data of [[78, 0, 0], [77, x, y]])
					player.say({ type: "publish", channel: "demo:moves", data, echo: false });
				return players.length === 8 && players[4] === 77 && players[7] === 1;
			});
			player.close();
		});
	});

	it("a notification reaches whom it is for, and nobody else", async () => {
		await withWindows(server, 2, async (one, two) => {
			await two.fill("#me", "bob");
			await two.press("#me", "Tab");
			await one.fill("#whom", "bob");
			await one.press("#whom", "Enter");
			await says(two, "#notes", `a word from ${await one.inputValue("#me")}`);
			assert.equal(await one.locator("#notes li").count(), 0);
		});
	});

	it("an answer is read as it is written, whole after the connection was broken", async () => {
		await withWindows(server, 2, async (one, two) => {
			await one.click("#ask");
			await says(two, "#answer", "A channel");
			await two.click("#drop");
			await says(two, "#answer", "goes on with what is new");
			const text = await two.textContent("#answer");
			assert.equal(text.split("subscriber").length, 2, text);
		});
	});

	it("shows the source that runs, and fits a phone", async () => {
		await withWindows(server, 1, async (page) => {
			for (const name of ["board", "cursors", "game", "notes", "tokens"])
				assert.match(await page.textContent(`#${name}-source`), /^function \w+\(/);
			await page.click("#ask");
			await page.click("#feed");
			await says(page, "#answer", "what is new");
			await page.waitForFunction(() => document.querySelectorAll("#tiles b").length === 3);
			if (process.env.PICTURES)
				await page.screenshot({
					path: path.join(process.env.PICTURES, "patterns.png"), fullPage: true });
			await page.setViewportSize({ width: 375, height: 812 });
			await page.waitForFunction(() => document.documentElement.scrollWidth <=
				document.documentElement.clientWidth);
		}, { viewport: { width: 1280, height: 900 } });
	});

	it("is linked from the first page", async () => {
		assert.match((await call(server, "GET", "/")).text, /href="\/patterns"/);
	});
});
