/*
 * certificates.mjs - keys and certificates of the tests' own, by the openssl command.
 *
 * They are for localhost and 127.0.0.1 unless told otherwise, good for a day, and signed by themselves.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const kinds = {
	ec: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
	rsa: ["-newkey", "rsa:2048"],
};

/* Writes DIRECTORY/cert.pem and key.pem: { cert, key }, the files' paths. */
export function makeCertificate(directory,
	{ kind = "ec", serial = 1, names = "DNS:localhost,IP:127.0.0.1" } = {}) {
	const cert = path.join(directory, "cert.pem"), key = path.join(directory, "key.pem");
	execFileSync("openssl", [
		"req", "-x509", ...kinds[kind], "-nodes", "-days", "1", "-subj", "/CN=localhost",
		"-addext", `subjectAltName=${names}`,
		"-set_serial", String(serial), "-keyout", key, "-out", cert,
	], { stdio: ["ignore", "ignore", "pipe"] });
	return { cert, key };
}

let common;

/* One that all servers of a test process may share. */
export function commonCertificate() {
	if (!common) {
		const directory = fs.mkdtempSync(path.join(os.tmpdir(), "starling-tls-"));
		process.on("exit", () => fs.rmSync(directory, { recursive: true, force: true }));
		common = makeCertificate(directory);
	}
	return common;
}
