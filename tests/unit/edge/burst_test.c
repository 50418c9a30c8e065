/* Deliveries of the same records and of others: what the parts say, and where they lie. */
#include "edge/burst.h"

#include "base/blob.h"
#include "hub/record.h"

#define RECORDS 3

static struct record *records[RECORDS];
static struct burst_bytes burst;

/* Two encodings: the payload, and the payload in brackets. */
static struct blob *encode_plain(const struct record *record)
{
	return blob_copy(record_payload(record));
}

static struct blob *encode_bracketed(const struct record *record)
{
	struct buf text = {0};
	buf_char(&text, '[');
	buf_slice(&text, record_payload(record));
	buf_char(&text, ']');
	struct blob *blob = blob_copy(buf_view(&text));
	buf_free(&text);
	return blob;
}

static const struct dialect_encoding plain = {0, encode_plain};
static const struct dialect_encoding bracketed = {1, encode_bracketed};

static void make_records(void)
{
	static const char *const payloads[RECORDS] = {"one", "twotwo", "3"};
	for (size_t i = 0; i < RECORDS; i++) {
		struct publication publication = {.channel = SLICE("c"),
		                                  .payload = slice_string(payloads[i])};
		records[i] = record_make(&publication, 0);
		CHECK(records[i] != NULL);
		record_settle(records[i], 1, i + 1, 0, 0);
	}
}

static const struct iovec *deliver(uint64_t number, size_t first, size_t count,
                                   const struct dialect_encoding *encoding)
{
	struct delivery delivery = {.records = records + first, .count = count, .burst = number};
	CHECK(burst_prepare(&burst, &delivery, encoding));
	return burst.parts;
}

static bool says(const struct iovec *parts, size_t count, const char *text)
{
	struct buf all = {0};
	for (size_t i = 0; i < count; i++)
		buf_append(&all, parts[i].iov_base, parts[i].iov_len);
	bool is_right = slice_is(buf_view(&all), text);
	buf_free(&all);
	return is_right;
}

static bool is_in_one_piece(const struct iovec *parts, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if ((char *)parts[i - 1].iov_base + parts[i - 1].iov_len != parts[i].iov_base)
			return false;
	}
	return true;
}

static void check(uint64_t number, size_t first, size_t count,
                  const struct dialect_encoding *encoding, const char *text, bool is_whole)
{
	const struct iovec *parts = deliver(number, first, count, encoding);
	CHECK(says(parts, count, text));
	CHECK(is_in_one_piece(parts, count) == is_whole);
	for (size_t i = 0; i < count; i++) {
		CHECK(burst.frames[i] == records[first + i]->wires[encoding->wire]);
		CHECK(burst.frames[i]->len == parts[i].iov_len);
	}
}

static void test_parts(void)
{
	printf("burst: the first gets the frames where they lie, the next ones a copy in one "
	       "piece\n");
	check(1, 0, 3, &plain, "onetwotwo3", false);
	check(1, 0, 3, &plain, "onetwotwo3", true);
	check(1, 0, 3, &plain, "onetwotwo3", true);

	printf("burst: another number is another burst\n");
	check(2, 1, 2, &plain, "twotwo3", false);
	check(2, 1, 2, &plain, "twotwo3", true);
	check(3, 0, 2, &plain, "onetwotwo", false);

	printf("burst: another encoding is not the same\n");
	check(3, 0, 2, &bracketed, "[one][twotwo]", false);
	check(3, 0, 2, &plain, "onetwotwo", false);
	check(3, 0, 2, &plain, "onetwotwo", true);

	printf("burst: number 0 is never the same again\n");
	check(0, 0, 2, &plain, "onetwotwo", false);
	check(0, 1, 2, &plain, "twotwo3", false);

	printf("burst: one record needs no copy\n");
	check(4, 0, 1, &plain, "one", true);
	CHECK(deliver(4, 0, 1, &plain)->iov_base == records[0]->wires[plain.wire]->bytes);
}

int main(void)
{
	make_records();
	test_parts();
	burst_bytes_free(&burst);
	for (size_t i = 0; i < RECORDS; i++)
		record_drop(records[i]);
	return 0;
}
