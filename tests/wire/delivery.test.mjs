/* What a channel promises besides order: once by key, the latest by key, and not too much. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient, frame, opcodes, parseBinary } from "./clients.mjs";
import {
	assertError, call, fresh, isSanitized, publish, publishCount, seqOf, until, useServer,
} from "./harness.mjs";

const json = { "content-type": "application/json" };
const workers = "workers.count=8";

async function post(server, target, body, headers = json) {
	const answer = await call(server, "POST", target, { headers, body });
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

async function poll(server, channel, more = "") {
	const answer = await call(server, "GET", `/poll?channel=${channel}${more}`);
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

/* So many connections that each worker has some, subscribed to `channel`. */
async function crowd(server, channel, more, count = 16) {
	const clients = await Promise.all(
		Array.from({ length: count }, () => NativeClient.open(server)));
	await Promise.all(clients.map((client) => client.subscribe(channel, more)));
	return clients;
}

const closeAll = (clients) => clients.forEach((client) => client.close());
const valuesOf = (messages) => messages.map(({ data }) => data);
const range = (count) => Array.from({ length: count }, (_, i) => i + 1);

/* Messages until one has this data; it is the last of them. */
async function messagesTo(client, data) {
	const heard = [];
	while (heard.at(-1)?.data !== data)
		heard.push(...await client.messages(1));
	return heard;
}

/* Each id once, and rising. */
function assertRising(messages) {
	const seqs = messages.map(({ id }) => seqOf(id));
	assert.ok(seqs.every((seq, i) => i === 0 || seq > seqs[i - 1]), seqs.join(" "));
}

/* ---- idempotency keys ---- */

/* Each way to publish with a key: { id, duplicate }. */
const ways = {
	async "a WebSocket"(server, channel, key, data) {
		const client = await NativeClient.open(server);
		const { type, id, duplicate } = await client.ask(
			{ type: "publish", channel, data, idempotency_key: key });
		assert.equal(type, "ack");
		client.close();
		return { id, duplicate };
	},
	"POST /publish": (server, channel, key, data) =>
		post(server, `/publish?channel=${channel}&idempotency_key=${encodeURIComponent(key)}`,
			JSON.stringify(data)),
	"POST /api/publish": (server, channel, key, data) =>
		post(server, "/api/publish",
			JSON.stringify({ channel, data, idempotency_key: key })),
	async "POST /api/publish of channels"(server, channel, key, data) {
		const { results } = await post(server, "/api/publish",
			JSON.stringify({ channels: [channel], data, idempotency_key: key }));
		assert.equal(results.length, 1);
		return results[0];
	},
	async "POST /api/batch"(server, channel, key, data) {
		const messages = [{ channel, data, idempotency_key: key }];
		const { results } = await post(server, "/api/batch", JSON.stringify({ messages }));
		assert.equal(results.length, 1);
		return results[0];
	},
};

