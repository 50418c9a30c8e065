/* Many publish at once, over all workers and in every way: one order, and each key once. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient, frame, opcodes } from "./clients.mjs";
import { call, fresh, scale, seqOf, useServer } from "./harness.mjs";

const workers = 8;
const options = [`workers.count=${workers}`, "channel.*.history_size=100000"];
const range = (count) => Array.from({ length: count }, (_, i) => i);

/* ---- publishers, each on a connection of its own that is up before the race ---- */

class HttpPublisher {
	static async open(server) {
		const publisher = new this();
		publisher.client = await RawClient.connect(server);
		return publisher;
	}

	/* Several may be under way: answers come in the order of the requests. */
	send({ channel, data, key }) {
		const [target, type, body] = this.request(channel, data, key);
		this.client.send(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\n` +
			`Content-Length: ${body.length}\r\n\r\n${body}`);
	}

	async answer() {
		const { status, text } = await this.client.response();
		assert.equal(status, 200, text);
		return this.result(JSON.parse(text));
	}

	result(answer) {
		return answer;
	}

	close() {
		this.client.close();
	}
}

class ByPublish extends HttpPublisher {
	request(channel, data, key) {
		const query = key === undefined ? "" : `&idempotency_key=${key}`;
		return [`/publish?channel=${channel}${query}`, "application/json",
			JSON.stringify(data)];
	}
}

class ByApi extends HttpPublisher {
	request(channel, data, key) {
		return ["/api/publish", "application/json",
			JSON.stringify({ channel, data, idempotency_key: key })];
	}
}

class ByChannels extends HttpPublisher {
	request(channel, data, key) {
		return ["/api/publish", "application/json",
			JSON.stringify({ channels: [channel], data, idempotency_key: key })];
	}

	result({ results: [result] }) {
		return result;
	}
}

class ByBatch extends ByChannels {
	request(channel, data, key) {
		return ["/api/batch", "application/json",
			JSON.stringify({ messages: [{ channel, data, idempotency_key: key }] })];
	}
}

class ByWebSocket {
	static async open(server) {
		const publisher = new this();
		publisher.client = await NativeClient.open(server);
		return publisher;
	}

	send({ channel, data, key }) {
		this.client.say({ type: "publish", channel, data, idempotency_key: key });
	}

	async answer() {
		const { type, id, duplicate } = await this.client.hear();
		assert.equal(type, "ack");
		return { id, duplicate };
	}

	close() {
		this.client.close();
	}
}

const ways = [ByWebSocket, ByPublish, ByApi, ByChannels, ByBatch];

const publishers = (server, count) => Promise.all(range(count).map((i) =>
	ways[i % ways.length].open(server)));

/* ---- subscribers ---- */

function workerOf({ welcome }) {
	const digits = [...welcome.connection.split("-")[1]];
	return Number(digits.reduce((sum, digit) => sum * 36n + BigInt(parseInt(digit, 36)), 0n) >> 56n);
}

/* WebSockets of all workers: so many that each has one. */
async function everywhere(server) {
	const clients = [];
	while (new Set(clients.map(workerOf)).size < workers)
		clients.push(await NativeClient.open(server));
	return clients;
}

/* Each of these gives [id, data] of `count` messages of the channel, from its start. */
const observers = {
	async websocket(server, channel, count) {
		const client = await NativeClient.open(server);
		await client.subscribe(channel, { since: "start" });
		const heard = await client.messages(count);
		client.close();
		return heard.map(({ id, data }) => [id, data]);
	},
	async events(server, channel, count) {
		const heard = [];
		const stream = await EventStream.open(server,
			`/events?channel=${channel}&since=start`,
			{ onEvent: ({ id, data }) => heard.push([id, JSON.parse(data)]) });
		await stream.until(() => heard.length >= count, `${count} events`);
		stream.close();
		return heard;
	},
	async polls(server, channel, count) {
		const heard = [];
		for (let cursor = "start"; heard.length < count;) {
			const answer = (await call(server, "GET",
				`/poll?channel=${channel}&since=${cursor}`)).json();
			assert.equal(answer.recovered, true);
			heard.push(...answer.messages.map(({ id, data }) => [id, data]));
			({ cursor } = answer);
		}
		return heard;
	},
	/* One that loses its connection again and again. */
	async resuming(server, channel, count) {
		const heard = [];
		for (let since = "start"; heard.length < count;) {
			const client = await NativeClient.open(server);
			const { recovered } = await client.subscribe(channel, { since });
			assert.equal(recovered, true);
			const left = count - heard.length;
			for (const { id, data } of await client.messages(Math.min(left, 97)))
				heard.push([id, data]);
			[since] = heard.at(-1);
			client.close();
		}
		return heard;
	},
};

/* deepEqual() of so much takes long. */
function assertSame(seen, expected) {
	if (JSON.stringify(seen) !== JSON.stringify(expected))
		assert.deepEqual(seen, expected);
}

describe("race: idempotency keys", () => {
	const server = useServer({ options });
	const rounds = 20;

	it("of 60 publishers of all workers one is not a duplicate, and all have its id", async () => {
		const racing = await publishers(server, 60);
		const listening = await everywhere(server);
		for (let round = 0; round < rounds; round++) {
			const channel = fresh();
			for (const client of listening)
				await client.subscribe(channel);
			racing.forEach((publisher, data) =>
				publisher.send({ channel, data, key: "k" }));
			const answers = await Promise.all(racing.map((one) => one.answer()));
			const originals = answers.filter(({ duplicate }) => duplicate === false);
			const duplicates = answers.filter(({ duplicate }) => duplicate === true);
			assert.deepEqual([originals.length, duplicates.length], [1, 59]);
			const [{ id }] = originals;
			assert.ok(answers.every((answer) => answer.id === id));
			racing[0].send({ channel, data: "end" });
			await racing[0].answer();
			const winner = answers.findIndex(({ duplicate }) => !duplicate);
			for (const client of listening) {
				const heard = await client.messages(2);
				assert.deepEqual(heard.map(({ data }) => data), [winner, "end"]);
				assert.equal(heard[0].id, id);
				assert.equal(seqOf(heard[1].id), seqOf(id) + 1);
				await client.ask({ type: "unsubscribe", channel });
			}
		}
		[...racing, ...listening].forEach((one) => one.close());
	});

	it("of many keys at once each is delivered once", async () => {
		const racing = await publishers(server, 50);
		const keys = 20;
		const channel = fresh();
		const observing = observers.websocket(server, channel, keys + 1);
		/* Each begins at another key, so that all keys are raced for all the time. */
		racing.forEach((publisher, i) => range(keys).forEach((k) => {
			const key = (i + k) % keys;
			publisher.send({ channel, data: key, key: `k${key}` });
		}));
		const ids = range(keys).map(() => new Set());
		let originals = 0;
		await Promise.all(racing.map(async (publisher, i) => {
			for (const k of range(keys)) {
				const { id, duplicate } = await publisher.answer();
				ids[(i + k) % keys].add(id);
				originals += duplicate ? 0 : 1;
			}
		}));
		assert.equal(originals, keys);
		assert.deepEqual(ids.map(({ size }) => size), Array(keys).fill(1));
		racing[0].send({ channel, data: "end" });
		await racing[0].answer();
		const heard = await observing;
		assert.deepEqual(heard.at(-1)[1], "end");
		assert.deepEqual(heard.slice(0, -1).map(([, key]) => key).sort((a, b) => a - b),
			range(keys));
		for (const [id, key] of heard.slice(0, -1))
			assert.ok(ids[key].has(id));
		racing.forEach((one) => one.close());
	});
});

describe("race: order", () => {
	const server = useServer({ options });
	const each = Math.ceil(200 * scale);

	it("of 16 publishers all subscribers of all transports see one order, with one id each", async () => {
		const racing = await publishers(server, 16);
		const count = racing.length * each;
		for (let round = 0; round < 3; round++) { /* channels of several workers */
			const channel = fresh();
			const live = await everywhere(server);
			for (const client of live)
				await client.subscribe(channel);
			const kinds = Object.values(observers).flatMap((kind) => [kind, kind, kind]);
			const seen = kinds.map((kind) => kind(server, channel, count));
			seen.push(...live.map(async (client) => (await client.messages(count))
				.map(({ id, data }) => [id, data])));
			const acked = await Promise.all(racing.map(async (publisher, number) => {
				const ids = [];
				for (let i = 0; i < each; i++) {
					publisher.send({ channel, data: [number, i] });
					if (i % 4 === 3 || i === each - 1) {
						while (ids.length <= i)
							ids.push((await publisher.answer()).id);
					}
				}
				return ids;
			}));
			const [order, ...others] = await Promise.all(seen);
			for (const other of others)
				assertSame(other, order);
			assert.deepEqual(order.map(([id]) => seqOf(id)),
				range(count).map((i) => i + 1));
			/* Each publisher's own stay in their order, and its answers have their ids. */
			for (const number of range(racing.length)) {
				const own = order.filter(([, [by]]) => by === number);
				assert.deepEqual(own.map(([, [, i]]) => i), range(each));
				assert.deepEqual(own.map(([id]) => id), acked[number]);
			}
			live.forEach((client) => client.close());
		}
		racing.forEach((one) => one.close());
	});

	it("of subscribers that publish too each sees the order of all", async () => {
		const clients = await everywhere(server);
		const channel = fresh();
		const count = clients.length * each;
		for (const client of clients)
			await client.subscribe(channel);
		clients.forEach((client, number) => client.send(...range(each).map((i) =>
			frame(opcodes.text, JSON.stringify({ type: "publish", channel, data: [number, i] })))));
		const seen = await Promise.all(clients.map(async (client) => {
			const heard = [];
			let acks = 0;
			await client.hearAll(({ type, id, data }) => {
				if (type === "ack")
					acks++;
				else
					heard.push([id, data]);
				return heard.length === count && acks === each;
			});
			return heard;
		}));
		for (const order of seen)
			assertSame(order, seen[0]);
		assert.deepEqual(seen[0].map(([id]) => seqOf(id)), range(count).map((i) => i + 1));
		clients.forEach((client) => client.close());
	});
});
