/* The commands that talk to a server: starling pub, starling sub and starling status. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after, describe, it } from "node:test";

import { makeCertificate } from "./certificates.mjs";
import { Line, NativeClient, frame, opcodes } from "./clients.mjs";
import {
	Signal, binary, call, cleanEnvironment, epochOf, freePort, fresh, publish, publishCount, run, scale,
	scratchDirectory, sleep, startServer, until, useServer, withServer,
} from "./harness.mjs";

const children = new Set();
after(() => children.forEach((child) => child.kill("SIGKILL")));

/* A command that runs on: its lines as they come, and how it ends. */
class Command {
	#signal = new Signal();
	stdout = "";
	stderr = "";
	status = null;

	constructor(args, { env = {} } = {}) {
		this.child = spawn(binary, args, { env: cleanEnvironment(env) });
		children.add(this.child);
		for (const name of ["stdout", "stderr"]) {
			this.child[name].setEncoding("utf8").on("data", (text) => {
				this[name] += text;
				this.#signal.wake();
			});
		}
		this.child.stdin.on("error", () => {});
		this.child.on("close", (code, signal) => {
			children.delete(this.child);
			this.status = code ?? signal;
			this.#signal.wake();
		});
	}

	/* The first truthy answer of `question`; fails when the command ends before. */
	until(question, what) {
		return this.#signal.when(() => {
			const answer = question();
			if (!answer && this.status !== null)
				assert.fail(`ended with ${this.status} instead of ${what}: ${this.stderr}`);
			return answer;
		}, what);
	}

	get lines() {
		return this.stdout.split("\n").slice(0, -1);
	}

	/* The first `count` objects it prints, of `count` lines. */
	async objects(count) {
		await this.until(() => this.lines.length >= count, `${count} lines`);
		return this.lines.map((line) => JSON.parse(line));
	}

	async ended() {
		await this.#signal.when(() => this.status !== null, "the command to end");
		assert.doesNotMatch(this.stderr, /Sanitizer|runtime error:|check failed/);
		return this.status;
	}

	stop(signal = "SIGTERM") {
		this.child.kill(signal);
		return this.ended();
	}
}

function pub(server, args, options) {
	return run(["pub", "--url", server.url, ...args], options);
}

/* A subscriber that is connected, as what it printed has shown; that is forgotten. */
async function startSub(server, channels) {
	const since = channels.map(() => "start").join();
	const sub = new Command(["sub", "--url", server.url, "--since", since, ...channels]);
	for (const channel of channels)
		await publish(server, channel, "are you there?");
	await sub.objects(channels.length);
	sub.stdout = "";
	return sub;
}

async function history(server, channel) {
	const answer = await call(server, "GET", `/api/channels/${channel}/history?limit=1000`);
	return answer.json().messages;
}

/* Exit status 1 or 2 with one line to standard error that has these words. */
function assertFailed({ status, stdout, stderr }, expected, words) {
	assert.equal(status, expected, stderr);
	assert.match(stderr, /^starling: [^\n]+\n$/);
	for (const word of words)
		assert.ok(stderr.includes(word), `"${word}" in ${stderr}`);
	assert.equal(stdout, "");
}

