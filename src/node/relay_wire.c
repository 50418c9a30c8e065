#include "node/relay_wire.h"

#include <stdlib.h>

#include "hub/hub.h"
#include "mesh/slots.h"

/* Around a record in the log of a slot, or in a part of its state: what it is, its age and place.
 */
#define ENTRY_ROOM 32u

/* ---- which fields there are ---- */

enum field {
	F_TOKEN = 1,
	F_ERROR = 2,
	F_FLAGS = 4,
	F_POSITION = 8, /* epoch, seq */
	F_SINCE = 16,   /* a position of the node's, or the home's */
	F_CURSOR = 32,  /* a client's, whatever it says */
	F_LIMIT = 64,
	F_LOST = 128,
	F_COUNTER = 256,
	F_STREAM = 512,
	F_SUM = 1024,
	F_NAME = 2048,
	F_RECORD = 4096,  /* one, without a place */
	F_RECORDS = 8192, /* of one channel, with their places */
	F_SHOW = 16384,
	F_PEOPLE = 32768,
};

static const struct {
	enum frame_type type;
	unsigned fields;
} letters[FAR_KINDS] = {
	[FAR_PUBLISH] = {FRAME_PUBLISH, F_TOKEN | F_RECORD},
	[FAR_PUBLISHED] = {FRAME_PUBLISHED, F_TOKEN | F_ERROR | F_FLAGS | F_POSITION},
	[FAR_TAIL] = {FRAME_TAIL, F_FLAGS | F_COUNTER | F_STREAM | F_SINCE | F_NAME},
	[FAR_TAILED] = {FRAME_TAILED, F_ERROR | F_STREAM | F_POSITION | F_SINCE | F_NAME},
	[FAR_UNTAIL] = {FRAME_UNTAIL, F_COUNTER | F_NAME},
	[FAR_FOLLOW] = {FRAME_FOLLOW, F_TOKEN | F_FLAGS | F_CURSOR | F_NAME},
	[FAR_HISTORY] = {FRAME_HISTORY, F_TOKEN | F_FLAGS | F_CURSOR | F_LIMIT | F_NAME},
	[FAR_PAGE] = {FRAME_PAGE, F_TOKEN | F_RECORDS},
	[FAR_FOLLOWED] = {FRAME_FOLLOWED,
                          F_TOKEN | F_ERROR | F_FLAGS | F_POSITION | F_SINCE | F_LOST},
	[FAR_HISTORY_READY] = {FRAME_HISTORY_READY, F_TOKEN | F_ERROR | F_FLAGS | F_POSITION},
	[FAR_RECORDS] = {FRAME_RECORDS, F_RECORDS},
	[FAR_SYNC] = {FRAME_SYNC, F_COUNTER},
	[FAR_SYNCING] = {FRAME_SYNCING, 0},
	[FAR_SYNCED] = {FRAME_SYNCED, F_COUNTER},
	[FAR_ASK] = {FRAME_ASK, 0},
	[FAR_DIGEST] = {FRAME_DIGEST, F_FLAGS | F_COUNTER | F_SUM},
	[FAR_PRESENT] = {FRAME_PRESENT, F_COUNTER | F_NAME | F_PEOPLE},
	[FAR_WATCH] = {FRAME_WATCH, F_COUNTER | F_NAME},
	[FAR_UNWATCH] = {FRAME_UNWATCH, F_COUNTER | F_NAME},
	[FAR_SHOWN] = {FRAME_SHOWN, F_NAME | F_SHOW | F_PEOPLE},
	[FAR_NEWS] = {FRAME_NEWS, F_NAME | F_SHOW | F_PEOPLE},
};

enum flag {
	FLAG_DUPLICATE = 1,
	FLAG_RECOVERED = 2,
	FLAG_LATEST = 4,
	FLAG_MORE = 8,
	FLAG_SINCE = 16,
	FLAG_LIMIT = 32,
	FLAG_START = 64,
	FLAG_SYNCED = 128,
};

