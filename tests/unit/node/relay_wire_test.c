/*
 * Letters and entries of the relay: what was written is read again, field by field; cut at any
 * byte, or with a byte too many, it is refused; and so is what cannot be.
 */
#include "node/relay_wire.h"

#include <stdio.h>

#include "hub/hub.h"
#include "mesh/slots.h"
#include "starling/limits.h"

static const struct relay_codec codec = {.hash_key = {{1, 2}}, .mark = 0x1234567890};
static const struct relay_codec other = {.hash_key = {{3, 4}}, .mark = 0x9876543210};

static uint16_t slot_of(const char *name)
{
	return hub_slot_of(slice_string(name));
}

static struct record *record_of(const char *channel, uint64_t seq, uint64_t except, bool is_hidden)
{
	struct publication p = {.channel = slice_string(channel),
	                        .event = SLICE("event"),
	                        .user = SLICE("ann"),
	                        .key = SLICE("k"),
	                        .idempotency_key = SLICE("once"),
	                        .payload = SLICE("\"payload\""),
	                        .is_binary = seq % 2 == 0,
	                        .is_key_hidden = is_hidden,
	                        .except = except};
	struct record *record = record_make(&p, 0);
	CHECK(record != NULL);
	if (seq > 0)
		record_settle(record, 77, seq, 123456, 0);
	return record;
}

static void check_record(const struct record *a, const struct record *b)
{
	CHECK(a->epoch == b->epoch && a->seq == b->seq && a->unix_ms == b->unix_ms);
	CHECK(a->except == b->except && a->is_binary == b->is_binary);
	CHECK(a->is_key_hidden == b->is_key_hidden);
	CHECK(slice_equals(record_channel(a), record_channel(b)));
	CHECK(slice_equals(record_event(a), record_event(b)));
	CHECK(slice_equals(record_user(a), record_user(b)));
	CHECK(slice_equals(record_key(a), record_key(b)));
	CHECK(slice_equals(record_once(a), record_once(b)));
	CHECK(slice_equals(record_payload(a), record_payload(b)));
	CHECK(b->channel_hash == hash_bytes(&codec.hash_key, record_channel(b)));
}

static bool is_show(enum far_kind kind)
{
	return kind == FAR_SHOWN || kind == FAR_NEWS;
}

static bool has_people(enum far_kind kind)
{
	return kind == FAR_PRESENT || is_show(kind);
}

/* Who is in a report, and who in what a home says. */
static const struct far_person reported[] = {
	{SLICE_INIT("ann"), SLICE_INIT("{\"n\":1}"), 3, PERSON_HERE},
	{SLICE_INIT("bob"), {0}, 0, PARTING_LEFT},
};
static const struct far_person told[] = {
	{SLICE_INIT("ann"), SLICE_INIT("{\"n\":1}"), 0, PERSON_HERE},
	{SLICE_INIT("bob"), {0}, 2, PERSON_HERE},
};

