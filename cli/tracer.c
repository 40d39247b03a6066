/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tracer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SENDERS     64
#define END_RESERVE 4096 /* for the ends, where the room is used up */

struct sh_tracer {
    const struct sh_tracer_ops *ops;
    void *user;
    sh_ms begun, alive;
    size_t octets;
    bool full;
    unsigned sessions;

    struct {
        char address[SH_BLE_ADDRESS];
        unsigned number;
    } senders[SENDERS]; /* a ring: who was pushed out is somebody new */
    unsigned sender_count;

    struct sh_trace_record
        *heard; /* a ring of SH_TRACER_HEARD_MAX: heard, and looks of the search */
    size_t heard_first, heard_count;
    uint64_t passed;      /* heard before, and not told */
    unsigned passed_from; /* senders that had their number then */

    struct sh_trace_record moved; /* held back */
    bool moved_held;
    sh_ms moved_told;
};

struct sh_tracer *sh_tracer_new(const struct sh_tracer_ops *ops, void *user, sh_ms now)
{
    struct sh_tracer *tracer = calloc(1, sizeof(*tracer));
    if (!tracer)
        return NULL;
    tracer->heard = calloc(SH_TRACER_HEARD_MAX, sizeof(*tracer->heard));
    tracer->ops = ops;
    tracer->user = user;
    tracer->begun = tracer->alive = now;
    if (tracer->heard)
        return tracer;
    free(tracer);
    return NULL;
}

/* ---- Lines ---- */

static bool is_end(enum sh_trace_kind kind)
{
    return kind == SH_TRACE_ENDED || kind == SH_TRACE_END || kind == SH_TRACE_OCTETS ||
           kind == SH_TRACE_LINK;
}

static void write_line(struct sh_tracer *tracer, const struct sh_trace_record *record)
{
    char line[SH_TRACE_LINE_MAX + 1];
    size_t n = sh_trace_encode(record, line);
    size_t room = SH_TRACER_MAX - (is_end(record->kind) ? 0 : END_RESERVE);
    if (tracer->octets + n > room || (tracer->full && !is_end(record->kind)))
        return;
    tracer->octets += n;
    tracer->ops->line(SH_BYTES(line, n), record->at, tracer->user);
}

/* Says once that the room is used up; all that is no end is left out from then on. */
static void tell(struct sh_tracer *tracer, const struct sh_trace_record *record)
{
    if (!tracer->full && tracer->octets + SH_TRACE_LINE_MAX > SH_TRACER_MAX - END_RESERVE) {
        const struct sh_trace_record full = {.kind = SH_TRACE_FULL, .at = record->at};
        write_line(tracer, &full);
        tracer->full = true;
    }
    write_line(tracer, record);
}

static void tell_moved(struct sh_tracer *tracer)
{
    if (!tracer->moved_held)
        return;
    tracer->moved_held = false;
    tracer->moved_told = tracer->moved.at;
    tell(tracer, &tracer->moved);
}

static sh_ms since_begin(const struct sh_tracer *tracer, sh_ms now)
{
    return now > tracer->begun ? now - tracer->begun : 0;
}

static bool decides_search(enum sh_trace_kind kind)
{
    return kind == SH_TRACE_PICK || kind == SH_TRACE_SEARCH_OVER || kind == SH_TRACE_END ||
           kind == SH_TRACE_SEARCH;
}

static const struct sh_trace_record *first_heard(const struct sh_tracer *tracer)
{
    return &tracer->heard[tracer->heard_first];
}

static void pass_first(struct sh_tracer *tracer)
{
    tracer->passed += first_heard(tracer)->kind == SH_TRACE_HEARD;
    tracer->heard_first = (tracer->heard_first + 1) % SH_TRACER_HEARD_MAX;
    tracer->heard_count--;
}

