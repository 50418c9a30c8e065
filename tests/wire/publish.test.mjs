/* Publishing over HTTP: as a client, and through the server API with and without a key. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import { assertError, call, fresh, publish, useServer } from "./harness.mjs";

const json = { "content-type": "application/json" };

function post(server, target, body, headers = json) {
	return call(server, "POST", target, { headers, body });
}

/* What a subscriber of a fresh channel hears after send(channel): the message. */
async function heardAfter(server, send) {
	const client = await NativeClient.open(server);
	const channel = fresh();
	await client.subscribe(channel);
	const answer = await send(channel);
	assert.equal(answer.status, 200, answer.text);
	const [message] = await client.messages(1);
	assert.deepEqual(answer.json(), { id: message.id, duplicate: false });
	client.close();
	return message;
}

describe("publish: as a client", () => {
	const server = useServer();
	const bodies = [
		["JSON", "application/json", '{"a":[1,"é"]}', { a: [1, "é"] }],
		["JSON with a charset", "application/json; charset=utf-8", "[1]", [1]],
		["JSON in capitals", "Application/JSON", "null", null],
		["JSON with blanks around", "application/json", " \n1\t", 1],
		["text", "text/plain", "two\nlines é", "two\nlines é"],
		["text that looks like JSON", "text/plain; charset=utf-8", '{"a":1}', '{"a":1}'],
		["any kind of text", "text/markdown", '"quoted" \\', '"quoted" \\'],
		["empty text", "text/plain", "", ""],
	];
	for (const [claim, type, body, data] of bodies) {
		it(`a body of ${claim} is the data`, async () => {
			const message = await heardAfter(server, (channel) =>
				post(server, `/publish?channel=${channel}`, body,
					{ "content-type": type }));
			assert.deepEqual(message.data, data);
		});
	}

	it("event is a parameter", async () => {
		const message = await heardAfter(server, (channel) =>
			post(server, `/publish?channel=${channel}&event=price+%26%20more`, "1"));
		assert.equal(message.event, "price & more");
	});

	it("user is a parameter in open mode", async () => {
		const message = await heardAfter(server, (channel) =>
			post(server, `/publish?channel=${channel}&user=ann`, "1"));
		assert.equal(message.user, "ann");
	});

	it("a channel may be written with percents", async () => {
		const client = await NativeClient.open(server);
		await client.subscribe("a/b&c+d");
		await post(server, "/publish?channel=a%2Fb%26c%2Bd", "1");
		assert.deepEqual(await client.data(1), [1]);
		client.close();
	});

	it("ids rise by one in a channel", async () => {
		const target = `/publish?channel=${fresh()}`;
		const ids = [];
		for (let i = 0; i < 3; i++)
			ids.push((await post(server, target, "1")).json().id);
		const [epoch] = ids[0].split("-");
		assert.deepEqual(ids, [1, 2, 3].map((seq) => `${epoch}-${seq}`));
	});

	const refused = [
		["no channel", "/publish", "1"],
		["a bad channel", "/publish?channel=a%20b", "1"],
		["an empty body as JSON", "/publish?channel=c", ""],
		["half a body of JSON", "/publish?channel=c", '{"a":'],
		["two values", "/publish?channel=c", "1 2"],
		["JSON that is not UTF-8", "/publish?channel=c", Buffer.from([0x22, 0xff, 0x22])],
		["33 levels", "/publish?channel=c", "[".repeat(33) + "]".repeat(33)],
	];
	for (const [claim, target, body] of refused) {
		it(`${claim} is 400`, async () => {
			assertError(await post(server, target, body), 400, "bad_request");
		});
	}

	it("text that is not UTF-8 is 400", async () => {
		const answer = await post(server, "/publish?channel=c", Buffer.from([0xc3, 0x28]),
			{ "content-type": "text/plain" });
		assertError(answer, 400, "bad_request");
	});

	it("a body over message_size is 413", async () => {
		const answer = await post(server, "/publish?channel=c", `"${"x".repeat(65536)}"`);
		assertError(answer, 413, "too_large");
	});
});