/* A letter of each kind, with all that its kind may say. */
static struct far_mail letter_of(enum far_kind kind, struct record *const *records)
{
	bool has_records = kind == FAR_PAGE || kind == FAR_RECORDS;
	struct far_mail mail = {.kind = (uint8_t)kind, .slot = slot_of("chat:1")};
	bool has_token = kind == FAR_PUBLISH || kind == FAR_PUBLISHED || kind == FAR_FOLLOW ||
	                 kind == FAR_HISTORY || kind == FAR_PAGE || kind == FAR_FOLLOWED ||
	                 kind == FAR_HISTORY_READY;
	if (has_token)
		mail.token = (struct slab_handle){5, 6};
	if (kind == FAR_TAIL || kind == FAR_TAILED || kind == FAR_UNTAIL || kind == FAR_FOLLOW ||
	    kind == FAR_HISTORY || kind >= FAR_PRESENT)
		mail.name = SLICE("chat:1");
	if (kind == FAR_PUBLISHED || kind == FAR_TAILED || kind == FAR_FOLLOWED ||
	    kind == FAR_HISTORY_READY) {
		mail.epoch = 77;
		mail.seq = 99;
	}
	if (kind == FAR_TAIL || kind == FAR_FOLLOW || kind == FAR_HISTORY) {
		mail.has_since = true;
		mail.since = (struct cursor){.epoch = 77, .seq = 55, .is_start = kind != FAR_TAIL};
	}
	if (kind == FAR_TAILED || kind == FAR_FOLLOWED)
		mail.since.seq = 55;
	if (kind == FAR_HISTORY) {
		mail.has_limit = true;
		mail.limit = UINT64_MAX;
	}
	if (kind == FAR_FOLLOWED) {
		mail.is_recovered = mail.is_latest = true;
		mail.lost = 44;
	}
	mail.has_more = kind == FAR_HISTORY_READY;
	mail.is_duplicate = kind == FAR_PUBLISHED;
	if (kind == FAR_TAIL || kind == FAR_TAILED)
		mail.stream = 33;
	if (kind == FAR_TAIL || kind == FAR_UNTAIL || kind == FAR_SYNC || kind == FAR_SYNCED ||
	    kind == FAR_DIGEST || (kind >= FAR_PRESENT && !is_show(kind)))
		mail.counter = 22;
	mail.is_synced = kind == FAR_DIGEST;
	if (kind == FAR_DIGEST)
		mail.sum = (struct far_sum){1, 2, 3, 4};
	if (is_show(kind))
		mail.show = (struct far_show){9, 7, UINT64_MAX, 5, true, true, false};
	mail.people = kind == FAR_PRESENT ? reported : told;
	mail.person_count = has_people(kind) ? 2 : 0;
	mail.records = has_records ? records + 1 : records;
	mail.record_count = has_records ? 2 : kind == FAR_PUBLISH;
	return mail;
}

static void check_letter(const struct far_mail *a, const struct far_mail *b)
{
	CHECK(a->kind == b->kind && a->error == b->error && a->slot == b->slot);
	CHECK(a->is_duplicate == b->is_duplicate && a->is_recovered == b->is_recovered);
	CHECK(a->is_latest == b->is_latest && a->has_more == b->has_more);
	CHECK(a->has_since == b->has_since && a->has_limit == b->has_limit);
	CHECK(a->is_synced == b->is_synced);
	CHECK(a->token.index == b->token.index && a->token.generation == b->token.generation);
	CHECK(a->epoch == b->epoch && a->seq == b->seq);
	CHECK(a->since.epoch == b->since.epoch && a->since.seq == b->since.seq);
	CHECK(a->since.is_start == b->since.is_start);
	CHECK(a->limit == b->limit && a->lost == b->lost && a->counter == b->counter);
	CHECK(a->stream == b->stream && a->sum.count == b->sum.count);
	CHECK(a->sum.names == b->sum.names && a->sum.sent == b->sum.sent);
	CHECK(a->sum.members == b->sum.members);
	CHECK(a->show.version == b->show.version && a->show.base == b->show.base);
	CHECK(a->show.redo_from == b->show.redo_from && a->show.count == b->show.count);
	CHECK(a->show.has_names == b->show.has_names && a->show.is_first == b->show.is_first);
	CHECK(a->show.is_last == b->show.is_last && a->person_count == b->person_count);
	for (size_t i = 0; i < a->person_count; i++) {
		const struct far_person *one = &a->people[i], *other_one = &b->people[i];
		CHECK(slice_equals(one->user, other_one->user));
		CHECK(slice_equals(one->info, other_one->info));
		CHECK(one->connections == other_one->connections);
		CHECK(one->state == other_one->state);
	}
	CHECK(slice_equals(a->name, b->name));
	CHECK(a->record_count == b->record_count);
	for (size_t i = 0; i < a->record_count; i++)
		check_record(a->records[i], b->records[i]);
}

static enum relay_answer read(const struct far_mail *mail, struct slice body, struct far_mail *got)
{
	return relay_read(&codec, (enum far_kind)mail->kind, mail->slot, body, got);
}