enum frame_type relay_frame_type(enum far_kind kind)
{
	CHECK(kind < FAR_KINDS);
	return letters[kind].type;
}

bool relay_kind(enum frame_type type, enum far_kind *kind)
{
	unsigned i = 0;
	while (i < FAR_KINDS && letters[i].type != type)
		i++;
	*kind = (enum far_kind)i;
	return i < FAR_KINDS;
}

/* ---- records ---- */

enum record_flag { RECORD_BINARY = 1, RECORD_HIDDEN = 2, RECORD_FLAGS = 3 };

static void write_record(const struct relay_codec *codec, struct buf *out,
                         const struct record *record)
{
	pack_u64(out, record->epoch);
	pack_u64(out, record->seq);
	pack_u64(out, record->unix_ms);
	pack_u64(out, record->except == 0 ? 0 : record->except ^ codec->mark);
	pack_u8(out, (uint8_t)((record->is_binary ? RECORD_BINARY : 0) |
	                       (record->is_key_hidden ? RECORD_HIDDEN : 0)));
	pack_text(out, record_channel(record));
	pack_text(out, record_event(record));
	pack_text(out, record_user(record));
	pack_text(out, record_key(record));
	pack_text(out, record_once(record));
	struct slice payload = record_payload(record);
	pack_u32(out, (uint32_t)payload.len);
	buf_slice(out, payload);
}

static bool is_channel(struct slice name, uint16_t slot)
{
	return channel_name_is_valid(name) && hub_slot_of(name) == slot;
}

static bool is_position(uint64_t epoch, uint64_t seq)
{
	return epoch != 0 && seq < RELAY_SEQ_MAX;
}

static enum relay_answer read_record(const struct relay_codec *codec, uint16_t slot,
                                     struct unpack *in, bool is_placed, struct record **made)
{
	size_t before = in->rest.len;
	uint64_t epoch = unpack_u64(in), seq = unpack_u64(in), unix_ms = unpack_u64(in);
	uint64_t except = unpack_u64(in);
	uint8_t flags = unpack_u8(in);
	struct publication p = {.except = except == 0 ? 0 : except ^ codec->mark,
	                        .is_binary = (flags & RECORD_BINARY) != 0,
	                        .is_key_hidden = (flags & RECORD_HIDDEN) != 0};
	p.channel = unpack_text(in);
	p.event = unpack_text(in);
	p.user = unpack_text(in);
	p.key = unpack_text(in);
	p.idempotency_key = unpack_text(in);
	p.payload = unpack_bytes(in, unpack_u32(in));
	bool is_good = is_placed ? is_position(epoch, seq) && seq != 0 : epoch == 0 && seq == 0;
	if (in->is_bad || !is_good || flags > RECORD_FLAGS || !is_channel(p.channel, slot) ||
	    before - in->rest.len > SLOT_ENTRY_MAX - ENTRY_ROOM ||
	    (p.is_key_hidden && p.idempotency_key.len == 0))
		return RELAY_BAD;
	struct record *record = record_make(&p, hash_bytes(&codec->hash_key, p.channel));
	if (record == NULL)
		return RELAY_NO_MEMORY;
	if (is_placed)
		record_settle(record, epoch, seq, unix_ms, 0);
	*made = record;
	return RELAY_DONE;
}

/* ---- people ---- */

#define PERSON_BYTES_MIN 9u /* a name of one byte, and no info */

static void write_person(struct buf *out, const struct far_person *person)
{
	pack_u8(out, person->state);
	pack_u32(out, person->connections);
	pack_text(out, person->user);
	pack_u16(out, (uint16_t)person->info.len);
	buf_slice(out, person->info);
}

/* A report says where somebody is, or how he left; what the home shows, who is present or was. */
static bool is_person(const struct far_person *person, enum far_kind kind)
{
	bool is_here = person->state == PERSON_HERE;
	if (!claims_user_is_valid(person->user) || person->info.len > CLAIMS_INFO_MAX)
		return false;
	if (kind == FAR_PRESENT)
		return person->state <= PERSON_HERE && (person->connections > 0) == is_here;
	return is_here || (kind == FAR_NEWS && person->state == PERSON_AWAY);
}

