/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON lines: the event's object is put together by cJSON; numbers are written by us, since cJSON keeps a double only. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/output_form.h"
#include "cli/safe.h"

/* ---- Objects ---- */

/* cJSON takes any octets for text; a reader of JSON does not. */
static char *valid_utf8(const char *text)
{
    size_t size = 1;
    for (const char *p = text; *p; p++)
        size += 3;
    char *copy = malloc(size);
    if (!copy)
        return NULL;
    size_t n = 0;
    for (const char *p = text; *p;) {
        const char *start = p;
        if (sh_utf8_next(&p) == SH_UTF8_BAD) {
            copy[n++] = '\xef';
            copy[n++] = '\xbf';
            copy[n++] = '\xbd';
        } else {
            while (start < p)
                copy[n++] = *start++;
        }
    }
    copy[n] = '\0';
    return copy;
}

void sh_json_text(cJSON *object, const char *key, const char *text)
{
    sh_autofree char *valid = text ? valid_utf8(text) : NULL;
    if (valid)
        cJSON_AddStringToObject(object, key, valid);
    else
        cJSON_AddNullToObject(object, key);
}

void sh_json_uint(cJSON *object, const char *key, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    cJSON_AddRawToObject(object, key, text);
}

void sh_json_int(cJSON *object, const char *key, int64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, number);
    cJSON_AddRawToObject(object, key, text);
}

void sh_json_double(cJSON *object, const char *key, double number, int decimals)
{
    char text[352]; /* the largest double and its decimals */
    if (!isfinite(number)) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    snprintf(text, sizeof(text), "%.*f", decimals, number);
    cJSON_AddRawToObject(object, key, text);
}

cJSON *sh_json_event(const struct sh_output *out, const char *name)
{
    cJSON *event = cJSON_CreateObject();
    sh_json_text(event, "event", name);
    sh_json_double(event, "t", sh_output_seconds(out), 3);
    return event;
}

/* What is not ASCII stands inside strings only. What a terminal would obey is escaped, so that a person may look at
 * the lines too. */
static void write_line(FILE *file, const char *text)
{
    while (*text) {
        const char *start = text;
        uint32_t c = sh_utf8_next(&text);
        if (sh_char_is_unsafe(c))
            fprintf(file, "\\u%04x", (unsigned)(c == SH_UTF8_BAD ? 0xfffd : c));
        else
            fwrite(start, 1, (size_t)(text - start), file);
    }
    putc('\n', file);
    fflush(file);
}

void sh_json_emit(struct sh_output *out, cJSON *event)
{
    char *line = event ? cJSON_PrintUnformatted(event) : NULL;
    if (line)
        write_line(out->to.out, line);
    cJSON_free(line);
    cJSON_Delete(event);
}

/* ---- Events ---- */

static void phase(struct sh_output *out, enum sh_phase phase, const char *role, const char *peer)
{
    cJSON *event = sh_json_event(out, "phase");
    sh_json_text(event, "phase", sh_phase_name(phase));
    sh_json_text(event, "role", role);
    if (peer)
        sh_json_text(event, "peer", peer);
    sh_json_emit(out, event);
}

static void code(struct sh_output *out, const char *digits, const char *peer)
{
    cJSON *event = sh_json_event(out, "code");
    sh_json_text(event, "code", digits);
    if (peer)
        sh_json_text(event, "peer", peer);
    sh_json_emit(out, event);
}

static void code_wanted(struct sh_output *out, const char *peer, unsigned attempt)
{
    cJSON *event = sh_json_event(out, "code-wanted");
    sh_json_uint(event, "attempt", attempt);
    if (peer)
        sh_json_text(event, "peer", peer);
    sh_json_emit(out, event);
}

static void consent_wanted(struct sh_output *out, const char *what, const char *question)
{
    cJSON *event = sh_json_event(out, "consent-wanted");
    sh_json_text(event, "what", what);
    sh_json_text(event, "question", question);
    sh_json_emit(out, event);
}

static void proximity(struct sh_output *out, const struct sh_out_proximity *proximity)
{
    cJSON *event = sh_json_event(out, "proximity");
    sh_json_double(event, "metres", proximity->metres, 2);
    sh_json_double(event, "confidence", proximity->confidence_percent / 100.0, 2);
    sh_json_uint(event, "samples", proximity->samples);
    cJSON_AddBoolToObject(event, "accept", proximity->accept);
    sh_json_text(event, "advice", sh_advice_name(proximity->advice));
    sh_json_text(event, "backend", proximity->backend);
    cJSON_AddBoolToObject(event, "final", proximity->final);
    sh_json_emit(out, event);
}

