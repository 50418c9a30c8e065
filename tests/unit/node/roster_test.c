/* Who sits where, as letters of the mesh thread have it. */
#include <stdio.h>

#include "node/roster.h"

static const struct boot_id self = {{1, 1}};
static struct roster roster;

static enum roster_link forget(uint16_t seat, uint16_t use, uint64_t boot)
{
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = MEMBER_DEAD,
	                         .is_forgotten = true,
	                         .seat = {seat, use},
	                         .boot = {{boot, 7}}};
	return roster_take(&roster, &mail);
}

static enum roster_link hear(uint16_t seat, uint16_t use, uint64_t boot, enum member_state state,
                             bool is_linked, bool is_gone)
{
	struct mesh_mail mail = {.kind = MESH_MAIL_NODE,
	                         .state = (uint8_t)state,
	                         .is_linked = is_linked,
	                         .is_gone = is_gone,
	                         .seat = {seat, use},
	                         .boot = {{boot, 7}}};
	return roster_take(&roster, &mail);
}

static void hear_self(enum member_state state)
{
	struct mesh_mail mail = {
		.kind = MESH_MAIL_SELF, .state = (uint8_t)state, .is_accused = true, .boot = self};
	CHECK(roster_take(&roster, &mail) == ROSTER_SAME);
}

/* The state of that boot among the members; -1: it is none. */
static int state_of(uint64_t boot)
{
	struct slots_member members[MEMBERS_MAX];
	size_t count = roster_members(&roster, members);
	int state = -1;
	for (size_t i = 0; i < count; i++) {
		if (members[i].boot.word[0] != boot)
			continue;
		CHECK(state == -1); /* nobody is there twice */
		state = (int)members[i].state;
	}
	return state;
}

static void test_self(void)
{
	roster_init(&roster, self);
	CHECK(state_of(1) == SLOTS_MEMBER_JOINING);
	hear_self(MEMBER_READY);
	CHECK(state_of(1) == SLOTS_MEMBER_READY);
	hear_self(MEMBER_DRAINING);
	CHECK(state_of(1) == SLOTS_MEMBER_DRAINING);
	CHECK(!roster_has_heir(&roster));
	printf("roster: this node is what it is told to be\n");
}

static void test_links(void)
{
	roster_init(&roster, self);
	CHECK(hear(3, 1, 30, MEMBER_JOINING, false, false) == ROSTER_SAME);
	CHECK(hear(3, 1, 30, MEMBER_JOINING, true, false) == ROSTER_UP);
	CHECK(!roster_has_heir(&roster));
	CHECK(hear(3, 1, 30, MEMBER_READY, true, false) == ROSTER_SAME);
	CHECK(roster_has_heir(&roster));
	CHECK(roster_at(&roster, (struct seat){3, 1})->is_linked);
	CHECK(roster_at(&roster, (struct seat){3, 2}) == NULL);
	CHECK(roster_at(&roster, (struct seat){2, 1}) == NULL);
	CHECK(roster_at(&roster, (struct seat){MEMBERS_MAX, 1}) == NULL);
	roster_at(&roster, (struct seat){3, 1})->is_loaded = true;
	CHECK(hear(3, 1, 30, MEMBER_READY, false, false) == ROSTER_DOWN);
	CHECK(!roster_at(&roster, (struct seat){3, 1})->is_loaded);
	printf("roster: links come and go\n");
}

static void test_states(void)
{
	roster_init(&roster, self);
	CHECK(hear(0, 5, 30, MEMBER_DRAINING, true, false) == ROSTER_UP);
	CHECK(hear(0, 5, 30, MEMBER_SUSPECT, true, false) == ROSTER_SAME);
	CHECK(state_of(30) == SLOTS_MEMBER_DRAINING);
	CHECK(hear(0, 5, 30, MEMBER_DEAD, false, false) == ROSTER_DOWN);
	CHECK(state_of(30) == SLOTS_MEMBER_DEAD);
	CHECK(hear(0, 5, 30, MEMBER_SUSPECT, true, false) == ROSTER_UP);
	CHECK(state_of(30) == SLOTS_MEMBER_READY);
	printf("roster: a suspect is what it was\n");
}

static void test_gone(void)
{
	roster_init(&roster, self);
	CHECK(hear(0, 1, 30, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(hear(0, 1, 30, MEMBER_LEFT, false, true) == ROSTER_DOWN);
	CHECK(roster.end == 0);
	CHECK(state_of(30) == SLOTS_MEMBER_GONE);
	CHECK(roster_find(&roster, (struct boot_id){{30, 7}}) == NULL);
	CHECK(hear(0, 2, 40, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(state_of(40) == SLOTS_MEMBER_READY);
	/* It had not gone after all. */
	CHECK(hear(1, 1, 30, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(state_of(30) == SLOTS_MEMBER_READY);
	printf("roster: who has gone is remembered, and its seat is free\n");
}

/* A day of silence is no end: nobody may take it for one. */
static void test_forgotten(void)
{
	roster_init(&roster, self);
	CHECK(hear(0, 1, 30, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(hear(0, 1, 30, MEMBER_DEAD, false, false) == ROSTER_DOWN);
	CHECK(state_of(30) == SLOTS_MEMBER_DEAD);
	CHECK(forget(0, 1, 30) == ROSTER_SAME);
	CHECK(roster.end == 0);
	CHECK(state_of(30) == -1);
	CHECK(hear(0, 2, 40, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(hear(1, 1, 30, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(state_of(30) == SLOTS_MEMBER_READY);
	printf("roster: who is forgotten has no seat, and has not gone\n");
}

static void test_many(void)
{
	struct slots_member members[MEMBERS_MAX];
	roster_init(&roster, self);
	for (uint64_t i = 0; i < 2 * MEMBERS_MAX; i++) {
		uint16_t use = (uint16_t)(i + 1);
		CHECK(hear(9, use, 100 + i, MEMBER_READY, true, false) == ROSTER_UP);
		CHECK(hear(9, use, 100 + i, MEMBER_DEAD, false, true) == ROSTER_DOWN);
	}
	CHECK(roster_members(&roster, members) == 1 + ROSTER_GONE_MAX);
	for (uint16_t i = 0; i < MEMBERS_MAX; i++)
		CHECK(hear(i, 9000, 5000u + i, MEMBER_READY, true, false) == ROSTER_UP);
	CHECK(roster_members(&roster, members) == MEMBERS_MAX);
	printf("roster: never more members than there may be\n");
}

int main(void)
{
	test_self();
	test_links();
	test_states();
	test_gone();
	test_forgotten();
	test_many();
	return 0;
}
