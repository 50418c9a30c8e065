/*
 * Orders that a channel has left, by scripts. Orders are letters.
 *   oK      order K is opened                 m<K><n>  all of K up to n is known
 *   +<K><n> record n of K is kept             w<n>     n ms pass
 *   <<K><n>-<m>  records n to m of K, older   x<n>     what was touched n ms ago goes
 *   s<K><n> K is of stream n                  -<K>     K is dropped
 *   l<K>    K is put last                     t<K><n> who follows is told of it up to n
 */
#include "hub/past.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../failing.h"
#include "base/buf.h"
#include "base/text.h"

static const struct {
	const char *name;
	const char *script;
	const char *held; /* each order with its mark and its records, first left first */
} cases[] = {
	{"at first there is none", "", ""},
	{"an order is opened once", "oa ob oa", "a0: b0:"},
	{"a mark opens one", "ma5", "a5:"},
	{"a mark only rises", "ma5 ma3 ma7 ma6", "a7:"},
	{"records are kept in their order", "oa +a3 +a4 +a9", "a0:3,4,9"},
	{"older ones go in front", "oa +a5 <a3-4", "a0:3,4,5"},
	{"and in place of what is there", "oa +a3 +a4 +a5 <a2-4", "a0:2,3,4,5"},
	{"in place of all, too", "oa +a3 +a4 <a2-9", "a0:2,3,4,5,6,7,8,9"},
	{"older ones may be all there are", "oa <a1-2", "a0:1,2"},
	{"no older ones change nothing", "oa +a3 <a3-2", "a0:3"},
	{"one is dropped, whichever", "oa ob oc -b", "a0: c0:"},
	{"the first, too", "oa ob -a", "b0:"},
	{"there are eight, and the first makes room", "oa ob oc od oe of og oh oi",
         "b0: c0: d0: e0: f0: g0: h0: i0:"},
	{"one that is there makes none", "oa ob oc od oe of og oh ma2",
         "a2: b0: c0: d0: e0: f0: g0: h0:"},
	{"before it one of which they are told, and no more", "oa ob oc od oe of og oh tb1 tc1 oi",
         "a0: c0: d0: e0: f0: g0: h0: i0:"},
	{"and no other", "oa ob mc1 od +d1 oe of og oh ta1 sa1 tc1 td1 oi",
         "b0: c1: d0:1 e0: f0: g0: h0: i0:"},
	{"one that is put last is not that", "oa ob oc od oe of og oh la oi",
         "c0: d0: e0: f0: g0: h0: a0: i0:"},
	{"the last one may be put last", "oa ob lb", "a0: b0:"},
	{"its records stay until their age", "oa +a1 w99 x100", "a0:1"},
	{"and go at it", "oa +a1 w100 x100", "a0:"},
	{"its mark stays for longer", "ma1 w299999 x100", "a1:"},
	{"and goes then", "ma1 w300000 x100", ""},
	{"or later, as long as records would", "oa +a1 w300000 x300001", "a0:1"},
	{"the young stay", "oa w200000 ob w200000 x100", "b0:"},
	{"a mark makes it young", "oa ob w200000 ma1 w200000 x100", "a1:"},
};

static struct pasts pasts;
static uint64_t now_ms;

static struct past *order(char letter)
{
	struct past *past = pasts_find(&pasts, (uint64_t)letter);
	CHECK(past != NULL);
	return past;
}

static struct record *make(char letter, uint64_t seq)
{
	char once[24];
	struct publication p = {.channel = SLICE("c"),
	                        .payload = SLICE("1"),
	                        .idempotency_key = slice_of(once, text_from_u64(once, seq))};
	struct record *record = record_make(&p, 0);
	CHECK(record != NULL);
	record_settle(record, (uint64_t)letter, seq, 1, 0);
	return record;
}

static void extend(char letter, uint64_t from, uint64_t to)
{
	struct past_item items[16];
	size_t count = 0;
	for (uint64_t seq = from; seq <= to; seq++)
		items[count++] = (struct past_item){make(letter, seq), (uint32_t)now_ms};
	CHECK(past_extend(order(letter), items, count));
	while (count > 0)
		record_drop(items[--count].record);
}

