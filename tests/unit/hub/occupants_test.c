/*
 * A set of occupants by scripts, each played twice: with hashes of users, and with some that all
 * fall into one bucket. Users are letters, sources digits (0 where none is named), and what comes
 * out is written down.
 *   +a1  enters at source 1       T  from here on changes are kept   t  no more
 *   -a1  leaves for good          N  news is taken: +a or -a of each, * who must be shown all anew
 *   ~a1  is lost                  L  a list of all: users, with connections where those are not 1
 *   ?a1  waits for its next poll  R  all must be shown anew
 *   x1   source 1 dies            d1 says anew whom it has: !a1 names a user, s1 is the end of it
 *   X1   it is back, and has      oa somebody knows that he is expected
 *        said whom it has
 *   w90  so many ms pass          ea1 source 1 has ended all of a user; @a he was heard of, or pa
 *                                 for as long as a poll takes
 *   C    other nodes keep lists: a number of connections that is another is news, =a
 *   M    from here on it is a mirror, source 0 is this node; H it leads again
 *   m    the same, and nobody knows names; k how many are kept
 *   O    what is owed to the home is reported: a2 has so many here, -a ~a ?a has none
 *   A    it is told anew of all who are here; G and what it said is forgotten
 *   ^a2  the home says that a user is there with two connections, or va that he has gone;
 *        between { and } it names all
 *   #7   it says a number; n the number there is; F what it said is forgotten
 * Then any steps, against arrays, with watchers that are told and shown at any time.
 */
#include "hub/occupants.h"

#include "../../failing.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"

#define GRACE_MS 50

static const struct parting_grace grace = {.ms = {[PARTING_LOST] = GRACE_MS,
                                                  [PARTING_POLLED] = 80,
                                                  [PARTING_ORPHANED] = 2 * GRACE_MS}};

