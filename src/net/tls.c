#include "net/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_handshake.h"
#include "net/tls_kernel.h"
#include "net/tls_record.h"

/* AES-GCM under one key: RFC 8446 section 5.5 allows 2^24.5 records. */
#define RECORDS_PER_KEY (1u << 24)

static_assert(TLS_READ_BYTES + TLS_RECORD_MAX <= TURN_READ_BYTES, "room for all that opens");

struct tls_desk {
	struct tls_crypto *crypto;
	struct tls_tickets tickets;
	struct buf said;
	bool lacks_kernel;                          /* it was asked, and has no module for that */
	char came[TLS_RECORD_MAX + TLS_READ_BYTES]; /* in front: what was held */
};

struct tls_desk *tls_desk_create(const struct tls_seed *seed)
{
	struct tls_desk *desk = calloc(1, sizeof(*desk));
	if (desk == NULL)
		return NULL;
	desk->crypto = tls_crypto_create();
	tickets_init(&desk->tickets, seed);
	if (desk->crypto != NULL)
		return desk;
	tls_desk_destroy(desk);
	return NULL;
}

void tls_desk_destroy(struct tls_desk *desk)
{
	if (desk == NULL)
		return;
	tls_crypto_destroy(desk->crypto);
	tickets_wipe(&desk->tickets);
	buf_free(&desk->said);
	free(desk);
}

struct tls *tls_create(void)
{
	return calloc(1, sizeof(struct tls));
}

void tls_destroy(struct tls *tls)
{
	CHECK(tls->out == NULL);
	tls_handshake_end(tls->handshake);
	free(tls->held);
	tls_keys_wipe(&tls->reading);
	tls_keys_wipe(&tls->writing);
	free(tls);
}

struct buf *tls_said(struct tls_desk *desk)
{
	return &desk->said;
}

/* ---- what is said ---- */

/* Seals what lies at the content of a record that is being made at the end of tls_said(). */
static bool seal(struct tls_desk *desk, struct tls *tls, enum tls_type type, char *record,
                 size_t len)
{
	size_t made = tls_record_seal(desk->crypto, tls->suite, &tls->writing, type, record, len);
	buf_grew(&desk->said, made);
	return made > 0;
}

static bool say(struct tls_desk *desk, struct tls *tls, enum tls_type type, const char *bytes,
                size_t len)
{
	char *record = buf_room(&desk->said, TLS_SEALED_MAX);
	if (record == NULL)
		return false;
	memcpy(tls_record_content(record, tls->suite), bytes, len);
	return seal(desk, tls, type, record, len);
}

enum { LEVEL_WARNING = 1, LEVEL_FATAL = 2 };

static void say_alert(struct tls_desk *desk, struct tls *tls, int level, int alert)
{
	const char bytes[2] = {(char)level, (char)alert};
	/* Without memory the peer sees the connection end, and no reason; so it does when it
	 * broke one that the kernel seals. */
	if (!tls->is_offloaded && !tls->has_said_end)
		(void)!say(desk, tls, TLS_TYPE_ALERT, bytes, sizeof(bytes));
}

void tls_say_end(struct tls_desk *desk, struct tls *tls, int fd)
{
	if (!tls->is_ready || tls->has_said_end)
		return;
	if (tls->is_offloaded)
		tls_kernel_alert(fd, LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY);
	else
		say_alert(desk, tls, LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY);
	tls->has_said_end = true;
}

static enum tls_result fail(struct tls_desk *desk, struct tls *tls, int alert)
{
	tls->is_over = true;
	say_alert(desk, tls, LEVEL_FATAL, alert);
	tls->has_said_end = true;
	return TLS_BROKEN;
}

/* New keys for what we send: RFC 8446 section 4.6.3. */
static bool update_writing(struct tls_desk *desk, struct tls *tls)
{
	static const char key_update[] = {24, 0, 0, 1, 0}; /* and none is asked for in return */
	return say(desk, tls, TLS_TYPE_HANDSHAKE, key_update, sizeof(key_update)) &&
	       tls_keys_update(&tls->writing, tls->suite);
}

