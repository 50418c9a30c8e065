#include "node/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "net/loop.h"
#include "node/thread.h"
#include "starling/limits.h"

/* Clients get so long to take our goodbye; then the connections are cut. */
#define GOODBYE_MS 3000
/* How often slots have their tick all the same while letters wait, for room or to be taken. */
#define CONGESTED_TICK_MS 1000
#define TURNS_BEHIND 4 /* that it takes to take in what has come */

static struct worker *worker_of(struct loop_handler *handler)
{
	return CONTAINER_OF(handler, struct worker, handler);
}

/* ---- what the loop asks ---- */

static void on_begin(struct loop_handler *handler)
{
	edge_begin(worker_of(handler)->edge);
}

static void on_ready(struct loop_handler *handler, uint64_t tag, unsigned ready)
{
	role_enter_worker();
	edge_ready(worker_of(handler)->edge, tag, ready);
}

static uint32_t on_letters_max(struct loop_handler *handler)
{
	role_enter_worker();
	return edge_takes_letters(worker_of(handler)->edge) ? TURN_MAILS_MAX : 0;
}

static void set_journal(struct worker *worker);

/* Where users have a limit all nodes are to know how many connections they have. */
static void use_places(struct worker *worker)
{
	if (worker->relay != NULL && worker->generation->settings.connections_per_user > 0)
		relay_use_places(worker->relay);
}

static void adopt(struct worker *worker, struct generation *generation) WORKER_ONLY;
static void adopt(struct worker *worker, struct generation *generation)
{
	if (worker->former != NULL) {
		generation_drop(worker->next); /* the newest counts */
		worker->next = generation;
		return;
	}
	worker->former = worker->generation;
	worker->generation = generation;
	set_journal(worker);
	use_places(worker);
	edge_adopt(worker->edge, &generation->settings);
}

/* Lets go of the generation before, once nothing here looks into it any more. True: there is
 * another one to go over to. */
static bool adopt_on(struct worker *worker) WORKER_ONLY;
static bool adopt_on(struct worker *worker)
{
	if (worker->former == NULL || !edge_has_adopted(worker->edge))
		return false;
	struct generation *next = worker->next;
	generation_drop(worker->former);
	worker->former = worker->next = NULL;
	if (next != NULL)
		adopt(worker, next);
	return next != NULL;
}

static void take_mesh(struct worker *worker, const struct mesh_mail *mail) WORKER_ONLY;
static void take_mesh(struct worker *worker, const struct mesh_mail *mail)
{
	if (mail->kind == MESH_MAIL_SELF)
		edge_set_joined(worker->edge, mail->state != MEMBER_JOINING);
	relay_take(worker->relay, mail, loop_now_ms(worker->loop));
	mesh_mail_discard(mail);
}

static void on_letter(struct loop_handler *handler, const void *bytes)
{
	role_enter_worker();
	struct worker *worker = worker_of(handler);
	const struct letter *letter = bytes;
	switch ((enum letter_kind)letter->kind) {
	case LETTER_HUB:
		edge_receive(worker->edge, &letter->hub);
		break;
	case LETTER_EDGE:
		edge_receive_mail(worker->edge, &letter->edge);
		break;
	case LETTER_GENERATION:
		adopt(worker, letter->generation);
		break;
	case LETTER_BEAT:
		mailbox_post(worker->options.office, worker->options.number,
		             worker->options.control, letter);
		break;
	case LETTER_DRAIN:
		worker->is_draining = true;
		edge_drain(worker->edge);
		break;
	case LETTER_SEND_AWAY:
		edge_send_away(worker->edge, letter->time_ms);
		break;
	case LETTER_MESH:
		take_mesh(worker, &letter->mesh);
		break;
	case LETTER_CLUSTER:
		edge_tell_cluster(worker->edge, letter->cluster.asker, letter->cluster.answer);
		blob_drop(letter->cluster.answer);
		break;
	case LETTER_STOP:
		worker->is_draining = true;
		worker->stop_by_ms = loop_now_ms(worker->loop) + GOODBYE_MS;
		edge_stop(worker->edge);
		break;
	default:
		CHECK(false); /* nobody sends another one */
	}
}

static bool up_has_room(struct edge_up *up);
static bool up_is_congested(struct edge_up *up);
static void tell_handed_over(struct worker *worker) WORKER_ONLY;
static void tell_handed_over(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	if (!worker->is_draining || worker->has_told || !relay_has_handed_over(worker->relay) ||
	    !up_has_room(&worker->up))
		return;
	worker->has_told = true;
	struct letter letter = {.kind = LETTER_HANDED_OVER};
	mailbox_post(options->office, options->number, options->control, &letter);
}

