/*
 * What the links ask for in the middle of a call (a connection, an end) is begun at once and told
 * back in a later step, from after(): trunks that have anything to do stand in `agenda`, those that
 * ended in `closed`.
 */
#include "node/mesher.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/loop.h"
#include "node/letter.h"
#include "node/pen.h"
#include "node/thread.h"
#include "ops/config_address.h"
#include "starling/limits.h"
#include "starling/version.h"

#define LISTENER_TAG (UINT64_MAX - 1)
/* Two of each link, and as many that ended in this turn; strangers likewise. */
#define TRUNKS_MAX (4 * LINKS_MAX + 2 * LINK_PENDING_MAX)
#define MESHER_LEAVE_MS 300u  /* to say goodbye */
#define MESHER_ACCEPTS_MAX 16 /* a turn; each begins a handshake */
#define MESHER_LATE_MAX 8     /* turns that frames wait behind letters */
/* Letters to each worker that one turn may post without asking again: news of nodes. */
#define MESHER_NEWS_MAX 1024u

/* A node, as the workers know it. */
struct chair {
	struct boot_id boot; /* all zero: nobody's */
	uint16_t use;
	enum member_state state; /* as it was told last */
	bool is_linked, is_gone, is_forgotten, counts_places;
	uint64_t incarnation;
	struct blob *name;
};

struct asked {
	char text[MEMBER_TEXT_MAX + 1];
};

struct mesher {
	struct mesher_options options;
	struct mesh_figures figures;
	pthread_t thread;
	int error;
	/* The mesh thread's from here on. */
	struct loop_handler handler;
	struct links_out out;
	struct loop *loop;
	struct links *links;
	struct psk_keys *keys;
	struct trunk_desk desk;
	struct slab trunks;
	struct list agenda, closed;
	struct slice *seeds; /* of the membership */
	struct asked *seed_texts;
	struct timer tick;
	int listener;
	bool accepts;         /* somebody may be waiting there */
	bool is_starved;      /* no memory for letters: nothing new this turn */
	uint64_t leave_by_ms; /* while leaving; 0: not told to */
	uint32_t letters;     /* taken in this turn */
	uint32_t turns_late;  /* in a row that there were more */
	struct chair chairs[MEMBERS_MAX];
	uint32_t homes[WORKERS_MAX];
	enum member_state told_state;
	uint64_t told_incarnation;
	/* Names that are being looked up, and those that are to be next. */
	struct lookup *lookup, *next_lookup;
	struct asked asked[LOOKUP_NAMES_MAX], next_asked[LOOKUP_NAMES_MAX];
	struct pen pen;
};

static uint64_t now_of(const struct mesher *mesher)
{
	return loop_now_ms(mesher->loop);
}

/* ---- letters to workers ---- */

static void post(struct mesher *mesher, uint32_t worker, const struct mesh_mail *mail)
{
	struct letter letter = {.kind = LETTER_MESH, .mesh = *mail};
	mailbox_post(mesher->options.office, mesher->options.number, worker, &letter);
}

/* A reference of the body goes to each. */
static void post_to_all(struct mesher *mesher, const struct mesh_mail *mail)
{
	for (uint32_t i = 0; i < mesher->options.workers; i++) {
		if (mail->kind <= MESH_MAIL_SELF)
			blob_take(mail->body);
		post(mesher, i, mail);
	}
}

static bool is_nobody(struct boot_id boot)
{
	return boot.word[0] == 0 && boot.word[1] == 0;
}

static struct chair *find_chair(struct mesher *mesher, struct boot_id boot)
{
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		if (boot_id_equals(mesher->chairs[i].boot, boot))
			return &mesher->chairs[i];
	}
	return NULL;
}

static struct seat seat_of(const struct mesher *mesher, const struct chair *chair)
{
	return (struct seat){(uint16_t)(chair - mesher->chairs), chair->use};
}

static void tell_node(struct mesher *mesher, const struct chair *chair)
{
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = (uint8_t)chair->state,
	                         .is_linked = chair->is_linked,
	                         .counts_places = chair->counts_places,
	                         .is_forgotten = chair->is_forgotten,
	                         .is_gone = chair->is_gone,
	                         .seat = seat_of(mesher, chair),
	                         .body = chair->name,
	                         .incarnation = chair->incarnation,
	                         .boot = chair->boot};
	post_to_all(mesher, &mail);
}