static size_t gather(char *out, size_t len_max, const struct iovec *parts, size_t count,
                     size_t skip)
{
	size_t len = 0;
	for (size_t i = 0; i < count && len < len_max; i++) {
		if (skip >= parts[i].iov_len) {
			skip -= parts[i].iov_len;
			continue;
		}
		size_t left = parts[i].iov_len - skip, room = len_max - len;
		size_t taken = left < room ? left : room;
		memcpy(out + len, (const char *)parts[i].iov_base + skip, taken);
		len += taken;
		skip = 0;
	}
	return len;
}

size_t tls_seal(struct tls_desk *desk, struct tls *tls, const struct iovec *parts, size_t count,
                size_t skip)
{
	size_t done = 0, len;
	CHECK(tls->is_ready);
	CHECK(!tls->is_offloaded);
	do {
		if (tls->suite.is_13 && tls->writing.next >= RECORDS_PER_KEY &&
		    !update_writing(desk, tls))
			return 0;
		char *record = buf_room(&desk->said, TLS_SEALED_MAX);
		if (record == NULL)
			return 0;
		len = gather(tls_record_content(record, tls->suite), tls->plain_max, parts, count,
		             skip + done);
		if (len == 0 && done > 0)
			return done;
		if (!seal(desk, tls, TLS_TYPE_DATA, record, len))
			return 0;
		done += len;
	} while (len == tls->plain_max && done < TLS_PLAIN_MAX);
	return done;
}

bool tls_offload(struct tls_desk *desk, struct tls *tls, int fd)
{
	CHECK(tls->is_ready);
	/* Of the length of a record the kernel is told nothing. */
	if (desk->lacks_kernel || tls->plain_max < TLS_PLAIN_MAX)
		return false;
	int error = tls_kernel_seal(fd, tls->suite, &tls->writing);
	desk->lacks_kernel = error == -ENOENT;
	tls->is_offloaded = error == 0;
	return tls->is_offloaded;
}

/* ---- what comes ---- */

char *tls_room(struct tls_desk *desk)
{
	return desk->came + TLS_RECORD_MAX;
}

/* What was held of a record goes in front of what came. */
static struct slice take_held(struct tls_desk *desk, struct tls *tls, size_t len)
{
	char *at = tls_room(desk) - tls->held_len;
	if (tls->held_len > 0)
		memcpy(at, tls->held, tls->held_len);
	len += tls->held_len;
	free(tls->held);
	tls->held = NULL;
	tls->held_len = 0;
	return slice_of(at, len);
}

static enum tls_result hold(struct tls *tls, struct slice rest)
{
	if (rest.len == 0)
		return TLS_GOES_ON;
	CHECK(rest.len < TLS_RECORD_MAX);
	tls->held = malloc(rest.len);
	if (tls->held == NULL)
		return TLS_NO_MEMORY;
	memcpy(tls->held, rest.at, rest.len);
	tls->held_len = (uint32_t)rest.len;
	return TLS_GOES_ON;
}

static void end_handshake(struct tls *tls)
{
	tls_handshake_end(tls->handshake);
	tls->handshake = NULL;
}

static enum tls_result begin_records(struct tls *tls)
{
	struct tls_agreed agreed;
	bool is_good = tls_handshake_agreed(tls->handshake, &agreed);
	if (is_good) {
		tls->suite = agreed.suite;
		tls->plain_max = agreed.plain_max;
		tls->reading = agreed.reading;
		tls->writing = agreed.writing;
		tls->is_ready = true;
	}
	tls_keys_wipe(&agreed.reading);
	tls_keys_wipe(&agreed.writing);
	end_handshake(tls);
	return is_good ? TLS_GOES_ON : TLS_NO_MEMORY;
}

