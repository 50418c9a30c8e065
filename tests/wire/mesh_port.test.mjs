/* What else than a node may come to the mesh port: it is sent away, and the mesh goes on. */
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import { describe, it } from "node:test";
import tls from "node:tls";

import { call, isSanitized, scale, until, within } from "./harness.mjs";
import {
	Mesh, Stranger, clusterOf, figuresOf, frame, frames, hello, keyOf, secret, stateOf, withMesh,
} from "./meshes.mjs";

const refusals = async (node, reason) => (await figuresOf(node)).mesh_refused[reason];

/* A connection to the mesh port that says what it will; resolves when the node has closed it. */
function raw(node, bytes) {
	const socket = node.track(net.connect(node.meshPort, "127.0.0.1"));
	socket.got = Buffer.alloc(0);
	socket.on("data", (more) => { socket.got = Buffer.concat([socket.got, more]); });
	socket.on("error", () => {});
	socket.ended = new Promise((resolve) => socket.on("close", resolve));
	if (bytes)
		socket.write(bytes);
	return socket;
}

/* What a stranger with the key says to be greeted, as it was sent. */
async function captured(node) {
	const said = [];
	const proxy = net.createServer((socket) => {
		const to = raw(node);
		socket.on("data", (bytes) => { said.push(bytes); to.write(bytes); });
		socket.on("error", () => {});
		to.on("data", (bytes) => socket.write(bytes));
		to.on("close", () => socket.destroy());
		socket.on("close", () => to.destroy());
	});
	await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
	const stranger = new Stranger(proxy.address().port);
	stranger.send(hello());
	assert.equal((await stranger.frame()).type, frames.hello);
	await stranger.close();
	proxy.close();
	return said;
}

/* Two nodes that are there before and after, and one link between them throughout. */
async function besieged(body, counts = { made: 1, ended: 0 }) {
	await withMesh(2, async (mesh) => {
		await mesh.converged();
		const [node] = mesh.nodes;
		await body(node, mesh);
		await mesh.converged();
		const { mesh_links: links } = await figuresOf(node);
		assert.deepEqual({ made: links.made, ended: links.closed + links.lost }, counts);
	});
}

describe("mesh port: without the secret", () => {
	it("HTTP and other things that are no TLS", async () => {
		await besieged(async (node) => {
			const texts = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0\0\0\0\0", hello(),
				crypto.randomBytes(100_000)];
			for (const bytes of texts)
				await within(raw(node, bytes).ended, "the connection to be closed");
			assert.equal(await refusals(node, "tls"), texts.length);
		});
	});

	it("frames at the port of clients are no request", async () => {
		await withMesh(1, async ({ nodes: [node] }) => {
			const socket = node.track(net.connect(node.port, "127.0.0.1"));
			socket.resume().on("error", () => {});
			socket.write(hello());
			await within(new Promise((resolve) => socket.on("close", resolve)), "the end");
			assert.equal((await call(node, "GET", "/health")).status, 200);
		});
	});

	it("TLS 1.2, and TLS 1.3 without a key", async () => {
		await besieged(async (node) => {
			for (const version of ["TLSv1.2", "TLSv1.3"]) {
				await assert.rejects(within(new Promise((resolve, reject) => {
					const socket = tls.connect({ port: node.meshPort, host: "127.0.0.1",
						minVersion: version, maxVersion: version, rejectUnauthorized: false });
					socket.on("secureConnect", resolve).on("error", reject);
				}), "an alert"), /alert/);
			}
			await until(async () => await refusals(node, "tls") + await refusals(node, "key") >= 2);
		});
	});

	it("another secret, and the right one for another cluster", async () => {
		await besieged(async (node) => {
			await new Stranger(node.meshPort, { ofSecret: "another" }).ended();
			assert.equal(await refusals(node, "key"), 1);
			await new Stranger(node.meshPort, { cluster: "other" }).ended();
			assert.equal(await refusals(node, "cluster"), 1);
		});
	});

	it("suites and groups that are not offered, and keys without an exchange", async () => {
		await besieged(async (node) => {
			for (const args of [["-ciphersuites", "TLS_AES_256_GCM_SHA384"], ["-groups", "P-521"]])
				await new Stranger(node.meshPort, { args }).ended();
			assert.ok(await refusals(node, "tls") + await refusals(node, "key") >= 2);
		});
	});

	it("handshakes that are captured and played again", async () => {
		await besieged(async (node) => {
			const said = await captured(node);
			const socket = raw(node, Buffer.concat(said));
			await within(socket.ended, "the connection to be closed");
			assert.equal(await stateOf(node, "stranger"), undefined);
			assert.equal(await refusals(node, "tls"), 1);
		});
	});

	it("the first of them, played again and again, crowds out nobody", async () => {
		await besieged(async (node, mesh) => {
			const [first] = await captured(node);
			const count = Math.max(200, 1000 * scale);
			let open = 0;
			for (let i = 0; i < count; i++) {
				open++;
				raw(node, first).ended.then(() => open--);
			}
			await until(() => open <= 64, "all but 64 to be closed");
			const third = await mesh.add();
			await third.start();
			await until(async () => (await stateOf(node, "n3"))?.state === "ready");
			await until(() => open === 0, "the rest to be closed");
			assert.ok(await refusals(node, "crowd") > 0);
			assert.equal(await refusals(node, "crowd") + await refusals(node, "timeout"), count);
			await third.stop();
			mesh.nodes.pop();
			await until(async () => (await stateOf(node, "n3")).state === "left");
		}, { made: 2, ended: 1 });
	});

	it("slow handshakes: no more than 64 are under way, and members come in between", async () => {
		await besieged(async (node, mesh) => {
			const count = Math.max(200, 1000 * scale);
			const sockets = [];
			let open = 0;
			for (let i = 0; i < count; i++) {
				const socket = raw(node, Buffer.from([0x16]));
				open++;
				socket.ended.then(() => open--);
				sockets.push(socket);
			}
			const dribble = setInterval(() => {
				for (const socket of sockets.filter((each) => !each.destroyed))
					socket.write(Buffer.from([3]));
			}, 1000);
			await until(() => open <= 64, "all but 64 to be closed");
			const third = await mesh.add();
			await third.start();
			await until(async () => (await stateOf(node, "n3"))?.state === "ready");
			await until(() => open === 0, "the rest to be closed");
			clearInterval(dribble);
			assert.ok(await refusals(node, "crowd") > 0);
			const all = await refusals(node, "crowd") + await refusals(node, "timeout") +
				await refusals(node, "tls");
			assert.equal(all, count);
			await third.stop();
			mesh.nodes.pop();
			await until(async () => (await stateOf(node, "n3")).state === "left");
		}, { made: 2, ended: 1 });
	});
});

