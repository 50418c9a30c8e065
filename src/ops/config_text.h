/*
 * config_text.h - the text of a configuration file, statement by statement.
 *
 *     # a comment, at the start of a line or after a blank
 *     [section]
 *     key = value        # the value ends here: `a#b` has no comment in it
 *     [channel chat:#1]  # a pattern may hold `#` and `]`
 *
 * Threads:   a value; pure functions.
 * Ownership: none; statements are slices of the text.
 * Limits:    lines of CONFIG_LINE_MAX bytes. CRLF and a UTF-8 mark at the start are taken,
 *            NUL bytes are not.
 */
#pragma once

#include "base/check.h"
#include "base/slice.h"

#define CONFIG_LINE_MAX 8192

enum config_text_result {
	CONFIG_TEXT_END = 0,
	CONFIG_TEXT_SECTION,
	CONFIG_TEXT_PAIR,
	CONFIG_TEXT_BAD,
};

struct config_text {
	struct slice rest;
	unsigned line; /* the one read last, from 1 */
};

struct config_statement {
	struct slice name;  /* of the section or the key */
	struct slice value; /* of a key; or what follows the section's name */
	const char *fault;  /* of CONFIG_TEXT_BAD: what is wrong with the line */
};

struct config_text config_text_start(struct slice text);
MUST_CHECK enum config_text_result config_text_next(struct config_text *text,
                                                    struct config_statement *statement);