static const struct {
	const char *name, *script, *told;
} cases[] = {
	{"an empty set has nobody", "L", "[]"},
	{"who enters is present", "+a +b L", "[a b]"},
	{"two connections are one occupant", "+a +a L", "[a2]"},
	{"so they are at two sources", "+a +a1 +a2 L", "[a3]"},
	{"who leaves for good is away at once", "+a +b -a L", "[b]"},
	{"the first of two to leave takes nobody away", "+a +a -a L", "[a]"},
	{"nor does it elsewhere", "+a +a1 -a1 L -a L", "[a] []"},
	{"in whichever order", "+a +a1 -a L +b2 -a1 L", "[a] [b]"},
	{"a source speaks for itself alone", "+a -a1 L", "[a]"},
	{"who left twice was away before", "+a -a -a L", "[]"},
	{"who is lost has its grace", "+a ~a w49 L w1 L", "[a0] []"},
	{"and stays when it is back in time", "+a ~a w49 +a w500 L", "[a]"},
	{"from any source", "+a ~a w49 +a1 w500 L -a1 L", "[a] []"},
	{"each loss has a grace of its own", "+a ~a w40 +a ~a w40 L w10 L", "[a0] []"},
	{"a poll has its own", "+a ?a w79 L w1 L", "[a0] []"},
	{"who said goodbye has none", "+a ~a w9 +a -a L", "[]"},
	{"the last one to go decides", "+a +a ~a -a L", "[]"},
	{"whichever it is", "+a +a -a ~a L", "[a0]"},
	{"the end of 32 bits of ms is no end", "w100 +a ~a w40 L w10 L", "[a0] []"},

	{"nobody is told where none watches", "+a -a N", "()"},
	{"who enters is news", "T +a N", "(+a)"},
	{"once", "T +a N N", "(+a) ()"},
	{"what was there before is none", "+a T +b N", "(+b)"},
	{"who leaves is news", "+a T -a N L", "(-a) []"},
	{"who is lost is none before its grace is over", "+a T ~a N w50 N", "() (-a)"},
	{"who is back in time is none at all", "+a T ~a w40 +a w90 N", "()"},
	{"who came and went was never there", "T +a -a N L", "() []"},
	{"who went and came never went", "+a T -a +a N L", "() [a]"},
	{"nor did it a third time", "+a T -a +a -a N", "(-a)"},
	{"of many all are told", "+a T +b +c -a +d N", "(-a +b +c +d)"},
	{"a second connection is no news", "+a T +a +a1 -a N", "()"},
	{"when telling ends what was kept goes", "T +a +b -a t T N L", "() [b]"},
	{"and who has gone is gone", "+a T -a t L T +a N", "[] (+a)"},

	{"a list shows what is so now", "T +a L N", "[a] (+a)"},
	{"a list of what is taken back is no good", "T +a L -a N", "[a] (*)"},
	{"nor of who went and came", "+a T -a L +a N L", "[] (*) [a]"},
	{"one from before is", "+a T L -a +a N", "[a] ()"},
	{"and one of something else", "T +a L +b -b N", "[a] (+a)"},
	{"that is told once", "T +a L -a N +b N", "[a] (*) (+b)"},
	{"who must be shown all is", "+a T R N", "(*)"},

	{"the dead leave twice as late", "+a1 +b1 T x1 w99 N w1 N L", "() (-a -b) []"},
	{"but not who is elsewhere", "+a1 +a2 +b1 T x1 w200 N L", "(-b) [a]"},
	{"and not who is back", "+a1 +b1 T x1 w90 +a2 w200 N L", "(-b) [a]"},
	{"of who had not died those who went meanwhile go at once", "+a1 +b1 +c2 T x1 !a1 X1 N L",
         "(-b) [a c]"},
	{"but not those of others", "+a1 +b2 T x1 x2 X1 N w100 N", "(-a) (-b)"},
	{"nor who went to one of these last", "+a1 +a2 T x1 x2 X1 N X2 N", "() (-a)"},
	{"nor who was lost elsewhere since", "+a1 T x1 +a2 ~a2 X1 N w50 N", "() (-a)"},
	{"nor whom somebody vouches for", "+a1 +b1 T x1 oa X1 N w100 N", "(-b) (-a)"},
	{"who is only expected may be anybody's", "@a @b T oa X3 N", "(-b)"},
	{"and so who is a mirror's", "M ^a1 ^b1 H T oa X1 N", "(-b)"},
	{"who left for good before it leads has gone", "M +a O ^a1 -a H L", "<a> []"},
	{"but not who is elsewhere, too", "M +a O ^a2 -a H L w100 L", "<a> [a0] []"},
	{"nor who was lost", "M +a O ^a1 ~a H L", "<a> [a0]"},
	{"nobody vouches for who is here, or is not", "+a1 T oa ob x1 X1 N L", "(-a) []"},
	{"what a source says anew holds", "+a1 +b1 T d1 !b1 s1 w50 N L", "(-a) [b]"},
	{"and what it has not said before", "+a1 T d1 !a1 !b1 s1 N L", "(+b) [a b]"},
	{"what others say holds on", "+a1 +b2 T d1 s1 w50 N L", "(-a) [b]"},
	{"who enters meanwhile is in", "+a1 T d1 +b1 s1 w50 N L", "(-a +b) [b]"},
	{"whom it has twice it names once", "+a1 +a1 T d1 !a1 s1 N L", "() [a]"},
	{"who is doubted and lost has the grace of the loss", "+a1 T d1 ~a1 s1 w50 N", "(-a)"},
	{"what a source ends has ended", "+a1 +a1 +b1 ea1 L", "[b]"},
	{"but not for others", "+a1 +a2 ea1 L", "[a]"},
	{"who is expected has the grace of the dead", "@a w99 L w1 L", "[a0] []"},
	{"if nobody has him", "+a @a w200 L", "[a]"},
	{"and stays when he comes", "T @a +a1 w200 N L", "(+a) [a]"},
	{"who went and was not told so is expected again", "+a T -a @a N w100 N", "() (-a)"},
	{"a visit has the grace of how it ended", "T pa w79 N L w1 N", "(+a) [a0] (-a)"},
	{"each one its own", "pa w50 pa w79 L w1 L", "[a0] []"},
	{"wherever he was before", "+a1 ~a1 w40 pa w79 L w1 L", "[a0] []"},
	{"that is no matter while he is here", "+a pa w200 L -a L", "[a] []"},
	{"and who has gone is back for it", "T +a N -a pa N w80 N", "(+a) () (-a)"},
	{"nobody is expected who says that he will not come", "@a ea1 L", "[]"},

	{"another number is news for lists elsewhere", "+a T C +a N N -a N", "(=a) () (=a)"},
	{"and none for others", "+a T +a N", "()"},
	{"not of who is new", "T C +a +a N", "(+a)"},
	{"nor of who has gone", "+a T C +a -a -a N", "(-a)"},
	{"nor of who was never there", "T C +a +a -a -a N L", "() []"},
	{"but of who is back", "+a T C -a +a +a N", "(=a)"},
	{"also with as many as before he went, since he had none", "+a T C ~a N w50 +a N",
         "(=a) (=a)"},
	{"what a source confirms is no other number", "+a1 T C d1 !a1 s1 N", "()"},

	{"a mirror has whom the home names", "M +a O L ^a1 L", "<a> [] [a]"},
	{"with the connections that the home knows", "M +a ^a3 L", "[a3]"},
	{"who is named is news", "M T {^a1 ^b1 } N", "(+a +b)"},
	{"once", "M T {^a1 ^b1 } N {^a1 ^b2 } N", "(+a +b) ()"},
	{"who is named no more has gone", "M T {^a1 ^b1 } N {^b1 } N L", "(+a +b) (-a) [b]"},
	{"who is said to have gone has", "M T ^a1 N va N va N L", "(+a) (-a) () []"},
	{"but is owed to the home nevertheless", "M +a ^a1 va O L ^a1 L", "<a> [] [a]"},
	{"what is owed is a number", "M +a +a O O -a O", "<a2> <> <a>"},
	{"or how the last one went", "M +a +b +c O ~a -b ?c O", "<a b c> <~a -b ?c>"},
	{"who left is there until the home says otherwise", "M T +a O ^a1 N -a O N L va N L",
         "<a> (+a) <-a> () [a] (-a) []"},
	{"all that is told anew are those who are here", "M +a +b O -b O A O", "<a b> <-b> <a> <>"},
	{"then it owes no more than the end of others", "M +a O +b -a A O", "<a> <b> <-a>"},
	{"whoever was owed before", "M +a +b2 A O +a O", "<a b> <> <a2>"},
	{"a set that becomes a mirror has whom it had", "+a +b1 T M N L", "() [a b]"},
	{"but where nobody was told names it is their number", "+a +b1 T -a m n N k", "1 () 1"},
	{"and whom it does not have goes as it is told anew", "+a +b1 +b2 ~a m k A k O k",
         "2 <> 0 <> 0"},
	{"or as it leads again", "+a +b1 m H k w200 L", "1 [a]"},
	{"though not who is here", "+a +b1 m A k n #1 n", "<a> 1 2 1"},
	{"also him who was leaving", "+a ~a T M w99 N L", "() [a0]"},
	{"and has to tell of those of its own node", "+a +b1 +b2 M A O", "<a> <>"},
	{"a mirror that leads has who is here", "M +a ^a1 T H w200 N L", "() [a]"},
	{"whether the home knew him or not", "M T +a H N", "(+a)"},
	{"and expects the others", "M ^a1 ^b1 T H w99 N w1 N L", "() (-a -b) []"},
	{"who were never away when they are reported", "M ^a1 T H w50 !a1 w100 N L", "() [a]"},
	{"a set goes to and fro", "+a +b1 T M H w50 !b1 M H w99 N w1 N L", "() (-b) [a]"},
	{"a number has no names", "M T ^a1 N #7 n", "(+a) 7"},
	{"and names have no number", "M #7 {^a1 } n L", "1 [a]"},
	{"nor has one that leads", "M +a #7 H n L", "1 [a]"},
	{"what the home said is forgotten", "M T ^a1 ^b1 +b F N L O", "() [] <b>"},
	{"also as it is told anew", "M ^a1 ^b1 +b +c -c G L n O ^b1 L", "<b> [] 0 <-c> [b]"},
	{"and its number", "M #7 n +a F n L", "7 0 []"},
};

