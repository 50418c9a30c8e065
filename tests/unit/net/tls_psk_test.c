/* What two nodes show each other: who holds the secret gets through, and nobody else does. */
#include "net/tls_psk.h"

#include <openssl/ssl.h>
#include <stdio.h>

#include "../../failing.h"

#define SECRET "a secret of at least thirty-two bytes"
#define OTHER "another secret of at least thirty-two"

/* A pair of sessions, and how each of them answered last. */
struct pair {
	struct psk *dialler, *server;
	struct buf to_dialler, to_server, dialler_plain, server_plain;
	enum psk_answer dialler_answer, server_answer;
};

static struct psk_keys *keys_of(const char *first, const char *second, const char *cluster)
{
	const struct slice secrets[] = {slice_string(first),
	                                second == NULL ? SLICE("") : slice_string(second)};
	struct psk_keys *keys =
		psk_keys_create(secrets, second == NULL ? 1 : 2, slice_string(cluster));
	CHECK(keys != NULL);
	return keys;
}

static void pair_open(struct pair *pair, struct psk_keys *dialler, size_t which,
                      struct psk_keys *server)
{
	*pair = (struct pair){.dialler = psk_open(dialler, true, which),
	                      .server = psk_open(server, false, 0)};
	CHECK(pair->dialler != NULL);
	CHECK(pair->server != NULL);
	psk_keys_drop(dialler);
	psk_keys_drop(server);
}

static void pair_close(struct pair *pair)
{
	psk_close(pair->dialler);
	psk_close(pair->server);
	buf_free(&pair->to_dialler);
	buf_free(&pair->to_server);
	buf_free(&pair->dialler_plain);
	buf_free(&pair->server_plain);
}

/* `step` bytes at a time. */
static enum psk_answer feed(struct psk *psk, struct buf *from, struct buf *plain, struct buf *out,
                            size_t step)
{
	enum psk_answer answer = PSK_MORE;
	while (from->len > 0 && answer == PSK_MORE) {
		size_t count = from->len < step ? from->len : step;
		answer = psk_take(psk, slice_of(from->at, count), plain, out);
		buf_use(from, count);
	}
	return answer;
}

/* Until neither has anything to say. */
static void pair_run(struct pair *pair, size_t step)
{
	pair->dialler_answer =
		psk_take(pair->dialler, SLICE(""), &pair->dialler_plain, &pair->to_server);
	while (pair->to_server.len > 0 || pair->to_dialler.len > 0) {
		if (pair->server_answer == PSK_MORE)
			pair->server_answer = feed(pair->server, &pair->to_server,
			                           &pair->server_plain, &pair->to_dialler, step);
		buf_clear(&pair->to_server);
		if (pair->dialler_answer == PSK_MORE)
			pair->dialler_answer = feed(pair->dialler, &pair->to_dialler,
			                            &pair->dialler_plain, &pair->to_server, step);
		buf_clear(&pair->to_dialler);
	}
}

static const struct {
	const char *name;
	const char *dialler[3], *server[3]; /* secrets, cluster */
	size_t which;
	bool is_good;
	enum psk_fault fault; /* of the server */
} rows[] = {
	{"the same secret gets through", {SECRET, NULL, "c"}, {SECRET, NULL, "c"}, 0, true, 0},
	{"a server with two takes the first",
         {SECRET, NULL, "c"},
         {SECRET, OTHER, "c"},
         0,
         true,
         0},
	{"a server with two takes the second",
         {OTHER, NULL, "c"},
         {SECRET, OTHER, "c"},
         0,
         true,
         0},
	{"a dialler with two may show the second",
         {SECRET, OTHER, "c"},
         {OTHER, NULL, "c"},
         1,
         true,
         0},
	{"another secret is refused",
         {SECRET, NULL, "c"},
         {OTHER, NULL, "c"},
         0,
         false,
         PSK_FAULT_KEY},
	{"the first of two is refused where only the second is known",
         {SECRET, OTHER, "c"},
         {OTHER, NULL, "c"},
         0,
         false,
         PSK_FAULT_KEY},
	{"another cluster is refused by its name",
         {SECRET, NULL, "c"},
         {SECRET, NULL, "d"},
         0,
         false,
         PSK_FAULT_CLUSTER},
};

