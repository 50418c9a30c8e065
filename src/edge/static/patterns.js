/*
 * patterns.js - what channels are good for, each with the few lines that it takes. The functions
 * below are shown beside what they do, as they stand here.
 */
import { connect } from "/starling.js";

const $ = (id) => document.getElementById(id);
const NAMES = { websocket: "WebSocket", sse: "SSE", poll: "long poll" };
const me = sessionStorage.getItem("name") ?? `guest-${Math.floor(Math.random() * 900 + 100)}`;

/* ---- the patterns ---- */

/* Each message is the newest value of its key: who comes late has them all. */
function dashboard(client, show) {
	client.subscribe("demo:board", (value, { key }) => show(key, value), { since: "start" });
	return (key, value) => client.publish("demo:board", value, { key });
}

/* Everybody says where they are, and hears of the others. */
function cursors(client, name, show) {
	client.subscribe("demo:cursors", (at) => at.name !== name && show(at));
	return (x, y) => client.publish("demo:cursors", { name, x, y });
}

/* Players say where they want to go; a backend, doc/game, says twenty times a second where all are:
 * number, x, y and score of each, four bytes. */
function game(client, player, draw) {
	client.subscribe("demo:game", (bytes, { id }) => draw(bytes, id));
	return (x, y) => client.publish("demo:moves", [player, x, y]);
}

/* `@ann` is followed by ann alone, */
function notifications(name, show) {
	const source = new EventSource(`/events?channel=@${name}&user=${name}&since=start`);
	source.onmessage = ({ data }) => show(JSON.parse(data));
	return () => source.close();
}

/* and a backend publishes to it. In open mode this page may play one. */
function notify(name, data) {
	const body = JSON.stringify({ channel: `@${name}`, data });
	return fetch("/api/publish", { method: "POST", body });
}

/* An answer that is read while it is being written; who comes late has the beginning too. */
function tokens(client, write) {
	client.subscribe("demo:answer", (word, { event }) => write(word, event), { since: "start" });
	return async (words) => {
		for (const word of words)
			await client.publish("demo:answer", word);
		await client.publish("demo:answer", "", { event: "end" });
	};
}

/* ---- the page around them ---- */

const sources = { board: [dashboard], cursors: [cursors], game: [game],
	notes: [notifications, notify], tokens: [tokens] };
for (const [name, functions] of Object.entries(sources))
	$(`${name}-source`).textContent = functions.join("\n\n");

const every = (ms, button, work) => {
	let timer = null;
	button.addEventListener("click", () => {
		timer = timer === null ? setInterval(work, ms) : clearInterval(timer) ?? null;
		button.setAttribute("aria-pressed", String(timer !== null));
	});
};

function showTile(key, value) {
	const id = `tile-${key}`;
	if (!$(id)) {
		const tile = document.createElement("div");
		const number = document.createElement("b");
		const name = document.createElement("span");
		number.id = id;
		name.textContent = key;
		tile.append(number, name);
		$("tiles").append(tile);
	}
	$(id).textContent = value;
}

const SVG = "http://www.w3.org/2000/svg";
const field = document.createElementNS(SVG, "svg");
$("field").append(field);
const others = new Map();

function showPointer({ name, x, y }) {
	let one = others.get(name);
	if (!one) {
		one = document.createElementNS(SVG, "g");
		const dot = document.createElementNS(SVG, "circle");
		const label = document.createElementNS(SVG, "text");
		dot.setAttribute("r", 6);
		label.setAttribute("x", 10);
		label.setAttribute("y", 4);
		label.textContent = name;
		one.append(dot, label);
		field.append(one);
		others.set(name, one);
	}
	const { width, height } = $("field").getBoundingClientRect();
	one.setAttribute("transform", `translate(${x * width} ${y * height})`);
}

const player = 1 + Math.floor(Math.random() * 255);

/* Number 0 is the crumb. */
function drawGame(bytes, id) {
	const canvas = $("game"), paper = canvas.getContext("2d");
	const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
	let players = 0, caught = "";
	paper.clearRect(0, 0, canvas.width, canvas.height);
	for (let i = 0; i + 3 < bytes.length; i += 4) {
		const [number, x, y, score] = bytes.subarray(i, i + 4);
		paper.fillStyle = colour(number === player ? "--accent" : number === 0 ? "--text" : "--quiet");
		paper.beginPath();
		paper.arc(x / 255 * canvas.width, y / 255 * canvas.height, number === 0 ? 3 : 7, 0, 7);
		paper.fill();
		players += number === 0 ? 0 : 1;
		caught = number === player ? `, you have caught ${score}` : caught;
	}
	$("ticks").textContent = `tick ${id.split("-")[1]}, players: ${players}${caught}`;
}

let client, publishValue, movePointer, playTo, answer;

/* All patterns over the transport chosen. */
function start() {
	const chosen = $("transport").value;
	client?.close();
	client = connect(undefined, chosen === "auto" ? {} : { transports: [chosen] });
	const say = (state, text) => {
		$("state").dataset.state = state;
		$("state").textContent = text;
	};
	client.on("open", ({ transport }) => say("open", `connected, ${NAMES[transport]}`));
	client.on("reconnecting", () => say("waiting", "reconnecting"));
	$("answer").textContent = "";
	publishValue = dashboard(client, showTile);
	movePointer = cursors(client, me, showPointer);
	playTo = game(client, player, drawGame);
	answer = tokens(client, (word, event) => {
		$("answer").append(event === "end" ? "\n" : `${word} `);
	});
}

/* What is sent while there is no connection is not missed here. */
const unless = (promise) => promise.catch(() => {});

every(50, $("feed"), () => {
	const key = ["requests", "latency", "errors"][Math.floor(Math.random() * 3)];
	unless(publishValue(key, Math.floor(Math.random() * 1000)));
});

/* A pointer or arrow keys in `area` choose a place, from 0 to 1; `tell` has it, not more often than
 * every 40 ms. */
function steer(area, tell) {
	let toldMs = 0, at = [.5, .5];
	const move = (x, y) => {
		at = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
		if (performance.now() - toldMs < 40)
			return;
		toldMs = performance.now();
		unless(tell(...at));
	};
	area.addEventListener("pointermove", ({ offsetX, offsetY }) => {
		const { width, height } = area.getBoundingClientRect();
		move(offsetX / width, offsetY / height);
	});
	area.addEventListener("keydown", (event) => {
		const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
		if (!step[event.key])
			return;
		event.preventDefault();
		move(at[0] + step[event.key][0] * .05, at[1] + step[event.key][1] * .05);
	});
}

steer($("field"), (x, y) => movePointer(x, y));
steer($("game"), (x, y) => playTo(Math.round(x * 255), Math.round(y * 255)));

let leave = () => {};

function beCalled(name) {
	leave();
	sessionStorage.setItem("name", name);
	$("notes").replaceChildren();
	leave = notifications(encodeURIComponent(name), ({ from }) => {
		const line = document.createElement("li");
		line.textContent = `${new Date().toLocaleTimeString()}  a word from ${from}`;
		$("notes").prepend(line);
	});
}

$("me").value = $("whom").value = me;
$("me").addEventListener("change", () => beCalled($("me").value));
$("notify").addEventListener("submit", (event) => {
	event.preventDefault();
	unless(notify($("whom").value, { from: $("me").value }));
});

const words = "A channel is a log and a subscriber is a cursor in it so whoever comes late reads " +
	"what is there and goes on with what is new";
$("ask").addEventListener("click", () => unless(answer(words.split(" "))));
$("drop").addEventListener("click", () => client.drop());
$("transport").addEventListener("change", start);

beCalled(me);
start();
