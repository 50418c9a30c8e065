/* README.md is true: what it tells to type into a shell or a browser does what is said there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { withPages } from "./browser.mjs";
import {
	binary, call, freePort, isSanitized, patience, speakPlainly, until, useServer,
	within,
} from "./harness.mjs";

/* As the README has it; https:// has a section of its own. */
speakPlainly();

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const readme = fs.readFileSync(path.join(root, "README.md"), "utf8");

/* The blocks of a section in their order: [language, text]. */
function blocksOf(heading) {
	const from = readme.indexOf(`# ${heading}\n`);
	assert.ok(from >= 0, `a section ${heading}`);
	const section = readme.slice(from + heading.length + 3).split(/^#+ /m)[0];
	return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) =>
		[language, text]);
}

const textOf = (heading, language) =>
	blocksOf(heading).filter(([of]) => of === language).map(([, text]) => text);

/* The server and the program of the test in place of those of the README, and the patience of one
 * whose machine has more to do. */
function here(server, text) {
	return text
		.replace(/\bsleep 1\b/g, `sleep ${isSanitized ? 6 : 2}`)
		.replaceAll("127.0.0.1:8000", `127.0.0.1:${server.port}`)
		.replaceAll("127.0.0.1:8443", `127.0.0.1:${server.securePort}`)
		.replace(/build\/release\/starling( (?:pub|sub|status)\b| &)?/g, (_, what = "") =>
			`'${binary}'${what === " &"
				? ` -o listen.http=127.0.0.1:${server.port} &`
				: what && `${what} --url ${server.url}`}`);
}

/* ---- in a shell ---- */

/* Where they leave their files. */
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "starling-readme-"));
after(() => fs.rmSync(scratch, { recursive: true, force: true }));

/* What the commands print, run as they stand there, the first that fails ending them. */
async function shell(server, text) {
	const child = spawn("bash", ["-euo", "pipefail", "-c", here(server, text)],
		{ detached: true, cwd: scratch, stdio: ["ignore", "pipe", "pipe"] });
	let out = "", err = "";
	child.stdout.setEncoding("utf8").on("data", (piece) => { out += piece; });
	child.stderr.setEncoding("utf8").on("data", (piece) => { err += piece; });
	const ended = new Promise((resolve) => child.on("exit", resolve));
	const closed = new Promise((resolve) => child.on("close", resolve));
	let status;
	try {
		status = await within(ended, `the end of ${text}`);
	} finally {
		try {
			process.kill(-child.pid, "SIGKILL"); /* whatever it left behind */
		} catch { /* nothing */ }
	}
	await within(closed, "all that was printed");
	assert.equal(status, 0, `${text}\n${out}\n${err}`);
	return out;
}

/* ---- in a browser ---- */

/* Runs the script in a page of the server while `meanwhile` is done, until it has printed all of
 * `wanted`. */
async function page(server, script, wanted, meanwhile = () => {}) {
	await withPages(1, async (tab) => {
		const printed = [];
		const print = (message) => printed.push(message.text());
		tab.on("console", print);
		await tab.goto(`${server.url}/health`);
		await tab.addScriptTag({ type: "module", content: here(server, script) });
		await until(async () => {
			await meanwhile();
			assert.deepEqual(tab.faults, [], script);
			return wanted.every((pattern) => printed.some((line) => pattern.test(line)));
		}, `${wanted} in ${printed}`);
		tab.off("console", print);
	}, { bypassCSP: true });
}

/* ---- what each section promises ---- */

/* Rows: the section, then for each of its blocks in that language what it prints. */
const shells = [
	["In a minute", [[/"id":"\w+-\d+","duplicate":false/]]],
	["Presence by example", [[/"count":1,"members":\[\{"user":"bob","connections":1\}\]/,
		/"user":"bob","online":true/, /"disconnected":1/, /"count":0,"members":\[\]/]]],
	["Chat that misses nothing", [[/"recovered":true,.*"while you were away"/]]],
	["A live dashboard", [[/^data: 5000$/m, /^data: 41$/m,
		/"messages":\[[^\]]*"data":5000[^\]]*"data":41[^\]]*\]/]]],
	["Game ticks", [[/"channel":"game:7".*"data":\{"base64":"AQID"\}/]]],
	["Token streaming", [[/data: The\n[^]*data: quick\n[^]*data: fox\n/, /"published":4/]]],
	["Notifications", [[/data: \{"unread":3\}/, /"code":"forbidden"/]]],
	["Tokens and rights", [[/"id":"\w+-1","duplicate":false/, /"messages":\[\{.*"data":"hello"/]]],
	["HTTPS", [[/"status":"ok"/]]],
	["From the shell", [[/^node\s+\S/m, /"channel":"trades".*"data":\{"price":101.5\}/]]],
];

const pages = [
	["In a minute", [[/"type":"message".*"price":7/], [/price: 7/], [/price: 103/]]],
	["Chat that misses nothing", [[/^hello$/]]],
	["A live dashboard", [[/^cpu 7$/]]],
	["Game ticks", [[/^10,20,30$/]]],
];

/* Somebody else publishes what the page waits for. */
const meanwhile = {
	"In a minute": ["/api/publish", { channel: "trades", data: { price: 7 } }],
	"A live dashboard": ["/api/publish", { channel: "board:1", key: "cpu", data: 7 }],
};

describe("readme", () => {
	const common = useServer({ config: textOf("By example", "ini")[0] });

	for (const [heading, blocks] of shells) {
		it(`${heading}: the shell prints what is said`, async () => {
			const texts = textOf(heading, "sh");
			let server = common;
			if (texts.join().includes("starling &")) { /* it starts a server itself */
				const port = await freePort(), securePort = await freePort();
				server = { port, securePort, url: `http://127.0.0.1:${port}` };
			}
			assert.equal(texts.length, blocks.length);
			for (const [i, patterns] of blocks.entries()) {
				const printed = await shell(server, texts[i]);
				for (const pattern of patterns)
					assert.match(printed, pattern);
			}
		});
	}

	for (const [heading, blocks] of pages) {
		it(`${heading}: the browser prints what is said`, async () => {
			const texts = textOf(heading, "js");
			assert.equal(texts.length, blocks.length);
			const [target, body] = meanwhile[heading] ?? [];
			for (const [i, patterns] of blocks.entries()) {
				await page(common, texts[i], patterns, () => target &&
					call(common, "POST", target, { body: JSON.stringify(body) }));
			}
		});
	}

	/* How a backend makes tokens is tried in token.test.mjs. */
	it("no shell or browser block is left out", () => {
		for (const [language, rows, elsewhere] of [["sh", shells, 0], ["js", pages, 1]]) {
			const all = readme.match(new RegExp(`^\`\`\`${language}$`, "gm")).length;
			const tested = rows.reduce((sum, [, blocks]) => sum + blocks.length, 0);
			assert.equal(tested + elsewhere, all);
		}
	});
});
