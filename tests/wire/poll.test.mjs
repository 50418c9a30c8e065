/* Long polling: what answers at once, what waits, and that nothing is lost between two polls. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RawClient } from "./clients.mjs";
import {
	assertError, call, epochOf, fresh, publish, publishCount, useServer,
} from "./harness.mjs";

const target = (channels, more) =>
	`/poll?${[channels].flat().map((channel) => `channel=${channel}`).join("&")}${more}`;

async function poll(server, channels, more = "") {
	const answer = await call(server, "GET", target(channels, more));
	assert.equal(answer.status, 200, answer.text);
	assert.match(answer.headers["content-type"], /^application\/json\b/);
	return answer.json();
}

const dataOf = ({ messages }) => messages.map(({ data }) => data);

const get = (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/* A long poll that the server has surely got: it has answered what came in one segment with it. */
async function startPoll(server, channels, more) {
	const client = await RawClient.connect(server);
	client.send(get("/health"), get(target(channels, more)));
	await client.response();
	return client;
}

describe("poll: at once", () => {
	const server = useServer({ config: "[channel short:*]\nhistory_size = 2\n" });

	it("without since it answers with the cursor of now", async () => {
		const channel = fresh();
		const { cursor } = await poll(server, channel, "&wait=25");
		assert.match(cursor, /^[0-9a-z]{1,16}-0$/);
		const ids = await publishCount(server, channel, 2);
		const answer = await poll(server, channel);
		assert.equal(answer.cursor, ids[1]);
		assert.deepEqual(answer.messages, []);
	});

	const cases = [
		["start", "any", "start", true, [1, 2, 3, 4]],
		["the first id", "any", 1, true, [2, 3, 4]],
		["the one before the last", "any", 3, true, [4]],
		["start of a short history", "short", "start", true, [3, 4]],
		["another epoch", "any", "zzz-2", false, [1, 2, 3, 4]],
		["a cursor ahead of the head", "any", 9, false, [1, 2, 3, 4]],
		["a cursor older than history", "short", 1, false, [3, 4]],
	];
	for (const [claim, kind, since, recovered, data] of cases) {
		it(`${claim} brings ${data.length} of 4, recovered ${recovered}`, async () => {
			const channel = fresh(`${kind}:c`);
			const ids = await publishCount(server, channel, 4);
			const from = typeof since === "number"
				? `${epochOf(ids[0])}-${since}` : since;
			const answer = await poll(server, channel, `&since=${from}&wait=25`);
			assert.equal(answer.recovered, recovered);
			assert.equal(answer.cursor, ids[3]);
			assert.deepEqual(dataOf(answer), data);
			assert.deepEqual(answer.messages.map(({ id }) => id),
				ids.slice(4 - data.length));
		});
	}

	it("a gap answers at once though nothing is held", async () => {
		const channel = fresh();
		const answer = await poll(server, channel, "&since=zzz-2&wait=25");
		assert.equal(answer.recovered, false);
		assert.deepEqual(answer.messages, []);
		assert.match(answer.cursor, /-0$/);
	});

	it("wait=0 answers at once with nothing", async () => {
		const channel = fresh();
		const [id] = await publishCount(server, channel, 1);
		const answer = await poll(server, channel, `&since=${id}&wait=0`);
		assert.deepEqual(answer, { cursor: id, recovered: true, messages: [] });
	});

	it("messages are whole message objects", async () => {
		const channel = fresh();
		const [before] = await publishCount(server, channel, 1);
		const id = await publish(server, channel, { a: 1 }, { event: "e", user: "ann" });
		const { messages: [message] } = await poll(server, channel, `&since=${before}`);
		assert.equal(message.id, id);
		assert.equal(message.channel, channel);
		assert.equal(message.event, "e");
		assert.equal(message.user, "ann");
		assert.deepEqual(message.data, { a: 1 });
		assert.ok(Number.isInteger(message.ts));
	});

	it("nobody may keep the answer", async () => {
		const { headers } = await call(server, "GET", target(fresh(), ""));
		assert.match(headers["cache-control"], /no-store|no-cache/);
	});

	const malformed = ["&since=abc", "&since=ABC-1", "&since=a-1,b-1", "&wait=x", "&wait=-1"];
	for (const more of malformed) {
		it(`${more} is 400`, async () => {
			const answer = await call(server, "GET", target(fresh(), more));
			assertError(answer, 400, "bad_request");
		});
	}

	it("@USER is for that user alone", async () => {
		const ann = await call(server, "GET", target("@ann", "&user=ann"));
		assert.equal(ann.status, 200);
		const bob = await call(server, "GET", target("@ann", "&user=bob"));
		assert.ok(bob.status === 403 || bob.status === 401, `${bob.status}`);
	});
});

