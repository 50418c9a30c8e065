#include "mesh/membership.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"
#include "mesh/pack.h"

/* Lateness below this is what any loop has. */
#define LATE_MS 100u
#define SILENCE_UNIT_MS 100u
#define HELD_MAX (2 * MEMBERS_MAX) /* the living, and the dead that are still dialled */
#define REFUSALS_OF_THE_DEAD 2u

struct tombstone {
	struct boot_id boot;
	uint64_t incarnation;
	bool has_left;
	uint64_t since_ms;
};

struct membership {
	struct membership_out *out;
	struct membership_options options;
	struct random random;
	uint64_t incarnation;
	enum member_state state;
	uint64_t started_ms, ticked_ms, beat_ms, seed_ms;
	uint64_t blind_until_ms; /* accuses nobody before */
	uint32_t clients, homes; /* this node's own */
	uint32_t view_version;   /* of the MEMBERS that was sent last */
	bool view_is_new;
	struct member *held[HELD_MAX];
	size_t count;
	struct tombstone *tombstones; /* a circle */
	size_t tombstone_count, tombstone_next;
};

/* ---- making and breaking ---- */

struct membership *membership_create(const struct membership_options *options)
{
	struct membership *membership = calloc(1, sizeof(*membership));
	if (membership == NULL)
		return NULL;
	membership->tombstones = calloc(TOMBSTONES_MAX, sizeof(*membership->tombstones));
	if (membership->tombstones == NULL) {
		free(membership);
		return NULL;
	}
	membership->out = options->out;
	membership->options = *options;
	membership->random.state = options->seed;
	membership->incarnation = options->incarnation;
	membership->started_ms = membership->ticked_ms = options->now_ms;
	membership->beat_ms = membership->seed_ms = options->now_ms;
	membership->state = options->seed_count == 0 ? MEMBER_READY : MEMBER_JOINING;
	return membership;
}

static void member_free(struct member *member)
{
	free(member->name);
	free(member->address);
	free(member->told);
	free(member);
}

void membership_destroy(struct membership *membership)
{
	if (membership == NULL)
		return;
	for (size_t i = 0; i < membership->count; i++)
		member_free(membership->held[i]);
	free(membership->tombstones);
	free(membership);
}

/* ---- the table ---- */

static bool is_alive(const struct member *member)
{
	return member->standing == STANDING_ALIVE || member->standing == STANDING_SUSPECT;
}

static struct member *find(const struct membership *membership, struct boot_id boot)
{
	for (size_t i = 0; i < membership->count; i++) {
		if (boot_id_equals(membership->held[i]->boot, boot))
			return membership->held[i];
	}
	return NULL;
}

static struct member *find_living_name(const struct membership *membership, struct slice name)
{
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		if (is_alive(member) && slice_is(name, member->name))
			return member;
	}
	return NULL;
}

static size_t living(const struct membership *membership)
{
	size_t count = 0;
	for (size_t i = 0; i < membership->count; i++)
		count += is_alive(membership->held[i]);
	return count;
}

static char *copy(struct slice text)
{
	char *made = malloc(text.len + 1);
	if (made == NULL)
		return NULL;
	if (text.len > 0)
		memcpy(made, text.at, text.len);
	made[text.len] = '\0';
	return made;
}

/* NULL: no memory. */
static struct member *member_make(struct boot_id boot, struct slice name, struct slice address)
{
	struct member *member = calloc(1, sizeof(*member));
	if (member == NULL)
		return NULL;
	member->boot = boot;
	member->name = copy(name);
	member->address = copy(address);
	if (member->name != NULL && member->address != NULL)
		return member;
	member_free(member);
	return NULL;
}

static void forget_at(struct membership *membership, size_t at)
{
	member_free(membership->held[at]);
	membership->held[at] = membership->held[--membership->count];
	membership->view_is_new = true; /* their order is another one */
}

static bool may_come_back(const struct member *member)
{
	return member->standing == STANDING_DEAD && !member->is_gone;
}

static bool goes_before(const struct member *a, const struct member *b)
{
	if (may_come_back(a) != may_come_back(b))
		return may_come_back(b);
	return a->ended_ms < b->ended_ms;
}