/* What was cut is refused, but between two records or people, where a whole letter ends. */
static void check_cut(const struct far_mail *mail, struct slice body)
{
	uint32_t whole = 0;
	for (size_t len = 0; len < body.len; len++) {
		struct far_mail got;
		char *copy = malloc(len + 1);
		CHECK(copy != NULL);
		memcpy(copy, body.at, len);
		enum relay_answer answer = read(mail, slice_of(copy, len), &got);
		whole += answer == RELAY_DONE;
		if (answer == RELAY_DONE)
			relay_mail_free(&got);
		CHECK(got.record_count == 0 && got.records == NULL);
		CHECK(got.person_count == 0 && got.people == NULL);
		free(copy);
	}
	/* Of a set nobody may have come or gone, but nothing is reported of nobody. */
	uint32_t ends = mail->record_count == 2 || mail->kind == FAR_PRESENT;
	CHECK(whole == (is_show((enum far_kind)mail->kind) ? 2 : ends));
}

static void letters_come_back(struct record *const *records)
{
	for (unsigned kind = 0; kind < FAR_KINDS; kind++) {
		struct far_mail mail = letter_of((enum far_kind)kind, records), got;
		enum far_kind back;
		struct buf body = {0};
		printf("relay_wire: %s comes back whole, or not at all\n",
		       frame_name(relay_frame_type((enum far_kind)kind)));
		CHECK(relay_kind(relay_frame_type((enum far_kind)kind), &back) && back == kind);
		relay_write(&codec, &body, &mail);
		CHECK(read(&mail, buf_view(&body), &got) == RELAY_DONE);
		check_letter(&mail, &got);
		relay_mail_free(&got);
		check_cut(&mail, buf_view(&body));
		/* Not every kind has a name that its slot has to be of. */
		uint16_t beyond = (uint16_t)(mail.slot + SLOTS);
		CHECK(relay_read(&codec, (enum far_kind)kind, beyond, buf_view(&body), &got) ==
		      RELAY_BAD);
		buf_char(&body, 'x');
		CHECK(read(&mail, buf_view(&body), &got) == RELAY_BAD);
		buf_free(&body);
	}
	enum far_kind none;
	CHECK(!relay_kind(FRAME_HELLO, &none));
}

static const struct {
	const char *name;
	struct far_mail mail;
} bad[] = {
	{"a name of another slot", {.kind = FAR_UNTAIL, .name = SLICE_INIT("other")}},
	{"no name", {.kind = FAR_UNTAIL}},
	{"a name with a space", {.kind = FAR_UNTAIL, .name = SLICE_INIT("a b")}},
	{"no epoch", {.kind = FAR_PUBLISHED, .seq = 1}},
	{"a number too high", {.kind = FAR_PUBLISHED, .epoch = 1, .seq = RELAY_SEQ_MAX}},
	{"a beginning behind the head",
         {.kind = FAR_FOLLOWED, .epoch = 1, .seq = 1, .since = {.seq = 2}}},
	{"a loss behind the head", {.kind = FAR_FOLLOWED, .epoch = 1, .seq = 1, .lost = 2}},
	{"a refusal of no such kind", {.kind = FAR_PUBLISHED, .error = ERROR_BAD_REQUEST}},
	{"a page of nothing", {.kind = FAR_PAGE}},
	{"records of nothing", {.kind = FAR_RECORDS}},
	{"a report of nobody", {.kind = FAR_PRESENT, .name = SLICE_INIT("chat:1")}},
	{"a set that goes on from a later one",
         {.kind = FAR_NEWS,
          .name = SLICE_INIT("chat:1"),
          .show = {.version = 1, .base = 2, .has_names = true}}},
	{"half of a number",
         {.kind = FAR_SHOWN, .name = SLICE_INIT("chat:1"), .show = {.is_first = true}}},
};

static const struct {
	const char *name;
	enum far_kind kind;
	struct far_person person;
} bad_people[] = {
	{"one without a name", FAR_PRESENT, {{0}, {0}, 1, PERSON_HERE}},
	{"one with a control character", FAR_PRESENT, {SLICE_INIT("a\n"), {0}, 1, PERSON_HERE}},
	{"one who is here without a connection",
         FAR_PRESENT,
         {SLICE_INIT("ann"), {0}, 0, PERSON_HERE}},
	{"one who left with a connection", FAR_PRESENT, {SLICE_INIT("ann"), {0}, 1, PARTING_LEFT}},
	{"one whom a node reports away", FAR_PRESENT, {SLICE_INIT("ann"), {0}, 0, PERSON_AWAY}},
	{"one who is away in a list of all", FAR_SHOWN, {SLICE_INIT("ann"), {0}, 0, PERSON_AWAY}},
	{"one whom the home says to be lost", FAR_NEWS, {SLICE_INIT("ann"), {0}, 0, PARTING_LOST}},
	{"one in no state there is", FAR_NEWS, {SLICE_INIT("ann"), {0}, 0, PERSON_AWAY + 1}},
};

