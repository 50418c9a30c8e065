#include "node/node.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/descriptors.h"
#include "node/drain.h"
#include "node/generation.h"
#include "node/mesher.h"
#include "node/pen.h"
#include "node/scribe.h"
#include "node/watch.h"
#include "node/worker.h"
#include "ops/complaint.h"
#include "ops/host.h"
#include "ops/journal.h"
#include "ops/service.h"
#include "starling/limits.h"
#include "starling/version.h"

#define JOIN_LOOK_MS 20    /* between looks for a second signal, while draining and stopping */
#define SCRIBE_END_MS 1000 /* for standard error to take the last lines */
#define STATUS_MS 5000     /* between words to the service manager of how it is */

struct node {
	struct generation *generation; /* the one that holds; NULL before the first */
	struct edge_node self;
	struct edge_common common;
	char name[MEMBER_TEXT_MAX + 1];
	struct post_office *office;
	uint32_t worker_count, started;
	uint32_t descriptors_max; /* for the connections of each worker */
	uint32_t office_members;
	struct mesher *mesher;            /* NULL: no mesh */
	bool has_mesher;                  /* its thread runs */
	struct listen_address mesh_place; /* where it listens */
	char address[MEMBER_TEXT_MAX + 1];
	char cluster[MEMBER_TEXT_MAX + 1];
	struct boot_id boot;  /* in the mesh */
	uint32_t handed_over; /* workers that have, while draining */
	struct worker *workers;
	struct relay_figures *relay_figures; /* of each worker; NULL: no mesh */
	struct tls_seed tls_seed;            /* until all workers have it */
	struct entrance *entrances;
	size_t entrance_count;
	sem_t is_up;
	sigset_t signals, stop_signals; /* those we wait for, and those of them that mean stop */
	unsigned stops;                 /* of which so many came */
	struct service service;
	struct service_sockets sockets; /* handed over */
	struct pen pen; /* of this thread: it writes itself, until there is a scribe */
	struct scribe scribe;
	bool has_scribe; /* its thread runs */
	struct watch watch;
	uint64_t told_ms; /* when the service manager heard last how it is */
	struct drain_up drain_up;
	struct drain_handover drain_handover;
	struct node_drain drain;
};

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_MISUSED = 2 };

static int fail(int status, const char *what, const char *which, int error)
{
	fprintf(stderr, "starling: %s%s%s: %s\n", what, which[0] == '\0' ? "" : " ", which,
	        strerror(-error));
	return status;
}

static int misuse(const char *what, const char *which)
{
	fprintf(stderr, "starling: %s '%s'\n", what, which);
	return STATUS_MISUSED;
}

/* As the loops tell the time. */
static uint64_t now_us(void)
{
	struct timespec now;
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void)
{
	return now_us() / 1000;
}

static bool draw(void *out, size_t len)
{
	return RAND_bytes(out, (int)len) == 1;
}

static const struct config *config_of(const struct node *node)
{
	return &node->generation->config;
}

/* [log] may have changed; what was counted is kept. */
static void set_journal(struct node *node)
{
	static_assert((int)JOURNAL_ERROR == (int)CONFIG_LOG_ERROR, "the same words");
	node->pen.journal.least = (enum journal_level)config_of(node)->log.level;
	node->pen.journal.is_json = config_of(node)->log.format == CONFIG_LOG_JSON;
}

static void flush_journal(struct node *node)
{
	pen_flush(&node->pen);
	mailbox_flush(node->office, node->worker_count);
}

/* ---- addresses ---- */

static bool address_of(const struct config_address *configured, struct listen_address *address)
{
	if (configured->family == AF_UNIX)
		return listen_unix(address, configured->host);
	return listen_ip(address, configured->host, configured->port);
}

