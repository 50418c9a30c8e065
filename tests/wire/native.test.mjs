/* The protocol starling.v1 of a WebSocket, line by line. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient, RawWebSocket, frame, opcodes } from "./clients.mjs";
import {
	call, epochOf, fresh, publish, publishCount, seqOf, until, useServer,
} from "./harness.mjs";

const anId = /^[0-9a-z]{1,16}-[1-9][0-9]*$/;
const aNewCursor = /^[0-9a-z]{1,16}-0$/;

describe("native: welcome", () => {
	const server = useServer();

	it("names connection, node and heartbeat", async () => {
		const client = await NativeClient.open(server);
		assert.equal(typeof client.welcome.connection, "string");
		assert.equal(typeof client.welcome.node, "string");
		assert.equal(client.welcome.heartbeat, 25);
		client.close();
	});

	it("each connection has an id of its own, on one node", async () => {
		const clients = await Promise.all(
			[1, 2, 3, 4].map(() => NativeClient.open(server)));
		const ids = new Set(clients.map(({ welcome }) => welcome.connection));
		assert.equal(ids.size, 4);
		assert.equal(new Set(clients.map(({ welcome }) => welcome.node)).size, 1);
		clients.forEach((client) => client.close());
	});

	it("names the user of ?user=NAME in open mode", async () => {
		const client = await NativeClient.open(server, { query: "user=ann" });
		assert.equal(client.welcome.user, "ann");
		client.close();
	});

	it("names no user of an anonymous client", async () => {
		const client = await NativeClient.open(server);
		assert.ok(client.welcome.user === undefined || client.welcome.user === null);
		client.close();
	});
});

describe("native: refs", () => {
	const server = useServer();
	const refs = ["0", "1", "-7", "1.5", "12345678901234567890", '""', '"a"', '"é\\n\\""',
		'"\\u0000"'];
	for (const ref of refs) {
		it(`the ref ${ref} is echoed`, async () => {
			const client = await NativeClient.open(server);
			client.say(`{"type":"ping","ref":${ref}}`);
			const answer = await client.hearText();
			assert.equal(JSON.parse(answer).type, "pong");
			assert.equal(JSON.parse(answer).ref, JSON.parse(ref));
			if (/\d/.test(ref[0]))
				assert.match(answer, new RegExp(`"ref":\\s*${ref}[,}]`));
			client.close();
		});
	}

	it("without ref the answers carry none", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const commands = [
			[{ type: "ping" }, "pong"],
			[{ type: "subscribe", channel }, "subscribed"],
			[{ type: "publish", channel, data: 1, echo: false }, "ack"],
			[{ type: "history", channel }, "history"],
			[{ type: "unsubscribe", channel }, "unsubscribed"],
			[{ type: "unsubscribe", channel }, "error"],
			[{ type: "nonsense" }, "error"],
		];
		for (const [command, type] of commands) {
			client.say(command);
			const answer = await client.hear();
			assert.equal(answer.type, type);
			assert.ok(!("ref" in answer), JSON.stringify(answer));
		}
		client.close();
	});

	it("commands in one segment are answered in order", async () => {
		const client = await NativeClient.open(server);
		client.send(...[1, 2, 3, 4, 5].map((ref) =>
			frame(opcodes.text, JSON.stringify({ type: "ping", ref }))));
		for (const ref of [1, 2, 3, 4, 5])
			assert.deepEqual(await client.hear(), { type: "pong", ref });
		client.close();
	});
});

/* Nested arrays so that the whole command has `levels` of them, its own object being the first. */
function nested(levels) {
	const data = "[".repeat(levels - 1) + "]".repeat(levels - 1);
	return `{"type":"publish","ref":1,"channel":"deep","data":${data}}`;
}

