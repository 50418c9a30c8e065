/* What a slab promises, case by case; then a seeded run beside a list of handles. */
#include "base/slab.h"

#include <errno.h>
#include <string.h>

#include "base/random.h"

#define COUNT_MAX 5000
#define STEPS 200000

struct item {
	uint32_t generation;
	uint32_t number;
	char padding[192]; /* 327 in a chunk */
};

static struct slab slab;

static void begin(uint32_t count_max)
{
	CHECK(slab_init(&slab, sizeof(struct item), count_max) == 0);
}

static void release_all(void)
{
	for (uint32_t i = 0; i < slab_span(&slab); i++) {
		struct item *item = slab_by_index(&slab, i);
		if (item != NULL)
			slab_release(&slab, item);
	}
	CHECK(slab.count == 0);
}

static uint32_t chunks_held(void)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < slab.chunk_slots; i++)
		count += slab.chunks[i] != NULL;
	return count;
}

static struct item *take(uint32_t number)
{
	struct item *item = slab_take(&slab);
	CHECK(item != NULL);
	CHECK(item->number == 0);
	item->number = number;
	memset(item->padding, 0xff, sizeof(item->padding));
	return item;
}

static void empty_costs_nothing(void)
{
	CHECK(chunks_held() == 0);
	CHECK(slab_span(&slab) == 0);
	CHECK(slab_by_index(&slab, 0) == NULL);
	CHECK(slab_at(&slab, (struct slab_handle){0}) == NULL);
}

static void comes_zeroed(void)
{
	static const char zeros[sizeof(((struct item *)0)->padding)];
	slab_release(&slab, take(1));
	struct item *item = slab_take(&slab);
	CHECK(item != NULL);
	CHECK(item->generation != 0);
	CHECK(item->number == 0);
	CHECK(memcmp(item->padding, zeros, sizeof(zeros)) == 0);
}

static void handle_finds(void)
{
	struct item *items[1000];
	for (uint32_t i = 0; i < COUNT_OF(items); i++)
		items[i] = take(i);
	for (uint32_t i = 0; i < COUNT_OF(items); i++) {
		struct slab_handle handle = slab_handle_of(&slab, items[i]);
		CHECK(handle.generation == items[i]->generation);
		CHECK(slab_at(&slab, handle) == items[i]);
		CHECK(slab_by_index(&slab, handle.index) == items[i]);
		CHECK(items[i]->number == i);
	}
}

static void stale_finds_nothing(void)
{
	struct item *item = take(1);
	struct slab_handle handle = slab_handle_of(&slab, item);
	slab_release(&slab, item);
	CHECK(slab_at(&slab, handle) == NULL);
	struct item *heir = take(2);
	CHECK(heir == item); /* the same place */
	CHECK(slab_handle_of(&slab, heir).index == handle.index);
	CHECK(slab_at(&slab, handle) == NULL);
	CHECK(slab_at(&slab, slab_handle_of(&slab, heir)) == heir);
}

static void strange_finds_nothing(void)
{
	struct slab_handle handle = slab_handle_of(&slab, take(1));
	CHECK(slab_at(&slab, (struct slab_handle){handle.index, 0}) == NULL);
	CHECK(slab_at(&slab, (struct slab_handle){handle.index + 1, handle.generation}) == NULL);
	CHECK(slab_at(&slab, (struct slab_handle){UINT32_MAX, handle.generation}) == NULL);
}

static void generations_skip_zero(void)
{
	slab.generation = UINT32_MAX - 1;
	CHECK(take(1)->generation == UINT32_MAX);
	CHECK(take(2)->generation == 1);
}

static void full_is_an_answer(void)
{
	slab_free(&slab);
	begin(700);
	struct item *last = NULL;
	for (uint32_t i = 0; i < 700; i++)
		last = take(i);
	CHECK(slab_take(&slab) == NULL);
	CHECK(slab.count == 700);
	slab_release(&slab, last);
	CHECK(slab_take(&slab) != NULL);
	CHECK(slab_take(&slab) == NULL);
}

static void bound_may_move(void)
{
	slab_free(&slab);
	begin(2);
	struct item *first = take(0);
	take(1);
	CHECK(slab_take(&slab) == NULL);
	slab_set_max(&slab, 3);
	take(2);
	slab_set_max(&slab, 1);
	slab_release(&slab, first);
	CHECK(slab_take(&slab) == NULL);
	CHECK(slab.count == 2);
}

static void gives_chunks_back(void)
{
	uint32_t per_chunk = slab.per_chunk;
	CHECK(per_chunk * sizeof(struct item) <= SLAB_CHUNK_BYTES);
	CHECK((per_chunk + 1) * sizeof(struct item) > SLAB_CHUNK_BYTES - 64);
	for (uint32_t i = 0; i < 10 * per_chunk; i++)
		take(i);
	CHECK(chunks_held() == 10);
	release_all();
	CHECK(chunks_held() == 1); /* for the next one */
	slab_release(&slab, take(1));
	CHECK(chunks_held() == 1);
}

