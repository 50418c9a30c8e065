/* HTTP/1.1 as bytes: framing, persistence, strictness, errors and cross-origin rules. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient, RawClient, exchange, handshake } from "./clients.mjs";
import { assertError, call, fresh, publish, useServer } from "./harness.mjs";

/* A request with a Host and `lines`, each without its CRLF. */
function request(first, lines = [], body = "") {
	return [first, "Host: starling", ...lines, "", body].join("\r\n");
}

function jsonPost(channel, body, lines = []) {
	return request(`POST /publish?channel=${channel} HTTP/1.1`,
		["Content-Type: application/json", ...lines], body);
}

const health = request("GET /health HTTP/1.1");

describe("http: persistence", () => {
	const server = useServer();

	it("a connection serves one request after another", async () => {
		const client = await RawClient.connect(server);
		for (let i = 0; i < 3; i++) {
			client.send(health);
			assert.equal((await client.response()).status, 200);
		}
		client.close();
	});

	it("pipelined requests are answered in order", async () => {
		const client = await RawClient.connect(server);
		const channel = fresh();
		client.send(health, request("GET /nowhere HTTP/1.1"), health,
			jsonPost(channel, '"x"', ["Content-Length: 3"]),
			request("POST /health HTTP/1.1", ["Content-Length: 0"]), health);
		const statuses = [];
		for (let i = 0; i < 6; i++)
			statuses.push((await client.response()).status);
		assert.deepEqual(statuses, [200, 404, 200, 200, 405, 200]);
		client.close();
	});

	it("a hundred requests in one segment are all answered", async () => {
		const client = await RawClient.connect(server);
		client.send(health.repeat(100));
		for (let i = 0; i < 100; i++)
			assert.equal((await client.response()).status, 200);
		client.close();
	});

	it("a request that comes byte by byte is understood", async () => {
		const client = await RawClient.connect(server);
		await client.sendPieces([...jsonPost(fresh(), '{"a":1}', ["Content-Length: 7"])]);
		assert.equal((await client.response()).status, 200);
		client.close();
	});

	it("Connection: close is answered with close and closed", async () => {
		const client = await RawClient.connect(server);
		client.send(request("GET /health HTTP/1.1", ["Connection: close"]), health);
		const answer = await client.response();
		assert.equal(answer.status, 200);
		assert.match(answer.headers.connection, /^close$/i);
		assert.equal((await client.rest()).length, 0);
	});

	it("HTTP/1.0 is answered and closed", async () => {
		const client = await RawClient.connect(server);
		client.send("GET /health HTTP/1.0\r\n\r\n");
		assert.equal((await client.response()).status, 200);
		assert.equal((await client.rest()).length, 0);
	});

	it("an empty line before a request is passed over", async () => {
		assert.equal((await exchange(server, `\r\n${health}`)).status, 200);
	});

	it("the absolute form of a target is understood", async () => {
		const answer = await exchange(server,
			request("GET http://starling/health HTTP/1.1"));
		assert.equal(answer.status, 200);
	});

	it("header names have no case", async () => {
		const bytes = "GET /health HTTP/1.1\r\nhOST: x\r\ncONNECTION: CLOSE\r\n\r\n";
		const client = await RawClient.connect(server);
		client.send(bytes);
		assert.equal((await client.response()).status, 200);
		await client.rest();
	});

	it("/ready is 200 on a single node", async () => {
		assert.equal((await call(server, "GET", "/ready")).status, 200);
	});
});