/* Each row: a claim, a command (1 as its ref when it has one), the code of the error. */
const refusals = [
	["text that is not JSON", "hello"],
	["an empty message", ""],
	["half of an object", '{"type":"ping"'],
	["an object and more", '{"type":"ping"} x'],
	["a comma too many", '{"type":"ping",}'],
	["an array", "[]"],
	["a string", '"ping"'],
	["a number", "1"],
	["no type", { ref: 1 }],
	["a type that is a number", { type: 1, ref: 1 }],
	["an unknown type", { type: "shout", ref: 1 }],
	["a type in capitals", { type: "PING", ref: 1 }],
	["a ref that is an object", { type: "ping", ref: {} }],
	["a ref that is an array", { type: "ping", ref: [1] }],
	["a ref that is a boolean", { type: "ping", ref: true }],
	["a ref that is null", { type: "ping", ref: null }],
	["33 levels", nested(33)],
	["a thousand levels", nested(1000)],
	["to subscribe to nothing", { type: "subscribe", ref: 1 }],
	["to subscribe to a number", { type: "subscribe", ref: 1, channel: 5 }],
	["to subscribe to a list", { type: "subscribe", ref: 1, channel: ["a"] }],
	["a channel of no bytes", { type: "subscribe", ref: 1, channel: "" }],
	["a channel of 201 bytes", { type: "subscribe", ref: 1, channel: "c".repeat(201) }],
	["a channel with a space", { type: "subscribe", ref: 1, channel: "a b" }],
	["a channel with a comma", { type: "subscribe", ref: 1, channel: "a,b" }],
	["a channel with a quote", { type: "subscribe", ref: 1, channel: 'a"b' }],
	["a channel with a backslash", { type: "subscribe", ref: 1, channel: "a\\b" }],
	["a channel with a control character", { type: "subscribe", ref: 1, channel: "a\nb" }],
	["a channel that is not ASCII", { type: "subscribe", ref: 1, channel: "café" }],
	["a since that is a number", { type: "subscribe", ref: 1, channel: "c", since: 7 }],
	...["", "abc", "abc-", "-1", "-", "ABC-1", "a_b-1", "abc-1-2", "abc--1", "abc-1x", "abc-+1",
		`${"e".repeat(17)}-1`, "abc-1,abc-2", "START", " abc-1"]
		.map((since) => [`the cursor ${JSON.stringify(since)}`,
			{ type: "subscribe", ref: 1, channel: "c", since }]),
	["to publish nowhere", { type: "publish", ref: 1, data: 1 }],
	["to publish no data", { type: "publish", ref: 1, channel: "c" }],
	["to publish to a bad channel", { type: "publish", ref: 1, channel: "a b", data: 1 }],
	["an event that is a number", { type: "publish", ref: 1, channel: "c", data: 1, event: 1 }],
	["an echo that is a string",
		{ type: "publish", ref: 1, channel: "c", data: 1, echo: "no" }],
	["to unsubscribe from nothing", { type: "unsubscribe", ref: 1 }],
	["to unsubscribe where one is not subscribed",
		{ type: "unsubscribe", ref: 1, channel: "never" },
		"not_subscribed"],
	["to resume nothing", { type: "resume", ref: 1 }],
	["to resume a list", { type: "resume", ref: 1, channels: ["c"] }],
	["to resume from a number", { type: "resume", ref: 1, channels: { c: 1 } }],
	["to resume from a malformed cursor", { type: "resume", ref: 1, channels: { c: "abc" } }],
	["the history of nothing", { type: "history", ref: 1 }],
	["a history since a malformed cursor",
		{ type: "history", ref: 1, channel: "c", since: "abc" }],
	["a limit that is a string", { type: "history", ref: 1, channel: "c", limit: "5" }],
	["a negative limit", { type: "history", ref: 1, channel: "c", limit: -1 }],
	["a limit that is not whole", { type: "history", ref: 1, channel: "c", limit: 1.5 }],
];

describe("native: refusals", () => {
	const server = useServer();
	for (const [claim, command, code = "bad_request"] of refusals) {
		it(`${claim} is ${code}, and closes nothing`, async () => {
			const client = await NativeClient.open(server);
			client.say(command);
			client.say({ type: "ping", ref: "after" });
			const error = await client.hear();
			assert.equal(error.type, "error");
			assert.equal(error.code, code);
			assert.equal(typeof error.message, "string");
			assert.equal(error.ref,
				command.ref === 1 || error.ref === 1 ? 1 : undefined);
			assert.deepEqual(await client.hear(), { type: "pong", ref: "after" });
			client.close();
		});
	}

	it("32 levels are accepted", async () => {
		const client = await NativeClient.open(server);
		client.say(nested(32));
		assert.equal((await client.hear()).type, "ack");
		client.close();
	});

	it("a channel of 200 bytes and any other character is accepted", async () => {
		const client = await NativeClient.open(server);
		const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
			.filter((character) => !',"\\@'.includes(character)).join("");
		await client.subscribe("c".repeat(200));
		assert.equal((await client.subscribe(printable)).channel, printable);
		client.close();
	});

	it("unknown fields are ignored", async () => {
		const client = await NativeClient.open(server);
		client.say('{"type":"ping","ref":1,"colour":{"a":[1,2,{"b":null}]}}');
		assert.deepEqual(await client.hear(), { type: "pong", ref: 1 });
		client.close();
	});

	it("of a field given twice the last one holds", async () => {
		const client = await NativeClient.open(server);
		client.say('{"type":"nonsense","ref":1,"type":"ping","ref":2}');
		assert.deepEqual(await client.hear(), { type: "pong", ref: 2 });
		client.close();
	});

	it("names may be escaped and blanks stand anywhere", async () => {
		const client = await NativeClient.open(server);
		client.say('\n{ "ty\\u0070e" :\t"\\u0070ing" , "r\\u0065f":1 }\r\n');
		assert.deepEqual(await client.hear(), { type: "pong", ref: 1 });
		client.close();
	});
});