/* Room for one more: of those that are not living the one that ended, or was named, first goes; but
 * one that may come back only where there is no other. */
static bool make_room(struct membership *membership)
{
	if (membership->count < HELD_MAX)
		return true;
	size_t oldest = HELD_MAX;
	for (size_t i = 0; i < membership->count; i++) {
		const struct member *member = membership->held[i];
		if (!is_alive(member) && !member->is_linked &&
		    (oldest == HELD_MAX || goes_before(member, membership->held[oldest])))
			oldest = i;
	}
	if (oldest == HELD_MAX)
		return false;
	forget_at(membership, oldest);
	return true;
}

/* NULL: no memory, or no room. */
static struct member *hold(struct membership *membership, struct boot_id boot, struct slice name,
                           struct slice address)
{
	if (!make_room(membership))
		return NULL;
	struct member *member = member_make(boot, name, address);
	if (member != NULL)
		membership->held[membership->count++] = member;
	return member;
}

/* ---- those that have gone ---- */

static struct tombstone *find_tombstone(const struct membership *membership, struct boot_id boot)
{
	for (size_t i = 0; i < membership->tombstone_count; i++) {
		if (boot_id_equals(membership->tombstones[i].boot, boot))
			return &membership->tombstones[i];
	}
	return NULL;
}

/* True: that is news. */
static bool bury(struct membership *membership, struct boot_id boot, uint64_t incarnation,
                 bool has_left, uint64_t now_ms)
{
	struct tombstone *stone = find_tombstone(membership, boot);
	if (stone != NULL && (stone->has_left || (!has_left && stone->incarnation >= incarnation)))
		return false;
	if (stone == NULL) {
		stone = &membership->tombstones[membership->tombstone_next];
		membership->tombstone_next = (membership->tombstone_next + 1) % TOMBSTONES_MAX;
		if (membership->tombstone_count < TOMBSTONES_MAX)
			membership->tombstone_count++;
	}
	*stone = (struct tombstone){boot, incarnation, has_left, now_ms};
	return true;
}

/* The word of somebody else that this boot lives cannot be true. */
static bool is_buried(const struct membership *membership, struct boot_id boot,
                      uint64_t incarnation)
{
	const struct tombstone *stone = find_tombstone(membership, boot);
	return stone != NULL && (stone->has_left || stone->incarnation >= incarnation);
}

/* ---- saying ---- */

static void say(struct membership *membership, struct member *to, enum frame_type type,
                const struct buf *body)
{
	/* Without memory a heartbeat is left out, and so is that somebody has ended, which others
	 * find out by themselves. Without MEMBERS the other side would have a wrong idea of what
	 * heartbeats say, so that link begins anew. */
	if (!body->is_broken)
		membership->out->send(membership->out, to, type, buf_view(body));
	else if (type == FRAME_MEMBERS)
		membership->out->close(membership->out, to, BYE_MEMORY);
}

static void say_to_all(struct membership *membership, enum frame_type type, const struct buf *body)
{
	for (size_t i = 0; i < membership->count; i++) {
		if (membership->held[i]->is_linked)
			say(membership, membership->held[i], type, body);
	}
}

static void write_boot(struct buf *out, struct boot_id boot)
{
	pack_u64(out, boot.word[0]);
	pack_u64(out, boot.word[1]);
}

static void write_statement(struct buf *out, struct boot_id boot, uint64_t incarnation)
{
	write_boot(out, boot);
	pack_u64(out, incarnation);
}

static void state_death(struct membership *membership, struct boot_id boot, uint64_t incarnation,
                        bool is_gone)
{
	struct buf body = {0};
	write_statement(&body, boot, incarnation);
	pack_u8(&body, is_gone);
	say_to_all(membership, FRAME_DEAD, &body);
	buf_free(&body);
}

static void state_leaving(struct membership *membership, struct boot_id boot, uint64_t incarnation)
{
	struct buf body = {0};
	write_statement(&body, boot, incarnation);
	say_to_all(membership, FRAME_LEFT, &body);
	buf_free(&body);
}