static int claim(struct node *node, const struct config_address *configured, bool is_secure)
{
	struct entrance *entrance = &node->entrances[node->entrance_count];
	*entrance = (struct entrance){.shared = -1, .is_secure = is_secure};
	CHECK(address_of(configured, &entrance->address)); /* the config was checked */
	int error = listen_claim(&entrance->address);
	if (error == 0 && listen_is_unix(&entrance->address)) {
		entrance->shared = listen_open(&entrance->address, 0);
		error = entrance->shared < 0 ? entrance->shared : 0;
	}
	if (error != 0)
		return fail(STATUS_FAILED, "cannot listen on", configured->text, error);
	node->entrance_count++;
	return STATUS_DONE;
}

/* What it takes to serve whoever comes by a socket that was handed over: others can reach it as
 * they can ours, and the configuration does not know of it. NULL: it is there. */
static const char *find_missing(const struct entrance *entrance,
                                const struct generation *generation)
{
	const struct edge_settings *settings = &generation->settings;
	struct address address = listen_address_of(&entrance->address);
	if (entrance->is_secure && settings->tls == NULL)
		return "tls.cert and tls.key are needed for the socket";
	if (settings->is_open && !generation->config.auth.open && !address_is_loopback(&address))
		return "without a key in [auth] others must not reach the socket";
	return NULL;
}

/* A socket that was handed over, instead of one of ours. */
static int take_over(struct node *node, const struct service_socket *socket)
{
	struct entrance *entrance = &node->entrances[node->entrance_count];
	const struct edge_settings *settings = &node->generation->settings;
	*entrance = (struct entrance){.shared = socket->fd, .is_handed_over = true};
	entrance->is_secure = strcmp(socket->name, "https") == 0;
	if (!entrance->is_secure && strcmp(socket->name, "http") != 0)
		return misuse("the name of a socket that is handed over must be http or https, not",
		              socket->name);
	int error = listen_adopt(socket->fd, (uint32_t)settings->heartbeat_timeout_ms,
	                         &entrance->address);
	if (error != 0)
		return fail(STATUS_FAILED, "cannot take over the socket", socket->name, error);
	const char *missing = find_missing(entrance, node->generation);
	if (missing != NULL)
		return misuse(missing, socket->name);
	node->entrance_count++;
	return STATUS_DONE;
}

static bool has_handed_over(const struct node *node, bool is_secure)
{
	bool has = false;
	for (size_t i = 0; i < node->entrance_count; i++)
		has |= node->entrances[i].is_handed_over &&
		       node->entrances[i].is_secure == is_secure;
	return has;
}

static int claim_all(struct node *node, const struct config_addresses *addresses, bool is_secure)
{
	int status = STATUS_DONE;
	if (has_handed_over(node, is_secure))
		return status;
	for (size_t i = 0; i < addresses->count && status == STATUS_DONE; i++)
		status = claim(node, &addresses->list[i], is_secure);
	return status;
}

static int claim_entrances(struct node *node)
{
	const struct config_addresses *http = &config_of(node)->listen.http;
	const struct config_addresses *https = &config_of(node)->listen.https;
	const struct service_sockets *sockets = &node->sockets;
	int status = STATUS_DONE;
	node->entrances =
		calloc(sockets->count + http->count + https->count, sizeof(*node->entrances));
	if (node->entrances == NULL)
		return fail(STATUS_FAILED, "cannot start", "", -ENOMEM);
	for (size_t i = 0; i < sockets->count && status == STATUS_DONE; i++)
		status = take_over(node, &sockets->list[i]);
	if (status == STATUS_DONE)
		status = claim_all(node, http, false);
	if (status == STATUS_DONE)
		status = claim_all(node, https, true);
	return status;
}

/* Where other nodes meet this one, and the address that they are told. */
static int claim_mesh(struct node *node)
{
	const struct config *config = config_of(node);
	char text[LISTEN_TEXT_MAX];
	if (config->mesh.listen.count == 0)
		return STATUS_DONE;
	const struct config_address *configured = &config->mesh.listen.list[0];
	CHECK(address_of(configured, &node->mesh_place)); /* the config was checked */
	int error = listen_claim(&node->mesh_place);
	if (error != 0)
		return fail(STATUS_FAILED, "cannot listen on", configured->text, error);
	struct listen_address reachable = node->mesh_place;
	listen_make_reachable(&reachable);
	listen_text(&reachable, text);
	bool is_given = config->mesh.advertise.count > 0;
	snprintf(node->address, sizeof(node->address), "%s",
	         is_given ? config->mesh.advertise.list[0].text : text);
	node->mesher = mesher_create();
	return node->mesher == NULL ? fail(STATUS_FAILED, "cannot start", "", -ENOMEM)
	                            : STATUS_DONE;
}

