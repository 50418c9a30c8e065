/*
 * Idempotency keys by scripts, each played twice: with the hash of each key, and with one for all.
 *   +KEY   the next record is published under it       w<n>  n ms pass
 *   ?KEY=n it is known as the key of record n, 0: not  x     what is old is forgotten
 *   -KEY=n it is taken back, if it is record n's        #n    n are remembered
 */
#include "hub/duplicates.h"

#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "starling/limits.h"

#define STEPS 20000
#define MODEL_KEYS 40

static const struct {
	const char *name;
	const char *script;
} cases[] = {
	{"at first none is known", "?a=0 #0"},
	{"a key finds its record", "+a +b +c ?b=2 ?a=1 ?c=3 ?d=0 #3"},
	{"keys are compared whole", "+ab ?a=0 ?b=0 ?abc=0 ?ab=1"},
	{"capitals are other letters", "+a ?A=0 +A ?a=1 ?A=2"},
	{"a key is known for five minutes and no longer", "+a w299999 ?a=1 w1 ?a=0"},
	{"asking does not keep it", "+a w200000 ?a=1 w100000 ?a=0"},
	{"one that is too old is no answer, forgotten or not", "+a w300000 ?a=0 #1 x ?a=0 #0"},
	{"what is not old stays", "+a w100 +b w299900 x ?a=0 ?b=2 #1 w100 x #0"},
	{"adding forgets what is old", "+a +b w300000 +c #1 ?a=0 ?c=3"},
	{"an old key may come anew", "+a w300000 +a ?a=2 #1 w299999 ?a=2"},
	{"the last one is taken back", "+a +b -b=2 ?b=0 ?a=1 #1"},
	{"one that was taken back may come again", "+a +b -b=2 +b ?b=3 ?a=1 #2"},
	{"all may be taken back", "+a +b -b=2 -a=1 #0 ?a=0 +a ?a=3"},
	{"one of another record is not taken back", "+a +b -b=1 -c=2 ?b=2 ?a=1 #2"},
	{"forgetting in an empty one is nothing", "x #0 w300000 x #0"},
};

static struct duplicates kept;
static uint64_t now_ms, added;
static bool has_one_hash;

static uint64_t hash_of(struct slice key)
{
	static const struct hash_key hash_key = {{1, 2}};
	return has_one_hash ? 7 : hash_bytes(&hash_key, key);
}

static uint64_t find(struct slice key)
{
	return duplicates_find(&kept, key, hash_of(key), now_ms);
}

static void add(struct slice key)
{
	CHECK(duplicates_add(&kept, key, hash_of(key), ++added, now_ms));
	CHECK(find(key) == added);
}

static struct slice word(const char **at)
{
	size_t len = strcspn(*at, " =");
	struct slice word = slice_of(*at, len);
	*at += len;
	return word;
}

static uint64_t number(const char **at)
{
	uint64_t value;
	CHECK(text_to_u64(word(at), &value));
	return value;
}

static void expect_found(const char **at)
{
	struct slice key = word(at);
	CHECK(*(*at)++ == '=');
	CHECK(find(key) == number(at));
}

static void take_back(const char **at)
{
	struct slice key = word(at);
	CHECK(*(*at)++ == '=');
	duplicates_remove(&kept, key, hash_of(key), number(at));
}

static void play_one(char what, const char **at)
{
	switch (what) {
	case '+':
		add(word(at));
		break;
	case '?':
		expect_found(at);
		break;
	case 'w':
		now_ms += number(at);
		break;
	case 'x':
		duplicates_expire(&kept, now_ms);
		break;
	case '-':
		take_back(at);
		break;
	default:
		CHECK(what == '#');
		CHECK(kept.count == number(at));
	}
}

static void play(const char *script)
{
	for (const char *at = script; *at != '\0';) {
		char what = *at++;
		if (what != ' ')
			play_one(what, &at);
	}
}

static struct slice numbered(char text[TEXT_U64_MAX], uint64_t i)
{
	return slice_of(text, text_from_u64(text, i));
}

