/*
 * What clients ask. Each command is checked here, on the worker of its session, and then
 * carried out by the channel's agent: at once when that is this worker, else by letter.
 */
#include <stdlib.h>

#include "hub/far_state.h"

/* ---- rights ---- */

/* Without a token one may help; what a token does not allow, it does not. */
static enum error_code lacks(const struct claims *claims)
{
	return claims != NULL && claims->is_token ? ERROR_FORBIDDEN : ERROR_UNAUTHORIZED;
}

static bool grants(const struct claims *claims, struct slice channel, unsigned rights)
{
	return claims != NULL && claims_allow(claims, channel, rights);
}

/* A channel `@USER` is that user's to read, and nobody else's. */
static enum error_code may_personal(const struct session *session, struct slice channel,
                                    enum claims_right right)
{
	struct slice user = session_user(session);
	if (right == CLAIMS_WRITE)
		return grants(session->claims, channel, right) ? ERROR_NONE
		                                               : lacks(session->claims);
	if (user.len == 0)
		return lacks(session->claims);
	return slice_equals(slice_after(channel, 1), user) ? ERROR_NONE : ERROR_FORBIDDEN;
}

/* It asks the rule and the claims alone: what it says tells nothing of the channel. */
static enum error_code may(const struct hub *hub, const struct session *session,
                           struct slice channel, enum claims_right right)
{
	if (session->is_backend)
		return ERROR_NONE;
	if (channel.at[0] == '@')
		return may_personal(session, channel, right);

	const struct rule *rule = hub_rule(hub, channel);
	unsigned rights = right == CLAIMS_PRESENCE ? CLAIMS_READ | CLAIMS_PRESENCE : right;
	bool is_let = false;
	switch (right == CLAIMS_WRITE ? rule->publish : rule->subscribe) {
	case RULE_ANY:
		is_let = true;
		break;
	case RULE_USER:
		is_let = session_user(session).len > 0;
		break;
	case RULE_TOKEN:
		is_let = grants(session->claims, channel, rights);
		break;
	case RULE_NONE:
		break;
	}
	return is_let ? ERROR_NONE : lacks(session->claims);
}

static const char *const why_no_name =
	"a channel name is 1 to 200 printable ASCII characters without space, comma, quote "
	"and backslash";

static const char *why_not(enum error_code error)
{
	return error == ERROR_UNAUTHORIZED ? "this channel needs a token"
	                                   : "this is not allowed in this channel";
}

enum error_code hub_may_subscribe(const struct hub *hub, const struct session *session,
                                  struct slice channel, const char **why)
{
	*why = why_no_name;
	if (!channel_name_is_valid(channel))
		return ERROR_BAD_REQUEST;
	enum error_code error = may(hub, session, channel, CLAIMS_READ);
	*why = why_not(error);
	return error;
}

/* ---- answers ---- */

void hub_refuse(struct hub *hub, struct session *session, struct slice ref, enum error_code error,
                const char *message)
{
	CHECK(error != ERROR_NONE);
	struct hub_event event = {
		.type = EVENT_ERROR, .ref = ref, .error = error, .message = message};
	hub->out->event(hub->out, session, &event);
}

static void refuse(struct hub *hub, struct session *session, const struct hub_command *command,
                   enum error_code error, const char *message)
{
	struct hub_event event = {.type = EVENT_ERROR,
	                          .ref = command->ref,
	                          .channel = command->channel,
	                          .error = error,
	                          .message = message};
	hub->out->event(hub->out, session, &event);
}

static void refuse_no_memory(struct hub *hub, struct session *session,
                             const struct hub_command *command)
{
	refuse(hub, session, command, ERROR_UNAVAILABLE, "the server is out of memory");
}

/* ---- letters to the agent ---- */

struct mail_ask *ask_make(const struct hub_command *command)
{
	struct mail_ask *ask = malloc(sizeof(*ask) + command->channel.len);
	if (ask == NULL)
		return NULL;
	*ask = (struct mail_ask){.since = command->since,
	                         .has_since = command->has_since,
	                         .has_limit = command->has_limit,
	                         .is_watch = command->wants_presence,
	                         .limit = command->limit,
	                         .name_len = (uint8_t)command->channel.len};
	memcpy(ask->name, command->channel.at, command->channel.len);
	return ask;
}

