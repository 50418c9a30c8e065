/* Records by the traces of RFC 8448 section 3; then every suite against itself, and spoilt. */
#include "net/tls_record.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/check.h"
#include "base/random.h"

static struct tls_crypto *crypto;
static char record[TLS_RECORD_MAX], plain[TLS_RECORD_MAX];

/* ---- RFC 8448 ---- */

static const struct tls_suite aes_128_13 = {TLS_AES_128_GCM, true};

static const struct {
	const char *name, *secret;
	uint64_t number;
	enum tls_type type;
	const char *content, *record;
} traces[] = {
	{"data of the client in RFC 8448",
         "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", 0, TLS_TYPE_DATA,
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
         "202122232425262728292a2b2c2d2e2f3031",
         "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a"
         "20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"},
	{"and its end", "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", 1,
         TLS_TYPE_ALERT, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
	{"data of the server, behind its ticket",
         "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", 1, TLS_TYPE_DATA,
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
         "202122232425262728292a2b2c2d2e2f3031",
         "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb"
         "501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"},
};

static size_t read_hex(const char *hex, void *out, size_t room)
{
	size_t len;
	CHECK(OPENSSL_hexstr2buf_ex(out, room, &len, hex, '\0') == 1);
	return len;
}

static void check_trace(size_t i)
{
	unsigned char secret[32], content[64], wanted[128];
	struct tls_keys keys;
	struct tls_opened opened;
	read_hex(traces[i].secret, secret, sizeof(secret));
	size_t len = read_hex(traces[i].content, content, sizeof(content));
	size_t wanted_len = read_hex(traces[i].record, wanted, sizeof(wanted));

	CHECK(tls_keys_of_secret(&keys, aes_128_13, secret));
	keys.next = traces[i].number;
	memcpy(tls_record_content(record, aes_128_13), content, len);
	CHECK(tls_record_seal(crypto, aes_128_13, &keys, traces[i].type, record, len) ==
	      wanted_len);
	CHECK(memcmp(record, wanted, wanted_len) == 0);
	CHECK(keys.next == traces[i].number + 1);

	keys.next = traces[i].number;
	CHECK(tls_record_bytes(record, wanted_len) == wanted_len);
	CHECK(tls_record_open(crypto, aes_128_13, &keys, record, plain, &opened) == 0);
	CHECK(opened.type == traces[i].type);
	CHECK(opened.len == len);
	CHECK(memcmp(plain, content, len) == 0);
	CHECK(keys.next == traces[i].number + 1);
}

/* ---- every suite ---- */

static struct tls_suite suite;
static struct tls_keys writer, reader;

static void begin(void)
{
	static const struct tls_keys keys = {
		.next = 7, .key = "0123456789abcdefghijklmnopqrstu", .iv = "nonce of 12"};
	writer = reader = keys;
}

static size_t seal(enum tls_type type, size_t len)
{
	char *content = tls_record_content(record, suite);
	for (size_t i = 0; i < len; i++)
		content[i] = (char)(i * 7 + len);
	size_t made = tls_record_seal(crypto, suite, &writer, type, record, len);
	CHECK(made <= TLS_SEALED_MAX);
	CHECK(made == tls_record_bytes(record, made));
	return made;
}

static int unseal(struct tls_opened *opened)
{
	return tls_record_open(crypto, suite, &reader, record, plain, opened);
}

static void round_trip(void)
{
	static const size_t lengths[] = {
		0, 1, 2, 15, 16, 17, 1000, TLS_PLAIN_MAX - 1, TLS_PLAIN_MAX};
	struct tls_opened opened;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		seal(TLS_TYPE_DATA, lengths[i]);
		CHECK(unseal(&opened) == 0);
		CHECK(opened.type == TLS_TYPE_DATA);
		CHECK(opened.len == lengths[i]);
		for (size_t at = 0; at < opened.len; at++)
			CHECK(plain[at] == (char)(at * 7 + opened.len));
	}
	CHECK(writer.next == reader.next);
}