describe("delivery: idempotency keys", () => {
	const server = useServer({
		options: [workers], config: "[channel bare:*]\nhistory_size = 0\n",
	});

	for (const [name, send] of Object.entries(ways)) {
		it(`the same key by ${name} again is a duplicate, delivered once`, async () => {
			const channel = fresh();
			const [client] = await crowd(server, channel, {}, 1);
			const first = await send(server, channel, "é 1&2", "first");
			assert.equal(first.duplicate, false);
			for (const data of ["first", "another"]) {
				assert.deepEqual(await send(server, channel, "é 1&2", data),
					{ id: first.id, duplicate: true });
			}
			await publish(server, channel, "end");
			const heard = await client.messages(2);
			assert.deepEqual(valuesOf(heard), ["first", "end"]);
			assert.equal(heard[0].id, first.id);
			assert.equal(heard[0].idempotency_key, "é 1&2");
			assert.ok(!("idempotency_key" in heard[1]));
			assert.equal(seqOf(heard[1].id), seqOf(first.id) + 1);
			client.close();
		});
	}

	it("each way knows the keys of all the others", async () => {
		for (const first of Object.values(ways)) {
			const channel = fresh();
			const { id, duplicate } = await first(server, channel, "k", 1);
			assert.equal(duplicate, false);
			for (const next of Object.values(ways)) {
				assert.deepEqual(await next(server, channel, "k", 2),
					{ id, duplicate: true });
			}
		}
	});

	it("of many at once by every way one is delivered, and all are told its id", async () => {
		for (let round = 0; round < 5; round++) {
			const channel = fresh();
			const clients = await crowd(server, channel, {}, 12);
			const answers = await Promise.all(range(8).flatMap((number) =>
				Object.values(ways).map((send) =>
					send(server, channel, "k", number))));
			assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
			assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
			await publish(server, channel, "end");
			for (const client of clients) {
				const heard = await messagesTo(client, "end");
				assert.equal(heard.length, 2);
				assert.equal(heard[0].id, answers[0].id);
			}
			closeAll(clients);
		}
	});

	it("many keys at once by subscribers themselves are each delivered once", async () => {
		const channel = fresh();
		const clients = await crowd(server, channel);
		clients.forEach((client) => client.send(...range(20).map((key) =>
			frame(opcodes.text, JSON.stringify({ type: "publish", channel, data: key,
				idempotency_key: `${key}` })))));
		const acked = Array.from({ length: 20 }, () => new Set());
		let originals = 0;
		for (const client of clients) {
			const heard = [];
			const acks = [];
			while (heard.length < 20 || acks.length < 20) {
				const object = await client.hear();
				(object.type === "ack" ? acks : heard).push(object);
			}
			assert.deepEqual(valuesOf(heard).sort((a, b) => a - b), range(20));
			acks.forEach(({ id }, key) => acked[key].add(id));
			heard.forEach(({ id, data }) => acked[data - 1].add(id));
			originals += acks.filter(({ duplicate }) => !duplicate).length;
		}
		assert.equal(originals, 20);
		assert.deepEqual(acked.map(({ size }) => size), Array(20).fill(1));
		closeAll(clients);
	});

	it("a key is of one channel", async () => {
		const channels = [fresh(), fresh()];
		const { results } = await post(server, "/api/publish",
			JSON.stringify({ channels, data: 1, idempotency_key: "k" }));
		assert.deepEqual(results.map(({ duplicate }) => duplicate), [false, false]);
	});

	it("twice in one batch is once", async () => {
		const channel = fresh();
		const message = { channel, data: 1, idempotency_key: "k" };
		const { results } = await post(server, "/api/batch",
			JSON.stringify({ messages: [message, message] }));
		assert.deepEqual(results.map(({ duplicate }) => duplicate), [false, true]);
		assert.equal(results[0].id, results[1].id);
	});

	it("without a key nothing is a duplicate", async () => {
		const channel = fresh();
		const ids = [await publish(server, channel, 1), await publish(server, channel, 1)];
		assert.equal(seqOf(ids[1]), seqOf(ids[0]) + 1);
	});

	it("keys are remembered where no history is held and nobody subscribes", async () => {
		const channel = fresh("bare:c");
		const send = ways["POST /api/publish"];
		const { id } = await send(server, channel, "k", 1);
		assert.deepEqual(await send(server, channel, "k", 1), { id, duplicate: true });
	});

	it("messages carry it over SSE and polling", async () => {
		const channel = fresh();
		const target = `/events?channel=${channel}&format=full&since=start`;
		const stream = await EventStream.open(server, target);
		await ways["POST /publish"](server, channel, "k", 1);
		assert.equal(JSON.parse((await stream.next()).data).idempotency_key, "k");
		const { messages } = await poll(server, channel, "&since=start");
		assert.equal(messages[0].idempotency_key, "k");
		stream.close();
	});

	it("255 bytes are a key, 256 are 400", async () => {
		const channel = fresh();
		const { duplicate } = await ways["POST /publish"](server, channel, "k".repeat(255), 1);
		assert.equal(duplicate, false);
		for (const target of ["/publish", "/api/publish"]) {
			const key = "k".repeat(256);
			const answer = await call(server, "POST",
				`${target}?channel=${channel}&idempotency_key=${key}`,
				{ headers: json, body: JSON.stringify(
					{ channel, data: 1, idempotency_key: key }) });
			assertError(answer, 400, "bad_request");
		}
	});
});

/* ---- the latest of each key ---- */

