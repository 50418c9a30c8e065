#include "mesh/slot_log.h"

#include <stdlib.h>

#define SLOT_LOG_CAPACITY_MIN 8u

struct slot_mark slot_log_end(const struct slot_log *log)
{
	uint64_t last = slot_log_last(log);
	return (struct slot_mark){*slot_log_term(log, last), last};
}

const struct slot_term *slot_log_term(const struct slot_log *log, uint64_t lsn)
{
	if (lsn == log->base.lsn)
		return &log->base.term;
	if (lsn < log->base.lsn || lsn > slot_log_last(log))
		return NULL;
	return &slot_log_at(log, lsn)->term;
}

bool slot_log_has(const struct slot_log *log, const struct slot_mark *mark)
{
	const struct slot_term *term = slot_log_term(log, mark->lsn);
	return term != NULL && slot_term_equals(term, &mark->term);
}

static bool grow(struct slot_log *log)
{
	uint32_t capacity = log->capacity == 0 ? SLOT_LOG_CAPACITY_MIN : 2 * log->capacity;
	struct slot_item *items = malloc(capacity * sizeof(*items));
	if (items == NULL)
		return false;
	for (uint32_t i = 0; i < log->count; i++)
		items[i] = *slot_log_at(log, log->base.lsn + 1 + i);
	free(log->items);
	log->items = items;
	log->capacity = capacity;
	log->start = 0;
	return true;
}

bool slot_log_append(struct slot_log *log, const struct slot_item *item)
{
	if (log->count == log->capacity && !grow(log))
		return false;
	log->items[(log->start + log->count) & (log->capacity - 1)] = *item;
	log->count++;
	log->bytes += blob_take(item->blob)->len;
	return true;
}

/* An empty log holds no memory. */
static void release_if_empty(struct slot_log *log)
{
	if (log->count > 0)
		return;
	CHECK(log->bytes == 0);
	free(log->items);
	log->items = NULL;
	log->capacity = log->start = 0;
}

void slot_log_cut(struct slot_log *log, uint64_t lsn)
{
	CHECK(lsn >= log->base.lsn);
	while (slot_log_last(log) > lsn) {
		struct blob *blob = slot_log_at(log, slot_log_last(log))->blob;
		log->bytes -= blob->len;
		log->count--;
		blob_drop(blob);
	}
	release_if_empty(log);
}

void slot_log_trim(struct slot_log *log, uint64_t lsn)
{
	CHECK(lsn <= slot_log_last(log));
	while (log->base.lsn < lsn) {
		struct slot_item *item = slot_log_at(log, log->base.lsn + 1);
		log->base.term = item->term;
		log->base.lsn++;
		log->bytes -= item->blob->len;
		log->start = (log->start + 1) & (log->capacity - 1);
		log->count--;
		blob_drop(item->blob);
	}
	release_if_empty(log);
}

void slot_log_reset(struct slot_log *log, const struct slot_mark *base)
{
	slot_log_cut(log, log->base.lsn);
	log->base = *base;
}