static void types(void)
{
	static const enum tls_type good[] = {TLS_TYPE_ALERT, TLS_TYPE_HANDSHAKE, TLS_TYPE_DATA};
	struct tls_opened opened;
	for (int type = 0; type < 256; type++) {
		begin();
		bool is_good = false;
		for (size_t i = 0; i < COUNT_OF(good); i++)
			is_good |= (enum tls_type)type == good[i];
		seal((enum tls_type)type, 5);
		int result = unseal(&opened);
		CHECK((result == 0) == is_good);
		if (is_good)
			CHECK(opened.type == type);
		else
			CHECK(result == TLS_ALERT_UNEXPECTED_MESSAGE || (suite.is_13 && type == 0));
	}
	begin();
	seal(TLS_TYPE_ALERT, 0);
	CHECK(unseal(&opened) == TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* A changed bit anywhere, the header too. Where the length changes it is no such record. */
static void spoilt(void)
{
	struct tls_opened opened;
	size_t made = seal(TLS_TYPE_DATA, 20);
	for (size_t bit = 0; bit < made * 8; bit++) {
		if (bit / 8 == 3 || bit / 8 == 4)
			continue;
		begin();
		seal(TLS_TYPE_DATA, 20);
		record[bit / 8] = (char)(record[bit / 8] ^ 1 << bit % 8);
		int result = unseal(&opened);
		/* TLS 1.2 does not hold the version of the record against anything but itself. */
		CHECK(result == TLS_ALERT_BAD_RECORD_MAC || result == TLS_ALERT_UNEXPECTED_MESSAGE);
		CHECK(result == TLS_ALERT_BAD_RECORD_MAC || bit / 8 == 0);
	}
}

static void out_of_turn(void)
{
	struct tls_opened opened;
	seal(TLS_TYPE_DATA, 20);
	reader.next++;
	CHECK(unseal(&opened) == TLS_ALERT_BAD_RECORD_MAC);
	reader.next -= 2;
	CHECK(unseal(&opened) == TLS_ALERT_BAD_RECORD_MAC);
	reader.next++;
	CHECK(unseal(&opened) == 0);
	CHECK(unseal(&opened) == TLS_ALERT_BAD_RECORD_MAC); /* a second time */
}

static void too_short(void)
{
	struct tls_opened opened;
	for (size_t len = 0; len < 16 + tls_suite_explicit_bytes(suite); len++) {
		memcpy(record, "\x17\3\3\0\0", 5);
		record[4] = (char)len;
		CHECK(unseal(&opened) == TLS_ALERT_BAD_RECORD_MAC);
	}
}

/* ---- what a peer may hide in a record of TLS 1.3 ---- */

static const struct {
	const char *name;
	size_t content, zeros;
	uint8_t type; /* between them; 0: none */
	int alert;    /* or 0: good */
} hidden[] = {
	{"zeros behind it are left out", 10, 100, TLS_TYPE_DATA, 0},
	{"data may be nothing but zeros", 0, 16, TLS_TYPE_DATA, 0},
	{"a type there must be", 0, 17, 0, TLS_ALERT_UNEXPECTED_MESSAGE},
	{"nothing at all is none either", 0, 0, 0, TLS_ALERT_UNEXPECTED_MESSAGE},
	{"an alert that is hidden zeros is none", 0, 5, TLS_TYPE_ALERT,
         TLS_ALERT_UNEXPECTED_MESSAGE},
	{"it may be as long as this", TLS_PLAIN_MAX - 5, 5, TLS_TYPE_DATA, 0},
	{"with its zeros it may be no longer", TLS_PLAIN_MAX - 5, 6, TLS_TYPE_DATA,
         TLS_ALERT_RECORD_OVERFLOW},
	{"and without any neither", TLS_PLAIN_MAX + 1, 0, TLS_TYPE_DATA, TLS_ALERT_RECORD_OVERFLOW},
};

/* By OpenSSL alone: the first record under these keys. */
static void seal_by_hand(const struct tls_keys *keys, size_t len)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char *header = (unsigned char *)record, *content = header + TLS_HEADER_BYTES;
	int done;
	memcpy(header, "\x17\3\3", 3);
	header[3] = (unsigned char)((len + TLS_TAG_BYTES) >> 8);
	header[4] = (unsigned char)(len + TLS_TAG_BYTES);
	CHECK(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, keys->key, keys->iv) == 1);
	CHECK(EVP_EncryptUpdate(context, NULL, &done, header, TLS_HEADER_BYTES) == 1);
	CHECK(EVP_EncryptUpdate(context, content, &done, content, (int)len) == 1);
	CHECK(EVP_EncryptFinal_ex(context, content + len, &done) == 1);
	CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_BYTES, content + len) ==
	      1);
	EVP_CIPHER_CTX_free(context);
}

