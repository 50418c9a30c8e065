/*
 * GET /metrics (SPEC section 10): every name that is promised, the text as Prometheus' own checker
 * wants it, the numbers that it says of what has been done; and who may ask.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { NativeClient, RawClient } from "./clients.mjs";
import {
	assertError, call, fresh, hasOneTable, publish, publishCount, until, useServer,
	withServer,
} from "./harness.mjs";

const skip = spawnSync("promtool", ["--version"]).status !== 0 && "promtool is not there";

async function metricsOf(server, headers = {}) {
	const answer = await call(server, "GET", "/metrics", { headers });
	assert.equal(answer.status, 200, answer.text);
	const values = new Map();
	for (const line of answer.text.split("\n")) {
		const found = /^([^#\s]\S*(?:\{.*\})?) (\S+)$/.exec(line);
		if (found)
			values.set(found[1], Number(found[2]));
	}
	return { text: answer.text, values, get: (name) => values.get(name) };
}

/* Of the histogram: rising buckets, the last one the count. */
function assertHistogram(metrics, name, labels = "") {
	const start = `${name}_bucket{${labels}${labels && ","}le="`;
	const buckets = [...metrics.values].filter(([key]) => key.startsWith(start));
	const counts = buckets.map(([, value]) => value);
	const bounds = buckets.map(([key]) => key.slice(start.length, -2));
	assert.ok(buckets.length > 10, `${name} has buckets`);
	assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
	assert.equal(bounds.at(-1), "+Inf");
	const suffix = labels && `{${labels}}`;
	assert.equal(metrics.get(`${name}_count${suffix}`), counts.at(-1));
	assert.ok(metrics.get(`${name}_sum${suffix}`) >= 0);
	return counts.at(-1);
}