static enum relay_answer read_people(struct unpack *in, struct far_mail *mail)
{
	size_t most = in->rest.len / PERSON_BYTES_MIN + 1; /* the last one may be cut off */
	if (in->is_bad || in->rest.len == 0)
		return RELAY_DONE;
	if (most > FAR_PEOPLE_MAX)
		most = FAR_PEOPLE_MAX;
	struct far_person *people = calloc(most, sizeof(*people));
	if (people == NULL)
		return RELAY_NO_MEMORY;
	mail->people = people;
	while (!in->is_bad && in->rest.len > 0 && mail->person_count < most) {
		struct far_person *person = &people[mail->person_count];
		person->state = unpack_u8(in);
		person->connections = unpack_u32(in);
		person->user = unpack_text(in);
		person->info = unpack_bytes(in, unpack_u16(in));
		if (in->is_bad || !is_person(person, (enum far_kind)mail->kind))
			return RELAY_BAD;
		mail->person_count++;
	}
	return RELAY_DONE;
}

enum show_flag { SHOW_NAMES = 1, SHOW_FIRST = 2, SHOW_LAST = 4, SHOW_FLAGS = 7 };

static void write_show(struct buf *out, const struct far_show *show)
{
	pack_u8(out,
	        (uint8_t)((show->has_names ? SHOW_NAMES : 0) | (show->is_first ? SHOW_FIRST : 0) |
	                  (show->is_last ? SHOW_LAST : 0)));
	pack_u64(out, show->version);
	pack_u64(out, show->base);
	pack_u64(out, show->redo_from);
	pack_u32(out, show->count);
}

static void read_show(struct unpack *in, struct far_show *show)
{
	uint8_t flags = unpack_u8(in);
	in->is_bad |= flags > SHOW_FLAGS;
	show->has_names = (flags & SHOW_NAMES) != 0;
	show->is_first = (flags & SHOW_FIRST) != 0;
	show->is_last = (flags & SHOW_LAST) != 0;
	show->version = unpack_u64(in);
	show->base = unpack_u64(in);
	show->redo_from = unpack_u64(in);
	show->count = unpack_u32(in);
	in->is_bad |= show->base > show->version;
}

/* A number alone is one letter, and nobody in it. */
static bool is_show(const struct far_mail *mail)
{
	const struct far_show *show = &mail->show;
	return show->has_names || (mail->person_count == 0 && show->is_first && show->is_last);
}

/* ---- letters ---- */

static uint8_t flags_of(const struct far_mail *mail)
{
	return (uint8_t)((mail->is_duplicate ? FLAG_DUPLICATE : 0) |
	                 (mail->is_recovered ? FLAG_RECOVERED : 0) |
	                 (mail->is_latest ? FLAG_LATEST : 0) | (mail->has_more ? FLAG_MORE : 0) |
	                 (mail->has_since ? FLAG_SINCE : 0) | (mail->has_limit ? FLAG_LIMIT : 0) |
	                 (mail->since.is_start ? FLAG_START : 0) |
	                 (mail->is_synced ? FLAG_SYNCED : 0));
}

static void write_numbers(struct buf *out, unsigned fields, const struct far_mail *mail)
{
	if (fields & F_TOKEN) {
		pack_u32(out, mail->token.index);
		pack_u32(out, mail->token.generation);
	}
	if (fields & F_ERROR)
		pack_u8(out, mail->error);
	if (fields & F_FLAGS)
		pack_u8(out, flags_of(mail));
	if (fields & F_POSITION) {
		pack_u64(out, mail->epoch);
		pack_u64(out, mail->seq);
	}
	if (fields & (F_SINCE | F_CURSOR)) {
		pack_u64(out, mail->since.epoch);
		pack_u64(out, mail->since.seq);
	}
	if (fields & F_LIMIT)
		pack_u64(out, mail->limit);
	if (fields & F_LOST)
		pack_u64(out, mail->lost);
	if (fields & F_COUNTER)
		pack_u64(out, mail->counter);
	if (fields & F_STREAM)
		pack_u64(out, mail->stream);
	if (fields & F_SUM) {
		pack_u32(out, mail->sum.count);
		pack_u64(out, mail->sum.names);
		pack_u64(out, mail->sum.sent);
		pack_u64(out, mail->sum.members);
	}
}

