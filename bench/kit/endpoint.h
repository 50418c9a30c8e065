/*
 * endpoint.h - where clients of one kind connect to, and what they say there.
 *
 * The words are templates: %c is the channel's name, %d a payload, %s a cursor, %% a percent
 * sign. A protocol has its own (protocol.h); the command line may put others in their place.
 *
 * Threads:   constant while lanes run.
 * Ownership: strings are the caller's.
 */
#pragma once

#include <netinet/in.h>

#include "base/buf.h"
#include "base/check.h"

struct protocol;

struct words {
	const char *path;      /* of the request that opens */
	const char *back_path; /* with a cursor; NULL: the same */
	const char *subscribe; /* NULL: nothing is to be said, who has connected follows */
	const char *resume;    /* subscribe with a cursor; NULL: the same */
	const char *publish;
	const char *answer; /* stands in what says that the subscription stands; NULL: no answer */
	const char *gap;    /* stands in what says that something was lost; NULL: nothing does */
};

struct endpoint {
	const struct protocol *protocol;
	struct words words;
	struct sockaddr_in address;
	const char *host;    /* as text, with its port */
	const char *channel; /* name; with a number behind it when there are several */
	uint32_t channels;
	bool keeps_cursor; /* clients remember where they are */
};

/* HOST:PORT, IPv4 or a name that has such an address. False: nobody knows it. */
MUST_CHECK bool endpoint_set_address(struct endpoint *endpoint, const char *text);

struct blanks {
	uint32_t channel;
	struct slice data, cursor;
};

void endpoint_fill(const struct endpoint *endpoint, struct buf *out, const char *words,
                   struct blanks blanks);

/* A socket that connects, from the source address of this number: so many connections come from
 * each that their ports suffice. The descriptor, or -errno. */
MUST_CHECK int endpoint_dial(const struct endpoint *endpoint, uint32_t number);
