/* RFC 6455 as frames: the handshake, and what a server must accept, answer and refuse. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
	RawWebSocket, acceptOf, closeFrame, exchange, frame, handshake, opcodes,
} from "./clients.mjs";
import { assertError, call, isSanitized, sleep, useServer } from "./harness.mjs";

const { continuation, text, binary, close, ping, pong } = opcodes;
const first = { fin: false };

describe("websocket: handshake", () => {
	const server = useServer();
	const refused = [
		["no Upgrade", { Upgrade: null }, [400, 426]],
		["another Upgrade", { Upgrade: "h2c" }, [400, 426]],
		["no Connection", { Connection: null }, [400, 426]],
		["a Connection without upgrade", { Connection: "keep-alive" }, [400, 426]],
		["no version", { "Sec-WebSocket-Version": null }, [400, 426]],
		["version 12", { "Sec-WebSocket-Version": "12" }, [426]],
		["version 14", { "Sec-WebSocket-Version": "14" }, [426]],
		["version 130", { "Sec-WebSocket-Version": "130" }, [426]],
		["no key", { "Sec-WebSocket-Key": null }, [400]],
		["an empty key", { "Sec-WebSocket-Key": "" }, [400]],
		["a key of 15 bytes", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA" }, [400]],
		["a key of 17 bytes", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA=" }, [400]],
		["a key that is not base64", { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j*Q==" },
			[400]],
		["two keys", { "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==",
			"dGhlIHNhbXBsZSBub25jZQ=="] }, [400]],
		["no Host", { Host: null }, [400]],
		["two Hosts", { Host: ["a", "b"] }, [400]],
	];
	for (const [claim, changes, statuses] of refused) {
		it(`${claim} is refused`, async () => {
			const answer = await exchange(server, handshake(server, "/ws", changes));
			assert.ok(statuses.includes(answer.status),
				`${answer.status} ${answer.text}`);
			assert.equal(typeof JSON.parse(answer.text).error.code, "string");
			assert.equal(answer.headers["sec-websocket-accept"], undefined);
		});
	}

	it("a version other than 13 is told which one to use", async () => {
		const answer = await exchange(server,
			handshake(server, "/ws", { "Sec-WebSocket-Version": "8" }));
		assertError(answer, 426, "upgrade_required");
		assert.equal(answer.headers["sec-websocket-version"], "13");
	});

	it("HTTP/1.0 is refused", async () => {
		const answer = await exchange(server,
			handshake(server, "/ws", {}, "GET /ws HTTP/1.0"));
		assert.ok([400, 426].includes(answer.status), `${answer.status}`);
	});

	it("POST is 405", async () => {
		const answer = await exchange(server,
			handshake(server, "/ws", {}, "POST /ws HTTP/1.1"));
		assertError(answer, 405, "method_not_allowed");
	});

	it("an unknown path is 404", async () => {
		assertError(await exchange(server, handshake(server, "/nowhere")), 404,
			"not_found");
	});

	const accepted = [
		["Upgrade in any case", { Upgrade: "WebSocket" }],
		["Connection in any case", { Connection: "upgrade" }],
		["a Connection with more in it", { Connection: "keep-alive, Upgrade" }],
		["a Connection in two lines", { Connection: ["keep-alive", "Upgrade"] }],
		["a Host without a port", { Host: "localhost" }],
		["an IPv6 Host", { Host: "[::1]:8000" }],
	];
	for (const [claim, changes] of accepted) {
		it(`${claim} is accepted`, async () => {
			(await RawWebSocket.open(server, "/ws", changes)).close();
		});
	}

	it("the answer belongs to the key", async () => {
		const key = "AQIDBAUGBwgJCgsMDQ4PEA==";
		const answer = await exchange(server,
			handshake(server, "/ws", { "Sec-WebSocket-Key": key }));
		assert.equal(answer.headers["sec-websocket-accept"], acceptOf(key));
	});

	it("a handshake that comes byte by byte is understood", async () => {
		const client = await RawWebSocket.connect(server);
		await client.sendPieces([...handshake(server, "/echo")]);
		await client.accepted();
		client.close();
	});

	it("permessage-deflate is declined", async () => {
		const client = await RawWebSocket.open(server, "/ws", {
			"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
		});
		assert.equal(client.answer.headers["sec-websocket-extensions"], undefined);
		client.close();
	});

	const protocols = [
		["starling.v1", "starling.v1"],
		["mqtt, starling.v1", "starling.v1"],
		[["mqtt", "starling.v1"], "starling.v1"],
		["mqtt", undefined],
		["starling.v10", undefined],
		[null, undefined],
	];
	for (const [offered, selected] of protocols) {
		it(`of ${offered} the subprotocol ${selected ?? "none"} is selected`, async () => {
			const client = await RawWebSocket.open(server, "/ws",
				{ "Sec-WebSocket-Protocol": offered });
			assert.equal(client.answer.headers["sec-websocket-protocol"], selected);
			client.close();
		});
	}

	it("frames in the segment of the handshake are kept", async () => {
		const client = await RawWebSocket.connect(server);
		client.send(handshake(server, "/echo"), frame(text, "early"), frame(text, "bird"));
		await client.accepted();
		assert.equal((await client.message()).payload.toString(), "early");
		assert.equal((await client.message()).payload.toString(), "bird");
		client.close();
	});

	it("a request pipelined before the handshake is answered first", async () => {
		const client = await RawWebSocket.connect(server);
		client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", handshake(server, "/echo"));
		assert.equal((await client.response()).status, 200);
		await client.accepted();
		client.close();
	});
});

/* Each row: frames to /echo, and the messages and pongs that come back in this order. */
const echoes = [
	["frames of every length form come back", [0, 1, 125, 126, 127, 128, 65535, 65536].flatMap(
		(size) => [[text, "*".repeat(size)], [binary, Buffer.alloc(size, 0xfe)]])
		.map((back) => ({ send: [frame(...back)], back }))],
	["a ping is answered with its payload", [0, 1, 125].map((size) => {
		const payload = Buffer.alloc(size, 0xff);
		return { send: [frame(ping, payload)], back: [pong, payload] };
	})],
	["a pong nobody asked for is passed over", [
		{ send: [frame(pong), frame(pong, "x"), frame(text, "t")], back: [text, "t"] }]],
	["a message in pieces comes back whole", [
		{ send: [frame(text, "a", first), frame(continuation, "b")], back: [text, "ab"] },
		{ send: [frame(binary, "a", first), frame(continuation, "", first),
			frame(continuation, "b", first), frame(continuation, "")],
		back: [binary, "ab"] },
		{ send: [frame(text, "", first), frame(continuation, "", first),
			frame(continuation, "")],
		back: [text, ""] }]],
	["a pong between pieces is passed over", [
		{ send: [frame(text, "a", first), frame(pong, "x"), frame(continuation, "b")],
			back: [text, "ab"] }]],
	["valid UTF-8 comes back", ["κόσμε", "\u0000\u007f\u0080\u07ff\u0800\uffff",
		"\u{10000}\u{10ffff}", "\ud7ff\ue000\ufffd\ufffe\uffff", "\u{1f600}".repeat(9)].map(
		(payload) => ({ send: [frame(text, payload)], back: [text, payload] }))],
	["a character may be parted between pieces", [1, 2, 3].map((at) => {
		const bytes = Buffer.from("\u{1f600}");
		return { send: [frame(text, bytes.subarray(0, at), first),
			frame(continuation, bytes.subarray(at))], back: [text, bytes] };
	})],
	["binary need not be UTF-8", [
		{ send: [frame(binary, Buffer.from([0xff, 0xc0, 0x80]))],
			back: [binary, Buffer.from([0xff, 0xc0, 0x80])] }]],
];

