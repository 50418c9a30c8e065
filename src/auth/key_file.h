/*
 * key_file.h - the text of a file with public keys, in either of its forms.
 *
 * Threads:   the caller's.
 * Ownership: none; keys go into the set.
 * Limits:    KEYS_MAX keys.
 */
#pragma once

#include "auth/key.h"

/* PEM, or where it begins with a brace JSON Web Keys. 0, or -errno with a sentence in `error`. */
MUST_CHECK int key_file_read(struct key_set *set, struct slice text, struct buf *error);