/* Of one that has gone, or is forgotten: of that nobody knows whether it has. */
static void free_chair(struct mesher *mesher, struct chair *chair, bool is_gone)
{
	chair->is_gone = is_gone;
	chair->is_forgotten = !is_gone;
	chair->is_linked = false;
	tell_node(mesher, chair);
	blob_drop(chair->name);
	*chair = (struct chair){.use = chair->use};
}

/* Where all are taken, the first of somebody dead. */
static struct chair *find_free_chair(struct mesher *mesher)
{
	struct chair *chair = find_chair(mesher, (struct boot_id){{0, 0}});
	for (size_t i = 0; chair == NULL && i < MEMBERS_MAX; i++) {
		if (mesher->chairs[i].state != MEMBER_DEAD)
			continue;
		chair = &mesher->chairs[i];
		free_chair(mesher, chair, false);
	}
	return chair;
}

/* NULL: no memory; it is told with one of the next ticks. */
static struct chair *take_chair(struct mesher *mesher, const struct member *member)
{
	struct chair *chair = find_free_chair(mesher);
	struct blob *name = chair == NULL ? NULL : blob_copy(slice_string(member->name));
	if (name == NULL)
		return NULL;
	uint16_t use = (uint16_t)(chair->use + 1);
	*chair = (struct chair){.boot = member->boot,
	                        .use = use == 0 ? 1 : use,
	                        .state = MEMBER_STATE_COUNT,
	                        .name = name};
	return chair;
}

static void look_at_member(struct mesher *mesher, const struct member *member)
{
	struct chair *chair = find_chair(mesher, member->boot);
	enum member_state state = member_state_of(member);
	if (chair == NULL && state != MEMBER_DEAD && state != MEMBER_LEFT)
		chair = take_chair(mesher, member);
	if (chair == NULL ||
	    (chair->state == state && chair->is_linked == member->is_linked &&
	     chair->is_gone == member->is_gone && chair->incarnation == member->incarnation))
		return;
	if (chair->state != state)
		journal_say(&mesher->pen.journal,
		            state == MEMBER_SUSPECT || state == MEMBER_DEAD ? JOURNAL_WARN
		                                                            : JOURNAL_INFO,
		            "mesh_node", "mesh: %s is %s", member->name, member_state_name(state));
	chair->state = state;
	chair->is_linked = member->is_linked;
	chair->counts_places = (member->features & MEMBER_FEATURE_PLACES) != 0;
	chair->incarnation = member->incarnation;
	if (member->is_gone)
		free_chair(mesher, chair, true);
	else
		tell_node(mesher, chair);
}

/* The dead are forgotten after a while. That does not end them. */
static void look_at_chairs(struct mesher *mesher)
{
	const struct membership *membership = links_membership(mesher->links);
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		struct chair *chair = &mesher->chairs[i];
		if (!is_nobody(chair->boot) && chair->state == MEMBER_DEAD &&
		    membership_find(membership, chair->boot) == NULL)
			free_chair(mesher, chair, false);
	}
}

static void look_at_members(struct mesher *mesher)
{
	const struct membership *membership = links_membership(mesher->links);
	const struct member *member;
	for (size_t i = 0; (member = membership_member(membership, i)) != NULL; i++)
		look_at_member(mesher, member);
	mesh_figures_set_members(&mesher->figures, membership);
	uint64_t waiting[FRAME_LANE_EITHER];
	links_waiting(mesher->links, waiting);
	mesh_figures_set_waiting(&mesher->figures, waiting);
}

static void tell_self(struct mesher *mesher, bool is_accused)
{
	const struct membership *membership = links_membership(mesher->links);
	struct blob *name = blob_copy(slice_string(mesher->options.node->name));
	if (name == NULL)
		return; /* with one of the next ticks */
	mesher->told_state = membership_state(membership);
	mesher->told_incarnation = membership_incarnation(membership);
	struct mesh_mail mail = {.kind = MESH_MAIL_SELF,
	                         .state = (uint8_t)mesher->told_state,
	                         .is_accused = is_accused,
	                         .body = name,
	                         .incarnation = mesher->told_incarnation,
	                         .boot = mesher->options.boot};
	post_to_all(mesher, &mail);
	blob_drop(name);
}

