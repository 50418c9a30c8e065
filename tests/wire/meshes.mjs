/*
 * meshes.mjs - several servers that are nodes of one mesh, on loopback; and what stands at their
 * mesh port: a node that can misbehave.
 *
 * Nodes are named n1, n2 and so on, each joins by the addresses of the first two. Tests wait for what
 * GET /api/cluster shows, never for time.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import net from "node:net";

import { Server, Signal, call, until, within } from "./harness.mjs";

const given = new Set();

/* A free port that stays free for a node that goes and comes again: below those that the kernel gives to
 * outgoing connections. */
export async function portOfNode() {
	for (;;) {
		const port = 12_000 + crypto.randomInt(18_000);
		if (given.has(port))
			continue;
		given.add(port);
		const probe = net.createServer();
		const isFree = await new Promise((resolve) => {
			probe.on("error", () => resolve(false));
			probe.listen(port, "127.0.0.1", () => resolve(true));
		});
		await new Promise((resolve) => probe.close(resolve));
		if (isFree)
			return port;
	}
}

export const secret = "a secret of these tests and of no other cluster";

/* One that was stopped may close what it left waiting for too long: it is asked again. */
export async function clusterOf(server) {
	const ask = () => call(server, "GET", "/api/cluster");
	const answer = await ask().catch((error) => {
		if (error.code !== "ECONNRESET")
			throw error;
		return ask();
	});
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

/* What `server` finds of the node `name`; undefined: nothing. */
export async function stateOf(server, name) {
	const { members } = await clusterOf(server);
	return members.find((member) => member.node === name);
}

export async function figuresOf(server) {
	const answer = await call(server, "GET", "/api/stats");
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

export const isReady = async (server) =>
	(await call(server, "GET", "/ready").catch(() => null))?.status === 200;

export class Mesh {
	nodes = [];
	meshPorts = [];
	#options;

	constructor(options = []) {
		this.#options = options;
	}

	/* A server that is not started; `more` as of Server. */
	async add({ name, join, options = [], ...more } = {}) {
		const index = this.nodes.length;
		const port = await portOfNode();
		this.meshPorts.push(port);
		const seeds = join ?? this.meshPorts.slice(0, 2).map((seed) => `127.0.0.1:${seed}`);
		const keyIn = (option) => option.split("=")[0];
		const own = [...options, ...this.#options];
		for (const option of [
			`mesh.listen=127.0.0.1:${port}`, `mesh.join=${seeds.join(",")}`,
			`mesh.name=${name ?? `n${index + 1}`}`,
		])
			if (!own.some((other) => keyIn(other) === keyIn(option)))
				own.push(option);
		const given = own.map(keyIn);
		if (!given.some((key) => key.startsWith("mesh.secret")) && !more.config)
			own.push(`mesh.secret=${secret}`);
		if (!given.includes("workers.count"))
			own.push("workers.count=1");
		const node = new Server({ port: await portOfNode(), ...more, options: own });
		node.meshPort = port;
		node.isPatient = !this.#options.includes("mesh.partition=pause");
		node.name = name ?? `n${index + 1}`;
		this.nodes.push(node);
		return node;
	}

	async start(count) {
		const seeds = [await this.add(), ...count > 1 ? [await this.add()] : []];
		for (let i = 2; i < count; i++)
			await this.add();
		await Promise.all(this.nodes.map((node) => node.start()));
		assert.equal(seeds[0], this.nodes[0]);
		return this;
	}

	/* Every one of `nodes` finds every other one ready. */
	async converged(nodes = this.nodes) {
		const names = nodes.map((node) => node.name);
		for (const node of nodes) {
			await until(async () => {
				const { members } = await clusterOf(node);
				const ready = members.filter((member) => member.state === "ready");
				return ready.length === names.length &&
					ready.every((member) => names.includes(member.node));
			}, `${node.name} to find ${names}; it finds ${JSON.stringify(
				(await clusterOf(node)).members.map((member) => [member.node, member.state]))}`);
		}
	}

	async stop(nodes = this.nodes) {
		await Promise.all(nodes.map((node) => node.stop()));
	}
}

/* A mesh for one test. */
export async function withMesh(count, body, options, make = (options) => new Mesh(options)) {
	const mesh = make(options);
	try {
		await mesh.start(count);
		await body(mesh);
	} catch (error) {
		for (const node of mesh.nodes) {
			error.message += `\n${node.name}:\n${node.stderr()}`;
			if (node.pid)
				await node.kill().catch(() => {});
		}
		throw error;
	}
	await mesh.stop(mesh.nodes.filter((node) => node.isAlive));
}

/* ---- a stranger at the mesh port ---- */

const derive = (ofSecret, info, bytes) => Buffer.from(
	crypto.hkdfSync("sha256", ofSecret, "starling-mesh v1", info, bytes));

/* As src/net/tls_psk.c names and makes them. */
export function keyOf(ofSecret, cluster = "starling") {
	const id = derive(ofSecret, "id ", 8).toString("hex");
	const ofCluster = derive(ofSecret, `cluster ${cluster}`, 8).toString("hex");
	return {
		name: `starling-mesh-1 ${id} ${ofCluster}`,
		key: derive(ofSecret, `key ${cluster}`, 32).toString("hex"),
	};
}

/* A connection to the mesh port with the key of the cluster: OpenSSL's own client, to which it is all one
 * what is said over it. */
export class Stranger {
	#child;
	#got = Buffer.alloc(0);
	#signal = new Signal();
	#log = "";
	isClosed = false;

	constructor(port, { ofSecret = secret, cluster, args = [] } = {}) {
		const { name, key } = keyOf(ofSecret, cluster);
		this.#child = spawn("openssl", [
			"s_client", "-connect", `127.0.0.1:${port}`, "-tls1_3", "-psk_identity", name,
			"-psk", key, "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-quiet", ...args,
		], { stdio: ["pipe", "pipe", "pipe"] });
		this.#child.stdout.on("data", (bytes) => {
			this.#got = Buffer.concat([this.#got, bytes]);
			this.#signal.wake();
		});
		this.#child.stderr.on("data", (text) => { this.#log += text; });
		this.#child.stdin.on("error", () => {});
		this.closed = new Promise((resolve) => this.#child.on("close", () => {
			this.isClosed = true;
			this.#signal.wake();
			resolve();
		}));
	}

	send(bytes) {
		this.#child.stdin.write(bytes);
	}

	/* The next frame: { type, slot, body }; null: the connection ended before it. */
	async frame() {
		await this.#signal.when(() => this.isClosed || this.#isWhole(), `a frame; ${this.#log}`);
		if (!this.#isWhole())
			return null;
		const length = this.#got.readUInt32LE(0);
		const frame = {
			type: this.#got[4], slot: this.#got.readUInt16LE(6),
			body: this.#got.subarray(12, 4 + length),
		};
		this.#got = this.#got.subarray(4 + length);
		return frame;
	}

	#isWhole() {
		return this.#got.length >= 4 && this.#got.length >= 4 + this.#got.readUInt32LE(0);
	}

	ended() {
		return within(this.closed, "the connection to be closed");
	}

	close() {
		this.#child.kill("SIGKILL");
		return this.closed;
	}
}

