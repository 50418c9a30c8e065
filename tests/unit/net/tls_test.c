/*
 * Our end of a connection against OpenSSL's client, in one thread: every suite, bytes in any
 * pieces, all that may come behind a handshake, and clients that do it wrong.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../../failing.h"
#include "base/random.h"
#include "net/tls_context.h"
#include "net/tls_record.h"
#include "tls_files.h"

static const struct tls_seed seed = {"thirty-two bytes drawn by lot..", 1000};
static uint64_t now_ms;
static SSL_CTX *ours, *ours_rsa, *theirs;
static struct tls_desk *desk, *other_desk;

/* One connection: what the two ends have for each other, and what came out of ours. */
static struct tls *tls;
static SSL *client;
static BIO *to_client, *from_client;
static enum tls_result result;
static struct buf heard;
static size_t piece; /* bytes at once to our end */

/* ---- moving bytes ---- */

static void to_ours(const char *bytes, size_t len)
{
	static char plain[TURN_READ_BYTES];
	while (len > 0 && result == TLS_GOES_ON) {
		size_t count = len < piece ? len : piece, plain_len;
		memcpy(tls_room(desk), bytes, count);
		result = tls_take(desk, tls, ours, now_ms, count, plain, &plain_len);
		CHECK(plain_len <= sizeof(plain));
		failing_pause();
		buf_append(&heard, plain, plain_len);
		failing_resume();
		bytes += count;
		len -= count;
	}
}

static void to_theirs(void)
{
	struct buf *said = tls_said(desk);
	if (said->is_broken) /* for want of memory, which ends it */
		result = TLS_NO_MEMORY;
	else if (said->len > 0)
		CHECK(BIO_write(to_client, said->at, (int)said->len) == (int)said->len);
	buf_clear(said);
}

static void move(void)
{
	char bytes[4096];
	int got;
	while ((got = BIO_read(from_client, bytes, sizeof(bytes))) > 0)
		to_ours(bytes, (size_t)got);
	to_theirs();
}

/* True: both ends are done with it. */
static bool shake(void)
{
	for (int i = 0; i < 20; i++) {
		int done = SSL_do_handshake(client);
		move();
		if (done == 1 && tls->is_ready)
			return true;
		if (result != TLS_GOES_ON)
			break;
	}
	(void)SSL_do_handshake(client);
	return false;
}

static SSL_CTX *client_context(int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	CHECK(context != NULL);
	SSL_CTX_set_security_level(context, 0);
	CHECK(SSL_CTX_set_min_proto_version(context, version) == 1);
	CHECK(SSL_CTX_set_max_proto_version(context, version) == 1);
	SSL_CTX_set_session_cache_mode(context,
	                               SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	return context;
}

static void open_client(void)
{
	tls = tls_create();
	client = SSL_new(theirs);
	to_client = BIO_new(BIO_s_mem());
	from_client = BIO_new(BIO_s_mem());
	CHECK(tls != NULL && client != NULL && to_client != NULL && from_client != NULL);
	SSL_set_bio(client, to_client, from_client);
	SSL_set_connect_state(client);
	result = TLS_GOES_ON;
	piece = 4096;
}

static void close_client(void)
{
	/* Or its session would not count as a good one. */
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	tls_destroy(tls);
	buf_free(&heard);
	buf_clear(tls_said(desk));
	ERR_clear_error();
}

/* ---- saying things ---- */

static void client_says(const char *bytes, size_t len)
{
	CHECK(SSL_write(client, bytes, (int)len) == (int)len);
}

static void we_say(const char *bytes, size_t len)
{
	struct iovec parts[] = {
		{(char *)(uintptr_t)bytes, len / 3},
		{NULL, 0},
		{(char *)(uintptr_t)bytes + len / 3, len - len / 3},
	};
	for (size_t done = 0; done < len;) {
		size_t sealed = tls_seal(desk, tls, parts, COUNT_OF(parts), done);
		CHECK(sealed > 0);
		CHECK(sealed == TLS_PLAIN_MAX || done + sealed == len);
		done += sealed;
	}
	to_theirs();
}

static bool client_hears(const char *bytes, size_t len)
{
	char *got = malloc(len);
	CHECK(got != NULL);
	size_t total = 0;
	int count;
	while (total < len && (count = SSL_read(client, got + total, (int)(len - total))) > 0)
		total += (size_t)count;
	bool is_same = total == len && memcmp(got, bytes, len) == 0;
	free(got);
	return is_same;
}

static void both_hear(const char *bytes, size_t len)
{
	buf_clear(&heard);
	client_says(bytes, len);
	move();
	CHECK(result == TLS_GOES_ON);
	CHECK(slice_equals(buf_view(&heard), slice_of(bytes, len)));
	we_say(bytes, len);
	CHECK(client_hears(bytes, len));
}

/* ---- every suite ---- */

static char large[300000];

static void talks(void)
{
	CHECK(shake());
	both_hear("hello", 5);
	both_hear("again", 5);
}

static void talks_by_the_byte(void)
{
	piece = 1;
	CHECK(shake());
	both_hear(large, 5000);
}

static void talks_much(void)
{
	static const size_t pieces[] = {3, 1000, 4096, TLS_PLAIN_MAX};
	CHECK(shake());
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		piece = pieces[i];
		both_hear(large, sizeof(large));
	}
	both_hear(large, TLS_PLAIN_MAX);
	both_hear(large, TLS_PLAIN_MAX + 1);
	CHECK(tls->held == NULL);
}