void ask_agent(struct hub *hub, struct slice channel, const struct request *request,
               struct hub_mail *mail)
{
	mail->token = slab_handle_of(&hub->requests, request);
	mail->from = hub->options.worker;
	uint32_t agent = hub_agent_of(hub, channel);
	if (agent == hub->options.worker)
		hub_receive(hub, mail);
	else
		hub->out->post(hub->out, agent, mail);
}

/* Is this worker the one that knows, without asking anybody? */
static bool is_decided_here(const struct hub *hub, struct slice channel)
{
	uint16_t slot = hub_slot_of(channel);
	return slot % hub->options.workers == hub->options.worker && far_is_home_at_hand(hub, slot);
}

/* ---- subscribe ---- */

static struct follower *follower_make(struct hub *hub, struct session *session,
                                      struct channel *channel)
{
	struct follower *follower = slab_take(&hub->followers);
	if (follower == NULL)
		return NULL;
	follower->session = session;
	follower->channel = channel;
	if (session->last == NULL)
		session->first = follower;
	else
		session->last->next_of_session = follower;
	session->last = follower;
	session->follower_count++;
	channel->follower_count++;
	hub->counters.followers++;
	return follower;
}

/* The answer is the follower's, if there is one. False: no memory. */
static bool ask_to_follow(struct hub *hub, struct session *session,
                          const struct hub_command *command, struct channel *channel,
                          struct follower *follower)
{
	struct hub_mail mail = {.kind = MAIL_FOLLOW, .ask = ask_make(command)};
	if (mail.ask == NULL)
		return false;
	struct request *request = request_make(hub, session, mail.kind, command->ref);
	if (request == NULL) {
		free(mail.ask);
		return false;
	}
	request->channel = channel;
	request->has_since = command->has_since;
	request->since = command->since;
	request->wants_presence = command->wants_presence;
	channel->request_count++;
	if (follower != NULL)
		follower->request = request->generation;
	ask_agent(hub, command->channel, request, &mail);
	return true;
}

/* Subscribing again changes nothing; the answer is where the follower stands. Where that is
 * not known yet, a second letter's answer comes behind the first one's. */
static void subscribe_again(struct hub *hub, struct session *session,
                            const struct hub_command *command, struct follower *follower)
{
	struct channel *channel = follower->channel;
	if (follower->state != FOLLOWER_PENDING) {
		answer_again(hub, follower, command->ref,
		             command->has_since ? &command->since : NULL);
		if (command->wants_presence)
			watcher_begin(hub, follower, command->ref);
	} else if (!ask_to_follow(hub, session, command, channel, NULL)) {
		refuse_no_memory(hub, session, command);
	}
}

static void subscribe(struct hub *hub, struct session *session, const struct hub_command *command)
{
	struct channel *channel = hub_open(hub, command->channel);
	if (channel == NULL) {
		refuse_no_memory(hub, session, command);
		return;
	}
	struct follower *follower = session_follower(session, channel);
	if (follower != NULL) {
		subscribe_again(hub, session, command, follower);
		return;
	}
	if (session->follower_count >= hub->options.channels_per_session) {
		refuse(hub, session, command, ERROR_TOO_MANY_CHANNELS,
		       "this connection is subscribed to as many channels as it may");
		hub_settle(hub, channel);
		return;
	}
	follower = follower_make(hub, session, channel);
	if (follower == NULL) {
		refuse_no_memory(hub, session, command);
		hub_settle(hub, channel);
		return;
	}
	follower->is_watching = command->wants_presence;
	const struct cursor *since = command->has_since ? &command->since : NULL;
	if (channel->is_agent && far_is_home_at_hand(hub, channel->slot) &&
	    order_renew(hub, channel)) {
		struct follow_result result = agent_follow(hub, channel, since);
		answer_subscribed(hub, follower, command->ref, &result, command->has_since);
		return;
	}
	if (!ask_to_follow(hub, session, command, channel, follower)) {
		refuse_no_memory(hub, session, command);
		session_unfollow(hub, session, follower, PARTING_LEFT);
	}
}

