/* Real nodes on loopback: they form a mesh, and find out about each other's ends. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import {
	Server, assertError, call, isSanitized, run, scale, scratchDirectory, until,
	withServer, writeScratch,
} from "./harness.mjs";
import {
	Mesh, clusterOf, figuresOf, isReady, portOfNode, secret, stateOf, withMesh,
} from "./meshes.mjs";

const others = (mesh, node) => mesh.nodes.filter((other) => other !== node);

/* All of `viewers` find the node in that state. */
async function seen(viewers, name, state) {
	for (const viewer of viewers) {
		await until(async () => (await stateOf(viewer, name))?.state === state,
			`${viewer.name} to find ${name} ${state}`);
	}
}

describe("mesh: nodes meet", () => {
	it("processes that start together form a mesh", async () => {
		const count = isSanitized ? 4 : 9;
		await withMesh(count, async (mesh) => {
			await mesh.converged();
			for (const node of mesh.nodes) {
				assert.ok(await isReady(node));
				const { node: name, cluster, ready, members } = await clusterOf(node);
				assert.equal(name, node.name);
				assert.equal(cluster, "starling");
				assert.equal(ready, true);
				assert.deepEqual(members.map((member) => member.node),
					mesh.nodes.map((other) => other.name));
				for (const [i, member] of members.entries()) {
					assert.equal(member.address, `127.0.0.1:${mesh.meshPorts[i]}`);
					assert.equal(member.version, "0.1.0");
					assert.equal(member.connections, 0);
					assert.equal(typeof member.slots, "number");
					assert.ok(member.incarnation > 1.6e12);
				}
			}
			/* One link a pair, however the dials met, and none was lost. */
			await until(async () => (await Promise.all(mesh.nodes.map(figuresOf)))
				.every((figures) => figures.mesh_members.ready === count));
			for (const node of mesh.nodes) {
				const { mesh_links: links, mesh_bytes: bytes } = await figuresOf(node);
				assert.equal(links.made, count - 1);
				assert.equal(links.closed + links.lost, 0);
				assert.ok(bytes.in > 0 && bytes.out > 0);
			}
		});
	});

	it("their metrics are what promtool wants, and have all that the rules for alerts ask", async () => {
		await withMesh(2, async (mesh) => {
			await mesh.converged();
			const [node] = mesh.nodes;
			const metric = (text, name) => new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "m").exec(text)?.[1];
			const { text } = await until(async () => {
				const answer = await call(node, "GET", "/metrics");
				return Number(metric(answer.text, "starling_mesh_term")) > 0 && answer;
			}, "slots to have homes");
			for (const name of ["starling_mesh_uncommitted_entries", "starling_mesh_replica_lag_entries",
				"starling_mesh_spare_replicas",
				`starling_mesh_waiting_bytes{lane="control"}`, `starling_mesh_waiting_bytes{lane="data"}`])
				assert.ok(text.includes(`\n${name} `), name);
			const rules = fs.readFileSync(new URL("../../doc/alerts.yml", import.meta.url), "utf8");
			const asked = new Set(rules.match(/\b(?:starling|process)_\w+/g));
			assert.ok(asked.size > 8);
			for (const name of asked)
				assert.match(text, new RegExp(`^${name}[{ ]`, "m"));
			const check = spawnSync("promtool", ["check", "metrics"], { input: text });
			assert.ok(check.error?.code === "ENOENT" || check.status === 0, String(check.stderr));
		});
	});

	it("a node alone is a cluster of one, and its figures say nothing of a mesh", async () => {
		await withServer({}, async (server) => {
			const { node, cluster, ready, members } = await clusterOf(server);
			assert.deepEqual({ cluster, ready, count: members.length },
				{ cluster: "starling", ready: true, count: 1 });
			assert.equal(members[0].node, node);
			assert.equal(members[0].state, "ready");
			assert.equal(members[0].slots, 4096);
			assert.equal((await figuresOf(server)).mesh_members, undefined);
			assert.ok(await isReady(server));
		});
	});

	it("a node whose seeds do not answer is ready by itself, and not before", async () => {
		const mesh = new Mesh();
		const nobody = await portOfNode();
		const node = await mesh.add({ join: [`127.0.0.1:${nobody}`] });
		await node.start();
		assertError(await call(node, "GET", "/ready"), 503, "unavailable");
		assert.equal((await clusterOf(node)).ready, false);
		await until(() => isReady(node), "the node to be ready");
		assert.equal((await stateOf(node, "n1")).state, "ready");
		/* And it goes on dialling. */
		const late = new Server({ options: [
			`mesh.listen=127.0.0.1:${nobody}`, "mesh.name=late", `mesh.secret=${secret}`,
		] });
		await late.start();
		await seen([node], "late", "ready");
		await mesh.stop([node, late]);
	});

	it("a node without seeds is ready at once, and is found", async () => {
		const mesh = new Mesh();
		const first = await mesh.add({ join: [] });
		await first.start();
		await until(() => isReady(first));
		const second = await mesh.add();
		await second.start();
		await mesh.converged();
		await mesh.stop();
	});

	it("seeds by name are looked up, and a name that nobody has is no harm", async () => {
		const mesh = new Mesh();
		const first = await mesh.add({ join: [] });
		const second = await mesh.add({
			join: [`localhost:${first.meshPort}`, "nobody.invalid:7900"] });
		await first.start();
		await second.start();
		await mesh.converged();
		await until(() => second.stderr().includes("nobody.invalid: no address was found"));
		await mesh.stop();
	});

	it("a node that advertises a name is dialled by it", async () => {
		const mesh = new Mesh();
		const first = await mesh.add({ join: [] });
		const port = first.meshPort;
		const named = new Server({ options: [
			`mesh.listen=127.0.0.1:${port}`, `mesh.advertise=localhost:${port}`, "mesh.name=n1",
			`mesh.secret=${secret}`, "workers.count=1",
		] });
		named.name = "n1";
		mesh.nodes[0] = named;
		const second = await mesh.add();
		const third = await mesh.add({ join: [`127.0.0.1:${second.meshPort}`] });
		await Promise.all(mesh.nodes.map((node) => node.start()));
		await mesh.converged();
		assert.equal((await stateOf(third, "n1")).address, `localhost:${port}`);
		await mesh.stop();
		assert.equal(second, mesh.nodes[1]);
	});

	it("a node that is not named is called by its mesh address", async () => {
		const port = await portOfNode();
		await withServer({ options: [
			`mesh.listen=127.0.0.1:${port}`, `mesh.secret=${secret}`,
		] }, async (server) => {
			assert.equal((await clusterOf(server)).node, `127.0.0.1:${port}`);
		});
	});

	it("clients of each node are counted for all", async () => {
		await withMesh(2, async (mesh) => {
			await mesh.converged();
			const client = await NativeClient.open(mesh.nodes[0]);
			await until(async () =>
				(await stateOf(mesh.nodes[1], "n1")).connections === 1);
			client.close();
			await until(async () =>
				(await stateOf(mesh.nodes[1], "n1")).connections === 0);
		});
	});

	it("threads are called by what they do", async () => {
		await withMesh(1, async ({ nodes: [node] }) => {
			const tasks = `/proc/${node.pid}/task`;
			for (const name of ["mesh", "worker-0", "journal"])
				await until(() => fs.readdirSync(tasks).some((task) =>
					fs.readFileSync(`${tasks}/${task}/comm`, "utf8").trim() === name), name);
		});
	});

	it("starling status shows the members", async () => {
		await withMesh(3, async (mesh) => {
			await mesh.converged();
			const { status, stdout } = await run(["status", "--url", mesh.nodes[0].url]);
			assert.equal(status, 0);
			for (const node of mesh.nodes)
				assert.match(stdout, new RegExp(
					`^member +${node.name}  ready  127\\.0\\.0\\.1:${node.meshPort}  `, "m"));
			const json = await run(["status", "--json", "--url", mesh.nodes[0].url]);
			assert.equal(JSON.parse(json.stdout).members.length, 3);
		});
	});
});

