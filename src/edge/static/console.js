/*
 * console.js - the operator's page.
 *
 * All that it shows of the node comes over one event stream, /api/live, as it changes, while the
 * page is seen; a channel's messages over another one, /events. The key, where one is needed, goes in
 * a header and nowhere else.
 */

const PERIOD_S = 2;
const RETRY_MS = 2000;
const POINTS = 90; /* of a plot: three minutes */
const TOP_CHANNELS = 20;
const CONNECTIONS = 50;
const TAIL = 200; /* messages that are kept on the page */
const PAGE = 25; /* of history */
const KEY = "starling-api-key";

const $ = (id) => document.getElementById(id);

/* ---- asking the server ---- */

let key = sessionStorage.getItem(KEY);

class Refused extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

async function ask(path, { method = "GET", body, signal, type } = {}) {
	const headers = {};
	if (key)
		headers.authorization = `Bearer ${key}`;
	if (type)
		headers["content-type"] = type;
	const answer = await fetch(path, { method, body, headers, signal, cache: "no-store" });
	if (answer.ok)
		return answer;
	const text = await answer.text();
	let message = `${answer.status} ${answer.statusText}`;
	try {
		message = JSON.parse(text).error.message;
	} catch { /* not ours: the status says enough */ }
	throw new Refused(answer.status, message);
}

const askJson = async (path, options) => (await ask(path, options)).json();

/* Text of Prometheus: a map of `name{labels}` to numbers. */
function parseMetrics(text) {
	const values = new Map();
	for (const line of text.split("\n")) {
		const space = line.lastIndexOf(" ");
		if (line[0] !== "#" && space > 0)
			values.set(line.slice(0, space), Number(line.slice(space + 1)));
	}
	return values;
}

/* ---- figures ---- */

const labelOf = (name, label) => new RegExp(`[{,]${label}="([^"]*)"`).exec(name)?.[1];

/* All values of a metric: [name with labels, value]. */
const family = (values, name) =>
	[...values].filter(([full]) => full === name || full.startsWith(`${name}{`));

const total = (values, name) => family(values, name).reduce((sum, [, value]) => sum + value, 0);

/* What grew between two looks, a second. */
const rate = (name) => (now, before, seconds) =>
	Math.max(0, total(now, name) - total(before, name)) / seconds;

/* The bound that a part of what was counted between two looks is within, in ms; null: of none. */
function quantile(now, before, name, part) {
	const buckets = family(now, `${name}_bucket`)
		.map(([full, value]) => [Number(labelOf(full, "le").replace("+Inf", "Infinity")),
			value - (before.get(full) ?? 0)]);
	const count = buckets.at(-1)?.[1];
	if (!count)
		return null;
	let below = 0, from = 0;
	for (const [bound, upTo] of buckets) {
		if (upTo >= count * part)
			return 1000 * (Number.isFinite(bound) && upTo > below
				? from + (bound - from) * (count * part - below) / (upTo - below) : from);
		[below, from] = [upTo, bound];
	}
	return null;
}