describe("delivery: deliver_last", () => {
	const server = useServer({ options: [workers], config: `
[channel last:*]
deliver_last = yes
[channel few:*]
deliver_last = yes
max_keys = 2
[channel short:*]
deliver_last = yes
history_size = 1
` });

	/* Each row: a claim, the kind of channel, what is published as [key, data], what comes. */
	const cases = [
		["nothing of a new channel", "last", [], []],
		["the newest where there are no keys", "last", [["", 1], ["", 2], ["", 3]], [3]],
		["the newest of each key, in their order", "last",
			[["a", 1], ["b", 2], ["a", 3], ["c", 4]], [2, 3, 4]],
		["no key as a key too", "last", [["a", 1], ["", 2], ["a", 3]], [2, 3]],
		["the keys that changed last, where there are too many", "few",
			[["a", 1], ["b", 2], ["a", 3], ["c", 4]], [3, 4]],
		["keys that history holds no more", "short",
			[["a", 1], ["b", 2], ["c", 3]], [1, 2, 3]],
	];

	async function prepare(kind, published) {
		const channel = fresh(`${kind}:c`);
		for (const [key, data] of published)
			await publish(server, channel, data, key ? { key } : {});
		return channel;
	}

	for (const [claim, kind, published, data] of cases) {
		it(`a WebSocket on each worker first gets ${claim}`, async () => {
			const channel = await prepare(kind, published);
			const clients = await crowd(server, channel);
			await publish(server, channel, "live");
			for (const client of clients) {
				const heard = await messagesTo(client, "live");
				assert.deepEqual(valuesOf(heard), [...data, "live"]);
				assertRising(heard);
			}
			closeAll(clients);
		});

		it(`SSE first gets ${claim}`, async () => {
			const channel = await prepare(kind, published);
			const stream = await EventStream.open(server, `/events?channel=${channel}`);
			await stream.until(() => stream.id, "the id where the stream begins");
			await publish(server, channel, "live");
			const got = await stream.take(data.length + 1);
			assert.deepEqual(got.map((event) => JSON.parse(event.data)),
				[...data, "live"]);
			stream.close();
		});

		it(`a poll without since gets ${claim}, then what follows`, async () => {
			const channel = await prepare(kind, published);
			const { cursor, messages } = await poll(server, channel);
			assert.deepEqual(valuesOf(messages), data);
			await publish(server, channel, "live");
			const next = await poll(server, channel, `&since=${cursor}`);
			assert.equal(next.recovered, true);
			assert.deepEqual(valuesOf(next.messages), ["live"]);
		});
	}

	it("since wins", async () => {
		const channel = await prepare("last", [["a", 1], ["a", 2], ["b", 3]]);
		const { cursor } = await poll(server, channel);
		const clients = await crowd(server, channel, { since: cursor });
		const all = await NativeClient.open(server);
		await all.subscribe(channel, { since: "start" });
		assert.deepEqual(await all.data(3), [1, 2, 3]);
		await publish(server, channel, "live");
		for (const client of [...clients, all])
			assert.deepEqual(await client.data(1), ["live"]);
		closeAll([...clients, all]);
	});

	const tile = (i) => `${i} ${"x".repeat(100_000)}`;

	/* As many latest values as two answers of a poll take. */
	async function prepareLarge(kind, count = 15) {
		const channel = fresh(`${kind}:large`);
		for (let i = 0; i < count; i++)
			await publish(server, channel, tile(i), { key: `k${i}` });
		return channel;
	}

	it("a poll without since gets what an answer takes, and the next one the rest", async () => {
		const channel = await prepareLarge("last");
		const first = await poll(server, channel);
		const next = await poll(server, channel, `&since=${first.cursor}`);
		assert.ok(first.messages.length < 15 && next.messages.length > 0);
		assert.deepEqual([...valuesOf(first.messages), ...valuesOf(next.messages)],
			Array.from({ length: 15 }, (_, i) => tile(i)));
		assert.deepEqual([first.recovered, next.recovered], [true, true]);
		const last = await poll(server, channel, `&since=${next.cursor}&wait=0`);
		assert.deepEqual([last.recovered, last.messages], [true, []]);
	});

	it("a poll that would need the rest from history that has let go of it is told", async () => {
		const channel = await prepareLarge("short");
		const first = await poll(server, channel);
		const next = await poll(server, channel, `&since=${first.cursor}`);
		assert.deepEqual([first.recovered, next.recovered], [true, false]);
		assert.deepEqual(valuesOf(next.messages), [tile(14)]);
	});

	it("several channels share what an answer takes", async () => {
		const [a, b] = [await prepareLarge("last"), await prepareLarge("last", 3)];
		const got = [];
		let since = "";
		for (let i = 0; i < 2; i++) {
			const answer = await poll(server, `${a}&channel=${b}`, since && `&since=${since}`);
			assert.equal(answer.recovered, true);
			got.push(...answer.messages);
			since = answer.cursor;
		}
		for (const [channel, count] of [[a, 15], [b, 3]])
			assert.deepEqual(valuesOf(got.filter((message) => message.channel === channel)),
				Array.from({ length: count }, (_, i) => tile(i)));
	});

	it("SSE that breaks off in the midst goes on from there", async () => {
		const channel = await prepareLarge("last"), other = await prepareLarge("last", 3);
		const target = `/events?channel=${channel}&channel=${other}`;
		const whole = await EventStream.open(server, target);
		const all = (await whole.take(18)).map(({ data }) => data);
		whole.close();
		/* The ids of a stream that is read up to each event, and before the first. */
		const ids = [/^id: (.*)$/m.exec(whole.lines.join("\n"))[1],
			...whole.lines.filter((line) => line.startsWith("id: ")).map((line) => line.slice(4))];
		for (const [seen, id] of [[0, ids[0]], [2, ids[3]], [10, ids[11]]]) {
			const rest = await EventStream.open(server, target, { headers: { "last-event-id": id } });
			const left = (await rest.take(18 - seen)).map(({ data }) => data);
			assert.deepEqual([...all.slice(0, seen), ...left].sort(), all.toSorted());
			rest.close();
		}
	});

	it("subscribing again brings nothing again", async () => {
		const channel = await prepare("last", [["a", 1]]);
		const [client] = await crowd(server, channel, {}, 1);
		await client.subscribe(channel);
		await publish(server, channel, "live");
		assert.deepEqual(await client.data(2), [1, "live"]);
		client.close();
	});

	it("who joins while keys change gets each key, and then misses nothing", async () => {
		const channel = fresh("last:c");
		const writer = await NativeClient.open(server);
		const count = 600;
		for (let i = 0; i < 5; i++)
			await publish(server, channel, { n: -i - 1 }, { key: `k${i}` });
		const joining = [];
		for (let n = 1; n <= count; n++) {
			await writer.publish(channel, { n }, { key: `k${n % 5}` });
			if (n % 50 === 0)
				joining.push(NativeClient.open(server).then(async (client) => {
					const { cursor } = await client.subscribe(channel);
					return [client, seqOf(cursor)];
				}));
		}
		const joined = await Promise.all(joining);
		await publish(server, channel, "end");
		for (const [client, head] of joined) {
			const heard = await messagesTo(client, "end");
			assertRising(heard);
			const before = heard.filter(({ id }) => seqOf(id) <= head);
			const after = heard.slice(before.length).map(({ id }) => seqOf(id));
			assert.equal(new Set(before.map(({ key }) => key)).size, 5);
			assert.equal(before.length, 5);
			assert.deepEqual(after, after.map((_, i) => head + 1 + i));
			client.close();
		}
		writer.close();
	});
});

