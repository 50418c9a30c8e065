/*
 * config: files, environments and options together, and what --print-config says of them, or
 * the one line that is wrong. The whole listing of the defaults stands here once more, so a
 * changed row of config.def is noticed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../guard.h"
#include "base/check.h"
#include "ops/config.h"

#define LIST_MAX 6

/* What is given besides the file "t.conf". */
struct given {
	const char *text;
	const char *environment[LIST_MAX];
	const char *options[LIST_MAX];
};

static const char listing[] = "listen.http = 127.0.0.1:8000  # default\n"
			      "listen.echo = no  # default\n"
			      "listen.trusted_proxies =   # default\n"
			      "listen.https =   # default\n"
			      "tls.cert =   # default\n"
			      "tls.key =   # default\n"
			      "tls.kernel = yes  # default\n"
			      "workers.count = auto  # default\n"
			      "workers.pin_cpus = yes  # default\n"
			      "workers.private_fds = no  # default\n"
			      "auth.open = no  # default\n"
			      "auth.jwt_secret =   # default\n"
			      "auth.jwt_secret_file =   # default\n"
			      "auth.jwt_public_key_file =   # default\n"
			      "auth.jwt_audience =   # default\n"
			      "auth.jwt_issuer =   # default\n"
			      "auth.api_key = ***  # env\n"
			      "auth.api_key_file =   # default\n"
			      "auth.allowed_origins = same  # default\n"
			      "limits.connections = 1000000  # default\n"
			      "limits.connections_per_user = 0  # default\n"
			      "limits.connections_per_ip = 0  # default\n"
			      "limits.message_size = 64KiB  # default\n"
			      "limits.message_rate = 100/s  # default\n"
			      "limits.message_burst = 200  # default\n"
			      "limits.channels_per_connection = 128  # default\n"
			      "limits.outbound_buffer = 1MiB  # default\n"
			      "limits.header_size = 16KiB  # default\n"
			      "limits.header_timeout = 10s  # default\n"
			      "limits.idle_timeout = 75s  # default\n"
			      "heartbeat.interval = 25s  # default\n"
			      "heartbeat.timeout = 60s  # default\n"
			      "channel.*.subscribe = token  # default\n"
			      "channel.*.publish = token  # default\n"
			      "channel.*.history_size = 100  # default\n"
			      "channel.*.history_ttl = 5m  # default\n"
			      "channel.*.presence = no  # default\n"
			      "channel.*.presence_grace = 5s  # default\n"
			      "channel.*.deliver_last = no  # default\n"
			      "channel.*.max_keys = 1000  # default\n"
			      "channel.*.throttle = 0  # default\n"
			      "channel.*.overflow = disconnect  # default\n"
			      "mesh.listen =   # default\n"
			      "mesh.advertise =   # default\n"
			      "mesh.name =   # default\n"
			      "mesh.join =   # default\n"
			      "mesh.cluster = starling  # default\n"
			      "mesh.secret =   # default\n"
			      "mesh.secret_file =   # default\n"
			      "mesh.replicas = 3  # default\n"
			      "mesh.partition = merge  # default\n"
			      "drain.time = 30s  # default\n"
			      "log.level = info  # default\n"
			      "log.format = text  # default\n"
			      "log.access = no  # default\n";

