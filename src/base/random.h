/*
 * random.h - numbers for jitter, epochs and tests: repeatable from a seed (splitmix64).
 *
 * Threads:   one at a time a state. Not for secrets: those are OpenSSL's RAND_bytes().
 */
#pragma once

#include <stdint.h>

struct random {
	uint64_t state; /* the seed, at first; any value will do */
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 .. bound - 1; the bias of `bound` that divides no power of two is below 2^-32. */
static inline uint32_t random_below(struct random *random, uint32_t bound)
{
	return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}
