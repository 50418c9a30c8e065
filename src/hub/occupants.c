#include "hub/occupants.h"

#include <errno.h>
#include <stdlib.h>

/* For the source of an orphan. */
#define ANYBODYS UINT32_MAX /* nobody knows by now */
#define NOBODYS 0u          /* somebody expects him who knows more than all of them */

int occupants_init(struct occupants *occupants)
{
	*occupants = (struct occupants){.redo_from = UINT64_MAX};
	list_init(&occupants->changed);
	list_init(&occupants->owed);
	for (int i = 0; i < PARTING_GRACES; i++)
		list_init(&occupants->leaving[i]);
	return map_init(&occupants->by_user);
}

/* It is leaving no more; or, of a mirror, owed no more. */
static void stop_leaving(struct occupants *occupants, struct occupant *occupant)
{
	if (!list_is_linked(&occupant->in_leaving))
		return;
	list_remove(&occupant->in_leaving);
	occupants->leaving_count -= !occupants->is_mirror;
}

/* Out of the set, with what other sources said of it. */
static void occupant_remove(struct occupants *occupants, struct occupant *occupant)
{
	if (list_is_linked(&occupant->in_changed))
		list_remove(&occupant->in_changed);
	stop_leaving(occupants, occupant);
	map_remove(&occupants->by_user, &occupant->in_set);
	while (occupant != NULL) {
		struct occupant *next = occupant->next;
		occupant_free(occupant);
		occupant = next;
	}
}

void occupants_free(struct occupants *occupants)
{
	for (size_t i = 0; occupants->by_user.count > 0; i = (i + 1) % occupants_span(occupants)) {
		struct map_node *node = map_bucket(&occupants->by_user, i);
		if (node != NULL)
			occupant_remove(occupants, occupant_of_node(node));
	}
	map_free(&occupants->by_user);
}

bool occupants_is_empty(const struct occupants *occupants)
{
	return occupants->by_user.count == 0;
}

/* ---- one ---- */

struct occupant *occupant_make(struct slice user, struct slice channel, struct blob *info)
{
	CHECK(user.len > 0 && user.len <= UINT8_MAX);
	CHECK(channel.len <= UINT8_MAX);
	struct occupant *occupant = malloc(sizeof(*occupant) + user.len + channel.len);
	if (occupant == NULL) {
		blob_drop(info);
		return NULL;
	}
	*occupant = (struct occupant){.info = info,
	                              .connections = 1,
	                              .user_len = (uint8_t)user.len,
	                              .channel_len = (uint8_t)channel.len};
	memcpy(occupant->bytes, user.at, user.len);
	if (channel.len > 0)
		memcpy(occupant->bytes + user.len, channel.at, channel.len);
	return occupant;
}

void occupant_free(struct occupant *occupant)
{
	CHECK(!list_is_linked(&occupant->in_changed));
	CHECK(!list_is_linked(&occupant->in_leaving));
	blob_drop(occupant->info);
	free(occupant);
}

struct occupant *occupant_arrive(struct occupant *occupant)
{
	occupant->channel_len = 0;
	struct occupant *smaller = realloc(occupant, sizeof(*occupant) + occupant->user_len);
	return smaller == NULL ? occupant : smaller;
}

struct slice occupant_user(const struct occupant *occupant)
{
	return slice_of(occupant->bytes, occupant->user_len);
}

struct slice occupant_channel(const struct occupant *occupant)
{
	return slice_of(occupant->bytes + occupant->user_len, occupant->channel_len);
}

/* However many a node says it has: the sum is 0 only where nobody has any. */
uint32_t occupant_connections(const struct occupant *occupant)
{
	uint64_t connections = 0;
	for (; occupant != NULL; occupant = occupant->next)
		connections += occupant->connections;
	return connections < UINT32_MAX ? (uint32_t)connections : UINT32_MAX;
}

uint32_t occupants_connections(const struct occupants *occupants, const struct occupant *occupant)
{
	return occupants->is_mirror ? occupant->heard : occupant_connections(occupant);
}

static uint64_t occupant_weight(const struct occupant *occupant)
{
	return occupant->user_len + (occupant->info == NULL ? 0u : occupant->info->len);
}