static void link_state(struct sh_output *out, const char *link, const char *state,
                       enum sh_cause cause)
{
    cJSON *event = sh_json_event(out, "link");
    sh_json_text(event, "link", link);
    sh_json_text(event, "state", state);
    sh_json_text(event, "cause", cause == SH_OK ? NULL : sh_cause_info(cause)->name);
    sh_json_emit(out, event);
}

static void progress(struct sh_output *out, struct sh_tracked *item)
{
    const struct sh_out_progress *p = &item->pending;
    cJSON *event = sh_json_event(out, "progress");
    sh_json_text(event, "item", p->item);
    sh_json_uint(event, "verified", p->verified);
    sh_json_uint(event, "total", p->total);
    sh_json_text(event, "link", p->link);
    sh_json_double(event, "rate", p->rate, 0);
    sh_json_double(event, "eta", p->eta, 1);
    sh_json_emit(out, event);
}

static void level_into(cJSON *event, const struct sh_calibrated *level)
{
    sh_json_double(event, "level", level->dbm, 1);
    sh_json_double(event, "spread", level->spread_db, 2);
    sh_json_uint(event, "samples", level->samples);
    sh_json_uint(event, "positions", level->positions);
}

static void calibration(struct sh_output *out, const char *peer, const struct sh_calibrated *level,
                        bool final)
{
    cJSON *event = sh_json_event(out, "calibration");
    sh_json_text(event, "peer", peer);
    level_into(event, level);
    cJSON_AddBoolToObject(event, "final", final);
    sh_json_emit(out, event);
}

static void peer_calibration(struct sh_output *out, const char *peer,
                             const struct sh_calibrated *level, enum sh_cause cause)
{
    cJSON *event = sh_json_event(out, "peer-calibration");
    sh_json_text(event, "peer", peer);
    if (level)
        level_into(event, level);
    else
        cJSON_AddNullToObject(event, "level");
    sh_json_text(event, "cause", level ? NULL : sh_cause_info(cause)->name);
    sh_json_emit(out, event);
}

static void note(struct sh_output *out, const char *text, enum sh_cause cause)
{
    cJSON *event = sh_json_event(out, "note");
    sh_json_text(event, "text", text);
    if (cause != SH_OK)
        sh_json_text(event, "cause", sh_cause_info(cause)->name);
    sh_json_emit(out, event);
}

void sh_json_cause(cJSON *event, const struct sh_cause_info *info, const char *detail)
{
    sh_json_text(event, "cause", info->name);
    sh_json_text(event, "category", sh_category_name(info->category));
    sh_json_text(event, "message", info->message);
    sh_json_text(event, "detail", detail);
    sh_json_text(event, "next", info->next);
}

static void cause(struct sh_output *out, const struct sh_cause_info *info, const char *detail)
{
    cJSON *event = sh_json_event(out, "cause");
    sh_json_cause(event, info, detail);
    sh_json_emit(out, event);
}

static void done(struct sh_output *out, const struct sh_out_done *done)
{
    cJSON *event = sh_json_event(out, "done");
    cJSON *items = cJSON_AddArrayToObject(event, "items");
    for (size_t i = 0; i < done->item_count; i++) {
        cJSON *item = cJSON_CreateObject();
        sh_json_text(item, "name", done->items[i].name);
        sh_json_uint(item, "size", done->items[i].size);
        sh_json_text(item, "sha256", done->items[i].sha256);
        sh_json_text(item, "path", done->items[i].path);
        if (!cJSON_AddItemToArray(items, item))
            cJSON_Delete(item);
    }
    cJSON *links = cJSON_AddObjectToObject(event, "links");
    for (size_t i = 0; i < done->link_count; i++)
        sh_json_uint(links, done->links[i].name, done->links[i].bytes);
    sh_json_uint(event, "resumed", done->resumed);
    sh_json_double(event, "seconds", done->seconds, 3);
    sh_json_emit(out, event);
}

const struct sh_output_form sh_output_form_json = {
    .phase = phase,
    .code = code,
    .code_wanted = code_wanted,
    .consent_wanted = consent_wanted,
    .proximity = proximity,
    .link = link_state,
    .progress = progress,
    .calibration = calibration,
    .peer_calibration = peer_calibration,
    .note = note,
    .cause = cause,
    .done = done,
};
