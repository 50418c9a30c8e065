/* What goes out is what went in, in order, and a large frame is not copied. */
#include "net/outbox.h"

#include "base/check.h"
#include "../../failing.h"

#define FRAME_BYTES 5000

static struct blob *make_frame(void)
{
	struct blob *frame = blob_make(FRAME_BYTES);
	CHECK(frame != NULL);
	for (size_t i = 0; i < FRAME_BYTES; i++)
		frame->bytes[i] = (char)('a' + i % 26);
	return frame;
}

static struct outbox *make(void)
{
	struct outbox *outbox = outbox_create();
	CHECK(outbox != NULL);
	return outbox;
}

/* Takes all of it in steps of `step` bytes, sealed bytes first, as a socket does. */
static void drain(struct outbox *outbox, size_t step, struct buf *out)
{
	struct slice sealed;
	while ((sealed = outbox_sealed(outbox)).len > 0) {
		size_t count = sealed.len < step ? sealed.len : step;
		buf_append(out, sealed.at, count);
		outbox_use_sealed(outbox, count);
	}
	while (outbox_bytes(outbox) > 0) {
		struct iovec parts[OUTBOX_PARTS_MAX];
		size_t count = outbox_plain(outbox, parts), left = step;
		CHECK(count > 0);
		for (size_t i = 0; i < count && left > 0; i++) {
			size_t some = parts[i].iov_len < left ? parts[i].iov_len : left;
			buf_append(out, parts[i].iov_base, some);
			left -= some;
		}
		outbox_use_plain(outbox, step - left);
	}
}

static void is_empty_at_first(void)
{
	struct outbox *outbox = make();
	struct iovec parts[OUTBOX_PARTS_MAX];
	CHECK(outbox_bytes(NULL) == 0);
	CHECK(outbox_own_bytes(NULL) == 0);
	CHECK(outbox_sealed(NULL).len == 0);
	CHECK(outbox_bytes(outbox) == 0);
	CHECK(outbox_sealed(outbox).len == 0);
	CHECK(outbox_plain(outbox, parts) == 0);
	outbox_destroy(outbox);
	outbox_destroy(NULL);
}

static void holds_a_large_frame(void)
{
	struct blob *frame = make_frame();
	struct outbox *outbox = make();
	struct iovec parts[OUTBOX_PARTS_MAX];
	CHECK(outbox_share(outbox, frame, 4000));
	CHECK(frame->refs == 2);
	CHECK(outbox_bytes(outbox) == 4000);
	CHECK(outbox_own_bytes(outbox) == 0);
	CHECK(outbox_plain(outbox, parts) == 1);
	CHECK(parts[0].iov_base == frame->bytes + FRAME_BYTES - 4000);
	outbox_use_plain(outbox, 3999);
	CHECK(frame->refs == 2);
	outbox_use_plain(outbox, 1);
	CHECK(frame->refs == 1); /* with its last byte */
	CHECK(outbox_bytes(outbox) == 0);
	CHECK(outbox_share(outbox, frame, FRAME_BYTES));
	outbox_destroy(outbox);
	CHECK(frame->refs == 1); /* or with the outbox */
	blob_drop(frame);
}

static void copies_a_little(void)
{
	struct blob *frame = make_frame();
	struct outbox *outbox = make();
	struct buf out = {0};
	CHECK(outbox_share(outbox, frame, 100));
	CHECK(frame->refs == 1);
	drain(outbox, 30, &out);
	CHECK(slice_equals(buf_view(&out), slice_of(frame->bytes + FRAME_BYTES - 100, 100)));
	outbox_destroy(outbox);
	buf_free(&out);
	blob_drop(frame);
}

static void keeps_the_order(void)
{
	static const size_t steps[] = {1, 7, 2999, 3000, 3001, 100000};
	struct blob *frame = make_frame();
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		struct outbox *outbox = make();
		struct buf out = {0}, expected = {0};
		CHECK(outbox_seal(outbox, SLICE("sealed ")));
		CHECK(outbox_share(outbox, frame, 3000));
		CHECK(outbox_copy(outbox, SLICE(" behind ")));
		CHECK(outbox_seal(outbox, SLICE("first ")));
		CHECK(outbox_share(outbox, frame, 2000)); /* another one is copied */
		CHECK(frame->refs == 2);
		buf_string(&expected, "sealed first ");
		buf_append(&expected, frame->bytes + FRAME_BYTES - 3000, 3000);
		buf_string(&expected, " behind ");
		buf_append(&expected, frame->bytes + FRAME_BYTES - 2000, 2000);
		CHECK(outbox_bytes(outbox) == expected.len);
		CHECK(outbox_own_bytes(outbox) == expected.len - 3000);
		drain(outbox, steps[i], &out);
		CHECK(slice_equals(buf_view(&out), buf_view(&expected)));
		CHECK(frame->refs == 1);
		outbox_destroy(outbox);
		buf_free(&out);
		buf_free(&expected);
	}
	blob_drop(frame);
}

/* True: it needed memory, and there was none. */
static bool fails_without_memory(bool (*add)(struct outbox *, struct slice))
{
	struct outbox *outbox = make();
	failing_arm(1, FAILING_ALL_FROM);
	bool is_good = add(outbox, SLICE("bytes"));
	failing_disarm();
	outbox_destroy(outbox);
	return !is_good;
}

static void says_when_memory_is_short(void)
{
	struct blob *frame = make_frame();
	struct outbox *outbox = make();
	CHECK(fails_without_memory(outbox_copy));
	CHECK(fails_without_memory(outbox_seal));
	failing_arm(1, FAILING_ALL_FROM);
	CHECK(outbox_create() == NULL);
	CHECK(outbox_share(outbox, frame, FRAME_BYTES)); /* wants none */
	CHECK(failing_disarm() == 1);
	outbox_destroy(outbox);
	blob_drop(frame);
}

int main(void)
{
	printf("outbox: a new one is empty, and so is none\n");
	is_empty_at_first();
	printf("outbox: a large frame is held, not copied, until its last byte went\n");
	holds_a_large_frame();
	printf("outbox: a little of a frame is copied\n");
	copies_a_little();
	printf("outbox: what is sealed goes first, the rest in order, whatever the steps\n");
	keeps_the_order();
	printf("outbox: without memory nothing can be added but by reference\n");
	says_when_memory_is_short();
	return 0;
}
