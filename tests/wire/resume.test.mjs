/*
 * What Starling promises above all: a subscriber that loses its connection, however often, misses
 * nothing and sees nothing twice; all subscribers see one order; and what cannot be kept is told.
 *
 * STARLING_SEED repeats a run.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import WebSocket from "ws";

import { EventStream, NativeClient, RawClient, frame, opcodes } from "./clients.mjs";
import {
	call, epochOf, fresh, patience, publish, publishCount, scale, withServer,
} from "./harness.mjs";

const seed = Number(process.env.STARLING_SEED ?? Date.now() % 1_000_000);

/* mulberry32: small, seeded, good enough to choose where to cut. */
function randomFrom(state) {
	return () => {
		state = state + 0x6d2b79f5 | 0;
		let mixed = Math.imul(state ^ state >>> 15, state | 1);
		mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
		return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
	};
}

const channels = ["log-0", "log-1", "log-2", "log-3"];
const publications = 100_000 * scale;
const disconnects = 1_000 * scale;
const publishers = 4;
const inFlightMax = 64;
const aheadMax = 4_000; /* of the slowest subscriber, so that most messages meet a live one */

/* What one subscriber has seen; throws at the first message that is not the next one. */
class Record {
	#seqs = channels.map(() => 0);
	#published = channels.map(() => Array(publishers).fill(-1));
	#cuts = new Set();
	count = 0;
	isGivenUp = false;

