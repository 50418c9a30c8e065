/*
 * tokens.mjs - tokens made and checked by node's own crypto, as a backend would.
 */
import {
	createHmac, generateKeyPairSync, sign as signWith, timingSafeEqual, verify as verifyWith,
} from "node:crypto";

export const secret = "what the server and the backend know, and nobody else";
export const now = () => Math.floor(Date.now() / 1000);

const encode = (value) => Buffer.from(
	typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const digests = { HS256: "sha256", HS384: "sha384", HS512: "sha512" };

function signature(alg, key, text) {
	if (alg in digests)
		return createHmac(digests[alg], key).update(text).digest();
	if (alg === "EdDSA")
		return signWith(null, Buffer.from(text), key);
	return signWith("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
}

/* A token of these claims, good for an hour unless they say otherwise. */
export function mint(claims = {}, { alg = "HS256", key = secret, header = {} } = {}) {
	const all = { sub: "ann", exp: now() + 3600, ...claims };
	const text = `${encode({ alg, ...header })}.${encode(all)}`;
	return `${text}.${signature(alg, key, text).toString("base64url")}`;
}

/* What a token says, if its signature by `key` is good. */
export function open(token, { alg = "HS256", key = secret } = {}) {
	const [header, claims, given, ...more] = token.split(".");
	if (more.length > 0 || JSON.parse(Buffer.from(header, "base64url")).alg !== alg)
		return null;
	const text = `${header}.${claims}`, bytes = Buffer.from(given, "base64url");
	const isGood = alg in digests
		? timingSafeEqual(signature(alg, key, text), bytes)
		: verifyWith(alg === "EdDSA" ? null : "sha256", Buffer.from(text),
			{ key, dsaEncoding: "ieee-p1363" }, bytes);
	return isGood ? JSON.parse(Buffer.from(claims, "base64url")) : null;
}

const kinds = {
	RS256: ["rsa", { modulusLength: 2048 }],
	ES256: ["ec", { namedCurve: "P-256" }],
	EdDSA: ["ed25519", {}],
};

/* A pair for an algorithm, with the public key as PEM and as JWK. */
export function makePair(alg, kid) {
	const { privateKey, publicKey } = generateKeyPairSync(...kinds[alg]);
	return {
		alg,
		key: privateKey,
		pem: publicKey.export({ type: "spki", format: "pem" }),
		jwk: { ...publicKey.export({ format: "jwk" }), ...(kid ? { kid } : {}) },
	};
}