static void fills_chunks_that_came_free(void)
{
	uint32_t per_chunk = slab.per_chunk;
	for (uint32_t i = 0; i < 3 * per_chunk; i++)
		take(i);
	for (uint32_t i = per_chunk; i < 2 * per_chunk; i++)
		slab_release(&slab, slab_by_index(&slab, i));
	for (uint32_t i = 0; i < per_chunk; i++)
		take(i);
	CHECK(chunks_held() == 3);
	CHECK(slab_span(&slab) >= 3 * per_chunk);
	CHECK(slab_by_index(&slab, 2 * per_chunk - 1) != NULL);
}

/* Nobody walks over places that no object has reached. */
static void span_is_what_was_reached(void)
{
	uint32_t per_chunk = slab.per_chunk;
	for (uint32_t i = 0; i < 3; i++)
		take(i);
	CHECK(slab_span(&slab) == 3);
	for (uint32_t i = 3; i < 2 * per_chunk + 5; i++)
		take(i);
	CHECK(slab_span(&slab) == 2 * per_chunk + 5);
	for (uint32_t i = per_chunk; i < 2 * per_chunk; i++)
		slab_release(&slab, slab_by_index(&slab, i));
	CHECK(slab_span(&slab) == 2 * per_chunk + 5); /* the last one is behind a gap */
	slab_release(&slab, slab_by_index(&slab, 0)); /* so that no empty chunk is to stay */
	for (uint32_t i = 2 * per_chunk; i < 2 * per_chunk + 5; i++)
		slab_release(&slab, slab_by_index(&slab, i));
	CHECK(slab_span(&slab) == per_chunk);
}

/* Handles of all objects, and of some that have died; each in a slot of its own. */
static struct {
	struct slab_handle handle, stale;
	struct item *item; /* NULL: dead */
} model[COUNT_MAX];

static void model_step(struct random *random, uint32_t alive_percent)
{
	uint32_t i = random_below(random, COUNT_MAX);
	bool is_wanted = random_below(random, 100) < alive_percent;
	if (model[i].item == NULL && is_wanted) {
		model[i].item = take(i);
		model[i].handle = slab_handle_of(&slab, model[i].item);
	} else if (model[i].item != NULL && !is_wanted) {
		slab_release(&slab, model[i].item);
		model[i].item = NULL;
		model[i].stale = model[i].handle;
	}
	CHECK(slab_at(&slab, model[i].stale) == NULL);
	if (model[i].item == NULL)
		return;
	CHECK(slab_at(&slab, model[i].handle) == model[i].item);
	CHECK(model[i].item->number == i);
}

static uint32_t walk(void)
{
	uint32_t met = 0;
	for (uint32_t i = 0; i < slab_span(&slab); i++) {
		const struct item *item = slab_by_index(&slab, i);
		if (item == NULL)
			continue;
		CHECK(model[item->number].item == item);
		CHECK(model[item->number].handle.index == i);
		met++;
	}
	return met;
}

static void any_steps(void)
{
	struct random random = {.state = 1};
	for (int i = 0; i < STEPS; i++) {
		uint32_t alive_percent = i / 20000 % 2 == 0 ? 90 : 10;
		model_step(&random, alive_percent);
		if (i % 5000 == 0)
			CHECK(walk() == slab.count);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"an empty one holds no memory", empty_costs_nothing},
	{"an object comes zeroed, but for its generation", comes_zeroed},
	{"a handle finds its object among many", handle_finds},
	{"a handle of the dead finds nothing, also not the heir", stale_finds_nothing},
	{"a handle that was never given out finds nothing", strange_finds_nothing},
	{"no generation is 0, when they begin again either", generations_skip_zero},
	{"full is an answer, until one is released", full_is_an_answer},
	{"the bound may be moved, below what there is too", bound_may_move},
	{"chunks without objects are given back, but one", gives_chunks_back},
	{"free places are used before there are new chunks", fills_chunks_that_came_free},
	{"its span ends where no object was, however many may come", span_is_what_was_reached},
	{"any mix of calls finds the living, and only them", any_steps},
};

static const struct {
	const char *name;
	size_t item_bytes;
	uint32_t count_max;
} refused[] = {
	{"objects smaller than a free place are refused", 8, 1},
	{"objects of no whole words are refused", 20, 1},
	{"objects too large for a chunk are refused", SLAB_CHUNK_BYTES / 8 + 8, 1},
	{"a slab for nothing is refused", 64, 0},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("slab: %s\n", cases[i].name);
		begin(COUNT_MAX);
		cases[i].run();
		release_all();
		slab_free(&slab);
		CHECK(slab.chunks == NULL);
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		printf("slab: %s\n", refused[i].name);
		CHECK(slab_init(&slab, refused[i].item_bytes, refused[i].count_max) == -EINVAL);
	}
	return 0;
}