/* What was published before is with the worker of each of these clients: letters between workers keep
 * their order, and of so many channels some are kept by the same one. */
async function arrived(server, clients) {
	const marks = Array.from({ length: 8 }, () => fresh("mark"));
	for (const client of clients) {
		for (const mark of marks)
			await client.subscribe(mark);
	}
	for (const mark of marks)
		await publish(server, mark, mark);
	for (const client of clients)
		assert.deepEqual((await client.data(marks.length)).sort(), [...marks].sort());
}

/* ---- throttle ---- */

describe("delivery: throttle", () => {
	const interval = 200;
	const server = useServer({ options: [workers], config: `
[channel slow:*]
throttle = ${interval}ms
[channel last:*]
throttle = ${interval}ms
deliver_last = yes
[channel hour:*]
throttle = 1h
deliver_last = yes
` });
	const keys = ["a", "b", "c"];

	/* Publishes rising numbers under each key for some intervals; the last is "end" of each. */
	async function pour(channel) {
		const writer = await NativeClient.open(server);
		const deadline = Date.now() + 4 * interval;
		let published = 0;
		while (Date.now() < deadline) {
			for (const key of keys)
				await writer.publish(channel, ++published, { key });
		}
		for (const key of keys)
			await writer.publish(channel, `end ${key}`, { key });
		writer.close();
		return published / keys.length + 1;
	}

	/* What comes until each key has had its last value. */
	async function untilEnd(client) {
		const heard = [];
		while (heard.filter(({ data }) => `${data}`.startsWith("end")).length < keys.length)
			heard.push(...await client.messages(1));
		return heard;
	}

	it("at most one per key and interval comes, and the last value of each key", async () => {
		const channel = fresh("slow:c");
		const clients = await crowd(server, channel, {}, 8);
		const begun = performance.now();
		const [perKey, ...all] = await Promise.all([pour(channel),
			...clients.map(async (client) => {
				const heard = await untilEnd(client);
				return [heard, performance.now() - begun];
			})]);
		for (const [heard, elapsed] of all) {
			assertRising(heard);
			for (const key of keys) {
				const mine = heard.filter((message) => message.key === key);
				const most = elapsed / interval + 1;
				assert.ok(mine.length >= 2, `${key}: ${mine.length}`);
				assert.ok(mine.length <= most, `${key}: ${mine.length} > ${most}`);
				assert.ok(mine.length < perKey, `${mine.length} of ${perKey}`);
				assert.equal(mine.at(-1).data, `end ${key}`);
			}
		}
		closeAll(clients);
	});

	it("the first message after a pause comes without waiting for another", async () => {
		const channel = fresh("slow:c");
		const clients = await crowd(server, channel, {}, 4);
		await publish(server, channel, "alone");
		for (const client of clients)
			assert.deepEqual(await client.data(1), ["alone"]);
		closeAll(clients);
	});

	it("SSE hears the last value too", async () => {
		const channel = fresh("slow:c");
		const stream = await EventStream.open(server, `/events?channel=${channel}`);
		await stream.until(() => stream.id, "the id where the stream begins");
		const ids = await publishCount(server, channel, 50);
		const got = [];
		while (got.at(-1)?.data !== "50")
			got.push(await stream.next());
		assert.ok(got.length < 50, `${got.length}`);
		assert.equal(got.at(-1).id, ids.at(-1));
		stream.close();
	});

	it("who resumes gets the latest of each key behind its cursor", async () => {
		const channel = fresh("slow:c");
		const id = await publish(server, channel, 1, { key: "a" });
		for (const [key, data] of [["b", 2], ["c", 3], ["b", 4]])
			await publish(server, channel, data, { key });
		const clients = await crowd(server, channel, { since: id }, 8);
		for (const client of clients)
			assert.deepEqual(await client.data(2), [3, 4]);
		closeAll(clients);
	});

	it("who joins in the midst of an interval has the latest of each key at once", async () => {
		const channel = fresh("hour:c");
		const early = await crowd(server, channel);
		for (const [key, data] of [["a", 1], ["b", 2], ["a", 3]])
			await publish(server, channel, data, { key });
		for (const client of early)
			assert.deepEqual(await client.data(1), [1]);
		await arrived(server, early);
		const late = await crowd(server, channel);
		for (const client of late)
			assert.deepEqual(await client.data(2), [2, 3]);
		const stream = await EventStream.open(server, `/events?channel=${channel}`);
		assert.deepEqual((await stream.take(2)).map(({ data }) => data), ["2", "3"]);
		stream.close();
		assert.deepEqual(valuesOf((await poll(server, channel)).messages), [2, 3]);
		closeAll([...early, ...late]);
	});

	it("who joins meanwhile ends with the last value of each key", async () => {
		const channel = fresh("last:c");
		const pouring = pour(channel);
		const joined = [];
		for (let i = 0; i < 8; i++) {
			const [client] = await crowd(server, channel, {}, 1);
			joined.push([client, await client.messages(1)]);
		}
		await pouring;
		for (const [client, first] of joined) {
			const heard = [...first, ...await untilEnd(client)];
			assertRising(heard);
			for (const key of keys) {
				const mine = heard.filter((message) => message.key === key);
				assert.equal(mine.at(-1).data, `end ${key}`);
			}
		}
		closeAll(joined.map(([client]) => client));
	});

	it("who joins afterwards gets the last value of each key", async () => {
		const channel = fresh("last:c");
		await pour(channel);
		const clients = await crowd(server, channel, {}, 8);
		for (const client of clients) {
			assert.deepEqual(await client.data(keys.length),
				keys.map((key) => `end ${key}`));
		}
		closeAll(clients);
	});
});

