/*
 * The latest of each key by scripts, each played twice: with the hash of each key, and with one
 * for all. Keys are letters; "." is a record without a key.
 *   +k     the next record has key k             w<n>  n ms pass
 *   <k<n>  an older record, number n, of key k   x<n>  what is n ms old goes
 *   l<n>   those up to number n are lost         m<n>  there is room for n keys
 */
#include "hub/latest.h"

#include "../../failing.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"

#define RECORDS_MAX 20000u
#define MODEL_KEYS 26

static const struct {
	const char *name;
	uint32_t count_max;
	uint64_t next; /* number of the first record */
	const char *script;
	const char *held; /* keys and numbers, in order */
	uint64_t lost;
} cases[] = {
	{"a new one holds nothing", 3, 1, "", "", 0},
	{"each key has its record", 3, 1, "+a +b +c", "a1 b2 c3", 0},
	{"a newer record takes the place of its key's", 3, 1, "+a +b +a", "b2 a3", 0},
	{"one key alone holds one record", 3, 1, "+a +a +a +a", "a4", 0},
	{"no key is a key too", 3, 1, "+. +a +. +b", "a2 .3 b4", 0},
	{"the key longest unchanged makes room", 2, 1, "+a +b +c", "b2 c3", 1},
	{"a change keeps a key from making room", 2, 1, "+a +b +a +c", "a3 c4", 2},
	{"a key that made room may come again", 2, 1, "+a +b +c +a", "c3 a4", 2},
	{"with room for one the newest is held", 1, 1, "+a +b +b +c", "c4", 3},
	{"a change in a full one makes no room", 2, 1, "+a +b +b +a", "b3 a4", 0},
	{"numbers may be large", 2, UINT64_MAX - 9, "+a +b",
         "a18446744073709551606 b18446744073709551607", 0},
	{"a record stays until its age", 3, 1, "+a w99 x100", "a1", 0},
	{"and goes at its age", 3, 1, "+a w100 x100", "", 1},
	{"the young stay", 3, 1, "+a w60 +b w60 x100", "b2", 1},
	{"a change makes a key young", 3, 1, "+a +b w60 +a w60 x100", "a3", 2},
	{"all may be too old", 3, 1, "+a +b +c w500 x100", "", 3},
	{"after that it is as new", 3, 1, "+a w500 x100 +a +b", "a2 b3", 1},
	{"an older record stands in its place", 5, 10, "+a +b <c5", "c5 a10 b11", 0},
	{"older records may come in any order", 5, 10, "+a <d7 <c5 <e6", "c5 e6 d7 a10", 0},
	{"and between others", 5, 10, "+a +b +a +a <c12", "b11 c12 a13", 0},
	{"an older record of a key held changes nothing", 5, 10, "+a <a5", "a10", 0},
	{"an older one comes into an empty one", 5, 10, "<a5 <b7", "a5 b7", 0},
	{"and gives way to its key's next", 5, 10, "<a5 <b7 +a", "b7 a10", 0},
	{"no two records have one number", 5, 10, "+a <b5 <c5 <d10", "b5 a10", 0},
	{"an older record that finds no room is lost", 2, 10, "+a +b <c5", "a10 b11", 5},
	{"one of a key held is not", 1, 10, "+a <a5", "a10", 0},
	{"it takes the room of one still older", 2, 10, "<a3 +b <c5", "c5 b10", 3},
	{"what was lost before does not come again", 2, 10, "+a +b +c <d9", "b11 c12", 10},
	{"nor where there is room", 3, 10, "+a w100 x100 <d9 <e10 <f11", "f11", 10},
	{"what is lost elsewhere is not found here", 5, 10, "+a +b +c l11", "c12", 11},
	{"though there was nothing", 5, 10, "l11 <a11 <b12", "b12", 11},
	{"elsewhere less may be lost", 2, 10, "+a +b +c l9", "b11 c12", 10},
	{"an older one is the first to make room", 2, 10, "<c5 +a +b", "a10 b11", 5},
	{"with less room the longest unchanged go", 3, 1, "+a +b +c m1", "c3", 2},
	{"with more room there are more", 1, 1, "+a +b m2 +c", "b2 c3", 1},
};

static struct latest latest;
static uint64_t now_ms, next;
static bool has_one_hash;
static struct record *records[RECORDS_MAX]; /* all that were made, one reference each */
static size_t record_count;

static uint64_t hash_of(struct slice key)
{
	static const struct hash_key hash_key = {{1, 2}};
	return has_one_hash ? 7 : hash_bytes(&hash_key, key);
}

static struct slice key_of(const char *letter)
{
	return slice_of(letter, *letter == '.' ? 0 : 1);
}