static void release_entrances(struct node *node)
{
	for (size_t i = 0; i < node->entrance_count; i++) {
		if (node->entrances[i].shared < 0)
			continue;
		close(node->entrances[i].shared);
		if (!node->entrances[i].is_handed_over)
			listen_remove(&node->entrances[i].address);
	}
	free(node->entrances);
}

/* ---- workers ---- */

/* The CPUs this process may run on, one after the other. */
static int nth_cpu(const cpu_set_t *allowed, uint32_t n)
{
	int count = CPU_COUNT(allowed);
	uint32_t wanted = count > 0 ? n % (uint32_t)count : 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET((size_t)cpu, allowed) && wanted-- == 0)
			return cpu;
	}
	return 0;
}

static struct mesher_settings mesher_settings_of(const struct generation *generation)
{
	return (struct mesher_settings){
		.keys = generation->mesh_keys,
		.least = (enum journal_level)generation->config.log.level,
		.is_json = generation->config.log.format == CONFIG_LOG_JSON,
	};
}

static void wait_until_up(struct node *node)
{
	while (sem_wait(&node->is_up) != 0)
		CHECK(errno == EINTR);
}

/* In the post office: behind the workers and the control thread. */
static uint32_t scribe_number(const struct node *node)
{
	return node->worker_count + 1;
}

static uint32_t mesher_number(const struct node *node)
{
	return node->worker_count + 2;
}

static int start_worker(struct node *node, const cpu_set_t *allowed) CONTROL_ONLY;
static int start_worker(struct node *node, const cpu_set_t *allowed)
{
	uint32_t number = node->started;
	struct worker_options options = {
		.number = number,
		.workers = node->worker_count,
		.control = node->worker_count,
		.mesher = mesher_number(node),
		.scribe = scribe_number(node),
		.has_mesh = node->mesher != NULL,
		.figures = node->mesher == NULL ? NULL : mesher_figures(node->mesher),
		.relay_figures = node->relay_figures,
		.boot = node->boot,
		.replicas = (uint32_t)config_of(node)->mesh.replicas,
		.partition = (enum slots_partition)config_of(node)->mesh.partition,
		.address = node->address,
		.office = node->office,
		.node = &node->self,
		.common = &node->common,
		.generation = node->generation,
		.tls_seed = &node->tls_seed,
		.entrances = node->entrances,
		.entrance_count = node->entrance_count,
		.pins_cpu = config_of(node)->workers.pin_cpus,
		.has_private_fds = config_of(node)->workers.private_fds,
		.cpu = nth_cpu(allowed, number),
		.descriptors_max = node->descriptors_max,
		.is_up = &node->is_up,
	};
	if (RAND_bytes((unsigned char *)&options.seed, sizeof(options.seed)) != 1)
		return -EIO;
	int error = worker_start(&node->workers[number], &options);
	if (error != 0)
		return error;
	node->started++;
	wait_until_up(node);
	return node->workers[number].error;
}

/* Once all that the workers share is open. */
static int deal_descriptors(struct node *node) CONTROL_ONLY;
static int deal_descriptors(struct node *node)
{
	uint64_t limit;
	node->descriptors_max = descriptors_deal(node->worker_count, node->entrance_count,
	                                         config_of(node)->workers.private_fds, &limit);
	if (node->descriptors_max > 0)
		return STATUS_DONE;
	fprintf(stderr,
	        "starling: cannot start: RLIMIT_NOFILE of %" PRIu64 " is too low for %u workers\n",
	        limit, node->worker_count);
	return STATUS_FAILED;
}