/* ---- overflow ---- */

describe("delivery: overflow", () => {
	const payload = "x".repeat(60_000);
	const server = useServer({ options: [workers, "limits.outbound_buffer=128KiB"], config: `
[channel drop:*]
overflow = drop
history_size = 10
[channel conflate:*]
overflow = conflate
history_size = 10
[channel cut:*]
history_size = 100000
` });

	async function figure(name) {
		return (await call(server, "GET", "/api/stats")).json()[name];
	}

	/* Publishes [number, payload] under the keys 0 to 4 until one more has overflowed, but not
	 * `reader`, which is waited for. */
	async function flood(channel, name, reader) {
		const before = await figure(name);
		const writer = await NativeClient.open(server);
		let count = 0;
		do {
			for (let i = 0; i < 20; i++) {
				count++;
				await writer.publish(channel, [count, payload], { key: `${count % 5}` });
				const [[number]] = await reader.data(1);
				assert.equal(number, count);
			}
		} while (await figure(name) === before);
		writer.close();
		return count;
	}

	/* Numbers of the messages up to the one with this data. */
	async function seqsTo(hear, data) {
		const seqs = [];
		for (;;) {
			const message = await hear();
			assert.equal(message.type, "message", JSON.stringify(message).slice(0, 200));
			seqs.push(seqOf(message.id));
			if (message.data === data)
				return seqs;
		}
	}

	function assertPrefix(seqs) {
		assert.deepEqual(seqs, range(seqs.length));
		assert.ok(seqs.length > 0);
	}

	it("drop leaves out what a slow WebSocket cannot take, and tells the gap", async () => {
		const channel = fresh("drop:c");
		const [slow, reader] = await crowd(server, channel, {}, 2);
		slow.socket.pause();
		const count = await flood(channel, "slow_consumers_dropped_total", reader);
		slow.socket.resume();
		const seqs = [];
		let object = await slow.hear();
		for (; object.type === "message"; object = await slow.hear())
			seqs.push(seqOf(object.id));
		assertPrefix(seqs);
		assert.deepEqual(Object.keys(object).sort(), ["channel", "cursor", "type"]);
		assert.equal(object.type, "gap");
		assert.equal(object.channel, channel);
		assert.equal(seqOf(object.cursor), count);
		assert.ok(seqs.length < count);
		await publish(server, channel, "live");
		await publish(server, channel, "again");
		assert.deepEqual(await seqsTo(() => slow.hear(), "again"), [count + 1, count + 2]);
		closeAll([slow, reader]);
	});

	it("drop tells the gap over SSE too", async () => {
		const channel = fresh("drop:c");
		const [reader] = await crowd(server, channel, {}, 1);
		const stream = await EventStream.open(server, `/events?channel=${channel}`);
		await stream.until(() => stream.id, "the id where the stream begins");
		stream.request.socket.pause();
		const count = await flood(channel, "slow_consumers_dropped_total", reader);
		stream.request.socket.resume();
		const seqs = [];
		let event = await stream.next();
		for (; event.event === "message"; event = await stream.next())
			seqs.push(seqOf(event.id));
		assertPrefix(seqs);
		assert.equal(event.event, "gap");
		const gap = JSON.parse(event.data);
		assert.equal(gap.channel, channel);
		assert.equal(seqOf(gap.cursor), count);
		const id = await publish(server, channel, "live");
		assert.deepEqual(await stream.next(), { event: "message", data: '"live"', id });
		reader.close();
		stream.close();
	});

	it("conflate leaves a slow WebSocket the latest of each key, then all again", async () => {
		const channel = fresh("conflate:c");
		const [slow, reader] = await crowd(server, channel, {}, 2);
		slow.socket.pause();
		const count = await flood(channel, "slow_consumers_conflated_total", reader);
		slow.socket.resume();
		await publish(server, channel, "caught up");
		const seqs = await seqsTo(() => slow.hear(), "caught up");
		assert.ok(seqs.length < count, `${seqs.length} of ${count}`);
		assert.deepEqual(seqs.slice(-6), range(6).map((i) => count - 5 + i));
		assert.ok(seqs.every((seq, i) => i === 0 || seq > seqs[i - 1]));
		for (const data of [1, 2, 3])
			await publish(server, channel, data, { key: "0" });
		assert.deepEqual(await slow.data(3), [1, 2, 3]);
		closeAll([slow, reader]);
	});

	it("conflate leaves the latest of each key to SSE too", async () => {
		const channel = fresh("conflate:c");
		const [reader] = await crowd(server, channel, {}, 1);
		const target = `/events?channel=${channel}&format=full`;
		const stream = await EventStream.open(server, target);
		await stream.until(() => stream.id, "the id where the stream begins");
		stream.request.socket.pause();
		const count = await flood(channel, "slow_consumers_conflated_total", reader);
		stream.request.socket.resume();
		await publish(server, channel, "caught up");
		const seqs = await seqsTo(async () => JSON.parse((await stream.next()).data),
			"caught up");
		assert.ok(seqs.length < count, `${seqs.length} of ${count}`);
		assert.deepEqual(seqs.slice(-6), range(6).map((i) => count - 5 + i));
		reader.close();
		stream.close();
	});

	/* Who is cut off comes back with the last id it has seen, and has missed nothing. */
	it("disconnect cuts off a slow WebSocket, which resumes where it was", async () => {
		const channel = fresh("cut:c");
		const [slow, reader] = await crowd(server, channel, {}, 2);
		slow.socket.pause();
		const count = await flood(channel, "slow_consumers_disconnected_total", reader);
		slow.socket.resume();
		const seqs = [];
		let id;
		for (;;) {
			const next = await slow.frame().catch(() => null);
			if (next?.opcode !== opcodes.text)
				break;
			({ id } = JSON.parse(next.payload));
			seqs.push(seqOf(id));
		}
		assertPrefix(seqs);
		assert.ok(seqs.length < count);
		const back = await NativeClient.open(server);
		const answer = await back.subscribe(channel, { since: id });
		assert.equal(answer.recovered, true);
		await publish(server, channel, "live");
		assert.deepEqual(await seqsTo(() => back.hear(), "live"),
			range(count + 1).slice(seqs.length));
		closeAll([back, reader]);
	});

	it("disconnect cuts off a slow event stream, which resumes where it was", async () => {
		const channel = fresh("cut:c");
		const target = `/events?channel=${channel}&format=full`;
		const [reader] = await crowd(server, channel, {}, 1);
		const stream = await EventStream.open(server, target);
		await stream.until(() => stream.id, "the id where the stream begins");
		stream.request.socket.pause();
		const count = await flood(channel, "slow_consumers_disconnected_total", reader);
		stream.request.socket.resume();
		await until(() => stream.isClosed, "its end");
		const seqs = stream.events.map(({ id }) => seqOf(id));
		assertPrefix(seqs);
		assert.ok(seqs.length < count);
		const back = await EventStream.open(server, target,
			{ headers: { "last-event-id": stream.events.at(-1).id } });
		await publish(server, channel, "live");
		assert.deepEqual(await seqsTo(async () => JSON.parse((await back.next()).data), "live"),
			range(count + 1).slice(seqs.length));
		reader.close();
		back.close();
	});

	it("many slow ones leave the server's memory bounded", async () => {
		const channel = fresh("drop:c");
		const [reader, ...slow] = await crowd(server, channel, {}, 9);
		slow.forEach((client) => client.socket.pause());
		const before = server.memory();
		await flood(channel, "slow_consumers_dropped_total", reader);
		const dropped = () => figure("slow_consumers_dropped_total");
		const first = await dropped();
		await publish(server, channel, "more");
		assert.deepEqual(await reader.data(1), ["more"]);
		await until(async () => await dropped() >= first, "the figures");
		const grown = server.memory() - before;
		assert.ok(isSanitized || grown < 24 << 20, `${grown} bytes`);
		closeAll([reader, ...slow]);
	});

	/* Each socket stops within a frame of a megabyte, and a copy of the rest for each would show. */
	it("those stuck within a large frame share it, and get it whole", async () => {
		const channel = fresh("drop:large");
		const large = Array.from({ length: 100_000 }, (_, i) => `${i}`.padStart(10)).join("");
		const slow = await crowd(server, channel, {}, 60);
		slow.forEach((client) => client.socket.pause());
		const before = server.memory();
		const dropped = await figure("slow_consumers_dropped_total");
		let count = 0;
		for (; await figure("slow_consumers_dropped_total") < dropped + slow.length; count++)
			await publish(server, channel, large);
		const grown = server.memory() - before;
		assert.ok(isSanitized || grown < 40 << 20, `${grown} bytes, ${count} messages`);
		for (const client of slow) {
			client.say({ type: "ping" });
			client.socket.resume();
			const heard = [];
			while (!["gap", "pong"].every((type) => heard.includes(type))) {
				const { type, data = large } = await client.hear();
				assert.ok(data === large, "a frame is another than it was");
				heard.push(type);
			}
			assert.ok(heard.indexOf("gap") > 0);
		}
		closeAll(slow);
	});
});