static struct record *record_of(struct slice key, uint64_t seq)
{
	struct publication publication = {.channel = SLICE("c"), .key = key, .payload = SLICE("1")};
	struct record *record = record_make(&publication, 0);
	CHECK(record != NULL);
	CHECK(record_count < RECORDS_MAX);
	record_settle(record, 1, seq, 0, 0);
	records[record_count++] = record;
	return record;
}

static void put(const char *letter)
{
	struct slice key = key_of(letter);
	CHECK(latest_reserve(&latest));
	latest_put(&latest, record_of(key, next++), hash_of(key), now_ms);
}

static void put_older(const char *letter, uint64_t seq)
{
	struct slice key = key_of(letter);
	CHECK(latest_put_older(&latest, record_of(key, seq), hash_of(key), now_ms));
}

/* Walking brings all, rising, no key twice, and from each number on what has that or more. */
static void check_walk(void)
{
	uint32_t count = 0;
	uint64_t before = 0, seen = 0;
	const struct latest_entry *entry = latest_from(&latest, 0);
	for (; entry != NULL; entry = latest_after(&latest, entry), count++) {
		uint64_t seq = entry->record->seq;
		struct slice key = record_key(entry->record);
		uint64_t bit = 1ull << (key.len == 0 ? 0 : key.at[0] - 'a' + 1);
		CHECK(seq > before);
		CHECK((seen & bit) == 0);
		CHECK(latest_from(&latest, before + 1) == entry);
		CHECK(latest_from(&latest, seq) == entry);
		seen |= bit;
		before = seq;
	}
	CHECK(latest_from(&latest, before + 1) == NULL);
	CHECK(count == latest.count);
	CHECK(count <= latest.count_max);
}

static uint64_t number(const char **at)
{
	uint64_t value;
	size_t len = strcspn(*at, " ");
	CHECK(text_to_u64(slice_of(*at, len), &value));
	*at += len;
	return value;
}

static void play_one(char what, const char **at)
{
	const char *letter = *at;
	switch (what) {
	case '+':
		++*at;
		put(letter);
		break;
	case '<':
		++*at;
		put_older(letter, number(at));
		break;
	case 'w':
		now_ms += number(at);
		break;
	case 'l':
		latest_lose(&latest, number(at));
		break;
	case 'm':
		latest_set_max(&latest, (uint32_t)number(at));
		break;
	default:
		CHECK(what == 'x');
		latest_expire(&latest, now_ms, number(at));
	}
	check_walk();
}

static void expect_held(const char *held)
{
	struct buf text = {0};
	const struct latest_entry *entry = latest_from(&latest, 0);
	for (; entry != NULL; entry = latest_after(&latest, entry)) {
		struct slice key = record_key(entry->record);
		if (text.len > 0)
			buf_char(&text, ' ');
		buf_slice(&text, key.len == 0 ? SLICE(".") : key);
		buf_u64(&text, entry->record->seq);
	}
	CHECK(slice_is(buf_view(&text), held));
	buf_free(&text);
}

/* What was reserved is there when memory is not; a key that is known needs none. */
static void check_reserve(void)
{
	struct slice key = SLICE("a");
	struct record *first = record_of(key, 10), *second = record_of(key, 11);
	struct record *older = record_of(SLICE("b"), 1);
	CHECK(latest_reserve(&latest));
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(latest_reserve(&latest));
	latest_put(&latest, first, hash_of(key), now_ms);
	latest_put(&latest, second, hash_of(key), now_ms);
	CHECK(!latest_reserve(&latest));
	CHECK(!latest_put_older(&latest, older, hash_of(record_key(older)), now_ms));
	CHECK(failing_disarm() == 2);
	expect_held("a11");
	CHECK(latest.lost == 0);
}

/* ---- against an array ---- */

static void check_any_steps(void)
{
	struct random random = {.state = 1};
	uint64_t model[MODEL_KEYS] = {0}, lost = 0;
	for (size_t step = 0; step < RECORDS_MAX; step++) {
		uint32_t k = random_below(&random, MODEL_KEYS);
		uint32_t count = 0, oldest = MODEL_KEYS;
		for (uint32_t i = 0; i < MODEL_KEYS; i++) {
			count += model[i] != 0;
			if (model[i] != 0 && (oldest == MODEL_KEYS || model[i] < model[oldest]))
				oldest = i;
		}
		if (model[k] == 0 && count == latest.count_max) {
			lost = model[oldest];
			model[oldest] = 0;
		}
		model[k] = next;
		put(&"abcdefghijklmnopqrstuvwxyz"[k]);
		check_walk();
		CHECK(latest.lost == lost);
		for (uint32_t i = 0; i < MODEL_KEYS; i++) {
			const struct latest_entry *entry = latest_from(&latest, model[i]);
			CHECK(model[i] == 0 || entry->record->seq == model[i]);
		}
	}
}