/* `lines` stand in the listing in this order, each whole. */
static const struct {
	const char *name;
	struct given given;
	const char *lines[LIST_MAX];
} goods[] = {
	{"a file says which line",
         {"# a\n[limits]\n\nconnections = 5\n", {NULL}, {NULL}},
         {"limits.connections = 5  # t.conf:4"}},
	{"a section may come twice",
         {"[log]\nlevel=warn\n[tls]\n[log]\nformat=json", {NULL}, {NULL}},
         {"log.level = warn  # t.conf:2", "log.format = json  # t.conf:5"}},
	{"the environment beats the file",
         {"[limits]\nconnections = 5\nmessage_burst = 6\n",
          {"A=b", "STARLING_LIMITS_CONNECTIONS= 7 "},
          {NULL}},
         {"limits.connections = 7  # env", "limits.message_burst = 6  # t.conf:3"}},
	{"an option beats them both",
         {"[limits]\nconnections = 5\n",
          {"STARLING_LIMITS_CONNECTIONS=7"},
          {"limits.connections = 8"}},
         {"limits.connections = 8  # option"}},
	{"the first of two variables counts",
         {"", {"STARLING_LOG_LEVEL=warn", "STARLING_LOG_LEVEL=error"}, {NULL}},
         {"log.level = warn  # env"}},
	{"other variables are ignored",
         {"",
          {"STARLING_API_KEY=x", "STARLING_log_level=warn", "STARLING_LOG_LEVELS=1", "STARLING_"},
          {NULL}},
         {"log.level = info  # default"}},
	{"a channel rule does not come from the environment",
         {"", {"STARLING_CHANNEL_HISTORY_SIZE=7"}, {NULL}},
         {"channel.*.history_size = 100  # default"}},
	{"a value is what follows the first =",
         {"", {NULL}, {"auth.jwt_issuer=https://a/?b=c.d=e"}},
         {"auth.jwt_issuer = https://a/?b=c.d=e  # option"}},
	{"a secret may hold a #",
         {"[auth]\njwt_issuer = a#b # c\njwt_secret=s#s\n", {NULL}, {NULL}},
         {"auth.jwt_secret = ***  # t.conf:3", "auth.jwt_issuer = a#b  # t.conf:2"}},
	{"a secret is never shown",
         {"",
          {NULL},
          {"auth.api_key=k1,k2", "mesh.secret=a,b", "auth.jwt_secret=s", "mesh.listen=[::]:7900"}},
         {"auth.jwt_secret = ***  # option", "auth.api_key = ***  # option",
          "mesh.secret = ***  # option"}},
	{"no secret is shown as none",
         {"", {NULL}, {"auth.api_key="}},
         {"auth.api_key =   # option", "mesh.secret =   # default"}},
	{"rules of the file keep their order, * comes last",
         {"[channel b:*]\npublish = none\n[channel a:*]\nmax_keys = 1\n", {NULL}, {NULL}},
         {"channel.b:*.publish = none  # t.conf:2", "channel.b:*.max_keys = 1000  # default",
          "channel.a:*.publish = any  # default", "channel.a:*.max_keys = 1  # t.conf:4",
          "channel.*.publish = any  # default"}},
	{"the file may have the last rule itself",
         {"[channel a]\n[channel *]\nthrottle = 1s\n", {NULL}, {NULL}},
         {"channel.a.throttle = 0  # default", "channel.*.throttle = 1s  # t.conf:3"}},
	{"a rule without keys has the defaults",
         {"[channel a]\n", {NULL}, {NULL}},
         {"channel.a.history_size = 100  # default"}},
	{"an option changes one key of a rule of the file",
         {"[channel a]\nmax_keys=7\n[channel b]\nmax_keys=8\npresence=full\n",
          {NULL},
          {"channel.b.max_keys=9"}},
         {"channel.a.max_keys = 7  # t.conf:2", "channel.b.presence = full  # t.conf:5",
          "channel.b.max_keys = 9  # option"}},
	{"new rules of options stand before the file's, in their order",
         {"[channel a]\n",
          {NULL},
          {"channel.c.max_keys=1", "channel.b.overflow=drop", "channel.c.deliver_last=yes"}},
         {"channel.c.deliver_last = yes  # option", "channel.c.max_keys = 1  # option",
          "channel.b.overflow = drop  # option", "channel.a.max_keys = 1000  # default"}},
	{"an option for * changes the last rule",
         {"[channel a]\n", {NULL}, {"channel.*.history_ttl=1h"}},
         {"channel.a.history_ttl = 5m  # default", "channel.*.history_ttl = 1h  # option"}},
	{"the last dot parts the key of a rule from its pattern",
         {"", {NULL}, {"channel.a.b.presence_grace=1s"}},
         {"channel.a.b.presence_grace = 1s  # option"}},
	{"the last = parts the value of a rule",
         {"", {NULL}, {"channel.a=b.max_keys=3.history_size=5"}},
         {"channel.a=b.max_keys=3.history_size = 5  # option"}},
	{"without keys, on loopback, everybody may do everything",
         {"", {NULL}, {"channel.a.publish=token"}},
         {"limits.message_rate = 0  # default", "channel.a.subscribe = any  # default",
          "channel.a.publish = token  # option", "channel.*.subscribe = any  # default"}},
	{"what is set explicitly stays so in open mode",
         {"[limits]\nmessage_rate = 100/s\n[channel *]\nsubscribe = token\n", {NULL}, {NULL}},
         {"limits.message_rate = 100/s  # t.conf:2", "channel.*.subscribe = token  # t.conf:4",
          "channel.*.publish = any  # default"}},
	{"a public listener may be open when it is said",
         {"", {"STARLING_AUTH_OPEN=yes"}, {"listen.http=0.0.0.0:80"}},
         {"listen.http = 0.0.0.0:80  # option", "auth.open = yes  # env",
          "limits.message_rate = 0  # default"}},
	{"a public listener with a key is not open",
         {"", {NULL}, {"listen.http=0.0.0.0:80", "auth.jwt_public_key_file=k.pem"}},
         {"limits.message_rate = 100/s  # default", "channel.*.subscribe = token  # default"}},
	{"https may stand alone",
         {"", {NULL}, {"listen.http=", "listen.https=[::1]:1", "tls.cert=c", "tls.key=k"}},
         {"listen.http =   # option", "listen.https = [::1]:1  # option", "tls.cert = c  # option",
          "tls.key = k  # option"}},
	{"a mesh has a listener and a secret",
         {"[mesh]\nlisten = 10.0.0.1:7900\njoin = a:1,b:2\nadvertise = c:3\nname = n\n"
          "cluster = x\nreplicas = 2\npartition = pause\n",
          {NULL},
          {"mesh.secret_file=/s"}},
         {"mesh.advertise = c:3  # t.conf:4", "mesh.name = n  # t.conf:5",
          "mesh.join = a:1,b:2  # t.conf:3", "mesh.secret_file = /s  # option",
          "mesh.replicas = 2  # t.conf:7", "mesh.partition = pause  # t.conf:8"}},
};