/* With what has come. */
static bool is_behind(const struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	return mailbox_incoming(options->office, options->number) >= TURNS_BEHIND * TURN_MAILS_MAX;
}

static void relay_timer(struct worker *worker) WORKER_ONLY;
static void relay_timer(struct worker *worker)
{
	uint64_t now_ms = loop_now_ms(worker->loop);
	timer_arm(loop_wheel(worker->loop), &worker->relay_timer, now_ms, SLOTS_TICK_MS);
	/* What slots say again would only come on top of what waits already; and answers to what
	 * they have said may be among what has come. */
	bool is_late = now_ms - worker->relayed_ms >= CONGESTED_TICK_MS;
	if ((up_is_congested(&worker->up) || is_behind(worker)) && !is_late)
		return;
	worker->relayed_ms = now_ms;
	relay_tick(worker->relay, now_ms);
	struct relay_stats stats;
	relay_count(worker->relay, &stats);
	relay_figures_set(&worker->options.relay_figures[worker->options.number], &stats);
	tell_handed_over(worker);
}

static void on_timer(struct loop_handler *handler, struct timer *timer)
{
	role_enter_worker();
	struct worker *worker = worker_of(handler);
	if (timer == &worker->relay_timer)
		relay_timer(worker);
	else
		edge_timer(worker->edge, timer);
}

static bool on_after(struct loop_handler *handler)
{
	role_enter_worker();
	struct worker *worker = worker_of(handler);
	bool has_more = false;
	if (worker->relay != NULL)
		has_more = relay_turn(worker->relay, loop_now_ms(worker->loop));
	has_more |= edge_after(worker->edge);
	has_more |= adopt_on(worker);
	if (worker->relay != NULL)
		has_more |= relay_flush(worker->relay);
	if (worker->stop_by_ms != 0 &&
	    (edge_is_empty(worker->edge) || loop_now_ms(worker->loop) >= worker->stop_by_ms))
		loop_stop(worker->loop);
	pen_flush(&worker->pen);
	return has_more;
}

/* ---- what the edge asks ---- */

static struct worker *worker_under(struct edge_up *up)
{
	return CONTAINER_OF(up, struct worker, up);
}

static void up_post(struct edge_up *up, uint32_t to, const struct hub_mail *mail)
{
	const struct worker_options *options = &worker_under(up)->options;
	struct letter letter = {.kind = LETTER_HUB, .hub = *mail};
	mailbox_post(options->office, options->number, to, &letter);
}

static void up_post_edge(struct edge_up *up, uint32_t to, const struct edge_mail *mail)
{
	const struct worker_options *options = &worker_under(up)->options;
	struct letter letter = {.kind = LETTER_EDGE, .edge = *mail};
	mailbox_post(options->office, options->number, to, &letter);
}

static bool up_has_room(struct edge_up *up)
{
	const struct worker_options *options = &worker_under(up)->options;
	return mailbox_has_room(options->office, options->number, HUB_LETTERS_MAX);
}

static bool up_is_congested(struct edge_up *up)
{
	const struct worker_options *options = &worker_under(up)->options;
	return mailbox_is_congested(options->office, options->number);
}

static void up_letters(struct edge_up *up, uint64_t *incoming, uint64_t *queued)
{
	const struct worker_options *options = &worker_under(up)->options;
	*incoming = mailbox_incoming(options->office, options->number);
	*queued = mailbox_queued(options->office, options->number);
}

/* As a signal of its own: a second one of those that stop would end the node at once. */
static void up_drain(struct edge_up *up)
{
	(void)up;
	CHECK(kill(getpid(), WORKER_DRAIN_SIGNAL) == 0);
}

/* Without a mesh this node is all there is, and home of every slot. */
static void write_alone(const struct worker *worker, struct buf *out)
{
	const struct worker_options *options = &worker->options;
	const struct edge_node *node = options->node;
	struct cluster_self self = {
		.name = node->name,
		.cluster = node->cluster,
		.address = options->address,
		.state = worker->is_draining ? MEMBER_DRAINING : MEMBER_READY,
		.incarnation = node->started_unix_ms,
		.clients = atomic_load_explicit(&options->common->clients, memory_order_relaxed),
		.homes = SLOTS,
	};
	cluster_write(out, &self, NULL);
}

static bool up_write_cluster(struct edge_up *up, struct slab_handle asker, struct buf *out)
{
	const struct worker *worker = worker_under(up);
	const struct worker_options *options = &worker->options;
	struct letter letter = {.kind = LETTER_CLUSTER,
	                        .cluster = {.from = options->number, .asker = asker}};
	if (options->has_mesh)
		mailbox_post(options->office, options->number, options->mesher, &letter);
	else
		write_alone(worker, out);
	return !options->has_mesh;
}

