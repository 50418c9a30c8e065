#include "hub/log.h"

#include <stdlib.h>

#define LOG_CAPACITY_MIN 4u

void log_init(struct log *log, uint64_t next)
{
	*log = (struct log){.next = next};
}

void log_free(struct log *log)
{
	CHECK(log->standing == 0);
	log_trim(log, log->next, 0, 0);
	CHECK(log->count == 0);
	free(log->entries);
	*log = (struct log){0};
}

void log_restart(struct log *log, uint64_t next)
{
	log_free(log);
	log_init(log, next);
}

static bool log_resize(struct log *log, uint32_t capacity)
{
	CHECK(capacity >= log->count);
	struct log_entry *entries = malloc(capacity * sizeof(*entries));
	if (entries == NULL)
		return false;
	for (uint32_t i = 0; i < log->count; i++)
		entries[i] = log->entries[(log->start + i) & (log->capacity - 1)];
	free(log->entries);
	log->entries = entries;
	log->capacity = capacity;
	log->start = 0;
	return true;
}

static bool log_make_room(struct log *log, size_t count)
{
	uint64_t wanted = (uint64_t)log->count + count;
	if (wanted > 1u << 30)
		return false;
	uint32_t capacity = log->capacity == 0 ? LOG_CAPACITY_MIN : log->capacity;
	while (capacity < wanted)
		capacity *= 2;
	return capacity == log->capacity || log_resize(log, capacity);
}

bool log_append(struct log *log, struct record *record, uint64_t now_ms)
{
	CHECK(record->seq == log->next);
	if (!log_make_room(log, 1))
		return false;
	log->count++;
	log->next++;
	/* Who was waiting for the record to come is now waiting for this one. */
	*log_entry(log, record->seq) = (struct log_entry){
		.record = record,
		.standing = log->standing,
		.added_ms = (uint32_t)now_ms,
	};
	log->standing = 0;
	return true;
}

bool log_extend(struct log *log, struct record *const *records, size_t count, uint64_t now_ms)
{
	if (count == 0)
		return true;
	CHECK(records[count - 1]->seq + 1 == log_first(log));
	if (!log_make_room(log, count))
		return false;
	log->start = (log->start - (uint32_t)count) & (log->capacity - 1);
	log->count += (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		CHECK(records[i]->seq == log_first(log) + i);
		*log_entry(log, records[i]->seq) = (struct log_entry){
			.record = record_take(records[i]),
			.added_ms = (uint32_t)now_ms,
		};
	}
	return true;
}

static uint32_t age_of(const struct log *log, uint64_t seq, uint64_t now_ms)
{
	return (uint32_t)now_ms - log_entry(log, seq)->added_ms;
}

static void log_drop_first(struct log *log)
{
	record_drop(log_entry(log, log_first(log))->record);
	log->start = (log->start + 1) & (log->capacity - 1);
	log->count--;
}

static void log_shrink(struct log *log)
{
	if (log->count == 0 && log->capacity > LOG_CAPACITY_MIN) {
		free(log->entries);
		log->entries = NULL;
		log->capacity = log->start = 0;
	} else if (log->capacity > 16 * LOG_CAPACITY_MIN && log->count < log->capacity / 8) {
		log_resize(log, log->capacity / 2); /* refused: stays large */
	}
}

void log_trim(struct log *log, uint64_t keep_from, uint64_t now_ms, uint64_t ttl_ms)
{
	bool dropped = false;
	while (log->count > 0 && log_entry(log, log_first(log))->standing == 0) {
		uint64_t first = log_first(log);
		if (first >= keep_from && age_of(log, first, now_ms) < ttl_ms)
			break;
		log_drop_first(log);
		dropped = true;
	}
	if (dropped)
		log_shrink(log);
}

static uint32_t *standing_at(struct log *log, uint64_t seq)
{
	return seq == log->next ? &log->standing : &log_entry(log, seq)->standing;
}

void log_stand(struct log *log, uint64_t seq)
{
	++*standing_at(log, seq);
}

void log_leave(struct log *log, uint64_t seq)
{
	uint32_t *standing = standing_at(log, seq);
	CHECK(*standing > 0);
	--*standing;
}

uint64_t log_first_within(const struct log *log, uint64_t now_ms, uint64_t ttl_ms)
{
	uint64_t seq = log_first(log);
	while (seq < log->next && age_of(log, seq, now_ms) >= ttl_ms)
		seq++;
	return seq;
}

uint64_t log_age_ms(const struct log *log, uint64_t now_ms)
{
	return log->count == 0 ? 0 : age_of(log, log_first(log), now_ms);
}
