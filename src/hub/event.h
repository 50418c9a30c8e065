/*
 * event.h - what the hub and the edge tell a client, before a dialect puts it in words.
 *
 * Threads:   a value.
 * Ownership: none: good for the duration of the call it is handed to.
 */
#pragma once

#include "hub/occupants.h"
#include "hub/record.h"
#include "starling/error.h"

enum event_type {
	EVENT_WELCOME = 0,  /* connection, node, user, heartbeat_s */
	EVENT_SUBSCRIBED,   /* channel, epoch, seq; recovered when has_recovered */
	EVENT_UNSUBSCRIBED, /* channel; reason when it was not the client that asked for it */
	EVENT_ACK,          /* epoch, seq, is_duplicate; no epoch: of no publication */
	EVENT_HISTORY,      /* channel, epoch, seq, records, has_more */
	EVENT_PONG,
	EVENT_DIRECT,    /* data: a message to this client alone, of no channel */
	EVENT_GAP,       /* channel, epoch, seq: messages before that position were left out */
	EVENT_RECONNECT, /* after_ms: the server is going down, come back then */
	EVENT_ERROR,     /* error, message; channel when it is about one of several */
	EVENT_PRESENCE,  /* channel, turnout: its entries where it has names, else the number alone;
	                  * user, and data, the info: who is told, where the turnout lacks him */
	EVENT_JOINED,    /* channel, user, data: the info, if any */
	EVENT_LEFT,      /* channel, user */
};

struct hub_event {
	enum event_type type;
	struct slice ref; /* empty: none */
	struct slice channel;
	uint64_t epoch, seq; /* a cursor, or the id of a record */
	bool has_recovered, is_recovered, is_duplicate, has_more;
	enum error_code error;
	const char *message; /* a sentence for a person */
	const char *reason;  /* a word, or NULL */
	struct record *const *records;
	size_t record_count;
	const struct turnout *turnout;
	struct slice connection, node, user;
	struct slice data; /* JSON */
	uint64_t heartbeat_s, after_ms;
};
