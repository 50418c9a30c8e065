/*
 * Promises, and how a node becomes home.
 *
 * What must not go wrong is the choice of the log. An entry that was acknowledged is on a majority
 * of the set of its term. So of the set of the entry that the take-over begins from a majority must
 * promise, and of each set that somebody proposed since, and may have got as far as to be
 * home in, too. Among what they hold, the log of the highest term that one of them has
 * accepted is the one to go on from; of two of the same term the shorter is a part of the longer.
 *
 * A replica whose process is known to have ended cannot help anybody any more; it counts as one
 * that has promised, but only beside as many who live that no other take-over could do without
 * them.
 */
#include "mesh/slots_state.h"

#define TAKEOVER_MS 2000u /* without any progress, before it is given up: */
#define TAKEOVER_ROUNDS 8 /* so long, and so often as it was said again */
#define RETRY_MS 200u
#define RETRY_JITTER_MS 400u
#define YIELD_MS 500u
#define CONTESTS_MAX 4u
#define WAITING_MIN 16u
#define REPORTS_MIN 4u

/* ---- promises ---- */

bool slot_may_promise(const struct slot *slot, const struct slot_term *term)
{
	return slot_term_compare(term, &slot->promised) >= 0;
}

/* Whoever has this node's promise is given time, and more of it each time that nobody got through:
 * two that are far from each other would else outbid one another for ever. */
static void yield(struct slots *slots, struct slot *slot)
{
	if (slot->contests < CONTESTS_MAX)
		slot->contests++;
	uint32_t ms = YIELD_MS << slot->contests;
	slot->retry_ms = slots->now_ms + ms + random_below(&slots->random, ms);
}

void slot_promise(struct slots *slots, struct slot *slot, const struct slot_term *term)
{
	CHECK(slot_may_promise(slot, term));
	if (slot_term_equals(term, &slot->promised))
		return;
	slot->promised = *term;
	if (slot->takeover != NULL && slot_term_is_above(term, &slot->takeover->entry.term))
		slot_abandon(slots, slot, RETRY_MS);
	slot_step_down(slots, slot);
	if (!slots_is_self(slots, term->boot))
		yield(slots, slot);
}

/* Who proposes again has given up what it proposed before, and never was home in it; but for the
 * one that it goes on from. */
static void forget_of(struct slot *slot, struct boot_id boot, const struct slot_term *base)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < slot->proposal_count; i++) {
		const struct slot_term *term = &slot->proposals[i].term;
		if (!boot_id_equals(term->boot, boot) || slot_term_equals(term, base))
			slot->proposals[kept++] = slot->proposals[i];
	}
	slot->proposal_count = (uint8_t)kept;
}

bool slot_record(struct slot *slot, const struct slot_proposal *proposal,
                 const struct slot_term *base)
{
	if (slot->proposals == NULL)
		slot->proposals = malloc(SLOT_PROPOSALS_MAX * sizeof(*slot->proposals));
	if (slot->proposals == NULL)
		return false;
	forget_of(slot, proposal->term.boot, base);
	if (slot->proposal_count == SLOT_PROPOSALS_MAX)
		return false;
	slot->proposals[slot->proposal_count++] = *proposal;
	return true;
}

void slot_forget_proposals(struct slot *slot, const struct slot_term *up_to)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < slot->proposal_count; i++) {
		if (slot_term_is_above(&slot->proposals[i].term, up_to))
			slot->proposals[kept++] = slot->proposals[i];
	}
	slot->proposal_count = (uint8_t)kept;
	if (kept > 0)
		return;
	free(slot->proposals);
	slot->proposals = NULL;
}

void slot_refuse(struct slots *slots, const struct slot *slot, struct boot_id to,
                 const struct slot_term *term)
{
	struct wire_refused refused = {*term, slot->promised, slot->entry};
	wire_refused_write(slots_begin(slots), &refused);
	slots_send(slots, to, FRAME_REFUSED, slot->number);
}

static void report_self(const struct slot *slot, struct report *report)
{
	const struct replica *replica = slot->replica;
	report->has_answered = true;
	report->is_whole = replica != NULL && replica->is_whole;
	if (replica == NULL)
		return;
	report->has_lost = replica->has_lost;
	report->accepted = replica->accepted;
	report->stream = replica->stream;
	report->last = slot_log_end(&replica->log);
}

