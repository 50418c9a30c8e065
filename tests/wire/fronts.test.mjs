/*
 * doc/hardening.md is true: Starling set as it says, behind nginx and haproxy set as it says, serves
 * clients as it does without them, and knows who they are.
 *
 * The blocks are taken as they stand there, with the ports and files of the test in place of theirs, and
 * rates over so long that a slow machine reaches them.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { commonCertificate } from "./certificates.mjs";
import { EventStream, NativeClient, RawClient, RawWebSocket, handshake } from "./clients.mjs";
import {
	Server, call, freePort, fresh, scratchDirectory, until, within,
} from "./harness.mjs";
import { mint, secret } from "./tokens.mjs";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const text = fs.readFileSync(path.join(root, "doc/hardening.md"), "utf8");

/* The blocks in that language of a section. */
function blocksOf(heading, language) {
	const section = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ??
		assert.fail(`a section ${heading}`);
	return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
		.filter(([, of]) => of === language).map(([, , block]) => block);
}

/* Debian's are in sbin, which is in the path of root alone. */
function find(program) {
	return [...process.env.PATH.split(":"), "/usr/sbin"]
		.map((directory) => path.join(directory, program)).find((file) => fs.existsSync(file));
}

/* ---- files and ports of the test ---- */

const scratch = scratchDirectory();
const { cert, key } = commonCertificate();
const apiKey = "the key of the backend";
const files = {
	"rt.example.org.both.pem": fs.readFileSync(cert, "utf8") + fs.readFileSync(key, "utf8"),
	"rt.example.org.pem": fs.readFileSync(cert),
	"rt.example.org.key": fs.readFileSync(key),
	"jwt.secret": secret,
	"api.keys": `${apiKey}\n`,
};
for (const [name, content] of Object.entries(files))
	fs.writeFileSync(path.join(scratch, name), content);