static int start_workers(struct node *node) CONTROL_ONLY;
static int start_workers(struct node *node)
{
	cpu_set_t allowed;
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return fail(STATUS_FAILED, "cannot start", "", -errno);
	node->worker_count = config_of(node)->workers.count;
	if (node->worker_count == 0)
		node->worker_count = host_workers();
	node->workers = calloc(node->worker_count, sizeof(*node->workers));
	if (node->mesher != NULL)
		node->relay_figures = calloc(node->worker_count, sizeof(*node->relay_figures));
	node->office_members = node->worker_count + 2 + (node->mesher != NULL);
	node->office = post_office_create(node->office_members, sizeof(struct letter));
	bool has_figures = node->mesher == NULL || node->relay_figures != NULL;
	if (node->workers == NULL || node->office == NULL || !has_figures)
		return fail(STATUS_FAILED, "cannot start", "", -ENOMEM);
	int status = deal_descriptors(node);
	for (uint32_t i = 0; i < node->worker_count && status == STATUS_DONE; i++) {
		int error = start_worker(node, &allowed);
		if (error != 0)
			status = fail(STATUS_FAILED, "cannot start a worker", "", error);
	}
	return status;
}

/* After the workers, so that none of them keeps its descriptors open. */
static int start_mesher(struct node *node) CONTROL_ONLY;
static int start_mesher(struct node *node)
{
	const struct config_addresses *join = &config_of(node)->mesh.join;
	char *seeds[CONFIG_LIST_MAX];
	if (node->mesher == NULL)
		return STATUS_DONE;
	for (size_t i = 0; i < join->count; i++)
		seeds[i] = join->list[i].text;
	struct mesher_options options = {
		.number = mesher_number(node),
		.workers = node->worker_count,
		.control = node->worker_count,
		.scribe = scribe_number(node),
		.office = node->office,
		.node = &node->self,
		.common = &node->common,
		.listen = node->mesh_place,
		.boot = node->boot,
		.replicas = (uint8_t)config_of(node)->mesh.replicas,
		.keeps_silent = config_of(node)->mesh.partition == CONFIG_PARTITION_PAUSE,
		.address = node->address,
		.seeds = seeds,
		.seed_count = join->count,
		.settings = mesher_settings_of(node->generation),
		.is_up = &node->is_up,
	};
	if (!draw(&options.seed, sizeof(options.seed)))
		return fail(STATUS_FAILED, "cannot start", "", -EIO);
	int error = mesher_start(node->mesher, &options);
	node->has_mesher = error == 0;
	if (error == 0) {
		wait_until_up(node);
		error = mesher_error(node->mesher);
	}
	return error == 0 ? STATUS_DONE : fail(STATUS_FAILED, "cannot start the mesh", "", error);
}

/* And so does the scribe; from here on this thread leaves its lines to it. */
static int start_scribe(struct node *node) CONTROL_ONLY;
static int start_scribe(struct node *node)
{
	struct scribe *scribe = &node->scribe;
	*scribe = (struct scribe){.office = node->office,
	                          .number = scribe_number(node),
	                          .control = node->worker_count,
	                          .is_up = &node->is_up,
	                          .lost = &node->common.lines_lost};
	int error = scribe_start(scribe);
	node->has_scribe = error == 0;
	if (error == 0) {
		wait_until_up(node);
		error = scribe->error;
	}
	if (error != 0)
		return fail(STATUS_FAILED, "cannot start", "", error);
	pen_init(&node->pen, node->office, node->worker_count, scribe_number(node),
	         &node->common.lines_lost);
	return STATUS_DONE;
}

/* Waits for one of these signals; 0: none in that time. */
static int signal_wait(const sigset_t *signals, uint64_t wait_ms)
{
	struct timespec wait = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
	int came = sigtimedwait(signals, NULL, &wait);
	return came > 0 ? came : 0;
}