static void say_sealed(struct slots *slots, const struct slot *slot, struct boot_id to,
                       const struct slot_term *term)
{
	struct report report = {0};
	report_self(slot, &report);
	struct wire_sealed sealed = {.term = *term,
	                             .entry = slot->entry,
	                             .is_whole = report.is_whole,
	                             .has_lost = report.has_lost,
	                             .accepted = report.accepted,
	                             .stream = report.stream,
	                             .last = report.last,
	                             .count = slot->proposal_count};
	for (unsigned i = 0; i < slot->proposal_count; i++)
		sealed.proposals[i] = slot->proposals[i];
	wire_sealed_write(slots_begin(slots), &sealed);
	slots_send(slots, to, FRAME_SEALED, slot->number);
}

/* It goes on from an entry that is not the newest. But where that is of another stream, and this
 * replica still holds the one in question, the two have just met, and it is not yet said which one
 * stays. */
static bool is_old(const struct slot *slot, const struct wire_seal *seal)
{
	const struct replica *replica = slot->replica;
	bool is_contest = replica != NULL && replica->strayed_ms != 0 &&
	                  slot_term_equals(&replica->stream, &seal->stream) &&
	                  slot_term_is_above(&seal->term, &slot->entry.term);
	return slot_term_is_above(&slot->entry.term, &seal->base) && !is_contest;
}

bool slot_take_seal(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    struct slice body)
{
	struct wire_seal seal;
	if (!wire_seal_read(body, &seal) || !boot_id_equals(seal.term.boot, *from))
		return false;
	struct slot_proposal proposal = {seal.term, seal.set};
	if (is_old(slot, &seal) || !slot_may_promise(slot, &seal.term) ||
	    !slot_record(slot, &proposal, &seal.base)) {
		slot_refuse(slots, slot, *from, &seal.term);
		return true;
	}
	slot_promise(slots, slot, &seal.term);
	say_sealed(slots, slot, *from, &seal.term);
	return true;
}

/* ---- beginning ---- */

static struct slot_term next_term(const struct slots *slots, const struct slot *slot)
{
	const struct slot_term *highest = slot_term_is_above(&slot->entry.term, &slot->promised)
	                                          ? &slot->entry.term
	                                          : &slot->promised;
	return (struct slot_term){highest->counter + 1, slots->options.boot};
}

/* Promises the term to itself. NULL: not now. Nobody has to ask for what becomes of a new stream,
 * which continues nothing: so that is not recorded. */
static struct takeover *begin(struct slots *slots, struct slot *slot, const struct slot_set *set,
                              bool is_new)
{
	CHECK(slot->takeover == NULL);
	CHECK(slot_set_has(set, slots->options.boot));
	struct takeover *takeover = calloc(1, sizeof(*takeover));
	struct lead *lead = calloc(1, sizeof(*lead));
	struct slot_proposal proposal = {next_term(slots, slot), *set};
	if (takeover == NULL || lead == NULL || proposal.term.counter > SLOT_COUNTER_MAX ||
	    (!is_new && !slot_record(slot, &proposal, &slot->entry.term))) {
		free(takeover);
		free(lead);
		return NULL;
	}
	bool was_home = slot->lead != NULL;
	slot_promise(slots, slot, &proposal.term);
	*takeover = (struct takeover){
		.keeps_log = was_home,
		.base = slot->entry,
		.entry = {proposal.term, slot->entry.stream, slot->entry.fork_of, *set},
		.lead = lead,
		.asked_ms = slots->now_ms,
		.advanced_ms = slots->now_ms};
	slot->takeover = takeover;
	slots->takeovers++;
	slot_is_due(slot);
	return takeover;
}

static void refuse_waiting(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	takeover->keeps_log = false;
	for (uint32_t i = 0; i < takeover->waiting_count; i++) {
		struct waiting *waiting = &takeover->waiting[i];
		slots->counters.refused++;
		slots->out->refused(slots->out, slot->number, waiting->blob, waiting->cookie);
		blob_drop(waiting->blob);
	}
	free(takeover->waiting);
	takeover->waiting = NULL;
	takeover->waiting_count = takeover->waiting_room = 0;
}