static void write_members(const struct membership *membership, struct buf *out)
{
	pack_u32(out, membership->view_version);
	pack_u16(out, (uint16_t)living(membership));
	for (size_t i = 0; i < membership->count; i++) {
		const struct member *member = membership->held[i];
		if (!is_alive(member))
			continue;
		write_statement(out, member->boot, member->incarnation);
		pack_text(out, slice_string(member->name));
		pack_text(out, slice_string(member->address));
	}
}

/* False: no memory, and they are to be said before anything that goes by them. */
static bool say_members(struct membership *membership)
{
	struct buf body = {0};
	membership->view_version++;
	write_members(membership, &body);
	if (body.is_broken) {
		membership->view_version--;
		buf_free(&body);
		return false;
	}
	membership->view_is_new = false;
	say_to_all(membership, FRAME_MEMBERS, &body);
	buf_free(&body);
	return true;
}

static uint8_t silence_of(const struct member *member, uint64_t now_ms)
{
	uint64_t silence = (now_ms - member->heard_ms) / SILENCE_UNIT_MS;
	return silence < UINT8_MAX ? (uint8_t)silence : UINT8_MAX;
}

/* The silences stand in the order of the MEMBERS that was sent last: those who could have changed
 * since are told first, or all waits for the next tick. */
static void beat(struct membership *membership, uint64_t now_ms)
{
	struct buf body = {0};
	if (membership->view_is_new && !say_members(membership))
		return;
	membership->beat_ms = now_ms + MEMBERSHIP_BEAT_MS;
	pack_u64(&body, membership->incarnation);
	pack_u8(&body, (uint8_t)membership->state);
	pack_u32(&body, membership->view_version);
	pack_u16(&body, (uint16_t)living(membership));
	for (size_t i = 0; i < membership->count; i++) {
		if (is_alive(membership->held[i]))
			pack_u8(&body, silence_of(membership->held[i], now_ms));
	}
	pack_u32(&body, membership->clients);
	pack_u32(&body, membership->homes);
	say_to_all(membership, FRAME_HEARTBEAT, &body);
	buf_free(&body);
}

/* ---- standing ---- */

static void stand(struct membership *membership, struct member *member, enum standing standing)
{
	if (member->standing == standing)
		return;
	bool was_alive = is_alive(member);
	member->standing = standing;
	membership->view_is_new |= was_alive != is_alive(member);
	membership->out->changed(membership->out, member);
}

static void end_member(struct membership *membership, struct member *member, bool has_left,
                       bool is_gone, uint64_t now_ms)
{
	member->is_gone = is_gone;
	member->ended_ms = now_ms;
	member->redials = 0;
	member->dial_ms = now_ms + MEMBERSHIP_REDIAL_MS;
	member->was_closed = false;
	stand(membership, member, has_left ? STANDING_LEFT : STANDING_DEAD);
	if (member->is_linked)
		membership->out->close(membership->out, member, has_left ? BYE_LEAVING : BYE_DEAD);
}

static void find_dead(struct membership *membership, struct member *member, bool is_gone,
                      uint64_t now_ms)
{
	(void)bury(membership, member->boot, member->incarnation, false, now_ms);
	end_member(membership, member, false, is_gone, now_ms);
	state_death(membership, member->boot, member->incarnation, is_gone);
}

/* One that was dead by its silence is known to have ended. */
static void find_gone(struct membership *membership, struct member *member)
{
	if (member->standing != STANDING_DEAD || member->is_gone)
		return;
	member->is_gone = true;
	membership->out->changed(membership->out, member);
	state_death(membership, member->boot, member->incarnation, true);
}

/* ---- silence ---- */

static uint64_t silent_ms(const struct member *member, uint64_t now_ms)
{
	return now_ms > member->heard_ms ? now_ms - member->heard_ms : 0;
}

static bool is_heard(const struct member *member, uint64_t now_ms)
{
	return is_alive(member) && member->is_linked &&
	       silent_ms(member, now_ms) < MEMBERSHIP_SUSPECT_MS;
}

