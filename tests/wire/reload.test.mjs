/* SIGHUP: the configuration is read again, and no connection is dropped. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient, opcodes } from "./clients.mjs";
import {
	call, fresh, publish, publishCount, scratchDirectory, until, withServer,
} from "./harness.mjs";

const done = "starling: the configuration was read again";
const kept = "starling: the configuration stays as it was: ";

const health = async (server) => (await call(server, "GET", "/health")).status;

describe("reload: what may change", () => {
	it("limits of a message hold for connections that are open", async () => {
		await withServer({ config: "[limits]\nmessage_size = 4KiB\n", options: ["workers.count=1"] }, async (server) => {
			const client = await NativeClient.open(server);
			const command = JSON.stringify({ type: "ping", ref: 1 });
			client.say(command.padEnd(4096));
			assert.equal((await client.hear()).type, "pong");
			assert.equal(await server.reload("[limits]\nmessage_size = 1KiB\n"), done);
			await until(async () => {
				const other = await NativeClient.open(server);
				other.say(command.padEnd(1025));
				const first = await other.quietFrame();
				other.close();
				return first.opcode === opcodes.close;
			}, "large messages to be refused");
			client.say(command.padEnd(1024));
			assert.equal((await client.hear()).type, "pong");
			client.say(command.padEnd(1025));
			assert.deepEqual(await client.closing(), { code: 1009, reason: "too_large" });
		});
	});

	it("a request whose head came in part keeps the limit it began with", async () => {
		await withServer({
			config: "[limits]\nheader_size = 16KiB\n", options: ["workers.count=1"],
		}, async (server) => {
			const client = await RawClient.connect(server);
			const body = JSON.stringify({ channel: fresh(), data: 1 });
			client.send("POST /api/publish HTTP/1.1\r\nHost: x\r\n" +
				`X: ${"x".repeat(4000)}\r\nContent-Length: ${body.length}\r\n`);
			assert.equal(await health(server), 200); /* so that has been read */
			await server.reload("[limits]\nheader_size = 1KiB\n");
			await until(async () => (await call(server, "GET", "/health",
				{ headers: { x: "x".repeat(2000) } })).status === 431);
			client.send("\r\n");
			client.send(body.slice(0, 5));
			client.send(body.slice(5));
			assert.equal((await client.response()).status, 200);
			client.close();
		});
	});

	it("channels go by their new rule: history, rights, throttle", async () => {
		const config = "[channel kept:*]\nhistory_size = 5\n";
		await withServer({ config }, async (server) => {
			const channel = fresh("kept:a"), ticks = fresh("tick:a");
			const reader = await NativeClient.open(server);
			await reader.subscribe(channel);
			await reader.subscribe(ticks);
			await publishCount(server, channel, 5);
			assert.deepEqual(await reader.data(5), [1, 2, 3, 4, 5]);
			assert.equal(await server.reload("[channel kept:*]\nhistory_size = 2\n" +
				"[channel tick:*]\nthrottle = 200ms\n[channel shut:*]\nsubscribe = none\n"), done);
			await until(async () => {
				const page = await call(server, "GET", `/api/channels/${channel}/history`);
				return page.json().messages.length === 2;
			}, "history to be cut");
			/* The first may come at once, of the rest the last. */
			await until(async () => {
				for (let i = 1; i <= 5; i++)
					await publish(server, ticks, i, { key: "k" });
				const heard = await reader.data(1);
				while (heard.at(-1) !== 5)
					heard.push(...await reader.data(1));
				return heard.length < 5;
			}, "the throttle to hold");
			const refused = await reader.ask({ type: "subscribe", channel: "shut:1" });
			assert.equal(refused.code, "unauthorized");
			await publish(server, channel, "live");
			assert.deepEqual(await reader.data(1), ["live"]);
			reader.close();
		});
	});

	it("a slow reader is treated by the rule that holds now", async () => {
		await withServer({
			config: "[limits]\noutbound_buffer = 64KiB\n[channel *]\nhistory_size = 0\n",
		}, async (server) => {
			const channel = fresh();
			const slow = await NativeClient.open(server);
			await slow.subscribe(channel);
			await server.reload("[limits]\noutbound_buffer = 64KiB\n" +
				"[channel *]\nhistory_size = 0\noverflow = drop\n");
			slow.socket.pause();
			const stats = async () => (await call(server, "GET", "/api/stats")).json();
			await until(async () => {
				for (let i = 0; i < 50; i++)
					await publish(server, channel, "x".repeat(60_000));
				return (await stats()).slow_consumers_dropped_total > 0;
			}, "messages to be dropped");
			assert.equal((await stats()).slow_consumers_disconnected_total, 0);
			slow.socket.resume();
			await slow.until((bytes) => bytes.includes('"type":"gap"'), "a gap");
			slow.close();
		});
	});

	it("API keys and origins: by the new ones, also on a connection that was there", async () => {
		const directory = scratchDirectory();
		const file = path.join(directory, "keys");
		fs.writeFileSync(file, "first\n");
		const config = `[auth]\napi_key_file = ${file}\nallowed_origins = https://a.example\n`;
		await withServer({ config }, async (server) => {
			const client = await RawClient.connect(server);
			const ask = async (key, origin) => {
				client.send(`GET /api/stats HTTP/1.1\r\nHost: x\r\n` +
					`Authorization: Bearer ${key}\r\nOrigin: ${origin}\r\n\r\n`);
				const { status, headers } = await client.response();
				return [status, headers["access-control-allow-origin"]];
			};
			assert.deepEqual(await ask("first", "https://a.example"), [200, "https://a.example"]);
			fs.writeFileSync(file, "second\n");
			assert.equal(await server.reload(config.replace("a.example", "b.example")), done);
			await until(async () => (await ask("second", "https://b.example"))[0] === 200);
			assert.deepEqual(await ask("second", "https://b.example"), [200, "https://b.example"]);
			assert.equal((await ask("first", "https://b.example"))[0], 401);
			assert.equal((await ask("second", "https://a.example"))[0], 403);
			client.close();
		});
	});

	it("an answer under way keeps the origin it was asked from", async () => {
		const config = "[auth]\nallowed_origins = https://a.example\n";
		await withServer({ config }, async (server) => {
			const channel = fresh(), origin = "https://a.example";
			const poll = call(server, "GET", `/poll?channel=${channel}&since=start&wait=20`,
				{ headers: { origin } });
			await until(async () => (await call(server, "GET", "/api/stats"))
				.json().connections_poll === 1);
			for (let i = 0; i < 3; i++)
				await server.reload("[auth]\nallowed_origins = https://b.example\n");
			await until(async () => (await call(server, "GET", "/health",
				{ headers: { origin: "https://b.example" } }))
				.headers["access-control-allow-origin"] === "https://b.example");
			await publish(server, channel, 1);
			const answer = await poll;
			assert.equal(answer.headers["access-control-allow-origin"], origin);
			assert.equal(answer.json().messages.length, 1);
		});
	});
});

