/*
 * console.js - the operator's page.
 *
 * Figures come from /metrics, every other second while the page is seen; a channel's messages from
 * /events, as they are published. The key, where one is needed, goes in a header and nowhere else.
 */

const PERIOD_MS = 2000;
const POINTS = 90; /* of a plot: three minutes */
const TOP_CHANNELS = 20;
const CONNECTIONS = 50;
const TAIL = 200; /* messages that are kept on the page */
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

async function showChannels() {
	const prefix = encodeURIComponent($("prefix").value);
	const { channels, next } = await askJson(`/api/channels?limit=1000&prefix=${prefix}`);
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
		$("connections-note").textContent = `${id} was disconnected.`;
		await showConnections(true);
	} catch (error) {
		$("connections-note").textContent = `${id}: ${error.message}`;
	}
}

async function showConnections(keepsNote = false) {
	const user = encodeURIComponent($("user").value);
	const { connections, more } =
		await askJson(`/api/connections?limit=${CONNECTIONS}&user=${user}`);
	fill($("connections"), connections, (item) => item.id, (item) => [
		item.id, item.user, item.transport, item.address,
		new Date(item.since).toLocaleTimeString(), item.channels,
		button("Disconnect", `Disconnect ${item.id}`, () => disconnect(item.id), "danger")]);
	if (!keepsNote && more)
		$("connections-note").textContent =
			`${CONNECTIONS} of them; say of which user to see others.`;
	else if (!keepsNote)
		$("connections-note").textContent = connections.length === 0 ? "None." : "";
}

async function showMembers() {
	const { members } = await askJson("/api/cluster");
	fill($("members"), members, (item) => item.node, (item) => [
		item.node, item.state, item.address, item.version, item.connections, item.slots]);
}

/* ---- a channel ---- */

let watched = null; /* { channel, abort, hasPresence } */

function addToTail(className, ...parts) {
	const tail = $("tail");
	tail.prepend(element("li", { className }, ...parts));
	while (tail.children.length > TAIL)
		tail.lastChild.remove();
}

function showMessage({ id, event, key: of, user, ts, data }) {
	const meta = [ts && new Date(ts).toLocaleTimeString(), id, event && `event ${event}`,
		of && `key ${of}`, user && `by ${user}`].filter(Boolean).join("  ");
	addToTail("", element("span", { className: "meta", textContent: `${meta}  ` }),
		JSON.stringify(data));
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

/* From history on, and again from where it was when the stream ends. */
async function follow({ channel, abort }) {
	let since = "start";
	while (!abort.signal.aborted) {
		try {
			const { body } = await ask(`/events?format=full&channel=${
				encodeURIComponent(channel)}&since=${since}`, { signal: abort.signal });
			$("tail-state").textContent = `${channel}: live.`;
			for await (const { event, data, id } of eventsOf(body)) {
				since = id || since;
				if (event === "gap")
					addToTail("gap", "Some messages are gone.");
				else if (data)
					showMessage(JSON.parse(data));
			}
		} catch (error) {
			if (abort.signal.aborted)
				return;
			$("tail-state").textContent = `${channel}: ${error.message}`;
			if (error.status >= 400 && error.status < 500 && error.status !== 429)
				return;
		}
		await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
	}
}

function watch(channel) {
	watched?.abort.abort();
	watched = { channel, abort: new AbortController(), hasPresence: true };
	$("channel").value = channel;
	$("tail").replaceChildren();
	$("presence").textContent = "";
	$("tail-state").textContent = `${channel}: connecting.`;
	follow(watched);
	showPresence();
}

/* Where the channel's rule has presence; where it has none it is not asked again. */
async function showPresence() {
	const one = watched;
	if (!one?.hasPresence)
		return;
	let text = "";
	try {
		const { count, members } =
			await askJson(`/api/channels/${encodeURIComponent(one.channel)}/presence`);
		const names = (members ?? []).map((member) => member.user).join(", ");
		text = `${count} there${names && `: ${names}`}`;
	} catch (error) {
		one.hasPresence = error.status !== 404;
	}
	if (one === watched)
		$("presence").textContent = text;
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

async function look() {
	const now = parseMetrics(await (await ask("/metrics")).text());
	const nowMs = performance.now();
	if (before)
		feedPlots(now, before, (nowMs - beforeMs) / 1000);
	[before, beforeMs] = [now, nowMs];
	const isDraining = now.get("starling_draining") === 1;
	say(isDraining ? "draining" : "ready", isDraining ? "draining" : "ready");
	$("drain").disabled = isDraining;
	showTroubles(now);
	await Promise.all([showChannels(), showConnections(), showMembers(), showPresence()]);
}

async function name() {
	const { node, version, workers } = await askJson("/api/stats");
	$("node").textContent = node;
	$("version").textContent = `${version}, ${workers} worker${workers === 1 ? "" : "s"}`;
	document.title = `${node}: Starling`;
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

async function run() {
	for (let isNamed = false, isFirst = true; ;) {
		try {
			if (!isNamed)
				await name();
			isNamed = true;
			$("forget").hidden = !key;
			await look();
		} catch (error) {
			if (error.status === 401 || error.status === 403) {
				await unlock(isFirst && !key ? "" : "This is not a key of the server.");
				isFirst = false;
				continue;
			}
			before = null;
			say("lost", error instanceof Refused ? error.message : "no answer");
		}
		await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
		if (document.hidden) {
			before = null;
			await new Promise((resolve) => document.addEventListener("visibilitychange",
				resolve, { once: true }));
		}
	}
}

$("open").addEventListener("submit", (event) => {
	event.preventDefault();
	watch($("channel").value);
});
$("publish").addEventListener("submit", (event) => {
	event.preventDefault();
	if ($("channel").reportValidity())
		publish();
});
$("prefix").addEventListener("input", () => showChannels().catch(() => {}));
$("user").addEventListener("input", () => showConnections().catch(() => {}));
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
