/* What travels of a member: HELLO and BYE at every cut, with each field spoiled. */
#include "../guard.h"
#include "mesh/frame.h"
#include "mesh/member.h"

static struct slice guarded(struct slice bytes)
{
	return slice_of(guard_copy(bytes), bytes.len);
}

static const struct hello good = {.version_min = 1,
                                  .version_max = 2,
                                  .features = 0x8000000000000001,
                                  .boot = {{7, 8}},
                                  .incarnation = 9,
                                  .state = MEMBER_DRAINING,
                                  .cluster = SLICE_INIT("c"),
                                  .name = SLICE_INIT("name"),
                                  .address = SLICE_INIT("host:1"),
                                  .release = SLICE_INIT("1.2.3"),
                                  .lane = FRAME_LANE_DATA,
                                  .pair = 10,
                                  .stamp = 11,
                                  .replicas = 5};

static bool comes_back(const struct hello *hello, struct hello *read)
{
	struct buf out = {0};
	hello_write(&out, hello);
	bool is_good = hello_read(guarded(buf_view(&out)), read);
	buf_free(&out);
	return is_good;
}

static void hello_comes_back(void)
{
	printf("member: a HELLO comes back\n");
	struct hello read;
	CHECK(comes_back(&good, &read));
	CHECK(read.version_min == 1);
	CHECK(read.version_max == 2);
	CHECK(read.features == good.features);
	CHECK(boot_id_equals(read.boot, good.boot));
	CHECK(read.incarnation == 9);
	CHECK(read.state == MEMBER_DRAINING);
	CHECK(slice_is(read.cluster, "c"));
	CHECK(slice_is(read.name, "name"));
	CHECK(slice_is(read.address, "host:1"));
	CHECK(slice_is(read.release, "1.2.3"));
	CHECK(read.lane == FRAME_LANE_DATA);
	CHECK(read.pair == 10);
	CHECK(read.stamp == 11);
	CHECK(read.replicas == 5);
}

static void hello_is_whole(void)
{
	printf("member: a HELLO that is cut is none, what is added is passed over, what an earlier "
	       "version lacks is not said\n");
	struct buf out = {0};
	struct hello read;
	hello_write(&out, &good);
	for (size_t cut = 0; cut < out.len - 1; cut++)
		CHECK(!hello_read(guarded(slice_of(out.at, cut)), &read));
	CHECK(hello_read(guarded(slice_of(out.at, out.len - 1)), &read));
	CHECK(read.replicas == 0);
	buf_string(&out, "what version 3 adds");
	CHECK(hello_read(buf_view(&out), &read));
	buf_free(&out);
}

static void hello_is_sane(void)
{
	printf("member: a HELLO of nobody, without a name, of a state or versions that cannot "
	       "be\n");
	struct hello spoiled = good, read;
	spoiled.boot = (struct boot_id){{0}};
	CHECK(!comes_back(&spoiled, &read));
	spoiled = good;
	spoiled.name = slice_of(NULL, 0);
	CHECK(!comes_back(&spoiled, &read));
	spoiled = good;
	spoiled.state = MEMBER_SUSPECT;
	CHECK(!comes_back(&spoiled, &read));
	spoiled = good;
	spoiled.version_min = 3;
	CHECK(!comes_back(&spoiled, &read));
	spoiled = good;
	spoiled.lane = FRAME_LANE_EITHER;
	CHECK(!comes_back(&spoiled, &read));
}

static void texts_can_be_shown(void)
{
	static const struct slice bad[] = {SLICE_INIT(""), SLICE_INIT("two words"),
	                                   SLICE_INIT("a\nline"), SLICE_INIT("a\x7f"),
	                                   SLICE_INIT("\xc3\xa4")};
	printf("member: a name, an address, a cluster and a release can be shown\n");
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct hello spoiled = good, read;
		spoiled.name = bad[i];
		CHECK(!comes_back(&spoiled, &read));
		spoiled = good;
		spoiled.address = bad[i];
		CHECK(!comes_back(&spoiled, &read));
		spoiled = good;
		spoiled.cluster = bad[i];
		CHECK(!comes_back(&spoiled, &read));
		spoiled = good;
		spoiled.release = bad[i];
		CHECK(!comes_back(&spoiled, &read));
	}
}

static void boot_ids_have_an_order(void)
{
	printf("member: boot ids have an order\n");
	struct boot_id a = {{1, 9}}, b = {{2, 0}}, c = {{2, 1}};
	CHECK(boot_id_is_below(a, b));
	CHECK(boot_id_is_below(b, c));
	CHECK(!boot_id_is_below(c, b));
	CHECK(!boot_id_is_below(b, b));
	CHECK(!boot_id_equals(b, c));
}

static void bye_comes_back(void)
{
	for (unsigned why = 0; why < BYE_COUNT; why++) {
		printf("bye: %s\n", bye_sentence(why));
		struct buf out = {0};
		enum bye read;
		bye_write(&out, why);
		CHECK(bye_read(buf_view(&out), &read));
		CHECK(read == why);
		CHECK(!bye_read(slice_of(NULL, 0), &read));
		buf_free(&out);
	}
	enum bye read;
	CHECK(bye_read(SLICE("\xff"), &read));
	CHECK(read == BYE_OTHER);
}

static void states_have_names(void)
{
	static const char *const names[] = {"joining", "ready", "draining",
	                                    "suspect", "dead",  "left"};
	for (unsigned state = 0; state < MEMBER_STATE_COUNT; state++) {
		printf("member: a state is %s\n", member_state_name(state));
		CHECK(slice_is(slice_string(member_state_name(state)), names[state]));
	}
}

int main(void)
{
	hello_comes_back();
	hello_is_whole();
	hello_is_sane();
	texts_can_be_shown();
	boot_ids_have_an_order();
	bye_comes_back();
	states_have_names();
	return 0;
}