async function expectBack(client, [opcode, payload]) {
	const got = await client.message();
	assert.equal(got.opcode, opcode);
	assert.deepEqual(got.payload, Buffer.from(payload));
}

describe("websocket: echo", () => {
	const server = useServer();
	for (const [claim, rows] of echoes) {
		it(claim, async () => {
			const client = await RawWebSocket.open(server, "/echo");
			for (const { send, back } of rows) {
				client.send(...send);
				await expectBack(client, back);
			}
			client.close();
		});
	}

	it("all of it comes back too when it comes in one segment", async () => {
		const rows = echoes.flatMap(([, each]) => each);
		const client = await RawWebSocket.open(server, "/echo");
		client.send(...rows.flatMap(({ send }) => send));
		for (const { back } of rows)
			await expectBack(client, back);
		client.close();
	});

	it("all that is small comes back too when it comes byte by byte", async () => {
		const rows = echoes.flatMap(([, each]) => each)
			.filter(({ back }) => back[1].length < 130);
		const client = await RawWebSocket.open(server, "/echo");
		for (const { send, back } of rows) {
			const bytes = [...Buffer.concat(send)];
			await client.sendPieces(bytes.map((byte) => Buffer.from([byte])));
			await expectBack(client, back);
		}
		client.close();
	});

	it("a message may be in a thousand pieces of one byte", async () => {
		const client = await RawWebSocket.open(server, "/echo");
		client.send(frame(text, "x", first),
			...Array(998).fill(frame(continuation, "x", first)),
			frame(continuation, "x"));
		await expectBack(client, [text, "x".repeat(1000)]);
		client.close();
	});

	it("a ping between pieces is answered before the message", async () => {
		const client = await RawWebSocket.open(server, "/echo");
		client.send(frame(text, "a", first), frame(ping, "now"));
		await expectBack(client, [pong, "now"]);
		client.send(frame(continuation, "b"));
		await expectBack(client, [text, "ab"]);
		client.close();
	});

	it("ten pings in a segment are ten pongs in order", async () => {
		const client = await RawWebSocket.open(server, "/echo");
		const payloads = [..."0123456789"];
		client.send(...payloads.map((payload) => frame(ping, payload)));
		for (const payload of payloads)
			await expectBack(client, [pong, payload]);
		client.close();
	});
});

