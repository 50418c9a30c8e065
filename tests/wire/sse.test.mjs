/* Server-sent events: the stream as text, and as the EventSource of an npm package reads it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventSource } from "eventsource";

import { EventStream, Line } from "./clients.mjs";
import {
	assertError, call, epochOf, fresh, publish, publishCount, until, useServer,
} from "./harness.mjs";

const events = (channels, more = "") =>
	`/events?${[channels].flat().map((channel) => `channel=${channel}`).join("&")}${more}`;

async function postJson(server, channel, text) {
	const answer = await call(server, "POST", `/publish?channel=${channel}`,
		{ headers: { "content-type": "application/json" }, body: text });
	assert.equal(answer.status, 200, answer.text);
	return answer.json().id;
}

/* The cursor is 400 in either of its places. */
async function assertRefused(server, path, cursor) {
	const headers = { "last-event-id": cursor };
	assertError(await call(server, "GET", `${path}&since=${cursor}`), 400, "bad_request");
	assertError(await call(server, "GET", path, { headers }), 400, "bad_request");
}

describe("sse: the stream", () => {
	const server = useServer();

	it("is text/event-stream that nobody may keep, and begins with retry", async () => {
		const stream = await EventStream.open(server, events(fresh()));
		assert.equal(stream.status, 200);
		assert.match(stream.headers["content-type"], /^text\/event-stream\b/);
		assert.match(stream.headers["cache-control"], /no-store|no-cache/);
		await stream.until(() => stream.lines.length > 0, "the first line");
		assert.match(stream.lines[0], /^retry: [1-9][0-9]*$/);
		stream.close();
	});

	it("brings id, event and data", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		const id = await publish(server, channel, { price: 7 }, { event: "price-update" });
		const event = await stream.next();
		assert.deepEqual({ ...event, data: JSON.parse(event.data) },
			{ event: "price-update", data: { price: 7 }, id });
		stream.close();
	});

	it("an event without a name is a message", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		await publish(server, channel, 1);
		assert.equal((await stream.next()).event, "message");
		stream.close();
	});

	const values = [null, true, 0, "", "text", "two\nlines\r\nor three", "é😀", [],
		{ a: { b: [1] } }];
	it("data is JSON whatever it was", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		for (const value of values) {
			await publish(server, channel, value);
			assert.deepEqual(JSON.parse((await stream.next()).data), value);
		}
		stream.close();
	});

	it("JSON written over several lines stays whole", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		for (const newline of ["\n", "\r\n", "\r"]) {
			await postJson(server, channel,
				["{", '  "a": [', "    1", "  ]", "}"].join(newline));
			assert.deepEqual(JSON.parse((await stream.next()).data), { a: [1] });
		}
		stream.close();
	});

	it("an event's name cannot forge lines", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		await call(server, "POST", "/api/publish", {
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ channel, data: 1, event: "x\ndata: 2\n\ndata: 3" }),
		});
		await publish(server, channel, "end");
		const data = [];
		while (data.at(-1) !== '"end"')
			data.push((await stream.next()).data);
		assert.ok(!data.some((each) => each.includes("2") || each.includes("3")),
			data.join());
		stream.close();
	});

	it("a hundred messages come in order", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		const ids = await publishCount(server, channel, 100);
		const got = await stream.take(100);
		assert.deepEqual(got.map(({ id }) => id), ids);
		assert.deepEqual(got.map(({ data }) => Number(data)), ids.map((_, i) => i + 1));
		stream.close();
	});

	it("a client that goes away is no trouble", async () => {
		const channel = fresh();
		for (let i = 0; i < 20; i++)
			(await EventStream.open(server, events(channel))).close();
		const stream = await EventStream.open(server, events(channel));
		await publish(server, channel, 1);
		assert.equal((await stream.next()).data, "1");
		stream.close();
	});
});