static int stop_workers(struct node *node) CONTROL_ONLY;
static int stop_workers(struct node *node)
{
	int status = STATUS_DONE;
	if (node->has_mesher)
		mesher_drain(node->mesher);
	for (uint32_t i = 0; i < node->started; i++)
		worker_stop(&node->workers[i]);
	for (uint32_t i = 0; i < node->started; i++) {
		while (!worker_join(&node->workers[i], JOIN_LOOK_MS)) {
			if (signal_wait(&node->stop_signals, 0) != 0)
				_exit(STATUS_FAILED); /* a second time: at once */
		}
	}
	if (node->has_mesher)
		mesher_leave(node->mesher);
	while (node->has_mesher && !mesher_join(node->mesher, JOIN_LOOK_MS)) {
		if (signal_wait(&node->stop_signals, 0) != 0)
			_exit(STATUS_FAILED);
	}
	return status;
}

/* What it has is written. False: nobody takes it. */
static bool stop_scribe(struct node *node) CONTROL_ONLY;
static bool stop_scribe(struct node *node)
{
	if (!node->has_scribe)
		return true;
	flush_journal(node);
	scribe_stop(&node->scribe);
	return scribe_join(&node->scribe, SCRIBE_END_MS);
}

/* What was still under way between workers when they ended. */
static void discard_letters(struct node *node)
{
	struct letter letter;
	bool is_empty;
	do {
		is_empty = true;
		for (uint32_t me = 0; me < node->office_members; me++)
			mailbox_flush(node->office, me);
		for (uint32_t me = 0; me < node->office_members; me++) {
			while (mailbox_take(node->office, me, &letter)) {
				is_empty = false;
				letter_discard(&letter);
			}
		}
	} while (!is_empty);
}

/* ---- reading the configuration again ---- */

/* False: a socket that was handed over cannot do without what is gone. */
static bool suits_entrances(const struct node *node, const struct generation *next,
                            struct buf *error)
{
	const char *missing = NULL;
	for (size_t i = 0; missing == NULL && i < node->entrance_count; i++) {
		const struct entrance *entrance = &node->entrances[i];
		missing = entrance->is_handed_over ? find_missing(entrance, next) : NULL;
		if (missing != NULL)
			buf_format(error, "%s '%s'", missing,
			           entrance->is_secure ? "https" : "http");
	}
	return missing == NULL;
}

/* To all workers, or to none. */
static bool tell_workers(struct node *node, struct generation *next,
                         struct buf *error) CONTROL_ONLY;
static bool tell_workers(struct node *node, struct generation *next, struct buf *error)
{
	if (!mailbox_has_room(node->office, node->worker_count, node->started)) {
		buf_string(error, "out of memory");
		return false;
	}
	for (uint32_t i = 0; i < node->started; i++)
		worker_adopt(&node->workers[i], next);
	if (node->has_mesher) {
		struct mesher_settings settings = mesher_settings_of(next);
		mesher_adopt(node->mesher, &settings);
	}
	return true;
}

/* RFC 7518 section 3.2: from a token a secret shorter than the hash can be guessed. */
static bool has_weak_secret(const struct key_set *keys)
{
	const struct key *key =
		keys == NULL ? NULL : key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	return key != NULL && key->secret.len < 32;
}

static void warn_of_secret(struct node *node)
{
	if (has_weak_secret(node->generation->settings.token_keys))
		journal_say(&node->pen.journal, JOURNAL_WARN, "weak_secret",
		            "warning: auth.jwt_secret has less than 32 bytes: it can be guessed "
		            "from a token");
}

