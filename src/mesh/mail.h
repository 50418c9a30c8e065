/*
 * mail.h - what the workers of a node and its mesh thread say to each other.
 *
 * A worker posts frames for other nodes to the mesh thread; frames that came are posted to the
 * worker of their slot (slot % workers). Of a node one lane's frames arrive in the order they were
 * posted, those of two lanes in any. They arrive as long as the link to the node stands; what was
 * under way when it ended may be lost, as may what is posted while it does not stand.
 *
 * A node has a seat: a small number of its own, to be used in tables and bitmaps. MESH_MAIL_NODE
 * says who sits there before anything else is heard of that node, and each change of its state.
 * Once it says that the node is gone the seat is free, and later somebody else's; `use` tells the
 * two apart. One that is dead and not known to be gone keeps it, also for when it comes again, till
 * it is forgotten: when membership does, or earlier where somebody else finds no seat. That frees
 * the seat, and says nothing of the node.
 *
 * Letters of the mesh thread to a worker keep their order, so what comes behind a MESH_MAIL_NODE
 * came after it: a frame behind `is_linked` belongs to this link and to no earlier one.
 *
 * Threads:   a value; moves from the poster to the receiver.
 * Ownership: the letter owns a reference of what it points at: the receiver drops it, or, when
 *            it is never delivered, mesh_mail_discard().
 * Limits:    seats 0 .. MEMBERS_MAX - 1. Bodies as frame.h has it for their lane. What waits for
 *            a node is bounded by LINK_DATA_MAX and LINK_CONTROL_MAX (mesh/link.h): a frame
 *            that finds its lane full ends the link, but for one that is_lossy: that is left
 *            out, and told to its poster's slot by MESH_MAIL_LOST.
 */
#pragma once

#include "base/blob.h"
#include "mesh/frame.h"
#include "mesh/member.h"

struct seat {
	uint16_t index;
	uint16_t use; /* 0: nobody's */
};

enum mesh_mail_kind {
	MESH_MAIL_FRAME = 0, /* both ways: seat, type, slot, body; to the mesh thread: is_lossy */
	MESH_MAIL_NODE,      /* to all workers: seat, state, is_linked, counts_places, is_forgotten,
	                        is_gone, boot, incarnation, name */
	MESH_MAIL_SELF,      /* to all workers: state, is_accused, boot, incarnation, name */
	MESH_MAIL_LOAD,      /* to all workers: seat, load */
	MESH_MAIL_LOST,      /* to the slot's worker: seat, type, slot of a frame left out */
	MESH_MAIL_HOMES,     /* from a worker: count, the slots of its that have their home here */
};

/* What waits for a node on its data lane. */
enum mesh_load {
	MESH_LOAD_LOW = 0, /* under a quarter of what may; also how a link begins */
	MESH_LOAD_HIGH,    /* above three quarters: slow down, leave out what can be */
};

struct mesh_mail {
	uint8_t kind; /* enum mesh_mail_kind */
	union {
		uint8_t type;  /* enum frame_type */
		uint8_t state; /* enum member_state */
		uint8_t load;  /* enum mesh_load */
	};
	union {
		uint16_t slot;
		struct {
			bool is_linked : 1;     /* NODE: frames reach it */
			bool counts_places : 1; /* NODE, linked: MEMBER_FEATURE_PLACES */
			bool is_forgotten : 1;  /* NODE, dead: it may live, and has no seat */
			union {
				bool is_gone;    /* NODE, dead or left: its process has ended */
				bool is_accused; /* SELF: others took it for dead just now */
			};
		};
	};
	union {
		struct seat seat;
		struct {
			uint16_t worker; /* MESH_MAIL_HOMES: whose count */
			uint16_t count;
		};
	};
	struct blob *body; /* MESH_MAIL_FRAME: what is behind the head; NODE, SELF: the name */
	union {
		bool is_lossy;
		struct {
			uint64_t incarnation;
			struct boot_id boot;
		};
	};
};

static_assert(sizeof(struct mesh_mail) <= 40, "letters are copied twice");

static inline void mesh_mail_discard(const struct mesh_mail *mail)
{
	if (mail->kind <= MESH_MAIL_SELF)
		blob_drop(mail->body);
}
