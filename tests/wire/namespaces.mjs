/*
 * namespaces.mjs - a mesh whose nodes are in network namespaces of their own, on one switch: so they
 * can be cut off without a word, as by a cable, and their line can be slow. Loopback has neither.
 *
 * Clients are not cut off: they come by a Unix socket. Needs root, and iproute2.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { binary, isSecureByDefault, scratchDirectory } from "./harness.mjs";
import { Mesh } from "./meshes.mjs";

const meshPort = 7900;

function ip(...args) {
	const { status, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
	if (status !== 0)
		throw error ?? new Error(`ip ${args.join(" ")}: ${stderr}`);
}

let made = 0;
const living = new Set();
process.on("exit", () => living.forEach((name) => spawnSync("ip", ["netns", "del", name])));

function makeNamespace() {
	const name = `starling-test-${process.pid}-${++made}`;
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

export class NamespaceMesh extends Mesh {
	#switch = makeNamespace();
	#namespaces = [];
	#directory = scratchDirectory();

	constructor(options) {
		super(options);
		ip("-n", this.#switch, "link", "add", "switch", "up", "type", "bridge");
	}

	async add({ options = [], ...more } = {}) {
		const number = this.#namespaces.length + 1, name = makeNamespace();
		const address = `10.78.0.${number}`;
		this.#namespaces.push(name);
		ip("-n", this.#switch, "link", "add", `port${number}`, "type", "veth",
			"peer", "name", "mesh", "netns", name);
		ip("-n", this.#switch, "link", "set", `port${number}`, "up");
		ip("-n", name, "link", "set", "lo", "up");
		ip("-n", name, "address", "add", `${address}/24`, "dev", "mesh");
		ip("-n", name, "link", "set", "mesh", "up");
		const program = path.join(this.#directory, `starling-${number}`);
		fs.writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${name} '${binary}' "$@"\n`,
			{ mode: 0o755 });
		this.joinSwitch(number);
		return super.add({
			...more, program, isSecure: false,
			socketPath: path.join(this.#directory, `http-${number}`),
			options: [`mesh.listen=${address}:${meshPort}`,
				`mesh.join=10.78.0.1:${meshPort},10.78.0.2:${meshPort}`, ...options],
		});
	}

	/* What the node sends comes nowhere, and nothing comes to it. Nodes are counted from 1. */
	cutOff(number) {
		ip("-n", this.#switch, "link", "set", `port${number}`, "nomaster");
	}

	joinSwitch(number) {
		ip("-n", this.#switch, "link", "set", `port${number}`, "master", "switch");
	}

	/* What comes to the node comes no faster than that; what is too much waits a little, then is lost. */
	slowDown(number, rate) {
		const args = ["-n", this.#switch, "qdisc", "add", "dev", `port${number}`, "root", "tbf",
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
		[this.#switch, ...this.#namespaces.splice(0)].filter((name) => living.has(name))
			.forEach(endNamespace);
	}
}
