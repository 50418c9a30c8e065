/*
 * relay_fuzz.c - what two other nodes say to a worker that has clients, too.
 *
 * The script of edge_script.h has four steps more: a frame as it is; a letter between hubs, a
 * message about a slot and a report of places as they should be, their fields small numbers, or
 * those that this node said last; and news of a node. Lower two bits of the step: which node, and
 * whether the frame goes to the slot of the one channel or of the other; or, by its type's byte, to
 * one that is none. With the third bit a frame is none: the node holds what it was sent of logs,
 * and says so.
 *
 * Checked beyond crashes: whatever the two say, what this node says can be read.
 */
#include "edge_script.h"

#include "mesh/slot_wire.h"
#include "node/relay.h"
#include "node/survey_wire.h"

#define WORKERS 128 /* so that a worker has few slots; names are of this one's */
#define NODES 2
#define OWED_MAX 128
#define FRAME_KINDS 46 /* from FRAME_MAP on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum own_step {
	OWN_FRAME = 0, /* its type, the bytes; or what is owed */
	OWN_LETTER,    /* its kind, and see next_letter() */
	OWN_SLOT,      /* which message, and see next_slot_body() */
	OWN_PLACES,    /* which, and its numbers */
	OWN_NODE,      /* how it is */
};

static const char *const names[] = {"room:35", "last:75", "c108", "count:47"};
static const char *const users[] = {"u191", "u293", "u509", "w"};

static struct relay *relay;
static struct timer relay_timer;
static const struct relay_codec codec = {.hash_key = {{1, 2}}};
static bool is_known[NODES];

/* What this node said last to each: letters are answered with it. */
static struct said {
	struct slab_handle token;
	uint64_t epoch, counter, stream;
	struct slot_term term, slot_stream;
	uint64_t lsn;
	/* Of logs: what it is to say that it holds. */
	uint32_t owed_count;
	struct owed {
		uint16_t slot;
		struct slot_term term;
		uint64_t lsn;
	} owed[OWED_MAX];
} said[NODES];

static uint64_t now_ms(void)
{
	return loop_now_ms(loop);
}

static struct boot_id boot_of(unsigned number)
{
	return number < NODES ? (struct boot_id){{(number + 2ull) << 24, 2}}
	                      : (struct boot_id){{1ull << 24, 1}};
}

/* ---- what it says ---- */

static void note_letter(struct said *to, const struct far_mail *mail)
{
	if (mail->kind == FAR_PUBLISH || mail->kind == FAR_FOLLOW || mail->kind == FAR_HISTORY)
		to->token = mail->token;
	to->epoch = mail->epoch != 0 ? mail->epoch : to->epoch;
	to->counter = mail->counter != 0 ? mail->counter : to->counter;
	to->stream = mail->stream != 0 ? mail->stream : to->stream;
}

static void check_letter(struct said *to, enum far_kind kind, uint16_t slot, struct slice body)
{
	struct far_mail mail;
	CHECK(relay_read(&codec, kind, slot, body, &mail) == RELAY_DONE);
	note_letter(to, &mail);
	relay_mail_free(&mail);
}

static void owe(struct said *to, uint16_t slot, const struct slot_term *term, uint64_t lsn)
{
	if (to->owed_count < OWED_MAX)
		to->owed[to->owed_count++] = (struct owed){slot, *term, lsn};
}

static void check_append(struct said *to, uint16_t slot, struct slice body)
{
	struct wire_append append;
	struct wire_item item;
	CHECK(wire_append_read(body, &append));
	owe(to, slot, &append.term, append.previous.lsn + append.count);
	while (wire_item_next(&append, &item))
		CHECK(item.term.counter > 0);
}