static void check_hidden(size_t i)
{
	struct tls_opened opened;
	char *content = record + TLS_HEADER_BYTES;
	size_t len = hidden[i].content;
	suite = aes_128_13;
	begin();
	writer.next = reader.next = 0;
	memset(content, 'x', len);
	if (hidden[i].type != 0)
		content[len++] = (char)hidden[i].type;
	memset(content + len, 0, hidden[i].zeros);
	seal_by_hand(&writer, len + hidden[i].zeros);
	CHECK(unseal(&opened) == hidden[i].alert);
	if (hidden[i].alert != 0)
		return;
	CHECK(opened.type == hidden[i].type);
	CHECK(opened.len == hidden[i].content);
}

static void without_header(void)
{
	char header[TLS_HEADER_BYTES] = {23, 3, 3, 1, 2};
	for (size_t len = 0; len < sizeof(header); len++)
		CHECK(tls_record_bytes(header, len) == 0);
	CHECK(tls_record_bytes(header, 5) == 5 + 0x102);
	memset(header, 0xff, sizeof(header));
	CHECK(tls_record_bytes(header, 5) == 5 + 0xffff);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"what was sealed opens, of each length", round_trip},
	{"three types are good, and none of them empty but data", types},
	{"a changed bit is found", spoilt},
	{"a record out of its turn is found", out_of_turn},
	{"one too short for its tag is not good", too_short},
};

static const struct {
	const char *name;
	struct tls_suite suite;
} suites[] = {
	{"AES-128-GCM in TLS 1.3", {TLS_AES_128_GCM, true}},
	{"AES-256-GCM in TLS 1.3", {TLS_AES_256_GCM, true}},
	{"ChaCha20-Poly1305 in TLS 1.3", {TLS_CHACHA20_POLY1305, true}},
	{"AES-128-GCM in TLS 1.2", {TLS_AES_128_GCM, false}},
	{"AES-256-GCM in TLS 1.2", {TLS_AES_256_GCM, false}},
	{"ChaCha20-Poly1305 in TLS 1.2", {TLS_CHACHA20_POLY1305, false}},
};

int main(void)
{
	crypto = tls_crypto_create();
	CHECK(crypto != NULL);
	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		printf("tls_record: %s\n", traces[i].name);
		check_trace(i);
	}
	for (size_t i = 0; i < COUNT_OF(suites) * COUNT_OF(cases); i++) {
		suite = suites[i / COUNT_OF(cases)].suite;
		printf("tls_record: %s: %s\n", suites[i / COUNT_OF(cases)].name,
		       cases[i % COUNT_OF(cases)].name);
		begin();
		cases[i % COUNT_OF(cases)].run();
	}
	for (size_t i = 0; i < COUNT_OF(hidden); i++) {
		printf("tls_record: %s\n", hidden[i].name);
		check_hidden(i);
	}
	printf("tls_record: five bytes say how long it is\n");
	without_header();
	tls_crypto_destroy(crypto);
	return 0;
}