static void check_refused(const char *name, struct far_mail mail)
{
	struct far_mail got;
	struct buf body = {0};
	printf("relay_wire: %s is refused\n", name);
	mail.slot = slot_of("chat:1");
	relay_write(&codec, &body, &mail);
	CHECK(read(&mail, buf_view(&body), &got) == RELAY_BAD);
	buf_free(&body);
}

static void bad_people_are_refused(void)
{
	for (size_t i = 0; i < COUNT_OF(bad_people); i++) {
		struct far_mail mail = {.kind = (uint8_t)bad_people[i].kind,
		                        .name = SLICE("chat:1"),
		                        .show = {.has_names = true},
		                        .people = &bad_people[i].person,
		                        .person_count = 1};
		check_refused(bad_people[i].name, mail);
	}
	static struct far_person many[FAR_PEOPLE_MAX + 1];
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = reported[0];
	check_refused("more than a letter may hold",
	              (struct far_mail){.kind = FAR_PRESENT,
	                                .name = SLICE("chat:1"),
	                                .people = many,
	                                .person_count = COUNT_OF(many)});
}

static void most_people_fit_a_frame(void)
{
	printf("relay_wire: a letter full of people fits into a frame\n");
	static char info[CLAIMS_INFO_MAX], name[USER_NAME_MAX];
	static struct far_person many[FAR_PEOPLE_MAX];
	memset(info, '1', sizeof(info));
	memset(name, 'u', sizeof(name));
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct far_person){slice_of(name, sizeof(name)),
		                              slice_of(info, sizeof(info)), 1, PERSON_HERE};
	struct far_mail got, mail = {.kind = FAR_PRESENT,
	                             .slot = slot_of("chat:1"),
	                             .name = SLICE("chat:1"),
	                             .people = many,
	                             .person_count = COUNT_OF(many)};
	struct buf body = {0};
	relay_write(&codec, &body, &mail);
	CHECK(body.len <= FRAME_DATA_MAX);
	CHECK(read(&mail, buf_view(&body), &got) == RELAY_DONE);
	CHECK(got.person_count == FAR_PEOPLE_MAX);
	relay_mail_free(&got);
	buf_free(&body);
}

static void bad_letters_are_refused(void)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		check_refused(bad[i].name, bad[i].mail);
}

static void records_must_fit(void)
{
	printf("relay_wire: records of two channels, or without a place, are refused\n");
	struct record *a = record_of("chat:1", 1, 0, false), *b = record_of("chat:2", 2, 0, false);
	struct record *c = record_of("chat:1", 0, 0, false);
	struct record *two[] = {a, b}, *unplaced[] = {c}, *placed[] = {a};
	struct far_mail got, mail = {.kind = FAR_RECORDS,
	                             .slot = slot_of("chat:1"),
	                             .records = two,
	                             .record_count = 2};
	const struct {
		enum far_kind kind;
		struct record **records;
		size_t count;
	} cases[] = {{FAR_RECORDS, two, 2}, {FAR_RECORDS, unplaced, 1}, {FAR_PUBLISH, placed, 1}};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf body = {0};
		mail.kind = (uint8_t)cases[i].kind;
		mail.records = cases[i].records;
		mail.record_count = cases[i].count;
		relay_write(&codec, &body, &mail);
		CHECK(read(&mail, buf_view(&body), &got) == RELAY_BAD);
		buf_free(&body);
	}
	record_drop(a);
	record_drop(b);
	record_drop(c);
}

