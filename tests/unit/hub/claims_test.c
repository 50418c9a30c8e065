/* What claims hold and allow. Who may do what in a channel is a table of hub_test.c. */
#include "hub/claims.h"

#include <string.h>

static const struct claims_grant grants[] = {
	{SLICE_INIT("news"), CLAIMS_READ},    {SLICE_INIT("chat:*"), CLAIMS_READ},
	{SLICE_INIT("chat:1"), CLAIMS_WRITE}, {SLICE_INIT("*:log"), CLAIMS_PRESENCE},
	{SLICE_INIT("nothing"), 0},
};

static const struct {
	const char *name;
	const char *channel;
	unsigned rights; /* of all three, those that are given */
} allowed[] = {
	{"a name without a star is one channel", "news", CLAIMS_READ},
	{"and no longer one", "news2", 0},
	{"nor a shorter one", "new", 0},
	{"a star is any run", "chat:7", CLAIMS_READ},
	{"also an empty one", "chat:", CLAIMS_READ},
	{"what two patterns give is given", "chat:1", CLAIMS_READ | CLAIMS_WRITE},
	{"and by three", "chat:log", CLAIMS_READ | CLAIMS_PRESENCE},
	{"a pattern may give nothing", "nothing", 0},
	{"what no pattern fits is not given", "other", 0},
};

static const struct {
	const char *name;
	struct slice user;
	bool is_valid;
} users[] = {
	{"a user has a name", SLICE_INIT(""), false},
	{"of one byte at least", SLICE_INIT("a"), true},
	{"it may hold blanks and signs", SLICE_INIT("Ann \"A\" <ann@example.org>"), true},
	{"and what is not ASCII", SLICE_INIT("\xc3\xa5sa"), true},
	{"but no line feed", SLICE_INIT("a\nb"), false},
	{"and no NUL", SLICE_INIT("a\0b"), false},
	{"nor DEL", SLICE_INIT("a\x7f"), false},
};

static void check_allowed(void)
{
	static const unsigned each[] = {CLAIMS_READ, CLAIMS_WRITE, CLAIMS_PRESENCE};
	struct claims_content content = {.grants = grants, .grant_count = COUNT_OF(grants)};
	struct claims *claims = claims_make(&content);
	CHECK(claims != NULL);
	for (size_t i = 0; i < COUNT_OF(allowed); i++) {
		struct slice channel = slice_string(allowed[i].channel);
		printf("claims: %s\n", allowed[i].name);
		for (size_t j = 0; j < COUNT_OF(each); j++)
			CHECK(claims_allow(claims, channel, each[j]) ==
			      ((allowed[i].rights & each[j]) != 0));
		CHECK(claims_allow(claims, channel, 7) == (allowed[i].rights != 0));
	}
	claims_free(claims);
}

static void check_users(void)
{
	char name[USER_NAME_MAX + 1];
	memset(name, 'a', sizeof(name));
	for (size_t i = 0; i < COUNT_OF(users); i++) {
		printf("claims: %s\n", users[i].name);
		CHECK(claims_user_is_valid(users[i].user) == users[i].is_valid);
	}
	printf("claims: a user's name has 255 bytes at most\n");
	CHECK(claims_user_is_valid(slice_of(name, USER_NAME_MAX)));
	CHECK(!claims_user_is_valid(slice_of(name, USER_NAME_MAX + 1)));
}

/* As much of everything as there may be, from memory that is gone afterwards. */
static void check_copies(void)
{
	static char user[USER_NAME_MAX], info[CLAIMS_INFO_MAX];
	static char patterns[CLAIMS_GRANTS_MAX][CHANNEL_NAME_MAX];
	static struct claims_grant many[CLAIMS_GRANTS_MAX];
	struct claims_content content = {.is_token = true,
	                                 .expires_unix_ms = 12345,
	                                 .user = slice_of(user, sizeof(user)),
	                                 .info = slice_of(info, sizeof(info)),
	                                 .grants = many,
	                                 .grant_count = COUNT_OF(many)};
	printf("claims: everything is copied, up to the limits\n");
	memset(user, 'u', sizeof(user));
	memset(info, '1', sizeof(info));
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		memset(patterns[i], 'p', sizeof(patterns[i]));
		patterns[i][i] = 'q'; /* each another */
		many[i] = (struct claims_grant){slice_of(patterns[i], sizeof(patterns[i])),
		                                CLAIMS_WRITE};
	}
	struct claims *claims = claims_make(&content);
	CHECK(claims != NULL);
	char last[CHANNEL_NAME_MAX];
	memcpy(last, patterns[COUNT_OF(many) - 1], sizeof(last));
	memset(user, 0, sizeof(user));
	memset(info, 0, sizeof(info));
	memset(patterns, 0, sizeof(patterns));
	memset(many, 0, sizeof(many));
	CHECK(claims->is_token);
	CHECK(claims->expires_unix_ms == 12345);
	CHECK(claims_user(claims).len == USER_NAME_MAX);
	CHECK(claims_user(claims).at[USER_NAME_MAX - 1] == 'u');
	CHECK(claims_info(claims).len == CLAIMS_INFO_MAX);
	CHECK(claims_info(claims).at[0] == '1');
	CHECK(claims_allow(claims, slice_of(last, sizeof(last)), CLAIMS_WRITE));
	last[0] = 'x';
	CHECK(!claims_allow(claims, slice_of(last, sizeof(last)), CLAIMS_WRITE));
	claims_free(claims);
}

static void check_empty(void)
{
	printf("claims: they may say nothing\n");
	struct claims_content content = {.expires_unix_ms = CLAIMS_NEVER};
	struct claims *claims = claims_make(&content);
	CHECK(claims != NULL);
	CHECK(!claims->is_token);
	CHECK(claims_user(claims).len == 0);
	CHECK(claims_info(claims).len == 0);
	CHECK(!claims_allow(claims, SLICE("c"), 7));
	claims_free(claims);
	claims_free(NULL);
}

int main(void)
{
	check_allowed();
	check_users();
	check_copies();
	check_empty();
	return 0;
}