static const struct told *told_about(const struct member *by, struct boot_id boot)
{
	for (uint32_t i = 0; i < by->told_count; i++) {
		if (boot_id_equals(by->told[i].boot, boot))
			return &by->told[i];
	}
	return NULL;
}

/* More than half of those that I hear, and that know it, find it silent too. Where there is nobody
 * to ask, my own judgement counts. */
static bool others_agree(const struct membership *membership, const struct member *silent,
                         uint64_t now_ms)
{
	uint32_t asked = 0, agree = 0;
	for (size_t i = 0; i < membership->count; i++) {
		const struct member *member = membership->held[i];
		if (member == silent || !is_heard(member, now_ms))
			continue;
		const struct told *told = told_about(member, silent->boot);
		if (told == NULL)
			continue;
		asked++;
		agree += told->silence >= MEMBERSHIP_SUSPECT_MS / SILENCE_UNIT_MS;
	}
	return asked == 0 || agree * 2 > asked;
}

/* True: somebody is newly suspect, which the others should know at once. */
static bool look_at_silence(struct membership *membership, uint64_t now_ms)
{
	bool has_news = false;
	if (now_ms < membership->blind_until_ms)
		return false;
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		if (!is_alive(member) || silent_ms(member, now_ms) < MEMBERSHIP_SUSPECT_MS)
			continue;
		has_news |= member->standing == STANDING_ALIVE;
		stand(membership, member, STANDING_SUSPECT);
		if (silent_ms(member, now_ms) >= MEMBERSHIP_DEAD_MS &&
		    others_agree(membership, member, now_ms))
			find_dead(membership, member, false, now_ms);
	}
	return has_news;
}

/* This node did not run for a while: what it has not heard proves nothing. However long that was,
 * in the time that it takes to be found dead it hears from all that live. */
static void look_at_myself(struct membership *membership, uint64_t now_ms)
{
	uint64_t late = now_ms - membership->ticked_ms;
	membership->ticked_ms = now_ms;
	late = late > MEMBERSHIP_TICK_MS ? late - MEMBERSHIP_TICK_MS : 0;
	if (late < LATE_MS)
		return;
	uint64_t blind = late < MEMBERSHIP_DEAD_MS ? late : MEMBERSHIP_DEAD_MS;
	membership->blind_until_ms = now_ms + blind + 2 * MEMBERSHIP_BEAT_MS;
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		member->heard_ms +=
			silent_ms(member, now_ms) < late ? silent_ms(member, now_ms) : late;
	}
}

/* ---- dialling ---- */

static uint64_t redial_after(struct membership *membership, const struct member *member)
{
	uint64_t wait = MEMBERSHIP_REDIAL_MS;
	if (!is_alive(member)) {
		uint32_t doublings = member->redials < 5 ? member->redials : 5;
		wait <<= doublings;
		wait = wait < MEMBERSHIP_REDIAL_MAX_MS ? wait : MEMBERSHIP_REDIAL_MAX_MS;
	}
	return wait / 2 + random_below(&membership->random, (uint32_t)wait);
}

static void dial(struct membership *membership, struct member *member, uint64_t now_ms)
{
	member->dial_ms = now_ms + redial_after(membership, member);
	member->redials++;
	membership->out->dial(membership->out, slice_string(member->address));
}

static void dial_members(struct membership *membership, uint64_t now_ms)
{
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		if (!member->is_linked && member->standing != STANDING_LEFT &&
		    now_ms >= member->dial_ms)
			dial(membership, member, now_ms);
	}
}

static void dial_seeds(struct membership *membership, uint64_t now_ms)
{
	if (now_ms < membership->seed_ms)
		return;
	bool is_alone = living(membership) == 0;
	membership->seed_ms = now_ms + (is_alone ? MEMBERSHIP_ALONE_MS : MEMBERSHIP_SEED_MS);
	for (size_t i = 0; i < membership->options.seed_count; i++)
		membership->out->dial(membership->out, membership->options.seeds[i]);
}