static struct occupants set;
static struct buf told;
static bool has_one_bucket;
static uint64_t now_ms;

static uint64_t hash_of(struct slice user)
{
	static const struct hash_key key = {{1, 2}};
	return has_one_bucket ? (uint64_t)(unsigned char)user.at[0] << 8 : hash_bytes(&key, user);
}

static struct occupant *make(const char *user)
{
	struct blob *info = *user == 'c' ? blob_copy(SLICE("{}")) : NULL;
	struct occupant *occupant = occupant_make(slice_of(user, 1), SLICE("room"), info);
	CHECK(occupant != NULL);
	return occupant;
}

/* ---- what the set says of itself ---- */

static bool keeps_idle; /* until the home is told anew */

static void mirror_check(const struct occupant *one)
{
	bool is_needed = occupant_connections(one) > 0 || list_is_linked(&one->in_leaving) ||
	                 list_is_linked(&one->in_changed);
	CHECK(one->is_present || is_needed || keeps_idle);
	CHECK(!one->is_present || !set.is_numbered);
}

static void set_check(void)
{
	uint32_t count = set.is_numbered ? set.count : 0, leaving = 0;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < occupants_span(&set); i++) {
		const struct occupant *one = occupants_at(&set, i);
		for (; one != NULL; one = occupants_after(one)) {
			uint32_t connections = occupant_connections(one);
			bool is_leaving = list_is_linked(&one->in_leaving);
			if (set.is_mirror)
				mirror_check(one);
			else
				CHECK(one->is_present == (connections > 0 || is_leaving));
			CHECK(set.is_mirror || !is_leaving || connections == 0);
			leaving += is_leaving;
			bool is_other = one->is_present != one->is_told;
			bool is_recounted = list_is_linked(&one->in_changed) && !is_other;
			CHECK(!is_other || list_is_linked(&one->in_changed));
			CHECK(!is_recounted || (set.is_counting && one->is_present));
			CHECK(one->is_present || set.is_telling || set.is_mirror);
			count += one->is_present;
			bytes += one->is_present ? one->user_len : 0;
			bytes += one->is_present && one->info != NULL ? one->info->len : 0;
		}
	}
	CHECK(count == set.count);
	CHECK(bytes == set.bytes);
	CHECK(set.leaving_count == (set.is_mirror ? 0 : leaving));
}

