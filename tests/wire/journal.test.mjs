/* What the server says on standard error: [log] of SPEC section 2. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";

import { startServer, until } from "./harness.mjs";

const linesOf = (server) => server.stderr().trimEnd().split("\n");

describe("log", () => {
	it("json: each line is an object, and says what, when and how grave", async () => {
		const server = await startServer({ config: "", options: ["log.format=json"] });
		server.signal("SIGHUP");
		await until(() => linesOf(server).length > 1, "the reload");
		await server.stop();
		const events = linesOf(server).map((line) => JSON.parse(line));
		assert.deepEqual(events.map(({ event }) => event), ["start", "reload", "drain"]);
		for (const { time, level, message } of events) {
			assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000, time);
			assert.equal(level, "info");
			assert.ok(message.length > 0);
		}
	});

	it("level: lesser lines are left out, the banner too", async () => {
		const server = await startServer({ options: ["log.level=warn"] });
		await server.stop();
		assert.equal(server.stderr(), "");
	});

	it("both change when the configuration is read again", async () => {
		const server = await startServer({ config: "" });
		await until(() => /^starling [\d.]+: open mode[^]*lobby'\n/.test(server.stderr()), "the banner");
		const before = server.stderr().length;
		const { file } = server;
		writeFileSync(file, "[log]\nformat = json\n");
		server.signal("SIGHUP");
		const said = await until(() => server.stderr().slice(before), "the reload");
		assert.equal(JSON.parse(said).event, "reload");
		writeFileSync(file, "[log]\nlevel = error\nformat = json\nno = no\n");
		server.signal("SIGHUP");
		const failed = await until(() => server.stderr().slice(before + said.length), "an error");
		assert.equal(JSON.parse(failed).level, "error");
		await server.stop();
	});
});