static const struct {
	const char *name;
	struct given given;
	const char *complaint;
} bads[] = {
	{"a key needs a section",
         {"a = b\n", {NULL}, {NULL}},
         "t.conf:1: a key before the first [section]: 'a'"},
	{"an unknown section", {"\n[logs]\n", {NULL}, {NULL}}, "t.conf:2: unknown section 'logs'"},
	{"an unknown key",
         {"[log]\nlevle = a\n", {NULL}, {NULL}},
         "t.conf:2: unknown key 'levle' in section 'log'"},
	{"a key of another section",
         {"[channel a]\nlevel = a\n", {NULL}, {NULL}},
         "t.conf:2: unknown key 'level' in section 'channel'"},
	{"a line that is nothing",
         {"[log]\nlevel\n", {NULL}, {NULL}},
         "t.conf:2: neither [section] nor key = value"},
	{"the rest of a secret that went over two lines is not told",
         {"[auth]\njwt_secret = hush\nhush\n", {NULL}, {NULL}},
         "t.conf:3: neither [section] nor key = value"},
	{"nor where it ends as a key would",
         {"[auth]\njwt_secret = hush\nhusH+==\n", {NULL}, {NULL}},
         "t.conf:3: unknown key in section 'auth'"},
	{"a bad value in the file",
         {"[log]\nlevel = loud\n", {NULL}, {NULL}},
         "t.conf:2: log.level: bad value 'loud'; want one of (debug|info|warn|error)"},
	{"a bad value in the environment",
         {"", {"STARLING_DRAIN_TIME=5"}, {NULL}},
         "STARLING_DRAIN_TIME: bad value '5'; want a time such as 500ms, 30s, 5m, 1h (0..1h)"},
	{"a bad value of an option",
         {"", {NULL}, {"limits.header_size=1MiB1"}},
         "-o limits.header_size: bad value '1MiB1'; want a size such as 64KiB (1KiB..1MiB)"},
	{"a bad value in a rule",
         {"[channel a:*]\nmax_keys = 0\n", {NULL}, {NULL}},
         "t.conf:2: channel.a:*.max_keys: bad value '0'; want a number (1..1000000)"},
	{"no replica at all",
         {"[mesh]\nreplicas = 0\n", {NULL}, {NULL}},
         "t.conf:2: mesh.replicas: bad value '0'; want a number (1..7)"},
	{"more replicas than a slot may have",
         {"[mesh]\nreplicas = 8\n", {NULL}, {NULL}},
         "t.conf:2: mesh.replicas: bad value '8'; want a number (1..7)"},
	{"a bad value stays one line",
         {"", {NULL}, {"log.level=a\nb"}},
         "-o log.level: bad value 'a?b'; want one of (debug|info|warn|error)"},
	{"a bad secret is not told",
         {"", {NULL}, {"auth.api_key=hush,,hush"}},
         "-o auth.api_key: bad value; want so many texts, a comma between (0..64)"},
	{"a bad value that a stronger source overwrites is still bad",
         {"[log]\nlevel = loud\n", {NULL}, {"log.level=info"}},
         "t.conf:2: log.level: bad value 'loud'; want one of (debug|info|warn|error)"},
	{"a key twice in the file",
         {"[log]\nlevel = info\n[log]\nlevel = info\n", {NULL}, {NULL}},
         "t.conf:4: log.level: given twice, first on line 2"},
	{"a key twice in a rule",
         {"[channel a]\nmax_keys = 1\nmax_keys = 2\n", {NULL}, {NULL}},
         "t.conf:3: channel.a.max_keys: given twice, first on line 2"},
	{"a rule twice",
         {"[channel a]\n[channel b]\n[channel a]\n", {NULL}, {NULL}},
         "t.conf:3: section [channel a] given twice, first on line 1"},
	{"an option twice",
         {"", {NULL}, {"log.level=info", "log.level=warn"}},
         "-o log.level: given twice"},
	{"an option of a rule twice",
         {"", {NULL}, {"channel.a.max_keys=1", "channel.a.max_keys=1"}},
         "-o channel.a.max_keys: given twice"},
	{"a rule without a pattern",
         {"[channel]\n", {NULL}, {NULL}},
         "t.conf:1: a channel pattern has 1 to 200 printable characters without blank , \" \\"},
	{"a rule with two patterns",
         {"[channel a b]\n", {NULL}, {NULL}},
         "t.conf:1: a channel pattern has 1 to 200 printable characters without blank , \" \\"},
	{"a pattern for another section",
         {"[log a]\n", {NULL}, {NULL}},
         "t.conf:1: only [channel PATTERN] has a pattern, not 'log'"},
	{"an option without a value",
         {"", {NULL}, {"log.level"}},
         "-o log.level: want section.key=value"},
	{"an option without a section", {"", {NULL}, {"level=info"}}, "-o level: unknown key"},
	{"an option of no section",
         {"", {NULL}, {"logs.level=info"}},
         "-o logs.level: unknown key"},
	{"an empty option", {"", {NULL}, {""}}, "-o : want section.key=value"},
	{"an option without a pattern",
         {"", {NULL}, {"channel.max_keys=1"}},
         "-o channel.max_keys: want channel.PATTERN.key=value"},
	{"an option without a pattern, behind blanks",
         {"", {NULL}, {"channel  .max_keys=1"}},
         "-o channel  .max_keys: want channel.PATTERN.key=value"},
	{"an option with an empty pattern",
         {"", {NULL}, {"channel..max_keys=1"}},
         "-o channel..max_keys: a channel pattern has 1 to 200 printable characters without blank "
         ", \" \\"},
	{"an option with an unknown key of rules",
         {"", {NULL}, {"channel.a.max=1"}},
         "-o channel.a.max: unknown key"},
	{"a channel option without a value",
         {"", {NULL}, {"channel.a.max_keys"}},
         "-o channel.a.max_keys: want channel.PATTERN.key=value"},
	{"there is a listener",
         {"[listen]\nhttp =\n", {NULL}, {NULL}},
         "t.conf:2: listen.http: nowhere to listen: set listen.http or listen.https"},
	{"a public listener without a key",
         {"", {NULL}, {"listen.http=127.0.0.1:1,0.0.0.0:2"}},
         "-o listen.http: 0.0.0.0:2 is not on loopback and no key is set: set auth.jwt_secret, "
         "auth.jwt_public_key_file or auth.api_key, or auth.open = yes"},
	{"a public https listener without a key",
         {"[listen]\nhttps=[::]:2\n[tls]\ncert=c\nkey=k", {NULL}, {NULL}},
         "t.conf:2: listen.https: [::]:2 is not on loopback and no key is set: set "
         "auth.jwt_secret, "
         "auth.jwt_public_key_file or auth.api_key, or auth.open = yes"},
	{"https needs a certificate",
         {"", {"STARLING_LISTEN_HTTPS=[::1]:1"}, {NULL}},
         "STARLING_LISTEN_HTTPS: needs tls.cert and tls.key"},
	{"a certificate needs its key", {"", {NULL}, {"tls.cert=c"}}, "-o tls.cert: needs tls.key"},
	{"a key needs its certificate", {"", {NULL}, {"tls.key=k"}}, "-o tls.key: needs tls.cert"},
	{"a secret is given in one way",
         {"", {NULL}, {"auth.jwt_secret=a", "auth.jwt_secret_file=b"}},
         "-o auth.jwt_secret_file: auth.jwt_secret is set too; keep one of them"},
	{"an API key is given in one way",
         {"", {NULL}, {"auth.api_key=a", "auth.api_key_file=b"}},
         "-o auth.api_key_file: auth.api_key is set too; keep one of them"},
	{"a mesh secret is given in one way",
         {"", {NULL}, {"mesh.secret=a", "mesh.secret_file=b"}},
         "-o mesh.secret_file: mesh.secret is set too; keep one of them"},
	{"a connection is pinged before it is dead",
         {"", {NULL}, {"heartbeat.interval=60s"}},
         "heartbeat.timeout: must be longer than heartbeat.interval"},
	{"who joins must listen",
         {"", {NULL}, {"mesh.join=a:1"}},
         "-o mesh.join: needs mesh.listen"},
	{"who advertises must listen",
         {"", {NULL}, {"mesh.advertise=a:1"}},
         "-o mesh.advertise: needs mesh.listen"},
	{"who listens must have a secret",
         {"", {NULL}, {"mesh.listen=127.0.0.1:1"}},
         "-o mesh.listen: needs mesh.secret or mesh.secret_file"},
	{"nodes pass on what fits their frames",
         {"", {NULL}, {"mesh.listen=127.0.0.1:1", "mesh.secret=s", "limits.message_size=1025KiB"}},
         "-o limits.message_size: the nodes of a mesh pass on messages of 1MiB at most"},
	{"nodes do not meet on a local socket",
         {"", {NULL}, {"mesh.listen=unix:/s", "mesh.secret=s"}},
         "-o mesh.listen: nodes meet over TCP, not unix:"},
	{"an address that nodes tell each other is not too long",
         {"",
          {NULL},
          {"mesh.listen=127.0.0.1:1", "mesh.secret=s",
           "mesh.join="
           "a23456789.a23456789.a23456789.a23456789.a23456789.a23456789."
           "a23456789.a23456789.a23456789.a23456789.a23456789.a23456789."
           "a23456789.a23456789.a23456789.a23456789.a23456789.a23456789."
           "a23456789.a23456789.a23456789.a23456789.a23456789.a23456789."
           "abcdefghi.com:65535"}},
         "-o mesh.join: an address has 255 bytes at most"},
};

