/*
 * crowd.c - a crowd of subscribed WebSocket clients on one host: what they cost a server at rest,
 * and how it speaks to all of them.
 *
 *   bench/crowd --pid PID [--connections N] [--rooms K] [--resume M] [--rest SECONDS]
 *               [--users FIRST] [--spare-mib MIB] [--json FILE] ADDRESS:PORT
 *
 * N clients subscribe, the first one to room:0, the next one to room:1, and after room:K-1 comes
 * room:0 again. They rest; one message goes to each room; then M of them close their sockets, a
 * message is published that they miss, and they come back with the cursor they had. With --users
 * they are users, uFIRST and on, and rest, no more. When the host has less than --spare-mib of
 * memory left the program gives up at once, with status 1.
 */
#include "crowd.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "die.h"
#include "group.h"
#include "kernel.h"

#define LOOK_NS 10000000l
#define PROGRESS_NS 5000000000ull
#define PATIENCE_NS (300 * 1000000000ull) /* for any one phase */

struct options {
	uint64_t pid, connections, rooms, resume, rest_s, spare_mib, first;
	bool has_users;
	const char *json;
	struct sockaddr_in server;
};

struct reading {
	struct kernel_memory kernel;
	uint64_t server_bytes, client_bytes;
};

/* What is measured from one moment to another. */
struct span {
	uint64_t ns;
	double server_cpu, client_cpu;
};

struct crowd {
	struct options options;
	struct plan plan;
	struct group *groups;
	uint32_t group_count;
	FILE *json;
};

/* ---- figures ---- */

static struct reading reading_take(const struct crowd *crowd)
{
	return (struct reading){
		.kernel = kernel_memory(),
		.server_bytes = kernel_process_bytes((long)crowd->options.pid),
		.client_bytes = kernel_process_bytes(getpid()),
	};
}

static struct span span_begin(const struct crowd *crowd)
{
	return (struct span){
		.ns = kernel_clock_ns(),
		.server_cpu = kernel_cpu_seconds((long)crowd->options.pid),
		.client_cpu = kernel_cpu_seconds(getpid()),
	};
}

static struct span span_end(const struct crowd *crowd, struct span span)
{
	struct span now = span_begin(crowd);
	return (struct span){now.ns - span.ns, now.server_cpu - span.server_cpu,
	                     now.client_cpu - span.client_cpu};
}

static double seconds(struct span span)
{
	return (double)span.ns / 1e9;
}

/* A figure, as a line for people and as a member for programs. */
static void tell(struct crowd *crowd, const char *name, double value, const char *unit)
{
	printf("  %-44s %14.*f %s\n", name, value < 100 ? 2 : 0, value, unit);
	fflush(stdout);
	if (crowd->json != NULL)
		fprintf(crowd->json, ",\"%s, %s\":%.3f", name, unit, value);
}

static void tell_span(struct crowd *crowd, const char *what, struct span span)
{
	char name[64];
	snprintf(name, sizeof(name), "%s: time", what);
	tell(crowd, name, seconds(span), "s");
	snprintf(name, sizeof(name), "%s: CPU of the server", what);
	tell(crowd, name, span.server_cpu, "s");
	snprintf(name, sizeof(name), "%s: CPU of the clients", what);
	tell(crowd, name, span.client_cpu, "s");
}

/* ---- waiting ---- */

typedef uint64_t figure(const struct group_counters *counters);

static uint64_t subscribed(const struct group_counters *counters)
{
	return counters->subscribed;
}

static uint64_t left(const struct group_counters *counters)
{
	return counters->left;
}

static uint64_t returned(const struct group_counters *counters)
{
	return counters->recovered + counters->lost;
}

static uint64_t recovered(const struct group_counters *counters)
{
	return counters->recovered;
}

static uint64_t messages(const struct group_counters *counters)
{
	return counters->messages;
}

static uint64_t resumed_messages(const struct group_counters *counters)
{
	return counters->resumed_messages;
}

static uint64_t pings(const struct group_counters *counters)
{
	return counters->pings;
}

static uint64_t closed(const struct group_counters *counters)
{
	return counters->closed;
}

static uint64_t sum(const struct crowd *crowd, figure *of)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < crowd->group_count; i++)
		total += of(&crowd->groups[i].counters);
	return total;
}

/* Less memory than that, and the kernel would choose what to end. */
static void look_at_memory(const struct crowd *crowd)
{
	if (kernel_memory().available_bytes >= crowd->options.spare_mib * KIB * KIB)
		return;
	fprintf(stderr, "bench/crowd: %llu clients are in\n",
	        (unsigned long long)sum(crowd, subscribed));
	die("the host has less memory left than --spare-mib");
}