/* What the source says of the occupant; NULL: nothing. */
static struct occupant *part_of(struct occupant *occupant, uint32_t source)
{
	while (occupant != NULL && (occupant->source != source || occupant->connections == 0))
		occupant = occupant->next;
	return occupant;
}

/* ---- coming and going ---- */

/* It is taken out, where nobody needs to know anything of it any more. */
static bool is_idle(const struct occupants *occupants, const struct occupant *occupant)
{
	if (occupant->is_present || list_is_linked(&occupant->in_changed))
		return false;
	return !occupants->is_mirror ||
	       (!list_is_linked(&occupant->in_leaving) && occupant_connections(occupant) == 0);
}

static void let_go(struct occupants *occupants, struct occupant *occupant)
{
	if (is_idle(occupants, occupant))
		occupant_remove(occupants, occupant);
}

/* What was to be told was taken back: a list that was given since shows it. Who is back may have
 * another number of connections than before he went. */
static void take_back(struct occupants *occupants, struct occupant *occupant)
{
	bool is_recounted = occupant->is_present && occupants->is_counting;
	if (!is_recounted)
		list_remove(&occupant->in_changed);
	if (occupants->shown >= occupant->version && occupant->version < occupants->redo_from)
		occupants->redo_from = occupant->version;
}

/* Others are told of it, or need not be. */
static void note_change(struct occupants *occupants, struct occupant *occupant)
{
	if (!occupants->is_telling)
		occupant->is_told = occupant->is_present;
	else if (occupant->is_told == occupant->is_present)
		take_back(occupants, occupant);
	else if (!list_is_linked(&occupant->in_changed))
		list_append(&occupants->changed, &occupant->in_changed);
	occupant->version = ++occupants->version;
}

/* It neither came nor went. A list says how many connections somebody has, so where others keep
 * one they are told; the version in which it came stays. */
static void note_connections(struct occupants *occupants, struct occupant *occupant)
{
	if (!occupants->is_counting || !occupants->is_telling || !occupant->is_present)
		return;
	if (!list_is_linked(&occupant->in_changed))
		list_append(&occupants->changed, &occupant->in_changed);
	occupants->version++;
}

/* To be told to the home. */
static void owe(struct occupants *occupants, struct occupant *occupant)
{
	if (!list_is_linked(&occupant->in_leaving))
		list_append(&occupants->owed, &occupant->in_leaving);
}

static void occupant_come(struct occupants *occupants, struct occupant *occupant)
{
	occupant->is_present = true;
	occupants->count++;
	occupants->bytes += occupant_weight(occupant);
	note_change(occupants, occupant);
}

static void occupant_end(struct occupants *occupants, struct occupant *occupant)
{
	CHECK(occupant->is_present);
	CHECK(occupants->is_mirror || occupant_connections(occupant) == 0);
	occupant->is_present = false;
	occupants->count--;
	occupants->bytes -= occupant_weight(occupant);
	note_change(occupants, occupant);
	if (!occupants->is_mirror)
		stop_leaving(occupants, occupant);
}

/* It may be freed. */
static void occupant_go(struct occupants *occupants, struct occupant *occupant)
{
	occupant_end(occupants, occupant);
	let_go(occupants, occupant);
}

/* ---- entering ---- */

struct occupant *occupants_find(const struct occupants *occupants, struct slice user, uint64_t hash)
{
	struct map_node *node = map_first(&occupants->by_user, hash);
	while (node != NULL && !slice_equals(occupant_user(occupant_of_node(node)), user))
		node = map_next(node);
	return node == NULL ? NULL : occupant_of_node(node);
}

/* Takes over `info`. */
static void set_info(struct occupants *occupants, struct occupant *occupant, struct blob *info)
{
	uint64_t before = occupant_weight(occupant);
	blob_drop(occupant->info);
	occupant->info = info;
	if (occupant->is_present)
		occupants->bytes += occupant_weight(occupant) - before;
}

/* What was said last is what others see. */
static void adopt_info(struct occupants *occupants, struct occupant *occupant,
                       struct occupant *newer)
{
	set_info(occupants, occupant, newer->info);
	newer->info = NULL;
}