describe("sse: formats", () => {
	const server = useServer();
	const texts = [
		["a string as it is", "plain", "plain"],
		["a string of several lines", "one\ntwo\n\nfour", "one\ntwo\n\nfour"],
		["any newline as one", "one\r\ntwo\rthree", "one\ntwo\nthree"],
		["an object as JSON", { a: 1 }, '{"a":1}'],
	];
	for (const [claim, value, text] of texts) {
		it(`format=text gives ${claim}`, async () => {
			const channel = fresh();
			const stream = await EventStream.open(server,
				events(channel, "&format=text"));
			await publish(server, channel, value);
			const { data } = await stream.next();
			const isString = typeof value === "string";
			assert.equal(isString ? data : JSON.stringify(JSON.parse(data)), text);
			stream.close();
		});
	}

	it("format=full gives the whole message object", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel, "&format=full"));
		const id = await publish(server, channel, { a: 1 }, { event: "e", user: "ann" });
		const { ts, ...message } = JSON.parse((await stream.next()).data);
		assert.deepEqual(message, { type: "message", channel, id, data: { a: 1 },
			event: "e", user: "ann" });
		assert.ok(Number.isInteger(ts));
		stream.close();
	});
});

describe("sse: resuming", () => {
	const server = useServer({ config: "[channel short:*]\nhistory_size = 2\n" });
	const numbers = (got) => got.map(({ data }) => Number(data));

	const cases = [
		["since an id", (ids) => [`&since=${ids[1]}`, {}], [3, 4, 5]],
		["since start", () => ["&since=start", {}], [1, 2, 3, 4, 5]],
		["since the head", (ids) => [`&since=${ids[4]}`, {}], []],
		["Last-Event-ID", (ids) => ["", { "last-event-id": ids[2] }], [4, 5]],
		["Last-Event-ID rather than since",
			(ids) => [`&since=${ids[0]}`, { "last-event-id": ids[3] }], [5]],
		["since where Last-Event-ID is empty",
			(ids) => [`&since=${ids[2]}`, { "last-event-id": "" }], [4, 5]],
		["neither", () => ["", {}], []],
	];
	for (const [claim, from, wanted] of cases) {
		it(`${claim}: ${wanted.length} of 5 messages, then the live one`, async () => {
			const channel = fresh();
			const ids = await publishCount(server, channel, 5);
			const [query, headers] = from(ids);
			const stream = await EventStream.open(server, events(channel, query),
				{ headers });
			await publish(server, channel, 6);
			const got = await stream.take(wanted.length + 1);
			assert.deepEqual(got.map(({ event }) => event), got.map(() => "message"));
			assert.deepEqual(numbers(got), [...wanted, 6]);
			stream.close();
		});
	}

	const gaps = [
		["another epoch", () => "zzz-3", "any", 0, [1, 2, 3, 4]],
		["a cursor ahead of the head", (ids) => `${epochOf(ids[0])}-9`, "any", 0,
			[1, 2, 3, 4]],
		["a cursor older than history", (ids) => ids[0], "short", 2, [3, 4]],
	];
	for (const [claim, cursorOf, kind, place, held] of gaps) {
		it(`${claim} is told by a gap, then what is held`, async () => {
			const channel = fresh(`${kind}:c`);
			const ids = await publishCount(server, channel, 4);
			const stream = await EventStream.open(server,
				events(channel, `&since=${cursorOf(ids)}`));
			const gap = await stream.next();
			assert.equal(gap.event, "gap");
			assert.deepEqual(JSON.parse(gap.data),
				{ channel, cursor: `${epochOf(ids[0])}-${place}` });
			assert.deepEqual(numbers(await stream.take(held.length)), held);
			stream.close();
		});
	}

	const malformed = ["abc", "-1", "ABC-1", "a-b", "a-1,b-1", "a-1,"];
	for (const cursor of malformed) {
		it(`the cursor ${cursor} is 400 as since and as Last-Event-ID`, async () => {
			await assertRefused(server, events(fresh()), cursor);
		});
	}
});

