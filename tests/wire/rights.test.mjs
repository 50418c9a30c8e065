/* Who may do what in a channel: each rule with each right, over each way there is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventStream, NativeClient, frame, opcodes } from "./clients.mjs";
import { assertError, call, fresh, publish, useServer, withServer } from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";

const rules = ["any", "user", "token", "none"].flatMap((who) => [
	`channel.read-${who}:*.subscribe=${who}`, `channel.read-${who}:*.publish=none`,
	`channel.write-${who}:*.publish=${who}`, `channel.write-${who}:*.subscribe=none`,
]);
const options = [`auth.jwt_secret=${secret}`, "auth.api_key=the-key", ...rules];

const tokens = {
	nobody: null,
	"a user": mint(),
	"a token without a user": mint({ sub: undefined, allow: { "*": "rwp" } }),
	"r": mint({ allow: { "*": "r" } }),
	"w": mint({ allow: { "*": "w" } }),
	"p": mint({ allow: { "*": "p" } }),
	"rw elsewhere": mint({ allow: { "elsewhere:*": "rw", "read-token": "rw" } }),
	backend: "the-key",
};
const bearerOf = (who) => (tokens[who] ? { Authorization: `Bearer ${tokens[who]}` } : {});

const may = "", no = "forbidden", needs = "unauthorized";
/* What reading is answered in a channel whose rule for it is this, and writing likewise. */
const expected = {
	nobody: { any: may, user: needs, token: needs, none: needs },
	"a user": { any: may, user: may, token: no, none: no },
	"a token without a user": { any: may, user: no, token: may, none: no },
	r: { any: may, user: may, token: { read: may, write: no }, none: no },
	w: { any: may, user: may, token: { read: no, write: may }, none: no },
	p: { any: may, user: may, token: no, none: no },
	"rw elsewhere": { any: may, user: may, token: no, none: no },
	backend: { any: may, user: may, token: may, none: may },
};
const status = { [may]: 200, [no]: 403, [needs]: 401 };

function assertAnswer(answer, code) {
	if (code)
		assertError(answer, status[code], code);
	else
		assert.equal(answer.status, 200, answer.text);
}

/* With the key: what clients may not is no matter to it. */
async function publishAs(server, channel) {
	const answer = await call(server, "POST", "/api/publish", {
		headers: bearerOf("backend"), body: JSON.stringify({ channel, data: 1 }),
	});
	assert.equal(answer.status, 200, answer.text);
}