static void check_slot(struct said *to, enum frame_type type, uint16_t slot, struct slice body)
{
	struct slot_entry entry;
	struct wire_seal seal;
	struct wire_sealed sealed;
	struct wire_refused refused;
	struct wire_install install;
	struct wire_holds holds;
	struct wire_need need;
	struct wire_state state;
	struct wire_fork fork;
	struct wire_fork_ok ok;
	switch (type) {
	case FRAME_MAP:
		CHECK(wire_entry_read(body, &entry));
		to->term = entry.term;
		to->slot_stream = entry.stream;
		break;
	case FRAME_MAP_DIGEST:
		CHECK(wire_term_read(body, &to->term));
		break;
	case FRAME_SEAL:
		CHECK(wire_seal_read(body, &seal));
		to->term = seal.term;
		break;
	case FRAME_SEALED:
		CHECK(wire_sealed_read(body, &sealed));
		break;
	case FRAME_REFUSED:
		CHECK(wire_refused_read(body, &refused));
		break;
	case FRAME_INSTALL:
		CHECK(wire_install_read(body, &install));
		to->term = install.entry.term;
		to->slot_stream = install.entry.stream;
		to->lsn = install.last;
		owe(to, slot, &install.entry.term, install.start.lsn);
		break;
	case FRAME_APPEND:
		check_append(to, slot, body);
		break;
	case FRAME_HOLDS:
		CHECK(wire_holds_read(body, &holds));
		to->lsn = holds.lsn;
		break;
	case FRAME_NEED:
		CHECK(wire_need_read(body, &need));
		break;
	case FRAME_STATE:
		CHECK(wire_state_read(body, &state));
		break;
	case FRAME_FORK:
		CHECK(wire_fork_read(body, &fork));
		break;
	case FRAME_FORK_OK:
		CHECK(wire_fork_ok_read(body, &ok));
		break;
	default:
		CHECK(false);
	}
}

static void check_survey(enum frame_type type, struct slice body)
{
	struct survey_question question;
	struct survey_answer answer;
	struct far_asker asker;
	struct note *note;
	if (type == FRAME_SURVEY) {
		CHECK(survey_read(body, &question, &asker));
	} else {
		CHECK(survey_answer_read(body, &answer, &note));
		note_free(note);
	}
}

static void check_frame(const struct mesh_mail *mail)
{
	struct slice body = blob_view(mail->body);
	enum frame_type type = (enum frame_type)mail->type;
	enum far_kind kind;
	CHECK(mail->seat.index < NODES);
	CHECK(mail->slot < SLOTS || type == FRAME_SURVEYED); /* the asker's worker, as it said */
	CHECK(body.len <=
	      (frame_lane_of(type) == FRAME_LANE_CONTROL ? FRAME_CONTROL_MAX : FRAME_DATA_MAX));
	struct said *to = &said[mail->seat.index];
	if (relay_kind(type, &kind))
		check_letter(to, kind, mail->slot, body);
	else if (type == FRAME_SURVEY || type == FRAME_SURVEYED)
		check_survey(type, body);
	else if (type == FRAME_PLACES)
		CHECK(body.len > 0 && body.len % 32 == 1);
	else if (type == FRAME_PLACES_GRANTED)
		CHECK(body.len == 24);
	else if (type == FRAME_PLACES_AGAIN)
		CHECK(body.len == 0);
	else
		check_slot(to, type, mail->slot, body);
}

static void take_what_it_says(void)
{
	struct letter letter;
	while (mailbox_take(office, SCRIPT_MESHER, &letter)) {
		CHECK(letter.kind == LETTER_MESH);
		if (letter.mesh.kind == MESH_MAIL_FRAME)
			check_frame(&letter.mesh);
		else
			CHECK(letter.mesh.kind == MESH_MAIL_HOMES);
		letter_discard(&letter);
	}
}

/* ---- what it is told ---- */

static void give(unsigned from, enum frame_type type, uint16_t slot, struct slice body)
{
	struct mesh_mail mail = {.kind = MESH_MAIL_FRAME,
	                         .type = (uint8_t)type,
	                         .slot = slot,
	                         .seat = {(uint16_t)from, 1},
	                         .body = blob_copy(body)};
	CHECK(mail.body != NULL);
	role_enter_worker();
	relay_take(relay, &mail, now_ms());
	mesh_mail_discard(&mail);
}

static uint16_t slot_of_name(uint8_t which)
{
	return hub_slot_of(slice_string(names[which % COUNT_OF(names)]));
}

static void next_frame(unsigned from, uint8_t which)
{
	uint8_t byte = next_byte();
	enum frame_type type = (enum frame_type)(FRAME_MAP + byte % FRAME_KINDS);
	/* Of the same worker as the channels' own. */
	uint16_t slot = (uint16_t)(slot_of_name(which) + (byte < 4 * FRAME_KINDS ? 0 : 15 * SLOTS));
	enum far_kind kind;
	bool is_one = relay_kind(type, &kind) || (type >= FRAME_MAP && type <= FRAME_FORK_OK) ||
	              (type >= FRAME_SURVEY && type <= FRAME_PLACES_AGAIN);
	struct slice body = next_bytes();
	if (is_one)
		give(from, type, slot, body);
}

