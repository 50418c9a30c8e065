/* starling check: a row for each limit, on whatever host this is. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import { describe, it } from "node:test";

import { run } from "./harness.mjs";

describe("starling check", () => {
	it("says what the kernel has, and what is needed", async () => {
		const { stdout, stderr } = await run(["check", "--connections", "5000"]);
		assert.equal(stderr, "");
		const has = fs.readFileSync("/proc/sys/fs/nr_open", "latin1").trim();
		/* Clients, a 32nd more, requests and the process, and what each worker keeps back. */
		const needed = 5000 + 156 + 1152 + 264 * os.availableParallelism();
		assert.match(stdout, new RegExp(`^fs\\.nr_open +${has} +${needed}  (ok|short)$`, "m"));
		for (const name of ["descriptors", "net.core.somaxconn", "memory available", "clock source",
			"CPU governor", "kernel TLS", "SO_REUSEPORT"])
			assert.match(stdout, new RegExp(`^${name}.* (ok|advice|short)$`, "m"));
	});

	it("ends with 1 when something is short, and says what mends it", async () => {
		const { status, stdout } = await run(["check", "--connections", "100000000"]);
		assert.equal(status, 1);
		assert.match(stdout, /^memory available, KiB .* short\n {4}\S/m);
	});

	it("ends with 0 when nothing is", async () => {
		const { status, stdout } = await run(["check", "--connections", "1"]);
		assert.equal(status, / short$/m.test(stdout) ? 1 : 0, stdout);
	});

	it("wants a number", async () => {
		for (const wrong of ["0", "many", "-1", "100000001"]) {
			const { status, stderr } = await run(["check", "--connections", wrong]);
			assert.equal(status, 2);
			assert.match(stderr, /^starling: --connections wants a number .*\n$/);
		}
		assert.equal((await run(["check", "extra"])).status, 2);
	});
});