static void takeover_free(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	refuse_waiting(slots, slot);
	slot->takeover = NULL;
	slots->takeovers--;
	slots->moving -= takeover->is_motion;
	free(takeover->reports);
	free(takeover->lead);
	free(takeover);
}

void slot_abandon(struct slots *slots, struct slot *slot, uint32_t after_ms)
{
	slots->counters.abandoned++;
	takeover_free(slots, slot);
	if (slot->replica != NULL)
		slot_pull_end(slots, slot);
	slot->retry_ms = slots->now_ms + after_ms + random_below(&slots->random, RETRY_JITTER_MS);
	slot_is_due(slot);
}

/* ---- sealing ---- */

static struct report *report_of(struct takeover *takeover, struct boot_id boot)
{
	for (unsigned i = 0; i < takeover->report_count; i++) {
		if (boot_id_equals(takeover->reports[i].boot, boot))
			return &takeover->reports[i];
	}
	return NULL;
}

static void say_seal(struct slots *slots, const struct slot *slot, struct boot_id to)
{
	const struct takeover *takeover = slot->takeover;
	struct wire_seal seal = {takeover->entry.term, takeover->base.term, takeover->base.stream,
	                         takeover->entry.set};
	wire_seal_write(slots_begin(slots), &seal);
	slots_send(slots, to, FRAME_SEAL, slot->number);
}

/* NULL: no memory. */
static struct report *add_report(struct takeover *takeover)
{
	if (takeover->report_count == takeover->report_room) {
		unsigned room =
			takeover->report_room == 0 ? REPORTS_MIN : 2 * takeover->report_room;
		struct report *reports = realloc(takeover->reports, room * sizeof(*reports));
		if (reports == NULL)
			return NULL;
		takeover->reports = reports;
		takeover->report_room = room;
	}
	return &takeover->reports[takeover->report_count++];
}

/* False: that is more than can be asked, or there is no memory. */
static bool ask(struct slots *slots, struct slot *slot, const struct slot_proposal *proposal)
{
	struct takeover *takeover = slot->takeover;
	for (unsigned i = 0; i < takeover->set_count; i++) {
		if (slot_term_equals(&takeover->sets[i].term, &proposal->term))
			return true;
	}
	if (takeover->set_count == TAKEOVER_SETS_MAX)
		return false;
	takeover->sets[takeover->set_count++] = *proposal;
	for (unsigned i = 0; i < proposal->set.count; i++) {
		struct boot_id boot = proposal->set.at[i];
		if (report_of(takeover, boot) != NULL)
			continue;
		struct report *report = add_report(takeover);
		if (report == NULL)
			return false;
		*report = (struct report){.boot = boot};
		if (slots_is_self(slots, boot))
			report_self(slot, report);
		else
			say_seal(slots, slot, boot);
	}
	return true;
}

static bool quorum(unsigned of, unsigned answers, unsigned gone)
{
	unsigned majority = slot_majority(of);
	return answers + majority > of && answers + gone >= majority;
}

bool slot_can_seal(const struct slots *slots, const struct slot_set *set)
{
	unsigned answers = 0, gone = 0;
	for (unsigned i = 0; i < set->count; i++) {
		bool is_self = slots_is_self(slots, set->at[i]);
		answers += is_self || slots_is_reachable(slots, set->at[i]);
		gone += slots_is_gone(slots, set->at[i]);
	}
	return quorum(set->count, answers, gone);
}

unsigned slot_spare(const struct slots *slots, const struct slot_set *set)
{
	unsigned answers = 0, gone = 0, spare = 0;
	for (unsigned i = 0; i < set->count; i++) {
		bool is_self = slots_is_self(slots, set->at[i]);
		answers += is_self || slots_is_reachable(slots, set->at[i]);
		gone += slots_is_gone(slots, set->at[i]);
	}
	while (spare < answers && quorum(set->count, answers - spare - 1, gone + spare + 1))
		spare++;
	return spare;
}

/* Who has lost what it acknowledged, or left the stream, promises, but stands for nothing. */
static bool stands(const struct takeover *takeover, const struct report *report)
{
	bool is_blank = report->stream.counter == 0;
	return report->has_answered && !report->has_lost &&
	       (is_blank || slot_term_equals(&report->stream, &takeover->base.stream));
}