describe("http: bodies", () => {
	const server = useServer({ options: ["limits.message_size=1KiB"] });
	const chunks = '4\r\n{"te\r\n1;x=y\r\nx\r\nA\r\nt":"chunk"\r\n1\r\n}\r\n'
		+ "0\r\nTrailer: t\r\n\r\n";
	const chunked = ["Transfer-Encoding: chunked"];

	it("a chunked body may be split anywhere", async () => {
		const channel = fresh();
		const listener = await NativeClient.open(server);
		await listener.subscribe(channel);
		const client = await RawClient.connect(server);
		const bytes = jsonPost(channel, chunks, chunked);
		for (let at = 1; at < bytes.length; at++) {
			await client.sendPieces([bytes.slice(0, at), bytes.slice(at)]);
			const answer = await client.response();
			assert.equal(answer.status, 200, `split at ${at}: ${answer.text}`);
			assert.deepEqual(await listener.data(1), [{ text: "chunk" }]);
		}
		client.close();
		listener.close();
	});

	it("a chunked body may come byte by byte", async () => {
		const client = await RawClient.connect(server);
		await client.sendPieces([...jsonPost(fresh(), chunks, chunked)]);
		assert.equal((await client.response()).status, 200);
		client.send(health);
		assert.equal((await client.response()).status, 200);
		client.close();
	});

	it("Expect: 100-continue gets its 100, then the answer", async () => {
		const client = await RawClient.connect(server);
		client.send(jsonPost(fresh(), "", ["Content-Length: 3", "Expect: 100-continue"]));
		assert.equal((await client.response()).status, 100);
		client.send('"x"');
		assert.equal((await client.response()).status, 200);
		client.close();
	});

	it("a body known to be too large gets no 100", async () => {
		const client = await RawClient.connect(server);
		client.send(jsonPost(fresh(), "",
			["Content-Length: 9999999", "Expect: 100-continue"]));
		assertError(await client.response(), 413, "too_large");
		client.close();
	});

	const large = [
		["a length over the limit", ["Content-Length: 1025"], `"${"x".repeat(1023)}"`],
		["a length over a terabyte", ["Content-Length: 1099511627777"], ""],
		["chunks over the limit", chunked,
			`400\r\n"${"x".repeat(1023)}\r\n2\r\nx"\r\n0\r\n\r\n`],
		["a chunk over the limit", chunked, `fffffff\r\n${"x".repeat(1025)}`],
		["a chunk over 64 bits with the one before it", chunked,
			`2\r\nxx\r\nffffffffffffffff\r\n${"x".repeat(1025)}`],
	];
	for (const [claim, lines, body] of large) {
		it(`${claim} is 413`, async () => {
			assertError(await exchange(server, jsonPost(fresh(), body, lines)),
				413, "too_large");
		});
	}

	it("a body of the limit is accepted", async () => {
		const body = `"${"x".repeat(1022)}"`;
		const bytes = jsonPost(fresh(), body, ["Content-Length: 1024"]);
		assert.equal((await exchange(server, bytes)).status, 200);
	});

	const bad = ["g\r\n", "-1\r\n", "0x1\r\n", " 1\r\n", "\r\n", "1\nx", "1\r\nxx\r\n",
		"1\r\nx\n", "10000000000000001\r\n", "1;\x01\r\n", "0\r\n bad\r\n\r\n",
		"0\r\nno colon\r\n\r\n"];
	for (const chunk of bad) {
		it(`a body of ${JSON.stringify(chunk)} is 400 and closed`, async () => {
			const client = await RawClient.connect(server);
			client.send(jsonPost(fresh(), chunk, chunked), health);
			const answer = await client.response();
			assert.ok([400, 413].includes(answer.status), `${answer.status}`);
			assert.equal((await client.rest()).length, 0);
		});
	}
});

describe("http: HEAD", () => {
	const server = useServer();
	/* Each row: a path, and whether its body is made for the sake of its length. */
	const paths = [["/health", true], ["/ready", true], ["/", true], ["/starling.js", true],
		["/api/channels/head/history", true], ["/nowhere", true], ["/poll", true],
		["/poll?channel=head", false], ["/poll?channel=head&since=start", false]];
	for (const [path, hasLength] of paths) {
		it(`HEAD ${path} has the head of GET and no body`, async () => {
			await publish(server, "head", 1);
			const client = await RawClient.connect(server);
			client.send(request(`HEAD ${path} HTTP/1.1`),
				request(`GET ${path} HTTP/1.1`));
			const head = await client.response({ toHead: true });
			const got = await client.response();
			for (const answer of [head, got])
				delete answer.headers.date;
			if (!hasLength)
				delete got.headers["content-length"];
			assert.equal(head.status, got.status);
			assert.deepEqual(head.headers, got.headers);
			client.close();
		});
	}
});