void relay_write(const struct relay_codec *codec, struct buf *out, const struct far_mail *mail)
{
	CHECK(mail->kind < FAR_KINDS);
	unsigned fields = letters[mail->kind].fields;
	write_numbers(out, fields, mail);
	if (fields & F_NAME)
		pack_text(out, mail->name);
	if (fields & F_RECORD)
		CHECK(mail->record_count == 1);
	if (fields & (F_RECORD | F_RECORDS)) {
		for (size_t i = 0; i < mail->record_count; i++)
			write_record(codec, out, mail->records[i]);
	}
	if (fields & F_SHOW)
		write_show(out, &mail->show);
	if (fields & F_PEOPLE) {
		for (size_t i = 0; i < mail->person_count; i++)
			write_person(out, &mail->people[i]);
	}
}

static void set_flags(struct far_mail *mail, uint8_t flags)
{
	mail->is_duplicate = (flags & FLAG_DUPLICATE) != 0;
	mail->is_recovered = (flags & FLAG_RECOVERED) != 0;
	mail->is_latest = (flags & FLAG_LATEST) != 0;
	mail->has_more = (flags & FLAG_MORE) != 0;
	mail->has_since = (flags & FLAG_SINCE) != 0;
	mail->has_limit = (flags & FLAG_LIMIT) != 0;
	mail->since.is_start = (flags & FLAG_START) != 0;
	mail->is_synced = (flags & FLAG_SYNCED) != 0;
}

static void read_numbers(struct unpack *in, unsigned fields, struct far_mail *mail)
{
	if (fields & F_TOKEN) {
		mail->token.index = unpack_u32(in);
		mail->token.generation = unpack_u32(in);
	}
	if (fields & F_ERROR)
		mail->error = unpack_u8(in);
	if (fields & F_FLAGS)
		set_flags(mail, unpack_u8(in));
	if (fields & F_POSITION) {
		mail->epoch = unpack_u64(in);
		mail->seq = unpack_u64(in);
	}
	if (fields & (F_SINCE | F_CURSOR)) {
		mail->since.epoch = unpack_u64(in);
		mail->since.seq = unpack_u64(in);
	}
	if (fields & F_LIMIT)
		mail->limit = unpack_u64(in);
	if (fields & F_LOST)
		mail->lost = unpack_u64(in);
	if (fields & F_COUNTER)
		mail->counter = unpack_u64(in);
	if (fields & F_STREAM)
		mail->stream = unpack_u64(in);
	if (fields & F_SUM) {
		mail->sum.count = unpack_u32(in);
		mail->sum.names = unpack_u64(in);
		mail->sum.sent = unpack_u64(in);
		mail->sum.members = unpack_u64(in);
	}
}

/* Whatever was read, what it says can be. */
static bool is_sound(const struct far_mail *mail, unsigned fields, uint16_t slot)
{
	bool is_refusal = (fields & F_ERROR) && mail->error != ERROR_NONE;
	if (is_refusal)
		return mail->error == ERROR_UNAVAILABLE &&
		       (!(fields & F_NAME) || is_channel(mail->name, slot));
	if ((fields & F_POSITION) && !is_position(mail->epoch, mail->seq))
		return false;
	if ((fields & F_SINCE) && mail->since.seq >= RELAY_SEQ_MAX)
		return false;
	if ((fields & F_SINCE) && (fields & F_POSITION) && mail->since.seq > mail->seq)
		return false;
	if ((fields & F_LOST) && mail->lost > mail->seq)
		return false;
	return !(fields & F_NAME) || is_channel(mail->name, slot);
}

