#include "node/relay.h"

#include <stdlib.h>

#include "node/letter.h"
#include "node/roster.h"
#include "node/survey_wire.h"
#include "starling/limits.h"

#define LAG_LOOK_MS 1000 /* all slots are looked at for that */

struct relay {
	struct relay_options options;
	struct hub_cluster cluster;
	struct keeper keeper;
	struct places places;
	struct places_out places_out;
	struct relay_codec codec;
	struct roster roster;
	struct slots *slots;
	struct edge *edge;
	struct hub *hub; /* of the edge */
	struct buf scratch;
	bool has_news;   /* members are others than the slots know */
	bool has_broken; /* some node is_broken */
	uint32_t told_homes;
	struct slots_lag lag;
	uint64_t lag_ms; /* when it was looked for */
	struct relay_counters counters;
};

/* ---- frames out ---- */

/* And some is left for what the hub has asked for. */
static bool has_room(const struct relay_options *options)
{
	return mailbox_has_room(options->office, options->number, HUB_LETTERS_MAX + 1);
}

/* Takes over the body. False: no memory. */
static bool post_frame(struct relay *relay, const struct roster_node *node, enum frame_type type,
                       uint16_t slot, struct blob *body, bool is_lossy)
{
	const struct relay_options *options = &relay->options;
	if (body == NULL || !has_room(options)) {
		blob_drop(body);
		relay->counters.lost++;
		return false;
	}
	struct letter letter = {.kind = LETTER_MESH,
	                        .mesh = {.kind = MESH_MAIL_FRAME,
	                                 .type = (uint8_t)type,
	                                 .slot = slot,
	                                 .seat = roster_seat(&relay->roster, node),
	                                 .body = body,
	                                 .is_lossy = is_lossy}};
	mailbox_post(options->office, options->number, options->mesher, &letter);
	return true;
}

/* What slots say and is not heard they say again. */
static void out_send(struct slots_out *out, const struct boot_id *to, enum frame_type type,
                     uint16_t slot, struct blob *body)
{
	struct keeper *keeper = CONTAINER_OF(out, struct keeper, out);
	struct relay *relay = CONTAINER_OF(keeper, struct relay, keeper);
	const struct roster_node *node = roster_find(&relay->roster, *to);
	if (node != NULL && node->is_linked)
		(void)post_frame(relay, node, type, slot, blob_take(body), false);
}

static void cluster_send(struct hub_cluster *cluster, uint32_t number, const struct far_mail *mail)
{
	struct relay *relay = CONTAINER_OF(cluster, struct relay, cluster);
	struct roster_node *node = &relay->roster.nodes[number];
	bool is_lossy = mail->kind == FAR_RECORDS;
	if (!node->is_linked || node->is_broken)
		return;
	if (is_lossy && node->is_loaded) {
		relay->counters.left_out++;
		return;
	}
	buf_clear(&relay->scratch);
	relay_write(&relay->codec, &relay->scratch, mail);
	CHECK(relay->scratch.is_broken || relay->scratch.len <= FRAME_DATA_MAX);
	struct blob *body = relay->scratch.is_broken ? NULL : blob_copy(buf_view(&relay->scratch));
	enum frame_type type = relay_frame_type((enum far_kind)mail->kind);
	if (post_frame(relay, node, type, mail->slot, body, is_lossy))
		return;
	node->is_broken = relay->has_broken = true;
}

static enum hub_proposed cluster_propose(struct hub_cluster *cluster, uint32_t slot,
                                         const struct hub_entry *entry)
{
	struct relay *relay = CONTAINER_OF(cluster, struct relay, cluster);
	return keeper_propose(&relay->keeper, slot, entry);
}

/* ---- places of users ---- */

static bool places_has_room(struct places_out *out)
{
	struct relay *relay = CONTAINER_OF(out, struct relay, places_out);
	return has_room(&relay->options);
}

static bool places_send(struct places_out *out, uint32_t number, enum frame_type type,
                        uint16_t slot, const struct buf *body)
{
	struct relay *relay = CONTAINER_OF(out, struct relay, places_out);
	const struct roster_node *node = &relay->roster.nodes[number];
	return !node->is_linked ||
	       post_frame(relay, node, type, slot, blob_copy(buf_view(body)), false);
}

