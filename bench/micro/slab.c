/*
 * base/slab with as many objects as a worker has connections: one going and another coming, and
 * a handle looked up, in an order that no cache foresees.
 */
#include "base/random.h"
#include "base/slab.h"
#include "micro.h"

#define OBJECTS 100000u

struct object {
	uint32_t generation;
	uint32_t value;
	char rest[120]; /* as large as a connection */
};

struct place {
	struct object *object;
	struct slab_handle handle;
};

struct state {
	struct slab slab;
	struct random random;
	struct place places[OBJECTS];
};

static void place_fill(struct state *state, struct place *place)
{
	place->object = slab_take(&state->slab);
	CHECK(place->object != NULL);
	place->object->value = 1;
	place->handle = slab_handle_of(&state->slab, place->object);
}

static void release_and_take(void *argument, uint64_t operations)
{
	struct state *state = argument;
	for (uint64_t i = 0; i < operations; i++) {
		struct place *place = &state->places[random_below(&state->random, OBJECTS)];
		slab_release(&state->slab, place->object);
		place_fill(state, place);
	}
}

static void look_up(void *argument, uint64_t operations)
{
	struct state *state = argument;
	uint64_t sum = 0;
	for (uint64_t i = 0; i < operations; i++) {
		const struct place *place = &state->places[random_below(&state->random, OBJECTS)];
		const struct object *object = slab_at(&state->slab, place->handle);
		CHECK(object != NULL);
		sum += object->value;
	}
	micro_use(sum);
}

int main(int argc, char **argv)
{
	static struct state state;
	CHECK(slab_init(&state.slab, sizeof(struct object), OBJECTS) == 0);
	for (uint32_t i = 0; i < OBJECTS; i++)
		place_fill(&state, &state.places[i]);
	micro_begin(argc, argv);
	micro_measure("slab.release_and_take", release_and_take, &state);
	micro_measure("slab.look_up", look_up, &state);
	for (uint32_t i = 0; i < OBJECTS; i++)
		slab_release(&state.slab, state.places[i].object);
	slab_free(&state.slab);
	return micro_end();
}