describe("cli: pub", () => {
	const server = useServer();
	const keyed = useServer({ options: ["auth.api_key=secret"] });

	const data = [
		["an object", [], '{"a":[1]}', { a: [1] }],
		["a number", [], "1.5", 1.5],
		["a string in quotes", [], '"x"', "x"],
		["null with blanks around", [], " null\n", null],
		["words", [], "hello world", "hello world"],
		["what is nearly JSON", [], '{"a":1', '{"a":1'],
		["several lines", [], 'a\n"b"\té', 'a\n"b"\té'],
		["nothing", [], "", ""],
		["a number with --text", ["--text"], "1.5", "1.5"],
	];
	for (const [claim, args, given, expected] of data) {
		it(`${claim} is published, and nothing said`, async () => {
			const channel = fresh();
			assert.deepEqual(await pub(server, [...args, channel, given]),
				{ status: 0, stdout: "", stderr: "" });
			const messages = await history(server, channel);
			assert.deepEqual(messages.map((message) => message.data), [expected]);
		});
	}

	it("event, key, user and idempotency key are those of the publication", async () => {
		const channel = fresh();
		const args = ["--event", "e", "--key=k", "--user", "ann", "--idempotency-key", "i"];
		const first = await pub(server, ["--ids", ...args, channel, "1"]);
		const again = await pub(server, ["--ids", ...args, channel, "1"]);
		assert.equal(first.status, 0, first.stderr);
		assert.deepEqual(again, first);
		const [{ event, key, user, idempotency_key, id }, ...rest] = await history(server, channel);
		assert.deepEqual({ event, key, user, idempotency_key },
			{ event: "e", key: "k", user: "ann", idempotency_key: "i" });
		assert.equal(first.stdout, `${id}\n`);
		assert.deepEqual(rest, []);
	});

	it("each line of standard input is a publication, in order", async () => {
		const channel = fresh();
		const count = Math.max(2_000 * scale, 200);
		const input = Array.from({ length: count }, (_, i) => `${i + 1}\n`).join("");
		const { status, stdout, stderr } = await pub(server, ["--ids", channel], { input });
		assert.equal(status, 0, stderr);
		const ids = stdout.trimEnd().split("\n");
		assert.deepEqual(ids, ids.map((_, i) => `${epochOf(ids[0])}-${i + 1}`));
		assert.equal(ids.length, count);
		const messages = await history(server, channel);
		assert.deepEqual(messages.map((message) => message.data),
			Array.from({ length: 100 }, (_, i) => count - 99 + i));
	});

	const inputs = [
		["the last line needs no newline", [], "1\ntwo", [1, "two"]],
		["empty lines are skipped", [], "\n1\n\n\n2\n", [1, 2]],
		["with --text they are empty strings", ["--text"], "\n1\n\n", ["", "1", ""]],
		["no line is no publication", [], "", []],
		["a line may be large", [], `"${"x".repeat(500_000)}"\n`, ["x".repeat(500_000)]],
	];
	for (const [claim, args, input, expected] of inputs) {
		it(claim, async () => {
			const channel = fresh();
			const { status, stderr } = await pub(server, [...args, channel], { input });
			assert.equal(status, 0, stderr);
			const messages = await history(server, channel);
			assert.deepEqual(messages.map((message) => message.data), expected);
		});
	}

	it("a line is published when it comes, not when the input ends", async () => {
		const channel = fresh();
		const command = new Command(["pub", "--ids", "--url", server.url, channel]);
		for (let i = 1; i <= 3; i++) {
			command.child.stdin.write(`${i}\n`);
			await command.until(() => command.lines.length === i, `id ${i}`);
		}
		command.child.stdin.end();
		assert.equal(await command.ended(), 0);
	});

	it("lines may come slower than the server waits for requests", async () => {
		await withServer({ options: ["limits.idle_timeout=100ms"] }, async (impatient) => {
			const command = new Command(["pub", "--ids", "--url", impatient.url, "slow"]);
			for (let i = 1; i <= 3; i++) {
				command.child.stdin.write(`${i}\n`);
				await command.until(() => command.lines.length === i, `id ${i}`);
				await sleep(300);
			}
			command.child.stdin.end();
			assert.equal(await command.ended(), 0, command.stderr);
		});
	});

	it("the API key is an option, or in the environment", async () => {
		const env = { STARLING_API_KEY: "secret" };
		assert.equal((await pub(keyed, ["--api-key", "secret", fresh(), "1"])).status, 0);
		assert.equal((await pub(keyed, [fresh(), "1"], { env })).status, 0);
		assertFailed(await pub(keyed, ["--api-key", "other", fresh(), "1"], { env }), 1,
			["unauthorized"]);
		assertFailed(await pub(keyed, [fresh(), "1"]), 1, ["unauthorized"]);
	});

	it("the server may listen on a Unix socket", async () => {
		const socket = path.join(scratchDirectory(), "s");
		const port = await freePort();
		const options = [`listen.http=127.0.0.1:${port},unix:${socket}`];
		await withServer({ options, port, isSecure: false }, async (both) => {
			const { status, stderr } = await run(["pub", "--url", `unix:${socket}`, "c", "1"]);
			assert.equal(status, 0, stderr);
			assert.equal((await history(both, "c")).length, 1);
		});
	});

	it("a line that is refused ends it, and is named", async () => {
		const channel = fresh();
		const input = `1\n\n"${"x".repeat(1_100_000)}"\n`;
		assertFailed(await pub(server, [channel], { input }), 1, ["line 3: "]);
		const bytes = await pub(server, [channel], { input: Buffer.from([0x31, 0x0a, 0xff, 0x0a]) });
		assertFailed(bytes, 1, ["line 2: ", "UTF-8"]);
		assertFailed(await pub(server, ["no blanks", "1"]), 1, ["bad_request"]);
	});

	it("a server that does not answer is named", async () => {
		const port = await freePort();
		assertFailed(await run(["pub", "--url", `http://127.0.0.1:${port}`, "c", "1"]), 1,
			[`127.0.0.1:${port}`, "refused"]);
		assertFailed(await run(["pub", "--url", "unix:/nonexistent/s", "c", "1"]), 1,
			["unix:/nonexistent/s"]);
	});

	it("a server that breaks off is no success", async () => {
		const listener = net.createServer((socket) => {
			socket.on("error", () => {});
			socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"));
		});
		await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
		const url = `http://127.0.0.1:${listener.address().port}`;
		assertFailed(await run(["pub", "--url", url, "c", "1"]), 1, ["no answer"]);
		listener.close();
	});

	const misuses = [
		["no channel", [], ["CHANNEL"]],
		["an argument too many", ["c", "1", "2"], ["'2'"]],
		["an unknown option", ["--nonsense", "c", "1"], ["--nonsense"]],
		["a URL that is none", ["--url", "127.0.0.1:8000", "c", "1"], ["127.0.0.1:8000"]],
		["a URL with a path", ["--url", "http://h/x", "c", "1"], ["http://h/x"]],
		["an API key with a line break", ["--api-key", "a\r\nb", "c", "1"], ["API key"]],
		["an idempotency key for lines", ["--idempotency-key", "x", "c"], ["--idempotency-key"]],
	];
	for (const [claim, args, words] of misuses) {
		it(`${claim} is exit 2`, async () => assertFailed(await run(["pub", ...args]), 2, words));
	}
});

