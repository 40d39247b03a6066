/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/output.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output_form.h"
#include "cli/safe.h"
#include "cli/sink.h"
#include "system/clock.h"

/* Four lines a second and the last one make at most five. */
#define PROGRESS_MS 250
#define METER_MS    200
#define DRAIN_MS    2000

static sh_ms boottime(void *user)
{
    (void)user;
    return sh_now();
}

struct sh_output *sh_output_new_on(const struct sh_output_target *target)
{
    struct sh_output *out = calloc(1, sizeof(*out));
    if (!out)
        return NULL;
    out->to = *target;
    out->form = target->json ? &sh_output_form_json : &sh_output_form_text;
    out->start = target->now(target->user);
    return out;
}

struct sh_output *sh_output_new(bool json)
{
    struct sh_output_target target = {
        .out = stdout,
        .err = stderr,
        .json = json,
        .terminal = isatty(STDOUT_FILENO) == 1,
        .now = boottime,
    };
    return sh_output_new_on(&target);
}

static void unblock(FILE **file, struct sh_sink **sink)
{
    if (*sink || fileno(*file) < 0)
        return;
    fflush(*file);
    *sink = sh_sink_new(fileno(*file));
    if (*sink)
        *file = sh_sink_stream(*sink);
}

void sh_output_unblock(struct sh_output *out)
{
    unblock(&out->to.out, &out->sinks[0]);
    unblock(&out->to.err, &out->sinks[1]);
}

void sh_output_push(struct sh_output *out)
{
    for (size_t i = 0; i < SH_COUNT(out->sinks); i++) {
        if (out->sinks[i])
            sh_sink_push(out->sinks[i]);
    }
}

void sh_output_free(struct sh_output *out)
{
    if (!out)
        return;
    sh_output_end_live(out);
    for (size_t i = 0; i < SH_COUNT(out->sinks); i++)
        sh_sink_close(out->sinks[i], DRAIN_MS);
    for (size_t i = 0; i < out->item_count; i++) {
        free(out->items[i].name);
        free(out->items[i].link);
    }
    free(out->items);
    free(out);
}

bool sh_output_is_json(const struct sh_output *out)
{
    return out->to.json;
}

bool sh_output_cause_was_said(const struct sh_output *out)
{
    return out->cause_was_said;
}

double sh_output_seconds(const struct sh_output *out)
{
    return (double)(out->to.now(out->to.user) - out->start) / 1000.0;
}

const char *sh_phase_name(enum sh_phase phase)
{
    static const char *const names[] = {
        [SH_PHASE_NONE] = "none",         [SH_PHASE_DISCOVER] = "discover",
        [SH_PHASE_APPROACH] = "approach", [SH_PHASE_CONNECT] = "connect",
        [SH_PHASE_MEASURE] = "measure",   [SH_PHASE_CONFIRM] = "confirm",
        [SH_PHASE_ENROL] = "enrol",       [SH_PHASE_LINK] = "link",
        [SH_PHASE_TRANSFER] = "transfer", [SH_PHASE_INSTALL] = "install",
        [SH_PHASE_LINKED] = "linked",
    };
    return (unsigned)phase < SH_COUNT(names) ? names[phase] : "none";
}

/* ---- Events that both forms get as they come ---- */

void sh_output_phase(struct sh_output *out, enum sh_phase phase, const char *role, const char *peer)
{
    out->verdict = NULL;
    out->form->phase(out, phase, role, peer);
}

void sh_output_code(struct sh_output *out, const char *digits, const char *peer)
{
    out->form->code(out, digits, peer);
}

void sh_output_code_wanted(struct sh_output *out, const char *peer, unsigned attempt)
{
    out->form->code_wanted(out, peer, attempt);
}

void sh_output_consent_wanted(struct sh_output *out, const char *what, const char *question)
{
    out->form->consent_wanted(out, what, question);
}

void sh_output_link(struct sh_output *out, const char *link, const char *state, enum sh_cause cause)
{
    out->form->link(out, link, state, cause);
}

void sh_output_note(struct sh_output *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    out->form->note(out, text, SH_OK);
}

void sh_output_note_of(struct sh_output *out, enum sh_cause cause, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    out->form->note(out, text, cause);
}

void sh_output_text(struct sh_output *out, const char *text)
{
    sh_output_end_live(out);
    fputs(text, out->to.out);
    fflush(out->to.out);
}