/* What came with the last of the handshake is not OpenSSL's any more. */
static void hurries(void)
{
	while (SSL_do_handshake(client) != 1) {
		CHECK(result == TLS_GOES_ON);
		if (SSL_version(client) == TLS1_2_VERSION || !tls->is_ready)
			move();
	}
	client_says("early", 5);
	client_says("birds", 5);
	move();
	CHECK(tls->is_ready);
	CHECK(slice_is(buf_view(&heard), "earlybirds"));
	we_say("sing", 4);
	CHECK(client_hears("sing", 4));
}

static void client_ends(void)
{
	CHECK(shake());
	client_says("bye", 3);
	CHECK(SSL_shutdown(client) == 0);
	move();
	CHECK(result == TLS_ENDED);
	CHECK(slice_is(buf_view(&heard), "bye"));
	/* We may still speak, and then end too. */
	we_say("so long", 7);
	tls_say_end(desk, tls, -1);
	tls_say_end(desk, tls, -1);
	to_theirs();
	CHECK(client_hears("so long", 7));
	CHECK(SSL_shutdown(client) == 1);
	CHECK(BIO_ctrl_pending(to_client) == 0);
}

static void we_end(void)
{
	char byte;
	CHECK(shake());
	we_say("bye", 3);
	tls_say_end(desk, tls, -1);
	to_theirs();
	CHECK(client_hears("bye", 3));
	CHECK(SSL_read(client, &byte, 1) <= 0);
	CHECK((SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN) != 0);
}

static SSL_SESSION *session_of_client(void)
{
	both_hear("hello", 5); /* a ticket of TLS 1.3 comes with it */
	SSL_SESSION *session = SSL_get1_session(client);
	CHECK(session != NULL);
	CHECK(SSL_SESSION_is_resumable(session));
	return session;
}

static bool is_resumed(SSL_SESSION *session, uint64_t later_ms)
{
	struct tls_desk *own = desk;
	SSL_SESSION *copy = SSL_SESSION_dup(session); /* one that was used is not used again */
	close_client();
	now_ms += later_ms;
	desk = other_desk; /* of another worker */
	open_client();
	CHECK(SSL_set_session(client, copy) == 1);
	SSL_SESSION_free(copy);
	CHECK(shake());
	both_hear("back", 4);
	bool is_so = SSL_session_reused(client);
	close_client();
	desk = own;
	open_client();
	return is_so;
}

static void resumes(void)
{
	CHECK(shake());
	SSL_SESSION *session = session_of_client();
	CHECK(is_resumed(session, 0));
	CHECK(is_resumed(session, TLS_TICKET_LIFE_MS));
	CHECK(!is_resumed(session, TLS_TICKET_LIFE_MS));
	SSL_SESSION_free(session);
}