/* ---- publishing faster than all can be sent it ---- */

for (const count of [1, 4]) {
	describe(`delivery: a flood, workers: ${count}`, () => {
		const server = useServer({ options: [
			`workers.count=${count}`, "limits.outbound_buffer=16KiB",
			"channel.flood:*.overflow=drop",
		] });

		/* Lines into the channel, as many as the server takes until they are ended: the answer. */
		async function flood(channel) {
			const client = await RawClient.connect(server);
			const lines = `${"x".repeat(200)}\n`.repeat(200);
			const chunk = `${lines.length.toString(16)}\r\n${lines}\r\n`;
			let isOver = false;
			const push = () => {
				if (!isOver && client.socket.write(chunk))
					setImmediate(push);
			};
			client.send(`POST /api/stream?channel=${channel} HTTP/1.1\r\nHost: a\r\n`,
				"Transfer-Encoding: chunked\r\n\r\n");
			client.socket.on("drain", push);
			push();
			return async () => {
				isOver = true;
				client.send("0\r\n\r\n");
				return JSON.parse((await client.response()).text);
			};
		}

		it("keeps nobody from subscribing, nor from publishing elsewhere", async () => {
			const channel = fresh("flood:c");
			const readers = await crowd(server, channel, {}, 8);
			for (const { socket } of readers)
				socket.removeAllListeners("data").resume();
			const ends = await Promise.all([1, 2, 3, 4].map(() => flood(channel)));
			await until(async () => (await history(channel)).length > 0, "lines");
			for (let i = 0; i < 3; i++) {
				const [small, client] = [fresh(), await NativeClient.open(server)];
				await client.subscribe(small);
				await client.publish(small, 1);
				await client.publish(small, 2);
				assert.deepEqual(await client.data(2), [1, 2]);
				client.close();
			}
			const answers = await Promise.all(ends.map((end) => end()));
			const published = answers.reduce((sum, answer) => sum + answer.published, 0);
			assert.equal(seqOf((await history(channel)).at(-1).id), published);
			closeAll(readers);
		});

		async function history(channel) {
			const answer = await call(server, "GET", `/api/channels/${channel}/history?limit=1`);
			return answer.json().messages;
		}
	});
}

