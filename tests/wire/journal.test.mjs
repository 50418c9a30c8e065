/* What the server says on standard error: [log] of SPEC section 2. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient, exchange } from "./clients.mjs";
import {
	assertError, binary, call, cleanEnvironment, fresh, freePort, patience, publish, sleep, speakPlainly,
	startServer, until, within, withServer,
} from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";

speakPlainly(); /* what is asked for to see whether it stands is not to be in the log */

const linesOf = (server) => server.stderr().trimEnd().split("\n");

describe("log", () => {
	it("json: each line is an object, and says what, when and how grave", async () => {
		const server = await startServer({ config: "", options: ["log.format=json"] });
		server.signal("SIGHUP");
		await until(() => linesOf(server).length > 1, "the reload");
		await server.stop();
		const events = linesOf(server).map((line) => JSON.parse(line));
		assert.deepEqual(events.map(({ event }) => event), ["start", "reload", "drain"]);
		for (const { time, level, message } of events) {
			assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000, time);
			assert.equal(level, "info");
			assert.ok(message.length > 0);
		}
	});

	it("level: lesser lines are left out, the banner too", async () => {
		const server = await startServer({ options: ["log.level=warn"] });
		await server.stop();
		assert.equal(server.stderr(), "");
	});

	it("both change when the configuration is read again", async () => {
		const server = await startServer({ config: "" });
		await until(() => /^starling [\d.]+: open mode[^]*lobby'\n/.test(server.stderr()), "the banner");
		const before = server.stderr().length;
		const { file } = server;
		writeFileSync(file, "[log]\nformat = json\n");
		server.signal("SIGHUP");
		const said = await until(() => server.stderr().slice(before), "the reload");
		assert.equal(JSON.parse(said).event, "reload");
		writeFileSync(file, "[log]\nlevel = error\nformat = json\nno = no\n");
		server.signal("SIGHUP");
		const failed = await until(() => server.stderr().slice(before + said.length), "an error");
		assert.equal(JSON.parse(failed).level, "error");
		await server.stop();
	});
});

/* The next line of the log that fits; `fields` of it, read as JSON. */
const heard = (server, event, fields) => until(() => linesOf(server)
	.map((line) => (line.startsWith("{") ? JSON.parse(line) : {}))
	.find((line) => line.event === event &&
		Object.entries(fields).every(([name, value]) => line[name] === value)),
`${event} with ${JSON.stringify(fields)}`);

