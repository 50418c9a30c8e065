#include "node/survey_wire.h"

#include <stdlib.h>

static void write_token(struct buf *out, struct slab_handle token)
{
	pack_u32(out, token.index);
	pack_u32(out, token.generation);
}

static struct slab_handle read_token(struct unpack *in)
{
	struct slab_handle token = {.index = unpack_u32(in)};
	token.generation = unpack_u32(in);
	return token;
}

static void write_long(struct buf *out, struct slice text)
{
	pack_u32(out, (uint32_t)text.len);
	buf_slice(out, text);
}

void survey_write(struct buf *out, const struct survey_question *question, uint32_t worker)
{
	pack_u8(out, question->kind);
	pack_u16(out, (uint16_t)worker);
	write_token(out, question->token);
	pack_u64(out, question->number);
	write_long(out, question->text);
	write_long(out, question->after);
}

bool survey_read(struct slice body, struct survey_question *question, struct far_asker *asker)
{
	struct unpack in = {.rest = body};
	*question = (struct survey_question){.kind = unpack_u8(&in)};
	*asker = (struct far_asker){.worker = unpack_u16(&in)};
	question->token = asker->token = read_token(&in);
	question->number = unpack_u64(&in);
	question->text = unpack_bytes(&in, unpack_u32(&in));
	question->after = unpack_bytes(&in, unpack_u32(&in));
	return unpack_is_over(&in);
}

enum found { FOUND_NOTHING = 0, FOUND_IT, FOUND_NO_MEMORY };

enum channel_flag { CHANNEL_AGENT = 1, CHANNEL_HOME = 2, CHANNEL_FLAGS = 3 };

static void write_channel(struct buf *out, const struct note_channel *channel)
{
	pack_text(out, buf_view(&channel->name));
	pack_u64(out, channel->followers);
	pack_u64(out, channel->epoch);
	pack_u64(out, channel->seq);
	pack_u8(out, (uint8_t)((channel->is_agent ? CHANNEL_AGENT : 0) |
	                       (channel->is_home ? CHANNEL_HOME : 0)));
}

void survey_answer_write(struct buf *out, const struct survey_answer *answer,
                         const struct note *note)
{
	pack_u8(out, answer->kind);
	write_token(out, answer->token);
	pack_u16(out, (uint16_t)answer->of);
	pack_u8(out, (uint8_t)(note->body.is_broken ? FOUND_NO_MEMORY
	                       : note->is_found     ? FOUND_IT
	                                            : FOUND_NOTHING));
	write_long(out, buf_view(&note->body));
	size_t count = note->is_found && note->channels != NULL ? note->count : 0;
	pack_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		write_channel(out, &note->channels[i]);
}

/* False: malformed, or no memory for its name. */
static bool read_channel(struct unpack *in, struct note_channel *channel)
{
	struct slice name = unpack_text(in);
	*channel = (struct note_channel){.followers = unpack_u64(in)};
	channel->epoch = unpack_u64(in);
	channel->seq = unpack_u64(in);
	uint8_t flags = unpack_u8(in);
	channel->is_agent = (flags & CHANNEL_AGENT) != 0;
	channel->is_home = (flags & CHANNEL_HOME) != 0;
	if (in->is_bad || flags > CHANNEL_FLAGS || !channel_name_is_valid(name))
		in->is_bad = true;
	else
		buf_slice(&channel->name, name);
	return !in->is_bad && !channel->name.is_broken;
}

/* False: malformed, or no memory. */
static bool read_channels(struct unpack *in, struct note *note)
{
	uint32_t count = unpack_u32(in);
	in->is_bad |= count > SURVEY_CHANNELS_MAX;
	if (in->is_bad || count == 0)
		return !in->is_bad;
	note->channels = calloc(count, sizeof(*note->channels));
	bool is_good = note->channels != NULL;
	while (is_good && note->count < count)
		is_good = read_channel(in, &note->channels[note->count++]);
	return is_good;
}

bool survey_answer_read(struct slice body, struct survey_answer *answer, struct note **note)
{
	struct unpack in = {.rest = body};
	*answer = (struct survey_answer){.kind = unpack_u8(&in)};
	answer->token = read_token(&in);
	answer->of = unpack_u16(&in);
	enum found found = unpack_u8(&in);
	struct slice text = unpack_bytes(&in, unpack_u32(&in));
	if (in.is_bad || found > FOUND_NO_MEMORY || answer->of == 0 || answer->of > WORKERS_MAX)
		return false;
	struct slice none = {0};
	struct note *made = found == FOUND_NO_MEMORY ? NULL : note_make(0, none, none);
	*note = made;
	if (made == NULL)
		return true;
	made->is_found = found == FOUND_IT;
	buf_slice(&made->body, text);
	bool is_good = read_channels(&in, made) && !made->body.is_broken;
	if (is_good && unpack_is_over(&in))
		return true;
	note_free(made);
	*note = NULL;
	return !in.is_bad && !is_good; /* then it was for lack of memory */
}