/* A place for what the source says of an occupant that is there; takes over `newer`. */
static struct occupant *part_make(struct occupants *occupants, struct occupant *occupant,
                                  uint32_t source, struct occupant *newer)
{
	struct occupant *part = part_of(occupant, source);
	adopt_info(occupants, occupant, newer);
	if (part == NULL && occupant->connections == 0) {
		part = occupant; /* whoever said that it is here, says so no more */
		part->source = source;
	}
	if (part != NULL) {
		occupant_free(newer);
		return part;
	}
	newer->source = source;
	newer->connections = 0;
	newer->next = occupant->next;
	occupant->next = newer;
	return newer;
}

/* The occupant, in the set; `*part` is what the source says of it. */
static struct occupant *take_in(struct occupants *occupants, uint32_t source,
                                struct occupant *occupant, uint64_t hash, struct occupant **part)
{
	struct occupant *found = occupants_find(occupants, occupant_user(occupant), hash);
	CHECK(occupant->next == NULL);
	if (found != NULL) {
		*part = part_make(occupants, found, source, occupant);
	} else {
		occupant->source = source;
		occupant->connections = 0;
		map_insert(&occupants->by_user, &occupant->in_set, hash);
		*part = found = occupant;
	}
	if (!occupants->is_mirror)
		stop_leaving(occupants, found);
	return found;
}

void occupants_enter(struct occupants *occupants, uint32_t source, struct occupant *occupant,
                     uint64_t hash)
{
	struct occupant *part;
	occupant = take_in(occupants, source, occupant, hash, &part);
	part->connections++;
	if (occupants->is_mirror)
		owe(occupants, occupant);
	else if (!occupant->is_present)
		occupant_come(occupants, occupant);
	else
		note_connections(occupants, occupant);
}

/* ---- leaving ---- */

static void part_drop(struct occupant *occupant, struct occupant *part)
{
	struct occupant *before = occupant;
	if (part == occupant)
		return; /* it bears the name */
	while (before->next != part)
		before = before->next;
	before->next = part->next;
	occupant_free(part);
}

static void begin_leaving(struct occupants *occupants, struct occupant *occupant,
                          enum parting parting, uint64_t now_ms)
{
	CHECK(parting < PARTING_GRACES);
	CHECK(!occupants->is_mirror);
	occupant->parting = (uint8_t)parting;
	occupant->left_ms = (uint32_t)now_ms;
	list_append(&occupants->leaving[parting], &occupant->in_leaving);
	occupants->leaving_count++;
}

/* The source has no connection of the occupant any more. */
static void part_end(struct occupants *occupants, struct occupant *occupant, struct occupant *part,
                     enum parting parting, uint64_t now_ms)
{
	part->connections = 0;
	part->is_doubted = false;
	part_drop(occupant, part);
	if (occupant_connections(occupant) == 0)
		begin_leaving(occupants, occupant, parting, now_ms);
	note_connections(occupants, occupant);
}

/* The home is told, and knows how long it may come back. */
static void mirror_leave(struct occupants *occupants, struct occupant *occupant,
                         struct occupant *part, enum parting parting)
{
	part->connections--;
	if (part->connections == 0)
		part_drop(occupant, part);
	occupant->parting = (uint8_t)parting;
	owe(occupants, occupant);
}

bool occupants_leave(struct occupants *occupants, uint32_t source, uint64_t hash,
                     enum parting parting, const struct parting_grace *grace, uint64_t now_ms)
{
	struct map_node *node = map_first(&occupants->by_user, hash);
	struct occupant *occupant = node == NULL ? NULL : occupant_of_node(node);
	struct occupant *part = part_of(occupant, source);
	if (part == NULL)
		return false;
	if (occupants->is_mirror) {
		mirror_leave(occupants, occupant, part, parting);
		return true;
	}
	if (part->connections > 1) {
		part->connections--;
		note_connections(occupants, occupant);
		return true;
	}
	bool is_at_once = parting == PARTING_LEFT || grace->ms[parting] == 0;
	part_end(occupants, occupant, part, is_at_once ? PARTING_LOST : parting, now_ms);
	if (is_at_once && list_is_linked(&occupant->in_leaving))
		occupant_go(occupants, occupant);
	return true;
}

