/*
 * A log by scripts. Letters of a script, which `count` in front repeats:
 *   a   a record is appended              t<n>  trimmed to the last n, whatever their age
 *   s<n> a follower comes to n            l<n>  one leaves n
 *   e<n> extended by n older records      w<n>  n ms pass
 *   x<n> trimmed of what is n ms old      f<n>  the first record held within n ms is
 * and then "=first,next" of what is held; f<n> gives the number behind it.
 */
#include "hub/log.h"

#include "base/random.h"

#define STEPS 30000
#define FOLLOWERS 12

static const struct {
	const char *name;
	uint64_t next;
	const char *script;
} cases[] = {
	{"a new one holds nothing", 1, "=1,1"},
	{"records are held in a row", 1, "aaa=1,4"},
	{"it may begin anywhere", 1000000, "aa=1000000,1000002"},
	{"trimming keeps the last ones", 1, "aaaaa t2=4,6"},
	{"trimming to none keeps none", 1, "aaa t0=4,4"},
	{"trimming to more than there are keeps all", 1, "aa t5=1,3"},
	{"where a follower stands nothing goes", 1, "aaa s2 t0=2,4 l2 t0=4,4"},
	{"behind a follower nothing goes either", 1, "aaa s1 t1=1,4 l1 t1=3,4"},
	{"two may stand on one place", 1, "aaa s2 s2 t0=2,4 l2 t0=2,4 l2 t0=4,4"},
	{"who has all holds nothing back", 1, "aaa s4 t0=4,4 l4"},
	{"who waits for a record holds it when it comes", 1, "a s2 aa t0=2,4 l2 t0=4,4"},
	{"nobody can hold back what was before him", 1, "aaa s3 t0=3,4 l3"},
	{"records grow old together", 1, "aa w100 a x100=3,4 w100 x100=4,4"},
	{"a record is old from its age on", 1, "a w99 x100=1,2 w1 x100=2,2"},
	{"old ones stay while somebody wants them", 1, "a w500 s1 x100=1,2 l1 x100=2,2"},
	{"the first within an age is told without trimming", 1,
         "a w50 a w50 a f1000=1 f100=2 f60=2 f50=3 f1=3 w200 f200=4 =1,4"},
	{"older records come in front", 10, "aa e3=7,12"},
	{"an empty one is extended from its end", 10, "e4=6,10 a=6,11"},
	{"extending by nothing changes nothing", 10, "a e0=10,11"},
	{"extended twice", 10, "a e2=8,11 e5=3,11"},
	{"who stands keeps his place when older ones come", 10, "a s10 e3 t0=10,11 l10 t0=11,11"},
	{"an extended one trims from its new end", 10, "aa e5 t3=9,12"},
	{"records go round in their memory", 1, "aaaaaa t2 aaaaaa t2 aaaaaa t2=17,19"},
};

static struct log kept;
static uint64_t now_ms;

static struct record *record_of(uint64_t seq)
{
	struct publication publication = {.channel = SLICE("c"), .payload = SLICE("1")};
	struct record *record = record_make(&publication, 0);
	CHECK(record != NULL);
	record_settle(record, 1, seq, 0, 0);
	return record;
}

static void append(void)
{
	CHECK(log_append(&kept, record_of(log_next(&kept)), now_ms));
}

/* The log takes its own references. */
static void extend(uint64_t count)
{
	struct record *records[64] = {NULL};
	uint64_t first = log_first(&kept) - count;
	CHECK(count <= COUNT_OF(records));
	for (uint64_t i = 0; i < count; i++)
		records[i] = record_of(first + i);
	CHECK(log_extend(&kept, records, count, now_ms));
	for (uint64_t i = 0; i < count; i++) {
		CHECK(records[i]->refs == 2);
		record_drop(records[i]);
	}
}

static void trim_to(uint64_t count)
{
	uint64_t next = log_next(&kept);
	log_trim(&kept, next > count ? next - count : 0, now_ms, UINT64_MAX);
}

static void held_check(void)
{
	for (uint64_t seq = log_first(&kept); seq < log_next(&kept); seq++)
		CHECK(log_at(&kept, seq)->seq == seq);
}

static uint64_t number(const char **at)
{
	uint64_t value = 0;
	for (; **at >= '0' && **at <= '9'; ++*at)
		value = value * 10 + (uint64_t)(**at - '0');
	return value;
}

