/*
 * What TLS itself promises; that everything else works over it is what all other tests do with
 * STARLING_TLS=1.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { after, describe, it } from "node:test";
import { makeCertificate } from "./certificates.mjs";
import { NativeClient, RawWebSocket, frame, handshake, opcodes } from "./clients.mjs";
import { call, fresh, publish, run, until, useServer, within } from "./harness.mjs";

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "starling-tls-test-"));
after(() => fs.rmSync(scratch, { recursive: true, force: true }));

function certificate(name, options) {
	const directory = path.join(scratch, name);
	fs.mkdirSync(directory);
	return makeCertificate(directory, options);
}

/* A finished handshake: the socket, with what it agreed on. */
function shake(server, options = {}) {
	const socket = server.track(tls.connect({
		port: server.port, host: "127.0.0.1", rejectUnauthorized: false, ...options,
	}));
	return within(new Promise((resolve, reject) => {
		socket.once("secureConnect", () => resolve(socket));
		socket.once("error", reject);
	}), "a handshake");
}

const closed = (socket) => within(new Promise((resolve) => {
	socket.on("error", () => {});
	socket.once("close", resolve);
	socket.resume();
}), "the connection to end");

for (const kind of ["ec", "rsa"]) {
	describe(`tls: with a certificate of ${kind}`, () => {
		const server = useServer({ isSecure: true, certificate: certificate(kind, { kind }) });

		for (const version of ["TLSv1.2", "TLSv1.3"]) {
			it(`${version} is spoken, with HTTP/1.1 agreed on`, async () => {
				const socket = await shake(server, {
					minVersion: version, maxVersion: version,
					ALPNProtocols: ["h2", "http/1.1"],
				});
				assert.equal(socket.getProtocol(), version);
				assert.equal(socket.alpnProtocol, "http/1.1");
				socket.destroy();
			});
		}

		it("TLS 1.1 is refused", async () => {
			await assert.rejects(shake(server, {
				minVersion: "TLSv1.1", maxVersion: "TLSv1.1",
				ciphers: "DEFAULT@SECLEVEL=0",
			}));
		});

		it("TLS 1.2 is refused with ciphers that keep no secret for later", async () => {
			await assert.rejects(shake(server, {
				maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256",
			}));
		});
	});
}

describe("tls: a client that comes back", () => {
	const server = useServer({ isSecure: true });

	for (const version of ["TLSv1.2", "TLSv1.3"]) {
		it(`resumes its session, by ${version}`, async () => {
			const first = server.track(tls.connect({
				port: server.port, host: "127.0.0.1", rejectUnauthorized: false,
				minVersion: version, maxVersion: version,
			}));
			const session = await within(
				new Promise((resolve) => first.once("session", resolve)), "a session");
			first.destroy();
			const second = await shake(server, {
				session, minVersion: version, maxVersion: version,
			});
			assert.equal(second.isSessionReused(), true);
			second.destroy();
		});
	}

	it("is served by curl, as any page is", async () => {
		const got = spawnSync("curl",
			["-sk", "--max-time", "10", "-w", "%{http_version}", `${server.url}/health`]);
		assert.match(String(got.stdout), /ok.*1\.1$/s);
	});
});

/* The kernel says what it has once it was asked: that may load its module. */
const kernelSeals = () =>
	fs.readFileSync("/proc/sys/net/ipv4/tcp_available_ulp", "latin1").split(/\s+/).includes("tls");

