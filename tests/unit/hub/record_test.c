/* What a record keeps of a publication, and how threads share it and its encodings. */
#include "hub/record.h"

#include <pthread.h>

#include "base/check.h"
#include "starling/limits.h"

#define THREADS 4
#define ROUNDS 2000

/* Makes strings of these lengths, each filled with a letter of its own. */
struct lengths {
	size_t channel, event, user, key, idempotency_key, payload;
};

static const struct {
	const char *name;
	struct lengths lengths;
} shapes[] = {
	{"a channel and nothing else", {1, 0, 0, 0, 0, 0}},
	{"a channel and a payload", {6, 0, 0, 0, 0, 20}},
	{"every string there is", {6, 5, 4, 3, 2, 1}},
	{"a key without a user", {6, 0, 0, 3, 0, 10}},
	{"each as long as it may be",
         {CHANNEL_NAME_MAX, EVENT_NAME_MAX, USER_NAME_MAX, MESSAGE_KEY_MAX, IDEMPOTENCY_KEY_MAX,
          300}},
};

static struct slice filled(char letter, size_t len)
{
	static char room[6][300];
	char *at = room[letter - 'a'];
	memset(at, letter, sizeof(room[0]));
	return slice_of(len == 0 ? NULL : at, len);
}

static struct record *record_of(const struct lengths *lengths)
{
	struct publication publication = {
		.channel = filled('a', lengths->channel),
		.event = filled('b', lengths->event),
		.user = filled('c', lengths->user),
		.key = filled('d', lengths->key),
		.idempotency_key = filled('e', lengths->idempotency_key),
		.payload = filled('f', lengths->payload),
		.is_binary = lengths->payload == 20,
		.except = 77,
	};
	struct record *record = record_make(&publication, 4711);
	CHECK(record != NULL);
	return record;
}

static void check_shape(const struct lengths *lengths)
{
	struct record *record = record_of(lengths);
	size_t strings = lengths->channel + lengths->event + lengths->user + lengths->key +
	                 lengths->idempotency_key + lengths->payload;
	CHECK(slice_equals(record_channel(record), filled('a', lengths->channel)));
	CHECK(slice_equals(record_event(record), filled('b', lengths->event)));
	CHECK(slice_equals(record_user(record), filled('c', lengths->user)));
	CHECK(slice_equals(record_key(record), filled('d', lengths->key)));
	CHECK(slice_equals(record_idempotency_key(record), filled('e', lengths->idempotency_key)));
	CHECK(slice_equals(record_payload(record), filled('f', lengths->payload)));
	CHECK(record_bytes(record) == sizeof(*record) + strings);
	CHECK(record->channel_hash == 4711);
	CHECK(record->except == 77);
	CHECK(record->is_binary == (lengths->payload == 20));
	record_drop(record);
}

static void check_settled(void)
{
	struct record *record = record_of(&(struct lengths){.channel = 1});
	CHECK(record->seq == 0);
	record_settle(record, 5, 6, 7, 8);
	CHECK(record->epoch == 5);
	CHECK(record->seq == 6);
	CHECK(record->unix_ms == 7);
	CHECK(record->offset == 8);
	record_drop(record);
}

static void check_counted(void)
{
	struct record *record = record_of(&(struct lengths){.channel = 1});
	CHECK(record_take(record) == record);
	CHECK(record->refs == 2);
	record_drop(record);
	CHECK(record->refs == 1);
	CHECK(slice_is(record_channel(record), "a"));
	record_drop(record);
}

/* ---- encodings ---- */

static _Atomic int encoded;

static struct blob *encode_channel(const struct record *record)
{
	encoded++;
	return blob_copy(record_channel(record));
}

static struct blob *encode_never(const struct record *record)
{
	(void)record;
	return NULL;
}

static void check_wires(void)
{
	struct record *record = record_of(&(struct lengths){.channel = 3});
	record_settle(record, 1, 1, 1, 0);
	encoded = 0;
	for (unsigned wire = 0; wire < RECORD_WIRES; wire++) {
		const struct blob *made = record_wire(record, wire, encode_channel);
		CHECK(slice_is(blob_view(made), "aaa"));
		CHECK(record_wire(record, wire, encode_channel) == made);
		CHECK(record_wire(record, wire, encode_never) == made);
		CHECK(encoded == (int)wire + 1);
	}
	record_drop(record);
}

static void check_refused_wire(void)
{
	struct record *record = record_of(&(struct lengths){.channel = 3});
	record_settle(record, 1, 1, 1, 0);
	CHECK(record_wire(record, 0, encode_never) == NULL);
	CHECK(record_wire(record, 0, encode_channel) != NULL); /* there may be memory again */
	record_drop(record);
}

static struct record *shared[ROUNDS];
static const struct blob *made_by[THREADS][ROUNDS];
static pthread_barrier_t start;

static void *encode_all(void *argument)
{
	const struct blob **made = argument;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 100 == 0)
			pthread_barrier_wait(&start);
		struct record *mine = record_take(shared[i]);
		made[i] = record_wire(mine, 1, encode_channel);
		CHECK(slice_is(blob_view(made[i]), "aaa"));
		record_drop(mine);
	}
	return NULL;
}

/* Whoever is first makes it, and all are given that one. */
static void check_threads(void)
{
	pthread_t threads[THREADS];
	CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		shared[i] = record_of(&(struct lengths){.channel = 3});
		record_settle(shared[i], 1, 1, 1, 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, encode_all, made_by[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 1; k < THREADS; k++)
			CHECK(made_by[k][i] == made_by[0][i]);
		record_drop(shared[i]);
	}
	pthread_barrier_destroy(&start);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"it gets its place once", check_settled},
	{"it lives while somebody holds it", check_counted},
	{"each encoding is made once", check_wires},
	{"an encoding that was refused is tried again", check_refused_wire},
	{"threads that encode at once share one encoding", check_threads},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		printf("record: keeps %s\n", shapes[i].name);
		check_shape(&shapes[i].lengths);
	}
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("record: %s\n", cases[i].name);
		cases[i].run();
	}
	return 0;
}
