#include "node/roster.h"

void roster_init(struct roster *roster, struct boot_id self)
{
	*roster = (struct roster){.self = {.boot = self, .state = SLOTS_MEMBER_JOINING}};
}

/* A suspect is what it was before. */
static enum slots_member_state state_of(const struct mesh_mail *mail,
                                        enum slots_member_state before)
{
	if (mail->kind == MESH_MAIL_NODE && mail->is_gone)
		return SLOTS_MEMBER_GONE;
	switch ((enum member_state)mail->state) {
	case MEMBER_JOINING:
		return SLOTS_MEMBER_JOINING;
	case MEMBER_READY:
		return SLOTS_MEMBER_READY;
	case MEMBER_DRAINING:
		return SLOTS_MEMBER_DRAINING;
	case MEMBER_DEAD:
		return SLOTS_MEMBER_DEAD;
	case MEMBER_LEFT:
		return SLOTS_MEMBER_GONE;
	case MEMBER_SUSPECT:
	case MEMBER_STATE_COUNT:
		break;
	}
	return before == SLOTS_MEMBER_DEAD ? SLOTS_MEMBER_READY : before;
}

static void remember_gone(struct roster *roster, struct boot_id boot)
{
	roster->gone[roster->gone_count++ % ROSTER_GONE_MAX] = boot;
}

static void free_seat(struct roster *roster, struct roster_node *node)
{
	*node = (struct roster_node){0};
	while (roster->end > 0 && roster->nodes[roster->end - 1].use == 0)
		roster->end--;
}

static enum roster_link take_node(struct roster *roster, const struct mesh_mail *mail)
{
	CHECK(mail->seat.index < MEMBERS_MAX);
	struct roster_node *node = &roster->nodes[mail->seat.index];
	bool was_linked = node->use == mail->seat.use && node->is_linked;
	CHECK(node->use == 0 || node->use == mail->seat.use); /* it would have been told gone */
	if (node->use == 0)
		*node = (struct roster_node){
			.boot = mail->boot, .use = mail->seat.use, .state = SLOTS_MEMBER_READY};
	if (mail->seat.index >= roster->end)
		roster->end = mail->seat.index + 1u;
	node->state = (uint8_t)state_of(mail, (enum slots_member_state)node->state);
	node->is_linked = mail->is_linked && node->state != SLOTS_MEMBER_GONE;
	if (!node->is_linked)
		node->is_loaded = node->is_broken = false;
	bool is_linked = node->is_linked;
	if (mail->is_gone)
		remember_gone(roster, node->boot);
	if (mail->is_gone || mail->is_forgotten)
		free_seat(roster, node);
	return is_linked == was_linked ? ROSTER_SAME : is_linked ? ROSTER_UP : ROSTER_DOWN;
}

enum roster_link roster_take(struct roster *roster, const struct mesh_mail *mail)
{
	if (mail->kind == MESH_MAIL_NODE)
		return take_node(roster, mail);
	CHECK(mail->kind == MESH_MAIL_SELF);
	CHECK(boot_id_equals(mail->boot, roster->self.boot));
	roster->self.state = state_of(mail, roster->self.state);
	return ROSTER_SAME;
}

struct roster_node *roster_at(struct roster *roster, struct seat seat)
{
	struct roster_node *node = seat.index < MEMBERS_MAX ? &roster->nodes[seat.index] : NULL;
	return node != NULL && node->use != 0 && node->use == seat.use ? node : NULL;
}

const struct roster_node *roster_find(const struct roster *roster, struct boot_id boot)
{
	for (uint32_t i = 0; i < roster->end; i++) {
		const struct roster_node *node = &roster->nodes[i];
		if (node->use != 0 && boot_id_equals(node->boot, boot))
			return node;
	}
	return NULL;
}

size_t roster_members(const struct roster *roster, struct slots_member *members)
{
	size_t count = 0;
	members[count++] = roster->self;
	for (uint32_t i = 0; i < roster->end && count < MEMBERS_MAX; i++) {
		const struct roster_node *node = &roster->nodes[i];
		if (node->use != 0)
			members[count++] =
				(struct slots_member){.boot = node->boot,
			                              .state = (enum slots_member_state)node->state,
			                              .is_linked = node->is_linked};
	}
	uint32_t known =
		roster->gone_count < ROSTER_GONE_MAX ? roster->gone_count : ROSTER_GONE_MAX;
	for (uint32_t i = 1; i <= known && count < MEMBERS_MAX; i++) {
		struct boot_id boot = roster->gone[(roster->gone_count - i) % ROSTER_GONE_MAX];
		if (roster_find(roster, boot) == NULL) /* or it was not gone after all */
			members[count++] =
				(struct slots_member){.boot = boot, .state = SLOTS_MEMBER_GONE};
	}
	return count;
}

bool roster_has_heir(const struct roster *roster)
{
	for (uint32_t i = 0; i < roster->end; i++) {
		const struct roster_node *node = &roster->nodes[i];
		if (node->use != 0 && node->is_linked && node->state == SLOTS_MEMBER_READY)
			return true;
	}
	return false;
}