/* One more, of the same channel as those before. */
static enum relay_answer add_record(struct far_mail *mail, struct record *record)
{
	struct record **records = (struct record **)mail->records;
	size_t count = mail->record_count;
	if (count > 0 && !slice_equals(record_channel(records[0]), record_channel(record))) {
		record_drop(record);
		return RELAY_BAD;
	}
	if ((count & (count - 1)) == 0) { /* at 0, 1, 2, 4 … it is full */
		size_t room = count == 0 ? 1 : count * 2;
		records = realloc(records, room * sizeof(struct record *));
		if (records == NULL) {
			record_drop(record);
			return RELAY_NO_MEMORY;
		}
		mail->records = records;
	}
	records[mail->record_count++] = record;
	return RELAY_DONE;
}

static enum relay_answer read_records(const struct relay_codec *codec, uint16_t slot,
                                      struct unpack *in, bool are_placed, struct far_mail *mail)
{
	enum relay_answer answer = RELAY_DONE;
	while (answer == RELAY_DONE && in->rest.len > 0) {
		struct record *record;
		answer = read_record(codec, slot, in, are_placed, &record);
		if (answer == RELAY_DONE)
			answer = add_record(mail, record);
	}
	return answer;
}

enum relay_answer relay_read(const struct relay_codec *codec, enum far_kind kind, uint16_t slot,
                             struct slice body, struct far_mail *mail)
{
	CHECK(kind < FAR_KINDS);
	unsigned fields = letters[kind].fields;
	struct unpack in = {.rest = body};
	*mail = (struct far_mail){.kind = (uint8_t)kind, .slot = slot};
	if (slot >= SLOTS)
		return RELAY_BAD;
	read_numbers(&in, fields, mail);
	if (fields & F_NAME)
		mail->name = unpack_text(&in);
	if (in.is_bad || !is_sound(mail, fields, slot))
		return RELAY_BAD;
	enum relay_answer answer = RELAY_DONE;
	if (fields & (F_RECORD | F_RECORDS))
		answer = read_records(codec, slot, &in, (fields & F_RECORDS) != 0, mail);
	if (fields & F_SHOW)
		read_show(&in, &mail->show);
	if (fields & F_PEOPLE)
		answer = read_people(&in, mail);
	bool is_good = unpack_is_over(&in) && (!(fields & F_RECORD) || mail->record_count == 1) &&
	               (!(fields & F_RECORDS) || mail->record_count > 0) &&
	               (!(fields & F_SHOW) || is_show(mail)) &&
	               (kind != FAR_PRESENT || mail->person_count > 0);
	if (answer == RELAY_DONE && !is_good)
		answer = RELAY_BAD;
	if (answer != RELAY_DONE)
		relay_mail_free(mail);
	return answer;
}

void relay_mail_free(struct far_mail *mail)
{
	struct record **records = (struct record **)mail->records;
	for (size_t i = 0; i < mail->record_count; i++)
		record_drop(records[i]);
	free(records);
	free((struct far_person *)mail->people);
	mail->records = NULL;
	mail->people = NULL;
	mail->record_count = mail->person_count = 0;
}

/* ---- entries ---- */

enum entry_field {
	E_AGE = 1,
	E_EPOCH = 2,
	E_SEQ = 4,
	E_HIDDEN = 8,
	E_NAME = 16,
	E_RECORD = 32,
	E_ORIGIN = 64, /* a byte of flags, and a place in a fork where there is one */
};

enum origin_flag { ORIGIN_UNSURE = 1, ORIGIN_PLACED = 2, ORIGIN_FLAGS = 3 };

