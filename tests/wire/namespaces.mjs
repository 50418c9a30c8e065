/*
 * namespaces.mjs - a mesh whose nodes are in network namespaces of their own, on one switch: so they
 * can be cut off without a word, as by a cable, and their line can be slow. Loopback has neither.
 * The switch is the kernel's (NamespaceMesh), or a program (SwitchedMesh) that also delays, loses,
 * lets through in one direction only, and resets connections: not each kernel can.
 *
 * Clients are not cut off: they come by a Unix socket. Needs root, and iproute2; the program needs
 * python3 and /dev/net/tun.
 */
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

import { binary, isSecureByDefault, scratchDirectory, within } from "./harness.mjs";
import { Mesh } from "./meshes.mjs";

const meshPort = 7900;

function ip(...args) {
	const { status, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
	if (status !== 0)
		throw error ?? new Error(`ip ${args.join(" ")}: ${stderr}`);
}

let made = 0, directory;
const living = new Set();
process.on("exit", () => living.forEach((name) => spawnSync("ip", ["netns", "del", name])));

function makeNamespace() {
	const name = `starling-test-${process.pid}-${++made}`;
	spawnSync("ip", ["netns", "del", name]); /* of a process of that number that was killed */
	ip("netns", "add", name);
	living.add(name);
	return name;
}

function endNamespace(name) {
	ip("netns", "del", name);
	living.delete(name);
}

/* Why not; false: they can be made here. */
export function lacksNamespaces() {
	if (isSecureByDefault)
		return "nodes in namespaces are spoken to by Unix sockets";
	try {
		new NamespaceMesh().close();
		return false;
	} catch (error) {
		return `no network namespaces here: ${error.message.trim()}`;
	}
}

/* The same of a switch that is a program. */
export function lacksSwitch() {
	const why = lacksNamespaces();
	if (why)
		return why;
	const device = "/dev/net/tun";
	const { status } = spawnSync("python3", ["-c", `open("${device}", "r+b", buffering=0)`]);
	return status !== 0 && `no python3 here, or no ${device}`;
}

/* Nodes are counted from 1. */
export class NamespaceMesh extends Mesh {
	space = makeNamespace(); /* of the switch */
	#namespaces = [];

	constructor(options, isOfKernel = true) {
		super(options);
		if (isOfKernel)
			ip("-n", this.space, "link", "add", "switch", "up", "type", "bridge");
	}

	/* A line from the switch to a node in the namespace `name`, where it is the device `mesh`. */
	async plug(number, name) {
		ip("-n", this.space, "link", "add", `port${number}`, "type", "veth",
			"peer", "name", "mesh", "netns", name);
		ip("-n", this.space, "link", "set", `port${number}`, "up");
		this.joinSwitch(number);
	}

	async add({ options = [], ...more } = {}) {
		const number = this.#namespaces.length + 1, name = makeNamespace();
		const address = `10.78.0.${number}`;
		this.#namespaces.push(name);
		await this.plug(number, name);
		ip("-n", name, "link", "set", "lo", "up");
		ip("-n", name, "address", "add", `${address}/24`, "dev", "mesh");
		ip("-n", name, "link", "set", "mesh", "up");
		directory ??= scratchDirectory();
		const program = path.join(directory, name);
		fs.writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${name} '${binary}' "$@"\n`,
			{ mode: 0o755 });
		return super.add({
			...more, program, isSecure: false,
			socketPath: path.join(directory, `http-of-${name}`),
			options: [`mesh.listen=${address}:${meshPort}`,
				`mesh.join=10.78.0.1:${meshPort},10.78.0.2:${meshPort}`, ...options],
		});
	}

	/* What the node sends comes nowhere, and nothing comes to it. */
	cutOff(number) {
		ip("-n", this.space, "link", "set", `port${number}`, "nomaster");
	}

	joinSwitch(number) {
		ip("-n", this.space, "link", "set", `port${number}`, "master", "switch");
	}

	/* What comes to the node comes no faster than that; what is too much waits a little, then is lost. */
	slowDown(number, rate) {
		const args = ["-n", this.space, "qdisc", "add", "dev", `port${number}`, "root", "tbf",
			"rate", rate, "burst", "64kb", "latency", "50ms"];
		const { status, stderr } = spawnSync("tc", args, { encoding: "utf8" });
		if (status !== 0)
			throw new Error(`tc ${args.join(" ")}: ${stderr}`);
	}

	async stop(nodes) {
		await super.stop(nodes);
		this.close();
	}

	close() {
		[this.space, ...this.#namespaces.splice(0)].filter((name) => living.has(name))
			.forEach(endNamespace);
	}
}

export class SwitchedMesh extends NamespaceMesh {
	#program;
	#answers;

	constructor(options) {
		super(options, false);
		const program = fileURLToPath(new URL("switch.py", import.meta.url));
		this.#program = spawn("ip", ["netns", "exec", this.space, "python3", program],
			{ stdio: ["pipe", "pipe", "inherit"] });
		this.#program.on("error", () => {}); // tell() finds it gone
		this.#program.stdin.on("error", () => {});
		for (const handle of [this.#program, this.#program.stdin, this.#program.stdout])
			handle.unref();
		this.#answers = readline.createInterface({ input: this.#program.stdout })[Symbol.asyncIterator]();
	}

	/* As in switch.py, which also says what is answered. */
	async tell(what) {
		this.#program.stdin.write(`${JSON.stringify(what)}\n`);
		const { value } = await within(this.#answers.next(), "the switch to answer");
		if (value === undefined)
			throw new Error("the switch has ended");
		return JSON.parse(value);
	}

	async plug(number, name) {
		const device = `port${number}`;
		await this.tell({ port: device });
		ip("-n", this.space, "link", "set", device, "netns", name, "name", "mesh");
	}

	/* How packets fare from here on that go from one of `from` to one of `to`: { cut, loss, delay,
	 * jitter }. Other nodes than these, and no rule, is none of it. */
	fare(from, to, rule = {}) {
		const ports = (numbers) => numbers.map((number) => number - 1);
		return this.tell({ from: ports(from), to: ports(to), ...rule });
	}

	/* Every connection between nodes, at both ends; how many RST that took. */
	async reset() {
		const { sent: before } = await this.tell({ from: [], to: [] });
		return (await this.tell({ reset: true })).sent - before;
	}

	/* { lost, late }: packets until now. */
	figures() {
		return this.tell({ from: [], to: [] });
	}

	close() {
		this.#program.stdin.end();
		super.close();
	}
}