describe("native: subscribing", () => {
	const server = useServer();

	it("a new channel has the cursor EPOCH-0", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const answer = await client.ask({ type: "subscribe", ref: 9, channel });
		assert.equal(answer.type, "subscribed");
		assert.equal(answer.ref, 9);
		assert.equal(answer.channel, channel);
		assert.match(answer.cursor, aNewCursor);
		assert.ok(!("recovered" in answer));
		client.close();
	});

	it("a plain subscribe has the head as its cursor, and no old message", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const ids = await publishCount(server, channel, 3);
		assert.equal((await client.subscribe(channel)).cursor, ids[2]);
		await publish(server, channel, "live");
		assert.deepEqual(await client.data(1), ["live"]);
		client.close();
	});

	it("ids count from 1 in one epoch", async () => {
		const channel = fresh();
		const ids = await publishCount(server, channel, 3);
		ids.forEach((id) => assert.match(id, anId));
		assert.deepEqual(ids.map(seqOf), [1, 2, 3]);
		assert.equal(new Set(ids.map(epochOf)).size, 1);
	});

	it("a message has channel, id, data and the time", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		const id = await publish(server, channel, { price: 7 });
		const [message] = await client.messages(1);
		const { ts, ...others } = message;
		assert.deepEqual(others, { type: "message", channel, id, data: { price: 7 } });
		assert.ok(Number.isInteger(ts));
		assert.ok(Math.abs(ts - Date.now()) < 60_000, `${ts}`);
		client.close();
	});

	it("subscribing twice answers again and changes nothing", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		const id = await publish(server, channel, "a");
		assert.deepEqual(await client.data(1), ["a"]);
		assert.equal((await client.subscribe(channel)).cursor, id);
		await publish(server, channel, "b");
		await publish(server, channel, "c");
		assert.deepEqual(await client.data(2), ["b", "c"]);
		client.close();
	});

	it("the answer comes before the channel's messages", async () => {
		const publisher = await NativeClient.open(server);
		const channel = fresh();
		for (let round = 0; round < 20; round++) {
			const client = await NativeClient.open(server);
			client.say({ type: "subscribe", channel, since: "start" });
			publisher.say({ type: "publish", channel, data: round });
			const answer = await client.hear();
			assert.equal(answer.type, "subscribed");
			const messages = await client.messages(round + 1);
			assert.deepEqual(messages.map(({ data }) => data),
				[...Array(round + 1).keys()]);
			client.close();
		}
		publisher.close();
	});

	it("unsubscribing ends the messages, and they can begin again", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		await publish(server, channel, "heard");
		assert.deepEqual(await client.data(1), ["heard"]);
		const answer = await client.ask({ type: "unsubscribe", ref: "u", channel });
		assert.deepEqual(answer, { type: "unsubscribed", ref: "u", channel });
		const id = await publish(server, channel, "missed");
		assert.equal((await client.subscribe(channel)).cursor, id);
		await publish(server, channel, "heard again");
		assert.deepEqual(await client.data(1), ["heard again"]);
		client.close();
	});

	it("unsubscribing twice is not_subscribed", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		await client.ask({ type: "unsubscribe", channel });
		const answer = await client.ask({ type: "unsubscribe", channel });
		assert.equal(answer.code, "not_subscribed");
		client.close();
	});

	it("channels are kept apart", async () => {
		const client = await NativeClient.open(server);
		const channels = [fresh(), fresh(), fresh()];
		for (const channel of channels)
			await client.subscribe(channel);
		for (const channel of [...channels, ...channels]) {
			await publish(server, channel, `to ${channel}`);
			const [message] = await client.messages(1);
			assert.equal(message.channel, channel);
			assert.equal(message.data, `to ${channel}`);
		}
		client.close();
	});

	it("@USER is for that user's connections alone", async () => {
		const users = { "user=ann": true, "user=bob": false, "": false };
		for (const [query, isAllowed] of Object.entries(users)) {
			const client = await NativeClient.open(server, { query });
			const answer = await client.ask({ type: "subscribe", channel: "@ann" });
			assert.equal(answer.type, isAllowed ? "subscribed" : "error");
			if (!isAllowed)
				assert.ok(["forbidden", "unauthorized"].includes(answer.code),
					answer.code);
			client.close();
		}
	});

	it("@USER reaches each of the user's connections", async () => {
		const clients = await Promise.all([1, 2, 3].map(() =>
			NativeClient.open(server, { query: "user=cleo" })));
		for (const client of clients)
			await client.subscribe("@cleo");
		await publish(server, "@cleo", "psst");
		for (const client of clients)
			assert.deepEqual(await client.data(1), ["psst"]);
		clients.forEach((client) => client.close());
	});
});