static uint64_t left_out_at(const struct relay_codec *from, const struct relay_codec *to,
                            uint64_t except)
{
	struct record *record = record_of("chat:1", 3, except, false);
	struct hub_entry entry = {.kind = ENTRY_RECORD, .record = record}, got;
	struct buf bytes = {0};
	relay_write_entry(from, &bytes, &entry);
	struct unpack in = {.rest = buf_view(&bytes)};
	CHECK(relay_read_entry(to, slot_of("chat:1"), &in, &got) == RELAY_DONE);
	uint64_t read = got.record->except;
	relay_entry_free(&got);
	record_drop(record);
	buf_free(&bytes);
	return read;
}

static void who_is_left_out_may_be_elsewhere(void)
{
	printf("relay_wire: who is left out may be of another node, and is so there alone\n");
	const struct relay_codec a = {.mark = record_mark(1)}, b = {.mark = record_mark(2)};
	const struct relay_codec c = {.mark = record_mark(3)};
	uint64_t except = 42 ^ a.mark ^ b.mark;
	CHECK(left_out_at(&a, &b, except) == 42);
	CHECK(left_out_at(&a, &a, except) == except && except != 42);
	uint64_t third = left_out_at(&a, &c, except);
	CHECK(third != 42 && third != 0);
	CHECK(left_out_at(&c, &b, third) == 42);
	CHECK(left_out_at(&a, &b, 0) == 0);
}

static void who_is_left_out_is_so_on_one_node(void)
{
	printf("relay_wire: who is left out is so on the node that said it\n");
	struct record *record = record_of("chat:1", 3, 42, false);
	struct hub_entry entry = {.kind = ENTRY_RECORD, .record = record}, got;
	struct buf here = {0}, there = {0};
	relay_write_entry(&codec, &here, &entry);
	struct unpack in = {.rest = buf_view(&here)};
	CHECK(relay_read_entry(&other, slot_of("chat:1"), &in, &got) == RELAY_DONE);
	CHECK(got.record->except != 42 && got.record->except != 0);
	relay_write_entry(&other, &there, &got);
	relay_entry_free(&got);
	in = (struct unpack){.rest = buf_view(&there)};
	CHECK(relay_read_entry(&codec, slot_of("chat:1"), &in, &got) == RELAY_DONE);
	CHECK(got.record->except == 42);
	relay_entry_free(&got);
	record_drop(record);
	buf_free(&here);
	buf_free(&there);
}

static void entries_come_back(struct record *record)
{
	printf("relay_wire: entries come back one behind the other, or not at all\n");
	const struct hub_entry entries[] = {
		{.kind = ENTRY_RECORD, .record = record, .age_ms = 7},
		{.kind = ENTRY_CLOSE, .epoch = 77, .name = SLICE("chat:1")},
		{.kind = ENTRY_CHANNEL, .epoch = 77, .seq = 9, .name = SLICE("chat:1")},
		{.kind = ENTRY_LATEST, .record = record, .age_ms = 8},
		{.kind = ENTRY_LOST, .seq = 3},
		{.kind = ENTRY_KEY,
	         .seq = 4,
	         .age_ms = 9,
	         .name = SLICE("a\0b"),
	         .is_hidden = true},
		{.kind = ENTRY_PAST, .epoch = 78, .seq = 12, .age_ms = 10},
		{.kind = ENTRY_RECORD, .record = record, .epoch = 78, .seq = 5},
		{.kind = ENTRY_RECORD, .record = record, .is_unsure = true},
	};
	static_assert(COUNT_OF(entries) == ENTRY_KINDS + 2, "one of each, and of forks");
	struct buf all = {0};
	size_t ends[COUNT_OF(entries)];
	for (size_t i = 0; i < COUNT_OF(entries); i++) {
		relay_write_entry(&codec, &all, &entries[i]);
		ends[i] = all.len;
	}
	for (size_t len = 0; len <= all.len; len++) {
		struct unpack in = {.rest = slice_of(all.at, len)};
		for (size_t i = 0; i < COUNT_OF(entries); i++) {
			struct hub_entry got;
			enum relay_answer answer =
				relay_read_entry(&codec, slot_of("chat:1"), &in, &got);
			CHECK((answer == RELAY_DONE) == (ends[i] <= len));
			if (answer != RELAY_DONE)
				break;
			CHECK(got.kind == entries[i].kind && got.epoch == entries[i].epoch);
			CHECK(got.seq == entries[i].seq && got.age_ms == entries[i].age_ms);
			CHECK(got.is_hidden == entries[i].is_hidden);
			CHECK(got.is_unsure == entries[i].is_unsure);
			CHECK(slice_equals(got.name, entries[i].name));
			if (got.record != NULL)
				check_record(entries[i].record, got.record);
			relay_entry_free(&got);
		}
	}
	buf_free(&all);
}

