#include "node/node.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/generation.h"
#include "node/worker.h"
#include "starling/limits.h"
#include "starling/version.h"

#define JOIN_LOOK_MS 20 /* between looks for a second signal, while stopping */

struct node {
	struct generation *generation; /* the one that holds; NULL before the first */
	struct edge_node self;
	struct edge_common common;
	char name[LISTEN_TEXT_MAX];
	struct post_office *office;
	uint32_t worker_count, started;
	struct worker *workers;
	struct tls_seed tls_seed; /* until all workers have it */
	struct entrance *entrances;
	size_t entrance_count;
	sem_t is_up;
	sigset_t signals, stop_signals; /* those we wait for, and those of them that mean stop */
};

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_MISUSED = 2 };

static int fail(int status, const char *what, const char *which, int error)
{
	fprintf(stderr, "starling: %s%s%s: %s\n", what, which[0] == '\0' ? "" : " ", which,
	        strerror(-error));
	return status;
}

static const struct config *config_of(const struct node *node)
{
	return &node->generation->config;
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

static int claim_entrances(struct node *node)
{
	const struct config_addresses *http = &config_of(node)->listen.http;
	const struct config_addresses *https = &config_of(node)->listen.https;
	int status = STATUS_DONE;
	node->entrances = calloc(http->count + https->count, sizeof(*node->entrances));
	if (node->entrances == NULL)
		return fail(STATUS_FAILED, "cannot start", "", -ENOMEM);
	for (size_t i = 0; i < http->count && status == STATUS_DONE; i++)
		status = claim(node, &http->list[i], false);
	for (size_t i = 0; i < https->count && status == STATUS_DONE; i++)
		status = claim(node, &https->list[i], true);
	return status;
}

static void release_entrances(struct node *node)
{
	for (size_t i = 0; i < node->entrance_count; i++) {
		if (node->entrances[i].shared < 0)
			continue;
		close(node->entrances[i].shared);
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

static int start_worker(struct node *node, const cpu_set_t *allowed) CONTROL_ONLY;
static int start_worker(struct node *node, const cpu_set_t *allowed)
{
	uint32_t number = node->started;
	struct worker_options options = {
		.number = number,
		.workers = node->worker_count,
		.control = node->worker_count,
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
		.is_up = &node->is_up,
	};
	if (RAND_bytes((unsigned char *)&options.seed, sizeof(options.seed)) != 1)
		return -EIO;
	int error = worker_start(&node->workers[number], &options);
	if (error != 0)
		return error;
	node->started++;
	while (sem_wait(&node->is_up) != 0)
		CHECK(errno == EINTR);
	return node->workers[number].error;
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
		node->worker_count = (uint32_t)CPU_COUNT(&allowed);
	if (node->worker_count > WORKERS_MAX)
		node->worker_count = WORKERS_MAX;
	node->workers = calloc(node->worker_count, sizeof(*node->workers));
	node->office = post_office_create(node->worker_count + 1, sizeof(struct letter));
	if (node->workers == NULL || node->office == NULL)
		return fail(STATUS_FAILED, "cannot start", "", -ENOMEM);
	for (uint32_t i = 0; i < node->worker_count; i++) {
		int error = start_worker(node, &allowed);
		if (error != 0)
			return fail(STATUS_FAILED, "cannot start a worker", "", error);
	}
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
	for (uint32_t i = 0; i < node->started; i++)
		worker_stop(&node->workers[i]);
	for (uint32_t i = 0; i < node->started; i++) {
		while (!worker_join(&node->workers[i], JOIN_LOOK_MS)) {
			if (signal_wait(&node->stop_signals, 0) != 0)
				_exit(STATUS_FAILED); /* a second time: at once */
		}
	}
	return status;
}

/* What was still under way between workers when they ended. */
static void discard_letters(struct node *node)
{
	struct letter letter;
	bool is_empty;
	do {
		is_empty = true;
		for (uint32_t me = 0; me <= node->worker_count; me++)
			mailbox_flush(node->office, me);
		for (uint32_t me = 0; me <= node->worker_count; me++) {
			while (mailbox_take(node->office, me, &letter)) {
				is_empty = false;
				if (letter.kind == LETTER_HUB)
					hub_mail_discard(&letter.hub);
				if (letter.kind == LETTER_EDGE)
					edge_mail_discard(&letter.edge);
				if (letter.kind == LETTER_GENERATION)
					generation_drop(letter.generation);
			}
		}
	} while (!is_empty);
}

/* ---- reading the configuration again ---- */

/* To all workers, or to none. */
static bool tell_workers(struct node *node, struct generation *next) CONTROL_ONLY;
static bool tell_workers(struct node *node, struct generation *next)
{
	if (!mailbox_has_room(node->office, node->worker_count, node->started))
		return false;
	for (uint32_t i = 0; i < node->started; i++)
		worker_adopt(&node->workers[i], next);
	return true;
}

static void reload(struct node *node) CONTROL_ONLY;
static void reload(struct node *node)
{
	struct config config;
	struct buf restarts = {0}, error = {0};
	struct generation *next = NULL;
	if (config_reload(&config, config_of(node), &restarts, &error) == 0)
		next = generation_create(&config, &error);
	if (next != NULL && !tell_workers(node, next)) {
		buf_string(&error, "out of memory");
		generation_drop(next);
		next = NULL;
	}
	if (next == NULL) {
		fprintf(stderr, "starling: the configuration stays as it was: %.*s\n",
		        (int)error.len, error.at);
	} else {
		generation_drop(node->generation);
		node->generation = next;
		fprintf(stderr, "starling: the configuration was read again%s%.*s\n",
		        restarts.len > 0 ? "; a restart is needed for " : "", (int)restarts.len,
		        restarts.at);
	}
	buf_free(&restarts);
	buf_free(&error);
}

static void wait_for_stop(struct node *node) CONTROL_ONLY;
static void wait_for_stop(struct node *node)
{
	int came = 0;
	while (sigismember(&node->stop_signals, came) != 1) {
		came = signal_wait(&node->signals, 3600 * 1000);
		if (came == SIGHUP)
			reload(node);
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
	sigaddset(&node->signals, SIGHUP); /* so a terminal that goes takes nobody along */
	CHECK(pthread_sigmask(SIG_BLOCK, &node->signals, NULL) == 0);
	CHECK(signal(SIGHUP, SIG_DFL) != SIG_ERR); /* one that is ignored does not come */
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

/* RFC 7518 section 3.2: from a token a secret shorter than the hash can be guessed. */
static bool has_weak_secret(const struct key_set *keys)
{
	const struct key *key =
		keys == NULL ? NULL : key_set_next(keys, NULL, KEY_HS256, slice_of(NULL, 0));
	return key != NULL && key->secret.len < 32;
}

static void greet(const struct node *node)
{
	const struct edge_settings *settings = &node->generation->settings;
	const char *credentials = settings->is_open ? "" : "-H 'Authorization: Bearer KEY' ";
	fprintf(stderr, "starling %s: %s, %u worker%s\n", STARLING_VERSION,
	        settings->is_open ? "open mode: anyone may do everything" : "keys required",
	        node->worker_count, node->worker_count == 1 ? "" : "s");
	if (has_weak_secret(settings->token_keys))
		fprintf(stderr, "  warning     auth.jwt_secret has less than 32 bytes: it can be "
		                "guessed from a token\n");
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
		fprintf(stderr,
		        "  publish     curl --json '\"hello\"' %s"
		        "'%s://%s/publish?channel=chat:lobby'\n",
		        credentials, scheme, text);
	}
}

static void make_name(struct node *node)
{
	const char *name = config_of(node)->mesh.name;
	if (name != NULL && name[0] != '\0')
		snprintf(node->name, sizeof(node->name), "%s", name);
	else if (node->entrance_count > 0)
		listen_text(&node->entrances[0].address, node->name);
	else
		snprintf(node->name, sizeof(node->name), "starling");
}

static bool draw(void *out, size_t len)
{
	return RAND_bytes(out, (int)len) == 1;
}

static int make_self(struct node *node)
{
	struct timespec now;
	make_name(node);
	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
	node->self = (struct edge_node){
		.name = node->name,
		.started_unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
	};
	if (!draw(&node->self.hash_key, sizeof(node->self.hash_key)) ||
	    !draw(&node->self.boot_id, sizeof(node->self.boot_id)) ||
	    !draw(node->tls_seed.bytes, sizeof(node->tls_seed.bytes)))
		return fail(STATUS_FAILED, "cannot start", "", -EIO);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0); /* as the loops tell the time */
	node->tls_seed.from_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	node->self.boot_id >>= 24; /* 40 bits are enough, and short */
	return STATUS_DONE;
}

static int start(struct node *node) CONTROL_ONLY;
static int start(struct node *node)
{
	int status = claim_entrances(node);
	if (status == STATUS_DONE)
		status = make_self(node);
	if (status == STATUS_DONE)
		status = start_workers(node);
	/* Each worker has made its own of it: see net/tls_ticket.h. */
	explicit_bzero(&node->tls_seed, sizeof(node->tls_seed));
	return status;
}

static void stop(struct node *node) CONTROL_ONLY;
static void stop(struct node *node)
{
	stop_workers(node);
	if (node->office != NULL)
		discard_letters(node);
	post_office_destroy(node->office);
	free(node->workers);
	release_entrances(node);
}

int node_run(struct config *config)
{
	role_enter_control();
	struct node node = {0};
	struct buf error = {0};
	node.generation = generation_create(config, &error);
	if (node.generation == NULL) {
		fprintf(stderr, "starling: %.*s\n", (int)error.len, error.at);
		buf_free(&error);
		return STATUS_MISUSED;
	}
	CHECK(sem_init(&node.is_up, 0, 0) == 0);
	raise_descriptor_limit();
	block_signals(&node);
	int status = start(&node);
	if (status == STATUS_DONE) {
		greet(&node);
		wait_for_stop(&node);
	}
	stop(&node);
	generation_drop(node.generation);
	sem_destroy(&node.is_up);
	return status;
}