static void places_answer(struct places_out *out, const struct places_asker *asker,
                          enum tally_answer answer, struct slab_handle place)
{
	struct relay *relay = CONTAINER_OF(out, struct relay, places_out);
	struct registry_mail mail = {.type = REGISTRY_ANSWER,
	                             .tally = REGISTRY_USERS,
	                             .answer = (uint8_t)answer,
	                             .seat = asker->seat,
	                             .place = place};
	edge_place_answered(relay->edge, asker->worker, &mail);
}

void relay_use_places(struct relay *relay)
{
	places_use(&relay->places);
}

bool relay_ask_place(struct relay *relay, uint32_t worker, const struct registry_mail *mail,
                     uint32_t limit)
{
	struct places_asker asker = {.worker = worker, .seat = mail->seat};
	return places_ask(&relay->places, &mail->key, limit, &asker);
}

void relay_give_place(struct relay *relay, struct slab_handle place)
{
	places_give(&relay->places, place);
}

/* ---- questions of the server API ---- */

uint32_t relay_ask_nodes(struct relay *relay, const struct survey_question *question,
                         uint16_t *nodes)
{
	buf_clear(&relay->scratch);
	survey_write(&relay->scratch, question, relay->options.number);
	bool is_good = !relay->scratch.is_broken && relay->scratch.len <= FRAME_DATA_MAX;
	struct blob *body = is_good ? blob_copy(buf_view(&relay->scratch)) : NULL;
	bool is_asked = body != NULL;
	uint32_t count = 0;
	for (uint32_t i = 0; i < relay->roster.end && is_asked; i++) {
		const struct roster_node *node = &relay->roster.nodes[i];
		bool is_meant =
			question->boot_id == 0 || question->boot_id == roster_short_id(node->boot);
		if (!node->is_linked || !is_meant)
			continue;
		is_asked = post_frame(relay, node, FRAME_SURVEY, 0, blob_take(body), false);
		nodes[count++] = (uint16_t)i;
	}
	blob_drop(body);
	return is_asked ? count : SURVEY_NO_MEMORY;
}

/* What is too long for a frame is not there, for others; what there is no memory for is said to be
 * that. */
void relay_answer_node(struct relay *relay, uint8_t kind, const struct note *note)
{
	static const struct note nothing, starved = {.body.is_broken = true};
	const struct far_asker *asker = &note->far;
	const struct roster_node *node =
		roster_at(&relay->roster, (struct seat){asker->node, asker->use});
	struct survey_answer answer = {
		.kind = kind, .token = asker->token, .of = relay->options.workers};
	if (node == NULL || !node->is_linked)
		return;
	buf_clear(&relay->scratch);
	survey_answer_write(&relay->scratch, &answer, note);
	bool is_starved = relay->scratch.is_broken;
	if (is_starved || relay->scratch.len > FRAME_DATA_MAX) {
		buf_clear(&relay->scratch);
		survey_answer_write(&relay->scratch, &answer, is_starved ? &starved : &nothing);
	}
	struct blob *body = relay->scratch.is_broken ? NULL : blob_copy(buf_view(&relay->scratch));
	(void)post_frame(relay, node, FRAME_SURVEYED, (uint16_t)asker->worker, body, false);
}

/* ---- links that lost something ---- */

/* Of what the hubs say to each other. Places say by themselves what was lost, and questions of the
 * API are answered all the same. */
static void mend_links(struct relay *relay)
{
	relay->has_broken = false;
	for (uint32_t i = 0; i < relay->roster.end; i++) {
		struct roster_node *node = &relay->roster.nodes[i];
		if (!node->is_broken)
			continue;
		node->is_broken = false;
		hub_node_down(relay->hub, i);
		hub_node_up(relay->hub, i);
	}
}

/* ---- letters ---- */

static void take_hub_frame(struct relay *relay, struct roster_node *node,
                           const struct mesh_mail *mail, enum far_kind kind)
{
	struct far_mail far;
	enum relay_answer answer =
		relay_read(&relay->codec, kind, mail->slot, blob_view(mail->body), &far);
	if (answer == RELAY_DONE) {
		hub_far_receive(relay->hub, mail->seat.index, &far);
		relay_mail_free(&far);
	} else if (answer == RELAY_BAD) {
		relay->counters.malformed++;
	} else {
		relay->counters.lost++;
		node->is_broken = relay->has_broken = true;
	}
}