export const frames = { hello: 1, bye: 2, heartbeat: 3, members: 4, dead: 5, left: 6, credit: 10 };

export function frame(type, body = Buffer.alloc(0), { slot = 0, length } = {}) {
	const head = Buffer.alloc(12);
	head.writeUInt32LE((length ?? 8 + body.length) >>> 0, 0);
	head[4] = type;
	head.writeUInt16LE(slot, 6);
	return Buffer.concat([head, body]);
}

const text = (string) => Buffer.concat([Buffer.from([string.length]), Buffer.from(string)]);

function u64(value) {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(BigInt(value));
	return bytes;
}

/* The HELLO of a node that is not there. */
export function hello({
	versions = [1, 1], boot = [7, 7], cluster = "starling", name = "stranger",
	address = "127.0.0.1:1", lane = 0, pair = 1, stamp = 0,
} = {}) {
	const version = Buffer.alloc(4);
	version.writeUInt16LE(versions[0], 0);
	version.writeUInt16LE(versions[1], 2);
	return frame(frames.hello, Buffer.concat([
		version, u64(0), u64(boot[0]), u64(boot[1]), u64(Date.now()), Buffer.from([1]),
		text(cluster), text(name), text(address), text("0"), Buffer.from([lane]), u64(pair),
		u64(stamp),
	]));
}