describe("sse: several channels", () => {
	const server = useServer();

	it("the id is the cursors of all, in the order of the request", async () => {
		const [a, b] = [fresh("b"), fresh("a")];
		const [a1] = await publishCount(server, a, 1);
		const [b1] = await publishCount(server, b, 1);
		const stream = await EventStream.open(server, events([a, b]));
		const b2 = await publish(server, b, "b2");
		assert.equal((await stream.next()).id, `${a1},${b2}`);
		const a2 = await publish(server, a, "a2");
		assert.equal((await stream.next()).id, `${a2},${b2}`);
		assert.notEqual(b1, b2);
		stream.close();
	});

	it("an id resumes all of them", async () => {
		const channels = [fresh(), fresh(), fresh()];
		const ids = [];
		for (const channel of channels)
			ids.push(await publishCount(server, channel, 3));
		const cursor = [ids[0][0], ids[1][1], ids[2][2]].join(",");
		const stream = await EventStream.open(server,
			events(channels, `&since=${cursor}&format=full`));
		const got = await stream.take(3);
		const missed = got.map(({ data }) => JSON.parse(data).id).sort();
		assert.deepEqual(missed, [ids[0][1], ids[0][2], ids[1][2]].sort());
		assert.equal(got[2].id, ids.map((each) => each[2]).join(","));
		stream.close();
	});

	it("the gap names the channel concerned, and only that", async () => {
		const [good, bad] = [fresh(), fresh()];
		const [goodId] = await publishCount(server, good, 1);
		const [badId] = await publishCount(server, bad, 1);
		const stream = await EventStream.open(server,
			events([good, bad], `&since=${goodId},zzz-1`));
		const [gap, held] = await stream.take(2);
		assert.equal(gap.event, "gap");
		assert.deepEqual(JSON.parse(gap.data),
			{ channel: bad, cursor: `${epochOf(badId)}-0` });
		assert.equal(held.id, `${goodId},${badId}`);
		stream.close();
	});

	for (const cursor of ["a-1", "a-1,b-1,c-1"]) {
		it(`${cursor} for two channels is 400`, async () => {
			await assertRefused(server, events([fresh(), fresh()]), cursor);
		});
	}
});

describe("sse: heartbeat", () => {
	const server = useServer({ options: ["heartbeat.interval=100ms", "heartbeat.timeout=1s"] });

	it("a comment goes out every interval, and a reader need not speak", async () => {
		const channel = fresh();
		const stream = await EventStream.open(server, events(channel));
		await stream.until(() => stream.comments.length >= 15, "fifteen comments");
		await publish(server, channel, 1);
		assert.equal((await stream.next()).data, "1");
		stream.close();
	});
});

describe("sse: EventSource", () => {
	const server = useServer();

	it("resumes by itself when the line was cut, and misses nothing", async (t) => {
		const channel = fresh();
		const line = await Line.to(server);
		const source = new EventSource(line.url + events(channel));
		t.after(() => source.close());
		const got = [];
		source.addEventListener("message", ({ data }) => got.push(Number(data)));
		await until(() => source.readyState === EventSource.OPEN);
		await publish(server, channel, 1);
		await until(() => got.length === 1);
		line.isUp = false;
		line.cut();
		await publish(server, channel, 2);
		await publish(server, channel, 3);
		line.isUp = true;
		await until(() => got.length === 3);
		await publish(server, channel, 4);
		await until(() => got.length === 4);
		assert.deepEqual(got, [1, 2, 3, 4]);
		line.close();
	});

	it("hears of a gap as an event", async (t) => {
		const channel = fresh();
		const source = new EventSource(server.url + events(channel, "&since=zzz-5"));
		t.after(() => source.close());
		const gap = await new Promise((resolve) => source.addEventListener("gap", resolve));
		assert.equal(JSON.parse(gap.data).channel, channel);
	});
});