static void who_holds_the_secret_gets_through(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		printf("psk: %s\n", rows[i].name);
		struct pair pair;
		pair_open(&pair,
		          keys_of(rows[i].dialler[0], rows[i].dialler[1], rows[i].dialler[2]),
		          rows[i].which,
		          keys_of(rows[i].server[0], rows[i].server[1], rows[i].server[2]));
		pair_run(&pair, 4096);
		CHECK(psk_is_ready(pair.dialler) == rows[i].is_good);
		CHECK(psk_is_ready(pair.server) == rows[i].is_good);
		CHECK(psk_has_shown(pair.server) == rows[i].is_good);
		CHECK(psk_fault(pair.server) == rows[i].fault);
		CHECK(psk_fault(pair.dialler) ==
		      (rows[i].is_good ? PSK_FAULT_NONE : PSK_FAULT_KEY));
		CHECK((pair.server_answer == PSK_BROKEN) == !rows[i].is_good);
		CHECK((pair.dialler_answer == PSK_BROKEN) == !rows[i].is_good);
		pair_close(&pair);
	}
}

static void bytes_go_both_ways(void)
{
	printf("psk: what is sealed is read, in whatever pieces it comes\n");
	char large[100000];
	for (size_t step = 1; step < 70000; step = step * 7 + 1) {
		struct pair pair;
		pair_open(&pair, keys_of(SECRET, NULL, "c"), 0, keys_of(SECRET, NULL, "c"));
		pair_run(&pair, step);
		memset(large, 'x', sizeof(large));
		CHECK(psk_seal(pair.dialler, slice_of(large, sizeof(large)), &pair.to_server));
		CHECK(psk_seal(pair.server, SLICE("hello"), &pair.to_dialler));
		CHECK(feed(pair.server, &pair.to_server, &pair.server_plain, &pair.to_dialler,
		           step) == PSK_MORE);
		CHECK(feed(pair.dialler, &pair.to_dialler, &pair.dialler_plain, &pair.to_server,
		           step) == PSK_MORE);
		CHECK(slice_equals(buf_view(&pair.server_plain), slice_of(large, sizeof(large))));
		CHECK(slice_is(buf_view(&pair.dialler_plain), "hello"));
		psk_say_end(pair.dialler, &pair.to_server);
		CHECK(feed(pair.server, &pair.to_server, &pair.server_plain, &pair.to_dialler,
		           step) == PSK_ENDED);
		pair_close(&pair);
	}
}

#define RECORD_BYTES (5 + 1 + 1 + 16) /* of one byte: head, type, tag */

/* A change of keys is a record of its own in front of the first with the new ones. */
static void keys_are_renewed(void)
{
	printf("psk: keys change after as many records as they are good for, and again\n");
	struct pair pair;
	pair_open(&pair, keys_of(SECRET, NULL, "c"), 0, keys_of(SECRET, NULL, "c"));
	pair_run(&pair, 4096);
	for (int changes = 0; changes < 3; changes++) {
		for (uint32_t i = 0; i < PSK_RECORDS_PER_KEY; i++) {
			CHECK(psk_seal(pair.dialler, SLICE("x"), &pair.to_server));
			CHECK((pair.to_server.len > RECORD_BYTES) == (changes > 0 && i == 0));
			CHECK(feed(pair.server, &pair.to_server, &pair.server_plain,
			           &pair.to_dialler, 4096) == PSK_MORE);
			CHECK(slice_is(buf_view(&pair.server_plain), "x"));
			buf_clear(&pair.server_plain);
		}
		/* The other way has keys of its own, and nothing is asked for. */
		CHECK(pair.to_dialler.len == 0);
		CHECK(psk_seal(pair.server, SLICE("y"), &pair.to_dialler));
		CHECK(pair.to_dialler.len == RECORD_BYTES);
		CHECK(feed(pair.dialler, &pair.to_dialler, &pair.dialler_plain, &pair.to_server,
		           4096) == PSK_MORE);
		CHECK(slice_is(buf_view(&pair.dialler_plain), "y"));
		buf_clear(&pair.dialler_plain);
	}
	pair_close(&pair);
}