for (const kernel of ["yes", "no"]) {
	describe(`tls: with tls.kernel = ${kernel}`, () => {
		const server = useServer({ isSecure: true, options: [`tls.kernel=${kernel}`] });
		const suites = [
			["TLSv1.3", "TLS_AES_128_GCM_SHA256"],
			["TLSv1.3", "TLS_AES_256_GCM_SHA384"],
			["TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"],
			["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"],
			["TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"],
			["TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"],
		];
		for (const [version, ciphers] of suites) {
			it(`much goes both ways by ${ciphers}`, async () => {
				const client = await RawWebSocket.connect(server,
					{ secure: { ciphers, minVersion: version, maxVersion: version } });
				assert.equal(client.socket.getCipher().name, ciphers);
				client.send(handshake(server, "/echo"));
				await client.accepted();
				for (const length of [0, 1, 1000, 16_384, 60_000, 65_000]) {
					const payload = Buffer.alloc(length, ciphers);
					client.send(frame(opcodes.binary, payload));
					assert.ok((await client.message()).payload.equals(payload));
				}
				client.close();
			});
		}

		it("the end is told", () => {
			const { stdout, stderr } = spawnSync("openssl",
				["s_client", "-quiet", "-connect", `127.0.0.1:${server.port}`], {
					input: "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
				});
			assert.match(String(stdout), /"status":"ok"/);
			assert.doesNotMatch(String(stderr), /unexpected eof/);
		});

		it("the figures say who seals", async () => {
			const client = await NativeClient.open(server);
			const stats = (await call(server, "GET", "/api/stats")).json();
			assert.equal(stats.connections_tls, 2); /* the other one asks */
			assert.equal(stats.connections_ktls, kernel === "yes" && kernelSeals() ? 2 : 0);
			client.close();
		});
	});
}

describe("tls: what is no TLS", () => {
	const server = useServer({ isSecure: true, options: ["limits.header_timeout=500ms"] });

	async function answerTo(bytes) {
		const socket = server.track(net.connect(server.port, "127.0.0.1"));
		const chunks = [];
		socket.on("data", (chunk) => chunks.push(chunk));
		socket.write(bytes);
		await closed(socket);
		return Buffer.concat(chunks).toString("latin1");
	}

	it("is told so where it is HTTP", async () => {
		assert.match(await answerTo("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
			/^HTTP\/1\.1 400 .*https:/s);
	});

	it("is closed where it is anything else", async () => {
		await answerTo(Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
	});

	it("is told by an alert that its hello is too long", async () => {
		const hello = Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x40, 0]);
		const decode_error = Buffer.from([21, 3, 3, 0, 2, 2, 50]);
		assert.equal(await answerTo(hello), decode_error.toString("latin1"));
	});

	it("is closed after header_timeout where a handshake stops half-way", async () => {
		await answerTo(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
		const stats = (await call(server, "GET", "/api/stats")).json();
		assert.equal(stats.connections_http, 1); /* that of the question itself */
	});
});

describe("tls: certificates are read again", () => {
	const own = certificate("reload", { serial: 7 });
	const server = useServer({ isSecure: true, certificate: own, config: "" });
	const serial = async () => {
		const socket = await shake(server);
		const { serialNumber } = socket.getPeerCertificate();
		socket.destroy();
		return parseInt(serialNumber, 16);
	};

	it("new connections see the new one, and those that stand live on", async () => {
		assert.equal(await serial(), 7);
		const channel = fresh();
		const client = await NativeClient.open(server);
		await client.subscribe(channel);
		const next = certificate("reload-next", { serial: 8 });
		fs.copyFileSync(next.cert, own.cert);
		fs.copyFileSync(next.key, own.key);
		await server.reload();
		await until(async () => await serial() === 8, "the new certificate");
		await publish(server, channel, "still here");
		assert.deepEqual(await client.data(1), ["still here"]);
		client.close();
	});

	it("a file that is none changes nothing, and is reported", async () => {
		fs.writeFileSync(own.cert, "no certificate");
		assert.match(await server.reload(), /stays as it was: .*cert/);
		assert.equal(await serial(), 8);
	});
});

describe("tls: files that cannot be used", () => {
	it("keep the server from starting, in one line", async () => {
		const { cert } = certificate("start");
		const { status, stderr } = await run(["serve", "-o", "listen.http=",
			"-o", "listen.https=127.0.0.1:0", "-o", `tls.cert=${cert}`,
			"-o", "tls.key=/nowhere/key.pem"]);
		assert.equal(status, 2);
		assert.match(stderr, /^starling: .*\/nowhere\/key\.pem.*\n$/);
	});

	it("nor does a key of another certificate", async () => {
		const one = certificate("one"), other = certificate("other");
		const { status, stderr } = await run(["serve", "-o", "listen.http=",
			"-o", "listen.https=127.0.0.1:0", "-o", `tls.cert=${one.cert}`,
			"-o", `tls.key=${other.key}`]);
		assert.equal(status, 2);
		assert.equal(stderr.trimEnd().split("\n").length, 1);
	});
});