describe("mesh: ends", () => {
	it("a process that is killed is dead for all others", async () => {
		await withMesh(5, async (mesh) => {
			await mesh.converged();
			const victim = mesh.nodes[4];
			await victim.kill();
			await seen(others(mesh, victim), "n5", "dead");
			for (const node of others(mesh, victim)) {
				const { mesh_links: links, mesh_members: members } = await figuresOf(node);
				/* Where it had not read all, its end is a reset. */
				assert.equal(links.closed + links.lost, 1);
				assert.equal(members.dead, 1);
			}
		});
	});

	it("a process that is stopped is suspect, then dead, and comes back with a higher word", async () => {
		await withMesh(4, async (mesh) => {
			await mesh.converged();
			const victim = mesh.nodes[3], viewers = others(mesh, victim);
			const before = (await stateOf(viewers[0], "n4")).incarnation;
			victim.signal("SIGSTOP");
			await seen([viewers[0]], "n4", "suspect");
			await seen(viewers, "n4", "dead");
			victim.signal("SIGCONT");
			await mesh.converged();
			for (const viewer of viewers)
				assert.ok((await stateOf(viewer, "n4")).incarnation > before);
			assert.match(victim.stderr(), /this node was taken for dead, and is not/);
		});
	});

	it("a node that is told to end leaves, and nobody looks for it", async () => {
		await withMesh(4, async (mesh) => {
			await mesh.converged();
			const [gone, ...viewers] = mesh.nodes;
			await gone.stop();
			await seen(viewers, "n1", "left");
			for (const node of viewers) {
				assert.equal((await figuresOf(node)).mesh_members.left, 1);
				assert.doesNotMatch(node.stderr(), /n1 is (suspect|dead)/);
			}
		});
	});

	it("a rolling restart leaves nobody dead", async () => {
		await withMesh(4, async (mesh) => {
			await mesh.converged();
			for (const node of mesh.nodes) {
				await node.restart();
				await mesh.converged();
			}
			for (const node of mesh.nodes)
				assert.doesNotMatch(node.stderr(), / is dead/);
		});
	});

	it("a node that dies comes back under its name and port, again and again", async () => {
		await withMesh(3, async (mesh) => {
			await mesh.converged();
			const [victim, ...viewers] = mesh.nodes;
			let last = 0;
			for (let i = 0; i < Math.max(3, 20 * scale); i++) {
				await victim.kill();
				await victim.start();
				await mesh.converged();
				const { incarnation } = await stateOf(viewers[0], "n1");
				assert.ok(incarnation > last);
				last = incarnation;
			}
			assert.doesNotMatch(victim.stderr(), /has the same name/);
		});
	});

	it("all restart at once and find each other", async () => {
		await withMesh(5, async (mesh) => {
			await mesh.converged();
			await Promise.all(mesh.nodes.map((node) => node.kill()));
			await Promise.all(mesh.nodes.map((node) => node.start()));
			await mesh.converged();
		});
	});
});