static void long_writes_count_as_their_records(void)
{
	static char large[1 << 20];
	const uint32_t each = sizeof(large) / 16384;
	printf("psk: a long write counts as the records that it becomes\n");
	struct pair pair;
	pair_open(&pair, keys_of(SECRET, NULL, "c"), 0, keys_of(SECRET, NULL, "c"));
	pair_run(&pair, 4096);
	for (uint32_t i = 0; i < PSK_RECORDS_PER_KEY / each; i++) {
		CHECK(psk_seal(pair.dialler, slice_of(large, sizeof(large)), &pair.to_server));
		buf_clear(&pair.to_server);
	}
	CHECK(psk_seal(pair.dialler, SLICE("x"), &pair.to_server));
	CHECK(pair.to_server.len > RECORD_BYTES);
	pair_close(&pair);
}

static void bytes_that_were_changed_are_not_taken(void)
{
	printf("psk: a byte changed on the way ends the session\n");
	struct pair pair;
	pair_open(&pair, keys_of(SECRET, NULL, "c"), 0, keys_of(SECRET, NULL, "c"));
	pair_run(&pair, 4096);
	CHECK(psk_seal(pair.dialler, SLICE("hello"), &pair.to_server));
	pair.to_server.at[pair.to_server.len - 1] ^= 1;
	CHECK(feed(pair.server, &pair.to_server, &pair.server_plain, &pair.to_dialler, 4096) ==
	      PSK_BROKEN);
	CHECK(psk_fault(pair.server) == PSK_FAULT_TLS);
	CHECK(pair.server_plain.len == 0);
	pair_close(&pair);
}

static void a_handshake_cannot_be_replayed(void)
{
	printf("psk: a handshake that was captured opens nothing\n");
	struct pair pair, other;
	struct buf captured = {0}, plain = {0}, out = {0};
	struct psk_keys *keys = keys_of(SECRET, NULL, "c");
	pair_open(&pair, psk_keys_take(keys), 0, psk_keys_take(keys));
	pair_open(&other, psk_keys_take(keys), 0, keys);
	CHECK(psk_take(pair.dialler, SLICE(""), &plain, &captured) == PSK_MORE);
	buf_slice(&pair.to_server, buf_view(&captured));
	pair.server_answer =
		feed(pair.server, &pair.to_server, &pair.server_plain, &pair.to_dialler, 4096);
	CHECK(feed(pair.dialler, &pair.to_dialler, &plain, &captured, 4096) == PSK_MORE);
	CHECK(psk_seal(pair.dialler, SLICE("hello"), &captured));
	/* All that the dialler said, to another session of the same server. */
	CHECK(feed(other.server, &captured, &other.server_plain, &out, 4096) == PSK_BROKEN);
	CHECK(!psk_is_ready(other.server));
	CHECK(other.server_plain.len == 0);
	buf_free(&captured);
	buf_free(&plain);
	buf_free(&out);
	pair_close(&pair);
	pair_close(&other);
}

static void what_is_said_is_not_reflected(void)
{
	printf("psk: who is sent back what it said does not take it\n");
	struct psk_keys *keys = keys_of(SECRET, NULL, "c");
	struct psk *psk = psk_open(keys, true, 0);
	struct buf said = {0}, plain = {0}, out = {0};
	CHECK(psk_take(psk, SLICE(""), &plain, &said) == PSK_MORE);
	CHECK(psk_take(psk, buf_view(&said), &plain, &out) == PSK_BROKEN);
	psk_close(psk);
	psk_keys_drop(keys);
	buf_free(&said);
	buf_free(&plain);
	buf_free(&out);
}

static void what_is_no_handshake_ends(void)
{
	static const char *const lines[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff",
	                                    "\x15\x03\x03\x00\x02\x02\x28", "hello, hello, hello"};
	printf("psk: what is no handshake is broken off\n");
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct psk_keys *keys = keys_of(SECRET, NULL, "c");
		struct psk *psk = psk_open(keys, false, 0);
		struct buf plain = {0}, out = {0};
		struct slice line = slice_string(lines[i]);
		if (i == 2)
			line = slice_of(lines[i], 7);
		enum psk_answer answer = psk_take(psk, line, &plain, &out);
		/* A record that says it is long is waited for, and then there is an end to that. */
		for (int more = 0; answer == PSK_MORE && more < 2000; more++)
			answer = psk_take(psk, SLICE("sixteen bytes..."), &plain, &out);
		CHECK(answer == PSK_BROKEN);
		CHECK(!psk_is_ready(psk));
		CHECK(!psk_has_shown(psk));
		CHECK(plain.len == 0);
		psk_close(psk);
		psk_keys_drop(keys);
		buf_free(&plain);
		buf_free(&out);
	}
}