/* The dead are not dialled for ever; but where they count, those are that may live. */
static void forget_old(struct membership *membership, uint64_t now_ms)
{
	for (size_t i = 0; i < membership->count;) {
		const struct member *member = membership->held[i];
		bool is_old = !is_alive(member) && !member->is_linked &&
		              now_ms - member->ended_ms >= MEMBERSHIP_FORGET_MS;
		bool is_kept = membership->options.keeps_silent && may_come_back(member);
		if (is_old && !is_kept)
			forget_at(membership, i);
		else
			i++;
	}
}

/* ---- the turn ---- */

static bool is_linked_to_all(const struct membership *membership)
{
	bool has_any = false;
	for (size_t i = 0; i < membership->count; i++) {
		const struct member *member = membership->held[i];
		bool counts = is_alive(member) || member->standing == STANDING_HEARD_OF;
		if (counts && !member->is_linked)
			return false;
		has_any |= counts;
	}
	return has_any;
}

static void look_at_joining(struct membership *membership, uint64_t now_ms)
{
	bool is_over = now_ms - membership->started_ms >= MEMBERSHIP_JOIN_MS ||
	               is_linked_to_all(membership);
	if (membership->state != MEMBER_JOINING || !is_over)
		return;
	membership->state = MEMBER_READY;
	beat(membership, now_ms);
}

void membership_tick(struct membership *membership, uint64_t now_ms)
{
	CHECK(now_ms >= membership->ticked_ms);
	look_at_myself(membership, now_ms);
	bool has_news = look_at_silence(membership, now_ms);
	look_at_joining(membership, now_ms);
	if (has_news || membership->view_is_new || now_ms >= membership->beat_ms)
		beat(membership, now_ms);
	dial_seeds(membership, now_ms);
	dial_members(membership, now_ms);
	forget_old(membership, now_ms);
}

/* ---- links ---- */

void membership_hello(const struct membership *membership, struct hello *hello)
{
	*hello = (struct hello){
		.version_min = PROTOCOL_VERSION_MIN,
		.version_max = PROTOCOL_VERSION_MAX,
		.features = membership->options.features,
		.boot = membership->options.boot,
		.incarnation = membership->incarnation,
		.state = membership->state,
		.cluster = membership->options.cluster,
		.name = membership->options.name,
		.address = membership->options.address,
		.release = membership->options.release,
		.replicas = membership->options.replicas,
	};
}

enum bye membership_judge(const struct membership *membership, const struct hello *hello)
{
	if (hello->version_min > PROTOCOL_VERSION_MAX || hello->version_max < PROTOCOL_VERSION_MIN)
		return BYE_VERSION;
	if (!slice_equals(hello->cluster, membership->options.cluster))
		return BYE_CLUSTER;
	if (boot_id_equals(hello->boot, membership->options.boot))
		return BYE_SELF;
	const struct tombstone *stone = find_tombstone(membership, hello->boot);
	if (stone != NULL && stone->has_left)
		return BYE_LEAVING;
	return BYE_COUNT;
}

/* The name may be that of a member: one that was started again at the same place has proved by
 * that that its former self is dead; anybody else has to find another name. */
static enum bye check_name(struct membership *membership, const struct hello *hello,
                           uint64_t now_ms)
{
	if (slice_equals(hello->name, membership->options.name))
		return BYE_NAME_TAKEN;
	struct member *same = find_living_name(membership, hello->name);
	if (same == NULL || boot_id_equals(same->boot, hello->boot))
		return BYE_COUNT;
	bool is_restart = !same->is_linked && slice_is(hello->address, same->address);
	if (!is_restart)
		return BYE_NAME_TAKEN;
	find_dead(membership, same, true, now_ms);
	return BYE_COUNT;
}

/* What a HELLO says of a member that may be known from before. False: no memory. */
static bool take_hello(struct membership *membership, struct member *member,
                       const struct hello *hello)
{
	if (!slice_is(hello->address, member->address) || !slice_is(hello->name, member->name)) {
		char *address = copy(hello->address), *name = copy(hello->name);
		if (address == NULL || name == NULL) {
			free(address);
			free(name);
			return false;
		}
		free(member->address);
		free(member->name);
		member->address = address;
		member->name = name;
		membership->view_is_new |= is_alive(member);
	}
	size_t release_len =
		hello->release.len < MEMBER_RELEASE_MAX ? hello->release.len : MEMBER_RELEASE_MAX;
	if (release_len > 0)
		memcpy(member->release, hello->release.at, release_len);
	member->release[release_len] = '\0';
	member->features = hello->features;
	member->said = hello->state;
	member->version = hello->version_max < PROTOCOL_VERSION_MAX ? hello->version_max
	                                                            : PROTOCOL_VERSION_MAX;
	return true;
}

