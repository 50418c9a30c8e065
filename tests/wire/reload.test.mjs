/* SIGHUP: the configuration is read again, and no connection is dropped. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";

import WebSocket from "ws";

import { EventStream, NativeClient, RawClient, opcodes } from "./clients.mjs";
import {
	assertError, call, fresh, publish, publishCount, scale, scratchDirectory, startServer, until,
	withServer,
	writeScratch,
} from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";

const done = "starling: the configuration was read again";
const kept = "starling: the configuration stays as it was: ";

const health = async (server) => (await call(server, "GET", "/health")).status;

describe("reload: sessions are judged again", () => {
	const other = "another secret that is as long as the first one was";
	const start = (auth, rules, body) => withServer({ config: `[auth]\n${auth}\n${rules}` }, (server) =>
		body(server, (next, nextRules = rules) => server.reload(`[auth]\n${next}\n${nextRules}`)));
	const open = (server, token) => NativeClient.open(server, { query: `token=${token}` });
	const jwt = (...keys) => {
		const jwks = { keys: keys.map((key) => ({ kty: "OKP", crv: "Ed25519", x: key.x })) };
		return `jwt_public_key_file = ${writeScratch("keys.json", JSON.stringify(jwks))}`;
	};
	const pair = () => {
		const { publicKey, privateKey } = generateKeyPairSync("ed25519");
		return { x: publicKey.export({ format: "jwk" }).x, privateKey };
	};
	const mintBy = ({ privateKey }, claims) => mint(claims, { alg: "EdDSA", key: privateKey });

	it("a token whose key is gone has expired; one whose key stays has not", async () => {
		const [first, second, third] = [pair(), pair(), pair()];
		await start(jwt(first, second), "[channel *]\nsubscribe = user\n", async (server, reload) => {
			const gone = await open(server, mintBy(first)), stays = await open(server, mintBy(second));
			const stream = await EventStream.open(server, `/events?channel=c&token=${mintBy(first)}`);
			await stream.until(() => stream.id, "the id where the stream begins");
			const poll = call(server, "GET", `/poll?channel=c&since=${stream.id}&token=${mintBy(first)}`);
			await stays.subscribe("c");
			await reload(jwt(second, third));
			assert.deepEqual(await gone.closing(), { code: 1008, reason: "token_expired" });
			await stream.until(() => stream.isClosed, "the stream to end").catch(() => {});
			assertError(await poll, 401, "unauthorized");
			await (await open(server, mintBy(third))).ask({ type: "ping" });
			assert.equal((await stays.ask({ type: "ping" })).type, "pong");
			
			/* And once more, by the set of the second reading. */
			await reload(jwt(third));
			assert.deepEqual(await stays.closing(), { code: 1008, reason: "token_expired" });
		});
	});

	it("a token is to be shown again when another issuer is asked for, or the secret changes", async () => {
		await start(`jwt_secret = ${secret}`, "", async (server, reload) => {
			const client = await open(server, mint({ iss: "me" }));
			await reload(`jwt_secret = ${secret}`);
			assert.equal((await client.ask({ type: "ping" })).type, "pong");
			await reload(`jwt_secret = ${secret}\njwt_issuer = me`);
			assert.deepEqual(await client.closing(), { code: 1008, reason: "token_expired" });
			const again = await open(server, mint({ iss: "me" }));
			await reload(`jwt_secret = ${other}\njwt_issuer = me`);
			assert.deepEqual(await again.closing(), { code: 1008, reason: "token_expired" });
		});
	});

	it("a backend whose API key is gone is disconnected, and who had named itself", async () => {
		const bearer = (key) => ({ headers: { Authorization: `Bearer ${key}` } });
		await start("open = yes\napi_key = one, two", "", async (server, reload) => {
			const gone = await NativeClient.open(server, bearer("one"));
			const stays = await NativeClient.open(server, bearer("two"));
			await reload("open = yes\napi_key = two");
			assert.deepEqual(await gone.closing(), { code: 1008, reason: "disconnected" });
			const ann = await NativeClient.open(server, { query: "user=ann" });
			const nobody = await NativeClient.open(server);
			await reload("api_key = two");
			assert.deepEqual(await ann.closing(), { code: 1008, reason: "disconnected" });
			for (const client of [stays, nobody])
				assert.equal((await client.ask({ type: "ping" })).type, "pong");
		});
	});

	it("a stream of lines whose API key is gone publishes no more", async () => {
		const keys = (...list) => `[auth]\napi_key = ${list.join(", ")}\n`;
		const bearer = (key) => ({ headers: { authorization: `Bearer ${key}` } });
		const chunk = (piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`;
		const settings = { config: keys("one", "two"), options: ["workers.count=1"] };
		await withServer(settings, async (server) => {
			const open_ = async (key, channel) => {
				const client = await RawClient.connect(server);
				client.send(`POST /api/stream?channel=${channel} HTTP/1.1\r\nHost: x\r\n` +
					`Authorization: Bearer ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`);
				return client;
			};
			const held = async (channel) => (await call(server, "GET",
				`/api/channels/${channel}/history`, bearer("two"))).json().messages
				.map((message) => message.data);
			const gone = await open_("one", "gone"), half = await open_("one", "half");
			const none = await open_("one", "none"), stays = await open_("two", "stays");
			gone.send(chunk("first\n"));
			half.send(chunk("first\nsec"));
			stays.send(chunk("first\n"));
			for (const channel of ["gone", "half", "stays"])
				await until(async () => (await held(channel)).length === 1);
			await server.reload(keys("two"));
			await until(async () => (await call(server, "GET", "/api/stats", bearer("one"))).status === 401);
			gone.send(chunk("second\n"));
			for (const client of [half, none])
				client.send(chunk(""));
			stays.send(chunk("second\n"), chunk(""));
			for (const client of [gone, half, none])
				assertError(await client.response(), 401, "unauthorized");
			assert.equal(JSON.parse((await stays.response()).text).published, 2);
			assert.deepEqual(await held("gone"), ["first"]);
			assert.deepEqual(await held("half"), ["first"]);
			assert.deepEqual(await held("stays"), ["first", "second"]);
		});
	});

	it("subscriptions that are not allowed any more end, the others go on", async () => {
		const rules = (who) => `[channel a]\nsubscribe = ${who}\n[channel b]\nsubscribe = any\n`;
		await start("api_key = key", rules("any"), async (server, reload) => {
			const client = await NativeClient.open(server);
			await client.subscribe("a");
			await client.subscribe("b");
			const both = await EventStream.open(server, "/events?channel=a&channel=b");
			const one = await EventStream.open(server, "/events?channel=b");
			for (const stream of [both, one])
				await stream.until(() => stream.id, "the id where the stream begins");
			await reload("api_key = key", rules("none"));
			assert.deepEqual(await client.hear(),
				{ type: "unsubscribed", channel: "a", reason: "forbidden" });
			await both.until(() => both.isClosed, "the stream to end").catch(() => {});
			const headers = { authorization: "Bearer key" };
			const body = JSON.stringify({ channels: ["a", "b"], data: 1 });
			assert.equal((await call(server, "POST", "/api/publish", { headers, body })).status, 200);
			assert.deepEqual(await client.data(1), [1]);
			assert.equal((await one.next()).data, "1");
		});
	});

	it("of many, in turns", async () => {
		await start(`jwt_secret = ${secret}`, "", async (server, reload) => {
			const clients = await Promise.all(Array.from({ length: Math.ceil(200 * scale) }, (_, i) =>
				open(server, mint({ sub: `u${i}`, allow: { "*": "r" } }))));
			await Promise.all(clients.map((client) =>
				client.say({ type: "resume", channels: Object.fromEntries(
					Array.from({ length: 100 }, (_, i) => [`c${i}`, "start"])) })));
			await reload(`jwt_secret = ${other}`);
			for (const client of clients)
				assert.deepEqual(await client.closing(), { code: 1008, reason: "token_expired" });
		});
	});
});

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

describe("reload: how the node behaves", () => {
	it("a heartbeat is by the new interval, and told to who comes", async () => {
		await withServer({ config: "[heartbeat]\ninterval = 1h\ntimeout = 2h\n" }, async (server) => {
			const before = await NativeClient.open(server);
			assert.equal(before.welcome.heartbeat, 3600);
			await server.reload("[heartbeat]\ninterval = 100ms\ntimeout = 1h\n");
			const after = await until(async () => {
				const client = await NativeClient.open(server);
				if (client.welcome.heartbeat === 1)
					return client;
				client.close();
			}, "the new interval to be told");
			assert.equal((await after.frame()).opcode, opcodes.ping);
			before.close();
			after.close();
		});
	});

	it("who was silent for longer than the new time-out is asked before it is closed", async () => {
		await withServer({ config: "[heartbeat]\ninterval = 1s\ntimeout = 1h\n" }, async (server) => {
			const client = new WebSocket(server.wsUrl);
			let pings = 0, isClosed = false;
			client.on("ping", () => { pings++; });
			client.on("close", () => { isClosed = true; });
			await until(() => pings === 1, "the first ping");
			await server.reload("[heartbeat]\ninterval = 100ms\ntimeout = 800ms\n");
			await until(() => pings > 15 || isClosed, "more of them");
			assert.equal(isClosed, false);
			client.close();
		});
	});

	it("/echo comes and goes", async () => {
		const config = (echo) => `[auth]\napi_key = k\n[listen]\necho = ${echo}\n`;
		await withServer({ config: config("no") }, async (server) => {
			const echo = async () => (await call(server, "GET", "/echo")).status;
			assert.equal(await echo(), 404);
			await server.reload(config("yes"));
			await until(async () => await echo() === 426, "/echo to be there");
			await server.reload(config("no"));
			await until(async () => await echo() === 404, "/echo to be gone");
		});
	});

	it("proxies are trusted, and no more", async () => {
		const config = (proxies) => `[listen]\ntrusted_proxies = ${proxies}\n`;
		await withServer({ config: config("") }, async (server) => {
			const addressOf = async () => {
				const client = await NativeClient.open(server,
					{ headers: { "X-Forwarded-For": "192.0.2.7" } });
				const answer = await call(server, "GET", `/api/connections/${client.welcome.connection}`);
				client.close();
				return answer.json().address;
			};
			assert.equal(await addressOf(), "127.0.0.1");
			await server.reload(config("127.0.0.0/8"));
			await until(async () => await addressOf() === "192.0.2.7", "the proxy to be trusted");
			await server.reload(config(""));
			await until(async () => await addressOf() === "127.0.0.1", "it to be so no more");
		});
	});

	it("a drain takes as long as it is said to by then", async () => {
		const server = await startServer({ config: "[drain]\ntime = 1h\n", without: ["drain.time"] });
		const client = await NativeClient.open(server);
		await server.reload("[drain]\ntime = 100ms\n");
		server.signal("SIGTERM");
		assert.deepEqual(await client.closing(), { code: 1012, reason: "drain" });
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
		assert.match(server.stderr(), /over 100 ms/);
	});
});

describe("reload: what may not", () => {
	it("a key that needs a restart is named, and keeps its value", async () => {
		await withServer({ config: "[mesh]\nname = one\n" }, async (server) => {
			const said = await server.reload("[mesh]\nname = two\n[drain]\ntime = 9s\n" +
				"[limits]\nchannels_per_connection = 1\n");
			assert.equal(said, `${done}; a restart is needed for mesh.name`);
			const client = await NativeClient.open(server);
			assert.equal(client.welcome.node, "one");
			await until(async () => {
				const other = await NativeClient.open(server);
				await other.subscribe(fresh());
				const more = await other.ask({ type: "subscribe", channel: fresh() });
				other.close();
				return more.code === "too_many_channels";
			}, "the other keys to hold");
			/* Said again each time, for it is still so. */
			assert.match(await server.reload(), /a restart is needed for mesh\.name$/);
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

	it("what the keys are by now is said where it is a danger: none at all, or a short one", async () => {
		const warnings = (server) => server.stderr().match(/warning: .*/g) ?? [];
		await withServer({ config: "[auth]\napi_key = k\n" }, async (server) => {
			assert.equal(await server.reload(""), done);
			await until(() => warnings(server).length === 1);
			assert.equal(await server.reload(""), done);
			assert.equal(await server.reload("[auth]\njwt_secret = hush-hush\n"), done);
			await until(() => warnings(server).length === 2);
			const [open, short] = warnings(server);
			assert.equal(open, "warning: open mode from now on: anyone may do everything");
			assert.match(short, /^warning: auth\.jwt_secret has less than 32 bytes/);
			assert.ok(!server.stderr().includes("hush"));
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
