/*
 * endings.test.mjs - connections that end, or wait, with requests still under way.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NativeClient, RawClient, frame, handshake, opcodes } from "./clients.mjs";
import { call, fresh, publish, until, useServer } from "./harness.mjs";

describe("endings: the last answer", () => {
	const server = useServer({ options: ["workers.count=1"] });

	/* To close a socket with unread bytes in it would take the answer back. */
	it("of a poll arrives whole, whatever came behind its request", async () => {
		const channel = fresh(), data = "x".repeat(60_000);
		for (let i = 0; i < 10; i++)
			await publish(server, channel, data);
		const client = await RawClient.connect(server);
		client.socket.once("data", () => client.socket.pause());
		client.send(`GET /poll?channel=${channel}&since=start HTTP/1.1\r\nHost: x\r\n` +
			"Connection: close\r\n\r\n", "x".repeat(300_000));
		await client.until((bytes) => bytes.length > 0, "the answer to begin");
		/* Answered behind it, by the same worker: what the socket did not take waits. */
		assert.equal((await call(server, "GET", "/health")).status, 200);
		client.socket.resume();
		const { messages } = JSON.parse((await client.response()).text);
		assert.equal(messages.length, 10);
		assert.ok(messages.every((message) => message.data === data));
		client.close();
	});
});

describe("endings: requests under way between workers", () => {
	const server = useServer({ options: ["workers.count=4"] });

	it("a connection that ends with some takes nobody along", async () => {
		for (let round = 0; round < 20; round++) {
			const client = await RawClient.connect(server);
			const publications = Array.from({ length: 20 }, (_, i) => frame(opcodes.text,
				JSON.stringify({ type: "publish", channel: `c${i}`, data: i })));
			client.send(handshake(server), ...publications, frame(3, "no such opcode"));
			await client.rest();
		}
		assert.equal((await call(server, "GET", "/health")).status, 200);
	});

	it("binary publications without number arrive, though none is answered", async () => {
		for (let i = 0; i < 4; i++) {
			const channel = fresh();
			const [publisher, reader] = [await NativeClient.open(server), await NativeClient.open(server)];
			await reader.subscribe(channel);
			const name = Buffer.from(channel);
			const publication = Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([0, 42])]);
			publisher.send(...Array.from({ length: 3000 }, () => frame(opcodes.binary, publication)));
			let heard = 0;
			while (heard < 3000) {
				const next = await reader.frame();
				assert.equal(next.opcode, opcodes.binary);
				heard++;
			}
			await until(async () => (await call(server, "GET", `/api/channels/${channel}`))
				.json().cursor.endsWith("-3000"));
			publisher.close();
			reader.close();
		}
	});
});