function here(block, { listen, server }) {
	return block
		.replace(/\/etc\/(?:ssl|starling)\//g, `${scratch}/`)
		.replace(/127\.0\.0\.1:8(?:000|443)/g, `127.0.0.1:${server}`)
		.replace("rate=100r/s", "rate=1r/m").replace("http_req_rate(1s)", "http_req_rate(1h)")
		.replace(/^(\s*listen +|\s*bind :)443\b/gm, `$1${listen}`);
}

/* ---- the proxies ---- */

const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";
const nginxHead = `daemon off; master_process off; worker_processes 1; pid ${scratch}/nginx.pid;
error_log stderr warn; events { worker_connections 1024; }\n`;
const nginxHttp = (block) => {
	const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
		.map((what) => `${what}_temp_path ${scratch}/${what};`).join(" ");
	return `${nginxHead}http { access_log off; ${paths}\n${block}}\n`;
};
const nginxStream = (block) => `load_module ${streamModule};\n${nginxHead}${block}`;

const fronts = [
	{
		name: "nginx", section: "Behind nginx", language: "nginx", configure: nginxHttp,
		program: find("nginx"), args: ["-c"], speaksHttp: true,
	},
	{
		name: "haproxy", section: "Behind haproxy", language: "haproxy",
		configure: (block) => block,
		program: find("haproxy"), args: ["-db", "-f"], speaksHttp: true,
	},
	{
		name: "nginx, TLS at Starling", section: "TLS at Starling", language: "nginx",
		configure: nginxStream,
		program: fs.existsSync(streamModule) && find("nginx"), args: ["-c"],
	},
	{
		name: "haproxy, TLS at Starling", section: "TLS at Starling", language: "haproxy",
		configure: (block) => block,
		program: find("haproxy"), args: ["-db", "-f"],
	},
];

/* Runs one in front of `server`; { far, stop() }: far is the server as it is seen from outside. */
async function startFront(front, server) {
	const far = new Server({ port: await freePort(), isSecure: true });
	const [block] = blocksOf(front.section, front.language);
	const file = path.join(scratch, `${front.name.replace(/\W+/g, "-")}.conf`);
	fs.writeFileSync(file,
		front.configure(here(block, { listen: far.port, server: server.port })));
	const child = spawn(front.program, [...front.args, file],
		{ stdio: ["ignore", "ignore", "pipe"] });
	const kill = () => child.kill("SIGKILL");
	let said = "";
	child.stderr.setEncoding("utf8").on("data", (piece) => { said += piece; });
	process.on("exit", kill);
	const ended = new Promise((resolve) => child.on("close", resolve));
	const stop = async () => {
		kill();
		await within(ended, `${front.name} to end`);
		process.off("exit", kill);
	};
	await until(async () => {
		assert.equal(child.exitCode, null, said);
		const answer = await call(far, "GET", "/starling.js").catch(() => null);
		return answer?.status === 200;
	}, `${front.name}: ${said}`).catch(async (error) => {
		await stop();
		throw error;
	});
	return { far, stop };
}

/* ---- what holds behind each of them ---- */

const allow = { "*": "rw" };
const bearer = (claims = {}) => ({ Authorization: `Bearer ${mint({ allow, ...claims })}` });
const asBackend = { headers: { Authorization: `Bearer ${apiKey}` } };

for (const front of fronts) {
	describe(`fronts: ${front.name}`, { skip: !front.program && "it is not installed" }, () => {
		const ini = blocksOf("What to set", "ini")[0];
		let server, far, stop;

		before(async () => {
			const port = await freePort();
			server = new Server({
				port, isSecure: !front.speaksHttp,
				certificate: { cert: `${scratch}/rt.example.org.pem`, key: `${scratch}/rt.example.org.key` },
				config: here(ini, { server: port }), options: [
					"limits.connections_per_ip=2",
					"limits.message_rate=1/s", "limits.message_burst=40",
				],
			});
			await server.start();
			({ far, stop } = await startFront(front, server));
		});
		after(async () => {
			await stop?.();
			await server.stop();
		});

		const open = (claims) => NativeClient.open(far, { headers: bearer(claims) });
		const stats = async () => (await call(server, "GET", "/api/stats", asBackend)).json();
		const nobody = () => until(async () => (await stats()).connections === 0, "all to be gone");
		const publish = async (channel, data) => {
			const answer = await call(far, "POST", `/publish?channel=${channel}`, {
				headers: { ...bearer(), "Content-Type": "application/json" },
				body: JSON.stringify(data),
			});
			assert.equal(answer.status, 200, answer.text);
			return answer.json().id;
		};

		it("a WebSocket speaks and hears", async () => {
			const client = await open();
			const channel = fresh();
			await client.subscribe(channel);
			await client.publish(channel, "by itself");
			await publish(channel, "by HTTP");
			assert.deepEqual(await client.data(2), ["by itself", "by HTTP"]);
			client.close();
			await nobody();
		});

		it("a WebSocket that was broken off resumes", async () => {
			const channel = fresh();
			const first = await open();
			const { cursor } = await first.subscribe(channel);
			first.socket.resetAndDestroy();
			await publish(channel, "while it was away");
			const second = await open();
			const { recovered } = await second.subscribe(channel, { since: cursor });
			assert.equal(recovered, true);
			assert.deepEqual(await second.data(1), ["while it was away"]);
			second.close();
			await nobody();
		});

		it("events pass as they come, and a stream resumes by its last id", async () => {
			const channel = fresh();
			const target = `/events?channel=${channel}`;
			const first = await EventStream.open(far, target, { headers: bearer() });
			assert.equal(first.status, 200);
			await first.until(() => first.id, "the place it begins at");
			for (const data of [1, 2]) {
				await publish(channel, data);
				assert.equal((await first.next()).data, String(data));
			}
			first.close();
			await publish(channel, 3);
			const second = await EventStream.open(far, target,
				{ headers: { ...bearer(), "Last-Event-ID": first.id } });
			assert.equal((await second.next()).data, "3");
			second.close();
			await nobody();
		});

		it("a poll waits for its message", async () => {
			const channel = fresh();
			const poll = async (more) => (await call(far, "GET", `/poll?channel=${channel}${more}`,
				{ headers: bearer() })).json();
			const { cursor } = await poll("");
			const waiting = poll(`&since=${cursor}&wait=60`);
			await until(async () => (await stats()).connections_poll === 1, "the poll to wait");
			await publish(channel, "now");
			const { messages, recovered } = await waiting;
			assert.equal(recovered, true);
			assert.deepEqual(messages.map(({ data }) => data), ["now"]);
			await nobody();
		});

		it("pages of the site itself may connect, and no others", async () => {
			for (const [origin, status] of [[far.url, 101], ["https://example.net", 403]]) {
				const client = await RawWebSocket.connect(far);
				client.send(handshake(far, "/ws", { Origin: origin }));
				assert.equal((await client.response()).status, status, origin);
				client.close();
			}
			await nobody();
		});

		it("clients are counted by their own address, whatever they claim", async () => {
			const clients = [];
			const from = async (localAddress, changes = {}) => {
				const client = await RawWebSocket.connect(far, { localAddress });
				clients.push(client);
				client.send(handshake(far, "/ws", { ...bearer(), ...changes }));
				const { status } = await client.response();
				return { client, status };
			};
			const forged = { "X-Forwarded-For": "203.0.113.9" };
			const { client, status } = await from("127.0.0.7", forged);
			assert.equal(status, 101);
			const { connection } = JSON.parse((await client.message()).payload.toString());
			const shown = await call(server, "GET", `/api/connections/${connection}`, asBackend);
			assert.equal(shown.json().address, "127.0.0.7");
			assert.equal((await from("127.0.0.7")).status, 101);
			assert.equal((await from("127.0.0.7", forged)).status, 429);
			assert.equal((await from("127.0.0.8")).status, 101);
			clients.forEach((one) => one.close());
			await nobody();
		});

		const publications = (channel, count) => (`POST /publish?channel=${channel} HTTP/1.1\r\n` +
			`Host: x\r\nAuthorization: ${bearer().Authorization}\r\n` +
			"Content-Type: application/json\r\nContent-Length: 1\r\n\r\n7").repeat(count);
		const statuses = async (client, count) => {
			const all = [];
			while (all.length < count && all.at(-1) !== 429)
				all.push((await client.response()).status);
			return all;
		};

		it("publications are limited at Starling where a connection is one client's", async () => {
			const client = front.speaksHttp
				? await RawClient.connect(server, { localAddress: "127.0.0.9" })
				: await RawClient.connect(far);
			client.send(publications(fresh(), 60));
			const all = await statuses(client, 60);
			assert.deepEqual(all.slice(0, 40), Array(40).fill(200));
			assert.equal(all.at(-1), 429);
			client.close();
		});

		it("the server API is not for the public", async () => {
			for (const target of ["/api/stats", "/api/channels?prefix=a"])
				assert.equal((await call(far, "GET", target)).status,
					front.speaksHttp ? 404 : 401);
		});

		/* For what a proxy compares with its list it may have decoded and shortened the path. */
		it("no other path is let through in the guise of a client's", {
			skip: !front.speaksHttp && "it carries bytes",
		}, async () => {
			for (const target of ["/api/users/x%2f..%2f..%2f..%2fws", "/api/users/..%2f..%2fpoll",
				"/api/stats/../../poll", "//poll"]) {
				const client = await RawClient.connect(far);
				client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n` +
					`Authorization: Bearer ${apiKey}\r\n\r\n`);
				const { status, text: answer } = await client.response();
				/* Refused by the proxy, or as what the proxy took it for. */
				assert.ok([400, 404, 426].includes(status), `${target}: ${status} ${answer}`);
				client.close();
			}
		});

		it("HTTP/2 carries event streams", { skip: !front.speaksHttp && "it carries bytes" }, async () => {
			const session = http2.connect(far.url, { rejectUnauthorized: false });
			const channel = fresh();
			const stream = session.request({
				":path": `/events?channel=${channel}&since=start`, ...bearer(),
			});
			let came = "";
			stream.setEncoding("utf8").on("data", (piece) => { came += piece; });
			stream.end();
			await until(() => came.includes("id: "), "the stream");
			await publish(channel, "over two");
			await until(() => came.includes('data: "over two"'), "the event");
			await new Promise((resolve) => { session.close(resolve); stream.close(); });
			await nobody();
		});

		const skip = !front.speaksHttp && "Starling does";
		/* The last: the proxy takes no more from here. */
		it("publications are limited by a proxy that passes on requests", { skip }, async () => {
			const client = await RawClient.connect(far);
			client.send(publications(fresh(), 60));
			assert.deepEqual(await statuses(client, 60), Array(60).fill(200));
			client.send(publications(fresh(), 200));
			assert.equal((await statuses(client, 200)).at(-1), 429);
			client.close();
		});
	});
}

describe("fronts: the page", () => {
	it("has no block that is not tried", () => {
		const tried = fronts.map(({ section, language }) => blocksOf(section, language))
			.concat([blocksOf("What to set", "ini"), blocksOf("TLS at Starling", "ini")]);
		assert.ok(tried.every((blocks) => blocks.length === 1));
		assert.equal(tried.length, text.match(/^```\w+$/gm).length);
	});
});