static int load(struct config *config, const struct given *given, struct buf *error)
{
	struct config_sources sources = {
		.file = "t.conf",
		.environment = (char *const *)given->environment,
		.options = (char *const *)given->options,
	};
	while (given->options[sources.option_count] != NULL)
		sources.option_count++;
	struct slice text = slice_string(given->text);
	char *guarded = guard_copy(text);
	int result = config_parse_text(config, slice_of(guarded, text.len), &sources, error);
	guard_drop(guarded, text.len);
	CHECK((result < 0) == (error->len > 0));
	return result;
}

static void load_or_die(struct config *config, const struct given *given)
{
	struct buf error = {0};
	int result = load(config, given, &error);
	if (result < 0)
		fprintf(stderr, "%.*s\n", (int)error.len, error.at);
	CHECK(result == 0);
}

/* Passes over everything up to and including the line that is `wanted`. */
static void skip_past(struct slice *listed, const char *wanted)
{
	struct slice line;
	bool is_there = false;
	while (!is_there && slice_cut(listed, '\n', &line))
		is_there = slice_is(line, wanted);
	if (!is_there)
		fprintf(stderr, "missing: %s\n", wanted);
	CHECK(is_there);
}

static void check_good(size_t i)
{
	struct config config;
	struct buf out = {0};
	load_or_die(&config, &goods[i].given);
	config_print(&config, &out);
	struct slice listed = buf_view(&out);
	for (size_t k = 0; k < LIST_MAX && goods[i].lines[k] != NULL; k++)
		skip_past(&listed, goods[i].lines[k]);
	buf_free(&out);
	config_free(&config);
}