/* How long until the first of a list is away; 0: now. */
static uint64_t left_of_grace(const struct list *leaving, uint32_t grace_ms, uint64_t now_ms)
{
	const struct list_node *node = list_first(leaving);
	if (node == NULL)
		return UINT64_MAX;
	uint32_t since =
		(uint32_t)now_ms - CONTAINER_OF(node, struct occupant, in_leaving)->left_ms;
	return since < grace_ms ? grace_ms - since : 0;
}

uint64_t occupants_expire(struct occupants *occupants, const struct parting_grace *grace,
                          uint64_t now_ms, uint32_t budget)
{
	uint64_t soonest = UINT64_MAX;
	for (int i = 0; i < PARTING_GRACES; i++) {
		struct list *leaving = &occupants->leaving[i];
		uint64_t left;
		while ((left = left_of_grace(leaving, grace->ms[i], now_ms)) == 0 && budget > 0) {
			struct list_node *node = list_first(leaving);
			occupant_go(occupants, CONTAINER_OF(node, struct occupant, in_leaving));
			budget--;
		}
		soonest = left < soonest ? left : soonest;
	}
	return soonest;
}

/* ---- telling ---- */

/* What was to be told of it is, or is nobody's concern. */
static void settle_change(struct occupants *occupants, struct occupant *occupant)
{
	list_remove(&occupant->in_changed);
	occupant->is_told = occupant->is_present;
	let_go(occupants, occupant);
}

void occupants_skip(struct occupants *occupants)
{
	struct list_node *node;
	while ((node = list_first(&occupants->changed)) != NULL)
		settle_change(occupants, CONTAINER_OF(node, struct occupant, in_changed));
	occupants->told = occupants->version;
	occupants->redo_from = UINT64_MAX;
}

void occupants_tell(struct occupants *occupants, bool is_telling)
{
	if (occupants->is_telling == is_telling)
		return;
	uint64_t told = occupants->told;
	occupants_skip(occupants);
	/* That there are others now is still to be told, if not who. */
	occupants->told = is_telling ? occupants->version : told;
	occupants->is_telling = is_telling;
}

void occupants_redo(struct occupants *occupants)
{
	occupants->redo_from = 0;
	occupants->version++;
}

/* ---- turnouts ---- */

static struct turnout *turnout_make(const struct occupants *occupants, struct slice channel,
                                    size_t count, size_t bytes)
{
	struct turnout *turnout = malloc(sizeof(*turnout) + count * sizeof(turnout->entries[0]) +
	                                 bytes + channel.len);
	if (turnout == NULL)
		return NULL;
	*turnout = (struct turnout){.occupant_count = occupants->count,
	                            .version = occupants->version,
	                            .redo_from = UINT64_MAX,
	                            .channel_len = (uint8_t)channel.len,
	                            .count = (uint32_t)count};
	atomic_init(&turnout->refs, 1);
	memcpy(&turnout->entries[count], channel.at, channel.len);
	return turnout;
}

/* The next entry; its name goes to `*at`, which moves on. */
static void turnout_add(const struct occupants *occupants, struct turnout_entry *entry,
                        const struct occupant *occupant, char **at)
{
	memcpy(*at, occupant->bytes, occupant->user_len);
	*entry = (struct turnout_entry){
		.info = occupant->info == NULL ? NULL : blob_take(occupant->info),
		.user = *at,
		.version = occupant->version,
		.connections = occupants_connections(occupants, occupant),
		.user_len = occupant->user_len,
		.is_present = occupant->is_present,
		.is_recounted = occupant->is_present == occupant->is_told,
	};
	*at += occupant->user_len;
}

static char *names_of(struct turnout *turnout)
{
	return (char *)&turnout->entries[turnout->count] + turnout->channel_len;
}