describe("http: refusals", () => {
	const server = useServer();
	const errors = [
		["an unknown path", "GET /nowhere HTTP/1.1", [], 404, "not_found"],
		["an unknown path of the API", "GET /api/nowhere HTTP/1.1", [], 404, "not_found"],
		["a path that only begins right", "GET /healthy HTTP/1.1", [], 404, "not_found"],
		["publishing without a channel", "POST /publish HTTP/1.1",
			["Content-Type: text/plain", "Content-Length: 0"], 400, "bad_request"],
		["a channel with a space", "GET /poll?channel=a%20b HTTP/1.1", [],
			400, "bad_request"],
		["a channel with a comma", "GET /poll?channel=a%2Cb HTTP/1.1", [],
			400, "bad_request"],
		["a channel of no bytes", "GET /poll?channel= HTTP/1.1", [], 400, "bad_request"],
		["a channel of 201 bytes", `GET /poll?channel=${"c".repeat(201)} HTTP/1.1`, [],
			400, "bad_request"],
		["a channel that is not ASCII", "GET /poll?channel=caf%C3%A9 HTTP/1.1", [],
			400, "bad_request"],
		["a broken percent in the query", "GET /poll?channel=%zz HTTP/1.1", [],
			400, "bad_request"],
		["polling without a channel", "GET /poll HTTP/1.1", [], 400, "bad_request"],
		["events without a channel", "GET /events HTTP/1.1", [], 400, "bad_request"],
		["a target over header_size", `GET /${"x".repeat(16384)} HTTP/1.1`, [],
			414, "uri_too_long"],
		["headers over header_size", "GET /health HTTP/1.1", [`X: ${"x".repeat(16384)}`],
			431, "header_too_large"],
		["/ws without an upgrade", "GET /ws HTTP/1.1", [], 426, "upgrade_required"],
		["/echo without an upgrade", "GET /echo HTTP/1.1", [], 426, "upgrade_required"],
	];
	for (const [claim, first, lines, status, code] of errors) {
		it(`${claim} is ${status} ${code}`, async () => {
			assertError(await exchange(server, request(first, lines)), status, code);
		});
	}

	it("an error of a request leaves the connection usable", async () => {
		const client = await RawClient.connect(server);
		client.send(request("GET /poll HTTP/1.1"), health);
		assert.equal((await client.response()).status, 400);
		assert.equal((await client.response()).status, 200);
		client.close();
	});

	const methods = [
		["DELETE /health", ["GET", "HEAD"]], ["POST /poll?channel=a", ["GET", "HEAD"]],
		["PUT /events?channel=a", ["GET"]], ["POST /ws", ["GET"]],
		["GET /publish?channel=a", ["POST"]], ["GET /api/publish", ["POST"]],
		["POST /api/channels/a/history", ["GET", "HEAD"]],
		["BREW /health", ["GET", "HEAD"]],
	];
	for (const [first, allowed] of methods) {
		it(`${first} is 405 and Allow says ${allowed}`, async () => {
			const answer = await exchange(server,
				request(`${first} HTTP/1.1`, ["Content-Length: 0"]));
			assertError(answer, 405, "method_not_allowed");
			const allow = answer.headers.allow.split(/\s*,\s*/);
			assert.deepEqual(allowed.filter((method) => !allow.includes(method)), []);
			assert.ok(!allow.includes(first.split(" ")[0]));
		});
	}

	it("a target that never ends is 414 before it does", async () => {
		const client = await RawClient.connect(server);
		client.send(`GET /${"x".repeat(20000)}`);
		assertError(await client.response(), 414, "uri_too_long");
		await client.rest();
	});

	it("headers that never end are 431 before they do", async () => {
		const client = await RawClient.connect(server);
		client.send(`GET /health HTTP/1.1\r\nHost: x\r\n${"X: yyyyyyyy\r\n".repeat(1500)}`);
		assertError(await client.response(), 431, "header_too_large");
		await client.rest();
	});
});