static void check_bad(size_t i)
{
	struct config config;
	struct buf error = {0};
	CHECK(load(&config, &bads[i].given, &error) == -EINVAL);
	bool is_as_told = slice_is(buf_view(&error), bads[i].complaint);
	if (!is_as_told)
		fprintf(stderr, "%.*s\n", (int)error.len, error.at);
	CHECK(is_as_told);
	CHECK(config.entries == NULL); /* nothing is left to free */
	buf_free(&error);
}

static void check_listing(void)
{
	static const struct given given = {"", {"STARLING_AUTH_API_KEY=k"}, {NULL}};
	struct config config;
	struct buf out = {0};
	printf("config: every key is listed, in the order of the table\n");
	load_or_die(&config, &given);
	config_print(&config, &out);
	CHECK(slice_is(buf_view(&out), listing));
	buf_free(&out);
	config_free(&config);
}

static void check_members(void)
{
	static const struct given given = {
		"[listen]\necho=yes\ntrusted_proxies=10.0.0.0/8\n"
		"[workers]\ncount=3\npin_cpus=no\nprivate_fds=yes\n"
		"[auth]\napi_key=a,b\nallowed_origins=*\n"
		"[limits]\nheader_size=2KiB\nheader_timeout=2s\nmessage_rate=7/s\n"
		"[heartbeat]\ninterval=1s\ntimeout=2s\n"
		"[channel a*]\nsubscribe=user\npublish=none\nhistory_size=0\nhistory_ttl=1m\n"
		"presence=count\npresence_grace=0\ndeliver_last=yes\nmax_keys=9\nthrottle=50ms\n"
		"overflow=conflate\n[log]\nlevel=error\nformat=json\n",
		{NULL},
		{NULL},
	};
	struct config config;
	printf("config: each value arrives in its member\n");
	load_or_die(&config, &given);
	CHECK(config.listen.http.count == 1 && config.listen.http.list[0].port == 8000);
	CHECK(config.listen.echo && config.listen.trusted_proxies.list[0].prefix_bits == 8);
	CHECK(config.workers.count == 3 && !config.workers.pin_cpus && config.workers.private_fds);
	CHECK(config.auth.api_key.count == 2 && strcmp(config.auth.api_key.list[1], "b") == 0);
	CHECK(config.auth.allowed_origins.rule == CONFIG_ORIGIN_ANY && !config.is_open);
	CHECK(config.limits.header_size_bytes == 2048 && config.limits.header_timeout_ms == 2000);
	CHECK(config.limits.message_rate == 7 && config.limits.outbound_buffer_bytes == 1 << 20);
	CHECK(config.heartbeat.interval_ms == 1000 && config.heartbeat.timeout_ms == 2000);
	CHECK(config.mesh.partition == CONFIG_PARTITION_MERGE && config.mesh.replicas == 3);
	CHECK(strcmp(config.mesh.cluster, "starling") == 0 && config.drain.time_ms == 30000);
	CHECK(config.log.level == CONFIG_LOG_ERROR && config.log.format == CONFIG_LOG_JSON);

	const struct rule *rule = rules_find(&config.rules, SLICE("abc"));
	CHECK(rule->subscribe == RULE_USER && rule->publish == RULE_NONE);
	CHECK(rule->history_size == 0 && rule->history_ttl_ms == 60000);
	CHECK(rule->presence == RULE_PRESENCE_COUNT && rule->presence_grace_ms == 0);
	CHECK(rule->deliver_last && rule->max_keys == 9 && rule->throttle_ms == 50);
	CHECK(rule->overflow == RULE_OVERFLOW_CONFLATE);
	rule = rules_find(&config.rules, SLICE("b"));
	CHECK(strcmp(rule->pattern, "*") == 0 && rule->subscribe == RULE_TOKEN);
	config_free(&config);
}

