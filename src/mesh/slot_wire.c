#include "mesh/slot_wire.h"

#include "mesh/pack.h"

#define FLAG_WHOLE 1u
#define FLAG_LOST 2u
#define LSN_MAX (UINT64_MAX / 2)

/* ---- the words ---- */

void wire_term_write(struct buf *out, const struct slot_term *term)
{
	pack_u64(out, term->counter);
	pack_u64(out, term->boot.word[0]);
	pack_u64(out, term->boot.word[1]);
}

static struct boot_id read_boot(struct unpack *in)
{
	struct boot_id boot;
	boot.word[0] = unpack_u64(in);
	boot.word[1] = unpack_u64(in);
	return boot;
}

static struct slot_term read_term(struct unpack *in)
{
	struct slot_term term = {.counter = unpack_u64(in)};
	term.boot = read_boot(in);
	in->is_bad |= term.counter > SLOT_COUNTER_MAX;
	return term;
}

static uint64_t read_lsn(struct unpack *in)
{
	uint64_t lsn = unpack_u64(in);
	in->is_bad |= lsn > LSN_MAX;
	return lsn;
}

static void write_mark(struct buf *out, const struct slot_mark *mark)
{
	wire_term_write(out, &mark->term);
	pack_u64(out, mark->lsn);
}

static struct slot_mark read_mark(struct unpack *in)
{
	struct slot_mark mark = {.term = read_term(in)};
	mark.lsn = read_lsn(in);
	return mark;
}

static void write_set(struct buf *out, const struct slot_set *set)
{
	pack_u8(out, set->count);
	for (unsigned i = 0; i < set->count; i++) {
		pack_u64(out, set->at[i].word[0]);
		pack_u64(out, set->at[i].word[1]);
	}
}

static struct slot_set read_set(struct unpack *in)
{
	struct slot_set set = {0};
	unsigned count = unpack_u8(in);
	in->is_bad |= count > SLOT_REPLICAS_MAX;
	for (unsigned i = 0; i < count && !in->is_bad; i++) {
		struct boot_id boot = read_boot(in);
		if (slot_set_has(&set, boot))
			in->is_bad = true;
		else
			slot_set_add(&set, boot);
	}
	return set;
}

/* A set whose home is the maker of `term`. */
static struct slot_set read_set_of(struct unpack *in, const struct slot_term *term)
{
	struct slot_set set = read_set(in);
	in->is_bad |= term->counter == 0 || !slot_set_has(&set, term->boot);
	return set;
}

void wire_entry_write(struct buf *out, const struct slot_entry *entry)
{
	wire_term_write(out, &entry->term);
	wire_term_write(out, &entry->stream);
	wire_term_write(out, &entry->fork_of);
	write_set(out, &entry->set);
}

/* That of nobody, all zero, is one as well. */
static struct slot_entry read_entry(struct unpack *in)
{
	struct slot_entry entry = {.term = read_term(in)};
	entry.stream = read_term(in);
	entry.fork_of = read_term(in);
	entry.set = read_set(in);
	bool is_none = entry.term.counter == 0;
	in->is_bad |= is_none != (entry.stream.counter == 0) || is_none != (entry.set.count == 0);
	in->is_bad |= !is_none && !slot_set_has(&entry.set, entry.term.boot);
	return entry;
}

bool wire_term_read(struct slice body, struct slot_term *term)
{
	struct unpack in = {.rest = body};
	*term = read_term(&in);
	return unpack_is_over(&in);
}

bool wire_entry_read(struct slice body, struct slot_entry *entry)
{
	struct unpack in = {.rest = body};
	*entry = read_entry(&in);
	return unpack_is_over(&in);
}

/* ---- take-over ---- */

void wire_seal_write(struct buf *out, const struct wire_seal *seal)
{
	wire_term_write(out, &seal->term);
	wire_term_write(out, &seal->base);
	wire_term_write(out, &seal->stream);
	write_set(out, &seal->set);
}