/* A client that resumes says so at once, and has its new ticket; that one is good too. */
static void resumes_again(void)
{
	SSL_SESSION *session;
	CHECK(shake());
	session = session_of_client();
	for (int i = 0; i < 3; i++) {
		close_client();
		open_client();
		CHECK(SSL_set_session(client, session) == 1);
		SSL_SESSION_free(session);
		CHECK(shake());
		CHECK(SSL_session_reused(client));
		session = session_of_client();
	}
	SSL_SESSION_free(session);
}

static void spoilt(void)
{
	char bytes[200], byte;
	CHECK(shake());
	move();
	client_says("hello", 5);
	int len = BIO_read(from_client, bytes, sizeof(bytes));
	CHECK(len > 10);
	bytes[len - 1] ^= 1;
	to_ours(bytes, (size_t)len);
	CHECK(result == TLS_BROKEN);
	CHECK(heard.len == 0);
	to_theirs();
	CHECK(SSL_read(client, &byte, 1) <= 0);
	CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
}

static const struct {
	const char *name;
	void (*run)(void);
} talks_of_all[] = {
	{"both ends talk", talks},
	{"byte by byte", talks_by_the_byte},
	{"much, in pieces of any size", talks_much},
	{"data in one piece with the end of the handshake", hurries},
	{"the client ends, and then we do", client_ends},
	{"we end", we_end},
	{"a ticket brings the session back, to any worker, for its time", resumes},
	{"and so does the ticket that came then", resumes_again},
	{"a bad record is the end", spoilt},
};