describe("publish: server API", () => {
	const server = useServer();
	const api = (command) => post(server, "/api/publish", JSON.stringify(command));

	it("delivers data, event and user", async () => {
		const message = await heardAfter(server, (channel) =>
			api({ channel, data: { a: [null] }, event: "e", user: "ann" }));
		assert.deepEqual(message.data, { a: [null] });
		assert.equal(message.event, "e");
		assert.equal(message.user, "ann");
	});

	it("null is data", async () => {
		const message = await heardAfter(server, (channel) => api({ channel, data: null }));
		assert.equal(message.data, null);
	});

	it("except leaves out one connection", async () => {
		const channel = fresh();
		const one = await NativeClient.open(server);
		const other = await NativeClient.open(server);
		await one.subscribe(channel);
		await other.subscribe(channel);
		await publish(server, channel, "for others", { except: one.welcome.connection });
		await publish(server, channel, "for all");
		assert.deepEqual(await one.data(1), ["for all"]);
		assert.deepEqual(await other.data(2), ["for others", "for all"]);
		one.close();
		other.close();
	});

	const refused = [
		["no channel", '{"data":1}'],
		["no data", '{"channel":"c"}'],
		["a channel that is a number", '{"channel":1,"data":1}'],
		["a bad channel", '{"channel":"a b","data":1}'],
		["an event that is a number", '{"channel":"c","data":1,"event":1}'],
		["a user that is a number", '{"channel":"c","data":1,"user":1}'],
		["a list", "[]"],
		["text", "hello"],
		["nothing", ""],
	];
	for (const [claim, body] of refused) {
		it(`${claim} is 400`, async () => {
			assertError(await post(server, "/api/publish", body), 400, "bad_request");
		});
	}
});

describe("publish: with API keys", () => {
	const server = useServer({ options: ["auth.api_key=first-key, second-key"] });
	const bearer = (key) => ({ ...json, authorization: `Bearer ${key}` });
	const body = '{"channel":"keyed","data":1}';

	for (const key of ["first-key", "second-key"]) {
		it(`${key} is accepted`, async () => {
			const answer = await post(server, "/api/publish", body, bearer(key));
			assert.equal(answer.status, 200);
		});
	}

	const refused = [
		["no key", json],
		["another key", bearer("third-key")],
		["a part of a key", bearer("first-ke")],
		["a key and more", bearer("first-key1")],
		["both keys as one", bearer("first-key, second-key")],
		["an empty key", bearer("")],
		["another scheme", { ...json, authorization: "Basic first-key" }],
	];
	for (const [claim, headers] of refused) {
		it(`${claim} is 401`, async () => {
			const answer = await post(server, "/api/publish", body, headers);
			assertError(answer, 401, "unauthorized");
		});
	}

	it("history needs the key too", async () => {
		const target = "/api/channels/keyed/history";
		assertError(await call(server, "GET", target), 401, "unauthorized");
		const answer = await call(server, "GET", target, { headers: bearer("first-key") });
		assert.equal(answer.status, 200);
	});

	it("publishing as a client needs a token", async () => {
		assertError(await post(server, "/publish?channel=c", "1"), 401, "unauthorized");
	});

	it("polling and events need a token", async () => {
		for (const target of ["/poll?channel=c", "/events?channel=c"])
			assertError(await call(server, "GET", target), 401, "unauthorized");
	});

	it("a client without a token connects, and is told unauthorized", async () => {
		const client = await NativeClient.open(server);
		for (const command of [{ type: "subscribe", channel: "c" },
			{ type: "publish", channel: "c", data: 1 }]) {
			const answer = await client.ask(command);
			assert.equal(answer.code, "unauthorized");
		}
		client.close();
	});

	it("the key makes a client a backend, which may do everything", async () => {
		const client = await NativeClient.open(server, { headers: bearer("second-key") });
		await client.subscribe("c");
		await client.publish("c", 1);
		assert.deepEqual(await client.data(1), [1]);
		client.close();
		const answer = await post(server, "/publish?channel=c", "2", bearer("first-key"));
		assert.equal(answer.status, 200);
		const polled = await call(server, "GET", "/poll?channel=c",
			{ headers: bearer("first-key") });
		assert.equal(polled.status, 200);
	});

	it("/health and /ready need no key", async () => {
		for (const target of ["/health", "/ready"])
			assert.equal((await call(server, "GET", target)).status, 200);
	});
});
