/* Tokens: where one may stand, which are taken, and the keys that say so. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { describe, it } from "node:test";

import { NativeClient, RawClient, exchange, handshake } from "./clients.mjs";
import {
	assertError, call, fresh, isSanitized, run, startServer, useServer, withServer, writeScratch,
} from "./harness.mjs";
import { makePair, mint, now, open, secret } from "./tokens.mjs";

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const withSecret = [`auth.jwt_secret=${secret}`, "auth.api_key=the-key"];

/* The status of a handshake, and who the welcome says it is. */
async function shake(server, { target = "/ws", headers = {} } = {}) {
	const client = await RawClient.connect(server);
	client.send(handshake(server, target, headers));
	const { status } = await client.response();
	client.close();
	return status;
}

async function userOf(server, options) {
	const client = await NativeClient.open(server, options);
	const { user } = client.welcome;
	client.close();
	return user;
}

describe("token: where it may stand", () => {
	const server = useServer({ options: withSecret });
	const token = mint();
	const places = {
		"the query": { query: `token=${token}` },
		"the Authorization header": { headers: { Authorization: `Bearer ${token}` } },
		"the scheme in any case": { headers: { Authorization: `bEARER ${token}` } },
		"a cookie": { headers: { Cookie: `a=b; starling_token=${token}; c=d` } },
		"a subprotocol": { headers: { "Sec-WebSocket-Protocol": `starling.v1, bearer.${token}` } },
	};
	for (const [place, options] of Object.entries(places))
		it(place, async () => assert.equal(await userOf(server, options), "ann"));

	it("a subprotocol on a line of its own", async () => {
		const client = await RawClient.connect(server);
		client.send(handshake(server).replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: starling.v1\r\n" +
			`Sec-WebSocket-Protocol: bearer.${token.slice(0, -1)}\r\n\r\n`));
		assert.equal((await client.response()).status, 401);
		client.close();
	});

	it("a subprotocol that holds it is never selected", async () => {
		for (const [offered, selected] of [
			[`starling.v1, bearer.${token}`, "starling.v1"],
			[`bearer.${token}, starling.v1`, "starling.v1"],
			[`bearer.${token}`, undefined],
		]) {
			const answer = await exchange(server, handshake(server, "/ws",
				{ "Sec-WebSocket-Protocol": offered }));
			assert.equal(answer.status, 101);
			assert.equal(answer.headers["sec-websocket-protocol"], selected);
			assert.ok(!JSON.stringify(answer.headers).includes(token));
		}
	});

	it("none at all passes, and is nobody", async () => {
		assert.equal(await userOf(server), undefined);
		assert.equal(await userOf(server, { headers: { Cookie: "a=b" } }), undefined);
		assert.equal(await userOf(server, { headers: { Authorization: "Basic YTpi" } }), undefined);
	});

	it("outside open mode a name of one's own is none", async () => {
		assert.equal(await userOf(server, { query: "user=bob" }), undefined);
		assert.equal(await userOf(server, { query: `user=bob&token=${token}` }), "ann");
	});

	it("what is said on purpose counts, not the cookie", async () => {
		const headers = { Cookie: `starling_token=${mint({ sub: "bob" })}` };
		assert.equal(await userOf(server, { query: `token=${token}`, headers }), "ann");
		assert.equal(await shake(server, { target: "/ws?token=bad", headers }), 401);
	});

	const bad = mint({ exp: now() - 60 });
	const refused = {
		"in the query": { target: `/ws?token=${bad}` },
		"in the header": { headers: { Authorization: `Bearer ${bad}` } },
		"in a cookie": { headers: { Cookie: `starling_token=${bad}` } },
		"in a subprotocol": { headers: { "Sec-WebSocket-Protocol": `bearer.${bad}` } },
		"that is empty": { target: "/ws?token=" },
		"that is an empty bearer": { headers: { Authorization: "Bearer" } },
	};
	for (const [place, options] of Object.entries(refused))
		it(`a bad one ${place} is 401`, async () => assert.equal(await shake(server, options), 401));

	it("HTTP takes it in the same places", async () => {
		const channel = fresh();
		const allowed = mint({ allow: { [channel]: "rw" } });
		for (const path of ["/poll", "/events"]) {
			const target = `${path}?channel=${channel}`;
			for (const [query, headers] of [
				[`&token=${allowed}`, {}],
				["", bearer(allowed)],
				["", { cookie: `starling_token=${allowed}` }],
			]) {
				const answer = await call(server, "HEAD", target + query, { headers });
				assert.equal(answer.status, 200, path);
			}
			assertError(await call(server, "GET", target, { headers: bearer(bad) }), 401, "unauthorized");
			assertError(await call(server, "GET", target), 401, "unauthorized");
		}
		const target = `/publish?channel=${channel}`;
		const answer = await call(server, "POST", target, { headers: bearer(allowed), body: "x" });
		assert.equal(answer.status, 200);
		assertError(await call(server, "POST", target, { headers: bearer(bad), body: "x" }),
			401, "unauthorized");
	});

	it("a 401 says how to come in, and why not", async () => {
		const answer = await call(server, "GET", "/poll?channel=c", { headers: bearer(bad) });
		assert.equal(answer.headers["www-authenticate"], "Bearer");
		assert.match(answer.json().error.message, /expired/);
	});

	it("the next request on a connection says again who it is from", async () => {
		const channel = fresh();
		const allowed = mint({ allow: { [channel]: "w" } });
		const client = await RawClient.connect(server);
		const post = (header) => `POST /publish?channel=${channel} HTTP/1.1\r\nHost: x\r\n${header}` +
			"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx";
		client.send(post(`Authorization: Bearer ${allowed}\r\n`), post(""));
		assert.equal((await client.response()).status, 200);
		assert.equal((await client.response()).status, 401);
		client.close();
	});

	it("a token is no API key", async () => {
		const headers = bearer(mint({ allow: { "*": "rwp" } }));
		assertError(await call(server, "GET", "/api/stats", { headers }), 403, "forbidden");
		assertError(await call(server, "GET", "/api/stats", { headers: bearer(bad) }),
			401, "unauthorized");
	});

	it("an API key makes a backend of a client, wherever it stands", async () => {
		for (const options of [
			{ headers: { Authorization: "Bearer the-key" } },
			{ headers: { "Sec-WebSocket-Protocol": "bearer.the-key" } },
			{ query: "token=the-key" },
		]) {
			const client = await NativeClient.open(server, options);
			await client.subscribe("@ann");
			await client.publish("@ann", 1);
			client.close();
		}
	});

	it("publications are signed with the token's user", async () => {
		const channel = fresh();
		const client = await NativeClient.open(server,
			{ query: `token=${mint({ allow: { "*": "rw" } })}` });
		await client.subscribe(channel);
		await client.publish(channel, 1, { user: "bob" });
		assert.equal((await client.messages(1))[0].user, "ann");
		client.close();
	});
});

