/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/rerun.h"

#include <stdlib.h>

#include "cli/rerun_internal.h"

#define SESSIONS 64 /* that run at once, of one run */
/* Another version's engine, which is not asked at its own times, may come to the same end so much later. */
#define LATE_MS      1500
#define LATE_STEP_MS 50
#define STEP_MS      (SH_ABSENT_MS / 2) /* of the time that passes without an absence */

struct session {
    unsigned number; /* 0: free */
    struct rerun_near near;
    struct rerun_links links;
    sh_ms asleep;
    enum sh_cause end; /* what an engine ended it with */
    sh_ms ended_at;
};

struct rerun {
    struct sh_rerun_result result;
    struct rerun_search search;
    struct session *sessions; /* SESSIONS */
    sh_ms now;
    bool came[SH_CAUSE_COUNT]; /* ends that the engines came to, or that were taken for theirs */
    enum sh_cause last;        /* of them */
    bool over;                 /* the engines have parted from the record, or its end is here */
};

static struct session *find(struct rerun *rerun, unsigned number)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        if (rerun->sessions[i].number == number)
            return &rerun->sessions[i];
    }
    return NULL;
}

static void clear(struct session *session)
{
    rerun_near_clear(&session->near);
    rerun_links_clear(&session->links);
    *session = (struct session){.number = 0};
}

/* Is it an end that the engines here decide? */
static bool is_ours(enum sh_cause cause)
{
    return cause == SH_NEAR_TOO_FAR || cause == SH_NEAR_ASYMMETRIC || cause == SH_NEAR_UNHEARD ||
           cause == SH_TRANSFER_STALLED || sh_path_is_verdict(cause);
}

/* The engines come to another end; the record goes on without them. */
static void part(struct rerun *rerun, enum sh_cause replayed, sh_ms at, const char *why)
{
    if (rerun->over)
        return;
    rerun->over = true;
    rerun->result.replayed = replayed;
    rerun->result.replayed_ms = at;
    rerun->result.why = why;
}

static void come_to(struct rerun *rerun, enum sh_cause cause)
{
    rerun->last = cause;
    rerun->came[cause] = true;
}

/* ---- Time ---- */

static void note_end(struct session *session, enum sh_cause cause, sh_ms at)
{
    if (cause == SH_OK || session->end != SH_OK)
        return;
    session->end = cause;
    session->ended_at = at;
}

static void tick_session(struct session *session, sh_ms now)
{
    if (session->end != SH_OK)
        return;
    note_end(session, rerun_near_tick(&session->near, now), now);
    note_end(session, rerun_links_tick(&session->links, now - session->asleep), now);
}

static bool pass(struct rerun *rerun)
{
    bool any = false;
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *session = &rerun->sessions[i];
        if (session->number == 0 || session->end != SH_OK || !session->links.ladder)
            continue;
        rerun_links_pass(&session->links, rerun->now - session->asleep);
        any = true;
    }
    return any;
}

static void advance(struct rerun *rerun, sh_ms to)
{
    while (rerun->now < to) {
        rerun->now = SH_MIN(to, rerun->now + STEP_MS);
        if (!pass(rerun))
            rerun->now = to;
    }
}

/* ---- Records ---- */

/* The session ended with this: so do the engines, if it was for them to say. */
static void on_ended(struct rerun *rerun, struct session *session, const int64_t *v)
{
    enum sh_cause cause = (enum sh_cause)v[0];
    bool here = v[1] == SH_BY_HERE && is_ours(cause) && !rerun->result.full;
    /* Without a list of items the end is that of the asking for it, which is not replayed. */
    here = here && (cause != SH_TRANSFER_STALLED || session->links.has_items);
    sh_ms at = rerun->now;
    for (sh_ms late = 0; here && late <= LATE_MS; late += LATE_STEP_MS)
        tick_session(session, at + late);
    come_to(rerun, session->end != SH_OK ? session->end : cause);
    if (session->end != SH_OK && session->end != cause)
        part(rerun, session->end, session->ended_at, "the engines end the session otherwise");
    else if (session->end == SH_OK && here)
        part(rerun, SH_OK, at, "the engines go on where the session ended");
    clear(session);
}

/* The engines have ended it, and the record goes on. That it ended later is no difference. That bytes still moved is one. */
static void on_after_end(struct rerun *rerun, const struct session *session,
                         const struct sh_trace_record *record)
{
    if (record->kind == SH_TRACE_MOVED && record->at > session->ended_at + LATE_MS)
        part(rerun, session->end, session->ended_at, "the engines end the session before");
}

static enum sh_cause on_session(struct rerun *rerun, const struct sh_trace_record *record)
{
    struct session *session = find(rerun, 0);
    if (!session)
        return SH_OK;
    if (record->v[0] == 0) /* the search goes on beside one that began directly */
        rerun_search_clear(&rerun->search);
    session->number = record->session;
    rerun->result.sessions++;
    return SH_OK;
}

