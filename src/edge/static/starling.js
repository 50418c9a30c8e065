// @ts-check
/*
 * starling.js - the client of a Starling server, for browsers and node >= 18. No dependency.
 *
 *	import { connect } from "/starling.js";
 *
 *	const client = connect();
 *	client.subscribe("chat:lobby", (data) => show(data.text), { since: "start" });
 *	await client.publish("chat:lobby", { text: "hello" });
 *
 * A channel is a log, a subscription a cursor in it. When a connection is lost the next one asks
 * for what follows the cursors, so nothing is missed, and what is at or before a cursor is dropped,
 * so nothing comes twice. When the server no longer holds what was missed, a `gap` event says so.
 *
 * How it is built: Starling holds the subscriptions and one link, the connection in use. There are
 * three kinds, SocketLink, StreamLink and PollLink, which differ in how they reach the server and
 * in nothing else. A link that fails says so once and is thrown away; Starling waits and makes a
 * new one.
 *
 * Events of a client, client.on(name, fn):
 *	open {transport, connection}      close {code, reason}
 *	transport {transport, previous}   reconnecting {delay, attempt, reason}
 *	gap {channel, cursor}             error StarlingError, with .channel
 *	message data, message             sent to this connection alone, without a channel
 * Events of a subscription: gap, error, end (the server ended it; with the reason), and any message
 * of a type that this file does not know, under the name of its type.
 */

const TRIES = 2; // failures to open a transport, while the server is ready, before the next is used
const STEADY_MS = 10_000; // a connection that lived so long starts the back-off anew
const POLL_WAIT_S = 25;
const STREAM_SILENCE_MS = 60_000; // an event stream without a heartbeat for so long is dead
const MUTED_MAX = 1000; // own publications that shall not come back, remembered

/**
 * @typedef {object} Message
 * @property {string} [channel]
 * @property {string} [id]   EPOCH-SEQ: also the cursor behind this message
 * @property {any} data      JSON, or a Uint8Array when the publication was binary
 * @property {number} [ts]   milliseconds since 1970
 * @property {string} [event]
 * @property {string} [user]
 * @property {string} [key]
 * @property {string} [idempotency_key]
 *
 * @typedef {object} Options
 * @property {string | (() => string | Promise<string>)} [token]  a function is asked each time
 * @property {string} [user]         a name to go by, where the server is in open mode
 * @property {string[]} [transports] in order of preference; default ["websocket", "sse", "poll"]
 * @property {number} [timeout]      ms for an answer or for opening a connection; default 10000
 * @property {number} [retryMin]     ms of back-off at first; default 1000
 * @property {number} [retryMax]     ms of back-off at most; default 30000
 * @property {number} [better]       ms on a fall-back until the first choice is tried again,
 *	doubled each time, up to ten times as long; default 60000
 * @property {any} [WebSocket]       these two where the platform has none, or for tests
 * @property {typeof fetch} [fetch]
 */

/** A refusal of the server, or `unavailable` or `timeout`, which the client says by itself. */
export class StarlingError extends Error {
	/** @type {string | undefined} */
	channel;

	/**
	 * @param {string} code
	 * @param {string} [message]
	 * @param {{status?: number, after?: number}} [http]  after: ms to wait before asking again
	 */
	constructor(code, message, { status, after } = {}) {
		super(message ?? code);
		this.name = "StarlingError";
		this.code = code;
		this.status = status;
		this.after = after;
	}

	/** Whether the same request would be refused again. */
	get isFinal() {
		return (
			this.status >= 400 &&
			this.status < 500 &&
			this.status !== 408 &&
			this.status !== 429
		);
	}
}

const unavailable = (reason) => new StarlingError("unavailable", reason);

/** Calls the application: what it throws is reported as uncaught and does not stop the client. */
function tell(fn, ...details) {
	try {
		fn(...details);
	} catch (error) {
		setTimeout(() => {
			throw error;
		});
	}
}

class Emitter {
	#listeners = new Map();

	/** @param {string} name  @param {Function} fn  @returns {() => void} takes it off */
	on(name, fn) {
		const listeners = this.#listeners.get(name) ?? new Set();
		this.#listeners.set(name, listeners.add(fn));
		return () => listeners.delete(fn);
	}