bool wire_seal_read(struct slice body, struct wire_seal *seal)
{
	struct unpack in = {.rest = body};
	seal->term = read_term(&in);
	seal->base = read_term(&in);
	seal->stream = read_term(&in);
	seal->set = read_set_of(&in, &seal->term);
	return unpack_is_over(&in);
}

void wire_sealed_write(struct buf *out, const struct wire_sealed *sealed)
{
	wire_term_write(out, &sealed->term);
	wire_entry_write(out, &sealed->entry);
	pack_u8(out, (uint8_t)((sealed->is_whole ? FLAG_WHOLE : 0) |
	                       (sealed->has_lost ? FLAG_LOST : 0)));
	wire_term_write(out, &sealed->accepted);
	wire_term_write(out, &sealed->stream);
	write_mark(out, &sealed->last);
	pack_u8(out, (uint8_t)sealed->count);
	for (unsigned i = 0; i < sealed->count; i++) {
		wire_term_write(out, &sealed->proposals[i].term);
		write_set(out, &sealed->proposals[i].set);
	}
}

bool wire_sealed_read(struct slice body, struct wire_sealed *sealed)
{
	struct unpack in = {.rest = body};
	sealed->term = read_term(&in);
	sealed->entry = read_entry(&in);
	unsigned flags = unpack_u8(&in);
	in.is_bad |= flags > (FLAG_WHOLE | FLAG_LOST);
	sealed->is_whole = (flags & FLAG_WHOLE) != 0;
	sealed->has_lost = (flags & FLAG_LOST) != 0;
	sealed->accepted = read_term(&in);
	sealed->stream = read_term(&in);
	sealed->last = read_mark(&in);
	in.is_bad |= sealed->is_whole && sealed->stream.counter == 0; /* a log is of some stream */
	sealed->count = unpack_u8(&in);
	in.is_bad |= sealed->count > SLOT_PROPOSALS_MAX;
	for (unsigned i = 0; i < sealed->count && !in.is_bad; i++) {
		sealed->proposals[i].term = read_term(&in);
		sealed->proposals[i].set = read_set_of(&in, &sealed->proposals[i].term);
	}
	return unpack_is_over(&in);
}

void wire_refused_write(struct buf *out, const struct wire_refused *refused)
{
	wire_term_write(out, &refused->term);
	wire_term_write(out, &refused->promised);
	wire_entry_write(out, &refused->entry);
}

bool wire_refused_read(struct slice body, struct wire_refused *refused)
{
	struct unpack in = {.rest = body};
	refused->term = read_term(&in);
	refused->promised = read_term(&in);
	refused->entry = read_entry(&in);
	return unpack_is_over(&in);
}

void wire_install_write(struct buf *out, const struct wire_install *install)
{
	wire_entry_write(out, &install->entry);
	write_mark(out, &install->start);
	pack_u64(out, install->last);
	pack_u64(out, install->commit);
	pack_u8(out, install->is_active);
}

bool wire_install_read(struct slice body, struct wire_install *install)
{
	struct unpack in = {.rest = body};
	install->entry = read_entry(&in);
	install->start = read_mark(&in);
	install->last = read_lsn(&in);
	install->commit = read_lsn(&in);
	unsigned is_active = unpack_u8(&in);
	install->is_active = is_active != 0;
	in.is_bad |= is_active > 1 || install->entry.term.counter == 0 ||
	             install->start.lsn > install->last || install->commit > install->last;
	return unpack_is_over(&in);
}

/* ---- the log ---- */

void wire_append_write(struct buf *out, const struct wire_append *append)
{
	wire_term_write(out, &append->term);
	wire_term_write(out, &append->stream);
	write_mark(out, &append->previous);
	pack_u64(out, append->last);
	pack_u64(out, append->commit);
	pack_u32(out, append->count);
}

void wire_item_write(struct buf *out, const struct wire_item *item)
{
	wire_term_write(out, &item->term);
	pack_u32(out, (uint32_t)item->bytes.len);
	buf_slice(out, item->bytes);
}

static struct wire_item read_item(struct unpack *in)
{
	struct wire_item item = {.term = read_term(in)};
	item.bytes = unpack_bytes(in, unpack_u32(in));
	return item;
}