/* A text frame whose payload stops before its end: only a check on the way can refuse it. */
const unfinished = (payload, options) =>
	frame(text, payload, { ...options, declared: Buffer.from(payload).length + 20 });

const invalidUtf8 = {
	"a lone continuation byte": [0x80],
	"an overlong slash": [0xc0, 0xaf],
	"an overlong of three bytes": [0xe0, 0x80, 0xaf],
	"an overlong of four bytes": [0xf0, 0x80, 0x80, 0xaf],
	"a high surrogate": [0xed, 0xa0, 0x80],
	"a low surrogate": [0xed, 0xbf, 0xbf],
	"a character after the last one": [0xf4, 0x90, 0x80, 0x80],
	"a five byte form": [0xf8, 0x88, 0x80, 0x80, 0x80],
	"FE": [0xfe],
	"FF": [0xff],
	"a broken character": [0xce, 0x41],
};

/* Each row: a claim, the close code, and frames that call for it. */
const violations = [
	...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [
		[`reserved bits ${rsv} in text`, 1002, [frame(text, "x", { rsv })]],
		[`reserved bits ${rsv} in a ping`, 1002, [frame(ping, "x", { rsv })]],
		[`reserved bits ${rsv} in a close`, 1002, [frame(close, "", { rsv })]],
	]),
	...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
		[`opcode ${opcode}`, 1002, [frame(opcode, "x")]]),
	["a frame without a mask", 1002, [frame(text, "x", { masked: false })]],
	["a ping without a mask", 1002, [frame(ping, "x", { masked: false })]],
	["a ping of 126 bytes", 1002, [frame(ping, "x".repeat(126))]],
	["a close of 126 bytes", 1002, [closeFrame(1000, "r".repeat(124))]],
	["a ping in pieces", 1002, [frame(ping, "x", first)]],
	["a pong in pieces", 1002, [frame(pong, "x", first)]],
	["a close in pieces", 1002, [frame(close, "", first)]],
	["a continuation of nothing", 1002, [frame(continuation, "x")]],
	["a first continuation of nothing", 1002, [frame(continuation, "x", first)]],
	["a continuation after the last piece", 1002,
		[frame(text, "x", first), frame(continuation, "x"), frame(continuation, "x")]],
	["a message inside another", 1002, [frame(text, "x", first), frame(text, "x")]],
	["a binary message inside text", 1002,
		[frame(text, "x", first), frame(binary, "x", first)]],
	["16 bits for a length of 125", 1002, [frame(text, "x".repeat(125), { lengthBytes: 2 })]],
	["64 bits for a length of 125", 1002, [frame(text, "x".repeat(125), { lengthBytes: 8 })]],
	["64 bits for a length of 65535", 1002,
		[frame(binary, Buffer.alloc(65535), { lengthBytes: 8 })]],
	["a length of 64 bits", 1002, [frame(text, "", { lengthBytes: 8, declared: 2n ** 63n })]],
	["a close of one byte", 1002, [frame(close, "x")]],
	...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999].map((code) =>
		[`close code ${code}`, 1002, [closeFrame(code)]]),
	["a close reason that is not UTF-8", 1007,
		[frame(close, Buffer.from([0x03, 0xe8, 0xce, 0x41]))]],
	["a message one byte too large", 1009, [frame(text, "x".repeat(65537))]],
	["a length too large, before the payload comes", 1009,
		[frame(binary, "", { lengthBytes: 8, declared: 65537 })]],
	["pieces that are too large together", 1009,
		[frame(binary, Buffer.alloc(65536), first), frame(continuation, "x")]],
	...Object.entries(invalidUtf8).flatMap(([claim, bytes]) => {
		const bad = Buffer.from([0x41, ...bytes]);
		return [
			[`${claim} in text`, 1007, [frame(text, bad)]],
			[`${claim} in a frame not yet complete`, 1007, [unfinished(bad)]],
			[`${claim} in a piece not yet complete`, 1007,
				[frame(text, "κόσμε", first), frame(continuation, bad,
					{ declared: bad.length + 1 })]],
			[`${claim} parted over pieces`, 1007,
				[frame(text, bad.subarray(0, 2), first),
					frame(continuation, bad.subarray(2))]],
		];
	}),
	["text that ends inside a character", 1007, [frame(text, Buffer.from([0xf0, 0x9f, 0x98]))]],
	["pieces that end inside a character", 1007,
		[frame(text, Buffer.from([0xf0]), first),
			frame(continuation, Buffer.from([0x9f]))]],
];