	emit(name, ...details) {
		for (const fn of [...(this.#listeners.get(name) ?? [])]) tell(fn, ...details);
	}
}

/* ---- a cursor ---- */

/** Whether an id lies behind a cursor. In another epoch it does: that is another history. */
function isAfter(id, cursor) {
	if (cursor === undefined || cursor === "start") return true;
	const [epoch, seq] = id.split("-");
	const [epochSeen, seqSeen] = cursor.split("-");
	return epoch !== epochSeen || Number(seq) > Number(seqSeen);
}

function cursorBefore(id) {
	const [epoch, seq] = id.split("-");
	return `${epoch}-${Number(seq) - 1}`;
}

/** One channel, followed by one client. What is marked internal is for the client to call. */
export class Subscription extends Emitter {
	#callback;
	#leave;
	#resolve;
	#reject;

	constructor(channel, callback, { since = undefined, ...wishes }, leave) {
		super();
		/** @type {string} */
		this.channel = channel;
		/** @type {string | undefined} the position reached; `since` of a resume */
		this.cursor = since;
		/** Further fields of the subscribe message. */
		this.wishes = wishes;
		this.#callback = callback;
		this.#leave = leave;
		/** The first answer of the server, {cursor, recovered}; rejects when it refuses. */
		this.ready = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		this.ready.catch(() => {}); // who does not wait for it is told by the error event
	}

	unsubscribe() {
		this.#leave(this);
	}

	/** @internal The messages that follow this cursor come next. */
	answered({ cursor, recovered = undefined }) {
		const isGap = recovered === false && this.cursor !== undefined;
		if (isGap)
			this.cursor = cursor; // perhaps backwards: it is another history
		else this.advance(cursor);
		this.#resolve({ cursor, recovered });
		if (isGap) this.emit("gap", { channel: this.channel, cursor });
	}

	/** @internal */
	advance(cursor) {
		if (isAfter(cursor, this.cursor)) this.cursor = cursor;
	}

	/** @internal */
	refused(error) {
		this.#reject(error);
		this.emit("error", error);
	}

	/** @internal @param {Message} message  @param {boolean} isMuted */
	take(message, isMuted) {
		const isSeen = message.id !== undefined && !isAfter(message.id, this.cursor);
		if (isSeen) return;
		this.cursor = message.id ?? this.cursor;
		if (!isMuted) tell(this.#callback, message.data, message);
	}
}

/* ---- requests over HTTP ---- */

class Http {
	#base;
	#options;
	#fetch;

	constructor(base, options) {
		this.#base = base.replace(/^ws/, "http").replace(/\/+$/, "");
		this.#options = options;
		this.#fetch = options.fetch?.bind(globalThis);
	}

	async token() {
		const { token } = this.#options;
		return typeof token === "function" ? token() : token;
	}

	url(path, params = []) {
		const url = new URL(this.#base + path);
		for (const [name, value] of params) url.searchParams.append(name, value);
		if (this.#options.user !== undefined)
			url.searchParams.append("user", this.#options.user);
		return url.href;
	}

	async isReady() {
		const read = async (signal) => (await this.fetch("/ready", [], { signal })).text();
		const answer = await this.#within(this.#options.timeout, undefined, read).catch(
			() => null,
		);
		return answer !== null;
	}

	/**
	 * Answers with the JSON of a good response.
	 * @param {string} path
	 * @param {any[][]} params
	 * @param {{type?: string, body?: any, signal?: AbortSignal, wait?: number}} [options]
	 *	type makes it a POST, wait is the seconds that the server may take on purpose
	 */
	json(path, params, { signal, wait = 0, ...options } = {}) {
		const ms = wait * 1000 + this.#options.timeout;
		return this.#within(ms, signal, async (ending) => {
			const response = await this.fetch(path, params, {
				...options,
				signal: ending,
			});
			return response.json().catch((error) => {
				throw unavailable(`${path}: ${error.message}`);
			});
		});
	}

	/** Runs `body` with a signal that aborts when `signal` does, and after so long. */
	async #within(ms, signal, body) {
		const ended = new AbortController();
		const end = () => ended.abort();
		const timer = setTimeout(end, ms);
		signal?.addEventListener("abort", end);
		if (signal?.aborted) end();
		try {
			return await body(ended.signal);
		} finally {
			clearTimeout(timer);
			signal?.removeEventListener("abort", end);
		}
	}

	/** A good response, its body still to come; a StarlingError whatever else happens. */
	async fetch(path, params, { type = undefined, body = undefined, signal }) {
		const token = await this.token();
		const headers = {
			...(type && { "content-type": type }),
			...(token && { authorization: `Bearer ${token}` }),
		};
		const method = type ? "POST" : "GET";
		const init = { method, headers, body, signal, cache: "no-store" };
		const response = await this.#fetch(this.url(path, params), init).catch((error) => {
			throw unavailable(`${path}: ${error.message}`);
		});
		if (response.ok) return response;
		const { status } = response;
		const after = Number(response.headers.get("retry-after")) * 1000 || undefined;
		const answer = await response.json().catch(() => null); // some proxy's page?
		const { code = "unavailable", message = `${path}: HTTP ${status}` } =
			answer?.error ?? {};
		throw new StarlingError(code, message, { status, after });
	}
}

/**
 * The data of the events in a response, and null for a comment. An EventSource would not do: it
 * hides events whose names are not known beforehand, heartbeats, and why it was refused.
 */
async function* eventsOf(response) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		const events = (rest + value).split("\n\n"); // the server ends its lines so
		rest = events.pop();
		for (const event of events) {
			const data = event.split("\n").find((line) => line.startsWith("data:"));
			yield data === undefined ? null : JSON.parse(data.slice(5));
		}
	}
}