static bool is_sealed(const struct slots *slots, struct takeover *takeover,
                      const struct slot_set *set)
{
	unsigned answers = 0, gone = 0;
	for (unsigned i = 0; i < set->count; i++) {
		const struct report *report = report_of(takeover, set->at[i]);
		answers += stands(takeover, report);
		gone += !report->has_answered && slots_is_gone(slots, set->at[i]);
	}
	return quorum(set->count, answers, gone);
}

static bool is_better(const struct report *a, const struct report *b)
{
	int order = slot_term_compare(&a->accepted, &b->accepted);
	return order != 0 ? order > 0 : a->last.lsn > b->last.lsn;
}

/* NULL: nobody holds a log, or not one that the base entry was made of. */
static const struct report *best_of(const struct slots *slots, const struct takeover *takeover)
{
	const struct report *best = NULL;
	for (unsigned i = 0; i < takeover->report_count; i++) {
		const struct report *report = &takeover->reports[i];
		if (!report->is_whole || !stands(takeover, report))
			continue;
		bool is_self = slots_is_self(slots, report->boot);
		if (best == NULL || is_better(report, best) ||
		    (is_self && !is_better(best, report)))
			best = report;
	}
	if (best == NULL || slot_term_is_above(&takeover->base.term, &best->accepted))
		return NULL;
	return best;
}

/* ---- installing ---- */

static void check_installed(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	unsigned count = 0;
	for (unsigned i = 0; i < takeover->entry.set.count; i++) {
		bool is_self = slots_is_self(slots, takeover->entry.set.at[i]);
		count += is_self || takeover->held[i] > takeover->start.lsn;
	}
	if (count < slot_majority(takeover->entry.set.count))
		return;
	slot->takeover = NULL;
	slots->takeovers--;
	slot_lead(slots, slot, takeover);
}

static void say_install_to_all(struct slots *slots, const struct slot *slot)
{
	const struct slot_set *set = &slot->takeover->entry.set;
	for (unsigned i = 0; i < set->count; i++) {
		if (!slots_is_self(slots, set->at[i]))
			slot_say_install(slots, slot, set->at[i]);
	}
	slot->takeover->said_ms = slots->now_ms;
}

/* This node's log is the one to go on from. */
static void install(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	struct replica *replica = slot->replica;
	CHECK(replica->is_whole);
	CHECK(slot_term_equals(&slot->promised, &takeover->entry.term));
	replica->accepted = takeover->entry.term;
	replica->has_lost = false;
	takeover->phase = TAKEOVER_INSTALLING;
	takeover->asked_ms = takeover->advanced_ms = slots->now_ms;
	takeover->start = slot_log_end(&replica->log);
	takeover->entry.stream = replica->stream;
	say_install_to_all(slots, slot);
	check_installed(slots, slot);
}

void slot_installed(struct slots *slots, struct slot *slot, const struct boot_id *from,
                    const struct wire_holds *holds)
{
	struct takeover *takeover = slot->takeover;
	const struct slot_set *set = &takeover->entry.set;
	for (unsigned i = 0; i < set->count; i++) {
		/* One more than what it holds, so that 0 is nothing heard. */
		if (boot_id_equals(set->at[i], *from) && takeover->held[i] <= holds->lsn) {
			if (takeover->held[i] == 0)
				slots_answered(slots, takeover->asked_ms);
			takeover->held[i] = holds->lsn + 1;
			takeover->advanced_ms = slots->now_ms;
		}
	}
	check_installed(slots, slot);
}

/* ---- fetching ---- */

bool slot_fetched(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	struct replica *replica = slot->replica;
	if (takeover->best.last.lsn < replica->commit)
		return false;
	takeover->advanced_ms = slots->now_ms;
	if (!replica->is_whole || !slot_log_has(&replica->log, &takeover->best.last))
		return false;
	slot_pull_end(slots, slot);
	slot_cut(slots, slot, takeover->best.last.lsn);
	install(slots, slot);
	return true;
}

