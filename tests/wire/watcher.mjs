/* Who is there, by what clients and the server API are told. */
import assert from "node:assert/strict";

import { NativeClient } from "./clients.mjs";
import { call } from "./harness.mjs";

export const as = (server, user) => NativeClient.open(server, { query: user ? `user=${user}` : "" });
export const names = ({ members }) => members.map(({ user }) => user).sort();

/* A client that watches: what it was told, and who is there by that. */
export class Watcher {
	static async open(server, channel, user) {
		const watcher = new Watcher();
		watcher.client = await as(server, user);
		watcher.channel = channel;
		watcher.told = [];
		await watcher.client.subscribe(channel, { presence: true });
		watcher.first = await watcher.hear();
		assert.equal(watcher.first.type, "presence");
		return watcher;
	}

	/* The next that is told; each comes who was not there, and goes who was. */
	async hear() {
		let next = await this.client.hear();
		while (this.knowsGaps && next.type === "gap")
			next = await this.client.hear();
		assert.equal(next.channel, this.channel);
		this.told.push(next);
		if (next.type === "presence") {
			this.count = next.count;
			this.there = next.members && new Set(names(next));
			assert.equal(this.there?.size ?? next.count, next.count);
			return next;
		}
		assert.ok(["joined", "left"].includes(next.type), JSON.stringify(next));
		assert.equal(this.there.has(next.user), next.type === "left", JSON.stringify(next));
		if (next.type === "joined")
			this.there.add(next.user);
		else
			this.there.delete(next.user);
		return next;
	}

	/* Until it was told that just these are there. */
	async sees(...users) {
		while (String([...this.there ?? []].sort()) !== String(users.sort()))
			await this.hear();
	}

	/* Until it was told of so many. */
	async counts(count) {
		while (this.count !== count)
			await this.hear();
	}

	close() {
		this.client.close();
	}
}

export async function presence(server, channel, query = "", headers = {}) {
	const target = `/api/channels/${encodeURIComponent(channel)}/presence${query}`;
	return call(server, "GET", target, { headers });
}

export async function shown(server, channel, query) {
	const answer = await presence(server, channel, query);
	assert.equal(answer.status, 200, answer.text);
	return answer.json();
}
