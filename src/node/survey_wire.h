/*
 * survey_wire.h - questions of the server API to other nodes, and their answers, as bytes.
 *
 * Little endian (mesh/pack.h).
 *
 * Threads:   pure; any thread.
 * Ownership: a question that was read looks at the bytes.
 * Limits:    every length is checked; SURVEY_CHANNELS_MAX channels in an answer.
 */
#pragma once

#include "edge/survey.h"
#include "mesh/pack.h"

#define SURVEY_CHANNELS_MAX (CHANNELS_LIMIT_MAX + 1)

/* From that worker. */
void survey_write(struct buf *out, const struct survey_question *question, uint32_t worker);
/* Its kind is for edge_survey_for_node() to judge. False: it is malformed. */
MUST_CHECK bool survey_read(struct slice body, struct survey_question *question,
                            struct far_asker *asker);

struct survey_answer {
	struct slab_handle token;
	uint8_t kind;
	uint32_t of; /* so many answers of the node */
};

void survey_answer_write(struct buf *out, const struct survey_answer *answer,
                         const struct note *note);
/* False: it is malformed. Without memory the note is NULL. */
MUST_CHECK bool survey_answer_read(struct slice body, struct survey_answer *answer,
                                   struct note **note);