/* ---- letters between hubs ---- */

static uint64_t number_or(uint64_t known)
{
	uint8_t byte = next_byte();
	return byte == 0 ? known : byte;
}

static struct record *next_record(const char *name, uint64_t epoch, uint64_t seq)
{
	static const struct slice keys_of[] = {SLICE_INIT(""), SLICE_INIT("k"), SLICE_INIT("l")};
	uint8_t byte = next_byte();
	struct publication publication = {.channel = slice_string(name),
	                                  .payload = byte & 64 ? SLICE("{\"a\":[]}") : SLICE("1"),
	                                  .key = keys_of[byte % 3],
	                                  .user = byte & 32 ? SLICE("u191") : SLICE(""),
	                                  .event = byte & 16 ? SLICE("e") : SLICE(""),
	                                  .idempotency_key = byte & 8 ? SLICE("i") : SLICE(""),
	                                  .is_key_hidden = (byte & 12) == 12,
	                                  .is_binary = byte & 128};
	struct record *record = record_make(&publication, 0);
	CHECK(record != NULL);
	if (epoch != 0)
		record_settle(record, epoch, seq > 0 ? seq : 1, 1700000000000, 0);
	return record;
}

static size_t next_people(struct far_person people[3])
{
	size_t count = next_byte() % 4;
	for (size_t i = 0; i < count; i++) {
		uint8_t byte = next_byte();
		people[i] = (struct far_person){.user = slice_string(users[byte % 4]),
		                                .info = byte & 128 ? SLICE("{}") : SLICE(""),
		                                .connections = byte >> 2 & 3,
		                                .state = (uint8_t)((byte >> 4 & 7) % 6)};
	}
	return count;
}

static void next_letter(unsigned from)
{
	struct said *known = &said[from];
	enum far_kind kind = (enum far_kind)(next_byte() % FAR_KINDS);
	const char *name = names[next_byte() % COUNT_OF(names)];
	uint8_t flags = next_byte();
	struct far_mail mail = {.kind = (uint8_t)kind,
	                        .error = flags & 1 ? ERROR_UNAVAILABLE : ERROR_NONE,
	                        .is_duplicate = flags & 2,
	                        .is_recovered = flags & 4,
	                        .is_latest = flags & 8,
	                        .has_more = flags & 16,
	                        .has_since = flags & 32,
	                        .has_limit = flags & 64,
	                        .is_synced = flags & 128,
	                        .slot = hub_slot_of(slice_string(name)),
	                        .token = known->token,
	                        .name = slice_string(name)};
	mail.epoch = number_or(known->epoch);
	mail.seq = next_byte();
	mail.since.epoch = number_or(known->epoch);
	mail.since.seq = next_byte();
	mail.counter = number_or(known->counter);
	mail.stream = number_or(known->stream);
	mail.limit = mail.lost = next_byte();
	struct record *records[3];
	size_t count = kind == FAR_PUBLISH ? 1 : next_byte() % 4;
	for (size_t i = 0; i < count; i++)
		records[i] = next_record(name, kind == FAR_PUBLISH ? 0 : mail.epoch, mail.seq + i);
	mail.records = records;
	mail.record_count = count;
	if (kind == FAR_DIGEST)
		mail.sum = (struct far_sum){
			.count = next_byte(), .names = next_byte(), .sent = next_byte()};
	if (kind == FAR_SHOWN || kind == FAR_NEWS) {
		mail.show = (struct far_show){.version = next_byte(),
		                              .base = next_byte(),
		                              .redo_from = next_byte(),
		                              .count = next_byte()};
		mail.show.has_names = flags & 2;
		mail.show.is_first = flags & 4;
		mail.show.is_last = flags & 8;
	}
	struct far_person people[3];
	mail.person_count = kind >= FAR_PRESENT ? next_people(people) : 0;
	mail.people = people;
	struct buf body = {0};
	relay_write(&codec, &body, &mail);
	give(from, relay_frame_type(kind), mail.slot, buf_view(&body));
	buf_free(&body);
	for (size_t i = 0; i < count; i++)
		record_drop(records[i]);
}

/* ---- messages about slots ---- */

