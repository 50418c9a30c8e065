#include "node/keeper.h"

#include <endian.h>
#include <stdlib.h>

static struct keeper *keeper_under(struct slots_out *out)
{
	return CONTAINER_OF(out, struct keeper, out);
}

static struct kept *kept_at(struct keeper *keeper, uint32_t slot)
{
	struct kept *kept = &keeper->kept[slot / keeper->workers];
	CHECK_SLOW(kept->number == slot);
	return kept;
}

/* ---- roles ---- */

/* The same for a stream on every node. */
static uint64_t stream_hash(const struct slot_term *stream)
{
	static const struct hash_key everywhere_the_same = {{0x73747265616d, 0}};
	const uint64_t words[3] = {htole64(stream->counter), htole64(stream->boot.word[0]),
	                           htole64(stream->boot.word[1])};
	struct slice bytes = slice_of((const char *)words, sizeof(words));
	uint64_t hash = hash_bytes(&everywhere_the_same, bytes);
	return stream->counter == 0 ? 0 : hash == 0 ? 1 : hash;
}

static struct hub_role role_of(const struct keeper *keeper, const struct kept *kept)
{
	const struct slots_role *wanted = &kept->wanted;
	struct hub_role role = {.home = HOME_NOWHERE,
	                        .is_replica = wanted->is_replica,
	                        .stream = stream_hash(&wanted->stream)};
	if (wanted->place == SLOTS_HERE)
		role.home = HOME_HERE;
	const struct roster_node *node =
		wanted->place == SLOTS_THERE ? roster_find(keeper->roster, wanted->home) : NULL;
	if (node != NULL) {
		role.home = HOME_ELSEWHERE;
		role.node = roster_seat(keeper->roster, node).index;
	}
	return role;
}

static void tell(struct keeper *keeper, struct kept *kept, const struct hub_role *role)
{
	bool was_home = kept->told.home == HOME_HERE, is_home = role->home == HOME_HERE;
	if (was_home && !is_home)
		kept->revoked = keeper->cookie;
	keeper->homes = keeper->homes - was_home + is_home;
	kept->told = *role;
	hub_set_role(keeper->hub, kept->number, role);
	places_role(keeper->places, kept->number, (enum hub_home)role->home, role->node);
}

static void settle_role(struct keeper *keeper, struct kept *kept)
{
	struct hub_role role = role_of(keeper, kept);
	bool was_home = kept->told.home == HOME_HERE;
	bool may_be_home = kept->first == NULL && (was_home || kept->pending == 0);
	if (role.home == HOME_HERE && !may_be_home)
		role.home = HOME_NOWHERE;
	/* What waits is of the stream that was told. That this is left is told all the same: what
	 * waits is only less sure by that. */
	bool is_behind =
		kept->first != NULL && role.stream != 0 && role.stream != kept->told.stream;
	if (is_behind)
		role = (struct hub_role){.home = HOME_NOWHERE,
		                         .is_replica = role.is_replica,
		                         .stream = kept->told.stream};
	bool is_same = role.home == kept->told.home && role.node == kept->told.node &&
	               role.is_replica == kept->told.is_replica && role.stream == kept->told.stream;
	if (!is_same)
		tell(keeper, kept, &role);
}

/* The hub takes back what it has proposed. */
static void leave_home(struct keeper *keeper, struct kept *kept)
{
	struct hub_role role = kept->told;
	if (role.home != HOME_HERE)
		return;
	role.home = HOME_NOWHERE;
	tell(keeper, kept, &role);
}

static void out_role(struct slots_out *out, uint16_t slot, const struct slots_role *role)
{
	struct keeper *keeper = keeper_under(out);
	struct kept *kept = kept_at(keeper, slot);
	kept->wanted = *role;
	settle_role(keeper, kept);
}

/* ---- entries ---- */

/* False: no memory, or no room. */
static bool put(struct keeper *keeper, const struct kept *kept, const struct blob *blob)
{
	struct unpack in = {.rest = blob_view(blob)};
	struct hub_entry entry;
	enum relay_answer answer = relay_read_entry(keeper->codec, kept->number, &in, &entry);
	if (answer != RELAY_DONE)
		return answer == RELAY_BAD; /* of a later version, to which it is known */
	bool is_done = hub_apply(keeper->hub, &entry);
	relay_entry_free(&entry);
	return is_done;
}