describe("token: claims", () => {
	const server = useServer({
		options: [...withSecret, "auth.jwt_audience=starling", "auth.jwt_issuer=https://issuer/"],
	});
	const ours = { iss: "https://issuer/", aud: "starling" };
	/* When each is asked for, since time passes. */
	const claims = {
		"as they should be": [() => ours, 101],
		"an audience among others": [() => ({ ...ours, aud: ["other", "starling"] }), 101],
		"expired within the skew": [() => ({ ...ours, exp: now() - 2 }), 101],
		"begun within the skew": [() => ({ ...ours, nbf: now() + 3 }), 101],
		"without a user": [() => ({ ...ours, sub: undefined }), 101],
		"without an end": [() => ({ ...ours, exp: undefined }), 401],
		"expired": [() => ({ ...ours, exp: now() - 6 }), 401],
		"not begun": [() => ({ ...ours, nbf: now() + 60 }), 401],
		"another issuer": [() => ({ ...ours, iss: "https://other/" }), 401],
		"no issuer": [() => ({ aud: "starling" }), 401],
		"another audience": [() => ({ ...ours, aud: "other" }), 401],
		"no audience": [() => ({ iss: "https://issuer/" }), 401],
		"a user that is no name": [() => ({ ...ours, sub: "" }), 401],
		"rights that are none": [() => ({ ...ours, allow: { "*": "x" } }), 401],
	};
	for (const [what, [said, status]] of Object.entries(claims))
		it(`${what}: ${status}`, async () =>
			assert.equal(await shake(server, { target: `/ws?token=${mint(said())}` }), status));

	it("a larger token than may be is 401", async () => {
		const headers = { Authorization: `Bearer ${mint({ ...ours, x: "x".repeat(7000) })}` };
		assert.equal(await shake(server, { headers }), 401);
	});
});

