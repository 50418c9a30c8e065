/*
 * The load generator is honest: a server that delays, drops, doubles, reorders or misroutes on
 * purpose is found to have done just that, and the real one to have done nothing of it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";

import { WebSocketServer } from "ws";

import { binary, scratchDirectory, speakPlainly, useServer, within } from "./harness.mjs";

/* The generator knows no TLS. */
speakPlainly();

const generator = path.join(path.dirname(binary), "bench/load");
const scratch = scratchDirectory();
let runs = 0;

/* Runs the generator to its end; what it found. */
async function load(port, mode, options) {
	const json = path.join(scratch, `${++runs}.json`);
	/* Hubs of this process may stand still for seconds, as one works, or the machine is busy. */
	const given = { warmup: 0, settle: 0, patience: 6, json, ...options };
	const child = spawn(generator, [
		mode, ...Object.entries(given).flatMap(([name, value]) => [`--${name}`, `${value}`]),
		`127.0.0.1:${port}`,
	]);
	let said = "";
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding("utf8").on("data", (text) => { said += text; });
	const status = await within(
		new Promise((resolve) => child.on("close", resolve)), `load ${mode} to end`);
	assert.equal(status, 0, said);
	return JSON.parse(fs.readFileSync(json, "utf8"));
}

function assertFound(found, wanted) {
	const clean = {
		missed: 0, duplicated: 0, out_of_order: 0, misrouted: 0, unknown: 0, gaps_told: 0,
		ended: 0,
	};
	for (const [name, value] of Object.entries({ ...clean, ...wanted }))
		assert.equal(found[name], value, `${name} in ${JSON.stringify(found)}`);
}

/*
 * A hub that knows as much of the protocol as the generator needs. `fault(frame, n, follower)` is
 * the list of frames sent to a follower in place of message n; followers are numbered as they
 * come.
 */
async function withHub(fault, body) {
	const hub = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
	const channels = new Map();
	const counts = new Map();
	let number = 0;
	const subscribe = (socket, { channel, ref }) => {
		socket.number = number++;
		channels.set(channel, [...channels.get(channel) ?? [], socket]);
		socket.send(JSON.stringify({ type: "subscribed", ref, channel, cursor: "e-0" }));
	};
	const publish = ({ channel, data }) => {
		const n = counts.get(channel) ?? 0;
		counts.set(channel, n + 1);
		const frame = JSON.stringify({ type: "message", channel, id: `e-${n + 1}`, data });
		for (const socket of channels.get(channel) ?? []) {
			for (const part of fault(frame, n, socket.number, socket) ?? [frame])
				socket.send(part);
		}
	};
	hub.on("connection", (socket) => {
		socket.on("error", () => {});
		socket.send(JSON.stringify({ type: "welcome" }));
		socket.on("message", (text) => {
			const message = JSON.parse(text);
			(message.type === "subscribe" ? subscribe : publish)(
				message.type === "subscribe" ? socket : message, message);
		});
	});
	await within(new Promise((resolve) => hub.on("listening", resolve)), "the hub to listen");
	try {
		return await body(hub.address().port);
	} finally {
		hub.clients.forEach((socket) => socket.terminate());
		hub.close();
	}
}

const paced = { connections: 4, rate: 500, messages: 100 };

describe("load: against a hub with faults", { concurrency: true }, () => {
	it("without a fault there is none", async () => {
		const found = await withHub(() => null, (port) => load(port, "fanout", paced));
		assertFound(found, { published: 100, expected: 400, delivered: 400 });
	});

	it("what is dropped is missed", async () => {
		const drop = (frame, n, follower) => follower === 1 && n % 10 === 3 ? [] : null;
		const found = await withHub(drop, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 390, missed: 10 });
	});

	it("what never comes at the end is missed too", async () => {
		const drop = (frame, n, follower) => follower === 2 && n >= 93 ? [] : null;
		const found = await withHub(drop, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 393, missed: 7 });
	});

	it("what is doubled is duplicated, at once and later", async () => {
		let held;
		const double = (frame, n, follower) => {
			if (follower === 0 && n % 10 === 4)
				return [frame, frame];
			if (follower === 3 && n === 20)
				held = frame;
			return follower === 3 && n === 70 ? [frame, held] : null;
		};
		const found = await withHub(double, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 400, duplicated: 11 });
	});

	it("what is reordered is out of order, and not missed", async () => {
		let held;
		const swap = (frame, n, follower) => {
			if (follower !== 2 || n % 20 > 1)
				return null;
			if (n % 20 === 1)
				return [frame, held];
			held = frame;
			return [];
		};
		const found = await withHub(swap, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 400, out_of_order: 5 });
	});

	it("faults do not hide one another", async () => {
		let held;
		const all = (frame, n, follower) => {
			if (follower === 0 && n === 10)
				return [];
			if (follower === 0 && n === 11)
				return [frame, frame];
			if (follower === 0 && n === 50) {
				held = frame;
				return [];
			}
			return follower === 0 && n === 60 ? [frame, held, held] : null;
		};
		const found = await withHub(all, (port) => load(port, "fanout", paced));
		assertFound(found, {
			delivered: 399, missed: 1, duplicated: 2, out_of_order: 1,
		});
	});

	it("what is of another channel is misrouted", async () => {
		const last = new Map();
		const stray = (frame, n, follower) => {
			const { channel } = JSON.parse(frame);
			last.set(channel, frame);
			const other = [...last.keys()].find((name) => name !== channel);
			return n === 30 && follower === 1 ? [frame, last.get(other)] : null;
		};
		const found = await withHub(stray, (port) =>
			load(port, "rooms", { connections: 4, channels: 2, rate: 500, messages: 200 }));
		assertFound(found, { published: 200, expected: 400, delivered: 400, misrouted: 1 });
	});

	it("what was never published is unknown", async () => {
		const invent = (frame, n, follower) =>
			n === 40 && follower === 0 ? [frame.replace(/~#.{8}/, "~#00010000"), frame] : null;
		const found = await withHub(invent, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 400, unknown: 1 });
	});

	it("a connection that the server ends is told, with what it missed", async () => {
		const end = (frame, n, follower, socket) => {
			if (follower === 1 && n === 60)
				socket.close();
			return follower === 1 && n >= 60 ? [] : null;
		};
		const found = await withHub(end, (port) => load(port, "fanout", paced));
		assertFound(found, { delivered: 360, missed: 40, ended: 1 });
	});

	it("in a closed loop a lost message is given up, and the work goes on", async () => {
		const drop = (frame, n, follower) => follower === 1 && n === 5 ? [] : null;
		const found = await withHub(drop, (port) =>
			load(port, "fanout", { connections: 4, flight: 1, messages: 20 }));
		assertFound(found, { published: 20, delivered: 79, missed: 1, stalls: 1 });
	});
});