static enum sh_cause on_search(struct rerun *rerun, const struct sh_trace_record *record)
{
    enum sh_cause cause = (enum sh_cause)record->v[0];
    struct rerun_search *search = &rerun->search;
    switch ((unsigned)record->kind) { /* most kinds are for others */
    case SH_TRACE_SEARCH:
        return rerun_search_begin(search, record->v[0] != 0, record->at);
    case SH_TRACE_PASSED:
        search->cut = true;
        return SH_OK;
    case SH_TRACE_HEARD:
        return rerun_search_heard(search, record);
    case SH_TRACE_LOOK:
        if (record->session == 0)
            rerun_search_look(search, record->at);
        return SH_OK;
    case SH_TRACE_PICK:
        if (search->nearby && !search->cut && search->picked != (unsigned)record->v[0])
            part(rerun,
                 search->picked                       ? SH_OK
                 : search->phase == SH_PHASE_APPROACH ? SH_NEAR_TOO_FAR
                                                      : SH_NEAR_NO_ANCHOR,
                 record->at,
                 search->picked ? "the search picks another device" : "the search picks nobody");
        return SH_OK;
    case SH_TRACE_SEARCH_OVER:
        if (search->cut)
            search->end = cause;
        come_to(rerun, search->end);
        if (search->end != cause)
            part(rerun, search->end, record->at, "the search comes to another end");
        return SH_OK;
    default:
        return SH_OK;
    }
}

/* A search that a person's --deadline ended: it is the engine that says where it stood. */
static bool is_cut_search(const struct rerun *rerun, enum sh_cause cause)
{
    const struct rerun_search *search = &rerun->search;
    return cause == SH_NEAR_TOO_FAR && search->nearby && search->phase == SH_PHASE_APPROACH;
}

/* The run's end has to be what the engines came to, where they have a say in it. */
static void on_end(struct rerun *rerun, const struct sh_trace_record *record)
{
    enum sh_cause cause = (enum sh_cause)record->v[0];
    rerun->result.complete = true;
    rerun->result.recorded = cause;
    rerun->result.recorded_ms = record->at;
    if (is_ours(cause) && !rerun->came[cause] && !is_cut_search(rerun, cause) &&
        !rerun->result.full)
        part(rerun, rerun->last, record->at, "the engines did not come to the end of the run");
    if (rerun->over)
        return;
    rerun->over = true;
    rerun->result.replayed = cause;
    rerun->result.replayed_ms = record->at;
    rerun->result.same = true;
}

static enum sh_cause on_session_record(struct rerun *rerun, const struct sh_trace_record *record)
{
    struct session *session = record->session > 0 ? find(rerun, record->session) : NULL;
    if (!session)
        return record->kind == SH_TRACE_SESSION && record->session > 0 ? on_session(rerun, record)
                                                                       : SH_OK;
    sh_ms now = record->at - session->asleep;
    if (record->kind == SH_TRACE_ENDED) {
        on_ended(rerun, session, record->v);
        return SH_OK;
    }
    if (record->kind == SH_TRACE_SLEPT)
        session->asleep += SH_MIN((sh_ms)record->v[0], now);
    if (record->kind == SH_TRACE_OCTETS)
        rerun->result.octets[record->v[0]] += record->v[1];
    if (record->kind == SH_TRACE_ITEMS)
        rerun->result.resumed += record->v[2];
    if (session->end != SH_OK) {
        on_after_end(rerun, session, record);
        return SH_OK;
    }
    if (record->kind == SH_TRACE_LOOK)
        tick_session(session, record->at);
    if (record->kind == SH_TRACE_MEASURE)
        return rerun_near_begin(&session->near, record);
    if (record->kind == SH_TRACE_TRANSFER)
        return rerun_links_begin(&session->links, record, now);
    /* Words of the session's own; causes other than these are no engine's. */
    enum sh_cause cause = rerun_near_record(&session->near, record);
    if (cause == SH_ENV_NO_MEMORY)
        return cause;
    note_end(session, cause, record->at);
    return rerun_links_record(&session->links, record, now);
}

static enum sh_cause one(struct rerun *rerun, const struct sh_trace_record *record)
{
    if (record->kind == SH_TRACE_ABSENT || record->kind == SH_TRACE_SLEPT) {
        /* The program did not run for so long, and decided nothing meanwhile. */
        advance(rerun, record->at - SH_MIN(record->at, (sh_ms)record->v[0]));
        rerun->now = SH_MAX(rerun->now, record->at);
    } else {
        advance(rerun, record->at);
    }
    if (record->kind == SH_TRACE_FULL)
        rerun->result.full = true;
    if (record->kind == SH_TRACE_LOST)
        rerun->result.lost += record->v[0];
    SH_TRY(on_search(rerun, record));
    SH_TRY(on_session_record(rerun, record));
    if (record->kind == SH_TRACE_END)
        on_end(rerun, record);
    return SH_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct sh_trace_record *one = a, *other = b;
    if (one->at != other->at)
        return one->at < other->at ? -1 : 1;
    return (one->order > other->order) - (one->order < other->order);
}

enum sh_cause sh_rerun(struct sh_trace_record *records, size_t count,
                       struct sh_rerun_result *ret_result)
{
    struct rerun rerun = {.result = {.role = (enum sh_role)records[0].v[0],
                                     .at = (sh_ms)records[0].v[1],
                                     .records = count,
                                     .why = ""}};
    enum sh_cause cause = SH_OK;
    rerun.sessions = calloc(SESSIONS, sizeof(*rerun.sessions));
    if (!rerun.sessions)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        records[i].order = i;
    qsort(records, count, sizeof(*records), by_time); /* what was heard is told late */
    for (size_t i = 0; i < count && cause == SH_OK; i++)
        cause = one(&rerun, &records[i]);
    for (size_t i = 0; i < SESSIONS; i++)
        clear(&rerun.sessions[i]);
    free(rerun.sessions);
    rerun_search_clear(&rerun.search);
    if (!rerun.over)
        rerun.result.same = true; /* killed, or still running: as far as it goes */
    *ret_result = rerun.result;
    return cause;
}