static void await(const struct crowd *crowd, const char *what, figure *of, uint64_t wanted)
{
	const struct timespec pause = {0, LOOK_NS};
	uint64_t start = kernel_clock_ns(), told = start;
	for (uint64_t now = start; sum(crowd, of) < wanted; now = kernel_clock_ns()) {
		unsigned long long count = sum(crowd, of);
		nanosleep(&pause, NULL);
		look_at_memory(crowd);
		if (sum(crowd, closed) > 0)
			die("the server has closed a connection");
		if (now - start > PATIENCE_NS) {
			fprintf(stderr, "bench/crowd: %llu %s\n", count, what);
			die("that is all that came in five minutes");
		}
		if (now - told > PROGRESS_NS) {
			told = now;
			fprintf(stderr, "%6.0f s  %llu %s\n", (double)(now - start) / 1e9, count,
			        what);
		}
	}
}

static void phase_set(struct crowd *crowd, enum phase phase)
{
	atomic_store_explicit(&crowd->plan.phase, phase, memory_order_release);
}

/* ---- the phases ---- */

static void come(struct crowd *crowd)
{
	struct span span = span_begin(crowd);
	for (uint32_t i = 0; i < crowd->group_count; i++)
		group_start(&crowd->groups[i]);
	await(crowd, "are subscribed", subscribed, crowd->options.connections);
	phase_set(crowd, PHASE_LISTEN);
	tell_span(crowd, "connect and subscribe all", span_end(crowd, span));
}

static void rest(struct crowd *crowd)
{
	struct span span = span_begin(crowd);
	uint64_t pings_before = sum(crowd, pings);
	while (kernel_clock_ns() - span.ns < crowd->options.rest_s * 1000000000) {
		sleep(1);
		look_at_memory(crowd);
	}
	span = span_end(crowd, span);
	tell(crowd, "at rest: pings answered",
	     (double)(sum(crowd, pings) - pings_before) / seconds(span), "a second");
	tell(crowd, "at rest: CPU of the server", 100 * span.server_cpu / seconds(span), "%");
}

static double each(const struct crowd *crowd, uint64_t before, uint64_t after)
{
	return ((double)after - (double)before) / (double)crowd->options.connections;
}

static void tell_memory(struct crowd *crowd, const struct reading *before)
{
	struct reading now = reading_take(crowd);
	const struct kernel_memory *was = &before->kernel, *is = &now.kernel;
	tell(crowd, "server process", (double)now.server_bytes / KIB / KIB, "MiB");
	tell(crowd, "of that before the first client", (double)before->server_bytes / KIB / KIB,
	     "MiB");
	tell(crowd, "server, per connection", each(crowd, before->server_bytes, now.server_bytes),
	     "bytes");
	tell(crowd, "clients, per connection", each(crowd, before->client_bytes, now.client_bytes),
	     "bytes");
	tell(crowd, "kernel, per connection (both ends): slab",
	     each(crowd, was->slab_bytes, is->slab_bytes), "bytes");
	tell(crowd, "kernel, per connection: TCP buffers",
	     each(crowd, was->tcp_bytes, is->tcp_bytes), "bytes");
	tell(crowd, "host, per connection: all that is used",
	     each(crowd, is->available_bytes, was->available_bytes), "bytes");
	tell(crowd, "host, left", (double)is->available_bytes / KIB / KIB, "MiB");
}

static void publish(struct crowd *crowd, uint32_t number)
{
	uint64_t now = kernel_clock_ns();
	atomic_store_explicit(&crowd->plan.published_ns, now, memory_order_relaxed);
	publisher_publish(&crowd->plan.server, crowd->plan.rooms, number, crowd->plan.cursors);
}

static void broadcast(struct crowd *crowd)
{
	static struct latency all;
	struct span span = span_begin(crowd);
	publish(crowd, 1);
	await(crowd, "messages have come", messages, crowd->options.connections);
	span = span_end(crowd, span);
	tell_span(crowd, "one message to all", span);
	tell(crowd, "one message to all: CPU of the server a million",
	     span.server_cpu * 1e6 / (double)crowd->options.connections, "s");
	for (uint32_t i = 0; i < crowd->group_count; i++)
		latency_add(&all, &crowd->groups[i].latency);
	tell(crowd, "one message to all: half have it after", latency_ms(&all, 0.5), "ms");
	tell(crowd, "one message to all: 99 % have it after", latency_ms(&all, 0.99), "ms");
}

/* The cursors are those of the broadcast: what is published meanwhile is what they miss. */
static void leave_and_resume(struct crowd *crowd)
{
	static char later[PUBLISHER_ROOMS_MAX][CURSOR_BYTES];
	uint64_t count = crowd->options.resume, staying = crowd->options.connections - count;
	phase_set(crowd, PHASE_LEAVE);
	await(crowd, "have left", left, count);
	phase_set(crowd, PHASE_LISTEN);
	uint64_t had = sum(crowd, messages);
	publisher_publish(&crowd->plan.server, crowd->plan.rooms, 2, later);
	await(crowd, "messages have come", messages, had + staying);

	struct span span = span_begin(crowd);
	phase_set(crowd, PHASE_RESUME);
	await(crowd, "have come back", returned, count);
	await(crowd, "missed messages have come", resumed_messages, count);
	tell_span(crowd, "resume storm", span_end(crowd, span));
	tell(crowd, "resume storm: came back", (double)count, "clients");
	tell(crowd, "resume storm: recovered", (double)sum(crowd, recovered), "clients");
	tell(crowd, "resume storm: missed messages got", (double)sum(crowd, resumed_messages),
	     "messages");
}

