/*
 * demo.js - a chat room over one channel, to see the client at work; and who is there, and types.
 *
 * ?room=NAME picks another room than chat:lobby.
 */
import { connect } from "/starling.js";

const MESSAGES_MAX = 500; // shown at once
const EVENTS_MAX = 4;
const NAMES = { websocket: "WebSocket", sse: "SSE", poll: "long poll" };
const TYPING_MS = 3000; // who has said so types for so long, and says so again before
const name = new URLSearchParams(location.search).get("room") ?? "lobby";
const room = `chat:${name}`, typing = `typing:${name}`;
const $ = (id) => document.getElementById(id);

let client, subscription;

/* ---- what is shown ---- */

function element(name, className, text = "") {
	const made = document.createElement(name);
	made.className = className;
	made.textContent = text;
	return made;
}

function addLine(line) {
	const list = $("messages");
	const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
	list.append(line);
	while (list.children.length > MESSAGES_MAX) list.firstChild.remove();
	if (isAtEnd) list.scrollTop = list.scrollHeight; // else somebody is reading further up
}

/* This page publishes {name, text}; a curl line may publish anything else. */
function textOf(data) {
	if (typeof data === "string") return data;
	if (typeof data?.text === "string") return data.text;
	if (data instanceof Uint8Array) return `${data.length} bytes`;
	return null;
}

function showMessage(data, { id, ts, user }) {
	const name = String(data?.name || user || "somebody");
	const text = textOf(data);
	const line = element("li", name === $("name").value ? "message own" : "message");
	const at = new Date(ts ?? Date.now());
	const time = element("time", "", at.toLocaleTimeString([], { timeStyle: "short" }));
	const json = text === null ? JSON.stringify(data, null, 1) : "";
	time.title = id;
	stopTyping(name);
	line.append(element("b", "", name), time, element("p", json && "json", text ?? json));
	addLine(line);
	showCursor();
}

function showNote(text) {
	addLine(element("li", "note", text));
}

function showEvent(text) {
	const line = element("li", "");
	line.append(element("time", "", new Date().toLocaleTimeString()), ` ${text}`);
	$("events").prepend(line);
	while ($("events").children.length > EVENTS_MAX) $("events").lastChild.remove();
}

function showStatus(state, text) {
	$("status").dataset.state = state;
	$("status").textContent = text;
	$("transport").textContent =
		state === "open" ? NAMES[client.transport] : "none at the moment";
	$("drop").disabled = state !== "open";
}

function showCursor() {
	$("cursor").textContent = subscription?.cursor ?? "none yet";
}

/* ---- who is there, and who types ---- */

let here = null; // names; null: the channel's rule tells nobody
const typists = new Map(); // name -> timer

const myName = () => $("name").value || "somebody";

function showPeople() {
	const typed = [...typists.keys()].filter((one) => one !== myName());
	$("here").textContent = here ? `Here: ${[...here].join(", ")}` :
		"Who is here is told where the channel has presence: -o 'channel.chat:*.presence=full'";
	$("here").hidden = client.transport !== "websocket";
	$("typing").textContent = typed.length > 0 ? `${typed.join(", ")} typing …` : "";
}

function stopTyping(one) {
	clearTimeout(typists.get(one));
	if (typists.delete(one))
		showPeople();
}

function showTyping(one) {
	clearTimeout(typists.get(one));
	typists.set(one, setTimeout(stopTyping, TYPING_MS, one));
	showPeople();
}

let toldMs = 0;

function tellTyping() {
	if (performance.now() - toldMs < TYPING_MS / 2)
		return;
	toldMs = performance.now();
	client.publish(typing, myName()).catch(() => {}); // nobody misses it
}

/* News of the channel's presence, which comes with the subscription that asks for it. */
function followPeople() {
	here = null;
	subscription.on("presence", ({ members }) => {
		here = members && new Set(members.map((member) => member.user));
		showPeople();
	});
	subscription.on("joined", ({ user }) => { here?.add(user); showPeople(); });
	subscription.on("left", ({ user }) => { here?.delete(user); showPeople(); });
	client.subscribe(typing, (one) => showTyping(String(one)));
}

/* ---- the client ---- */

/* Follows the room over the transport chosen, from where the client before it stopped. */
function join(since) {
	const chosen = new FormData($("transports")).get("transport");
	client = connect(undefined, {
		user: $("name").value || undefined,
		...(chosen === "auto" ? {} : { transports: [chosen] }),
	});
	showStatus("connecting", "connecting");

	let resumeFrom = null;
	client.on("open", ({ transport }) => {
		showPeople();
		showStatus("open", `connected, ${NAMES[transport]}`);
		showEvent(`open over ${NAMES[transport]}`);
		if (resumeFrom)
			showNote(`Back over ${NAMES[transport]}, resuming after ${resumeFrom}.`);
	});
	client.on("close", ({ reason }) => {
		showEvent(`closed: ${reason || "connection lost"}`);
		if (client.state === "closed") return; // by this page, for another transport
		resumeFrom = subscription.cursor;
		showNote(`The connection was lost after ${resumeFrom}.`);
	});
	client.on("reconnecting", ({ delay }) => {
		showStatus("waiting", "reconnecting");
		showEvent(`trying again in ${(delay / 1000).toFixed(1)} s`);
	});
	client.on("error", ({ code, message }) => {
		if (code !== "not_found") // that is presence, where there is none
			showEvent(`error: ${code}, ${message}`);
	});

	subscription = client.subscribe(room, showMessage, { since, presence: true });
	followPeople();
	subscription.on("gap", ({ cursor }) => {
		showNote(`A gap: the server no longer holds what followed. On after ${cursor}.`);
		showEvent("gap: not everything could be recovered");
	});
	subscription.ready.then(showCursor, () => showStatus("waiting", "refused"));
}

/* Goes on from where it was: over another transport, or by another name. */
function rejoin() {
	const { cursor } = subscription;
	client.close();
	join(cursor ?? "start");
}

async function send() {
	const text = $("text").value;
	$("text").value = "";
	try {
		toldMs = 0; // the next word is news
		await client.publish(room, { name: myName(), text });
	} catch (error) {
		showNote(`Not sent (${error.code}): ${text}`);
	}
}

/* ---- the page ---- */

$("name").value = localStorage.getItem("name") ?? `guest-${Math.floor(Math.random() * 900 + 100)}`;
$("name").addEventListener("change", () => {
	localStorage.setItem("name", $("name").value);
	rejoin(); // as that one
});
$("text").addEventListener("input", tellTyping);
$("composer").addEventListener("submit", (event) => {
	event.preventDefault();
	localStorage.setItem("name", $("name").value);
	send();
});
$("transports").addEventListener("change", rejoin);
$("drop").addEventListener("click", () => client.drop());

$("room").textContent = room;
$("another").href = location.href;
for (const place of document.querySelectorAll(".room")) place.textContent = room;
for (const place of document.querySelectorAll(".typing")) place.textContent = typing;
const example = JSON.stringify({ channel: room, data: { name: "curl", text: "hello" } });
$("curl").textContent =
	`curl ${location.origin}/api/publish -d '${example.replaceAll("'", "\\u0027")}'`;
$("copy").addEventListener("click", async () => {
	await navigator.clipboard.writeText($("curl").textContent);
	$("copy").textContent = "Copied";
	setTimeout(() => ($("copy").textContent = "Copy"), 1500);
});

join("start");
