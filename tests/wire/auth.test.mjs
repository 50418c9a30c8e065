/* The command auth, and what happens when a token runs out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, RawClient, opcodes } from "./clients.mjs";
import {
	call, fresh, until, useServer, withServer,
} from "./harness.mjs";
import { mint, now, secret } from "./tokens.mjs";

const options = [
	`auth.jwt_secret=${secret}`, "auth.api_key=the-key",
	"channel.any:*.subscribe=any", "channel.user:*.subscribe=user",
];
const query = (claims) => ({ query: `token=${mint(claims)}` });
const backend = { Authorization: "Bearer the-key" };

async function publishAs(server, channel, data) {
	const answer = await call(server, "POST", "/api/publish",
		{ headers: backend, body: JSON.stringify({ channel, data }) });
	assert.equal(answer.status, 200, answer.text);
}

/* A second and a half from now, as claims have it. */
const soon = () => Date.now() / 1000 + 1.5;

describe("auth", () => {
	const server = useServer({ options });
	const ask = (client, claims) => client.ask({ type: "auth", token: mint(claims) });

	it("is answered by an ack with its ref, and nothing else", async () => {
		const client = await NativeClient.open(server, query());
		client.say({ type: "auth", ref: "r", token: mint() });
		assert.deepEqual(await client.hear(), { type: "ack", ref: "r" });
		client.say({ type: "auth", token: mint() });
		assert.deepEqual(await client.hear(), { type: "ack" });
		client.close();
	});

	it("gives an anonymous connection its user and rights", async () => {
		const client = await NativeClient.open(server);
		const channel = fresh();
		assert.equal((await client.ask({ type: "subscribe", channel })).code, "unauthorized");
		assert.equal((await ask(client, { allow: { [channel]: "rw" } })).type, "ack");
		await client.subscribe(channel);
		await client.subscribe("@ann");
		await client.publish(channel, 1);
		assert.equal((await client.messages(1))[0].user, "ann");
		client.close();
	});

	it("refuses another user, and changes nothing then", async () => {
		const client = await NativeClient.open(server, query({ allow: { "c": "r" } }));
		for (const claims of [{ sub: "bob", allow: { "*": "rw" } }, { sub: undefined }])
			assert.equal((await ask(client, claims)).code, "forbidden");
		await client.subscribe("@ann");
		await client.subscribe("c");
		assert.equal((await client.ask({ type: "publish", channel: "c", data: 1 })).code, "forbidden");
		client.close();
	});

	it("refuses a bad token, and leaves the connection what it is", async () => {
		const client = await NativeClient.open(server, query({ allow: { "c": "r" } }));
		for (const token of ["", "nonsense", mint({ exp: now() - 60 }), mint({}, { key: "x" }), "the-key"]) {
			const answer = await client.ask({ type: "auth", token });
			assert.equal(answer.type, "error");
			assert.equal(answer.code, "unauthorized");
		}
		await client.subscribe("c");
		client.close();
	});

	it("needs a token that is a string", async () => {
		const client = await NativeClient.open(server);
		for (const command of [{ type: "auth" }, { type: "auth", token: 5 }, { type: "auth", token: null }])
			assert.equal((await client.ask(command)).code, "bad_request");
		client.close();
	});

	it("has nothing to give to a backend", async () => {
		const client = await NativeClient.open(server, { headers: backend });
		assert.equal((await ask(client, {})).code, "forbidden");
		await client.subscribe("@anybody");
		client.close();
	});

	it("ends the subscriptions that the new token does not allow, and tells each", async () => {
		const [kept, lost, open] = [fresh(), fresh(), fresh("any:c")];
		const client = await NativeClient.open(server, query({ allow: { [kept]: "r", [lost]: "r" } }));
		for (const channel of [kept, lost, open, "@ann"])
			await client.subscribe(channel);
		client.say({ type: "auth", ref: 1, token: mint({ allow: { [kept]: "r" } }) });
		assert.deepEqual(await client.hear(), { type: "ack", ref: 1 });
		assert.deepEqual(await client.hear(),
			{ type: "unsubscribed", channel: lost, reason: "forbidden" });
		await publishAs(server, lost, "lost");
		for (const channel of [kept, open, "@ann"])
			await publishAs(server, channel, channel);
		assert.deepEqual(await client.data(3), [kept, open, "@ann"]);
		assert.equal((await client.ask({ type: "unsubscribe", channel: lost })).code, "not_subscribed");
		assert.equal((await client.ask({ type: "subscribe", channel: lost })).code, "forbidden");
		client.close();
	});

	it("counts as a message for limits.message_rate", async () => {
		await withServer({
			options: [...options, "limits.message_rate=1/s", "limits.message_burst=2"],
		}, async (limited) => {
			const client = await NativeClient.open(limited, query());
			const codes = [];
			for (let i = 0; i < 3; i++)
				codes.push((await ask(client, {})).code);
			assert.deepEqual(codes, [undefined, undefined, "rate_limited"]);
			client.close();
		});
	});
});