/* What was heard goes before what it decided. */
static void tell_heard(struct sh_tracer *tracer, sh_ms at)
{
    while (tracer->heard_count > 0 && first_heard(tracer)->at + SH_TRACER_HEARD_MS < at)
        pass_first(tracer);
    if (tracer->passed > 0) {
        const struct sh_trace_record passed = {
            .kind = SH_TRACE_PASSED,
            .at = tracer->heard_count > 0 ? first_heard(tracer)->at : at,
            .v = {tracer->sender_count - tracer->passed_from, (int64_t)tracer->passed}};
        tell(tracer, &passed);
    }
    for (size_t i = 0; i < tracer->heard_count; i++)
        tell(tracer, &tracer->heard[(tracer->heard_first + i) % SH_TRACER_HEARD_MAX]);
    tracer->heard_count = 0;
    tracer->passed = 0;
    tracer->passed_from = tracer->sender_count;
}

static void hold_heard(struct sh_tracer *tracer, const struct sh_trace_record *record)
{
    if (tracer->heard_count == SH_TRACER_HEARD_MAX)
        pass_first(tracer);
    tracer->heard[(tracer->heard_first + tracer->heard_count++) % SH_TRACER_HEARD_MAX] = *record;
}

static bool is_heard(const struct sh_trace_record *record)
{
    return record->kind == SH_TRACE_HEARD ||
           (record->kind == SH_TRACE_LOOK && record->session == 0);
}

static void hold_moved(struct sh_tracer *tracer, const struct sh_trace_record *record)
{
    if (tracer->moved_held && tracer->moved.session != record->session)
        tell_moved(tracer);
    tracer->moved = *record;
    tracer->moved_held = true;
    if (record->at >= tracer->moved_told + SH_TRACER_MOVED_MS)
        tell_moved(tracer);
}

void sh_tracer_alive(struct sh_tracer *tracer, sh_ms now)
{
    if (!tracer)
        return;
    sh_ms gap = now > tracer->alive ? now - tracer->alive : 0;
    tracer->alive = SH_MAX(tracer->alive, now);
    if (gap > SH_TRACER_ABSENT_MS)
        SH_TRACE(tracer, now, 0, ABSENT, (int64_t)gap);
}

void sh_tracer_put(struct sh_tracer *tracer, sh_ms now, unsigned session, enum sh_trace_kind kind,
                   const int64_t *values, size_t count)
{
    if (!tracer)
        return;
    sh_tracer_alive(tracer, now);
    struct sh_trace_record record = {
        .kind = kind, .at = since_begin(tracer, now), .session = session};
    memcpy(record.v, values, SH_MIN(count, sh_trace_count(kind)) * sizeof(*values));
    if (is_heard(&record)) {
        hold_heard(tracer, &record);
        return;
    }
    if (kind == SH_TRACE_MOVED) {
        hold_moved(tracer, &record);
        return;
    }
    tell_moved(tracer);
    if (decides_search(kind))
        tell_heard(tracer, record.at);
    tell(tracer, &record);
}

void sh_tracer_free(struct sh_tracer *tracer)
{
    if (!tracer)
        return;
    tell_moved(tracer);
    free(tracer->heard);
    free(tracer);
}

bool sh_tracer_is_old(const struct sh_tracer *tracer, sh_ms now)
{
    return tracer &&
           (tracer->octets > SH_TRACER_MAX / 2 || since_begin(tracer, now) > SH_TRACE_TIME_MAX / 2);
}

void sh_tracer_renew(struct sh_tracer *tracer, sh_ms now)
{
    tell_moved(tracer);
    *tracer = (struct sh_tracer){.ops = tracer->ops,
                                 .user = tracer->user,
                                 .begun = now,
                                 .alive = now,
                                 .heard = tracer->heard};
}

unsigned sh_tracer_session(struct sh_tracer *tracer)
{
    return tracer ? ++tracer->sessions : 0;
}

/* ---- What becomes numbers ---- */

int64_t sh_trace_hundredths(double number)
{
    return isfinite(number) && fabs(number) < 1e12 ? llround(number * 100.0) : SH_TRACE_NONE;
}