static void accuse(struct membership *membership, struct member *member)
{
	const struct tombstone *stone = find_tombstone(membership, member->boot);
	struct buf body = {0};
	CHECK(stone != NULL);
	write_statement(&body, member->boot, stone->incarnation);
	pack_u8(&body, false);
	say(membership, member, FRAME_DEAD, &body);
	buf_free(&body);
}

/* It is here. One that was found dead is so only when its word is newer than that. */
static void take_presence(struct membership *membership, struct member *member,
                          uint64_t incarnation, uint64_t now_ms)
{
	if (incarnation > member->incarnation)
		member->incarnation = incarnation;
	if (is_buried(membership, member->boot, incarnation)) {
		accuse(membership, member);
		return;
	}
	member->heard_ms = now_ms;
	member->is_gone = false;
	if (!is_alive(member) || member->standing == STANDING_SUSPECT)
		stand(membership, member, STANDING_ALIVE);
}

static void greet(struct membership *membership, struct member *member)
{
	struct buf body = {0};
	write_members(membership, &body);
	say(membership, member, FRAME_MEMBERS, &body);
	buf_free(&body);
}

/* Of the dead with this name at this place it is known by now that they ended. */
static void replace_namesakes(struct membership *membership, const struct member *by)
{
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		if (member != by && strcmp(member->name, by->name) == 0 &&
		    strcmp(member->address, by->address) == 0)
			find_gone(membership, member);
	}
}

enum bye membership_link_up(struct membership *membership, const struct hello *hello,
                            uint64_t now_ms, struct member **member)
{
	enum bye why = membership_judge(membership, hello);
	if (why == BYE_COUNT)
		why = check_name(membership, hello, now_ms);
	if (why != BYE_COUNT)
		return why;
	struct member *found = find(membership, hello->boot);
	if ((found == NULL || !is_alive(found)) && living(membership) + 1 >= MEMBERS_MAX)
		return BYE_FULL;
	if (found == NULL)
		found = hold(membership, hello->boot, hello->name, hello->address);
	if (found == NULL || !take_hello(membership, found, hello))
		return BYE_MEMORY;
	CHECK(!found->is_linked);
	replace_namesakes(membership, found);
	found->is_linked = true;
	found->was_closed = false;
	found->refusals = found->redials = 0;
	found->told_count = 0;
	*member = found;
	greet(membership, found);
	take_presence(membership, found, hello->incarnation, now_ms);
	return BYE_COUNT;
}

void membership_link_down(struct membership *membership, struct member *member, enum link_end how,
                          uint64_t now_ms)
{
	CHECK(member->is_linked);
	member->is_linked = false;
	member->told_count = 0;
	if (!is_alive(member))
		return;
	member->was_closed = how == LINK_END_CLOSED;
	member->refusals = 0;
	dial(membership, member, now_ms);
}

static void take_refusal(struct membership *membership, struct member *member, bool is_refused,
                         uint64_t now_ms)
{
	bool has_ended = member->standing == STANDING_DEAD && !member->is_gone;
	if (!has_ended && (!is_alive(member) || !member->was_closed))
		return;
	if (!is_refused) {
		member->was_closed = false; /* its machine is gone, or the way to it */
		member->refusals = 0;
	} else if (++member->refusals < REFUSALS_OF_THE_DEAD) {
		member->dial_ms = now_ms + MEMBERSHIP_REFUSED_MS;
	} else if (has_ended) {
		find_gone(membership, member);
	} else {
		find_dead(membership, member, true, now_ms);
	}
}