static enum tls_result shake(struct tls_desk *desk, struct tls *tls, struct ssl_ctx_st *context,
                             uint64_t now_ms, struct slice records)
{
	if (tls->handshake == NULL)
		tls->handshake = tls_handshake_begin(context, &desk->tickets);
	if (tls->handshake == NULL)
		return TLS_NO_MEMORY;
	switch (tls_handshake_step(tls->handshake, records, now_ms, &desk->said)) {
	case TLS_SHAKE_MORE:
		return TLS_GOES_ON;
	case TLS_SHAKE_DONE:
		return begin_records(tls);
	case TLS_SHAKE_FAILED:
		break;
	}
	end_handshake(tls); /* it may be a while until the peer has heard why */
	tls->is_over = true;
	return TLS_BROKEN;
}

/* RFC 8446 section 6, RFC 5246 section 7.2: but for two of them an alert is the end. */
static enum tls_result take_alert(struct tls_desk *desk, struct tls *tls, const char *plain,
                                  size_t len)
{
	if (len != 2)
		return fail(desk, tls, TLS_ALERT_DECODE_ERROR);
	bool is_warning = plain[0] == LEVEL_WARNING;
	if (plain[1] == TLS_ALERT_USER_CANCELED ||
	    (is_warning && plain[1] != 0 && !tls->suite.is_13))
		return TLS_GOES_ON;
	tls->is_over = true;
	return plain[1] == TLS_ALERT_CLOSE_NOTIFY ? TLS_ENDED : TLS_BROKEN;
}

static bool may_update(struct tls *tls, uint64_t now_ms)
{
	uint16_t now_s = (uint16_t)(now_ms / 1000);
	if (tls->update_s != now_s)
		tls->updates = 0;
	tls->update_s = now_s;
	return tls->updates++ < TLS_UPDATES_MAX;
}

/* Behind the handshake the peer may ask for other keys, whole in one record, and nothing else.
 * TLS 1.2 would begin anew: that is refused, and the connection is over. */