describe("cli: sub", () => {
	const server = useServer();
	const keyed = useServer({ options: ["auth.api_key=secret"] });

	it("prints the message objects of its channels, one a line", async () => {
		const channels = [fresh(), fresh()];
		const sub = await startSub(server, channels);
		const ids = [await publish(server, channels[0], { a: 1 }, { event: "e", user: "ann" }),
			await publish(server, channels[1], "two\nlines")];
		const [first, second] = await sub.objects(2);
		assert.deepEqual({ ...first, ts: 0 }, { type: "message", channel: channels[0], id: ids[0],
			data: { a: 1 }, ts: 0, event: "e", user: "ann" });
		assert.equal(second.id, ids[1]);
		assert.equal(second.data, "two\nlines");
		assert.equal(await sub.stop(), 0);
		assert.equal(sub.stderr, "");
	});

	it("an object that was published in several lines is one line", async () => {
		const channel = fresh();
		const sub = await startSub(server, [channel]);
		const body = `{"channel":"${channel}","data":{\r\n\t"a":\n"b\\n"}}`;
		await call(server, "POST", "/api/publish", { body });
		const [{ data }] = await sub.objects(1);
		assert.deepEqual(data, { a: "b\n" });
		assert.equal(await sub.stop(), 0);
	});

	it("a binary message is printed with base64", async () => {
		const channel = fresh();
		const sub = await startSub(server, [channel]);
		const client = await NativeClient.open(server);
		client.send(frame(opcodes.binary, Buffer.concat([Buffer.from([1, channel.length]),
			Buffer.from(channel), Buffer.from([0, 0xff, 0x00])])));
		const [{ id, ...message }] = await sub.objects(1);
		assert.match(id, /-\d+$/);
		assert.deepEqual(message, { type: "message", channel, data: { base64: "/wA=" } });
		client.close();
		assert.equal(await sub.stop(), 0);
	});

	it("--since start gives what history holds, --since cursors what is behind them", async () => {
		const channels = [fresh(), fresh()];
		const first = await publishCount(server, channels[0], 3);
		const second = await publishCount(server, channels[1], 3);
		const seen = async (since) => {
			const sub = new Command(["sub", "--url", server.url, "--since", since, ...channels]);
			const wanted = since === "start,start" ? 6 : 3;
			const ids = (await sub.objects(wanted)).map((message) => message.id);
			assert.equal(await sub.stop(), 0);
			assert.equal(sub.stderr, "");
			return ids.sort();
		};
		assert.deepEqual(await seen("start,start"), [...first, ...second].sort());
		assert.deepEqual(await seen(`${first[1]},${second[0]}`),
			[first[2], second[1], second[2]].sort());
	});

	it("without --since it begins with what comes from now on", async () => {
		const channel = fresh();
		await publishCount(server, channel, 3);
		const sub = new Command(["sub", "--url", server.url, channel]);
		await until(async () => {
			await publish(server, channel, "now");
			return sub.lines.length > 0;
		}, "a message");
		assert.equal(JSON.parse(sub.lines[0]).data, "now");
		assert.equal(await sub.stop(), 0);
	});

	it("a gap at the start is told on standard error", async () => {
		const channel = fresh();
		const ids = await publishCount(server, channel, 2);
		const sub = new Command(["sub", "--url", server.url, "--since", "0-5", channel]);
		assert.deepEqual((await sub.objects(2)).map((message) => message.id), ids);
		assert.equal(await sub.stop(), 0);
		assert.match(sub.stderr, new RegExp(`^starling: [^\\n]*'${channel}'[^\\n]*\\n$`));
	});

	for (const signal of ["SIGTERM", "SIGINT"]) {
		it(`${signal} ends it with 0`, async () => {
			const sub = await startSub(server, [fresh()]);
			assert.equal(await sub.stop(signal), 0);
		});
	}

	it("a reader who goes away ends it with 0, at once", async () => {
		const sub = await startSub(server, [fresh()]);
		sub.child.stdout.destroy();
		assert.equal(await sub.ended(), 0);
		assert.equal(sub.stderr, "");
	});

	it("a signal ends it while nobody reads what it prints", async () => {
		const channel = fresh();
		const sub = await startSub(server, [channel]);
		sub.child.stdout.pause();
		for (let i = 0; i < 40; i++)
			await publish(server, channel, "x".repeat(50_000));
		await sleep(100);
		sub.child.kill("SIGTERM");
		sub.child.stdout.resume();
		assert.equal(await sub.ended(), 0);
	});

	it("goes on without hole or double when the line is cut", async () => {
		const line = await Line.to(server);
		const channels = [fresh(), fresh()];
		const sub = await startSub(line, channels);
		const sent = [];
		for (let round = 0; round < 2; round++) {
			sent.push(...await publishCount(server, channels[0], 3));
			await sub.objects(sent.length);
			line.cut();
			sent.push(...await publishCount(server, channels[0], 5));
			sent.push(...await publishCount(server, channels[1], 5));
			await sub.objects(sent.length);
		}
		const heard = (await sub.objects(sent.length)).map((message) => message.id);
		assert.deepEqual([...heard].sort(), [...sent].sort());
		for (const epoch of new Set(sent.map(epochOf))) {
			const ofEpoch = (ids) => ids.filter((id) => epochOf(id) === epoch);
			assert.deepEqual(ofEpoch(heard), ofEpoch(sent));
		}
		assert.equal(await sub.stop(), 0);
		assert.equal(sub.stderr.match(/connection is lost/g).length, 2);
		assert.equal(sub.stderr.match(/connected again/g).length, 2);
		line.close();
	});

	it("comes back to a server that was started again, and tells the gap", async () => {
		const mortal = await startServer();
		const sub = await startSub(mortal, ["c"]);
		await mortal.restart();
		const id = await publish(mortal, "c", 1);
		await sub.until(() => sub.stderr.includes("connected again"), "the connection");
		const more = await publish(mortal, "c", 2);
		const heard = (await sub.objects(2)).map((message) => message.id);
		assert.deepEqual(heard, [id, more]);
		assert.match(sub.stderr, /messages are missing in channel 'c'/);
		assert.equal(await sub.stop(), 0);
		await mortal.stop();
	});

	it("answers pings", async () => {
		const options = ["heartbeat.interval=100ms", "heartbeat.timeout=500ms"];
		await withServer({ options }, async (nervous) => {
			const sub = await startSub(nervous, ["c"]);
			await sleep(1500);
			await publish(nervous, "c", "still there");
			assert.equal((await sub.objects(1))[0].data, "still there");
			assert.equal(await sub.stop(), 0);
			assert.equal(sub.stderr, "");
		});
	});

	it("what is refused ends it with 1", async () => {
		const refuse = (args) => run(["sub", ...args]);
		assertFailed(await refuse(["--url", keyed.url, "c"]), 1, ["'c'", "unauthorized"]);
		assertFailed(await refuse(["--url", keyed.url, "--token", "nonsense", "c"]), 1,
			["unauthorized"]);
		assertFailed(await refuse(["--url", server.url, "no blanks"]), 1, ["bad_request"]);
		assertFailed(await refuse(["--url", server.url, "--since", "?", "c"]), 1, ["bad_request"]);
	});

	it("an API key lets it in", async () => {
		const channel = fresh();
		const sub = new Command(["sub", "--since", "start", channel, "--url", keyed.url],
			{ env: { STARLING_API_KEY: "secret" } });
		await pub(keyed, ["--api-key", "secret", channel, "7"]);
		assert.equal((await sub.objects(1))[0].data, 7);
		assert.equal(await sub.stop(), 0);
	});

	it("the first connection must succeed", async () => {
		const url = `http://127.0.0.1:${await freePort()}`;
		assertFailed(await run(["sub", "--url", url, "c"]), 1, [url]);
	});

	it("what is no WebSocket server is refused", async () => {
		const other = http.createServer((_, response) => response.end("hello"));
		await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
		const url = `http://127.0.0.1:${other.address().port}`;
		assertFailed(await run(["sub", "--url", url, "c"]), 1, ["200"]);
		other.close();
	});

	const misuses = [
		["no channel", [], ["channel"]],
		["a channel twice", ["c", "c"], ["'c'"]],
		["fewer cursors than channels", ["--since", "e-1", "c", "d"], ["--since"]],
		["a token and an API key", ["--token", "t", "--api-key", "k", "c"], ["--api-key"]],
	];
	for (const [claim, args, words] of misuses) {
		it(`${claim} is exit 2`, async () => assertFailed(await run(["sub", ...args]), 2, words));
	}
});