const isBinary = (data) => data instanceof ArrayBuffer || ArrayBuffer.isView(data);

/** A binary frame: 0x01, then channel and id, each after its length as a varint, then the data. */
function messageOfFrame(bytes) {
	let at = 1;
	const text = () => {
		let length = 0;
		for (let shift = 0, more = true; more; shift += 7) {
			more = bytes[at] >= 0x80;
			length |= (bytes[at++] & 0x7f) << shift;
		}
		at += length;
		return new TextDecoder().decode(bytes.subarray(at - length, at));
	};
	return { type: "message", channel: text(), id: text(), data: bytes.slice(at) };
}

/** Where it comes as JSON, a binary publication is {"base64": "…"}: the same bytes again. */
function messageOfJson(message) {
	const { data } = message;
	const isEncoded = typeof data?.base64 === "string" && Object.keys(data).length === 1;
	if (!isEncoded) return message;
	return { ...message, data: Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0)) };
}

/** A publication that the server put off (Retry-After) is offered again, with the same key. */
async function publishOverHttp(host, { channel, data, event, key, idempotency_key, echo }) {
	const ownKey =
		idempotency_key ??
		`${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
	const params = Object.entries({ channel, event, key, idempotency_key: ownKey });
	const given = params.filter(([, value]) => value !== undefined);
	const body = isBinary(data) ? data : JSON.stringify(data);
	const type = isBinary(data) ? "application/octet-stream" : "application/json";
	if (echo === false) host.mute(ownKey);
	for (let attempt = 1; ; attempt++) {
		try {
			return await host.http.json("/publish", given, { type, body });
		} catch (error) {
			if (error.after === undefined || attempt > TRIES) throw error;
			await new Promise((resolve) => setTimeout(resolve, error.after));
		}
	}
}

/* ---- links ---- */

/**
 * What a link may ask of its client.
 * @typedef {object} Host
 * @property {Http} http
 * @property {Required<Options>} options
 * @property {(link: Link, welcome?: object) => void} up   it works; the client adds to it
 * @property {(link: Link, fault: {message: string, code?: any, after?: number}) => void} down
 * @property {(sub: Subscription, answer: {cursor: string, recovered?: boolean}) => void} answered
 * @property {(sub: Subscription, error: StarlingError) => void} refused
 * @property {(sub: Subscription, reason: string) => void} ended
 * @property {(sub: Subscription, message: Message) => void} message
 * @property {(message: any) => void} other   a message without a channel, or of another type
 * @property {(key: string) => void} mute     the message with this idempotency key is our own
 *
 * A connection. add() of what it has and remove() of what it has not do nothing. After close(), and
 * after it called host.down(), it is silent.
 * @typedef {object} Link
 * @property {string} transport
 * @property {(sub: Subscription) => void} add
 * @property {(sub: Subscription) => void} remove
 * @property {(request: any) => Promise<any>} ask   publish or history
 * @property {() => void} close
 */

/** Calls back when touch() was not called for so long. */
class Silence {
	constructor(ms, onSilence) {
		this.heard = Date.now();
		const check = () => {
			const left = this.heard + ms - Date.now();
			this.timer = setTimeout(check, left > 0 ? left : ms);
			if (left <= 0) onSilence();
		};
		this.timer = setTimeout(check, ms);
	}

	touch() {
		this.heard = Date.now();
	}

	stop() {
		clearTimeout(this.timer);
	}
}

/** @implements {Link} */
class SocketLink {
	transport = "websocket";
	#host;
	#socket = null;
	#state = "opening"; // open, closed
	#ref = 0;
	#pending = new Map(); // ref -> {done, failed}
	#subs = new Map(); // channel -> subscription asked for
	#joined = new Set(); // those answered; what comes before that is late, for an earlier one
	#silence = null;
	#alarm; // rings when the welcome, or the answer to a ping, does not come
	#after;

	/** @param {Host} host */
	constructor(host) {
		this.#host = host;
		this.#alarm = setTimeout(
			() => this.#down(1006, "no welcome"),
			host.options.timeout,
		);
		this.#open().catch((error) => this.#down(1006, error.message));
	}

	async #open() {
		const token = await this.#host.http.token();
		if (this.#state === "closed") return;
		const url = this.#host.http.url("/ws").replace(/^http/, "ws");
		// As a subprotocol the token stays out of the URL, so out of the logs of proxies.
		const protocols = ["starling.v1", ...(token ? [`bearer.${token}`] : [])];
		const socket = new this.#host.options.WebSocket(url, protocols);
		socket.binaryType = "arraybuffer";
		socket.onerror = () => {}; // a close follows, with what there is to know
		socket.onclose = ({ code, reason }) => this.#down(code, reason);
		socket.onmessage = ({ data }) => {
			const isText = typeof data === "string";
			this.#receive(
				isText ? JSON.parse(data) : messageOfFrame(new Uint8Array(data)),
			);
		};
		this.#socket = socket;
	}

	#down(code, reason) {
		if (this.#state === "closed") return;
		this.close();
		this.#host.down(this, { code, message: reason, after: this.#after });
	}

	close() {
		this.#state = "closed";
		clearTimeout(this.#alarm);
		this.#silence?.stop();
		if (this.#socket) this.#socket.onclose = this.#socket.onmessage = null;
		this.#socket?.close();
		for (const { failed } of this.#pending.values())
			failed(unavailable("connection lost"));
		this.#pending.clear();
	}

	#receive(message) {
		this.#silence?.touch();
		const pending = this.#pending.get(message.ref);
		if (pending) {
			this.#pending.delete(message.ref);
			if (message.type === "error")
				pending.failed(new StarlingError(message.code, message.message));
			else pending.done(message);
		} else if (message.type === "welcome") {
			this.#welcome(message);
		} else if (message.type === "reconnect") {
			this.#after = message.after; // the close comes from the server
		} else {
			this.#receiveOfChannel(message);
		}
	}

	#receiveOfChannel(message) {
		const sub = this.#subs.get(message.channel);
		if (message.channel === undefined || message.type === "error")
			this.#host.other(message);
		else if (!this.#joined.has(sub))
			return; // left meanwhile
		else if (message.type === "message") this.#host.message(sub, message);
		else if (message.type === "gap")
			this.#host.answered(sub, { ...message, recovered: false });
		else if (message.type !== "unsubscribed") this.#host.other(message);
		else {
			this.#forget(sub);
			this.#host.ended(sub, message.reason);
		}
	}

	#welcome(welcome) {
		clearTimeout(this.#alarm);
		this.#alarm = null;
		this.#state = "open";
		this.#silence = new Silence((welcome.heartbeat ?? 25) * 1000, () => this.#ping());
		this.#host.up(this, welcome);
	}

	/** The server's pings do not show here, so a silent connection is asked if it lives. */
	#ping() {
		if (this.#alarm !== null) return; // it has been, and has time left
		const asked = Date.now();
		this.#send({ type: "ping" }, () => {});
		this.#alarm = setTimeout(() => {
			this.#alarm = null;
			if (this.#silence.heard < asked) this.#down(1006, "no answer to a ping");
		}, this.#host.options.timeout);
	}

	#send(request, done, failed = (_error) => {}) {
		const ref = ++this.#ref;
		this.#pending.set(ref, { done, failed });
		this.#socket.send(JSON.stringify({ ...request, ref }));
	}

	add(sub) {
		const { channel, cursor: since, wishes } = sub;
		if (this.#state !== "open" || this.#subs.get(channel) === sub) return;
		this.#subs.set(channel, sub);
		const isWanted = () => this.#state === "open" && this.#subs.get(channel) === sub;
		const joined = (answer) => {
			if (!isWanted()) return;
			this.#joined.add(sub);
			this.#host.answered(sub, answer);
		};
		const refused = (error) => {
			if (!isWanted()) return;
			this.#forget(sub);
			this.#host.refused(sub, error);
		};
		this.#send({ ...wishes, type: "subscribe", channel, since }, joined, refused);
	}

	remove(sub) {
		if (this.#subs.get(sub.channel) !== sub) return;
		this.#forget(sub);
		this.#send({ type: "unsubscribe", channel: sub.channel }, () => {});
	}

	#forget(sub) {
		this.#subs.delete(sub.channel);
		this.#joined.delete(sub);
	}

	/** @returns {Promise<any>} */
	ask(request) {
		// A binary frame gets no ack, so binary data takes the other way.
		if (isBinary(request.data)) return publishOverHttp(this.#host, request);
		return new Promise((resolve, reject) => this.#send(request, resolve, reject));
	}
}

/**
 * What the two links over HTTP share. Each channel is introduced by a short poll, which tells what
 * an event stream cannot: the cursor of a channel where nothing happens, and why a channel is
 * refused. Then all are listened to together, until the set of channels changes.
 * @implements {Link}
 */
class HttpLink {
	transport = "";
	#known; // every subscription added: those refused too, which are not asked for again
	#fresh; // to be introduced
	#subs = new Set(); // introduced
	#changed = new AbortController();
	#isUp = false;
	#isClosed = false;

	/** @param {Host} host  @param {Iterable<Subscription>} subs */
	constructor(host, subs) {
		this.host = host;
		this.#known = new Set(subs);
		this.#fresh = new Set(this.#known);
		this.#run().catch((error) => {
			if (this.#isClosed) return;
			this.close();
			host.down(
				this,
				error instanceof StarlingError ? error : unavailable(error.message),
			);
		});
	}

	async #run() {
		if (this.#fresh.size === 0 && !(await this.host.http.isReady()))
			throw unavailable("not ready");
		while (!this.#isClosed) {
			this.#changed = new AbortController();
			const { signal } = this.#changed;
			await this.#introduceAll();
			if (this.#isClosed || signal.aborted) continue;
			const subs = [...this.#subs];
			try {
				await (subs.length > 0
					? this.listen(subs, signal)
					: this.#idle(signal));
			} catch (error) {
				if (!signal.aborted) throw error;
			}
		}
	}

	/** Until the signal or shorter. The first time it works it calls up().
	 *  @param {Subscription[]} _subs  @param {AbortSignal} _signal  @returns {Promise<any>} */
	async listen(_subs, _signal) {
		throw new Error("for the kinds of link to say");
	}

	#idle(signal) {
		this.up();
		return new Promise((resolve) => signal.addEventListener("abort", resolve));
	}

	up() {
		if (this.#isUp || this.#isClosed) return;
		this.#isUp = true;
		this.host.up(this);
	}

	close() {
		this.#isClosed = true;
		this.#changed.abort();
	}

	add(sub) {
		if (this.#known.has(sub)) return;
		this.#known.add(sub);
		this.#fresh.add(sub);
		this.#changed.abort();
	}

	remove(sub) {
		this.#known.delete(sub);
		this.#fresh.delete(sub);
		if (this.#subs.delete(sub)) this.#changed.abort();
	}

	/** A request has a cursor for each of its channels or for none; `start` is for one. */
	async #introduceAll() {
		const subs = [...this.#fresh];
		const starting = subs.filter((sub) => sub.cursor === "start");
		await this.#introduce(subs.filter((sub) => sub.cursor === undefined));
		await this.#introduce(subs.filter((sub) => sub.cursor && sub.cursor !== "start"));
		for (const sub of starting) await this.#introduce([sub]);
	}

	async #introduce(subs) {
		if (subs.length === 0 || this.#isClosed) return;
		const answer = await this.poll(subs, 0).catch((error) => {
			if (!error.isFinal) throw error;
			return { error };
		});
		// An answer about several channels does not say which is refused or has the gap.
		if (subs.length > 1 && (answer.error || answer.recovered === false)) {
			for (const sub of subs) await this.#introduce([sub]);
			return;
		}
		for (const sub of subs) {
			if (this.#isClosed || !this.#fresh.delete(sub)) continue; // left meanwhile
			if (answer.error) this.host.refused(sub, answer.error);
			else this.#subs.add(sub);
		}
		if (!answer.error) this.take(subs, answer);
	}

	/** @param {AbortSignal} [signal] */
	poll(subs, wait, signal) {
		return this.host.http.json("/poll", [...this.place(subs), ["wait", wait]], {
			signal,
			wait,
		});
	}

	/** Channels and cursors, as parameters. @returns {string[][]} */
	place(subs) {
		const params = subs.map((sub) => ["channel", sub.channel]);
		if (subs[0].cursor !== undefined)
			params.push(["since", subs.map((sub) => sub.cursor).join(",")]);
		return params;
	}

	/** The answer to a poll: where its messages begin, the messages, where they end. */
	take(subs, { cursor, recovered, messages }) {
		const cursors = cursor.split(",");
		subs.forEach((sub, i) => {
			if (this.#isClosed || !this.#subs.has(sub)) return;
			const own = messages.filter((message) => message.channel === sub.channel);
			const begin = own.length > 0 ? cursorBefore(own[0].id) : cursors[i];
			this.host.answered(sub, { cursor: begin, recovered });
			for (const message of own) this.host.message(sub, message);
			sub.advance(cursors[i]);
		});
	}

	/** @returns {Promise<any>} */
	ask(request) {
		return request.type === "publish"
			? publishOverHttp(this.host, request)
			: this.#history(request);
	}

	async #history({ channel, since = undefined, limit = Infinity }) {
		const params = [
			["channel", channel],
			["since", since ?? "start"],
			["wait", 0],
		];
		const answer = await this.host.http.json("/poll", params);
		const held = answer.messages;
		const messages = since === undefined ? held.slice(-limit) : held.slice(0, limit);
		const cursor = messages.at(-1)?.id ?? answer.cursor;
		return { messages, cursor, more: messages.length < held.length };
	}
}

class StreamLink extends HttpLink {
	transport = "sse";

	async listen(subs, signal) {
		const { http, options } = this.host;
		const ended = new AbortController();
		const end = () => ended.abort();
		let silence = new Silence(options.timeout, end); // at first, of the response
		signal.addEventListener("abort", end);
		try {
			const params = [...this.place(subs), ["format", "full"]];
			const response = await http.fetch("/events", params, {
				signal: ended.signal,
			});
			silence.stop();
			silence = new Silence(STREAM_SILENCE_MS, end);
			this.up();
			for await (const event of eventsOf(response)) {
				silence.touch();
				if (signal.aborted) return;
				if (event !== null) this.#take(subs, event);
			}
			throw unavailable("the event stream ended");
		} finally {
			silence.stop();
			end();
		}
	}

	#take(subs, event) {
		const { type, channel, cursor } = event;
		const sub = subs.find((each) => each.channel === channel);
		if (type === "message") this.host.message(sub, event);
		const isGap = type === undefined;
		if (isGap) this.host.answered(sub, { cursor, recovered: false });
	}
}

class PollLink extends HttpLink {
	transport = "poll";

	async listen(subs, signal) {
		this.up();
		const answer = await this.poll(subs, POLL_WAIT_S, signal);
		if (signal.aborted) return;
		if (subs.length > 1 && answer.recovered === false)
			throw unavailable("a gap in some channel");
		this.take(subs, answer);
		if (answer.messages.length === 0)
			// never a hot loop, and not everybody at once
			await new Promise((resolve) => setTimeout(resolve, Math.random() * 500));
	}
}

const LINKS = { websocket: SocketLink, sse: StreamLink, poll: PollLink };

/** @returns {string[]} those wanted for which the platform has what they need */
function usableTransports({ transports = Object.keys(LINKS), WebSocket, fetch }) {
	const needs = { websocket: WebSocket, sse: fetch, poll: fetch };
	const unknown = transports.find((name) => !(name in LINKS));
	if (unknown !== undefined) throw new TypeError(`unknown transport: ${unknown}`);
	const usable = transports.filter((name) => needs[name]);
	if (usable.length === 0) throw new TypeError(`not possible here: ${transports.join(", ")}`);
	return usable;
}

/* ---- the client ---- */

/** Subscriptions that outlive connections. */
export class Starling extends Emitter {
	/** @type {"connecting" | "open" | "waiting" | "closed"} */
	state = "connecting";
	/** @type {string | null} the transport used last */
	transport = null;
	/** @type {{connection?: string, node?: string, user?: string}} of the server */
	welcome = {};

	#host;
	#transports;
	#subs = new Map(); // channel -> subscription
	#unsent = new Map(); // send -> reject, of requests that wait for a connection
	#muted = new Set(); // idempotency keys
	#link = null; // in use, or being opened
	#candidate = null; // a better one, being opened beside it
	#tier = 0; // of #transports: the one that #link is of
	#failures = 0; // to open it, in a row
	#attempt = 0; // of the back-off
	#openedAt = 0;
	#betterMs;
	#retryTimer;
	#betterTimer;
	#againTimer;
	#online = () => this.state === "waiting" && this.#open();

	/** @param {string} [url] default: where the page came from  @param {Options} [options] */
	constructor(url = globalThis.location?.origin, options = {}) {
		super();
		const { WebSocket, fetch } = globalThis;
		const platform = { WebSocket, fetch };
		const times = { timeout: 10_000, retryMin: 1000, retryMax: 30_000, better: 60_000 };
		this.#host = this.#asHost(url, { ...platform, ...times, ...options });
		this.#transports = usableTransports(this.#host.options);
		this.#betterMs = this.#host.options.better;
		globalThis.addEventListener?.("online", this.#online);
		this.#open();
	}

	/**
	 * Follows a channel; once per channel. A subscription that was refused is asked for again
	 * with the next connection, and not before, unless it was `unavailable` or `rate_limited`.
	 * @param {string} channel
	 * @param {(data: any, message: Message) => void} callback
	 * @param {{since?: string, [wish: string]: any}} [options]
	 *	since: a cursor, or "start" for all that history holds; without it, from now on.
	 *	Other fields go to the server as they are.
	 */
	subscribe(channel, callback, options = {}) {
		if (this.#subs.has(channel)) throw new Error(`already subscribed: ${channel}`);
		const sub = new Subscription(channel, callback, options, (leaving) => {
			if (this.#subs.get(channel) === leaving) this.#subs.delete(channel);
			this.#link?.remove(leaving);
			this.#candidate?.remove(leaving);
		});
		sub.on("gap", (gap) => this.emit("gap", gap));
		this.#subs.set(channel, sub);
		this.#link?.add(sub);
		return sub;
	}

	/**
	 * Publishes JSON, or binary data (an ArrayBuffer or a view of one).
	 *
	 * Without a connection it waits for one, up to the time-out. A publication under way when
	 * its connection is lost may have arrived or not: the promise rejects with `unavailable`,
	 * and the client does not send it again, because servers of this version do not yet
	 * recognise a repetition.
	 *
	 * @param {string} channel
	 * @param {any} data
	 * @param {{event?: string, key?: string, idempotency_key?: string, echo?: boolean}}
	 *	[options]  echo: false, not back to this client (binary over WebSocket: it is)
	 * @returns {Promise<{id: string, duplicate: boolean}>} rejects with a StarlingError
	 */
	async publish(channel, data, options = {}) {
		const { id, duplicate } = await this.#ask({
			...options,
			type: "publish",
			channel,
			data,
		});
		return { id, duplicate };
	}

	/**
	 * The first `limit` messages after `since`; without it the newest, oldest first.
	 * @param {string} channel
	 * @param {{since?: string, limit?: number}} [options]
	 * @returns {Promise<{messages: Message[], cursor: string, more: boolean}>}
	 */
	async history(channel, options = {}) {
		const { messages, cursor, more } = await this.#ask({
			...options,
			type: "history",
			channel,
		});
		return { messages: messages.map(messageOfJson), cursor, more };
	}

	/** Drops the connection as a bad network would; the client comes back by itself. */
	drop() {
		const link = this.#link;
		link?.close();
		if (link) this.#down(link, { code: 1006, message: "dropped" });
	}

	/** Ends the client for good. */
	close() {
		if (this.state === "closed") return;
		const wasOpen = this.state === "open";
		this.state = "closed";
		globalThis.removeEventListener?.("online", this.#online);
		clearTimeout(this.#retryTimer);
		clearTimeout(this.#betterTimer);
		clearTimeout(this.#againTimer);
		this.#candidate?.close();
		this.#link?.close();
		this.#link = this.#candidate = null;
		for (const reject of this.#unsent.values()) reject(unavailable("client closed"));
		this.#unsent.clear();
		if (wasOpen) this.emit("close", { code: 1000, reason: "client closed" });
	}

	/** @returns {Promise<any>} */
	#ask(request) {
		return new Promise((resolve, reject) => {
			if (this.state === "closed") return reject(unavailable("client closed"));
			const timer = setTimeout(() => {
				this.#unsent.delete(send);
				reject(
					new StarlingError(
						"timeout",
						`no answer to ${request.type}`,
					),
				);
			}, this.#host.options.timeout);
			const ending = (settle) => (value) => {
				clearTimeout(timer);
				settle(value);
			};
			const send = () =>
				this.#link.ask(request).then(ending(resolve), ending(reject));
			if (this.state === "open") send();
			else this.#unsent.set(send, ending(reject));
		});
	}

	#open() {
		clearTimeout(this.#retryTimer);
		this.state = "connecting";
		this.#link = this.#newLink(this.#tier);
	}

	#newLink(tier) {
		return new LINKS[this.#transports[tier]](this.#host, this.#subs.values());
	}

	/** @returns {Host} */
	#asHost(url, options) {
		return {
			http: new Http(url, options),
			options,
			up: (link, welcome) => this.#up(link, welcome),
			down: (link, fault) => this.#down(link, fault),
			answered: (sub, answer) => sub.answered(answer),
			refused: (sub, error) => this.#refused(sub, error),
			ended: (sub, reason) => this.#ended(sub, reason),
			message: (sub, message) => {
				const isMuted = this.#muted.delete(message.idempotency_key);
				sub.take(messageOfJson(message), isMuted);
			},
			other: (message) => this.#other(message),
			mute: (key) => {
				if (this.#muted.size === MUTED_MAX)
					this.#muted.delete([...this.#muted][0]);
				this.#muted.add(key);
			},
		};
	}

	#up(link, welcome = {}) {
		if (link === this.#candidate) {
			clearTimeout(this.#retryTimer);
			this.#link?.close();
			this.#link = link;
			this.#candidate = null;
			this.#tier = 0;
		}
		const { transport } = link;
		const { state, transport: previous } = this;
		Object.assign(this, { state: "open", transport, welcome });
		this.#openedAt = Date.now();
		this.#failures = 0;
		for (const sub of this.#subs.values()) link.add(sub);
		for (const send of this.#unsent.keys()) send();
		this.#unsent.clear();
		if (this.#tier === 0) this.#betterMs = this.#host.options.better;
		else this.#tryBetterLater();
		if (state !== "open")
			this.emit("open", { transport, connection: welcome.connection });
		if (previous !== transport) this.emit("transport", { transport, previous });
	}

	/** @param {Link} link  @param {{message: string, code?: any, after?: number}} fault */
	#down(link, { code = "unavailable", message, after }) {
		if (link === this.#candidate) {
			this.#candidate = null;
			this.#tryBetterLater();
		} else if (link === this.#link) {
			const wasOpen = this.state === "open";
			this.#link = null;
			this.state = "waiting";
			if (wasOpen && Date.now() - this.#openedAt > STEADY_MS) this.#attempt = 0;
			if (wasOpen) this.emit("close", { code, reason: message });
			this.#comeBack(wasOpen, after, message);
		}
	}

	async #comeBack(wasOpen, after, reason) {
		const { retryMin, retryMax } = this.#host.options;
		const most = Math.min(retryMax, retryMin * 2 ** this.#attempt);
		let delay = after ?? most * (0.5 + Math.random() / 2);
		this.#attempt++;
		// Where the server is ready and this does not open, the transport is blocked.
		if (!wasOpen && ++this.#failures >= TRIES && (await this.#host.http.isReady())) {
			this.#failures = 0;
			this.#tier = (this.#tier + 1) % this.#transports.length;
			if (this.#tier > 0) delay = 0;
		}
		if (this.state !== "waiting") return; // closed meanwhile, or online again
		this.#retryTimer = setTimeout(() => this.#open(), delay);
		this.emit("reconnecting", { delay, attempt: this.#attempt, reason });
	}

	/** On a fall-back: opens the first choice beside the link in use, which goes on. */
	#tryBetterLater() {
		clearTimeout(this.#betterTimer);
		this.#betterTimer = setTimeout(() => {
			if (this.#tier > 0 && this.#candidate === null)
				this.#candidate = this.#newLink(0);
		}, this.#betterMs);
		this.#betterMs = Math.min(this.#betterMs * 2, this.#host.options.better * 10);
	}

	#refused(sub, error) {
		error.channel = sub.channel;
		if (error.code === "unavailable" || error.code === "rate_limited") {
			clearTimeout(this.#againTimer);
			this.#againTimer = setTimeout(
				() => {
					for (const each of this.#subs.values())
						this.#link?.add(each);
				},
				this.#host.options.retryMax * (0.5 + Math.random() / 2),
			);
		} else {
			sub.refused(error);
		}
		this.emit("error", error);
	}

	#ended(sub, reason) {
		this.#subs.delete(sub.channel);
		sub.emit("end", reason);
		const error = new StarlingError(reason, "the server ended the subscription");
		this.emit("error", Object.assign(error, { channel: sub.channel }));
	}

	#other(message) {
		if (message.type === "message") {
			this.emit("message", message.data, message);
		} else if (message.type === "error") {
			const error = new StarlingError(message.code, message.message);
			this.emit("error", Object.assign(error, { channel: message.channel }));
		} else {
			(this.#subs.get(message.channel) ?? this).emit(message.type, message);
		}
	}
}

/**
 * A client of the server at `url`; by default the one that the page came from.
 * @param {string} [url]
 * @param {Options} [options]
 */
export function connect(url, options) {
	return new Starling(url, options);
}