/* ---- echo ---- */

describe("delivery: echo", () => {
	const server = useServer({ options: [workers] });

	it("false keeps from each publisher its own alone", async () => {
		const channel = fresh();
		const clients = await crowd(server, channel, {}, 12);
		await Promise.all(clients.map((client, number) =>
			client.publish(channel, number, { echo: false })));
		await publish(server, channel, "end");
		const everybody = [...clients.keys()];
		for (const [number, client] of clients.entries()) {
			const heard = valuesOf(await messagesTo(client, "end")).slice(0, -1);
			assert.deepEqual(heard.sort((a, b) => a - b),
				everybody.filter((other) => other !== number));
		}
		closeAll(clients);
	});

	it("false leaves the message in history, and to the user's next connection", async () => {
		const channel = fresh();
		const [client] = await crowd(server, channel, {}, 1);
		const id = await client.publish(channel, "quiet", { echo: false });
		const { messages } = await client.ask({ type: "history", channel });
		assert.deepEqual(messages.map((message) => message.id), [id]);
		client.close();
		const [next] = await crowd(server, channel, { since: "start" }, 1);
		assert.deepEqual(await next.data(1), ["quiet"]);
		next.close();
	});
});

/* ---- binary ---- */

/* Unsigned LEB128. */
function varint(value) {
	const bytes = [];
	for (; value >= 128; value >>>= 7)
		bytes.push(value & 127 | 128);
	return Buffer.from([...bytes, value]);
}

const counted = (text) => Buffer.concat([varint(text.length), Buffer.from(text)]);

function binary(channel, payload, id = "") {
	const head = [Buffer.from([1]), counted(channel), counted(id)];
	return Buffer.concat([...head, Buffer.from(payload)]);
}

/* The next message of a client, which is a binary one: { channel, id, payload }. */
async function hearBinary(client) {
	const { opcode, payload } = await client.message();
	assert.equal(opcode, opcodes.binary, payload.toString());
	return parseBinary(payload);
}

