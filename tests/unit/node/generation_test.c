/* A reading of the configuration is whole, or none, and says why: whichever allocation fails. */
#include "node/generation.h"

#include <stdio.h>
#include <string.h>

#include "../../failing.h"
#include "base/check.h"
#include "ops/complaint.h"

struct row {
	const char *name, *text;
	bool is_good;
	uint32_t allocations; /* at least */
};

static const struct row rows[] = {
	{"keys of all kinds are there, or nothing is",
         "[auth]\napi_key = one, two\njwt_secret = what the server and the backend know\n"
         "[mesh]\nlisten = 127.0.0.1:1\nsecret = one secret, another one\n"
         "[channel a:*]\nhistory_size = 3\n",
         true, 6},
	{"a file of a secret that is not there is told",
         "[auth]\njwt_secret_file = /is/not/there\n", false, 4},
	{"and so is one of the mesh", "[mesh]\nlisten = 127.0.0.1:1\nsecret_file = /is/not/there\n",
         false, 2},
	{"and one of TLS", "[tls]\ncert = /is/not/there\nkey = /nor/this\n", false, 2},
};

static struct config read_config(const struct row *row)
{
	const struct config_sources sources = {.file = "x.conf"};
	struct config config;
	struct buf why = {0};
	CHECK(config_parse_text(&config, slice_string(row->text), &sources, &why) == 0);
	return config;
}

/* How many allocations failed. */
static uint32_t run(const struct row *row, uint32_t number, enum failing_mode mode)
{
	struct config config = read_config(row);
	struct buf why = {0};
	failing_arm(number, mode);
	struct generation *generation = generation_create(&config, NULL, &why);
	uint32_t failed = failing_disarm();
	struct slice said = complaint_of(&why);
	CHECK(generation == NULL || row->is_good);
	CHECK(generation != NULL || said.len > 0);
	CHECK(memchr(said.at, '\n', said.len) == NULL);
	if (failed == 0) {
		CHECK((generation != NULL) == row->is_good);
		CHECK(row->is_good || !slice_is(said, "out of memory"));
	}
	if (generation != NULL)
		CHECK(why.len == 0);
	buf_free(&why);
	generation_drop(generation);
	return failed;
}

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("generation: %s\n", rows[i].name);
		CHECK(run(&rows[i], 0, FAILING_NONE) == 0);
		for (enum failing_mode mode = FAILING_ONE; mode <= FAILING_ALL_FROM; mode++) {
			uint32_t number = 1;
			while (run(&rows[i], number, mode) > 0)
				number++;
			CHECK(number - 1 >= rows[i].allocations);
		}
	}
	return 0;
}