describe("log: access", () => {
	const options = ["log.access=yes", "log.format=json"];

	it("is off unless it is asked for", async () => {
		const server = await startServer();
		await call(server, "GET", "/ready");
		const client = await NativeClient.open(server);
		client.close();
		await server.stop();
		assert.doesNotMatch(server.stderr(), /request|closed/);
	});

	it("each request is a line, as text with names and values", async () => {
		await withServer({ options: ["log.access=yes"] }, async (server) => {
			await call(server, "GET", "/ready");
			const [line] = await until(() => /^starling: request: .*path=\/ready .*$/m
				.exec(server.stderr()), "the line");
			assert.match(line, new RegExp("^starling: request: method=GET path=/ready status=200 " +
				"bytes=18 ms=\\d+ address=127\\.0\\.0\\.1 connection=\\S+$"));
		});
	});

	it("tells what was asked and answered, refusals and what is no request too", async () => {
		await withServer({ options }, async (server) => {
			await publish(server, "a", 1);
			const { bytes, ms, address } = await heard(server, "request",
				{ method: "POST", path: "/api/publish", status: 200 });
			assert.ok(bytes > 10 && ms < patience);
			assert.equal(address, "127.0.0.1");
			assertError(await call(server, "GET", "/no%22thing"), 404, "not_found");
			await heard(server, "request", { path: "/no%22thing", status: 404 });
			await exchange(server, "no request\r\n\r\n");
			await heard(server, "request", { method: "-", path: "-", status: 400 });
			for (const [path, status] of [["/ready", 200], ["/nothing", 404]]) {
				await call(server, "HEAD", path);
				await heard(server, "request", { method: "HEAD", path, status, bytes: 0 });
			}
		});
	});

	it("each request of a connection is a line of its own", async () => {
		await withServer({ options }, async (server) => {
			const client = await RawClient.connect(server);
			for (const path of ["/ready", "/health"]) {
				client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
				await client.response();
			}
			const first = await heard(server, "request", { path: "/ready" });
			await heard(server, "request", { path: "/health", connection: first.connection });
		});
	});

	it("has no token or key in it", async () => {
		const keys = ["auth.api_key=sesame-key", `auth.jwt_secret=${secret}`];
		await withServer({ options: [...options, ...keys] }, async (server) => {
			const token = mint({ sub: "ann", allow: { "*": "rw" } });
			await call(server, "GET", `/poll?channel=a&token=${token}`);
			await call(server, "GET", "/metrics", { headers: { authorization: "Bearer sesame-key" } });
			await call(server, "GET", "/poll?channel=a&token=wrong-key");
			const client = await NativeClient.open(server, { query: `token=${token}` });
			await heard(server, "request", { path: "/ws", status: 101, user: "ann" });
			client.close();
			await heard(server, "closed", { transport: "websocket", user: "ann" });
			await heard(server, "request", { path: "/poll", status: 200, user: "ann" });
			await heard(server, "request", { path: "/poll", status: 401 });
			await heard(server, "request", { path: "/metrics", status: 200 });
			for (const hidden of [token, "sesame-key", "wrong-key", secret])
				assert.ok(!server.stderr().includes(hidden), hidden);
		});
	});

	it("tells who came and went, how long they were there, and why they ended", async () => {
		await withServer({ options }, async (server) => {
			const client = await NativeClient.open(server, { query: "user=ann" });
			const { connection } = client.welcome;
			await heard(server, "request", { path: "/ws", status: 101, connection });
			await sleep(50);
			await call(server, "DELETE", `/api/connections/${connection}`);
			await client.closing();
			client.socket.destroy();
			const { ms } = await heard(server, "closed",
				{ transport: "websocket", user: "ann", reason: "disconnected", connection });
			assert.ok(ms >= 50 && ms < patience, `${ms}`);
			const stream = await EventStream.open(server, "/events?channel=a&user=bob");
			await heard(server, "request", { path: "/events", status: 200, user: "bob" });
			stream.request.destroy();
			await heard(server, "closed", { transport: "sse", user: "bob", reason: "gone" });
			(await EventStream.open(server, "/api/live?get=/metrics")).close();
			await heard(server, "closed", { transport: "live", reason: "gone" });
		});
	});

	it("tells where one was that has broken off", async () => {
		await withServer({ options }, async (server) => {
			const client = await NativeClient.open(server, { query: "user=ann" });
			client.socket.resetAndDestroy();
			await heard(server, "closed", { user: "ann", reason: "gone", address: "127.0.0.1" });
		});
	});

	it("tells the client's address, where a trusted proxy does", async () => {
		await withServer({ options: [...options, "listen.trusted_proxies=127.0.0.0/8"] },
			async (server) => {
				const headers = { "x-forwarded-for": "192.0.2.7" };
				await call(server, "GET", "/ready", { headers });
				await heard(server, "request", { path: "/ready", address: "192.0.2.7" });
			});
	});

	it("begins and ends with a reload", async () => {
		const config = (access, key) => `[log]\naccess = ${access}\n[auth]\napi_key = ${key}\n`;
		const settings = { config: config("no", "key-0"), options: ["workers.count=1"] };
		await withServer(settings, async (server) => {
			/* The key says that the worker has taken up what was read. */
			const change = async (access, key) => {
				await server.reload(config(access, key));
				const headers = { authorization: `Bearer ${key}` };
				await until(async () =>
					(await call(server, "GET", "/metrics", { headers })).status === 200, "the new key");
			};
			const askAll = async (path) => {
				for (let i = 0; i < 10; i++)
					await call(server, "GET", path);
			};
			const hasSaid = (path) => until(() => server.stderr().includes(`path=${path} `), path);
			await askAll("/before");
			await change("yes", "key-1");
			await call(server, "GET", "/within");
			await hasSaid("/within");
			await change("no", "key-2");
			await askAll("/behind");
			await change("yes", "key-3"); /* what one worker says comes in its order */
			await call(server, "GET", "/last");
			await hasSaid("/last");
			const paths = server.stderr().matchAll(/^starling: request: .*path=(\S+)/gm);
			assert.deepEqual(new Set([...paths].map(([, path]) => path)),
				new Set(["/metrics", "/within", "/last"]));
		});
	});
});