/* The busiest worker, in parts of a hundred. */
function busiest(now, before, seconds) {
	const spent = family(now, "starling_worker_loop_seconds_sum")
		.map(([name, value]) => value - (before.get(name) ?? 0));
	return Math.max(0, ...spent) / seconds * 100;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const number = (value) => value === null ? "–" : (value < 100 ? fine : whole).format(value);
const bytes = (value) => {
	const units = ["B", "KiB", "MiB", "GiB"];
	let unit = 0;
	for (; value >= 1024 && unit < units.length - 1; unit++)
		value /= 1024;
	return `${fine.format(value)} ${units[unit]}`;
};

const clients = (transport) => (now) =>
	now.get(`starling_connections{transport="${transport}"}`) ?? 0;

const plots = [
	{ title: "Connections", lines: { WebSocket: clients("websocket"), "SSE and polls": (now) =>
		clients("sse")(now) + clients("poll")(now) } },
	{ title: "Messages a second", lines: {
		in: rate("starling_messages_published_total"),
		out: rate("starling_messages_delivered_total") } },
	{ title: "Delivery, ms", lines: {
		p50: (now, before) => quantile(now, before, "starling_delivery_seconds", .5),
		p99: (now, before) => quantile(now, before, "starling_delivery_seconds", .99) } },
	{ title: "Busiest worker, %", lines: { busy: busiest }, top: 100 },
	{ title: "Waiting for slow clients", unit: bytes, lines: {
		bytes: (now) => total(now, "starling_outbound_bytes") } },
	{ title: "Slow consumers a second", lines: { slow: rate("starling_slow_consumers_total") } },
	{ title: "Memory", unit: bytes, lines: {
		resident: (now) => total(now, "process_resident_memory_bytes") } },
];

/* ---- plots ---- */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100, HEIGHT = 40;

function element(name, properties = {}, ...children) {
	const made = document.createElement(name);
	Object.assign(made, properties);
	made.append(...children);
	return made;
}

function drawn(name, attributes) {
	const made = document.createElementNS(SVG, name);
	for (const [attribute, value] of Object.entries(attributes))
		made.setAttribute(attribute, value);
	return made;
}

function makePlot(plot) {
	const names = Object.keys(plot.lines);
	plot.series = names.map(() => []);
	plot.now = element("span", { className: "now" });
	plot.svg = drawn("svg", {
		viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
	plot.svg.append(drawn("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
	plot.polylines = names.map(() => drawn("polyline", {}));
	plot.svg.append(...plot.polylines);
	const legend = names.length > 1 ? `${names[0]} —, ${names[1]} - -` : "three minutes";
	$("plots").append(element("div", { className: "plot" },
		element("h3", { textContent: plot.title }), plot.now, plot.svg,
		element("span", { className: "legend", textContent: legend })));
}

function drawPlot(plot) {
	const unit = plot.unit ?? number;
	const top = plot.top ?? Math.max(...plot.series.flat(), 1e-9);
	plot.series.forEach((series, i) => {
		const points = series.map((value, at) =>
			`${WIDTH - (series.length - 1 - at) * WIDTH / (POINTS - 1)},` +
			`${HEIGHT - Math.min((value ?? 0) / top, 1) * HEIGHT}`);
		plot.polylines[i].setAttribute("points", points.join(" "));
	});
	const latest = plot.series.map((series) => unit(series.at(-1) ?? null));
	plot.now.textContent = latest.join(" / ");
	plot.svg.setAttribute("aria-label", `${plot.title}: ` + Object.keys(plot.lines)
		.map((name, i) => `${name} ${latest[i]}`).join(", "));
}

function feedPlots(now, before, seconds) {
	for (const plot of plots) {
		Object.values(plot.lines).forEach((line, i) => {
			plot.series[i].push(line(now, before, seconds));
			plot.series[i].splice(0, plot.series[i].length - POINTS);
		});
		drawPlot(plot);
	}
}

/* ---- tables ---- */

/* Rows by their key: those that stay keep their place in the page, and the focus in them. */
function fill(body, items, keyOf, cellsOf) {
	const there = new Map([...body.rows].map((row) => [row.dataset.key, row]));
	const rows = items.map((item) => {
		const row = there.get(String(keyOf(item))) ?? element("tr");
		row.dataset.key = keyOf(item);
		const cells = cellsOf(item);
		cells.forEach((cell, i) => {
			const place = row.cells[i] ?? row.insertCell();
			if (cell instanceof Node) {
				if (!place.firstChild)
					place.append(cell);
				return;
			}
			const isNumber = typeof cell === "number";
			place.classList.toggle("number", isNumber);
			const text = isNumber ? whole.format(cell) : String(cell ?? "–");
			if (place.textContent !== text)
				place.textContent = text;
		});
		there.delete(row.dataset.key);
		return row;
	});
	there.forEach((row) => row.remove());
	rows.forEach((row, i) => {
		if (body.rows[i] !== row)
			body.insertBefore(row, body.rows[i] ?? null);
	});
}

function button(text, label, onclick, className = "") {
	const made = element("button", { type: "button", textContent: text, className, onclick });
	made.setAttribute("aria-label", label);
	return made;
}

function showTroubles(now) {
	const rows = [...family(now, "starling_errors_total").map(([name, value]) =>
		[`refused ${labelOf(name, "code")}`, value]),
	...family(now, "starling_closes_total").map(([name, value]) =>
		[`ended ${labelOf(name, "reason")}`, value])].filter(([, value]) => value > 0);
	$("no-troubles").hidden = rows.length > 0;
	$("troubles").replaceChildren(...rows.map(([name, value]) => element("div", {},
		element("dt", { textContent: name }),
		element("dd", { textContent: whole.format(value) }))));
}

function showChannels({ channels, next }) {
	channels.sort((a, b) => b.subscribers - a.subscribers || a.channel.localeCompare(b.channel));
	fill($("channels"), channels.slice(0, TOP_CHANNELS), (item) => item.channel, (item) => [
		button(item.channel, `Watch ${item.channel}`, () => watch(item.channel)),
		item.subscribers, item.cursor]);
	$("channels-note").textContent = next !== undefined
		? "The most subscribed of the first thousand; say how the name begins to see others."
		: channels.length > TOP_CHANNELS ? `${TOP_CHANNELS} of ${channels.length}.`
			: channels.length === 0 ? "None." : "";
}

async function disconnect(id) {
	try {
		await ask(`/api/connections/${encodeURIComponent(id)}`, { method: "DELETE" });
		$("disconnected").textContent = `${id} was disconnected.`;
		again();
	} catch (error) {
		$("disconnected").textContent = `${id}: ${error.message}`;
	}
}

function showConnections({ connections, more }) {
	fill($("connections"), connections, (item) => item.id, (item) => [
		item.id, item.user, item.transport, item.address, item.node,
		new Date(item.since).toLocaleTimeString(), item.channels,
		button("Disconnect", `Disconnect ${item.id}`, () => disconnect(item.id), "danger")]);
	$("connections-note").textContent = more
		? `${CONNECTIONS} of them; say of which user to see others.`
		: connections.length === 0 ? "None." : "";
}

function showMembers({ members }) {
	fill($("members"), members, (item) => item.node, (item) => [
		item.node, item.state, item.address, item.version, item.connections, item.slots]);
}

/* ---- a channel ---- */

let watched = null; /* { channel, abort, hasPresence } */

function itemOf({ id, event, key: of, user, ts, data }) {
	const meta = [ts && new Date(ts).toLocaleTimeString(), id, event && `event ${event}`,
		of && `key ${of}`, user && `by ${user}`].filter(Boolean).join("  ");
	return element("li", {}, element("span", { className: "meta", textContent: `${meta}  ` }),
		JSON.stringify(data));
}

function addToTail(item) {
	const tail = $("tail");
	tail.prepend(item);
	while (tail.children.length > TAIL)
		tail.lastChild.remove();
}

/* Events of a stream, as they come: { event, data, id }. */
async function* eventsOf(body) {
	let rest = "";
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	for (;;) {
		const { value, done } = await reader.read();
		if (done)
			return;
		rest += value;
		const blocks = rest.split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			const fields = { event: "message", data: [] };
			for (const line of block.split("\n")) {
				const [, name, text] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
				if (name === "data")
					fields.data.push(text);
				else if (name)
					fields[name] = text;
			}
			yield { ...fields, data: fields.data.join("\n") };
		}
	}
}

const pathOf = (channel, what) => `/api/channels/${encodeURIComponent(channel)}/${what}`;

/* The newest messages held, and where the live ones begin. */
async function showNewest({ channel, abort }) {
	const { messages, cursor } =
		await askJson(pathOf(channel, `history?limit=${PAGE}`), { signal: abort.signal });
	messages.forEach((message) => addToTail(itemOf(message)));
	return messages.length > 0 ? cursor : "start";
}

/* From history on, and again from where it was when the stream ends. */
async function follow(one) {
	const { channel, abort } = one;
	let since = null;
	while (!abort.signal.aborted) {
		try {
			since ??= await showNewest(one);
			const { body } = await ask(`/events?format=full&channel=${
				encodeURIComponent(channel)}&since=${since}`, { signal: abort.signal });
			$("tail-state").textContent = `${channel}: live.`;
			for await (const { data, id } of eventsOf(body)) {
				since = id || since;
				const what = data && JSON.parse(data);
				/* By what it is: the event's name is its publisher's, who may say gap too. */
				if (what?.type === "message")
					addToTail(itemOf(what));
				else if (what)
					addToTail(element("li",
						{ className: "gap", textContent: "Some messages are gone." }));
			}
		} catch (error) {
			if (abort.signal.aborted)
				return;
			$("tail-state").textContent = `${channel}: ${error.message}`;
			if (error.status >= 400 && error.status < 500 && error.status !== 429)
				return;
		}
		await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
	}
}

function watch(channel) {
	watched?.abort.abort();
	watched = { channel, abort: new AbortController(), hasPresence: true };
	$("channel").value = channel;
	$("tail").replaceChildren();
	$("held").replaceChildren();
	page = null;
	$("presence").textContent = "";
	$("tail-state").textContent = `${channel}: connecting.`;
	follow(watched);
	again();
	if ($("history").open)
		turnTo("newest");
}

function showPresence({ count, members = [] }) {
	const names = members.map((member) => member.user).join(", ");
	$("presence").textContent = `${count} there${names && `: ${names}`}`;
}

/* ---- its history, by pages ---- */

let page = null; /* ids of its first and last message; null: none */

const parse = (id) => ({ epoch: id.split("-")[0], seq: Number(id.split("-")[1]) });

/* The cursor that a page begins behind; "": it is the newest one. */
function sinceOf(where) {
	if (where === "start" || (page === null && where === "newer"))
		return "start";
	if (where === "newest" || page === null)
		return "";
	if (where === "newer")
		return page.last;
	const { epoch, seq } = parse(page.first);
	return `${epoch}-${Math.max(0, seq - 1 - PAGE)}`;
}

async function turnTo(where) {
	const { channel } = watched ?? { channel: $("channel").value };
	if (!channel)
		return;
	try {
		const since = sinceOf(where);
		const { messages, more } = await askJson(pathOf(channel,
			`history?limit=${PAGE}${since && `&since=${since}`}`));
		const first = messages[0]?.id, last = messages.at(-1)?.id;
		if (messages.length === 0 && where === "newer") {
			$("history-note").textContent = "There is nothing newer.";
			return;
		}
		page = first ? { first, last } : null;
		$("held").replaceChildren(...messages.map(itemOf));
		$("history-note").textContent = !first ? "Nothing is held."
			: `${first} to ${last}${more && since ? ", and newer ones" : ""}`;
	} catch (error) {
		$("history-note").textContent = error.message;
	}
}

/* As the shell's `pub`: JSON where it is JSON, else a string. */
function parseData(text) {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

async function publish() {
	const text = $("data").value;
	const message = { channel: $("channel").value, data: parseData(text) };
	for (const name of ["event", "key"]) {
		if ($(name).value)
			message[name] = $(name).value;
	}
	$("data").value = ""; /* at once: what is typed before the answer comes is the next message */
	try {
		const { id } = await askJson("/api/publish",
			{ method: "POST", type: "application/json", body: JSON.stringify(message) });
		$("published").textContent = `Published as ${id}.`;
		if (watched?.channel !== message.channel)
			watch(message.channel);
	} catch (error) {
		$("published").textContent = `Not published: ${error.message}`;
		$("data").value ||= text;
	}
	$("data").focus();
}

/* ---- all of it ---- */

let before = null, beforeMs = 0;

function say(state, text) {
	$("state").dataset.state = state;
	if ($("state").textContent !== text)
		$("state").textContent = text;
}

function showFigures(text) {
	const now = parseMetrics(text);
	const nowMs = performance.now();
	/* A stream that begins anew tells at once: too little for a rate has come by then. */
	if (before && nowMs - beforeMs >= PERIOD_S * 500)
		feedPlots(now, before, (nowMs - beforeMs) / 1000);
	if (!before || nowMs - beforeMs >= PERIOD_S * 500)
		[before, beforeMs] = [now, nowMs];
	const isDraining = now.get("starling_draining") === 1;
	say(isDraining ? "draining" : "ready", isDraining ? "draining" : "ready");
	$("drain").disabled = isDraining;
	showTroubles(now);
}

function showNode({ node, version, workers }) {
	$("node").textContent = node;
	$("version").textContent = `${version}, ${workers} worker${workers === 1 ? "" : "s"}`;
	document.title = `${node}: Starling`;
}

/* What is asked, and who shows it. */
function questions() {
	const of = (id) => encodeURIComponent($(id).value);
	const asJson = (show) => (text) => show(JSON.parse(text));
	return new Map([
		["/metrics", showFigures],
		["/api/cluster", asJson(showMembers)],
		[`/api/channels?limit=1000&prefix=${of("prefix")}`, asJson(showChannels)],
		[`/api/connections?limit=${CONNECTIONS}&user=${of("user")}`, asJson(showConnections)],
		...(watched?.hasPresence ? [[pathOf(watched.channel, "presence"), asJson(showPresence)]] : []),
	]);
}

/* Asks for the key until one is good. */
async function unlock(error) {
	key = null;
	sessionStorage.removeItem(KEY);
	$("key-error").textContent = error;
	$("forget").hidden = true;
	say("waiting", "locked");
	const dialog = $("ask-key");
	dialog.addEventListener("cancel", (event) => event.preventDefault());
	dialog.showModal();
	await new Promise((resolve) => { $("key-form").onsubmit = resolve; });
	key = $("api-key").value;
	$("api-key").value = "";
	sessionStorage.setItem(KEY, key);
}

let asking = null; /* what ends the stream of figures */

/* Other things are to be shown: the stream begins anew. */
function again() {
	asking?.abort();
}

/* A channel without presence is not asked who is there again; the rest may be in a moment. */
function leaveOut({ get, answer }) {
	if (!watched || get !== pathOf(watched.channel, "presence") || answer.error.code !== "not_found")
		return;
	watched.hasPresence = false;
	again();
}

/* Until the stream ends: by itself, by again(), or as the page is seen no more. */
async function look() {
	const abort = asking = new AbortController();
	const shown = questions();
	const paths = [...shown.keys()].map((path) => `get=${encodeURIComponent(path)}`);
	try {
		const { body } = await ask(`/api/live?every=${PERIOD_S}&${paths.join("&")}`,
			{ signal: abort.signal });
		for await (const { event, data } of eventsOf(body)) {
			if (event === "refused")
				leaveOut(JSON.parse(data));
			else
				shown.get(event)?.(data);
		}
	} catch (error) {
		if (!abort.signal.aborted)
			throw error;
	}
	return abort.signal.aborted;
}

const toBeSeen = () => new Promise((resolve) => {
	if (document.hidden)
		document.addEventListener("visibilitychange", resolve, { once: true });
	else
		resolve();
});

async function run() {
	for (let isNamed = false, isFirst = true; ;) {
		try {
			if (!isNamed)
				showNode(await askJson("/api/stats"));
			isNamed = true;
			$("forget").hidden = !key;
			if (await look()) {
				await toBeSeen();
				continue;
			}
			say("lost", "no answer");
		} catch (error) {
			if (error.status === 401 || error.status === 403) {
				await unlock(isFirst && !key ? "" : "This is not a key of the server.");
				isFirst = false;
				continue;
			}
			say("lost", error instanceof Refused ? error.message : "no answer");
		}
		before = null;
		await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
		await toBeSeen();
	}
}

document.addEventListener("visibilitychange", () => {
	before = null;
	if (document.hidden)
		again();
});
$("open").addEventListener("submit", (event) => {
	event.preventDefault();
	watch($("channel").value);
});
$("publish").addEventListener("submit", (event) => {
	event.preventDefault();
	if ($("channel").reportValidity())
		publish();
});
$("prefix").addEventListener("input", again);
$("user").addEventListener("input", again);
for (const where of ["start", "older", "newer", "newest"])
	$(`history-${where}`).addEventListener("click", () => turnTo(where));
$("history").addEventListener("toggle", () => {
	if ($("history").open)
		turnTo("newest");
});
$("forget").addEventListener("click", () => {
	sessionStorage.removeItem(KEY);
	location.reload();
});
$("drain").addEventListener("click", () => $("ask-drain").showModal());
$("ask-drain").addEventListener("close", async () => {
	if ($("ask-drain").returnValue !== "yes")
		return;
	try {
		await ask("/api/drain", { method: "POST" });
		say("draining", "draining");
	} catch (error) {
		say("lost", error.message);
	}
});

plots.forEach(makePlot);
run();
