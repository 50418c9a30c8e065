/*
 * harness.mjs - the server under test.
 *
 * startServer() runs the real binary on a free port. stop() proves that it ended well: exit status
 * 0, no sanitizer report, no failed CHECK. Tests wait for events, never for time; when nothing has come
 * for `patience` the test fails. Clients that can misbehave are in clients.mjs.
 *
 * STARLING        path of the binary (default build/release/starling)
 * STARLING_SCALE  share of the long tests' work to do (default 1; 0.1 for a sanitizer build)
 * STARLING_TLS    1: servers speak TLS, and so do their clients, unless a test speaks plainly
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import tls from "node:tls";
import { fileURLToPath } from "node:url";

import { commonCertificate } from "./certificates.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

export const binary = path.resolve(
	process.env.STARLING ?? path.join(here, "../../build/release/starling"));

/* Certificates of the tests are signed by themselves. */
export let isSecureByDefault = process.env.STARLING_TLS === "1";
const trusting = { rejectUnauthorized: false };
if (isSecureByDefault)
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"; /* for libraries that take no options */

/* For tests of what is plain text, or has its own tests over TLS; before any server. */
export function speakPlainly() {
	isSecureByDefault = false;
}

/* A sanitizer build is slower, and its memory says nothing about the server's. */
export const isBuiltWith = (symbol) => fs.existsSync(binary) && fs.readFileSync(binary).includes(symbol);
export const isSanitized = ["__asan_init", "__tsan_init"].some(isBuiltWith);
/* To the thread sanitizer a number is one and the same descriptor in all threads. */
export const hasThreadSanitizer = isBuiltWith("__tsan_init");
export const hasOneTable = hasThreadSanitizer &&
	"the thread sanitizer knows one descriptor table alone";
export const scale = Number(process.env.STARLING_SCALE ?? (isSanitized ? 0.1 : 1));
export const patience = isSanitized ? 60_000 : 20_000;

/* ---- waiting ---- */

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/* `promise`, or a failure that says what did not come. */
export async function within(promise, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), patience);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

/* The first truthy answer of `question`, for what has no event to wait for. */
export async function until(question, what = String(question)) {
	const deadline = Date.now() + patience;
	for (;;) {
		const answer = await question();
		if (answer)
			return answer;
		if (Date.now() > deadline)
			throw new Error(`waited in vain for ${what}`);
		await sleep(10);
	}
}

/*
 * Waits for a question to be answered, asked again at each wake(). Patience is for silence: with each
 * sign of life it begins anew, so that much that comes slowly is not too much; to four times in all.
 */
export class Signal {
	#asking = new Set();