/* ---- scripts ---- */

/* By name: those of a set have no order. */
static void tell_news(void)
{
	struct turnout *news = occupants_take(&set, SLICE("room"));
	CHECK(news != NULL);
	CHECK(slice_is(turnout_channel(news), "room"));
	CHECK(news->occupant_count == set.count);
	buf_string(&told, told.len > 0 ? " (" : "(");
	if (news->redo_from != UINT64_MAX)
		buf_char(&told, '*');
	bool is_first = true;
	for (char user = 'a'; user <= 'z'; user++) {
		for (uint32_t i = 0; i < news->count; i++) {
			if (*news->entries[i].user != user)
				continue;
			buf_string(&told, is_first ? "" : " ");
			buf_char(&told, news->entries[i].is_recounted ? '='
			                : news->entries[i].is_present ? '+'
			                                              : '-');
			buf_char(&told, user);
			is_first = false;
		}
	}
	buf_char(&told, ')');
	turnout_drop(news);
}

static void tell_list(void)
{
	struct turnout *all = occupants_all(&set, SLICE("room"), true);
	CHECK(all != NULL);
	CHECK(all->count == set.count);
	bool is_first = true;
	buf_string(&told, told.len > 0 ? " [" : "[");
	for (char user = 'a'; user <= 'z'; user++) {
		for (uint32_t i = 0; i < all->count; i++) {
			const struct turnout_entry *entry = &all->entries[i];
			if (*entry->user != user)
				continue;
			CHECK((entry->info != NULL) == (user == 'c'));
			buf_string(&told, is_first ? "" : " ");
			buf_char(&told, user);
			if (entry->connections != 1)
				buf_u64(&told, entry->connections);
			is_first = false;
		}
	}
	buf_char(&told, ']');
	turnout_drop(all);
}