bool wire_append_read(struct slice body, struct wire_append *append)
{
	struct unpack in = {.rest = body};
	append->term = read_term(&in);
	append->stream = read_term(&in);
	append->previous = read_mark(&in);
	append->last = read_lsn(&in);
	append->commit = read_lsn(&in);
	append->count = unpack_u32(&in);
	append->entries = in.rest;
	/* All of it or nothing: so it is gone through once before. */
	for (uint32_t i = 0; i < append->count && !in.is_bad; i++)
		(void)read_item(&in);
	in.is_bad |= append->previous.lsn + append->count > append->last;
	return unpack_is_over(&in);
}

bool wire_item_next(struct wire_append *append, struct wire_item *item)
{
	if (append->count == 0)
		return false;
	struct unpack in = {.rest = append->entries};
	*item = read_item(&in);
	CHECK(!in.is_bad);
	append->entries = in.rest;
	append->count--;
	return true;
}

void wire_holds_write(struct buf *out, const struct wire_holds *holds)
{
	wire_term_write(out, &holds->term);
	pack_u64(out, holds->lsn);
}

bool wire_holds_read(struct slice body, struct wire_holds *holds)
{
	struct unpack in = {.rest = body};
	holds->term = read_term(&in);
	holds->lsn = read_lsn(&in);
	return unpack_is_over(&in);
}

void wire_need_write(struct buf *out, const struct wire_need *need)
{
	wire_term_write(out, &need->term);
	wire_term_write(out, &need->stream);
	pack_u64(out, need->from);
	pack_u64(out, need->snapshot);
	pack_u32(out, need->chunk);
}

bool wire_need_read(struct slice body, struct wire_need *need)
{
	struct unpack in = {.rest = body};
	need->term = read_term(&in);
	need->stream = read_term(&in);
	need->from = read_lsn(&in);
	need->snapshot = read_lsn(&in);
	need->chunk = unpack_u32(&in);
	in.is_bad |= need->from == 0;
	return unpack_is_over(&in);
}

void wire_state_write(struct buf *out, const struct wire_state *state)
{
	wire_term_write(out, &state->term);
	wire_term_write(out, &state->stream);
	write_mark(out, &state->at);
	pack_u32(out, state->chunk);
	pack_u32(out, state->count);
	buf_slice(out, state->bytes);
}

bool wire_state_read(struct slice body, struct wire_state *state)
{
	struct unpack in = {.rest = body};
	state->term = read_term(&in);
	state->stream = read_term(&in);
	state->at = read_mark(&in);
	state->chunk = unpack_u32(&in);
	state->count = unpack_u32(&in);
	in.is_bad |= state->count == 0 ? state->chunk != 0 : state->chunk >= state->count;
	state->bytes = in.rest;
	return !in.is_bad;
}

/* ---- forks ---- */

void wire_fork_write(struct buf *out, const struct wire_fork *fork)
{
	wire_term_write(out, &fork->stream);
	pack_u64(out, fork->key);
	pack_u32(out, fork->chunk);
	pack_u32(out, fork->count);
	buf_slice(out, fork->bytes);
}

bool wire_fork_read(struct slice body, struct wire_fork *fork)
{
	struct unpack in = {.rest = body};
	fork->stream = read_term(&in);
	fork->key = unpack_u64(&in);
	fork->chunk = unpack_u32(&in);
	fork->count = unpack_u32(&in);
	in.is_bad |= fork->chunk >= fork->count;
	fork->bytes = in.rest;
	return !in.is_bad;
}

void wire_fork_ok_write(struct buf *out, const struct wire_fork_ok *ok)
{
	wire_term_write(out, &ok->stream);
	pack_u64(out, ok->key);
	pack_u32(out, ok->chunk);
}

bool wire_fork_ok_read(struct slice body, struct wire_fork_ok *ok)
{
	struct unpack in = {.rest = body};
	ok->stream = read_term(&in);
	ok->key = unpack_u64(&in);
	ok->chunk = unpack_u32(&in);
	return unpack_is_over(&in);
}
