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
 * How it is built: Starling holds the subscriptions and one link, which is one connection. A link
 * that fails is thrown away; Starling waits and makes a new one. There are three kinds: SocketLink,
 * StreamLink and PollLink. Where one does not get through the next is tried.
 *
 * Events of a client, client.on(name, fn):
 *	open {transport, connection}    reconnecting {delay, attempt, reason}
 *	close {code, reason}            message data, message: to this connection, of no channel
 *	gap {channel, cursor}           error Error, with .code and, where it is of one, .channel
 * Events of a subscription: gap, error, and messages of further types, such as joined and left.
 */

const DEFAULTS = {
	transports: ["websocket", "sse", "poll"], // in order of preference
	token: undefined, // or a function, which is asked each time, and for another before one ends
	user: undefined, // a name to go by, where the server is in open mode
	timeout: 10_000, // ms for an answer over HTTP, or for opening a connection
	retryMin: 1000, // ms of back-off at first, doubled each time, with jitter
	retryMax: 30_000, // ms of back-off at most
	better: 300_000, // ms on a fall-back until the first choice is tried again
	WebSocket: globalThis.WebSocket,
	fetch: globalThis.fetch,
};
const OPENING_TRIES = 2; // that fail though the server is ready: then it is the next one's turn
const RENEW_AT = 0.8; // of the time that a token has left
const STEADY_MS = 10_000; // a connection that lived so long starts the back-off anew
const HEARTBEAT_S = 25; // unless the server says another
const POLL_WAIT_S = 25;
// Refusals that another connection, later, may not meet.
const PASSING = /^(unavailable|overloaded|draining|timeout|rate_limited|connection_limit)$/;

/**
 * @typedef {{[name in keyof typeof DEFAULTS]?: any}} Options
 * @typedef {{channel: string, id: string, data: any, ts: number, event?: string, user?: string,
 *	key?: string, idempotency_key?: string}} Message  id is also the cursor behind it
 */

/** A client of the server at `url`; by default the one that the page came from.
 *  @param {string} [url]  @param {Options} [options] */
export function connect(url, options) {
	return new Starling(url, options);
}

class Emitter extends EventTarget {
	/** @param {string} name  @param {Function} fn  @returns {() => void} takes it off */
	on(name, fn) {
		const listener = ({ details }) => fn(...details);
		this.addEventListener(name, listener);
		return () => this.removeEventListener(name, listener);
	}

	emit(name, ...details) {
		this.dispatchEvent(Object.assign(new Event(name), { details }));
	}
}

/** Subscriptions that outlive connections. */
export class Starling extends Emitter {
	/** @type {"connecting" | "open" | "waiting" | "closed"} */
	state = "connecting";
	/** @type {string | null} in use, or used last */
	transport = null;
	/** @type {{connection?: string, node?: string, user?: string}} of the server */
	welcome = {};

	#options;
	#kinds; // of link, in order of preference
	#choice = 0; // which of them #link is
	#none; // the link that is none
	#link; // in use, or being opened
	#subs = new Map(); // channel -> subscription
	#failures = 0; // to open, in a row, though the server was ready
	#attempt = 0; // of the back-off
	#openedAt = 0;
	#timer;
	#online = () => this.state === "waiting" && this.#open();