/* By name, too. */
static struct buf said['z' - 'a' + 1]; /* of each user, what the home is told */

static void say(const struct occupant *one)
{
	static const char how[] = {'~', '?', 'x', '-'};
	struct buf *out = &said[*occupant_user(one).at - 'a'];
	uint32_t connections = occupant_connections(one);
	if (connections == 0)
		buf_char(out, how[one->parting]);
	buf_slice(out, occupant_user(one));
	if (connections > 1)
		buf_u64(out, connections);
}

static void write_said(void)
{
	buf_string(&told, told.len > 0 ? " <" : "<");
	bool is_first = true;
	for (size_t i = 0; i < COUNT_OF(said); i++) {
		if (said[i].len > 0 && !is_first)
			buf_char(&told, ' ');
		is_first &= said[i].len == 0;
		buf_slice(&told, buf_view(&said[i]));
		buf_free(&said[i]);
	}
	buf_char(&told, '>');
}

static void tell_owed(void)
{
	struct occupant *one;
	while ((one = occupants_owed(&set)) != NULL) {
		say(one);
		occupants_report(&set, one);
	}
	write_said();
}

static bool forgets;

static void tell_anew(void *idle, struct map_node *node)
{
	struct occupant *one = occupant_of_node(node);
	if (occupant_connections(one) > 0)
		say(one);
	if (forgets)
		occupants_forget_one(&set, one);
	occupants_retold(&set, one, idle);
}

static void tell_all_anew(bool is_forgotten)
{
	struct list idle;
	uint64_t place = 0;
	list_init(&idle);
	forgets = is_forgotten;
	while (map_step(&set.by_user, &place, tell_anew, &idle))
		occupants_sweep(&set, &idle);
	occupants_sweep(&set, &idle);
	keeps_idle = false;
	write_said();
}

static void tell_number(uint32_t number_of)
{
	buf_string(&told, told.len > 0 ? " " : "");
	buf_u64(&told, number_of);
}

static void pass(uint64_t ms)
{
	for (; ms > 0; ms--) { /* nobody is away before its time, and all are at it */
		now_ms++;
		uint64_t left = occupants_expire(&set, &grace, now_ms, 100);
		CHECK(left > 0);
		CHECK(left == UINT64_MAX || left <= 2 * GRACE_MS);
	}
}

static uint64_t number(const char **at)
{
	uint64_t value = 0;
	size_t len = strspn(*at, "0123456789");
	CHECK(len == 0 || text_to_u64(slice_of(*at, len), &value));
	*at += len;
	return value;
}

static void play_user(char what, const char *user, uint32_t source)
{
	uint64_t hash = hash_of(slice_of(user, 1));
	if (what == '+')
		occupants_enter(&set, source, make(user), hash);
	else if (what == '!')
		occupants_confirm(&set, source, make(user), hash, 1);
	else if (what == '@')
		occupants_expect(&set, make(user), hash, PARTING_ORPHANED, now_ms);
	else if (what == 'p')
		occupants_expect(&set, make(user), hash, PARTING_POLLED, now_ms);
	else if (what == 'o')
		occupants_vouch(&set, slice_of(user, 1), hash);
	else if (what == 'e')
		occupants_end(&set, source, hash, PARTING_LEFT, &grace, now_ms);
	else if (what == '^' || what == 'v')
		CHECK(occupants_hear(&set, slice_of(user, 1), hash,
		                     *user == 'c' ? SLICE("{}") : slice_of(NULL, 0), source,
		                     what == '^'));
	else
		(void)occupants_leave(&set, source, hash,
		                      what == '-'   ? PARTING_LEFT
		                      : what == '~' ? PARTING_LOST
		                                    : PARTING_POLLED,
		                      &grace, now_ms);
}