static void look_at_self(struct mesher *mesher)
{
	const struct membership *membership = links_membership(mesher->links);
	enum member_state state = membership_state(membership);
	if (state == mesher->told_state &&
	    membership_incarnation(membership) == mesher->told_incarnation)
		return;
	if (state != mesher->told_state)
		journal_say(&mesher->pen.journal, JOURNAL_INFO, "mesh_self",
		            "mesh: this node is %s", member_state_name(state));
	tell_self(mesher, false);
}

/* ---- trunks ---- */

static void schedule(struct mesher *mesher, struct trunk *trunk)
{
	if (!list_is_linked(&trunk->in_list))
		list_append(&mesher->agenda, &trunk->in_list);
}

static int watch(struct mesher *mesher, struct trunk *trunk)
{
	struct slab_handle handle = slab_handle_of(&mesher->trunks, trunk);
	return loop_watch(mesher->loop, trunk->fd,
	                  (uint64_t)handle.index << 32 | handle.generation);
}

static void begin(struct mesher *mesher, struct trunk *trunk, struct conn_of_link *conn)
{
	conn->edge = trunk;
	if (trunk->fd >= 0 && watch(mesher, trunk) != 0) {
		trunk->has_failed = true;
		trunk->how = CONN_LOST;
	}
	schedule(mesher, trunk);
}

static struct mesher *mesher_under(struct links_out *out)
{
	return CONTAINER_OF(out, struct mesher, out);
}

/* Numbers as they come from listen_text(). */
static bool read_numeric(struct slice text, struct listen_address *address)
{
	struct config_address parsed = {0};
	bool is_good = config_host_parse(text, &parsed) == 0 && parsed.family != AF_UNSPEC &&
	               listen_ip(address, parsed.host, parsed.port);
	config_address_free(&parsed);
	return is_good;
}

static void out_connect(struct links_out *out, struct conn_of_link *conn, struct slice numeric)
{
	struct mesher *mesher = mesher_under(out);
	struct listen_address address;
	struct trunk *trunk = read_numeric(numeric, &address) ? slab_take(&mesher->trunks) : NULL;
	if (trunk == NULL)
		return; /* no memory: the dial runs out of its time, and others follow */
	trunk_dial(trunk, conn, mesher->keys, &address);
	begin(mesher, trunk, conn);
}

static void out_close(struct links_out *out, struct conn_of_link *conn)
{
	struct mesher *mesher = mesher_under(out);
	struct trunk *trunk = conn->edge;
	if (trunk == NULL)
		return; /* there was no memory for one */
	trunk_close(&mesher->desk, trunk);
	if (list_is_linked(&trunk->in_list))
		list_remove(&trunk->in_list);
	list_append(&mesher->closed, &trunk->in_list);
}

static void release_closed(struct mesher *mesher)
{
	struct list_node *node;
	while ((node = list_first(&mesher->closed)) != NULL) {
		list_remove(node);
		slab_release(&mesher->trunks, CONTAINER_OF(node, struct trunk, in_list));
	}
}

static void out_wake(struct links_out *out, struct conn_of_link *conn)
{
	schedule(mesher_under(out), conn->edge);
}

/* ---- names ---- */

static bool is_asked(const struct asked *asked, const struct lookup *lookup, struct slice text)
{
	for (size_t i = 0; lookup != NULL && i < lookup_count(lookup); i++) {
		if (slice_is(text, asked[i].text))
			return true;
	}
	return false;
}

/* What finds no room or memory is dialled again anyhow. */
static void look_up(struct mesher *mesher, const struct config_address *address, struct slice text)
{
	if (is_asked(mesher->asked, mesher->lookup, text) ||
	    is_asked(mesher->next_asked, mesher->next_lookup, text) || text.len > MEMBER_TEXT_MAX)
		return;
	if (mesher->next_lookup == NULL)
		mesher->next_lookup = lookup_create();
	if (mesher->next_lookup == NULL ||
	    !lookup_add(mesher->next_lookup, address->host, address->port))
		return;
	char *asked = mesher->next_asked[lookup_count(mesher->next_lookup) - 1].text;
	memcpy(asked, text.at, text.len);
	asked[text.len] = '\0';
}