static void reload(struct node *node) CONTROL_ONLY;
static void reload(struct node *node)
{
	bool was_open = node->generation->settings.is_open;
	struct config config;
	struct buf restarts = {0}, error = {0};
	struct generation *next = NULL;
	service_tell(&node->service, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us());
	if (config_reload(&config, config_of(node), &restarts, &error) == 0)
		next = generation_create(&config, node->generation, &error);
	if (next != NULL &&
	    (!suits_entrances(node, next, &error) || !tell_workers(node, next, &error))) {
		generation_drop(next);
		next = NULL;
	}
	if (next == NULL) {
		struct slice why = complaint_of(&error);
		journal_say(&node->pen.journal, JOURNAL_ERROR, "reload_failed",
		            "the configuration stays as it was: %.*s", (int)why.len, why.at);
	} else {
		generation_drop(node->generation);
		node->generation = next;
		set_journal(node);
		journal_say(&node->pen.journal, JOURNAL_INFO, "reload",
		            "the configuration was read again%s%.*s",
		            restarts.len > 0 ? "; a restart is needed for " : "", (int)restarts.len,
		            restarts.at);
		if (next->settings.is_open && !was_open)
			journal_say(&node->pen.journal, JOURNAL_WARN, "open_mode",
			            "warning: open mode from now on: anyone may do everything");
		warn_of_secret(node);
	}
	service_tell(&node->service, "READY=1");
	buf_free(&restarts);
	buf_free(&error);
}

/* ---- draining ---- */

static struct node *node_of(const struct drain_up *up)
{
	return CONTAINER_OF(up, struct node, drain_up);
}

static void up_refuse_new(struct drain_up *up)
{
	role_enter_control();
	struct node *node = node_of(up);
	for (uint32_t i = 0; i < node->started; i++)
		worker_drain(&node->workers[i]);
	if (node->has_mesher)
		mesher_drain(node->mesher);
}

static void up_send_away(struct drain_up *up, uint64_t time_ms)
{
	role_enter_control();
	struct node *node = node_of(up);
	for (uint32_t i = 0; i < node->started; i++)
		worker_send_away(&node->workers[i], time_ms);
}

static uint32_t up_clients(const struct drain_up *up)
{
	return atomic_load_explicit(&node_of(up)->common.clients, memory_order_relaxed);
}

/* Workers begin when they hear that the node drains, and say when they have done. */
static bool handover_is_over(const struct drain_handover *handover)
{
	const struct node *node = CONTAINER_OF(handover, struct node, drain_handover);
	return node->handed_over == node->started;
}

static void begin_drain(struct node *node)
{
	uint64_t time_ms = config_of(node)->drain.time_ms;
	node->drain.time_ms = time_ms;
	journal_say(&node->pen.journal, JOURNAL_INFO, "drain",
	            "draining %u clients over %" PRIu64 " ms; a second signal ends it at once",
	            up_clients(&node->drain_up), time_ms);
	service_tell(&node->service, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
	             (time_ms + DRAIN_HANDOVER_MS + 10000) * 1000);
	node_drain_begin(&node->drain, now_ms());
}

static bool is_draining(const struct node *node)
{
	return node->drain.step != DRAIN_NOT;
}

/* ---- while it runs ---- */

static void take_signal(struct node *node, int came) CONTROL_ONLY;
static void take_signal(struct node *node, int came)
{
	if (came == SIGHUP) {
		reload(node);
		return;
	}
	if (came != WORKER_DRAIN_SIGNAL && node->stops++ > 0)
		_exit(STATUS_FAILED); /* a second time: at once */
	if (!is_draining(node))
		begin_drain(node);
}

/* Tells the service manager that all workers live, and asks them again. */
static void beat(struct node *node) CONTROL_ONLY;
static void beat(struct node *node)
{
	struct letter letter;
	while (mailbox_take(node->office, node->worker_count, &letter)) {
		CHECK(letter.kind == LETTER_BEAT || letter.kind == LETTER_HANDED_OVER);
		if (letter.kind == LETTER_BEAT)
			watch_answer(&node->watch, letter.beat);
		else
			node->handed_over++;
	}
	if (watch_is_late(&node->watch, now_ms()))
		journal_say(&node->pen.journal, JOURNAL_ERROR, "stuck",
		            "%u of %u workers have not answered for %" PRIu64 " ms",
		            node->watch.awaited, node->started, now_ms() - node->watch.sent_ms);
	if (!watch_is_due(&node->watch, now_ms()))
		return;
	service_tell(&node->service, "WATCHDOG=1");
	for (uint32_t i = 0; i < node->started; i++)
		worker_beat(&node->workers[i], node->watch.beat);
}

