// The table of bench/peers/run: node table.mjs FILE, lines of JSON whose name is "SERVER WORK".
import { readFileSync } from "node:fs";

const servers = [
	["floor", "kernel's send()"],
	["starling", "Starling"],
	["nodes", "two nodes of Starling"],
	["nchan", "nginx + nchan"],
	["nats", "nats-server"],
	["ws", "npm ws"],
	["socketio", "npm socket.io"],
	["redis", "two ws and Redis"],
];
const works = [
	["fanout", "fan-out, one at a time", "cpu_s_per_million"],
	["burst", "fan-out, 8 in flight", "cpu_s_per_million"],
	["rooms", "1,000 rooms of 10", "cpu_s_per_million"],
	["echo", "echo, 100 connections", "cpu_s_per_million"],
	["churn", "10,000 come and go", "cpu_s_per_10000"],
	["idle", "idle, bytes each", "bytes_per_connection"],
];

const results = new Map();
for (const line of readFileSync(process.argv[2], "utf8").trim().split("\n")) {
	const result = JSON.parse(line);
	results.set(result.name, result);
}

function figure(server, [work, , field]) {
	const result = results.get(`${server} ${work}`);
	return result?.[`server_${field}`] ?? result?.[field];
}

const short = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const ratio = (value, by) => (by === undefined ? "–" : `${(value / by).toFixed(2)}×`);

function cell(server, work) {
	const value = figure(server, work);
	if (value === undefined) return "–";
	return `${short(value)} (${ratio(value, figure("floor", work))}, ${ratio(value, figure("starling", work))})`;
}

const measured = works.filter((work) => servers.some(([server]) => figure(server, work) !== undefined));
console.log(`| | ${measured.map(([, title]) => title).join(" | ")} |`);
console.log(`| --- |${measured.map(() => " ---: |").join("")}`);
for (const [server, title] of servers) console.log(`| ${title} | ${measured.map((work) => cell(server, work)).join(" | ")} |`);

// A figure stands for work that was done whole.
for (const [name, { missed = 0, duplicated = 0, out_of_order = 0, failed = 0, stalls = 0 }] of results)
	if (missed + duplicated + out_of_order + failed + stalls > 0)
		console.log(`${name}: ${missed} missed, ${duplicated} twice, ${out_of_order} out of order, ${failed} failed, ${stalls} stalls`);