static void out_dial(struct links_out *out, struct slice text)
{
	struct mesher *mesher = mesher_under(out);
	struct config_address parsed = {0};
	struct listen_address address;
	char numeric[LISTEN_TEXT_MAX];
	if (config_host_parse(text, &parsed) != 0) {
		/* Of another node: what it says of itself is of no use, and dialled in vain. */
		config_address_free(&parsed);
		return;
	}
	if (parsed.family == AF_UNSPEC) {
		look_up(mesher, &parsed, text);
	} else if (listen_ip(&address, parsed.host, parsed.port)) {
		listen_text(&address, numeric);
		links_connect(mesher->links, slice_string(numeric), text, now_of(mesher));
	}
	config_address_free(&parsed);
}

static void take_found(struct mesher *mesher, const struct lookup_name *name, struct slice asked)
{
	char numeric[LISTEN_TEXT_MAX];
	if (name->count == 0) {
		journal_say(&mesher->pen.journal, JOURNAL_WARN, "mesh_dial",
		            "mesh: %s: no address was found", name->host);
		links_unknown(mesher->links, asked, now_of(mesher));
	}
	for (size_t i = 0; i < name->count; i++) {
		listen_text(&name->found[i], numeric);
		links_connect(mesher->links, slice_string(numeric), asked, now_of(mesher));
	}
}

static void look_at_lookup(struct mesher *mesher)
{
	if (mesher->lookup != NULL && lookup_is_done(mesher->lookup)) {
		struct lookup *done = mesher->lookup;
		mesher->lookup = NULL;
		for (size_t i = 0; i < lookup_count(done); i++)
			take_found(mesher, lookup_name(done, i),
			           slice_string(mesher->asked[i].text));
		lookup_drop(done);
	}
	if (mesher->lookup != NULL || mesher->next_lookup == NULL)
		return;
	mesher->lookup = mesher->next_lookup;
	mesher->next_lookup = NULL;
	memcpy(mesher->asked, mesher->next_asked, sizeof(mesher->asked));
	if (lookup_start(mesher->lookup) == 0)
		return;
	lookup_drop(mesher->lookup);
	mesher->lookup = NULL;
}

/* ---- what the links tell ---- */

static bool out_take(struct links_out *out, const struct member *from, const struct frame *frame)
{
	struct mesher *mesher = mesher_under(out);
	const struct chair *chair = find_chair(mesher, from->boot);
	bool has_room =
		mailbox_has_room(mesher->options.office, mesher->options.number, MESHER_NEWS_MAX);
	struct blob *body = has_room && chair != NULL ? blob_copy(frame->body) : NULL;
	if (body == NULL)
		return false;
	struct mesh_mail mail = {.kind = MESH_MAIL_FRAME,
	                         .type = (uint8_t)frame->type,
	                         .slot = frame->slot,
	                         .seat = seat_of(mesher, chair),
	                         .body = body};
	post(mesher, frame->slot % mesher->options.workers, &mail);
	return true;
}

static void out_changed(struct links_out *out, const struct member *member)
{
	struct mesher *mesher = mesher_under(out);
	look_at_member(mesher, member);
	mesh_figures_set_members(&mesher->figures, links_membership(mesher->links));
}

static void out_load(struct links_out *out, const struct member *member, bool is_high)
{
	struct mesher *mesher = mesher_under(out);
	const struct chair *chair = find_chair(mesher, member->boot);
	if (chair == NULL)
		return;
	struct mesh_mail mail = {.kind = MESH_MAIL_LOAD,
	                         .load = is_high ? MESH_LOAD_HIGH : MESH_LOAD_LOW,
	                         .seat = seat_of(mesher, chair)};
	post_to_all(mesher, &mail);
}

static void out_accused(struct links_out *out)
{
	struct mesher *mesher = mesher_under(out);
	journal_say(&mesher->pen.journal, JOURNAL_WARN, "mesh_self",
	            "mesh: this node was taken for dead, and is not");
	tell_self(mesher, true);
}

static void out_count(struct links_out *out, enum mesh_counter counter, uint64_t more)
{
	mesh_figures_count(&mesher_under(out)->figures, counter, more);
}

