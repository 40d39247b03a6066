/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is recorded of a run, as lines of JSON (docs/report.md lists them): what the engines saw and what they made of it. A record
 * holds numbers, yes or no, causes of the table and words of fixed lists, never a text from outside. So no name, address, code, key
 * or content can get into it, whoever writes one; devices are numbers that mean something in this run only.
 *
 * Pure functions: a line from a record, a record from a line. What a line may hold stands in one table (trace.c).
 */
#ifndef SIMHOP_CLI_TRACE_H
#define SIMHOP_CLI_TRACE_H

#include "proto/cause.h"

#define SH_TRACE_LINE_MAX 1024 /* octets of a line, with its newline */
#define SH_TRACE_VALUES   20
#define SH_TRACE_NONE     INT64_MIN                        /* not known: null */
#define SH_TRACE_TIME_MAX (UINT64_C(7) * 24 * 3600 * 1000) /* ms */

/* With their values, in the order of `v`. */
enum sh_trace_kind {
    SH_TRACE_RUN,    /* role, at, major, minor, patch, radio, policy, pair, calibrate */
    SH_TRACE_END,    /* cause */
    SH_TRACE_PHASE,  /* phase */
    SH_TRACE_FULL,   /* - (the room is used up: from here on only ends) */
    SH_TRACE_LOST,   /* lines (the disk did not take them in time) */
    SH_TRACE_ABSENT, /* ms (before this the program did not run for so long) */
    SH_TRACE_SLEPT,  /* ms (of this the machine says so itself) */
    SH_TRACE_LOOK, /* - (the engines were asked at this time: those of the session, or the search) */

    SH_TRACE_SEARCH,      /* far */
    SH_TRACE_PASSED,      /* senders, heard */
    SH_TRACE_HEARD,       /* from, dbm, power_db, stated, known (both hundredths of dBm), linked */
    SH_TRACE_PICK,        /* from */
    SH_TRACE_SEARCH_OVER, /* cause */
    SH_TRACE_CONNECT,     /* try */
    SH_TRACE_UNCONNECTED, /* cause */

    SH_TRACE_SESSION,  /* direct, returning */
    SH_TRACE_STAGE,    /* stage */
    SH_TRACE_MEASURE,  /* level, level_kind, rule, optional */
    SH_TRACE_RSSI,     /* dbm */
    SH_TRACE_DISTANCE, /* mm, sd_mm */
    SH_TRACE_MEASURED, /* verdict, cm, confidence, samples */
    SH_TRACE_CODE,     /* run */
    SH_TRACE_THEIRS,   /* level, level_kind, rate (thousandths of Hz), count */
    SH_TRACE_PEER,     /* ms, dbm, channel */
    SH_TRACE_JUDGED,   /* score, asymmetry (hundredths of dB), stepped, unheard, demanded, cause */
    SH_TRACE_ENDED,    /* cause, by */

    SH_TRACE_TRANSFER,     /* chance, three kinds of link */
    SH_TRACE_ITEMS,        /* count, octets, resumed */
    SH_TRACE_OFFER,        /* link, tag, v6, v4 */
    SH_TRACE_OFFERS,       /* - */
    SH_TRACE_NETWORK,      /* - */
    SH_TRACE_DIAL,         /* attempt, link, v6, segment */
    SH_TRACE_ATTEMPT_UP,   /* attempt, link */
    SH_TRACE_PATH,         /* link, cause, verdict, then the facts (sh_trace_of_facts) */
    SH_TRACE_VIEW,         /* link, listening, connections */
    SH_TRACE_ATTEMPT_DOWN, /* attempt, cause */
    SH_TRACE_LINK,         /* link, state, cause */
    SH_TRACE_CARRIES,      /* id, link, up, cause */
    SH_TRACE_EXPECT,       /* ms */
    SH_TRACE_MOVED,        /* octets, left, more */
    SH_TRACE_OVER,         /* cause */
    SH_TRACE_OCTETS,       /* link, octets */
    SH_TRACE_KINDS
};

enum sh_trace_by { SH_BY_HERE, SH_BY_PEER, SH_BY_PERSON };

struct sh_trace_record {
    enum sh_trace_kind kind;
    sh_ms at;         /* since the run began */
    unsigned session; /* 1.. within the run; 0: of the run itself */
    size_t order;     /* for who sorts them */
    int64_t v[SH_TRACE_VALUES];
};

/* How many values a kind has; its name in the line. */
size_t sh_trace_count(enum sh_trace_kind kind);
const char *sh_trace_name(enum sh_trace_kind kind);

/* The line with its newline and a NUL; returns its octets. A value that is out of its range becomes null, or the nearest that may stand
 * there. */
size_t sh_trace_encode(const struct sh_trace_record *record, char out[SH_TRACE_LINE_MAX + 1]);

enum sh_trace_line { SH_LINE_BAD, SH_LINE_RECORD, SH_LINE_OTHER };

/* A line without its newline. OTHER: an object that is no record of this version. BAD: no object, or a record whose values are
 * missing or out of their range; *ret_why says what (static, or the name of a value). */
SH_MUST_USE enum sh_trace_line
sh_trace_decode(struct sh_bytes line, struct sh_trace_record *ret_record, const char **ret_why);

#endif
