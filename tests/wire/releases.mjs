/*
 * releases.mjs - the program of an earlier release, for meshes of two.
 *
 * STARLING_BEFORE names one; else it is built from the history of this repository, once, in
 * build/before. Where there is neither, `whyNot` says so.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/* Nodes of then say nothing of mesh.replicas, and know no frames of users' places. */
const commit = "3a2576ea0e497759e0d69ada1e53908ee9c3b881";

const top = fileURLToPath(new URL("../..", import.meta.url));
const home = path.join(top, "build/before", commit.slice(0, 12));
const given = process.env.STARLING_BEFORE;
const program = given ? path.resolve(given) : path.join(home, "build/release/starling");

function run(command, args, options = {}) {
	const { status, error, stdout, stderr } = spawnSync(command, args,
		{ maxBuffer: 1 << 28, ...options });
	return { isDone: status === 0, output: stdout, log: `${command}: ${error ?? stderr}` };
}

const isThere = fs.existsSync(program);
const hasHistory = () => run("git", ["-C", top, "cat-file", "-e", `${commit}^{commit}`]).isDone;
export const whyNot = !isThere && !given && !hasHistory() &&
	`no history of ${commit.slice(0, 12)} is here`;

/* In a place of its own first, as somebody else may be about it too. */
function build() {
	const place = `${home}.${process.pid}`;
	const must = ({ isDone, output, log }) => {
		if (!isDone)
			throw new Error(`the release before cannot be built: ${log}`);
		return output;
	};
	fs.mkdirSync(place, { recursive: true });
	try {
		/* Another compiler than that of then may warn of what nobody will mend. */
		const env = { ...process.env, CFLAGS: "-w", LDFLAGS: "" };
		for (const name of ["MODE", "B", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"])
			delete env[name];
		const input = must(run("git", ["-C", top, "archive", commit,
			"Makefile", "src", "include", "bench", "tests/setup"]));
		must(run("tar", ["-x", "-C", place], { input }));
		must(run("make", ["-s", `-j${os.availableParallelism()}`, "-C", place], { env }));
		fs.renameSync(place, home);
	} catch (error) {
		if (!fs.existsSync(program))
			throw error;
	} finally {
		fs.rmSync(place, { recursive: true, force: true });
	}
}

export function programBefore() {
	if (!fs.existsSync(program) && given)
		throw new Error(`STARLING_BEFORE: ${program} is not there`);
	if (!fs.existsSync(program))
		build();
	return program;
}