void membership_dial_failed(struct membership *membership, struct slice address, bool is_refused,
                            uint64_t now_ms)
{
	for (size_t i = 0; i < membership->count; i++) {
		struct member *member = membership->held[i];
		if (!member->is_linked && slice_is(address, member->address))
			take_refusal(membership, member, is_refused, now_ms);
	}
}

/* ---- what others say ---- */

void membership_heard(struct membership *membership, struct member *member, uint64_t now_ms)
{
	if (!is_alive(member))
		return;
	member->heard_ms = now_ms;
	stand(membership, member, STANDING_ALIVE);
}

static bool take_heartbeat(struct membership *membership, struct member *from, struct unpack *in,
                           uint64_t now_ms)
{
	uint64_t incarnation = unpack_u64(in);
	enum member_state said = unpack_u8(in);
	uint32_t version = unpack_u32(in);
	uint16_t count = unpack_u16(in);
	struct slice silences = unpack_bytes(in, count);
	uint32_t clients = unpack_u32(in), homes = unpack_u32(in);
	if (in->is_bad || said > MEMBER_DRAINING)
		return false;
	if (version == from->told_version && count == from->told_count) {
		for (uint16_t i = 0; i < count; i++)
			from->told[i].silence = (uint8_t)silences.at[i];
	}
	from->clients = clients;
	from->homes = homes;
	bool has_changed = from->said != said && from->standing == STANDING_ALIVE;
	from->said = said;
	if (has_changed)
		membership->out->changed(membership->out, from);
	take_presence(membership, from, incarnation, now_ms);
	return true;
}

/* Somebody takes this boot for a member: dial it, unless it is known or was buried. */
static void hear_of(struct membership *membership, struct boot_id boot, uint64_t incarnation,
                    struct slice name, struct slice address, uint64_t now_ms)
{
	if (boot_id_equals(boot, membership->options.boot) ||
	    is_buried(membership, boot, incarnation) || find(membership, boot) != NULL)
		return;
	/* Without room or memory it is heard of again. */
	struct member *member = hold(membership, boot, name, address);
	if (member == NULL)
		return;
	member->ended_ms = member->dial_ms = now_ms;
}

static bool take_members(struct membership *membership, struct member *from, struct unpack *in,
                         uint64_t now_ms)
{
	uint32_t version = unpack_u32(in);
	uint16_t count = unpack_u16(in);
	if (count > MEMBERS_MAX)
		return false;
	struct told *told = calloc(count + 1u, sizeof(*told));
	if (told == NULL) { /* it is no fault of the other side */
		membership->out->close(membership->out, from, BYE_MEMORY);
		return true;
	}
	for (uint16_t i = 0; i < count && !in->is_bad; i++) {
		told[i].boot.word[0] = unpack_u64(in);
		told[i].boot.word[1] = unpack_u64(in);
		uint64_t incarnation = unpack_u64(in);
		struct slice name = unpack_text(in), address = unpack_text(in);
		in->is_bad |= !member_text_is_good(name) || !member_text_is_good(address);
		if (!in->is_bad)
			hear_of(membership, told[i].boot, incarnation, name, address, now_ms);
	}
	free(from->told);
	from->told = told;
	from->told_count = in->is_bad ? 0 : count;
	from->told_version = version;
	return !in->is_bad;
}

/* I am taken for dead, and am not. */
static void refute(struct membership *membership, uint64_t incarnation, uint64_t now_ms)
{
	if (incarnation < membership->incarnation || incarnation == UINT64_MAX)
		return; /* that has been answered, or is nonsense */
	membership->incarnation = incarnation + 1;
	membership->out->accused(membership->out);
	beat(membership, now_ms);
}

static void hear_end(struct membership *membership, struct boot_id boot, uint64_t incarnation,
                     bool has_left, bool is_gone, uint64_t now_ms)
{
	struct member *member = find(membership, boot);
	bool is_stale = member != NULL && !has_left && incarnation < member->incarnation;
	/* Who speaks to me is not dead, whatever others say; it will say so itself if it leaves. */
	if (is_stale || (member != NULL && is_heard(member, now_ms)))
		return;
	if (is_gone && member != NULL)
		find_gone(membership, member);
	if (!bury(membership, boot, incarnation, has_left, now_ms))
		return;
	if (member != NULL && member->standing != STANDING_LEFT &&
	    (has_left || member->standing != STANDING_DEAD))
		end_member(membership, member, has_left, is_gone, now_ms);
	if (has_left)
		state_leaving(membership, boot, incarnation);
	else
		state_death(membership, boot, incarnation, is_gone);
}