static uint32_t up_ask_nodes(struct edge_up *up, const struct survey_question *question,
                             uint16_t *nodes)
{
	struct relay *relay = worker_under(up)->relay;
	return relay == NULL ? 0 : relay_ask_nodes(relay, question, nodes);
}

static void up_answer_node(struct edge_up *up, uint8_t kind, const struct note *note)
{
	relay_answer_node(worker_under(up)->relay, kind, note);
}

static bool up_ask_place(struct edge_up *up, uint32_t worker, const struct registry_mail *mail,
                         uint32_t limit)
{
	return relay_ask_place(worker_under(up)->relay, worker, mail, limit);
}

static void up_give_place(struct edge_up *up, struct slab_handle place)
{
	relay_give_place(worker_under(up)->relay, place);
}

static void up_write_figures(struct edge_up *up, struct buf *out)
{
	const struct worker_options *options = &worker_under(up)->options;
	if (!options->has_mesh)
		return;
	mesh_figures_write(options->figures, out);
	relay_figures_write(options->relay_figures, options->workers, out);
}

static void up_write_metrics(struct edge_up *up, struct buf *out)
{
	const struct worker_options *options = &worker_under(up)->options;
	if (!options->has_mesh)
		return;
	mesh_figures_write_metrics(options->figures, out);
	relay_figures_write_metrics(options->relay_figures, options->workers, out);
}

/* ---- the journal ---- */

static void set_journal(struct worker *worker)
{
	const struct config *config = &worker->generation->config;
	worker->pen.journal.least = (enum journal_level)config->log.level;
	worker->pen.journal.is_json = config->log.format == CONFIG_LOG_JSON;
}

static void up_warn(struct edge_up *up, const char *kind, const char *message)
{
	journal_say(&worker_under(up)->pen.journal, JOURNAL_WARN, kind, "%s", message);
}

struct fields {
	struct journal_field list[12];
	size_t count;
};

static void add_text(struct fields *fields, const char *name, struct slice text)
{
	CHECK(fields->count < COUNT_OF(fields->list));
	if (text.len > 0)
		fields->list[fields->count++] = (struct journal_field){name, text, 0};
}

static void add_number(struct fields *fields, const char *name, uint64_t number)
{
	CHECK(fields->count < COUNT_OF(fields->list));
	fields->list[fields->count++] = (struct journal_field){.name = name, .number = number};
}

static void up_log(struct edge_up *up, const struct edge_line *line)
{
	char address[ADDRESS_TEXT_MAX];
	struct fields fields = {.count = 0};
	add_text(&fields, "method", line->method);
	add_text(&fields, "path", line->path);
	if (line->status != 0) {
		add_number(&fields, "status", (uint64_t)line->status);
		add_number(&fields, "bytes", line->bytes);
	}
	add_text(&fields, "transport", line->transport);
	add_text(&fields, "reason", line->reason);
	add_number(&fields, "ms", line->ms);
	add_text(&fields, "address", slice_of(address, address_write(address, &line->address)));
	add_text(&fields, "user", line->user);
	add_text(&fields, "connection", line->connection);
	journal_tell(&worker_under(up)->pen.journal, line->event, fields.list, fields.count);
}

/* ---- the thread ---- */