/* What two parsers could read in two ways is refused, and nothing behind it is read at all. */
describe("http: strictness", () => {
	const server = useServer();
	const host = "Host: x\r\n";
	const oldPost = "POST /publish?channel=smuggled HTTP/1.0\r\nContent-Type: text/plain\r\n";
	const post = oldPost.replace("1.0", "1.1") + host;
	const length = (value) => `Content-Length: ${value}\r\n`;
	const coding = (value) => `Transfer-Encoding: ${value}\r\n`;
	const malformed = [
		["a bare LF after the request line", `GET /health HTTP/1.1\n${host}\r\n`],
		["a bare LF after a header", "GET /health HTTP/1.1\r\nHost: x\n\r\n"],
		["a bare CR in a header", `GET /health HTTP/1.1\r\nA: b\rc\r\n${host}\r\n`],
		["a folded header", `GET /health HTTP/1.1\r\nA: b\r\n c\r\n${host}\r\n`],
		["a folded first header", `GET /health HTTP/1.1\r\n A: b\r\n${host}\r\n`],
		["a blank before the colon", `GET /health HTTP/1.1\r\nA : b\r\n${host}\r\n`],
		["a header without a name", `GET /health HTTP/1.1\r\n: b\r\n${host}\r\n`],
		["a header without a colon", `GET /health HTTP/1.1\r\nAb\r\n${host}\r\n`],
		["NUL in a value", `GET /health HTTP/1.1\r\nA: \0\r\n${host}\r\n`],
		["a control character in a value",
			`GET /health HTTP/1.1\r\nA: \x7f\r\n${host}\r\n`],
		["a control character in a name",
			`GET /health HTTP/1.1\r\nA\x01: b\r\n${host}\r\n`],
		["no Host", "GET /health HTTP/1.1\r\n\r\n"],
		["two Hosts", `GET /health HTTP/1.1\r\n${host}${host}\r\n`],
		["a Host with a path", "GET /health HTTP/1.1\r\nHost: x/y\r\n\r\n"],
		["a Host with a user", "GET /health HTTP/1.1\r\nHost: u@x\r\n\r\n"],
		["two blanks in the request line", `GET  /health HTTP/1.1\r\n${host}\r\n`],
		["a tab in the request line", `GET\t/health HTTP/1.1\r\n${host}\r\n`],
		["a blank after the version", `GET /health HTTP/1.1 \r\n${host}\r\n`],
		["a blank before the method", ` GET /health HTTP/1.1\r\n${host}\r\n`],
		["a target without a slash", `GET health HTTP/1.1\r\n${host}\r\n`],
		["a control character in the target", `GET /a\x01 HTTP/1.1\r\n${host}\r\n`],
		["a byte over 127 in the target", `GET /\xe9 HTTP/1.1\r\n${host}\r\n`],
		["a fragment", `GET /health#x HTTP/1.1\r\n${host}\r\n`],
		["no version", `GET /health\r\n${host}\r\n`],
		["a version in small letters", `GET /health http/1.1\r\n${host}\r\n`],
		["a method that is no token", `G(T /health HTTP/1.1\r\n${host}\r\n`],
		["a length and chunks", `${post}${length(4)}${coding("chunked")}\r\n0\r\n\r\n`],
		["chunks and a length", `${post}${coding("chunked")}${length(4)}\r\n0\r\n\r\n`],
		["two lengths that differ", `${post}${length(1)}${length(2)}\r\nx`],
		["a list of lengths that differ", `${post}${length("1, 2")}\r\nx`],
		["a length with a sign", `${post}${length("+1")}\r\nx`],
		["a negative length", `${post}${length("-1")}\r\nx`],
		["a hexadecimal length", `${post}${length("0x1")}\r\nx`],
		["an empty length", `${post}${length("")}\r\nx`],
		["a length of 20 nines", `${post}${length("9".repeat(20))}\r\nx`],
		["chunked twice", `${post}${coding("chunked, chunked")}\r\n0\r\n\r\n`],
		["another coding", `${post}${coding("gzip")}\r\n0\r\n\r\n`],
		["chunked that is not last", `${post}${coding("chunked, gzip")}\r\n0\r\n\r\n`],
		["chunked in disguise", `${post}${coding("xchunked")}\r\n0\r\n\r\n`],
		["chunks in HTTP/1.0", `${oldPost}${coding("chunked")}\r\n0\r\n\r\n`],
	];
	for (const [claim, bytes] of malformed) {
		it(`${claim} is refused, and the connection closed`, async () => {
			const client = await RawClient.connect(server);
			client.send(bytes, health);
			const answer = await client.response();
			assert.ok([400, 501, 505].includes(answer.status), `${answer.status}`);
			assert.equal(typeof JSON.parse(answer.text).error.code, "string");
			assert.equal((await client.rest()).length, 0);
		});
	}

	for (const version of ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/11.1"]) {
		it(`${version} is refused`, async () => {
			const answer = await exchange(server, request(`GET /health ${version}`));
			assert.ok([400, 505].includes(answer.status), `${answer.status}`);
		});
	}

	it("nothing of it was published", async () => {
		const history = await call(server, "GET", "/api/channels/smuggled/history");
		assert.deepEqual(history.json().messages, []);
	});
});

