#include "micro.h"

#include <getopt.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/text.h"

#define ROUND_NS_MIN 40000000ull /* below that the clock and the scheduler are too coarse */
#define ROUNDS 11
#define OPERATIONS_MAX (1ull << 40)

static struct {
	const char *only; /* NULL: all */
	const char *json; /* file to append to, or NULL */
	uint64_t operations;
	bool lists;
	bool has_found; /* something that --only named */
} micro;

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: [--only NAME] [--json FILE] [--operations N] [--list]\n");
	exit(2);
}

void micro_begin(int argc, char **argv)
{
	static const struct option names[] = {
		{"only", required_argument, NULL, 'o'},
		{"json", required_argument, NULL, 'j'},
		{"operations", required_argument, NULL, 'n'},
		{"list", no_argument, NULL, 'l'},
		{0},
	};
	int name;
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 'o')
			micro.only = optarg;
		else if (name == 'j')
			micro.json = optarg;
		else if (name == 'l')
			micro.lists = true;
		else if (name != 'n' || !text_to_u64(slice_string(optarg), &micro.operations))
			usage();
	}
	if (optind != argc)
		usage();
}

int micro_end(void)
{
	if (micro.only == NULL || micro.has_found)
		return 0;
	fprintf(stderr, "nothing here is called %s\n", micro.only);
	return 2;
}

/* callgrind is told to collect inside of this function alone. */
__attribute__((noinline)) void micro_counted(micro_round *round, void *state, uint64_t operations);
__attribute__((noinline)) void micro_counted(micro_round *round, void *state, uint64_t operations)
{
	round(state, operations);
	micro_use(operations); /* no tail call: we are still here */
}

static uint64_t clock_ns(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t round_ns(micro_round *round, void *state, uint64_t operations)
{
	uint64_t start = clock_ns();
	micro_counted(round, state, operations);
	return clock_ns() - start;
}

static uint64_t find_operations(micro_round *round, void *state)
{
	uint64_t operations = 1;
	while (operations < OPERATIONS_MAX) {
		uint64_t ns = round_ns(round, state, operations);
		if (ns >= ROUND_NS_MIN)
			break;
		operations *= ns < ROUND_NS_MIN / 16 ? 8 : 2;
	}
	return operations;
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void report(const char *name, double best, double median, uint64_t operations)
{
	unsigned long long count = operations;
	printf("%-36s %10.1f ns/op  (median %.1f, rounds of %llu)\n", name, best, median, count);
	fflush(stdout);
	if (micro.json == NULL)
		return;
	FILE *file = fopen(micro.json, "a");
	if (file == NULL) {
		perror(micro.json);
		exit(1);
	}
	fprintf(file,
	        "{\"bench\":\"micro\",\"name\":\"%s\",\"ns\":%.2f,\"median_ns\":%.2f,"
	        "\"operations\":%llu,\"rounds\":%d}\n",
	        name, best, median, count, ROUNDS);
	CHECK(fclose(file) == 0);
}

bool micro_wants(const char *name)
{
	if (micro.lists)
		printf("%s\n", name);
	bool is_named = micro.only == NULL || strcmp(micro.only, name) == 0;
	micro.has_found |= is_named;
	return is_named && !micro.lists;
}

void micro_measure(const char *name, micro_round *round, void *state)
{
	if (micro_wants(name))
		micro_rounds(name, round, state);
}

void micro_rounds(const char *name, micro_round *round, void *state)
{
	double ns[ROUNDS];
	if (micro.operations > 0) {
		micro_counted(round, state, micro.operations);
		return;
	}
	uint64_t operations = find_operations(round, state);
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = (double)round_ns(round, state, operations) / (double)operations;
	qsort(ns, ROUNDS, sizeof(ns[0]), by_size);
	report(name, ns[0], ns[ROUNDS / 2], operations);
}