describe("token: keys", () => {
	const pairs = { RS256: makePair("RS256"), ES256: makePair("ES256"), EdDSA: makePair("EdDSA") };
	const pem = Object.values(pairs).map((pair) => pair.pem).join("");

	it("the three lengths of HS, and no other algorithm", async () => {
		await withServer({ options: withSecret }, async (server) => {
			for (const alg of ["HS256", "HS384", "HS512"])
				assert.equal(await shake(server, { target: `/ws?token=${mint({}, { alg })}` }), 101);
			for (const pair of Object.values(pairs))
				assert.equal(await shake(server, { target: `/ws?token=${mint({}, pair)}` }), 401);
			const none = mint({}, { header: { alg: "none" } });
			for (const token of [none, none.replace(/[^.]*$/, "")])
				assert.equal(await shake(server, { target: `/ws?token=${token}` }), 401);
		});
	});

	it("a secret from a file, without the line feed at its end", async () => {
		const file = writeScratch("secret", `${secret}\n`);
		await withServer({ options: [`auth.jwt_secret_file=${file}`] }, async (server) => {
			assert.equal(await userOf(server, { query: `token=${mint()}` }), "ann");
		});
	});

	it("public keys as PEM, each tried that fits, beside a secret", async () => {
		const more = makePair("ES256");
		const file = writeScratch("keys.pem", more.pem + pem);
		await withServer({
			options: [`auth.jwt_public_key_file=${file}`, `auth.jwt_secret=${secret}`],
		}, async (server) => {
			for (const pair of [...Object.values(pairs), more, {}])
				assert.equal(await userOf(server, { query: `token=${mint({}, pair)}` }), "ann");
			for (const alg of ["RS256", "ES256", "EdDSA"])
				assert.equal(await shake(server, { target: `/ws?token=${mint({}, makePair(alg))}` }), 401);
		});
	});

	it("public keys alone: none of them is a secret", async () => {
		const file = writeScratch("keys.pem", pem);
		await withServer({ options: [`auth.jwt_public_key_file=${file}`] }, async (server) => {
			for (const { pem: key } of Object.values(pairs))
				for (const alg of ["HS256", "HS384", "HS512"])
					assert.equal(await shake(server, { target: `/ws?token=${mint({}, { alg, key })}` }), 401);
			assert.equal(await shake(server, { target: `/ws?token=${mint()}` }), 401);
		});
	});

	it("a set of JSON Web Keys, chosen by kid", async () => {
		const one = makePair("ES256", "one"), two = makePair("ES256", "two");
		const keys = [one.jwk, two.jwk, { ...pairs.RS256.jwk, use: "sig", alg: "RS256" },
			{ kty: "AKP", kid: "one" }, { ...pairs.EdDSA.jwk, use: "enc" }];
		const file = writeScratch("keys.json", JSON.stringify({ keys }));
		await withServer({ options: [`auth.jwt_public_key_file=${file}`] }, async (server) => {
			const status = (pair, header) =>
				shake(server, { target: `/ws?token=${mint({}, { ...pair, header })}` });
			assert.equal(await status(one, { kid: "one" }), 101);
			assert.equal(await status(two, { kid: "two" }), 101);
			assert.equal(await status(two, { kid: "one" }), 401);
			assert.equal(await status(one, { kid: "three" }), 401);
			assert.equal(await status(one, {}), 101);
			assert.equal(await status(pairs.RS256, { kid: "any" }), 101);
			assert.equal(await status(pairs.EdDSA, {}), 401);
			assert.equal(await status(makePair("ES256"), { jwk: one.jwk }), 401);
			assert.equal(await status(one, { crit: ["exp"] }), 401);
		});
	});

	it("others after a reload: new tokens count, old ones do no more", async () => {
		await withServer({ config: `[auth]\njwt_secret = ${secret}\n` }, async (server) => {
			const [first, second] = [mint(), mint({}, { key: "another secret of the same kind" })];
			const client = await NativeClient.open(server, { query: `token=${first}` });
			assert.equal(await shake(server, { target: `/ws?token=${second}` }), 401);
			await server.reload("[auth]\njwt_secret = another secret of the same kind\n");
			const status = async (token) => shake(server, { target: `/ws?token=${token}` });
			while (await status(second) !== 101 || await status(first) !== 401)
				await call(server, "GET", "/health");
			assert.deepEqual(await client.closing(), { code: 1008, reason: "token_expired" });
			const next = await NativeClient.open(server);
			assert.equal((await next.ask({ type: "auth", token: first })).code, "unauthorized");
			assert.equal((await next.ask({ type: "auth", token: second })).type, "ack");
			next.close();
		});
	});
});

