#include "kit/plan.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "kit/clock.h"
#include "kit/complain.h"
#include "kit/mode.h"
#include "kit/protocol.h"

enum option_kind {
	OPTION_COUNT, /* uint32_t */
	OPTION_LONG,  /* uint64_t */
	OPTION_SECONDS,
	OPTION_TEXT,
	OPTION_PROTOCOL,
	OPTION_ADDRESS,
	OPTION_PIDS,
};

static const struct option {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *help;
} options[] = {
#define OPTION(name, kind, member, help)                                                           \
	{                                                                                          \
		name, OPTION_##kind, offsetof(struct plan, member), help                           \
	}
	OPTION("--connections", COUNT, connections,
               "followers; or who echoes, or who comes and goes"),
	OPTION("--channels", COUNT, channels, "that they follow, in turn; 0: one for each"),
	OPTION("--stuck", COUNT, stuck, "so many of the followers read nothing"),
	OPTION("--size", COUNT, size, "bytes of a payload"),
	OPTION("--rate", LONG, rate, "open loop: messages a second, come what may"),
	OPTION("--flight", COUNT, flight, "closed loop: messages under way"),
	OPTION("--messages", LONG, messages, "ends after so many"),
	OPTION("--seconds", SECONDS, seconds_ns, "ends after that time"),
	OPTION("--warmup", SECONDS, warmup_ns, "before that, not measured"),
	OPTION("--settle", SECONDS, settle_ns, "quiet before anything is measured"),
	OPTION("--patience", SECONDS, patience_ns, "what has not come for so long is missing"),
	OPTION("--missed", COUNT, missed, "resume: messages of a channel while all are away"),
	OPTION("--opening", COUNT, opening, "connections that a thread opens at once"),
	OPTION("--threads", COUNT, threads, "more of them where descriptors are short"),
	OPTION("--publishers", COUNT, publishers, "connections that publish"),
	OPTION("--pid", PIDS, server, "the server's processes, with commas"),
	OPTION("--json", TEXT, json, "a file that gets a line with the results"),
	OPTION("--name", TEXT, name, "of this run, in the results"),
	OPTION("--protocol", PROTOCOL, follow, "of the followers"),
	OPTION("--path", TEXT, follow.words.path, "that they ask for"),
	OPTION("--back-path", TEXT, follow.words.back_path, "the same with a cursor (%s)"),
	OPTION("--subscribe", TEXT, follow.words.subscribe, "what they say then"),
	OPTION("--resume", TEXT, follow.words.resume, "the same with a cursor"),
	OPTION("--answer", TEXT, follow.words.answer, "words in the answer; empty: there is none"),
	OPTION("--gap", TEXT, follow.words.gap, "words that tell a loss"),
	OPTION("--channel", TEXT, follow.channel,
               "its name; a number follows where there are many"),
	OPTION("--publish-to", ADDRESS, publish, "where the publisher connects to"),
	OPTION("--publish-protocol", PROTOCOL, publish, "what it speaks"),
	OPTION("--publish-path", TEXT, publish.words.path, "that it asks for"),
	OPTION("--publish", TEXT, publish.words.publish, "what it says; of an echo: what is said"),
#undef OPTION
};

static void list_options(void)
{
	puts("usage: load MODE [OPTION VALUE]... HOST:PORT\n\nmodes:");
	for (size_t i = 0; mode_at(i) != NULL; i++)
		printf("  %-20s %s\n", mode_at(i)->name, mode_at(i)->what);
	puts("\noptions; %c is the channel, %d the payload, %s a cursor:");
	for (size_t i = 0; i < COUNT_OF(options); i++)
		printf("  %-20s %s\n", options[i].name, options[i].help);
	puts("\nprotocols:");
	for (size_t i = 0; protocol_at(i) != NULL; i++)
		printf("  %-20s %s\n", protocol_at(i)->name, protocol_at(i)->what);
	exit(0);
}

static uint64_t read_number(const struct option *option, const char *text, uint64_t max)
{
	uint64_t value;
	if (!text_to_u64(slice_string(text), &value) || value > max)
		die(0, "%s: %s is not a number it takes", option->name, text);
	return value;
}

static uint64_t read_seconds(const struct option *option, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e6))
		die(0, "%s: %s is not a number of seconds", option->name, text);
	return (uint64_t)(seconds * NS_PER_S);
}