static unsigned number_of(struct sh_tracer *tracer, const char *address)
{
    for (size_t i = 0; i < SENDERS; i++) {
        if (tracer->senders[i].number > 0 && strcmp(tracer->senders[i].address, address) == 0)
            return tracer->senders[i].number;
    }
    size_t place = tracer->sender_count++ % SENDERS;
    if (!sh_strcopy(tracer->senders[place].address, SH_BLE_ADDRESS, address))
        tracer->senders[place].address[0] = '\0'; /* not reached: the radio's own size */
    tracer->senders[place].number = tracer->sender_count;
    return tracer->sender_count;
}

void sh_tracer_heard(struct sh_tracer *tracer, sh_ms now, const struct sh_traced_advert *advert)
{
    if (!tracer)
        return;
    SH_TRACE(tracer, now, 0, HEARD, number_of(tracer, advert->address), advert->dbm,
             advert->power_db, sh_trace_hundredths(advert->stated_dbm),
             sh_trace_hundredths(advert->known_dbm), advert->linked);
}

void sh_tracer_pick(struct sh_tracer *tracer, sh_ms now, const char *address)
{
    if (tracer)
        SH_TRACE(tracer, now, 0, PICK, number_of(tracer, address));
}

/* The place of each in a path record. */
enum {
    PATH_LINK,
    PATH_CAUSE,
    PATH_VERDICT,
    PATH_PHASE,
    PATH_ERROR,
    PATH_AFTER,
    PATH_ANSWER,
    PATH_NEIGHBOUR,
    PATH_ROUTE,
    PATH_ACKED,
    PATH_UNACKED,
    PATH_CLOSED,
    PATH_ZERO_WINDOW,
    PATH_SMALL,
    PATH_PINGS,
    PATH_MUTE,
    PATH_VALUES
};

void sh_tracer_path(struct sh_tracer *tracer, sh_ms now, unsigned session, int link,
                    const struct sh_path_facts *facts, enum sh_cause cause, enum sh_cause verdict)
{
    const int64_t values[PATH_VALUES] = {
        [PATH_LINK] = link,
        [PATH_CAUSE] = (int64_t)cause,
        [PATH_VERDICT] = (int64_t)verdict,
        [PATH_PHASE] = (int64_t)facts->phase,
        [PATH_ERROR] = facts->error,
        [PATH_AFTER] = (int64_t)facts->after,
        [PATH_ANSWER] = (int64_t)facts->answer,
        [PATH_NEIGHBOUR] = (int64_t)facts->neighbour,
        [PATH_ROUTE] = (int64_t)facts->route,
        [PATH_ACKED] = (int64_t)facts->acked,
        [PATH_UNACKED] = facts->unacked,
        [PATH_CLOSED] = facts->closed,
        [PATH_ZERO_WINDOW] = facts->zero_window,
        [PATH_SMALL] = facts->small_answered,
        [PATH_PINGS] = facts->pings_answered,
        [PATH_MUTE] = (int64_t)facts->mute,
    };
    sh_tracer_put(tracer, now, session, SH_TRACE_PATH, values, PATH_VALUES);
}

struct sh_path_facts sh_trace_facts(const struct sh_trace_record *record)
{
    const int64_t *v = record->v;
    return (struct sh_path_facts){.phase = (enum sh_path_phase)v[PATH_PHASE],
                                  .error = (int)v[PATH_ERROR],
                                  .after = (sh_ms)v[PATH_AFTER],
                                  .answer = (enum sh_path_answer)v[PATH_ANSWER],
                                  .neighbour = (enum sh_path_neighbour)v[PATH_NEIGHBOUR],
                                  .route = (enum sh_path_route)v[PATH_ROUTE],
                                  .acked = (uint64_t)v[PATH_ACKED],
                                  .unacked = (unsigned)v[PATH_UNACKED],
                                  .closed = v[PATH_CLOSED] != 0,
                                  .zero_window = v[PATH_ZERO_WINDOW] != 0,
                                  .small_answered = v[PATH_SMALL] != 0,
                                  .pings_answered = v[PATH_PINGS] != 0,
                                  .mute = (sh_ms)v[PATH_MUTE]};
}
