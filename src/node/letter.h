/*
 * letter.h - what the threads of the node send each other.
 *
 * Threads:   a value; moves from the poster to the receiver.
 * Ownership: the letter owns what it points at: the receiver takes it over, or, when a letter is
 *            never delivered, letter_discard().
 * Limits:    LOOP_LETTER_MAX bytes.
 */
#pragma once

#include "edge/edge.h"
#include "mesh/mail.h"
#include "net/tls_psk.h"
#include "node/generation.h"
#include "ops/journal.h"

enum letter_kind {
	LETTER_HUB = 0,
	LETTER_EDGE,
	LETTER_GENERATION,
	LETTER_BEAT,  /* to a worker, and back: it goes round */
	LETTER_DRAIN, /* to a worker: refuse new clients; to the mesh thread: say that we go down */
	LETTER_SEND_AWAY,
	LETTER_STOP,          /* to a worker: say goodbye and end; to the scribe: end */
	LETTER_LINES,         /* to the scribe */
	LETTER_MESH,          /* both ways */
	LETTER_CLUSTER,       /* to the mesh thread: who are the members? And its answer */
	LETTER_MESH_SETTINGS, /* to the mesh thread: others from here on */
	LETTER_LEAVE,         /* to the mesh thread: say that we have gone, and end */
	LETTER_HANDED_OVER,   /* to control, once: this worker's slots are in other hands */
};

/* A request of GET /api/cluster. */
struct cluster_mail {
	uint32_t from; /* the worker */
	struct slab_handle asker;
	struct blob *answer; /* JSON; NULL: there was no memory */
};

/* What the mesh thread goes by, and may change at run time. */
struct mesher_settings {
	struct psk_keys *keys; /* a reference */
	enum journal_level least;
	bool is_json;
};

struct letter {
	uint32_t kind;
	union {
		struct hub_mail hub;             /* LETTER_HUB */
		struct edge_mail edge;           /* LETTER_EDGE */
		struct generation *generation;   /* LETTER_GENERATION: a reference */
		uint64_t beat;                   /* LETTER_BEAT: which one */
		uint64_t time_ms;                /* LETTER_SEND_AWAY: over so long */
		struct mesh_mail mesh;           /* LETTER_MESH */
		struct cluster_mail cluster;     /* LETTER_CLUSTER */
		struct mesher_settings settings; /* LETTER_MESH_SETTINGS */
		struct blob *lines;              /* LETTER_LINES: a reference */
	};
};

static inline void letter_discard(const struct letter *letter)
{
	switch ((enum letter_kind)letter->kind) {
	case LETTER_HUB:
		hub_mail_discard(&letter->hub);
		break;
	case LETTER_EDGE:
		edge_mail_discard(&letter->edge);
		break;
	case LETTER_GENERATION:
		generation_drop(letter->generation);
		break;
	case LETTER_MESH:
		mesh_mail_discard(&letter->mesh);
		break;
	case LETTER_CLUSTER:
		blob_drop(letter->cluster.answer);
		break;
	case LETTER_MESH_SETTINGS:
		psk_keys_drop(letter->settings.keys);
		break;
	case LETTER_LINES:
		blob_drop(letter->lines);
		break;
	case LETTER_BEAT:
	case LETTER_DRAIN:
	case LETTER_SEND_AWAY:
	case LETTER_STOP:
	case LETTER_LEAVE:
	case LETTER_HANDED_OVER:
		break;
	}
}