static void out_event(struct links_out *out, enum link_event event, const char *who,
                      const char *why)
{
	struct mesher *mesher = mesher_under(out);
	switch (event) {
	case LINK_EVENT_UP:
		journal_say(&mesher->pen.journal, JOURNAL_INFO, "mesh_link",
		            "mesh: linked to %s (%s)", who, why);
		break;
	case LINK_EVENT_DOWN:
		journal_say(&mesher->pen.journal, JOURNAL_WARN, "mesh_link",
		            "mesh: the link to %s ended: %s", who, why);
		break;
	case LINK_EVENT_REFUSED:
		journal_say(&mesher->pen.journal, JOURNAL_WARN, "mesh_refused",
		            "mesh: refused %s: %s", who, why);
		break;
	case LINK_EVENT_SENT_AWAY:
		journal_say(&mesher->pen.journal, JOURNAL_ERROR, "mesh_dial",
		            "mesh: sent away by %s: %s", who, why);
		break;
	case LINK_EVENT_FAILED:
		journal_say(&mesher->pen.journal, JOURNAL_ERROR, "mesh_dial",
		            "mesh: cannot link to %s: %s", who, why);
		break;
	case LINK_EVENT_UNLIKE:
		journal_say(&mesher->pen.journal, JOURNAL_WARN, "mesh_unlike",
		            "mesh: %s is set otherwise: %s", who, why);
		break;
	}
}

/* ---- letters of workers and control ---- */

static void send_frame(struct mesher *mesher, const struct mesh_mail *mail)
{
	const struct chair *chair =
		mail->seat.index < MEMBERS_MAX ? &mesher->chairs[mail->seat.index] : NULL;
	if (chair == NULL || chair->use != mail->seat.use || is_nobody(chair->boot)) {
		blob_drop(mail->body); /* whoever sat there has gone */
		return;
	}
	enum link_send sent = links_send(mesher->links, chair->boot, mail->type, mail->slot,
	                                 mail->body, mail->is_lossy, now_of(mesher));
	if (sent == LINK_SENT)
		return;
	struct mesh_mail lost = {
		.kind = MESH_MAIL_LOST, .type = mail->type, .slot = mail->slot, .seat = mail->seat};
	post(mesher, mail->slot % mesher->options.workers, &lost);
}

static uint32_t homes_of(const struct mesher *mesher)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < mesher->options.workers; i++)
		sum += mesher->homes[i];
	return sum;
}

static uint32_t clients_of(const struct mesher *mesher)
{
	return atomic_load_explicit(&mesher->options.common->clients, memory_order_relaxed);
}

static void take_mail(struct mesher *mesher, const struct mesh_mail *mail)
{
	if (mail->kind == MESH_MAIL_FRAME) {
		send_frame(mesher, mail);
		return;
	}
	CHECK(mail->kind == MESH_MAIL_HOMES);
	CHECK(mail->worker < mesher->options.workers);
	mesher->homes[mail->worker] = mail->count;
}

static void answer_cluster(struct mesher *mesher, const struct cluster_mail *mail)
{
	const struct membership *membership = links_membership(mesher->links);
	const struct edge_node *node = mesher->options.node;
	struct cluster_self self = {.name = node->name,
	                            .cluster = node->cluster,
	                            .address = mesher->options.address,
	                            .state = membership_state(membership),
	                            .incarnation = membership_incarnation(membership),
	                            .clients = clients_of(mesher),
	                            .homes = homes_of(mesher)};
	struct buf text = {0};
	cluster_write(&text, &self, membership);
	struct letter letter = {.kind = LETTER_CLUSTER, .cluster = *mail};
	letter.cluster.answer = text.is_broken ? NULL : blob_copy(buf_view(&text));
	buf_free(&text);
	mailbox_post(mesher->options.office, mesher->options.number, mail->from, &letter);
}

static void adopt(struct mesher *mesher, const struct mesher_settings *settings)
{
	psk_keys_drop(mesher->keys);
	mesher->keys = settings->keys;
	mesher->pen.journal.least = settings->least;
	mesher->pen.journal.is_json = settings->is_json;
	links_set_keys(mesher->links, (uint8_t)psk_keys_count(mesher->keys));
}

static struct mesher *mesher_of(struct loop_handler *handler)
{
	return CONTAINER_OF(handler, struct mesher, handler);
}