static void add(char letter, uint64_t seq)
{
	struct record *record = make(letter, seq);
	CHECK(past_add(order(letter), record, (uint32_t)now_ms));
	record_drop(record);
}

static void play(const char *at)
{
	unsigned long long a, b;
	char letter;
	int len;
	for (; *at != 0; at += len + (at[len] == ' ')) {
		if (sscanf(at, "o%c%n", &letter, &len) == 1)
			CHECK(pasts_open(&pasts, (uint64_t)letter, now_ms) != NULL);
		else if (sscanf(at, "m%c%llu%n", &letter, &a, &len) == 2)
			CHECK(pasts_mark(&pasts, (uint64_t)letter, a, now_ms));
		else if (sscanf(at, "+%c%llu%n", &letter, &a, &len) == 2)
			add(letter, a);
		else if (sscanf(at, "<%c%llu-%llu%n", &letter, &a, &b, &len) == 3)
			extend(letter, a, b);
		else if (sscanf(at, "s%c%llu%n", &letter, &a, &len) == 2)
			order(letter)->stream = a;
		else if (sscanf(at, "t%c%llu%n", &letter, &a, &len) == 2)
			order(letter)->told = a;
		else if (sscanf(at, "-%c%n", &letter, &len) == 1)
			pasts_drop(&pasts, order(letter));
		else if (sscanf(at, "l%c%n", &letter, &len) == 1)
			pasts_put_last(&pasts, order(letter));
		else if (sscanf(at, "w%llu%n", &a, &len) == 1)
			now_ms += a;
		else if (sscanf(at, "x%llu%n", &a, &len) == 1)
			pasts_expire(&pasts, now_ms, a);
		else
			CHECK(false);
	}
}

static void write_held(struct buf *out)
{
	char digits[24];
	for (const struct past *past = pasts.first; past != NULL; past = past->next) {
		char letter = (char)past->epoch;
		buf_slice(out, slice_of(&letter, 1));
		buf_slice(out, slice_of(digits, text_from_u64(digits, past->seq)));
		buf_slice(out, SLICE(":"));
		for (uint32_t i = 0; i < past->count; i++) {
			uint64_t seq = past->items[i].record->seq;
			buf_slice(out, slice_of(",", i > 0));
			buf_slice(out, slice_of(digits, text_from_u64(digits, seq)));
		}
		buf_slice(out, slice_of(" ", past->next != NULL));
	}
}

static void begin(void)
{
	pasts_free(&pasts);
	CHECK(pasts.count == 0 && pasts.first == NULL);
	now_ms = 1000;
}

static void play_cases(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("past: %s\n", cases[i].name);
		struct buf held = {0};
		begin();
		play(cases[i].script);
		write_held(&held);
		CHECK(slice_is(buf_view(&held), cases[i].held));
		buf_free(&held);
	}
}

static void streams_are_found(void)
{
	printf("past: of a stream the order that was left last is found\n");
	begin();
	play("oa sa7 ob sb8 oc sc7 od");
	CHECK(pasts_of_stream(&pasts, 7) == order('c'));
	CHECK(pasts_of_stream(&pasts, 8) == order('b'));
	CHECK(pasts_of_stream(&pasts, 9) == NULL);
	CHECK(pasts_of_stream(&pasts, 0) == NULL); /* that is no stream */
	CHECK(pasts_find(&pasts, 'e') == NULL);
}

static void records_are_known_by_their_keys(void)
{
	printf("past: a record is held that has the number and the key\n");
	begin();
	play("oa +a3 +a5");
	CHECK(past_holds(order('a'), 3, SLICE("3")) && past_holds(order('a'), 5, SLICE("5")));
	CHECK(!past_holds(order('a'), 3, SLICE("5")));
	CHECK(!past_holds(order('a'), 4, SLICE("4")));
}

static struct duplicates *make_keys(uint32_t ttl_ms)
{
	struct duplicates *keys = malloc(sizeof(*keys));
	CHECK(keys != NULL && duplicates_init(keys) == 0);
	keys->ttl_ms = ttl_ms;
	return keys;
}