describe("rights", () => {
	const server = useServer({ options });
	for (const [who, byRule] of Object.entries(expected)) {
		for (const [rule, answer] of Object.entries(byRule)) {
			const { read, write } = answer.read === undefined ? { read: answer, write: answer } : answer;

			it(`${who}, reading where ${rule} may: ${read || "may"}`, async () => {
				const channel = fresh(`read-${rule}:c`);
				await publishAs(server, channel);
				const client = await NativeClient.open(server, { headers: bearerOf(who) });
				for (const command of [
					{ type: "subscribe", channel, since: "start" },
					{ type: "history", channel },
					{ type: "resume", channels: { [channel]: "start" } },
				]) {
					const heard = await client.ask(command);
					assert.equal(heard.code ?? may, read, JSON.stringify(heard));
				}
				client.close();
				const target = `channel=${channel}&since=start`;
				assertAnswer(await call(server, "GET", `/poll?${target}`, { headers: bearerOf(who) }), read);
				const stream = await EventStream.open(server, `/events?${target}`, { headers: bearerOf(who) });
				assert.equal(stream.status, status[read]);
				stream.close();
			});

			it(`${who}, writing where ${rule} may: ${write || "may"}`, async () => {
				const channel = fresh(`write-${rule}:c`);
				const client = await NativeClient.open(server, { headers: bearerOf(who) });
				const heard = await client.ask({ type: "publish", channel, data: 1 });
				assert.equal(heard.code ?? may, write, JSON.stringify(heard));
				if (write) {
					client.send(frame(opcodes.binary, `\x01${String.fromCharCode(channel.length)}${channel}\0x`));
					const { type, code, ref } = await client.hear();
					assert.deepEqual({ type, code, ref }, { type: "error", code: write, ref: undefined });
				}
				client.close();
				assertAnswer(await call(server, "POST", `/publish?channel=${channel}`, {
					headers: { ...bearerOf(who), "Content-Type": "application/json" }, body: "1",
				}), write);
			});
		}
	}

	it("personal channels: the user's own to read, whatever tokens allow", async () => {
		const clients = {
			"no token": [{}, needs, needs],
			"her own": [{ sub: "ann" }, may, no],
			"her own that allows it": [{ sub: "ann", allow: { "@ann": "w" } }, may, may],
			"another's": [{ sub: "bob" }, no, no],
			"another's that allows all": [{ sub: "bob", allow: { "*": "rwp" } }, no, may],
			"one without a user": [{ sub: undefined, allow: { "@*": "rw" } }, no, may],
			"one whose name begins so": [{ sub: "an" }, no, no],
		};
		for (const [what, [claims, read, write]] of Object.entries(clients)) {
			const query = what === "no token" ? "" : `token=${mint(claims)}`;
			const client = await NativeClient.open(server, { query });
			const answers = [await client.ask({ type: "subscribe", channel: "@ann" }),
				await client.ask({ type: "history", channel: "@ann" }),
				await client.ask({ type: "publish", channel: "@ann", data: 1 })];
			assert.deepEqual(answers.map(({ code }) => code ?? may), [read, read, write], what);
			client.close();
		}
	});

	it("a refusal is the same whether the channel is there or not", async () => {
		const [there, none] = [fresh("read-none:c"), fresh("read-none:c")];
		await publishAs(server, there);
		const backend = await NativeClient.open(server, { headers: bearerOf("backend") });
		await backend.subscribe(there);
		for (const who of ["nobody", "r"]) {
			const client = await NativeClient.open(server, { headers: bearerOf(who) });
			for (const type of ["subscribe", "history"]) {
				const [one, other] = [await client.ask({ type, channel: there, ref: 1 }),
					await client.ask({ type, channel: none, ref: 1 })];
				assert.deepEqual({ ...one, channel: "" }, { ...other, channel: "" });
				assert.equal(one.channel, there);
			}
			client.close();
			const answers = await Promise.all([there, none].map((channel) =>
				call(server, "GET", `/poll?channel=${channel}`, { headers: bearerOf(who) })));
			assert.equal(answers[0].text, answers[1].text);
		}
		backend.close();
	});

	it("of several channels one that is refused refuses a stream and a poll", async () => {
		const token = mint({ allow: { "read-token:a": "r" } });
		for (const path of ["/events", "/poll"]) {
			const answer = await call(server, "GET",
				`${path}?channel=read-token:a&channel=read-token:b&token=${token}`);
			assertError(answer, 403, "forbidden");
		}
	});

	it("of several channels that are resumed each is answered by itself", async () => {
		const client = await NativeClient.open(server,
			{ query: `token=${mint({ allow: { "read-token:a": "r" } })}` });
		client.say({ type: "resume", ref: 1,
			channels: { "read-token:a": "start", "read-token:b": "start" } });
		const answers = [await client.hear(), await client.hear()];
		const { channel, ref, code } = answers.find(({ type }) => type === "error");
		assert.deepEqual([channel, ref, code], ["read-token:b", 1, "forbidden"]);
		assert.equal(answers.find(({ type }) => type === "subscribed").channel, "read-token:a");
		client.close();
	});
});

describe("rights: open mode", () => {
	it("rules that are set hold there too; a name is a user, and no token", async () => {
		await withServer({ options: rules }, async (server) => {
			const answers = {
				"": { any: may, user: needs, token: needs, none: needs },
				"user=bob": { any: may, user: may, token: needs, none: needs },
			};
			for (const [query, byRule] of Object.entries(answers)) {
				const client = await NativeClient.open(server, { query });
				for (const [rule, code] of Object.entries(byRule)) {
					const channel = `read-${rule}:c`;
					const answer = await client.ask({ type: "subscribe", channel });
					assert.equal(answer.code ?? may, code, `${query} ${rule}`);
				}
				client.close();
			}
			await publish(server, "write-none:c", 1);
		});
	});
});