/* ---- start ---- */

static _Noreturn void usage(void)
{
	die("usage: crowd --pid PID [--connections N] [--rooms K] [--resume M] [--rest SECONDS]"
	    " [--users FIRST] [--spare-mib MIB] [--json FILE] ADDRESS:PORT");
}

static bool address_read(char *text, struct sockaddr_in *address)
{
	uint64_t port;
	char *colon = strrchr(text, ':');
	if (colon == NULL || !text_to_u64(slice_string(colon + 1), &port) || port > UINT16_MAX)
		return false;
	*colon = '\0';
	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, text, &address->sin_addr) == 1;
}

static struct options options_read(int argc, char **argv)
{
	static const struct option names[] = {
		{"pid", required_argument, NULL, 'p'},
		{"connections", required_argument, NULL, 'n'},
		{"rooms", required_argument, NULL, 'k'},
		{"resume", required_argument, NULL, 'm'},
		{"rest", required_argument, NULL, 'r'},
		{"spare-mib", required_argument, NULL, 's'},
		{"users", required_argument, NULL, 'u'},
		{"json", required_argument, NULL, 'j'},
		{0},
	};
	struct options options = {.connections = 10000, .rooms = 1, .rest_s = 5, .spare_mib = 1536};
	int name;
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		uint64_t *number = name == 'p'   ? &options.pid
		                   : name == 'n' ? &options.connections
		                   : name == 'k' ? &options.rooms
		                   : name == 'm' ? &options.resume
		                   : name == 'r' ? &options.rest_s
		                   : name == 's' ? &options.spare_mib
		                   : name == 'u' ? &options.first
		                                 : NULL;
		options.has_users |= name == 'u';
		if (name == 'j')
			options.json = optarg;
		else if (number == NULL || !text_to_u64(slice_string(optarg), number))
			usage();
	}
	if (optind != argc - 1 || !address_read(argv[optind], &options.server))
		usage();
	if (options.pid == 0 || options.connections == 0 || options.connections > 10000000 ||
	    options.rooms == 0 || options.rooms > PUBLISHER_ROOMS_MAX ||
	    options.resume > options.connections || options.first > UINT32_MAX / 2)
		usage();
	return options;
}

/* What is to be shared out: the part of number `i` of `count`. */
static uint32_t part_of(uint64_t all, uint32_t i, uint32_t count)
{
	return (uint32_t)(all * (i + 1) / count - all * i / count);
}

static void crowd_share_out(struct crowd *crowd)
{
	const struct options *options = &crowd->options;
	uint32_t first = (uint32_t)options->first;
	crowd->group_count =
		(uint32_t)((options->connections + GROUP_CLIENTS_MAX - 1) / GROUP_CLIENTS_MAX);
	crowd->groups = calloc(crowd->group_count, sizeof(*crowd->groups));
	CHECK(crowd->groups != NULL);
	for (uint32_t i = 0; i < crowd->group_count; i++) {
		uint32_t count = part_of(options->connections, i, crowd->group_count);
		uint32_t leave = part_of(options->resume, i, crowd->group_count);
		crowd->groups[i] = (struct group){
			.plan = &crowd->plan,
			.number = i,
			.count = count,
			.first = first,
			.leave_count = leave < count ? leave : count,
		};
		first += count;
	}
}

int main(int argc, char **argv)
{
	static struct crowd crowd;
	crowd.options = options_read(argc, argv);
	crowd.plan.server = crowd.options.server;
	crowd.plan.rooms = (uint32_t)crowd.options.rooms;
	crowd.plan.window = 64;
	crowd.plan.has_users = crowd.options.has_users;
	crowd_share_out(&crowd);
	if (crowd.options.json != NULL) {
		crowd.json = fopen(crowd.options.json, "a");
		if (crowd.json == NULL)
			die_errno(crowd.options.json);
		fprintf(crowd.json, "{\"bench\":\"million\",\"connections\":%llu,\"rooms\":%u",
		        (unsigned long long)crowd.options.connections, crowd.plan.rooms);
	}
	struct reading before = reading_take(&crowd);
	come(&crowd);
	rest(&crowd);
	tell_memory(&crowd, &before);
	if (!crowd.options.has_users)
		broadcast(&crowd);
	if (crowd.options.resume > 0 && !crowd.options.has_users)
		leave_and_resume(&crowd);
	if (crowd.json != NULL && (fprintf(crowd.json, "}\n") < 0 || fclose(crowd.json) != 0))
		die_errno(crowd.options.json);
	phase_set(&crowd, PHASE_END);
	for (uint32_t i = 0; i < crowd.group_count; i++)
		group_join(&crowd.groups[i]);
	free(crowd.groups);
	return 0;
}