static void play_in_mirror(char what, const char **at)
{
	switch (what) {
	case 'M':
	case 'm':
		occupants_mirror(&set, 1, what == 'M');
		keeps_idle = what == 'm';
		break;
	case 'H':
		occupants_lead(&set, now_ms);
		keeps_idle = false;
		break;
	case 'A':
	case 'G':
		tell_all_anew(what == 'G');
		break;
	case 'O':
		tell_owed();
		break;
	case '{':
		occupants_hear_begin(&set);
		break;
	case '}':
		occupants_hear_end(&set);
		break;
	case '#':
		occupants_hear_number(&set, (uint32_t)number(at));
		break;
	case 'F':
		occupants_forget(&set);
		break;
	default: {
		const char *user = (*at)++;
		play_user(what, user, (uint32_t)number(at));
	}
	}
}

static void play_one(char what, const char **at)
{
	switch (what) {
	case 'T':
	case 't':
		occupants_tell(&set, what == 'T');
		break;
	case 'N':
		tell_news();
		break;
	case 'L':
		tell_list();
		break;
	case 'R':
		occupants_redo(&set);
		break;
	case 'C':
		set.is_counting = true;
		break;
	case 'n':
		tell_number(set.count);
		break;
	case 'k':
		tell_number((uint32_t)set.by_user.count);
		break;
	case 'w':
		pass(number(at));
		break;
	case 'x':
		occupants_orphan(&set, (uint32_t)number(at), now_ms);
		break;
	case 'X': {
		uint64_t sources = UINT64_C(1) << number(at);
		occupants_renounce(&set, &sources, 0);
		break;
	}
	case 'd':
		occupants_doubt(&set, (uint32_t)number(at));
		break;
	case 's':
		occupants_settle(&set, (uint32_t)number(at), now_ms);
		break;
	default:
		play_in_mirror(what, at);
	}
	set_check();
}

static void begin(void)
{
	now_ms = UINT32_MAX - 130;
	keeps_idle = false;
	CHECK(occupants_init(&set) == 0);
}

static void end(void)
{
	occupants_free(&set);
	buf_free(&told);
}

static void run_cases(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("occupants: %s%s\n", cases[i].name, has_one_bucket ? ", in one bucket" : "");
		begin();
		for (const char *at = cases[i].script; *at != '\0';) {
			char what = *at++;
			if (what != ' ')
				play_one(what, &at);
		}
		if (!slice_is(buf_view(&told), cases[i].told))
			fprintf(stderr, "told: %.*s\n", (int)told.len, told.at);
		CHECK(slice_is(buf_view(&told), cases[i].told));
		end();
	}
}

/* ---- any steps ---- */

#define USERS 26
#define SOURCES 3
#define WATCHERS 5
#define STEPS 60000

static struct model {
	uint32_t connections[USERS][SOURCES];
	bool is_leaving[USERS];
	uint64_t away_ms[USERS];
} model;

/* Somebody who was shown a list, and is told news. */
static struct watcher {
	bool knows, is_present[USERS];
	uint64_t seen;
} watchers[WATCHERS];

static bool has_any(uint32_t user)
{
	uint32_t any = 0;
	for (uint32_t source = 0; source < SOURCES; source++)
		any |= model.connections[user][source];
	return any != 0;
}

static bool is_there(uint32_t user)
{
	return has_any(user) || model.is_leaving[user];
}

static void model_left(uint32_t user, enum parting parting)
{
	model.is_leaving[user] = !has_any(user) && parting != PARTING_LEFT;
	model.away_ms[user] = now_ms + (parting == PARTING_LEFT ? 0 : grace.ms[parting]);
}