static struct turnout *turnout_of_changes(const struct occupants *occupants, struct slice channel)
{
	size_t count = 0, bytes = 0;
	const struct list_node *node = list_first(&occupants->changed);
	for (; node != NULL; node = list_after(&occupants->changed, node), count++)
		bytes += CONTAINER_OF(node, struct occupant, in_changed)->user_len;
	struct turnout *turnout = turnout_make(occupants, channel, count, bytes);
	if (turnout == NULL)
		return NULL;
	char *at = names_of(turnout);
	node = list_first(&occupants->changed);
	for (size_t i = 0; i < count; i++, node = list_after(&occupants->changed, node))
		turnout_add(occupants, &turnout->entries[i],
		            CONTAINER_OF(node, struct occupant, in_changed), &at);
	return turnout;
}

struct turnout *occupants_take(struct occupants *occupants, struct slice channel)
{
	struct turnout *turnout = turnout_of_changes(occupants, channel);
	if (turnout == NULL)
		return NULL;
	turnout->has_names = occupants->is_telling;
	turnout->base = occupants->told;
	turnout->redo_from = occupants->redo_from;
	occupants_skip(occupants);
	return turnout;
}

struct turnout *occupants_all(struct occupants *occupants, struct slice channel, bool has_names)
{
	uint32_t count = has_names ? occupants->count : 0, added = 0;
	struct turnout *turnout =
		turnout_make(occupants, channel, count, has_names ? occupants->bytes : 0);
	if (turnout == NULL)
		return NULL;
	turnout->has_names = has_names;
	char *at = names_of(turnout);
	for (size_t i = 0; added < count; i++) {
		const struct occupant *occupant = occupants_at(occupants, (uint32_t)i);
		for (; occupant != NULL; occupant = occupants_after(occupant)) {
			if (occupant->is_present)
				turnout_add(occupants, &turnout->entries[added++], occupant, &at);
		}
	}
	occupants->shown = occupants->version;
	return turnout;
}

struct turnout *turnout_take(struct turnout *turnout)
{
	uint32_t refs = atomic_fetch_add_explicit(&turnout->refs, 1, memory_order_relaxed);
	CHECK(refs != 0);
	return turnout;
}

void turnout_drop(struct turnout *turnout)
{
	if (turnout == NULL)
		return;
	/* As in blob_drop(). */
	uint32_t refs = atomic_fetch_sub_explicit(&turnout->refs, 1, memory_order_acq_rel);
	CHECK(refs != 0);
	if (refs != 1)
		return;
	for (uint32_t i = 0; i < turnout->count; i++)
		blob_drop(turnout->entries[i].info);
	free(turnout);
}

struct slice turnout_channel(const struct turnout *turnout)
{
	return slice_of((const char *)&turnout->entries[turnout->count], turnout->channel_len);
}

/* ---- sources ---- */

/* Each occupant, as long as none is put in or taken out. */
static struct occupant *first_from(const struct occupants *occupants, size_t *place)
{
	struct map_node *node = NULL;
	while (node == NULL && *place < map_buckets(&occupants->by_user))
		node = map_bucket(&occupants->by_user, (*place)++);
	return node == NULL ? NULL : occupant_of_node(node);
}

static struct occupant *next_from(const struct occupants *occupants,
                                  const struct occupant *occupant, size_t *place)
{
	return occupant->in_set.next != NULL ? occupant_of_node(occupant->in_set.next)
	                                     : first_from(occupants, place);
}

void occupants_orphan(struct occupants *occupants, uint32_t source, uint64_t now_ms)
{
	size_t place = 0;
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		struct occupant *part = part_of(occupant, source);
		if (part == NULL)
			continue;
		part_end(occupants, occupant, part, PARTING_ORPHANED, now_ms);
		if (occupant_connections(occupant) == 0)
			occupant->source = source;
	}
}

void occupants_renounce(struct occupants *occupants, const uint64_t *sources, uint32_t first)
{
	struct list *orphans = &occupants->leaving[PARTING_ORPHANED];
	struct list_node *node = list_first(orphans), *next;
	for (; node != NULL; node = next) {
		struct occupant *occupant = CONTAINER_OF(node, struct occupant, in_leaving);
		uint32_t at = occupant->source - first;
		next = list_after(orphans, node);
		if (occupant->source == ANYBODYS ||
		    (occupant->source >= first && (sources[at / 64] >> at % 64 & 1) != 0))
			occupant_go(occupants, occupant);
	}
}

