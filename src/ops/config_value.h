/*
 * config_value.h - the kinds of values a setting may have: text to value.
 *
 * Threads:   pure functions.
 * Ownership: a value owns what it points at; zeroed memory is a value of each kind that owns
 *            nothing. config_value_parse() frees the value it replaces.
 * Limits:    numbers end at their limits, lists at CONFIG_LIST_MAX entries. Control characters
 *            are refused in every kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"
#include "ops/config_address.h"

#define CONFIG_LIST_MAX 256

struct config_words {
	char **list;
	size_t count;
};

struct config_addresses {
	struct config_address *list;
	size_t count;
};

struct config_networks {
	struct network *list;
	size_t count;
};

enum config_origin_rule {
	CONFIG_ORIGIN_SAME = 0, /* the page's host is the one it asks */
	CONFIG_ORIGIN_ANY,
	CONFIG_ORIGIN_LISTED,
};

struct config_origins {
	enum config_origin_rule rule;
	struct config_words listed; /* scheme://host[:port], in lower case */
};

/* What the kind column of config.def means: a value of enum config_kind, and a C type. */
enum config_kind {
	CONFIG_KIND_FLAG = 0,
	CONFIG_KIND_COUNT,
	CONFIG_KIND_AUTO, /* a count, or `auto`, which is 0 */
	CONFIG_KIND_SIZE, /* in bytes */
	CONFIG_KIND_TIME, /* in milliseconds */
	CONFIG_KIND_RATE, /* a second */
	CONFIG_KIND_CHOICE,
	CONFIG_KIND_TEXT,
	CONFIG_KIND_NAME, /* made of the bytes that channel names are made of */
	CONFIG_KIND_WORDS,
	CONFIG_KIND_ADDRESSES, /* to bind: numbers, or unix:/path */
	CONFIG_KIND_HOSTS,     /* to dial: numbers, or a DNS name */
	CONFIG_KIND_NETWORKS,
	CONFIG_KIND_ORIGINS,
	CONFIG_KIND_TOTAL, /* last */
};
#define CONFIG_KIND_CHOICE(name) CONFIG_KIND_CHOICE

#define CONFIG_TYPE_FLAG bool
#define CONFIG_TYPE_COUNT uint32_t
#define CONFIG_TYPE_AUTO uint32_t
#define CONFIG_TYPE_SIZE size_t
#define CONFIG_TYPE_TIME uint32_t
#define CONFIG_TYPE_RATE uint32_t
#define CONFIG_TYPE_CHOICE(name) enum name
#define CONFIG_TYPE_TEXT char *
#define CONFIG_TYPE_NAME char *
#define CONFIG_TYPE_WORDS struct config_words
#define CONFIG_TYPE_ADDRESSES struct config_addresses
#define CONFIG_TYPE_HOSTS struct config_addresses
#define CONFIG_TYPE_NETWORKS struct config_networks
#define CONFIG_TYPE_ORIGINS struct config_origins

/* 0, -EINVAL or -ENOMEM; without success `value` is as it was. */
MUST_CHECK int config_value_parse(enum config_kind kind, const char *limits, struct slice text,
                                  void *value);
void config_value_free(enum config_kind kind, void *value); /* leaves it zeroed */
void config_value_explain(enum config_kind kind, const char *limits, struct buf *line);