/* A log of that stream to put it into. False: no memory. */
static bool prepare(struct slots *slots, struct slot *slot, const struct slot_term *stream)
{
	if (slot->replica != NULL && !slot_term_equals(&slot->replica->stream, stream) &&
	    !slot_fork(slots, slot))
		return false;
	return slot->replica != NULL || slot_replica_make(slot, stream) != NULL;
}

static void fetch(struct slots *slots, struct slot *slot, const struct report *best)
{
	struct takeover *takeover = slot->takeover;
	takeover->best = *best;
	takeover->phase = TAKEOVER_FETCHING;
	/* What waits was made for this node's log as it is. */
	if (!slots_is_self(slots, best->boot))
		refuse_waiting(slots, slot);
	if (!prepare(slots, slot, &best->stream)) {
		slot_abandon(slots, slot, RETRY_MS);
		return;
	}
	struct replica *replica = slot->replica;
	bool has_it = replica->is_whole && slot_log_has(&replica->log, &best->last) &&
	              best->last.lsn >= replica->commit;
	if (!has_it && !slots_is_self(slots, best->boot)) {
		slot_pull(slots, slot, best->boot, &takeover->entry.term);
		return;
	}
	(void)slot_fetched(slots, slot);
}

/* Enough have answered? */
static void consider(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	CHECK(takeover->phase == TAKEOVER_SEALING);
	for (unsigned i = 0; i < takeover->set_count; i++) {
		if (!is_sealed(slots, takeover, &takeover->sets[i].set))
			return;
	}
	const struct report *best = best_of(slots, takeover);
	if (best != NULL)
		fetch(slots, slot, best);
}

void slot_take_over(struct slots *slots, struct slot *slot, const struct slot_set *set,
                    bool is_motion)
{
	struct takeover *takeover = begin(slots, slot, set, false);
	if (takeover == NULL)
		return;
	takeover->is_motion = is_motion;
	slots->moving += is_motion;
	takeover->said_ms = slots->now_ms;
	struct slot_proposal base = {takeover->base.term, takeover->base.set};
	bool is_asked = ask(slots, slot, &base);
	/* What this node itself has promised to others counts as well. */
	for (unsigned i = 0; is_asked && i < slot->proposal_count; i++) {
		const struct slot_proposal *proposal = &slot->proposals[i];
		if (!slot_term_equals(&proposal->term, &takeover->entry.term))
			is_asked = ask(slots, slot, proposal);
	}
	if (is_asked)
		consider(slots, slot);
	else
		slot_abandon(slots, slot, RETRY_MS);
}

bool slot_take_sealed(struct slots *slots, struct slot *slot, const struct boot_id *from,
                      struct slice body)
{
	struct wire_sealed sealed;
	if (!wire_sealed_read(body, &sealed))
		return false;
	slot_adopt(slots, slot, &sealed.entry);
	struct takeover *takeover = slot->takeover;
	if (takeover == NULL || takeover->phase != TAKEOVER_SEALING ||
	    !slot_term_equals(&sealed.term, &takeover->entry.term))
		return true;
	struct report *report = report_of(takeover, *from);
	if (report == NULL)
		return true;
	if (!report->has_answered)
		slots_answered(slots, takeover->asked_ms);
	*report = (struct report){.boot = *from,
	                          .has_answered = true,
	                          .has_lost = sealed.has_lost,
	                          .is_whole = sealed.is_whole,
	                          .accepted = sealed.accepted,
	                          .stream = sealed.stream,
	                          .last = sealed.last};
	takeover->advanced_ms = slots->now_ms;
	for (unsigned i = 0; i < sealed.count; i++) {
		const struct slot_proposal *proposal = &sealed.proposals[i];
		bool is_since = slot_term_is_above(&proposal->term, &takeover->base.term) &&
		                !slot_term_equals(&proposal->term, &takeover->entry.term);
		if (is_since && !ask(slots, slot, proposal)) {
			slot_abandon(slots, slot, RETRY_MS);
			return true;
		}
	}
	consider(slots, slot);
	return true;
}