static void tell_status(struct node *node)
{
	if (now_ms() - node->told_ms < STATUS_MS)
		return;
	node->told_ms = now_ms();
	service_tell(&node->service, "STATUS=%s %u clients",
	             is_draining(node) ? "Draining" : "Serving", up_clients(&node->drain_up));
}

/* Until the next thing that is to be done without a signal. */
static uint64_t control_wait_ms(const struct node *node)
{
	uint64_t wait = node->service.fd >= 0 ? STATUS_MS : 3600 * 1000;
	if (is_draining(node))
		return JOIN_LOOK_MS;
	/* Answers come at once, and are looked at in half an interval. */
	if (node->watch.interval_ms > 0 && node->watch.interval_ms / 2 < wait)
		wait = node->watch.interval_ms / 2 + 1;
	return wait;
}

static void serve(struct node *node) CONTROL_ONLY;
static void serve(struct node *node)
{
	node->drain.up = &node->drain_up;
	node->drain.handover = node->has_mesher ? &node->drain_handover : NULL;
	watch_begin(&node->watch, node->service.watchdog_ms, node->started, now_ms());
	service_tell(&node->service, "READY=1\nSTATUS=Serving");
	node->told_ms = now_ms();
	bool is_over = false;
	while (!is_over) {
		flush_journal(node);
		int came = signal_wait(&node->signals, control_wait_ms(node));
		if (came != 0)
			take_signal(node, came);
		beat(node);
		tell_status(node);
		is_over = is_draining(node) && node_drain_look(&node->drain, now_ms());
	}
}

/* ---- start and stop ---- */

/* Descriptors are what connections are made of: as many as we may have. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* refused: then as many as we have */
}