static void it_keeps_its_keys(void)
{
	printf("past: its keys are there for as long as they are good, its records are not\n");
	begin();
	play("oa +a1 ob +b1");
	order('a')->keys = make_keys(DUPLICATES_MS);
	order('b')->retries = make_keys(RETRIES_MS);
	play("w100 x100");
	CHECK(pasts.count == 2 && order('a')->count == 0 && order('b')->count == 0);
	now_ms += DUPLICATES_MS - 101;
	play("x100");
	CHECK(pasts.count == 2 && order('a')->keys != NULL && order('b')->retries != NULL);
	play("w1 x100");
	CHECK(pasts.count == 0);
}

static void the_next_to_go_says_when(void)
{
	printf("past: it says when something of it is too old\n");
	begin();
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == UINT64_MAX);
	play("oa w5 ob w7");
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == PAST_MS_MIN - 12);
	play("ma1");
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == PAST_MS_MIN - 7);
	CHECK(pasts_left_ms(&pasts, now_ms, 2 * PAST_MS_MIN) == 2 * PAST_MS_MIN - 7);
	play("oc +c1");
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == 100);
	play("w200");
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == 0);
	play("x100");
	CHECK(pasts_left_ms(&pasts, now_ms, 100) == PAST_MS_MIN - 207);
}

static void what_is_gone(void)
{
	static const struct {
		const char *script;
		uint64_t gone;
	} rows[] = {
		{"oa", 0},
		{"ma5", 5},
		{"ma5 +a5", 4},
		{"ma5 <a1-5", 0},
		{"ma5 <a3-5 +a6", 2},
		{"ma5 <a3-4", 5},
		{"ma5 +a1 +a3 +a4 +a5", 2},
		{"oa +a1", 0}, /* perhaps it was not committed */
	};
	printf("past: it says from where on all of an order is here\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		begin();
		play(rows[i].script);
		CHECK(past_gone(order('a')) == rows[i].gone);
	}
}

static void put_between(void)
{
	static const uint64_t put[] = {5, 3, 9, 7, 1, 5, 9}, held[] = {1, 3, 5, 7, 9};
	struct record *last = NULL;
	printf("past: what is put goes to its place, and the last one of a number stays\n");
	begin();
	struct past *past = pasts_open(&pasts, 'a', now_ms);
	for (size_t i = 0; i < COUNT_OF(put); i++) {
		struct record *record = make('a', put[i]);
		CHECK(past_put(past, record, (uint32_t)now_ms));
		record_drop(record);
		last = record; /* the list holds it */
	}
	CHECK(past->count == COUNT_OF(held) && past->items[COUNT_OF(held) - 1].record == last);
	for (size_t i = 0; i < COUNT_OF(held); i++)
		CHECK(past->items[i].record->seq == held[i]);
}

static void without_memory(void)
{
	printf("past: without memory it is as it was\n");
	begin();
	play("oa +a3 +a4 +a5 +a6");
	struct record *next = make('a', 7);
	struct past_item older = {make('a', 2), 0};
	struct buf before = {0}, after = {0};
	write_held(&before);
	order('a')->room = order('a')->count; /* full */
	failing_arm(1, FAILING_ALL_FROM);
	bool is_added = past_add(order('a'), next, 0);
	bool is_extended = past_extend(order('a'), &older, 1);
	bool is_put = past_put(order('a'), older.record, 0);
	bool is_opened = pasts_open(&pasts, 'b', now_ms) != NULL;
	bool is_marked = pasts_mark(&pasts, 'b', 1, now_ms);
	CHECK(failing_disarm() == 5);
	CHECK(!is_added && !is_extended && !is_put && !is_opened && !is_marked);
	write_held(&after);
	CHECK(slice_equals(buf_view(&before), buf_view(&after)));
	record_drop(next);
	record_drop(older.record);
	buf_free(&before);
	buf_free(&after);
}

int main(void)
{
	play_cases();
	streams_are_found();
	records_are_known_by_their_keys();
	it_keeps_its_keys();
	the_next_to_go_says_when();
	what_is_gone();
	put_between();
	without_memory();
	begin();
	return 0;
}
