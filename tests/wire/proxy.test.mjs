/* Behind proxies: the PROXY protocol and X-Forwarded-For, from those who are trusted alone. */
import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";

import { RawClient, RawWebSocket, exchange, handshake } from "./clients.mjs";
import {
	assertError, call, freePort, fresh, scratchDirectory, speakPlainly, until, useServer,
	withServer,
} from "./harness.mjs";

/* Over TLS it is fronts.test.mjs that shows it. */
speakPlainly();

const get = (target, headers = "") => `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const line = (source, family = source.includes(":") ? "TCP6" : "TCP4") =>
	`PROXY ${family} ${source} ${family === "TCP6" ? "::1" : "127.0.0.1"} 4711 80\r\n`;

/* The header of version 2; `bytes` are the addresses and what may be behind them. */
function binary(command, family, bytes) {
	const head = Buffer.from("\r\n\r\n\0\r\nQUIT\n\0\0\0\0", "latin1");
	head[12] = 0x20 | command;
	head[13] = family;
	head.writeUInt16BE(bytes.length, 14);
	return Buffer.concat([head, Buffer.from(bytes)]).toString("latin1");
}

const v4 = binary(1, 0x11, [203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 80]);
const v6Bytes = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const v6 = binary(1, 0x21, [...v6Bytes, ...v6Bytes, 0x12, 0x67, 0, 80]);

/* Opens a WebSocket behind `pieces`; the address that the server knows of it. */
async function addressOf(server, pieces, changes = {}, options = {}) {
	const client = await RawWebSocket.connect(server, options);
	await client.sendPieces([...pieces, handshake(server, "/ws", changes)]);
	await client.accepted();
	const { connection } = JSON.parse((await client.message()).payload.toString());
	const { address } = (await call(server, "GET", `/api/connections/${connection}`)).json();
	client.close();
	/* Its place is another's only when it is gone. */
	await until(async () => (await call(server, "GET", `/api/connections/${connection}`)).status === 404,
		"the connection to be gone");
	return address;
}

const closes = async (server) => (await call(server, "GET", "/api/stats")).json().closes_total;

describe("proxy: the PROXY protocol from who is trusted", () => {
	const server = useServer({
		options: ["listen.trusted_proxies=127.0.0.0/8, 10.0.0.0/8", "limits.header_timeout=500ms"],
	});

	const told = {
		"a line of IPv4": [line("203.0.113.9"), "203.0.113.9"],
		"a line of IPv6": [line("2001:db8::9"), "2001:db8::9"],
		"IPv4 in the dress of IPv6": [line("::ffff:203.0.113.9"), "203.0.113.9"],
		"bytes of IPv4": [v4, "203.0.113.9"],
		"bytes of IPv6": [v6, "2001:db8::9"],
		"bytes with more behind them": [binary(1, 0x11,
			[203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 80, 4, 0, 1, 0]), "203.0.113.9"],
		"an unknown client": ["PROXY UNKNOWN\r\n", "127.0.0.1"],
		"a proxy that speaks for itself": [binary(0, 0, []), "127.0.0.1"],
		"a client on a local socket": [binary(1, 0x31, new Array(216).fill(97)), "127.0.0.1"],
		"nothing, since it is optional": ["", "127.0.0.1"],
	};
	for (const [what, [header, address]] of Object.entries(told)) {
		it(`${what} says where the client is`, async () =>
			assert.equal(await addressOf(server, header === "" ? [] : [header]), address));
		it(`${what}, byte by byte and in one segment with the request`, async () => {
			assert.equal(await addressOf(server, [...header]), address);
			const answer = await exchange(server, header + get("/health"));
			assert.equal(answer.status, 200);
		});
	}

	it("an event stream may stand behind it", async () => {
		const client = await RawClient.connect(server);
		const channel = fresh();
		client.send(line("203.0.113.9"), get(`/events?channel=${channel}`));
		await client.until((received) => received.includes("id: "), "the stream");
		assert.equal((await call(server, "GET", "/api/stats")).json().connections_sse, 1);
		client.close();
	});

	const bad = {
		"a line of another family": "PROXY TCP5 203.0.113.9 127.0.0.1 1 2\r\n",
		"a line that is too long": `PROXY TCP4 ${"1".repeat(200)}\r\n`,
		"an address that is none": "PROXY TCP4 203.0.113 127.0.0.1 1 2\r\n",
		"another version": binary(0x10, 0x11, []),
		"another command": binary(2, 0x11, []),
		"bytes that are too few": binary(1, 0x11, [203, 0, 113]),
		"bytes that are too many": binary(1, 0x11, new Array(5000).fill(0)),
	};
	for (const [what, header] of Object.entries(bad))
		it(`${what} closes without an answer`, async () => {
			const { bad_proxy } = await closes(server);
			const client = await RawClient.connect(server);
			client.send(header, get("/health"));
			assert.equal((await client.rest()).length, 0);
			await until(async () => (await closes(server)).bad_proxy === bad_proxy + 1);
		});

	it("part of a header is waited for as long as for a request", async () => {
		for (const part of ["PROXY TC", v4.slice(0, 14), "P", "\r\n"]) {
			const client = await RawClient.connect(server);
			client.send(part);
			assert.equal((await client.rest()).length, 0);
		}
	});

	it("part of a header and then the end is the end", async () => {
		const client = await RawClient.connect(server);
		client.socket.end("PROXY TC");
		assert.equal((await client.rest()).length, 0);
	});

	it("what begins like a header and is none is a request", async () => {
		assert.equal((await exchange(server, "\r\n\r\n" + get("/health"))).status, 200);
		assertError(await exchange(server, "PROXYS / HTTP/1.1\r\nHost: x\r\n\r\n"),
			405, "method_not_allowed");
	});

	it("a header in front of a second request is garbage", async () => {
		const client = await RawClient.connect(server);
		client.send(line("203.0.113.9"), get("/health"));
		assert.equal((await client.response()).status, 200);
		client.send(line("203.0.113.10"), get("/health"));
		assertError(await client.response(), 400, "bad_request");
		await client.rest();
	});

	it("a second header is garbage too", async () => {
		assertError(await exchange(server, line("203.0.113.9") + line("203.0.113.10")),
			400, "bad_request");
	});
});

describe("proxy: X-Forwarded-For from who is trusted", () => {
	const server = useServer({ options: ["listen.trusted_proxies=127.0.0.0/8, 10.0.0.0/8"] });
	const forwarded = {
		"one address": ["203.0.113.9", "203.0.113.9"],
		"the one that the proxy appended": ["198.51.100.1, 203.0.113.9", "203.0.113.9"],
		"the one before trusted proxies": ["198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"],
		"several lines": [["198.51.100.1", "203.0.113.9", "10.1.1.1"], "203.0.113.9"],
		"an IPv6 address with a port": ["[2001:db8::9]:4711", "2001:db8::9"],
		"nonsense, which says nothing": ["nonsense", "127.0.0.1"],
	};
	for (const [what, [value, address]] of Object.entries(forwarded))
		it(`${what} is the client's`, async () =>
			assert.equal(await addressOf(server, [], { "X-Forwarded-For": value }), address));

	it("behind a PROXY header it counts where that names a trusted proxy", async () => {
		const changes = { "X-Forwarded-For": "203.0.113.9" };
		assert.equal(await addressOf(server, [line("10.1.1.1")], changes), "203.0.113.9");
		assert.equal(await addressOf(server, [line("198.51.100.1")], changes), "198.51.100.1");
	});

	it("Forwarded is not read", async () =>
		assert.equal(await addressOf(server, [], { Forwarded: "for=203.0.113.9" }), "127.0.0.1"));
});