/* The number of settings from options; each line of the listing becomes an option. */
static size_t make_options(struct slice listed, char **options)
{
	struct slice line;
	size_t count = 0;
	while (slice_cut(&listed, '\n', &line) && line.len > 0) {
		const char *mark = memmem(line.at, line.len, "  # ", 4);
		const char *equals = memmem(line.at, line.len, " = ", 3);
		CHECK(mark != NULL && equals != NULL);
		struct buf option = {0};
		buf_append(&option, line.at, (size_t)(equals - line.at));
		buf_char(&option, '=');
		buf_append(&option, equals + 3, (size_t)(mark - equals - 3));
		buf_char(&option, '\0');
		options[count++] = option.at;
	}
	return count;
}

static void drop_sources(struct slice listed, struct buf *out)
{
	struct slice line;
	while (slice_cut(&listed, '\n', &line) && line.len > 0) {
		const char *mark = memmem(line.at, line.len, "  # ", 4);
		CHECK(mark != NULL);
		buf_append(out, line.at, (size_t)(mark - line.at));
		buf_char(out, '\n');
	}
}

static void check_round_trip(void)
{
	static const struct given given = {
		"[channel a=b.c:*]\nmax_keys = 7\n[channel #x]\npresence = full\n"
		"[auth]\njwt_public_key_file = /etc/k = v.pem\n[mesh]\nname = n\n",
		{NULL},
		{NULL},
	};
	struct config config, again;
	struct buf first = {0}, second = {0}, expected = {0}, got = {0}, error = {0};
	printf("config: what is listed, given as options, is listed again\n");
	load_or_die(&config, &given);
	config_print(&config, &first);

	char *options[CONFIG_KEY_COUNT + 2 * CONFIG_RULE_KEY_COUNT];
	struct config_sources sources = {.options = options};
	sources.option_count = make_options(buf_view(&first), options);
	CHECK(sources.option_count == COUNT_OF(options));
	CHECK(config_parse_text(&again, slice_of(NULL, 0), &sources, &error) == 0);
	config_print(&again, &second);

	drop_sources(buf_view(&first), &expected);
	drop_sources(buf_view(&second), &got);
	CHECK(slice_equals(buf_view(&expected), buf_view(&got)));
	for (size_t i = 0; i < sources.option_count; i++)
		free(options[i]);
	buf_free(&first);
	buf_free(&second);
	buf_free(&expected);
	buf_free(&got);
	config_free(&config);
	config_free(&again);
}

/* Cut off anywhere, a file is a config or one complaint. */
static void check_prefixes(const char *whole)
{
	printf("config: a file may end anywhere\n");
	for (size_t len = 0; len <= strlen(whole); len++) {
		char *text = strndup(whole, len);
		struct given given = {text, {NULL}, {NULL}};
		struct config config;
		struct buf error = {0};
		CHECK(text != NULL);
		if (load(&config, &given, &error) == 0)
			config_free(&config);
		else
			CHECK(memchr(error.at, '\n', error.len) == NULL);
		buf_free(&error);
		free(text);
	}
}