static void check_longest(void)
{
	char bytes[IDEMPOTENCY_KEY_MAX] = {0}; /* zeros are bytes like others */
	add(slice_of(bytes, sizeof(bytes)));
	add(slice_of(bytes, sizeof(bytes) - 1));
	CHECK(find(slice_of(bytes, sizeof(bytes))) == 1);
	CHECK(find(slice_of(bytes, sizeof(bytes) - 1)) == 2);
	CHECK(find(slice_of(bytes, sizeof(bytes) - 2)) == 0);
}

static void check_copies(void)
{
	char bytes[] = "mine";
	add(slice_of(bytes, 4));
	bytes[0] = 'x';
	CHECK(find(SLICE("mine")) == 1);
	CHECK(find(SLICE("xine")) == 0);
}

static void check_full(void)
{
	char text[TEXT_U64_MAX];
	CHECK(duplicates_age_ms(&kept, now_ms) == 0);
	for (uint64_t i = 1; i <= DUPLICATES_MAX; i++)
		add(numbered(text, i));
	CHECK(kept.count == DUPLICATES_MAX);
	CHECK(duplicates_age_ms(&kept, now_ms + 7) == 7);
	CHECK(find(numbered(text, 1)) == 1);
	for (uint64_t i = 1; i <= 3; i++) {
		add(numbered(text, DUPLICATES_MAX + i));
		CHECK(kept.count == DUPLICATES_MAX);
		CHECK(find(numbered(text, i)) == 0);
		CHECK(find(numbered(text, i + 1)) == i + 1);
	}
}

static void check_any_steps(void)
{
	struct random random = {.state = 1};
	struct {
		uint64_t seq, added_ms; /* seq 0: never used */
	} model[MODEL_KEYS] = {{0}};
	char text[TEXT_U64_MAX];
	for (int i = 0; i < STEPS; i++) {
		uint32_t k = random_below(&random, MODEL_KEYS);
		struct slice key = numbered(text, k);
		bool is_known = model[k].seq != 0 && now_ms - model[k].added_ms < DUPLICATES_MS;
		CHECK(find(key) == (is_known ? model[k].seq : 0));
		if (!is_known) {
			add(key);
			model[k].seq = added;
			model[k].added_ms = now_ms;
		}
		now_ms += random_below(&random, DUPLICATES_MS / 30);
		if (random_below(&random, 20) == 0)
			duplicates_expire(&kept, now_ms);
		CHECK(kept.count <= MODEL_KEYS);
	}
}

static void check_ttl(void)
{
	kept.ttl_ms = 1000;
	add(SLICE("a"));
	now_ms += 999;
	CHECK(find(SLICE("a")) == 1);
	now_ms++;
	CHECK(find(SLICE("a")) == 0);
}

static void check_clear(void)
{
	add(SLICE("a"));
	add(SLICE("b"));
	duplicates_clear(&kept);
	CHECK(kept.count == 0 && find(SLICE("a")) == 0);
	add(SLICE("a"));
}

/* What is shown of one is restored in another, ages and all. */
static void check_copy(void)
{
	struct duplicates copy;
	struct duplicates_place place = {0};
	struct duplicate_shown shown;
	CHECK(duplicates_init(&copy) == 0);
	CHECK(!duplicates_show(&kept, &place, now_ms, &shown));
	add(SLICE("a"));
	now_ms += 10;
	add(SLICE("b"));
	while (duplicates_show(&kept, &place, now_ms, &shown))
		CHECK(duplicates_restore(&copy, shown.key, hash_of(shown.key), shown.seq,
		                         now_ms + 5000, shown.age_ms));
	CHECK(copy.count == 2);
	CHECK(duplicates_age_ms(&copy, now_ms + 5000) == 10);
	CHECK(duplicates_find(&copy, SLICE("b"), hash_of(SLICE("b")), now_ms + 5000) == 2);
	/* The same again is nothing, and what is too old is not taken. */
	CHECK(duplicates_restore(&copy, SLICE("a"), hash_of(SLICE("a")), 9, now_ms + 5000, 0));
	CHECK(duplicates_restore(&copy, SLICE("c"), hash_of(SLICE("c")), 9, now_ms + 5000,
	                         DUPLICATES_MS));
	CHECK(copy.count == 2);
	CHECK(duplicates_find(&copy, SLICE("a"), hash_of(SLICE("a")), now_ms + 5000) == 1);
	duplicates_free(&copy);
}