static void set_protocol(struct endpoint *endpoint, const char *name)
{
	endpoint->protocol = protocol_find(name);
	if (endpoint->protocol == NULL)
		die(0, "%s is no protocol", name);
}

static void set_option(struct plan *plan, const struct option *option, const char *text)
{
	void *member = (char *)plan + option->offset;
	switch (option->kind) {
	case OPTION_COUNT:
		*(uint32_t *)member = (uint32_t)read_number(option, text, INT32_MAX);
		break;
	case OPTION_LONG:
		*(uint64_t *)member = read_number(option, text, INT32_MAX);
		break;
	case OPTION_SECONDS:
		*(uint64_t *)member = read_seconds(option, text);
		break;
	case OPTION_TEXT:
		*(const char **)member = text;
		break;
	case OPTION_PROTOCOL:
		set_protocol(member, text);
		break;
	case OPTION_ADDRESS:
		if (!endpoint_set_address(member, text))
			die(0, "%s: %s is no HOST:PORT", option->name, text);
		break;
	case OPTION_PIDS:
		if (!gauge_init(member, slice_string(text)))
			die(0, "%s: %s is no list of pids", option->name, text);
		break;
	}
}

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	die(0, "%s is no option; load --help lists them", name);
}

/* What the command line left open: the protocol's own words. */
static void fill_words(struct words *words, const struct words *own)
{
#define FILL(word) words->word = words->word == NULL ? own->word : words->word
	FILL(path);
	FILL(back_path);
	FILL(subscribe);
	FILL(resume);
	FILL(publish);
	FILL(answer);
	FILL(gap);
#undef FILL
	if (words->answer != NULL && *words->answer == '\0')
		words->answer = NULL;
}

/* One cannot publish over what a follower speaks: then it is done as Starling does it. */
static void complete_endpoints(struct plan *plan)
{
	struct endpoint *follow = &plan->follow, *publish = &plan->publish;
	if (publish->protocol == NULL && follow->protocol->publish == NULL)
		publish->protocol = &protocol_native;
	if (publish->protocol == NULL)
		publish->protocol = follow->protocol;
	if (publish->host == NULL) {
		publish->host = follow->host;
		publish->address = follow->address;
	}
	/* The publisher opens as the followers do, when it speaks as they do. */
	if (publish->words.path == NULL && publish->protocol == follow->protocol)
		publish->words.path = follow->words.path;
	if (plan->mode->is_bare && follow->words.publish == NULL)
		follow->words.publish = publish->words.publish;
	fill_words(&follow->words, &follow->protocol->words);
	fill_words(&publish->words, &publish->protocol->words);
	follow->channels = publish->channels = plan->channels;
	publish->channel = follow->channel;
}

static void check(const struct plan *plan)
{
	if (plan->connections == 0 || plan->opening == 0 || plan->flight == 0)
		die(0, "--connections, --opening and --flight are 1 at least");
	if (plan->size < STAMP_BYTES)
		die(0, "--size is %d at least: that is what a stamp takes", STAMP_BYTES);
	if (plan->stuck > plan->connections)
		die(0, "more are stuck than there are");
	if (plan->publish.protocol->publish == NULL && plan->publishers > 0)
		die(0, "one cannot publish over %s", plan->publish.protocol->name);
}

void plan_read(struct plan *plan, int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0)
		list_options();
	*plan = (struct plan){
		.mode = mode_find(argv[1]),
		.follow = {.protocol = &protocol_native, .channel = "bench"},
		.channels = 1,
		.publishers = 1,
		.threads = 1,
		.size = 128,
		.opening = 128,
		.flight = 1,
		.warmup_ns = NS_PER_S,
		.seconds_ns = (uint64_t)10 * NS_PER_S,
		.settle_ns = NS_PER_S / 2,
		.patience_ns = (uint64_t)2 * NS_PER_S,
	};
	if (plan->mode == NULL)
		die(0, "%s is no mode; load --help lists them", argv[1]);
	plan->mode->adapt(plan);
	int i = 2;
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2)
		set_option(plan, find_option(argv[i]), argv[i + 1]);
	if (i != argc - 1)
		die(0, "HOST:PORT is expected at the end");
	if (!endpoint_set_address(&plan->follow, argv[i]))
		die(0, "%s is no HOST:PORT", argv[i]);
	if (plan->channels == 0)
		plan->channels = plan->connections;
	if (plan->messages > 0)
		plan->seconds_ns = 0;
	complete_endpoints(plan);
	check(plan);
}