/* ---- how far it looks ---- */

#define MANY 300u

static struct {
	struct latest_entry *entry;
	struct record *record;
} hidden[2 * MANY];
static size_t hidden_count;

static bool is_near(uint64_t seq, uint64_t to)
{
	return seq + 2 >= to && seq <= to + 2;
}

/* Who looks at an entry that is neither near these numbers nor the last one ends the test: it has
 * no record. */
static void hide_all_but(uint64_t one, uint64_t other)
{
	struct list_node *node = list_first(&latest.in_order);
	for (; node != NULL; node = list_after(&latest.in_order, node)) {
		struct latest_entry *entry = CONTAINER_OF(node, struct latest_entry, in_order);
		struct record *record = entry->record;
		uint64_t seq = record->seq;
		if (is_near(seq, one) || is_near(seq, other) || seq + 1 == next)
			continue;
		hidden[hidden_count].entry = entry;
		hidden[hidden_count++].record = record;
		entry->record = NULL;
	}
}

static void show_all(void)
{
	for (; hidden_count > 0; hidden_count--)
		hidden[hidden_count - 1].entry->record = hidden[hidden_count - 1].record;
}

/* Each has a key of its own. */
static struct record *numbered(uint64_t seq)
{
	char key[8];
	int len = snprintf(key, sizeof(key), "%u", (unsigned)seq);
	return record_of(slice_of(key, (size_t)len), seq);
}

static void put_many(void)
{
	for (uint32_t i = 0; i < MANY; i++, next++) {
		CHECK(latest_reserve(&latest));
		latest_put(&latest, numbered(next), next, now_ms);
	}
}

static void look_for(uint64_t seq, uint64_t before)
{
	hide_all_but(seq, before);
	CHECK(latest_from(&latest, seq)->record->seq == seq);
	show_all();
}

/* As who saves all of them does; and followers, who lack the last one. */
static void check_looks(void)
{
	put_many();
	for (uint64_t seq = next - 1; seq > 0; seq--)
		look_for(seq, seq + 1);
	for (uint64_t seq = 1; seq < next; seq++)
		look_for(seq, seq - 1);
	CHECK(latest_from(&latest, MANY / 2) != NULL);
	look_for(next - 1, MANY / 2);
	hide_all_but(next - 1, next - 1);
	CHECK(latest_from(&latest, next) == NULL);
	show_all();
}

static void put_number(uint64_t seq)
{
	hide_all_but(seq, MANY + 1); /* the first of those that were there */
	CHECK(latest_put_older(&latest, numbered(seq), seq, now_ms));
	show_all();
}

/* As they are restored, or taken out of an answer, in front of others. */
static void check_older_in_order(bool is_rising)
{
	put_many();
	(void)latest_from(&latest, next - MANY);
	for (uint64_t i = 1; i <= MANY; i++)
		put_number(is_rising ? i : MANY + 1 - i);
	const struct latest_entry *entry = latest_from(&latest, 0);
	for (uint64_t seq = 1; seq < next; seq++, entry = latest_after(&latest, entry))
		CHECK(entry->record->seq == seq);
	CHECK(entry == NULL);
}

static void begin(uint32_t count_max, uint64_t first)
{
	now_ms = UINT32_MAX - 120; /* ages are counted across the end of 32 bits */
	next = first;
	CHECK(latest_init(&latest, count_max) == 0);
}

/* Every reference that was taken is given back. */
static void end(void)
{
	latest_free(&latest);
	for (; record_count > 0; record_count--) {
		CHECK(records[record_count - 1]->refs == 1);
		record_drop(records[record_count - 1]);
	}
}

static void run_all(void)
{
	const char *where = has_one_hash ? ", in one bucket" : "";
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("latest: %s%s\n", cases[i].name, where);
		begin(cases[i].count_max, cases[i].next);
		for (const char *at = cases[i].script; *at != '\0';) {
			char what = *at++;
			if (what != ' ')
				play_one(what, &at);
		}
		expect_held(cases[i].held);
		CHECK(latest.lost == cases[i].lost);
		end();
	}
	printf("latest: what was reserved is there when memory is not%s\n", where);
	begin(10, 10);
	check_reserve();
	end();
	printf("latest: a search begins at the end, and where the last one was%s\n", where);
	begin(MANY, 1);
	check_looks();
	end();
	printf("latest: older ones that come in order are put in without one%s\n", where);
	for (int is_rising = 0; is_rising < 2; is_rising++) {
		begin(2 * MANY, MANY + 1);
		check_older_in_order(is_rising);
		end();
	}
	printf("latest: any mix of keys holds what an array says%s\n", where);
	begin(10, 1);
	check_any_steps();
	end();
}

int main(void)
{
	run_all();
	has_one_hash = true;
	run_all();
	return 0;
}
