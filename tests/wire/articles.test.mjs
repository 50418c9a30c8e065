/* JavaScript as everybody writes it, after the first article about it, works unchanged. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EventSource } from "eventsource";
import WebSocket from "ws";

import { publish, until, useServer } from "./harness.mjs";

describe("articles", () => {
	const server = useServer();

	it("new WebSocket, onopen, send, onmessage", async () => {
		const prices = [];
		const ws = new WebSocket(server.wsUrl);
		let ready = false;
		ws.onopen = () => {
			ws.send(JSON.stringify({ type: "subscribe", channel: "trades" }));
		};
		ws.onmessage = (event) => {
			const message = JSON.parse(event.data);
			if (message.type === "subscribed")
				ready = true;
			if (message.type === "message")
				prices.push(message.data.price);
		};
		await until(() => ready);
		await publish(server, "trades", { price: 101 });
		await publish(server, "trades", { price: 102 });
		await until(() => prices.length === 2);
		assert.deepEqual(prices, [101, 102]);
		ws.close();
	});

	it("a chat of two browser tabs", async () => {
		const [ann, bob] = ["ann", "bob"].map((user) =>
			new WebSocket(`${server.wsUrl}?user=${user}`));
		const channel = "chat:lobby";
		const lines = [];
		const joined = new Set();
		for (const ws of [ann, bob]) {
			ws.addEventListener("open", () =>
				ws.send(JSON.stringify({ type: "subscribe", channel })));
			ws.addEventListener("message", (event) => {
				const message = JSON.parse(event.data);
				if (message.type === "subscribed")
					joined.add(ws);
				if (ws === bob && message.type === "message")
					lines.push(`${message.user}: ${message.data.text}`);
			});
		}
		await until(() => joined.size === 2);
		const say = (ws, text) =>
			ws.send(JSON.stringify({ type: "publish", channel, data: { text } }));
		say(ann, "hello");
		await until(() => lines.length === 1);
		say(bob, "hi ann");
		await until(() => lines.length === 2);
		assert.deepEqual(lines, ["ann: hello", "bob: hi ann"]);
		ann.close();
		bob.close();
	});

	it("reconnecting with the last id seen", async () => {
		const channel = "ticker";
		const seen = [];
		let lastId;
		const connect = () => {
			const ws = new WebSocket(server.wsUrl);
			ws.onopen = () => {
				const since = lastId ?? "start";
				ws.send(JSON.stringify({ type: "subscribe", channel, since }));
			};
			ws.onmessage = (event) => {
				const message = JSON.parse(event.data);
				if (message.type !== "message")
					return;
				lastId = message.id;
				seen.push(message.data);
			};
			return ws;
		};
		const ws = connect();
		await publish(server, channel, 1);
		await until(() => seen.length === 1);
		ws.close();
		await publish(server, channel, 2);
		await publish(server, channel, 3);
		const again = connect();
		await until(() => seen.length === 3);
		assert.deepEqual(seen, [1, 2, 3]);
		again.close();
	});

	it("new EventSource, onmessage", async (t) => {
		const source = new EventSource(`${server.url}/events?channel=news`);
		t.after(() => source.close());
		const heard = [];
		source.onmessage = (event) => heard.push(JSON.parse(event.data));
		await until(() => source.readyState === EventSource.OPEN);
		await publish(server, "news", { title: "it works" });
		await until(() => heard.length === 1);
		assert.deepEqual(heard, [{ title: "it works" }]);
	});

	it("new EventSource, addEventListener with a name", async (t) => {
		const source = new EventSource(`${server.url}/events?channel=stocks`);
		t.after(() => source.close());
		const heard = [];
		source.addEventListener("price-update", (event) =>
			heard.push([event.lastEventId, JSON.parse(event.data)]));
		source.onmessage = () => assert.fail("a named event is not a message");
		await until(() => source.readyState === EventSource.OPEN);
		const id = await publish(server, "stocks", { price: 7 }, { event: "price-update" });
		await until(() => heard.length === 1);
		assert.deepEqual(heard, [[id, { price: 7 }]]);
	});

	it("a loop of fetch", async () => {
		const heard = [];
		let response = await fetch(`${server.url}/poll?channel=feed`);
		let { cursor } = await response.json();
		const publishing = (async () => {
			for (let i = 1; i <= 5; i++)
				await publish(server, "feed", i);
		})();
		while (heard.length < 5) {
			response = await fetch(`${server.url}/poll?channel=feed&since=${cursor}`);
			const body = await response.json();
			heard.push(...body.messages.map((message) => message.data));
			cursor = body.cursor;
		}
		await publishing;
		assert.deepEqual(heard, [1, 2, 3, 4, 5]);
	});

	it("fetch with POST to publish", async () => {
		const response = await fetch(`${server.url}/publish?channel=form`, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ hello: "world" }),
		});
		const { id } = await response.json();
		const answer = await fetch(`${server.url}/api/channels/form/history`);
		const history = await answer.json();
		assert.deepEqual(history.messages.map((message) => [message.id, message.data]),
			[[id, { hello: "world" }]]);
	});
});
