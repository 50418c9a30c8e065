#include "base/hash.h"

struct state {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(struct state *s)
{
	s->a += s->b;
	s->b = rotate(s->b, 13) ^ s->a;
	s->a = rotate(s->a, 32);
	s->c += s->d;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

static void absorb(struct state *s, uint64_t word)
{
	s->d ^= word;
	mix(s);
	s->a ^= word;
}

static uint64_t word_from(const char *at, size_t len)
{
	uint64_t word = 0;
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)(unsigned char)at[i] << 8 * i;
	return word;
}

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes)
{
	struct state s = {
		key->word[0] ^ 0x736f6d6570736575u,
		key->word[1] ^ 0x646f72616e646f6du,
		key->word[0] ^ 0x6c7967656e657261u,
		key->word[1] ^ 0x7465646279746573u,
	};
	size_t whole = bytes.len & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8)
		absorb(&s, word_from(bytes.at + i, 8));
	uint64_t rest = whole < bytes.len ? word_from(bytes.at + whole, bytes.len - whole) : 0;
	absorb(&s, rest | (uint64_t)bytes.len << 56);
	s.c ^= 0xff;
	for (int round = 0; round < 3; round++)
		mix(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}