describe("load: time", () => {
	/* Uses up so much time, and CPU time; nothing else happens meanwhile. */
	function stall(ms) {
		const begin = performance.now(), used = process.cpuUsage();
		for (;;) {
			const { user, system } = process.cpuUsage(used);
			if (user + system >= ms * 1000 && performance.now() - begin >= ms)
				return;
		}
	}

	it("a stall shows with all that was due in it, and in the server's CPU time", async () => {
		let isStalled = false;
		const once = (frame, n) => {
			if (n === 100 && !isStalled)
				stall(400);
			isStalled ||= n === 100;
			return null;
		};
		const found = await withHub(once, (port) =>
			load(port, "fanout",
				{ connections: 2, rate: 200, messages: 300, pid: process.pid,
					patience: 10 }));
		assertFound(found, { delivered: 600 });
		/* 80 of 300 were due while nothing moved: a generator that waits for answers
		 * before it asks again would have seen one. */
		assert.ok(found.p90_us >= 200_000, `p90 ${found.p90_us}`);
		assert.ok(found.p99_us >= 300_000, `p99 ${found.p99_us}`);
		assert.ok(found.max_us >= 350_000, `max ${found.max_us}`);
		assert.ok(found.server_cpu_s >= 0.35, `server ${found.server_cpu_s}`);
	});

	it("a delay of each message is in all percentiles", async () => {
		const late = (frame, n, follower, socket) => {
			setTimeout(() => socket.send(frame), 120);
			return [];
		};
		const found = await withHub(late, (port) =>
			load(port, "fanout", { connections: 2, flight: 4, messages: 20 }));
		assertFound(found, { delivered: 40 });
		assert.ok(found.p50_us >= 115_000, `p50 ${found.p50_us}`);
	});

	it("stuck followers read nothing, and nothing is expected of them", async () => {
		const waiting = [];
		const look = (frame, n, follower, socket) => {
			if (n === 99)
				waiting.push(socket.bufferedAmount);
			return null;
		};
		const found = await withHub(look, (port) => load(port, "stuck",
			{ connections: 4, stuck: 2, rate: 200, messages: 100, size: 200_000 }));
		assertFound(found, { expected: 200, delivered: 200 });
		/* Of 20 MB the kernel holds a few. */
		assert.ok(waiting.filter((bytes) => bytes > 8e6).length >= 2, `${waiting}`);
	});
});

describe("load: against the real server", () => {
	const server = useServer({ options: ["channel.short:*.history_size=10"] });

	for (const [mode, options, wanted] of [
		["fanout", { connections: 50, messages: 40 }, { delivered: 2000 }],
		["fanout", { connections: 50, messages: 40, flight: 8, threads: 3 }, { delivered: 2000 }],
		["fanout", { connections: 50, messages: 40, "publish-protocol": "post" },
			{ delivered: 2000 }],
		["rooms", { connections: 60, channels: 20, messages: 200, publishers: 3 },
			{ delivered: 600 }],
		["stuck", { connections: 50, stuck: 10, rate: 500, messages: 100 },
			{ expected: 4000, delivered: 4000 }],
		["sse", { connections: 20, messages: 40, flight: 4 }, { delivered: 800 }],
		["poll", { connections: 20, messages: 40, flight: 4 }, { delivered: 800 }],
		["idle", { connections: 40, messages: 1 }, { delivered: 40 }],
	]) {
		const name = Object.entries(options).map(([key, value]) => `${key} ${value}`).join(", ");
		it(`${mode}, ${name}`, async () => {
			assertFound(await load(server.port, mode, options), wanted);
		});
	}

	it("echo, closed and open loop", async () => {
		for (const pace of [{}, { rate: 1000 }]) {
			const found = await load(server.port, "echo",
				{ connections: 10, messages: 500, ...pace });
			assert.equal(found.expected, 500);
			assert.equal(found.delivered, 500);
			assert.equal(found.missed, 0);
		}
	});

	it("churn: all that come go again", async () => {
		const found = await load(server.port, "churn", { connections: 10, messages: 200 });
		assert.deepEqual([found.begun, found.done, found.failed], [200, 200, 0]);
	});

	it("resume: all come back, and get all they missed", async () => {
		const found = await load(server.port, "resume",
			{ connections: 100, channels: 2, missed: 20, settle: 0.3 });
		assertFound(found, { resumed: 100, failed: 0, delivered: 2500 });
	});

	it("resume: what history does not hold any more is a gap told, and missed", async () => {
		const found = await load(server.port, "resume",
			{ connections: 20, missed: 25, settle: 0.3, channel: "short:1" });
		assertFound(found, { gaps_told: 20, missed: 20 * 15, delivered: 20 * 15 });
	});
});