describe("token: open mode", () => {
	it("without keys a token is ignored", async () => {
		await withServer({}, async (server) => {
			assert.equal(await userOf(server, { query: "token=nonsense&user=bob" }), "bob");
			const client = await NativeClient.open(server);
			assert.deepEqual(await client.ask({ type: "auth", ref: 1, token: "nonsense" }),
				{ type: "ack", ref: 1 });
			client.close();
			const answer = await call(server, "GET", "/api/stats", { headers: bearer("nonsense") });
			assert.equal(answer.status, 200);
		});
	});

	it("with keys one that is given must be good, and need not end", async () => {
		await withServer({ options: ["auth.open=yes", `auth.jwt_secret=${secret}`] }, async (server) => {
			assert.equal(await userOf(server), undefined);
			assert.equal(await userOf(server, { query: "user=bob" }), "bob");
			const token = mint({ exp: undefined });
			assert.equal(await userOf(server, { query: `user=bob&token=${token}` }), "ann");
			assert.equal(await shake(server, { target: "/ws?token=nonsense" }), 401);
			assert.equal(await shake(server, { target: `/ws?token=${mint({ exp: now() - 60 })}` }), 401);
			for (const [headers, status] of [[{}, 200], [bearer(token), 200], [bearer("x"), 401]])
				assert.equal((await call(server, "GET", "/api/stats", { headers })).status, status);
		});
	});
});

describe("token: starling token", () => {
	const flags = ["-o", `auth.jwt_secret=${secret}`];
	const made = async (args, options) => {
		const { status, stdout, stderr } = await run(["token", ...args], options);
		assert.equal(status, 0, stderr);
		assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
		return stdout.trim();
	};

	it("says what it was told, signed so that others can tell", async () => {
		const before = now();
		const claims = open(await made(["--user", "ann", "--allow", "chat:*=rw", "--allow", "a=b=r",
			"--info", ' {"name": "Ann"} ', "--ttl", "90s", ...flags]));
		assert.equal(claims.sub, "ann");
		assert.deepEqual(claims.allow, { "chat:*": "rw", "a=b": "r" });
		assert.deepEqual(claims.info, { name: "Ann" });
		assert.equal(claims.exp - claims.iat, 90);
		assert.ok(claims.iat >= before && claims.iat <= now());
	});

	it("is good for an hour unless told otherwise", async () => {
		const { exp, iat, allow, info } = open(await made(["--user", "å \"1\"", ...flags]));
		assert.equal(exp - iat, 3600);
		assert.deepEqual([allow, info], [undefined, undefined]);
	});

	it("takes the secret from file, environment and configuration, and names issuer and audience", async () => {
		const secretFile = writeScratch("secret", `${secret}\n`);
		const config = writeScratch("starling.conf",
			`[auth]\njwt_secret_file = ${secretFile}\njwt_issuer = i\njwt_audience = a\n`);
		const { iss, aud } = open(await made(["--user", "ann", "-c", config]));
		assert.deepEqual([iss, aud], ["i", "a"]);
		assert.ok(open(await made(["--user", "ann"], { env: { STARLING_AUTH_JWT_SECRET: secret } })));
	});

	it("makes what the server takes", async () => {
		const options = [`auth.jwt_secret=${secret}`, "auth.jwt_audience=a"];
		await withServer({ options }, async (server) => {
			const token = await made(["--user", "ann", "--allow", "c=r",
				...options.flatMap((option) => ["-o", option])]);
			const client = await NativeClient.open(server, { query: `token=${token}` });
			assert.equal(client.welcome.user, "ann");
			await client.subscribe("c");
			assert.equal((await client.ask({ type: "publish", channel: "c", data: 1 })).code, "forbidden");
			client.close();
		});
	});

	const misused = {
		"no user": [...flags],
		"no secret": ["--user", "ann"],
		"a public key alone": ["--user", "ann", "-o",
			`auth.jwt_public_key_file=${writeScratch("k.pem", makePair("EdDSA").pem)}`],
		"a user that is none": ["--user", "", ...flags],
		"a time that is none": ["--user", "ann", "--ttl", "soon", ...flags],
		"no time": ["--user", "ann", "--ttl", "0", ...flags],
		"too long a time": ["--user", "ann", "--ttl", "31d", ...flags],
		"rights that are none": ["--user", "ann", "--allow", "c=rx", ...flags],
		"a pattern without rights": ["--user", "ann", "--allow", "c", ...flags],
		"a pattern that fits nothing": ["--user", "ann", "--allow", "a b=r", ...flags],
		"a pattern twice": ["--user", "ann", "--allow", "c=r", "--allow", "c=w", ...flags],
		"info that is no JSON": ["--user", "ann", "--info", "{", ...flags],
		"too much info": ["--user", "ann", "--info", `"${"x".repeat(5000)}"`, ...flags],
		"what it does not know": ["--user", "ann", "--admin", ...flags],
		"an operand": ["ann", ...flags],
	};
	for (const [what, args] of Object.entries(misused))
		it(`${what}: one line, and exit status 2`, async () => {
			const { status, stdout, stderr } = await run(["token", ...args]);
			assert.equal(status, 2);
			assert.equal(stdout, "");
			assert.match(stderr, /^starling: [^\n]+\n$/);
			assert.ok(!stderr.includes(secret));
		});
});