describe("proxy: from who is not trusted", () => {
	const server = useServer({ options: ["listen.trusted_proxies=10.0.0.0/8, 127.0.0.2"] });

	it("a PROXY header is no request", async () => {
		assertError(await exchange(server, line("203.0.113.9") + get("/health")), 400, "bad_request");
		assertError(await exchange(server, v4 + get("/health")), 400, "bad_request");
	});

	it("X-Forwarded-For is not looked at", async () => {
		const changes = { "X-Forwarded-For": "203.0.113.9" };
		assert.equal(await addressOf(server, [], changes), "127.0.0.1");
		const trusted = { localAddress: "127.0.0.2" };
		assert.equal(await addressOf(server, [], changes, trusted), "203.0.113.9");
		assert.equal(await addressOf(server, [line("203.0.113.8")], {}, trusted), "203.0.113.8");
	});
});

describe("proxy: limits.connections_per_ip", () => {
	const server = useServer({
		options: ["listen.trusted_proxies=127.0.0.1", "limits.connections_per_ip=1", "workers.count=4"],
	});

	async function assertOnePlace(first, same, other) {
		const clients = [];
		for (const [header, headers, status] of [[...first, 101], [...same, 429], [...other, 101]]) {
			const client = await RawClient.connect(server);
			client.send(header, handshake(server, "/ws", headers));
			const answer = await client.response();
			assert.equal(answer.status, status, answer.text);
			clients.push(client);
		}
		clients.forEach((client) => client.close());
		await until(async () => (await call(server, "GET", "/api/stats")).json().connections === 0);
	}

	it("counts the address that a PROXY header tells", () => assertOnePlace(
		[line("203.0.113.1"), {}], [v4.replace("\x71\x09", "\x71\x01"), {}], [line("203.0.113.2"), {}]));

	it("counts the address that X-Forwarded-For tells", () => assertOnePlace(
		["", { "X-Forwarded-For": "203.0.113.1" }],
		[line("203.0.113.1"), {}],
		["", { "X-Forwarded-For": "203.0.113.2" }]));

	it("counts an IPv6 network of 64 bits as one", () => assertOnePlace(
		[line("2001:db8:0:1::1"), {}], [line("2001:db8:0:1:ffff::2"), {}],
		[line("2001:db8:0:2::1"), {}]));

	it("one after the other on a connection that is kept are other clients", async () => {
		const holder = await RawClient.connect(server);
		holder.send(handshake(server, "/ws", { "X-Forwarded-For": "203.0.113.1" }));
		assert.equal((await holder.response()).status, 101);
		const client = await RawClient.connect(server);
		client.send(handshake(server, "/ws", { "X-Forwarded-For": "203.0.113.1" }));
		assertError(await client.response(), 429, "connection_limit");
		client.send(handshake(server, "/ws", { "X-Forwarded-For": "203.0.113.2" }));
		assert.equal((await client.response()).status, 101);
		holder.close();
		client.close();
	});
});