static enum tls_result take_handshake(struct tls_desk *desk, struct tls *tls, uint64_t now_ms,
                                      const char *plain, size_t len)
{
	static const char key_update[] = {24, 0, 0, 1};
	if (!tls->suite.is_13) {
		say_alert(desk, tls, LEVEL_WARNING, TLS_ALERT_NO_RENEGOTIATION);
		tls->is_over = true;
		return TLS_BROKEN;
	}
	if (len != 5 || memcmp(plain, key_update, 4) != 0 || (unsigned char)plain[4] > 1 ||
	    !may_update(tls, now_ms))
		return fail(desk, tls, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (!tls_keys_update(&tls->reading, tls->suite))
		return TLS_NO_MEMORY;
	if (plain[4] == 0)
		return TLS_GOES_ON;
	/* What the kernel has the keys for cannot be changed on all of them. */
	if (tls->is_offloaded)
		return fail(desk, tls, TLS_ALERT_INTERNAL_ERROR);
	return update_writing(desk, tls) ? TLS_GOES_ON : TLS_NO_MEMORY;
}

static enum tls_result take_record(struct tls_desk *desk, struct tls *tls, uint64_t now_ms,
                                   const char *record, char *plain, size_t *plain_len)
{
	struct tls_opened opened;
	int alert =
		tls_record_open(desk->crypto, tls->suite, &tls->reading, record, plain, &opened);
	if (alert != 0)
		return fail(desk, tls, alert);
	switch (opened.type) {
	case TLS_TYPE_ALERT:
		return take_alert(desk, tls, plain, opened.len);
	case TLS_TYPE_HANDSHAKE:
		return take_handshake(desk, tls, now_ms, plain, opened.len);
	default:
		*plain_len += opened.len;
		return TLS_GOES_ON;
	}
}

#define MESSAGE_HEAD_BYTES 4
#define CLIENT_HELLO 1

static size_t message_bytes(const unsigned char head[MESSAGE_HEAD_BYTES])
{
	return MESSAGE_HEAD_BYTES + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
}

static size_t refuse(int *alert, enum tls_alert why)
{
	*alert = (int)why;
	return SIZE_MAX;
}

/* The bytes of all records of the hello that begins here; 0: more must come; SIZE_MAX: it is too
 * long, or another record stands in it: `alert` says why. What is none is for OpenSSL to refuse. */
static size_t find_hello(struct slice rest, int *alert)
{
	unsigned char head[MESSAGE_HEAD_BYTES];
	size_t came = 0, wanted = MESSAGE_HEAD_BYTES, at = 0;
	while (came < wanted) {
		const char *record = rest.at + at;
		size_t bytes = tls_record_bytes(record, rest.len - at);
		if (bytes > TLS_RECORD_MAX)
			return refuse(alert, TLS_ALERT_RECORD_OVERFLOW);
		if (bytes == TLS_HEADER_BYTES ||
		    (bytes > 0 && tls_record_type(record) != TLS_TYPE_HANDSHAKE))
			return refuse(alert, TLS_ALERT_UNEXPECTED_MESSAGE);
		if (bytes == 0 || bytes > rest.len - at)
			return rest.len < TLS_RECORD_MAX ? 0
			                                 : refuse(alert, TLS_ALERT_DECODE_ERROR);
		for (size_t i = came; i < MESSAGE_HEAD_BYTES && i - came < bytes - TLS_HEADER_BYTES;
		     i++)
			head[i] = (unsigned char)record[TLS_HEADER_BYTES + i - came];
		came += bytes - TLS_HEADER_BYTES;
		at += bytes;
		if (came >= MESSAGE_HEAD_BYTES && head[0] == CLIENT_HELLO)
			wanted = message_bytes(head);
		if (wanted > TLS_PLAIN_MAX)
			return refuse(alert, TLS_ALERT_DECODE_ERROR);
	}
	return at;
}

/* The bytes to be looked at next, a record or a hello; 0 and SIZE_MAX as above. */
static size_t next_bytes(const struct tls *tls, struct slice rest, int *alert)
{
	size_t bytes = tls_record_bytes(rest.at, rest.len);
	if (bytes > TLS_RECORD_MAX)
		return refuse(alert, TLS_ALERT_RECORD_OVERFLOW);
	if (!tls->is_ready && bytes == TLS_HEADER_BYTES)
		return refuse(alert, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (bytes == 0 || bytes > rest.len)
		return 0;
	bool is_hello = !tls->is_ready && tls_record_type(rest.at) == TLS_TYPE_HANDSHAKE &&
	                tls_handshake_awaits_hello(tls->handshake);
	return is_hello ? find_hello(rest, alert) : bytes;
}

/* A first hello is answered as it came, unsealed. In a handshake that has begun only OpenSSL knows
 * how: there the peer sees the connection end. */
static enum tls_result refuse_records(struct tls_desk *desk, struct tls *tls, int alert)
{
	const char record[] = {TLS_TYPE_ALERT, 3, 3, 0, 2, LEVEL_FATAL, (char)alert};
	if (tls->is_ready)
		return fail(desk, tls, alert);
	if (tls->handshake == NULL)
		buf_append(&desk->said, record, sizeof(record));
	end_handshake(tls);
	tls->is_over = true;
	return TLS_BROKEN;
}

enum tls_result tls_take(struct tls_desk *desk, struct tls *tls, struct ssl_ctx_st *context,
                         uint64_t now_ms, size_t len, char *plain, size_t *plain_len)
{
	struct slice rest = take_held(desk, tls, len);
	enum tls_result result = TLS_GOES_ON;
	*plain_len = 0;
	if (!tls->is_ready && tls->handshake == NULL && rest.len > 0 &&
	    tls_record_type(rest.at) != TLS_TYPE_HANDSHAKE)
		return TLS_NOT_TLS;
	while (result == TLS_GOES_ON) {
		int alert = 0;
		size_t bytes = next_bytes(tls, rest, &alert);
		if (bytes == SIZE_MAX)
			return refuse_records(desk, tls, alert);
		if (bytes == 0)
			return hold(tls, rest);
		if (tls->is_ready)
			result = take_record(desk, tls, now_ms, rest.at, plain + *plain_len,
			                     plain_len);
		else
			result = shake(desk, tls, context, now_ms, slice_of(rest.at, bytes));
		rest = slice_after(rest, bytes);
	}
	return result;
}
