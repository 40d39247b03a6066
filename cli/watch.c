/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/edge.h"
#include "cli/linked.h"
#include "cli/nearby.h"
#include "cli/output_form.h"
#include "cli/plot.h"
#include "cli/safe.h"
#include "system/clock.h"

#define LINE_MS 2000

struct watch {
    struct sh_output *out;
    struct sh_registry *registry;
    struct sh_edge edge;
    struct sh_linked linked;
    struct sh_nearby *nearby;
    struct sh_plot plot;
    char picture[SH_PLOT_SIZE];
    bool utf8, drawn;
    sh_ms lined;
    bool over;
    enum sh_cause end;
};

static void quit(struct watch *watch, enum sh_cause cause)
{
    if (watch->over)
        return;
    watch->over = true;
    watch->end = sh_edge_explain(&watch->edge, cause);
    sh_edge_quit(&watch->edge, false);
}

/* ---- What is seen ---- */

static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *value = NULL;
    for (size_t i = 0; i < SH_COUNT(names) && (!value || !value[0]); i++)
        value = getenv(names[i]);
    return value && (strcasestr(value, "utf-8") || strcasestr(value, "utf8"));
}

static unsigned columns_of(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

struct line {
    char text[160];
};

static struct line numbers(const struct sh_device *linked,
                           const struct sh_proximity_estimate *estimate)
{
    struct line line;
    char name[80] = "A device";
    if (!estimate) {
        snprintf(line.text, sizeof(line.text), "Nobody is sharing nearby.");
        return line;
    }
    const struct sh_proximity_evidence *evidence = &estimate->evidence;
    if (linked)
        (void)sh_safe_copy(name, sizeof(name), linked->name, 24);
    if (isnan(estimate->metres))
        snprintf(line.text, sizeof(line.text), "%s: heard too seldom to tell", name);
    else
        snprintf(line.text, sizeof(line.text), "%s: %.1f m  %+.1f dB  spread %.1f  %.0f/s  %s",
                 name, fmin(estimate->metres, 99.9), evidence->score_db, evidence->spread_db,
                 evidence->rate_hz,
                 estimate->verdict == SH_PROXIMITY_ACCEPT ? "near"
                                                          : sh_advice_name(estimate->advice));
    return line;
}

/* The picture stays where it is: back up over it, each line cleared behind what is written. */
static void draw(struct watch *watch, const struct line *line)
{
    FILE *file = watch->out->to.out;
    unsigned columns = columns_of();
    sh_plot_draw(&watch->plot, columns - 1, watch->utf8, watch->picture);
    if (watch->drawn)
        fprintf(file, "\r\033[%dA", SH_PLOT_ROWS);
    fprintf(file, "%s%.*s\033[K", watch->picture, (int)columns - 1, line->text);
    fflush(file);
    watch->drawn = true;
}

static void say_json(struct watch *watch, const struct sh_device *linked,
                     const struct sh_proximity_estimate *estimate)
{
    const struct sh_proximity_evidence *evidence = &estimate->evidence;
    cJSON *event = sh_json_event(watch->out, "proximity");
    sh_json_text(event, "peer", linked ? linked->name : NULL);
    sh_json_double(event, "metres", estimate->metres, 2);
    sh_json_double(event, "confidence", estimate->confidence_percent / 100.0, 2);
    sh_json_uint(event, "samples", estimate->samples);
    cJSON_AddBoolToObject(event, "accept", estimate->verdict == SH_PROXIMITY_ACCEPT);
    sh_json_text(event, "backend", "rssi");
    cJSON_AddFalseToObject(event, "final");
    sh_json_double(event, "score", evidence->score_db, 2);
    sh_json_double(event, "spread", evidence->spread_db, 2);
    sh_json_double(event, "rate", evidence->rate_hz, 1);
    sh_json_text(event, "advice", sh_advice_name(estimate->advice));
    sh_json_text(event, "level", sh_level_kind_name(evidence->level));
    sh_json_emit(watch->out, event);
}

static void on_watched(const struct sh_device *linked, const struct sh_proximity_estimate *estimate,
                       void *user)
{
    struct watch *watch = user;
    sh_ms now = sh_now();
    sh_plot_add(&watch->plot, now, estimate ? estimate->metres : (double)NAN);
    if (watch->out->to.json) {
        if (estimate)
            say_json(watch, linked, estimate);
        return;
    }
    struct line line = numbers(linked, estimate);
    if (watch->out->to.terminal) {
        draw(watch, &line);
    } else if (watch->lined == 0 || now >= watch->lined + LINE_MS) {
        watch->lined = now;
        sh_output_note(watch->out, "%s", line.text);
    }
}

static double on_level(const struct sh_device *linked, void *user)
{
    const struct watch *watch = user;
    return sh_linked_level(watch->registry, &watch->edge, linked);
}

static void on_phase(enum sh_phase phase SH_UNUSED, void *user SH_UNUSED) {}

static const struct sh_nearby_ops nearby_ops = {
    .phase = on_phase, .level = on_level, .watched = on_watched};

/* ---- The radio ---- */

static void on_heard(const struct sh_ble_heard *heard, void *user)
{
    struct watch *watch = user;
    sh_nearby_heard(watch->nearby, heard, sh_now());
}

static void on_stream(struct sh_stream *stream, bool incoming SH_UNUSED, void *user SH_UNUSED)
{
    sh_stream_close(stream);
}

static void on_failed(enum sh_cause cause, void *user)
{
    quit(user, cause);
}

static void on_note(const char *text, void *user)
{
    struct watch *watch = user;
    sh_output_note(watch->out, "%s", text);
    watch->drawn = false; /* it stands below the picture */
}

static const struct sh_ble_ops ble_ops = {
    .heard = on_heard, .stream = on_stream, .failed = on_failed, .note = on_note};
static const struct sh_link_ops link_ops = {0};

static void on_stop(enum sh_cause cause, void *user)
{
    struct watch *watch = user;
    quit(watch, cause);
}

static sh_ms on_tick(sh_ms now, void *user)
{
    struct watch *watch = user;
    return watch->over ? SH_NEVER : sh_nearby_tick(watch->nearby, now);
}

static const struct sh_edge_ops edge_ops = {.stop = on_stop, .tick = on_tick, .note = on_note};

static enum sh_cause start(struct watch *watch, const struct sh_common *common, const char *anchor)
{
    sh_output_unblock(watch->out);
    SH_TRY(sh_edge_open(&watch->edge, common, &edge_ops, &ble_ops, &link_ops, watch));
    SH_TRY(sh_linked_load(watch->registry, watch->edge.wall, &watch->linked));
    /* An advertisement carries no name: who is not linked cannot be told from others. */
    SH_TRY(sh_linked_check(&watch->linked, anchor));
    SH_TRY(sh_nearby_new(watch->linked.devices, watch->linked.count, anchor, &nearby_ops, watch,
                         sh_now(), &watch->nearby));
    SH_TRY(watch->edge.ble->driver->scan(watch->edge.ble, true));
    return sh_edge_run(&watch->edge, watch->out);
}

enum sh_cause sh_watch_run(const struct sh_common *common, struct sh_output *out,
                           struct sh_registry *registry, const char *anchor)
{
    sh_autofree struct watch *watch = calloc(1, sizeof(*watch));
    sh_autofree struct sh_common *radio_only = malloc(sizeof(*radio_only));
    if (!watch || !radio_only)
        return SH_ENV_NO_MEMORY;
    *radio_only = *common;
    radio_only->links = "ble";
    watch->out = out;
    watch->registry = registry;
    watch->utf8 = speaks_utf8();
    enum sh_cause cause = start(watch, radio_only, anchor);
    if (cause == SH_OK)
        cause = watch->end;
    if (watch->drawn)
        sh_output_text(out, "\n");
    sh_nearby_free(watch->nearby);
    sh_edge_close(&watch->edge);
    sh_linked_clear(&watch->linked);
    return cause;
}