/* A node that answers with these: { path: [status, body] }. */
async function withNode(answers, body) {
	const node = http.createServer((request, response) => {
		const [status, text] = answers[request.url] ??
			[404, '{"error":{"code":"not_found","message":"no"}}'];
		response.writeHead(status, { "content-type": "application/json" }).end(text);
	});
	await new Promise((resolve) => node.listen(0, "127.0.0.1", resolve));
	try {
		await body(`http://127.0.0.1:${node.address().port}`);
	} finally {
		node.close();
	}
}

describe("cli: status", () => {
	const stats = '{"node":"one","version":"0.1.0","uptime":5,\n "connections":12,"by":{"ws":12,"sse":0}}';
	const members = '[{"node":"one","address":"10.0.0.1:7900","state":"ready","version":"0.1.0"},'
		+ '{"node":"two","address":"10.0.0.2:7900","state":"suspect","version":"0.1.0"}]';
	const cluster = `{"node":"one","members":${members}}`;
	const alone = { "/api/stats": [200, stats] };
	const both = { ...alone, "/api/cluster": [200, cluster] };

	it("--json is the node's figures with the members of its cluster", async () => {
		await withNode(both, async (url) => {
			const { status, stdout } = await run(["status", "--json", "--url", url]);
			assert.equal(status, 0);
			assert.match(stdout, /^[^\n]+\n$/);
			assert.deepEqual(JSON.parse(stdout),
				{ ...JSON.parse(stats), members: JSON.parse(members) });
		});
	});

	it("without a cluster the members are none", async () => {
		await withNode(alone, async (url) => {
			const { stdout } = await run(["status", "--json", "--url", url]);
			assert.deepEqual(JSON.parse(stdout).members, []);
		});
	});

	it("otherwise it is a table of names and values", async () => {
		await withNode(both, async (url) => {
			const { status, stdout } = await run(["status", "--url", url]);
			assert.equal(status, 0);
			assert.equal(stdout, [
				"node         one",
				"version      0.1.0",
				"uptime       5",
				"connections  12",
				"by.ws        12",
				"member       one  ready  10.0.0.1:7900  0.1.0",
				"member       two  suspect  10.0.0.2:7900  0.1.0",
				"",
			].join("\n"));
		});
	});

	it("a real node has a name, an uptime and connections", async () => {
		await withServer({}, async (server) => {
			const { stdout } = await run(["status", "--json", "--url", server.url]);
			const { node, uptime, connections, members } = JSON.parse(stdout);
			assert.equal(typeof node, "string");
			assert.ok(uptime >= 0);
			assert.equal(connections, 0);
			assert.ok(Array.isArray(members));
		});
	});

	const failures = [
		["a refusal", { "/api/stats": [401, '{"error":{"code":"unauthorized","message":"key"}}'] },
			["/api/stats", "unauthorized: key"]],
		["a page in place of figures", { "/api/stats": [200, "<html>"] }, ["/api/stats", "JSON"]],
		["a proxy's error", { "/api/stats": [502, "<html>"] }, ["502 Bad Gateway"]],
		["a cluster that fails", { ...alone, "/api/cluster": [503, ""] }, ["/api/cluster", "503"]],
	];
	for (const [claim, answers, words] of failures) {
		it(`${claim} is exit 1`, async () => {
			await withNode(answers, async (url) => {
				assertFailed(await run(["status", "--url", url]), 1, words);
			});
		});
	}

	it("a node that does not answer is exit 1", async () => {
		const url = `http://127.0.0.1:${await freePort()}`;
		assertFailed(await run(["status", "--json", "--url", url]), 1, [url, "refused"]);
	});

	it("an argument is exit 2", async () => assertFailed(await run(["status", "x"]), 2, ["'x'"]));
});