static const struct {
	const char *name;
	int version;
	const char *suite;
	bool is_rsa;
} suites[] = {
	{"TLS 1.3 AES-128", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", false},
	{"TLS 1.3 AES-256", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", true},
	{"TLS 1.3 ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", false},
	{"TLS 1.2 AES-128", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", false},
	{"TLS 1.2 AES-256", TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", true},
	{"TLS 1.2 ChaCha20", TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", false},
};

static void check_suite(size_t i, size_t run)
{
	SSL_CTX *kept = ours;
	ours = suites[i].is_rsa ? ours_rsa : ours;
	theirs = client_context(suites[i].version);
	if (suites[i].version == TLS1_3_VERSION)
		CHECK(SSL_CTX_set_ciphersuites(theirs, suites[i].suite) == 1);
	else
		CHECK(SSL_CTX_set_cipher_list(theirs, suites[i].suite) == 1);
	open_client();
	talks_of_all[run].run();
	if (SSL_is_init_finished(client))
		CHECK(strcmp(SSL_CIPHER_standard_name(SSL_get_current_cipher(client)),
		             suites[i].suite) == 0 ||
		      strcmp(SSL_get_cipher(client), suites[i].suite) == 0);
	close_client();
	SSL_CTX_free(theirs);
	ours = kept;
}

/* ---- behind the handshake ---- */

static void new_keys(void)
{
	CHECK(shake());
	both_hear("hello", 5);
	CHECK(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	both_hear("one way", 7);
	CHECK(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1);
	both_hear("both ways", 9);
	CHECK(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1);
	both_hear("again", 5);
	CHECK(tls->reading.next == 1);
	CHECK(tls->writing.next == 1);
}

/* RFC 8446 section 5.5. The client is told the number by hand: nobody sends so many. */
static void keys_wear_out(void)
{
	CHECK(shake());
	both_hear("hello", 5);
	struct tls_keys before = tls->writing;
	while (tls->writing.next < 1000)
		we_say("x", 1);
	before.next = tls->writing.next;
	tls->writing.next = (1u << 24) - 1;
	struct iovec part = {"y", 1};
	CHECK(tls_seal(desk, tls, &part, 1, 0) == 1);
	CHECK(tls->writing.next == 1u << 24);
	CHECK(memcmp(tls->writing.key, before.key, sizeof(before.key)) == 0);
	buf_clear(tls_said(desk));
	/* The next one is under new keys, which the record in front of it says. */
	CHECK(tls_seal(desk, tls, &part, 1, 0) == 1);
	CHECK(tls->writing.next == 1);
	CHECK(memcmp(tls->writing.key, before.key, sizeof(before.key)) != 0);
	struct tls_crypto *crypto = tls_crypto_create();
	static char plain[TLS_RECORD_MAX];
	struct tls_opened opened;
	before.next = 1u << 24;
	CHECK(tls_record_open(crypto, tls->suite, &before, tls_said(desk)->at, plain, &opened) ==
	      0);
	CHECK(opened.type == TLS_TYPE_HANDSHAKE);
	CHECK(slice_equals(slice_of(plain, opened.len), slice_of("\x18\0\0\1\0", 5)));
	tls_crypto_destroy(crypto);
	buf_clear(tls_said(desk));
}

/* Keys take long to make: the peer may change them now and then. */
static void too_many_keys(void)
{
	CHECK(shake());
	both_hear("hello", 5);
	for (int second = 0; second < 2; second++) {
		now_ms += 1000;
		for (int i = 0; i < TLS_UPDATES_MAX; i++) {
			CHECK(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1);
			both_hear("new", 3);
		}
	}
	CHECK(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	client_says("newer", 5);
	move();
	CHECK(result == TLS_BROKEN);
	char byte;
	CHECK(SSL_read(client, &byte, 1) <= 0);
	CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

/* A client that has room for little says so: RFC 6066. Its session keeps that. */
static void small_rooms(void)
{
	CHECK(SSL_set_tlsext_max_fragment_length(client, TLSEXT_max_fragment_length_512) == 1);
	CHECK(shake());
	CHECK(tls->plain_max == 512);
	both_hear(large, 20000);
	both_hear(large, 1024); /* nothing is left for a third one */
	SSL_SESSION *session = session_of_client();
	close_client();
	open_client();
	CHECK(SSL_set_tlsext_max_fragment_length(client, TLSEXT_max_fragment_length_512) == 1);
	CHECK(SSL_set_session(client, session) == 1);
	SSL_SESSION_free(session);
	CHECK(shake());
	CHECK(SSL_session_reused(client));
	CHECK(tls->plain_max == 512);
	both_hear(large, 20000);
}

static void pads(void)
{
	CHECK(shake());
	CHECK(SSL_set_block_padding(client, 512) == 1);
	both_hear("padded", 6);
}

static void small_records(void)
{
	CHECK(SSL_set_max_send_fragment(client, 512) == 1);
	CHECK(shake());
	both_hear(large, 20000);
}

/* What a client with the right keys may send and must not, sealed by hand. */
static const struct {
	const char *name;
	bool is_12;
	enum tls_type type;
	const char *content;
	size_t len;
	enum tls_result result;
	int answer; /* the alert it is answered with; -1: none */
} forged[] = {
	{"its end", false, TLS_TYPE_ALERT, "\1\0", 2, TLS_ENDED, -1},
	{"its end, as if it were a fault", false, TLS_TYPE_ALERT, "\2\0", 2, TLS_ENDED, -1},
	{"a fault it found", false, TLS_TYPE_ALERT, "\2\x14", 2, TLS_BROKEN, -1},
	{"a fault, said in a low voice", false, TLS_TYPE_ALERT, "\1\x14", 2, TLS_BROKEN, -1},
	{"that its user gave up", false, TLS_TYPE_ALERT, "\1\x5a", 2, TLS_GOES_ON, -1},
	{"a warning of TLS 1.2", true, TLS_TYPE_ALERT, "\1\x14", 2, TLS_GOES_ON, -1},
	{"a fault of TLS 1.2", true, TLS_TYPE_ALERT, "\2\x14", 2, TLS_BROKEN, -1},
	{"half an alert", false, TLS_TYPE_ALERT, "\1", 1, TLS_BROKEN, TLS_ALERT_DECODE_ERROR},
	{"two alerts in one", false, TLS_TYPE_ALERT, "\1\x5a\1\x5a", 4, TLS_BROKEN,
         TLS_ALERT_DECODE_ERROR},
	{"new keys", false, TLS_TYPE_HANDSHAKE, "\x18\0\0\1\0", 5, TLS_GOES_ON, -1},
	{"new keys of a kind that is none", false, TLS_TYPE_HANDSHAKE, "\x18\0\0\1\2", 5,
         TLS_BROKEN, TLS_ALERT_UNEXPECTED_MESSAGE},
	{"new keys in part", false, TLS_TYPE_HANDSHAKE, "\x18\0\0\1", 4, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"new keys, and more", false, TLS_TYPE_HANDSHAKE, "\x18\0\0\1\0\x18", 6, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"new keys of another length", false, TLS_TYPE_HANDSHAKE, "\x18\0\0\2\0", 5, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"another hello", false, TLS_TYPE_HANDSHAKE, "\1\0\0\1\0", 5, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"a hello that would begin anew", true, TLS_TYPE_HANDSHAKE, "\1\0\0\1\0", 5, TLS_BROKEN,
         TLS_ALERT_NO_RENEGOTIATION},
	{"new keys in TLS 1.2", true, TLS_TYPE_HANDSHAKE, "\x18\0\0\1\0", 5, TLS_BROKEN,
         TLS_ALERT_NO_RENEGOTIATION},
	{"other ciphers", false, TLS_TYPE_CIPHER_CHANGE, "\1", 1, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"no data", false, TLS_TYPE_DATA, "", 0, TLS_GOES_ON, -1},
};

static int answered_alert(void)
{
	char byte;
	to_theirs();
	ERR_clear_error();
	int got = SSL_read(client, &byte, 1);
	CHECK(got <= 0);
	if (SSL_get_error(client, got) == SSL_ERROR_WANT_READ)
		return -1;
	/* OpenSSL's own number for an alert that came. */
	int reason = ERR_GET_REASON(ERR_peek_error());
	if (reason == SSL_R_NO_RENEGOTIATION)
		return TLS_ALERT_NO_RENEGOTIATION;
	return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : -1;
}

static void check_forged(size_t i)
{
	static char record[TLS_SEALED_MAX];
	theirs = client_context(forged[i].is_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	open_client();
	CHECK(shake());
	both_hear("hello", 5);
	buf_clear(&heard);
	struct tls_crypto *crypto = tls_crypto_create();
	struct tls_keys keys = tls->reading;
	memcpy(tls_record_content(record, tls->suite), forged[i].content, forged[i].len);
	size_t made =
		tls_record_seal(crypto, tls->suite, &keys, forged[i].type, record, forged[i].len);
	to_ours(record, made);
	CHECK(result == forged[i].result);
	CHECK(heard.len == 0);
	CHECK(tls->is_over == (result != TLS_GOES_ON));
	CHECK(answered_alert() == forged[i].answer);
	tls_crypto_destroy(crypto);
	close_client();
	SSL_CTX_free(theirs);
}

static void too_long(void)
{
	CHECK(shake());
	move();
	to_ours("\x17\3\3\xff\xff", 5);
	CHECK(result == TLS_BROKEN);
	CHECK(answered_alert() == TLS_ALERT_RECORD_OVERFLOW);
}

static const struct {
	const char *name;
	int version;
	void (*run)(void);
} behind[] = {
	{"either end changes its keys", TLS1_3_VERSION, new_keys},
	{"keys that wear out are changed", TLS1_3_VERSION, keys_wear_out},
	{"who changes keys without end is sent away", TLS1_3_VERSION, too_many_keys},
	{"a client has room for small records", TLS1_3_VERSION, small_rooms},
	{"also in TLS 1.2", TLS1_2_VERSION, small_rooms},
	{"records of a client that hides its lengths", TLS1_3_VERSION, pads},
	{"small records", TLS1_3_VERSION, small_records},
	{"small records in TLS 1.2", TLS1_2_VERSION, small_records},
	{"a record that says it is too long is the end", TLS1_3_VERSION, too_long},
	{"also in TLS 1.2", TLS1_2_VERSION, too_long},
};

static void check_behind(size_t i)
{
	theirs = client_context(behind[i].version);
	open_client();
	behind[i].run();
	close_client();
	SSL_CTX_free(theirs);
}

/* ---- clients that do not get in ---- */

static const struct {
	const char *name;
	int version;
	const char *ciphers, *protocols; /* of TLS 1.2; of ALPN */
	int alert;                       /* that the client is told; -1: it gets in */
} refused[] = {
	{"TLS 1.1 is refused", TLS1_1_VERSION, NULL, NULL, SSL_AD_PROTOCOL_VERSION},
	{"a cipher without authentication is refused", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256",
         NULL, SSL_AD_HANDSHAKE_FAILURE},
	{"a key exchange without forward secrecy is refused", TLS1_2_VERSION, "AES128-GCM-SHA256",
         NULL, SSL_AD_HANDSHAKE_FAILURE},
	{"who speaks http/1.1 gets in", TLS1_3_VERSION, NULL, "\x02h2\x08http/1.1", -1},
	{"also in TLS 1.2", TLS1_2_VERSION, NULL, "\x08http/1.1", -1},
	{"who speaks other protocols only does not", TLS1_3_VERSION, NULL, "\x02h2",
         SSL_AD_NO_APPLICATION_PROTOCOL},
};

static void check_refused(size_t i)
{
	theirs = client_context(refused[i].version);
	if (refused[i].ciphers != NULL)
		CHECK(SSL_CTX_set_cipher_list(theirs, refused[i].ciphers) == 1);
	const char *protocols = refused[i].protocols;
	if (protocols != NULL)
		CHECK(SSL_CTX_set_alpn_protos(theirs, (const unsigned char *)protocols,
		                              (unsigned)strlen(protocols)) == 0);
	open_client();
	CHECK(shake() == (refused[i].alert == -1));
	if (refused[i].alert == -1) {
		const unsigned char *chosen;
		unsigned len;
		SSL_get0_alpn_selected(client, &chosen, &len);
		CHECK(slice_is(slice_of((const char *)chosen, len), "http/1.1"));
	} else {
		CHECK(result == TLS_BROKEN);
		CHECK(ERR_GET_REASON(ERR_peek_error()) == SSL_AD_REASON_OFFSET + refused[i].alert);
		tls_say_end(desk, tls, -1); /* there is no way to */
		CHECK(tls_said(desk)->len == 0);
	}
	close_client();
	SSL_CTX_free(theirs);
}

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	enum tls_result result;
	int alert; /* -1: none */
} strange[] = {
	{"a request in plain text", "GET / HTTP/1.1\r\n", 16, TLS_NOT_TLS, -1},
	{"an alert first", "\x15\3\3\0\2\1\0", 7, TLS_NOT_TLS, -1},
	{"a zero", "", 1, TLS_NOT_TLS, -1},
	{"a record in part", "\x16\3\1\0\x50\1\0", 7, TLS_GOES_ON, -1},
	{"a header in part", "\x16\3\1", 3, TLS_GOES_ON, -1},
	{"a record too long", "\x16\3\1\xff\xff", 5, TLS_BROKEN, TLS_ALERT_RECORD_OVERFLOW},
	{"a hello that is none", "\x16\3\1\0\5hello", 10, TLS_BROKEN, TLS_ALERT_UNEXPECTED_MESSAGE},
	{"an empty record", "\x16\3\1\0\0", 5, TLS_BROKEN, TLS_ALERT_UNEXPECTED_MESSAGE},
	{"a hello in part", "\x16\3\1\0\4\1\0\x3f\xfc", 9, TLS_GOES_ON, -1},
	{"less of it", "\x16\3\1\0\1\1", 6, TLS_GOES_ON, -1},
	{"a hello that will be long", "\x16\3\1\0\4\1\0\x3f\xfd", 9, TLS_BROKEN,
         TLS_ALERT_DECODE_ERROR},
	{"one that is as long as OpenSSL takes it", "\x16\3\1\0\4\1\2\1\x40", 9, TLS_BROKEN,
         TLS_ALERT_DECODE_ERROR},
	{"a second record too long", "\x16\3\1\0\1\1\x16\3\1\xff\xff", 11, TLS_BROKEN,
         TLS_ALERT_RECORD_OVERFLOW},
	{"a hello with something between", "\x16\3\1\0\1\1\x16\3\1\0\0", 11, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"one with a warning between", "\x16\3\1\0\1\1\x15\3\1\0\2\1\x5a", 13, TLS_BROKEN,
         TLS_ALERT_UNEXPECTED_MESSAGE},
};

/* What OpenSSL says to a client that has said no version is of the oldest. */
static int alert_said(void)
{
	const struct buf *said = tls_said(desk);
	if (said->len == 0)
		return -1;
	CHECK(said->len == 7);
	CHECK(memcmp(said->at, "\x15\3", 2) == 0 && memcmp(said->at + 3, "\0\2\2", 3) == 0);
	return said->at[6];
}

static void check_strange(size_t i)
{
	theirs = client_context(TLS1_3_VERSION);
	for (piece = 1; piece <= strange[i].len; piece++) {
		size_t pieces = piece;
		open_client();
		piece = pieces;
		to_ours(strange[i].bytes, strange[i].len);
		CHECK(result == strange[i].result);
		CHECK(heard.len == 0);
		CHECK(alert_said() == strange[i].alert);
		/* Whoever has not said what it wants costs what it sent. */
		CHECK(tls->handshake == NULL);
		close_client();
	}
	SSL_CTX_free(theirs);
}

/* What our end has of a hello in so many pieces, each a record of its own. */
static void pass_hello_in(size_t bytes)
{
	static char hello[1024], record[5 + 1024];
	int len = BIO_read(from_client, hello, sizeof(hello));
	size_t at = 0, end;
	/* A change of ciphers may stand in front. */
	for (; tls_record_type(hello + at) != TLS_TYPE_HANDSHAKE; at += 6)
		to_ours(hello + at, 6);
	end = at + tls_record_bytes(hello + at, (size_t)len - at);
	CHECK(end == (size_t)len);
	memcpy(record, hello + at, 5);
	for (at += 5; at < end && result == TLS_GOES_ON; at += bytes) {
		size_t count = end - at < bytes ? end - at : bytes;
		record[3] = (char)(count >> 8);
		record[4] = (char)count;
		memcpy(record + 5, hello + at, count);
		to_ours(record, 5 + count);
	}
}

/* Its second one is for a group that we have. */
static void hello_in_pieces(int version, size_t bytes, size_t at_once)
{
	theirs = client_context(version);
	CHECK(SSL_CTX_set1_groups_list(theirs, "P-521:X25519:P-256") == 1);
	open_client();
	piece = at_once;
	for (int i = 0; i < (version == TLS1_3_VERSION ? 2 : 1); i++) {
		CHECK(SSL_do_handshake(client) < 0);
		pass_hello_in(bytes);
		CHECK(result == TLS_GOES_ON);
		CHECK(tls_said(desk)->len > 0);
		to_theirs();
	}
	CHECK(shake());
	both_hear("at last", 7);
	close_client();
	SSL_CTX_free(theirs);
}

static void long_second_hello(void)
{
	theirs = client_context(TLS1_3_VERSION);
	CHECK(SSL_CTX_set1_groups_list(theirs, "P-521:X25519:P-256") == 1);
	open_client();
	CHECK(SSL_do_handshake(client) < 0);
	move();
	CHECK(result == TLS_GOES_ON);
	CHECK(tls->handshake != NULL);
	to_ours("\x16\3\3\0\4\1\2\1\x40", 9);
	CHECK(result == TLS_BROKEN);
	close_client();
	SSL_CTX_free(theirs);
}

/* As many bytes as a record may have, and not all of it is there: it is not kept. */
static void hello_in_crumbs(void)
{
	static const char crumb[] = "\x16\3\1\0\1";
	char record[6];
	size_t sent = 0;
	open_client();
	for (; result == TLS_GOES_ON && sent < 2 * TLS_RECORD_MAX; sent += sizeof(record)) {
		memcpy(record, crumb, 5);
		record[5] = sent == 0 ? 1 : sent == 12 ? 0x30 : 0;
		to_ours(record, sizeof(record));
	}
	CHECK(result == TLS_BROKEN);
	CHECK(tls->handshake == NULL);
	CHECK(sent > TLS_RECORD_MAX - 6 && sent <= TLS_RECORD_MAX + 6);
	CHECK(alert_said() == TLS_ALERT_DECODE_ERROR);
	close_client();
}

/* A first flight with any one byte changed: refused, or agreed on something else; nothing worse. */
static void changed_hello(void)
{
	char hello[1024];
	theirs = client_context(TLS1_3_VERSION);
	open_client();
	CHECK(SSL_do_handshake(client) < 0);
	int len = BIO_read(from_client, hello, sizeof(hello));
	CHECK(len > 100);
	close_client();
	struct random random = {7};
	for (int at = 0; at < len; at++) {
		char kept = hello[at];
		hello[at] ^= (char)(1 << random_below(&random, 8));
		open_client();
		to_ours(hello, (size_t)len);
		CHECK(heard.len == 0);
		CHECK(!tls->is_ready);
		close_client();
		hello[at] = kept;
	}
	SSL_CTX_free(theirs);
}

/* ---- without memory ---- */

/* True: each end heard all that the other one said. */
static bool starved_talk(void)
{
	char got[8];
	struct iovec part = {"answer", 6};
	if (!shake() || SSL_write(client, "question", 8) != 8)
		return false;
	move();
	if (result != TLS_GOES_ON || heard.len < 8)
		return false;
	CHECK(slice_is(buf_view(&heard), "question"));
	if (tls_seal(desk, tls, &part, 1, 0) == 0)
		return false;
	tls_say_end(desk, tls, -1);
	to_theirs();
	if (result != TLS_GOES_ON)
		return false;
	CHECK(SSL_read(client, got, sizeof(got)) == 6);
	CHECK(memcmp(got, "answer", 6) == 0);
	return true;
}

/* In pieces, so that parts of records are held. What OpenSSL allocates does not fail. */
static bool starve(uint32_t number, enum failing_mode mode)
{
	open_client();
	piece = 7;
	buf_free(tls_said(desk)); /* or it would have room enough from the last time */
	failing_arm(number, mode);
	bool is_whole = starved_talk();
	uint32_t failed = failing_disarm();
	CHECK(is_whole == (failed == 0));
	close_client();
	return failed > 0;
}

static void check_starved(int version)
{
	theirs = client_context(version);
	for (enum failing_mode mode = FAILING_ONE; mode <= FAILING_ALL_FROM; mode++) {
		uint32_t number = 1;
		while (starve(number, mode))
			number++;
		CHECK(number > 20);
	}
	SSL_CTX_free(theirs);
}

int main(void)
{
	struct buf error = {0};
	now_ms = seed.from_ms;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 31 + i / 251);
	tls_files_begin();
	ours = tls_context_create(tls_file("ec.crt"), tls_file("ec.key"), &error);
	ours_rsa = tls_context_create(tls_file("rsa.crt"), tls_file("rsa.key"), &error);
	tls_files_end();
	desk = tls_desk_create(&seed);
	other_desk = tls_desk_create(&seed);
	CHECK(ours != NULL && ours_rsa != NULL && desk != NULL && other_desk != NULL);

	for (size_t i = 0; i < COUNT_OF(suites); i++) {
		for (size_t run = 0; run < COUNT_OF(talks_of_all); run++) {
			printf("tls: %s: %s\n", suites[i].name, talks_of_all[run].name);
			check_suite(i, run);
		}
	}
	for (size_t i = 0; i < COUNT_OF(behind); i++) {
		printf("tls: %s\n", behind[i].name);
		check_behind(i);
	}
	for (size_t i = 0; i < COUNT_OF(forged); i++) {
		printf("tls: a client says %s\n", forged[i].name);
		check_forged(i);
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		printf("tls: %s\n", refused[i].name);
		check_refused(i);
	}
	for (size_t i = 0; i < COUNT_OF(strange); i++) {
		printf("tls: first comes %s\n", strange[i].name);
		check_strange(i);
	}
	printf("tls: a hello may come in any records, and so may a second one\n");
	for (size_t bytes = 1; bytes < 300; bytes = 3 * bytes + 1) {
		hello_in_pieces(TLS1_3_VERSION, bytes, 4096);
		hello_in_pieces(TLS1_3_VERSION, bytes, 2);
		hello_in_pieces(TLS1_2_VERSION, bytes, 4096);
	}
	printf("tls: but neither of more bytes than a record has\n");
	long_second_hello();
	theirs = client_context(TLS1_3_VERSION);
	hello_in_crumbs();
	SSL_CTX_free(theirs);
	printf("tls: a first flight with any byte changed does no harm\n");
	changed_hello();
	printf("tls: a handshake and a talk without memory end, and leave nothing behind\n");
	check_starved(TLS1_3_VERSION);
	printf("tls: also in TLS 1.2\n");
	check_starved(TLS1_2_VERSION);
	tls_desk_destroy(desk);
	tls_desk_destroy(other_desk);
	tls_context_destroy(ours);
	tls_context_destroy(ours_rsa);
	return 0;
}
