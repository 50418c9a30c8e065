/*
 * hash.h - SipHash-1-3: names to numbers, and nobody outside can aim.
 *
 * Threads:   pure; any thread.
 * Limits:    for hash tables and for spreading channels, not for signing anything. The key
 *            is drawn at start, so that chosen names do not pile up in one bucket; a key of
 *            zeros gives the same numbers on every node and in every run.
 * Source:    Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"

struct hash_key {
	uint64_t word[2];
};

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes);