/* It was committed: that there is no memory must not keep it from being noted down. */
static void put_later(struct keeper *keeper, struct kept *kept, struct blob *entry)
{
	blob_take(entry);
	slots_entry_set_next(entry, NULL);
	if (kept->first == NULL)
		kept->first = entry;
	else
		slots_entry_set_next(kept->last, entry);
	kept->last = entry;
	if (!list_is_linked(&kept->late))
		list_append(&keeper->late, &kept->late);
	keeper->counters.waited++;
}

static void waiting_drop(struct kept *kept)
{
	struct blob *entry = kept->first;
	kept->first = slots_entry_next(entry);
	blob_drop(entry);
}

static void apply(struct keeper *keeper, struct kept *kept, struct blob *entry, uint64_t cookie)
{
	if (cookie > kept->revoked) { /* it is home, so that nothing waits */
		CHECK(kept->first == NULL);
		hub_commit(keeper->hub, kept->number);
		return;
	}
	if (kept->first != NULL || !put(keeper, kept, entry))
		put_later(keeper, kept, entry);
}

static void out_apply(struct slots_out *out, uint16_t slot, uint64_t lsn, struct blob *entry,
                      uint64_t cookie)
{
	struct keeper *keeper = keeper_under(out);
	struct kept *kept = kept_at(keeper, slot);
	(void)lsn;
	if (cookie != 0 && cookie == keeper->proposing) {
		keeper->is_applied = true;
		return;
	}
	kept->pending -= cookie != 0;
	apply(keeper, kept, entry, cookie);
	settle_role(keeper, kept);
}

static void out_refused(struct slots_out *out, uint16_t slot, struct blob *entry, uint64_t cookie)
{
	struct keeper *keeper = keeper_under(out);
	struct kept *kept = kept_at(keeper, slot);
	(void)entry;
	CHECK(cookie != 0);
	kept->pending--;
	if (cookie > kept->revoked)
		leave_home(keeper, kept);
	settle_role(keeper, kept);
}

enum hub_proposed keeper_propose(struct keeper *keeper, uint32_t slot,
                                 const struct hub_entry *entry)
{
	struct kept *kept = kept_at(keeper, slot);
	CHECK(keeper->proposing == 0);
	buf_clear(&keeper->entry);
	relay_write_entry(keeper->codec, &keeper->entry, entry);
	struct blob *blob =
		keeper->entry.is_broken ? NULL : slots_entry_make(buf_view(&keeper->entry));
	if (blob == NULL)
		return HUB_UNPROPOSED;
	keeper->proposing = ++keeper->cookie;
	keeper->is_applied = false;
	bool is_taken = slots_propose(keeper->slots, (uint16_t)slot, blob, keeper->cookie);
	keeper->proposing = 0;
	blob_drop(blob);
	if (!is_taken)
		return HUB_UNPROPOSED;
	kept->pending += !keeper->is_applied;
	return keeper->is_applied ? HUB_COMMITTED : HUB_PROPOSED;
}

void keeper_turn(struct keeper *keeper)
{
	struct list late;
	struct list_node *node;
	list_init(&late);
	list_move_all(&late, &keeper->late);
	while ((node = list_first(&late)) != NULL) {
		struct kept *kept = CONTAINER_OF(node, struct kept, late);
		list_remove(node);
		while (kept->first != NULL && put(keeper, kept, kept->first))
			waiting_drop(kept);
		if (kept->first != NULL)
			list_append(&keeper->late, node);
		else
			settle_role(keeper, kept);
	}
}

/* ---- states ---- */

static void save_end(struct keeper *keeper)
{
	if (keeper->is_saving)
		hub_save_end(&keeper->save);
	keeper->is_saving = keeper->has_more = false;
}

/* The next entry into the scratch, if there is one. False: no memory. */
static bool save_next(struct keeper *keeper)
{
	struct hub_entry entry;
	buf_clear(&keeper->entry);
	keeper->has_more = hub_save_next(keeper->hub, &keeper->save, &entry);
	if (keeper->has_more)
		relay_write_entry(keeper->codec, &keeper->entry, &entry);
	return !keeper->entry.is_broken;
}