static void origins_are_places(struct record *record)
{
	printf("relay_wire: a place in a fork that cannot be is refused\n");
	static const struct {
		uint8_t flags;
		uint64_t epoch, seq;
		bool is_good;
	} rows[] = {
		{2, 78, 5, true},  {3, 78, 5, true},  {4, 78, 5, false},
		{2, 0, 5, false},  {2, 78, 0, false}, {2, 78, RELAY_SEQ_MAX, false},
		{1, 78, 5, false}, /* and then it has none, and what follows is no record */
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct hub_entry entry = {
			.kind = ENTRY_RECORD, .record = record, .epoch = 1, .seq = 1};
		struct buf body = {0};
		relay_write_entry(&codec, &body, &entry);
		/* Behind its kind and its age. */
		body.at[5] = (char)rows[i].flags;
		memcpy(body.at + 6, &rows[i].epoch, sizeof(rows[i].epoch));
		memcpy(body.at + 14, &rows[i].seq, sizeof(rows[i].seq));
		struct unpack in = {.rest = buf_view(&body)};
		enum relay_answer answer = relay_read_entry(&codec, slot_of("chat:1"), &in, &entry);
		CHECK(answer == (rows[i].is_good ? RELAY_DONE : RELAY_BAD));
		if (answer == RELAY_DONE)
			relay_entry_free(&entry);
		buf_free(&body);
	}
}

/* And there is room for a slot's log around it. What is larger is taken as long as that is so: a
 * node of another version may have committed it. */
static void largest_record_fits_a_frame(void)
{
	static const struct {
		const char *claim;
		size_t len;
		bool is_good;
	} rows[] = {
		{"fits into a frame", API_MESSAGE_BYTES_MAX, true},
		{"is not the largest that is read", API_MESSAGE_BYTES_MAX + 1, true},
		{"of others fits into an entry", 1055218, true},
		{"is none that does not", 1055219, false},
	};
	static char text[SLOT_ENTRY_MAX], channel[CHANNEL_NAME_MAX];
	memset(text, 'a', sizeof(text));
	memset(channel, 'c', sizeof(channel));
	struct slice word = slice_of(text, 255);
	struct publication p = {.channel = slice_of(channel, sizeof(channel)),
	                        .event = word,
	                        .user = word,
	                        .key = word,
	                        .idempotency_key = word};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("relay_wire: the largest record %s\n", rows[i].claim);
		p.payload = slice_of(text, rows[i].len);
		struct record *record = record_make(&p, 0);
		CHECK(record != NULL);
		struct far_mail mail = {.kind = FAR_PUBLISH, .records = &record, .record_count = 1};
		struct far_mail read;
		struct buf body = {0};
		relay_write(&codec, &body, &mail);
		CHECK(i > 0 || body.len + 2048 <= FRAME_DATA_MAX);
		enum relay_answer answer = relay_read(&codec, FAR_PUBLISH, hub_slot_of(p.channel),
		                                      buf_view(&body), &read);
		CHECK(answer == (rows[i].is_good ? RELAY_DONE : RELAY_BAD));
		if (answer == RELAY_DONE)
			relay_mail_free(&read);
		buf_free(&body);
		record_drop(record);
	}
}

int main(void)
{
	struct record *records[] = {record_of("chat:1", 0, 0, true),
	                            record_of("chat:1", 8, 9, true),
	                            record_of("chat:1", 9, 0, false)};
	letters_come_back(records);
	bad_letters_are_refused();
	bad_people_are_refused();
	most_people_fit_a_frame();
	records_must_fit();
	who_is_left_out_is_so_on_one_node();
	who_is_left_out_may_be_elsewhere();
	entries_come_back(records[1]);
	origins_are_places(records[1]);
	largest_record_fits_a_frame();
	for (size_t i = 0; i < COUNT_OF(records); i++)
		record_drop(records[i]);
	return 0;
}
