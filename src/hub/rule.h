/*
 * rule.h - what holds in the channels whose name fits a pattern.
 *
 * Threads:   the functions are pure; a set of rules does not change while others read it.
 * Ownership: struct rules owns its list and the patterns in it; rules_free() gives them back.
 * Limits:    RULE_COUNT_MAX rules, names and patterns of CHANNEL_NAME_MAX bytes. The last
 *            rule of a set is `*`, so each channel has one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "starling/limits.h"

#define RULE_COUNT_MAX 1024 /* they are tried one by one when a channel is made */

enum rule_who {
	RULE_ANY = 0, /* everybody */
	RULE_USER,    /* any valid token with a subject */
	RULE_TOKEN,   /* a token that allows it */
	RULE_NONE,    /* the server API only */
};

enum rule_presence {
	RULE_PRESENCE_NO = 0,
	RULE_PRESENCE_COUNT,
	RULE_PRESENCE_FULL,
};

enum rule_overflow {
	RULE_OVERFLOW_DISCONNECT = 0,
	RULE_OVERFLOW_DROP,
	RULE_OVERFLOW_CONFLATE,
};

struct rule {
	char *pattern;
	enum rule_who subscribe;
	enum rule_who publish;
	uint32_t history_size; /* messages; 0: none */
	uint32_t history_ttl_ms;
	enum rule_presence presence;
	uint32_t presence_grace_ms;
	bool deliver_last;
	uint32_t max_keys;
	uint32_t throttle_ms; /* 0: every message */
	enum rule_overflow overflow;
};

struct rules {
	struct rule *list;
	size_t count;
};

void rules_free(struct rules *rules);
bool rules_own(const struct rules *rules, const struct rule *rule); /* is it one of them? */
const struct rule *rules_find(const struct rules *rules, struct slice channel); /* the first fit */

/* `*` stands for any run of bytes, also an empty one; the pattern covers the whole name. */
bool rule_matches(struct slice pattern, struct slice name);

/* 1 to CHANNEL_NAME_MAX bytes of printable ASCII without space , " and \; patterns likewise. */
bool channel_name_is_valid(struct slice name);
