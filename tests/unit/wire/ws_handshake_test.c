#include "../guard.h"
#include "wire/ws_handshake.h"

/* SLICE() for the tables: gcc takes no compound literal as a constant. */
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct {
	const char *name;
	struct slice key;
	const char *accept; /* NULL: the key is refused */
} cases[] = {
	{"the RFC's own key", BYTES("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
	{"another known key", BYTES("x3JJHMbDL1EzLkh9GBhXDw=="), "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
	{"plus and slash are digits", BYTES("+/+/+/+/+/+/+/+/+/+/+w=="),
         "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
	{"nothing is no key", BYTES(""), NULL},
	{"fifteen bytes are no key", BYTES("dGhlIHNhbXBsZSBub25j"), NULL},
	{"seventeen bytes are no key", BYTES("dGhlIHNhbXBsZSBub25jZQE="), NULL},
	{"sixteen bytes and one more are no key", BYTES("dGhlIHNhbXBsZSBub25jZQ==A"), NULL},
	{"padding is demanded", BYTES("dGhlIHNhbXBsZSBub25jZQ"), NULL},
	{"one sign of padding is too few", BYTES("dGhlIHNhbXBsZSBub25jZQA="), NULL},
	{"unused bits are zero", BYTES("dGhlIHNhbXBsZSBub25jZR=="), NULL},
	{"a blank is no digit", BYTES("dGhl HNhbXBsZSBub25jZQ=="), NULL},
	{"the URL's digits are not these", BYTES("dGhl-_NhbXBsZSBub25jZQ=="), NULL},
	{"padding in the middle is no digit", BYTES("dGhlIHNhbX==ZSBub25jZQ=="), NULL},
	{"NUL is no digit", BYTES("dGhlIHNhbXBsZSBub25jZ\0=="), NULL},
	{"what lies beside the digits is none", BYTES("@GhlIHNhbXBsZSBub25j[Q=="), NULL},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("ws_handshake: %s\n", cases[i].name);
		char *copy = guard_copy(cases[i].key);
		struct slice key = slice_of(copy, cases[i].key.len);
		CHECK(ws_key_is_valid(key) == (cases[i].accept != NULL));
		char accept[WS_ACCEPT_LEN];
		CHECK(cases[i].accept == NULL || ws_accept_key(accept, key));
		CHECK(cases[i].accept == NULL ||
		      slice_is(slice_of(accept, sizeof(accept)), cases[i].accept));
		guard_drop(copy, key.len);
	}
	return 0;
}
