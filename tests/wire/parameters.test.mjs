/* Parameters that are none: who sends them is told which. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { assertError, call, useServer } from "./harness.mjs";

const long = "x".repeat(256);

const escape = "target has a malformed escape";

/* Each row: method and target, then what the message names. All of them are 400. */
const bad = [
	["GET /poll?channel=%zz", escape],
	["GET /poll?channel=a&since=%", escape],
	["GET /poll?channel=a&token=%4", escape],
	["GET /api/channels/%zz/history", escape],
	["GET /poll?channel=a&channel=b&channel=%61", "a channel is named twice"],
	["GET /poll?channel=a&since=x", "since is not a cursor"],
	["GET /poll?channel=a&user=", "user is not a name"],
	["GET /poll?channel=a&user=a%00b", "user is not a name"],
	["GET /poll?channel=a&user=%ff", "user is not a name"],
	[`GET /poll?channel=a&user=${long}`, "user is not a name"],
	["POST /publish?channel=a&event=%0a", "event is not"],
	[`POST /publish?channel=a&event=${long}`, "event is not"],
	["POST /publish?channel=a&key=%ff", "key is not"],
	[`POST /publish?channel=a&key=${long}`, "key is not"],
	["POST /publish?channel=a&idempotency_key=%ff", "idempotency_key is not"],
	[`POST /publish?channel=a&idempotency_key=${long}`, "idempotency_key is not"],
	["GET /api/channels/a/history?since=x", "since is not a cursor"],
	["GET /api/connections?limit=0", "user is not decodable, or limit no number"],
	["GET /api/connections?limit=%31x", "user is not decodable, or limit no number"],
];

describe("parameters: what cannot be read is refused", () => {
	const server = useServer({});
	for (const [request, message] of bad) {
		it(request.replace(long, "x..."), async () => {
			const [method, target] = request.split(" ");
			const answer = await call(server, method, target);
			assertError(answer, 400, "bad_request");
			assert.ok(answer.json().error.message.startsWith(message), answer.text);
		});
	}
});
