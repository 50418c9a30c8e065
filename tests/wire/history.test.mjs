/* History, asked through both of its doors: the WebSocket and the server API. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NativeClient } from "./clients.mjs";
import { assertError, call, epochOf, fresh, publish, publishCount, useServer } from "./harness.mjs";

/* Each door: { messages, cursor, more } of a channel. */
const doors = {
	async websocket(server, channel, query) {
		const client = await NativeClient.open(server);
		const answer = await client.ask({ type: "history", ref: "h", channel, ...query });
		assert.equal(answer.type, "history", JSON.stringify(answer));
		assert.equal(answer.channel, channel);
		client.close();
		return answer;
	},
	async api(server, channel, query) {
		const target = `/api/channels/${encodeURIComponent(channel)}/history`;
		const answer = await call(server, "GET", `${target}?${new URLSearchParams(query)}`);
		assert.equal(answer.status, 200, answer.text);
		return answer.json();
	},
};

/*
 * Each row: a claim, the channel's kind, what is published before, since (a number is one in the
 * channel's epoch) and limit, then what comes: data, the number in the cursor, more.
 */
const cases = [
	["all of a few", "any", 5, {}, [1, 2, 3, 4, 5], 5, false],
	["the newest few, rising", "any", 5, { limit: 2 }, [4, 5], 5, true],
	["as many as there are", "any", 5, { limit: 5 }, [1, 2, 3, 4, 5], 5, false],
	["no more than there are", "any", 5, { limit: 50 }, [1, 2, 3, 4, 5], 5, false],
	["what comes after since", "any", 5, { since: 2 }, [3, 4, 5], 5, false],
	["the first few after since", "any", 5, { since: 1, limit: 2 }, [2, 3], 3, true],
	["the last few after since", "any", 5, { since: 3, limit: 2 }, [4, 5], 5, false],
	["the first few from the start", "any", 5, { since: "start", limit: 2 }, [1, 2], 2, true],
	["all from 0", "any", 5, { since: 0 }, [1, 2, 3, 4, 5], 5, false],
	["nothing after the head", "any", 5, { since: 5 }, [], 5, false],
	["what a short history holds", "short", 5, {}, [3, 4, 5], 5, false],
	["the newest of a short history", "short", 5, { limit: 2 }, [4, 5], 5, true],
	["the start of a short history", "short", 5, { since: "start", limit: 2 }, [3, 4], 4, true],
	["nothing where none is kept", "none", 3, {}, [], 3, false],
	["nothing of a channel never used", "any", 0, {}, [], 0, false],
	["nothing since the start of a new channel", "any", 0, { since: "start" }, [], 0, false],
];

for (const [door, ask] of Object.entries(doors)) {
	describe(`history: ${door}`, () => {
		const server = useServer({
			config: "[channel short:*]\nhistory_size = 3\n"
				+ "[channel none:*]\nhistory_size = 0\n",
		});
		for (const [claim, kind, count, { since, limit }, data, last, more] of cases) {
			it(claim, async () => {
				const keeper = await NativeClient.open(server);
				const channel = fresh(`${kind}:c`);
				let epoch = "[0-9a-z]{1,16}";
				if (count > 0)
					epoch = epochOf((await keeper.subscribe(channel)).cursor);
				await publishCount(server, channel, count);
				const query = {};
				if (since !== undefined)
					query.since = isNaN(since) ? since : `${epoch}-${since}`;
				if (limit !== undefined)
					query.limit = limit;
				const answer = await ask(server, channel, query);
				const got = answer.messages.map((message) => message.data);
				assert.deepEqual(got, data);
				assert.match(answer.cursor, new RegExp(`^${epoch}-${last}$`));
				assert.equal(answer.more, more);
				keeper.close();
			});
		}

		it("pages joined by their cursors are the whole", async () => {
			const channel = fresh();
			const ids = await publishCount(server, channel, 10);
			const got = [];
			for (let since = "start", more = true; more;) {
				const page = await ask(server, channel, { since, limit: 3 });
				got.push(...page.messages.map(({ id }) => id));
				({ cursor: since, more } = page);
			}
			assert.deepEqual(got, ids);
		});

		it("its messages are as they were delivered", async () => {
			const channel = fresh();
			const client = await NativeClient.open(server, { query: "user=ann" });
			await client.subscribe(channel);
			await client.publish(channel, { a: 1 }, { event: "e" });
			const [heard] = await client.messages(1);
			const { messages: [held] } = await ask(server, channel, {});
			for (const field of ["id", "data", "event", "user", "ts"])
				assert.deepEqual(held[field], heard[field], field);
			client.close();
		});

		it("its cursor resumes", async () => {
			const channel = fresh();
			await publishCount(server, channel, 5);
			const { cursor } = await ask(server, channel, { since: "start", limit: 3 });
			const client = await NativeClient.open(server);
			const { recovered } = await client.subscribe(channel, { since: cursor });
			assert.equal(recovered, true);
			assert.deepEqual(await client.data(2), [4, 5]);
			client.close();
		});
	});
}

describe("history: refusals of the server API", () => {
	const server = useServer();
	const targets = ["/api/channels/c/history?since=abc", "/api/channels/c/history?limit=x",
		"/api/channels/c/history?limit=-1", "/api/channels/a%20b/history",
		"/api/channels/caf%C3%A9/history", `/api/channels/${"c".repeat(201)}/history`];
	for (const target of targets) {
		it(`${target.slice(0, 60)} is 400`, async () => {
			assertError(await call(server, "GET", target), 400, "bad_request");
		});
	}

	it("a channel with a slash in it is one segment", async () => {
		await publish(server, "a/b", "slash");
		const answer = await call(server, "GET", "/api/channels/a%2Fb/history");
		assert.deepEqual(answer.json().messages.map(({ data }) => data), ["slash"]);
	});
});