describe("mesh: who does not belong", { concurrency: true }, () => {
	/* A second node that is turned away, for a reason that the first one counts. */
	async function turnedAway(reason, options, more = {}) {
		const mesh = new Mesh();
		const first = await mesh.add({ join: [] });
		const second = await mesh.add({ options, ...more });
		await first.start();
		await second.start();
		await until(async () => (await figuresOf(first)).mesh_refused[reason] > 0,
			`a refusal for ${reason}`);
		await until(() => isReady(second), "the other to be ready by itself");
		assert.equal((await clusterOf(first)).members.length, 1);
		assert.equal((await clusterOf(second)).members.length, 1);
		await mesh.stop();
		for (const node of mesh.nodes)
			assert.ok(!node.stderr().includes(secret));
		return mesh.nodes.map((node) => node.stderr());
	}

	it("another secret", async () => {
		const [first, second] = await turnedAway("key", ["mesh.secret=another secret altogether"]);
		assert.match(first, /refused 127\.0\.0\.1:\d+: it does not hold our mesh\.secret/);
		assert.match(second, /cannot link to .*: mesh\.secret or mesh\.cluster differ there/);
	});

	it("another cluster with the same secret", async () => {
		const [first] = await turnedAway("cluster", ["mesh.cluster=other"]);
		assert.match(first, /refused 127\.0\.0\.1:\d+: it belongs to another mesh\.cluster/);
	});

	it("a second node of a name", async () => {
		const [first, second] = await turnedAway("name", [], { name: "n1" });
		assert.match(first, /refused .*: another member has the same name/);
		assert.match(second, /sent away by .*: another member has the same name/);
	});
});