static void check_rule_limit(size_t count, int expected)
{
	struct buf text = {0}, error = {0};
	for (size_t i = 0; i < count; i++)
		buf_format(&text, "[channel c%zu]\n", i);
	struct config_sources sources = {.file = "t.conf"};
	struct config config;
	CHECK(config_parse_text(&config, buf_view(&text), &sources, &error) == expected);
	if (expected == 0) {
		CHECK(config.rules.count == count + 1);
		config_free(&config);
	} else {
		CHECK(slice_is(buf_view(&error), "t.conf:1024: too many channel rules"));
	}
	buf_free(&text);
	buf_free(&error);
}

static void check_restarts(void)
{
	static const struct given old = {"", {NULL}, {NULL}};
	static const struct given next = {
		"[log]\nlevel=warn\n[limits]\nconnections=9\n[channel a]\nmax_keys=3\n"
		"[workers]\ncount=2\n[drain]\ntime=1s\n[heartbeat]\ninterval=1s\n"
		"[listen]\necho=yes\ntrusted_proxies=unix\nhttp=127.0.0.1:1\n",
		{NULL},
		{NULL},
	};
	struct config a, b;
	struct buf keys = {0};
	printf("config: a reload names the keys that need a restart\n");
	load_or_die(&a, &old);
	load_or_die(&b, &next);
	config_find_restarts(&a, &b, &keys);
	CHECK(slice_is(buf_view(&keys), "listen.http, workers.count"));

	printf("config: a reload of the same names none\n");
	buf_clear(&keys);
	config_find_restarts(&b, &b, &keys);
	CHECK(keys.len == 0);
	buf_free(&keys);
	config_free(&a);
	config_free(&b);
}

/* Files. */

static void write_file(const char *path, struct slice text)
{
	FILE *file = fopen(path, "w");
	CHECK(file != NULL);
	CHECK(fwrite(text.at, 1, text.len, file) == text.len);
	CHECK(fclose(file) == 0);
}

static void check_file(const char *path, struct slice text, int expected, const char *complaint)
{
	struct config_sources sources = {.file = path};
	struct config config;
	struct buf error = {0}, wanted = {0};
	if (text.at != NULL)
		write_file(path, text);
	CHECK(config_load(&config, &sources, &error) == expected);
	if (expected == 0)
		config_free(&config);
	else
		buf_format(&wanted, "%s%s", path, complaint);
	CHECK(slice_equals(buf_view(&error), buf_view(&wanted)));
	buf_free(&error);
	buf_free(&wanted);
}

static void check_files(const char *path)
{
	static char huge[CONFIG_FILE_MAX + 1];
	memset(huge, '\n', sizeof(huge));
	printf("config: a file is read\n");
	check_file(path, SLICE("[log]\nlevel = warn\n"), 0, NULL);
	printf("config: a file's line is told\n");
	check_file(path, SLICE("\n\n[lag]\n"), -EINVAL, ":3: unknown section 'lag'");
	printf("config: the largest file is read\n");
	check_file(path, slice_of(huge, CONFIG_FILE_MAX), 0, NULL);
	printf("config: one byte more is too large\n");
	check_file(path, slice_of(huge, sizeof(huge)), -EFBIG, ": File too large");
	printf("config: a file that is not there\n");
	CHECK(unlink(path) == 0);
	check_file(path, slice_of(NULL, 0), -ENOENT, ": No such file or directory");
	printf("config: a directory is no file\n");
	check_file("/", slice_of(NULL, 0), -EISDIR, ": Is a directory");
}

/* Reading again. */

#define NO_KEY                                                                                     \
	" is not on loopback and no key is set: set auth.jwt_secret, auth.jwt_public_key_file or " \
	"auth.api_key, or auth.open = yes"

static const struct {
	const char *name;
	const char *old, *next;
	const char *restarts;
	const char
		*complaint; /* behind the file's name; NULL: good, and this is what then holds: */
	const char *http;
	uint32_t workers, history_size;
	bool is_open;
} reloads[] = {
	{
		"read again, what can change does",
		"[listen]\nhttp=127.0.0.1:1\n[workers]\ncount=2\n",
		"[listen]\nhttp=127.0.0.1:1\n[workers]\ncount=2\n[channel *]\nhistory_size=7\n",
		.restarts = "",
		.http = "127.0.0.1:1",
		.workers = 2,
		.history_size = 7,
		.is_open = true,
	},
	{
		"read again, the rest stays and is named",
		"[listen]\nhttp=127.0.0.1:1, 127.0.0.1:2\n[workers]\ncount=2\n",
		"[listen]\nhttp=127.0.0.1:3\n[workers]\ncount=auto\n[channel *]\nhistory_size=7\n",
		.restarts = "listen.http, workers.count",
		.http = "127.0.0.1:1",
		.workers = 2,
		.history_size = 7,
		.is_open = true,
	},
	{
		"a key may come",
		"",
		"[auth]\napi_key=k\n",
		.restarts = "",
		.http = "127.0.0.1:8000",
		.history_size = 100,
	},
	{
		"read again, a bad line is told",
		"",
		"[limits]\nconnections=many\n",
		.complaint =
			":2: limits.connections: bad value 'many'; want a number (1..100000000)",
	},
	{
		"the last key may not go while others can reach the listeners that are there",
		"[listen]\nhttp=0.0.0.0:1\n[auth]\napi_key=k\n",
		"[listen]\nhttp=127.0.0.1:1\n",
		.restarts = "listen.http",
		.complaint = " as it was at the start: listen.http: 0.0.0.0:1" NO_KEY,
	},
	{
		"read again, a line is the one where the value stands now",
		"[listen]\nhttp=0.0.0.0:1\n[auth]\napi_key=k\n",
		"# no key\n\n[listen]\nhttp=0.0.0.0:1\n",
		.restarts = "",
		.complaint = ":4: listen.http: 0.0.0.0:1" NO_KEY,
	},
};