static struct slot_term next_term(const struct slot_term *known)
{
	uint8_t byte = next_byte();
	if (byte == 0)
		return *known;
	if (byte == 255)
		return (struct slot_term){0};
	return (struct slot_term){.counter = byte < 128 ? known->counter + (byte >> 2) : byte & 31u,
	                          .boot = boot_of(byte % 3)};
}

static struct slot_set next_set(void)
{
	uint8_t byte = next_byte();
	struct slot_set set = {0};
	for (unsigned i = 0; i < 3; i++)
		if (byte >> i & 1)
			slot_set_add(&set, boot_of(i));
	return set;
}

static struct slot_entry next_slot_entry(const struct said *known)
{
	struct slot_entry entry = {.term = next_term(&known->term)};
	static const struct slot_term none;
	entry.stream = next_term(&known->slot_stream);
	entry.fork_of = next_term(&none);
	entry.set = next_set();
	return entry;
}

static struct slot_mark next_mark(const struct said *known)
{
	struct slot_mark mark = {.term = next_term(&known->term)};
	mark.lsn = number_or(known->lsn);
	return mark;
}

/* Entries of the hub's, of one channel of the slot. */
static void next_entries(struct buf *out, const struct said *known, const char *name, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t byte = next_byte();
		struct hub_entry entry = {.kind = byte % ENTRY_KINDS,
		                          .is_unsure = byte & 64,
		                          .is_hidden = byte & 128,
		                          .age_ms = byte,
		                          .name = slice_string(name)};
		entry.epoch = number_or(known->epoch);
		entry.seq = next_byte();
		uint64_t epoch = entry.epoch != 0 ? entry.epoch : 1;
		if (entry.kind == ENTRY_KEY)
			entry.name = SLICE("i"); /* as a publication may have it */
		if (entry.kind == ENTRY_RECORD || entry.kind == ENTRY_LATEST)
			entry.record = next_record(name, epoch, entry.seq);
		if (entry.kind == ENTRY_RECORD && byte & 32)
			entry.epoch = 0;
		relay_write_entry(&codec, out, &entry);
		relay_entry_free(&entry);
	}
}

static void next_items(struct buf *out, const struct said *known, const char *name, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf bytes = {0};
		struct wire_item item = {.term = next_term(&known->term)};
		next_entries(&bytes, known, name, 1);
		item.bytes = buf_view(&bytes);
		wire_item_write(out, &item);
		buf_free(&bytes);
	}
}

static void next_append(struct buf *out, const struct said *known, const char *name)
{
	struct wire_append append = {.term = next_term(&known->term)};
	append.stream = next_term(&known->slot_stream);
	append.previous = next_mark(known);
	append.last = number_or(known->lsn);
	append.commit = number_or(known->lsn);
	append.count = next_byte() % 4;
	wire_append_write(out, &append);
	next_items(out, known, name, append.count);
}

static void next_sealed(struct buf *out, const struct said *known)
{
	struct wire_sealed sealed = {.term = next_term(&known->term)};
	uint8_t flags = next_byte();
	sealed.entry = next_slot_entry(known);
	sealed.is_whole = flags & 1;
	sealed.has_lost = flags & 2;
	sealed.accepted = next_term(&known->term);
	sealed.stream = next_term(&known->slot_stream);
	sealed.last = next_mark(known);
	sealed.count = flags >> 2 & 1;
	if (sealed.count > 0)
		sealed.proposals[0] = (struct slot_proposal){next_term(&known->term), next_set()};
	wire_sealed_write(out, &sealed);
}

/* Of the hub's channels, as the keeper saves them: a byte says whether it is the last part. */
static void next_part(struct buf *out, const struct said *known, const char *name)
{
	uint8_t byte = next_byte();
	buf_char(out, (char)(byte & 1));
	next_entries(out, known, name, byte >> 1 & 3);
}

