/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop calibrate`: learns how strongly a linked anchor is heard one metre away. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/edge.h"
#include "cli/linked.h"
#include "cli/output_form.h"
#include "cli/verb.h"
#include "pairing/advert.h"
#include "pairing/calibration.h"
#include "system/clock.h"

#define HEARD_MS 30000 /* until the anchor is heard */
#define TELL_MS  2000
#define LOOK_MS  100

struct values {
    struct sh_common common;
    const char *anchor;
};

static const struct sh_option options[] = {
    {"anchor", 0, SH_OPTION_TEXT, "NAME", "The linked device of this name (the first one heard).",
     offsetof(struct values, anchor)},
    {0},
};

struct calibrate {
    const struct values *values;
    struct sh_output *out;
    struct sh_registry *registry;
    struct sh_edge edge;
    struct sh_linked linked;
    const struct sh_device *anchor; /* who is calibrated; NULL: nobody was heard yet */
    struct sh_calibration calibration;
    sh_ms begun, told;
    bool over;
    enum sh_cause end;
};

static void quit(struct calibrate *calibrate, enum sh_cause cause)
{
    if (calibrate->over)
        return;
    calibrate->over = true;
    calibrate->end = sh_edge_explain(&calibrate->edge, cause);
    sh_edge_quit(&calibrate->edge, false);
}

static void tell(struct calibrate *calibrate, bool final)
{
    struct sh_calibrated found = sh_calibration_now(&calibrate->calibration);
    calibrate->told = sh_now();
    if (sh_output_is_json(calibrate->out)) {
        cJSON *event = sh_json_event(calibrate->out, "calibration");
        sh_json_text(event, "peer", calibrate->anchor->name);
        sh_json_double(event, "level", found.dbm, 1);
        sh_json_double(event, "spread", found.spread_db, 2);
        sh_json_uint(event, "samples", found.samples);
        sh_json_uint(event, "positions", found.positions);
        cJSON_AddBoolToObject(event, "final", final);
        sh_json_emit(calibrate->out, event);
    } else {
        sh_output_note(calibrate->out, "%s: %.1f dBm, spread %.1f dB, %u samples in %u positions",
                       final ? "At one metre" : "So far", found.dbm, found.spread_db, found.samples,
                       found.positions);
    }
}

/* ---- The radio ---- */

static bool is_wanted(const struct calibrate *calibrate, const struct sh_device *linked)
{
    const char *name = calibrate->values->anchor;
    if (!linked || (name && strcmp(linked->name, name) != 0))
        return false;
    return !calibrate->anchor || calibrate->anchor == linked;
}

static void on_heard(const struct sh_ble_heard *heard, void *user)
{
    struct calibrate *calibrate = user;
    struct sh_advert advert;
    if (calibrate->over || sh_advert_decode(heard->payload, &advert) != SH_OK)
        return;
    const struct sh_device *linked =
        sh_linked_resolve(calibrate->linked.devices, calibrate->linked.count, advert.id);
    if (!is_wanted(calibrate, linked))
        return;
    if (!calibrate->anchor) {
        calibrate->anchor = linked;
        calibrate->told = sh_now();
        sh_output_note(
            calibrate->out,
            "%s is heard. For ten seconds: stay one metre away from it, and turn and move "
            "this device slowly all the time.",
            linked->name);
    }
    if (heard->rssi_dbm != SH_RSSI_NONE) /* what is learned is the level of the usual power */
        sh_calibration_add(&calibrate->calibration, sh_now(), heard->rssi_dbm - advert.power_db);
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
    struct calibrate *calibrate = user;
    sh_output_note(calibrate->out, "%s", text);
}

static const struct sh_ble_ops ble_ops = {
    .heard = on_heard, .stream = on_stream, .failed = on_failed, .note = on_note};
static const struct sh_link_ops link_ops = {0};

/* ---- Its end ---- */

static enum sh_cause keep(struct calibrate *calibrate)
{
    struct sh_calibrated found = sh_calibration_now(&calibrate->calibration);
    struct sh_known_level level = {.dbm = found.dbm,
                                   .spread_db = found.spread_db,
                                   .samples = found.samples,
                                   .positions = found.positions,
                                   .time = calibrate->edge.wall};
    if (!sh_edge_adapter(&calibrate->edge, level.adapter))
        return sh_fail(SH_ENV_RADIO_FAILED, "the adapter has no address");
    memcpy(level.id, calibrate->anchor->id, sizeof(level.id));
    return sh_registry_put_level(calibrate->registry, &level);
}

static void on_stop(enum sh_cause cause, void *user)
{
    struct calibrate *calibrate = user;
    quit(calibrate, cause);
}

static sh_ms on_tick(sh_ms now, void *user)
{
    struct calibrate *calibrate = user;
    if (calibrate->over)
        return SH_NEVER;
    if (!calibrate->anchor && now >= calibrate->begun + HEARD_MS)
        quit(calibrate, sh_fail(SH_NEAR_NO_ANCHOR, "no linked device shares here"));
    if (!calibrate->anchor)
        return now + LOOK_MS;
    if (sh_calibration_is_over(&calibrate->calibration, now))
        quit(calibrate, SH_OK);
    else if (now >= calibrate->told + TELL_MS)
        tell(calibrate, false);
    return now + LOOK_MS;
}

static const struct sh_edge_ops edge_ops = {.stop = on_stop, .tick = on_tick, .note = on_note};

static enum sh_cause listen_and_learn(struct calibrate *calibrate, const struct sh_common *common)
{
    sh_output_unblock(calibrate->out);
    SH_TRY(sh_edge_open(&calibrate->edge, common, &edge_ops, &ble_ops, &link_ops, calibrate));
    SH_TRY(sh_linked_load(calibrate->registry, calibrate->edge.wall, &calibrate->linked));
    if (calibrate->linked.count == 0)
        return sh_fail(SH_LINKED_UNKNOWN, "no device is linked; run `simhop sync` first");
    SH_TRY(sh_linked_check(&calibrate->linked, calibrate->values->anchor));
    calibrate->begun = sh_now();
    SH_TRY(calibrate->edge.ble->driver->scan(calibrate->edge.ble, true));
    sh_output_note(calibrate->out, "Listening for a linked device that runs `simhop share`.");
    SH_TRY(sh_edge_run(&calibrate->edge, calibrate->out));
    SH_TRY(calibrate->end);
    SH_TRY(sh_calibration_check(&calibrate->calibration));
    SH_TRY(keep(calibrate));
    tell(calibrate, true);
    return SH_OK;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: calibrate takes options only", argv[0]);
    SH_TRY(sh_registry_open(v->common.state, &registry));
    sh_autofree struct sh_common *common = malloc(sizeof(*common));
    sh_autofree struct calibrate *calibrate = calloc(1, sizeof(*calibrate));
    if (!common || !calibrate)
        return SH_ENV_NO_MEMORY;
    *common = v->common;
    common->links = "ble";
    *calibrate = (struct calibrate){.values = v, .out = out, .registry = registry};
    enum sh_cause cause = listen_and_learn(calibrate, common);
    sh_edge_close(&calibrate->edge);
    sh_linked_clear(&calibrate->linked);
    if (cause == SH_OK)
        sh_output_note(out, "Kept; from now on this counts when the two devices meet.");
    return cause;
}

const struct sh_verb sh_verb_calibrate = {
    .name = "calibrate",
    .usage = "[--anchor NAME] [options]",
    .summary = "Learn how strongly a linked device is heard one metre away",
    .text =
        "The other device runs `simhop share`; hold this one a metre from it and move it, for\n"
        "ten seconds. What is learned is kept for this pair of devices and this adapter: later\n"
        "syncs then need not be nearer than a metre to be sure. `simhop devices show` tells it.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};