for (const path of ["/echo", "/ws"]) {
	describe(`websocket: violations on ${path}`, () => {
		const server = useServer();
		for (const [claim, code, frames] of violations) {
			it(`${claim} closes with ${code}`, async () => {
				const client = await RawWebSocket.open(server, path);
				client.send(...frames);
				const closing = await client.closing();
				assert.equal(closing.code, code);
				if (code === 1009)
					assert.equal(closing.reason, "too_large");
			});
		}
	});

	describe(`websocket: closing ${path}`, () => {
		const server = useServer();

		it("an empty close is answered, and the connection closed", async () => {
			const client = await RawWebSocket.open(server, path);
			client.send(frame(close));
			const { code } = await client.closing();
			assert.ok(code === 1005 || code === 1000, `${code}`);
		});

		for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012,
			1013, 1014, 3000, 3999, 4000, 4999]) {
			it(`close ${code} is answered with ${code}`, async () => {
				const client = await RawWebSocket.open(server, path);
				client.send(closeFrame(code, "r".repeat(123)));
				assert.equal((await client.closing()).code, code);
			});
		}

		it("what follows a close is not answered", async () => {
			const client = await RawWebSocket.open(server, path);
			client.send(closeFrame(1000), frame(ping, "late"), frame(text, "late"));
			assert.equal((await client.closing()).code, 1000);
		});

		it("a close inside a message in pieces is answered", async () => {
			const client = await RawWebSocket.open(server, path);
			client.send(frame(text, "a", first), closeFrame(1000));
			assert.equal((await client.closing()).code, 1000);
		});

		it("a client that just goes away is no trouble", async () => {
			for (let i = 0; i < 50; i++)
				(await RawWebSocket.open(server, path)).close();
			assert.equal((await call(server, "GET", "/health")).status, 200);
		});
	});
}

/* Writes `chunk` until `total` bytes are gone, the server takes no more of them or hangs up. */
async function flood(client, chunk, total) {
	for (let sent = 0; sent < total && !client.isClosed; sent += chunk.length) {
		if (client.socket.write(chunk))
			continue;
		const drained = new Promise((resolve) =>
			client.socket.once("drain", () => resolve(true)));
		const closed = new Promise((resolve) => client.socket.once("close", resolve));
		if (!await Promise.race([drained, closed, sleep(300)]))
			return;
	}
}

describe("websocket: a client that does not read", () => {
	const server = useServer();
	const floods = [
		["/ws", "pings", frame(ping, "x".repeat(125))],
		["/echo", "pings", frame(ping, "x".repeat(125))],
		["/echo", "messages", frame(text, "x".repeat(60000))],
	];
	for (const [path, what, bytes] of floods) {
		it(`and floods ${path} with ${what} costs bounded memory`, async () => {
			const before = server.memory();
			const client = await RawWebSocket.open(server, path);
			client.socket.pause();
			const count = Math.ceil(65536 / bytes.length);
			const chunk = Buffer.concat(Array(count).fill(bytes));
			await flood(client, chunk, 64 << 20);
			const grown = server.memory() - before;
			client.close();
			assert.ok(isSanitized || grown < 16 << 20, `${grown} bytes`);
			assert.equal((await call(server, "GET", "/health")).status, 200);
		});
	}
});