uint64_t occupant_digest(uint64_t hash, uint32_t connections)
{
	/* The finisher of SplitMix64: each bit of both counts for all bits of the sum. */
	uint64_t mixed = hash + connections * 0x9e3779b97f4a7c15u;
	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

void occupants_doubt(struct occupants *occupants, uint32_t source)
{
	size_t place = 0;
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		struct occupant *part = part_of(occupant, source);
		if (part != NULL)
			part->is_doubted = true;
	}
}

void occupants_confirm(struct occupants *occupants, uint32_t source, struct occupant *occupant,
                       uint64_t hash, uint32_t connections)
{
	CHECK(connections > 0);
	struct occupant *part;
	occupant = take_in(occupants, source, occupant, hash, &part);
	bool is_other = part->connections != connections;
	part->connections = connections;
	part->is_doubted = false;
	if (!occupant->is_present)
		occupant_come(occupants, occupant);
	else if (is_other)
		note_connections(occupants, occupant);
}

void occupants_settle(struct occupants *occupants, uint32_t source, uint64_t now_ms)
{
	size_t place = 0;
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		struct occupant *part = part_of(occupant, source);
		if (part != NULL && part->is_doubted)
			part_end(occupants, occupant, part, PARTING_LOST, now_ms);
	}
}

void occupants_end(struct occupants *occupants, uint32_t source, uint64_t hash,
                   enum parting parting, const struct parting_grace *grace, uint64_t now_ms)
{
	struct map_node *node = map_first(&occupants->by_user, hash);
	struct occupant *occupant = node == NULL ? NULL : occupant_of_node(node);
	struct occupant *part = part_of(occupant, source);
	if (part != NULL) {
		part->connections = 1;
		(void)occupants_leave(occupants, source, hash, parting, grace, now_ms);
	} else if (occupant != NULL && parting == PARTING_LEFT &&
	           list_is_linked(&occupant->in_leaving)) {
		occupant_go(occupants, occupant);
	}
}

uint32_t occupants_counted(const struct occupants *occupants, uint32_t source, uint64_t hash)
{
	struct map_node *node = map_first(&occupants->by_user, hash);
	const struct occupant *part = part_of(node == NULL ? NULL : occupant_of_node(node), source);
	return part == NULL || part->is_doubted ? 0 : part->connections;
}

void occupants_expect(struct occupants *occupants, struct occupant *occupant, uint64_t hash,
                      enum parting parting, uint64_t now_ms)
{
	struct occupant *found = occupants_find(occupants, occupant_user(occupant), hash);
	bool is_visit = parting != PARTING_ORPHANED;
	if (found != NULL && found->is_present &&
	    !(is_visit && list_is_linked(&found->in_leaving))) {
		occupant_free(occupant);
		return;
	}
	if (found != NULL) {
		adopt_info(occupants, found, occupant);
		occupant_free(occupant);
	} else {
		found = occupant;
		found->connections = 0;
		map_insert(&occupants->by_user, &found->in_set, hash);
	}
	found->source = ANYBODYS;
	if (found->is_present)
		stop_leaving(occupants, found);
	else
		occupant_come(occupants, found);
	begin_leaving(occupants, found, parting, now_ms);
}

void occupants_vouch(struct occupants *occupants, struct slice user, uint64_t hash)
{
	struct occupant *found = occupants_find(occupants, user, hash);
	if (found != NULL && occupant_connections(found) == 0)
		found->source = NOBODYS;
}

/* ---- mirrors ---- */

void occupants_sweep(struct occupants *occupants, struct list *idle)
{
	struct list_node *node;
	while ((node = list_first(idle)) != NULL) {
		list_remove(node);
		occupant_remove(occupants, CONTAINER_OF(node, struct occupant, in_leaving));
	}
}

