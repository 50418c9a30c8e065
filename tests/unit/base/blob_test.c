/* Counting, alone and by several threads that hold the same blob. */
#include "base/blob.h"

#include <pthread.h>

#include "base/check.h"

#define THREADS 4
#define ROUNDS 50000

static struct blob *shared;

static void copies_bytes(void)
{
	char text[] = "bytes\0 of all kinds";
	struct blob *blob = blob_copy(slice_of(text, sizeof(text)));
	CHECK(blob != NULL);
	text[0] = 'X';
	CHECK(blob_view(blob).len == sizeof(text));
	CHECK(memcmp(blob->bytes, "bytes\0 of all kinds", sizeof(text)) == 0);
	blob_drop(blob);
}

static void may_be_empty(void)
{
	struct blob *blob = blob_copy(slice_of(NULL, 0));
	CHECK(blob != NULL);
	CHECK(blob_view(blob).len == 0);
	blob_drop(blob);
	blob_drop(NULL);
}

static void made_to_be_written(void)
{
	struct blob *blob = blob_make(1000);
	CHECK(blob != NULL);
	memset(blob->bytes, 'x', 1000);
	CHECK(blob->len == 1000);
	blob_drop(blob);
}

static void too_large_is_refused(void)
{
	CHECK(blob_make((size_t)BLOB_BYTES_MAX + 1) == NULL);
	CHECK(blob_make(SIZE_MAX) == NULL);
}

static void lives_while_held(void)
{
	struct blob *blob = blob_copy(SLICE("held"));
	CHECK(blob != NULL);
	CHECK(blob_take(blob) == blob);
	CHECK(blob->refs == 2);
	blob_drop(blob);
	CHECK(slice_is(blob_view(blob), "held"));
	CHECK(blob->refs == 1);
	blob_drop(blob);
}

/* Takes and drops, and at last drops the reference it was started with. */
static void *hold(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct blob *mine = blob_take(shared);
		CHECK(slice_is(blob_view(mine), "shared"));
		blob_drop(mine);
	}
	blob_drop(shared);
	return unused;
}

/* The last of them frees it: the sanitizers see to it that it is one. */
static void held_by_threads(void)
{
	pthread_t threads[THREADS];
	shared = blob_copy(SLICE("shared"));
	CHECK(shared != NULL);
	for (int i = 0; i < THREADS; i++) {
		blob_take(shared);
		CHECK(pthread_create(&threads[i], NULL, hold, NULL) == 0);
	}
	blob_drop(shared);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"a copy has bytes of its own", copies_bytes},
	{"it may be empty, or nothing", may_be_empty},
	{"its maker writes the bytes", made_to_be_written},
	{"one too large is refused", too_large_is_refused},
	{"it lives while somebody holds it", lives_while_held},
	{"threads take and drop the same one", held_by_threads},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("blob: %s\n", cases[i].name);
		cases[i].run();
	}
	return 0;
}