/* False: it is malformed. */
static bool take_survey(struct relay *relay, const struct mesh_mail *mail)
{
	struct survey_question question;
	struct far_asker asker;
	if (!survey_read(blob_view(mail->body), &question, &asker))
		return false;
	asker.node = mail->seat.index;
	asker.use = mail->seat.use;
	return edge_survey_for_node(relay->edge, &question, &asker);
}

static bool take_surveyed(struct relay *relay, const struct mesh_mail *mail)
{
	struct survey_answer answer;
	struct note *note;
	if (!survey_answer_read(blob_view(mail->body), &answer, &note))
		return false;
	edge_node_answered(relay->edge, mail->seat.index, answer.token, answer.kind, answer.of,
	                   note);
	return true;
}

static bool is_of_places(enum frame_type type)
{
	return type == FRAME_PLACES || type == FRAME_PLACES_GRANTED || type == FRAME_PLACES_AGAIN;
}

static bool take_places(struct relay *relay, const struct mesh_mail *mail)
{
	return places_take(&relay->places, mail->seat.index, (enum frame_type)mail->type,
	                   mail->slot, blob_view(mail->body));
}

static void take_frame(struct relay *relay, const struct mesh_mail *mail, uint64_t now_ms)
{
	struct roster_node *node = roster_at(&relay->roster, mail->seat);
	enum far_kind kind;
	if (node == NULL || !node->is_linked)
		return; /* of a link that has ended */
	if (relay_kind((enum frame_type)mail->type, &kind)) {
		take_hub_frame(relay, node, mail, kind);
		return;
	}
	if (mail->type == FRAME_SURVEY) {
		relay->counters.malformed += !take_survey(relay, mail);
		return;
	}
	if (mail->type == FRAME_SURVEYED) {
		relay->counters.malformed += !take_surveyed(relay, mail);
		return;
	}
	if (is_of_places((enum frame_type)mail->type)) {
		relay->counters.malformed += !take_places(relay, mail);
		return;
	}
	struct frame frame = {.type = (enum frame_type)mail->type,
	                      .slot = mail->slot,
	                      .body = blob_view(mail->body)};
	relay->counters.malformed += !slots_take(relay->slots, &node->boot, &frame, now_ms);
}

static void tell_members(struct relay *relay, uint64_t now_ms)
{
	struct slots_member members[MEMBERS_MAX];
	size_t count = roster_members(&relay->roster, members);
	slots_members(relay->slots, members, count, now_ms);
	relay->has_news = true;
}

static void take_node(struct relay *relay, const struct mesh_mail *mail, uint64_t now_ms)
{
	switch (roster_take(&relay->roster, mail)) {
	case ROSTER_UP:
		hub_node_up(relay->hub, mail->seat.index);
		places_node_up(&relay->places, mail->seat.index, mail->counts_places);
		break;
	case ROSTER_DOWN:
		hub_node_down(relay->hub, mail->seat.index);
		edge_node_lost(relay->edge, mail->seat.index);
		places_node_down(&relay->places, mail->seat.index);
		break;
	case ROSTER_SAME:
		break;
	}
	const struct roster_node *node = roster_at(&relay->roster, mail->seat);
	bool has_ended = node == NULL || node->state == SLOTS_MEMBER_GONE;
	bool is_gone = node == NULL ||
	               (!node->is_linked && (has_ended || node->state == SLOTS_MEMBER_DEAD));
	if (mail->kind == MESH_MAIL_NODE && is_gone) {
		hub_node_gone(relay->hub, mail->seat.index, has_ended);
		places_node_gone(&relay->places, mail->seat.index);
	}
	tell_members(relay, now_ms);
}

void relay_take(struct relay *relay, const struct mesh_mail *mail, uint64_t now_ms)
{
	struct roster_node *node;
	switch ((enum mesh_mail_kind)mail->kind) {
	case MESH_MAIL_FRAME:
		take_frame(relay, mail, now_ms);
		break;
	case MESH_MAIL_NODE:
	case MESH_MAIL_SELF:
		take_node(relay, mail, now_ms);
		break;
	case MESH_MAIL_LOAD:
		node = roster_at(&relay->roster, mail->seat);
		if (node != NULL)
			node->is_loaded = mail->load == MESH_LOAD_HIGH;
		break;
	case MESH_MAIL_LOST:
		/* Records: their tails will find it. Others: the link has ended, as is told. */
		relay->counters.lost++;
		break;
	case MESH_MAIL_HOMES:
		CHECK(false); /* it goes the other way */
	}
}

/* ---- turns ---- */

