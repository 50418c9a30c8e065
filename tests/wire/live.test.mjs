/* GET /api/live: answers of the server API as they change, over one event stream. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient } from "./clients.mjs";
import {
	assertError, call, fresh, publish, startServer, until, useServer, withServer,
} from "./harness.mjs";

const target = (paths, more = "") =>
	`/api/live?every=1${more}&${paths.map((path) => `get=${encodeURIComponent(path)}`).join("&")}`;
const open = (server, paths, options) => EventStream.open(server, target(paths), options);

/* The first event of that name, from `from` on, that `fits`. */
const told = (stream, name, fits = () => true, from = 0) => {
	const find = () => stream.events.slice(from).find(({ event, data }) => event === name && fits(data));
	return stream.until(find, `${name} to be told`).then(find);
};
const close = (stream) => stream.close();

describe("live: /api/live", () => {
	const server = useServer();

	it("tells the answer of each path, under its name", async () => {
		const channel = fresh();
		const paths = ["/metrics", "/api/cluster", `/api/channels?prefix=${channel}`,
			`/api/channels/${channel}/history?limit=2`];
		await publish(server, channel, "a b");
		const stream = await open(server, paths);
		assert.equal(stream.status, 200);
		assert.equal(stream.headers["content-type"], "text/event-stream");
		const { data } = await told(stream, "/metrics");
		assert.match(data, /^starling_channels \d+$/m);
		assert.match(data, /\n# TYPE process_open_fds gauge\n/);
		const { members } = JSON.parse((await told(stream, "/api/cluster")).data);
		assert.equal(members.length, 1);
		const { channels } = JSON.parse((await told(stream, paths[2])).data);
		assert.deepEqual(channels.map((one) => one.channel), [channel]);
		const { messages } = JSON.parse((await told(stream, paths[3])).data);
		assert.deepEqual(messages.map((message) => message.data), ["a b"]);
		close(stream);
	});

	it("asks again and again, and tells what has changed alone", async () => {
		const channel = fresh();
		const stream = await open(server, ["/api/cluster", `/api/channels/${channel}/history`,
			"/api/stats"]);
		await told(stream, "/api/stats");
		await publish(server, channel, 1);
		const name = `/api/channels/${channel}/history`;
		await told(stream, name, (data) => JSON.parse(data).messages.length === 1);
		await publish(server, channel, 2);
		await told(stream, name, (data) => JSON.parse(data).messages.length === 2);
		const of = (wanted) => stream.events.filter(({ event }) => event === wanted).length;
		assert.equal(of("/api/cluster"), 1);
		assert.equal(of(name), 3);
		close(stream);
	});

	it("says that it stands where nothing changes", async () => {
		const stream = await open(server, ["/api/cluster"]);
		await told(stream, "/api/cluster");
		await stream.until(() => stream.comments.length > 1, "two rounds without news");
		assert.equal(stream.events.length, 1);
		close(stream);
	});

	it("asks each `every` seconds, and no sooner", async () => {
		const channel = fresh(), path = `/api/channels/${channel}/history`;
		const seldom = await EventStream.open(server, `/api/live?every=60&get=${path}`);
		await told(seldom, path);
		const often = await open(server, [path]);
		await told(often, path);
		await publish(server, channel, 1);
		await told(often, path, (data) => JSON.parse(data).messages.length === 1);
		const rounds = often.comments.length;
		await often.until(() => often.comments.length > rounds + 1, "two more rounds");
		assert.equal(seldom.events.length, 1);
		assert.equal(seldom.comments.length, 0);
		close(seldom);
		close(often);
	});

	it("tells refusals, and goes on", async () => {
		const channel = fresh();
		const stream = await open(server, [`/api/channels/${channel}`, "/api/publish",
			"/api/connections/none", "/api/cluster"]);
		await told(stream, "/api/cluster");
		const refused = stream.events.filter(({ event }) => event === "refused")
			.map(({ data }) => JSON.parse(data));
		assert.deepEqual(refused.map(({ get, answer }) => [get, answer.error.code]), [
			[`/api/channels/${channel}`, "not_found"], ["/api/publish", "method_not_allowed"],
			["/api/connections/none", "not_found"]]);
		await publish(server, channel, 1);
		await told(stream, `/api/channels/${channel}`);
		close(stream);
	});

	it("refuses what it cannot ask", async () => {
		for (const path of ["/health", "/api/live?get=/metrics", "api/stats", "/metrics?a=1",
			"/api/a b", "/api/a\r\nX: y", "/api/\u00e9", "/poll?channel=a"])
			assertError(await call(server, "GET", target([path])), 400, "bad_request");
		assertError(await call(server, "GET", target([])), 400, "bad_request");
		assertError(await call(server, "GET", target(Array(9).fill("/api/stats"))), 400, "bad_request");
		for (const every of ["0", "61", "x", "%zz"])
			assertError(await call(server, "GET", `/api/live?get=/metrics&every=${every}`), 400,
				"bad_request");
		assertError(await call(server, "GET", "/api/live?get=%zz"), 400, "bad_request");
		assertError(await call(server, "POST", "/api/live?get=/metrics"), 405, "method_not_allowed");
	});

	it("answers HEAD without a stream", async () => {
		const answer = await call(server, "HEAD", target(["/api/stats"]));
		assert.equal(answer.status, 200);
		assert.equal(answer.headers["content-type"], "text/event-stream");
	});

	it("is no client: it is in no list and no count", async () => {
		const stream = await open(server, ["/api/stats"]);
		const { data } = await told(stream, "/api/stats");
		assert.equal(JSON.parse(data).connections, 0);
		assert.deepEqual((await call(server, "GET", "/api/connections")).json().connections, []);
		close(stream);
	});
});

/* A channel with several MB in it: more than sockets hold. */
async function fill(server, channel) {
	const client = await NativeClient.open(server);
	for (let i = 0; i < PIECES; i++)
		await client.publish(channel, `${i}-${"x".repeat(60_000)}`);
	client.close();
	return `/api/channels/${channel}/history?limit=1000`;
}
const PIECES = 200;
const last = (data) => JSON.parse(data).messages.at(-1)?.data.split("-")[0];

describe("live: answers of several MB", () => {
	const server = useServer({ options: ["limits.outbound_buffer=64KiB", "workers.count=1",
		"channel.*.history_size=1000"] });

	it("who reads them is told all, however slowly they go", async () => {
		const paths = [await fill(server, fresh()), await fill(server, fresh()), "/api/cluster"];
		const stream = await open(server, paths);
		for (const path of paths)
			await told(stream, path);
		assert.deepEqual(stream.events.map(({ event }) => event), paths);
		close(stream);
	});

	it("a client that takes nothing is not asked for", async () => {
		const channel = fresh();
		const stream = await open(server, [`/api/channels/${channel}/history?limit=1000`]);
		await until(() => stream.events.length === 1, "the empty channel");
		stream.request.res.socket.pause();
		const path = await fill(server, channel);
		const rounds = await open(server, ["/metrics"]);
		const waiting = async () => {
			const { data } = await told(rounds, "/metrics", () => true, rounds.events.length);
			return Number(/^starling_outbound_bytes (\d+)$/m.exec(data)[1]);
		};
		const held = await until(waiting, "an answer to wait");
		for (let i = 0; i < 3; i++) {
			await publish(server, channel, `${PIECES + i}-`);
			assert.equal(await waiting(), held);
		}
		stream.request.res.socket.resume();
		await told(stream, path, (data) => last(data) === String(PIECES + 2));
		close(stream);
		close(rounds);
	});
});

describe("live: who may have it", () => {
	const headers = { authorization: "Bearer sesame" };
	const keys = (...list) => `[auth]\napi_key = ${list.join(", ")}\n`;

	it("whoever has a key, as long as it is good", async () => {
		await withServer({ config: keys("sesame", "other") }, async (server) => {
			assertError(await call(server, "GET", target(["/metrics"])), 401, "unauthorized");
			const stream = await open(server, ["/api/stats"], { headers });
			await told(stream, "/api/stats");
			await server.reload(keys("sesame"));
			await told(stream, "/api/stats", () => true, stream.events.length);
			await server.reload(keys("other"));
			await stream.until(() => stream.isClosed, "the stream to end").catch(() => {});
			assert.ok(stream.isClosed);
			const open_ = await call(server, "GET", "/metrics",
				{ headers: { authorization: "Bearer other" } });
			assert.match(open_.text, /^starling_closes_total\{reason="disconnected"\} 1$/m);
		});
	});

	it("is told with its key whatever may be asked with it", async () => {
		const rule = "channel.c.presence=full";
		await withServer({ config: keys("sesame"), options: [rule] }, async (server) => {
			const body = JSON.stringify({ channel: "c", data: 1 });
			assert.equal((await call(server, "POST", "/api/publish", { headers, body })).status, 200);
			const paths = ["/api/channels/c/history", "/api/channels/c/presence", "/api/channels/c",
				"/api/channels", "/api/connections", "/api/users/ann", "/api/cluster", "/metrics"];
			const stream = await open(server, paths, { headers });
			for (const path of paths)
				await told(stream, path);
			/* And in the round after. */
			await call(server, "POST", "/api/publish", { headers, body });
			await told(stream, paths[0], (data) => JSON.parse(data).messages.length === 2);
			assert.ok(stream.events.every(({ event }) => event !== "refused"));
			close(stream);
		});
	});

	it("goes on while the node drains, and ends with it", async () => {
		const server = await startServer({ options: ["drain.time=1h"] });
		const client = await NativeClient.open(server);
		const stream = await open(server, ["/metrics"]);
		await told(stream, "/metrics");
		server.signal("SIGTERM");
		await told(stream, "/metrics", (data) => /^starling_draining 1$/m.test(data));
		client.close();
		client.socket.destroy();
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
		await until(() => stream.isClosed, "the stream to end");
	});
});