static void on_letter(struct loop_handler *handler, const void *bytes)
{
	struct mesher *mesher = mesher_of(handler);
	const struct letter *letter = bytes;
	mesher->letters++;
	switch ((enum letter_kind)letter->kind) {
	case LETTER_MESH:
		take_mail(mesher, &letter->mesh);
		break;
	case LETTER_CLUSTER:
		answer_cluster(mesher, &letter->cluster);
		break;
	case LETTER_MESH_SETTINGS:
		adopt(mesher, &letter->settings);
		break;
	case LETTER_DRAIN:
		links_drain(mesher->links, now_of(mesher));
		break;
	case LETTER_LEAVE:
		links_leave(mesher->links, now_of(mesher));
		mesher->leave_by_ms = now_of(mesher) + MESHER_LEAVE_MS;
		break;
	default:
		CHECK(false); /* nobody sends another one */
	}
}

/* ---- the turn ---- */

static void on_begin(struct loop_handler *handler)
{
	struct mesher *mesher = mesher_of(handler);
	mesher->desk.now_ms = now_of(mesher);
	mesher->is_starved =
		!mailbox_has_room(mesher->options.office, mesher->options.number, MESHER_NEWS_MAX);
}

static void on_ready(struct loop_handler *handler, uint64_t tag, unsigned ready)
{
	struct mesher *mesher = mesher_of(handler);
	if (tag == LISTENER_TAG) {
		mesher->accepts = true;
		return;
	}
	struct slab_handle handle = {(uint32_t)(tag >> 32), (uint32_t)tag};
	struct trunk *trunk = slab_at(&mesher->trunks, handle);
	if (trunk == NULL || trunk->conn == NULL)
		return;
	trunk->is_readable |= (ready & (LOOP_READABLE | LOOP_HUNG_UP)) != 0;
	trunk->is_writable |= (ready & (LOOP_WRITABLE | LOOP_HUNG_UP)) != 0;
	schedule(mesher, trunk);
}

static uint32_t on_letters_max(struct loop_handler *handler)
{
	return mesher_of(handler)->is_starved ? 0 : TURN_MAILS_MAX;
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	struct mesher *mesher = mesher_of(handler);
	uint64_t now = now_of(mesher);
	timer_arm(loop_wheel(mesher->loop), timer, now, MEMBERSHIP_TICK_MS);
	if (mesher->is_starved)
		return;
	links_set_load(mesher->links, clients_of(mesher), homes_of(mesher));
	links_tick(mesher->links, now);
	look_at_lookup(mesher);
	look_at_members(mesher);
	look_at_chairs(mesher);
	look_at_self(mesher);
	if (mesher->leave_by_ms != 0 &&
	    (links_are_none(mesher->links) || now >= mesher->leave_by_ms))
		loop_stop(mesher->loop);
	mesher->accepts = true; /* once there was no descriptor for it, perhaps */
}

static void accept_one(struct mesher *mesher, int fd, const struct listen_address *peer)
{
	char from[LISTEN_TEXT_MAX];
	struct trunk *trunk = slab_take(&mesher->trunks);
	listen_text(peer, from);
	struct conn_of_link *conn =
		trunk == NULL ? NULL : links_accept(mesher->links, from, now_of(mesher));
	if (conn == NULL) {
		if (trunk != NULL)
			slab_release(&mesher->trunks, trunk);
		close(fd);
		return;
	}
	trunk_accept(trunk, conn, mesher->keys, fd);
	begin(mesher, trunk, conn);
}

static bool accept_all(struct mesher *mesher)
{
	struct listen_address peer;
	for (int i = 0; mesher->accepts && i < MESHER_ACCEPTS_MAX; i++) {
		int fd = listen_accept(mesher->listener, &peer);
		if (fd >= 0)
			accept_one(mesher, fd, &peer);
		else
			mesher->accepts = false;
	}
	return mesher->accepts;
}

static bool step_all(struct mesher *mesher)
{
	struct list now, again;
	struct list_node *node;
	list_init(&now);
	list_init(&again);
	list_move_all(&now, &mesher->agenda);
	while ((node = list_first(&now)) != NULL) {
		struct trunk *trunk = CONTAINER_OF(node, struct trunk, in_list);
		list_remove(node);
		bool has_more = trunk_step(&mesher->desk, trunk);
		if (has_more && !list_is_linked(&trunk->in_list))
			list_append(&again, &trunk->in_list);
	}
	bool has_more = !list_is_empty(&again) || !list_is_empty(&mesher->agenda);
	list_move_all(&mesher->agenda, &again);
	return has_more;
}