describe("cli: https", () => {
	const certificate = makeCertificate(scratchDirectory(), { names: "DNS:localhost" });
	const server = useServer({ isSecure: true, certificate });
	const env = { SSL_CERT_FILE: certificate.cert };

	it("publishes and subscribes", async () => {
		const channel = fresh();
		const url = `https://localhost:${server.port}`;
		const input = Array.from({ length: 2000 }, (_, i) => `${i}\n`).join("");
		const sent = await run(["pub", "--url", url, channel], { env, input });
		assert.equal(sent.status, 0, sent.stderr);
		const sub = new Command(["sub", "--url", url, "--since", "start", channel], { env });
		const last = await publish(server, channel, "x".repeat(200_000));
		await sub.until(() => sub.lines.at(-1)?.includes(last), "the last message");
		const heard = sub.lines.map((line) => JSON.parse(line));
		assert.equal(heard.at(-1).id, last);
		assert.equal(heard.at(-1).data.length, 200_000);
		assert.equal(await sub.stop(), 0);
	});

	it("verifies the certificate and its name", async () => {
		const publishTo = (host, options) =>
			run(["pub", "--url", `https://${host}:${server.port}`, fresh(), "1"], options);
		assert.equal((await publishTo("localhost", { env })).status, 0);
		assertFailed(await publishTo("localhost", { env: { SSL_CERT_FILE: "/dev/null" } }), 1,
			["self-signed"]);
		assertFailed(await publishTo("127.0.0.1", { env }), 1, ["127.0.0.1", "mismatch"]);
	});

	it("a server without TLS is refused", async () => {
		await withServer({ isSecure: false }, async ({ port }) =>
			assertFailed(await run(["pub", "--url", `https://127.0.0.1:${port}`, "c", "1"]), 1,
				["cannot connect"]));
	});
});
