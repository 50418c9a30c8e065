/*
 * client.test.mjs - starling.js, the module as the server hands it out.
 *
 * First over each transport against the server, then the moves between transports, then what a
 * server does seldom, from a socket that follows a script.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { before, describe, test } from "node:test";

import WebSocket from "ws";

import { NativeClient } from "./clients.mjs";
import {
	Signal,
	epochOf,
	fresh,
	publish,
	publishCount,
	sleep,
	startServer,
	until,
	useServer,
	withServer,
	within,
} from "./harness.mjs";
import { mint, now, secret } from "./tokens.mjs";

const platform = { WebSocket, retryMin: 20, retryMax: 200 };

let connect;

async function loadClient(server) {
	const answer = await fetch(`${server.url}/starling.js`);
	assert.equal(answer.status, 200);
	assert.match(answer.headers.get("content-type"), /^text\/javascript\b/);
	const source = Buffer.from(await answer.text());
	({ connect } = await import(`data:text/javascript;base64,${source.toString("base64")}`));
}

/* Runs `body` with a client that is closed at the end, whatever happens. */
async function withClient(server, options, body) {
	const client = connect(server.url, { ...platform, ...options });
	try {
		await body(client);
	} finally {
		client.close();
	}
}

const next = (emitter, name) =>
	within(
		new Promise((resolve) => {
			const off = emitter.on(name, (...details) => {
				off();
				resolve(details[0]);
			});
		}),
		name,
	);

/* A subscription, and what it has heard. */
function follow(client, channel, options) {
	const signal = new Signal();
	const messages = [];
	const sub = client.subscribe(
		channel,
		(data, message) => {
			assert.deepEqual(data, message.data);
			messages.push(message);
			signal.wake();
		},
		options,
	);
	const heard = async (...datas) => {
		await signal.when(() => messages.length >= datas.length, JSON.stringify(datas));
		assert.deepEqual(
			messages.map(({ data }) => data),
			datas,
		);
	};
	return { sub, messages, heard };
}

/* ---- over each transport ---- */

