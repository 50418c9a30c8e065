/*
 * Everything at once, at random: clients of all transports come, go, stop reading and resume in
 * channels of all rules over eight workers. Whatever happens, each subscriber sees rising ids; in
 * channels that promise every message it sees every one behind the cursor it was told; and when all
 * have gone, nothing of them is left.
 *
 * SEED  of the random numbers (default: drawn, and printed when the test fails)
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient } from "./clients.mjs";
import { assertError, call, epochOf, scale, seqOf, sleep, until, useServer } from "./harness.mjs";

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const config = `
[channel drop:*]
overflow = drop
history_size = 5
[channel conflate:*]
overflow = conflate
max_keys = 4
history_size = 3
[channel last:*]
deliver_last = yes
max_keys = 3
history_ttl = 500ms
[channel throttle:*]
throttle = 30ms
deliver_last = yes
max_keys = 5
[channel thin:*]
throttle = 20ms
overflow = conflate
history_size = 0
[channel none:*]
history_size = 0
[channel ttl:*]
history_ttl = 100ms
`;
const kinds = ["drop", "conflate", "last", "throttle", "thin", "none", "ttl", "all"];
/* Here nothing is left out: no rule does, and nobody publishes without echo. */
const isWhole = (channel) => /^(none|ttl|all):/.test(channel);

/* A generator of its own for each actor, so that a seed says what each of them does. */
class Dice {
	#state;

	constructor(number) {
		this.#state = seed + number * 0x9e3779b9 >>> 0;
	}

	below(limit) { /* xorshift32 */
		this.#state ^= this.#state << 13;
		this.#state ^= this.#state >>> 17;
		this.#state ^= this.#state << 5;
		return (this.#state >>> 0) % limit;
	}

	of(list) {
		return list[this.below(list.length)];
	}

	channel() {
		return `${this.of(kinds)}:${this.below(6)}`;
	}
}

/* What one WebSocket is told, held against what it may be told. */
class Listener {
	/* By channel: the id seen last, or the cursor told, behind which the next one follows. */
	#places = new Map();
	cursors = {};

	constructor(client) {
		this.over = client.hearAll((object) => {
			this.#hear(object);
			return false;
		}).catch((error) => {
			if (!client.isClosed)
				throw error;
		});
	}

	#hear({ type, channel, id, cursor, code }) {
		if (type === "message")
			this.#message(channel, id);
		else if (type === "subscribed")
			this.#places.set(channel, { place: cursor, isExact: isWhole(channel) });
		else if (type === "unsubscribed")
			this.#places.delete(channel);
		else if (type === "error")
			assert.match(code, /^(not_subscribed|bad_request)$/);
	}

	#message(channel, id) {
		const before = this.#places.get(channel);
		assert.ok(before, `a message of ${channel}, which is not subscribed to`);
		const { place, isExact } = before;
		if (isExact) {
			assert.equal(epochOf(id), epochOf(place));
			assert.equal(seqOf(id), seqOf(place) + 1, channel);
		} else if (before.hasHeard) {
			assert.equal(epochOf(id), epochOf(place));
			assert.ok(seqOf(id) > seqOf(place), `${channel}: ${id} behind ${place}`);
		}
		this.#places.set(channel, { place: id, isExact, hasHeard: true });
		this.cursors[channel] = id;
	}
}

/* ---- what actors do ---- */

const says = {
	subscribe: (dice) => ({ channel: dice.channel() }),
	unsubscribe: (dice) => ({ channel: dice.channel() }),
	publish(dice) {
		const channel = dice.channel();
		return {
			channel,
			data: dice.below(4) ? dice.below(1000) : "x".repeat(dice.below(20_000)),
			key: `k${dice.below(8)}`,
			...(dice.below(3) ? {} : { idempotency_key: `i${dice.below(20)}` }),
			...(dice.below(4) || isWhole(channel) ? {} : { echo: false }),
		};
	},
	history: (dice, { cursors }) => {
		const channel = dice.channel();
		const since = dice.below(2) ? { since: cursors[channel] ?? "start" } : {};
		return { channel, limit: dice.below(10), ...since };
	},
	resume: (dice, { cursors }) => ({
		channels: Object.fromEntries(Array.from({ length: dice.below(5) }, () => {
			const channel = dice.channel();
			return [channel, cursors[channel] ?? dice.of(["start", "zz-3"])];
		})),
	}),
};
const often = ["subscribe", "subscribe", "unsubscribe", "history", "resume", "publish", "publish",
	"publish", "publish"];

async function live(server, dice, steps) {
	const client = await NativeClient.open(server);
	const listener = new Listener(client);
	let isOver = false;
	const watched = listener.over.then(() => assert.ok(isOver, "the server ended it"));
	watched.catch(() => {}); /* until it is waited for */
	for (let i = 0; i < steps; i++) {
		if (dice.below(20) === 0) {
			client.socket.pause();
			await sleep(dice.below(30));
			client.socket.resume();
		}
		const type = dice.of(often);
		client.say({ type, ref: i, ...says[type](dice, listener) });
		if (dice.below(4) === 0)
			await sleep(dice.below(5));
	}
	isOver = true;
	client.close();
	await watched;
}

const requests = [
	(server, dice) => call(server, "GET", `/poll?channel=${dice.channel()}&wait=0&since=start`),
	(server, dice) => call(server, "GET", `/poll?channel=${dice.channel()}&wait=1`),
	(server, dice) => call(server, "POST", "/api/publish", {
		body: JSON.stringify({ data: 1, key: `k${dice.below(6)}`,
			channels: Array.from({ length: 1 + dice.below(20) }, () => dice.channel()) }),
	}),
	(server, dice) => call(server, "POST", `/api/stream?channel=${dice.channel()}`, {
		headers: { "content-type": "text/plain" }, body: "a line\n".repeat(dice.below(300)),
	}),
	(server, dice) => call(server, "GET", `/api/channels?limit=${1 + dice.below(5)}`),
	(server, dice) => call(server, "POST", `/publish?channel=${dice.channel()}`, {
		headers: { "content-type": dice.of(["application/json", "text/plain", "a/b"]) }, body: "7",
	}),
];

async function ask(server, dice) {
	if (dice.below(requests.length + 1) === 0) {
		const channels = `channel=${dice.channel()}&channel=other&since=start,start`;
		const stream = await EventStream.open(server, `/events?${channels}`);
		assert.equal(stream.status, 200);
		await sleep(dice.below(50));
		stream.close();
		return;
	}
	const { status, text } = await dice.of(requests)(server, dice);
	assert.equal(status, 200, text);
}

describe(`storm: seed ${seed}`, () => {
	const server = useServer({ options: ["workers.count=8"], config });
	const actors = 25;
	const rounds = Math.ceil(20 * scale);

	it("no order is broken, nothing promised is missing, and nothing is left", async () => {
		const all = Array.from({ length: actors }, async (_, number) => {
			const dice = new Dice(number + 1);
			for (let round = 0; round < rounds; round++) {
				if (number % 3 > 0)
					await live(server, dice, 20 + dice.below(60));
				else for (let i = 0; i < 20; i++)
					await ask(server, dice);
			}
		});
		await Promise.all(all);
		await until(async () => {
			const figures = (await call(server, "GET", "/api/stats")).json();
			return figures.subscriptions === 0 && figures.connections === 0;
		}, "all to be gone");
		const answer = await call(server, "GET", "/api/channels/last:none");
		assertError(answer, 404, "not_found");
	});
});
