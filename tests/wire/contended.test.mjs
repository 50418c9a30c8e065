/*
 * Nodes that get little of a CPU: all of a mesh are on one, beside others who want all of it, at the same
 * priority. Nobody is taken for dead, no link ends, and publications go on.
 *
 * CONTENDED  so many seconds (default 20; 600 for a long one)
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { describe, it } from "node:test";

import { sleep } from "./harness.mjs";
import { figuresOf } from "./meshes.mjs";
import { assertNothingIsLost, tooSlow, withTraffic } from "./traffic.mjs";

const seconds = Number(process.env.CONTENDED ?? 20);
const nodeCount = 5, burnerCount = 8;
const rules = ["workers.pin_cpus=no", "channel.log:*.history_ttl=1h"]; /* a long test outlives five minutes */
const pauseMs = 20;

/* Where it does not count, all is 0: also the time that this process has had. */
function saysWhoWaits() {
	const stat = "/proc/self/schedstat";
	return fs.existsSync(stat) && !/^0 /.test(fs.readFileSync(stat, "latin1"));
}

const isThere = (program, ...args) => spawnSync(program, args).status === 0;
const whyNot = tooSlow || (!isThere("taskset", "-V") && "taskset is not there") ||
	(!saysWhoWaits() && "this kernel does not say who waits for a CPU");

function onCpu(cpu, pid) {
	const { status, stderr } = spawnSync("taskset", ["-a", "-c", "-p", String(cpu), String(pid)]);
	assert.equal(status, 0, String(stderr));
}

/* The last one that this process may use. */
function someCpu() {
	const status = fs.readFileSync("/proc/self/status", "latin1");
	return Number(/^Cpus_allowed_list:.*?(\d+)$/m.exec(status)[1]);
}

/* Seconds for which threads of a process could have run, and did not. */
function waited(pid) {
	const tasks = `/proc/${pid}/task`;
	return fs.readdirSync(tasks).reduce((sum, task) => sum + Number(
		fs.readFileSync(`${tasks}/${task}/schedstat`, "latin1").split(" ")[1]) / 1e9, 0);
}

const ackedBy = (publishers) => publishers.reduce((sum, { acked }) => sum + acked.size, 0);

/* Who want all of that CPU, while `body` runs; how much they wanted. */
async function withBurners(cpu, body) {
	const burners = Array.from({ length: burnerCount }, () =>
		spawn("sh", ["-c", "while [ -d /proc/$PPID ]; do :; done"], { stdio: "ignore" }));
	const end = () => burners.forEach((burner) => burner.kill("SIGKILL"));
	process.once("exit", end);
	try {
		burners.forEach(({ pid }) => onCpu(cpu, pid));
		await body();
		return burners.reduce((sum, { pid }) => sum + waited(pid), 0);
	} finally {
		end();
		process.off("exit", end);
	}
}

describe("contended: nodes beside others who want all of the CPU", () => {
	it(`find nobody dead in ${seconds} s`, { skip: whyNot, timeout: Infinity }, (test) =>
		withTraffic(nodeCount, async (mesh, publishers, followers) => {
			const cpu = someCpu();
			publishers.forEach((publisher) => { publisher.pauseMs = pauseMs; });
			mesh.nodes.forEach(({ pid }) => onCpu(cpu, pid));
			const before = await Promise.all(mesh.nodes.map(figuresOf));
			const wanted = await withBurners(cpu, async () => {
				for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
					await sleep(1000);
					await Promise.all(publishers.map((publisher) => publisher.more(1)));
					const count = ackedBy(publishers); /* who does not read answers no ping */
					await Promise.all(followers.map((follower) => follower.until(count)));
				}
			});
			const delay = mesh.nodes.reduce((sum, { pid }) => sum + waited(pid), 0);
			await Promise.all(publishers.map((publisher) => publisher.stop()));
			await assertNothingIsLost(mesh.nodes, publishers, followers);
			let suspicions = 0;
			for (const [i, node] of mesh.nodes.entries()) {
				assert.doesNotMatch(node.stderr(), / is dead| was taken for dead/);
				suspicions += node.stderr().match(/ is suspect/g)?.length ?? 0;
				const { mesh_links: links } = await figuresOf(node);
				assert.deepEqual(links, before[i].mesh_links, `links of ${node.name}`);
			}
			/* All but one of them waited at any time. */
			assert.ok(wanted > seconds * (burnerCount - 2), `${wanted} s`);
			test.diagnostic(`${ackedBy(publishers)} publications; nodes waited ${delay.toFixed(1)} s for the CPU, ` +
				`burners ${wanted.toFixed(1)} s; ${suspicions} suspicions`);
		}, rules));
});