static void pin_to_cpu(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	/* Where it is not allowed it is only slower. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static int open_listeners(struct worker *worker) WORKER_ONLY;
static int open_listeners(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	uint32_t silence_ms_max = (uint32_t)worker->generation->settings.heartbeat_timeout_ms;
	for (size_t i = 0; i < options->entrance_count; i++) {
		const struct entrance *entrance = &options->entrances[i];
		int fd = entrance->shared >= 0 ? dup(entrance->shared)
		                               : listen_open(&entrance->address, silence_ms_max);
		if (fd < 0)
			return entrance->shared >= 0 ? -errno : fd;
		int error = edge_listen(worker->edge, fd, entrance->is_secure);
		if (error != 0) {
			close(fd);
			return error;
		}
	}
	return 0;
}

/* What its part in the mesh needs before there is a hub. False: no memory. */
static bool make_relay(struct worker *worker) WORKER_ONLY;
static bool make_relay(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	struct relay_options relay_options = {
		.office = options->office,
		.number = options->number,
		.workers = options->workers,
		.mesher = options->mesher,
		.boot = options->boot,
		.hash_key = options->node->hash_key,
		.replicas = options->replicas,
		.partition = options->partition,
		.now_ms = loop_now_ms(worker->loop),
		.seed = options->seed,
	};
	worker->relay = relay_create(&relay_options);
	return worker->relay != NULL;
}

static void begin_relay(struct worker *worker) WORKER_ONLY;
static void begin_relay(struct worker *worker)
{
	relay_begin(worker->relay, worker->edge);
	use_places(worker);
	timer_arm(loop_wheel(worker->loop), &worker->relay_timer, loop_now_ms(worker->loop), 0);
}

static int set_up(struct worker *worker) WORKER_ONLY;
static int set_up(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	if (options->pins_cpu)
		pin_to_cpu(options->cpu);
	if (options->has_private_fds && unshare(CLONE_FILES) != 0)
		return -errno;
	struct loop_options loop_options = {
		.handler = &worker->handler,
		.office = options->office,
		.member = options->number,
		.letter_bytes = sizeof(struct letter),
		.letters_follow = HUB_LETTERS_MAX,
	};
	worker->loop = loop_create(&loop_options);
	if (worker->loop == NULL)
		return -errno;
	if (options->has_mesh && !make_relay(worker))
		return -ENOMEM;
	struct edge_options edge_options = {
		.cluster = worker->relay == NULL ? NULL : relay_cluster(worker->relay),
		.node = options->node,
		.common = options->common,
		.settings = &worker->generation->settings,
		.up = &worker->up,
		.loop = worker->loop,
		.worker = options->number,
		.workers = options->workers,
		.descriptors_max = options->descriptors_max,
		.seed = options->seed,
		.tls_seed = options->tls_seed,
	};
	worker->edge = edge_create(&edge_options);
	if (worker->edge == NULL)
		return -ENOMEM;
	edge_set_joined(worker->edge, !options->has_mesh);
	if (worker->relay != NULL)
		begin_relay(worker);
	return open_listeners(worker);
}

static void *worker_main(void *argument)
{
	role_enter_worker();
	struct worker *worker = argument;
	thread_is_called("worker", (int)worker->options.number);
	worker->error = set_up(worker);
	bool is_good = worker->error == 0;
	CHECK(sem_post(worker->options.is_up) == 0);
	if (is_good)
		loop_run(worker->loop);
	edge_destroy(worker->edge);
	if (worker->loop != NULL)
		timer_stop(loop_wheel(worker->loop), &worker->relay_timer);
	relay_destroy(worker->relay);
	loop_destroy(worker->loop);
	pen_flush(&worker->pen);
	pen_free(&worker->pen);
	mailbox_flush(worker->options.office, worker->options.number);
	generation_drop(worker->next);
	generation_drop(worker->former);
	generation_drop(worker->generation);
	return NULL;
}

int worker_start(struct worker *worker, const struct worker_options *options)
{
	*worker = (struct worker){
		.options = *options,
		.generation = generation_take(options->generation),
		.up =
			{
				.post = up_post,
				.post_edge = up_post_edge,
				.has_room = up_has_room,
				.is_congested = up_is_congested,
				.letters = up_letters,
				.drain = up_drain,
				.write_cluster = up_write_cluster,
				.ask_nodes = up_ask_nodes,
				.answer_node = up_answer_node,
				.ask_place = up_ask_place,
				.give_place = up_give_place,
				.write_figures = up_write_figures,
				.write_metrics = up_write_metrics,
				.log = up_log,
				.warn = up_warn,
			},
		.handler =
			{
				.begin = on_begin,
				.ready = on_ready,
				.letters_max = on_letters_max,
				.letter = on_letter,
				.timer = on_timer,
				.after = on_after,
			},
	};
	pen_init(&worker->pen, options->office, options->number, options->scribe,
	         &options->common->lines_lost);
	set_journal(worker);
	int error = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (error != 0)
		generation_drop(worker->generation);
	return error;
}

static void tell(struct worker *worker, const struct letter *letter) CONTROL_ONLY;
static void tell(struct worker *worker, const struct letter *letter)
{
	const struct worker_options *options = &worker->options;
	mailbox_post(options->office, options->control, options->number, letter);
	mailbox_flush(options->office, options->control);
}

void worker_adopt(struct worker *worker, struct generation *generation)
{
	struct letter letter = {.kind = LETTER_GENERATION,
	                        .generation = generation_take(generation)};
	tell(worker, &letter);
}

void worker_beat(struct worker *worker, uint64_t beat)
{
	struct letter letter = {.kind = LETTER_BEAT, .beat = beat};
	tell(worker, &letter);
}

void worker_drain(struct worker *worker)
{
	struct letter letter = {.kind = LETTER_DRAIN};
	tell(worker, &letter);
}

void worker_send_away(struct worker *worker, uint64_t time_ms)
{
	struct letter letter = {.kind = LETTER_SEND_AWAY, .time_ms = time_ms};
	tell(worker, &letter);
}

void worker_stop(struct worker *worker)
{
	struct letter letter = {.kind = LETTER_STOP};
	tell(worker, &letter);
}

bool worker_join(struct worker *worker, uint64_t wait_ms)
{
	return thread_join(worker->thread, wait_ms);
}