describe("proxy: local sockets", () => {
	async function withSocket(options, body) {
		const [port, place] = [await freePort(), path.join(scratchDirectory(), "http.sock")];
		const http = `listen.http=127.0.0.1:${port}, unix:${place}`;
		await withServer({ port, options: [http, ...options] },
			(server) => body(server, { path: place }));
	}

	it("are trusted where the list says unix", () =>
		withSocket(["listen.trusted_proxies=unix", "limits.connections_per_ip=1"], async (server, at) => {
			assert.equal(await addressOf(server, [line("203.0.113.9")], {}, at), "203.0.113.9");
			assert.equal(await addressOf(server, [v6], {}, at), "2001:db8::9");
			const changes = { "X-Forwarded-For": "203.0.113.9" };
			assert.equal(await addressOf(server, [], changes, at), "203.0.113.9");
			assert.equal(await addressOf(server, [], {}, at), "unix");
			assert.equal(await addressOf(server, [], changes), "127.0.0.1");
		}));

	it("are not trusted otherwise, and have no address to count", () =>
		withSocket(["limits.connections_per_ip=1"], async (server, at) => {
			const changes = { "X-Forwarded-For": "203.0.113.9" };
			assert.equal(await addressOf(server, [], changes, at), "unix");
			const clients = [];
			for (let i = 0; i < 3; i++) {
				clients.push(await RawClient.connect(server, at));
				clients[i].send(handshake(server, "/ws"));
				assert.equal((await clients[i].response()).status, 101);
			}
			clients.forEach((client) => client.close());
		}));
});
