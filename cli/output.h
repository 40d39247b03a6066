/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a person or a script sees. One event function a kind; with --json one object a line on stdout, flushed
 * at once, always with `event` and `t` (seconds since start); without it short lines, a meter and a bar on a terminal.
 * Causes go to stderr with the next step (and to stdout as an event with --json). The names and fields are a contract.
 */
#ifndef SIMHOP_CLI_OUTPUT_H
#define SIMHOP_CLI_OUTPUT_H

#include <stdio.h>

#include "pairing/calibration.h"
#include "pairing/proximity.h"

struct sh_output;

/* Writes to stdout and stderr. NULL when there is no memory. */
struct sh_output *sh_output_new(bool json);
void sh_output_free(struct sh_output *out);
/* For verbs with a loop: from now on a reader that does not read holds nothing up (cli/sink.h). What waits goes on with
 * sh_output_push, to be called now and then, and with sh_output_free, which gives a slow reader two seconds. Without memory it stays
 * as it was. */
void sh_output_unblock(struct sh_output *out);
void sh_output_push(struct sh_output *out);
bool sh_output_is_json(const struct sh_output *out);

enum sh_phase {
    SH_PHASE_NONE,
    SH_PHASE_DISCOVER,
    SH_PHASE_APPROACH,
    SH_PHASE_CONNECT,
    SH_PHASE_MEASURE,
    SH_PHASE_CONFIRM,
    SH_PHASE_ENROL,
    SH_PHASE_LINK,
    SH_PHASE_TRANSFER,
    SH_PHASE_INSTALL,
    SH_PHASE_LINKED,
};
const char *sh_phase_name(enum sh_phase phase);

/* role "anchor" or "secondary"; peer may be NULL. */
void sh_output_phase(struct sh_output *out, enum sh_phase phase, const char *role,
                     const char *peer);
void sh_output_code(struct sh_output *out, const char *digits, const char *peer);
/* attempt counts from 1. */
void sh_output_code_wanted(struct sh_output *out, const char *peer, unsigned attempt);

/* A question that is answered with `yes` or not; what: "proximity". */
void sh_output_consent_wanted(struct sh_output *out, const char *what, const char *question);

struct sh_out_proximity {
    double metres; /* NAN: none */
    unsigned confidence_percent, samples;
    bool accept;
    enum sh_proximity_advice advice; /* while it is not decided */
    bool final;                      /* of `measure`: ends the meter's line */
    const char *backend;             /* "rssi", "channel-sounding" */
};
void sh_output_proximity(struct sh_output *out, const struct sh_out_proximity *proximity);
/* state "up", "down", "failed"; cause SH_OK: none. */
void sh_output_link(struct sh_output *out, const char *link, const char *state,
                    enum sh_cause cause);

struct sh_out_progress {
    const char *item;
    uint64_t verified, total;
    const char *link; /* may be NULL */
    double rate;      /* octets a second */
    double eta;       /* seconds, NAN: unknown */
};
void sh_output_progress(struct sh_output *out, const struct sh_out_progress *progress);
/* What is known of the level at one metre of that device, as heard here; final: it is kept. */
void sh_output_calibration(struct sh_output *out, const char *peer,
                           const struct sh_calibrated *level, bool final);
/* What the other device has kept of ours; level NULL: nothing, for this cause. */
void sh_output_peer_calibration(struct sh_output *out, const char *peer,
                                const struct sh_calibrated *level, enum sh_cause cause);
/* A hint or note for a person; not in JSON but as {"event":"note","text":...}. */
SH_PRINTF(2, 3) void sh_output_note(struct sh_output *out, const char *format, ...);
/* The same, of something that has a name among the causes, but ends nothing: "cause" beside the text in JSON. */
SH_PRINTF(3, 4)
void sh_output_note_of(struct sh_output *out, enum sh_cause cause, const char *format, ...);
/* Says the cause with sh_detail(). Nothing for SH_OK. */
void sh_output_cause(struct sh_output *out, enum sh_cause cause);
bool sh_output_cause_was_said(const struct sh_output *out);
/* For a note of store.slow. */
#define SH_OUTPUT_DISK_WAITS                                                                       \
    "The disk does not answer. It is waited for; what was verified is kept."
/* The disk keeps the thread that writes, and another one says so (system/watchdog.h): a note of store.slow; and the end, which says that
 * cause and ends the process with its status. Neither waits for a reader or frees anything. */
void sh_output_kept(const struct sh_output *out);
_Noreturn void sh_output_kept_end(const struct sh_output *out, const char *detail);

struct sh_out_item {
    const char *name;
    uint64_t size;
    const char *sha256; /* of all of it, 64 hexadecimal digits; NULL: not known */
    const char *path;   /* NULL on the anchor */
};
struct sh_out_done {
    const struct sh_out_item *items;
    size_t item_count;
    struct {
        const char *name;
        uint64_t bytes;
    } links[4];
    size_t link_count;
    uint64_t resumed;
    double seconds;
};
void sh_output_done(struct sh_output *out, const struct sh_out_done *done);

/* Answers of verbs like `bundle show`: text as it is, to stdout. */
void sh_output_text(struct sh_output *out, const char *text);

#endif