static void any_user(struct random *random)
{
	static const char users[] = "abcdefghijklmnopqrstuvwxyz";
	uint32_t user = random_below(random, USERS), source = random_below(random, SOURCES);
	uint32_t *connections = &model.connections[user][source];
	uint64_t hash = hash_of(slice_of(&users[user], 1));
	if (random_below(random, 2) == 0) {
		occupants_enter(&set, source, make(&users[user]), hash);
		++*connections;
		model.is_leaving[user] = false;
		return;
	}
	enum parting parting = (enum parting)random_below(random, PARTING_LEFT + 1);
	CHECK(occupants_leave(&set, source, hash, parting, &grace, now_ms) == (*connections > 0));
	if (*connections == 0)
		return;
	--*connections;
	if (!has_any(user))
		model_left(user, parting);
}

static void source_dies(uint32_t source)
{
	occupants_orphan(&set, source, now_ms);
	for (uint32_t user = 0; user < USERS; user++) {
		bool had_any = model.connections[user][source] > 0;
		model.connections[user][source] = 0;
		if (had_any && !has_any(user))
			model_left(user, PARTING_ORPHANED);
	}
}

/* Of what the set believes of the source. */
static uint64_t digest_of(uint32_t source)
{
	uint64_t digest = 0;
	for (uint32_t i = 0; i < occupants_span(&set); i++) {
		const struct occupant *one = occupants_at(&set, i);
		for (; one != NULL; one = occupants_after(one)) {
			const struct occupant *part = one;
			while (part != NULL && (part->source != source || part->connections == 0))
				part = part->next;
			if (part != NULL)
				digest += occupant_digest(one->in_set.hash, part->connections);
		}
	}
	return digest;
}

/* What it says is what it has; the set believed something else, for a while. */
static void source_is_repaired(uint32_t source, struct random *random)
{
	static const char users[] = "abcdefghijklmnopqrstuvwxyz";
	uint64_t digest = 0;
	occupants_doubt(&set, source);
	for (uint32_t user = 0; user < USERS; user++) {
		uint64_t hash = hash_of(slice_of(&users[user], 1));
		uint32_t before = model.connections[user][source];
		uint32_t now = random_below(random, 3) == 0 ? random_below(random, 3) : before;
		model.connections[user][source] = now;
		if (now > 0) {
			occupants_confirm(&set, source, make(&users[user]), hash, now);
			digest += occupant_digest(hash, now);
			model.is_leaving[user] = false;
		} else if (before > 0 && !has_any(user)) {
			model_left(user, PARTING_LOST);
		}
	}
	occupants_settle(&set, source, now_ms);
	CHECK(digest_of(source) == digest);
}

static void show(struct watcher *watcher)
{
	struct turnout *all = occupants_all(&set, SLICE("room"), true);
	CHECK(all != NULL);
	*watcher = (struct watcher){.knows = true, .seen = all->version};
	for (uint32_t i = 0; i < all->count; i++)
		watcher->is_present[*all->entries[i].user - 'a'] = true;
	turnout_drop(all);
}

/* Each coming and going is told to those who do not know it, and to nobody twice. */
static void tell(struct watcher *watcher, const struct turnout *news)
{
	CHECK(watcher->seen >= news->base);
	if (watcher->seen >= news->version)
		return;
	if (watcher->seen >= news->redo_from) {
		show(watcher);
		return;
	}
	for (uint32_t i = 0; i < news->count; i++) {
		const struct turnout_entry *entry = &news->entries[i];
		bool *is_present = &watcher->is_present[*entry->user - 'a'];
		if (entry->version <= watcher->seen)
			continue;
		CHECK(*is_present != entry->is_present);
		*is_present = entry->is_present;
	}
	watcher->seen = news->version;
}

static uint32_t redone;

static void take_news(void)
{
	struct turnout *news = occupants_take(&set, SLICE("room"));
	CHECK(news != NULL);
	redone += news->redo_from != UINT64_MAX;
	for (int i = 0; i < WATCHERS; i++) {
		if (!watchers[i].knows)
			continue;
		tell(&watchers[i], news);
		for (uint32_t user = 0; user < USERS; user++)
			CHECK(watchers[i].is_present[user] == is_there(user));
	}
	turnout_drop(news);
}