describe("poll: waiting", () => {
	const server = useServer();

	it("a message that comes answers all who wait for it", async () => {
		const channel = fresh();
		const [id] = await publishCount(server, channel, 1);
		const waiting = await Promise.all(Array.from({ length: 8 }, () =>
			startPoll(server, channel, `&since=${id}&wait=25`)));
		const next = await publish(server, channel, "news");
		for (const client of waiting) {
			const answer = JSON.parse((await client.response()).text);
			assert.equal(answer.recovered, true);
			assert.equal(answer.cursor, next);
			assert.deepEqual(dataOf(answer), ["news"]);
			client.close();
		}
	});

	it("on time-out the answer has no messages and the same cursor", async () => {
		const channel = fresh();
		const [id] = await publishCount(server, channel, 1);
		const answer = await poll(server, channel, `&since=${id}&wait=1`);
		assert.deepEqual(answer, { cursor: id, recovered: true, messages: [] });
	});

	it("what is pipelined behind a poll is answered after it", async () => {
		const channel = fresh();
		const [id] = await publishCount(server, channel, 1);
		const client = await startPoll(server, channel, `&since=${id}&wait=25`);
		client.send(get("/nowhere"));
		await publish(server, channel, "news");
		assert.deepEqual(dataOf(JSON.parse((await client.response()).text)), ["news"]);
		assert.equal((await client.response()).status, 404);
		client.close();
	});

	it("a client that hangs up while it waits is no trouble", async () => {
		const channel = fresh();
		const [id] = await publishCount(server, channel, 1);
		for (let i = 0; i < 20; i++)
			(await startPoll(server, channel, `&since=${id}&wait=25`)).close();
		await publish(server, channel, "news");
		assert.deepEqual(dataOf(await poll(server, channel, `&since=${id}`)), ["news"]);
	});

	it("a chain of polls sees each message once, whatever comes between", async () => {
		const channel = fresh();
		let { cursor } = await poll(server, channel);
		const publishing = publishCount(server, channel, 100);
		const got = [];
		while (got.length < 100) {
			const answer = await poll(server, channel, `&since=${cursor}&wait=25`);
			assert.equal(answer.recovered, true);
			got.push(...dataOf(answer));
			cursor = answer.cursor;
		}
		await publishing;
		assert.deepEqual(got, Array.from({ length: 100 }, (_, i) => i + 1));
	});
});

describe("poll: several channels", () => {
	const server = useServer();

	it("the cursor is theirs, joined in the order of the request", async () => {
		const [a, b] = [fresh("b"), fresh("a")];
		const [a1] = await publishCount(server, a, 1);
		const [b1] = await publishCount(server, b, 1);
		assert.equal((await poll(server, [a, b])).cursor, `${a1},${b1}`);
		assert.equal((await poll(server, [b, a])).cursor, `${b1},${a1}`);
	});

	it("a message in any of them answers", async () => {
		const channels = [fresh(), fresh()];
		let { cursor } = await poll(server, channels);
		for (const channel of [channels[1], channels[0]]) {
			const client = await startPoll(server, channels,
				`&since=${cursor}&wait=25`);
			await publish(server, channel, channel);
			const answer = JSON.parse((await client.response()).text);
			assert.deepEqual(answer.messages.map((message) => message.channel),
				[channel]);
			({ cursor } = answer);
			client.close();
		}
	});

	it("a gap in one is a gap, with what is held of it", async () => {
		const channels = [fresh(), fresh()];
		const [id] = await publishCount(server, channels[0], 1);
		await publishCount(server, channels[1], 2);
		const answer = await poll(server, channels, `&since=${id},zzz-1&wait=25`);
		assert.equal(answer.recovered, false);
		assert.deepEqual(dataOf(answer), [1, 2]);
	});

	for (const cursor of ["a-1", "a-1,b-1,c-1"]) {
		it(`${cursor} for two channels is 400`, async () => {
			const answer = await call(server, "GET",
				target([fresh(), fresh()], `&since=${cursor}`));
			assertError(answer, 400, "bad_request");
		});
	}
});
