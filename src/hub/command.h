/*
 * command.h - what a client asks of the hub, whatever language it was said in.
 *
 * Threads:   a value.
 * Ownership: none: slices look at the message it was read from, or at the dialect's scratch;
 *            hub_execute() copies what it keeps.
 */
#pragma once

#include "hub/cursor.h"
#include "hub/record.h"

enum command_type {
	COMMAND_SUBSCRIBE = 0,
	COMMAND_UNSUBSCRIBE,
	COMMAND_PUBLISH,
	COMMAND_HISTORY,
	COMMAND_PRESENCE,
	COMMAND_AUTH, /* carried out by the edge: the hub knows no keys */
	COMMAND_PING,
};

struct hub_command {
	enum command_type type;
	struct slice ref; /* as the client wrote it, for the answer; empty: none */
	struct slice channel;
	struct cursor since; /* when has_since */
	bool has_since;
	bool wants_presence; /* COMMAND_SUBSCRIBE: and news of who is there */
	bool has_limit;
	uint64_t limit;
	struct publication publication; /* COMMAND_PUBLISH: all but channel, user and except */
	bool is_unechoed;               /* COMMAND_PUBLISH: not back to its sender */
	bool is_unanswered;             /* COMMAND_PUBLISH: only a refusal is told */
	uint64_t except;                /* COMMAND_PUBLISH by a backend: nor to that one */
	struct slice user;              /* COMMAND_PUBLISH by a backend: in whose name */
	struct slice token;             /* COMMAND_AUTH */
};