describe("delivery: binary", () => {
	const server = useServer({ options: [workers] });
	const payloads = [
		["no bytes", Buffer.alloc(0)],
		["every byte", Buffer.from(range(256).map((i) => i - 1))],
		["what looks like JSON", Buffer.from('{"a":1}')],
		["what is no UTF-8", Buffer.from([0xff, 0xfe, 0xc3])],
		["60000 bytes", Buffer.alloc(60_000, 0xa5)],
	];
	const senders = {
		async "a frame"(channel, payload) {
			const client = await NativeClient.open(server);
			client.send(frame(opcodes.binary, binary(channel, payload)));
			assert.deepEqual(await client.ask({ type: "ping", ref: 1 }),
				{ type: "pong", ref: 1 });
			client.close();
		},
		"POST /publish": (channel, payload) =>
			post(server, `/publish?channel=${channel}`, payload,
				{ "content-type": "application/octet-stream" }),
	};

	for (const [sender, send] of Object.entries(senders)) {
		for (const [claim, payload] of payloads) {
			it(`${claim} by ${sender} reach all transports`, async () => {
				const channel = fresh();
				const clients = await crowd(server, channel, {}, 4);
				const stream = await EventStream.open(server,
					`/events?channel=${channel}&since=start`);
				await send(channel, payload);
				const heard = await Promise.all(clients.map(hearBinary));
				const [{ id }] = heard;
				assert.match(id, /^[0-9a-z]{1,16}-1$/);
				for (const one of heard)
					assert.deepEqual(one, { channel, id, payload });
				const data = { base64: payload.toString("base64") };
				const event = await stream.next();
				assert.deepEqual(JSON.parse(event.data), data);
				assert.equal(event.id, id);
				const { messages } = await poll(server, channel, "&since=start");
				assert.deepEqual(messages.map((message) =>
					[message.id, message.data]), [[id, data]]);
				const { messages: [held] } = await clients[0].ask(
					{ type: "history", channel });
				assert.deepEqual(held.data, data);
				closeAll(clients);
				stream.close();
			});
		}
	}

	it("a channel of 200 bytes has a length of two", async () => {
		const channel = fresh().padEnd(200, "x");
		const [client] = await crowd(server, channel, {}, 1);
		client.send(frame(opcodes.binary, binary(channel, "mine")));
		const heard = await hearBinary(client);
		assert.equal(heard.channel, channel);
		assert.equal(heard.payload.toString(), "mine");
		client.close();
	});

	it("text and binary of one channel keep their order, live and resumed", async () => {
		const channel = fresh();
		const [client] = await crowd(server, channel, {}, 1);
		client.send(...range(10).map((i) => i % 2 === 0
			? frame(opcodes.binary, binary(channel, `${i}`))
			: frame(opcodes.text,
				JSON.stringify({ type: "publish", channel, data: i, ref: i }))));
		const [again] = await crowd(server, channel, {}, 1);
		again.close();
		const live = [];
		while (live.length < 10) {
			const { opcode, payload } = await client.message();
			const isAck = opcode === opcodes.text && JSON.parse(payload).type === "ack";
			if (!isAck)
				live.push(opcode);
		}
		assert.deepEqual(live, range(10).map((i) =>
			i % 2 === 0 ? opcodes.binary : opcodes.text));
		const { messages } = await poll(server, channel, "&since=start");
		assert.deepEqual(valuesOf(messages), range(10).map((i) =>
			i % 2 === 0 ? { base64: btoa(`${i}`) } : i));
		client.close();
	});

	const refused = [
		["nothing", "", "bad_request"],
		["another first byte", "\x02\x01c\x00data", "bad_request"],
		["a first byte alone", "\x01", "bad_request"],
		["a length that never ends", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff", "bad_request"],
		["a channel longer than the message", "\x01\x7fc", "bad_request"],
		["no id", "\x01\x01c", "bad_request"],
		["an id that is not empty", "\x01\x01c\x01xdata", "bad_request"],
		["an id longer than the message", "\x01\x01c\x05x", "bad_request"],
		["no channel", "\x01\x00\x00data", "bad_request"],
		["a bad channel", "\x01\x03a b\x00data", "bad_request"],
		["another user's channel", "\x01\x04@ann\x00data", "unauthorized"],
	];
	for (const [claim, bytes, code] of refused) {
		it(`${claim} is ${code}, without a ref`, async () => {
			const client = await NativeClient.open(server);
			client.send(frame(opcodes.binary, Buffer.from(bytes, "latin1")));
			const answer = await client.hear();
			assert.equal(answer.type, "error");
			assert.equal(answer.code, code);
			assert.ok(!("ref" in answer));
			await client.publish(fresh(), "still here");
			client.close();
		});
	}

	it("a key and an event go with a body of bytes", async () => {
		const channel = fresh();
		await post(server, `/publish?channel=${channel}&key=k&event=e`, Buffer.from([0]),
			{ "content-type": "image/png" });
		const { messages: [message] } = await poll(server, channel, "&since=start");
		assert.equal(message.key, "k");
		assert.equal(message.event, "e");
		assert.deepEqual(message.data, { base64: "AA==" });
	});
});
