/* The command line and the configuration: what is printed, what wins, what is refused and how. */
import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { describe, it } from "node:test";

import { NativeClient, RawWebSocket, frame, opcodes } from "./clients.mjs";
import {
	call, freePort, publish, run, scratchDirectory, startServer, until, useServer, withServer,
	writeScratch,
} from "./harness.mjs";

/* What --print-config says: { key: [value, source] }, in its order. */
async function printConfig(args, env) {
	const { status, stdout, stderr } = await run(["serve", "--print-config", ...args], { env });
	assert.equal(status, 0, stderr);
	const lines = stdout.trimEnd().split("\n").map((line) => {
		const [, key, value, source] = /^(\S+) = (.*?) *# (.+)$/.exec(line) ??
			assert.fail(`not a line of the configuration: ${line}`);
		assert.match(source, /^(default|env|option|.+:[0-9]+)$/);
		return [key, [value, source]];
	});
	const config = Object.fromEntries(lines);
	assert.equal(Object.keys(config).length, lines.length, "each key once");
	return config;
}

describe("config: --print-config", () => {
	const defaults = {
		"listen.http": "127.0.0.1:8000",
		"listen.echo": "no",
		"listen.trusted_proxies": "",
		"listen.https": "",
		"tls.cert": "",
		"tls.key": "",
		"tls.kernel": "yes",
		"workers.count": "auto",
		"workers.pin_cpus": "yes",
		"workers.private_fds": "no",
		"auth.open": "no",
		"auth.jwt_secret": "",
		"auth.jwt_secret_file": "",
		"auth.jwt_public_key_file": "",
		"auth.jwt_audience": "",
		"auth.jwt_issuer": "",
		"auth.api_key": "",
		"auth.api_key_file": "",
		"auth.allowed_origins": "same",
		"limits.connections": "1000000",
		"limits.connections_per_user": "0",
		"limits.connections_per_ip": "0",
		"limits.message_size": "64KiB",
		"limits.message_burst": "200",
		"limits.channels_per_connection": "128",
		"limits.outbound_buffer": "1MiB",
		"limits.header_size": "16KiB",
		"limits.header_timeout": "10s",
		"limits.idle_timeout": "75s",
		"heartbeat.interval": "25s",
		"mesh.listen": "",
		"mesh.advertise": "",
		"mesh.name": "",
		"mesh.join": "",
		"mesh.cluster": "starling",
		"mesh.secret": "",
		"mesh.secret_file": "",
		"mesh.replicas": "3",
		"mesh.partition": "merge",
		"drain.time": "30s",
		"log.level": "info",
		"log.format": "text",
		"channel.*.history_size": "100",
		"channel.*.history_ttl": "5m",
		"channel.*.presence": "no",
		"channel.*.presence_grace": "5s",
		"channel.*.deliver_last": "no",
		"channel.*.max_keys": "1000",
		"channel.*.overflow": "disconnect",
	};

	it("shows every key with its default", async () => {
		const config = await printConfig([]);
		for (const [key, value] of Object.entries(defaults))
			assert.deepEqual([key, config[key]], [key, [value, "default"]]);
	});

	it("shows the keys whose default depends on the mode too", async () => {
		const config = await printConfig([]);
		const others = ["limits.message_rate", "heartbeat.timeout", "channel.*.throttle"];
		for (const key of others)
			assert.equal(config[key][1], "default", key);
		for (const key of ["channel.*.subscribe", "channel.*.publish"])
			assert.deepEqual(config[key], ["any", "default"], key);
	});

	it("outside open mode the rules ask for a token", async () => {
		const config = await printConfig(["-o", "auth.api_key=k"]);
		assert.equal(config["channel.*.subscribe"][0], "token");
		assert.equal(config["channel.*.publish"][0], "token");
	});

	it("the option wins over the environment, that over the file and the default", async () => {
		const file = writeScratch("a.conf", "# a comment\n[limits]\nmessage_size = 1KiB\n"
			+ "header_size = 2KiB\nidle_timeout = 3s # three\n");
		const config = await printConfig(
			["-c", file, "-o", "limits.message_size=5KiB"],
			{ STARLING_LIMITS_MESSAGE_SIZE: "4KiB", STARLING_LIMITS_HEADER_SIZE: "6KiB",
				STARLING_LIMITS_NONSENSE: "ignored" });
		assert.deepEqual(config["limits.message_size"], ["5KiB", "option"]);
		assert.deepEqual(config["limits.header_size"], ["6KiB", "env"]);
		assert.deepEqual(config["limits.idle_timeout"], ["3s", `${file}:5`]);
		assert.deepEqual(config["limits.outbound_buffer"], ["1MiB", "default"]);
	});

	it("hides secrets", async () => {
		const secrets = ["auth.jwt_secret", "auth.api_key", "mesh.secret"];
		const options = secrets.flatMap((key) =>
			["-o", `${key}=hush-hush-0123456789-0123456789`]);
		const { stdout, status } = await run(["serve", "--print-config", ...options]);
		assert.equal(status, 0);
		assert.doesNotMatch(stdout, /hush/);
		const lines = stdout.split("\n").map((line) => line.replace(/ +#/, " #"));
		for (const key of secrets)
			assert.ok(lines.includes(`${key} = *** # option`), stdout);
	});

	it("shows each channel rule", async () => {
		const file = writeScratch("rules.conf",
			"[channel chat:*]\nhistory_size = 5\n[channel news:*]\npublish = none\n");
		const config = await printConfig(["-c", file]);
		assert.deepEqual(config["channel.chat:*.history_size"], ["5", `${file}:2`]);
		assert.deepEqual(config["channel.news:*.publish"], ["none", `${file}:4`]);
		assert.deepEqual(config["channel.news:*.history_size"], ["100", "default"]);
	});

	it("a rule of an option overrides the file's, a new one stands before it", async () => {
		const file = writeScratch("rules.conf",
			"[channel chat:*]\nhistory_size = 5\nhistory_ttl = 7s\n");
		const config = await printConfig(["-c", file, "-o", "channel.chat:*.history_size=6",
			"-o", "channel.chat:v1.2.history_size=9"]);
		assert.deepEqual(config["channel.chat:*.history_size"], ["6", "option"]);
		assert.deepEqual(config["channel.chat:*.history_ttl"], ["7s", `${file}:3`]);
		assert.deepEqual(config["channel.chat:v1.2.history_size"], ["9", "option"]);
		const patterns = Object.keys(config).filter((key) => key.startsWith("channel."))
			.map((key) => key.replace(/^channel\.|\.[a-z_]+$/g, ""));
		assert.deepEqual([...new Set(patterns)], ["chat:v1.2", "chat:*", "*"]);
	});

	it("the command serve may be left out", async () => {
		const { status, stdout } = await run(["--print-config"]);
		assert.equal(status, 0);
		assert.match(stdout, /^listen\.http = 127\.0\.0\.1:8000 +# default$/m);
	});
});

/* Exit status 2 and exactly one line on standard error, which names `words`. */
function assertRefused({ status, stderr, stdout }, words) {
	assert.equal(status, 2, stderr);
	assert.match(stderr, /^[^\n]+\n$/, "exactly one line");
	for (const word of words)
		assert.ok(stderr.includes(word), `"${word}" in: ${stderr}`);
	assert.equal(stdout, "");
}

describe("config: refusals", () => {
	const files = [
		["an unknown section", "[nonsense]\na = 1\n", 1, "nonsense"],
		["an unknown key", "[limits]\n\nnonsense = 1\n", 3, "nonsense"],
		["a key of another section", "[limits]\nhttp = 127.0.0.1:1\n", 2, "http"],
		["an unknown key of a rule", "[channel a]\nnonsense = 1\n", 2, "nonsense"],
		["a key before any section", "http = 127.0.0.1:1\n", 1, "http"],
		["a line that is neither", "[limits]\nmessage_size\n", 2, ""],
		["a key twice", "[limits]\nmessage_size = 1KiB\nmessage_size = 1KiB\n", 3,
			"message_size"],
		["a key twice in a section given twice", "[limits]\nmessage_size = 1KiB\n[limits]\n"
			+ "message_size = 1KiB\n", 4, ""],
		["a rule given twice", "[channel a]\nhistory_size = 1\n[channel a]\n"
			+ "history_ttl = 2s\n", 0, "a"],
		["a size that is none", "[limits]\nmessage_size = big\n", 2, "message_size"],
		["a negative number", "[limits]\nconnections = -1\n", 2, "connections"],
		["a number over any", "[limits]\nconnections = 99999999999999999999\n", 2,
			"connections"],
		["a time without a unit that is", "[heartbeat]\ninterval = 5x\n", 2, "interval"],
		["a rate that is none", "[limits]\nmessage_rate = 5/fortnight\n", 2,
			"message_rate"],
		["a word that is neither yes nor no", "[listen]\necho = maybe\n", 2, "echo"],
		["a word not of the list", "[channel a]\noverflow = explode\n", 2, "overflow"],
		["an address that is none", "[listen]\nhttp = 127.0.0.1:http\n", 2, "http"],
		["a port over 65535", "[listen]\nhttp = 127.0.0.1:65536\n", 2, "http"],
		["a network that is none", "[listen]\ntrusted_proxies = 10.0.0.0/33\n", 2,
			"trusted_proxies"],
		["no workers", "[workers]\ncount = 0\n", 2, "count"],
	];
	for (const [claim, text, line, key] of files) {
		it(`${claim} is one line that names file, line and key`, async () => {
			const file = writeScratch("bad.conf", text);
			const position = line > 0 ? `${file}:${line}` : file;
			assertRefused(await run(["serve", "-c", file]), [position, key]);
		});
	}

	const options = [
		["an unknown key", ["-o", "limits.nonsense=1"], ["limits.nonsense"]],
		["an unknown section", ["-o", "nonsense.a=1"], ["nonsense"]],
		["an option without a value", ["-o", "limits.connections"], ["limits.connections"]],
		["a bad value", ["-o", "limits.connections=many"], ["limits.connections"]],
		["an option twice", ["-o", "limits.connections=1", "-o", "limits.connections=2"],
			["limits.connections"]],
		["an unknown flag", ["--nonsense"], ["--nonsense"]],
		["-c without a file", ["-c"], ["-c"]],
		["a file that is not there", ["-c", "/nonexistent/starling.conf"],
			["/nonexistent/starling.conf"]],
		["a directory as the file", ["-c", "/"], ["/"]],
		["an argument too many", ["please"], ["please"]],
		["https without a certificate", ["-o", "listen.https=127.0.0.1:1"], ["tls."]],
	];
	for (const [claim, args, words] of options) {
		it(`${claim} is refused in one line`, async () => {
			assertRefused(await run(["serve", ...args]), words);
		});
	}

	it("a bad value in the environment is refused by its name", async () => {
		const env = { STARLING_LIMITS_CONNECTIONS: "many" };
		assertRefused(await run(["serve"], { env }), ["STARLING_LIMITS_CONNECTIONS"]);
	});

	it("an unknown command is refused in one line", async () => {
		assertRefused(await run(["nonsense"]), ["nonsense"]);
	});

	for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000"]) {
		it(`${address} without keys is refused`, async () => {
			assertRefused(await run(["serve", "-o", `listen.http=${address}`]),
				["auth.open"]);
		});
	}
});

describe("config: starting and ending", () => {
	it("an address in use is exit 1", async () => {
		const holder = net.createServer().listen(0, "127.0.0.1");
		await new Promise((resolve) => holder.on("listening", resolve));
		const option = `listen.http=127.0.0.1:${holder.address().port}`;
		const { status, stderr } = await run(["serve", "-o", option]);
		assert.equal(status, 1);
		assert.ok(stderr.includes(String(holder.address().port)), stderr);
		holder.close();
	});

	it("an address in use by another starling is exit 1 too", async () => {
		await withServer({}, async (server) => {
			const { status } = await run(["serve", "-o",
				`listen.http=127.0.0.1:${server.port}`]);
			assert.equal(status, 1);
			assert.equal((await call(server, "GET", "/health")).status, 200);
		});
	});

	it("auth.open = yes allows any address", async () => {
		const port = await freePort();
		const options = [`listen.http=0.0.0.0:${port}`, "auth.open=yes"];
		await withServer({ port, options }, async (server) => {
			assert.match(await publish(server, "open", 1), /-1$/);
		});
	});

	for (const signal of ["SIGTERM", "SIGINT"]) {
		it(`${signal} closes clients with 1012 and exits 0`, async () => {
			const server = await startServer();
			const client = await NativeClient.open(server);
			server.signal(signal);
			assert.deepEqual(await client.closing(), { code: 1012, reason: "drain" });
			assert.deepEqual(await server.ended(), { code: 0, signal: null });
		});
	}

	it("SIGTERM exits 0 though a client neither reads nor answers", async () => {
		const server = await startServer();
		const client = await RawWebSocket.open(server);
		client.socket.pause();
		server.signal("SIGTERM");
		assert.deepEqual(await server.ended(), { code: 0, signal: null });
		client.close();
	});

	it("the banner says the mode and how to publish", async () => {
		await withServer({}, async (server) => {
			await until(() => /\bcurl\b/.test(server.stderr()),
				"a curl line in the banner");
			assert.match(server.stderr(), /\bopen\b/i);
			assert.ok(server.stderr().includes(server.url), server.stderr());
		});
	});

	it("version and help are exit 0 and say something", async () => {
		const version = await run(["version"]);
		assert.equal(version.status, 0);
		assert.match(version.stdout, /\d+\.\d+/);
		for (const args of [["help"], ["help", "serve"], ["--help"], ["serve", "-h"],
			["serve", "--help"]]) {
			const help = await run(args);
			assert.equal(help.status, 0, help.stderr);
			assert.match(help.stdout, /serve/);
			assert.equal(help.stderr, "");
		}
	});
});

function getOverUnix(socketPath, target) {
	return new Promise((resolve, reject) => {
		http.get({ socketPath, path: target, agent: false }, (response) => {
			response.resume();
			response.on("end", () => resolve(response.statusCode));
		}).on("error", reject);
	});
}

describe("config: what it changes", () => {
	it("listen.http may be a list with a Unix socket in it", async () => {
		const socketPath = path.join(scratchDirectory(), "starling.sock");
		const port = await freePort();
		const options = [`listen.http=127.0.0.1:${port}, unix:${socketPath}`];
		await withServer({ options, port, isSecure: false }, async () => {
			assert.equal(await getOverUnix(socketPath, "/health"), 200);
		});
	});

	it("the first rule that matches holds", async () => {
		const config = "[channel chat:vip:*]\nhistory_size = 1\n"
			+ "[channel chat:*]\nhistory_size = 2\n[channel *:end]\nhistory_size = 3\n";
		await withServer({ config }, async (server) => {
			const held = async (channel) => {
				for (let i = 0; i < 5; i++)
					await publish(server, channel, i);
				const target = `/api/channels/${channel}/history`;
				const answer = await call(server, "GET", target);
				return answer.json().messages.length;
			};
			const wanted = { "chat:vip:a": 1, "chat:a": 2, "chat:a:end": 2, "b:end": 3,
				"b:ending": 5 };
			for (const [channel, count] of Object.entries(wanted))
				assert.equal(await held(channel), count, channel);
		});
	});

	it("a setting of the environment is in force", async () => {
		const env = { STARLING_LIMITS_CHANNELS_PER_CONNECTION: "1" };
		await withServer({ env }, async (server) => {
			const client = await NativeClient.open(server);
			await client.subscribe("a");
			assert.equal((await client.ask({ type: "subscribe", channel: "b" })).code,
				"too_many_channels");
			client.close();
		});
	});
});

describe("config: /echo", () => {
	const keyed = useServer({ options: ["auth.api_key=k"] });
	const echoing = useServer({ options: ["auth.api_key=k", "listen.echo=yes"] });

	it("is 404 outside open mode", async () => {
		assert.equal((await call(keyed, "GET", "/echo")).status, 404);
	});

	it("is there with listen.echo = yes", async () => {
		const client = await RawWebSocket.open(echoing, "/echo");
		client.send(frame(opcodes.text, "hello"));
		assert.equal((await client.message()).payload.toString(), "hello");
		client.close();
	});
});