static void block_signals(struct node *node)
{
	sigemptyset(&node->stop_signals);
	sigaddset(&node->stop_signals, SIGTERM);
	sigaddset(&node->stop_signals, SIGINT);
	node->signals = node->stop_signals;
	sigaddset(&node->signals, WORKER_DRAIN_SIGNAL);
	sigaddset(&node->signals, SIGHUP); /* so a terminal that goes takes nobody along */
	CHECK(pthread_sigmask(SIG_BLOCK, &node->signals, NULL) == 0);
	CHECK(signal(SIGHUP, SIG_DFL) != SIG_ERR); /* one that is ignored does not come */
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

/* For people: what to open, and what to type. */
static void write_banner(const struct node *node)
{
	const struct edge_settings *settings = &node->generation->settings;
	const char *credentials = settings->is_open ? "" : "-H 'Authorization: Bearer KEY' ";
	for (size_t i = 0; i < node->entrance_count; i++) {
		char text[LISTEN_TEXT_MAX];
		const struct entrance *entrance = &node->entrances[i];
		const char *scheme = entrance->is_secure ? "https" : "http";
		listen_text(&entrance->address, text);
		if (listen_is_unix(&entrance->address)) {
			fprintf(stderr, "  listens on  %s (%s)\n", text, scheme);
			continue;
		}
		fprintf(stderr, "  page        %s://%s/\n", scheme, text);
		fprintf(stderr, "  console     %s://%s/console\n", scheme, text);
		fprintf(stderr,
		        "  publish     curl --json '\"hello\"' %s"
		        "'%s://%s/publish?channel=chat:lobby'\n",
		        credentials, scheme, text);
	}
}

static void greet(struct node *node)
{
	const struct edge_settings *settings = &node->generation->settings;
	const char *mode =
		settings->is_open ? "open mode: anyone may do everything" : "keys required";
	const char *plural = node->worker_count == 1 ? "" : "s";
	if (node->pen.journal.is_json)
		journal_say(&node->pen.journal, JOURNAL_INFO, "start",
		            "starling %s: %s, %u worker%s", STARLING_VERSION, mode,
		            node->worker_count, plural);
	else if (node->pen.journal.least <= JOURNAL_INFO)
		fprintf(stderr, "starling %s: %s, %u worker%s\n", STARLING_VERSION, mode,
		        node->worker_count, plural);
	warn_of_secret(node);
	if (!node->pen.journal.is_json && node->pen.journal.least <= JOURNAL_INFO)
		write_banner(node);
}

static void make_name(struct node *node)
{
	const char *name = config_of(node)->mesh.name;
	if (name != NULL && name[0] != '\0')
		snprintf(node->name, sizeof(node->name), "%s", name);
	else if (node->mesher != NULL)
		snprintf(node->name, sizeof(node->name), "%s", node->address);
	else if (node->entrance_count > 0)
		listen_text(&node->entrances[0].address, node->name);
	else
		snprintf(node->name, sizeof(node->name), "starling");
	if (node->mesher == NULL && node->entrance_count > 0)
		listen_text(&node->entrances[0].address, node->address);
}

static int make_self(struct node *node)
{
	snprintf(node->cluster, sizeof(node->cluster), "%s", config_of(node)->mesh.cluster);
	make_name(node);
	node->self = (struct edge_node){
		.name = node->name,
		.cluster = node->cluster,
		.started_unix_ms = journal_now_ms(),
		.started_ms = now_ms(),
		.has_private_fds = config_of(node)->workers.private_fds,
	};
	if (!draw(&node->self.hash_key, sizeof(node->self.hash_key)) ||
	    !draw(&node->boot, sizeof(node->boot)) ||
	    !draw(node->tls_seed.bytes, sizeof(node->tls_seed.bytes)))
		return fail(STATUS_FAILED, "cannot start", "", -EIO);
	node->tls_seed.from_ms = now_ms();
	node->self.boot_id = roster_short_id(node->boot);
	return STATUS_DONE;
}

static int start(struct node *node) CONTROL_ONLY;
static int start(struct node *node)
{
	int status = claim_entrances(node);
	if (status == STATUS_DONE)
		status = claim_mesh(node);
	if (status == STATUS_DONE)
		status = make_self(node);
	if (status == STATUS_DONE)
		status = start_workers(node);
	/* Each worker has made its own of it: see net/tls_ticket.h. */
	explicit_bzero(&node->tls_seed, sizeof(node->tls_seed));
	if (status == STATUS_DONE)
		status = start_mesher(node);
	if (status == STATUS_DONE)
		status = start_scribe(node);
	return status;
}

static void stop(struct node *node, int status) CONTROL_ONLY;
static void stop(struct node *node, int status)
{
	stop_workers(node);
	if (!stop_scribe(node)) {
		release_entrances(node);
		_exit(status); /* its thread holds on to the rest */
	}
	pen_free(&node->pen);
	if (node->office != NULL)
		discard_letters(node);
	post_office_destroy(node->office);
	mesher_destroy(node->mesher);
	free(node->workers);
	free(node->relay_figures);
	release_entrances(node);
}

int node_run(struct config *config)
{
	role_enter_control();
	struct node node = {0};
	struct buf error = {0};
	node.generation = generation_create(config, NULL, &error);
	if (node.generation == NULL) {
		struct slice why = complaint_of(&error);
		fprintf(stderr, "starling: %.*s\n", (int)why.len, why.at);
		buf_free(&error);
		return STATUS_MISUSED;
	}
	CHECK(sem_init(&node.is_up, 0, 0) == 0);
	node.drain_up = (struct drain_up){up_refuse_new, up_send_away, up_clients};
	node.drain_handover = (struct drain_handover){handover_is_over};
	int useless = service_open(&node.service);
	if (useless != 0)
		(void)fail(STATUS_DONE, "cannot tell the service manager", "", useless);
	service_take_sockets(&node.sockets);
	raise_descriptor_limit();
	block_signals(&node);
	set_journal(&node);
	int status = start(&node);
	if (status == STATUS_DONE) {
		greet(&node);
		serve(&node);
	}
	stop(&node, status);
	service_close(&node.service);
	generation_drop(node.generation);
	sem_destroy(&node.is_up);
	return status;
}