static bool take_end(struct membership *membership, struct member *from, struct unpack *in,
                     bool has_left, uint64_t now_ms)
{
	struct boot_id boot = {.word[0] = unpack_u64(in)};
	boot.word[1] = unpack_u64(in);
	uint64_t incarnation = unpack_u64(in);
	bool is_gone = has_left || unpack_u8(in) != 0;
	if (in->is_bad)
		return false;
	if (boot_id_equals(boot, membership->options.boot)) {
		if (!has_left)
			refute(membership, incarnation, now_ms);
	} else if (has_left && from != NULL && boot_id_equals(boot, from->boot)) {
		if (bury(membership, boot, incarnation, true, now_ms))
			end_member(membership, from, true, true, now_ms);
	} else {
		hear_end(membership, boot, incarnation, has_left, is_gone, now_ms);
	}
	return true;
}

bool membership_take(struct membership *membership, struct member *from, const struct frame *frame,
                     uint64_t now_ms)
{
	struct unpack in = {.rest = frame->body};
	membership_heard(membership, from, now_ms);
	switch (frame->type) {
	case FRAME_HEARTBEAT:
		return take_heartbeat(membership, from, &in, now_ms);
	case FRAME_MEMBERS:
		return take_members(membership, from, &in, now_ms);
	case FRAME_DEAD:
		return take_end(membership, from, &in, false, now_ms);
	case FRAME_LEFT:
		return take_end(membership, from, &in, true, now_ms);
	default:
		return false;
	}
}

/* ---- what this node says of itself ---- */

void membership_drain(struct membership *membership, uint64_t now_ms)
{
	if (membership->state == MEMBER_DRAINING)
		return;
	membership->state = MEMBER_DRAINING;
	beat(membership, now_ms);
}

void membership_leave(struct membership *membership)
{
	state_leaving(membership, membership->options.boot, membership->incarnation);
}

void membership_set_load(struct membership *membership, uint32_t clients, uint32_t homes)
{
	membership->clients = clients;
	membership->homes = homes;
}

/* ---- what is to be seen ---- */

static bool is_shown(const struct member *member)
{
	return member->standing != STANDING_HEARD_OF;
}

const struct member *membership_member(const struct membership *membership, size_t i)
{
	for (size_t at = 0; at < membership->count; at++) {
		if (is_shown(membership->held[at]) && i-- == 0)
			return membership->held[at];
	}
	return NULL;
}

size_t membership_count(const struct membership *membership)
{
	size_t count = 0;
	for (size_t i = 0; i < membership->count; i++)
		count += is_shown(membership->held[i]);
	return count;
}

const struct member *membership_find(const struct membership *membership, struct boot_id boot)
{
	return find(membership, boot);
}

enum member_state member_state_of(const struct member *member)
{
	switch (member->standing) {
	case STANDING_SUSPECT:
		return MEMBER_SUSPECT;
	case STANDING_DEAD:
		return MEMBER_DEAD;
	case STANDING_LEFT:
		return MEMBER_LEFT;
	default:
		return member->said;
	}
}

enum member_state membership_state(const struct membership *membership)
{
	return membership->state;
}

uint64_t membership_incarnation(const struct membership *membership)
{
	return membership->incarnation;
}

static uint64_t boot_hash(struct boot_id boot)
{
	static const struct hash_key everywhere_the_same;
	return hash_bytes(&everywhere_the_same,
	                  slice_of((const char *)boot.word, sizeof(boot.word)));
}

uint64_t membership_view(const struct membership *membership)
{
	uint64_t view = boot_hash(membership->options.boot);
	for (size_t i = 0; i < membership->count; i++) {
		if (is_alive(membership->held[i]))
			view ^= boot_hash(membership->held[i]->boot);
	}
	return view;
}