describe("mesh port: with the secret", () => {
	it("a stranger that does as a node does is linked, and dead when it is gone", async () => {
		await withMesh(1, async ({ nodes: [node] }) => {
			const control = new Stranger(node.meshPort);
			control.send(hello());
			assert.equal((await control.frame()).type, frames.hello);
			const data = new Stranger(node.meshPort);
			data.send(hello({ lane: 1, stamp: 1 }));
			assert.equal((await data.frame()).type, frames.hello);
			assert.equal((await control.frame()).type, frames.members);
			while ((await control.frame()).type !== frames.heartbeat)
				;
			await until(async () => (await stateOf(node, "stranger"))?.state === "ready");
			await Promise.all([control.close(), data.close()]);
			await until(async () => (await stateOf(node, "stranger")).state === "dead");
		});
	});

	it("versions, clusters, names and itself", async () => {
		await besieged(async (node) => {
			for (const [what, reason] of [
				[{ versions: [2, 9] }, "version"], [{ cluster: "other" }, "cluster"],
				[{ versions: [1, 0] }, "malformed"], [{ boot: [0, 0] }, "malformed"],
				[{ name: "two words" }, "malformed"], [{ name: "a\nline" }, "malformed"],
				[{ lane: 2 }, "malformed"],
			]) {
				const before = await refusals(node, reason);
				const stranger = new Stranger(node.meshPort);
				stranger.send(hello(what));
				const answer = await stranger.frame();
				if (answer !== null)
					assert.equal(answer.type, frames.bye, JSON.stringify(what));
				await stranger.ended();
				assert.equal(await refusals(node, reason), before + 1, JSON.stringify(what));
			}
			/* The name of a member: it is found out when the second lane is there. */
			const control = new Stranger(node.meshPort);
			control.send(hello({ name: "n2" }));
			assert.equal((await control.frame()).type, frames.hello);
			const data = new Stranger(node.meshPort);
			data.send(hello({ name: "n2", lane: 1, stamp: 1 }));
			await control.ended();
			await data.ended();
			assert.equal(await refusals(node, "name"), 1);
			assert.ok(!node.stderr().includes("a\nline"));
		});
	});

	it("frames that are none, and none that is too long is collected", async () => {
		await besieged(async (node) => {
			const beginnings = [
				frame(frames.hello, Buffer.alloc(0), { length: 0 }),
				frame(frames.hello, Buffer.alloc(0), { length: 1 }),
				frame(frames.hello, Buffer.alloc(0), { length: 7 }),
				frame(frames.hello, Buffer.alloc(0), { length: 0xffffffff }),
				frame(frames.hello, Buffer.alloc(2000)),
				frame(frames.hello, Buffer.alloc(0), { length: 1025 }),
				frame(frames.heartbeat), frame(frames.members), frame(frames.credit), frame(0),
				frame(200), frame(255), crypto.randomBytes(1000),
			];
			for (const [i, bytes] of beginnings.entries()) {
				const stranger = new Stranger(node.meshPort);
				stranger.send(bytes);
				const answer = await stranger.frame();
				assert.ok(answer === null || answer.type === frames.bye);
				await stranger.ended();
				assert.equal(await refusals(node, "malformed"), i + 1, `beginning ${i}`);
			}
		});
	});

	it("frames of a linked stranger that cannot be read end its link", async () => {
		await withMesh(1, async ({ nodes: [node] }) => {
			const bodies = [
				[0, frame(frames.hello)], [0, frame(frames.heartbeat, Buffer.from([1]))],
				[0, frame(frames.members, Buffer.from([1, 0, 0, 0, 255, 255]))],
				[0, frame(frames.dead, Buffer.alloc(23))], [0, frame(frames.left)],
				[0, frame(frames.credit, Buffer.alloc(7))], [0, frame(99)],
				[0, frame(frames.heartbeat, Buffer.alloc(0), { length: 256 * 1024 + 9 })],
				[0, frame(frames.bye)], [1, frame(frames.heartbeat)], [1, frame(frames.credit)],
				[1, frame(frames.bye, Buffer.alloc(0), { length: 0xffffffff })],
				[0, crypto.randomBytes(5000)], [1, crypto.randomBytes(5000)],
			];
			for (const [i, [lane, bytes]] of bodies.entries()) {
				const boot = [1000 + i, 1], name = `s${i}`;
				const lanes = [];
				for (const kind of [0, 1]) {
					lanes.push(new Stranger(node.meshPort));
					lanes[kind].send(hello({ boot, name, lane: kind, stamp: kind }));
					assert.equal((await lanes[kind].frame()).type, frames.hello);
				}
				const before = await refusals(node, "malformed");
				lanes[lane].send(bytes);
				await Promise.all(lanes.map((each) => each.ended()));
				assert.equal(await refusals(node, "malformed"), before + 1, `frame ${i}`);
			}
		});
	});

	it("claims of a linked stranger change nothing that they cannot", async () => {
		await besieged(async (node, mesh) => {
			const lanes = [];
			for (const kind of [0, 1]) {
				lanes.push(new Stranger(node.meshPort));
				lanes[kind].send(hello({ lane: kind, stamp: kind }));
				assert.equal((await lanes[kind].frame()).type, frames.hello);
			}
			await until(async () => (await stateOf(node, "stranger"))?.state === "ready");
			const members = await lanes[0].frame();
			assert.equal(members.type, frames.members);
			/* That n2 is dead, whose boot stands in MEMBERS: it is not, and speaks. */
			const boot = members.body.subarray(6, 22);
			const never = Buffer.alloc(8, 0xff);
			lanes[0].send(frame(frames.dead, Buffer.concat([boot, never, Buffer.from([1])])));
			lanes[0].send(frame(frames.left, Buffer.concat([boot, never])));
			/* Ten thousand members that nobody else knows. */
			for (let i = 0; i < 40; i++) {
				const head = Buffer.alloc(6);
				head.writeUInt32LE(i + 2, 0);
				head.writeUInt16LE(256, 4);
				const each = Array.from({ length: 256 }, () => Buffer.concat([
					crypto.randomBytes(24), Buffer.from("\x01x\x0b127.0.0.1:1"),
				]));
				lanes[0].send(frame(frames.members, Buffer.concat([head, ...each])));
			}
			const beat = Buffer.alloc(15 + 8);
			beat.writeBigUInt64LE((1n << 64n) - 1n);
			beat[8] = 1;
			lanes[0].send(frame(frames.heartbeat, beat));
			await until(async () =>
				(await stateOf(node, "stranger")).incarnation > Number.MAX_SAFE_INTEGER);
			assert.equal((await stateOf(node, "n2")).state, "ready");
			assert.equal((await clusterOf(node)).members.length, 3);
			if (!isSanitized)
				assert.ok(node.memory() < 64 * 1024 * 1024);
			await Promise.all(lanes.map((lane) => lane.close()));
			await until(async () => (await stateOf(node, "stranger")).state === "dead");
			assert.ok((await clusterOf(mesh.nodes[1])).members.length >= 2);
		}, { made: 2, ended: 1 });
	});
});