	constructor(name, epochs, random) {
		this.name = name;
		this.epochs = epochs;
		this.random = random;
		while (this.#cuts.size < disconnects)
			this.#cuts.add(1 + Math.floor(random() * (publications - 1)));
	}

	get cursors() { return this.#seqs.map((seq, i) => `${this.epochs[i]}-${seq}`); }
	get isComplete() { return this.count === publications; }
	get isOver() { return this.isComplete || this.isGivenUp; }

	/* Whether the connection is to be cut behind this message. */
	add({ type, channel, id, data: [publisher, number] }) {
		assert.equal(type, "message");
		const at = channels.indexOf(channel);
		const next = `${this.epochs[at]}-${++this.#seqs[at]}`;
		assert.equal(id, next, `${this.name} in ${channel}, seed ${seed}`);
		assert.ok(number > this.#published[at][publisher], "the order of one publisher");
		this.#published[at][publisher] = number;
		this.count++;
		return this.#cuts.has(this.count);
	}
}

async function followWebSocket(server, record) {
	while (!record.isOver) {
		await new Promise((resolve, reject) => {
			const socket = new WebSocket(server.wsUrl);
			const isStillborn = record.random() < 0.1;
			socket.on("error", () => {});
			socket.on("close", resolve);
			socket.on("open", () => {
				const cursors = record.cursors;
				const resumed = channels.map((channel, i) => [channel, cursors[i]]);
				socket.send(JSON.stringify(
					{ type: "resume", channels: Object.fromEntries(resumed) }));
				if (isStillborn)
					socket.terminate();
			});
			socket.on("message", (text) => {
				if (socket.readyState !== WebSocket.OPEN)
					return;
				try {
					hearWebSocket(socket, record, JSON.parse(text));
				} catch (error) {
					reject(error);
				}
			});
		});
	}
}

function hearWebSocket(socket, record, object) {
	if (object.type === "welcome")
		return;
	if (object.type === "subscribed")
		assert.equal(object.recovered, true);
	else if (record.add(object) || record.isComplete)
		socket.terminate();
}

const query = `${channels.map((channel) => `channel=${channel}`).join("&")}`;

async function followEvents(server, record) {
	while (!record.isOver) {
		await new Promise((resolve, reject) => {
			let stream = null;
			let isCut = false;
			const onEvent = (event) => {
				if (isCut)
					return;
				try {
					assert.equal(event.event, "message");
					const isDue = record.add(JSON.parse(event.data));
					isCut = isDue || record.isComplete;
					assert.equal(event.id, record.cursors.join(","));
				} catch (error) {
					reject(error);
				}
				if (isCut)
					stream?.close();
			};
			const headers = { "last-event-id": record.cursors.join(",") };
			EventStream.open(server, `/events?${query}&format=full`,
				{ headers, onEvent, onClose: resolve }).then((opened) => {
				stream = opened;
				if (isCut || record.random() < 0.1)
					stream.close();
			}, reject);
		});
	}
}

async function followPolls(server, record) {
	while (!record.isOver) {
		const since = record.cursors.join(",");
		const answer = await call(server, "GET", `/poll?${query}&since=${since}&wait=25`);
		assert.equal(answer.status, 200, answer.text);
		const { cursor, recovered, messages } = answer.json();
		assert.equal(recovered, true);
		const cuts = messages.filter((message) => record.add(message)).length;
		assert.equal(cursor, record.cursors.join(","));
		for (let i = 0; i < cuts; i++)
			await abandonPoll(server, record);
	}
}

/* A poll whose answer is lost: the client is gone before it, or in the middle of it. */
async function abandonPoll(server, record) {
	const isEarly = record.random() < 0.5;
	const client = await RawClient.connect(server);
	const target = `/poll?${query}&since=${record.cursors.join(",")}&wait=${isEarly ? 25 : 0}`;
	client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
	if (!isEarly)
		await client.until((bytes) => bytes.length > 0, "the beginning of an answer");
	client.close();
}

/* Publishes its share as fast as acks come and `slowest()` allows. */
function publishShare(server, publisher, slowest) {
	const count = publications / publishers;
	return new Promise((resolve, reject) => {
		const socket = new WebSocket(server.wsUrl);
		let sent = 0;
		let acked = 0;
		const pump = () => {
			while (sent < count && sent - acked < inFlightMax
				&& sent * publishers - slowest() < aheadMax) {
				socket.send(JSON.stringify({
					type: "publish",
					channel: channels[sent % channels.length],
					data: [publisher, sent++],
				}));
			}
		};
		let pacer;
		socket.on("open", () => { pacer = setInterval(pump, 2); });
		socket.on("error", reject);
		socket.on("close", () => {
			clearInterval(pacer);
			if (acked === count)
				resolve();
			else
				reject(new Error(`publisher ${publisher} was disconnected`));
		});
		socket.on("message", (text) => {
			const object = JSON.parse(text);
			if (object.type === "error")
				reject(new Error(object.message));
			acked += object.type === "ack";
			if (acked === count)
				socket.close();
			else
				pump();
		});
	});
}

async function openMany(server, count) {
	return Promise.all(Array.from({ length: count }, () => NativeClient.open(server)));
}

/* Enough subscribers that each worker has some, and one of each other transport. */
async function assertOneOrder(server) {
	const each = Math.ceil(500 * scale);
	const total = 8 * each;
	const channel = fresh();
	const readers = await openMany(server, 12);
	for (const reader of readers)
		await reader.subscribe(channel);
	const stream = await EventStream.open(server, `/events?channel=${channel}`);
	const racers = await openMany(server, 8);
	racers.forEach((racer, publisher) => {
		const commands = Array.from({ length: each }, (_, number) =>
			({ type: "publish", channel, data: [publisher, number] }));
		racer.send(...commands.map((command) =>
			frame(opcodes.text, JSON.stringify(command))));
	});

	const order = await readers[0].messages(total);
	for (const reader of readers.slice(1))
		assert.deepEqual(await reader.messages(total), order);
	const ids = order.map(({ id }) => id);
	const events = await stream.take(total);
	assert.deepEqual(events.map(({ id }) => id), ids);
	assert.deepEqual(events.map(({ data }) => JSON.parse(data)), order.map(({ data }) => data));
	assert.deepEqual(await pollAll(server, channel, total), ids);
	[...readers, ...racers, stream].forEach((client) => client.close());
}

/* The ids of `count` messages, asked for in as many polls as it takes. */
async function pollAll(server, channel, count) {
	const ids = [];
	for (let since = "start"; ids.length < count;) {
		const answer = await call(server, "GET", `/poll?channel=${channel}&since=${since}`);
		const { cursor, messages } = answer.json();
		ids.push(...messages.map(({ id }) => id));
		since = cursor;
	}
	return ids;
}

describe("resume", () => {
	const timeout = patience * 15;

	it("1,000 disconnects, 100,000 messages: none lost, none twice", { timeout }, async () => {
		const options = ["workers.count=4", `channel.*.history_size=${publications}`,
			"channel.*.history_ttl=1h"];
		await withServer({ options }, async (server) => {
			const keeper = await NativeClient.open(server);
			const epochs = [];
			for (const channel of channels)
				epochs.push(epochOf((await keeper.subscribe(channel)).cursor));
			keeper.close();
			const followers = [followWebSocket, followEvents, followPolls];
			const records = followers.map((follow, i) =>
				new Record(follow.name, epochs, randomFrom(seed + i)));
			const slowest = () => Math.min(...records.map(({ count }) => count));
			try {
				await Promise.all([
					...followers.map((follow, i) => follow(server, records[i])),
					...Array.from({ length: publishers }, (_, publisher) =>
						publishShare(server, publisher, slowest)),
				]);
			} finally {
				records.forEach((record) => { record.isGivenUp = true; });
			}
			records.forEach((record) => assert.equal(record.count, publications));
		});
	});

	it("8 publishers race, all subscribers see one order", { timeout }, async () => {
		const options = ["workers.count=4", "channel.*.history_size=10000"];
		await withServer({ options }, assertOneOrder);
	});

	it("a server that starts again is a new epoch, and every transport is told", async () => {
		await withServer({}, async (server) => {
			const channel = fresh();
			const ids = await publishCount(server, channel, 3);
			await server.restart();
			await publish(server, channel, "second life");

			const client = await NativeClient.open(server);
			const answer = await client.subscribe(channel, { since: ids[0] });
			assert.equal(answer.recovered, false);
			assert.notEqual(epochOf(answer.cursor), epochOf(ids[0]));
			assert.deepEqual(await client.data(1), ["second life"]);
			client.close();

			const stream = await EventStream.open(server, `/events?channel=${channel}`,
				{ headers: { "last-event-id": ids[0] } });
			const [gap, held] = await stream.take(2);
			assert.equal(gap.event, "gap");
			assert.deepEqual(JSON.parse(gap.data), { channel, cursor: answer.cursor });
			assert.equal(held.data, '"second life"');
			stream.close();

			const polled = await call(server, "GET",
				`/poll?channel=${channel}&since=${ids[0]}&wait=25`);
			assert.equal(polled.json().recovered, false);
			assert.deepEqual(polled.json().messages.map(({ data }) => data),
				["second life"]);
		});
	});

	it("a killed server is a new epoch too", async () => {
		await withServer({}, async (server) => {
			const channel = fresh();
			const [id] = await publishCount(server, channel, 1);
			await server.kill();
			await server.restart();
			const client = await NativeClient.open(server);
			const answer = await client.subscribe(channel, { since: id });
			assert.equal(answer.recovered, false);
			assert.notEqual(epochOf(answer.cursor), epochOf(id));
			client.close();
		});
	});

	it("a channel that was left by all comes back with its history", async () => {
		await withServer({}, async (server) => {
			const channel = fresh();
			const client = await NativeClient.open(server);
			const { cursor } = await client.subscribe(channel);
			const ids = await publishCount(server, channel, 2);
			client.close();
			const back = await NativeClient.open(server);
			const answer = await back.subscribe(channel, { since: cursor });
			assert.equal(answer.recovered, true);
			assert.deepEqual((await back.messages(2)).map(({ id }) => id), ids);
			back.close();
		});
	});
});