bool slot_take_refused(struct slots *slots, struct slot *slot, const struct boot_id *from,
                       struct slice body)
{
	(void)from;
	struct wire_refused refused;
	if (!wire_refused_read(body, &refused))
		return false;
	slot_adopt(slots, slot, &refused.entry);
	bool is_of_takeover = slot->takeover != NULL &&
	                      slot_term_equals(&refused.term, &slot->takeover->entry.term);
	bool is_of_lead = slot->lead != NULL && slot_term_equals(&refused.term, &slot->entry.term);
	if (slot_term_is_above(&refused.promised, &slot->promised)) {
		if (is_of_takeover || is_of_lead)
			slot_promise(slots, slot, &refused.promised);
		return true;
	}
	if (is_of_takeover && slot->takeover->phase == TAKEOVER_SEALING)
		slot_abandon(slots, slot, RETRY_MS);
	return true;
}

/* ---- a new stream ---- */

/* What there is of the old one goes into it. False: no memory. */
static bool begin_stream(struct slots *slots, struct slot *slot, const struct slot_entry *entry)
{
	struct replica *replica = slot->replica;
	bool is_kept = replica != NULL && replica->is_whole &&
	               (slot_term_equals(&replica->stream, &entry->fork_of) ||
	                slots_is_self(slots, replica->stream.boot));
	if (!is_kept) {
		if (!prepare(slots, slot, &entry->stream))
			return false;
		replica = slot->replica;
		CHECK(slot_log_last(&replica->log) == 0);
	}
	/* What nobody here could commit may have been acknowledged. */
	slot_pull_end(slots, slot);
	replica->stream = entry->stream;
	slot_advance_unsure(slots, slot);
	struct slot_mark base = slot_log_end(&replica->log);
	if (base.lsn > 0)
		base.term = entry->term;
	slot_log_reset(&replica->log, &base);
	slot_snapshot_free(slot);
	replica->is_whole = true;
	replica->strayed_ms = 0;
	return true;
}

void slot_open(struct slots *slots, struct slot *slot, const struct slot_set *set)
{
	struct takeover *takeover = begin(slots, slot, set, true);
	if (takeover == NULL)
		return;
	takeover->is_unclean = true;
	takeover->keeps_log = false;
	takeover->entry.stream = takeover->entry.term;
	takeover->entry.fork_of = takeover->base.stream;
	if (begin_stream(slots, slot, &takeover->entry))
		install(slots, slot);
	else
		slot_abandon(slots, slot, RETRY_MS);
}

/* ---- saying it again ---- */

static void seal_again(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	takeover->said_ms = slots->now_ms;
	for (unsigned i = 0; i < takeover->report_count; i++) {
		if (!takeover->reports[i].has_answered)
			say_seal(slots, slot, takeover->reports[i].boot);
	}
	consider(slots, slot); /* somebody may be gone since */
}

void slot_seal_tick(struct slots *slots, struct slot *slot)
{
	struct takeover *takeover = slot->takeover;
	uint64_t repair_ms = slots_repair_ms(slots),
		 idle_ms = slots->now_ms - takeover->advanced_ms;
	if (idle_ms >= TAKEOVER_MS && idle_ms >= TAKEOVER_ROUNDS * repair_ms) {
		slot_abandon(slots, slot, RETRY_MS);
		return;
	}
	if (slots->now_ms - takeover->said_ms < repair_ms)
		return;
	if (takeover->phase == TAKEOVER_SEALING)
		seal_again(slots, slot);
	else if (takeover->phase == TAKEOVER_INSTALLING)
		say_install_to_all(slots, slot);
}

/* ---- what is proposed meanwhile ---- */

bool slot_wait(struct slots *slots, struct slot *slot, struct blob *entry, uint64_t cookie)
{
	struct takeover *takeover = slot->takeover;
	if (takeover->waiting_count == SLOTS_PENDING_ENTRIES ||
	    takeover->waiting_bytes + entry->len > SLOTS_PENDING_BYTES)
		return false;
	if (takeover->waiting_count == takeover->waiting_room) {
		uint32_t room =
			takeover->waiting_room == 0 ? WAITING_MIN : 2 * takeover->waiting_room;
		struct waiting *waiting = realloc(takeover->waiting, room * sizeof(*waiting));
		if (waiting == NULL)
			return false;
		takeover->waiting = waiting;
		takeover->waiting_room = room;
	}
	takeover->waiting[takeover->waiting_count++] = (struct waiting){blob_take(entry), cookie};
	takeover->waiting_bytes += entry->len;
	slots->counters.proposed++;
	return true;
}