describe("http: timeouts", () => {
	const server = useServer({
		options: ["limits.header_timeout=300ms", "limits.idle_timeout=400ms"],
	});

	const halves = [
		["half a request line", "GET /hea"],
		["half a header section", "GET /health HTTP/1.1\r\nHost: x\r\n"],
	];
	for (const [claim, bytes] of halves) {
		it(`${claim} is 408 in the end`, async () => {
			const client = await RawClient.connect(server);
			client.send(bytes);
			assertError(await client.response(), 408, "timeout");
			await client.rest();
		});
	}

	it("an idle connection is closed between requests, without a word", async () => {
		const client = await RawClient.connect(server);
		client.send(health);
		await client.response();
		assert.equal((await client.rest()).length, 0);
	});

	it("a WebSocket is not idle HTTP", async () => {
		const client = await NativeClient.open(server);
		const idle = await RawClient.connect(server);
		idle.send(health);
		await idle.response();
		await idle.rest();
		assert.equal((await client.ask({ type: "ping" })).type, "pong");
		client.close();
	});
});

function getFrom(server, origin, path = "/health") {
	return call(server, "GET", path, { headers: { origin } });
}

function preflight(server, origin, path = "/publish?channel=a") {
	return call(server, "OPTIONS", path, {
		headers: {
			origin,
			"access-control-request-method": "POST",
			"access-control-request-headers": "authorization,content-type",
		},
	});
}

/* The status of a WebSocket handshake that a page of `origin` makes. */
async function handshakeFrom(server, origin) {
	return exchange(server, handshake(server, "/ws", { Origin: origin }));
}

describe("http: origins, same", () => {
	const server = useServer();

	it("another origin is granted nothing", async () => {
		const answer = await getFrom(server, "https://a.example");
		assert.equal(answer.headers["access-control-allow-origin"], undefined);
	});

	it("another origin's preflight is granted nothing", async () => {
		const answer = await preflight(server, "https://a.example");
		assert.equal(answer.headers["access-control-allow-origin"], undefined);
	});

	for (const origin of ["https://a.example", "http://127.0.0.1:1", "null"]) {
		it(`a WebSocket of ${origin} is 403`, async () => {
			assertError(await handshakeFrom(server, origin), 403, "forbidden");
		});
	}

	it("a WebSocket of the server's own origin is accepted", async () => {
		assert.equal((await handshakeFrom(server, server.url)).status, 101);
	});

	it("a WebSocket without an origin is accepted", async () => {
		assert.equal((await handshakeFrom(server, null)).status, 101);
	});
});

