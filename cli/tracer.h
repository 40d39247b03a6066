/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records a run, an engine: what the parts of a run tell comes in, lines of cli/trace.h go out, in the order of their times. It keeps
 * the whole within SH_TRACER_MAX octets: what is heard while nobody is near, and when the search looked at it, is kept in memory until
 * it decides something, and then only the last of it is told; movement of bytes is told at most each SH_TRACER_MOVED_MS, and the last
 * of it always; where the room is used up only ends are told. A recorder that is NULL records nothing.
 *
 * An engine decides by the times that it is given, and a millisecond may be what decides. So `now` is always the time that the engine
 * was given with what is recorded, never a later look at the clock, and when an engine is asked is recorded too.
 *
 * Senders of advertisements get numbers in the order in which they are heard.
 */
#ifndef SIMHOP_CLI_TRACER_H
#define SIMHOP_CLI_TRACER_H

#include "cli/trace.h"
#include "pairing/ble.h"
#include "transfer/path.h"
#include "transfer/patience.h"

#define SH_TRACER_MAX       (1U << 20)
#define SH_TRACER_HEARD_MAX 2048  /* with the looks of the search at it */
#define SH_TRACER_HEARD_MS  40000 /* older ones decide nothing any more (see cli/nearby.h) */
#define SH_TRACER_MOVED_MS  500

struct sh_tracer_ops {
    /* One line, with its newline, of a record of this time. */
    void (*line)(struct sh_bytes line, sh_ms at, void *user);
};

struct sh_tracer;

/* NULL when there is no memory. */
struct sh_tracer *sh_tracer_new(const struct sh_tracer_ops *ops, void *user, sh_ms now);
/* Tells what it still holds back. */
void sh_tracer_free(struct sh_tracer *tracer);

/* To be called at least each second: what lies longer than SH_TRACER_ABSENT_MS between two calls of this recorder was no time of ours. */
#define SH_TRACER_ABSENT_MS SH_ABSENT_MS
void sh_tracer_alive(struct sh_tracer *tracer, sh_ms now);

/* Is half of its room, or of its time, used up? Then it is better begun anew while no session runs: it forgets all that it told and
 * counts from this time on. */
bool sh_tracer_is_old(const struct sh_tracer *tracer, sh_ms now);
void sh_tracer_renew(struct sh_tracer *tracer, sh_ms now);

/* A number for one more session of this run; 0 without a recorder. */
unsigned sh_tracer_session(struct sh_tracer *tracer);

/* count: of the kind's values, which is checked; the others are 0. */
void sh_tracer_put(struct sh_tracer *tracer, sh_ms now, unsigned session, enum sh_trace_kind kind,
                   const int64_t *values, size_t count);
#define SH_TRACE(tracer, now, session, kind, ...)                                                  \
    sh_tracer_put(tracer, now, session, SH_TRACE_##kind, (const int64_t[]){__VA_ARGS__},           \
                  sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* An advertisement that counted: how it was heard, at which power it was sent, what is stated and what is known of its level at one
 * metre (dBm, NAN: nothing). */
struct sh_traced_advert {
    const char *address; /* becomes a number */
    int dbm, power_db;
    double stated_dbm, known_dbm;
    bool linked;
};
void sh_tracer_heard(struct sh_tracer *tracer, sh_ms now, const struct sh_traced_advert *advert);
/* This one is picked: the last of what was heard is told first. */
void sh_tracer_pick(struct sh_tracer *tracer, sh_ms now, const char *address);

void sh_tracer_path(struct sh_tracer *tracer, sh_ms now, unsigned session, int link,
                    const struct sh_path_facts *facts, enum sh_cause cause, enum sh_cause verdict);
/* What a path record says; its view is not in it. */
struct sh_path_facts sh_trace_facts(const struct sh_trace_record *record);

/* Hundredths, SH_TRACE_NONE for what is not finite. */
int64_t sh_trace_hundredths(double number);

#endif
