/*
 * browser.mjs - pages in a real browser, and what they find wrong with themselves.
 *
 * A page costs four times as much to make as to load, so those that are given back are lent again: empty,
 * and without what was stored. One browser serves all tests of a file.
 *
 * CHROMIUM  path of the browser (default /usr/bin/chromium)
 */
import assert from "node:assert/strict";
import { after } from "node:test";

import { chromium } from "playwright-core";

import { isSecureByDefault, patience } from "./harness.mjs";

let launched = null;
const resting = []; /* pages, with the options that they were made with */

after(async () => (await launched)?.close());

function browser() {
	launched ??= chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync"],
	});
	return launched;
}

const kindOf = (options) => JSON.stringify(options);

async function makePage(options) {
	const context = await (await browser()).newContext(
		{ ignoreHTTPSErrors: isSecureByDefault, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(patience);
	page.kind = kindOf(options);
	page.viewport = page.viewportSize();
	page.faults = [];
	page.on("pageerror", (error) => page.faults.push(error.message));
	page.on("console", (message) => {
		if (/Content.Security.Policy/i.test(message.text()))
			page.faults.push(message.text());
	});
	return page;
}

/* A page that is at no address yet; `options` as of newContext(). */
export function takePage(options = {}) {
	const at = resting.findIndex((page) => page.kind === kindOf(options));
	return at >= 0 ? resting.splice(at, 1)[0] : makePage(options);
}

/* Fails when the page found a fault. One with scripts or routes of its own `isSpent`. */
export async function givePage(page, { isSpent = false } = {}) {
	const faults = page.faults.splice(0);
	try {
		if (isSpent)
			throw new Error("spent");
		await page.evaluate(() => [localStorage, sessionStorage].forEach((store) => store.clear()));
		await page.goto("about:blank");
		page.faults.length = 0; /* what was under way fails as the page is left */
		await page.context().clearCookies();
		await page.setViewportSize(page.viewport);
		resting.push(page);
	} catch {
		await page.context().close();
	}
	assert.deepEqual(faults, []);
}

/* So many pages for one test. */
export async function withPages(count, body, options) {
	const pages = await Promise.all(Array.from({ length: count }, () => takePage(options)));
	try {
		await body(...pages);
	} catch (error) {
		await Promise.all(pages.map((page) => page.context().close()));
		throw error;
	}
	await Promise.all(pages.map((page) => givePage(page)));
}

/* Until the element says so. */
export const says = (page, selector, text) => page.waitForFunction(
	([where, what]) => document.querySelector(where)?.textContent.includes(what),
	[selector, text]);