/* Letters were left for the next turn. What they bring goes first, else a worker that waits for us
 * would take in nothing from its clients while more and more comes from other nodes; but not for
 * ever. */
static bool is_behind(struct mesher *mesher)
{
	bool is_late = mesher->letters == TURN_MAILS_MAX;
	mesher->letters = 0;
	mesher->turns_late = is_late ? mesher->turns_late + 1 : 0;
	return mesher->turns_late % MESHER_LATE_MAX != 0;
}

static void let_frames_through(struct mesher *mesher)
{
	bool is_congested = mailbox_is_congested(mesher->options.office, mesher->options.number);
	if (is_behind(mesher) || is_congested)
		links_pause(mesher->links);
	else if (links_are_paused(mesher->links))
		links_go_on(mesher->links, now_of(mesher));
}

static void count_bytes(struct mesher *mesher)
{
	mesh_figures_count(&mesher->figures, MESH_BYTES_IN, mesher->desk.bytes_in);
	mesh_figures_count(&mesher->figures, MESH_BYTES_OUT, mesher->desk.bytes_out);
	mesher->desk.bytes_in = mesher->desk.bytes_out = 0;
}

static bool on_after(struct loop_handler *handler)
{
	struct mesher *mesher = mesher_of(handler);
	if (mesher->is_starved)
		return false;
	let_frames_through(mesher);
	bool has_more = accept_all(mesher);
	has_more |= step_all(mesher);
	count_bytes(mesher);
	release_closed(mesher);
	pen_flush(&mesher->pen);
	return has_more;
}

/* ---- the thread ---- */

/* They are the configuration's, which may be another one before long. */
static int copy_seeds(struct mesher *mesher)
{
	size_t count = mesher->options.seed_count;
	mesher->seeds = calloc(count + 1, sizeof(*mesher->seeds));
	mesher->seed_texts = calloc(count + 1, sizeof(*mesher->seed_texts));
	if (mesher->seeds == NULL || mesher->seed_texts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct slice text = slice_string(mesher->options.seeds[i]);
		char *copy = mesher->seed_texts[i].text;
		CHECK(text.len <= MEMBER_TEXT_MAX); /* the config was checked */
		memcpy(copy, text.at, text.len);
		mesher->seeds[i] = slice_of(copy, text.len);
	}
	return 0;
}

static int make_links(struct mesher *mesher)
{
	const struct mesher_options *options = &mesher->options;
	int error = copy_seeds(mesher);
	if (error != 0)
		return error;
	struct membership_options membership = {
		.boot = options->boot,
		.incarnation = options->node->started_unix_ms,
		.cluster = slice_string(options->node->cluster),
		.name = slice_string(options->node->name),
		.address = slice_string(options->address),
		.release = SLICE(STARLING_VERSION),
		.features = MEMBER_FEATURE_PLACES,
		.replicas = options->replicas,
		.keeps_silent = options->keeps_silent,
		.seeds = mesher->seeds,
		.seed_count = options->seed_count,
		.now_ms = now_of(mesher),
		.seed = options->seed,
	};
	mesher->links = links_create(&membership, &mesher->out);
	if (mesher->links == NULL)
		return -ENOMEM;
	mesher->desk.links = mesher->links;
	links_set_keys(mesher->links, (uint8_t)psk_keys_count(mesher->keys));
	return 0;
}

static int set_up(struct mesher *mesher)
{
	const struct mesher_options *options = &mesher->options;
	struct loop_options loop_options = {
		.handler = &mesher->handler,
		.office = options->office,
		.member = options->number,
		.letter_bytes = sizeof(struct letter),
	};
	mesher->loop = loop_create(&loop_options);
	if (mesher->loop == NULL)
		return -errno;
	mesher->desk.room = malloc(TRUNK_BATCH_BYTES);
	if (mesher->desk.room == NULL)
		return -ENOMEM;
	mesher->listener = listen_open(&options->listen, TRUNK_SILENCE_MS);
	if (mesher->listener < 0)
		return mesher->listener;
	int error = loop_watch(mesher->loop, mesher->listener, LISTENER_TAG);
	if (error == 0)
		error = make_links(mesher);
	if (error != 0)
		return error;
	timer_arm(loop_wheel(mesher->loop), &mesher->tick, now_of(mesher), 0);
	return 0;
}