static void check_reload(size_t i, const char *path)
{
	struct config_sources sources = {.file = path};
	struct config running, next;
	struct buf error = {0}, restarts = {0}, complaint = {0};
	write_file(path, slice_string(reloads[i].old));
	CHECK(config_load(&running, &sources, &error) == 0);
	write_file(path, slice_string(reloads[i].next));
	int result = config_reload(&next, &running, &restarts, &error);
	if (reloads[i].restarts != NULL)
		CHECK(slice_is(buf_view(&restarts), reloads[i].restarts));
	if (reloads[i].complaint != NULL) {
		buf_format(&complaint, "%s%s", path, reloads[i].complaint);
		CHECK(result == -EINVAL);
		CHECK(slice_equals(buf_view(&error), buf_view(&complaint)));
	} else {
		CHECK(result == 0);
		CHECK(strcmp(next.listen.http.list[0].text, reloads[i].http) == 0);
		CHECK(next.workers.count == reloads[i].workers);
		CHECK(next.rules.list[0].history_size == reloads[i].history_size);
		CHECK(next.is_open == reloads[i].is_open);
		config_free(&next);
	}
	buf_free(&error);
	buf_free(&restarts);
	buf_free(&complaint);
	config_free(&running);
}

static void check_reloads(const char *path)
{
	for (size_t i = 0; i < COUNT_OF(reloads); i++) {
		printf("config: %s\n", reloads[i].name);
		check_reload(i, path);
	}
}

static const struct {
	const char *name;
	struct slice text;
	const char *secret; /* NULL: refused */
} secrets[] = {
	{"a secret file without a newline", {"s3cret", 6}, "s3cret"},
	{"the newline at the end is not the secret's", {"s3cret\n", 7}, "s3cret"},
	{"nor is that of CRLF", {"s3cret\r\n", 8}, "s3cret"},
	{"a second newline is", {"s3cret\n\n", 8}, "s3cret\n"},
	{"an empty secret file is an error", {"", 0}, NULL},
	{"a lone newline is no secret", {"\n", 1}, NULL},
};

static void check_secrets(const char *path)
{
	for (size_t i = 0; i < COUNT_OF(secrets); i++) {
		struct buf secret = {0}, error = {0};
		printf("config: %s\n", secrets[i].name);
		write_file(path, secrets[i].text);
		int result = config_read_secret(path, &secret, &error);
		CHECK(result == (secrets[i].secret == NULL ? -EINVAL : 0));
		CHECK((result < 0) == (error.len > 0));
		CHECK(result < 0 || slice_is(buf_view(&secret), secrets[i].secret));
		buf_free(&secret);
		buf_free(&error);
	}
	CHECK(unlink(path) == 0);
}

int main(void)
{
	check_listing();
	check_members();
	for (size_t i = 0; i < COUNT_OF(goods); i++) {
		printf("config: %s\n", goods[i].name);
		check_good(i);
	}
	for (size_t i = 0; i < COUNT_OF(bads); i++) {
		printf("config: %s\n", bads[i].name);
		check_bad(i);
	}
	check_round_trip();
	check_prefixes("[listen]\r\nhttp = [::1]:1, unix:/s # x\n[channel a]b]\nthrottle=5ms\n"
	               "[auth]\njwt_secret = s#s\nallowed_origins = https://a.b:1\n");
	printf("config: there may be many rules\n");
	check_rule_limit(RULE_COUNT_MAX - 1, 0);
	printf("config: one more is too many\n");
	check_rule_limit(RULE_COUNT_MAX, -EINVAL);
	check_restarts();

	char path[] = P_tmpdir "/config_test.XXXXXX";
	int descriptor = mkstemp(path);
	CHECK(descriptor >= 0);
	close(descriptor);
	check_files(path);
	check_reloads(path);
	check_secrets(path);
	return 0;
}