static void expect_held(const char **at)
{
	CHECK(log_first(&kept) == number(at));
	CHECK(*(*at)++ == ',');
	CHECK(log_next(&kept) == number(at));
}

static void expect_within(const char **at, uint64_t ttl_ms)
{
	CHECK(*(*at)++ == '=');
	CHECK(log_first_within(&kept, now_ms, ttl_ms) == number(at));
}

static void play_one(char what, uint64_t value, const char **at)
{
	switch (what) {
	case 'a':
		append();
		break;
	case 't':
		trim_to(value);
		break;
	case 's':
		log_stand(&kept, value);
		break;
	case 'l':
		log_leave(&kept, value);
		break;
	case 'e':
		extend(value);
		break;
	case 'w':
		now_ms += value;
		break;
	case 'x':
		log_trim(&kept, 0, now_ms, value);
		break;
	default:
		CHECK(what == 'f');
		expect_within(at, value);
	}
}

static void play(const char *script)
{
	for (const char *at = script; *at != '\0';) {
		char what = *at++;
		if (what == '=')
			expect_held(&at);
		else if (what != ' ')
			play_one(what, number(&at), &at);
		held_check();
	}
}

static void check_age(void)
{
	CHECK(log_age_ms(&kept, now_ms) == 0);
	append();
	now_ms += 70;
	append();
	CHECK(log_age_ms(&kept, now_ms) == 70);
	trim_to(1);
	CHECK(log_age_ms(&kept, now_ms) == 0);
	trim_to(0);
}

static void check_shrinks(void)
{
	for (int i = 0; i < 5000; i++)
		append();
	uint32_t large = kept.capacity;
	for (uint64_t count = 5000; count > 0; count = count * 9 / 10)
		trim_to(count);
	CHECK(kept.capacity < large / 8);
	held_check();
	trim_to(0);
	CHECK(kept.entries == NULL);
}

/* ---- against an array ---- */

static struct {
	uint64_t first, next;
	uint64_t standing[FOLLOWERS]; /* 0: stands nowhere */
} model;

static uint64_t lowest_standing(void)
{
	uint64_t lowest = model.next;
	for (int i = 0; i < FOLLOWERS; i++) {
		if (model.standing[i] != 0 && model.standing[i] < lowest)
			lowest = model.standing[i];
	}
	return lowest;
}

static void random_follower(struct random *random, uint64_t *standing)
{
	if (*standing != 0)
		log_leave(&kept, *standing);
	uint64_t from = *standing != 0 ? *standing : model.first;
	*standing = 0;
	if (random_below(random, 3) == 0)
		return;
	*standing = from + random_below(random, (uint32_t)(model.next - from) + 1);
	log_stand(&kept, *standing);
}

static void random_step(struct random *random)
{
	uint32_t what = random_below(random, 100);
	if (what < 40) {
		append();
		model.next++;
	} else if (what < 50) {
		uint64_t keep = random_below(random, 60);
		trim_to(keep);
		uint64_t by_count = model.next > keep ? model.next - keep : 0;
		uint64_t first = by_count < lowest_standing() ? by_count : lowest_standing();
		model.first = first > model.first ? first : model.first;
	} else if (what < 60) {
		uint64_t count = random_below(random, 20);
		count = count < model.first ? count : model.first - 1;
		extend(count);
		model.first -= count;
	} else {
		random_follower(random, &model.standing[random_below(random, FOLLOWERS)]);
	}
	CHECK(log_first(&kept) == model.first);
	CHECK(log_next(&kept) == model.next);
	held_check();
}

static void check_any_steps(void)
{
	struct random random = {.state = 1};
	model.first = model.next = 1;
	for (int i = 0; i < STEPS; i++)
		random_step(&random);
	for (int i = 0; i < FOLLOWERS; i++) {
		if (model.standing[i] != 0)
			log_leave(&kept, model.standing[i]);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} others[] = {
	{"the age is that of the oldest", check_age},
	{"memory goes with the records", check_shrinks},
	{"any mix of calls holds what an array says", check_any_steps},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("log: %s\n", cases[i].name);
		now_ms = UINT32_MAX - 120; /* ages are counted across the end of 32 bits */
		log_init(&kept, cases[i].next);
		play(cases[i].script);
		log_free(&kept);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		printf("log: %s\n", others[i].name);
		log_init(&kept, 1);
		others[i].run();
		log_free(&kept);
	}
	return 0;
}