static void unsubscribe(struct hub *hub, struct session *session, const struct hub_command *command)
{
	struct channel *channel = hub_find(hub, command->channel, hub_hash(hub, command->channel));
	struct follower *follower = channel == NULL ? NULL : session_follower(session, channel);
	if (follower == NULL) {
		refuse(hub, session, command, ERROR_NOT_SUBSCRIBED,
		       "this connection is not subscribed to this channel");
		return;
	}
	session_unfollow(hub, session, follower, PARTING_LEFT);
	struct hub_event event = {
		.type = EVENT_UNSUBSCRIBED, .ref = command->ref, .channel = command->channel};
	hub->out->event(hub->out, session, &event);
}

void hub_review(struct hub *hub, struct session *session)
{
	struct follower *follower = session->first, *next;
	for (; follower != NULL; follower = next) {
		next = follower->next_of_session;
		struct hub_event event = {.type = EVENT_UNSUBSCRIBED,
		                          .channel = channel_name(follower->channel),
		                          .reason = error_text(ERROR_FORBIDDEN)};
		if (may(hub, session, event.channel, CLAIMS_READ) == ERROR_NONE) {
			presence_review(hub, follower);
			continue;
		}
		hub->out->event(hub->out, session, &event);
		session_unfollow(hub, session, follower, PARTING_LEFT);
	}
}

/* ---- publish ---- */

static void publish_by_letter(struct hub *hub, struct session *session,
                              const struct hub_command *command, struct record *record)
{
	struct hub_mail mail = {.kind = MAIL_PUBLISH, .record = record};
	struct request *request = request_make(hub, session, mail.kind, command->ref);
	if (request == NULL) {
		record_drop(record);
		refuse_no_memory(hub, session, command);
		return;
	}
	request->is_unanswered = command->is_unanswered;
	ask_agent(hub, command->channel, request, &mail);
}

static struct record *make_record(struct hub *hub, const struct session *session,
                                  const struct hub_command *command)
{
	struct publication publication = command->publication;
	char key[FAR_KEY_BYTES];
	publication.channel = command->channel;
	publication.user = session->is_backend ? command->user : session_user(session);
	publication.except =
		command->is_unechoed ? hub_session_number(hub, session) : command->except;
	if (hub->far != NULL && publication.idempotency_key.len == 0) {
		publication.idempotency_key = far_make_key(hub, key);
		publication.is_key_hidden = true;
	}
	return record_make(&publication, hub_hash(hub, command->channel));
}

/* An entry of a slot's log, and each other frame, has room for so much and no more. */
static bool fits_mesh(const struct hub *hub, const struct hub_command *command)
{
	return hub->far == NULL || command->publication.payload.len <= API_MESSAGE_BYTES_MAX;
}

static void publish(struct hub *hub, struct session *session, const struct hub_command *command)
{
	session->is_publisher = true;
	if (!fits_mesh(hub, command)) {
		refuse(hub, session, command, ERROR_TOO_LARGE,
		       "in a mesh a message has 1 MiB at most");
		return;
	}
	struct record *record = make_record(hub, session, command);
	if (record == NULL) {
		refuse_no_memory(hub, session, command);
		return;
	}
	if (hub->far != NULL || hub_agent_of(hub, command->channel) != hub->options.worker) {
		publish_by_letter(hub, session, command, record);
		return;
	}
	struct publish_result result = agent_publish(hub, record, NULL);
	struct hub_event event = {.type = EVENT_ACK,
	                          .ref = command->ref,
	                          .epoch = result.epoch,
	                          .seq = result.seq,
	                          .is_duplicate = result.is_duplicate};
	if (result.error == ERROR_NONE)
		hub_note_publish(hub, hub->unix_us);
	if (result.error != ERROR_NONE)
		refuse_no_memory(hub, session, command);
	else if (!command->is_unanswered)
		hub->out->event(hub->out, session, &event);
}

/* ---- history ---- */

static void history_here(struct hub *hub, struct session *session,
                         const struct hub_command *command)
{
	struct history_result result =
		agent_history(hub, command->channel, command->has_since ? &command->since : NULL,
	                      command->has_limit ? &command->limit : NULL);
	if (result.error != ERROR_NONE) {
		refuse_no_memory(hub, session, command);
		return;
	}
	struct record *records[HISTORY_LIMIT_MAX];
	struct hub_event event = {.type = EVENT_HISTORY,
	                          .ref = command->ref,
	                          .channel = command->channel,
	                          .epoch = result.epoch,
	                          .seq = result.cursor,
	                          .has_more = result.has_more,
	                          .records = records};
	for (uint64_t seq = result.first; seq < result.end; seq++)
		records[event.record_count++] = log_at(&result.channel->log, seq);
	hub->out->event(hub->out, session, &event);
}

