/*
 * pack.h - numbers and strings in a mesh frame: little endian, strings behind their length.
 *
 * Writing appends to a buf, whose `is_broken` says at the end that there was no memory. Reading
 * takes from the front of a slice; what is not there reads as 0 and sets `is_bad`, so that a
 * decoder asks once, at the end.
 *
 * Threads:   pure; any thread.
 * Ownership: strings that are read are slices of what they were read from.
 * Limits:    PACK_TEXT_MAX bytes a string.
 */
#pragma once

#include "base/buf.h"
#include "base/check.h"

#define PACK_TEXT_MAX 255u /* its length stands in one byte */

void pack_u8(struct buf *out, uint8_t value);
void pack_u16(struct buf *out, uint16_t value);
void pack_u32(struct buf *out, uint32_t value);
void pack_u64(struct buf *out, uint64_t value);
void pack_text(struct buf *out, struct slice text);

struct unpack {
	struct slice rest;
	bool is_bad;
};

uint8_t unpack_u8(struct unpack *in);
uint16_t unpack_u16(struct unpack *in);
uint32_t unpack_u32(struct unpack *in);
uint64_t unpack_u64(struct unpack *in);
struct slice unpack_text(struct unpack *in);
struct slice unpack_bytes(struct unpack *in, size_t count);

/* Everything was there, and nothing is left. */
MUST_CHECK bool unpack_is_over(const struct unpack *in);