describe("token: made by a backend, as README shows it", () => {
	const readme = fs.readFileSync(new URL("../../README.md", import.meta.url), "utf8");
	const programs = { js: ["node", "--input-type=module"], python: ["python3", "-"] };
	for (const [language, [program, flag]] of Object.entries(programs))
		it(language, () => {
			const [, text] = readme.split("## Tokens and rights")[1]
				.split(`\`\`\`${language}\n`).map((part) => part.split("```")[0]);
			const { status, stdout, stderr } = spawnSync(program, [flag],
				{ input: text, encoding: "utf8", env: { ...process.env, STARLING_AUTH_JWT_SECRET: secret } });
			assert.equal(status, 0, stderr);
			const claims = open(stdout.trim());
			assert.equal(claims.sub, "ann");
			assert.deepEqual(claims.allow, { "chat:*": "rw" });
			assert.ok(claims.exp > now());
		});
});

describe("token: the banner", () => {
	const banner = async (options) => {
		const server = await startServer({ options });
		await server.stop();
		return server.stderr();
	};

	it("says when a secret is shorter than it should be, and not what it is", async () => {
		assert.match(await banner(["auth.jwt_secret=hush-hush"]), /warning: auth\.jwt_secret has less than 32/);
		assert.doesNotMatch(await banner(["auth.jwt_secret=hush-hush"]), /hush/);
		assert.doesNotMatch(await banner([`auth.jwt_secret=${"s".repeat(32)}`]), /warning/);
	});

	it("shows how to publish, with a key where one is needed", async () => {
		assert.match(await banner(["auth.api_key=k"]), /curl .*-H 'Authorization: Bearer KEY' 'https?:/);
		assert.doesNotMatch(await banner([]), /Bearer/);
	});
});

describe("token: files that cannot be used", () => {
	const privateKey = makePair("EdDSA").key.export({ type: "pkcs8", format: "pem" });
	const files = {
		"a secret that is not there": ["jwt_secret_file", null, /No such file/],
		"a secret of nothing": ["jwt_secret_file", "\n", /empty/],
		"keys that are not there": ["jwt_public_key_file", null, /No such file/],
		"keys that are none": ["jwt_public_key_file", "hush hush", /neither PEM nor/],
		"a private key": ["jwt_public_key_file", privateKey, /private key/],
		"a set without a key": ["jwt_public_key_file", '{"keys":[]}', /no key in the set/],
		"a set with a secret": ["jwt_public_key_file",
			'{"keys":[{"kty":"oct","k":"aHVzaA"}]}', /secret key/],
		"API keys that are not there": ["api_key_file", null, /No such file/],
		"API keys of nothing": ["api_key_file", " , \n,\n", /no key is in it/],
	};
	for (const [what, [key, text, reason]] of Object.entries(files))
		it(`${what}: the server says so, and does not start`, async () => {
			const file = text === null ? "/nonexistent/file" : writeScratch("file", text);
			const config = writeScratch("starling.conf", `[auth]\n${key} = ${file}\n`);
			const { status, stderr } = await run(["serve", "-c", config, "-o", "listen.http=127.0.0.1:0"]);
			assert.equal(status, 2);
			assert.match(stderr, /^starling: [^\n]+\n$/);
			assert.ok(stderr.includes(`${config}:2: auth.${key}: ${file}: `), stderr);
			assert.match(stderr, reason);
			assert.ok(!/hush|aHVzaA|MC4C/.test(stderr), stderr);
		});

	it("API keys of a file: a line each, or with commas, and line ends of any kind", async () => {
		const file = writeScratch("keys", "one, two\r\n\n three \n");
		await withServer({ options: [`auth.api_key_file=${file}`] }, async (server) => {
			for (const key of ["one", "two", "three"])
				assert.equal((await call(server, "GET", "/api/stats", { headers: bearer(key) })).status, 200);
			for (const key of ["one, two", "four", ""])
				assert.equal((await call(server, "GET", "/api/stats", { headers: bearer(key) })).status, 401);
		});
	});
});

describe("token: secrets", () => {
	it("stand in nothing that the server says", async () => {
		const secrets = ["hush-secret", "hush-key-1", "hush-key-2"];
		const config = `[auth]\njwt_secret = ${secrets[0]}\napi_key = ${secrets[1]}, ${secrets[2]}\n`;
		const file = writeScratch("starling.conf", config);
		const { stdout } = await run(["serve", "--print-config", "-c", file]);
		assert.match(stdout, /^auth\.jwt_secret = \*\*\*  # /m);
		assert.match(stdout, /^auth\.api_key = \*\*\*  # /m);
		await withServer({ config }, async (server) => {
			const token = mint({ sub: "ann" }, { key: secrets[0] });
			await userOf(server, { query: `token=${token}` });
			await shake(server, { target: `/ws?token=${token}x` });
			await server.reload(`${config}jwt_secret = twice\n`);
			for (const text of [stdout, server.stderr()])
				assert.ok(![...secrets, token].some((word) => text.includes(word)), text);
		});
	});

	for (const isSecure of [false, true])
		it(`of a file are not in what a core dump would hold, ${isSecure ? "with" : "without"} TLS`,
			{ skip: isSanitized && "a sanitizer spills registers onto stacks of its own" },
			() => assertUndumped(isSecure));

	async function assertUndumped(isSecure) {
		/* Behind so much else that nobody who uses the memory again overwrites them. */
		const front = "in front of it ".repeat(20);
		const [tail, key] = ["the end of the secret", "the second of the keys"];
		const hidden = front + tail;
		await withServer({
			isSecure,
			options: [`auth.jwt_secret_file=${writeScratch("secret", `${hidden}\n`)}`,
				`auth.api_key_file=${writeScratch("keys", `${front}\n${key}\n`)}`],
		}, async (server) => {
			assert.deepEqual(findInMemory(server.pid, tail), { dumped: 0, left: 1 });
			const token = mint({}, { key: hidden });
			assert.equal(await userOf(server, { query: `token=${token}` }), "ann");
			assert.deepEqual(findInMemory(server.pid, tail), { dumped: 0, left: 1 });
			assert.deepEqual(findInMemory(server.pid, key), { dumped: 0, left: 0 });
		});
	}
});

/* How often a text stands in the memory of a process, in what a core dump has and in what it leaves
 * out. */
function findInMemory(pid, text) {
	const found = { dumped: 0, left: 0 };
	const memory = fs.openSync(`/proc/${pid}/mem`, "r");
	const maps = fs.readFileSync(`/proc/${pid}/smaps`, "latin1")
		.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
	for (const map of maps) {
		const [, from, to, mode] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(map);
		const length = parseInt(to, 16) - parseInt(from, 16);
		if (mode[1] !== "w" || length > 1 << 28)
			continue;
		const bytes = Buffer.alloc(length);
		try {
			fs.readSync(memory, bytes, 0, length, parseInt(from, 16));
		} catch {
			continue;
		}
		const count = bytes.toString("latin1").split(text).length - 1;
		found[/^VmFlags:.* dd\b/m.test(map) ? "left" : "dumped"] += count;
	}
	fs.closeSync(memory);
	return found;
}