describe("reload: what may not", () => {
	it("a key that needs a restart is named, and keeps its value", async () => {
		await withServer({ config: "[heartbeat]\ninterval = 20s\n" }, async (server) => {
			const said = await server.reload("[heartbeat]\ninterval = 5s\n[drain]\ntime = 9s\n" +
				"[limits]\nchannels_per_connection = 1\n");
			assert.equal(said, `${done}; a restart is needed for heartbeat.interval`);
			const client = await NativeClient.open(server);
			assert.equal(client.welcome.heartbeat, 20);
			await until(async () => {
				const other = await NativeClient.open(server);
				await other.subscribe(fresh());
				const more = await other.ask({ type: "subscribe", channel: fresh() });
				other.close();
				return more.code === "too_many_channels";
			}, "the other keys to hold");
			/* Said again each time, for it is still so. */
			assert.match(await server.reload(), /a restart is needed for heartbeat\.interval$/);
			client.close();
		});
	});

	it("a bad file is one line, and nothing changes", async () => {
		const config = "[limits]\nchannels_per_connection = 1\n";
		await withServer({ config }, async (server) => {
			const client = await NativeClient.open(server);
			await client.subscribe(fresh());
			for (const [text, complaint] of [
				["[limits]\nchannels_per_connection = 5\nmessage_size = huge\n",
					/starling\.conf:3: limits\.message_size: bad value 'huge'/],
				["[limits]\nchannels_per_connection = 5\n[nonsense]\n",
					/starling\.conf:3: unknown section 'nonsense'$/],
				["[auth]\napi_key_file = /nowhere\n", /\/nowhere: No such file or directory$/],
			]) {
				const said = await server.reload(text);
				assert.ok(said.startsWith(kept), said);
				assert.match(said, complaint);
			}
			const more = await client.ask({ type: "subscribe", channel: fresh() });
			assert.equal(more.code, "too_many_channels");
			assert.equal(await server.reload(config), done);
			client.close();
		});
	});

	it("keys may go where open mode may be", async () => {
		await withServer({ config: "[auth]\napi_key = k\n" }, async (server) => {
			assert.equal((await call(server, "GET", "/api/stats")).status, 401);
			assert.equal(await server.reload(""), done);
			await until(async () => (await call(server, "GET", "/api/stats")).status === 200);
		});
	});
});

describe("reload: under traffic", () => {
	it("clients of each kind see every message across many reloads", async () => {
		const rules = (size) => `[channel *]\nhistory_size = ${size}\n`;
		await withServer({ config: rules(100) }, async (server) => {
			const channel = fresh(), total = 200;
			const socket = await NativeClient.open(server);
			await socket.subscribe(channel);
			const stream = await EventStream.open(server, `/events?channel=${channel}`);
			const sent = (async () => {
				for (let i = 1; i <= total; i++)
					await publish(server, channel, i);
			})();
			for (let i = 0; i < 20; i++)
				assert.equal(await server.reload(rules(100 + i)), done);
			await sent;
			const all = Array.from({ length: total }, (_, i) => i + 1);
			assert.deepEqual(await socket.data(total), all);
			const events = await stream.take(total);
			assert.deepEqual(events.map(({ data }) => Number(data)), all);
			socket.close();
			stream.close();
		});
	});

	it("a burst of signals is taken in, and a stop among them", async () => {
		await withServer({ config: "" }, async (server) => {
			for (let i = 0; i < 200; i++)
				server.signal("SIGHUP");
			assert.equal(await health(server), 200);
			for (let i = 0; i < 50; i++)
				server.signal("SIGHUP");
		});
	});
});