/* Takes out those that are idle. They are gathered first: the map moves when one goes. */
static void sweep(struct occupants *occupants)
{
	struct list idle;
	size_t place = 0;
	list_init(&idle);
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		if (is_idle(occupants, occupant))
			list_append(&idle, &occupant->in_leaving);
	}
	occupants_sweep(occupants, &idle);
}

static void drop_parts_from(struct occupant *occupant, uint32_t sources)
{
	struct occupant **link = &occupant->next;
	if (occupant->source >= sources)
		occupant->connections = 0;
	while (*link != NULL) {
		struct occupant *part = *link;
		if (part->source < sources) {
			link = &part->next;
			continue;
		}
		*link = part->next;
		occupant_free(part);
	}
}

void occupants_mirror(struct occupants *occupants, uint32_t sources, bool has_names)
{
	size_t place = 0;
	CHECK(!occupants->is_mirror);
	if (!has_names) {
		occupants_skip(occupants);
		occupants->bytes = 0;
		occupants->version++;
	}
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		uint32_t connections = occupant_connections(occupant);
		if (list_is_linked(&occupant->in_leaving))
			list_remove(&occupant->in_leaving);
		drop_parts_from(occupant, sources);
		occupant->heard = connections;
		occupant->reported = 0;
		occupant->is_unheard = false;
		if (!has_names)
			occupant->is_present = occupant->is_told = false;
	}
	occupants->leaving_count = 0;
	occupants->is_mirror = true;
	occupants->is_numbered = !has_names;
	occupants->is_counting = false;
}

void occupants_lead(struct occupants *occupants, uint64_t now_ms)
{
	size_t place = 0;
	CHECK(occupants->is_mirror);
	occupants->is_mirror = false;
	if (occupants->is_numbered)
		occupants->count = 0;
	occupants->is_numbered = false;
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		bool is_here = occupant_connections(occupant) > 0;
		/* The home before was still to be told, and knew of no connection but those here.
		 */
		bool has_left = list_is_linked(&occupant->in_leaving) && !is_here &&
		                occupant->parting == PARTING_LEFT &&
		                occupant->heard <= occupant->reported;
		if (list_is_linked(&occupant->in_leaving))
			list_remove(&occupant->in_leaving);
		if (is_here && !occupant->is_present) {
			occupant_come(occupants, occupant);
		} else if (occupant->is_present && has_left) {
			occupant_end(occupants, occupant);
		} else if (!is_here && occupant->is_present) {
			begin_leaving(occupants, occupant, PARTING_ORPHANED, now_ms);
			occupant->source = ANYBODYS;
		}
	}
	sweep(occupants);
}

void occupants_retold(struct occupants *occupants, struct occupant *occupant, struct list *idle)
{
	CHECK(occupants->is_mirror);
	occupant->reported = occupant_connections(occupant);
	/* Who has none was not named, and how he went is still to be told. */
	if (occupant->reported > 0 && list_is_linked(&occupant->in_leaving))
		list_remove(&occupant->in_leaving);
	if (is_idle(occupants, occupant))
		list_append(idle, &occupant->in_leaving);
}

static struct occupant *owed_of(struct list_node *node)
{
	return node == NULL ? NULL : CONTAINER_OF(node, struct occupant, in_leaving);
}

struct occupant *occupants_owed(const struct occupants *occupants)
{
	return owed_of(list_first(&occupants->owed));
}

struct occupant *occupants_owed_after(const struct occupants *occupants,
                                      const struct occupant *occupant)
{
	return owed_of(list_after(&occupants->owed, &occupant->in_leaving));
}

void occupants_report(struct occupants *occupants, struct occupant *occupant)
{
	CHECK(occupants->is_mirror);
	occupant->reported = occupant_connections(occupant);
	if (list_is_linked(&occupant->in_leaving))
		list_remove(&occupant->in_leaving);
	let_go(occupants, occupant);
}

void occupants_hear_begin(struct occupants *occupants)
{
	size_t place = 0;
	struct occupant *occupant = first_from(occupants, &place);
	CHECK(occupants->is_mirror);
	if (occupants->is_numbered)
		occupants->count = 0;
	occupants->is_numbered = false;
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place))
		occupant->is_unheard = occupant->is_present;
}