static void history(struct hub *hub, struct session *session, const struct hub_command *command)
{
	if (is_decided_here(hub, command->channel)) {
		history_here(hub, session, command);
		return;
	}
	struct channel_name *name = hub_name_make(hub, command->channel);
	struct hub_mail mail = {.kind = MAIL_HISTORY, .ask = ask_make(command)};
	struct request *request = name == NULL || mail.ask == NULL
	                                  ? NULL
	                                  : request_make(hub, session, mail.kind, command->ref);
	if (request == NULL) {
		free(name);
		free(mail.ask);
		refuse_no_memory(hub, session, command);
		return;
	}
	request->name = name;
	ask_agent(hub, command->channel, request, &mail);
}

/* ---- presence ---- */

static void presence_by_letter(struct hub *hub, struct session *session,
                               const struct hub_command *command)
{
	struct hub_mail mail = {.kind = MAIL_PRESENCE, .ask = ask_make(command)};
	struct request *request =
		mail.ask == NULL ? NULL : request_make(hub, session, mail.kind, command->ref);
	if (request == NULL) {
		free(mail.ask);
		refuse_no_memory(hub, session, command);
		return;
	}
	ask_agent(hub, command->channel, request, &mail);
}

static void presence(struct hub *hub, struct session *session, const struct hub_command *command)
{
	struct slice name = command->channel;
	if (hub_rule(hub, name)->presence == RULE_PRESENCE_NO) {
		refuse(hub, session, command, ERROR_NOT_FOUND, hub_why_no_presence);
		return;
	}
	if (!hub_knows_presence(hub, name)) {
		presence_by_letter(hub, session, command);
		return;
	}
	struct turnout *turnout =
		presence_show(hub, hub_find(hub, name, hub_hash(hub, name)), name);
	struct hub_event event = {
		.type = EVENT_PRESENCE, .ref = command->ref, .channel = name, .turnout = turnout};
	if (turnout == NULL)
		refuse_no_memory(hub, session, command);
	else
		hub->out->event(hub->out, session, &event);
	turnout_drop(turnout);
}

/* ---- all of them ---- */

static enum claims_right right_for(enum command_type type)
{
	return type == COMMAND_PUBLISH    ? CLAIMS_WRITE
	       : type == COMMAND_PRESENCE ? CLAIMS_PRESENCE
	                                  : CLAIMS_READ;
}

static void execute_in_channel(struct hub *hub, struct session *session,
                               const struct hub_command *command)
{
	if (!channel_name_is_valid(command->channel)) {
		refuse(hub, session, command, ERROR_BAD_REQUEST, why_no_name);
		return;
	}
	if (command->type != COMMAND_UNSUBSCRIBE) {
		enum error_code error =
			may(hub, session, command->channel, right_for(command->type));
		if (error != ERROR_NONE) {
			refuse(hub, session, command, error, why_not(error));
			return;
		}
		if (!hub_has_room(hub)) {
			refuse_no_memory(hub, session, command);
			return;
		}
	}
	switch (command->type) {
	case COMMAND_SUBSCRIBE:
		subscribe(hub, session, command);
		break;
	case COMMAND_UNSUBSCRIBE:
		unsubscribe(hub, session, command);
		break;
	case COMMAND_PUBLISH:
		publish(hub, session, command);
		break;
	case COMMAND_HISTORY:
		history(hub, session, command);
		break;
	case COMMAND_PRESENCE:
		presence(hub, session, command);
		break;
	case COMMAND_AUTH:
	case COMMAND_PING:
		break;
	}
}

void hub_execute(struct hub *hub, struct session *session, const struct hub_command *command)
{
	CHECK(!session->is_ended);
	CHECK(command->type != COMMAND_AUTH);
	if (command->type != COMMAND_PING) {
		execute_in_channel(hub, session, command);
		return;
	}
	struct hub_event event = {.type = EVENT_PONG, .ref = command->ref};
	hub->out->event(hub->out, session, &event);
}