static void time_passes(uint64_t ms)
{
	now_ms += ms;
	CHECK(occupants_expire(&set, &grace, now_ms, USERS) > 0);
	for (uint32_t user = 0; user < USERS; user++) {
		if (model.is_leaving[user] && model.away_ms[user] <= now_ms)
			model.is_leaving[user] = false;
	}
}

static void any_step(struct random *random)
{
	uint32_t what = random_below(random, 100);
	if (what < 70)
		any_user(random);
	else if (what < 78)
		time_passes(random_below(random, 60));
	else if (what < 86)
		show(&watchers[random_below(random, WATCHERS)]);
	else if (what < 96)
		take_news();
	else if (what < 98)
		source_dies(random_below(random, SOURCES));
	else
		source_is_repaired(random_below(random, SOURCES), random);
}

static void run_any_steps(void)
{
	struct random random = {.state = 1};
	printf("occupants: in any order they are who arrays say, and watchers know it%s\n",
	       has_one_bucket ? ", in one bucket" : "");
	model = (struct model){0};
	memset(watchers, 0, sizeof(watchers));
	begin();
	occupants_tell(&set, true);
	for (int i = 0; i < STEPS; i++) {
		uint32_t count = 0;
		any_step(&random);
		set_check();
		for (uint32_t user = 0; user < USERS; user++)
			count += is_there(user);
		CHECK(count == set.count);
	}
	CHECK(redone > 0);
	end();
}

/* ---- numbers ---- */

/* A source may say any. */
static void run_too_many(void)
{
	uint64_t hash = hash_of(SLICE("a"));
	printf("occupants: who is there more often than can be counted is there\n");
	begin();
	occupants_confirm(&set, 5, make("a"), hash, UINT32_MAX);
	occupants_enter(&set, 0, make("a"), hash);
	occupants_enter(&set, 1, make("a"), hash);
	CHECK(occupant_connections(occupants_find(&set, SLICE("a"), hash)) == UINT32_MAX);
	for (uint32_t source = 0; source <= 5; source++) {
		CHECK(set.leaving_count == 0 && set.count == 1);
		occupants_end(&set, source, hash, PARTING_LOST, &grace, now_ms);
	}
	CHECK(set.leaving_count == 1);
	pass(GRACE_MS);
	CHECK(occupants_is_empty(&set));
	end();
}

/* ---- without memory, and its price ---- */

static void run_without_memory(void)
{
	printf("occupants: what cannot be given out is not taken\n");
	begin();
	occupants_tell(&set, true);
	occupants_enter(&set, 0, make("a"), hash_of(SLICE("a")));
	struct occupant *second = make("b");
	failing_arm(1, FAILING_ALL_FROM);
	occupants_enter(&set, 0, second, hash_of(SLICE("b"))); /* that needs none */
	CHECK(occupants_take(&set, SLICE("room")) == NULL);
	CHECK(occupants_all(&set, SLICE("room"), true) == NULL);
	CHECK(failing_disarm() == 2);
	CHECK(occupants_have_news(&set));
	tell_news();
	CHECK(slice_is(buf_view(&told), "(+a +b)"));
	end();
}

static void run_walk(void)
{
	static char names[5000][5];
	printf("occupants: a walk over a layout comes to each once\n");
	begin();
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(names[i], sizeof(names[i]), "%04zu", i);
		struct slice user = slice_of(names[i], 4);
		struct occupant *occupant = occupant_make(user, SLICE(""), NULL);
		CHECK(occupant != NULL);
		occupants_enter(&set, 0, occupant, hash_of(user));
	}
	uint32_t seen = 0;
	uint64_t layout = occupants_layout(&set);
	for (uint32_t i = 0; i < occupants_span(&set); i++) {
		const struct occupant *one = occupants_at(&set, i);
		for (; one != NULL; one = occupants_after(one))
			seen++;
	}
	CHECK(seen == COUNT_OF(names));
	CHECK(layout == occupants_layout(&set));
	end();
}

int main(void)
{
	run_cases();
	run_any_steps();
	run_too_many();
	run_without_memory();
	run_walk();
	has_one_bucket = true;
	run_cases();
	run_any_steps();
	return 0;
}