describe("native: publishing", () => {
	const server = useServer();

	it("is answered with the id of the message", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const answer = await client.ask({ type: "publish", ref: 3, channel, data: 1 });
		assert.match(answer.id, anId);
		assert.deepEqual(answer, { type: "ack", ref: 3, id: answer.id, duplicate: false });
		client.close();
	});

	it("does not subscribe", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.publish(channel, "mine");
		const id = await publish(server, channel, "another's");
		assert.equal((await client.subscribe(channel)).cursor, id);
		await publish(server, channel, "live");
		assert.deepEqual(await client.data(1), ["live"]);
		client.close();
	});

	it("reaches the publisher too when it is subscribed", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		const id = await client.publish(channel, "mine");
		const [message] = await client.messages(1);
		assert.equal(message.id, id);
		assert.equal(message.data, "mine");
		client.close();
	});

	it("with echo:false reaches all but the publisher", async () => {
		const client = await NativeClient.open(server);
		const other = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		await other.subscribe(channel);
		await client.publish(channel, "quiet", { echo: false });
		await client.publish(channel, "loud", { echo: true });
		assert.deepEqual(await client.data(1), ["loud"]);
		assert.deepEqual(await other.data(2), ["quiet", "loud"]);
		client.close();
		other.close();
	});

	it("carries the event", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		await client.subscribe(channel);
		await client.publish(channel, 1, { event: "price-update" });
		await client.publish(channel, 2);
		const [named, plain] = await client.messages(2);
		assert.equal(named.event, "price-update");
		assert.ok(!("event" in plain));
		client.close();
	});

	it("carries the user who published", async () => {
		const ann = await NativeClient.open(server, { query: "user=ann" });
		const nobody = await NativeClient.open(server);
		const channel = fresh();
		await nobody.subscribe(channel);
		await ann.publish(channel, 1);
		await nobody.publish(channel, 2);
		const [named, plain] = await nobody.messages(2);
		assert.equal(named.user, "ann");
		assert.ok(!("user" in plain));
		ann.close();
		nobody.close();
	});

	it("keeps what one connection publishes in order", async () => {
		const client = await NativeClient.open(server);
		const other = await NativeClient.open(server);
		const channel = fresh();
		await other.subscribe(channel);
		client.send(...Array.from({ length: 500 }, (_, data) =>
			frame(opcodes.text, JSON.stringify({ type: "publish", channel, data }))));
		assert.deepEqual(await other.data(500), [...Array(500).keys()]);
		client.close();
		other.close();
	});

	const values = ["null", "true", "false", "0", "-0.5e-3", "12345678901234567890", '""',
		'"é\\u00e9"', '"\\ud83d\\ude00 😀"', '"line\\nbreak \\u0000 \\u2028"', "[]",
		"{}", '{"a":[1,{"b":null}],"":""}', `"${"x".repeat(60000)}"`];
	for (const value of values) {
		it(`delivers ${value.slice(0, 40)} as it is`, async () => {
			const client = await NativeClient.open(server);
			const channel = fresh();
			await client.subscribe(channel);
			client.say(`{"type":"publish","channel":"${channel}","data":${value}}`);
			let text = await client.hearText();
			if (JSON.parse(text).type === "ack")
				text = await client.hearText();
			assert.deepEqual(JSON.parse(text).data, JSON.parse(value));
			if (/^-?\d/.test(value))
				assert.ok(text.includes(value), "a number keeps its digits");
			client.close();
		});
	}
});