describe("auth: a token that runs out", { concurrency: true }, () => {
	/* No beat of the heart comes meanwhile: it is the token's own time. */
	const server = useServer({ options: [...options, "heartbeat.interval=10m", "heartbeat.timeout=1h"] });
	const expired = { code: 1008, reason: "token_expired" };

	it("closes a WebSocket that says nothing, and not before", async () => {
		const exp = soon();
		const client = await NativeClient.open(server, query({ exp, allow: { "c": "r" } }));
		await client.subscribe("c");
		assert.deepEqual(await client.closing(), expired);
		assert.ok(Date.now() / 1000 >= exp - 0.05, "too early");
	});

	it("is at its own time; at the door there is a skew, for which who comes then may stay", async () => {
		const exp = soon();
		const client = await NativeClient.open(server, query({ exp }));
		await client.closing();
		client.close();
		if (Date.now() / 1000 > exp + 4)
			return; // the machine was busy: the skew is over, or about to be
		const other = await NativeClient.open(server, query({ exp }));
		assert.deepEqual(await other.closing(), expired);
		assert.ok(Date.now() / 1000 >= exp + 4.95, "too early");
	});

	it("closes nobody whose token was refreshed", async () => {
		const client = await NativeClient.open(server, query({ exp: soon() }));
		/* whose token is the later one: when it is closed, both have run out */
		const other = await NativeClient.open(server, query({ exp: soon() }));
		assert.equal((await client.ask({ type: "auth", token: mint() })).type, "ack");
		assert.deepEqual(await other.closing(), expired);
		assert.equal((await client.ask({ type: "ping" })).type, "pong");
		client.close();
	});

	it("closes sooner when the new token runs out sooner", async () => {
		const client = await NativeClient.open(server, query());
		assert.equal((await client.ask({ type: "auth", token: mint({ exp: soon() }) })).type, "ack");
		assert.deepEqual(await client.closing(), expired);
	});

	it("closes a connection that became somebody by auth", async () => {
		const client = await NativeClient.open(server);
		await client.ask({ type: "auth", token: mint({ exp: soon() }) });
		assert.deepEqual(await client.closing(), expired);
	});

	it("ends an event stream, and it does not come again", async () => {
		const token = mint({ exp: soon(), allow: { "c": "r" } });
		const stream = await EventStream.open(server, `/events?channel=c&token=${token}`);
		assert.equal(stream.status, 200);
		await until(() => stream.isClosed, "the end of the stream");
		assert.ok(Date.now() / 1000 >= JSON.parse(Buffer.from(token.split(".")[1], "base64url")).exp - 0.05);
		assert.deepEqual(stream.events, []);
	});

	it("answers a poll that waits with 401, and the connection goes on", async () => {
		const token = mint({ exp: soon(), allow: { "c": "r" } });
		const first = await call(server, "GET", `/poll?channel=c&token=${token}`);
		const { cursor } = first.json();
		const client = await RawClient.connect(server);
		client.send(`GET /poll?channel=c&wait=50&since=${cursor}&token=${token} HTTP/1.1\r\nHost: x\r\n\r\n`);
		const { status, text } = await client.response();
		assert.equal(status, 401);
		assert.match(JSON.parse(text).error.message, /expired/);
		client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
		assert.equal((await client.response()).status, 200);
		client.close();
	});

	it("a poll that is over before is answered as ever", async () => {
		const token = mint({ exp: now() + 30, allow: { "c": "r" } });
		const { cursor } = (await call(server, "GET", `/poll?channel=c&token=${token}`)).json();
		const answer = await call(server, "GET", `/poll?channel=c&wait=1&since=${cursor}&token=${token}`);
		assert.equal(answer.status, 200);
	});

	it("is counted by its reason", async () => {
		await withServer({ options }, async (own) => {
			const count = async () => (await call(own, "GET", "/api/stats", { headers: backend }))
				.json().closes_total.token_expired;
			assert.equal(await count(), 0);
			const client = await NativeClient.open(own, query({ exp: soon() }));
			await client.closing();
			assert.equal(await until(count, "it to be counted"), 1);
		});
	});

	it("has its say between beats of the heart", async () => {
		await withServer({
			options: [...options, "heartbeat.interval=200ms", "heartbeat.timeout=1h"],
		}, async (beating) => {
			const client = await NativeClient.open(beating, query({ exp: soon() }));
			let pings = 0, last;
			while ((last = await client.frame()).opcode === opcodes.ping)
				pings++;
			assert.equal(last.opcode, opcodes.close);
			assert.ok(pings > 0, "no ping came");
		});
	});
});