/* ---- others that speak TLS: a client of OpenSSL's own, over memory ---- */

#define NAME_BYTES 49

static SSL_SESSION *session;
static char shown_name[NAME_BYTES] = "starling-mesh-1 0000000000000000 0000000000000000";

/* The name that a node shows stands in what it says first, for all to read. */
static void overhear_name(void)
{
	struct psk_keys *keys = keys_of(SECRET, NULL, "c");
	struct psk *psk = psk_open(keys, true, 0);
	struct buf plain = {0}, out = {0};
	CHECK(psk_take(psk, SLICE(""), &plain, &out) == PSK_MORE);
	const char *at = memmem(out.at, out.len, "starling-mesh-1 ", 16);
	CHECK(at != NULL);
	memcpy(shown_name, at, NAME_BYTES);
	psk_close(psk);
	psk_keys_drop(keys);
	buf_free(&out);
}

static int show_session(SSL *ssl, const EVP_MD *digest, const unsigned char **name,
                        size_t *name_len, SSL_SESSION **shown)
{
	(void)ssl;
	(void)digest;
	*name = (const unsigned char *)shown_name;
	*name_len = NAME_BYTES;
	*shown = session;
	if (session != NULL)
		SSL_SESSION_up_ref(session);
	return 1;
}

static void refuse_client(const char *name, int version_max, const unsigned char *key)
{
	printf("psk: %s\n", name);
	struct psk_keys *keys = keys_of(SECRET, NULL, "c");
	struct psk *psk = psk_open(keys, false, 0);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	struct buf plain = {0}, answer = {0};
	char *said;
	CHECK(context != NULL && in != NULL && out != NULL);
	CHECK(SSL_CTX_set_max_proto_version(context, version_max) == 1);
	if (key != NULL)
		SSL_CTX_set_psk_use_session_callback(context, show_session);
	SSL *ssl = SSL_new(context);
	if (key != NULL) {
		const unsigned char number[] = {0x13, 0x01};
		session = SSL_SESSION_new();
		CHECK(SSL_SESSION_set1_master_key(session, key, 32) == 1);
		CHECK(SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, number)) == 1);
		CHECK(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1);
	}
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	CHECK(SSL_do_handshake(ssl) != 1);
	size_t len = (size_t)BIO_get_mem_data(out, &said);
	CHECK(len > 0);
	CHECK(psk_take(psk, slice_of(said, len), &plain, &answer) == PSK_BROKEN);
	CHECK(!psk_is_ready(psk));
	CHECK(!psk_has_shown(psk));
	CHECK(answer.len > 0); /* an alert */
	SSL_free(ssl);
	SSL_CTX_free(context);
	SSL_SESSION_free(session);
	session = NULL;
	psk_close(psk);
	psk_keys_drop(keys);
	buf_free(&plain);
	buf_free(&answer);
}

static void memory_is_refused(void)
{
	printf("psk: without memory there are no keys, and no session\n");
	const struct slice secret = SLICE(SECRET);
	for (uint32_t n = 1;; n++) {
		failing_arm(n, FAILING_ONE);
		struct psk_keys *keys = psk_keys_create(&secret, 1, SLICE("c"));
		struct psk *psk = keys == NULL ? NULL : psk_open(keys, true, 0);
		uint32_t failed = failing_disarm();
		CHECK((psk == NULL) == (failed > 0));
		psk_close(psk);
		psk_keys_drop(keys);
		if (failed == 0)
			break;
	}
}

int main(void)
{
	static const unsigned char guess[32] = "not the key";
	who_holds_the_secret_gets_through();
	bytes_go_both_ways();
	keys_are_renewed();
	long_writes_count_as_their_records();
	bytes_that_were_changed_are_not_taken();
	a_handshake_cannot_be_replayed();
	what_is_said_is_not_reflected();
	what_is_no_handshake_ends();
	refuse_client("a client of TLS 1.2 is refused", TLS1_2_VERSION, NULL);
	refuse_client("a client that shows no key is refused", TLS1_3_VERSION, NULL);
	refuse_client("a client that shows a key of no known name is refused", TLS1_3_VERSION,
	              guess);
	overhear_name();
	refuse_client("a client that shows a name that it heard, and not its key, is refused",
	              TLS1_3_VERSION, guess);
	memory_is_refused();
	return 0;
}
