#include "node/generation.h"

#include <stdlib.h>

#include "node/settings.h"

/* A key that was there before keeps its number, but not where more, or other, is asked of a token
 * than was: those that were let in by it are to come again then. */
static void number_keys(struct generation *generation, const struct generation *former)
{
	struct key_set *keys = generation->settings.token_keys;
	const struct token_policy *policy = &generation->settings.token_policy;
	const struct key_set *kept = NULL;
	if (former != NULL) {
		const struct token_policy *before = &former->settings.token_policy;
		generation->keys_numbered = former->keys_numbered;
		if (strcmp(policy->audience, before->audience) == 0 &&
		    strcmp(policy->issuer, before->issuer) == 0 &&
		    policy->needs_expiry == before->needs_expiry)
			kept = former->settings.token_keys;
	}
	if (keys != NULL)
		key_set_number(keys, kept, &generation->keys_numbered);
}

struct generation *generation_create(struct config *config, const struct generation *former,
                                     struct buf *error)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	if (generation == NULL) {
		buf_string(error, "out of memory while reading the configuration");
		config_free(config);
		return NULL;
	}
	atomic_init(&generation->refs, 1);
	generation->config = *config;
	*config = (struct config){0};
	if (settings_make_mesh_keys(&generation->mesh_keys, &generation->config, error) == 0 &&
	    settings_make(&generation->settings, &generation->config, error) == 0) {
		number_keys(generation, former);
		return generation;
	}
	psk_keys_drop(generation->mesh_keys);
	CHECK(error->len > 0 || error->is_broken);
	config_free(&generation->config);
	free(generation);
	return NULL;
}

struct generation *generation_take(struct generation *generation)
{
	uint32_t refs = atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
	CHECK(refs != 0);
	return generation;
}

void generation_drop(struct generation *generation)
{
	if (generation == NULL)
		return;
	/* Release our reads of it; the last one acquires those of all others. */
	uint32_t refs = atomic_fetch_sub_explicit(&generation->refs, 1, memory_order_acq_rel);
	CHECK(refs != 0);
	if (refs > 1)
		return;
	psk_keys_drop(generation->mesh_keys);
	settings_free(&generation->settings);
	config_free(&generation->config);
	free(generation);
}