static enum frame_type next_slot_body(struct buf *out, const struct said *known, const char *name)
{
	enum frame_type type = (enum frame_type)(FRAME_MAP + next_byte() % 12);
	struct buf part = {0};
	struct slot_term term = next_term(&known->term);
	if (type == FRAME_MAP) {
		struct slot_entry entry = next_slot_entry(known);
		wire_entry_write(out, &entry);
	} else if (type == FRAME_MAP_DIGEST) {
		wire_term_write(out, &term);
	} else if (type == FRAME_SEAL) {
		struct wire_seal seal = {.term = term, .base = next_term(&known->term)};
		seal.stream = next_term(&known->slot_stream);
		seal.set = next_set();
		wire_seal_write(out, &seal);
	} else if (type == FRAME_SEALED) {
		next_sealed(out, known);
	} else if (type == FRAME_REFUSED) {
		struct wire_refused refused = {.term = term, .promised = next_term(&known->term)};
		refused.entry = next_slot_entry(known);
		wire_refused_write(out, &refused);
	} else if (type == FRAME_INSTALL) {
		struct wire_install install = {.entry = next_slot_entry(known)};
		install.start = next_mark(known);
		install.last = number_or(known->lsn);
		install.commit = number_or(known->lsn);
		install.is_active = next_byte() & 1;
		wire_install_write(out, &install);
	} else if (type == FRAME_APPEND) {
		next_append(out, known, name);
	} else if (type == FRAME_HOLDS) {
		struct wire_holds holds = {.term = term, .lsn = number_or(known->lsn)};
		wire_holds_write(out, &holds);
	} else if (type == FRAME_NEED) {
		struct wire_need need = {.term = term, .stream = next_term(&known->slot_stream)};
		need.from = number_or(known->lsn);
		need.snapshot = next_byte();
		need.chunk = next_byte();
		wire_need_write(out, &need);
	} else if (type == FRAME_STATE) {
		struct wire_state state = {.term = term, .stream = next_term(&known->slot_stream)};
		state.at = next_mark(known);
		state.chunk = next_byte() % 4;
		state.count = next_byte() % 4;
		next_part(&part, known, name);
		state.bytes = buf_view(&part);
		wire_state_write(out, &state);
	} else if (type == FRAME_FORK) {
		struct wire_fork fork = {.stream = term, .key = next_byte()};
		fork.chunk = next_byte() % 4;
		fork.count = next_byte() % 4;
		next_part(&part, known, name);
		fork.bytes = buf_view(&part);
		wire_fork_write(out, &fork);
	} else {
		struct wire_fork_ok ok = {.stream = term, .key = next_byte(), .chunk = next_byte()};
		wire_fork_ok_write(out, &ok);
	}
	buf_free(&part);
	return type;
}

static void say_holds(unsigned from)
{
	struct said *told = &said[from];
	uint32_t count = told->owed_count;
	told->owed_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct buf body = {0};
		struct owed owed = told->owed[i];
		wire_holds_write(&body, &(struct wire_holds){owed.term, owed.lsn});
		give(from, FRAME_HOLDS, owed.slot, buf_view(&body));
		buf_free(&body);
	}
}

static void next_slot(unsigned from, uint8_t which)
{
	struct buf body = {0};
	enum frame_type type = next_slot_body(&body, &said[from], names[which]);
	give(from, type, slot_of_name(which), buf_view(&body));
	buf_free(&body);
}

/* ---- places ---- */

static void next_places(unsigned from)
{
	struct buf body = {0};
	struct tally_key key;
	uint8_t byte = next_byte();
	CHECK(tally_key_for_all(slice_string(users[byte & 1]), &key));
	bool is_report = (byte & 6) != 6;
	if (is_report)
		pack_u8(&body, byte >> 3 & 7);
	pack_u64(&body, key.word[0]);
	pack_u64(&body, key.word[1]);
	for (int i = 0; i < (is_report ? 4 : 2); i++)
		pack_u32(&body, next_byte());
	bool is_again = (byte & 0xc6) == 0xc6;
	give(from,
	     is_again    ? FRAME_PLACES_AGAIN
	     : is_report ? FRAME_PLACES
	                 : FRAME_PLACES_GRANTED,
	     edge_user_slot(&key), is_again ? SLICE("") : buf_view(&body));
	buf_free(&body);
}

/* ---- news ---- */

static void tell_node(unsigned number, uint8_t how)
{
	bool is_gone = (how & 7) == MEMBER_DEAD && how & 8;
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = (uint8_t)((how & 7) % MEMBER_STATE_COUNT),
	                         .is_linked = (how & 16) && !is_gone,
	                         .counts_places = (how & 32) == 0,
	                         .is_gone = is_gone,
	                         .seat = {(uint16_t)number, 1},
	                         .boot = boot_of(number),
	                         .incarnation = 1};
	role_enter_worker();
	relay_take(relay, &mail, now_ms());
	said[number] = (struct said){0};
	is_known[number] = !is_gone;
}