	wake() {
		for (const ask of [...this.#asking])
			ask();
	}

	when(question, what) {
		return new Promise((resolve, reject) => {
			const end = Date.now() + 4 * patience;
			const settle = (how, value) => {
				clearTimeout(timer);
				this.#asking.delete(ask);
				how(value);
			};
			const timer = setTimeout(() => settle(reject, new Error(`waited in vain for ${what}`)),
				patience);
			const ask = () => {
				try {
					const answer = question();
					if (answer)
						settle(resolve, answer);
					else if (Date.now() < end)
						timer.refresh();
				} catch (error) {
					settle(reject, error);
				}
			};
			this.#asking.add(ask);
			ask();
		});
	}
}

/* ---- the server ---- */

const alive = new Set();
process.on("exit", () => alive.forEach((child) => child.kill("SIGKILL")));
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"])
	process.on(name, () => process.exit(1)); /* so that nothing is left behind */

/* The environment of this process without what the server would read in it. */
export function cleanEnvironment(extra) {
	const env = Object.fromEntries(
		Object.entries(process.env).filter(([name]) => !name.startsWith("STARLING")));
	const trusted = isSecureByDefault ? { SSL_CERT_FILE: commonCertificate().cert } : {};
	return { UBSAN_OPTIONS: "print_stacktrace=1", ...env, ...trusted, ...extra };
}

export function scratchDirectory() {
	const directory = fs.mkdtempSync(path.join(os.tmpdir(), "starling-wire-"));
	process.on("exit", () => fs.rmSync(directory, { recursive: true, force: true }));
	return directory;
}

export function writeScratch(name, text) {
	const file = path.join(scratchDirectory(), name);
	fs.writeFileSync(file, text);
	return file;
}

export function freePort() {
	return new Promise((resolve, reject) => {
		const probe = net.createServer().on("error", reject);
		probe.listen(0, "127.0.0.1", () => {
			const { port } = probe.address();
			probe.close(() => resolve(port));
		});
	});
}

/* Throws when what the server wrote says that something in it is broken. */
function assertClean(stderr) {
	if (/Sanitizer|runtime error:|check failed/.test(stderr))
		throw new Error(`the server says that it is broken:\n${stderr}`);
}

export class Server {
	#settings;
	#child = null;
	#exit = null;
	#stderr = "";
	#sockets = new Set();

	/*
	 * `options` as after -o, and some of our own but for those `without`; `config` the text of a
	 * file, `port` a free one unless given;
	 * `program` another one than STARLING. A server that `isSecure` speaks TLS, with the
	 * certificate { cert, key }; one with a `socketPath` is spoken to there, without.
	 */
	constructor({
		options = [], without = [], env = {}, config, args = [], port, program = binary,
		isSecure = isSecureByDefault, certificate, socketPath,
	} = {}) {
		this.port = port;
		this.socketPath = socketPath;
		this.isSecure = isSecure;
		this.#settings = { options, without, env, args, program };
		if (isSecure)
			this.certificate = certificate ?? commonCertificate();
		this.#settings.file = config === undefined
			? null : writeScratch("starling.conf", config);
	}

	get scheme() { return this.isSecure ? "https" : "http"; }
	get url() { return `${this.scheme}://127.0.0.1:${this.port}`; }
	get wsUrl() { return `${this.isSecure ? "wss" : "ws"}://127.0.0.1:${this.port}/ws`; }
	get pid() { return this.#child?.pid; }
	get file() { return this.#settings.file; }
	get isAlive() { return alive.has(this.#child); }
	stderr() { return this.#stderr; }

	#listeners() {
		if (this.socketPath)
			return [`listen.http=unix:${this.socketPath}`];
		if (!this.isSecure)
			return [`listen.http=127.0.0.1:${this.port}`];
		const { cert, key } = this.certificate;
		return [
			"listen.http=", `listen.https=127.0.0.1:${this.port}`,
			`tls.cert=${cert}`, `tls.key=${key}`,
		];
	}

	#arguments() {
		const given = [...this.#settings.without,
			...this.#settings.options.map((option) => option.split("=")[0])];
		const defaults = [
			...this.#listeners(), "workers.count=2", "drain.time=1s",
		].filter((option) => !given.includes(option.split("=")[0]));
		const options = [...defaults, ...this.#settings.options];
		return [
			"serve",
			...(this.#settings.file ? ["-c", this.#settings.file] : []),
			...options.flatMap((option) => ["-o", option]),
			...this.#settings.args,
		];
	}

	/* `option`, as after -o, from the next start on. */
	set(option) {
		const key = option.split("=")[0];
		const others = this.#settings.options.filter((other) => other.split("=")[0] !== key);
		this.#settings.options = [...others, option];
	}

	/* What it runs from the next start on. */
	become(program) {
		this.#settings.program = program;
	}

	async start() {
		this.port ??= await freePort();
		this.#stderr = "";
		const child = spawn(this.#settings.program, this.#arguments(), {
			env: cleanEnvironment(this.#settings.env),
			stdio: ["ignore", "ignore", "pipe"],
		});
		alive.add(child);
		child.unref();
		child.stderr.unref();
		child.stderr.setEncoding("utf8").on("data", (text) => { this.#stderr += text; });
		this.#child = child;
		this.#exit = new Promise((resolve) => {
			child.on("error", (error) => { this.#stderr += error.message; });
			child.on("close", (code, signal) => {
				alive.delete(child);
				resolve({ code, signal });
			});
		});
		await until(() => this.#isHealthy(), "GET /health");
		return this;
	}

	async #isHealthy() {
		if (!alive.has(this.#child))
			throw new Error(`the server ended at its start:\n${this.#stderr}`);
		const answer = await call(this, "GET", "/health").catch(() => null);
		return answer?.status === 200;
	}

	/* A new connection, and the event that says that it stands. `options` as of net.connect();
	 * `secure` as of tls.connect(). */
	connect({ secure = {}, ...options } = {}) {
		if (this.socketPath)
			options.path = this.socketPath;
		const to = options.path ? {} : { port: this.port, host: "127.0.0.1" };
		const plain = this.track(net.connect({ ...to, ...options }));
		if (!this.isSecure || options.path)
			return { socket: plain, event: "connect" };
		const socket = this.track(tls.connect({
			socket: plain, ALPNProtocols: ["http/1.1"], ...trusting, ...secure }));
		plain.on("error", (error) => socket.destroy(error));
		socket.plain = plain;
		socket.resetAndDestroy = () => plain.resetAndDestroy();
		return { socket, event: "secureConnect" };
	}

	/* A socket of the tests; closed before the server is, so that a drain waits for nobody. */
	track(socket) {
		this.#sockets.add(socket);
		socket.on("close", () => this.#sockets.delete(socket));
		return socket;
	}

	/* How the process ended: { code, signal }. */
	async ended() {
		const status = await within(this.#exit, "the server to end");
		assertClean(this.#stderr);
		return status;
	}

	signal(name) {
		this.#child.kill(name);
	}

	/* What it will read at its next start. */
	configure(config) {
		fs.writeFileSync(this.#settings.file, config);
	}

	/* Has it read `config`, or what is there, once more; the line it says about that. */
	async reload(config) {
		if (config !== undefined)
			this.configure(config);
		const before = this.#stderr.length;
		this.signal("SIGHUP");
		const said = () => /^starling: the configuration .*\n/m.exec(this.#stderr.slice(before));
		return (await until(said, "the configuration to be read again"))[0].trimEnd();
	}

	async stop() {
		this.#sockets.forEach((socket) => socket.destroy());
		this.signal("SIGTERM");
		try {
			const status = await this.ended();
			assert.deepEqual(status, { code: 0, signal: null }, this.#stderr);
		} finally {
			this.signal("SIGKILL");
		}
	}

	async kill() {
		this.signal("SIGKILL");
		this.#sockets.forEach((socket) => socket.destroy());
		return this.ended();
	}

	/* The same server again, on the same port, with an empty memory. */
	async restart() {
		if (alive.has(this.#child))
			await this.stop();
		return this.start();
	}

	memory() {
		const status = fs.readFileSync(`/proc/${this.pid}/status`, "latin1");
		return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
	}
}

export function startServer(settings) {
	return new Server(settings).start();
}

/* One server for all tests of the surrounding describe(). */
export function useServer(settings) {
	const server = new Server(settings);
	before(() => server.start());
	after(() => server.stop());
	return server;
}

/* One server for one test. */
export async function withServer(settings, body) {
	const server = await startServer(settings);
	try {
		await body(server);
	} catch (error) {
		const { code, signal } = await server.kill();
		const how = code ?? signal;
		if (signal !== "SIGKILL")
			error.message += `\nthe server ended by itself: ${how}\n${server.stderr()}`;
		throw error;
	}
	await server.stop();
}

/* Runs the binary to its end: { status, stdout, stderr }. */
export async function run(args, { env = {}, input = "", program = binary } = {}) {
	const child = spawn(program, args, { env: cleanEnvironment(env) });
	alive.add(child);
	const output = { stdout: "", stderr: "" };
	child.stdout.setEncoding("utf8").on("data", (text) => { output.stdout += text; });
	child.stderr.setEncoding("utf8").on("data", (text) => { output.stderr += text; });
	child.stdin.on("error", () => {});
	child.stdin.end(input);
	const ended = new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code, signal) => resolve(code ?? signal));
	});
	try {
		const status = await within(ended, `${args.join(" ")} to end`);
		assertClean(output.stderr);
		return { status, ...output };
	} finally {
		child.kill("SIGKILL");
		alive.delete(child);
	}
}

let freshCount = 0;

/* A channel name that no other test uses. */
export function fresh(stem = "channel") {
	return `${stem}-${++freshCount}`;
}

/* ---- HTTP ---- */

/* As http.request(), on a connection of its own. */
export function requestTo(url, options) {
	const { request } = url.startsWith("https:") ? https : http;
	return request(url, { agent: false, ...trusting, ...options });
}

/* A node of a mesh may not have been answered by another one in time, and says so. Where a test is
 * about something else, the server `isPatient`: what is unavailable is asked again, as clients do. */
async function persist(server, ask, isUnavailable) {
	const end = Date.now() + patience;
	for (;;) {
		const answer = await ask();
		if (!server.isPatient || !isUnavailable(answer) || Date.now() > end)
			return answer;
	}
}

/* The same for a command over WebSocket. */
export const persistently = (server, ask) =>
	persist(server, ask, (answer) => answer.code === "unavailable");

/* One request on a connection of its own: { status, headers, text, json() }. */
export function call(server, method, target, settings) {
	return persist(server, () => callOnce(server, method, target, settings),
		({ status, text }) => status === 503 && target !== "/ready" && text.includes('"unavailable"'));
}

function callOnce(server, method, target, { headers = {}, body } = {}) {
	const answer = new Promise((resolve, reject) => {
		const { socketPath } = server;
		const request = requestTo(server.url, { method, path: target, headers, socketPath });
		request.on("socket", (socket) => server.track?.(socket));
		request.on("error", reject);
		request.on("response", (response) => {
			let text = "";
			response.setEncoding("utf8");
			response.on("data", (piece) => { text += piece; });
			response.on("error", reject);
			response.on("end", () => resolve({
				status: response.statusCode,
				headers: response.headers,
				text,
				json: () => JSON.parse(text),
			}));
		});
		request.end(body);
	});
	return within(answer, `${method} ${target}`);
}

/* The answer is the error of SPEC section 3 with this status and code. */
export function assertError(answer, status, code) {
	assert.equal(answer.status, status, answer.text);
	assert.match(answer.headers["content-type"], /^application\/json\b/);
	const { error } = JSON.parse(answer.text);
	assert.equal(error.code, code);
	assert.equal(typeof error.message, "string");
}

/* The figures of /api/stats. */
export async function stats(server) {
	return (await call(server, "GET", "/api/stats")).json();
}

/* Every connection has ended, with a reason, but for the one that asks. */
export async function areAllGone(server) {
	const { connections_total: total, closes_total: closes } = await stats(server);
	return Object.values(closes).reduce((sum, each) => sum + each, 0) === total - 1;
}

/* How many the server has open. */
export function descriptorsOf(server) {
	return fs.readdirSync(`/proc/${server.pid}/fd`).length;
}

/* So that a publication that is said again is the same one. */
export const onceKey = (server) => server.isPatient ? { idempotency_key: fresh("key") } : {};

/* Publishes through the server API; the id of the publication. */
export async function publish(server, channel, data, more = {}) {
	const answer = await call(server, "POST", "/api/publish", {
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ channel, data, ...onceKey(server), ...more }),
	});
	assert.equal(answer.status, 200, answer.text);
	return answer.json().id;
}

/* Publishes 1, 2, … count; their ids. */
export async function publishCount(server, channel, count) {
	const ids = [];
	for (let data = 1; data <= count; data++)
		ids.push(await publish(server, channel, data));
	return ids;
}

export const epochOf = (id) => id.split("-")[0];
export const seqOf = (id) => Number(id.split("-")[1]);