describe("http: origins, a list", () => {
	const listed = ["https://a.example", "https://b.example:8443"];
	const origins = `auth.allowed_origins=${listed.join(", ")}`;
	const server = useServer({ options: [origins] });
	const strict = useServer({ options: [origins, "limits.header_timeout=2s", "limits.message_size=16"] });

	for (const origin of listed) {
		it(`${origin} is granted by name`, async () => {
			const answer = await getFrom(server, origin);
			assert.equal(answer.headers["access-control-allow-origin"], origin);
			assert.match(answer.headers.vary, /\borigin\b/i);
		});

		it(`a WebSocket of ${origin} is accepted`, async () => {
			assert.equal((await handshakeFrom(server, origin)).status, 101);
		});
	}

	for (const path of ["/nowhere", "/poll", "/poll?channel=a&since=bad"]) {
		it(`the error of ${path} can be read too`, async () => {
			const answer = await getFrom(server, listed[0], path);
			assert.ok(answer.status >= 400);
			assert.equal(answer.headers["access-control-allow-origin"], listed[0]);
		});
	}

	const bodies = [
		["is late", 408, "Content-Length: 9", "x"],
		["is too large, as far as it has come", 413, "Transfer-Encoding: chunked", "11\r\n"],
		["is in no chunks", 400, "Transfer-Encoding: chunked", "no chunk\r\n"],
	];
	for (const [what, status, header, part] of bodies)
		it(`the error of a body that ${what} can be read too`, async () => {
			const answer = await exchange(strict, "POST /publish?channel=a HTTP/1.1\r\nHost: x\r\n" +
				`Origin: ${listed[0]}\r\n${header}\r\n\r\n${part}`);
			assert.equal(answer.status, status);
			assert.equal(answer.headers["access-control-allow-origin"], listed[0]);
		});

	for (const path of ["/publish?channel=a", "/poll?channel=a", "/api/publish"]) {
		it(`a preflight of ${path} is 204 and names method and headers`, async () => {
			const answer = await preflight(server, listed[0], path);
			assert.equal(answer.status, 204);
			assert.equal(answer.headers["access-control-allow-origin"], listed[0]);
			assert.match(answer.headers["access-control-allow-methods"], /\bPOST\b/);
			assert.match(answer.headers["access-control-allow-headers"],
				/\bauthorization\b/i);
			assert.match(answer.headers["access-control-allow-headers"],
				/\bcontent-type\b/i);
		});
	}

	for (const origin of ["https://c.example", "http://a.example", "https://a.example.evil",
		"https://b.example"]) {
		it(`${origin} is granted nothing`, async () => {
			const answer = await getFrom(server, origin);
			assert.equal(answer.headers["access-control-allow-origin"], undefined);
		});

		it(`a WebSocket of ${origin} is 403`, async () => {
			assertError(await handshakeFrom(server, origin), 403, "forbidden");
		});
	}
});

describe("http: origins, any", () => {
	const server = useServer({ options: ["auth.allowed_origins=*"] });

	it("any origin is granted", async () => {
		const answer = await getFrom(server, "https://a.example");
		const granted = answer.headers["access-control-allow-origin"];
		assert.ok(["*", "https://a.example"].includes(granted), granted);
	});

	it("any origin's preflight is granted", async () => {
		const answer = await preflight(server, "https://a.example");
		assert.equal(answer.status, 204);
		assert.ok(answer.headers["access-control-allow-origin"]);
	});

	it("a WebSocket of any origin is accepted", async () => {
		assert.equal((await handshakeFrom(server, "https://a.example")).status, 101);
	});
});
