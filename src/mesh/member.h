/*
 * member.h - one node of the cluster as another one knows it, and what it says of itself.
 *
 * A node is known by its boot id: a restart is another member. Of one and the same boot the
 * higher incarnation is the newer word; it begins at the wall clock, so that a restarted node's
 * outranks all that was said of it before.
 *
 * Threads:   values, and pure functions.
 * Ownership: a member owns its strings; a struct hello that was read looks at the frame.
 * Limits:    MEMBERS_MAX members; names and addresses of MEMBER_TEXT_MAX bytes.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"

#define MEMBERS_MAX 256u     /* a node more is refused; every node talks to every other */
#define MEMBER_TEXT_MAX 255u /* of a name or an address */
#define MEMBER_RELEASE_MAX 31u

#define PROTOCOL_VERSION_MIN 1u
#define PROTOCOL_VERSION_MAX 1u

/* Features: what a node takes beside what each node of the version does. */
#define MEMBER_FEATURE_PLACES 1u /* the frames FRAME_PLACES to FRAME_PLACES_AGAIN */

struct boot_id {
	uint64_t word[2]; /* random; all zero: of nobody */
};

static inline bool boot_id_equals(struct boot_id a, struct boot_id b)
{
	return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

static inline bool boot_id_is_below(struct boot_id a, struct boot_id b)
{
	return a.word[0] != b.word[0] ? a.word[0] < b.word[0] : a.word[1] < b.word[1];
}

/* What a node says of itself, then what others found. */
enum member_state {
#define MEMBER_STATE(name, text) MEMBER_##name,
#include "mesh/member_state.def"
#undef MEMBER_STATE
	MEMBER_STATE_COUNT
};

const char *member_state_name(enum member_state state);

/* The first frame on a connection, from both sides. */
struct hello {
	uint16_t version_min, version_max;
	uint64_t features; /* MEMBER_FEATURE_*; others are of releases to come */
	struct boot_id boot;
	uint64_t incarnation;
	enum member_state state; /* JOINING, READY or DRAINING */
	struct slice cluster, name, address, release;
	uint8_t replicas; /* its mesh.replicas; 0: it does not say */
	/* Of the connection: see link.h. */
	uint8_t lane; /* enum frame_lane */
	uint64_t pair, stamp;
};

/* Of a name or an address: one that can be shown, and stands in one word. */
bool member_text_is_good(struct slice text);

void hello_write(struct buf *out, const struct hello *hello);
MUST_CHECK bool hello_read(struct slice body, struct hello *hello);

/* Why a connection between two nodes is closed; travels in BYE. */
enum bye {
#define BYE(name, sentence) BYE_##name,
#include "mesh/bye.def"
#undef BYE
	BYE_COUNT
};

const char *bye_sentence(enum bye why);
void bye_write(struct buf *out, enum bye why);
MUST_CHECK bool bye_read(struct slice body, enum bye *why); /* one not known: BYE_OTHER */