	constructor(url = globalThis.location?.origin, options = {}) {
		super();
		const base = url.replace(/^ws/, "http").replace(/\/+$/, "");
		this.#options = { ...DEFAULTS, ...options, base };
		this.#link = this.#none = new Link(this.#options, this.#subs);
		const { transports, WebSocket } = this.#options;
		const all = { websocket: WebSocket && SocketLink, sse: StreamLink, poll: PollLink };
		this.#kinds = transports.map((name) => all[name]).filter(Boolean);
		if (this.#kinds.length === 0) throw new TypeError(`none possible: ${transports}`);
		globalThis.addEventListener?.("online", this.#online);
		this.#open();
	}

	/**
	 * Follows a channel; once per channel. When it is refused, each new connection asks again.
	 * @param {string} channel
	 * @param {(data: any, message: Message) => void} callback  data: JSON, or a Uint8Array
	 * @param {{since?: string, [wish: string]: any}} [options]  since: a cursor, or "start" for
	 *	all that history holds; without it, from now on. Other fields, such as presence, go
	 *	to the server as they are, over WebSocket.
	 */
	subscribe(channel, callback, options = {}) {
		if (this.#subs.has(channel)) throw new Error(`already subscribed: ${channel}`);
		const sub = new Subscription(channel, options, () => {
			this.#subs.delete(channel);
			this.#link.changed(sub);
		});
		sub.on("message", callback);
		for (const name of ["gap", "error"]) sub.on(name, (what) => this.emit(name, what));
		this.#subs.set(channel, sub);
		this.#link.changed(sub);
		return sub;
	}

	/**
	 * Publishes JSON, or binary data (an ArrayBuffer or a view of one). Rejects with an Error
	 * that has a code. After `unavailable` it may have arrived or not: whether to repeat it,
	 * with the same idempotency_key, is for the application to say.
	 * @param {string} channel  @param {any} data
	 * @param {{event?: string, key?: string, idempotency_key?: string, echo?: boolean}}
	 *	[options]  echo: false, not back to this client (JSON, over WebSocket)
	 * @returns {Promise<{id: string, duplicate: boolean}>}
	 */
	publish(channel, data, options = {}) {
		return this.#link.ask({ ...options, type: "publish", channel, data });
	}

	/**
	 * The first `limit` messages after `since`; without it the newest, oldest first.
	 * @param {string} channel  @param {{since?: string, limit?: number}} [options]
	 * @returns {Promise<{messages: Message[], cursor: string, more: boolean}>}
	 */
	async history(channel, options = {}) {
		const answer = await this.#link.ask({ ...options, type: "history", channel });
		return { ...answer, messages: answer.messages.map(decoded) };
	}

	/** Drops the connection as a bad network would; the client comes back by itself. */
	drop() {
		this.#link.ondown({ code: 1006, message: "dropped" });
	}

	/** Ends the client for good. */
	close() {
		globalThis.removeEventListener?.("online", this.#online);
		this.#leave("closed", { code: 1000, message: "client closed" });
		this.#none.close();
	}

	/* ---- from one connection to the next ---- */

	/** What is next happens after so many ms, unless another state is entered before. */
	#enter(state, ms, next) {
		this.state = state;
		clearTimeout(this.#timer);
		if (next) this.#timer = setTimeout(next, ms);
	}

	#open() {
		const link = new this.#kinds[this.#choice](this.#options, this.#subs);
		link.onup = (welcome) => this.#up(link, welcome);
		link.ondown = (fault) => this.#down(link, fault);
		link.onother = (name, ...details) => this.emit(name, ...details);
		this.#link = link;
		const { timeout } = this.#options;
		this.#enter("connecting", timeout, () => link.ondown(errorOf("no answer")));
		link.run().catch(link.ondown);
	}

	#up(link, welcome = {}) {
		if (link !== this.#link || this.state === "open") return;
		const { transport } = link;
		const leave = () => link.ondown({ message: "to try a better transport", after: 0 });
		this.#enter("open", this.#options.better, this.#choice > 0 && leave);
		Object.assign(this, { transport, welcome });
		this.#openedAt = Date.now();
		if (this.#choice === 0) this.#failures = 0;
		this.emit("open", { transport, connection: welcome.connection });
	}

	async #down(link, fault) {
		if (link !== this.#link) return;
		const wasOpen = this.#leave("waiting", fault);
		const isBlocked = !wasOpen && (await this.#isBlocked());
		if (this.state !== "waiting") return; // closed meanwhile, or online again
		this.#choice = isBlocked ? (this.#choice + 1) % this.#kinds.length : 0;
		const { retryMin, retryMax } = this.#options;
		const most = Math.min(retryMax, retryMin * 2 ** this.#attempt++);
		const { after = most * (0.5 + Math.random() / 2) } = fault; // not everybody at once
		const delay = this.#choice > 0 ? 0 : after;
		this.#enter("waiting", delay, () => this.#open());
		this.emit("reconnecting", { delay, attempt: this.#attempt, reason: fault.message });
	}

	#leave(state, { code = "unavailable", message: reason }) {
		const link = this.#link;
		const wasOpen = this.state === "open";
		if (wasOpen && Date.now() - this.#openedAt > STEADY_MS) this.#attempt = 0;
		this.#link = this.#none;
		this.#enter(state);
		link.close();
		if (wasOpen) this.emit("close", { code, reason });
		return wasOpen;
	}

	/** Whether a transport does not open, time after time, though the server is ready. */
	async #isBlocked() {
		const isReady = await this.#none.json("/ready").catch(() => false);
		this.#failures = isReady ? this.#failures + 1 : 0;
		return this.#failures >= OPENING_TRIES;
	}
}

/** One channel, followed by one client. Its answered, refused and take are for the links. */
export class Subscription extends Emitter {
	#settle;
	/** The server's first answer, {cursor, recovered}; rejects when it refuses. */
	ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
	#leave;
	#isOver = false;

	constructor(channel, { since, ...wishes }, leave) {
		super();
		this.channel = channel;
		/** @type {string | undefined} the position reached; messages follow */
		this.cursor = since;
		this.wishes = wishes; // further fields of the subscribe message
		this.#leave = leave;
		this.ready.catch(() => {}); // who does not wait for it is told by the error event
	}

	unsubscribe() {
		if (!this.#isOver) this.#leave();
		this.#isOver = true;
	}

	/** The messages behind this cursor come next. */
	answered({ cursor, recovered }) {
		const isGap = recovered === false && this.cursor !== undefined;
		this.cursor = cursor;
		this.#settle.resolve({ cursor, recovered });
		if (isGap) this.emit("gap", { channel: this.channel, cursor });
	}

	refused(error) {
		this.#settle.reject(Object.assign(error, { channel: this.channel }));
		this.emit("error", error);
	}

	/** @param {Message} message */
	take(message) {
		if (this.#isOver || !isAfter(message.id, this.cursor)) return;
		this.cursor = message.id;
		const whole = decoded(message);
		this.emit("message", whole.data, whole);
	}
}

/** Whether an id lies behind a cursor. In another epoch it does: that is another history. */
function isAfter(id, cursor = "start") {
	const [epoch, seq] = id.split("-");
	const [epochSeen, seqSeen] = cursor.split("-");
	return epoch !== epochSeen || Number(seq) > Number(seqSeen);
}

/** Milliseconds until a token ends; NaN where it does not say. */
function msLeft(token) {
	try {
		const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
		return JSON.parse(atob(claims)).exp * 1000 - Date.now();
	} catch {
		return NaN;
	}
}

/** A refusal of the server; or `unavailable`, which the client says by itself. */
function errorOf(message, { code = "unavailable", channel, after } = {}) {
	const error = new Error(message ?? code);
	return Object.assign(error, { name: "StarlingError", code, channel, after });
}

/* ---- links ---- */

/*
 * What all links have: requests over HTTP. The kinds add a connection: run() calls onup() when it
 * works and ondown() when it fails, which closes it; changed(sub) says that there is a subscription
 * more or less.
 */
class Link {
	isClosed = false;

	constructor(options, subs) {
		this.options = options;
		this.subs = subs; // channel -> subscription
	}

	ondown(_fault) {}
	changed(_sub) {}
	close() { this.isClosed = true; }

	async token() {
		const { token } = this.options;
		return typeof token === "function" ? token() : token;
	}

	/* A parameter that is a list is there once for each, one that is undefined not at all. */
	url(path, params = {}) {
		const url = new URL(this.options.base + path);
		for (const [name, value] of Object.entries({ ...params, user: this.options.user }))
			for (const each of [value].flat())
				if (each !== undefined) url.searchParams.append(name, each);
		return url.href;
	}

	/* A good response, its body still to come. */
	async fetch(path, params, { headers = {}, ...init }) {
		const { fetch } = this.options;
		const token = await this.token();
		if (token) headers.authorization = `Bearer ${token}`;
		const request = { ...init, headers, cache: "no-store" };
		const response = await fetch(this.url(path, params), request).catch(fails);
		if (response.ok) return response;
		const { error } = await response.json().catch(() => ({})); // some proxy's page?
		const after = Number(response.headers.get("retry-after")) * 1000 || undefined;
		throw errorOf(error?.message ?? `HTTP ${response.status}`, { ...error, after });
	}

	async json(path, params, init = {}) {
		const signal = init.signal ?? AbortSignal.timeout(this.options.timeout);
		const response = await this.fetch(path, params, { ...init, signal });
		return response.json().catch(fails);
	}

	async ask(request) {
		if (this.isClosed) throw errorOf("client closed");
		return request.type === "publish" ? this.#publish(request) : this.#history(request);
	}

	/* What the server put off is offered once more; the key makes that safe. */
	#publish({ channel, data, event, key, idempotency_key = newKey() }) {
		const params = { channel, event, key, idempotency_key };
		const [type, body] = isBinary(data)
			? ["application/octet-stream", data]
			: ["application/json", JSON.stringify(data)];
		const init = { method: "POST", headers: { "content-type": type }, body };
		const post = () => this.json("/publish", params, init);
		return post().catch((error) =>
			error.after ? pause(error.after).then(post) : Promise.reject(error));
	}

	async #history({ channel, since, limit = Infinity }) {
		const params = { channel, since: since ?? "start", wait: 0 };
		const { messages: held, cursor: head } = await this.json("/poll", params);
		const messages = since === undefined ? held.slice(-limit) : held.slice(0, limit);
		const cursor = messages.at(-1)?.id ?? head;
		return { messages, cursor, more: messages.length < held.length };
	}

	/* One that passes is a failure of the connection: the next one asks again. */
	refused(sub, error) {
		if (PASSING.test(error.code)) this.ondown(error);
		else sub.refused(error);
	}
}

class SocketLink extends Link {
	transport = "websocket";
	#socket;
	#joined = new WeakSet(); // subscriptions answered: what comes before is for an earlier one
	#pending = new Map(); // ref -> {done, failed}
	#ref = 0;
	#beat; // since the welcome
	#quiet = 0; // heartbeats since the server was heard
	#renewal; // of the token

	async run() {
		const token = await this.token();
		if (this.isClosed) return;
		this.#renewLater(token);
		// As a subprotocol the token stays out of the URL, so out of the logs of proxies.
		const protocols = ["starling.v1", ...(token ? [`bearer.${token}`] : [])];
		const url = this.url("/ws").replace(/^http/, "ws");
		const socket = (this.#socket = new this.options.WebSocket(url, protocols));
		socket.binaryType = "arraybuffer";
		socket.onerror = () => {}; // a close follows, with what there is to know
		socket.onclose = ({ code, reason }) => this.ondown({ code, message: reason });
		socket.onmessage = ({ data }) =>
			this.#receive(isBinary(data) ? messageOfFrame(data) : JSON.parse(data));
	}

	close() {
		super.close();
		clearInterval(this.#beat);
		clearTimeout(this.#renewal);
		this.#socket?.close();
		for (const { failed } of this.#pending.values()) failed(errorOf("connection lost"));
	}

	changed(sub) {
		const { channel } = sub;
		if (!this.#beat) return; // they are all asked for when it opens
		if (this.subs.get(channel) === sub) this.#subscribe(sub);
		else this.#send({ type: "unsubscribe", channel });
	}

	/* By HTTP before the socket is open, and for binary data: such a frame gets no ack. */
	ask(request) {
		if (!this.#beat || isBinary(request.data)) return super.ask(request);
		return new Promise((resolve, reject) => this.#send(request, resolve, reject));
	}

	#send(request, done = (_answer) => {}, failed = (_error) => {}) {
		this.#pending.set(++this.#ref, { done, failed });
		this.#socket.send(JSON.stringify({ ...request, ref: this.#ref }));
	}

	/* Where that fails the connection ends with its token, and the next one asks anew. */
	#renewLater(token) {
		const ms = typeof this.options.token === "function" && RENEW_AT * msLeft(token);
		if (ms > 0) this.#renewal = setTimeout(() => this.#renew(token), Math.min(ms, 2 ** 31 - 1));
	}

	async #renew(before) {
		const token = await this.token().catch(() => before);
		if (this.isClosed || !this.#beat || token === before) return;
		const refused = (error) => this.isClosed || this.onother("error", error);
		this.#send({ type: "auth", token }, () => this.#renewLater(token), refused);
	}

	#subscribe(sub) {
		const { channel, cursor: since, wishes } = sub;
		const isWanted = () => this.subs.get(channel) === sub;
		const joined = (answer) => {
			if (!isWanted()) return;
			this.#joined.add(sub);
			sub.answered(answer);
		};
		const refused = (error) => isWanted() && this.refused(sub, error);
		this.#send({ ...wishes, type: "subscribe", channel, since }, joined, refused);
	}

	#receive(message) {
		if (this.isClosed) return;
		this.#quiet = 0;
		const { type, channel, ref, data, after, reason } = message;
		const sub = this.subs.get(channel);
		const pending = this.#pending.get(ref);
		this.#pending.delete(ref);
		const error = type === "error" && errorOf(message.message, message);
		if (pending) error ? pending.failed(error) : pending.done(message);
		else if (error) this.onother(type, error);
		else if (type === "welcome") this.#welcome(message);
		else if (type === "reconnect") this.ondown({ code: 1012, message: "drain", after });
		else if (channel === undefined) this.onother(type, data ?? message, message);
		else if (!this.#joined.has(sub)) return; // late
		else if (type === "message") sub.take(message);
		else if (type === "gap") sub.answered({ ...message, recovered: false });
		else if (type === "unsubscribed") sub.refused(errorOf(type, { code: reason }));
		else sub.emit(type, message);
	}

	/* The server's pings do not show here, so when it is silent it is asked. */
	#welcome(welcome) {
		this.#beat = setInterval(() => {
			this.#quiet++;
			if (this.#quiet === 2) this.#send({ type: "ping" });
			if (this.#quiet === 3) this.ondown(errorOf("no answer to a ping"));
		}, (welcome.heartbeat ?? HEARTBEAT_S) * 1000);
		for (const sub of this.subs.values()) this.#subscribe(sub);
		this.onup(welcome);
	}
}

/*
 * What the two links over HTTP share. Each channel is introduced by a short poll of its own, which
 * tells what an answer about several does not: where a silent channel stands, why one is refused,
 * and which one has a gap. Then all are listened to together, until the set of channels changes.
 */
class HttpLink extends Link {
	#known = new Map(); // subscription -> whether it is followed; else it was refused
	#round = new AbortController(); // ends when the set changes
	#alarm;

	async run() {
		while (!this.isClosed) {
			const { signal } = (this.#round = new AbortController());
			await this.#follow(signal).catch((error) => {
				if (!signal.aborted) throw error;
			});
		}
	}

	close() {
		super.close();
		clearTimeout(this.#alarm);
		this.#round.abort();
	}

	changed() { this.#round.abort(); }

	async #follow(signal) {
		this.expect(this.options.timeout);
		const subs = [...this.subs.values()];
		const fresh = subs.filter((sub) => !this.#known.has(sub));
		await Promise.all(fresh.map((sub) => this.#introduce(sub, signal)));
		if (signal.aborted) return;
		const followed = subs.filter((sub) => this.#known.get(sub));
		if (followed.length > 0) return this.listen(followed, signal);
		await this.json("/ready", {}, { signal });
		this.onup();
		clearTimeout(this.#alarm);
		if (!signal.aborted) await new Promise((resolve) => (signal.onabort = resolve));
	}

	async #introduce(sub, signal) {
		const answer = await this.poll([sub], 0, signal).catch((error) => ({ error }));
		if (signal.aborted) return;
		const { error, cursor, recovered, messages } = answer;
		this.#known.set(sub, !error);
		if (error) return this.refused(sub, error);
		const first = messages[0]?.id;
		sub.answered({ cursor: first ? cursorBefore(first) : cursor, recovered });
		for (const message of messages) sub.take(message);
	}

	poll(subs, wait, signal) {
		return this.json("/poll", { ...placeOf(subs), wait }, { signal });
	}

	/* Fails unless it is called again within so many ms. */
	expect(ms) {
		clearTimeout(this.#alarm);
		this.#alarm = setTimeout(() => this.ondown(errorOf("the server is silent")), ms);
	}
}

/* EventSource would not do: it hides heartbeats, refusals, and events by names of their own. */
class StreamLink extends HttpLink {
	transport = "sse";

	async listen(subs, signal) {
		const params = { ...placeOf(subs), format: "full" };
		const response = await this.fetch("/events", params, { signal });
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		this.onup();
		for (let rest = ""; !signal.aborted; ) {
			const { done, value } = await reader.read();
			if (done) throw errorOf("the event stream ended");
			this.expect(3 * HEARTBEAT_S * 1000);
			const lines = (rest + value).split("\n"); // so the server ends them
			rest = lines.pop();
			const data = lines.filter((line) => line.startsWith("data:"));
			for (const line of data) this.#take(JSON.parse(line.slice(5)));
		}
	}

	#take(message) {
		const sub = this.subs.get(message.channel);
		if (message.type === "message") sub?.take(message);
		else sub?.answered({ ...message, recovered: false }); // a gap
	}
}

class PollLink extends HttpLink {
	transport = "poll";

	async listen(subs, signal) {
		this.onup();
		this.expect(POLL_WAIT_S * 1000 + this.options.timeout);
		const { cursor, recovered, messages } = await this.poll(subs, POLL_WAIT_S, signal);
		if (signal.aborted) return;
		if (!recovered) throw errorOf("a gap"); // the next introduction tells where
		for (const message of messages) this.subs.get(message.channel)?.take(message);
		cursor.split(",").forEach((reached, i) => (subs[i].cursor = reached));
		if (messages.length === 0) await pause(Math.random() * 500); // not all at once
	}
}

const fails = ({ message }) => { throw errorOf(message); };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const newKey = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
const placeOf = (subs) => ({
	channel: subs.map((sub) => sub.channel),
	since: subs.map((sub) => sub.cursor).join(",") || undefined,
});
const cursorBefore = (id) => id.replace(/\d+$/, (seq) => String(Number(seq) - 1));

/* ---- binary data ---- */

const isBinary = (data) => data instanceof ArrayBuffer || ArrayBuffer.isView(data);

/* A frame: 0x01, then channel and id, each after its length as a varint, then the data. */
function messageOfFrame(buffer) {
	const bytes = new Uint8Array(buffer);
	let at = 1;
	const varint = () => (bytes[at] & 0x7f) + (bytes[at++] < 0x80 ? 0 : 0x80 * varint());
	const text = () => {
		const length = varint();
		at += length;
		return new TextDecoder().decode(bytes.subarray(at - length, at));
	};
	return { type: "message", channel: text(), id: text(), data: bytes.slice(at) };
}

/* Where it comes as JSON, a binary publication is {"base64": "…"}: the same bytes again. */
function decoded(message) {
	const { data } = message;
	if (typeof data?.base64 !== "string" || Object.keys(data).length !== 1) return message;
	try {
		const bytes = Uint8Array.from(atob(data.base64), (char) => char.charCodeAt(0));
		return { ...message, data: bytes };
	} catch {
		return message; // JSON that happens to look like it
	}
}