describe("mesh: the secret", () => {
	it("is changed at run time, and no link ends", async () => {
		const old = "the secret that goes", next = "the secret that comes";
		const config = (text) => `[mesh]\nsecret = ${text}\n`;
		const mesh = new Mesh();
		for (let i = 0; i < 3; i++)
			await mesh.add({ config: config(old) });
		const [first, second, third] = mesh.nodes;
		await first.start();
		await second.start();
		await mesh.converged([first, second]);
		/* While it goes on, all three steps are under way at once. */
		for (const node of [first, second])
			await node.reload(config(`${next}, ${old}`));
		await third.start();
		await mesh.converged();
		await third.stop();
		third.configure(config(next));
		await third.start();
		await mesh.converged();
		for (const node of [first, second])
			await node.reload(config(next));
		const { mesh_links: links } = await figuresOf(first);
		assert.equal(links.lost, 0);
		assert.equal(links.closed, 1); /* of the third, when it was stopped */
		const late = await mesh.add({ config: config(old), name: "late" });
		await late.start();
		await until(async () => (await figuresOf(first)).mesh_refused.key > 0);
		assert.equal((await stateOf(first, "late")), undefined);
		await mesh.stop();
	});

	it("is in no log, no figure, and nothing that is printed", async () => {
		const file = writeScratch("mesh.secret", `${secret}\n`);
		const mesh = new Mesh([`mesh.secret_file=${file}`]);
		await mesh.start(2);
		await mesh.converged();
		for (const node of mesh.nodes) {
			const stats = await call(node, "GET", "/api/stats");
			const cluster = await call(node, "GET", "/api/cluster");
			assert.ok(!(stats.text + cluster.text).includes(secret));
		}
		/* Nor, when it is in a file, anywhere in the process. */
		assert.equal(inMemory(mesh.nodes[0].pid, secret), isSanitized ? undefined : false);
		await mesh.stop();
		for (const node of mesh.nodes)
			assert.ok(!node.stderr().includes(secret));
		const { stdout } = await run(["serve", "--print-config", "-o", `mesh.secret=${secret}`,
			"-o", "mesh.listen=127.0.0.1:1"]);
		assert.match(stdout, /^mesh\.secret = \*\*\* /m);
		assert.ok(!stdout.includes(secret));
	});

	/* Whether a text stands in memory that a core dump would hold. Sanitizers keep what was freed:
	 * undefined. */
	function inMemory(pid, string) {
		if (isSanitized)
			return undefined;
		const memory = fs.openSync(`/proc/${pid}/mem`, "r");
		try {
			return fs.readFileSync(`/proc/${pid}/maps`, "latin1").split("\n").some((line) => {
				const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
				if (!range)
					return false;
				const from = Number.parseInt(range[1], 16);
				const bytes = Buffer.alloc(Math.min(Number.parseInt(range[2], 16) - from, 1 << 26));
				try {
					const got = fs.readSync(memory, bytes, 0, bytes.length, from);
					return bytes.subarray(0, got).includes(string);
				} catch {
					return false; /* pages that are not there */
				}
			});
		} finally {
			fs.closeSync(memory);
		}
	}

	it("has to be there, and in one way", async () => {
		const listen = ["-o", "mesh.listen=127.0.0.1:1"];
		const empty = writeScratch("empty", " ,\n");
		const many = writeScratch("many", "one\ntwo\nthree\n");
		for (const [options, complaint] of [
			[listen, "needs mesh.secret or mesh.secret_file"],
			[[...listen, "-o", `mesh.secret_file=${empty}`], "no secret is in it"],
			[[...listen, "-o", `mesh.secret_file=${many}`], "more than two secrets are in it"],
			[[...listen, "-o", `mesh.secret_file=${scratchDirectory()}/none`],
				"No such file or directory"],
		]) {
			const { status, stderr } = await run(["serve", ...options,
				"-o", `listen.http=127.0.0.1:${await portOfNode()}`]);
			assert.equal(status, 2);
			assert.ok(stderr.includes(complaint), stderr);
			assert.equal(stderr.trim().split("\n").length, 1);
		}
	});

	it("an address of the mesh that is taken is told", async () => {
		await withMesh(1, async (mesh) => {
			const { status, stderr } = await run(["serve", "-o", "workers.count=1",
				"-o", `listen.http=127.0.0.1:${await portOfNode()}`,
				"-o", `mesh.listen=127.0.0.1:${mesh.meshPorts[0]}`, "-o", "mesh.secret=x"]);
			assert.equal(status, 1);
			assert.match(stderr, /cannot listen on 127\.0\.0\.1:\d+: Address already in use/);
		});
	});
});