/* ---- The meter ---- */

void sh_output_proximity(struct sh_output *out, const struct sh_out_proximity *proximity)
{
    sh_ms now = out->to.now(out->to.user);
    const char *verdict = proximity->accept ? "accept" : sh_advice_name(proximity->advice);
    bool changed = !out->verdict || strcmp(out->verdict, verdict) != 0;
    if (out->to.json || out->to.terminal) {
        if (!changed && !proximity->final && now - out->verdict_at < METER_MS)
            return;
        out->verdict = verdict;
        out->verdict_at = now;
    } /* without a terminal the text decides by what it would say */
    out->form->proximity(out, proximity);
}

/* ---- Progress ---- */

void sh_output_calibration(struct sh_output *out, const char *peer,
                           const struct sh_calibrated *level, bool final)
{
    out->form->calibration(out, peer, level, final);
}

void sh_output_peer_calibration(struct sh_output *out, const char *peer,
                                const struct sh_calibrated *level, enum sh_cause cause)
{
    out->form->peer_calibration(out, peer, level, cause);
}

static struct sh_tracked *tracked(struct sh_output *out, const char *name)
{
    for (size_t i = 0; i < out->item_count; i++) {
        if (strcmp(out->items[i].name, name) == 0)
            return &out->items[i];
    }
    if (out->item_count == out->item_room) {
        size_t room = out->item_room * 2 + 16;
        struct sh_tracked *items = realloc(out->items, room * sizeof(*items));
        if (!items)
            return NULL;
        out->items = items;
        out->item_room = room;
    }
    struct sh_tracked *item = &out->items[out->item_count];
    *item = (struct sh_tracked){.name = strdup(name)};
    if (!item->name)
        return NULL;
    out->item_count++;
    return item;
}

static void show_progress(struct sh_output *out, struct sh_tracked *item)
{
    item->is_pending = false;
    item->last = out->to.now(out->to.user);
    item->complete = item->pending.verified == item->pending.total;
    out->form->progress(out, item);
    item->shown = true;
}

void sh_output_progress(struct sh_output *out, const struct sh_out_progress *progress)
{
    struct sh_tracked *item = tracked(out, progress->item);
    if (!item)
        return; /* no memory: the person sees the next one */
    bool complete = progress->verified == progress->total;
    if (complete && item->complete)
        return;
    if (item->link && (!progress->link || strcmp(item->link, progress->link) != 0)) {
        free(item->link);
        item->link = NULL;
    }
    if (!item->link && progress->link)
        item->link = strdup(progress->link);
    item->pending = *progress;
    item->pending.item = item->name;
    item->pending.link = item->link;
    item->is_pending = true;
    item->complete = false;
    if (complete || !item->shown || out->to.now(out->to.user) - item->last >= PROGRESS_MS)
        show_progress(out, item);
}

/* What was held back is said before the end. */
static void flush_progress(struct sh_output *out)
{
    for (size_t i = 0; i < out->item_count; i++) {
        if (out->items[i].is_pending)
            show_progress(out, &out->items[i]);
    }
}

/* ---- The end ---- */

void sh_output_cause(struct sh_output *out, enum sh_cause cause)
{
    if (cause == SH_OK)
        return;
    flush_progress(out);
    sh_output_end_live(out);
    const struct sh_cause_info *info = sh_cause_info(cause);
    char detail[512];
    (void)sh_safe_copy(detail, sizeof(detail), sh_detail(), UINT32_MAX);
    fprintf(out->to.err, "simhop: %s (%s)\n", info->message, info->name);
    if (detail[0])
        fprintf(out->to.err, "  %s\n", detail);
    fprintf(out->to.err, "  Next: %s\n", info->next);
    fflush(out->to.err);
    out->form->cause(out, info, sh_detail());
    out->cause_was_said = true;
}

void sh_output_done(struct sh_output *out, const struct sh_out_done *done)
{
    flush_progress(out);
    out->form->done(out, done);
}

void sh_output_log(struct sh_output *out, const char *line)
{
    char safe[512];
    (void)sh_safe_copy(safe, sizeof(safe), line, UINT32_MAX);
    sh_output_end_live(out);
    fprintf(out->to.err, "%9.3f  %s\n", sh_output_seconds(out), safe);
    fflush(out->to.err);
}