/* NULL: no memory. */
static struct occupant *mirror_add(struct occupants *occupants, struct slice user, uint64_t hash,
                                   struct slice info)
{
	struct blob *kept = info.len == 0 ? NULL : blob_copy(info);
	if (info.len > 0 && kept == NULL)
		return NULL;
	struct occupant *made = occupant_make(user, slice_of(NULL, 0), kept);
	if (made == NULL)
		return NULL;
	made->connections = 0;
	map_insert(&occupants->by_user, &made->in_set, hash);
	return made;
}

/* False: no memory. */
static bool hear_info(struct occupants *occupants, struct occupant *occupant, struct slice info)
{
	if (slice_equals(occupant_info(occupant->info), info))
		return true;
	struct blob *kept = info.len == 0 ? NULL : blob_copy(info);
	if (info.len > 0 && kept == NULL)
		return false;
	set_info(occupants, occupant, kept);
	return true;
}

bool occupants_hear(struct occupants *occupants, struct slice user, uint64_t hash,
                    struct slice info, uint32_t connections, bool is_present)
{
	CHECK(occupants->is_mirror);
	CHECK(!occupants->is_numbered);
	struct occupant *occupant = occupants_find(occupants, user, hash);
	if (!is_present) {
		if (occupant != NULL && occupant->is_present)
			occupant_go(occupants, occupant);
		return true;
	}
	if (occupant == NULL)
		occupant = mirror_add(occupants, user, hash, info);
	else if (!hear_info(occupants, occupant, info))
		return false;
	if (occupant == NULL)
		return false;
	occupant->heard = connections;
	occupant->is_unheard = false;
	if (!occupant->is_present)
		occupant_come(occupants, occupant);
	return true;
}

void occupants_hear_end(struct occupants *occupants)
{
	size_t place = 0;
	struct occupant *occupant = first_from(occupants, &place);
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place)) {
		if (occupant->is_unheard)
			occupant_end(occupants, occupant);
		occupant->is_unheard = false;
	}
	sweep(occupants);
}

void occupants_hear_number(struct occupants *occupants, uint32_t count)
{
	occupants_forget(occupants);
	occupants->is_numbered = true;
	occupants->count = count;
	occupants->version++;
}

void occupants_forget(struct occupants *occupants)
{
	size_t place = 0;
	CHECK(occupants->is_mirror);
	occupants_skip(occupants);
	/* Where the home says a number nobody is present: it comes often, and this is cheap. */
	bool has_any = !occupants->is_numbered && occupants->count > 0;
	struct occupant *occupant = has_any ? first_from(occupants, &place) : NULL;
	for (; occupant != NULL; occupant = next_from(occupants, occupant, &place))
		occupant->is_present = occupant->is_told = occupant->is_unheard = false;
	occupants->count = 0;
	occupants->bytes = 0;
	occupants->is_numbered = false;
	if (has_any)
		sweep(occupants);
}

void occupants_forget_one(struct occupants *occupants, struct occupant *occupant)
{
	CHECK(occupants->is_mirror);
	CHECK(!occupants->is_numbered);
	CHECK(!occupants->is_telling);
	if (occupant->is_present) {
		occupants->count--;
		occupants->bytes -= occupant_weight(occupant);
	}
	occupant->is_present = occupant->is_told = occupant->is_unheard = false;
}

/* ---- all of them, in parts ---- */

/* While the map moves its occupants to other buckets no walk can be interrupted. */
uint64_t occupants_layout(const struct occupants *occupants)
{
	const struct map *map = &occupants->by_user;
	return map->old != NULL ? 0 : map->size;
}

uint32_t occupants_span(const struct occupants *occupants)
{
	return (uint32_t)map_buckets(&occupants->by_user);
}

const struct occupant *occupants_at(const struct occupants *occupants, uint32_t place)
{
	const struct map_node *node = map_bucket(&occupants->by_user, place);
	return node == NULL ? NULL : occupant_of_node(node);
}

const struct occupant *occupants_after(const struct occupant *occupant)
{
	return occupant->in_set.next == NULL ? NULL : occupant_of_node(occupant->in_set.next);
}
