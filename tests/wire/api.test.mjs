/* The server API: publications by the bunch and by the line, channels, connections, figures. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient } from "./clients.mjs";
import {
	assertError, call, fresh, publish, publishCount, scale, seqOf, until, useServer,
} from "./harness.mjs";

const json = { "content-type": "application/json" };
const options = ["workers.count=8"];

function post(server, target, value, headers = json) {
	const body = typeof value === "string" ? value : JSON.stringify(value);
	return call(server, "POST", target, { headers, body });
}

async function get(server, target) {
	const answer = await call(server, "GET", target);
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}

async function history(server, channel) {
	const { messages } = await get(server, `/api/channels/${channel}/history?limit=1000`);
	return messages.map(({ data }) => data);
}

const codesOf = ({ results }) => results.map(({ id, error }) => id ? "ok" : error.code);

describe("api: several channels and batches", () => {
	const server = useServer({ options });

	it("each of the channels gets the message, and has a result in their order", async () => {
		const channels = Array.from({ length: 20 }, () => fresh());
		const client = await NativeClient.open(server);
		for (const channel of channels)
			await client.subscribe(channel);
		const answer = await post(server, "/api/publish", { channels, data: [1], event: "e" });
		assert.equal(answer.status, 200, answer.text);
		const heard = await client.messages(20);
		const ids = new Map(heard.map(({ channel, id }) => [channel, id]));
		assert.deepEqual(answer.json(), { results: channels.map((channel) =>
			({ id: ids.get(channel), duplicate: false })) });
		for (const { data, event } of heard)
			assert.deepEqual([data, event], [[1], "e"]);
		client.close();
	});

	it("a bad channel among them does not spoil the others", async () => {
		const [one, other] = [fresh(), fresh()];
		const answer = await post(server, "/api/publish",
			{ channels: [one, "a b", 7, other], data: 1 });
		assert.equal(answer.status, 200, answer.text);
		assert.deepEqual(codesOf(answer.json()),
			["ok", "bad_request", "bad_request", "ok"]);
		assert.deepEqual(await history(server, one), [1]);
		assert.deepEqual(await history(server, other), [1]);
	});

	it("what would be too much in all the channels together is 413", async () => {
		const [data, channels] = ["x".repeat(70_000), Array.from({ length: 1000 }, () => fresh())];
		assertError(await post(server, "/api/publish", { channels, data }), 413, "too_large");
		assert.deepEqual(await history(server, channels[0]), []);
		const { status } = await post(server, "/api/publish",
			{ channels: channels.slice(0, 900), data });
		assert.equal(status, 200);
	});

	it("a batch has a result for each entry, good or bad, in their order", async () => {
		const channel = fresh();
		const messages = [
			{ channel, data: 1 }, {}, { channel }, { data: 1 }, 5, null, "text", [],
			{ channel: "a b", data: 1 }, { channel, data: 2, event: 3 },
			{ channel, data: 2, key: 1 }, { channel, data: 2, key: "k".repeat(256) },
			{ channel, data: 2, idempotency_key: {} }, { channel, data: 2, user: [] },
			{ channel, data: 2, except: 7 }, { channel, data: 2, event: "two\nlines" },
			{ channel, channels: [channel], data: 2 }, { channels: [channel], data: 2 },
			{ channel, data: 2, key: "k", event: "e", user: "ann" },
		];
		const answer = await post(server, "/api/batch", { messages });
		assert.equal(answer.status, 200, answer.text);
		const { results } = answer.json();
		const bad = Array(messages.length - 2).fill("bad_request");
		assert.deepEqual(codesOf({ results }), ["ok", ...bad, "ok"]);
		assert.deepEqual([results[0], results.at(-1)].map(({ id }) => seqOf(id)), [1, 2]);
		for (const { error } of results.slice(1, -1))
			assert.equal(typeof error.message, "string");
		const { messages: [, last] } = await get(server, `/api/channels/${channel}/history`);
		assert.deepEqual([last.key, last.event, last.user], ["k", "e", "ann"]);
	});

	it("an entry that is too large or too deep is refused alone", async () => {
		const channel = fresh();
		const deep = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
		const messages = [deep(32), deep(33), "x".repeat((1 << 20) - 2), "x".repeat(1 << 20)];
		const answer = await post(server, "/api/batch",
			{ messages: messages.map((data) => ({ channel, data })) });
		assert.deepEqual(codesOf(answer.json()), ["ok", "bad_request", "ok", "too_large"]);
	});

	it("an entry however deep, and whatever is down there, is refused alone", async () => {
		const channel = fresh();
		const good = JSON.stringify({ channel, data: 1 });
		const bad = [62, 63, 64, 65, 10_000].map((levels) => `{"channel":"${channel}","data":` +
			`${"[".repeat(levels)} nonsense "]" ${"]".repeat(levels)}}`);
		const answer = await post(server, "/api/batch",
			`{"messages":[${[good, ...bad, good].join(",")}]}`);
		assert.deepEqual(codesOf(answer.json()), ["ok", ...bad.map(() => "bad_request"), "ok"]);
	});

	it("a thousand entries of one channel keep their order", async () => {
		const channel = fresh();
		const messages = Array.from({ length: 1000 }, (_, data) => ({ channel, data }));
		const answer = await post(server, "/api/batch", { messages });
		assert.deepEqual(answer.json().results.map(({ id }) => seqOf(id)),
			messages.map(({ data }) => data + 1));
	});

	const refused = [
		["/api/publish", "no channels", { channels: [], data: 1 }],
		["/api/publish", "channel and channels", { channel: "c", channels: ["c"], data: 1 }],
		["/api/publish", "1001 channels", { channels: Array(1001).fill("c"), data: 1 }],
		["/api/publish", "channels without data", { channels: ["c"] }],
		["/api/publish", "channels that are no list", { channels: "c", data: 1 }],
		["/api/publish", "a channel and channels that are no list",
			{ channel: "c", channels: null, data: 1 }],
		["/api/batch", "no messages", { messages: [] }],
		["/api/batch", "1001 messages", { messages: Array(1001).fill({}) }],
		["/api/batch", "messages that are no list", { messages: {} }],
		["/api/batch", "an object without messages", {}],
		["/api/batch", "half an object", '{"messages":[{"channel":"c","data":1}'],
		["/api/batch", "nothing", ""],
	];
	for (const [target, claim, body] of refused) {
		it(`${target} of ${claim} is 400`, async () => {
			assertError(await post(server, target, body), 400, "bad_request");
		});
	}
});

describe("api: streams", () => {
	/* The listeners may be slower than the streams, and are not to be sent away for it. */
	const server = useServer({ options: [...options, "limits.outbound_buffer=16MiB"] });
	const text = "text/plain";
	const ndjson = "application/x-ndjson";

	/* A stream whose body is still to come. */
	async function open(channel, type, framing = "Transfer-Encoding: chunked") {
		const client = await RawClient.connect(server);
		client.send(`POST /api/stream?channel=${channel} HTTP/1.1\r\nHost: x\r\n` +
			`Content-Type: ${type}\r\n${framing}\r\n\r\n`);
		return client;
	}

	const chunk = (piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`;

	it("a line that is too long as JSON is 413, and what came before stays", async () => {
		const channel = fresh();
		const listener = await NativeClient.open(server);
		await listener.subscribe(channel);
		for (const [line, status] of [['"'.repeat(1 << 19), 413], ["\x01".repeat(180_000), 413],
			["x".repeat((1 << 20) - 1), 413], ["x".repeat((1 << 20) - 2), 200]]) {
			const answer = await call(server, "POST", `/api/stream?channel=${channel}`,
				{ headers: { "content-type": text }, body: `before\n${line}\n` });
			assert.equal(answer.status, status, answer.text);
			if (status === 413)
				assertError(answer, 413, "too_large");
		}
		assert.deepEqual((await listener.data(5)).map((data) => data.length),
			[6, 6, 6, 6, (1 << 20) - 2]);
		listener.close();
	});

	it("a token is delivered before the body ends", async () => {
		const channel = fresh();
		const listener = await NativeClient.open(server);
		await listener.subscribe(channel);
		const stream = await EventStream.open(server, `/events?channel=${channel}&since=start`);
		const client = await open(channel, text);
		for (const token of ["Once", " upon", " a time"]) {
			client.send(chunk(`${token}\n`));
			assert.deepEqual(await listener.data(1), [token]);
			assert.equal(JSON.parse((await stream.next()).data), token);
		}
		client.send(chunk("the e"), chunk("nd"), chunk(""));
		const [{ id, data }] = await listener.messages(1);
		assert.equal(data, "the end");
		const answer = await client.response();
		assert.equal(answer.status, 200, answer.text);
		assert.deepEqual(JSON.parse(answer.text), { published: 4, cursor: id });
		listener.close();
		stream.close();
	});

	/* Each row: a claim, the type, the body, what is published, the status. */
	const cases = [
		["text keeps empty lines", text, "one\n\n\nfour\n", ["one", "", "", "four"], 200],
		["a last line needs no newline", text, "one\ntwo", ["one", "two"], 200],
		["text is a string, JSON or not", text, '{"a":1}\n7\n', ['{"a":1}', "7"], 200],
		["CR LF ends a line", text, "one\r\ntwo\r\n", ["one", "two"], 200],
		["an empty body publishes nothing", text, "", [], 200],
		["lines of JSON are values", ndjson, '{"a":1}\n[2]\n"3"\nnull', [{ a: 1 }, [2], "3", null],
			200],
		["empty lines of JSON are skipped", ndjson, "\n1\n\n \r\n2\n\n", [1, 2], 200],
		["a bad line of JSON ends it after what came before", ndjson, "1\n2\n{bad\n4\n", [1, 2],
			400],
		["two values on a line are bad", ndjson, "1\n2 3\n", [1], 400],
		["text that is not UTF-8 ends it", text, "one\n\xff\ntwo\n", ["one"], 400],
	];
	for (const [claim, type, body, data, status] of cases) {
		it(claim, async () => {
			const ways = [
				["at once", [chunk(body), body && chunk("")]],
				["by bytes", [...Array.from(body, chunk), chunk("")]],
				["with a length", [body], `Content-Length: ${body.length}`],
			];
			for (const [way, pieces, framing] of ways) {
				const channel = fresh();
				const client = await open(channel, type, framing);
				await client.sendPieces(pieces);
				const answer = await client.response();
				assert.equal(answer.status, status, `${way}: ${answer.text}`);
				assert.deepEqual(await history(server, channel), data, way);
				const result = JSON.parse(answer.text);
				if (status === 400)
					assert.equal(result.error.code, "bad_request");
				else
					assert.equal(result.published, data.length);
				client.close();
			}
		});
	}

	it("each line has the event and the key of the request", async () => {
		const channel = fresh();
		await post(server, `/api/stream?channel=${channel}&event=token&key=k`, "a\nb\n",
			{ "content-type": text });
		const { messages } = await get(server, `/api/channels/${channel}/history`);
		assert.deepEqual(messages.map(({ data, event, key }) => [data, event, key]),
			[["a", "token", "k"], ["b", "token", "k"]]);
	});

	it("an answer without publications has the cursor of the channel's head", async () => {
		const channel = fresh();
		const cursor = (await publishCount(server, channel, 3)).at(-1);
		for (const [type, body] of [[text, ""], [ndjson, "\n\n"]]) {
			const answer = await post(server, `/api/stream?channel=${channel}`, body,
				{ "content-type": type });
			assert.deepEqual(answer.json(), { published: 0, cursor });
		}
	});

	it("very many lines in one chunk are each published, in their order", async () => {
		const count = Math.ceil(20_000 * scale);
		const lines = Array.from({ length: count }, (_, i) => i).join("\n");
		for (let round = 0; round < 3; round++) { /* on the channel's worker and on others */
			const channel = fresh();
			const heard = [];
			const listener = await EventStream.open(server, `/events?channel=${channel}`,
				{ onEvent: (event) => heard.push(event) });
			await listener.until(() => listener.id, "the id where the stream begins");
			const client = await open(channel, ndjson);
			client.send(chunk(lines), chunk(""));
			await listener.until(() => heard.length >= count, "all lines");
			assert.ok(heard.every(({ data, id }, i) =>
				data === `${i}` && seqOf(id) === i + 1));
			assert.deepEqual(JSON.parse((await client.response()).text),
				{ published: count, cursor: heard.at(-1).id });
			listener.close();
			client.close();
		}
	});

	it("a line of more than 1 MiB ends it with 413 after what came before", async () => {
		const channel = fresh();
		const client = await open(channel, text);
		const listener = await NativeClient.open(server);
		await listener.subscribe(channel);
		const most = "x".repeat((1 << 20) - 2); /* it becomes a string, with its quotes */
		client.send(chunk(`one\n${most}\n`), chunk(`${most}x\nnever\n`), chunk(""));
		const answer = await client.response();
		assert.equal(answer.status, 413, answer.text);
		assert.equal(JSON.parse(answer.text).error.code, "too_large");
		assert.deepEqual(await listener.data(2), ["one", most]);
		await publish(server, channel, "after");
		assert.deepEqual(await listener.data(1), ["after"]);
		listener.close();
		client.close();
	});

	it("a body that is cut off keeps the lines that came", async () => {
		const channel = fresh();
		const listener = await NativeClient.open(server);
		await listener.subscribe(channel);
		const client = await open(channel, text);
		client.send(chunk("one\ntwo\nhal"));
		assert.deepEqual(await listener.data(2), ["one", "two"]);
		client.close();
		await until(async () => (await get(server, "/api/stats")).connections_http <= 1,
			"the connection to be gone");
		await publish(server, channel, "after");
		assert.deepEqual(await listener.data(1), ["after"]);
		assert.deepEqual(await history(server, channel), ["one", "two", "after"]);
		listener.close();
	});

	const refused = [
		["no channel", "/api/stream", text],
		["a bad channel", "/api/stream?channel=a%20b", text],
		["another type", "/api/stream?channel=c", "application/json"],
		["an event of two lines", "/api/stream?channel=c&event=a%0Ab", text],
		["a key of 256 bytes", `/api/stream?channel=c&key=${"k".repeat(256)}`, text],
	];
	for (const [claim, target, type] of refused) {
		it(`${claim} is 400`, async () => {
			const answer = await post(server, target, "x", { "content-type": type });
			assertError(answer, 400, "bad_request");
		});
	}
});

describe("api: channels", () => {
	const server = useServer({ options });
	const name = (i) => `page:${String(i).padStart(2, "0")}`;

	it("pages list each channel once, by name, over all workers", async () => {
		const ids = [];
		for (let i = 0; i < 30; i++)
			ids.push(await publish(server, name(i), 1));
		await publish(server, "pagd:before", 1);
		await publish(server, "pagf:behind", 1);
		const clients = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(async () => {
			const client = await NativeClient.open(server);
			await client.subscribe(name(7));
			return client;
		}));
		for (const limit of [1, 7, 10, 30, 1000]) {
			const listed = [];
			let more = "";
			do {
				const page = await get(server,
					`/api/channels?prefix=page%3A&limit=${limit}${more}`);
				assert.ok(page.channels.length <= limit);
				listed.push(...page.channels);
				more = page.next && `&next=${encodeURIComponent(page.next)}`;
			} while (more);
			assert.deepEqual(listed, ids.map((cursor, i) =>
				({ channel: name(i), subscribers: i === 7 ? 8 : 0, cursor })));
		}
		clients.forEach((client) => client.close());
	});

	it("channels that stay are listed once each, however many come and go meanwhile", async () => {
		const names = (stem, count) => Array.from({ length: count }, (_, i) =>
			`${stem}:${String(i).padStart(4, "0")}`);
		const stay = names("stay", 3000);
		const publishTo = (channels) => post(server, "/api/publish", { channels, data: 1 });
		for (let i = 0; i < stay.length; i += 1000)
			await publishTo(stay.slice(i, i + 1000));
		const passing = await NativeClient.open(server);
		let isOver = false;
		const churn = (async () => {
			for (let i = 0; !isOver; i++) {
				await publishTo(names(`stay:${i}`, 300));
				await passing.subscribe(`stay::${i}`);
				await passing.ask({ type: "unsubscribe", channel: `stay::${i}` });
			}
		})();
		for (const limit of [1000, 211]) {
			const listed = [];
			let more = "";
			do {
				const page = await get(server,
					`/api/channels?prefix=stay&limit=${limit}${more}`);
				listed.push(...page.channels.map(({ channel }) => channel));
				more = page.next && `&next=${encodeURIComponent(page.next)}`;
			} while (more);
			assert.deepEqual(listed.filter((channel) => /^stay:\d{4}$/.test(channel)),
				stay);
			assert.ok(listed.every((channel, i) =>
				i === 0 || listed[i - 1] < channel));
		}
		isOver = true;
		await churn;
		passing.close();
	});

	it("a page ends before what is hidden behind channels that are not there yet", async () => {
		const stay = ["hide:z0", "hide:z1", "hide:z2", "hide:z3", "hide:z4", "hide:z5"];
		await post(server, "/api/publish", { channels: stay, data: 1 });
		const clients = await Promise.all([1, 2, 3, 4].map(() => NativeClient.open(server)));
		let isOver = false;
		const churns = clients.map(async (client, k) => {
			while (!isOver) {
				for (const type of ["subscribe", "unsubscribe"])
					for (let i = 0; i < 40; i++)
						client.say({ type, channel: `hide:a${k}-${i}`, ref: type });
				let unheard = 80;
				await client.hearAll(() => --unheard === 0);
			}
		});
		for (let i = 0; i < Math.max(200 * scale, 60); i++) {
			const { channels: [first], next } = await get(server,
				"/api/channels?prefix=hide&limit=1");
			assert.ok((first?.channel ?? next) <= stay[0], `${first?.channel}, ${next}`);
		}
		isOver = true;
		await Promise.all(churns);
		clients.forEach((client) => client.close());
	});

	it("a prefix that fits nothing lists nothing", async () => {
		assert.deepEqual(await get(server, "/api/channels?prefix=nowhere"), { channels: [] });
	});

	it("one channel is shown with its subscribers of all workers", async () => {
		const channel = fresh();
		const clients = await Promise.all(Array.from({ length: 12 }, () =>
			NativeClient.open(server)));
		for (const client of clients)
			await client.subscribe(channel);
		const cursor = (await publishCount(server, channel, 3)).at(-1);
		assert.deepEqual(await get(server, `/api/channels/${channel}`),
			{ channel, subscribers: 12, cursor });
		clients.forEach((client) => client.close());
		await until(async () =>
			(await get(server, `/api/channels/${channel}`)).subscribers === 0);
	});

	it("one that nobody subscribes to and that holds nothing is 404", async () => {
		const answer = await call(server, "GET", `/api/channels/${fresh("nobody")}`);
		assertError(answer, 404, "not_found");
	});

	for (const target of ["/api/channels?limit=0", "/api/channels?limit=x",
		"/api/channels/a%20b"]) {
		it(`${target} is 400`, async () => {
			assertError(await call(server, "GET", target), 400, "bad_request");
		});
	}
});

describe("api: connections", () => {
	const server = useServer({ options });

	const open = (count) => Promise.all(Array.from({ length: count }, () =>
		NativeClient.open(server, { query: "user=ann" })));
	const target = (client, more = "") =>
		`/api/connections/${client.welcome.connection}${more}`;

	it("each is shown, whichever worker has it", async () => {
		const channels = [fresh(), fresh()];
		for (const client of await open(12)) {
			for (const channel of channels)
				await client.subscribe(channel);
			const { since, ...shown } = await get(server, target(client));
			assert.deepEqual(shown, { id: client.welcome.connection, user: "ann",
				node: client.welcome.node, transport: "websocket",
				address: "127.0.0.1", channels });
			assert.ok(Math.abs(Date.now() - since) < 60_000);
			client.close();
		}
	});

	it("one alone gets what is sent to it, without a channel", async () => {
		const [one, other] = await open(2);
		const answer = await post(server, target(one, "/send"), { data: { a: [null] } });
		assert.equal(answer.status, 200, answer.text);
		assert.deepEqual(await one.hear(), { type: "message", data: { a: [null] } });
		assert.deepEqual(await other.ask({ type: "ping", ref: 1 }), { type: "pong", ref: 1 });
		one.close();
		other.close();
	});

	it("a client that does not read cannot be sent to without end", async () => {
		const [client] = await open(1);
		client.socket.pause();
		const data = "x".repeat(1_000_000);
		let status;
		do
			status = (await post(server, target(client, "/send"), { data })).status;
		while (status === 200);
		assert.equal(status, 404);
		await until(async () =>
			(await get(server, "/api/stats")).closes_total.slow_consumer === 1, "its end");
		client.close();
	});

	it("DELETE closes it with 1008 disconnected, and then it is 404", async () => {
		for (const client of await open(12)) {
			const answer = await call(server, "DELETE", target(client));
			assert.equal(answer.status, 200, answer.text);
			assert.deepEqual(await client.closing(),
				{ code: 1008, reason: "disconnected" });
			for (const method of ["GET", "DELETE"])
				assertError(await call(server, method, target(client)), 404, "not_found");
		}
	});

	for (const id of ["x", "-", "zzz-1", "1-1", "a%20b"]) {
		it(`the id ${id} is 404`, async () => {
			for (const method of ["GET", "DELETE"]) {
				const answer = await call(server, method, `/api/connections/${id}`);
				assertError(answer, 404, "not_found");
			}
			const answer = await post(server, `/api/connections/${id}/send`, { data: 1 });
			assertError(answer, 404, "not_found");
		});
	}

	it("to send no data is 400", async () => {
		const [client] = await open(1);
		for (const body of ["", "[]", "{}", "x"])
			assertError(await post(server, target(client, "/send"), body), 400, "bad_request");
		client.close();
	});
});

describe("api: connections that are no WebSockets", () => {
	const server = useServer({ options: ["workers.count=1"] });

	/* The id of the connection of `user`, opened just behind this client's: nobody is told it. */
	async function idAfter(client, user) {
		const [boot, number] = client.welcome.connection.split("-");
		const own = [...number].reduce((sum, digit) =>
			sum * 36n + BigInt(parseInt(digit, 36)), 0n);
		for (let place = 0n; place < 8n; place++) {
			for (let generation = own & 0xffffffffn; generation < (own & 0xffffffffn) + 8n; generation++) {
				const id = `${boot}-${(place << 32n | generation).toString(36)}`;
				const answer = await call(server, "GET", `/api/connections/${id}`);
				if (answer.status === 200 && answer.json().user === user)
					return id;
			}
		}
		return assert.fail(`${user} is nowhere`);
	}

	it("over SSE what is sent comes in the format of the stream, and without an id", async () => {
		const channel = fresh();
		const before = await publish(server, channel, 1);
		const rows = [["", '"a\\nb"'], ["&format=text", "a\nb"],
			["&format=full", '{"type":"message","data":"a\\nb"}']];
		for (const [format, data] of rows) {
			const user = fresh("user");
			const client = await NativeClient.open(server);
			const stream = await EventStream.open(server,
				`/events?channel=${channel}&user=${user}${format}`);
			await stream.until(() => stream.id, "the id where the stream begins");
			const id = await idAfter(client, user);
			const answer = await post(server, `/api/connections/${id}/send`, { data: "a\nb" });
			assert.equal(answer.status, 200, answer.text);
			assert.deepEqual(await stream.next(), { event: "message", data, id: before });
			assert.equal((await get(server, `/api/connections/${id}`)).transport, "sse");
			stream.close();
			client.close();
		}
	});

	it("a poll can be seen and ended, but nothing be sent to it", async () => {
		const channel = fresh();
		const before = await publish(server, channel, 1);
		const client = await NativeClient.open(server);
		const poll = await RawClient.connect(server);
		poll.send(`GET /poll?channel=${channel}&since=${before}&user=bob HTTP/1.1\r\nHost: x\r\n\r\n`);
		await until(async () => (await get(server, "/api/stats")).connections_poll === 1);
		const id = await idAfter(client, "bob");
		const { transport, channels } = await get(server, `/api/connections/${id}`);
		assert.deepEqual([transport, channels], ["poll", [channel]]);
		assertError(await post(server, `/api/connections/${id}/send`, { data: 1 }),
			404, "not_found");
		assert.equal((await call(server, "DELETE", `/api/connections/${id}`)).status, 200);
		assert.equal((await poll.rest()).length, 0);
		client.close();
	});
});

describe("api: methods", () => {
	const server = useServer({ options });
	const rows = [
		["/api/publish", "POST"], ["/api/batch", "POST"], ["/api/stream?channel=c", "POST"],
		["/publish?channel=c", "POST"], ["/api/connections/1-1/send", "POST"],
		["/api/channels", "GET, HEAD"], ["/api/channels/c", "GET, HEAD"],
		["/api/channels/c/history", "GET, HEAD"], ["/api/stats", "GET, HEAD"],
		["/api/connections/1-1", "GET, HEAD, DELETE"],
		["/events?channel=c", "GET, HEAD"], ["/poll?channel=c", "GET, HEAD"],
	];
	for (const [target, allowed] of rows) {
		it(`${target} takes ${allowed} and OPTIONS; others are 405`, async () => {
			for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
				if (allowed.split(", ").includes(method))
					continue;
				const answer = await call(server, method, target);
				assertError(answer, 405, "method_not_allowed");
				assert.equal(answer.headers.allow, `${allowed}, OPTIONS`);
			}
			const { status, headers } = await call(server, "OPTIONS", target);
			assert.equal(status, 204);
			assert.equal(headers.allow, `${allowed}, OPTIONS`);
		});
	}

	for (const target of ["/api", "/api/", "/api/nothing", "/api/channels/", "/api/channels/c/",
		"/api/channels/c/nothing", "/api/connections/", "/api/connections/1-1/",
		"/api/connections/1-1/nothing", "/api/stats/"]) {
		it(`${target} is 404`, async () => {
			for (const method of ["GET", "POST", "DELETE"])
				assertError(await call(server, method, target), 404, "not_found");
		});
	}
});

describe("api: figures", () => {
	const server = useServer({ options });

	it("connections, subscriptions and messages are counted over all workers", async () => {
		const channel = fresh();
		const before = await get(server, "/api/stats");
		assert.equal(before.workers, 8);
		assert.equal(typeof before.node, "string");
		assert.match(before.version, /^\d+\.\d+\.\d+/);
		assert.ok(before.uptime >= 0);
		const clients = await Promise.all(Array.from({ length: 10 }, () =>
			NativeClient.open(server)));
		for (const client of clients)
			await client.subscribe(channel);
		const stream = await EventStream.open(server, `/events?channel=${channel}`);
		await stream.until(() => stream.id, "the id where the stream begins");
		for (let i = 0; i < 3; i++)
			await publish(server, channel, i, { idempotency_key: `${i >> 1}` });
		await Promise.all([...clients.map((client) => client.data(2)), stream.take(2)]);
		const after = await get(server, "/api/stats");
		const grown = Object.fromEntries(Object.keys(before).map((figure) =>
			[figure, after[figure] - before[figure]]));
		const { connections, connections_websocket, connections_sse, subscriptions } = grown;
		assert.deepEqual([connections, connections_websocket, connections_sse],
			[11, 10, 1]);
		assert.equal(subscriptions, 11);
		assert.equal(grown.messages_published_total, 2);
		assert.equal(grown.messages_delivered_total, 22);
		assert.equal(grown.duplicates_total, 1);
		clients.forEach((client) => client.close());
		stream.close();
		await until(async () => (await get(server, "/api/stats")).connections === 0,
			"all to be gone");
	});
});

describe("api: bodies of those who have no key", () => {
	const server = useServer({ options: [...options, "auth.api_key=the-key"] });
	const framings = {
		"a length": "Content-Length: 1000",
		"a length, and to be told to go on": "Content-Length: 1000\r\nExpect: 100-continue",
		"chunks": "Transfer-Encoding: chunked",
	};
	for (const target of ["/api/publish", "/api/batch", "/api/stream?channel=c",
		"/api/connections/1-1/send", "/api/stats"])
		for (const [claim, framing] of Object.entries(framings))
			it(`POST ${target} with ${claim}: refused by its head, and closed`, async () => {
				const client = await RawClient.connect(server);
				client.send(`POST ${target} HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`);
				const answer = await client.response();
				assertError(answer, 401, "unauthorized");
				assert.equal(answer.headers.connection, "close");
				assert.equal((await client.rest()).length, 0);
			});

	it("with the key it is told to go on", async () => {
		const client = await RawClient.connect(server);
		client.send("POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-key\r\n" +
			"Content-Length: 24\r\nExpect: 100-continue\r\n\r\n");
		assert.equal((await client.response()).status, 100);
		client.send('{"channel":"c","data":1}');
		assert.equal((await client.response()).status, 200);
		client.close();
	});
});

describe("api: without the key", () => {
	const server = useServer({ options: [...options, "auth.api_key=the-key"] });
	const requests = [
		["POST", "/api/publish"], ["POST", "/api/batch"], ["POST", "/api/stream?channel=c"],
		["GET", "/api/channels"], ["GET", "/api/channels/c"],
		["GET", "/api/connections/1-1"], ["DELETE", "/api/connections/1-1"],
		["POST", "/api/connections/1-1/send"], ["GET", "/api/stats"],
	];
	for (const [method, target] of requests) {
		it(`${method} ${target} is 401`, async () => {
			const body = method === "POST" ? "{}" : undefined;
			const answer = await call(server, method, target, { headers: json, body });
			assertError(answer, 401, "unauthorized");
		});
	}
});