static const unsigned entries[ENTRY_KINDS] = {
	[ENTRY_RECORD] = E_AGE | E_ORIGIN | E_RECORD,
	[ENTRY_CLOSE] = E_EPOCH | E_NAME,
	[ENTRY_CHANNEL] = E_EPOCH | E_SEQ | E_NAME,
	[ENTRY_LATEST] = E_AGE | E_RECORD,
	[ENTRY_LOST] = E_SEQ,
	[ENTRY_KEY] = E_AGE | E_SEQ | E_HIDDEN | E_NAME,
	[ENTRY_PAST] = E_AGE | E_EPOCH | E_SEQ,
};

static void write_origin(struct buf *out, const struct hub_entry *entry)
{
	pack_u8(out, (uint8_t)((entry->is_unsure ? ORIGIN_UNSURE : 0) |
	                       (entry->epoch != 0 ? ORIGIN_PLACED : 0)));
	if (entry->epoch == 0)
		return;
	pack_u64(out, entry->epoch);
	pack_u64(out, entry->seq);
}

/* False: it cannot be. */
static bool read_origin(struct unpack *in, struct hub_entry *entry)
{
	uint8_t flags = unpack_u8(in);
	entry->is_unsure = (flags & ORIGIN_UNSURE) != 0;
	if ((flags & ORIGIN_PLACED) == 0)
		return flags <= ORIGIN_FLAGS;
	entry->epoch = unpack_u64(in);
	entry->seq = unpack_u64(in);
	return flags <= ORIGIN_FLAGS && is_position(entry->epoch, entry->seq) && entry->seq != 0;
}

void relay_write_entry(const struct relay_codec *codec, struct buf *out,
                       const struct hub_entry *entry)
{
	CHECK(entry->kind < ENTRY_KINDS);
	unsigned fields = entries[entry->kind];
	pack_u8(out, entry->kind);
	if (fields & E_AGE)
		pack_u32(out, entry->age_ms);
	if (fields & E_EPOCH)
		pack_u64(out, entry->epoch);
	if (fields & E_SEQ)
		pack_u64(out, entry->seq);
	if (fields & E_HIDDEN)
		pack_u8(out, entry->is_hidden);
	if (fields & E_NAME)
		pack_text(out, entry->name);
	if (fields & E_ORIGIN)
		write_origin(out, entry);
	if (fields & E_RECORD)
		write_record(codec, out, entry->record);
}

static bool is_sound_entry(const struct hub_entry *entry, unsigned fields, uint16_t slot)
{
	if ((fields & E_EPOCH) && entry->epoch == 0)
		return false;
	if ((fields & E_SEQ) && entry->seq >= RELAY_SEQ_MAX)
		return false;
	if (entry->kind == ENTRY_KEY)
		return entry->name.len > 0 && entry->seq > 0;
	return !(fields & E_NAME) || is_channel(entry->name, slot);
}

enum relay_answer relay_read_entry(const struct relay_codec *codec, uint16_t slot,
                                   struct unpack *in, struct hub_entry *entry)
{
	*entry = (struct hub_entry){.kind = unpack_u8(in)};
	if (in->is_bad || entry->kind >= ENTRY_KINDS)
		return RELAY_BAD;
	unsigned fields = entries[entry->kind];
	entry->age_ms = fields & E_AGE ? unpack_u32(in) : 0;
	entry->epoch = fields & E_EPOCH ? unpack_u64(in) : 0;
	entry->seq = fields & E_SEQ ? unpack_u64(in) : 0;
	uint8_t hidden = fields & E_HIDDEN ? unpack_u8(in) : 0;
	entry->is_hidden = hidden == 1;
	entry->name = fields & E_NAME ? unpack_text(in) : slice_of(NULL, 0);
	if (in->is_bad || hidden > 1 || !is_sound_entry(entry, fields, slot) ||
	    ((fields & E_ORIGIN) && !read_origin(in, entry)))
		return RELAY_BAD;
	if (fields & E_RECORD)
		return read_record(codec, slot, in, true, &entry->record);
	return RELAY_DONE;
}

void relay_entry_free(struct hub_entry *entry)
{
	if (entry->record != NULL)
		record_drop(entry->record);
	entry->record = NULL;
}