/* False: no memory, or something waits that belongs to it. */
static bool save_begin(struct keeper *keeper, struct kept *kept, enum slots_saved what)
{
	save_end(keeper); /* one that was given up */
	if (kept->first != NULL)
		return false;
	bool is_begun = what == SLOTS_FORKED
	                        ? hub_fork_begin(keeper->hub, kept->number, &keeper->save)
	                        : hub_save_begin(keeper->hub, kept->number, &keeper->save);
	if (!is_begun)
		return false;
	keeper->is_saving = true;
	return save_next(keeper);
}

/* As many entries as go into a part, behind a byte that says whether it is the last one. */
static struct blob *save_part(struct keeper *keeper)
{
	struct buf *part = &keeper->part;
	buf_clear(part);
	pack_u8(part, 0);
	bool is_good = true;
	while (keeper->has_more && is_good &&
	       (part->len == 1 || part->len + keeper->entry.len <= KEEPER_PART_BYTES)) {
		buf_slice(part, buf_view(&keeper->entry));
		is_good = save_next(keeper);
	}
	if (!is_good || part->is_broken)
		return NULL;
	part->at[0] = keeper->has_more ? 0 : 1;
	return blob_copy(buf_view(part));
}

static struct blob *out_save(struct slots_out *out, uint16_t slot, enum slots_saved what,
                             uint64_t *at, bool *failed)
{
	struct keeper *keeper = keeper_under(out);
	struct kept *kept = kept_at(keeper, slot);
	if (*at == 0 && !save_begin(keeper, kept, what)) {
		*failed = true;
		save_end(keeper);
		return NULL;
	}
	if (!keeper->has_more) {
		save_end(keeper);
		return NULL;
	}
	++*at;
	struct blob *part = save_part(keeper);
	if (part == NULL) {
		*failed = true;
		save_end(keeper);
	}
	return part;
}

/* Hands each entry of a part to `take`. False: it did not take all, or the part is malformed. */
static bool take_part(struct keeper *keeper, uint16_t slot, struct slice part,
                      bool (*take)(struct hub *hub, uint32_t slot, const struct hub_entry *entry))
{
	struct unpack in = {.rest = part};
	bool is_good = unpack_u8(&in) <= 1 && !in.is_bad;
	while (is_good && in.rest.len > 0) {
		struct hub_entry entry;
		if (relay_read_entry(keeper->codec, slot, &in, &entry) != RELAY_DONE)
			return false;
		is_good = take(keeper->hub, slot, &entry);
		relay_entry_free(&entry);
	}
	return is_good;
}

static bool out_restore(struct slots_out *out, uint16_t slot, struct slice part)
{
	struct keeper *keeper = keeper_under(out);
	return take_part(keeper, slot, part, hub_restore) &&
	       (part.at[0] == 0 || hub_restore(keeper->hub, slot, NULL));
}

static void out_clear(struct slots_out *out, uint16_t slot)
{
	struct keeper *keeper = keeper_under(out);
	struct kept *kept = kept_at(keeper, slot);
	leave_home(keeper, kept);
	while (kept->first != NULL)
		waiting_drop(kept);
	hub_clear(keeper->hub, slot);
}

static bool out_merge(struct slots_out *out, uint16_t slot, struct slice part)
{
	return take_part(keeper_under(out), slot, part, hub_merge);
}

/* ---- making and breaking ---- */

bool keeper_init(struct keeper *keeper, const struct keeper_options *options)
{
	*keeper = (struct keeper){
		.out = {.role = out_role,
	                .apply = out_apply,
	                .refused = out_refused,
	                .save = out_save,
	                .restore = out_restore,
	                .clear = out_clear,
	                .merge = out_merge},
		.roster = options->roster,
		.codec = options->codec,
		.places = options->places,
		.workers = options->workers,
		.count = (SLOTS - options->worker - 1) / options->workers + 1,
	};
	list_init(&keeper->late);
	keeper->kept = calloc(keeper->count, sizeof(*keeper->kept));
	for (uint32_t i = 0; keeper->kept != NULL && i < keeper->count; i++)
		keeper->kept[i].number = (uint16_t)(options->worker + i * options->workers);
	return keeper->kept != NULL;
}

void keeper_free(struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->count; i++) {
		while (keeper->kept[i].first != NULL)
			waiting_drop(&keeper->kept[i]);
	}
	free(keeper->kept);
	buf_free(&keeper->entry);
	buf_free(&keeper->part);
}