static void tell_homes(struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	if (relay->keeper.homes == relay->told_homes || !has_room(options))
		return;
	relay->told_homes = relay->keeper.homes;
	struct letter letter = {.kind = LETTER_MESH,
	                        .mesh = {.kind = MESH_MAIL_HOMES,
	                                 .worker = (uint16_t)options->number,
	                                 .count = (uint16_t)relay->keeper.homes}};
	mailbox_post(options->office, options->number, options->mesher, &letter);
}

void relay_tick(struct relay *relay, uint64_t now_ms)
{
	bool is_time = relay->has_news || now_ms - relay->lag_ms >= LAG_LOOK_MS;
	relay->has_news = false;
	slots_tick(relay->slots, now_ms);
	places_tick(&relay->places, now_ms);
	tell_homes(relay);
	if (!is_time)
		return;
	relay->lag = slots_lag(relay->slots);
	relay->lag_ms = now_ms;
}

bool relay_turn(struct relay *relay, uint64_t now_ms)
{
	if (relay->has_broken)
		mend_links(relay);
	if (relay->has_news) /* roles are told at once, so that no seat is taken for another */
		relay_tick(relay, now_ms);
	keeper_turn(&relay->keeper);
	bool has_more = places_turn(&relay->places, now_ms);
	return hub_far_turn(relay->hub, TURN_FAR_MAX, TURN_PEOPLE_MAX) || has_more;
}

bool relay_flush(struct relay *relay)
{
	slots_flush(relay->slots);
	return relay->has_broken || hub_far_has_more(relay->hub);
}

void relay_count(const struct relay *relay, struct relay_stats *stats)
{
	*stats = (struct relay_stats){.slots = *slots_counters(relay->slots),
	                              .keeper = relay->keeper.counters,
	                              .hub = *hub_counters(relay->hub),
	                              .relay = relay->counters,
	                              .places = relay->places.counters,
	                              .lag = relay->lag,
	                              .homes = relay->keeper.homes};
}

bool relay_has_handed_over(const struct relay *relay)
{
	return relay->roster.self.state == SLOTS_MEMBER_DRAINING &&
	       (slots_is_settled(relay->slots) || !roster_has_heir(&relay->roster));
}

/* ---- making and breaking ---- */

static bool make_slots(struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	struct slots_options slots = {.out = &relay->keeper.out,
	                              .boot = options->boot,
	                              .count = SLOTS,
	                              .worker = options->number,
	                              .workers = options->workers,
	                              .replicas = options->replicas,
	                              .partition = options->partition,
	                              .now_ms = options->now_ms,
	                              .seed = options->seed};
	relay->slots = slots_create(&slots);
	relay->keeper.slots = relay->slots;
	return relay->slots != NULL;
}

struct relay *relay_create(const struct relay_options *options)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		return NULL;
	relay->options = *options;
	relay->cluster = (struct hub_cluster){.send = cluster_send, .propose = cluster_propose};
	relay->codec = (struct relay_codec){.hash_key = options->hash_key,
	                                    .mark = record_mark(roster_short_id(options->boot))};
	roster_init(&relay->roster, options->boot);
	struct keeper_options keeper = {.roster = &relay->roster,
	                                .codec = &relay->codec,
	                                .places = &relay->places,
	                                .worker = options->number,
	                                .workers = options->workers};
	relay->places_out = (struct places_out){
		.has_room = places_has_room, .send = places_send, .answer = places_answer};
	struct places_options places = {.out = &relay->places_out,
	                                .hash_key = options->hash_key,
	                                .worker = options->number,
	                                .workers = options->workers,
	                                .now_ms = options->now_ms};
	if (keeper_init(&relay->keeper, &keeper) && places_init(&relay->places, &places) &&
	    make_slots(relay)) {
		relay->keeper.out.send = out_send;
		return relay;
	}
	relay_destroy(relay);
	return NULL;
}

void relay_destroy(struct relay *relay)
{
	if (relay == NULL)
		return;
	slots_destroy(relay->slots);
	keeper_free(&relay->keeper);
	places_free(&relay->places);
	buf_free(&relay->scratch);
	free(relay);
}

struct hub_cluster *relay_cluster(struct relay *relay)
{
	return &relay->cluster;
}

void relay_begin(struct relay *relay, struct edge *edge)
{
	relay->edge = edge;
	relay->hub = relay->keeper.hub = edge_hub(edge);
}
