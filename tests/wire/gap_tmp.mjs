import { it } from "node:test";
import { NativeClient } from "./clients.mjs";
import { until } from "./harness.mjs";
import { clusterOf, withMesh } from "./meshes.mjs";
const channels = Array.from({ length: 30 }, (_, i) => `log:${i}`);
async function served(nodes) {
	for (const node of nodes)
		await until(async () => (await clusterOf(node)).members.filter((m) => nodes.some((n) => n.name === m.node))
			.reduce((s, { slots }) => s + slots, 0) === 4096);
}
/* per channel: one publisher at n1, one after another; gaps between acks */
async function run(mesh, what, act) {
	await mesh.converged(); await served(mesh.nodes);
	let over = false; const gaps = [];
	const all = await Promise.all(channels.map(async (channel) => {
		const c = await NativeClient.open(mesh.nodes[0]);
		let last = performance.now(), worst = 0, n = 0;
		const loop = (async () => { while (!over) {
			const a = await c.ask({ type: "publish", channel, data: n });
			if (a.type !== "ack") { console.log(what, channel, JSON.stringify(a)); continue; }
			n++;
			const now = performance.now(); worst = Math.max(worst, now - last); last = now;
			await new Promise((r) => setTimeout(r, 5));
		} })();
		return { loop, worst: () => worst, count: () => n, reset: () => { worst = 0; } };
	}));
	await until(() => all.every((p) => p.count() > 100));
	all.forEach((p) => p.reset());
	const t = performance.now();
	await act(mesh);
	console.log(what, "took", Math.round(performance.now() - t), "ms");
	const before = all.map((p) => p.count());
	await until(() => all.every((p, i) => p.count() > before[i] + 100));
	over = true; await Promise.all(all.map((p) => p.loop));
	const worst = all.map((p) => p.worst()).sort((a, b) => a - b);
	console.log(what, "gap p50", Math.round(worst[15]), "max", Math.round(worst.at(-1)), "published", all.reduce((s, p) => s + p.count(), 0));
}
it("kill", () => withMesh(3, (mesh) => run(mesh, "kill -9", (m) => m.nodes[2].kill())));
it("hang", () => withMesh(3, (mesh) => run(mesh, "hang", async (m) => { m.nodes[2].signal("SIGSTOP"); await until(async () => (await clusterOf(m.nodes[0])).members.find((x) => x.node === "n3").state === "dead"); }).then(() => mesh.nodes[2].kill())));
it("drain", () => withMesh(3, (mesh) => run(mesh, "drain", async (m) => { const e = m.nodes[2].ended(); m.nodes[2].signal("SIGTERM"); await e; })));
it("join", () => withMesh(3, async (mesh) => run(mesh, "join", async (m) => { await m.nodes[2].restart(); await m.converged(); await until(async () => (await clusterOf(m.nodes[0])).members.find((x) => x.node === "n3" && x.state === "ready").slots > 1000); })));