describe("metrics: /metrics", () => {
	const server = useServer();

	it("has every name of the contract, each with HELP and TYPE", async () => {
		const { text } = await metricsOf(server);
		const promised = {
			starling_connections: "gauge", starling_connections_total: "counter",
			starling_messages_published_total: "counter",
			starling_messages_delivered_total: "counter", starling_channels: "gauge",
			starling_subscriptions: "gauge", starling_outbound_bytes: "gauge",
			starling_slow_consumers_total: "counter", starling_errors_total: "counter",
			starling_publish_seconds: "histogram", starling_delivery_seconds: "histogram",
			starling_worker_loop_seconds: "histogram",
			process_cpu_seconds_total: "counter", process_open_fds: "gauge",
			process_max_fds: "gauge", process_resident_memory_bytes: "gauge",
			process_virtual_memory_bytes: "gauge", process_start_time_seconds: "gauge",
		};
		for (const [name, type] of Object.entries(promised)) {
			assert.match(text, new RegExp(`^# HELP ${name} \\S`, "m"));
			assert.match(text, new RegExp(`^# TYPE ${name} ${type}$`, "m"));
		}
		for (const label of [`connections{transport="websocket"}`, `connections{transport="sse"}`,
			`connections{transport="poll"}`, `slow_consumers_total{action="disconnect"}`,
			`slow_consumers_total{action="drop"}`, `slow_consumers_total{action="conflate"}`,
			`errors_total{code="bad_request"}`, `closes_total{reason="slow_consumer"}`])
			assert.ok(text.includes(`\nstarling_${label} `), label);
	});

	it("is what promtool wants", { skip }, async () => {
		const { text } = await metricsOf(server);
		const check = spawnSync("promtool", ["check", "metrics"], { input: text });
		assert.equal(String(check.stderr), "");
		assert.equal(check.status, 0, String(check.stdout));
	});

	it("has rules for alerts that speak when they should", { skip }, () => {
		const rules = fileURLToPath(new URL("../../doc/alerts_test.yml", import.meta.url));
		const test = spawnSync("promtool", ["test", "rules", rules]);
		assert.equal(test.status, 0, `${test.stdout}${test.stderr}`);
	});

	it("counts what is done", async () => {
		const channel = fresh();
		const before = await metricsOf(server);
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		await publishCount(server, channel, 5);
		const after = await until(async () => {
			const now = await metricsOf(server);
			const name = "starling_messages_delivered_total";
			return now.get(name) === before.get(name) + 5 && now;
		}, "five deliveries");
		const rose = (name, by) => assert.equal(after.get(name), before.get(name) + by, name);
		rose("starling_messages_published_total", 5);
		rose(`starling_connections{transport="websocket"}`, 1);
		rose("starling_subscriptions", 1);
		rose("starling_channels", 1);
		rose("starling_publish_seconds_count", 5);
		rose("starling_delivery_seconds_count", 5);
		assert.equal(assertHistogram(after, "starling_publish_seconds"),
			after.get("starling_messages_published_total"));
		assertHistogram(after, "starling_delivery_seconds");
		client.close();
	});

	it("shows each worker", async () => {
		const metrics = await metricsOf(server);
		for (const worker of [0, 1]) {
			const labels = `worker="${worker}"`;
			assert.ok(assertHistogram(metrics, "starling_worker_loop_seconds", labels) > 0);
			assert.ok(metrics.get(`starling_worker_letters{${labels}}`) >= 0);
			assert.equal(metrics.get(`starling_worker_letters_queued{${labels}}`), 0);
			assert.ok(metrics.get(`starling_worker_dirty_channels{${labels}}`) >= 0);
		}
	});

	it("shows the process", async () => {
		const metrics = await metricsOf(server);
		const rss = metrics.get("process_resident_memory_bytes");
		assert.ok(Math.abs(rss - server.memory()) < rss / 2, `${rss} against ${server.memory()}`);
		assert.ok(metrics.get("process_open_fds") > 5);
		assert.ok(metrics.get("process_max_fds") >= metrics.get("process_open_fds"));
		const age = Date.now() / 1000 - metrics.get("process_start_time_seconds");
		assert.ok(age >= 0 && age < 3600, `started ${age} s ago`);
	});

	it("answers HEAD without a body", async () => {
		const answer = await call(server, "HEAD", "/metrics");
		assert.equal(answer.status, 200);
		assert.equal(answer.text, "");
		assert.equal(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
		assert.ok(Number(answer.headers["content-length"]) > 1000);
	});

	it("shows the same in /api/stats", async () => {
		const stats = (await call(server, "GET", "/api/stats")).json();
		const metrics = await metricsOf(server);
		assert.equal(stats.messages_published_total,
			metrics.get("starling_messages_published_total"));
		assert.equal(stats.publish_seconds.count, metrics.get("starling_publish_seconds_count"));
		assert.ok(stats.publish_seconds.p50 <= stats.publish_seconds.p99);
		assert.equal(stats.outbound_bytes, 0);
		assert.equal(stats.draining, metrics.get("starling_draining"));
		assert.equal(stats.log_lines_lost_total, metrics.get("starling_log_lines_lost_total"));
	});

	it("tells what lags: bytes, and how many subscriptions", async () => {
		const channel = fresh();
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		client.socket.pause();
		const lagging = await until(async () => {
			await publish(server, channel, "x".repeat(100_000));
			const now = await metricsOf(server);
			return now.get("starling_stuck_subscriptions") === 1 && now;
		}, "the client to lag");
		assert.ok(lagging.get("starling_outbound_bytes") > 0);
		client.socket.resume();
		await until(async () => {
			const now = await metricsOf(server);
			return now.get("starling_stuck_subscriptions") === 0 &&
				now.get("starling_outbound_bytes") === 0;
		}, "the client to have all");
		client.close();
	});

	it("forgets what lags with a client that goes", async () => {
		const channel = fresh();
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		client.socket.pause();
		await until(async () => {
			await publish(server, channel, "x".repeat(100_000));
			return (await metricsOf(server)).get("starling_stuck_subscriptions") === 1;
		}, "the client to lag");
		client.socket.resetAndDestroy();
		await until(async () => {
			const now = await metricsOf(server);
			return now.get("starling_stuck_subscriptions") === 0 &&
				now.get("starling_outbound_bytes") === 0;
		}, "what lagged to be gone");
	});
});

describe("metrics: a throttle", () => {
	const server = useServer({ options: ["channel.*.throttle=20ms"] });

	it("counts walks that are put off, and what was left out", async () => {
		const channel = fresh();
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		await until(async () => {
			await publishCount(server, channel, 20);
			const now = await metricsOf(server);
			return now.get("starling_throttled_walks_total") > 0 &&
				now.get(`starling_messages_left_out_total{why="throttle"}`) > 0;
		}, "a walk to be put off, and the newest value to take the place of others");
		client.close();
	});
});

describe("metrics: who may ask", () => {
	it("outside open mode whoever has the key", async () => {
		await withServer({ options: ["auth.api_key=sesame"] }, async (server) => {
			assertError(await call(server, "GET", "/metrics"), 401, "unauthorized");
			const wrong = { authorization: "Bearer open" };
			assertError(await call(server, "GET", "/metrics", { headers: wrong }), 401,
				"unauthorized");
			const { text } = await metricsOf(server, { authorization: "Bearer sesame" });
			assert.match(text, /^starling_connections_total \d+$/m);
		});
	});

	for (const [how, value, skip] of [
		["a descriptor table that workers share is counted once", "no", false],
		["with private descriptor tables each worker counts its own", "yes", hasOneTable],
	]) {
		it(how, { skip }, async () => {
			await withServer({ options: [`workers.private_fds=${value}`] }, async (server) => {
				const asker = await RawClient.connect(server);
				const ask = async (path) => {
					asker.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
					return (await asker.response()).text;
				};
				const open = async () =>
					Number(/^process_open_fds (\d+)$/m.exec(await ask("/metrics"))[1]);
				const isAlone = async () => {
					const { connections_total: total, closes_total: closes } =
						JSON.parse(await ask("/api/stats"));
					return Object.values(closes).reduce((a, b) => a + b, 0) === total - 1;
				};
				await until(isAlone, "those who were here before to be gone");
				/* The thread sanitizer opens a file of its own now and then: then once more. */
				await until(async () => {
					const before = await open();
					const clients = [];
					for (let i = 0; i < 8; i++)
						clients.push(await NativeClient.open(server));
					const more = await open() - before;
					clients.forEach((client) => client.close());
					await until(isAlone, "them to be gone");
					return more === 8;
				}, "eight more");
				asker.close();
			});
		});
	}
});
