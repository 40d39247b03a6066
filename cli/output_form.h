/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside output: the two forms (text, JSON lines) behind one table, and where they write to. Beside output*.c only
 * tests, main (log) and verbs that answer with events of their own include this.
 */
#ifndef SIMHOP_CLI_OUTPUT_FORM_H
#define SIMHOP_CLI_OUTPUT_FORM_H

#include <cjson/cJSON.h>

#include "cli/output.h"

/* Where output goes; tests give their own. */
struct sh_output_target {
    FILE *out, *err;
    bool json;
    bool terminal;    /* lines may be redrawn */
    unsigned columns; /* of the terminal; 0 = ask it */
    sh_ms (*now)(void *user);
    void *user;
};

/* The target's files stay with the caller. NULL when there is no memory. */
struct sh_output *sh_output_new_on(const struct sh_output_target *target);

/* An item's progress, held back while the last line of it is too young. */
struct sh_tracked {
    char *name, *link;              /* link may be NULL */
    struct sh_out_progress pending; /* its texts are the two above */
    bool is_pending, complete, shown;
    sh_ms last;    /* when it was shown last */
    unsigned step; /* percent shown last, for output without a terminal */
};

struct sh_output;

struct sh_output_form {
    void (*phase)(struct sh_output *out, enum sh_phase phase, const char *role, const char *peer);
    void (*code)(struct sh_output *out, const char *digits, const char *peer);
    void (*code_wanted)(struct sh_output *out, const char *peer, unsigned attempt);
    void (*consent_wanted)(struct sh_output *out, const char *what, const char *question);
    void (*proximity)(struct sh_output *out, const struct sh_out_proximity *proximity);
    void (*link)(struct sh_output *out, const char *link, const char *state, enum sh_cause cause);
    void (*progress)(struct sh_output *out, struct sh_tracked *item);
    void (*calibration)(struct sh_output *out, const char *peer, const struct sh_calibrated *level,
                        bool final);
    void (*peer_calibration)(struct sh_output *out, const char *peer,
                             const struct sh_calibrated *level, enum sh_cause cause);
    void (*note)(struct sh_output *out, const char *text, enum sh_cause cause); /* SH_OK: none */
    void (*cause)(struct sh_output *out, const struct sh_cause_info *info, const char *detail);
    void (*done)(struct sh_output *out, const struct sh_out_done *done);
};

extern const struct sh_output_form sh_output_form_text, sh_output_form_json;

struct sh_output {
    struct sh_output_target to;
    const struct sh_output_form *form;
    struct sh_sink *sinks[2]; /* of stdout and stderr, once unblocked */
    sh_ms start;
    bool cause_was_said;
    struct sh_tracked *items;
    size_t item_count, item_room;
    /* The meter: what was said last and when. */
    const char *verdict;
    sh_ms verdict_at;
    /* The line that is being redrawn, if any, and its columns. */
    bool live;
    unsigned live_columns;
};

double sh_output_seconds(const struct sh_output *out);

/* A line of sh_log, on standard error with the seconds, without spoiling a line that is being redrawn. */
void sh_output_log(struct sh_output *out, const char *line);

/* ---- Text: ends the line that is being redrawn ---- */
void sh_output_end_live(struct sh_output *out);

/* ---- JSON: a verb's own events ----
 * {"event":NAME,"t":...}; NULL when there is no memory, which all that follow take as nothing. */
cJSON *sh_json_event(const struct sh_output *out, const char *name);
/* NULL becomes null; octets that are not UTF-8 become U+FFFD. */
void sh_json_text(cJSON *object, const char *key, const char *text);
void sh_json_uint(cJSON *object, const char *key, uint64_t number);
void sh_json_int(cJSON *object, const char *key, int64_t number);
/* Not finite: null. */
void sh_json_double(cJSON *object, const char *key, double number, int decimals);
/* All that a cause has; detail "" for none. */
void sh_json_cause(cJSON *event, const struct sh_cause_info *info, const char *detail);
/* Writes the line, flushes, frees. */
void sh_json_emit(struct sh_output *out, cJSON *event);

#endif