static void tell_self(enum member_state state)
{
	struct mesh_mail mail = {.kind = MESH_MAIL_SELF,
	                         .state = (uint8_t)state,
	                         .boot = boot_of(NODES),
	                         .incarnation = 1};
	role_enter_worker();
	relay_take(relay, &mail, now_ms());
}

/* ---- the worker ---- */

static uint32_t up_ask_far(struct edge_up *from, const struct survey_question *question,
                           uint16_t *nodes)
{
	(void)from;
	return relay_ask_nodes(relay, question, nodes);
}

static void up_answer_node(struct edge_up *from, uint8_t kind, const struct note *note)
{
	(void)from;
	relay_answer_node(relay, kind, note);
}

static bool up_ask_place(struct edge_up *from, uint32_t worker, const struct registry_mail *mail,
                         uint32_t limit)
{
	(void)from;
	return relay_ask_place(relay, worker, mail, limit);
}

static void up_give_place(struct edge_up *from, struct slab_handle place)
{
	(void)from;
	relay_give_place(relay, place);
}

static struct hub_cluster *own_begin(void)
{
	up.ask_nodes = up_ask_far;
	up.answer_node = up_answer_node;
	up.ask_place = up_ask_place;
	up.give_place = up_give_place;
	memset(said, 0, sizeof(said));
	memset(is_known, 0, sizeof(is_known));
	relay = relay_create(&(struct relay_options){.office = office,
	                                             .workers = WORKERS,
	                                             .mesher = SCRIPT_MESHER,
	                                             .boot = boot_of(NODES),
	                                             .hash_key = codec.hash_key,
	                                             .replicas = 3,
	                                             .now_ms = now_ms(),
	                                             .seed = 1});
	CHECK(relay != NULL);
	return relay_cluster(relay);
}

/* A byte says whether it begins alone, or beside the others; then it has its slots already, or not.
 */
static void own_ready(void)
{
	role_enter_worker();
	relay_begin(relay, edge);
	if (settings[current].connections_per_user > 0)
		relay_use_places(relay);
	relay_timer = (struct timer){.kind = SCRIPT_TIMER_OWN};
	timer_arm(loop_wheel(loop), &relay_timer, now_ms(), 0);
	tell_self(MEMBER_READY);
	uint8_t how = next_byte();
	for (unsigned i = 0; i < NODES; i++)
		if (how >> i & 1)
			tell_node(i, MEMBER_READY | 16);
	for (int i = 0; i < how >> 4; i++) {
		clock_now.us += 1000 * SLOTS_TICK_MS;
		relay_tick(relay, now_ms() + (uint64_t)i * SLOTS_TICK_MS);
	}
}

static void own_step(unsigned what, uint8_t which)
{
	unsigned from = which & 1;
	bool is_other = which & 4;
	which = which >> 1 & 1;
	switch ((enum own_step)what) {
	case OWN_FRAME:
		if (is_other)
			say_holds(from);
		else
			next_frame(from, which);
		break;
	case OWN_LETTER:
		next_letter(from);
		break;
	case OWN_SLOT:
		next_slot(from, which);
		break;
	case OWN_PLACES:
		next_places(from);
		break;
	case OWN_NODE:
		tell_node(from, next_byte());
		break;
	}
}

static void own_timer(struct timer *timer)
{
	role_enter_worker();
	timer_arm(loop_wheel(loop), timer, now_ms(), SLOTS_TICK_MS);
	relay_tick(relay, now_ms());
	struct relay_stats stats;
	relay_count(relay, &stats);
}

static void own_turn(void)
{
	role_enter_worker();
	(void)relay_turn(relay, now_ms());
}

static void own_flush(void)
{
	role_enter_worker();
	(void)relay_flush(relay);
	take_what_it_says();
}

static void own_end(void)
{
	timer_stop(loop_wheel(loop), &relay_timer);
	take_what_it_says();
	relay_destroy(relay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct script_world mesh = {.workers = WORKERS,
	                                         .begin = own_begin,
	                                         .ready = own_ready,
	                                         .step = own_step,
	                                         .timer = own_timer,
	                                         .turn = own_turn,
	                                         .flush = own_flush,
	                                         .end = own_end};
	script_run(data, size, &mesh);
	return 0;
}