describe("log: what workers have to say", () => {
	it("a client that does not keep up is named", async () => {
		await withServer({ options: ["limits.outbound_buffer=64KiB"] }, async (server) => {
			const channel = fresh();
			const client = await NativeClient.open(server, { query: "user=ann" });
			await client.subscribe(channel);
			client.socket.pause();
			const said = await until(async () => {
				await publish(server, channel, "x".repeat(60_000));
				return /^starling: a client that does not keep up .*$/m.exec(server.stderr());
			}, "the warning");
			assert.equal(said[0], "starling: a client that does not keep up was closed: connection " +
				`${client.welcome.connection} of user ann, from 127.0.0.1`);
		});
	});

	it("one that was refused for limits.connections is told of", async () => {
		await withServer({ options: ["limits.connections=1"] }, async (server) => {
			const client = await NativeClient.open(server);
			assertError(await call(server, "GET", "/events?channel=a"), 503, "overloaded");
			await until(() => server.stderr().includes(
				"starling: a client was refused: limits.connections is 1\n"), "the warning");
			client.close();
		});
	});
});

/* A server whose standard error nobody reads until it is asked for. */
async function startUnheard(body, stderr = "pipe") {
	const port = await freePort();
	const server = { port, url: `http://127.0.0.1:${port}` };
	const child = spawn(binary, ["-o", `listen.http=127.0.0.1:${port}`, "-o", "workers.count=2",
		"-o", "log.access=yes"], { env: cleanEnvironment(), stdio: ["ignore", "ignore", stderr] });
	const ended = once(child, "exit");
	const metric = async () => Number(/^starling_log_lines_lost_total (\d+)$/m
		.exec((await call(server, "GET", "/metrics")).text)[1]);
	try {
		await until(() => call(server, "GET", "/health").catch(() => null), "the server");
		const path = `/${"x".repeat(8000)}`;
		await until(async () => {
			for (let i = 0; i < 20; i++)
				assert.equal((await call(server, "GET", path)).status, 404);
			return await metric() > 0;
		}, "lines to be lost");
		await body(server, child);
		child.kill("SIGTERM");
		assert.deepEqual(await within(ended, "the server to end"), [0, null]);
	} finally {
		child.kill("SIGKILL");
	}
}

describe("log: nobody reads standard error", () => {
	it("clients are served, and what was lost is told later", async () => {
		await startUnheard(async (server, child) => {
			let text = "";
			child.stderr.setEncoding("utf8").on("data", (piece) => { text += piece; });
			await until(async () => {
				await call(server, "GET", "/ready");
				return /^starling: \d+ lines before this were lost$/m.test(text);
			}, "the number of lines lost");
		});
	});

	it("it goes down all the same", () => startUnheard(async () => {}));

	it("lines that cannot be written are counted", async () => {
		const full = openSync("/dev/full", "w");
		try {
			await startUnheard(async () => {}, full);
		} finally {
			closeSync(full);
		}
	});
});