static void tear_down(struct mesher *mesher)
{
	links_destroy(mesher->links);
	release_closed(mesher);
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		blob_drop(mesher->chairs[i].name);
	lookup_drop(mesher->lookup);
	lookup_drop(mesher->next_lookup);
	psk_keys_drop(mesher->keys);
	if (mesher->listener >= 0)
		close(mesher->listener);
	if (mesher->loop != NULL)
		timer_stop(loop_wheel(mesher->loop), &mesher->tick);
	loop_destroy(mesher->loop);
	buf_free(&mesher->desk.plain);
	free(mesher->desk.room);
	free(mesher->seeds);
	free(mesher->seed_texts);
}

static void *mesher_main(void *argument)
{
	struct mesher *mesher = argument;
	thread_is_called("mesh", -1);
	mesher->error = set_up(mesher);
	bool is_good = mesher->error == 0;
	if (is_good &&
	    mailbox_has_room(mesher->options.office, mesher->options.number, MESHER_NEWS_MAX))
		tell_self(mesher, false);
	CHECK(sem_post(mesher->options.is_up) == 0);
	if (is_good)
		loop_run(mesher->loop);
	tear_down(mesher);
	pen_flush(&mesher->pen);
	pen_free(&mesher->pen);
	mailbox_flush(mesher->options.office, mesher->options.number);
	return NULL;
}

struct mesher *mesher_create(void)
{
	struct mesher *mesher = calloc(1, sizeof(*mesher));
	if (mesher == NULL)
		return NULL;
	mesher->listener = -1;
	list_init(&mesher->agenda);
	list_init(&mesher->closed);
	if (slab_init(&mesher->trunks, sizeof(struct trunk), TRUNKS_MAX) == 0)
		return mesher;
	free(mesher);
	return NULL;
}

void mesher_destroy(struct mesher *mesher)
{
	if (mesher == NULL)
		return;
	slab_free(&mesher->trunks);
	free(mesher);
}

const struct mesh_figures *mesher_figures(const struct mesher *mesher)
{
	return &mesher->figures;
}

int mesher_start(struct mesher *mesher, const struct mesher_options *options)
{
	mesher->options = *options;
	mesher->told_state = MEMBER_STATE_COUNT;
	mesher->keys = psk_keys_take(options->settings.keys);
	pen_init(&mesher->pen, options->office, options->number, options->scribe,
	         &options->common->lines_lost);
	mesher->pen.journal.least = options->settings.least;
	mesher->pen.journal.is_json = options->settings.is_json;
	mesher->out = (struct links_out){.dial = out_dial,
	                                 .connect = out_connect,
	                                 .close = out_close,
	                                 .wake = out_wake,
	                                 .take = out_take,
	                                 .changed = out_changed,
	                                 .load = out_load,
	                                 .accused = out_accused,
	                                 .count = out_count,
	                                 .event = out_event};
	mesher->handler = (struct loop_handler){.begin = on_begin,
	                                        .ready = on_ready,
	                                        .letters_max = on_letters_max,
	                                        .letter = on_letter,
	                                        .timer = on_timer,
	                                        .after = on_after};
	int error = -pthread_create(&mesher->thread, NULL, mesher_main, mesher);
	if (error != 0)
		psk_keys_drop(mesher->keys);
	return error;
}

int mesher_error(const struct mesher *mesher)
{
	return mesher->error;
}

static void tell(struct mesher *mesher, const struct letter *letter) CONTROL_ONLY;
static void tell(struct mesher *mesher, const struct letter *letter)
{
	const struct mesher_options *options = &mesher->options;
	mailbox_post(options->office, options->control, options->number, letter);
	mailbox_flush(options->office, options->control);
}

void mesher_adopt(struct mesher *mesher, const struct mesher_settings *settings)
{
	struct letter letter = {.kind = LETTER_MESH_SETTINGS, .settings = *settings};
	psk_keys_take(settings->keys);
	tell(mesher, &letter);
}

void mesher_drain(struct mesher *mesher)
{
	struct letter letter = {.kind = LETTER_DRAIN};
	tell(mesher, &letter);
}

void mesher_leave(struct mesher *mesher)
{
	struct letter letter = {.kind = LETTER_LEAVE};
	tell(mesher, &letter);
}

bool mesher_join(struct mesher *mesher, uint64_t wait_ms)
{
	return thread_join(mesher->thread, wait_ms);
}