for (const transport of ["websocket", "sse", "poll"]) {
	describe(`starling.js over ${transport}`, () => {
		const server = useServer({ options: ["channel.short:*.history_size=2"] });
		const only = { transports: [transport] };
		const check = (claim, body) =>
			test(claim, () =>
				withClient(server, only, (client) => body(client, fresh("room"))),
			);
		before(() => loadClient(server));

		check("live messages come in order, with their ids", async (client, room) => {
			const { sub, messages, heard } = follow(client, room);
			await sub.ready;
			await until(() => client.state === "open");
			assert.equal(client.transport, transport);
			const ids = await publishCount(server, room, 20);
			await heard(...Array.from({ length: 20 }, (_, i) => i + 1));
			assert.deepEqual(
				messages.map(({ id }) => id),
				ids,
			);
			assert.equal(sub.cursor, ids.at(-1));
		});

		check("since start brings history, then what is live", async (client, room) => {
			await publishCount(server, room, 3);
			const { sub, heard } = follow(client, room, { since: "start" });
			await heard(1, 2, 3);
			assert.notEqual((await sub.ready).recovered, false);
			await publish(server, room, "live");
			await heard(1, 2, 3, "live");
		});

		check("since a cursor brings what follows it", async (client, room) => {
			const [first] = await publishCount(server, room, 3);
			await follow(client, room, { since: first }).heard(2, 3);
		});

		check("a publication answers with its id, and comes back", async (client, room) => {
			const { sub, messages, heard } = follow(client, room);
			await sub.ready;
			const text = { text: "é\n\u2028" };
			const { id, duplicate } = await client.publish(room, text);
			await heard(text);
			assert.equal(messages[0].id, id);
			assert.equal(duplicate, false);
		});

		check("an event name and a key arrive, and any name does", async (client, room) => {
			const { sub, messages, heard } = follow(client, room);
			await sub.ready;
			await client.publish(room, 1, { event: "gap", key: "k" });
			await client.publish(room, 2, { event: "moved" });
			await heard(1, 2);
			assert.deepEqual(
				messages.map(({ event, key }) => [event, key]),
				[
					["gap", "k"],
					["moved", undefined],
				],
			);
		});

		check("binary data comes as the bytes it was", async (client, room) => {
			const { sub, heard } = follow(client, room);
			await sub.ready;
			const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
			const { id } = await client.publish(room, bytes);
			await heard(bytes);
			assert.equal(sub.cursor, id);
			const { messages } = await client.history(room);
			assert.deepEqual(
				messages.map(({ data }) => data),
				[bytes],
			);
		});

		check("JSON that only looks like binary data stays JSON", async (client, room) => {
			const { heard } = follow(client, room, { since: "start" });
			const datas = [{ base64: "?" }, { base64: 1 }, { base64: "AA==", more: 1 }];
			for (const data of datas) await client.publish(room, data);
			await heard(...datas);
		});

		check(
			"history gives the newest, or what follows a cursor",
			async (client, room) => {
				const ids = await publishCount(server, room, 5);
				const datas = ({ messages }) => messages.map(({ data }) => data);
				const newest = await client.history(room, { limit: 2 });
				assert.deepEqual(datas(newest), [4, 5]);
				assert.equal(newest.cursor, ids[4]);
				assert.equal(newest.more, true);
				const following = await client.history(room, {
					since: ids[1],
					limit: 2,
				});
				assert.deepEqual(datas(following), [3, 4]);
				assert.equal(following.more, true);
				const rest = await client.history(room, {
					since: following.cursor,
				});
				assert.deepEqual(datas(rest), [5]);
				assert.equal(rest.more, false);
				const none = await client.history(fresh("never-used"));
				assert.deepEqual(datas(none), []);
			},
		);

		check("a channel left is silent, and can be joined again", async (client, room) => {
			const other = follow(client, fresh("other"));
			const left = follow(client, room);
			await left.sub.ready;
			left.sub.unsubscribe();
			const again = follow(client, room);
			await again.sub.ready;
			again.sub.unsubscribe();
			await publish(server, room, "unheard");
			await publish(server, other.sub.channel, "heard");
			await other.heard("heard");
			await left.heard();
			await again.heard();
		});

		check("a second subscription to one channel is refused", async (client, room) => {
			follow(client, room);
			assert.throws(() => follow(client, room), /already subscribed/);
		});

		check(
			"after a drop each channel resumes, nothing lost or twice",
			async (client, room) => {
				const channels = [room, fresh("room"), fresh("room")];
				const followed = channels.map((channel) => follow(client, channel));
				await Promise.all(followed.map(({ sub }) => sub.ready));
				for (let round = 0; round < 5; round++) {
					for (const channel of channels)
						await publish(server, channel, 2 * round);
					const opened = next(client, "open");
					client.drop();
					for (const channel of channels)
						await publish(server, channel, 2 * round + 1);
					await opened;
				}
				for (const { heard } of followed)
					await heard(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
			},
		);

		check(
			"what history lost is told as a gap, of that channel alone",
			async (client, room) => {
				const short = fresh("short:room");
				const [wholeSince] = await publishCount(server, room, 5);
				const [shortSince, , third] = await publishCount(server, short, 5);
				const gaps = [];
				client.on("gap", (gap) => gaps.push(gap));
				const whole = follow(client, room, { since: wholeSince });
				const broken = follow(client, short, { since: shortSince });
				await whole.heard(2, 3, 4, 5);
				await broken.heard(4, 5);
				assert.deepEqual(gaps, [{ channel: short, cursor: third }]);
				assert.equal((await broken.sub.ready).recovered, false);
			},
		);

		test("a refused channel says why, and is not asked for over and over", async () => {
			let requests = 0;
			const counted = {
				...only,
				fetch: (...details) => {
					requests++;
					return fetch(...details);
				},
				WebSocket: class extends WebSocket {
					send(...details) {
						requests++;
						return super.send(...details);
					}
				},
			};
			await withClient(server, counted, async (client) => {
				const good = follow(client, fresh("room"));
				const bad = follow(client, "not a name");
				const errors = [];
				client.on("error", (error) => errors.push(error));
				await assert.rejects(bad.sub.ready, {
					name: "StarlingError",
					code: "bad_request",
				});
				await good.sub.ready;
				await until(() => client.state === "open");
				await sleep(300);
				assert.ok(requests < 10, `${requests} requests`);
				assert.deepEqual(
					errors.map(({ channel }) => channel),
					["not a name"],
				);
				await publish(server, good.sub.channel, "fine");
				await good.heard("fine");
			});
		});

		check("a refused publication rejects with the code", async (client) => {
			await assert.rejects(client.publish("not a name", 1), {
				code: "bad_request",
			});
		});

		check(
			"a closed client rejects, and its channels are silent",
			async (client, room) => {
				const { sub, heard } = follow(client, room);
				await sub.ready;
				client.close();
				assert.equal(client.state, "closed");
				await assert.rejects(client.publish(room, 1), {
					code: "unavailable",
				});
				await publish(server, room, "unheard");
				await sleep(50);
				await heard();
			},
		);

		test("a server that comes back without its memory is a told gap", () =>
			withServer({}, (own) =>
				withClient(own, only, async (client) => {
					const room = fresh("room");
					const { sub, messages, heard } = follow(client, room);
					await sub.ready;
					await publishCount(own, room, 3);
					await heard(1, 2, 3);
					const gap = next(sub, "gap");
					await own.kill();
					await own.start();
					await publish(own, room, "new");
					assert.equal((await gap).channel, room);
					assert.equal(client.transport, transport);
					await until(() => messages.length >= 4);
					await heard(1, 2, 3, "new");
					assert.notEqual(
						epochOf(messages[3].id),
						epochOf(messages[2].id),
					);
				}),
			));
	});
}

/* ---- from one transport to another ---- */

/* A constructor of sockets that fail while `blocked.is`. */
function blockable(blocked) {
	return class {
		constructor(...details) {
			if (!blocked.is) return new WebSocket(...details);
			setTimeout(() => this.onclose?.({ code: 1006, reason: "blocked" }));
		}

		close() {}
	};
}

describe("starling.js between transports", () => {
	const server = useServer();
	before(() => loadClient(server));

	test("where WebSocket is blocked it takes SSE, and WebSocket once that works", async () => {
		const blocked = { is: true };
		const options = { WebSocket: blockable(blocked), better: 30 };
		await withClient(server, options, async (client) => {
			const { sub, heard } = follow(client, fresh("room"));
			await next(client, "open");
			assert.equal(client.transport, "sse");
			await sub.ready;
			await publish(server, sub.channel, 1);
			await heard(1);
			blocked.is = false;
			await until(() => client.transport === "websocket");
			await publish(server, sub.channel, 2);
			await heard(1, 2);
		});
	});

	test("where both are blocked it polls", async () => {
		const isStream = (url) => new URL(url).pathname === "/events";
		const options = {
			WebSocket: blockable({ is: true }),
			fetch: (url, init) =>
				isStream(url)
					? Promise.reject(new TypeError("blocked"))
					: fetch(url, init),
		};
		await withClient(server, options, async (client) => {
			const { sub, heard } = follow(client, fresh("room"));
			await next(client, "open");
			assert.equal(client.transport, "poll");
			await sub.ready;
			await client.publish(sub.channel, 1);
			await heard(1);
		});
	});

	test("what the platform lacks is passed over, an unknown transport refused", async () => {
		const options = { WebSocket: undefined, transports: ["websocket", "poll"] };
		await withClient(server, options, async (client) => {
			await next(client, "open");
			assert.equal(client.transport, "poll");
		});
		assert.throws(
			() => connect(server.url, { ...options, transports: ["websocket"] }),
			TypeError,
		);
		assert.throws(() => connect(server.url, { transports: ["pigeon"] }), TypeError);
	});

	test("a server that is away is no reason to change the transport", () =>
		withServer({}, (own) =>
			withClient(own, {}, async (client) => {
				await next(client, "open");
				await own.kill();
				for (let tries = 0; tries < 5; tries++)
					await next(client, "reconnecting");
				const opened = next(client, "open");
				await own.start();
				await opened;
				assert.equal(client.transport, "websocket");
			}),
		));

	test("what is published before the connection is open goes its own way", () =>
		withClient(server, {}, async (client) => {
			assert.equal(client.state, "connecting");
			const { id } = await client.publish(fresh("room"), "early");
			assert.match(id, /^[0-9a-z]+-1$/);
		}));

	test("echo:false over a socket does not come back", () =>
		withClient(server, { transports: ["websocket"] }, async (client) => {
			const { sub, heard } = follow(client, fresh("room"));
			await sub.ready;
			await client.publish(sub.channel, "mine", { echo: false });
			await publish(server, sub.channel, "another's");
			await heard("another's");
		}));

	test("what is published while there is no server rejects", () =>
		withServer({}, (own) =>
			withClient(own, {}, async (client) => {
				await next(client, "open");
				await own.kill();
				await until(() => client.state !== "open");
				const published = client.publish("c", 1);
				await assert.rejects(published, { code: "unavailable" });
				await own.start();
			}),
		));

	test("a publication that the server put off is offered again with its key", async () => {
		const keys = [];
		const options = {
			transports: ["poll"],
			fetch: (url, init) => {
				if (init.method !== "POST") return fetch(url, init);
				keys.push(new URL(url).searchParams.get("idempotency_key"));
				if (keys.length > 1) return fetch(url, init);
				const headers = { "retry-after": "0.01" };
				const body = '{"error":{"code":"rate_limited","message":"later"}}';
				const putOff = new Response(body, { status: 429, headers });
				return Promise.resolve(putOff);
			},
		};
		await withClient(server, options, async (client) => {
			assert.match((await client.publish(fresh("room"), 1)).id, /-1$/);
			assert.equal(keys.length, 2);
			assert.ok(keys[0]);
			assert.equal(keys[0], keys[1]);
		});
	});

	test("a publication whose request was lost is not offered again", async () => {
		let posts = 0;
		const options = {
			transports: ["poll"],
			fetch: (url, init) => {
				if (init.method !== "POST") return fetch(url, init);
				posts++;
				return Promise.reject(new TypeError("lost"));
			},
		};
		await withClient(server, options, async (client) => {
			const published = client.publish(fresh("room"), 1);
			await assert.rejects(published, { code: "unavailable" });
			await sleep(100);
			assert.equal(posts, 1);
		});
	});
});

/* ---- against a script ---- */

/* A socket of which the test is the server. */
class ScriptedSocket {
	sent = [];

	constructor(url, protocols) {
		Object.assign(this, { url, protocols });
		ScriptedSocket.last = this;
	}

	send(text) {
		this.sent.push(JSON.parse(text));
	}

	close() {
		this.isClosed = true;
	}

	say(...messages) {
		for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
	}

	request(type) {
		return until(() => this.sent.find((message) => message.type === type), type);
	}
}

describe("starling.js and tokens", () => {
	const server = useServer({ options: [`auth.jwt_secret=${secret}`] });
	before(() => loadClient(server));
	const shortLived = () => mint({ exp: now() + 4, allow: { "*": "rw" } });

	test("a token is exchanged for another before it ends", async () => {
		const tokens = [];
		const token = async () => tokens[tokens.push(shortLived()) - 1];
		await withClient(server, { token }, async (client) => {
			await next(client, "open");
			const { connection } = client.welcome;
			const { heard } = follow(client, "c");
			/* One that is not renewed shows when the first one has ended. */
			const witness = await NativeClient.open(server, { query: `token=${tokens[0]}` });
			assert.equal((await witness.closing()).reason, "token_expired");
			await client.publish("c", 1);
			await heard(1);
			assert.equal(client.welcome.connection, connection);
			assert.ok(tokens.length > 1);
		});
	});

	test("where there is no other the next connection asks for one", async () => {
		const first = mint({ exp: now() + 2, allow: { "*": "rw" } });
		let isRenewed = false;
		const token = () => (isRenewed ? shortLived() : first);
		await withClient(server, { token }, async (client) => {
			await next(client, "open");
			const { heard } = follow(client, "d");
			const { reason } = await next(client, "close");
			assert.equal(reason, "token_expired");
			isRenewed = true;
			await next(client, "open");
			await client.publish("d", 1);
			await heard(1);
		});
	});
});

describe("starling.js and a script", () => {
	const server = useServer();
	const message = (seq, data = seq) => ({
		type: "message",
		channel: "c",
		id: `e1-${seq}`,
		data,
	});
	before(() => loadClient(server));

	/* Runs `body` with a client whose socket has said welcome. */
	function check(claim, { welcome = {}, ...options }, body) {
		test(claim, () => {
			ScriptedSocket.last = null;
			const scripted = {
				...options,
				transports: ["websocket"],
				WebSocket: ScriptedSocket,
			};
			return withClient(server, scripted, async (client) => {
				await until(() => ScriptedSocket.last?.onmessage);
				const socket = ScriptedSocket.last;
				socket.say({
					type: "welcome",
					connection: "c1",
					node: "n",
					heartbeat: 25,
					...welcome,
				});
				await body(client, socket);
			});
		});
	}

	async function followed(client, socket) {
		const followed = follow(client, "c");
		const { ref } = await socket.request("subscribe");
		socket.say({ type: "subscribed", ref, channel: "c", cursor: "e1-3" });
		return followed;
	}

	check(
		"the token is a subprotocol, the user a parameter",
		{ token: async () => "T", user: "ann" },
		async (client, socket) => {
			assert.equal(client.welcome.connection, "c1");
			assert.equal(socket.url, `${server.url.replace("http", "ws")}/ws?user=ann`);
			assert.deepEqual(socket.protocols, ["starling.v1", "bearer.T"]);
		},
	);

	check(
		"what is at or before the cursor is dropped, another epoch is not",
		{},
		async (client, socket) => {
			const { heard, sub } = await followed(client, socket);
			socket.say(message(3), message(4), message(4), message(10), message(9));
			socket.say({ ...message(1, "other"), id: "e2-1" });
			await heard(4, 10, "other");
			assert.equal(sub.cursor, "e2-1");
		},
	);

	check(
		"a message before the answer is a late one, and dropped",
		{},
		async (client, socket) => {
			const { sub, heard } = follow(client, "c");
			const { ref } = await socket.request("subscribe");
			socket.say(message(2));
			socket.say({ type: "subscribed", ref, channel: "c", cursor: "e1-2" });
			socket.say(message(3));
			await heard(3);
			assert.deepEqual(await sub.ready, { cursor: "e1-2", recovered: undefined });
		},
	);

	check("a gap of the server's making moves the cursor", {}, async (client, socket) => {
		const { sub, heard } = await followed(client, socket);
		const gap = next(sub, "gap");
		socket.say({ type: "gap", channel: "c", cursor: "e1-7" }, message(8));
		assert.deepEqual(await gap, { channel: "c", cursor: "e1-7" });
		await heard(8);
	});

	check("messages of an unknown type are events", {}, async (client, socket) => {
		const { sub } = await followed(client, socket);
		const joined = next(sub, "joined");
		const weather = next(client, "weather");
		socket.say(
			{ type: "joined", channel: "c", user: "bob" },
			{ type: "weather", is: "fine" },
		);
		assert.equal((await joined).user, "bob");
		assert.equal((await weather).is, "fine");
	});

	check("a message without a channel is the client's own", {}, async (client, socket) => {
		const own = next(client, "message");
		socket.say({ type: "message", data: "for you" });
		assert.equal(await own, "for you");
	});

	check("further options of a subscription go to the server", {}, async (client, socket) => {
		follow(client, "c", { presence: true });
		assert.equal((await socket.request("subscribe")).presence, true);
	});

	check("a subscription that the server ends is an error", {}, async (client, socket) => {
		const { sub } = await followed(client, socket);
		const errors = [next(sub, "error"), next(client, "error")];
		socket.say({ type: "unsubscribed", channel: "c", reason: "forbidden" });
		for (const error of await Promise.all(errors)) {
			assert.equal(error.code, "forbidden");
			assert.equal(error.channel, "c");
		}
	});

	check(
		"a subscription put off is asked for again by the next connection",
		{ retryMin: 10, retryMax: 30 },
		async (client, socket) => {
			const { sub } = follow(client, "c");
			const { ref } = await socket.request("subscribe");
			socket.say({ type: "error", ref, code: "unavailable", message: "later" });
			await until(() => ScriptedSocket.last !== socket);
			const other = ScriptedSocket.last;
			await until(() => other.onmessage);
			other.say({ type: "welcome", heartbeat: 25 });
			const again = await other.request("subscribe");
			const answer = { type: "subscribed", channel: "c", cursor: "e1-0" };
			other.say({ ...answer, ref: again.ref });
			assert.equal((await sub.ready).cursor, "e1-0");
		},
	);

	check("a binary frame is a message", {}, async (client, socket) => {
		const channel = "long".repeat(40); /* its length takes two bytes */
		const { sub, messages, heard } = follow(client, channel);
		const { ref } = await socket.request("subscribe");
		socket.say({ type: "subscribed", ref, channel, cursor: "e1-3" });
		const id = "e1-4";
		const frame = Buffer.concat([
			Buffer.from([0x01, 0xa0, 0x01]),
			Buffer.from(channel),
			Buffer.from([id.length]),
			Buffer.from(id),
			Buffer.from([0, 255, 128]),
		]);
		socket.onmessage({ data: Uint8Array.from(frame).buffer });
		await heard(Uint8Array.of(0, 255, 128));
		assert.equal(messages[0].id, id);
		assert.equal(sub.cursor, id);
	});

	check("what a listener throws does not stop the client", {}, async (client, socket) => {
		const { heard } = await followed(client, socket);
		const uncaught = process.listeners("uncaughtException");
		process.removeAllListeners("uncaughtException");
		const reported = once(process, "uncaughtException");
		client.on("weather", () => {
			throw new Error("of the application");
		});
		socket.say({ type: "weather" }, message(4));
		await heard(4);
		const [error] = await within(reported, "the report");
		assert.equal(error.message, "of the application");
		for (const listener of uncaught) process.on("uncaughtException", listener);
	});

	check(
		"a publication under way when the connection is lost rejects",
		{},
		async (client, socket) => {
			const published = client.publish("c", 1);
			await socket.request("publish");
			client.drop();
			await assert.rejects(published, { code: "unavailable" });
		},
	);

	check("the server says when to come back", {}, async (client, socket) => {
		const [closed, reconnecting] = [
			next(client, "close"),
			next(client, "reconnecting"),
		];
		socket.say({ type: "reconnect", after: 123 });
		assert.deepEqual(await closed, { code: 1012, reason: "drain" });
		assert.equal((await reconnecting).delay, 123);
	});

	check(
		"a silent connection is asked, and closed when it does not answer",
		{ welcome: { heartbeat: 0.02 }, timeout: 100 },
		async (client, socket) => {
			const { ref } = await socket.request("ping");
			socket.say({ type: "pong", ref });
			const closed = next(client, "close");
			await until(
				() => socket.sent.filter(({ type }) => type === "ping").length > 1,
			);
			assert.equal((await closed).reason, "no answer to a ping");
			assert.equal(socket.isClosed, true);
		},
	);

	check(
		"the back-off doubles up to its most, with jitter",
		{ retryMin: 8, retryMax: 32 },
		async (client) => {
			const delays = [];
			client.on("reconnecting", ({ delay }) => delays.push(delay));
			for (let i = 0; i < 6; i++) {
				await until(() => client.state !== "waiting");
				client.drop();
				await until(() => delays.length === i + 1);
			}
			[8, 16, 32, 32].forEach((most, i) =>
				assert.ok(
					delays[i] >= most / 2 && delays[i] <= most,
					`${i}: ${delays[i]}`,
				),
			);
		},
	);
});