/* Of a copy those are restored that were there before what came meanwhile. */
static void check_behind_younger(void)
{
	struct slice younger = SLICE("a"), old = SLICE("b");
	struct duplicates_place place = {0};
	struct duplicate_shown shown;
	add(younger);
	CHECK(duplicates_restore(&kept, old, hash_of(old), ++added, now_ms, DUPLICATES_MS - 10));
	CHECK(duplicates_show(&kept, &place, now_ms, &shown));
	CHECK(duplicates_show(&kept, &place, now_ms, &shown) && slice_equals(shown.key, old));
	now_ms += 10;
	CHECK(find(old) == 0 && find(younger) != 0);
	add(old);
	CHECK(kept.count == 2);
	for (uint32_t i = 0; i < 2; i++) /* what was shown last has gone: from the start */
		CHECK(duplicates_show(&kept, &place, now_ms, &shown));
	CHECK(shown.seq == added && !duplicates_show(&kept, &place, now_ms, &shown));
	/* And it may be restored anew, but not beside itself. */
	CHECK(duplicates_restore(&kept, SLICE("c"), hash_of(SLICE("c")), ++added, now_ms,
	                         DUPLICATES_MS - 10));
	now_ms += 10;
	for (uint32_t i = 0; i < 2; i++)
		CHECK(duplicates_restore(&kept, SLICE("c"), hash_of(SLICE("c")), ++added, now_ms,
		                         0));
	CHECK(kept.count == 3 && find(SLICE("c")) == added - 1);
}

/* All that are there throughout are shown, whatever comes and goes meanwhile. */
static void check_shown_meanwhile(void)
{
	struct random random = {.state = 2};
	char text[TEXT_U64_MAX];
	for (int round = 0; round < 200; round++) {
		struct duplicates_place place = {0};
		struct duplicate_shown shown;
		uint64_t first = added + 1, next = first;
		duplicates_clear(&kept);
		for (int i = 0; i < 8; i++)
			add(numbered(text, added + 1));
		while (duplicates_show(&kept, &place, now_ms, &shown)) {
			CHECK(shown.seq <= next && find(shown.key) == shown.seq);
			next = shown.seq == next ? next + 1 : next;
			if (random_below(&random, 3) == 0 && added < first + 20)
				add(numbered(text, added + 1));
			struct slice newest = numbered(text, added);
			if (random_below(&random, 5) == 0 && added > first + 8)
				duplicates_remove(&kept, newest, hash_of(newest), added--);
		}
		CHECK(next > added);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} others[] = {
	{"another time to be known may be set", check_ttl},
	{"all are forgotten at once", check_clear},
	{"what is shown can be restored elsewhere", check_copy},
	{"one may be restored behind younger ones, and come anew", check_behind_younger},
	{"what comes and goes while it is shown leaves no hole", check_shown_meanwhile},
	{"the longest key is compared to its last byte", check_longest},
	{"keys are copied", check_copies},
	{"when it is full the oldest is forgotten", check_full},
	{"any mix of calls finds what an array says", check_any_steps},
};

static void begin(void)
{
	now_ms = UINT32_MAX - 120; /* ages are counted across the end of 32 bits */
	added = 0;
	CHECK(duplicates_init(&kept) == 0);
}

/* To fill one bucket takes each key past all before it, and shows nothing new. */
static bool is_too_long(void (*run)(void))
{
	return has_one_hash && run == check_full;
}

static void run_all(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("duplicates: %s%s\n", cases[i].name, has_one_hash ? ", in one bucket" : "");
		begin();
		play(cases[i].script);
		duplicates_free(&kept);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		if (is_too_long(others[i].run))
			continue;
		printf("duplicates: %s%s\n", others[i].name, has_one_hash ? ", in one bucket" : "");
		begin();
		others[i].run();
		duplicates_free(&kept);
	}
}

int main(void)
{
	run_all();
	has_one_hash = true;
	run_all();
	return 0;
}