describe("native: since", () => {
	const server = useServer({ config: "[channel short:*]\nhistory_size = 3\n"
		+ "[channel none:*]\nhistory_size = 0\n[channel brief:*]\nhistory_ttl = 200ms\n" });

	/*
	 * Each row: a claim, the channel's kind, what is published before, the cursor to resume
	 * from, and what the answer says: recovered, its cursor, the data of the messages that
	 * follow at once. Cursors are numbers in the channel's epoch; "start" and another epoch
	 * stand for themselves.
	 */
	const cases = [
		["the head has missed nothing", "any", 5, 5, true, 5, []],
		["one behind misses one", "any", 5, 4, true, 4, [5]],
		["the middle misses the rest", "any", 5, 2, true, 2, [3, 4, 5]],
		["0 misses all", "any", 5, 0, true, 0, [1, 2, 3, 4, 5]],
		["start is all that is held", "any", 5, "start", true, 0, [1, 2, 3, 4, 5]],
		["start of a new channel is empty", "any", 0, "start", true, 0, []],
		["start of a short history is recovered", "short", 5, "start", true, 2, [3, 4, 5]],
		["the place before the oldest is recovered", "short", 5, 2, true, 2, [3, 4, 5]],
		["one older than the history is a gap", "short", 5, 1, false, 2, [3, 4, 5]],
		["0 of a history that moved on is a gap", "short", 5, 0, false, 2, [3, 4, 5]],
		["ahead of the head is a gap", "any", 5, 6, false, 0, [1, 2, 3, 4, 5]],
		["far ahead of the head is a gap", "any", 2, 2 ** 53, false, 0, [1, 2]],
		["another epoch is a gap", "any", 5, "zzz-2", false, 0, [1, 2, 3, 4, 5]],
		["another epoch's 0 is a gap", "any", 2, "zzz-0", false, 0, [1, 2]],
		["another epoch in a new channel is a gap", "any", 0, "zzz-7", false, 0, []],
		["the head without a history has missed nothing", "none", 3, 3, true, 3, []],
		["behind without a history is a gap", "none", 3, 2, false, 3, []],
	];
	for (const [claim, kind, count, since, recovered, cursor, data] of cases) {
		it(claim, async () => {
			const keeper = await NativeClient.open(server);
			const client = await NativeClient.open(server);
			const channel = fresh(`${kind}:c`);
			const epoch = epochOf((await keeper.subscribe(channel)).cursor);
			await publishCount(server, channel, count);
			const from = typeof since === "number" ? `${epoch}-${since}` : since;
			const answer = await client.subscribe(channel, { since: from });
			assert.equal(answer.recovered, recovered);
			assert.equal(answer.cursor, `${epoch}-${cursor}`);
			await publish(server, channel, "live");
			assert.deepEqual(await client.data(data.length + 1), [...data, "live"]);
			keeper.close();
			client.close();
		});
	}

	it("history past its time is a gap", async () => {
		const keeper = await NativeClient.open(server);
		const client = await NativeClient.open(server);
		const channel = fresh("brief:c");
		const { cursor } = await keeper.subscribe(channel);
		const head = await publish(server, channel, "gone soon");
		await until(async () =>
			(await client.ask({ type: "history", channel })).messages.length === 0);
		const answer = await client.subscribe(channel, { since: cursor });
		assert.equal(answer.recovered, false);
		assert.equal(answer.cursor, head);
		keeper.close();
		client.close();
	});

	it("of messages that were replayed none comes twice", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		const [id] = await publishCount(server, channel, 3);
		await client.subscribe(channel, { since: id });
		assert.deepEqual(await client.data(2), [2, 3]);
		await client.subscribe(channel);
		await publish(server, channel, 4);
		assert.deepEqual(await client.data(1), [4]);
		client.close();
	});
});

describe("native: resume", () => {
	const server = useServer();

	it("answers for each channel, then brings what each missed", async () => {
		const client = await NativeClient.open(server);
		const wanted = {};
		const channels = {};
		for (const missed of [0, 1, 4]) {
			const channel = fresh();
			const ids = await publishCount(server, channel, 5);
			channels[channel] = ids[4 - missed];
			wanted[channel] = [1, 2, 3, 4, 5].slice(5 - missed);
		}
		client.say({ type: "resume", ref: 4, channels });
		const heard = Object.fromEntries(
			Object.keys(channels).map((channel) => [channel, null]));
		for (let left = 3 + 5; left > 0; left--) {
			const object = await client.hear();
			if (object.type === "subscribed") {
				assert.equal(heard[object.channel], null);
				assert.equal(object.ref, 4);
				assert.equal(object.recovered, true);
				assert.equal(object.cursor, channels[object.channel]);
				heard[object.channel] = [];
			} else {
				assert.equal(object.type, "message");
				heard[object.channel].push(object.data);
			}
		}
		assert.deepEqual(heard, wanted);
		client.close();
	});

	it("tells recovered for each channel by itself", async () => {
		const client = await NativeClient.open(server);
		const [good, bad] = [fresh(), fresh()];
		const id = await publish(server, good, 1);
		await publish(server, bad, 2);
		client.say({ type: "resume", ref: "r", channels: { [good]: id, [bad]: "zzz-1" } });
		const answers = {};
		for (let left = 3; left > 0; left--) {
			const object = await client.hear();
			if (object.type === "subscribed")
				answers[object.channel] = object.recovered;
			else
				assert.equal(object.channel, bad);
		}
		assert.deepEqual(answers, { [good]: true, [bad]: false });
		client.close();
	});

	it("refuses a channel by itself, with ref and channel", async () => {
		const client = await NativeClient.open(server);
		const [good, bad] = [fresh(), "@someone"];
		const id = await publish(server, good, 1);
		client.say({ type: "resume", ref: "r", channels: { [bad]: "zzz-1", [good]: id } });
		const answers = [await client.hear(), await client.hear()];
		const error = answers.find(({ type }) => type === "error");
		assert.equal(error.ref, "r");
		assert.equal(error.channel, bad);
		const subscribed = answers.find(({ type }) => type === "subscribed");
		assert.equal(subscribed.channel, good);
		assert.equal(subscribed.recovered, true);
		client.close();
	});
});

describe("native: heartbeat", () => {
	const server = useServer({ options: ["heartbeat.interval=300ms", "heartbeat.timeout=1s"] });

	it("a silent connection is pinged, and is dead when it stays silent", async () => {
		const client = await RawWebSocket.open(server);
		assert.equal((await client.frame()).opcode, opcodes.text);
		assert.equal((await client.frame()).opcode, opcodes.ping);
		await client.rest();
	});

	it("a connection that answers lives on", async () => {
		const client = await NativeClient.open(server);
		for (let pings = 0; pings < 6; pings++) {
			const next = await client.frame();
			assert.equal(next.opcode, opcodes.ping);
			client.send(frame(opcodes.pong, next.payload));
		}
		assert.equal((await client.ask({ type: "ping" })).type, "pong");
		client.close();
	});

	it("any message from the client is a sign of life", async () => {
		const client = await NativeClient.open(server);
		for (let pings = 0; pings < 6; pings++) {
			while ((await client.frame()).opcode !== opcodes.ping)
				;
			client.say({ type: "ping" });
		}
		client.close();
	});
});

describe("native: rights", () => {
	const server = useServer({ config: "[channel sealed:*]\nsubscribe = none\npublish = none\n"
		+ "[channel read:*]\npublish = none\n" });

	it("nobody subscribes where the rule is none", async () => {
		const client = await NativeClient.open(server);
		const answer = await client.ask({ type: "subscribe", channel: "sealed:a" });
		assert.equal(answer.type, "error");
		assert.equal(answer.code, "unauthorized");
		client.close();
	});

	it("nobody publishes where the rule is none, but the server API does", async () => {
		const client = await NativeClient.open(server);
		await client.subscribe("read:a");
		const answer = await client.ask({ type: "publish", channel: "read:a", data: 1 });
		assert.equal(answer.code, "unauthorized");
		await publish(server, "read:a", "from above");
		assert.deepEqual(await client.data(1), ["from above"]);
		client.close();
	});

	it("the same holds over HTTP", async () => {
		const paths = ["/poll?channel=sealed:a", "/events?channel=sealed:a"];
		for (const path of paths)
			assert.equal((await call(server, "GET", path)).status, 401);
		const answer = await call(server, "POST", "/publish?channel=read:a",
			{ headers: { "content-type": "application/json" }, body: "1" });
		assert.equal(answer.status, 401);
	});
});
